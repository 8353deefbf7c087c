"""Moving points as one camera sees them: rays in the world on an even grid of the camera's own time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class RayTracks:
    """P people of J points in one camera.

    origin (3,) m: optical centre. start_s, step_s: stamps of the N samples. direction (P, N, J, 3): rays in the world,
    unit length but for smoothing, NaN where unseen; rate (P, N, J, 3): their change, 1/s. noise (P, N): expected
    deviation of a direction, rad.
    """

    origin: Float[np.ndarray, "3"]
    start_s: float
    step_s: float
    direction: Float[np.ndarray, "P N J 3"]
    rate: Float[np.ndarray, "P N J 3"]
    noise: Float[np.ndarray, "P N"]

    @property
    def n_people(self) -> int:
        """Tracks, each of one person."""
        return self.direction.shape[0]

    @property
    def n_samples(self) -> int:
        """Moments of the grid."""
        return self.direction.shape[1]

    @property
    def stamp_s(self) -> Float[np.ndarray, "N"]:
        """Stamps of the samples."""
        return self.start_s + self.step_s * np.arange(self.n_samples)

    @property
    def speed(self) -> Float[np.ndarray, "P N"]:
        """Mean speed of the points that are seen, in deviations of the noise per second; 0 where none is."""
        pace = np.linalg.norm(self.rate, axis=-1)
        seen = np.isfinite(pace)
        return np.where(seen, pace, 0.0).sum(-1) / np.maximum(seen.sum(-1), 1) / self.noise

    def at(
        self, stamp_s: Float[np.ndarray, "M"]
    ) -> tuple[Float[np.ndarray, "P M J 3"], Float[np.ndarray, "P M J 3"], Float[np.ndarray, "P M"]]:
        """Direction, its rate and the noise at any stamps by cubic Hermite polynomials; NaN outside and beside gaps."""
        place = (stamp_s - self.start_s) / self.step_s
        inside = (place >= 0) & (place <= self.n_samples - 1)
        left = np.clip(np.floor(np.where(inside, place, 0)).astype(np.int64), 0, max(self.n_samples - 2, 0))
        f = np.where(inside, place - left, np.nan)[:, None, None]
        x0, x1 = self.direction[:, left], self.direction[:, np.minimum(left + 1, self.n_samples - 1)]
        v0, v1 = (self.step_s * self.rate[:, k] for k in (left, np.minimum(left + 1, self.n_samples - 1)))
        rise = x1 - x0
        value = x0 + f * (v0 + f * (3 * rise - 2 * v0 - v1 + f * (v0 + v1 - 2 * rise)))
        rate = (v0 + f * (2 * (3 * rise - 2 * v0 - v1) + 3 * f * (v0 + v1 - 2 * rise))) / self.step_s
        return value, rate, self.noise[:, left]

    def people(self, numbers: list[int]) -> RayTracks:
        """Some of the people."""
        return RayTracks(
            self.origin, self.start_s, self.step_s, self.direction[numbers], self.rate[numbers], self.noise[numbers]
        )
