"""The world of a rig by somebody who stands and walks in a take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float

from calibration.camera import Rig
from calibration.errors import CalibrationError
from calibration.triangulation import reprojection_px, triangulate_dlt
from calibration.world_frame import WorldFrame
from calibration.world_person import from_standing_person
from mocap.calibrate.check import TakeCheckConfig, TakePoints, take_points

HEAD = ("nose",)
SOLES = ("left_heel", "right_heel", "left_big_toe", "right_big_toe")
ANKLES = ("left_ankle", "right_ankle")
ANKLE_HEIGHT_M = 0.08
FAR_PX = 25.0
"""Points further from what cameras saw, on a picture 1280 px long, are no points: detectors scatter by 5 to 15 px."""

HEEL_HEIGHT_M = 0.02
"""Detectors mark heels and toes within the shoe, not under it."""


def world_by_person(
    rig: Rig, take: str | Path, *, threads: int = 0, progress: Callable[[int, int], None] | None = None
) -> WorldFrame:
    """Up, floor and origin from the subject of a take, who stands upright for a second at least. Scale stays."""
    points = take_points(take, rig, TakeCheckConfig(by="person"), threads=threads, progress=progress)
    feet, height = (SOLES, HEEL_HEIGHT_M) if set(SOLES) <= set(points.names) else (ANKLES, ANKLE_HEIGHT_M)
    missing = sorted({*HEAD, *feet} - set(points.names))
    if missing:
        raise CalibrationError(
            f"the detector gives no {', '.join(missing)}: the floor cannot be told from a person",
            where=take,
            remedy="Take the default detector, or lay the board on the floor.",
        )
    xyz = _placed(points)
    head, soles = (xyz[:, [points.names.index(name) for name in names]] for names in (HEAD, feet))
    return from_standing_person(points.rig, head[:, 0], soles, foot_height_m=height)


def _placed(points: TakePoints) -> Float[np.ndarray, "T J 3"]:
    """Keypoints in the axes of the rig; NaN where cameras disagree."""
    px, weight = np.moveaxis(points.px, 1, 2), np.moveaxis(points.weight, 1, 2)
    xyz = triangulate_dlt(points.rig, px, np.where(np.isfinite(px).all(axis=-1), weight, 0.0))
    error = reprojection_px(points.rig, xyz, np.where(weight[..., None] > 0, px, np.nan))
    limit = FAR_PX * max(max(camera.intrinsics.image_size) for camera in points.rig) / 1280
    known = np.isfinite(error)
    typical = np.where(known, error, 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    return np.where((typical < limit)[..., None], xyz, np.nan)
