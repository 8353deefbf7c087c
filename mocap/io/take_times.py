"""When the frames of a take were taken: by each camera's own clock, and on the one that all share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from mocap.core.clock import FrameFaults
from mocap.core.errors import InputError
from mocap.core.session import Take
from mocap.io.frame_times import FrameTimes, read_frame_times
from mocap.io.video_probe import VideoInfo, probe_video
from mocap.signal.frame_gaps import even_times

Times = dict[str, Float[np.ndarray, "..."]]
"""By camera: a time for each of its frames (F,), seconds."""


def read_take_stamps(take: Take, infos: Mapping[str, VideoInfo] | None = None, *, n_frames: int | None = None) -> Times:
    """What is known of each frame's own time: its row of timestamps.csv, counted from the earliest row of all cameras;
    without such a file its presentation time in the container, on the container's clock (that of its sound, too).

    Frames that timestamps.csv leaves out lie evenly between those that it lists. n_frames: length of a take without
    videos; its frames are index / fps where nothing else is known.
    """
    if take.timestamps is not None:
        table = read_frame_times(take.timestamps).named(take.cameras)
        lengths = _lengths(take, infos, n_frames, table)
        return {name: _listed(table, name, lengths[name]) for name in take.cameras}
    if take.videos:
        known = _infos(take, infos)
        return {name: info.start_s + info.times_s for name, info in known.items()}
    if take.fps is None or n_frames is None:
        raise InputError(
            "nothing says when the frames of this take were taken",
            where=take.root,
            remedy="Put a timestamps.csv (camera,frame,time_s) there.",
        )
    return {name: np.arange(n_frames) / take.fps for name in take.cameras}


def take_times(
    take: Take, infos: Mapping[str, VideoInfo] | None = None, *, n_frames: int | None = None
) -> Times | None:
    """Times of the frames on the clock that all cameras share, of those that have one; NaN for frames that show an
    earlier one again. None where the take has no clocks."""
    if not take.clocks:
        return None
    stamps = read_take_stamps(take, infos, n_frames=n_frames)
    return {
        name: take.clocks[name].time_s(true_stamps(take, name, s)) for name, s in stamps.items() if name in take.clocks
    }


def true_stamps(take: Take, camera: str, stamp_s: Float[np.ndarray, "F"]) -> Float[np.ndarray, "F"]:
    """Stamps without what is known to be wrong with them; NaN for frames that show an earlier one again."""
    faults = take.faults.get(camera, FrameFaults())
    stamp_s = faults.corrected_s(even_times(stamp_s) if faults.uneven_stamps else stamp_s)
    repeated = [frame for frame in faults.repeated if 0 <= frame < len(stamp_s)]
    stamp_s[repeated] = np.nan
    return stamp_s


def _infos(take: Take, infos: Mapping[str, VideoInfo] | None) -> dict[str, VideoInfo]:
    known = infos or {}
    return {
        name: known.get(name) or probe_video(path, take.rotations.get(name, 0)) for name, path in take.videos.items()
    }


def _lengths(
    take: Take, infos: Mapping[str, VideoInfo] | None, n_frames: int | None, table: FrameTimes
) -> dict[str, int]:
    if take.videos:
        return {name: info.n_readable for name, info in _infos(take, infos).items()}
    listed = {name: int(table.frame[table.camera == c].max(initial=-1)) + 1 for c, name in enumerate(table.cameras)}
    return {name: max(length, n_frames or 0) for name, length in listed.items()}


def _listed(table: FrameTimes, camera: str, n_frames: int) -> Float[np.ndarray, "F"]:
    """Times of all frames of a clip, from those that the file lists; what it lists beyond the clip's end was lost."""
    own = table.frame[table.camera == table.cameras.index(camera)]
    if len(own) and own.min() == 0 and own.max() >= n_frames:
        keep = (table.camera != table.cameras.index(camera)) | (table.frame < n_frames)
        table = replace(table, **{name: getattr(table, name)[keep] for name in ("camera", "frame", "time_s", "moment")})
    clip = table.of_clip(camera, n_frames)
    if len(clip.frame) == n_frames:
        return clip.time_s
    if len(clip.frame) < 2:
        raise InputError(f"lists {len(clip.frame)} of the {n_frames} frames of camera {camera}", where=table.path)
    pace = float(np.median(np.diff(clip.time_s) / np.diff(clip.frame)))
    frame = np.arange(n_frames)
    time = np.interp(frame, clip.frame, clip.time_s)
    before, after = frame < clip.frame[0], frame > clip.frame[-1]
    time[before] = clip.time_s[0] + pace * (frame[before] - clip.frame[0])
    time[after] = clip.time_s[-1] + pace * (frame[after] - clip.frame[-1])
    return time
