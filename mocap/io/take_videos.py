"""The videos of a take as a whole: one frame rate, one length, or a sentence why not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from mocap.core.errors import VideoError
from mocap.core.session import Take
from mocap.io.take_times import read_take_stamps
from mocap.io.video_probe import VideoInfo, probe_video
from mocap.signal.frame_gaps import nominal_rate

FPS_TOLERANCE = 0.01
"""Frame rates that differ by less are taken as one: 59.94 beside 60 drifts by a frame in 17 s."""


@dataclass(frozen=True, eq=False)
class TakeVideos:
    """What the videos of a take hold. fps: of the take's results. n_frames: those that all cameras should have; notes:
    worth telling."""

    infos: Mapping[str, VideoInfo]
    fps: float
    n_frames: int
    notes: tuple[str, ...]


def probe_take(take: Take, rate: Literal["common", "highest"] | float = "common") -> TakeVideos:
    """Look at every video of a take. Raises VideoError for one that cannot be used, or for mixed frame rates where the
    cameras are not on one clock. rate: frames a second of a take whose cameras are (see `clocked_fps`)."""
    infos = {name: probe_video(path, take.rotations.get(name, 0)) for name, path in take.videos.items()}
    fps, notes = (clocked_fps(take, infos, rate), ()) if take.clocks else common_fps(infos, take.fps)
    return TakeVideos(
        infos=infos, fps=fps, n_frames=min(info.n_frames for info in infos.values()), notes=(*take.notes, *notes)
    )


def common_fps(infos: Mapping[str, VideoInfo], written_fps: float | None = None) -> tuple[float, tuple[str, ...]]:
    """Frames a second of all cameras, and what is odd about it; `written_fps` (of take.toml) goes before the files'."""
    rates = {name: info.fps for name, info in infos.items() if info.fps > 0}
    listed = ", ".join(f"{name} {rate:.4g}" for name, rate in rates.items())
    notes = [f"{name}: {_unsteady(info)}" for name, info in infos.items() if not info.constant_rate]
    if written_fps is not None:
        if any(abs(rate / written_fps - 1) > FPS_TOLERANCE for rate in rates.values()):
            notes.append(f"{written_fps:g} frames a second, as written down, are used; the videos say {listed}")
        return written_fps, tuple(notes)
    if not rates:
        raise VideoError(
            "the videos do not say how many frames a second they have", remedy='Write "[take]\\nfps = …" in take.toml.'
        )
    slowest, fastest = min(rates.values()), max(rates.values())
    if fastest > slowest * (1 + FPS_TOLERANCE):
        raise VideoError(
            f"the cameras have different frame rates ({listed} frames a second)",
            remedy="Run mocap sync on the take, which puts them on one clock; or convert, if they started together: "
            f"ffmpeg -i INPUT -r {slowest:.6g} -c:v libx264 -crf 16 OUTPUT.mp4",
        )
    if fastest > slowest * 1.0001:
        drift_s = 1 / (fastest - slowest)
        notes.append(f"the frame rates differ slightly ({listed}): the cameras drift by a frame in {drift_s:.0f} s")
    return _most_common(list(rates.values())), tuple(notes)


def clocked_fps(
    take: Take, infos: Mapping[str, VideoInfo], rate: Literal["common", "highest"] | float = "common"
) -> float:
    """Frames a second for a take whose cameras are on one clock, whatever each one films at: what is written in its
    take.toml, else `rate`. "common": what most cameras have within 1 %, of equals the higher; "highest"."""
    if take.fps is not None:
        return take.fps
    if not isinstance(rate, str):
        return rate
    rates = [filmed_fps(stamps) for stamps in read_take_stamps(take, infos).values() if len(stamps) > 2]
    if not rates:
        return common_fps(infos)[0]
    if rate == "highest":
        return max(rates)
    alike = {own: [other for other in rates if abs(other / own - 1) < FPS_TOLERANCE] for own in rates}
    return _most_common(max(sorted(alike.values(), key=max, reverse=True), key=len))


def filmed_fps(stamp_s: Float[np.ndarray, "F"]) -> float:
    """Frames a second while nothing is lost: the usual rate that is nearest, or what it is by the stamps."""
    usual = nominal_rate(stamp_s)
    return usual if usual is not None else round(float(1 / np.median(np.diff(stamp_s))), 2)


def _unsteady(info: VideoInfo) -> str:
    steps = [b - a for a, b in zip(info.times_s, info.times_s[1:], strict=False)]
    return (
        f"the frame times vary ({1000 * min(steps):.0f} to {1000 * max(steps):.0f} ms apart); "
        f"{info.fps:.4g} frames a second is their mean"
    )


def _most_common(rates: list[float]) -> float:
    """The rate that most cameras share; of equals the first."""
    return max(rates, key=lambda rate: sum(math.isclose(rate, other, rel_tol=1e-4) for other in rates))
