"""What the board's ways before two cameras at a time tell: mirrored pictures, clips that do not run together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from calibration.diagnosis_findings import Finding, listed
from calibration.diagnosis_tracks import Tracks, aligned, best_shift

GOOD = 0.03
"""Misfit, of the distance, of two tracks that are one: depth of a small board is known to 1 or 2 %."""
FINE = 0.004
"""Below this there is nothing to explain: 12 mm at 3 m."""
LEAST_TIMED = 15
"""Moments that two cameras must share for a word about their clocks: fewer fit each other shifted, by chance."""
CLEARLY = 0.5
"""Another explanation must leave at most this share of the misfit."""
AGREED = 0.5
"""Moments to which delays between three cameras must add up."""
BACK = 0.8
"""Share of the views from one side, from which a camera is on that side."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """(C, C) of cameras: handed is 1 where tracks are one by a rotation, -1 by a reflection, 0 where that is not told.
    late: moments by which the second's clip runs behind the first's, where `timed`; `misfit` is left then, `before`
    was there."""

    handed: Int[np.ndarray, "C C"]
    late: Float[np.ndarray, "C C"]
    timed: np.ndarray
    before: Float[np.ndarray, "C C"]
    misfit: Float[np.ndarray, "C C"]


def compare(tracks: Tracks) -> Pairs:
    """Every two cameras that share some moments."""
    count = len(tracks.place)
    handed, late = np.zeros((count, count), dtype=np.int64), np.zeros((count, count))
    timed = np.zeros((count, count), dtype=bool)
    before, misfit = np.full((count, count), np.inf), np.full((count, count), np.inf)
    for a, b in combinations(range(count), 2):
        now = np.zeros(1, dtype=np.int64)
        as_seen, in_mirror = (aligned(tracks.place[a], tracks.place[b], now, mirrored=m) for m in (False, True))
        straight, flipped = float(as_seen.misfit[0]), float(in_mirror.misfit[0])
        handed[a, b] = handed[b, a] = _handed(straight, flipped)
        shift, left, was = 0.0, straight, straight
        if straight > FINE and as_seen.n[0] >= LEAST_TIMED and handed[a, b] != -1:
            shift, left, was = best_shift(tracks.place[a], tracks.place[b])
        if left < GOOD:
            timed[a, b] = timed[b, a] = True
            if shift and left < CLEARLY * was:
                late[a, b], late[b, a] = shift, -shift
        before[a, b] = before[b, a] = was
        misfit[a, b] = misfit[b, a] = left
    return Pairs(handed, late, timed, before, misfit)


def _handed(straight: float, flipped: float) -> int:
    if straight < min(GOOD, CLEARLY * flipped):
        return 1
    return -1 if flipped < min(GOOD, CLEARLY * straight) else 0


def mirrored(cameras: tuple[str, ...], tracks: Tracks, pairs: Pairs) -> list[Finding]:
    """Cameras whose pictures are flipped: the minority, or of two the one that sees the board from behind."""
    if not (pairs.handed < 0).any():
        return []
    names, certain = _minority(cameras, tracks, pairs)
    who = f"the picture of {listed(names)} is mirrored" if certain else f"one of {listed(names)} has mirrored pictures"
    what = (
        f"{who}: the board moves there as in a mirror of what the other cameras see. Switch off the mirroring "
        "(selfie view) of the camera, or flip its clips, also those of takes"
    )
    return [Finding("mirrored", "error", names, what)]


def _minority(cameras: tuple[str, ...], tracks: Tracks, pairs: Pairs) -> tuple[tuple[str, ...], bool]:
    side = _sides(pairs.handed)
    groups = [tuple(np.flatnonzero(side == s)) for s in (1, -1)]
    if len(groups[0]) != len(groups[1]):
        few = min(groups, key=len)
        return tuple(cameras[i] for i in few), True
    behind = [all(tracks.front[i] < 1 - BACK for i in group) for group in groups]
    if behind[0] != behind[1]:
        return tuple(cameras[i] for i in groups[0 if behind[0] else 1]), True
    return tuple(cameras[i] for group in groups for i in group), False


def _sides(handed: Int[np.ndarray, "C C"]) -> Int[np.ndarray, "C"]:
    """1 and -1 for cameras of either handedness, 0 for those tied to no other; best tied first."""
    side = np.zeros(len(handed), dtype=np.int64)
    start = int(np.argmax(np.abs(handed).sum(axis=1)))
    side[start] = 1
    for _ in range(len(handed)):
        votes = np.where(side == 0, handed @ side, 0)
        if not votes.any():
            break
        best = int(np.argmax(np.abs(votes)))
        side[best] = np.sign(votes[best])
    return side


def unsynchronized(cameras: tuple[str, ...], tracks: Tracks, pairs: Pairs) -> list[Finding]:
    """Clips that fit the others far better when shifted in time."""
    offset = _offsets(pairs)
    names = tuple(name for name, late in zip(cameras, offset, strict=True) if late)
    if not names:
        return []
    told = listed([_lateness(name, float(o), tracks.interval_s) for name, o in zip(cameras, offset, strict=True) if o])
    whole = bool((np.abs(offset) >= 1).any())
    remedy = (
        "Synchronize them (a clap, a flash, timestamps.csv), or cut them to begin at the same moment"
        if whole
        else "The solve corrects this for the clips; check the clocks of takes too"
    )
    what = f"the clips do not run together: {told} against the others. {remedy}"
    return [Finding("unsynchronized", "error" if whole else "warning", names, what)]


def _lateness(name: str, late: float, interval_s: float) -> str:
    frames = f"{abs(late):g} frame{'s' if abs(late) > 1 else ''}"
    return f"{name} is {frames} ({abs(late) * interval_s * 1000:.0f} ms) {'late' if late > 0 else 'early'}"


def _offsets(pairs: Pairs) -> Float[np.ndarray, "C"]:
    """Moments by which each clip is late against most; zero for those tied to no other.

    Every camera is tried as the reference; that counts which most pairs agree with, then the one that most clips run
    together with.
    """
    best, best_score = np.zeros(len(pairs.late)), (-1, -1)
    for reference in range(len(pairs.late)):
        offset = np.where(pairs.timed[reference], pairs.late[reference], 0.0)
        agree = int((np.abs(offset - offset[:, None] - pairs.late) <= AGREED)[pairs.timed].sum())
        together = int((offset[pairs.timed[reference]] == 0).sum())
        if (agree, together) > best_score:
            best, best_score = offset, (agree, together)
    return best
