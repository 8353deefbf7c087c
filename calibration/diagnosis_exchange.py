"""Two cameras under each other's name, told by where the board was: a wrong lens puts it too near or too far.

A single picture of a small board hardly tells a lens of 900 px from one of 1000; the ways of the board before several
cameras do, as they no longer lie on each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from jaxtyping import Float

from calibration.camera import Intrinsics
from calibration.diagnosis_findings import Finding, listed
from calibration.diagnosis_lenses import LensFits
from calibration.diagnosis_tracks import aligned, tracks_of
from calibration.observations import BoardObservations

MOST_MOMENTS = 80
"""Those that most cameras see."""
BETTER = 1.6
"""Factor by which tracks must fit better, in the mean over the pairs with these two cameras, times that by which single
views fit better, squared. Exchanged lenses that differ by 6 to 12 % reach 1.5 to 12 on synthetic rigs, right ones 1.2;
those that share hardly a moment are not told."""


def exchanged_by_tracks(it: BoardObservations, intrinsics: Mapping[str, Intrinsics], fits: LensFits) -> list[Finding]:
    """The two cameras whose exchange makes the tracks of all agree best, if it does so clearly."""
    candidates = [(a, b) for a, b in combinations(range(len(it.cameras)), 2) if _may_be(it, intrinsics, fits, a, b)]
    if not candidates or len(it.cameras) < 2:
        return []
    some = _best_moments(it)
    if not some.n_views:
        return []
    own = tracks_of(some, intrinsics).place
    gains = {}
    for a, b in candidates:
        one, two = it.cameras[a], it.cameras[b]
        changed = dict(intrinsics) | {one: intrinsics[two], two: intrinsics[one]}
        by_tracks = _gain(own, tracks_of(some, changed).place, (a, b))
        gains[a, b] = by_tracks + 2 * _views_gain(fits, a, b) if by_tracks > 0 else 0.0
    pair = max(gains, key=lambda key: gains[key])
    if gains[pair] < np.log(BETTER):
        return []
    names = (it.cameras[pair[0]], it.cameras[pair[1]])
    what = (
        f"{listed(names)} seem to be exchanged: with each other's lens they and the other cameras agree "
        "far better on where the board was. Check which clip is of which camera, and "
        "rename them"
    )
    return [Finding("exchanged", "error", names, what)]


def _may_be(it: BoardObservations, intrinsics: Mapping[str, Intrinsics], fits: LensFits, a: int, b: int) -> bool:
    one, two = intrinsics[it.cameras[a]], intrinsics[it.cameras[b]]
    if it.image_sizes[a] != it.image_sizes[b] or (one.lens == two.lens and np.array_equal(one.K, two.K)):
        return False
    return _views_gain(fits, a, b) > 0


def _views_gain(fits: LensFits, a: int, b: int) -> float:
    """Logarithm of the factor by which single views of two cameras fit better when exchanged."""
    rms = fits.rms_px[np.ix_((a, b), (a, b))]
    if not np.isfinite(rms).all():
        return 0.0
    return float(np.log(rms[0, 0] * rms[1, 1] / (rms[0, 1] * rms[1, 0])))


def _best_moments(it: BoardObservations) -> BoardObservations:
    moments, count = np.unique(it.view_moment, return_counts=True)
    order = np.argsort(-count, kind="stable")
    shared = order[count[order] > 1]
    step = max(len(shared) // MOST_MOMENTS, 1)
    return it.of_views(np.isin(it.view_moment, moments[shared[::step]]))


def _gain(before: Float[np.ndarray, "C M 4 3"], after: Float[np.ndarray, "C M 4 3"], pair: tuple[int, int]) -> float:
    """Mean over all pairs of cameras with one of these two of log(misfit before / after)."""
    now, gains = np.zeros(1, dtype=np.int64), []
    for a, b in combinations(range(len(before)), 2):
        if a in pair or b in pair:
            was, left = (float(aligned(tracks[a], tracks[b], now).misfit[0]) for tracks in (before, after))
            if np.isfinite(was) and np.isfinite(left):
                gains.append(np.log(max(was, 1e-6) / max(left, 1e-6)))
    return float(np.mean(gains)) if gains else 0.0
