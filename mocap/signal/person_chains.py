"""Pieces of a person's track in one camera put end to end over moments without a sighting."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from mocap.signal.tracklets import tracklets

LEAST_FRAMES = 4
"""Shorter pieces are nobody's."""
LONGEST_GAP_S = 1.0
FARTHEST = 0.6
"""Distance between the end of a piece and the start of the next, in sizes of the person, plus as much for a second."""


def person_chains(
    frame: Int[np.ndarray, "R"],
    track: Int[np.ndarray, "R"],
    xy: Float[np.ndarray, "R J 2"],
    size_px: Float[np.ndarray, "R"],
    *,
    stamp_s: Float[np.ndarray, "R"],
) -> Int[np.ndarray, "R"]:
    """Of one camera's sightings, sorted by frame: the number of the person each belongs to, the most seen first; -1 for
    pieces too short to be anybody. No two rows of one frame have the same number."""
    # Detectors that look at every n-th frame leave no neighbours but those.
    looked = np.unique(frame)
    stride = max(1, int(np.median(np.diff(looked)))) if len(looked) > 1 else 1
    frame = frame // stride
    piece = tracklets(frame, np.zeros_like(frame), track, xy, size_px)
    order = np.argsort(piece, kind="stable")
    ids, first, count = np.unique(piece[order], return_index=True, return_counts=True)
    start, end = order[first], order[first + count - 1]
    middle = np.nanmean(xy, axis=1)
    chains: list[list[int]] = []
    for number in np.lexsort((start, stamp_s[start])).tolist():
        if count[number] < LEAST_FRAMES:
            continue
        last = np.array([end[chain[-1]] for chain in chains], dtype=np.int64)
        gap = stamp_s[start[number]] - stamp_s[last]
        away = np.linalg.norm(middle[last] - middle[start[number]], axis=-1) / size_px[start[number]]
        fits = (gap > 0) & (gap <= LONGEST_GAP_S) & (away <= FARTHEST * (0.3 + gap))
        if fits.any():
            chains[int(np.argmin(np.where(fits, away + gap, np.inf)))].append(number)
        else:
            chains.append([number])
    chains.sort(key=lambda chain: -int(count[chain].sum()))
    owner = np.full(len(ids), -1)
    for number, chain in enumerate(chains):
        owner[chain] = number
    return owner[np.searchsorted(ids, piece)]
