"""A room that was never built: floor, walls, ceiling, what hangs on the walls, and its lamps and windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mocap.synthetic.rendering.lights import Lamp, Lighting, make_lamp
from mocap.synthetic.rendering.materials import FLOOR_GLOSS, FLOORS, WALLS, curtain, painting, trim, wood
from mocap.synthetic.rendering.textured import MeshBuilder
from mocap.synthetic.rendering.textures import Texture, plain
from mocap.synthetic.scene import Thing

LEVEL = 0.55
"""Mean radiance of a white ball in the middle of the room: mid-grey walls then show at about 0.25."""
STUDIO_SHARE = 0.2
MOST_LAMPS = 3
"""Every lamp costs shadow rays in every frame."""
LAMP_BELOW_CEILING_M = 0.02


@dataclass(frozen=True, eq=False)
class Room:
    """lower, upper: (3,) m, its inside. shell: floor, walls and ceiling (convex: they cast no shadows). decor: what is
    fixed to the walls. lighting: its lamps show as bright rectangles. floor: the material's name."""

    lower: Float[np.ndarray, "3"]
    upper: Float[np.ndarray, "3"]
    shell: tuple[Thing, ...]
    decor: tuple[Thing, ...]
    lighting: Lighting
    floor: str


def sample_room(
    rng: np.random.Generator,
    *,
    inside: Float[np.ndarray, "N 3"],
    floor: str | None = None,
    studio: bool | None = None,
    margin_m: float = 0.8,
) -> Room:
    """A room that holds all the points `inside` (people's paths, cameras; m).

    floor: one of `materials.FLOORS`, by default drawn. studio: dark curtains and ceiling; by default now and then.
    """
    studio = bool(rng.random() < STUDIO_SHARE) if studio is None else studio
    name = floor or str(rng.choice(list(FLOORS)))
    lower = np.minimum(inside.min(0), -1.5) - margin_m - rng.uniform(0, 1.2, 3)
    upper = np.maximum(inside.max(0), 1.5) + margin_m + rng.uniform(0, 1.2, 3)
    lower[2], upper[2] = 0.0, max(2.6, inside[:, 2].max() + 0.35) + rng.uniform(0, 0.4)
    wall = curtain(rng) if studio else WALLS[str(rng.choice(list(WALLS), p=[0.65, 0.2, 0.15]))](rng)
    ceiling = plain((0.03, 0.03, 0.03)) if studio else plain(tuple(rng.uniform(0.62, 0.8) * np.array([1, 0.99, 0.96])))
    ground = FLOORS[name](rng)
    lamps = _ceiling_lamps(rng, lower, upper)
    decor: list[Thing] = []
    if not studio:
        on_walls, windows = _furnish_walls(rng, lower, upper, MOST_LAMPS - len(lamps))
        decor += on_walls
        lamps += windows
    return Room(
        lower=lower,
        upper=upper,
        shell=_shell(lower, upper, (ground, wall, ceiling), FLOOR_GLOSS.get(name, 0.0)),
        decor=tuple(decor),
        lighting=_balanced(lamps, (ground, wall, ceiling), (lower + upper) / 2 * [1, 1, 0] + [0, 0, 1.2]),
        floor=name,
    )


def _shell(
    lower: Float[np.ndarray, "3"],
    upper: Float[np.ndarray, "3"],
    textures: tuple[Texture, Texture, Texture],
    gloss: float,
) -> tuple[Thing, Thing]:
    """Quads that are seen from inside: the floor, and the rest. textures: of floor, walls, ceiling."""
    x, y, z = upper - lower
    floor, mesh = MeshBuilder(textures[:1]), MeshBuilder(textures[1:])
    floor.quad((lower[0], upper[1], 0.0), (x, 0, 0), (0, -y, 0), 0)
    mesh.quad((lower[0], lower[1], z), (x, 0, 0), (0, y, 0), 1)
    for corner, across in _walls(lower, upper):
        mesh.quad((*corner, z), (*across, 0), (0, 0, -z), 0)
    return floor.thing(gloss=gloss), mesh.thing()


def _walls(
    lower: Float[np.ndarray, "3"], upper: Float[np.ndarray, "3"]
) -> list[tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]]:
    """Left end and the way to the right end of every wall, as seen from inside."""
    a, b = lower[:2], upper[:2]
    ends = [np.array([a[0], b[1]]), b, np.array([b[0], a[1]]), a]
    return [(ends[i], ends[(i + 1) % 4] - ends[i]) for i in range(4)]


def _ceiling_lamps(
    rng: np.random.Generator, lower: Float[np.ndarray, "3"], upper: Float[np.ndarray, "3"]
) -> list[Lamp]:
    count = int(rng.choice([1, 2, 2]))
    size = rng.uniform(0.25, 0.8, 2)
    warmth = rng.uniform(0.0, 0.18)
    along = int(np.argmax((upper - lower)[:2]))
    lamps = []
    for place in (np.arange(count) + 0.5) / count:
        centre = (lower + upper) / 2 + rng.uniform(-0.3, 0.3, 3)
        centre[along] += (place - 0.5) * 0.8 * (upper - lower)[along]
        centre[2] = upper[2] - LAMP_BELOW_CEILING_M
        radiance = np.array([1 + warmth, 1.0, 1 - warmth]) * rng.uniform(0.7, 1.3) / size.prod()
        lamps.append(make_lamp(centre, (size[0], 0, 0), (0, size[1], 0), radiance=radiance, rng=rng))
    return lamps


def _furnish_walls(
    rng: np.random.Generator, lower: Float[np.ndarray, "3"], upper: Float[np.ndarray, "3"], most: int
) -> tuple[list[Thing], list[Lamp]]:
    """Doors, `most` windows and pictures: each wall is cut into stretches of which each may hold one of them."""
    things, windows = [], []
    skirting = trim(rng)
    walls = _walls(lower, upper)
    bright = int(rng.integers(-2, 4))  # the wall with windows, if any
    for index, (start, way) in enumerate(walls):
        length = float(np.linalg.norm(way))
        frame = WallFrame(start, way / length)
        things.append(frame.board(0.0, length, (0.0, 0.08), 0.015, skirting))
        stretches = max(1, int(length / 2.4))
        for stretch in range(stretches):
            middle = (stretch + 0.5 + rng.uniform(-0.15, 0.15)) / stretches * length
            if index == bright and len(windows) < most:
                frame_thing, lamp = _window(rng, frame, middle, skirting)
                things.append(frame_thing)
                windows.append(lamp)
            else:
                things += _on_wall(rng, frame, middle)
    return things, windows


@dataclass(frozen=True, eq=False)
class WallFrame:
    """A wall as seen from inside. left: its left end on the floor, m. right: unit direction."""

    left: Float[np.ndarray, "2"]
    right: Float[np.ndarray, "2"]

    @property
    def inwards(self) -> Float[np.ndarray, "2"]:
        """Unit direction into the room."""
        return np.array([self.right[1], -self.right[0]])

    def at(self, along: float, height: float, out: float = 0.0) -> Float[np.ndarray, "3"]:
        """A point: m along the wall, above the floor, into the room."""
        return np.array([*(self.left + along * self.right + out * self.inwards), height])

    def board(
        self,
        start: float,
        end: float,
        heights: tuple[float, float],
        thickness: float,
        texture: Texture,
        *,
        upright: bool = False,
    ) -> Thing:
        """A slab on the wall. upright: the grain runs from the floor to the ceiling."""
        mesh = MeshBuilder([texture])
        width, height = (end - start) * np.array([*self.right, 0]), np.array([0, 0, heights[0] - heights[1]])
        out = thickness * np.array([*self.inwards, 0])
        corner = self.at(start, heights[1], thickness)
        if upright:
            mesh.quad(corner + width, height, -width)
        else:
            mesh.quad(corner, width, height)
        mesh.quad(corner - out, width, out)
        mesh.quad(corner + height, width, -out)
        mesh.quad(corner - out, out, height)
        mesh.quad(corner + width, -out, height)
        return mesh.thing()


def _on_wall(rng: np.random.Generator, frame: WallFrame, middle: float) -> list[Thing]:
    """A door, a picture, a notice board or nothing."""
    kind = rng.choice(["door", "picture", "picture", "shelf", "nothing", "nothing"])
    if kind == "door":
        edge, leaf = trim(rng), wood(rng)
        door = frame.board(middle - 0.45, middle + 0.45, (0.0, 2.03), 0.04, leaf, upright=True)
        return [frame.board(middle - 0.53, middle + 0.53, (0.0, 2.11), 0.03, edge), door]
    if kind == "picture":
        half, height = rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.9)
        bottom = rng.uniform(1.3, 1.5) - 0.3 * height
        canvas = painting(rng, (2 * half, height))
        border = frame.board(
            middle - half - 0.03, middle + half + 0.03, (bottom - 0.03, bottom + height + 0.03), 0.02, wood(rng)
        )
        return [border, frame.board(middle - half, middle + half, (bottom, bottom + height), 0.025, canvas)]
    if kind == "shelf":
        height = rng.uniform(1.3, 1.7)
        return [frame.board(middle - 0.5, middle + 0.5, (height, height + 0.03), 0.24, wood(rng))]
    return []


def _window(rng: np.random.Generator, frame: WallFrame, middle: float, edge: Texture) -> tuple[Thing, Lamp]:
    """A frame and the daylight in it."""
    half, height, sill = rng.uniform(0.5, 0.9), rng.uniform(1.0, 1.4), rng.uniform(0.8, 1.0)
    border = frame.board(middle - half - 0.06, middle + half + 0.06, (sill - 0.06, sill + height + 0.06), 0.03, edge)
    centre = frame.at(middle, sill + height / 2, 0.035)
    radiance = np.array([0.92, 1.0, 1.10]) * rng.uniform(0.5, 1.3) / (4 * half * height / 2)
    across, down = np.array([*(half * frame.right), 0]), np.array([0, 0, -height / 2])
    return border, make_lamp(centre, across, down, radiance=radiance, rng=rng)


def _balanced(lamps: Sequence[Lamp], textures: Sequence[Texture], centre: Float[np.ndarray, "3"]) -> Lighting:
    """Light thrown back by floor, walls and ceiling fills the shadows; all of it scaled to `LEVEL` in the middle."""
    ground, wall, ceiling = (_mean_colour(texture) for texture in textures)
    total = sum(lamp.radiance * lamp.area for lamp in lamps) * np.float32(0.017)
    above = (total * (0.10 + 0.55 * ceiling + 0.45 * wall)).astype(np.float32)
    below = (total * (0.06 + 0.60 * ground + 0.30 * wall)).astype(np.float32)
    lighting = Lighting(tuple(lamps), above, below)
    return lighting.scaled(LEVEL / lighting.level(centre.astype(np.float32)))


def _mean_colour(texture: Texture) -> Float[np.ndarray, "3"]:
    return texture.levels[-1].mean(axis=(0, 1)).astype(np.float64)
