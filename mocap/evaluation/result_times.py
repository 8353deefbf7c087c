"""Which moment of the scene each frame of a take's results is about."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mocap.core.clock import Clock
from mocap.core.errors import InputError
from mocap.core.session import Take
from mocap.core.truth import TakeTruth, ViewTruth
from mocap.evaluation.evaluate_truth import reference_times
from mocap.io.take_times import take_times


@dataclass(frozen=True)
class ResultTimes:
    """Scene time of entry i: that of picture i of the reference camera, or where the cameras were put on one clock,
    start_s + i / fps.

    The scene's time is that of the common clock as a straight line: the one through the reference camera's frames, so
    that a wrong clock of any other camera shows as an error of the results.
    """

    reference: str
    start_s: float | None = None
    fps: float = 1.0

    @property
    def counted(self) -> bool:
        """Whether entry i is about picture i of every camera."""
        return self.start_s is None

    def of(self, truth: TakeTruth, n_frames: int | None) -> Float[np.ndarray, "T"]:
        """Of the first so many entries; None: of as many as the reference camera's pictures last."""
        if self.start_s is None:
            known = truth.view(self.reference).n_frames
            return reference_times(truth, self.reference, known if n_frames is None else n_frames)
        lasts_s = truth.view(self.reference).time_s[-1] - self.start_s
        count = max(round(lasts_s * self.fps) + 1, 1) if n_frames is None else n_frames
        return self.start_s + np.arange(count) / self.fps

    def pictures(self, truth: TakeTruth, time_s: Float[np.ndarray, "T"]) -> dict[str, Int[np.ndarray, "T"]]:
        """Camera -> the picture nearest to each of these scene times."""
        if self.counted:
            return {view.camera: np.arange(len(time_s)) for view in truth.views}
        away = {view.camera: np.abs(view.time_s[None] - time_s[:, None]) for view in truth.views}
        return {camera: apart.argmin(1) for camera, apart in away.items()}


def result_times(take: Take, derived: Path, truth: TakeTruth) -> ResultTimes:
    """Of the results in `derived`, as the report of their alignment says it."""
    first = next((camera for camera in take.cameras if camera in truth.rig.names), truth.rig.names[0])
    start, fps = _aligned_to(derived / "align.json")
    if start is None or fps is None:
        return ResultTimes(first)
    reference = next(
        (name for name, clock in take.clocks.items() if clock == Clock() and name in truth.rig.names), first
    )
    found = (take_times(take, n_frames=truth.view(reference).n_frames) or {}).get(reference)
    if found is None:
        raise InputError(
            "was processed with other clocks than it has now", where=take.root, remedy="Run mocap process again."
        )
    view = truth.view(reference)
    n = min(len(found), view.n_frames)
    known = np.isfinite(found[:n]) & ~view.repeated[:n]
    slope, offset = np.polyfit(found[:n][known], view.time_s[:n][known], 1)
    return ResultTimes(reference, float(slope * start + offset), float(fps / slope))


def _aligned_to(path: Path) -> tuple[float | None, float | None]:
    """Start and rate of the common times, as the stage's report has them."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))["report"]
        return report.get("start_s"), report.get("fps")
    except (OSError, ValueError, KeyError, AttributeError):
        return None, None


def truth_at(truth: TakeTruth, time_s: Float[np.ndarray, "T"]) -> TakeTruth:
    """The views of all cameras as if their pictures had been taken at these scene times: pixels straight between two
    pictures, the rest of the nearest."""
    return replace(truth, views=tuple(_view_at(view, time_s) for view in truth.views))


def _view_at(view: ViewTruth, time_s: Float[np.ndarray, "T"]) -> ViewTruth:
    own = np.flatnonzero(~view.repeated)
    times = view.time_s[own]
    after = np.clip(np.searchsorted(times, time_s), 1, len(times) - 1)
    share = np.clip((time_s - times[after - 1]) / (times[after] - times[after - 1]), 0, 1)
    a, b = own[after - 1], own[after]
    nearest = np.where(share > 0.5, b, a)
    filmed = (time_s >= times[0] - 0.05) & (time_s <= times[-1] + 0.05)
    weight = share[:, None, None, None]
    xy = np.where(filmed[:, None, None, None], (1 - weight) * view.xy[a] + weight * view.xy[b], np.nan)
    return replace(
        view,
        time_s=time_s,
        stamp_s=view.clock_rate * time_s + view.clock_offset_s,
        repeated=np.zeros(len(time_s), dtype=bool),
        cam_from_world=view.cam_from_world[nearest],
        xy=xy,
        visibility=np.where(filmed[:, None, None], view.visibility[nearest], 0),
        cam_from_board=view.cam_from_board[nearest],
    )
