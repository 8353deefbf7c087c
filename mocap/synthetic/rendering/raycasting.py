"""Open3D's ray casting with numpy arrays, one thread: whoever renders several cameras runs several processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32

from mocap.synthetic.extras import require

BEFORE_TARGET = 0.999
"""Part of the way to a target on which something counts as in between."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles at one moment, world, m."""

    vertices: Float32[np.ndarray, "V 3"]
    faces: Int32[np.ndarray, "F 3"]


@dataclass(frozen=True, eq=False)
class Hits:
    """What each ray meets first. distance: m, inf where nothing. mesh: -1 where nothing. barycentric: of the three
    vertices of the face."""

    distance: Float32[np.ndarray, "N"]
    mesh: Int32[np.ndarray, "N"]
    face: Int32[np.ndarray, "N"]
    barycentric: Float32[np.ndarray, "N 3"]

    def __getitem__(self, rows: Any) -> Hits:
        return Hits(*(np.take(part, rows, axis=0) for part in (self.distance, self.mesh, self.face, self.barycentric)))

    def __len__(self) -> int:
        return len(self.distance)


class Scene:
    """Meshes that rays are cast against."""

    def __init__(self, meshes: Sequence[Mesh]) -> None:
        self._open3d = require("open3d")
        self._scene = self._open3d.t.geometry.RaycastingScene(nthreads=1)
        self._empty = not any(len(mesh.faces) for mesh in meshes)
        self._mesh_of_geometry: list[int] = []
        for index, mesh in enumerate(meshes):
            if len(mesh.faces):
                self._add(mesh)
                self._mesh_of_geometry.append(index)

    def _add(self, mesh: Mesh) -> None:
        faces = np.ascontiguousarray(mesh.faces).view(np.uint32)
        self._scene.add_triangles(self._tensor(mesh.vertices), self._tensor(faces))

    def _tensor(self, array: np.ndarray) -> Any:
        array = np.ascontiguousarray(array)
        return self._open3d.core.Tensor.from_numpy(array if array.flags.writeable else array.copy())

    def cast(self, rays: Float32[np.ndarray, "N 6"]) -> Hits:
        """First hits. rays: origin (m), unit direction."""
        n = len(rays)
        if self._empty or n == 0:
            nothing = np.full(n, -1, dtype=np.int32)
            return Hits(np.full(n, np.inf, np.float32), nothing, nothing, np.zeros((n, 3), np.float32))
        found = self._scene.cast_rays(self._tensor(rays), nthreads=1)
        geometry = found["geometry_ids"].numpy().view(np.int32)  # 0xffffffff becomes -1
        uv = found["primitive_uvs"].numpy()
        barycentric = np.empty((n, 3), dtype=np.float32)
        barycentric[:, 1:] = uv
        np.subtract(1.0, uv[:, 0], out=barycentric[:, 0])
        barycentric[:, 0] -= uv[:, 1]
        mesh = np.array([*self._mesh_of_geometry, -1], dtype=np.int32)[geometry]
        return Hits(found["t_hit"].numpy(), mesh, found["primitive_ids"].numpy().view(np.int32), barycentric)

    def distance(self, rays: Float32[np.ndarray, "N 6"]) -> Float32[np.ndarray, "N"]:
        """Distances of first hits only, m; inf where nothing."""
        if self._empty or not len(rays):
            return np.full(len(rays), np.inf, dtype=np.float32)
        return self._scene.cast_rays(self._tensor(rays), nthreads=1)["t_hit"].numpy()

    def blocks(self, start: Float32[np.ndarray, "N 3"], way: Float32[np.ndarray, "N 3"]) -> Bool[np.ndarray, "N"]:
        """Whether something lies between start and start + way."""
        if self._empty or not len(start):
            return np.zeros(len(start), dtype=bool)
        rays = np.empty((len(start), 6), dtype=np.float32)
        rays[:, :3], rays[:, 3:] = start, way
        return self._scene.test_occlusions(self._tensor(rays), tfar=BEFORE_TARGET, nthreads=1).numpy()
