"""A day of recording: lenses one after the other, all cameras together, the floor, takes; guided, watched and judged.

    recording = RecordingSession(session_root, rig, recorder)
    recording.extrinsics()            # records, stops by itself when the calibration has enough
    recording.take("walk", countdown_s=3, duration_s=10)
    recording.wait()
    recording.state.result.verdict    # "good", "usable" or "redo"

Used by `mocap record` in a terminal and by the page of the recorder; any thread may call anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from calibration.board_file import Board, board_from_table, read_board
from calibration.camera import Rig
from calibration.intrinsics import IntrinsicsResult
from mocap.capture.guides import IntrinsicsGuide
from mocap.capture.guides_extrinsics import ExtrinsicsGuide
from mocap.capture.guides_floor import FloorGuide
from mocap.capture.people_look import PeopleLook
from mocap.capture.people_watch import PeopleWatch
from mocap.capture.recorder import Recorder
from mocap.capture.recording_files import write_take_file
from mocap.capture.recovery import set_aside
from mocap.capture.rig import CaptureRig
from mocap.capture.session_recording_clips import Clip, clip_of_board, clip_of_take, put_back
from mocap.capture.session_recording_guidance import Guide, LiveGuidance, upright_size
from mocap.capture.session_recording_state import (
    ClipResult,
    EventKind,
    Mode,
    Phase,
    RecordingConfig,
    RecordingEvent,
    RecordingState,
)
from mocap.capture.session_recording_verdict import judge_clip, with_people
from mocap.capture.slate import make_slate, next_number
from mocap.capture.source import Scene
from mocap.core.errors import InputError, sentence_for_user, sentence_of_fault
from mocap.core.session import Session

TICK_S = 0.05
PROBLEMS: Mapping[str, EventKind] = {"camera_lost": "camera_lost", "camera_back": "camera_back"}
"""Kinds of the recorder's problems that have events of their own; others are errors."""


class RecordingSession:
    """The recorder's modes over one session. Opens neither the rig nor its cameras: whoever made them does."""

    def __init__(
        self,
        session_root: str | Path,
        rig: CaptureRig,
        recorder: Recorder,
        *,
        config: RecordingConfig | None = None,
    ) -> None:
        self.root = Path(session_root)
        self.rig = rig
        self.recorder = recorder
        self.config = config or RecordingConfig()
        self.board = board_of_session(rig.session)
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._events: list[RecordingEvent] = []
        self._phase: Phase = "idle"
        self._clip: Clip | None = None
        self._began_s = 0.0  # of recording, or when it shall begin while it is counted down
        self._enough_since: float | None = None
        self._problems_told, self._fault_told = 0, ""
        self._result: ClipResult | None = None
        self._last_take: Clip | None = None
        self._lenses: dict[str, IntrinsicsResult] = {}
        self._solved: Rig | None = None
        self._closed = threading.Event()
        rotations = {camera.name: camera.rotation for camera in rig.session.cameras}
        self._rotations = rotations
        self._guidance = LiveGuidance(rig, rotations, self.config)
        self._guidance.start()
        self._people = PeopleWatch(self._heed_people)
        self._of_people: dict[Path, PeopleLook] = {}
        self._thread = threading.Thread(target=self._run, name="recording session", daemon=True)
        self._thread.start()

    # ---- modes -----------------------------------------------------------------------------------------------------

    def intrinsics(self, camera: str, *, duration_s: float | None = None) -> None:
        """Record one camera with the board near it, for its lens."""
        if camera not in self.rig.names:
            raise InputError(
                f"there is no camera {camera!r} to record; there are {', '.join(self.rig.names)}",
                where=self.root / "session.toml",
                remedy="Check the name, or give the camera a source.",
            )
        self._begin(clip_of_board(self.root, "intrinsics", camera, duration_s))

    def extrinsics(self, *, duration_s: float | None = None) -> None:
        """Record all cameras while the board is carried through the space."""
        self._begin(clip_of_board(self.root, "extrinsics", None, duration_s))

    def floor(self, *, duration_s: float | None = None) -> None:
        """Record all cameras while the board lies on the floor."""
        self._begin(clip_of_board(self.root, "floor", None, duration_s))

    def take(
        self, name: str, number: int | None = None, countdown_s: float = 0.0, duration_s: float | None = None
    ) -> str:
        """Record a take after a countdown, until `finish` or for so long; the name of its folder (walk_01)."""
        with self._lock:
            self._check_idle()
            slate = make_slate(self.root, name, number, datetime.now(UTC))
            self._begin(clip_of_take(self.root, slate, countdown_s, duration_s))
            return slate.take

    def retake(self, *, countdown_s: float | None = None, duration_s: float | None = None) -> str:
        """Record the last take again, under the next number; the earlier one is set aside."""
        with self._lock:
            counted = self._clip if self._phase == "countdown" else None
            if counted is not None:
                self.cancel()
            elif self._phase == "recording" and self._clip is not None and self._clip.mode == "take":
                self.finish()
            self._check_idle()
            last = counted or self._last_take
            if last is None or last.slate is None:
                raise InputError("there is no take yet that could be recorded again", where=self.root)
            if counted is None and last.folder.exists():
                self._tell_aside(set_aside(self.root, Scene("take", take=last.slate.take)))
            number = max(next_number(self.root, last.slate.name), last.slate.number + (counted is None))
            return self.take(
                last.slate.name,
                number,
                countdown_s=last.countdown_s if countdown_s is None else countdown_s,
                duration_s=last.duration_s if duration_s is None else duration_s,
            )

    def finish(self) -> ClipResult | None:
        """End what is being recorded, now; its verdict. None where nothing is."""
        with self._lock:
            if self._phase == "countdown":
                self.cancel()
            return self._finish() if self._phase == "recording" else None

    def cancel(self) -> bool:
        """Call off a countdown; whether there was one."""
        with self._lock:
            if self._phase != "countdown":
                return False
            self._tell("cancelled", "the countdown was called off")
            self._to_idle()
            return True

    def watch(self, mode: Mode | None, camera: str | None = None) -> None:
        """Guide without recording, to find out where the board is seen; None: no longer."""
        with self._lock:
            self._check_idle()
            self._guidance.guide_by(None if mode is None else self._guide(mode, camera), camera)

    # ---- what there is to show -------------------------------------------------------------------------------------

    @property
    def state(self) -> RecordingState:
        """All that can be shown, now. Never waits for a recording."""
        clip, phase, now = self._clip, self._phase, time.monotonic()
        return RecordingState(
            phase=phase,
            mode=None if clip is None else clip.mode,
            camera=None if clip is None else clip.camera,
            take=None if clip is None or clip.slate is None else clip.slate.take,
            countdown_s=max(0.0, self._began_s - now) if phase == "countdown" else 0.0,
            elapsed_s=now - self._began_s if phase == "recording" else 0.0,
            duration_s=None if clip is None else clip.duration_s,
            cameras=self.rig.status(),
            pictures=self._guidance.pictures,
            corners=self._guidance.corners,
            guide=self._guidance.state,
            takes=takes_of(self.root),
            result=self._result,
            n_events=len(self._events),
        )

    def events(self, since: int = 0) -> tuple[RecordingEvent, ...]:
        """What happened after event number `since`, in order."""
        return tuple(self._events[since:])

    def wait(self, timeout_s: float | int | None = None) -> bool:
        """Until nothing is recorded or counted down; whether that came in time."""
        with self._idle:
            return self._idle.wait_for(lambda: self._phase == "idle", timeout_s)

    def wait_for_people(self, timeout_s: float | int | None = None) -> bool:
        """Until people were looked for in every take; whether that came in time."""
        return self._people.wait(timeout_s)

    def judged(self, result: ClipResult) -> ClipResult:
        """The result of a take with what looking for people has come to since."""
        look = self._of_people.get(result.folder)
        return result if look is None or look.sentence in result.sentences else with_people(result, look)

    def close(self) -> None:
        """Finish what is being recorded, and stop watching."""
        self._people.close()
        self.finish()
        self._closed.set()
        self._guidance.close()
        self._thread.join(2.0)

    # ---- how it goes -----------------------------------------------------------------------------------------------

    def _begin(self, clip: Clip) -> None:
        with self._lock:
            self._check_idle()
            self._clip, self._result, self._enough_since = clip, None, None
            guide = self._guide(clip.mode, clip.camera)
            self._guidance.guide_by(guide, clip.camera)
            self._people.hold(True)
            if guide is None and clip.mode != "take":
                why = "no board is described in session.toml" if self.board is None else "the camera gives no pictures"
                self._tell("warning", f"{clip.title} goes without guidance: {why}")
            if clip.countdown_s > 0:
                self._phase, self._began_s = "countdown", time.monotonic() + clip.countdown_s
                self._tell("countdown", f"{clip.title} begins in {clip.countdown_s:g} s")
            else:
                self._start(clip)

    def _heed_people(self, folder: Path, look: PeopleLook) -> None:
        """Say what a take shows; in its notes too, where that is a reason to record it again."""
        with self._lock:
            if not folder.is_dir():  # set aside meanwhile
                return
            self._of_people[folder] = look
            if self._result is not None and self._result.folder == folder:
                self._result = self.judged(self._result)
            self._tell("warning" if look.doubtful else "people", f"take {folder.name}: {look.sentence}")
            if look.doubtful:
                write_take_file(folder / "take.toml", (look.sentence,))

    def _start(self, clip: Clip) -> None:
        """Raises what the recorder raises, and is idle again then."""
        earlier, wanted = None, None if clip.camera is None else (clip.camera,)
        try:
            if clip.mode != "take":
                earlier = set_aside(self.root, clip.scene, wanted or ())
            self.recorder.start(clip.folder, scene=clip.scene, cameras=wanted, duration_s=clip.duration_s)
        except Exception:
            put_back(earlier, clip)
            self._to_idle()
            raise
        self._phase, self._began_s = "recording", time.monotonic()
        self._problems_told = 0
        self._tell("started", f"{clip.title} is being recorded")
        self._tell_aside(earlier)

    def _tell_aside(self, aside: Path | None) -> None:
        if aside is not None:
            self._tell("warning", f"what was there before is now in {aside.relative_to(self.root).as_posix()}")

    def _finish(self) -> ClipResult:
        assert self._clip is not None
        clip, self._phase = self._clip, "finishing"
        guide = self._guidance.guide
        try:
            report = self.recorder.stop()
            self._pass_on()
            verdict, sentences = judge_clip(clip.mode, report, None if guide is None else guide.state)
            document = report.model_dump(mode="json")
            self._result = ClipResult(
                clip.mode, clip.name, clip.folder, report.duration_s, verdict, sentences, document
            )
            if clip.slate is not None:
                self._last_take = clip
                if clip.folder.is_dir():
                    write_take_file(clip.folder / "take.toml", (clip.slate.sentence,))
                    if self.config.look_for_people:
                        self._people.add(clip.folder)
            self._learn(clip, guide)
            self._tell("finished", _summary(clip, self._result))
            return self._result
        finally:
            self._to_idle()

    def _learn(self, clip: Clip, guide: Guide | None) -> None:
        """What later guides can build on."""
        if isinstance(guide, IntrinsicsGuide) and clip.camera is not None:
            lens = guide.result(clip.camera)
            if lens is not None:
                self._lenses[clip.camera] = lens
        if isinstance(guide, ExtrinsicsGuide) and guide.knowledge is not None:
            self._solved = guide.knowledge.rig

    def _guide(self, mode: Mode, camera: str | None) -> Guide | None:
        if self.board is None or mode == "take":
            return None
        sizes = {
            it.name: upright_size(it.size, self._rotations.get(it.name, 0))
            for it in self.rig.status()
            if it.size is not None
        }
        if mode == "intrinsics":
            return None if camera not in sizes else IntrinsicsGuide(self.board, sizes[camera])
        if mode == "extrinsics":
            return ExtrinsicsGuide(self.board, self.rig.names, sizes=sizes, lenses=self._lenses)
        return FloorGuide(self.board, self.rig.names, sizes=sizes, rig=self._solved)

    def _run(self) -> None:
        while not self._closed.wait(TICK_S):
            try:
                with self._lock:
                    self._tick()
            except Exception as error:  # whatever goes wrong is told; the session goes on
                self._tell("error", sentence_for_user(error) or sentence_of_fault(error))

    def _tick(self) -> None:
        now = time.monotonic()
        if self._phase == "countdown" and now >= self._began_s and self._clip is not None:
            self._start(self._clip)
        elif self._phase == "recording":
            self._pass_on()
            self._tell_faults()
            if not self.recorder.recording or self._has_enough(now):
                self._finish()

    def _pass_on(self) -> None:
        """Tell what the recorder tells: cameras that die or come back, a disk that is full."""
        problems = self.recorder.status().problems
        for problem in problems[self._problems_told :]:
            kind = PROBLEMS.get(problem.kind, "error")
            self._tell(kind, problem.sentence, problem.camera)
        self._problems_told = len(problems)

    def _tell_faults(self) -> None:
        """Of guidance, each once."""
        fault = self._guidance.fault
        if fault != self._fault_told:
            self._fault_told = fault
            self._tell("warning", fault)

    def _has_enough(self, now: float) -> bool:
        """Whether a clip of the board has what the calibration wants, for some time now, or became too long."""
        clip, state = self._clip, self._guidance.state
        if clip is None or clip.mode == "take":
            return False
        if now - self._began_s > self.config.longest_clip_s:
            self._tell("warning", f"stopped after {self.config.longest_clip_s:g} s")
            return True
        if state is None or not state.done or not self.config.stop_when_enough:
            return False
        if self._enough_since is None:
            self._enough_since = now
            self._tell("enough", state.hint)
        return now - self._enough_since >= self.config.after_enough_s

    def _to_idle(self) -> None:
        self._phase, self._clip = "idle", None
        self._people.hold(False)
        self._guidance.guide_by(None)
        self._idle.notify_all()

    def _check_idle(self) -> None:
        if self._phase != "idle":
            title = "something" if self._clip is None else self._clip.title
            raise InputError(f"{title} is being recorded", where=self.root, remedy="Finish it first.")

    def _tell(self, kind: EventKind, sentence: str, camera: str | None = None) -> None:
        clip = self._clip
        take = None if clip is None or clip.slate is None else clip.slate.take
        stamp = datetime.now().astimezone().isoformat(timespec="milliseconds")
        self._events.append(RecordingEvent(len(self._events) + 1, stamp, kind, sentence, camera, take))


def board_of_session(session: Session) -> Board | None:
    """The board of session.toml or of a charuco.toml beside it; None where neither describes one."""
    if session.board:
        return board_from_table(session.board, f"{session.root / 'session.toml'}: [board]")
    other = session.root / "charuco.toml"
    return read_board(other) if other.is_file() else None


def takes_of(session_root: Path) -> tuple[str, ...]:
    """Folders of takes, by name."""
    folder = session_root / "takes"
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))


def _summary(clip: Clip, result: ClipResult) -> str:
    said: Sequence[str] = result.sentences
    return f"{clip.title}: {result.verdict}, {result.seconds:.1f} s" + (f"; {'; '.join(said)}" if said else "")
