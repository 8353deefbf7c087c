"""Small worlds with a known look, to render in tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.camera import Camera, Intrinsics
from calibration.lenses import Lens
from calibration.synthetic import camera_looking_at
from mocap.synthetic.rendering.lights import Lighting, make_lamp
from mocap.synthetic.rendering.room import Room
from mocap.synthetic.rendering.textured import MeshBuilder
from mocap.synthetic.rendering.textures import plain
from mocap.synthetic.scene import Thing

LENSES = {
    "pinhole": Intrinsics((160, 120), np.array([[170.0, 0, 77], [0, 172, 63], [0, 0, 1]]), np.zeros(5)),
    "distorted": Intrinsics(
        (160, 120), np.array([[150.0, 0, 84], [0, 151, 55], [0, 0, 1]]), np.array([-0.28, 0.09, 0.003, -0.002, 0.0])
    ),
    "fisheye": Intrinsics(
        (160, 120),
        np.array([[90.0, 0, 80], [0, 90, 60], [0, 0, 1]]),
        np.array([0.03, -0.01, 0.002, 0.0]),
        Lens.FISHEYE,
    ),
    "portrait": Intrinsics((90, 160), np.array([[165.0, 0, 46], [0, 165, 78], [0, 0, 1]]), np.zeros(5)),
}


@dataclass(frozen=True, eq=False)
class Uniform:
    """A surface of one colour."""

    faces: np.ndarray
    colour: float = 0.8
    gloss: float = 0.0

    def albedo(self, face, barycentric, footprint_m):
        return np.full((len(face), 3), self.colour, dtype=np.float32)


def camera(lens: str = "pinhole", center=(0.4, -3.0, 1.4), target=(0.0, 0.0, 1.0)) -> Camera:
    return camera_looking_at(lens, LENSES[lens], center=center, target=target)


def ball(place, radius: float = 0.05, colour: float = 0.9) -> Thing:
    """A sphere; its surface is new, so make one and move it with `moved`."""
    turn, tilt = np.meshgrid(np.linspace(0, 2 * np.pi, 25)[:-1], np.linspace(0, np.pi, 13))
    points = np.stack([np.cos(turn) * np.sin(tilt), np.sin(turn) * np.sin(tilt), np.cos(tilt)], axis=-1)
    m, n = tilt.shape
    index = np.arange(m * n).reshape(m, n)
    a, b = index[:-1].reshape(-1), index[1:].reshape(-1)
    c, d = np.roll(index[1:], -1, axis=1).reshape(-1), np.roll(index[:-1], -1, axis=1).reshape(-1)
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).astype(np.int32)
    vertices = radius * points.reshape(-1, 3) + place
    return Thing(Uniform(faces, colour), vertices.astype(np.float32))


def moved(thing: Thing, way) -> Thing:
    return Thing(thing.surface, (thing.vertices + np.asarray(way)).astype(np.float32), thing.smooth)


def block(lower, upper, colour: float = 0.6) -> Thing:
    """A box of one colour."""
    mesh = MeshBuilder([plain((colour, colour, colour))])
    mesh.box(lower, upper)
    return mesh.thing()


def empty_room(*, lamp: bool = False, walls: float = 0.0, half: float = 4.0) -> Room:
    """A box with floor z = 0, lit evenly from all around, or only by a small lamp 3 m above the origin."""
    mesh = MeshBuilder([plain((walls, walls, walls))])
    side, height = 2 * half, 3.5
    mesh.quad((-half, half, 0), (side, 0, 0), (0, -side, 0))
    mesh.quad((-half, -half, height), (side, 0, 0), (0, side, 0))
    for x, y in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        left = half * np.array([x, y]) + half * np.array([-y, x])
        mesh.quad((*left, height), side * np.array([y, -x, 0]), (0, 0, -height))
    lighting = Lighting((), np.full(3, 0.5, np.float32), np.full(3, 0.5, np.float32))
    if lamp:
        rng = np.random.default_rng(3)
        above = make_lamp((0, 0, 3.0), (0.1, 0, 0), (0, 0.1, 0), radiance=(200.0, 200.0, 200.0), rng=rng)
        dim = np.full(3, 0.05, dtype=np.float32)
        lighting = Lighting((above,), dim, dim)
    lower, upper = np.array([-half, -half, 0]), np.array([half, half, height])
    return Room(lower, upper, (mesh.thing(),), (), lighting, "plain")
