"""What the pictures alone tell: is the board seen, often enough, large enough, and does it move?"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from jaxtyping import Float

from calibration.diagnosis_findings import Finding, counted, listed
from calibration.observations import BoardObservations

FEWEST_VIEWS = 3
"""Two views of a plane leave a lens with hardly an equation to spare (Zhang 2000)."""
FEW_VIEWS = 8
"""Below this a few bad pictures decide."""
STILL_SHARE = 0.01
"""Of the picture's diagonal: a board whose corners stay within that, wherever it is seen, does not move."""
STILL_VIEWS = 15
"""Fewer views of one camera may all be of one second, in which the board hardly moved."""
SMALL_SHARE = 0.05
"""Of the picture's diagonal from corner to opposite corner of the board, in its largest views: 73 px of 1280 x 720,
squares of 9 px on a 5 x 7 board. Its far side is then 1 px smaller than its near one (tilted by 45°, three metres
away), which is all that tells the focal length."""
TINY_SHARE = 0.025
SAME_PX = 0.01
"""Corners of two cameras that agree to that are of one picture."""


def never_seen(it: BoardObservations) -> list[Finding]:
    """Cameras without a view of the board, and those with hardly one."""
    views = np.bincount(it.view_camera[it.corners_per_view > 0], minlength=len(it.cameras))
    if not views.any():
        what = "no camera ever sees the board. Check that its settings are those of the print, and that it is in view"
        return [Finding("never_seen", "error", it.cameras, what)]
    found = [_never(name) for name, count in zip(it.cameras, views, strict=True) if count == 0]
    few = [(name, int(n)) for name, n in zip(it.cameras, views, strict=True) if 0 < n < FEW_VIEWS]
    return found + [_few(name, count) for name, count in few]


def _never(name: str) -> Finding:
    what = (
        f"{name} never sees the board. Check that its clip shows the board, sharp and lit, and is of this session; "
        "wave the board where it looks"
    )
    return Finding("never_seen", "error", (name,), what)


def _few(name: str, count: int) -> Finding:
    what = (
        f"{name} sees the board in {counted(count, 'picture')} only. Record it for 20 seconds at least, moving and "
        "tilting it, in the view of two cameras at a time"
    )
    return Finding("few_views", "error" if count < FEWEST_VIEWS else "warning", (name,), what)


def static_board(it: BoardObservations) -> list[Finding]:
    """A board that lies or hangs still wherever it is seen says what one picture says."""
    still = {name: _extent(it, i) for i, name in enumerate(it.cameras)}
    seen = {name: extent for name, extent in still.items() if np.isfinite(extent)}
    names = tuple(name for name, extent in seen.items() if extent < STILL_SHARE)
    if not names:
        return []
    if len(names) == len(seen):
        what = (
            "the board does not move: all pictures show it in one place. Carry it through the whole space, slowly, "
            "tilted to all sides, near and far"
        )
        return [Finding("static_board", "error", (), what)]
    views = np.bincount(it.view_camera[it.corners_per_view > 0], minlength=len(it.cameras))
    names = tuple(name for name in names if views[it.index(name)] >= STILL_VIEWS)
    if not names:
        return []
    what = (
        f"the board does not move in {listed(names)}, though it does in other cameras. Check that the pictures are not "
        "one still picture, and that the board seen there is not another one, on a wall or the floor"
    )
    return [Finding("static_board", "error", names, what)]


def _extent(it: BoardObservations, camera: int) -> float:
    """How far corners move over the views, by the picture's diagonal: 90 % of them by less. NaN with a view or two."""
    rows = it.camera == camera
    if len(np.unique(it.view[rows])) < FEWEST_VIEWS:
        return float("nan")
    count = np.bincount(it.corner[rows], minlength=len(it.points))
    sums = np.stack([np.bincount(it.corner[rows], axis, len(it.points)) for axis in it.xy[rows].T], axis=-1)
    middle = sums / np.maximum(count, 1)[:, None]
    away = np.linalg.norm(it.xy[rows] - middle[it.corner[rows]], axis=-1)[count[it.corner[rows]] >= 2]
    return float(np.percentile(away, 90)) / float(np.hypot(*it.image_sizes[camera])) if len(away) else float("nan")


def small_board(it: BoardObservations) -> list[Finding]:
    """Cameras that see the board from far away only."""
    size = board_share(it)
    found = []
    for i, name in enumerate(it.cameras):
        mine = size[(it.view_camera == i) & np.isfinite(size)]
        largest = float(np.percentile(mine, 90)) if len(mine) else np.inf
        if largest < SMALL_SHARE:
            what = (
                f"{name} sees the board from far away only: from corner to corner it takes {largest:.0%} of the "
                f"picture's diagonal. Bring it closer, to {4 * SMALL_SHARE:.0%} or more, or print a larger one"
            )
            found.append(Finding("small_board", "error" if largest < TINY_SHARE else "warning", (name,), what))
    return found


def board_share(it: BoardObservations) -> Float[np.ndarray, "V"]:
    """The whole board's diagonal in every view by the picture's; NaN below four corners.

    By the spread of what is seen of it: RMS distance from the middle, in the picture and on the board.
    """
    count = np.maximum(it.corners_per_view, 1)[:, None]

    def spread(of: np.ndarray) -> np.ndarray:
        middle = np.stack([np.bincount(it.view, axis, it.n_views) for axis in of.T], axis=-1) / count
        square = ((of - middle[it.view]) ** 2).sum(axis=-1)
        return np.sqrt(np.bincount(it.view, square, it.n_views) / count[:, 0])

    whole = float(np.linalg.norm(np.ptp(it.points, axis=0)))
    diagonal = np.array([np.hypot(*size) for size in it.image_sizes])[it.view_camera]
    there = spread(it.points[it.corner])
    enough = (it.corners_per_view >= 4) & (there > 0)
    return np.where(enough, spread(it.xy) / np.where(enough, there, 1.0) * whole / diagonal, np.nan)


def same_clip(it: BoardObservations) -> list[Finding]:
    """Two cameras that saw the very same pictures."""
    found = []
    tables = [_by_place(it, i) for i in range(len(it.cameras))]
    for a, b in combinations(range(len(it.cameras)), 2):
        shared = tables[a].keys() & tables[b].keys()
        equal = sum(
            abs(tables[a][k][0] - tables[b][k][0]) + abs(tables[a][k][1] - tables[b][k][1]) < SAME_PX for k in shared
        )
        if len(shared) >= 4 and equal > 0.5 * len(shared):
            pair = (it.cameras[a], it.cameras[b])
            what = f"{listed(pair)} have the same pictures. Give each camera its own clip"
            found.append(Finding("same_clip", "error", pair, what))
    return found


def _by_place(it: BoardObservations, camera: int) -> dict[tuple[int, int], tuple[float, float]]:
    rows = np.flatnonzero(it.camera == camera)
    frames = it.view_frame[it.view[rows]].tolist()
    keys = zip(frames, it.corner[rows].tolist(), strict=True)
    return dict(zip(keys, map(tuple, it.xy[rows].tolist()), strict=True))
