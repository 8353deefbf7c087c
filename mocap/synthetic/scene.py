"""What a renderer draws: triangle meshes in the world, and what their surfaces look like wherever a ray meets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int32


@runtime_checkable
class Surface(Protocol):
    """The look of a mesh, independent of where its vertices are at the moment."""

    @property
    def faces(self) -> Int32[np.ndarray, "F 3"]:
        """Vertices of the triangles, counter-clockwise as seen from outside."""
        ...

    @property
    def gloss(self) -> float:
        """Strength of mirror-like highlights, 0 (matt) to 1 (laminated paper, varnish)."""
        ...

    def albedo(
        self,
        face: Int32[np.ndarray, "N"],
        barycentric: Float32[np.ndarray, "N 3"],
        footprint_m: Float32[np.ndarray, "N"],
    ) -> Float32[np.ndarray, "N 3"]:
        """Diffuse colour, linear RGB in [0, 1], at points of triangles.

        barycentric: weights of the triangle's three vertices. footprint_m: width on the surface of what one ray stands
        for, so that a texture can be blurred accordingly.
        """
        ...


@dataclass(frozen=True, eq=False)
class Thing:
    """A mesh at one moment. vertices: (V, 3) m, world. smooth: whether normals are interpolated over the triangles."""

    surface: Surface
    vertices: Float32[np.ndarray, "V 3"]
    smooth: bool = True
