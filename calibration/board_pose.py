"""Where a board lies before a camera, from one picture each: both poses that a plane leaves open.

A plane seen from afar has two poses that explain its picture almost equally well (it may be tilted towards the camera
or away from it). Both are found in closed form from the homography at the board's middle (Collins & Bartoli 2014,
IPPE) and refined over all corners. All views are solved at once. A view is looked at along its mean ray, so that
fisheye lenses need no picture plane, not even past 90°.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from calibration.board_motion import rotvecs_to_matrices
from calibration.board_pose_plane import plane_poses, robust_scale
from calibration.board_pose_rays import CornerRays, corner_rays, jacobian, normals_of, residuals
from calibration.camera import Intrinsics
from calibration.observations import BoardObservations

REFINEMENT_STEPS = 12
"""Damped Gauss–Newton steps; from IPPE's start four suffice for a pose; robust weights settle in eight."""

CONVERGED_PX2 = 1e-6
"""A step that promises less is a thousandth of a deviation long, at 1 px noise; convergence is quadratic, and the
step is still taken."""

NOISE_FLOOR_PX = 0.2
"""No detector is better; keeps the robust scale from shrinking to nothing on perfect data."""

FAR_OFF_PX = 1e4
"""Bounds the robust scale, of a start that lies behind the camera or of corners too few to be judged."""

OUTLIER_SIGMAS = 3.5
"""A Rayleigh-distributed residual exceeds 3.5 sigma once in 450 corners."""

SAME_POSE = 0.01
"""Radians between two solutions that are one."""


@dataclass(frozen=True, eq=False)
class ViewPoses:
    """`cam_from_board` of every view, R (V, 3, 3) and t (V, 3) m, and the other solution that a plane leaves open.

    rms_px: root mean square reprojection error (full length) of the corners that are no outliers. second: the pose that
    fits less well; NaN, with an infinite rms, where there is none. NaN in both where corners were too few or on a line.
    center: (V, 3) m, where the middle of the board (the mean of its points) is in the camera's axes.
    information: (V, 6, 6), inverse covariance for corners of 1 px deviation per axis, of a small turn (rad, about the
    board's middle, in camera axes) and a shift (m) of the first solution.
    """

    R: Float[np.ndarray, "V 3 3"]
    t: Float[np.ndarray, "V 3"]
    rms_px: Float[np.ndarray, "V"]
    R_second: Float[np.ndarray, "V 3 3"]
    t_second: Float[np.ndarray, "V 3"]
    rms_second_px: Float[np.ndarray, "V"]
    center: Float[np.ndarray, "V 3"]
    information: Float[np.ndarray, "V 6 6"]

    @property
    def known(self) -> Bool[np.ndarray, "V"]:
        """Views that have a pose."""
        return np.isfinite(self.rms_px)

    @property
    def ambiguity(self) -> Float[np.ndarray, "V"]:
        """rms of the first solution by that of the second: 0 is unambiguous, 1 is a toss-up."""
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(self.rms_px / self.rms_second_px, nan=0.0)


def board_poses(observations: BoardObservations, intrinsics: Mapping[str, Intrinsics]) -> ViewPoses:
    """Both planar poses of every view.

    Corners far from where the others put them get less and less weight (Cauchy), so that a few wrong ones do no harm.
    Raises when a camera with views has no intrinsics, or intrinsics of another picture size.
    """
    return poses_from_rays(corner_rays(observations, intrinsics))


def poses_from_rays(rays: CornerRays) -> ViewPoses:
    """Both planar poses of every view."""
    R, center, solvable = plane_poses(rays)
    fits = [_refined(rays, R[:, k], center[:, k]) for k in range(2)]
    (R1, c1, rms1), (R2, c2, rms2) = fits
    swap = rms2 < rms1
    R = [np.where(swap[:, None, None], *pair) for pair in ((R2, R1), (R1, R2))]
    center = [np.where(swap[:, None], *pair) for pair in ((c2, c1), (c1, c2))]
    rms = [np.where(swap, *pair) for pair in ((rms2, rms1), (rms1, rms2))]
    apart = np.linalg.norm(R[0] - R[1], axis=(-2, -1)) / np.sqrt(2)
    for k, there in enumerate((solvable, solvable & (apart > SAME_POSE))):
        there = there & np.isfinite(rms[k])
        R[k][~there], center[k][~there], rms[k][~there] = np.nan, np.nan, np.nan if k == 0 else np.inf
    t = [c - turn @ rays.middle for c, turn in zip(center, R, strict=True)]
    return ViewPoses(R[0], t[0], rms[0], R[1], t[1], rms[1], center[0], _information(rays, R[0], center[0]))


def _refined(
    rays: CornerRays, R: Float[np.ndarray, "V 3 3"], center: Float[np.ndarray, "V 3"]
) -> tuple[Float[np.ndarray, "V 3 3"], Float[np.ndarray, "V 3"], Float[np.ndarray, "V"]]:
    """Levenberg–Marquardt of all views side by side on the Cauchy loss of reprojection errors, its scale taken from
    each view's own median; views leave as they converge. And the rms of what is left without the outliers."""
    R, center = R.copy(), center.copy()
    moving, some = np.arange(len(R)), rays
    damping, state = np.full(len(R), 1e-4), residuals(rays, R, center)
    for _ in range(REFINEMENT_STEPS):
        square = (state[0] ** 2).sum(axis=1)
        scale = 2.0 * np.clip(robust_scale(np.sqrt(square), some.mask), NOISE_FLOOR_PX, FAR_OFF_PX)[:, None]
        scale = scale**2
        step, gain = _step(jacobian(some, *state), state[0], some.mask / (1 + square / scale), damping)
        R_new = rotvecs_to_matrices(step[:, :3]) @ R[moving]
        center_new = center[moving] + step[:, 3:]
        state_new = residuals(some, R_new, center_new)
        loss, loss_new = (np.log1p(s / scale).sum(axis=1) for s in (square, (state_new[0] ** 2).sum(axis=1)))
        better = loss_new <= loss
        R[moving[better]], center[moving[better]] = R_new[better], center_new[better]
        go_on = ~(better & (gain < CONVERGED_PX2))
        if not go_on.any():
            break
        state = tuple(_where(better, new, old)[go_on] for new, old in zip(state_new, state, strict=True))
        damping = np.where(better, damping / 10, damping * 30)[go_on]
        moving, some = moving[go_on], some.of(go_on)
    return R, center, _inlier_rms(np.sqrt((residuals(rays, R, center)[0] ** 2).sum(axis=1)), rays.mask)


def _where(better: Bool[np.ndarray, "V"], new: np.ndarray, old: np.ndarray) -> np.ndarray:
    return np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _step(
    J: Float[np.ndarray, "V 6 S2"],
    residual: Float[np.ndarray, "V 2 S"],
    weight: Float[np.ndarray, "V S"],
    damping: Float[np.ndarray, "V"],
) -> tuple[Float[np.ndarray, "V 6"], Float[np.ndarray, "V"]]:
    """The damped step, and the decrease of the weighted squares (px²) that it promises."""
    normal, gradient = normals_of(J, residual, weight)
    diagonal = np.einsum("vii->vi", normal)
    diagonal += damping[:, None] * diagonal + 1e-12
    step = -np.linalg.solve(normal, gradient[..., None])[..., 0]
    return step, -(step * gradient).sum(axis=-1)


def _inlier_rms(length: Float[np.ndarray, "V S"], mask: Bool[np.ndarray, "V S"]) -> Float[np.ndarray, "V"]:
    limit = OUTLIER_SIGMAS * np.maximum(robust_scale(length, mask), NOISE_FLOOR_PX)
    inlier = mask & (length <= limit[:, None])
    count = inlier.sum(axis=1)
    total = (np.where(inlier, length, 0.0) ** 2).sum(axis=1)
    return np.where(count > 0, np.sqrt(total / np.maximum(count, 1)), np.inf)


def _information(rays: CornerRays, R: np.ndarray, center: np.ndarray) -> Float[np.ndarray, "V 6 6"]:
    residual, turned, depth = residuals(rays, R, center)
    length = np.linalg.norm(residual, axis=1)
    limit = OUTLIER_SIGMAS * np.maximum(robust_scale(length, rays.mask), NOISE_FLOOR_PX)
    inlier = rays.mask & (length <= limit[:, None])
    return normals_of(jacobian(rays, residual, turned, depth), residual, inlier.astype(np.float64))[0]
