"""Lamps and windows as bright rectangles, and the light that comes from everywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32

ROUND = 16
SAMPLES = 4 * ROUND
"""Places on a lamp that shadow rays go to; each round has one in every cell of a 4 x 4 grid."""
NEAREST_M = 0.3
"""Surfaces get no brighter than at this distance from a lamp; a lamp of a few points would burn spots into its wall."""


@dataclass(frozen=True, eq=False)
class Lamp:
    """A rectangle that shines to one side.

    centre: m. across, down: half of its sides, m; it shines towards `down x across`. radiance: linear RGB.
    points: (64, 3) spread over it.
    """

    centre: Float32[np.ndarray, "3"]
    across: Float32[np.ndarray, "3"]
    down: Float32[np.ndarray, "3"]
    radiance: Float32[np.ndarray, "3"]
    points: Float32[np.ndarray, "64 3"]

    @cached_property
    def normal(self) -> Float32[np.ndarray, "3"]:
        """Where it shines to."""
        normal = np.cross(self.down, self.across)
        return normal / np.linalg.norm(normal)

    @property
    def area(self) -> float:
        """m²."""
        return float(4 * np.linalg.norm(self.across) * np.linalg.norm(self.down))

    @property
    def radius(self) -> float:
        """Half its diagonal, m."""
        return float(np.hypot(np.linalg.norm(self.across), np.linalg.norm(self.down)))

    def form_factor(
        self, points: Float32[np.ndarray, "N 3"], normals: Float32[np.ndarray, "N 3"]
    ) -> Float32[np.ndarray, "N"]:
        """Irradiance per radiance of the unblocked lamp: four patches, each as a point."""
        total = np.zeros(len(points), dtype=np.float32)
        for a, b in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)):
            way = self.centre + np.float32(a) * self.across + np.float32(b) * self.down - points
            square = np.einsum("na,na->n", way, way)
            here = np.einsum("na,na->n", way, normals)
            there = way @ -self.normal
            both = np.maximum(here, 0) * np.maximum(there, 0)
            square = np.maximum(square, np.float32(NEAREST_M**2))
            total += both / (square * square)
        return total * np.float32(self.area / 4)

    def mirrored(
        self,
        points: Float32[np.ndarray, "N 3"],
        reflected: Float32[np.ndarray, "N 3"],
        softness: Float32[np.ndarray, "N"],
    ) -> Float32[np.ndarray, "N"]:
        """Part of the lamp in a mirror direction, 0 to 1, its edges softened by `softness` rad."""
        approach, apart = reflected @ -self.normal, (points - self.centre) @ self.normal
        left = np.flatnonzero((approach > 1e-4) & (apart > 0))
        way = apart[left] / approach[left]
        offset = np.take(points, left, axis=0) + way[:, None] * np.take(reflected, left, axis=0) - self.centre
        blur, covered = np.maximum(way * softness[left], np.float32(1e-3)), np.ones(len(left), dtype=np.float32)
        for half in (self.across, self.down):
            length = np.float32(np.linalg.norm(half))
            edge = np.maximum(blur, np.float32(0.02) * length)
            share = (length + edge - np.abs(offset @ (half / length))) / (2 * edge)
            near = np.flatnonzero(share > 0)
            left, offset, blur, covered = left[near], offset[near], blur[near], covered[near]
            share, edge = np.minimum(share[near], 1), edge[near]
            covered = covered * share * share * (3 - 2 * share) * np.minimum(length / edge, 1)
        part = np.zeros(len(points), dtype=np.float32)
        part[left] = covered
        return part


@dataclass(frozen=True, eq=False)
class Lighting:
    """All light of a room. from_above, from_below: radiance of what surrounds, mixed by a surface's tilt."""

    lamps: tuple[Lamp, ...]
    from_above: Float32[np.ndarray, "3"]
    from_below: Float32[np.ndarray, "3"]

    def ambient(self, normals: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
        """Irradiance over pi from all around, where nothing is near."""
        up = (0.5 + 0.5 * normals[:, 2])[:, None]
        return self.from_below + up * (self.from_above - self.from_below)

    def scaled(self, factor: float) -> Lighting:
        """The same light, stronger or weaker."""
        lamps = tuple(replace(lamp, radiance=lamp.radiance * np.float32(factor)) for lamp in self.lamps)
        return Lighting(lamps, self.from_above * np.float32(factor), self.from_below * np.float32(factor))

    def level(self, point: Float32[np.ndarray, "3"]) -> float:
        """Mean irradiance over pi of a white ball there: what a camera's exposure is chosen by."""
        tilt = np.linspace(-0.9, 0.9, 7, dtype=np.float32)
        turn = np.arange(7, dtype=np.float32) * np.float32(2.4)
        flat = np.sqrt(1 - tilt**2)
        normals = np.stack([flat * np.cos(turn), flat * np.sin(turn), tilt], axis=-1)
        points = np.repeat(point[None], len(normals), axis=0)
        light = self.ambient(normals)
        for lamp in self.lamps:
            light = light + lamp.form_factor(points, normals)[:, None] * lamp.radiance / np.float32(np.pi)
        return float(light.mean())


def make_lamp(
    centre: Sequence[float | int] | Float[np.ndarray, "3"],
    across: Sequence[float | int] | Float[np.ndarray, "3"],
    down: Sequence[float | int] | Float[np.ndarray, "3"],
    *,
    radiance: Sequence[float | int] | Float[np.ndarray, "3"],
    rng: np.random.Generator,
) -> Lamp:
    """A lamp with its sample points drawn."""
    cell = np.concatenate([rng.permutation(ROUND) for _ in range(4)])
    quarter = (np.arange(4)[:, None] + rng.integers(4, size=ROUND))[np.repeat(np.arange(4), ROUND), cell] % 4
    a = (cell // 4 + quarter // 2 / 2 + rng.random(SAMPLES) / 2) / 2 - 1
    b = (cell % 4 + quarter % 2 / 2 + rng.random(SAMPLES) / 2) / 2 - 1
    points = np.asarray(centre) + a[:, None] * np.asarray(across) + b[:, None] * np.asarray(down)
    return Lamp(
        centre=np.asarray(centre, dtype=np.float32),
        across=np.asarray(across, dtype=np.float32),
        down=np.asarray(down, dtype=np.float32),
        radiance=np.asarray(radiance, dtype=np.float32),
        points=points.astype(np.float32),
    )


def sphere_directions(count: int) -> Float32[np.ndarray, "count 3"]:
    """Evenly spread unit directions (a Fibonacci lattice)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.arange(count) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - z**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=-1).astype(np.float32)
