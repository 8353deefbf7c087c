"""Where the board was at every moment, once the cameras are placed: all views of a moment decide together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.board_motion import BoardMotion, rotvecs_to_matrices
from calibration.board_pose import ViewPoses
from calibration.board_pose_rays import CornerRays, pose_normals
from calibration.camera import Rig
from calibration.extrinsics_pairs import NOISE_PX, VOTE_ANGLE, board_outline
from calibration.extrinsics_views import PosedViews

AT_ONCE = 200
"""Moments voted on together, to bound the memory."""

REFINEMENT_STEPS = 8
CONVERGED_PX2 = 1e-4
"""A step that promises less is a hundredth of a deviation long, and is still taken."""


def place_boards(views: PosedViews, rig: Rig) -> BoardMotion:
    """World poses of the board at every moment at which a camera of the rig has a pose of it; velocities are zero.

    Each view proposes both its solutions; the one stands that appears where all views of the moment saw the board, and
    is refined on all their corners (Cauchy weights).
    """
    cameras = np.array([views.observations.index(name) for name in rig.names])
    known = views.there[cameras].any(axis=0)
    view = views.view[cameras][:, known]
    R, center = _elected(views, rig, view)
    R, center = _refined(rig, views.rays, view, R, center)
    seen = view >= 0
    time_s = np.where(seen, views.observations.view_time_s[view], 0.0).sum(axis=0) / seen.sum(axis=0)
    t = center - R @ views.middle
    zero = np.zeros_like(t)
    return BoardMotion(views.moment[known], time_s, R, t, zero, zero.copy())


def _elected(
    views: PosedViews, rig: Rig, view: Int[np.ndarray, "C M"]
) -> tuple[Float[np.ndarray, "M 3 3"], Float[np.ndarray, "M 3"]]:
    outline = board_outline(views.observations.points)
    parts = [
        _elected_part(views, rig, view[:, start : start + AT_ONCE], outline)
        for start in range(0, view.shape[1], AT_ONCE)
    ]
    return np.concatenate([R for R, _ in parts]), np.concatenate([center for _, center in parts])


def _elected_part(
    views: PosedViews, rig: Rig, view: Int[np.ndarray, "C M"], outline: Float[np.ndarray, "5 3"]
) -> tuple[Float[np.ndarray, "M 3 3"], Float[np.ndarray, "M 3"]]:
    R, center, exists = _proposals(views, rig, view)
    placed = center[:, :, None] + outline @ np.swapaxes(R, -1, -2)
    square = _angles_squared(rig, placed, _seen_outlines(views, view, outline))
    cost = np.minimum(square / VOTE_ANGLE**2, 1.0).sum(axis=1)
    # Where views are silent or of two minds, the pose that fits its own picture best wins.
    cost = np.where(exists, cost + 1e-3 * _own_rms(views.poses, view), np.inf)
    best = cost.argmin(axis=0)
    moments = np.arange(view.shape[1])
    return R[best, moments], center[best, moments]


def _proposals(
    views: PosedViews, rig: Rig, view: Int[np.ndarray, "C M"]
) -> tuple[Float[np.ndarray, "H M 3 3"], Float[np.ndarray, "H M 3"], Bool[np.ndarray, "H M"]]:
    """World poses (turn, and place of the middle) from both solutions of every camera."""
    (turn, center), poses = camera_arrays(rig), views.poses
    R_cam = np.stack([poses.R[view], poses.R_second[view]], axis=1)
    center_cam = np.stack([poses.t[view], poses.t_second[view]], axis=1) + R_cam @ views.middle
    exists = (view >= 0)[:, None] & np.isfinite(center_cam[..., 0])
    world_from_cam = np.swapaxes(turn, -1, -2)[:, None, None]
    R = np.where(exists[..., None, None], world_from_cam @ R_cam, np.eye(3))
    place = np.where(exists[..., None], center_cam, 0.0)
    place = (world_from_cam @ place[..., None])[..., 0] + center[:, None, None]
    merged = (-1, view.shape[1])
    return R.reshape(*merged, 3, 3), place.reshape(*merged, 3), exists.reshape(merged)


def _own_rms(poses: ViewPoses, view: Int[np.ndarray, "C M"]) -> Float[np.ndarray, "H M"]:
    rms = np.stack([poses.rms_px[view], poses.rms_second_px[view]], axis=1).reshape(-1, view.shape[1])
    return np.minimum(np.nan_to_num(rms, nan=1e3, posinf=1e3), 1e3)


def camera_arrays(rig: Rig) -> tuple[Float[np.ndarray, "C 3 3"], Float[np.ndarray, "C 3"]]:
    """cam_from_world turns, and centres, of all cameras."""
    return np.stack([camera.cam_from_world.R for camera in rig]), rig.centers


def _seen_outlines(
    views: PosedViews, view: Int[np.ndarray, "C M"], outline: Float[np.ndarray, "5 3"]
) -> Float[np.ndarray, "C M 5 3"]:
    """Directions (unit, camera axes) in which cameras saw the board's outline; NaN for views that are not there."""
    R = views.poses.R[view]
    seen = (views.poses.t[view] + R @ views.middle)[:, :, None] + outline @ np.swapaxes(R, -1, -2)
    seen = seen / np.linalg.norm(seen, axis=-1, keepdims=True)
    return np.where((view >= 0)[..., None, None], seen, np.nan)


def _angles_squared(
    rig: Rig, placed: Float[np.ndarray, "H M 5 3"], seen: Float[np.ndarray, "C M 5 3"]
) -> Float[np.ndarray, "H C M"]:
    """Mean squared angle (rad²) between where proposals put the outline (world, m) and where each camera saw it; 0 for
    views that are not there."""
    turn, origin = camera_arrays(rig)
    square = np.zeros((len(placed), *seen.shape[:2]))
    for camera in range(len(rig)):
        expected = (placed - origin[camera]) @ turn[camera].T
        expected /= np.linalg.norm(expected, axis=-1, keepdims=True) + 1e-300
        square[:, camera] = ((expected - seen[camera]) ** 2).sum(axis=-1).mean(axis=-1)
    return np.nan_to_num(square, nan=0.0)


def _refined(
    rig: Rig, rays: CornerRays, view: Int[np.ndarray, "C M"], R: np.ndarray, center: np.ndarray
) -> tuple[Float[np.ndarray, "M 3 3"], Float[np.ndarray, "M 3"]]:
    camera, moment = np.nonzero(view >= 0)
    turn, origin = (values[camera] for values in camera_arrays(rig))
    return refine_boards(rays.of(view[camera, moment]), turn, origin, moment, (R, center))


def refine_boards(
    rays: CornerRays,
    turn: Float[np.ndarray, "v 3 3"],
    origin: Float[np.ndarray, "v 3"],
    moment: Int[np.ndarray, "v"],
    start: tuple[Float[np.ndarray, "M 3 3"], Float[np.ndarray, "M 3"]],
) -> tuple[Float[np.ndarray, "M 3 3"], Float[np.ndarray, "M 3"]]:
    """World poses (turn, place of the middle) of the board at M moments from all views of each: damped Gauss–Newton of
    all moments side by side, Cauchy weights; a step that makes it worse is not taken.

    turn, origin: cam_from_world turn and centre of each view's camera. moment: which of the poses a view sees.
    """
    R, center = start
    damping, best = np.full(len(R), 1e-4), np.full(len(R), np.inf)
    R_best, center_best = R, center
    normal, gradient = np.zeros((len(R), 6, 6)), np.zeros((len(R), 6))
    for _ in range(REFINEMENT_STEPS):
        at = ((turn @ (center[moment] - origin)[..., None])[..., 0], turn @ R[moment])
        view_normal, view_gradient, view_loss = pose_normals(rays, at[1], at[0])
        loss = np.bincount(moment, view_loss, len(R))
        better = loss < best
        R_best, center_best = np.where(better[:, None, None], R, R_best), np.where(better[:, None], center, center_best)
        best = np.where(better, loss, best)
        damping = np.where(better, damping / 10, damping * 100)
        summed, pulled = _by_moment(turn, moment, view_normal, view_gradient, len(R))
        normal = np.where(better[:, None, None], summed, normal)
        gradient = np.where(better[:, None], pulled, gradient)
        damped = normal + (damping[:, None] * np.einsum("mii->mi", normal) + 1e-9)[:, None] * np.eye(6)
        step = -np.linalg.solve(damped, gradient[..., None])[..., 0]
        R, center = rotvecs_to_matrices(step[:, :3]) @ R_best, center_best + step[:, 3:]
        if (-(step * gradient).sum(axis=1) < CONVERGED_PX2).all():
            return R, center
    return R_best, center_best


def _by_moment(
    turn: Float[np.ndarray, "v 3 3"],
    moment: Int[np.ndarray, "v"],
    normal: Float[np.ndarray, "v 6 6"],
    gradient: Float[np.ndarray, "v 6"],
    count: int,
) -> tuple[Float[np.ndarray, "M 6 6"], Float[np.ndarray, "M 6"]]:
    """Sums over the views of every moment, in world axes."""
    to_camera = np.zeros((len(turn), 6, 6))
    to_camera[:, :3, :3] = to_camera[:, 3:, 3:] = turn
    from_camera = np.swapaxes(to_camera, -1, -2)
    normals, gradients = np.zeros((count, 6, 6)), np.zeros((count, 6))
    np.add.at(normals, moment, from_camera @ normal @ to_camera)
    np.add.at(gradients, moment, (from_camera @ gradient[..., None])[..., 0])
    return normals, gradients


def view_informations(
    rays: CornerRays,
    turn: Float[np.ndarray, "v 3 3"],
    R: Float[np.ndarray, "v 3 3"],
    center: Float[np.ndarray, "v 3"],
) -> Float[np.ndarray, "v 6 6"]:
    """What each view tells of the board's turn (rad, about its middle) and place (m) in world axes, R and center being
    its pose before the camera; each counts with its own noise, 0.3 px per axis at least. Cameras are taken as exact."""
    residual = rays.residual_px(R, center)
    square = np.where(np.isfinite(residual), residual, 0.0) ** 2
    variance = np.maximum(square.sum(axis=(-2, -1)) / (2 * rays.mask.sum(axis=1)), NOISE_PX**2)
    normal, gradient, _ = pose_normals(rays, R, center, 1e3)
    each = np.arange(len(turn))
    return _by_moment(turn, each, normal / variance[:, None, None], gradient, len(turn))[0]
