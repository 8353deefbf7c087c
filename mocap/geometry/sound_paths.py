"""Clocks of microphones from when they heard the same sounds, with the way of the sound through the air.

A sound made at time T at the place s arrives at microphone c when its clock says

    A = T + |s - m| / v + offset + drift (T - t0)

v is 343 m/s: 3 m are 9 ms. T is a sound's own unknown; so is its place, about which something is known beforehand.
Four microphones leave four unknowns a sound, so that arrivals alone never separate ways and offsets: what is known of
the places decides, and the covariance says by how much. Places share a common error (a person who is elsewhere than
thought stays there) and have one each. Arrivals that fit nothing are weighed down (Cauchy).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from mocap.core.errors import InputError

SPEED_M_PER_S = 343.0
"""Of sound in air at 20 °C; it grows by 0.18 % a degree."""
OUTLIER = 4.0
"""Deviations at which an arrival counts half as much (Cauchy's constant)."""
ITERATIONS = 12
LOOSE_S = 1e3
"""Standard deviation of an offset of which nothing is known."""


@dataclass(frozen=True, eq=False)
class SoundPlaces:
    """Where sounds come from. place_m: (N, 3) world. shared_sd_m: of an error that all have in common; own_sd_m: of
    each one's own, (N,)."""

    place_m: Float[np.ndarray, "N 3"]
    shared_sd_m: float
    own_sd_m: Float[np.ndarray, "N"]


@dataclass(frozen=True)
class ArrivalModel:
    """What is known beforehand, as standard deviations.

    pick_s: of an arrival itself: echoes, coding. drift: between clocks, seconds a second. path_m: of the way to a
    microphone whose place is unknown, for the whole take; wander_m: of what that changes by from sound to sound.
    """

    pick_s: float = 0.0006
    drift: float = 30e-6
    path_m: float = 1.5
    wander_m: float = 0.5


@dataclass(frozen=True, eq=False)
class SoundClocks:
    """Of C microphones against the reference, whose own are 0.

    offset_s, offset_sd_s: (C,) at reference time `middle_s`, and inf where nothing links a microphone to the reference.
    drift, drift_sd: (C,) seconds a second. scatter_s: robust spread of what is left of the arrivals. heard: (C,)
    number of sounds that count.
    """

    middle_s: float
    offset_s: Float[np.ndarray, "C"]
    offset_sd_s: Float[np.ndarray, "C"]
    drift: Float[np.ndarray, "C"]
    drift_sd: Float[np.ndarray, "C"]
    scatter_s: float
    heard: Float[np.ndarray, "C"]


def solve_sound_clocks(
    arrival_s: Float[np.ndarray, "N C"],
    reference: int,
    *,
    microphone_m: Float[np.ndarray, "C 3"] | None = None,
    places: SoundPlaces | None = None,
    model: ArrivalModel | None = None,
) -> SoundClocks:
    """Clocks of all microphones at once from the arrivals of N sounds (NaN where one was not heard).

    microphone_m, places: world, both or neither; without them the ways are as unknown as `model` says.
    """
    if (microphone_m is None) != (places is None):
        raise InputError("places of sounds and of microphones go together")
    known = np.isfinite(arrival_s) & (np.isfinite(arrival_s).sum(1, keepdims=True) >= 2)
    if not known.any():
        raise InputError("no sound was heard by two microphones")
    model, (n, c) = model or ArrivalModel(), arrival_s.shape
    sd = np.concatenate([np.full(c, LOOSE_S), np.full(c, model.drift), np.full(3, 1e-9)])
    sd[[reference, c + reference]] = 1e-12, 1e-15
    own, shared = model.wander_m / SPEED_M_PER_S, model.path_m / SPEED_M_PER_S
    if microphone_m is None or places is None:
        microphone_m, places = np.zeros((c, 3)), SoundPlaces(np.ones((n, 3)), 0.0, np.full(n, 1e-6))
    else:
        own = shared = 0.0
        sd[-3:] = max(places.shared_sd_m, 1e-9)
    heard = arrival_s[:, reference][known[:, reference]]
    middle = float(np.median(heard)) if len(heard) else 0.0
    return _Problem(arrival_s, known, reference, middle, microphone_m, places, (model.pick_s, own, shared), sd).solved()


@dataclass(frozen=True, eq=False)
class _Problem:
    """Unknowns: offsets (C), drifts (C), the shared error of places (3), with the standard deviations `prior_sd` about
    0. The reference's own are tied to 0. sd_s: of an arrival, of a way from sound to sound, and for the whole take."""

    arrival: Float[np.ndarray, "N C"]
    known: Bool[np.ndarray, "N C"]
    reference: int
    middle: float
    microphone: Float[np.ndarray, "C 3"]
    places: SoundPlaces
    sd_s: tuple[float, float, float]
    prior_sd: Float[np.ndarray, "p"]

    def solved(self) -> SoundClocks:
        """Least squares, reweighted so that arrivals far off count little (Cauchy)."""
        n, c = self.arrival.shape
        theta, place = np.zeros(2 * c + 3), self.places.place_m
        theta[:c] = self._start()
        weight = np.where(self.known, 1.0, 0.0)
        pick, own_sd, shared_sd = self.sd_s
        scatter, covariance = pick, np.eye(2 * c + 3)
        for _ in range(ITERATIONS):
            sigma = np.hypot(max(scatter, pick), own_sd)
            theta, covariance, place, left = self._step(theta, place, weight / sigma**2)
            count = max(int(self.known.sum()), 1)
            free = max(count - n - 2 * c, 0.25 * count)
            # The median of what is left, made wider for what the unknowns have taken up.
            scatter = 1.4826 * float(np.median(np.abs(left[self.known]))) * np.sqrt(count / free) if count else 0.0
            wide = OUTLIER * np.hypot(max(scatter, pick), own_sd)
            weight = np.where(self.known, 1 / (1 + (left / wide) ** 2), 0.0)
        variance = np.diag(covariance)
        offset_sd = np.sqrt(variance[:c] + np.where(np.arange(c) == self.reference, 0.0, 2 * shared_sd**2))
        return SoundClocks(
            middle_s=self.middle,
            offset_s=np.where(np.arange(c) == self.reference, 0.0, theta[:c]),
            offset_sd_s=np.where(variance[:c] > 0.01 * LOOSE_S**2, np.inf, offset_sd),
            drift=theta[c : 2 * c],
            drift_sd=np.sqrt(variance[c : 2 * c]),
            scatter_s=scatter,
            heard=weight.sum(0),
        )

    def _start(self) -> Float[np.ndarray, "C"]:
        """Medians of the differences to the mean of all, which is anchored at the reference afterwards."""
        shown = np.where(self.known, self.arrival, np.nan)
        base = np.where(self.known[:, self.reference], shown[:, self.reference], np.nan)
        usable = np.isfinite(shown - base[:, None]).any(0)
        start = np.zeros(shown.shape[1])
        start[usable] = np.nanmedian((shown - base[:, None])[:, usable], axis=0)
        return start

    def _step(
        self, theta: Float[np.ndarray, "p"], place: Float[np.ndarray, "N 3"], weight: Float[np.ndarray, "N C"]
    ) -> tuple[Float[np.ndarray, "p"], Float[np.ndarray, "p p"], Float[np.ndarray, "N 3"], Float[np.ndarray, "N C"]]:
        """Least squares about the present places; each sound's own time and place are eliminated (Schur)."""
        n, c = self.arrival.shape
        way = place[:, None] - self.microphone
        distance = np.linalg.norm(way, axis=-1)
        toward = way / distance[..., None] / SPEED_M_PER_S
        moved = place - self.places.place_m
        right = np.where(self.known, self.arrival - self.middle, 0.0) - distance / SPEED_M_PER_S
        right = right + (toward * moved[:, None]).sum(-1)
        late = np.where(self.known, self.arrival - self.middle - theta[:c], 0.0)
        late = (weight * late).sum(1) / np.maximum(weight.sum(1), 1e-30)
        design = np.zeros((n, c, 2 * c + 3))
        design[:, range(c), range(c)] = 1.0
        design[:, range(c), range(c, 2 * c)] = late[:, None]
        design[:, :, -3:] = toward
        own = np.concatenate([np.ones((n, c, 1)), toward], axis=-1)
        weighted = own * weight[..., None]
        inner = np.swapaxes(own, 1, 2) @ weighted
        inner[:, 0, 0] += 1e-6
        inner[:, range(1, 4), range(1, 4)] += (1 / np.maximum(self.places.own_sd_m, 1e-6) ** 2)[:, None]
        taken = np.linalg.solve(inner, np.swapaxes(weighted, 1, 2))  # (n, 4, c): from residuals to a sound's own
        precision = weight[..., None] * np.eye(c) - weighted @ taken
        normal = np.einsum("ncp,ncd,ndq->pq", design, precision, design, optimize=True) + np.diag(self.prior_sd**-2)
        total = np.einsum("ncp,ncd,nd->p", design, precision, right, optimize=True)
        scale = 1 / np.sqrt(np.diag(normal))
        covariance = np.linalg.inv(normal * scale * scale[:, None]) * scale * scale[:, None]
        found = covariance @ total
        residual = right - design @ found
        sound = np.einsum("nkc,nc->nk", taken, residual)
        left = np.where(self.known, residual - np.einsum("nck,nk->nc", own, sound), 0.0)
        return found, covariance, self.places.place_m + found[-3:] + sound[:, 1:], left


def nearest_to_axes(centers: Float[np.ndarray, "C 3"], axes: Float[np.ndarray, "C 3"]) -> Float[np.ndarray, "3"]:
    """The point that is nearest to all lines of sight (unit axes), least squares: what cameras look at."""
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    return np.linalg.lstsq(across.sum(0), np.einsum("cij,cj->i", across, centers), rcond=None)[0]
