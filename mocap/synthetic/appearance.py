"""People as they look: a body with skin, hair and clothes on, ready to be posed and rendered.

Clothes are pieces of the body's own surface, smoothed, moved outwards and cut along their hems; the skin under them is
taken away. All colours are painted once into an atlas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int32
from scipy.sparse import csr_array

from mocap.synthetic.atlas import Atlas, make_atlas
from mocap.synthetic.body import Body
from mocap.synthetic.body_atlas import SIZE
from mocap.synthetic.cloth_paint import paint_bottom, paint_top
from mocap.synthetic.cuts import Cut, bottom_cut, top_cut
from mocap.synthetic.figure import Figure, make_figure
from mocap.synthetic.hair import hair_tiles, make_hair, paint_hair
from mocap.synthetic.lofts import (
    COLLAR_TILE,
    SHOE_TILE,
    SKIRT_TILE,
    make_collar,
    make_footwear,
    make_skirt,
    paint_collar,
    paint_footwear,
    paint_skirt,
    shoe_top_m,
)
from mocap.synthetic.outfit import Outfit, sample_outfit
from mocap.synthetic.pages import BOTTOM, EXTRA, HAIR, SKIN, TOP, tile_shape
from mocap.synthetic.patches import Patch, clipped, joined
from mocap.synthetic.patterns import step
from mocap.synthetic.skin_paint import eye_picture, eye_places, paint_skin

__all__ = ["DressedBody", "Outfit", "dress", "sample_outfit"]

EYE_TILE = (0.5, 0.375, 0.125, 0.125)
OVERLAP_M = 0.03
"""Skin that goes on beneath a hem."""
SUNK_M = 0.008
"""How deep that skin lies, so that it never comes through the cloth."""
BLUR = 1.0
"""Texels averaged per footprint; bilinear interpolation adds its own."""


@dataclass(frozen=True, eq=False)
class DressedBody:
    """A Surface with its vertices in the T-pose.

    vertices: (V, 3) m. weights: (V, J) on the joints of the body's skeleton, rows sum to 1. uv: (F, 3, 2) places of the
    faces' corners on their page (0 to 1, across and down). page: (F,) SKIN, TOP, BOTTOM, HAIR or EXTRA (eyes, shoes,
    skirts, loose hair, visors). texels_per_m: (F,).
    """

    outfit: Outfit
    vertices: Float32[np.ndarray, "V 3"]
    weights: csr_array
    faces: Int32[np.ndarray, "F 3"]
    uv: Float32[np.ndarray, "F 3 2"]
    page: Int32[np.ndarray, "F"]
    texels_per_m: Float32[np.ndarray, "F"]
    atlas: Atlas
    gloss: float = 0.0

    def albedo(
        self,
        face: Int32[np.ndarray, "N"],
        barycentric: Float32[np.ndarray, "N 3"],
        footprint_m: Float32[np.ndarray, "N"],
    ) -> Float32[np.ndarray, "N 3"]:
        """Diffuse colour, linear RGB; crisp where the footprint is small, averaged where it is large."""
        corners = np.take(self.uv, face, axis=0)
        place = corners[:, 0] * barycentric[:, :1]
        place += corners[:, 1] * barycentric[:, 1:2]
        place += corners[:, 2] * barycentric[:, 2:]
        texels = footprint_m * np.take(self.texels_per_m, face) * np.float32(BLUR)
        return self.atlas.sample(place, np.take(self.page, face), texels)


def dress(body: Body, outfit: Outfit) -> DressedBody:
    """The body in its clothes, in the T-pose. The same for the same outfit and shape."""
    figure = make_figure(body)
    top, bottom = top_cut(figure, outfit), bottom_cut(figure, outfit)
    mesh = joined(_pieces(figure, outfit, top, bottom))
    paints = (
        paint_skin(figure, outfit, np.maximum(top.field, bottom.field)),
        paint_top(figure, outfit, top),
        paint_bottom(figure, outfit, bottom),
        paint_hair(figure, outfit),
    )
    return DressedBody(
        outfit=outfit,
        vertices=mesh.vertices,
        weights=csr_array(mesh.weights.astype(np.float32)),
        faces=mesh.faces,
        uv=mesh.uv,
        page=mesh.page,
        texels_per_m=_texels_per_m(mesh),
        atlas=make_atlas([*map(figure.atlas.page, paints), _extras(figure, outfit)]),
    )


def _pieces(figure: Figure, outfit: Outfit, top: Cut, bottom: Cut) -> list[Patch]:
    skin = figure.skin
    pieces = [
        *_bare(figure, outfit, top, bottom),
        clipped(skin.moved(figure.shell + top.away).on_page(TOP), top.field),
        clipped(skin.moved(figure.shell + bottom.away).on_page(BOTTOM), bottom.field),
        *make_collar(figure, outfit, page=EXTRA),
        *make_hair(figure, outfit),
    ]
    if outfit.feet != "barefoot":
        pieces += make_footwear(figure, outfit, page=EXTRA)
    if outfit.bottom == "skirt":
        pieces.append(make_skirt(figure, outfit, page=EXTRA))
    return pieces


def _bare(figure: Figure, outfit: Outfit, top: Cut, bottom: Cut) -> list[Patch]:
    """Skin that clothes leave bare, and the eyes."""
    atlas, skin = figure.atlas, figure.skin
    eyes, mouth = atlas.parts["eyes"], atlas.parts["mouth"]
    covered = np.maximum(top.field, bottom.field) / figure.scale
    sunk = SUNK_M * figure.scale * step(covered, -0.005, 0.004)
    skin = skin.moved(skin.vertices - figure.skin_normals * sunk[:, None])
    field = (OVERLAP_M - covered) * figure.scale
    if outfit.feet != "barefoot":
        below = shoe_top_m(figure, outfit) - 0.025 * figure.scale
        field = np.minimum(field, figure.body.vertices[:, 2] - below)
    balls = skin.selected(eyes & (atlas.template[atlas.faces][..., 1].mean(1) < -0.12))
    places = eye_places(atlas.template[balls.source.indices][balls.faces])
    placed = np.array(EYE_TILE[:2], np.float32) + places * np.array(EYE_TILE[2:], np.float32)
    balls = Patch(balls.vertices, balls.weights, balls.faces, placed, balls.page * 0 + EXTRA, balls.source)
    return [_clipped_faces(skin, field, ~(eyes | mouth)), balls]


def _clipped_faces(skin: Patch, field: Float[np.ndarray, "V"], keep: np.ndarray) -> Patch:
    chosen = skin.selected(keep)
    return clipped(chosen.on_page(SKIN), (chosen.source @ field))


def _extras(figure: Figure, outfit: Outfit) -> Float32[np.ndarray, "s s 3"]:
    """The page of everything that is not cut out of the body."""
    page = np.zeros((SIZE, SIZE, 3), dtype=np.float32)
    pictures = {
        EYE_TILE: eye_picture(outfit, tile_shape(EYE_TILE)[0]),
        SHOE_TILE: paint_footwear(outfit, figure, tile_shape(SHOE_TILE)),
        COLLAR_TILE: paint_collar(outfit, tile_shape(COLLAR_TILE)),
        SKIRT_TILE: paint_skirt(outfit, tile_shape(SKIRT_TILE)),
        **hair_tiles(outfit),
    }
    for tile, picture in pictures.items():
        row, column = round(tile[1] * SIZE), round(tile[0] * SIZE)
        page[row : row + picture.shape[0], column : column + picture.shape[1]] = picture
    return page


def _texels_per_m(mesh: Patch) -> Float32[np.ndarray, "F"]:
    """How finely every face is painted."""
    p, q = mesh.vertices[mesh.faces], mesh.uv * np.float32(SIZE)
    area = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=-1)
    a, b = q[:, 1] - q[:, 0], q[:, 2] - q[:, 0]
    texels = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    return np.sqrt(texels / np.maximum(area, 1e-12)).clip(50, 20_000).astype(np.float32)


assert len((SKIN, TOP, BOTTOM)) == HAIR, "pages are made in this order"
