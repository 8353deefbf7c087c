"""What a ray to a point meets first: whether a point shows in a picture, without rendering it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from mocap.synthetic.rendering.raycasting import Mesh, Scene
from mocap.synthetic.scene import Thing


class Occlusion:
    """Things at one moment, in groups (a person, a board, all furniture): `names` in the order given."""

    def __init__(self, groups: Sequence[tuple[str | int, Sequence[Thing]]]) -> None:
        self.names = tuple(name for name, _ in groups)
        things = [(number, thing) for number, (_, members) in enumerate(groups) for thing in members]
        self._group = np.array([*(number for number, _ in things), -1], dtype=np.int64)
        self._scene = Scene([Mesh(thing.vertices, thing.surface.faces) for _, thing in things])

    def distances(
        self, origin: Float[np.ndarray, "*#batch 3"], points: Float[np.ndarray, "*#batch 3"]
    ) -> tuple[Float[np.ndarray, "*batch"], Int[np.ndarray, "*batch"]]:
        """How far from the origin something is met on the way to each point (m, world), and the index of its group.

        inf and -1 where nothing is met before the point, and where the point is NaN. Origins and points broadcast:
        (C, 1, 3) centres of cameras and (N, 3) points give (C, N).
        """
        way = np.asarray(points - origin, dtype=np.float64)
        length = np.linalg.norm(way, axis=-1)
        known = length > 0
        direction = np.where(known[..., None], way / np.where(known, length, 1.0)[..., None], [0.0, 0.0, 1.0])
        rays = np.concatenate(np.broadcast_arrays(origin, direction), axis=-1).astype(np.float32).reshape(-1, 6)
        hits = self._scene.cast(rays)
        distance = hits.distance.reshape(length.shape).astype(np.float64)
        before = known & (distance < length)
        return np.where(before, distance, np.inf), np.where(before, self._group[hits.mesh].reshape(length.shape), -1)
