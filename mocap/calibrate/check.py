"""Has a camera moved since the calibration? A take tells, by the person in it or by a board held into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from calibration.board_file import board_from_table
from calibration.camera import Rig
from calibration.camera_check import CheckConfig, RigCheck, check_rig
from calibration.errors import CalibrationError
from calibration.formats import read_calibration
from calibration.observations import BoardObservations
from mocap.calibrate.detect_boards import detect_in_clips
from mocap.core.errors import InputError
from mocap.core.keypoints import Detections2D
from mocap.core.session import Session, Take
from mocap.io.artefacts import DETECTION_ARRAYS, load_detections
from mocap.io.frame_times import FrameTimes, grouped_by_time, read_frame_times
from mocap.io.session_files import open_session, open_take
from mocap.io.take_times import take_times
from mocap.io.take_videos import probe_take
from mocap.io.video import VideoInfo
from mocap.io.video_fit import VideoFitConfig, fit_rig_to_videos, rig_of_cameras
from mocap.models.blazepose import BlazePoseConfig
from mocap.segmented_detection import SegmentStore, detect_in_segments
from mocap.stages.align import AlignConfig, align
from mocap.stages.associate import AssociateConfig, associate
from mocap.stages.detect import DetectConfig, detect, make_detector, require_somebody

WIDE_TOLERANCE_MM = 200.0
"""Of the association: 3° at 4 m. A camera that moved must still be seen to look at the same person."""
RARELY = 0.3
"""Share of the frames in which a camera saw somebody, below which it lost the subject: it may have moved far."""
BOARD_PICTURES = 80
"""Pictures of each camera that are searched for a board: enough to tell, and seconds."""
FEW_BOARD_PICTURES = 16
"""Where only some frames are looked at: a board that is held into the view for a tenth of a take is in one of them."""
ENOUGH_CORNERS = 150
"""Corners seen by two cameras at a time, from which a board is asked and not the person."""

UNKNOWN_FPS = 30.0
"""Of imported 2D results that do not say: only how long somebody may be hidden depends on it."""

RUN_FRAMES = 12
"""That follow each other, where only some frames are looked at: how late a camera is shows from one to the next."""

Progress = Callable[[int, int], None]
Seen = Literal["auto", "person", "board"]


@dataclass(frozen=True)
class TakeCheckConfig:
    """by: whose points are compared: a person's, the session's board's, or the board's where one is in view ("auto").
    check: what counts as a movement. detect: how people are found, where no earlier run of the take found them.
    video: how videos fit their calibration. most_frames: of each camera that are looked at, for people and for a board,
    in short runs spread over the take; None: all for people, some for a board."""

    by: Seen = "auto"
    most_frames: int | None = None
    check: CheckConfig = field(default_factory=CheckConfig)
    detect: DetectConfig = field(default_factory=DetectConfig)
    video: VideoFitConfig = field(default_factory=VideoFitConfig)


@dataclass(frozen=True, eq=False)
class TakePoints:
    """What several cameras of a take saw alike: px (T, C, J, 2), NaN where unseen, and weight (T, C, J).

    by: "person" or "board". rig: with the cameras and in the pixels of the take. renamed: the take's camera -> the
    rig's, where they are not called the same. names: of the J keypoints of a person, empty for a board.
    """

    by: str
    rig: Rig
    renamed: Mapping[str, str]
    px: Float[np.ndarray, "T C J 2"]
    weight: Float[np.ndarray, "T C J"]
    names: tuple[str, ...] = ()


QUICK = TakeCheckConfig(most_frames=48, detect=DetectConfig(blazepose=BlazePoseConfig(mirror=False)))
"""A first look, in seconds however long the take is."""


def check_take(
    path: str | Path,
    rig: Rig | None = None,
    config: TakeCheckConfig | None = None,
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> RigCheck:
    """Compare a take with a rig; without one, with the session's. People found by an earlier run are used again.

    Cameras are compared at common times where the take has clocks (`mocap sync`, a recorder), else frame by frame.
    """
    config = config or TakeCheckConfig()
    points = take_points(path, rig, config, threads=threads, progress=progress)
    return check_rig(points.rig, points.px, points.weight, config.check)


def take_points(
    path: str | Path,
    rig: Rig | None = None,
    config: TakeCheckConfig | None = None,
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> TakePoints:
    """What `check_take` looks at, and `calibration.camera_check.resolve_camera` wants."""
    config = config or TakeCheckConfig()
    take = open_take(path)
    session = None if take.session_root is None else open_session(take.session_root)
    fitted, renamed, fps = _fitted(take, rig or _rig_of(take, session), config)
    board = _board_points(take, session, fitted, config, threads) if config.by != "person" else None
    if board is None and config.by == "board":
        raise InputError(
            "no two cameras see the session's board at a time",
            where=take.root,
            remedy="Hold the board into the view of several cameras, or check by a person.",
        )
    if board is not None and (config.by == "board" or _shared(board[1]) >= ENOUGH_CORNERS):
        return TakePoints("board", fitted, renamed, *board)
    detections = _at_common_times(take, _detections(take, config, threads, progress), fps)
    px, weight = person_points(detections, fitted, fps)
    return TakePoints("person", fitted, renamed, px, weight, detections.keypoint_set.names)


def with_moved(rig: Rig, check: RigCheck, renamed: Mapping[str, str] | None = None) -> Rig:
    """The rig as it was calibrated, with the cameras that moved where the check puts them."""
    poses = {(renamed or {}).get(name, name): check.resolved[name].cam_from_world for name in check.moved}
    return Rig(tuple(replace(c, cam_from_world=poses[c.name]) if c.name in poses else c for c in rig))


def person_points(
    detections: Detections2D, rig: Rig, fps: float
) -> tuple[Float[np.ndarray, "T C J 2"], Float[np.ndarray, "T C J"]]:
    """The subject as all cameras see it, though one of them may stand elsewhere than the rig says.

    A camera that the association leaves out shows whom it sees most, if it sees somebody.
    """
    config = AssociateConfig(tolerance_mm=WIDE_TOLERANCE_MM)
    points, _ = associate(detections, rig, config, fps=fps)
    px, weight = points.xy[:, 0].copy(), points.confidence[:, 0].copy()
    for camera in range(len(detections.cameras)):
        rows = _most_seen(detections, camera)
        frames = detections.frame[rows]
        if len(rows) and (weight[:, camera] > 0).any(axis=-1).sum() < RARELY * len(np.unique(frames)):
            px[:, camera], weight[:, camera] = np.nan, 0.0
            px[frames, camera], weight[frames, camera] = detections.xy[rows], detections.confidence[rows]
    return px, weight


def board_points(
    observations: BoardObservations, rig: Rig
) -> tuple[Float[np.ndarray, "T C J 2"], Float[np.ndarray, "T C J"]]:
    """A board's corners by moment, camera of the rig, and id."""
    moments, row = np.unique(observations.view_moment, return_inverse=True)
    position = np.array([rig.names.index(name) for name in observations.cameras], dtype=np.int64)
    shape = (len(moments), len(rig), len(observations.points))
    px, weight = np.full((*shape, 2), np.nan), np.zeros(shape)
    at = (row[observations.view], position[observations.camera], observations.corner)
    px[at], weight[at] = observations.xy, 1.0
    return px, weight


def _rig_of(take: Take, session: Session | None) -> Rig:
    if session is None or session.rig_path is None:
        raise InputError(
            "there is no calibration to check", where=take.root, remedy="Calibrate the session, or give a rig."
        )
    return read_calibration(session.rig_path)


def _fitted(take: Take, rig: Rig, config: TakeCheckConfig) -> tuple[Rig, Mapping[str, str], float]:
    """The rig with the cameras and in the pixels of the take, which of them were renamed, and frames a second."""
    if take.videos:
        videos = probe_take(take)
        fitted, report = fit_rig_to_videos(rig, videos.infos, config.video)
        return fitted, report.renamed, videos.fps
    named, renamed, _ = rig_of_cameras(rig, take.cameras, config.video.names)
    return named, renamed, take.fps or UNKNOWN_FPS


def _detections(take: Take, config: TakeCheckConfig, threads: int, progress: Progress | None) -> Detections2D:
    """Those of an earlier run that is younger than the videos; else found now."""
    made = take.root / "derived" / "detect.h5"
    sources = [*take.videos.values(), *([take.detections] if take.detections else [])]
    if made.is_file() and made.stat().st_mtime >= max(source.stat().st_mtime for source in sources):
        found = load_detections(made)
        if found.cameras == take.cameras:
            return found
    if config.most_frames is not None and take.videos and config.detect.detector != "imported":
        return _some_detections(take, config, config.most_frames, threads)
    with TemporaryDirectory(prefix="mocap_check_") as folder:
        store = SegmentStore(Path(folder), "check")
        return detect_in_segments(take, config.detect, store=store, threads=threads, progress=progress)[0]


def _some_detections(take: Take, config: TakeCheckConfig, most: int, threads: int) -> Detections2D:
    """Of runs of frames spread over the take, in which all cameras show the same moments; the others show nobody."""
    infos = probe_take(take).infos
    detector = make_detector(config.detect, threads=threads)
    times = take_times(take, infos)
    if times is None:
        spans = spread_runs(max(info.n_frames for info in infos.values()), most)
        found = [detect(take, detector, infos=infos, span=span)[0] for span in spans]
    else:
        found = [
            _of_camera(detect(replace(take, videos={name: path}), detector, infos=infos, span=span)[0], take, name)
            for name, path in take.videos.items()
            for span in _spans_at(times, name, most)
        ]
    joined = _joined(found, max(info.n_frames for info in infos.values()))
    require_somebody(joined, take)
    return joined


def _joined(found: Sequence[Detections2D], n_frames: int) -> Detections2D:
    """Runs of frames together; a track of one run is none of the others."""
    first, tracks = 0, []
    for part in found:
        tracks.append(np.where(part.track >= 0, part.track + first, part.track))
        first = int(tracks[-1].max(initial=first - 1)) + 1
    arrays = {name: np.concatenate([getattr(part, name) for part in found]) for name in DETECTION_ARRAYS}
    return replace(found[0], n_frames=n_frames, **(arrays | {"track": np.concatenate(tracks)}))


def _of_camera(found: Detections2D, take: Take, name: str) -> Detections2D:
    """What one camera saw, as one of the take's."""
    number = np.full(len(found), take.cameras.index(name), dtype=found.camera.dtype)
    return replace(found, cameras=take.cameras, camera=number)


def _spans_at(times_s: Mapping[str, Float[np.ndarray, "..."]], camera: str, most: int) -> list[range]:
    """Frames of a camera in and about `spread_runs` of the moments that all cameras filmed; of all its frames where
    there is no such moment, and none where it has no clock."""
    own = times_s.get(camera, np.zeros(0))
    if not np.isfinite(own).any():
        return []
    known = [times[np.isfinite(times)] for times in times_s.values() if np.isfinite(times).any()]
    beat = max(known, key=len)
    start, end = max(float(t[0]) for t in known), min(float(t[-1]) for t in known)
    beat = beat[(beat >= start) & (beat <= end)]
    if not len(beat):
        return spread_runs(len(own), most)
    order = np.maximum.accumulate(np.where(np.isfinite(own), own, -np.inf))
    spans = []
    for run in spread_runs(len(beat), most):
        inner = run[1:-1] or run  # a frame is taken on either side, to lie between
        first, last = np.searchsorted(order, beat[[inner.start, inner.stop - 1]])
        spans.append(range(max(int(first) - 1, 0), min(int(last) + 2, len(own))))
    return spans


def _at_common_times(take: Take, detections: Detections2D, fps: float) -> Detections2D:
    """What cameras saw at the same moments, where the take has clocks."""
    times = take_times(take, n_frames=detections.n_frames)
    return detections if times is None else align(detections, times, AlignConfig(), fps=fps)[0]


def spread_runs(n_frames: int, most: int) -> list[range]:
    """Runs of frames, `most` in all at most, in the middle of equal parts of a take; one of all where that is less."""
    if n_frames <= most:
        return [range(n_frames)]
    length = min(RUN_FRAMES, most)
    count = most // length
    starts = ((2 * np.arange(count) + 1) * n_frames // (2 * count)) - length // 2
    return [range(start, start + length) for start in starts.tolist()]


def _board_points(
    take: Take, session: Session | None, rig: Rig, config: TakeCheckConfig, threads: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Corners of the session's board in the take; None where there are none, which is a fault only when asked for."""
    if session is None or not session.board or not take.videos:
        return None
    board = board_from_table(session.board, session.root / "session.toml")
    infos = probe_take(take).infos
    times = _board_times(take, infos)
    frames = max(info.n_frames for info in infos.values())
    pictures = BOARD_PICTURES if config.most_frames is None else FEW_BOARD_PICTURES
    try:
        observations, _ = detect_in_clips(
            take.videos,
            board,
            times=times,
            threads=threads,
            every=1 if take.clocks and config.by == "board" else max(frames // pictures, 1),
            rotations=take.rotations,
        )
    except CalibrationError:
        if config.by == "board":
            raise
        return None
    points = board_points(observations, rig)
    return points if _shared(points[1]) else None


def _board_times(take: Take, infos: Mapping[str, VideoInfo]) -> FrameTimes | None:
    """Frames of one moment, by the take's clocks where it has them; None where frames are counted together."""
    times = take_times(take, infos)
    if times is None:
        return None if take.timestamps is None else read_frame_times(take.timestamps)
    known = [np.flatnonzero(np.isfinite(own)) for own in times.values()]
    camera = np.repeat(np.arange(len(times)), [len(frames) for frames in known])
    time_s = np.concatenate([own[frames] for own, frames in zip(times.values(), known, strict=True)])
    moment = grouped_by_time(camera, time_s)
    return FrameTimes(tuple(times), camera, np.concatenate(known), time_s - time_s.min(), moment, take.root)


def _shared(weight: Float[np.ndarray, "T C J"]) -> int:
    """Points that two cameras see at a time."""
    return int(((weight > 0).sum(axis=1) >= 2).sum())


def _most_seen(detections: Detections2D, camera: int) -> Int[np.ndarray, "n"]:
    """Rows of the largest person of every frame in one camera."""
    rows = np.flatnonzero(detections.camera == camera)
    x0, y0, x1, y1 = detections.box[rows].T
    by_size = rows[np.argsort((x1 - x0) * (y1 - y0), kind="stable")[::-1]]
    _, first = np.unique(detections.frame[by_size], return_index=True)
    return by_size[first]
