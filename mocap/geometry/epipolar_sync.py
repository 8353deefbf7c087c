"""How well the rays of two cameras meet when one of them is shifted in time.

Two rays of one point at one moment lie in a plane with the line between the cameras (the epipolar plane). With unit
rays a, b and the baseline c the volume c · (a x b) is 0 there; over the deviation that the noise of both rays gives it
(Sampson's first-order error on the sphere, and the second-order term, which counts where the cameras face each other)
it is a number z that is about standard normal at the right shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mocap.geometry.ray_tracks import RayTracks

CHUNK_ELEMENTS = 1 << 20
LEAST_SHARE = 0.1
"""Of the samples that are looked at: shifts with a smaller overlap count as if they had that much."""


@dataclass(frozen=True, eq=False)
class ShiftEvidence:
    """What speaks for every shift of camera b against camera a, for every person of each.

    offset_s (L,): stamp of b less stamp of a. evidence (Pa, Pb, L): points that meet, beyond what meets by chance, over
    the square root of those that were compared: a long overlap counts more, but not as its length.
    """

    offset_s: Float[np.ndarray, "L"]
    evidence: Float[np.ndarray, "Pa Pb L"]

    @property
    def best(self) -> Float[np.ndarray, "L"]:
        """Of the people of a together, each with whom of b fits, in standard deviations of all shifts: pairs of cameras
        that tell little have noise of their own."""
        together = self.evidence.max(1).sum(0)
        return together / max(float(together.std()), 1e-9)


def shift_evidence(
    a: RayTracks, b: RayTracks, *, around_s: float, search_s: float, most_samples: int, softness: float
) -> ShiftEvidence:
    """Evidence for shifts of b within `search_s` of `around_s`, on the common step of both grids.

    softness: deviations of the noise at which a point counts half; wide, as the step is coarse. At most `most_samples`
    moments of a are compared, those in which people move fastest.
    """
    step = a.step_s
    first = int(np.ceil((around_s - search_s - b.start_s + a.start_s) / step))
    last = int(np.floor((around_s + search_s - b.start_s + a.start_s) / step))
    shift = np.arange(first, last + 1)
    offset = b.start_s - a.start_s + step * shift
    curves = np.stack(
        [
            np.stack(
                [
                    _evidence(a, b, (p, q), shift, most_samples=most_samples, softness=softness)
                    for q in range(b.n_people)
                ]
            )
            for p in range(a.n_people)
        ]
    )
    return ShiftEvidence(offset, curves)


def _evidence(
    a: RayTracks,
    b: RayTracks,
    pair: tuple[int, int],
    shift: Int[np.ndarray, "L"],
    *,
    most_samples: int,
    softness: float,
) -> Float[np.ndarray, "L"]:
    p, q = pair
    moments = _fast_moments(a, p, most_samples)
    single = np.float32
    baseline = (b.origin - a.origin).astype(single)
    ray_a, ray_b = a.direction[p, moments].astype(single), b.direction[q].astype(single)
    across_a, across_b = np.cross(baseline, ray_a), np.cross(baseline, ray_b)
    var_a = (softness * a.noise[p, moments]).astype(single)[:, None] ** 2
    var_b = (softness * b.noise[q]).astype(single)[:, None] ** 2
    apart = single((baseline**2).sum())
    load_a, load_b = (across_a**2).sum(-1), (across_b**2).sum(-1)
    met, count = np.zeros(len(shift)), np.zeros(len(shift))
    rows = max(1, CHUNK_ELEMENTS // max(1, ray_a[..., 0].size))
    for start in range(0, len(shift), rows):
        index = moments + shift[start : start + rows, None]
        inside = (index >= 0) & (index < b.n_samples)
        index = np.where(inside, index, 0)
        squared = np.einsum("mjk,lmjk->lmj", across_a, ray_b[index]) ** 2
        var = var_b[index]
        spread = var_a * load_b[index] + var * load_a + apart * var_a * var
        meets = np.where(inside[..., None], spread / (spread + squared), np.nan)
        known = np.isfinite(meets)
        met[start : start + rows] = np.where(known, meets, 0).sum((1, 2))
        count[start : start + rows] = known.sum((1, 2))
    return _beyond_chance(met, count, ray_a[..., 0].size)


def _fast_moments(a: RayTracks, person: int, most: int) -> Int[np.ndarray, "M"]:
    """Samples that show the person, the fastest of every stretch of time."""
    seen = np.flatnonzero(np.isfinite(a.direction[person]).any((-1, -2)))
    if len(seen) <= most:
        return seen
    speed = a.speed[person][seen]
    parts = np.array_split(np.arange(len(seen)), most)
    return seen[[part[np.argmax(speed[part])] for part in parts]]


def _beyond_chance(met: Float[np.ndarray, "L"], count: Float[np.ndarray, "L"], most: int) -> Float[np.ndarray, "L"]:
    enough = count >= LEAST_SHARE * count.max(initial=0)
    if not most or not count.any():
        return np.zeros(len(met))
    chance = float(np.median(met[enough] / count[enough]))
    return (met - chance * count) / np.sqrt(count + LEAST_SHARE * most)
