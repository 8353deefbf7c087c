"""What each camera saw at its own frames, at the common times of the take.

Tracks are resampled, never pictures: a person's keypoints are put at a moment between two frames, camera by camera.
Where a camera has a frame at that very moment its sightings are taken over as they are; where no camera has a clock,
frames are taken as they are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from mocap.core.config import Config, Report
from mocap.core.errors import InputError
from mocap.core.keypoints import Detections2D
from mocap.signal.track_resampling import CommonTimes, Resampled, ResamplingRules, Sightings, resample_sightings
from mocap.signal.tracklets import tracklets


class AlignConfig(Config):
    """fps: frames a second of the result; "common" is the rate that most cameras share (of equals the higher),
    "highest" that of the fastest camera; a rate in take.toml goes before either. span: "union" is from the first
    moment that two cameras film to the last, "intersection" as long as all do. same_frame: a frame so near to a common
    time, in parts of the result's interval, is taken as it is. max_gap_frames: nothing is put between sightings that
    are farther apart, in intervals of their camera.
    """

    fps: Literal["common", "highest"] | Annotated[float, Field(gt=0)] = "common"
    span: Literal["union", "intersection"] = "union"
    same_frame: Annotated[float, Field(ge=0, lt=0.5)] = 0.02
    max_gap_frames: Annotated[float, Field(ge=1)] = 4.0


class AlignedCamera(Report):
    """frames: that the camera has; used: sightings taken as they were; resampled: sightings put between frames;
    repeated: frames left out because they show an earlier one."""

    frames: int
    used: int
    resampled: int
    repeated: int


class AlignReport(Report):
    """n_frames: of the result, at start_s + k / fps on the cameras' common clock (start_s None without clocks)."""

    n_frames: int
    start_s: float | None = None
    fps: float | None = None
    cameras: dict[str, AlignedCamera] = Field(default_factory=dict)
    sentences: tuple[str, ...] = ()


def cut_to_frames(detections: Detections2D, lengths: Mapping[str, int]) -> tuple[Detections2D, AlignReport]:
    """Frame by frame, to the end of the shortest: for cameras that were started together, or of which nothing is
    known. lengths: frames of each camera's video; empty without videos."""
    n_frames = min((detections.n_frames, *lengths.values()))
    told = ()
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in lengths.items())
        told = (f"the videos differ in length ({listed} frames); the first {n_frames} are used",)
    if n_frames == detections.n_frames:
        return detections, AlignReport(n_frames=n_frames, sentences=told)
    kept = detections.select(detections.frame < n_frames)
    return _with_rows(kept, n_frames), AlignReport(n_frames=n_frames, sentences=told)


def align(
    detections: Detections2D,
    times_s: Mapping[str, Float[np.ndarray, "..."]],
    config: AlignConfig,
    *,
    fps: float,
) -> tuple[Detections2D, AlignReport]:
    """The people of every camera at common times, `fps` a second.

    times_s: shared time of each frame (F,) of the cameras that have a clock, NaN for frames that show an earlier one;
    the others are left out.
    """
    common = common_times(times_s, config, fps=fps)
    aligned = {name: resampled_camera(detections, name, times, common, config) for name, times in times_s.items()}
    result, _ = _joined(detections, aligned, common.n_frames)
    report = AlignReport(
        n_frames=common.n_frames,
        start_s=common.start_s,
        fps=fps,
        cameras={name: _camera_report(times_s[name], found[1]) for name, found in aligned.items()},
        sentences=_sentences(times_s, aligned),
    )
    return result, report


def aligned_sources(
    detections: Detections2D,
    times_s: Mapping[str, Float[np.ndarray, "..."]],
    config: AlignConfig,
    *,
    fps: float,
) -> Int[np.ndarray, "N"]:
    """The row of the detections nearest in time to each row of what `align` makes of them."""
    common = common_times(times_s, config, fps=fps)
    aligned = {name: resampled_camera(detections, name, times, common, config) for name, times in times_s.items()}
    return _joined(detections, aligned, common.n_frames)[1]


def common_times(times_s: Mapping[str, Float[np.ndarray, "..."]], config: AlignConfig, *, fps: float) -> CommonTimes:
    """Moments that lie on the frames of the first camera that films at `fps`, as well as an even grid can."""
    known = {name: times[np.isfinite(times)] for name, times in times_s.items()}
    filmed = {name: times for name, times in known.items() if len(times) > 1}
    if len(filmed) < 2:
        raise InputError(
            f"only {', '.join(filmed) or 'no camera'} has a clock: two cameras are needed",
            remedy="Run mocap sync on the take.",
        )
    spans = np.array([(t[0], t[-1]) for t in filmed.values()])
    start, end = _filmed_by(2 if config.span == "union" else len(spans), spans)
    if end <= start:
        told = ", ".join(f"{name} {t[0]:.2f} to {t[-1]:.2f} s" for name, t in filmed.items())
        raise InputError(
            f"the cameras never film at the same time ({told})", remedy="Run mocap sync again, by another method."
        )
    beat = next(
        (t for t in filmed.values() if abs(np.median(np.diff(t)) * fps - 1) < 0.01), next(iter(filmed.values()))
    )
    phase = float(np.angle(np.exp(2j * np.pi * beat * fps).mean()) / (2 * np.pi))
    first = int(np.ceil(start * fps - phase - config.same_frame))
    last = int(np.floor(end * fps - phase + config.same_frame))
    return CommonTimes((first + phase) / fps, fps, max(last - first + 1, 1))


def _filmed_by(cameras: int, spans: Float[np.ndarray, "C 2"]) -> tuple[float, float]:
    """From the first moment to the last at which so many cameras film; (0, 0) where there is none."""
    edges, change = spans.T.ravel(), np.repeat([1, -1], len(spans))
    order = np.lexsort((-change, edges))
    there = np.flatnonzero(np.cumsum(change[order]) >= cameras)
    return (float(edges[order[there[0]]]), float(edges[order[there[-1] + 1]])) if len(there) else (0.0, 0.0)


def resampled_camera(
    detections: Detections2D,
    camera: str,
    times_s: Float[np.ndarray, "F"],
    common: CommonTimes,
    config: AlignConfig,
) -> tuple[Int[np.ndarray, "n"], Resampled]:
    """The rows of the detections that were looked at, and what became of them (its `row` counts those)."""
    rows = np.flatnonzero(detections.camera == detections.cameras.index(camera))
    rows = rows[detections.frame[rows] < len(times_s)]
    rows = rows[np.isfinite(times_s[detections.frame[rows]])]
    known = times_s[np.isfinite(times_s)]
    interval = float(np.median(np.diff(known))) if len(known) > 1 else 1 / common.fps
    xy, box = detections.xy[rows], detections.box[rows]
    seen = Sightings(
        time_s=times_s[detections.frame[rows]],
        track=_pieces(detections, rows, times_s),
        xy=xy,
        confidence=detections.confidence[rows],
        values=np.column_stack([box, detections.score[rows]]),
    )
    rules = ResamplingRules(
        same_s=config.same_frame / common.fps, max_gap_s=config.max_gap_frames * interval, half_s=interval / 2
    )
    return rows, resample_sightings(seen, common, rules)


def _pieces(
    detections: Detections2D, rows: Int[np.ndarray, "n"], times_s: Float[np.ndarray, "F"]
) -> Int[np.ndarray, "n"]:
    """Pieces that are surely one person: sightings near each other in consecutive frames, whatever the detector calls
    them (its tracks begin anew now and then), and one track of it over missing frames. Frames left out do not count."""
    kept = np.cumsum(np.isfinite(times_s)) - 1
    box = detections.box[rows]
    size = np.maximum(np.hypot(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]), 1.0)
    frame, track = kept[detections.frame[rows]], detections.track[rows]
    piece = tracklets(frame, np.zeros_like(frame), np.full_like(track, -1), detections.xy[rows], size)
    order = np.lexsort((frame, track))
    skipped = (np.diff(track[order]) == 0) & (track[order][1:] >= 0) & (np.diff(frame[order]) > 1)
    for a, b in zip(order[:-1][skipped], order[1:][skipped], strict=True):
        piece[piece == piece[b]] = piece[a]
    return piece


def _joined(
    detections: Detections2D, aligned: Mapping[str, tuple[Int[np.ndarray, "n"], Resampled]], n_frames: int
) -> tuple[Detections2D, Int[np.ndarray, "N"]]:
    """All cameras' sightings, by frame and camera, then in the order of the given ones; and which those are."""
    found = [found for _, found in aligned.values()]
    source = np.concatenate([rows[part.row] for rows, part in aligned.values()])
    cameras = [np.full(len(part.row), detections.cameras.index(name)) for name, (_, part) in aligned.items()]
    confidence = np.concatenate([part.confidence for part in found])
    seen = np.flatnonzero((confidence > 0).any(-1) | np.concatenate([part.same for part in found]))
    moment, camera = np.concatenate([part.moment for part in found]), np.concatenate(cameras)
    seen = seen[np.lexsort((source[seen], camera[seen], moment[seen]))]
    values = np.concatenate([part.values for part in found])[seen]
    result = Detections2D(
        detections.cameras,
        n_frames,
        detections.keypoint_set,
        frame=moment[seen],
        camera=camera[seen],
        track=detections.track[source[seen]],
        xy=np.concatenate([part.xy for part in found])[seen],
        confidence=np.clip(confidence[seen], 0.0, 1.0),
        box=values[:, :4],
        score=np.clip(values[:, 4], 0.0, 1.0),
    )
    return result, source[seen]


def _with_rows(detections: Detections2D, n_frames: int) -> Detections2D:
    fields = ("frame", "camera", "track", "xy", "confidence", "box", "score")
    arrays = {name: getattr(detections, name) for name in fields}
    return Detections2D(detections.cameras, n_frames, detections.keypoint_set, **arrays)


def _camera_report(times_s: Float[np.ndarray, "F"], found: Resampled) -> AlignedCamera:
    return AlignedCamera(
        frames=len(times_s),
        used=int(found.same.sum()),
        resampled=int((~found.same).sum()),
        repeated=int(np.isnan(times_s).sum()),
    )


def _sentences(
    times_s: Mapping[str, Float[np.ndarray, "..."]], aligned: Mapping[str, tuple[Int[np.ndarray, "n"], Resampled]]
) -> tuple[str, ...]:
    repeated = {name: int(np.isnan(times).sum()) for name, times in times_s.items()}
    told = [f"{name}: {n} frames show an earlier one again and are left out" for name, n in repeated.items() if n]
    empty = [name for name, (_, found) in aligned.items() if not len(found.moment)]
    return (*told, *(f"{name}: nobody is seen while another camera films" for name in empty))
