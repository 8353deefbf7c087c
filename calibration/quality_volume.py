"""Expected error of triangulated points over the working volume, from the uncertainty of the rig and of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from calibration.bundle_lenses import project_linearised
from calibration.bundle_result import POSE_NAMES
from calibration.camera import Camera, Rig
from calibration.errors import CalibrationError
from calibration.intrinsics_prior import parameter_names, parameters_of
from calibration.quality_report import VolumeQuality

MOST_POINTS = 4000
FINEST_STEP_M = 0.1

LARGEST_MM_PER_PX = 200.0
"""Where one pixel moves a point by more, rays are all but parallel: nobody would use the point."""

AROUND_BOARD_M = 0.5
HEAD_M = 2.0
"""A board is held in outstretched arms; who holds it, and who is captured later, takes up this much more."""


def working_volume(
    board: Float[np.ndarray, "N 3"], *, has_floor: bool
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Lower and upper corner (m) of a box around places of the board, where a person has room: half a metre more on
    every side; with a floor at z = 0 from there to above the head. One place in a hundred is taken for a mistake."""
    low, high = np.quantile(board, [0.01, 0.99], axis=0) + np.array([[-AROUND_BOARD_M], [AROUND_BOARD_M]])
    if has_floor:
        low[2], high[2] = 0.0, max(HEAD_M, high[2])
    return low, high


def expected_errors(
    rig: Rig,
    parameters: Sequence[tuple[str, str]],
    covariance: Float[np.ndarray, "P P"],
    *,
    low: Float[np.ndarray, "3"],
    high: Float[np.ndarray, "3"],
) -> VolumeQuality:
    """First-order propagation on a grid between `low` and `high` (m, the rig's world).

    parameters: (camera, name) by row of `covariance`, named as in `calibration.bundle_result`; clocks move no point. A
    point is the least-squares one of all cameras that have it in their picture (Hartley & Zisserman 2004, 5.2): it
    moves by (Σ JᵀJ)⁻¹ Σ Jᵀ δpx. A motion of all points as one rigid body is no error: it is taken out, so that it does
    not matter in which gauge the covariance stands. What a lens that was given and kept is off by is not in it.
    """
    if (high <= low).any():
        raise CalibrationError("the working volume has no extent: its upper corner must lie above its lower one")
    points, step = _grid(low, high)
    seen = np.stack([_in_picture(camera, points) for camera in rig])
    information = _information(_by_point(rig, points, seen))
    solvable = (seen.sum(axis=0) >= 2) & (np.linalg.cond(information) < 1e12)
    inverse = np.linalg.inv(np.where(solvable[:, None, None], information, np.eye(3)))
    mm_per_px = 1e3 * np.sqrt(np.trace(inverse, axis1=1, axis2=2))
    kept = solvable & (mm_per_px < LARGEST_MM_PER_PX)
    gain = _gain(rig, points[kept], seen[:, kept])
    spread = _without_rigid_motion(_by_parameters(rig, points[kept], gain, parameters), points[kept])
    mixed = (spread @ covariance * spread).sum(axis=(1, 2))
    calibration = 1e3 * np.sqrt(np.maximum(mixed, 0.0))
    return VolumeQuality(
        low=low,
        high=high,
        step_m=step,
        points=points[kept],
        cameras=seen[:, kept].sum(axis=0),
        calibration_mm=calibration,
        mm_per_px=mm_per_px[kept],
        seen_share=float(kept.mean()),
        median_calibration_mm=_quantile(calibration, 0.5),
        p95_calibration_mm=_quantile(calibration, 0.95),
        median_mm_per_px=_quantile(mm_per_px[kept], 0.5),
    )


def _by_point(
    rig: Rig, points: Float[np.ndarray, "G 3"], seen: Bool[np.ndarray, "C G"]
) -> Float[np.ndarray, "C G 2 3"]:
    """Pixels by the point's place; moving a point undoes moving the camera."""
    by_camera = np.stack([_derivatives(camera, points)[..., 3:6] for camera in rig])
    return np.where(seen[..., None, None], -by_camera, 0.0)


def _information(by_point: Float[np.ndarray, "C G 2 3"]) -> Float[np.ndarray, "G 3 3"]:
    return np.einsum("cgik,cgil->gkl", by_point, by_point)


def _gain(rig: Rig, points: Float[np.ndarray, "G 3"], seen: Bool[np.ndarray, "C G"]) -> Float[np.ndarray, "C G 3 2"]:
    """How a triangulated point follows the pixels of each camera."""
    by_point = _by_point(rig, points, seen)
    return np.einsum("gkl,cgil->cgki", np.linalg.inv(_information(by_point)), by_point)


def ray_std_mm(
    camera: Camera,
    points: Float[np.ndarray, "G 3"],
    parameters: Sequence[tuple[str, str]],
    covariance: Float[np.ndarray, "P P"],
) -> float:
    """How far (mm; RMS length, median over points) the rays of a camera pass by those of `points` that it has in its
    picture, because its own pose and lens are uncertain; NaN where it sees none."""
    points = points[_in_picture(camera, points)]
    if not len(points):
        return np.nan
    rows, columns = _own(camera, parameters)
    by_own = _derivatives(camera, points)[..., columns]
    depth = camera.cam_from_world.apply(points)[:, 2]
    focal = np.diag(camera.intrinsics.K)[:2]
    variance_px = np.einsum("gip,pq,giq->gi", by_own, covariance[np.ix_(rows, rows)], by_own, optimize=True)
    variance = (variance_px / focal**2).sum(axis=-1) * depth**2
    return 1e3 * float(np.sqrt(np.maximum(np.median(variance), 0.0)))


def pixels_in_picture(camera: Camera, points: Float[np.ndarray, "G 3"]) -> Float[np.ndarray, "n 2"]:
    """Where those of the points are that the camera has in its picture."""
    return camera.project(points[_in_picture(camera, points)])


def about_volume(
    rig: Rig,
    parameters: Sequence[tuple[str, str]],
    covariance: Float[np.ndarray, "P P"],
    points: Float[np.ndarray, "G 3"],
) -> Float[np.ndarray, "P P"]:
    """The covariance in the gauge in which `points`, triangulated, neither turn nor shift as a whole (S-transformation,
    Baarda 1973): what cameras are off by with respect to where people are captured, not to each other's mean. It stays
    as it is where a camera was held, or two cameras see no three points."""
    posed = {(camera.name, name) for camera in rig for name in POSE_NAMES}
    seen = np.stack([_in_picture(camera, points) for camera in rig])
    usable = points[seen.sum(axis=0) >= 2]
    if not posed <= set(parameters) or len(usable) < 3:
        return covariance
    gain = _gain(rig, usable, seen[:, seen.sum(axis=0) >= 2])
    spread = _by_parameters(rig, usable, gain, parameters).reshape(-1, len(parameters))
    motion = np.linalg.lstsq(_rigid_motions(usable), spread, rcond=None)[0]
    moved = np.zeros((len(parameters), 6))
    for camera in rig:
        rows = [parameters.index((camera.name, name)) for name in POSE_NAMES]
        moved[rows[:3], 3:] = -camera.cam_from_world.R  # turning the world by w turns a camera's R to R exp(-w)
        moved[rows[3:]] = _rigid_motions(camera.center[None])
    turn = np.eye(len(parameters)) - moved @ motion
    return turn @ covariance @ turn.T


def _rigid_motions(points: Float[np.ndarray, "G 3"]) -> Float[np.ndarray, "_ 6"]:
    """Displacements by a small shift (3) and turn (3, rad, world axes) of everything."""
    x, y, z = points.T
    zero = np.zeros_like(x)
    by_turn = np.stack([zero, z, -y, -z, zero, x, y, -x, zero], axis=-1).reshape(-1, 3, 3)
    shift = np.broadcast_to(np.eye(3), by_turn.shape)
    return np.concatenate([shift, by_turn], axis=-1).reshape(-1, 6)


def _without_rigid_motion(
    spread: Float[np.ndarray, "G 3 P"], points: Float[np.ndarray, "G 3"]
) -> Float[np.ndarray, "G 3 P"]:
    if len(points) < 3:
        return spread
    basis = np.linalg.qr(_rigid_motions(points - points.mean(axis=0)))[0]
    flat = spread.reshape(len(basis), -1)
    return (flat - basis @ (basis.T @ flat)).reshape(spread.shape)


def _by_parameters(
    rig: Rig,
    points: Float[np.ndarray, "G 3"],
    gain: Float[np.ndarray, "C G 3 2"],
    parameters: Sequence[tuple[str, str]],
) -> Float[np.ndarray, "G 3 P"]:
    """How triangulated points move with the rig's parameters."""
    spread = np.zeros((len(points), 3, len(parameters)))
    for index, camera in enumerate(rig):
        rows, columns = _own(camera, parameters)
        spread[..., rows] = gain[index] @ _derivatives(camera, points)[..., columns]
    return -spread


def _own(camera: Camera, parameters: Sequence[tuple[str, str]]) -> tuple[list[int], list[int]]:
    """Rows of the covariance that move pixels of a camera, and the columns of `_derivatives` they belong to."""
    names = (*POSE_NAMES, *parameter_names(camera.intrinsics))
    known = [(row, name) for row, (owner, name) in enumerate(parameters) if owner == camera.name and name in names]
    return [row for row, _ in known], [names.index(name) for _, name in known]


def _derivatives(camera: Camera, points: Float[np.ndarray, "G 3"]) -> Float[np.ndarray, "G 2 Q"]:
    """Pixels by rotation, centre and lens parameters; zero where the camera does not image the point."""
    intrinsics, pose = camera.intrinsics, camera.cam_from_world
    numbers, skew = parameters_of(intrinsics), float(intrinsics.K[0, 1])
    there = np.ascontiguousarray(pose.apply(points).T[None])
    rows = project_linearised(there, intrinsics.lens, numbers, skew=skew, with_lens=True)[1]
    by_camera = np.moveaxis(rows[0], -1, 0).swapaxes(1, 2)
    by_camera[..., 3:6] = -by_camera[..., 3:6] @ pose.R  # points shift against the camera, along the world's axes
    return np.nan_to_num(by_camera)


def _in_picture(camera: Camera, points: Float[np.ndarray, "G 3"]) -> Bool[np.ndarray, "G"]:
    px = np.nan_to_num(camera.project(points), nan=-1e9)
    return np.asarray(((px >= -0.5) & (px < np.array(camera.intrinsics.image_size) - 0.5)).all(axis=-1))


def _grid(low: Float[np.ndarray, "3"], high: Float[np.ndarray, "3"]) -> tuple[Float[np.ndarray, "G 3"], float]:
    """Middles of cubes that fill the box, at most MOST_POINTS or thereabouts; the step in m."""
    extent = high - low
    step = max(FINEST_STEP_M, float(np.cbrt(extent.prod() / MOST_POINTS)))
    counts = np.maximum(1, np.round(extent / step)).astype(int)
    axes = [low[i] + (np.arange(n) + 0.5) * extent[i] / n for i, n in enumerate(counts)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3), step


def _quantile(values: Float[np.ndarray, "G"], share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else np.nan
