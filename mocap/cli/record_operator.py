"""Recording step by step: by keys in a terminal, or without anybody, each step until it is enough or its time is up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from mocap.cli.console import heed_signals, tell
from mocap.cli.record_keys import Keys
from mocap.cli.record_steps import Pace, Step, begin, check_ends
from mocap.core.errors import InputError

if TYPE_CHECKING:
    from mocap.capture.session_recording import RecordingSession
    from mocap.capture.session_recording_state import ClipResult, RecordingEvent

POLL_S = 0.1
COLOURS = {"camera_lost": "bold red", "error": "bold red", "warning": "yellow", "enough": "green"}


class Told:
    """Prints what happens, each event once."""

    def __init__(self, recording: RecordingSession) -> None:
        self._recording = recording
        self._count = 0

    def news(self) -> None:
        """Print events since the last time."""
        for event in self._recording.events(self._count):
            self._count = event.number
            tell(line_of(event))


def line_of(event: RecordingEvent) -> str:
    """An event as a line in Rich's markup."""
    colour = COLOURS.get(event.kind)
    sentence = f"[{colour}]{escape(event.sentence)}[/]" if colour else escape(event.sentence)
    return f"[dim]{event.time[11:19]}[/] {sentence}"


def run_alone(recording: RecordingSession, steps: Sequence[Step], pace: Pace) -> list[ClipResult]:
    """Every step once, one after the other."""
    check_ends(steps, pace)
    told, results = Told(recording), []
    for step in steps:
        begin(recording, step, pace)
        while not recording.wait(POLL_S):
            heed_signals()
            told.news()
        told.news()
        result = recording.state.result
        if result is not None:
            results.append(result)
    while not recording.wait_for_people(POLL_S):
        heed_signals()
    told.news()
    return [recording.judged(result) for result in results]


class KeyOperator:
    """Steps chosen, started and ended by keys."""

    def __init__(self, recording: RecordingSession, steps: Sequence[Step], pace: Pace, keys: Keys) -> None:
        self.recording = recording
        self.steps = list(steps)
        self.chosen = 0
        self.hint = ""
        self.results: list[ClipResult] = []
        self._pace = pace
        self._keys = keys
        self._seen: ClipResult | None = None

    def run(self, show: Callable[[], None]) -> list[ClipResult]:
        """Until q; results of what was not recorded again. `show` is called after every key and ten times a second."""
        self._watch()
        while True:
            heed_signals()
            key = self._keys.next(POLL_S)
            if key == "q":
                self.recording.finish()
                self._collect()
                return self.results
            if key is not None:
                self._obey(key)
            self._collect()
            show()

    def _obey(self, key: str) -> None:
        self.hint = ""
        try:
            match key:
                case "space" | "enter":
                    self._start_or_stop()
                case "right" | "down" | "n":
                    self._choose(self.chosen + 1)
                case "left" | "up" | "p":
                    self._choose(self.chosen - 1)
                case "escape":
                    self.recording.cancel()
                case "r":
                    self._retake()
        except (InputError, OSError) as error:
            self.hint = str(error)

    def _start_or_stop(self) -> None:
        match self.recording.state.phase:
            case "idle":
                self.recording.watch(None)
                begin(self.recording, self.steps[self.chosen], self._pace)
            case "countdown":
                self.recording.cancel()
            case "recording":
                self.recording.finish()

    def _retake(self) -> None:
        """Of takes the last one; clips of the board are simply recorded again, the earlier ones are set aside."""
        if self.steps[self.chosen].mode == "take":
            running = self.recording.state.phase == "recording"
            self.recording.retake(countdown_s=self._pace.countdown_s, duration_s=self._pace.seconds)
            takes = [result for result in self.results if result.mode == "take"]
            if takes and not running:
                self.results.remove(takes[-1])
        elif self.recording.state.phase == "idle":
            begin(self.recording, self.steps[self.chosen], self._pace)

    def _choose(self, number: int) -> None:
        if self.recording.state.phase != "idle":
            return
        self.chosen = number % len(self.steps)
        self._watch()

    def _watch(self) -> None:
        step = self.steps[self.chosen]
        self.recording.watch(None if step.mode == "take" else step.mode, step.camera)

    def _collect(self) -> None:
        """Keep what was finished, and go on to the next step after a clip of the board that need not be redone."""
        result = self.recording.state.result
        if result is None or result is self._seen:
            return
        self._seen = result
        again = (result.mode, result.name)
        self.results = [*(it for it in self.results if (it.mode, it.name) != again), result]
        last = self.chosen == len(self.steps) - 1
        if result.mode != "take" and result.verdict != "redo" and not last:
            self._choose(self.chosen + 1)
