"""The pages of top and trousers: fabric, seams, hems, prints, and the shading of small folds."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32

from mocap.synthetic.cuts import Cut, throat, top_hem
from mocap.synthetic.figure import Figure
from mocap.synthetic.outfit import Outfit
from mocap.synthetic.patterns import fractal, noise, print_on, step, weave

MARGIN_M = 0.04
"""Painted beyond the hems, for the texels between the last vertex inside and the edge."""


def paint_top(figure: Figure, outfit: Outfit, cut: Cut) -> Float32[np.ndarray, "T 3"]:
    """Colours of the covered texels; outside of the garment its plain colour."""
    atlas, s = figure.atlas, figure.scale
    colours = np.repeat(np.array([outfit.top_colour], dtype=np.float32), len(atlas.face), axis=0)
    texels = np.flatnonzero(atlas.spread(cut.field) > -MARGIN_M)
    p = atlas.spread(figure.body.vertices, texels) / np.float32(s)
    neck, sleeve, lower = (atlas.spread(cut.borders, texels) / np.float32(s)).T
    shoulder = figure.at("LeftArm") / s
    on_arm = np.abs(p[:, 0]) > shoulder[0] + 0.02
    wide = np.float32(shoulder[0] + 0.03)
    panel = np.where(p[:, 1] < figure.at("Spine1")[1] / s, 1, -1) * wide  # front and back are cut apart
    angle = np.where(on_arm, np.arctan2(p[:, 2] - shoulder[2], p[:, 1] - shoulder[1]) * 0.055,
                     np.arcsin(np.clip(p[:, 0] / wide, -1, 1)) * panel)  # fmt: skip
    along = np.where(on_arm, np.abs(p[:, 0]) - shoulder[0] + 1.0, shoulder[2] - p[:, 2] + 1.02)
    colour = weave(
        outfit.top_pattern, angle, along, colours=(outfit.top_colour, outfit.top_second), seed=outfit.seed + 30
    )
    front = atlas.spread(figure.shell_normals[:, 1], texels) < -0.2
    colour = _top_pattern(colour, p, figure, outfit, front)
    colour = _top_edges(colour, outfit, neck=neck, sleeve=sleeve, lower=lower)
    colour = _front(colour, p, figure, outfit, front)
    elbow = np.exp(-((np.abs(np.abs(p[:, 0]) - figure.at("LeftForeArm")[0] / s) / 0.06) ** 2))
    pit = np.exp(-(np.linalg.norm(np.abs(p) * [1, 0, 1] - [shoulder[0], 0, shoulder[2] - 0.07], axis=-1) ** 2) / 0.004)
    low = step(lower, 0.3, 0.08) * ~on_arm
    bends = np.maximum(np.maximum(elbow * on_arm, pit), low)
    colours[texels] = _folded(colour, p, 0.35 + 0.65 * bends, outfit.seed + 31)
    return np.clip(colours, 0, 1)


def _top_pattern(
    colour: Float32[np.ndarray, "n 3"],
    p: Float32[np.ndarray, "n 3"],
    figure: Figure,
    outfit: Outfit,
    front: Bool[np.ndarray, "n"],
) -> Float32[np.ndarray, "n 3"]:
    s = figure.scale
    second = np.array(outfit.top_second, dtype=np.float32)
    if outfit.top_pattern == "blocks":
        height = (top_hem(figure, outfit) + 0.62 * (figure.at("LeftArm")[2] - top_hem(figure, outfit))) / s
        raised = p[:, 2] + 0.1 * step(np.abs(p[:, 0]), 0.12, 0.3)
        amount = step(raised, height, height + 0.001)
        return colour + amount[:, None].astype(np.float32) * (second - colour)
    if outfit.top_pattern == "print" and outfit.top != "shirt":
        chest = figure.at("Spine2") / s - [0, 0, 0.03]
        chosen = np.flatnonzero(front & (np.abs(p[:, 0]) < 0.16))
        small = outfit.seed % 3 == 0  # a badge on the left breast
        x, z = p[chosen, 0] - (0.075 if small else 0.0), p[chosen, 2] - chest[2] - (0.02 if small else 0.0)
        size = 3.0 if small else 1.0
        colour[chosen] = print_on(colour[chosen], x * size, z * size, ink=outfit.top_second, seed=outfit.seed + 32)
    return colour


def _top_edges(
    colour: Float32[np.ndarray, "n 3"],
    outfit: Outfit,
    *,
    neck: Float32[np.ndarray, "n"],
    sleeve: Float32[np.ndarray, "n"],
    lower: Float32[np.ndarray, "n"],
) -> Float32[np.ndarray, "n 3"]:
    """A collar's ribs, stitches at the hems, cuffs."""
    shade = np.ones(len(colour), dtype=np.float32)
    collar = 0.022 if outfit.top != "shirt" else 0.035
    ribs = step(neck, collar + 6e-4, collar - 6e-4)
    if outfit.top == "t_shirt" and outfit.seed % 4 == 0:  # a ringer
        second = np.array(outfit.top_second, dtype=np.float32)
        ring = np.maximum(ribs, step(sleeve, 0.018, 0.017))[:, None].astype(np.float32)
        colour = colour + ring * (second - colour)
    shade -= 0.12 * ribs + 0.3 * step(np.abs(neck - collar), 0.0016, 0.0006)
    wide = {"hoodie": 0.06, "sweater": 0.055, "long_sleeves": 0.03, "shirt": 0.055}.get(outfit.top, 0.022)
    for edge in (sleeve, lower):
        shade -= 0.22 * step(np.abs(edge - wide), 0.0016, 0.0006) + 0.05 * step(edge, wide, wide - 0.002)
        shade -= 0.15 * step(edge, 0.003, 0.0)
    return colour * shade[:, None]


def _front(
    colour: Float32[np.ndarray, "n 3"],
    p: Float32[np.ndarray, "n 3"],
    figure: Figure,
    outfit: Outfit,
    front: Bool[np.ndarray, "n"],
) -> Float32[np.ndarray, "n 3"]:
    """What is special about the front: buttons, or a pocket and strings."""
    s = figure.scale
    x, z = p[:, 0], p[:, 2]
    hem = top_hem(figure, outfit) / s
    shade = np.ones(len(p), dtype=np.float32)
    if outfit.top == "shirt":
        shade -= front * (0.3 * step(np.abs(np.abs(x - 0.004) - 0.016), 0.0014, 0.0005))
        button = np.hypot(x - 0.004, (z - np.rint(z / 0.085) * 0.085))
        white = (front * step(button, 0.0058, 0.005))[:, None].astype(np.float32)
        colour = colour + white * (np.array([0.6, 0.58, 0.54], dtype=np.float32) - colour)
        pocket = np.maximum(np.abs(x - 0.085) - 0.048, np.abs(z - figure.at("Spine2")[2] / s) - 0.055)
        shade -= front * 0.25 * step(np.abs(pocket), 0.0014, 0.0006)
    elif outfit.top == "hoodie":
        pocket = np.maximum(np.abs(x) - 0.13 + np.maximum(z - hem - 0.11, 0) * 0.7, np.abs(z - hem - 0.15) - 0.08)
        shade -= front * (0.3 * step(np.abs(pocket), 0.002, 0.0008) + 0.05 * (pocket < 0))
        away = np.abs(np.abs(x) - 0.035 - 0.004 * np.sin(z * 40))
        string = front * step(away, 0.0034, 0.0025) * (z > throat(figure)[2] / s - 0.27)
        light = np.array(outfit.top_second, dtype=np.float32)
        colour = colour + string[:, None].astype(np.float32) * (light - colour)
    return colour * shade[:, None].astype(np.float32)


def paint_bottom(figure: Figure, outfit: Outfit, cut: Cut) -> Float32[np.ndarray, "T 3"]:
    """Likewise for trousers."""
    atlas, s = figure.atlas, figure.scale
    colours = np.repeat(np.array([outfit.bottom_colour], dtype=np.float32), len(atlas.face), axis=0)
    if outfit.bottom == "skirt":  # what is under it
        return colours * np.float32(0.4)
    texels = np.flatnonzero(atlas.spread(cut.field) > -MARGIN_M)
    p = atlas.spread(figure.body.vertices, texels) / np.float32(s)
    waist, hem, _ = (atlas.spread(cut.borders, texels) / np.float32(s)).T
    hip = figure.at("LeftUpLeg") / s
    angle = np.arctan2(p[:, 1] - hip[1], np.abs(p[:, 0]) - hip[0])
    pair = (outfit.bottom_colour, outfit.top_second)
    colour = weave(outfit.bottom_pattern, angle * 0.08, p[:, 2], colours=pair, seed=outfit.seed + 40)
    if outfit.bottom in ("joggers", "shorts") and outfit.seed % 3 == 0:  # stripes down the sides
        stripe = step(np.abs(p[:, 1] - hip[1]), 0.012, 0.011) * step(np.abs(p[:, 0]), hip[0], hip[0] + 0.001)
        colour += stripe[:, None].astype(np.float32) * (np.array(outfit.top_second, dtype=np.float32) - colour)
    if outfit.bottom != "leggings":
        colour *= _seams(p, outfit, hip=hip, waist=waist, hem=hem)[:, None]
    knee = figure.at("LeftLeg")[2] / s
    bends = np.exp(-(((p[:, 2] - knee) / 0.06) ** 2)) + np.exp(-(((p[:, 2] - hip[2]) / 0.05) ** 2))
    bends += step(hem, 0.15, 0.02)
    strength = 0.3 if outfit.bottom == "leggings" else 1.0
    colours[texels] = _folded(colour, p, strength * (0.3 + 0.7 * np.minimum(bends, 1)), outfit.seed + 41)
    return np.clip(colours, 0, 1)


def _seams(
    p: Float32[np.ndarray, "n 3"],
    outfit: Outfit,
    *,
    hip: Float[np.ndarray, "3"],
    waist: Float32[np.ndarray, "n"],
    hem: Float32[np.ndarray, "n"],
) -> Float32[np.ndarray, "n"]:
    """Waistband, side seams, pockets and fly as lines a little darker than the cloth."""
    x, y = np.abs(p[:, 0]), p[:, 1] - hip[1]
    front, line = y < 0, 0.0012
    pocket = np.abs(np.hypot(x - hip[0] - 0.07, waist - 0.035) - 0.075) - line
    shade = (
        1 - 0.22 * step(np.abs(waist - 0.036), 2 * line, line / 2) - 0.2 * step(np.abs(hem - 0.02), 2 * line, line / 2)
    )
    shade -= 0.25 * step(np.abs(y), 2 * line, line / 2) * (x > hip[0])
    shade -= 0.25 * step(np.abs(pocket), 2 * line, line / 2) * front * (waist > 0.03) * (x < hip[0] + 0.07)
    shade -= 0.25 * step(np.abs(p[:, 0] - 0.003), 2 * line, line / 2) * front * (waist < 0.16)
    box = np.maximum(np.abs(x - hip[0] + 0.005) - 0.065, np.abs(waist - 0.16) - 0.07)
    if outfit.bottom == "jeans":
        shade -= 0.22 * step(np.abs(box), 2 * line, line / 2) * (y > 0.03)
    return shade.astype(np.float32)


def _folded(
    colour: Float32[np.ndarray, "n 3"], p: Float32[np.ndarray, "n 3"], where: Float[np.ndarray, "n"], seed: int
) -> Float32[np.ndarray, "n 3"]:
    """Darker valleys and lighter crests of folds that the mesh is too coarse for."""
    slow = noise(p / np.array([0.06, 0.06, 0.09], dtype=np.float32), seed)
    place = p / np.array([0.11, 0.11, 0.05], dtype=np.float32) + slow[:, None] * np.float32(0.7)
    ridge = 1 - np.abs(fractal(place, seed + 5, 2))
    crease = step(ridge, 0.55, 1.0)
    shade = 1 + 0.04 * slow - 0.13 * crease * where
    return colour * shade[:, None].astype(np.float32)
