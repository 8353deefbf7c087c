"""Hair: the scalp lifted into a shell, and loose hair, tails, buns and caps put on the head."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from mocap.synthetic.figure import Figure
from mocap.synthetic.head_frame import HeadFrame, head_frame
from mocap.synthetic.loose_hair import make_loose_hair
from mocap.synthetic.outfit import Outfit
from mocap.synthetic.pages import EXTRA, HAIR, Tile, tile_shape
from mocap.synthetic.patches import Patch, clipped, subdivided
from mocap.synthetic.patterns import fractal, noise, step
from mocap.synthetic.skin_paint import scalp_field

STRANDS_TILE: Tile = (0.0, 0.0, 0.5, 0.5)
CAP_TILE: Tile = (0.5, 0.25, 0.25, 0.125)
CAP_M = 0.016
CROWN = np.array([0.0, -0.015, 0.849])
TAIL = ((0.03, 0.772, 0.014), (0.055, 0.775, 0.016), (0.08, 0.765, 0.024), (0.1, 0.73, 0.029), (0.103, 0.68, 0.029),
        (0.1, 0.63, 0.026), (0.098, 0.58, 0.02), (0.097, 0.54, 0.01), (0.097, 0.53, 0.002))  # fmt: skip
"""y, z, radius of a ponytail along its length, m on the mean head."""


def make_hair(figure: Figure, outfit: Outfit) -> list[Patch]:
    """Everything on the head, by the outfit's style."""
    frame = head_frame(figure)
    pieces = []
    if outfit.hair_style not in ("bald", "shaved"):
        pieces.append(_shell(figure, outfit))
    if outfit.hair_style in ("long", "bob"):
        pieces.append(make_loose_hair(figure, outfit, tile=STRANDS_TILE))
    elif outfit.hair_style == "ponytail":
        pieces.append(_tail(frame))
    elif outfit.hair_style == "bun":
        pieces.append(_bun(frame, outfit))
    if outfit.cap:
        pieces += _cap(figure, frame)
    return pieces


def _shell(figure: Figure, outfit: Outfit) -> Patch:
    """The scalp, thickened towards the crown and thinning out at the hairline."""
    scalp, template, normals = _scalp(figure, scalp_field(figure.atlas.template))
    inside = scalp_field(template)
    high = {"buzz": 0.003, "curly": 0.024 + outfit.hair_m, "short": outfit.hair_m}.get(outfit.hair_style, 0.012)
    sides = 0.45 + 0.55 * step(template[:, 2], 0.735, 0.815)
    sides = sides if outfit.hair_style in ("short", "buzz") else 1.0
    size = 0.012 if outfit.hair_style == "curly" else 0.02
    lumps = fractal(template / (size * np.array([1, 1, 1.8])), outfit.seed + 70, 2)
    rough = 0.35 if outfit.hair_style == "curly" else 0.22
    thick = high * sides * (1 + rough * lumps) * (0.08 + 0.92 * step(inside, 0.0, 0.012 + 0.8 * high)) + 0.0012
    if outfit.cap:
        thick = np.minimum(thick, np.where(_cap_field(template) > -0.004, 0.003, 0.012))
    return scalp.moved(scalp.vertices + normals * (thick * figure.scale)[:, None])


def _scalp(
    figure: Figure, field: Float[np.ndarray, "V"]
) -> tuple[Patch, Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """The part of the head where a field of the mean shape is positive, without the ears; its places and normals."""
    atlas, at = figure.atlas, figure.atlas.template
    ears = (np.abs(at[:, 0]) > 0.0775) & (at[:, 2] < 0.742) & (at[:, 1] < -0.028)
    head = figure.skin.selected(atlas.parts["head"])
    piece = subdivided(clipped(head.on_page(HAIR), head.source @ np.where(ears, -0.01, field)))
    normals = piece.source @ figure.skin_normals
    return piece, piece.source @ at.astype(np.float64), normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def _tail(frame: HeadFrame) -> Patch:
    path = np.array(TAIL)
    along = np.linspace(0, len(path) - 1, 20)
    y, z, radius = (np.interp(along, np.arange(len(path)), path[:, k]) for k in range(3))
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    dy, dz = np.gradient(y), np.gradient(z)
    length = np.hypot(dy, dz)
    across = np.stack([0 * y, -dz / length, dy / length], -1)[:, None]
    ring = np.sin(turn)[None, :, None] * np.array([1.0, 0, 0]) + np.cos(turn)[None, :, None] * across
    clumps = 1 + 0.08 * np.cos(3 * turn + 0.6 * along[:, None])
    points = np.stack([0 * y, y, z], -1)[:, None] + ring * (radius[:, None] * clumps)[..., None]
    return frame.on_head(points[:, ::-1], STRANDS_TILE)


def _bun(frame: HeadFrame, outfit: Outfit) -> Patch:
    high = outfit.seed % 2
    centre = np.array([0.0, 0.012, 0.862]) if high else np.array([0.0, 0.052, 0.775])
    up = np.linspace(np.pi / 2, -np.pi / 2, 10)[:, None]
    turn = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    radius = 0.033 * (1 + 0.06 * np.sin(4 * turn + 3 * up))
    points = np.stack(
        [radius * np.cos(up) * np.cos(turn), radius * np.cos(up) * np.sin(turn), 0.85 * radius * np.sin(up)], -1
    )
    return frame.on_head(centre + points[:, ::-1], STRANDS_TILE)


def _cap_field(template: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N"]:
    """How far above the rim of a cap a place of the mean head is, m."""
    return template[:, 2] - (0.787 - 0.235 * (template[:, 1] + 0.14))


def _cap(figure: Figure, frame: HeadFrame) -> list[Patch]:
    """A baseball cap: crown and visor."""
    crown, template, normals = _scalp(figure, _cap_field(figure.atlas.template).astype(np.float64))
    bulge = CAP_M * (0.55 + 0.45 * step(_cap_field(template), 0.0, 0.04))
    crown = crown.moved(crown.vertices + normals * (bulge * figure.scale)[:, None])
    u, v = np.full((len(crown.faces), 3, 1), CAP_TILE[0] + 0.06), np.full((len(crown.faces), 3, 1), CAP_TILE[1] + 0.06)
    crown = Patch(crown.vertices, crown.weights, crown.faces, np.concatenate([u, v], -1).astype(np.float32),
                  crown.page * 0 + EXTRA, crown.source)  # fmt: skip
    side = np.linspace(-1.0, 1.0, 15)
    angle = side * 1.05
    rim = np.stack([0.078 * np.sin(angle), -0.05 - 0.099 * np.cos(angle), 0.796 - 0.023 * (1 - np.cos(angle))], -1)
    out = np.linspace(0, 1, 5)[:, None, None]
    reach = 0.008 + 0.072 * (1 - np.abs(side) ** 2.5)[None, :, None]
    ahead = np.array([0.0, -1.0, -0.22]) * reach * out - [0, 0, 1] * (0.012 * (side**2)[None, :, None] * out)
    points = rim[None] + ahead
    lower = points[:, ::-1] - [0, 0, 0.0025]
    return [crown, frame.on_head(np.concatenate([points, lower], axis=1), CAP_TILE)]


def paint_hair(figure: Figure, outfit: Outfit) -> Float32[np.ndarray, "T 3"]:
    """Strands that run from the crown, at the covered texels of the body's page."""
    atlas = figure.atlas
    colour = np.array(outfit.hair, dtype=np.float32)
    colours = np.repeat(colour[None], len(atlas.face), axis=0)
    texels = np.flatnonzero(atlas.parts["head"][atlas.face])
    at = atlas.at[texels]
    away = at - CROWN.astype(np.float32)
    if outfit.hair_style == "curly":
        shade = 0.95 + 0.5 * fractal(at / 0.008, outfit.seed + 80, 2)
    else:
        angle = np.arctan2(away[:, 0], away[:, 1])
        place = np.stack([angle / 0.035, np.linalg.norm(away, axis=-1) / 0.05], -1)
        strands = noise(place, outfit.seed + 80) + 0.6 * noise(place * [2.3, 1.3], outfit.seed + 81)
        shade = 0.95 + 0.28 * strands + 0.15 * fractal(at / 0.03, outfit.seed + 82, 2)
    painted = colour * np.clip(shade, 0.35, 1.8)[:, None].astype(np.float32)
    if outfit.hair_style in ("long", "bob"):  # the parting
        where = np.abs(at[:, 0] - 0.016 * (outfit.seed % 3 - 1)) - 0.0012
        line = step(where, 0.0014, 0.0) * step(at[:, 1], 0.0, -0.02) * (at[:, 2] > 0.79)
        skin = np.array(outfit.skin_colour, dtype=np.float32) * np.float32(0.8)
        painted += 0.7 * line[:, None].astype(np.float32) * (skin - painted)
    colours[texels] = painted
    return np.clip(colours, 0, 1)


def hair_tiles(outfit: Outfit) -> dict[Tile, Float32[np.ndarray, "h w 3"]]:
    """Pictures of loose strands, which run down, and of a cap's cloth."""
    rows, columns = tile_shape(STRANDS_TILE)
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    place = np.stack([u.ravel(), v.ravel()], -1)
    strands = noise(place * [63, 4], outfit.seed + 90) + 0.7 * noise(place * [126, 7], outfit.seed + 91)
    shade = (1.0 + 0.3 * strands + 0.12 * noise(place * [12, 5], outfit.seed + 92)).reshape(rows, columns)
    hair = np.array(outfit.hair, dtype=np.float32) * np.clip(shade, 0.3, 1.9)[..., None].astype(np.float32)
    rows, columns = tile_shape(CAP_TILE)
    grain = noise(np.random.default_rng(outfit.seed).uniform(0, 60, (rows * columns, 2)), outfit.seed + 93)
    cap = np.array(outfit.cap_colour, dtype=np.float32) * (1 + 0.05 * grain.reshape(rows, columns, 1))
    return {STRANDS_TILE: np.clip(hair, 0, 1), CAP_TILE: np.clip(cap, 0, 1)}
