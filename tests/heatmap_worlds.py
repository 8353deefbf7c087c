"""Heatmaps of people whose places are known, as a 2D network would give them, read as those of a take are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from calibration import Rig
from mocap.core.heatmaps import HeatmapBatch
from mocap.core.keypoints import Keypoints2D, load_keypoint_set
from mocap.core.skeleton import load_skeleton
from mocap.synthetic.body_points import keypoints_on_body
from mocap.synthetic.gait import walk_and_reach
from mocap.synthetic.heatmaps import draw_peaks, px_from_heatmap

KEYPOINTS = load_keypoint_set("blazepose33")
FPS = 30.0
SIZE = (64, 64)
SIGMA = 1.5


def walker(n_frames: int) -> np.ndarray:
    """(T, J, 3) m: somebody who walks about the middle."""
    motion = walk_and_reach(load_skeleton(), seconds=n_frames / FPS, fps=FPS, person="anna")
    points = keypoints_on_body(motion, KEYPOINTS)[:n_frames]
    return points - [*points[:, :, :2].mean((0, 1)), 0.0]


def seen_by(rig: Rig, xyz: np.ndarray) -> Keypoints2D:
    """One person (T, J, 3) without any error."""
    px = np.moveaxis(rig.project(xyz), 0, 1)[:, None]
    there = np.isfinite(px[..., 0])
    return Keypoints2D(rig.names, KEYPOINTS, np.where(there[..., None], px, np.nan), np.where(there, 0.9, 0.0), FPS)


@dataclass
class DrawnHeatmaps:
    """A `HeatmapSource`: peaks where the keypoints are, in boxes about the person. `asked` remembers what was read."""

    points: Keypoints2D
    asked: list[range]

    @property
    def size(self) -> tuple[int, int]:
        return SIZE

    def read(self, frames: range) -> HeatmapBatch:
        self.asked.append(frames)
        xy = self.points.xy[frames.start : frames.stop]
        seen = np.asarray(np.isfinite(xy[..., 0]).any(-1))
        known = np.where(seen[..., None, None], xy, 0.0)
        low, high = np.nanmin(known, axis=-2), np.nanmax(known, axis=-2)
        middle, half = (low + high) / 2, 0.65 * np.maximum((high - low).max(-1, keepdims=True), 8.0)
        box = np.concatenate([middle - half, middle + half], axis=-1)
        maps = px_from_heatmap(box, SIZE)
        cells = (xy - maps[..., None, :, 2]) / maps[..., None, [0, 1], [0, 1]]
        places = torch.from_numpy(cells.astype(np.float32))[..., None, :]
        ones = torch.ones(places.shape[:-1])
        drawn = draw_peaks(places, SIGMA * ones, 0.9 * ones, SIZE).numpy().astype(np.float16)
        return HeatmapBatch(
            np.where(seen[..., None, None, None], drawn, np.float16(0)),
            np.where(seen[..., None, None], maps, np.nan),
            seen,
        )
