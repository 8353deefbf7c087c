"""Pairs of cameras as arrays: what a solution contradicts, and the equations of their average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.extrinsics_pairs import PairPose
from calibration.rotation_vectors import cross_matrices, rotvecs_of

MAX_TURN = np.radians(5.0)
MAX_SHIFT_SHARE = 0.05
"""Contradiction beyond noise: a focal length wrong by 3 % shifts by 3 % of the distance and is no outlier; a board
taken for its mirror pose turns by tens of degrees."""

SIGMAS = 3.0
GROSS_TURN, GROSS_SHIFT_SHARE = np.radians(30.0), 0.3
"""No uncertainty excuses a pair for contradicting by more."""


@dataclass(frozen=True, eq=False)
class PairTable:
    """E pairs of `n_cameras` cameras, by rows of these.

    R, t: second_from_first. middle: (E, 3) m, where the board was, before the second camera; information: (E, 6, 6) of
    a turn about it and a shift. place, spread: mean (m) and covariance (m²) of where it was before the first camera.
    turn_variance (rad²), shift_variance (m²): of where the second camera puts what the first one saw.
    """

    n_cameras: int
    first: Int[np.ndarray, "E"]
    second: Int[np.ndarray, "E"]
    R: Float[np.ndarray, "E 3 3"]
    t: Float[np.ndarray, "E 3"]
    middle: Float[np.ndarray, "E 3"]
    information: Float[np.ndarray, "E 6 6"]
    place: Float[np.ndarray, "E 3"]
    spread: Float[np.ndarray, "E 3 3"]
    turn_variance: Float[np.ndarray, "E"]
    shift_variance: Float[np.ndarray, "E"]
    n_agreeing: Int[np.ndarray, "E"]

    @staticmethod
    def of(cameras: Sequence[int], pairs: Sequence[PairPose]) -> PairTable:
        """Pairs between these cameras, whose rows are their places in `cameras`."""
        row = {camera: k for k, camera in enumerate(cameras)}
        return PairTable(
            len(row),
            np.array([row[pair.first] for pair in pairs]),
            np.array([row[pair.second] for pair in pairs]),
            np.stack([pair.pose.R for pair in pairs]),
            np.stack([pair.pose.t for pair in pairs]),
            np.stack([pair.middle for pair in pairs]),
            np.linalg.inv(np.stack([pair.covariance for pair in pairs])),
            np.stack([pair.places.mean(axis=0) for pair in pairs]),
            np.stack([np.cov(pair.places.T, bias=True) for pair in pairs]),
            np.array([pair.turn_std**2 for pair in pairs]),
            np.array([pair.variance_m2 for pair in pairs]),
            np.array([pair.n_agreeing for pair in pairs]),
        )

    def of_rows(self, rows: Int[np.ndarray, "F"]) -> PairTable:
        """Some pairs of the same cameras."""
        arrays = [getattr(self, f.name)[rows] for f in fields(self)[1:]]
        return PairTable(self.n_cameras, *arrays)

    def chained(
        self, tree: Sequence[int]
    ) -> tuple[Float[np.ndarray, "C 3 3"], Float[np.ndarray, "C 3"], Float[np.ndarray, "C 2"]]:
        """Poses along a tree of pairs in the axes of camera 0, and the variances (rad², m²) added up on the way."""
        R, t, variance = np.zeros((self.n_cameras, 3, 3)), np.zeros((self.n_cameras, 3)), np.zeros((self.n_cameras, 2))
        R[0], known, left = np.eye(3), {0}, list(tree)
        while left:
            i = next(i for i in left if self.first[i] in known or self.second[i] in known)
            left.remove(i)
            one, two = int(self.first[i]), int(self.second[i])
            if one in known:
                R[two], t[two], new, old = self.R[i] @ R[one], self.R[i] @ t[one] + self.t[i], two, one
            else:
                R[one], t[one], new, old = self.R[i].T @ R[two], self.R[i].T @ (t[two] - self.t[i]), one, two
            variance[new] = variance[old] + (self.turn_variance[i], self.shift_variance[i])
            known.add(new)
        return R, t, variance

    def solved(
        self, R: Float[np.ndarray, "C 3 3"], t: Float[np.ndarray, "C 3"]
    ) -> tuple[Float[np.ndarray, "E 3 3"], Float[np.ndarray, "E 3"]]:
        """second_from_first of every pair, as poses of the cameras have it."""
        R_solved = R[self.second] @ np.swapaxes(R[self.first], -1, -2)
        return R_solved, t[self.second] - (R_solved @ t[self.first][..., None])[..., 0]

    def contradictions(
        self, R: Float[np.ndarray, "C 3 3"], t: Float[np.ndarray, "C 3"]
    ) -> tuple[Float[np.ndarray, "E"], Float[np.ndarray, "E"]]:
        """Turn (rad) and shift (m, rms where the board was) between each pair and the cameras' poses."""
        return self.differences(*self.solved(R, t), slice(None))

    def differences(
        self, R: Float[np.ndarray, "F 3 3"], t: Float[np.ndarray, "F 3"], rows: Int[np.ndarray, "F"] | slice
    ) -> tuple[Float[np.ndarray, "F"], Float[np.ndarray, "F"]]:
        """Turn (rad) and shift (m) between other poses of some pairs and their own."""
        turn = np.linalg.norm(rotvecs_of(R @ np.swapaxes(self.R[rows], -1, -2)), axis=-1)
        off = R - self.R[rows]
        shift = (off @ self.place[rows][..., None])[..., 0] + t - self.t[rows]
        around = np.trace(off @ self.spread[rows] @ np.swapaxes(off, -1, -2), axis1=-2, axis2=-1)
        return turn, np.sqrt((shift**2).sum(axis=-1) + np.maximum(around, 0.0))

    def agrees(self, tree: Sequence[int]) -> Bool[np.ndarray, "E"]:
        """Pairs within their own uncertainty and that of the paths between their cameras, beside an allowance; those of
        the tree do by themselves."""
        R, t, variance = self.chained(tree)
        turn, shift = self.contradictions(R, t)
        agrees = self._is_close(turn, shift, variance[self.first] + variance[self.second], slice(None))
        agrees[list(tree)] = True
        return agrees

    def triangle_share(self) -> Float[np.ndarray, "E"]:
        """Of the triangles that a pair is part of, how many close; 1 for pairs without triangles."""
        at = np.full((self.n_cameras, self.n_cameras), -1)
        at[self.first, self.second] = np.arange(len(self.first))
        i, j, k = (np.ravel(axis) for axis in np.indices((self.n_cameras,) * 3))
        sides = np.stack([at[i, j], at[j, k], at[i, k]])
        ij, jk, ik = sides[:, (sides >= 0).all(axis=0)]
        R = self.R[jk] @ self.R[ij]
        t = (self.R[jk] @ self.t[ij][..., None])[..., 0] + self.t[jk]
        slack = np.stack([self.turn_variance, self.shift_variance], axis=-1)
        closes = self._is_close(*self.differences(R, t, ik), slack[ij] + slack[jk], ik)
        total, closed = np.zeros(len(self.first)), np.zeros(len(self.first))
        for side in (ij, jk, ik):
            np.add.at(total, side, 1.0)
            np.add.at(closed, side, closes.astype(np.float64))
        return np.where(total > 0, closed / np.maximum(total, 1.0), 1.0)

    def _is_close(
        self,
        turn: Float[np.ndarray, "F"],
        shift: Float[np.ndarray, "F"],
        slack: Float[np.ndarray, "F 2"],
        rows: Int[np.ndarray, "F"] | slice,
    ) -> Bool[np.ndarray, "F"]:
        distance = np.sqrt((self.place[rows] ** 2).sum(axis=-1))
        turn_limit = MAX_TURN + SIGMAS * np.sqrt(self.turn_variance[rows] + slack[:, 0])
        shift_limit = MAX_SHIFT_SHARE * distance + SIGMAS * np.sqrt(self.shift_variance[rows] + slack[:, 1])
        close = turn < np.minimum(turn_limit, GROSS_TURN)
        return close & (shift < np.minimum(shift_limit, GROSS_SHIFT_SHARE * distance))

    def normal_equations(
        self, R: Float[np.ndarray, "C 3 3"], t: Float[np.ndarray, "C 3"]
    ) -> tuple[Float[np.ndarray, "U U"], Float[np.ndarray, "U"]]:
        """Of the turn and shift, at the board's middle, from where each pair puts it to where the poses do; by a turn
        and a shift of every camera in its own axes. Cauchy weights."""
        R_solved, t_solved = self.solved(R, t)
        inner = (np.swapaxes(self.R, -1, -2) @ (self.middle - self.t)[..., None])[..., 0]
        moved = (R_solved @ inner[..., None])[..., 0] + t_solved
        error = np.concatenate([rotvecs_of(R_solved @ np.swapaxes(self.R, -1, -2)), moved - self.middle], axis=-1)
        square = (error[:, None] @ self.information @ error[..., None])[:, 0, 0]
        information = self.information / (1 + square / (6 * SIGMAS**2))[:, None, None]
        # The second camera turns the place where the board appears, the first one the place it comes from.
        J = np.zeros((len(error), 6, 2, 6))
        J[:, :3, 0, :3] = J[:, 3:, 0, 3:] = -R_solved
        J[:, 3:, 0, :3] = R_solved @ cross_matrices(inner)
        J[:, :3, 1, :3] = J[:, 3:, 1, 3:] = np.eye(3)
        J[:, 3:, 1, :3] = -cross_matrices(moved)
        weighted = np.swapaxes(J.reshape(-1, 6, 12), -1, -2) @ information
        at = 6 * np.stack([self.first, self.second], axis=1)[..., None] + np.arange(6)
        at = at.reshape(-1, 12)
        normal, gradient = np.zeros((6 * len(R),) * 2), np.zeros(6 * len(R))
        np.add.at(normal, (at[:, :, None], at[:, None, :]), weighted @ J.reshape(-1, 6, 12))
        np.add.at(gradient, at, (weighted @ error[..., None])[..., 0])
        return normal, gradient
