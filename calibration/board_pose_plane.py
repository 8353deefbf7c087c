"""The two poses that the picture of a plane leaves open, in closed form (IPPE, Collins & Bartoli 2014)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from calibration.board_pose_rays import CornerRays

MINIMUM_CORNERS = 4
"""A homography has eight numbers, a corner gives two."""

FEWEST_TO_JUDGE = 7
"""With fewer corners there is no telling which of them is wrong: a pose fits any three."""

AFFINE = 1e-6
"""How lightly a homography is held to be affine (share of the squared spread of its points): four corners of which
three lie on a line leave its perspective open, and then decide nothing else."""

NARROW = 1e-3
"""Smallest to largest extent of the seen corners: below it they lie on a line and give no pose."""


def plane_poses(
    rays: CornerRays,
) -> tuple[Float[np.ndarray, "V 2 3 3"], Float[np.ndarray, "V 2 3"], Bool[np.ndarray, "V"]]:
    """R and the board's middle in camera axes, twice, and which views can be solved at all."""
    cam_from_view = _looking_along(rays.ray.sum(axis=2))
    local = np.swapaxes(rays.ray, -1, -2) @ cam_from_view
    point = np.ascontiguousarray(np.swapaxes(rays.point, -1, -2))
    in_front = rays.mask & (local[..., 2] > 0.05)
    xy = local[..., :2] / np.where(in_front, local[..., 2], 1.0)[..., None]
    weight = in_front.astype(np.float64)
    solvable = _spread_enough(point[..., :2], weight)
    weight[~solvable] = 0.0
    weight, H = _robust_homography(point[..., :2], xy, weight, solvable)
    R = _rotations_of_homography(H)
    center = np.stack([_middle(R[:, k], point, xy, weight, solvable) for k in range(2)], axis=1)
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
    judged = weight.sum(axis=1) >= FEWEST_TO_JUDGE
    for _ in range(4):
        H = _homography(board, xy, weight, solvable)
        mapped = board @ np.swapaxes(H[:, :, :2], -1, -2) + H[:, None, :, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.linalg.norm(mapped[..., :2] / mapped[..., 2:] - xy, axis=-1)
        error = np.nan_to_num(error, nan=1e3, posinf=1e3)
        scale = robust_scale(error, seen > 0)[:, None] + 1e-12
        weight = np.where(judged[:, None], seen / (1 + (error / (2.0 * scale)) ** 2), seen)
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
    gram = (gram + np.swapaxes(gram, -1, -2)) / 2 + AFFINE * np.diag([1.0, 1.0, 0.0])
    h3 = np.linalg.eigh(gram)[1][..., :1]
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


def robust_scale(length: Float[np.ndarray, "V S"], mask: Bool[np.ndarray, "V S"]) -> Float[np.ndarray, "V"]:
    """Deviation per axis of two-dimensional normal errors from the median of their lengths (1.177 sigma), and the
    factor for what a pose (three corners' worth) takes from few of them (Rousseeuw & Leroy 1987). Infinite where they
    are too few to be judged."""
    ordered = np.sort(np.where(mask, length, np.inf), axis=1)
    count = mask.sum(axis=1)
    at = np.clip(count // 2, 0, mask.shape[1] - 1)
    median = np.where(count > 0, ordered[np.arange(len(at)), at], 0.0)
    factor = 1 + 5 / np.maximum(count - 3, 1)
    return np.where(count >= FEWEST_TO_JUDGE, factor * median / 1.1774, np.inf)
