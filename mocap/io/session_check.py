"""Is a session whole? What is there, what is missing or damaged, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from calibration.camera import Rig
from calibration.formats import read_calibration
from mocap.core.errors import InputError, VideoError
from mocap.io.recording_date import RecordingDate, earliest_date
from mocap.io.session_findings import CareFinding, Level, has_sources, next_step
from mocap.io.session_state import SessionState, TakeState, images_in, look_at_session
from mocap.io.take_videos import common_fps
from mocap.io.video_fit import fit_rig_to_videos, rig_of_cameras
from mocap.io.video_probe import VideoInfo, probe_video

FRAMES_APART = 3
"""Clips that differ by more frames than a hand at a button explains were not cut to one length."""

LONG_FRAMES = 0.02
"""Or by this share of the longest."""

COPYING_S = 120.0
"""Files that are copied or unpacked together have dates in any order, so far apart."""

BOARD_FIRST = "Print a board with `mocap board board.pdf` and copy the [board] table of board.toml into session.toml."

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class ClipFacts:
    """One camera's recording. info: None where it cannot be used, for the reason in `problem`, or is a folder of
    images. frames: of it that are there."""

    camera: str
    path: Path
    frames: int
    info: VideoInfo | None = None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class SessionCheck:
    """state: what there is. clips: calibration kind or take -> its recordings. dates: when these were made.
    findings: the worst first. next_step: a sentence."""

    state: SessionState
    clips: Mapping[str, tuple[ClipFacts, ...]]
    dates: Mapping[str, RecordingDate | None]
    findings: tuple[CareFinding, ...]
    next_step: str

    @property
    def can_process(self) -> bool:
        """Whether nothing keeps a take of it from being processed."""
        return not any(finding.level == "blocks" for finding in self.findings)


def check_session(root: str | Path, progress: Progress | None = None) -> SessionCheck:
    """Look at every recording of a session. Raises only where it is no session or session.toml cannot be read."""
    state = look_at_session(root)
    tell = progress or (lambda name: None)
    clips: dict[str, tuple[ClipFacts, ...]] = {}
    dates: dict[str, RecordingDate | None] = {}
    for kind, sources in state.calibration.clips.items():
        tell(kind)
        clips[kind], dates[kind] = _facts(sources, {}), earliest_date(sources.values())
    for it in state.takes:
        if it.take is not None:
            tell(it.name)
            videos = it.take.videos
            clips[_key(it)] = _facts(videos, it.take.rotations)
            dates[_key(it)] = earliest_date(videos.values())
    rig, findings = _calibration(state, clips, dates)
    for it in state.takes:
        findings += list(_take(it, rig, clips.get(_key(it), ())))
        findings += list(_same_day(state, it, dates))
    order = ("blocks", "warning", "note")
    findings.sort(key=lambda finding: order.index(finding.level))
    return SessionCheck(state, clips, dates, tuple(findings), next_step(state, findings))


def _key(it: TakeState) -> str:
    return f"takes/{it.name}"


def _facts(sources: Mapping[str, Path], rotations: Mapping[str, int]) -> tuple[ClipFacts, ...]:
    return tuple(_clip(camera, path, rotations.get(camera, 0)) for camera, path in sources.items())


def _clip(camera: str, path: Path, rotation: int) -> ClipFacts:
    if path.is_dir():
        return ClipFacts(camera, path, len(images_in(path)))
    try:
        info = probe_video(path, rotation)
    except VideoError as error:
        return ClipFacts(camera, path, 0, None, str(error))
    return ClipFacts(camera, path, info.n_readable, info)


def _calibration(
    state: SessionState, clips: Mapping[str, tuple[ClipFacts, ...]], dates: Mapping[str, RecordingDate | None]
) -> tuple[Rig | None, list[CareFinding]]:
    findings = [
        CareFinding(
            "warning",
            str(folder),
            "this recording was cut off, if it is not running now",
            f"Mend it: `mocap session check {state.session.root} --repair`.",
        )
        for folder in state.unfinished
    ]
    for kind in state.calibration.clips:
        findings += _damage(f"calibration/{kind}", clips[kind], "warning")
    rig, path = None, state.calibration.rig
    if path is None:
        findings.append(CareFinding("blocks", "calibration", "there is no rig.toml", _way_to_a_rig(state)))
        return None, [*findings, *_lacking(state)]
    try:
        rig = read_calibration(path)
    except InputError as error:
        findings.append(CareFinding("blocks", "calibration", error.what, error.remedy or "Calibrate again."))
    newer = _newer(state.calibration.extrinsics.values(), path)
    if newer:
        what = f"the clip {newer.name} is younger than the rig"
        findings.append(CareFinding("warning", "calibration", what, f"Run `mocap calibrate {state.session.root}`."))
    return rig, findings


def _way_to_a_rig(state: SessionState) -> str:
    root = state.session.root
    if state.calibration.extrinsics:
        return BOARD_FIRST if not state.calibration.board else f"Run `mocap calibrate {root}`."
    if not state.session.cameras:
        return 'Write its cameras into session.toml: [[camera]] with name = "left" and source = "usb:0".'
    if not has_sources(state):
        return f"Film the board in all cameras at once and bring the clips in: `mocap session import FOLDER {root}`."
    return (
        BOARD_FIRST
        if not state.calibration.board
        else (f"Record the board in all cameras at once: `mocap record {root} --extrinsics`.")
    )


def _lacking(state: SessionState) -> Iterator[CareFinding]:
    """What a calibration would miss."""
    if not state.calibration.board and _way_to_a_rig(state) != BOARD_FIRST:
        yield CareFinding(
            "warning",
            "session.toml",
            "does not say which board is used",
            BOARD_FIRST,
        )
    seen, cameras = state.calibration.extrinsics, state.session.camera_names
    missing = [name for name in cameras if name not in seen]
    if seen and missing:
        yield CareFinding(
            "warning",
            "calibration/extrinsics",
            f"there is no clip of {', '.join(missing)}",
            "Record it with the others.",
        )


def _newer(files: Iterable[Path], than: Path) -> Path | None:
    made = than.stat().st_mtime + COPYING_S
    return next((path for path in files if path.exists() and path.stat().st_mtime > made), None)


def _take(it: TakeState, rig: Rig | None, clips: tuple[ClipFacts, ...]) -> Iterator[CareFinding]:
    where = _key(it)
    if it.take is None:
        yield CareFinding("blocks", where, it.problem)
        return
    yield from _damage(where, clips, "blocks")
    yield from (CareFinding("note", where, note) for note in (*it.take.notes, *it.remarks))
    infos = {clip.camera: clip.info for clip in clips if clip.info is not None}
    if len(infos) == len(clips):
        yield from _fits(it, rig, infos)
        yield from _clocks(it, infos)
    if it.report is not None and _newer(it.take.videos.values(), it.report):
        yield CareFinding("warning", where, "a video is younger than the results", f"Run `mocap process {it.root}`.")


def _damage(where: str, clips: tuple[ClipFacts, ...], level: Level) -> Iterator[CareFinding]:
    for clip in clips:
        if clip.problem:
            yield CareFinding(level, where, clip.problem)
        elif clip.info is not None and clip.info.cut_off:
            lost = clip.info.n_frames - clip.info.n_readable
            what = f"{clip.path.name} was cut off: {lost} of {clip.info.n_frames} frames are missing at its end"
            yield CareFinding("warning", where, what, "Copy it again from the camera, if it is whole there.")


def _fits(it: TakeState, rig: Rig | None, infos: Mapping[str, VideoInfo]) -> Iterator[CareFinding]:
    """Cameras and picture sizes against the calibration."""
    if rig is None or it.take is None:
        return
    try:
        if infos:
            _, report = fit_rig_to_videos(rig, infos)
            yield from (CareFinding("note", _key(it), sentence) for sentence in report.sentences)
        else:
            rig_of_cameras(rig, it.take.cameras)
    except InputError as error:
        yield CareFinding("blocks", _key(it), error.what, error.remedy or "")


def _clocks(it: TakeState, infos: Mapping[str, VideoInfo]) -> Iterator[CareFinding]:
    """Frame counts, rates and what puts them on one clock."""
    if it.take is None or not infos or it.sync in ("one clock", "synced"):
        return
    where, sync = _key(it), f"Put the cameras on one clock: `mocap sync {it.root}`."
    try:
        _, notes = common_fps(infos, it.take.fps)
    except VideoError as error:
        yield CareFinding("blocks", where, error.what, sync)
        return
    counts = {name: info.n_readable for name, info in infos.items()}
    most, least = max(counts.values()), min(counts.values())
    yield from (CareFinding("warning", where, note, sync) for note in notes)
    if most - least > max(FRAMES_APART, LONG_FRAMES * most):
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield CareFinding("warning", where, f"the cameras have different numbers of frames ({told})", sync)


def _same_day(state: SessionState, it: TakeState, dates: Mapping[str, RecordingDate | None]) -> Iterator[CareFinding]:
    """Cameras are knocked overnight: a calibration of another day is a doubt, not a fault."""
    rig = state.calibration.rig
    take = dates.get(_key(it))
    if rig is None or take is None:
        return
    made = dates.get("extrinsics") or earliest_date([rig])
    if made is None or take.same_day(made):
        return
    sure = take.sure and made.sure
    by = "" if sure else ", by the dates of the files"
    yield CareFinding(
        "warning" if sure else "note",
        _key(it),
        f"the calibration is of {made.day}, the take of {take.day}{by}",
        f"See whether a camera moved: `mocap calibrate {state.session.root} --check {it.root}`.",
    )
