"""Where a board was, and how it moved, at the moments at which it was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.errors import CalibrationError
from calibration.transforms import RigidTransform


@dataclass(frozen=True, eq=False)
class BoardMotion:
    """Poses of a board at M moments, and its velocities there.

    moment: (M,) strictly increasing, the numbers of `BoardObservations.view_moment`. time_s: (M,).
    R (M, 3, 3), t (M, 3) m: world_from_board. velocity: (M, 3) m/s of the board's origin, spin: (M, 3) rad/s, both in
    world axes; zero where nothing is known of them.
    """

    moment: Int[np.ndarray, "M"]
    time_s: Float[np.ndarray, "M"]
    R: Float[np.ndarray, "M 3 3"]
    t: Float[np.ndarray, "M 3"]
    velocity: Float[np.ndarray, "M 3"]
    spin: Float[np.ndarray, "M 3"]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in ("moment", "time_s", "R", "t", "velocity", "spin")}
        if len(lengths) != 1 or (np.diff(self.moment) <= 0).any():
            raise CalibrationError(
                "the moments of a board's motion are not increasing, or its columns differ in length"
            )

    def __len__(self) -> int:
        return len(self.moment)

    def at(
        self, moment: Int[np.ndarray, "V"], time_s: Float[np.ndarray, "V"]
    ) -> tuple[Float[np.ndarray, "V 3 3"], Float[np.ndarray, "V 3"]]:
        """world_from_board (R, t) at times near the given moments; NaN for moments that are not known."""
        row = np.minimum(np.searchsorted(self.moment, moment), max(len(self) - 1, 0))
        known = self.has(moment)
        ahead = np.where(known, time_s - self.time_s[row], np.nan)
        turned = rotvecs_to_matrices(self.spin[row] * ahead[:, None])
        return turned @ self.R[row], self.t[row] + self.velocity[row] * ahead[:, None]

    def has(self, moment: Int[np.ndarray, "V"]) -> Bool[np.ndarray, "V"]:
        """Whether the moments are known."""
        return np.isin(moment, self.moment)

    def moved(self, new_from_world: RigidTransform, scale: float | int = 1.0) -> BoardMotion:
        """The same motion in another world, whose lengths are `scale` times as long before it is turned and shifted."""
        turn = new_from_world.R
        return BoardMotion(
            self.moment,
            self.time_s,
            turn @ self.R,
            scale * self.t @ turn.T + new_from_world.t,
            scale * self.velocity @ turn.T,
            self.spin @ turn.T,
        )


def rotvecs_to_matrices(rotvec: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Rodrigues' formula for many, smooth at the zero angle."""
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(rotvec, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    half = np.sinc(angle / (2 * np.pi))
    return np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * half**2 * (cross @ cross)
