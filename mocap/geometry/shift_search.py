"""Which offsets of several cameras fit together, from what speaks for every shift of every pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

Curve = tuple[Float[np.ndarray, "_"], Float[np.ndarray, "_"]]
"""Offsets (s, even) and the score of each."""
SWEEPS = 12
APART_S = 0.12
"""Offsets of one camera that are nearer than this are one answer."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """Offsets (C,) s of the cameras against the first, and the sum of the pairs' scores."""

    offset_s: Float[np.ndarray, "C"]
    score: float


def joint_candidates(curves: Mapping[tuple[int, int], Curve], n_cameras: int, *, most: int = 4) -> list[Candidate]:
    """Different answers, the best first: from every peak of every pair the other cameras are added where all pairs
    together speak most for them, then each moves in turn until none wants to (coordinate ascent).

    curves: of pairs (a, b), a < b: stamp of b less stamp of a.
    """
    if not curves:
        return []
    found: list[Candidate] = []
    for pair, (offset, score) in curves.items():
        for peak in peaks(offset, score, most=most):
            found.append(_grown(curves, n_cameras, pair, float(offset[peak])))
    found.sort(key=lambda candidate: -candidate.score)
    different: list[Candidate] = []
    for candidate in found:
        if all(np.abs(candidate.offset_s - other.offset_s).max() > APART_S for other in different):
            different.append(candidate)
    return different[:most]


def peaks(offset_s: Float[np.ndarray, "L"], score: Float[np.ndarray, "L"], *, most: int) -> list[int]:
    """The highest local maxima, highest first, at least `APART_S` from each other."""
    padded = np.pad(score, 1, constant_values=-np.inf)
    tops = np.flatnonzero((score >= padded[:-2]) & (score > padded[2:]))
    chosen: list[int] = []
    for top in tops[np.argsort(-score[tops])].tolist():
        if all(abs(offset_s[top] - offset_s[other]) > APART_S for other in chosen):
            chosen.append(top)
        if len(chosen) == most:
            break
    return chosen


def profile(
    curves: Mapping[tuple[int, int], Curve],
    offset_s: Float[np.ndarray, "C"],
    camera: int,
    placed: Bool[np.ndarray, "C"],
) -> Curve | None:
    """Score of every offset of one camera where those that are `placed` stay; None where no pair ties it to them."""
    base, total = None, None
    for (a, b), (lags, score) in curves.items():
        if camera not in (a, b) or not placed[b if camera == a else a]:
            continue
        own, values = (lags + offset_s[a], score) if camera == b else (offset_s[b] - lags[::-1], score[::-1])
        if base is None:
            base, total = own, values.copy()
        else:
            total = total + np.interp(base, own, values, left=0.0, right=0.0)
    return None if base is None or total is None else (base, total)


def _grown(curves: Mapping[tuple[int, int], Curve], n_cameras: int, pair: tuple[int, int], offset: float) -> Candidate:
    place, placed = np.zeros(n_cameras), np.zeros(n_cameras, dtype=bool)
    place[pair[1]] = offset
    placed[list(pair)] = True
    while not placed.all():
        ways = {c: profile(curves, place, c, placed) for c in np.flatnonzero(~placed).tolist()}
        ties = {c: way for c, way in ways.items() if way is not None}
        if not ties:
            break
        camera = max(ties, key=lambda c: float(ties[c][1].max()))
        place[camera] = ties[camera][0][int(np.argmax(ties[camera][1]))]
        placed[camera] = True
    place = _settled(curves, place, placed)
    total = sum(
        float(np.interp(place[b] - place[a], lags, score, left=0, right=0)) for (a, b), (lags, score) in curves.items()
    )
    return Candidate(np.where(placed, place - place[0], np.nan), total)


def _settled(
    curves: Mapping[tuple[int, int], Curve], place: Float[np.ndarray, "C"], placed: Bool[np.ndarray, "C"]
) -> Float[np.ndarray, "C"]:
    """Each camera where the others want it, in turn."""
    for _ in range(SWEEPS):
        before = place.copy()
        for camera in np.flatnonzero(placed)[1:].tolist():
            others = placed.copy()
            others[camera] = False
            way = profile(curves, place, camera, others)
            if way is not None:
                place[camera] = way[0][int(np.argmax(way[1]))]
        if np.array_equal(before, place):
            break
    return place
