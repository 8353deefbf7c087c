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
from jaxtyping import Bool, Float, Int

from calibration.board_motion import rotvecs_to_matrices
from calibration.camera import Intrinsics
from calibration.errors import CalibrationError
from calibration.observations import BoardObservations

MINIMUM_CORNERS = 4
"""A homography has eight numbers, a corner gives two."""

FLAT = 1e-9
"""Metres out of the plane z = 0: more than rounding is no board."""

NARROW = 1e-3
"""Smallest to largest extent of the seen corners: below it they lie on a line and give no pose."""

REFINEMENT_STEPS = 10
"""Damped Gauss–Newton steps; from IPPE's start four suffice for a pose, robust weights settle in eight."""

NOISE_FLOOR_PX = 0.2
"""No detector is better; keeps the robust scale from shrinking to nothing on perfect data."""

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


@dataclass(frozen=True, eq=False)
class CornerRays:
    """What corners say once their lenses are known, one row per view, padded: `mask` tells which slots hold one.

    point: (V, S, 3) m from the board's middle. ray: (V, S, 3) unit, camera axes. px_from_ray: (V, S, 2, 3), how far
    the picture moves (px) with a small change of the ray. row: (V, S) the corner's row in the observations.
    middle: (3,) m, the board's middle in its own frame.
    """

    point: Float[np.ndarray, "V S 3"]
    ray: Float[np.ndarray, "V S 3"]
    px_from_ray: Float[np.ndarray, "V S 2 3"]
    mask: Bool[np.ndarray, "V S"]
    row: Int[np.ndarray, "V S"]
    middle: Float[np.ndarray, "3"]

    def residual_px(
        self, R: Float[np.ndarray, "V 3 3"], center: Float[np.ndarray, "V 3"]
    ) -> Float[np.ndarray, "V S 2"]:
        """Projected minus seen, to first order about the seen ray; inf behind it, 0 in empty slots."""
        return _residual(self, R, center)[0]

    def of(self, views: Int[np.ndarray, "W"]) -> CornerRays:
        """Some views, in this order."""
        rows = (self.point, self.ray, self.px_from_ray, self.mask, self.row)
        return CornerRays(*(table[views] for table in rows), self.middle)


def board_poses(observations: BoardObservations, intrinsics: Mapping[str, Intrinsics]) -> ViewPoses:
    """Both planar poses of every view.

    Corners far from where the others put them get less and less weight (Cauchy), so that a few wrong ones do no harm.
    Raises when a camera with views has no intrinsics, or intrinsics of another picture size.
    """
    return poses_from_rays(corner_rays(observations, intrinsics))


def corner_rays(observations: BoardObservations, intrinsics: Mapping[str, Intrinsics]) -> CornerRays:
    """Rays of all corners, gathered by view. Corners whose pixel no ray reaches are left out."""
    points = np.asarray(observations.points, dtype=np.float64)
    if np.abs(points[:, 2]).max(initial=0.0) > FLAT:
        raise CalibrationError("the board's points do not lie in its plane z = 0")
    ray, px_from_ray = _rays_of_corners(observations, intrinsics)
    usable = np.flatnonzero(np.isfinite(px_from_ray).all(axis=(-2, -1)))
    order = usable[np.argsort(observations.view[usable], kind="stable")]
    view = observations.view[order]
    count = np.bincount(view, minlength=observations.n_views)
    slot = np.arange(len(order)) - (np.cumsum(count) - count)[view]
    shape = (observations.n_views, int(count.max(initial=1)))
    row, mask = np.zeros(shape, dtype=int), np.zeros(shape, dtype=bool)
    row[view, slot], mask[view, slot] = order, True
    middle = points.mean(axis=0)

    def padded(values: np.ndarray, empty: float) -> np.ndarray:
        table = np.full((*shape, *values.shape[1:]), empty)
        table[view, slot] = values[order]
        return table

    seen_point = points[observations.corner] - middle
    return CornerRays(padded(seen_point, 0.0), padded(ray, 0.0), padded(px_from_ray, 0.0), mask, row, middle)


def _rays_of_corners(
    observations: BoardObservations, intrinsics: Mapping[str, Intrinsics]
) -> tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, "N 2 3"]]:
    ray = np.full((observations.n_corners, 3), np.nan)
    px_from_ray = np.full((observations.n_corners, 2, 3), np.nan)
    camera = observations.camera
    for index, name in enumerate(observations.cameras):
        mine = camera == index
        if mine.any():
            lens = lens_of(name, observations.image_sizes[index], intrinsics)
            ray[mine] = lens.ray(observations.xy[mine])
            px_from_ray[mine] = _px_from_ray(lens, ray[mine])
    return ray, px_from_ray


def lens_of(name: str, image_size: tuple[int, int], intrinsics: Mapping[str, Intrinsics]) -> Intrinsics:
    """The intrinsics of a camera, refused where they are missing or belong to pictures of another size."""
    if name not in intrinsics:
        raise CalibrationError(
            f"there are no intrinsics of camera {name}",
            remedy=f"Calibrate its lens first; there are {', '.join(intrinsics) or 'none at all'}.",
        )
    lens = intrinsics[name]
    if lens.image_size != image_size:
        raise CalibrationError(
            f"the intrinsics of camera {name} are for pictures of {lens.image_size}, these are of {image_size}",
            remedy="Resize or crop the intrinsics the way the pictures were.",
        )
    return lens


def _px_from_ray(lens: Intrinsics, ray: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 2 3"]:
    """Central differences of the projection along two directions across the ray; 1e-5 rad is exact to 1e-9."""
    step = 1e-5
    sideways = np.zeros_like(ray)
    np.put_along_axis(sideways, np.abs(ray).argmin(axis=1)[:, None], 1.0, axis=1)
    u = np.cross(ray, sideways)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    across = np.stack([u, np.cross(ray, u)], axis=1)
    stepped = ray[:, None, None] + step * np.array([1.0, -1.0])[:, None] * across[:, :, None]
    px = lens.project(stepped)
    return np.swapaxes((px[:, :, 0] - px[:, :, 1]) / (2 * step), -1, -2) @ across


def poses_from_rays(rays: CornerRays) -> ViewPoses:
    """Both planar poses of every view."""
    R, center, solvable = _ippe(rays)
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


def _ippe(rays: CornerRays) -> tuple[Float[np.ndarray, "V 2 3 3"], Float[np.ndarray, "V 2 3"], Bool[np.ndarray, "V"]]:
    """R and the board's middle in camera axes, twice, and which views can be solved at all."""
    cam_from_view = _looking_along(rays.ray.sum(axis=1))
    local = rays.ray @ cam_from_view
    in_front = rays.mask & (local[..., 2] > 0.05)
    xy = local[..., :2] / np.where(in_front, local[..., 2], 1.0)[..., None]
    weight = in_front.astype(np.float64)
    solvable = _spread_enough(rays.point[..., :2], weight)
    weight[~solvable] = 0.0
    weight, H = _robust_homography(rays.point[..., :2], xy, weight, solvable)
    R = _rotations_of_homography(H)
    center = np.stack([_middle(R[:, k], rays.point, xy, weight, solvable) for k in range(2)], axis=1)
    return cam_from_view[:, None] @ R, np.einsum("vij,vkj->vki", cam_from_view, center), solvable


def _looking_along(direction: Float[np.ndarray, "V 3"]) -> Float[np.ndarray, "V 3 3"]:
    """cam_from_view: turns of which the third column is the direction."""
    length = np.linalg.norm(direction, axis=-1, keepdims=True)
    z = np.where(length > 0, direction / np.where(length > 0, length, 1.0), [0.0, 0.0, 1.0])
    other = np.where(np.abs(z[:, :1]) < 0.9, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    y = np.cross(z, other)
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    return np.stack([np.cross(y, z), y, z], axis=-1)


def _spread_enough(xy: Float[np.ndarray, "V S 2"], weight: Float[np.ndarray, "V S"]) -> Bool[np.ndarray, "V"]:
    count = weight.sum(axis=1)
    mean = (weight[..., None] * xy).sum(axis=1) / np.maximum(count, 1.0)[:, None]
    offset = (xy - mean[:, None]) * weight[..., None]
    small, large = np.moveaxis(np.linalg.eigvalsh(np.swapaxes(offset, -1, -2) @ offset), -1, 0)
    return (count >= MINIMUM_CORNERS) & (small > NARROW**2 * large)


def _robust_homography(
    board: Float[np.ndarray, "V S 2"],
    xy: Float[np.ndarray, "V S 2"],
    weight: Float[np.ndarray, "V S"],
    solvable: Bool[np.ndarray, "V"],
) -> tuple[Float[np.ndarray, "V S"], Float[np.ndarray, "V 3 3"]]:
    """Homographies of views, H[2, 2] = 1 (the board's middle is imaged), reweighted (Cauchy) four times."""
    seen, H = weight, np.tile(np.eye(3), (len(board), 1, 1))
    for _ in range(4):
        H = _homography(board, xy, weight, solvable)
        mapped = board @ np.swapaxes(H[:, :, :2], -1, -2) + H[:, None, :, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.linalg.norm(mapped[..., :2] / mapped[..., 2:] - xy, axis=-1)
        error = np.nan_to_num(error, nan=1e3, posinf=1e3)
        scale = _robust_scale(error, seen > 0)[:, None] + 1e-12
        weight = seen / (1 + (error / (2.0 * scale)) ** 2)
    return weight, H


def _homography(
    board: Float[np.ndarray, "V S 2"],
    xy: Float[np.ndarray, "V S 2"],
    weight: Float[np.ndarray, "V S"],
    solvable: Bool[np.ndarray, "V"],
) -> Float[np.ndarray, "V 3 3"]:
    """Linear least squares with the two upper rows eliminated: h1 = S⁻¹ Sx h3, h2 = S⁻¹ Sy h3, h3 an eigenvector."""
    total = np.maximum(weight.sum(axis=1), 1e-12)[:, None]
    to_board, p = _normalised(board, weight, total)
    to_image, q = _normalised(xy, weight, total)
    p = np.concatenate([p, np.ones_like(p[..., :1])], axis=-1)
    S, Sx, Sy, Sq = (
        np.swapaxes(p, -1, -2) @ (p * (weight * factor / total)[..., None])
        for factor in (1.0, q[..., 0], q[..., 1], (q**2).sum(axis=-1))
    )
    S[~solvable] = np.eye(3)
    upper = np.linalg.solve(S, np.concatenate([Sx, Sy], axis=-1))
    gram = Sq - Sx @ upper[..., :3] - Sy @ upper[..., 3:]
    h3 = np.linalg.eigh((gram + np.swapaxes(gram, -1, -2)) / 2)[1][..., :1]
    H = np.concatenate([upper[..., :3] @ h3, upper[..., 3:] @ h3, h3], axis=-1)
    H = np.linalg.solve(to_image, np.swapaxes(H, -1, -2) @ to_board)
    return H / np.where(np.abs(H[:, 2:, 2:]) > 1e-12, H[:, 2:, 2:], 1e-12)


def _normalised(
    xy: Float[np.ndarray, "V S 2"], weight: Float[np.ndarray, "V S"], total: Float[np.ndarray, "V 1"]
) -> tuple[Float[np.ndarray, "V 3 3"], Float[np.ndarray, "V S 2"]]:
    """Mean zero, deviation one (Hartley 1997), and the matrix that does it."""
    mean = (weight[..., None] * xy).sum(axis=1) / total
    offset = xy - mean[:, None]
    spread = np.sqrt((weight * (offset**2).sum(axis=-1)).sum(axis=1) / total[:, 0])
    factor = 1 / np.where(spread > 0, spread, 1.0)
    matrix = np.zeros((len(xy), 3, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = factor
    matrix[:, :2, 2], matrix[:, 2, 2] = -factor[:, None] * mean, 1.0
    return matrix, offset * factor[:, None, None]


def _rotations_of_homography(H: Float[np.ndarray, "V 3 3"]) -> Float[np.ndarray, "V 2 3 3"]:
    """The two rotations that share the homography's first derivative at the board's middle (IPPE, section 3.3)."""
    place = H[:, :2, 2]
    J = H[:, :2, :2] - place[:, :, None] * H[:, None, 2, :2]
    towards = _looking_along(np.concatenate([place, np.ones_like(place[:, :1])], axis=-1))
    B = towards[:, :2, :2] - place[:, :, None] * towards[:, None, 2, :2]
    A = np.linalg.solve(B, J)
    largest = np.linalg.svd(A, compute_uv=False)[:, :1, None]
    flat = A / np.where(largest > 0, largest, 1.0)
    rest = np.maximum(np.eye(2) - np.swapaxes(flat, -1, -2) @ flat, -1.0)
    first, second = (np.sqrt(np.maximum(rest[:, k, k], 0.0)) for k in range(2))
    low = np.stack([first, np.where(rest[:, 0, 1] < 0, -second, second)], axis=-1)
    both = []
    for sign in (1.0, -1.0):
        columns = np.concatenate([flat, sign * low[:, None]], axis=1)
        columns[..., 1] -= columns[..., 0] * (columns[..., 0] * columns[..., 1]).sum(axis=-1, keepdims=True)
        columns /= np.linalg.norm(columns, axis=1, keepdims=True) + 1e-300
        third = np.cross(columns[..., 0], columns[..., 1])
        both.append(towards @ np.concatenate([columns, third[..., None]], axis=-1))
    return np.stack(both, axis=1)


def _middle(
    R: Float[np.ndarray, "V 3 3"],
    point: Float[np.ndarray, "V S 3"],
    xy: Float[np.ndarray, "V S 2"],
    weight: Float[np.ndarray, "V S"],
    solvable: Bool[np.ndarray, "V"],
) -> Float[np.ndarray, "V 3"]:
    """Where the board's middle is, given its turn: linear least squares of x (z + c_z) = X + c_x."""
    turned = point @ np.swapaxes(R, -1, -2)
    rows = np.zeros((*xy.shape, 3))
    rows[..., 0, 0] = rows[..., 1, 1] = 1.0
    rows[..., 2] = -xy
    right = xy * turned[..., 2:] - turned[..., :2]
    weighted = rows * weight[..., None, None]
    normal = np.einsum("vsai,vsaj->vij", weighted, rows)
    normal[~solvable] = np.eye(3)
    center = np.linalg.solve(normal, np.einsum("vsai,vsa->vi", weighted, right)[..., None])[..., 0]
    return np.where(center[:, 2:] > 0, center, -center)


def _residual(
    rays: CornerRays, R: np.ndarray, center: np.ndarray
) -> tuple[Float[np.ndarray, "V S 2"], Float[np.ndarray, "V S 3"], Float[np.ndarray, "V S"]]:
    """Residuals (px), the turned points and the depths along the seen rays."""
    turned = rays.point @ np.swapaxes(R, -1, -2)
    place = turned + center[:, None]
    depth = (place * rays.ray).sum(axis=-1)
    ahead = rays.mask & (depth > 0)
    depth = np.where(ahead, depth, 1.0)
    off = place / depth[..., None] - rays.ray
    residual = (rays.px_from_ray @ off[..., None])[..., 0]
    residual[rays.mask & ~ahead] = np.inf
    return residual, turned, depth


def _jacobian(rays: CornerRays, turned: np.ndarray, center: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(V, S, 2, 6): of a turn about the board's middle and a shift, both in camera axes."""
    place = (turned + center[:, None]) / depth[..., None]
    along = (rays.px_from_ray @ place[..., None]) * rays.ray[..., None, :]
    shift = (rays.px_from_ray - along) / depth[..., None, None]
    # d(w x p) = -[p]x w: row g of the shift times -[p]x is p x g.
    turn = np.cross(turned[..., None, :], shift)
    return np.concatenate([turn, shift], axis=-1)


def _robust_scale(length: Float[np.ndarray, "V S"], mask: Bool[np.ndarray, "V S"]) -> Float[np.ndarray, "V"]:
    """Deviation per axis of two-dimensional normal errors from the median of their lengths (1.177 sigma)."""
    ordered = np.sort(np.where(mask, length, np.inf), axis=1)
    count = mask.sum(axis=1)
    at = np.clip(count // 2, 0, mask.shape[1] - 1)
    median = np.where(count > 0, ordered[np.arange(len(at)), at], 0.0)
    return median / 1.1774


def _refined(
    rays: CornerRays, R: Float[np.ndarray, "V 3 3"], center: Float[np.ndarray, "V 3"]
) -> tuple[Float[np.ndarray, "V 3 3"], Float[np.ndarray, "V 3"], Float[np.ndarray, "V"]]:
    """Levenberg–Marquardt of all views side by side on the Cauchy loss of reprojection errors, its scale taken from
    each view's own median; and the rms of what is left without the outliers."""
    damping = np.full(len(R), 1e-4)
    state = _residual(rays, R, center)
    for _ in range(REFINEMENT_STEPS):
        residual, turned, depth = state
        square = (residual**2).sum(axis=-1)
        scale = 2.0 * np.maximum(_robust_scale(np.sqrt(square), rays.mask), NOISE_FLOOR_PX)
        with np.errstate(invalid="ignore"):
            weight = rays.mask / (1 + square / scale[:, None] ** 2)
        step = _step(rays, _jacobian(rays, turned, center, depth), residual, weight, damping)
        R_new, center_new = rotvecs_to_matrices(step[:, :3]) @ R, center + step[:, 3:]
        state_new = _residual(rays, R_new, center_new)
        square_new = (state_new[0] ** 2).sum(axis=-1)
        better = _loss(square_new, scale) <= _loss(square, scale)
        R, center = np.where(better[:, None, None], R_new, R), np.where(better[:, None], center_new, center)
        state = tuple(_where(better, new, old) for new, old in zip(state_new, state, strict=True))
        damping = np.where(better, damping / 10, damping * 30)
        if np.abs(step[better]).max(initial=0.0) < 1e-9:
            break
    return R, center, _inlier_rms(np.sqrt((state[0] ** 2).sum(axis=-1)), rays.mask)


def _where(better: np.ndarray, new: np.ndarray, old: np.ndarray) -> np.ndarray:
    return np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _loss(square: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.log1p(square / scale[:, None] ** 2).sum(axis=1)


def _step(
    rays: CornerRays, J: np.ndarray, residual: np.ndarray, weight: np.ndarray, damping: np.ndarray
) -> Float[np.ndarray, "V 6"]:
    n_views, slots = rays.mask.shape
    J = J.reshape(n_views, slots * 2, 6)
    weighted = J * np.repeat(weight, 2, axis=1)[..., None]
    normal = np.swapaxes(weighted, -1, -2) @ J
    finite = np.where(np.isfinite(residual), residual, 0.0).reshape(n_views, slots * 2, 1)
    gradient = np.swapaxes(weighted, -1, -2) @ finite
    diagonal = np.einsum("vii->vi", normal)
    diagonal += damping[:, None] * diagonal + 1e-12
    return -np.linalg.solve(normal, gradient)[..., 0]


def _inlier_rms(length: Float[np.ndarray, "V S"], mask: Bool[np.ndarray, "V S"]) -> Float[np.ndarray, "V"]:
    limit = OUTLIER_SIGMAS * np.maximum(_robust_scale(length, mask), NOISE_FLOOR_PX)
    inlier = mask & (length <= limit[:, None])
    count = inlier.sum(axis=1)
    total = (np.where(inlier, length, 0.0) ** 2).sum(axis=1)
    return np.where(count > 0, np.sqrt(total / np.maximum(count, 1)), np.inf)


def _information(rays: CornerRays, R: np.ndarray, center: np.ndarray) -> Float[np.ndarray, "V 6 6"]:
    residual, turned, depth = _residual(rays, R, center)
    length = np.linalg.norm(residual, axis=-1)
    limit = OUTLIER_SIGMAS * np.maximum(_robust_scale(length, rays.mask), NOISE_FLOOR_PX)
    inlier = rays.mask & (length <= limit[:, None])
    J = _jacobian(rays, turned, center, depth).reshape(len(R), -1, 6)
    return np.swapaxes(J * np.repeat(inlier, 2, axis=1)[..., None], -1, -2) @ J


def pose_normals(
    rays: CornerRays, R: Float[np.ndarray, "V 3 3"], center: Float[np.ndarray, "V 3"], loss_px: float | int = 3.0
) -> tuple[Float[np.ndarray, "V 6 6"], Float[np.ndarray, "V 6"], Float[np.ndarray, "V"]]:
    """Normal matrices, gradients and losses (Cauchy of that scale) of every view, by a turn about the board's middle
    and a shift, both in camera axes."""
    residual, turned, depth = _residual(rays, R, center)
    square = (residual**2).sum(axis=-1) / loss_px**2
    weight = np.repeat(rays.mask / (1 + square), 2, axis=1)[..., None]
    J = _jacobian(rays, turned, center, depth).reshape(len(R), -1, 6)
    weighted = np.swapaxes(J * weight, -1, -2)
    finite = np.where(np.isfinite(residual), residual, 0.0).reshape(len(R), -1, 1)
    return weighted @ J, (weighted @ finite)[..., 0], np.log1p(square).sum(axis=-1)
