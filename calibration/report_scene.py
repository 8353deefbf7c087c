"""The rig as the turnable picture of a report wants it: plain numbers, up along z, metres."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from calibration.camera import Intrinsics, Rig
from calibration.quality_report import CalibrationReport, CameraQuality

DIGITS = 4
"""Decimals: a tenth of a millimetre."""

SHOWN_SIGMAS = 2.0
ELLIPSOID_M = 0.15
"""The largest ellipsoid is drawn about as large, so that it can be seen."""

FRUSTUM_SHARE = 0.11
"""Length of a drawn camera, as a share of the scene's."""


def scene(report: CalibrationReport, rig: Rig) -> dict[str, Any]:
    """cameras: name, verdict, frustum (centre, then the picture's corners as the lens sees them, top left first and
    clockwise) and axes of the 2-sigma ellipsoid times `magnified`; volume: points as x, y, z, mm of calibration, mm per
    px, cameras; path of the board; floor: whether z = 0 is one."""
    has_floor = bool(report.solve.world)
    turn = np.eye(3) if has_floor else _upright(report.cameras)
    magnified = magnification(report.cameras)
    reach = FRUSTUM_SHARE * _extent(report)
    volume = report.volume
    return {
        "floor": has_floor,
        "magnified": magnified,
        "step": round(volume.step_m, DIGITS),
        "cameras": [_camera(camera, rig, turn, magnified=magnified, reach=reach) for camera in report.cameras],
        "points": np.round(volume.points @ turn.T, DIGITS).tolist(),
        "calibration": np.round(volume.calibration_mm, 3).tolist(),
        "perPixel": np.round(volume.mm_per_px, 3).tolist(),
        "seenBy": volume.cameras.tolist(),
        "path": np.round(report.board_path_m @ turn.T, DIGITS).tolist(),
    }


def magnification(cameras: tuple[CameraQuality, ...]) -> float:
    """1, 2, 5, 10, … so that the largest ellipsoid can be seen."""
    largest = max((_sigma(camera.position_covariance_m2) for camera in cameras), default=0.0)
    if not largest > 0:
        return 1.0
    wanted = max(ELLIPSOID_M / (SHOWN_SIGMAS * largest), 1.0)
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(power * max(step for step in (1, 2, 5) if step * power <= wanted * (1 + 1e-9)))


def _sigma(covariance: Float[np.ndarray, "3 3"]) -> float:
    return float(np.sqrt(max(np.linalg.eigvalsh(covariance)[-1], 0.0)))


def _camera(
    camera: CameraQuality, rig: Rig, turn: Float[np.ndarray, "3 3"], *, magnified: float, reach: float
) -> dict[str, Any]:
    ahead = reach * _corner_rays(rig[camera.name].intrinsics)
    corners = camera.center_m + ahead @ camera.axes
    variance, axes = np.linalg.eigh(camera.position_covariance_m2)
    ellipsoid = axes.T * (SHOWN_SIGMAS * magnified * np.sqrt(np.maximum(variance, 0.0)))[:, None]
    return {
        "name": camera.name,
        "verdict": camera.verdict,
        "frustum": np.round(np.vstack([camera.center_m, corners]) @ turn.T, DIGITS).tolist(),
        "ellipsoid": np.round(ellipsoid @ turn.T, DIGITS + 1).tolist(),
        "told": f"{camera.name}: known to {camera.position_std_mm:.1f} mm and {camera.rotation_std_deg:.2f}°",
    }


def _corner_rays(intrinsics: Intrinsics) -> Float[np.ndarray, "4 3"]:
    """Of the picture's corners; a lens that images nothing there is drawn as far out as it does."""
    width, height = intrinsics.image_size
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=np.float64)
    middle = intrinsics.K[:2, 2]
    for share in np.linspace(1.0, 0.1, 19):
        rays = intrinsics.ray(middle + share * (corners - middle))
        if np.isfinite(rays).all():
            return rays
    return np.tile([0.0, 0.0, 1.0], (4, 1))


def _upright(cameras: tuple[CameraQuality, ...]) -> Float[np.ndarray, "3 3"]:
    """A rotation that brings the mean up of the cameras to z: people hold cameras upright, most of the time."""
    up = -np.mean([camera.axes[1] for camera in cameras], axis=0)
    up = up / np.linalg.norm(up) if np.linalg.norm(up) > 1e-3 else np.array([0.0, 0.0, 1.0])
    side = np.eye(3)[np.argmin(np.abs(up))]
    x = np.cross(side, up) / np.linalg.norm(np.cross(side, up))
    return np.stack([x, np.cross(up, x), up])


def _extent(report: CalibrationReport) -> float:
    everything = np.vstack([*(camera.center_m for camera in report.cameras), report.board_path_m])
    return max(float(np.linalg.norm(np.ptp(everything, axis=0))), 0.1)
