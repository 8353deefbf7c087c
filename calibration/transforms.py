"""Rigid transforms. `b_from_a` maps coordinates of frame a into frame b: `x_b = R @ x_a + t`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from calibration.errors import CalibrationError

ORTHONORMAL_TOLERANCE = 1e-4
"""Files carry six to eight digits; a matrix off by more than this is not a rounded rotation."""

ORTHONORMAL_EXACT = 8 * np.finfo(np.float64).eps
"""Below this a matrix is a rotation to the last bit and is left alone, so that copies do not drift."""


def nearest_rotation(matrix: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """The proper rotation nearest in Frobenius norm (orthogonal Procrustes)."""
    u, _, vt = np.linalg.svd(matrix)
    return u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt


def rotvec_to_matrix(rotvec: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Rodrigues' formula, with sin(a)/a and (1 - cos(a))/a² written so that the zero angle needs no branch."""
    angle = np.linalg.norm(rotvec)
    x, y, z = rotvec
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * cross @ cross


def matrix_to_rotvec(R: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3"]:
    """Axis-angle, 0 <= angle <= pi, through the quaternion whose largest component is divided by.

    `cv2.Rodrigues` returns zero for rotations below 1e-5 rad and is off by as much near pi (0.02 px at a focal length
    of 2000); this is accurate to rounding at every angle. At exactly pi the sign of the axis is free.
    """
    w, *axis = _quaternion(R)
    axis = np.array(axis) if w >= 0 else -np.array(axis)
    sine = np.linalg.norm(axis)
    if sine == 0:
        return np.zeros(3)
    return axis * (2 * np.arctan2(sine, abs(w)) / sine)


def _quaternion(R: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4"]:
    """Unit quaternion wxyz (Shepperd 1978): four candidates 4 q_i q, of which the longest is free of cancellation."""
    m = R
    candidates = np.array(
        [
            [1 + m[0, 0] + m[1, 1] + m[2, 2], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], 1 + m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
            [m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], 1 - m[0, 0] + m[1, 1] - m[2, 2], m[1, 2] + m[2, 1]],
            [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], 1 - m[0, 0] - m[1, 1] + m[2, 2]],
        ]
    )
    longest = candidates[np.argmax(np.diag(candidates))]
    return longest / np.linalg.norm(longest)


@dataclass(frozen=True, eq=False)
class RigidTransform:
    """A proper rotation `R` (3, 3) and a translation `t` (3,) in metres. Rounded rotations are made exact."""

    R: Float[np.ndarray, "3 3"]
    t: Float[np.ndarray, "3"]

    def __post_init__(self) -> None:
        R = np.array(self.R, dtype=np.float64)
        t = np.array(self.t, dtype=np.float64).reshape(-1)
        if R.shape != (3, 3) or t.shape != (3,) or not np.isfinite(R).all() or not np.isfinite(t).all():
            raise CalibrationError("a pose needs a finite 3x3 rotation and a finite translation")
        error = float(np.abs(R @ R.T - np.eye(3)).max())
        if error > ORTHONORMAL_TOLERANCE or np.linalg.det(R) < 0:
            raise CalibrationError(
                f"not a rotation matrix: |R R^T - I| = {error:.2g}, det = {np.linalg.det(R):.3f}",
                remedy="Check whether the file stores a mirrored axis or a scale in the matrix.",
            )
        object.__setattr__(self, "R", R if error <= ORTHONORMAL_EXACT else nearest_rotation(R))
        object.__setattr__(self, "t", t)

    @staticmethod
    def identity() -> RigidTransform:
        return RigidTransform(np.eye(3), np.zeros(3))

    @staticmethod
    def from_rotvec(rotvec: Float[np.ndarray, "3"], t: Float[np.ndarray, "3"]) -> RigidTransform:
        """From an axis-angle vector in radians (OpenCV's `rvec`) and a translation in metres."""
        return RigidTransform(rotvec_to_matrix(np.asarray(rotvec, dtype=np.float64)), np.asarray(t, dtype=np.float64))

    @property
    def rotvec(self) -> Float[np.ndarray, "3"]:
        """Axis-angle in radians, 0 <= angle <= pi."""
        return matrix_to_rotvec(self.R)

    @property
    def matrix(self) -> Float[np.ndarray, "4 4"]:
        matrix = np.eye(4)
        matrix[:3, :3] = self.R
        matrix[:3, 3] = self.t
        return matrix

    def inverse(self) -> RigidTransform:
        """`a_from_b` of a `b_from_a`."""
        return RigidTransform(self.R.T, -self.R.T @ self.t)

    def apply(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
        """Map points of frame a into frame b."""
        return points @ self.R.T + self.t

    def __matmul__(self, other: RigidTransform) -> RigidTransform:
        """`c_from_b @ b_from_a = c_from_a`."""
        return RigidTransform(self.R @ other.R, self.R @ other.t + self.t)
