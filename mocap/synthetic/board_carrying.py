"""Someone carries a board through the space that cameras share, and shows it to them two by two."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from jaxtyping import Float

from calibration.boards import CharucoBoard
from calibration.camera import Rig
from mocap.core.errors import ConfigError
from mocap.synthetic.board_paths import FLOOR_M, Pace, Stop, board_middle, travelled
from mocap.synthetic.board_views import SightConfig, corners_in_view, square_px

CANDIDATES = 160
"""Places that are tried for every stop."""
HEIGHTS_M = (0.4, 1.9)
SPREAD = 0.55
"""Radius of the space that is walked through, as a share of the cameras' median distance from its middle."""
KEEP_AWAY_M = 0.7
"""Nobody holds the board nearer to a camera than that."""
READABLE_PX = 28.0
EASY_DEG = 56.0
"""Incidence that stops are looked for with, so that the way there and the tremor stay below 60°."""


def carry_through(
    rig: Rig, board: CharucoBoard, *, seconds: float, fps: float, rng: np.random.Generator, two_sided: bool = False
) -> Float[np.ndarray, "T 4 4"]:
    """A path through the shared space at varied heights, on which each pair of cameras is shown the board.

    Neighbours come first (about 2.5 s each), then ever wider pairs, then all again elsewhere. A board with one printed
    side is turned halfway between two cameras, and upward where they face each other, which helps if they hang high;
    with two_sided it is held across the line between such cameras.
    """
    if len(rig) < 2:
        raise ConfigError("a board is carried between cameras: the rig has but one", remedy="Wave it at the camera.")
    time = np.arange(max(1, round(seconds * fps))) / fps
    stops = _stops(rig, board, two_sided, rng)
    return travelled(stops, Pace(0.6, 65.0, 0.6, (0.3, 0.7)), board=board, time_s=time, rng=rng)


def shared_middle(rig: Rig) -> Float[np.ndarray, "3"]:
    """The point nearest to all optical axes, in front of the cameras; halfway between cameras that look in parallel."""
    axes = np.stack([camera.cam_from_world.R[2] for camera in rig])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    weak = 1e-3 * len(rig)  # where axes do not cross, near the point 3 m ahead of the cameras
    ahead = (rig.centers + 3.0 * axes).mean(0)
    return np.linalg.solve(across.sum(0) + weak * np.eye(3), np.einsum("cab,cb->a", across, rig.centers) + weak * ahead)


def pairs_by_width(rig: Rig) -> list[tuple[int, int]]:
    """Pairs of cameras, those that look from similar directions first: first round the rig, then the wider ones."""
    towards = rig.centers - shared_middle(rig)
    azimuth = np.arctan2(towards[:, 1], towards[:, 0])
    order = np.argsort(azimuth).tolist()
    neighbours = list(zip(order, [*order[1:], order[0]], strict=True))
    if len(rig) < 3 or _apart(azimuth, *neighbours[-1]) > np.deg2rad(150):
        neighbours.pop()  # an open row of cameras: the last is no neighbour of the first
    known = {frozenset(pair) for pair in neighbours}
    others = [pair for pair in combinations(range(len(rig)), 2) if frozenset(pair) not in known]
    return neighbours + sorted(others, key=lambda pair: _apart(azimuth, *pair))


def _apart(azimuth: Float[np.ndarray, "C"], a: int, b: int) -> float:
    return abs(float(np.angle(np.exp(1j * (azimuth[a] - azimuth[b])))))


def _stops(rig: Rig, board: CharucoBoard, two_sided: bool, rng: np.random.Generator) -> Iterator[Stop]:
    pairs, last = pairs_by_width(rig), shared_middle(rig)
    while True:
        for pair in pairs:
            stop = _best_stop(rig, board, pair, last, two_sided=two_sided, rng=rng)
            last = stop.middle
            yield stop


def _best_stop(
    rig: Rig,
    board: CharucoBoard,
    pair: tuple[int, int],
    last: Float[np.ndarray, "3"],
    *,
    two_sided: bool,
    rng: np.random.Generator,
) -> Stop:
    """Of places at random the one that shows both cameras most, near enough to the last stop, seen by others too."""
    height = rng.uniform(*HEIGHTS_M)
    middles = _places(rig, board, rng)
    normals = _normals(rig.centers[list(pair)], middles, two_sided)
    R = _rotations(normals + rng.normal(0, 0.06, normals.shape), rng)
    poses = np.tile(np.eye(4), (len(middles), 1, 1))
    poses[:, :3, :3] = R
    poses[:, :3, 3] = middles - R @ board_middle(board)
    sight = SightConfig(max_incidence_deg=EASY_DEG, two_sided=two_sided)
    whole = corners_in_view(rig, board, poses, sight) / board.n_corners
    large = np.minimum(np.abs(square_px(rig, board, poses)[list(pair)]).min(0) / READABLE_PX, 1.0)
    both = whole[list(pair)].min(0) * (1 + large)
    way = np.linalg.norm(middles - last, axis=-1)
    wrong = np.abs(middles[:, 2] - height)
    score = 4 * both + 0.3 * whole.sum(0) - 0.6 * way - 1.5 * wrong + rng.uniform(0, 0.5, len(middles))
    best = int(np.argmax(score))
    return Stop(R[best], middles[best])


def _places(rig: Rig, board: CharucoBoard, rng: np.random.Generator) -> Float[np.ndarray, "M 3"]:
    """Of the middle of the board, around the shared middle, away from floor and cameras."""
    middle = shared_middle(rig)
    away = np.linalg.norm((rig.centers - middle)[:, :2], axis=-1)
    radius, angle = SPREAD * np.median(away) * np.sqrt(rng.random(CANDIDATES)), rng.uniform(0, 2 * np.pi, CANDIDATES)
    lowest = FLOOR_M + float(np.hypot(*board.sheet_size_m(board.square_m / 2))) / 2
    height = rng.uniform(max(HEIGHTS_M[0], lowest), max(HEIGHTS_M[1], lowest + 0.1), CANDIDATES)
    flat = middle[:2] + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    places = np.column_stack([flat, height])
    clear = np.linalg.norm(places[:, None] - rig.centers, axis=-1).min(-1) > KEEP_AWAY_M
    return places[clear] if clear.any() else places


def _normals(
    centers: Float[np.ndarray, "2 3"], places: Float[np.ndarray, "M 3"], two_sided: bool
) -> Float[np.ndarray, "M 3"]:
    """Where the print looks to: halfway between two cameras, or at the first with its back to the second."""
    towards = centers[:, None] - places
    a, b = towards / np.linalg.norm(towards, axis=-1, keepdims=True)
    behind = two_sided & (np.einsum("ma,ma->m", a, b) < 0)
    normals = a + np.where(behind[:, None], -b, b)
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)


def _rotations(normals: Float[np.ndarray, "M 3"], rng: np.random.Generator) -> Float[np.ndarray, "M 3 3"]:
    """world_from_board for directions of the print, held about upright, rolled a little."""
    z = -normals / np.linalg.norm(normals, axis=-1, keepdims=True)
    # Upright, the print's down is the world's. Where the print looks up, the holder has its bottom edge before him: he
    # stands on the side that the print leans to.
    down = np.array([0.0, 0.0, -1.0]) + 0.5 * normals * [1.0, 1.0, 0.0] + rng.normal(0, 0.12, normals.shape)
    y = down - np.einsum("ma,ma->m", down, z)[:, None] * z
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    return np.stack([np.cross(y, z), y, z], axis=-1)
