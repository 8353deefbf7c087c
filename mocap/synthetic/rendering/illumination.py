"""How much of each lamp, and of the light from all around, reaches points: by a few shadow rays per point.

Neighbouring points use different places on the lamp, so that their mean is smooth; `turn` says which.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int

from mocap.synthetic.rendering.lights import ROUND, SAMPLES, Lamp, Lighting, sphere_directions
from mocap.synthetic.rendering.raycasting import Scene

DIRECTIONS = sphere_directions(64)[np.random.default_rng(5).permutation(64)]
"""Added to a normal they are spread by the cosine's law."""
NEARBY_M = 0.6
"""What is farther away counts as the light around."""
THROWN_BACK = 0.2
HIGHLIGHT = 0.12
"""Part of a lamp that a surface of gloss 1 mirrors when seen straight on; 1 when grazing (Schlick)."""
INV_PI = np.float32(1 / np.pi)


def lamp_share(
    lamp: Lamp,
    points: Float32[np.ndarray, "N 3"],
    normals: Float32[np.ndarray, "N 3"],
    scenes: Sequence[Scene],
    *,
    turn: Int[np.ndarray, "N"],
    rays: int,
) -> Float32[np.ndarray, "N"]:
    """Part of the lamp that nothing hides, 0 to 1; 0 where the surface faces away from it."""
    share = np.zeros(len(points), dtype=np.float32)
    for index in range(rays):
        way = np.take(lamp.points, (turn + ROUND * index + 5 * (index // 4)) % SAMPLES, axis=0) - points
        facing = (np.einsum("na,na->n", way, normals) > 0) & (way @ lamp.normal < 0)
        left = np.flatnonzero(facing)
        for scene in scenes:
            left = left[~scene.blocks(np.take(points, left, axis=0), np.take(way, left, axis=0))]
        share[left] += np.float32(1 / rays)
    return share


def open_share(
    points: Float32[np.ndarray, "N 3"],
    normals: Float32[np.ndarray, "N 3"],
    scenes: Sequence[Scene],
    *,
    turn: Int[np.ndarray, "N"],
    rays: int,
) -> Float32[np.ndarray, "N"]:
    """Part of the light from all around that arrives: directions, weighted by the cosine, in which nothing is near, and
    of the others what near surfaces throw back."""
    share = np.zeros(len(points), dtype=np.float32)
    for index in range(rays):
        towards = np.take(DIRECTIONS, (turn + index * len(DIRECTIONS) // rays) % len(DIRECTIONS), axis=0)
        way = normals + np.float32(0.98) * towards
        way *= np.float32(NEARBY_M) / np.sqrt(np.einsum("na,na->n", way, way))[:, None]
        left = np.arange(len(points))
        for scene in scenes:
            left = left[~scene.blocks(np.take(points, left, axis=0), np.take(way, left, axis=0))]
        share[left] += np.float32(1 / rays)
    return THROWN_BACK + np.float32(1 - THROWN_BACK) * share


def unblocked(
    lighting: Lighting, points: Float32[np.ndarray, "N 3"], normals: Float32[np.ndarray, "N 3"]
) -> Float32[np.ndarray, "N K 3"]:
    """Irradiance over pi from each lamp, and last from all around, if nothing were in between."""
    parts = np.empty((len(points), len(lighting.lamps) + 1, 3), dtype=np.float32)
    for index, lamp in enumerate(lighting.lamps):
        parts[:, index] = lamp.form_factor(points, normals)[:, None] * (lamp.radiance * INV_PI)
    parts[:, -1] = lighting.ambient(normals)
    return parts


def highlights(
    lighting: Lighting,
    points: Float32[np.ndarray, "N 3"],
    normals: Float32[np.ndarray, "N 3"],
    seen_along: Float32[np.ndarray, "N 3"],
    gloss: Float32[np.ndarray, "N"],
) -> Float32[np.ndarray, "N 3"]:
    """Radiance of lamps mirrored by glossy surfaces; `seen_along`: unit directions from the eye."""
    cosine = np.einsum("na,na->n", seen_along, normals)
    normals = np.where(cosine[:, None] > 0, -normals, normals)  # the side that is seen
    cosine = np.abs(cosine)
    reflected = seen_along + 2 * cosine[:, None] * normals
    strength = gloss * (np.float32(HIGHLIGHT) + np.float32(1 - HIGHLIGHT) * (1 - cosine) ** 5)
    total = np.zeros((len(points), 3), dtype=np.float32)
    softness = np.float32(0.04) + np.float32(0.25) * (1 - gloss) ** 2
    for lamp in lighting.lamps:
        part = lamp.mirrored(points, reflected, softness)
        lit = np.flatnonzero(part)
        total[lit] += (strength[lit] * part[lit])[:, None] * lamp.radiance
    return total
