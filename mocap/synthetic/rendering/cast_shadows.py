"""The shadows that moving things cast on the room: rays from few pixels, spread over all of them."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int
from scipy.ndimage import maximum_filter1d

from mocap.synthetic.rendering.background import LIFT_M, Background
from mocap.synthetic.rendering.illumination import NEARBY_M, open_share
from mocap.synthetic.rendering.lens_rays import LensRays
from mocap.synthetic.rendering.lights import SAMPLES, Lamp, Lighting
from mocap.synthetic.rendering.raycasting import Scene
from mocap.synthetic.rendering.upsampling import Upsampler

CELLS = 96
"""Cells across the map of a lamp's half-space."""
APART_M = 0.05
"""Points of an outline lie this near to each other."""
TURNS = 9
"""Spots in a block of 3 x 3, each of which looks at other places on a lamp."""
CUBE_M = 0.2
"""Cells of the map of what is near a moving thing."""


class ShadowCatcher:
    """The background of one camera, ready for shadows."""

    def __init__(
        self, background: Background, lens: LensRays, lighting: Lighting, rng: np.random.Generator, *, rays: int
    ) -> None:
        spots = background.spots
        self._spots, self._lighting, self._rays = spots, lighting, rays
        self._upsampler = Upsampler(background, lens)
        self._size = spots.points.shape[:2]
        self._normals = spots.normals.reshape(-1, 3)
        self._start = spots.points.reshape(-1, 3) + np.float32(LIFT_M) * self._normals
        self._share = spots.share.reshape(len(self._start), -1, 3)
        lit = self._share.max(-1) > 0.004
        self._lit = [np.flatnonzero(lit[:, kind]) for kind in range(lit.shape[1])]
        self._maps = [_LampMap(lamp, self._start[mine]) for lamp, mine in zip(lighting.lamps, self._lit, strict=False)]
        self._cubes = _Cubes(self._start[self._lit[-1]])
        y, x = np.divmod(np.arange(len(self._start)), self._size[1])
        self._turn = rng.permutation(TURNS)[(y % 3) * 3 + x % 3]

    def darken(self, image: Float32[np.ndarray, "H W 3"], things: Scene, outline: Float32[np.ndarray, "n 3"]) -> None:
        """Takes from the background, in place, the light that things keep from it. outline: points all over them."""
        lost = np.zeros((*self._size, 3), dtype=np.float32)
        for kind in range(len(self._lighting.lamps)):
            mine = self._lit[kind][self._maps[kind].behind(outline)]
            self._add_shadow(lost, kind, mine, things)
        mine = self._lit[-1][self._cubes.near(outline)]
        points, normals, turn = self._start[mine], self._normals[mine], self._turn[mine]
        free = open_share(points, normals, [things], turn=turn, rays=4 * self._rays)
        self._spread(lost, -1, mine, 1 - free)
        self._apply(image, lost)

    def _add_shadow(self, lost: np.ndarray, kind: int, mine: Int[np.ndarray, "n"], things: Scene) -> None:
        """Adds what the things keep of one lamp from spots: a few rays each, and more where they disagree."""
        lamp = self._lighting.lamps[kind]
        few, more = self._rays, 3 * self._rays
        count = self._blocked(lamp, mine, things, range(few))
        if not count.any():
            return
        around = cv2.blur(self._field(mine, count), (5, 5), borderType=cv2.BORDER_REPLICATE).reshape(-1)[mine]
        unsure = np.flatnonzero((around > 0.01 * few) & (around < 0.99 * few))
        count *= np.float32(1 / few)
        total = count[unsure] * few + self._blocked(lamp, mine[unsure], things, range(few, more))
        count[unsure] = total / np.float32(more)
        self._spread(lost, kind, mine, count)

    def _blocked(self, lamp: Lamp, mine: Int[np.ndarray, "n"], things: Scene, rays: range) -> Float32[np.ndarray, "n"]:
        """How many of the rays from spots to a lamp meet things. Neighbours send theirs to different places on it."""
        start, turn = np.take(self._start, mine, axis=0), self._turn[mine]
        blocked = np.zeros(len(mine), dtype=np.float32)
        for index in rays:
            towards = np.take(lamp.points, (turn + TURNS * index) % SAMPLES, axis=0)
            blocked += things.blocks(start, towards - start)
        return blocked

    def _field(self, mine: Int[np.ndarray, "n"], values: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "h w"]:
        field = np.zeros(self._size, dtype=np.float32)
        field.reshape(-1)[mine] = values
        return field

    def _spread(
        self, lost: np.ndarray, kind: int, mine: Int[np.ndarray, "n"], blocked: Float32[np.ndarray, "n"]
    ) -> None:
        """Adds a loss, smoothed over 3 x 3 spots of those that were looked at."""
        if not blocked.any():
            return
        field, known = self._field(mine, blocked), self._field(mine, np.ones(len(mine), dtype=np.float32))
        rows, columns = _extent(field, margin=1)
        known = known[rows, columns]
        smooth, weight = (cv2.blur(f, (3, 3), borderType=cv2.BORDER_REPLICATE) for f in (field[rows, columns], known))
        smooth = smooth * known / np.maximum(weight, np.float32(0.1))
        lost[rows, columns] += smooth[..., None] * self._spots.share[rows, columns, kind]

    def _apply(self, image: np.ndarray, lost: np.ndarray) -> None:
        if not lost.any():
            return
        lost, y, x = self._upsampler.upsample(lost, *_extent(lost.sum(-1), margin=1))
        image[y, x] *= np.maximum(1 - lost, 0)


class _LampMap:
    """Which spots lie behind things as seen from a lamp: a coarse map of its half-space, stereographic."""

    def __init__(self, lamp: Lamp, spots: Float32[np.ndarray, "n 3"]) -> None:
        self._lamp = lamp
        self._axes = np.stack(
            [lamp.across / np.linalg.norm(lamp.across), lamp.down / np.linalg.norm(lamp.down)], axis=1
        )
        place, distance = self._place(spots)
        self._cell = self._cells(place)
        self._farthest = float(distance.max(initial=1.0))

    def _place(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        way = points - self._lamp.centre
        distance = np.sqrt(np.einsum("na,na->n", way, way))
        way = way / np.maximum(distance, 1e-6)[:, None]
        return (way @ self._axes) / np.maximum(1 + way @ self._lamp.normal, 0.2)[:, None], distance

    def _cells(self, place: np.ndarray) -> np.ndarray:
        column, row = np.clip((place * 0.48 + 0.5) * CELLS, 0, CELLS - 1).astype(np.int32).T
        return row * CELLS + column

    def behind(self, outline: Float32[np.ndarray, "n 3"]) -> Bool[np.ndarray, "m"]:
        """Spots that the things may hide from some part of the lamp."""
        place, distance = self._place(outline)
        cells = self._cells(place)
        distance = np.maximum(distance, 0.1)
        blur = self._lamp.radius * np.maximum(1 - distance / self._farthest, 0)
        scale = 0.48 * CELLS * (1 + np.minimum(np.einsum("na,na->n", place, place), 1.5)) / 2
        radius = np.ceil((APART_M + blur) / distance * scale)
        hidden = np.zeros((CELLS, CELLS), dtype=np.uint8)
        for limit, previous in ((2, 0), (4, 2), (7, 4), (12, 7), (24, 12), (CELLS, 24)):
            here = (radius > previous) & (radius <= limit) if limit < CELLS else radius > previous
            if here.any():
                points = np.zeros(CELLS * CELLS, dtype=np.uint8)
                points[cells[here]] = 1
                around = np.ones((2 * limit + 1, 2 * limit + 1), dtype=np.uint8)
                np.maximum(hidden, cv2.dilate(points.reshape(CELLS, CELLS), around), out=hidden)
        return hidden.reshape(-1)[self._cell] > 0


class _Cubes:
    """Which spots are near things: a coarse map of the room."""

    def __init__(self, spots: Float32[np.ndarray, "n 3"]) -> None:
        margin = NEARBY_M + 2 * CUBE_M
        self._lower = spots.min(0, initial=0.0) - margin if not len(spots) else spots.min(0) - margin
        upper = spots.max(0) + margin if len(spots) else self._lower + margin
        self._shape = tuple(int(n) for n in np.ceil((upper - self._lower) / CUBE_M) + 1)
        self._cell = self._cells(spots)

    def _cells(self, points: np.ndarray) -> np.ndarray:
        index = ((points - self._lower) / np.float32(CUBE_M)).astype(np.int32)
        x, y, z = np.clip(index, 0, np.array(self._shape) - 1).T
        return (x * self._shape[1] + y) * self._shape[2] + z

    def near(self, outline: Float32[np.ndarray, "n 3"]) -> Bool[np.ndarray, "m"]:
        """Spots within reach of the outline's points."""
        full = np.zeros(self._shape, dtype=np.uint8)
        full.reshape(-1)[self._cells(outline)] = 1
        for axis in range(3):
            full = maximum_filter1d(full, 2 * int(np.ceil(NEARBY_M / CUBE_M)) + 1, axis=axis)
        return full.reshape(-1)[self._cell] > 0


def _extent(field: Float32[np.ndarray, "h w"], margin: int) -> tuple[slice, slice]:
    """Rows and columns that hold something, with a margin."""
    found = []
    for axis, size in ((1, field.shape[0]), (0, field.shape[1])):
        places = np.flatnonzero(field.any(axis=axis))
        found.append(slice(max(int(places[0]) - margin, 0), min(int(places[-1]) + 1 + margin, size)))
    return found[0], found[1]
