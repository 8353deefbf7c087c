"""Sessions as `mocap session` shows them: for people, and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from mocap.cli.console import stdout, tell
from mocap.core.errors import InputError

if TYPE_CHECKING:
    from mocap.core.session import SessionCamera
    from mocap.io.recording_date import RecordingDate
    from mocap.io.session_check import ClipFacts, SessionCheck
    from mocap.io.session_state import SessionState

COLOURS = {"blocks": "red", "warning": "yellow", "note": "dim"}
CLOCK_WORDS = {
    "one clock": "one clock",
    "synced": "put on one clock",
    "stamps only": "clocks of their own",
    "by frames": "frame by frame",
}
STATE_COLOURS = {"exported": "green", "processed": "green", "synced": "cyan", "recorded": "yellow", "unusable": "red"}


def show(checked: SessionCheck, moves: Mapping[str, Sequence[str]]) -> None:
    """A check for people: on stdout, since it is the result."""
    state = checked.state
    stdout.print(f"[bold]{escape(str(state.session.root))}[/]", soft_wrap=True)
    _line(f"cameras: {escape(', '.join(map(_camera, state.session.cameras)) or 'none yet')}")
    rig = state.calibration.rig
    made = "no rig yet" if rig is None else f"rig {rig.relative_to(state.session.root)}"
    clips = ", ".join(f"{kind} of {len(found)}" for kind, found in state.calibration.clips.items())
    _line(f"calibration: {escape(made)}{f'; clips: {clips}' if clips else ''}")
    for it in state.takes:
        _line(f"take {escape(it.name)}: [{STATE_COLOURS[it.state]}]{it.state}[/]{_take_words(checked, it.name)}")
        for sentence in moves.get(it.name, ()):
            _line(f"  {escape(sentence)}")
    for finding in checked.findings:
        sentence = finding.sentence.replace("\n", "\n            ")  # what is to be written into a file
        _line(f"[{COLOURS[finding.level]}]{finding.level:7}[/] {escape(sentence)}")
    _line(f"[bold]Next:[/] {escape(checked.next_step)}")


def _line(text: str) -> None:
    stdout.print(f"  {text}", soft_wrap=True)


def _camera(camera: SessionCamera) -> str:
    """Name and source of a camera, without what a password may be in."""
    from mocap.capture.address import parse_address

    if camera.source is None:
        return camera.name
    try:
        shown = parse_address(camera.source, camera.name).shown
    except InputError:
        shown = "a source that cannot be read" if "@" in camera.source else camera.source
    return f"{camera.name} ({shown})"


def _take_words(checked: SessionCheck, name: str) -> str:
    """How many cameras and frames, how fast, on which clock, when."""
    clips = checked.clips.get(f"takes/{name}", ())
    take = next(it for it in checked.state.takes if it.name == name)
    if take.take is None:
        return ""
    words = [f"{len(take.cameras)} cameras"]
    infos = [clip.info for clip in clips if clip.info is not None]
    if infos:
        frames = sorted({info.n_readable for info in infos})
        words.append(f"{frames[0]} frames" if len(frames) == 1 else f"{frames[0]} to {frames[-1]} frames")
        rates = sorted({f"{info.fps:.4g}" for info in infos})
        words.append(f"{' and '.join(rates)} a second")
    elif not clips:
        words.append("2D results")
    words.append(CLOCK_WORDS[take.sync])
    date = checked.dates.get(f"takes/{name}")
    if date is not None:
        words.append(date.day)
    if take.exported:
        words.append("/".join(take.exported))
    return f", {escape(', '.join(words))}"


def show_table(states: Sequence[SessionState]) -> None:
    """Sessions, each with its takes below."""
    table = Table(box=SIMPLE_HEAD)
    for title in ("session, takes", "state", "cameras", "clock", "files"):
        table.add_column(title, overflow="fold", no_wrap=title in ("state", "clock"))
    for state in states:
        rig = "calibrated" if state.calibration.rig is not None else "no rig"
        table.add_row(escape(str(state.session.root)), f"[dim]{rig}[/]", str(len(state.session.cameras)), "", "")
        for it in state.takes:
            colour, clock = STATE_COLOURS[it.state], "own clocks" if it.sync == "stamps only" else it.sync
            name, files = f"  {escape(it.name)}", ", ".join(it.exported)
            table.add_row(name, f"[{colour}]{it.state}[/]", str(len(it.cameras)), clock, files)
    if states:
        stdout.print(table)
    else:
        tell("There are no sessions here.")


def as_listed(state: SessionState) -> dict[str, Any]:
    """A session for machines."""
    return {
        "session": str(state.session.root),
        "cameras": list(state.session.camera_names),
        "rig": None if state.calibration.rig is None else str(state.calibration.rig),
        "clips": {kind: list(found) for kind, found in state.calibration.clips.items()},
        "unfinished": [str(folder) for folder in state.unfinished],
        "takes": [
            {
                "take": it.name,
                "state": it.state,
                "cameras": list(it.cameras),
                "sync": it.sync,
                "files": list(it.exported),
                "problem": it.problem or None,
            }
            for it in state.takes
        ],
    }


def as_document(checked: SessionCheck, moves: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A check for machines."""
    return as_listed(checked.state) | {
        "can_process": checked.can_process,
        "next_step": checked.next_step,
        "findings": [vars(finding) for finding in checked.findings],
        "recordings": {place: [_clip(clip) for clip in clips] for place, clips in checked.clips.items()},
        "dates": {place: _date(date) for place, date in checked.dates.items()},
        "moved": dict(moves),
    }


def _clip(clip: ClipFacts) -> dict[str, Any]:
    info = clip.info
    known = {} if info is None else {"size": info.size, "fps": info.fps, "duration_s": info.duration_s}
    return {
        "camera": clip.camera,
        "file": str(clip.path),
        "frames": clip.frames,
        **known,
        "problem": clip.problem or None,
    }


def _date(date: RecordingDate | None) -> dict[str, Any] | None:
    return None if date is None else {"when": date.when.isoformat(timespec="seconds"), "sure": date.sure}
