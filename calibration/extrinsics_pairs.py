"""How two cameras stand to each other, from the moments at which both saw the board.

Every shared moment proposes up to four poses, because a plane leaves two open in each picture. The right ones agree
with each other over the moments and the wrong ones do not: proposals are voted on by how well a board placed by one
camera appears where the other saw it, and the winner is refined over all moments with robust weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.board_motion import rotvecs_to_matrices
from calibration.board_pose import ViewPoses
from calibration.extrinsics_views import PosedViews
from calibration.rotation_vectors import cross_matrices, rotvecs_of
from calibration.transforms import RigidTransform

MAX_PROPOSALS = 48
MAX_VOTERS = 64
VOTE_ANGLE = 0.03
"""Radians between a board's prediction and where it was seen, beyond which a moment is against a proposal: twice the
depth error of a small board (2 % of the distance), seen from the side, and a tenth of what a wrong solution gives."""

REFINEMENT_STEPS = 8
SETTLED = 1e-5
"""Radians and metres: a twentieth of what the best pairs are good to."""

NOISE_PX = 0.3
"""No view is trusted more than this per axis, however well few corners fit."""

STILL_TURN, STILL_SHIFT_M = 2e-3, 1e-3
TURN_PER_S, SHIFT_PER_S_M = 1.0, 0.5
"""How far a hand-held board moves between two pictures that were not taken at once: rad/s and m/s, beside what is left
when they were (lens errors)."""

AMBIGUOUS_TURN = 0.5
"""Radians of doubt in a pair whose moments cannot tell the two solutions of a plane apart."""

DISTINCT_TURN = 0.15
CLEARLY_BETTER = 0.5
"""Proposals further apart than this (rad) are different; half the residual decides between them without votes."""

MOST_SCATTER = 9.0
"""Moments that scatter by three times what is expected of them still agree; beyond, something else is wrong."""

CHI2_6_MEDIAN = 5.348
CHI2_6_99 = 16.81


@dataclass(frozen=True, eq=False)
class PairPose:
    """`second_from_first` of two cameras (indices), as their common moments tell it.

    covariance: (6, 6) of a small turn (rad) and shift (m) in the axes of the second camera, about `middle` (3,) m, the
    mean place of the board before it. places: (M, 3) m, of the board before the first camera, moments that agree only.
    n_moments: moments with a pose in both, n_agreeing: those that agree.
    """

    first: int
    second: int
    pose: RigidTransform
    covariance: Float[np.ndarray, "6 6"]
    middle: Float[np.ndarray, "3"]
    places: Float[np.ndarray, "M 3"]
    n_moments: int
    n_agreeing: int

    @property
    def variance_m2(self) -> float:
        """Expected squared error of where the second camera puts a board that the first one saw."""
        lever = self.pose.apply(self.places) - self.middle
        reach = (lever**2).sum(axis=-1).mean()
        turn, shift = self.covariance[:3, :3], self.covariance[3:, 3:]
        spread = lever.T @ lever / len(lever)
        return float(np.trace(shift) + reach * np.trace(turn) - np.trace(spread @ turn))

    @property
    def turn_std(self) -> float:
        """Standard deviation of the turn, rad, all axes together."""
        return float(np.sqrt(np.trace(self.covariance[:3, :3])))


@dataclass(frozen=True, eq=False)
class _Shared:
    """Poses of the board at M shared moments, both solutions (2), in both cameras (axis 0 of every array)."""

    R: Float[np.ndarray, "2 M 2 3 3"]
    center: Float[np.ndarray, "2 M 2 3"]
    covariance: Float[np.ndarray, "2 M 6 6"]
    exists: Bool[np.ndarray, "2 M 2"]
    rms_px: Float[np.ndarray, "2 M 2"]
    apart_s: Float[np.ndarray, "M"]

    def of(self, rows: Int[np.ndarray, "m"]) -> _Shared:
        return _Shared(
            self.R[:, rows],
            self.center[:, rows],
            self.covariance[:, rows],
            self.exists[:, rows],
            self.rms_px[:, rows],
            self.apart_s[rows],
        )


def pair_poses(views: PosedViews) -> list[PairPose]:
    """Every pair of cameras that share a moment, in the order of their indices."""
    covariance = _view_covariances(views.poses)
    outline = board_outline(views.observations.points)
    found = []
    for first in range(len(views.view)):
        for second in range(first + 1, len(views.view)):
            both = np.flatnonzero(views.there[first] & views.there[second])
            if len(both):
                shared = _shared(views, covariance, views.view[[first, second]][:, both])
                found.append(_pair_pose(first, second, shared, outline))
    return found


def board_outline(points: Float[np.ndarray, "K 3"]) -> Float[np.ndarray, "5 3"]:
    """The middle of a board and the ends of its two axes, from the middle: five points that stand for all corners."""
    half = (points.max(axis=0) - points.min(axis=0)) / 2
    return np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]) * half


def _view_covariances(poses: ViewPoses) -> Float[np.ndarray, "V 6 6"]:
    information = np.where(poses.known[:, None, None], poses.information, np.eye(6))
    noise = np.maximum(np.where(poses.known, poses.rms_px, 1.0) / np.sqrt(2), NOISE_PX)
    return np.linalg.inv(information + 1e-6 * np.eye(6)) * noise[:, None, None] ** 2


def _shared(views: PosedViews, covariance: Float[np.ndarray, "V 6 6"], rows: Int[np.ndarray, "2 M"]) -> _Shared:
    poses = views.poses
    R = np.stack([poses.R[rows], poses.R_second[rows]], axis=2)
    center = np.stack([poses.t[rows], poses.t_second[rows]], axis=2) + R @ views.middle
    exists = np.isfinite(center[..., 0])
    times = views.observations.view_time_s[rows]
    R = np.where(exists[..., None, None], R, np.eye(3))
    center = np.where(exists[..., None], center, 0.0)
    rms = np.stack([poses.rms_px[rows], poses.rms_second_px[rows]], axis=2)
    return _Shared(R, center, covariance[rows], exists, rms, np.abs(times[1] - times[0]))


def _pair_pose(first: int, second: int, shared: _Shared, outline: Float[np.ndarray, "5 3"]) -> PairPose:
    trust = np.argsort(np.trace(shared.covariance[..., 3:, 3:], axis1=-2, axis2=-1).sum(axis=0), kind="stable")
    R, t, ambiguous = _elected(shared.of(trust[:MAX_VOTERS]), outline)
    R, t, covariance, middle, agrees = _refined(shared, R, t)
    if ambiguous:
        covariance = covariance + np.diag([AMBIGUOUS_TURN**2] * 3 + [(AMBIGUOUS_TURN * middle[2]) ** 2] * 3)
    places = shared.center[0, agrees, 0] if agrees.any() else shared.center[0, :, 0]
    pose = RigidTransform(R, t)
    return PairPose(first, second, pose, covariance, middle, places, len(shared.apart_s), int(agrees.sum()))


def _elected(
    shared: _Shared, outline: Float[np.ndarray, "5 3"]
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"], bool]:
    """The proposal that most moments are for, and whether another one has as good a claim; moments come in the order of
    their trust."""
    R, t, rms = _proposals(shared)
    ahead = _disagreement(shared, R, t, outline, forward=True)
    back = _disagreement(shared, np.swapaxes(R, -1, -2), -np.einsum("hji,hj->hi", R, t), outline, forward=False)
    cost = np.minimum((ahead + back) / (2 * VOTE_ANGLE**2), 1.0).sum(axis=1)
    best = int(np.argmin(cost + 1e-3 * rms))
    other = np.linalg.norm(R - R[best], axis=(-2, -1)) / np.sqrt(2) > DISTINCT_TURN
    rival = other & (cost < cost[best] + 0.5) & (rms[best] > CLEARLY_BETTER * rms)
    return R[best], t[best], bool(rival.any())


def _proposals(
    shared: _Shared,
) -> tuple[Float[np.ndarray, "H 3 3"], Float[np.ndarray, "H 3"], Float[np.ndarray, "H"]]:
    """second_from_first of every combination of solutions, and how well (px) both fit their pictures."""
    one, two = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    R = shared.R[1][:, two] @ np.swapaxes(shared.R[0][:, one], -1, -2)
    t = shared.center[1][:, two] - np.einsum("mkij,mkj->mki", R, shared.center[0][:, one])
    exists = shared.exists[0][:, one] & shared.exists[1][:, two]
    rms = shared.rms_px[0][:, one] + shared.rms_px[1][:, two]
    return R[exists][:MAX_PROPOSALS], t[exists][:MAX_PROPOSALS], rms[exists][:MAX_PROPOSALS]


def _disagreement(
    shared: _Shared,
    R: Float[np.ndarray, "H 3 3"],
    t: Float[np.ndarray, "H 3"],
    outline: Float[np.ndarray, "5 3"],
    *,
    forward: bool,
) -> Float[np.ndarray, "H M"]:
    """Mean squared angle (rad²) between where a camera saw the board's outline and where it should have, as the other
    camera placed it, with the better of that camera's two solutions."""
    here, there = (0, 1) if forward else (1, 0)
    placed = shared.center[here][:, :, None] + outline @ np.swapaxes(shared.R[here], -1, -2)
    seen = shared.center[there][:, :1, None] + outline @ np.swapaxes(shared.R[there][:, :1], -1, -2)
    seen = np.broadcast_to(seen / np.linalg.norm(seen, axis=-1, keepdims=True), placed.shape)
    expected = R @ placed.reshape(-1, 3).T + t[:, :, None]
    length = np.sqrt((expected**2).sum(axis=1)) + 1e-300
    cosine = (expected * seen.reshape(-1, 3).T).sum(axis=1) / length
    square = 2 * (1 - cosine).reshape(len(R), *placed.shape[:3]).mean(axis=-1)
    return np.where(shared.exists[here], square, 4.0).min(axis=-1)


def _refined(
    shared: _Shared, R: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"]
) -> tuple[
    Float[np.ndarray, "3 3"],
    Float[np.ndarray, "3"],
    Float[np.ndarray, "6 6"],
    Float[np.ndarray, "3"],
    Bool[np.ndarray, "M"],
]:
    """Robustly weighted mean over the moments: pose, covariance about the middle, the middle, and who agrees."""
    information = np.linalg.inv(_error_covariances(shared, R))
    middle = np.median(shared.center[1][:, 0], axis=0)
    step = np.full(6, np.inf)
    for _ in range(REFINEMENT_STEPS):
        error, J, square = _errors(shared, R, t, middle, information)
        weighted = np.swapaxes(J, -1, -2) @ (information * _cauchy(square)[:, None, None])
        step = -np.linalg.solve((weighted @ J).sum(axis=0), (weighted @ error[..., None]).sum(axis=0))[:, 0]
        turn = rotvecs_to_matrices(step[:3])
        R, t = turn @ R, turn @ (t - middle) + middle + step[3:]
        if np.abs(step).max() < SETTLED:
            break
    _, J, square = _errors(shared, R, t, middle, information)
    normal = (np.swapaxes(J, -1, -2) @ (information * _cauchy(square)[:, None, None]) @ J).sum(axis=0)
    scale = max(float(np.median(square)) / CHI2_6_MEDIAN, 1.0)
    agrees = np.asarray(square < CHI2_6_99 * min(scale, MOST_SCATTER))
    return R, t, np.linalg.inv(normal) * scale, middle, agrees


def _cauchy(square: Float[np.ndarray, "M"]) -> Float[np.ndarray, "M"]:
    """Weights for squared errors (six numbers each, whitened), scaled by their own median."""
    scale = max(float(np.median(square)) / CHI2_6_MEDIAN, 1e-12)
    return 1 / (1 + square / (6 * scale))


def _error_covariances(shared: _Shared, R: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "M 6 6"]:
    """Of both views in the axes of the second camera, and of what the board moved between them."""
    turned = np.kron(np.eye(2), R)
    covariance = shared.covariance[1] + turned @ shared.covariance[0] @ turned.T
    turn = STILL_TURN**2 + (TURN_PER_S * shared.apart_s) ** 2
    shift = STILL_SHIFT_M**2 + (SHIFT_PER_S_M * shared.apart_s) ** 2
    diagonal = np.stack([turn] * 3 + [shift] * 3, axis=-1)
    return covariance + diagonal[:, :, None] * np.eye(6)


def _errors(
    shared: _Shared,
    R: Float[np.ndarray, "3 3"],
    t: Float[np.ndarray, "3"],
    middle: Float[np.ndarray, "3"],
    information: Float[np.ndarray, "M 6 6"],
) -> tuple[Float[np.ndarray, "M 6"], Float[np.ndarray, "M 6 6"], Float[np.ndarray, "M"]]:
    """Turn and shift of the board from where the first camera puts it to where the second sees it, for the likeliest
    of the four combinations of solutions, the derivative by a small turn (about the middle) and shift of the pose, and
    the squares in units of their deviation."""
    one, two = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    expected_R = R @ shared.R[0][:, one]
    expected = shared.center[0][:, one] @ R.T + t
    turn = rotvecs_of(shared.R[1][:, two] @ np.swapaxes(expected_R, -1, -2))
    error = np.concatenate([turn, shared.center[1][:, two] - expected], axis=-1)
    square = ((error @ information) * error).sum(axis=-1)
    square[~(shared.exists[0][:, one] & shared.exists[1][:, two])] = np.inf
    best = square.argmin(axis=1)
    rows = np.arange(len(best))
    J = np.tile(-np.eye(6), (len(best), 1, 1))
    J[:, 3:, :3] = cross_matrices(expected[rows, best] - middle)
    return error[rows, best], J, square[rows, best]
