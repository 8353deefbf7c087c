"""Cuts of clothes: how far inside a garment every point of the body is, m, and how far the cloth is off the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mocap.synthetic.figure import Figure, hanging
from mocap.synthetic.outfit import Outfit
from mocap.synthetic.patterns import fractal, step

SLEEVE = {"t_shirt": 0.52, "long_sleeves": 1.0, "hoodie": 1.02, "shirt": 0.98, "sweater": 1.0}
"""Length from shoulder to elbow 1/2 ... to wrist 1; of a T-shirt along the upper arm only."""
NECK_M = {"t_shirt": 0.088, "long_sleeves": 0.084, "hoodie": 0.08, "shirt": 0.072, "sweater": 0.084, "tank_top": 0.108}
CLOTH_M = {
    "t_shirt": 0.004,
    "long_sleeves": 0.004,
    "hoodie": 0.011,
    "shirt": 0.005,
    "sweater": 0.009,
    "tank_top": 0.003,
}
WIDE_M = {"t_shirt": 0.014, "long_sleeves": 0.01, "hoodie": 0.016, "shirt": 0.013, "sweater": 0.012, "tank_top": 0.006}
LEGS = {"trousers": (0.006, 0.024), "jeans": (0.006, 0.014), "joggers": (0.008, 0.02), "leggings": (0.002, 0.0),
        "shorts": (0.008, 0.024), "skirt": (0.005, 0.0)}  # fmt: skip
"""Distance of the cloth from the skin, and what it is more for the widest cut; under a skirt there are short tights."""


@dataclass(frozen=True, eq=False)
class Cut:
    """field: (V,) > 0 inside the garment. borders: (V, 3) distances to its upper end (neck or waist), the ends at the
    limbs, and the lower hem. away: (V, 3) m, from the figure's shell to the cloth."""

    field: Float[np.ndarray, "V"]
    borders: Float[np.ndarray, "V 3"]
    away: Float[np.ndarray, "V 3"]


def top_cut(figure: Figure, outfit: Outfit) -> Cut:
    """Shirts and everything else above the waist."""
    p, s = figure.body.vertices.astype(np.float64), figure.scale
    shoulder, elbow, wrist = (figure.at(f"Left{name}") for name in ("Arm", "ForeArm", "Hand"))
    across = np.abs(p[:, 0])
    neck = np.linalg.norm((p - throat(figure)) / [1.0, 1.0, 1.15], axis=-1) - NECK_M[outfit.top] * s
    for part in ("head", "eyes", "eye_cavities", "mouth"):
        neck = np.where(figure.atlas.vertices_of(part), -0.02 * s, neck)
    if outfit.top == "tank_top":
        armpit = shoulder[2] - 0.07 * s
        sleeve = shoulder[0] - 0.005 * s + np.maximum(armpit - p[:, 2], 0) * 1.5 - across
    elif outfit.top == "t_shirt":
        share = 0.42 + 0.5 * SLEEVE["t_shirt"] * (0.4 + outfit.top_loose)
        sleeve = shoulder[0] + share * (elbow[0] - shoulder[0]) - across
    else:
        sleeve = shoulder[0] + SLEEVE[outfit.top] * (wrist[0] - shoulder[0]) - 0.005 * s - across
    lower = p[:, 2] - top_hem(figure, outfit)
    return Cut(
        np.minimum(np.minimum(neck, sleeve), lower),
        np.stack([neck, sleeve, lower], -1),
        _top_away(figure, outfit, neck=neck, sleeve=sleeve),
    )


def throat(figure: Figure) -> Float[np.ndarray, "3"]:
    """Middle of the ball that necklines are cut out with."""
    return figure.at("Neck") + np.array([0.0, -0.035, 0.055]) * figure.scale


def top_hem(figure: Figure, outfit: Outfit) -> float:
    """Height of the lower end of a top: about the crotch where it is wide, the hips where it is not."""
    hips = float(figure.at("LeftUpLeg")[2])
    if outfit.bottom == "skirt":  # tucked in
        return waist_m(figure) - 0.06 * figure.scale
    return hips + (0.035 - 0.07 * outfit.top_loose) * figure.scale


def _top_away(
    figure: Figure, outfit: Outfit, *, neck: Float[np.ndarray, "V"], sleeve: Float[np.ndarray, "V"]
) -> Float[np.ndarray, "V 3"]:
    p, normals, s = figure.body.vertices, figure.shell_normals, figure.scale
    wide = WIDE_M[outfit.top] * (0.3 + outfit.top_loose)
    shoulder, hem = figure.at("LeftArm"), top_hem(figure, outfit)
    on_trunk = step(np.abs(p[:, 0]), shoulder[0] + 0.06 * s, shoulder[0] - 0.02 * s)
    trunk = wide * (0.35 + 0.9 * step(p[:, 2], shoulder[2] - 0.1 * s, hem))
    arm = wide * (0.35 + 0.5 * np.maximum(-normals[:, 2], 0) + 0.2 * step(sleeve, 0.12 * s, 0.0))
    if outfit.top in ("hoodie", "sweater", "shirt", "long_sleeves"):  # cuffs
        arm = arm * step(sleeve, 0.0, 0.07 * s) + 0.001
    if outfit.top in ("hoodie", "sweater"):
        trunk = trunk * (0.35 + 0.65 * step(p[:, 2], hem, hem + 0.07 * s))
    if outfit.bottom == "skirt":
        on_trunk = on_trunk * step(p[:, 2], hem + 0.03 * s, hem + 0.12 * s)
        arm = arm * step(p[:, 2], hem + 0.1 * s, hem + 0.2 * s)
    near_neck = step(neck, 0.0, 0.07 * s)
    thick = CLOTH_M[outfit.top] * (0.6 + 0.4 * near_neck) + near_neck * (trunk * on_trunk + arm * (1 - on_trunk))
    folds = fractal(p / np.array([0.09, 0.09, 0.16]) / s, outfit.seed, 2) * (0.0015 + 0.3 * wide) * near_neck
    away = normals * (np.maximum(thick + folds, 0.4 * thick) * s)[:, None]
    drape = hanging(
        figure.shell + away, on_trunk > 0.5, axis_y=float(figure.at("Spine1")[1]), top=shoulder[2] - 0.13 * s,
        slope=0.75 - 0.45 * outfit.top_loose,
    )  # fmt: skip
    return away + drape * on_trunk[:, None] * (0.25 if outfit.top == "tank_top" else 0.8)


def bottom_cut(figure: Figure, outfit: Outfit) -> Cut:
    """Trousers, shorts, leggings; under a skirt, short tights."""
    p, s = figure.body.vertices.astype(np.float64), figure.scale
    knee, ankle = figure.at("LeftLeg")[2], figure.at("LeftFoot")[2]
    waist = waist_m(figure) - p[:, 2]
    hem = {"shorts": knee + (0.09 - 0.1 * outfit.bottom_loose) * s, "skirt": knee + 0.1 * s}.get(
        outfit.bottom, ankle + (0.0 + 0.02 * (1 - outfit.bottom_loose)) * s
    )
    legs = p[:, 2] - hem
    instep = p[:, 1] - (figure.at("LeftFoot")[1] - 0.085 * s) + 10 * np.maximum(p[:, 2] - ankle - 0.03 * s, 0)
    legs = np.minimum(legs, instep)
    trunk = figure.at("LeftArm")[0] - np.abs(p[:, 0]) + 0.5
    return Cut(
        np.minimum(waist, legs),
        np.stack([waist, legs, trunk], -1),
        _bottom_away(figure, outfit, waist=waist, legs=legs),
    )


def waist_m(figure: Figure) -> float:
    """Height of the waist of trousers, between the hips and the navel."""
    return float(figure.at("Spine")[2] + 0.045 * figure.scale)


def _bottom_away(
    figure: Figure, outfit: Outfit, *, waist: Float[np.ndarray, "V"], legs: Float[np.ndarray, "V"]
) -> Float[np.ndarray, "V 3"]:
    p, normals, s = figure.body.vertices, figure.shell_normals, figure.scale
    cloth, wide = LEGS[outfit.bottom]
    hips, knee = figure.at("LeftUpLeg")[2], figure.at("LeftLeg")[2]
    flare = wide * outfit.bottom_loose * step(p[:, 2], hips + 0.02 * s, knee + 0.1 * s)
    inner = np.maximum(-normals[:, 0] * np.sign(p[:, 0]), 0) * step(p[:, 2], knee, hips - 0.1 * s)
    if outfit.bottom == "joggers":
        flare = flare * (0.15 + 0.85 * step(legs, 0.02 * s, 0.12 * s)) + 0.004
    thick = cloth + flare * (1 - 0.7 * inner)
    folds = fractal(p / np.array([0.07, 0.07, 0.11]) / s, outfit.seed + 9, 2) * 0.35 * flare
    thick = np.maximum(thick + folds, 0.5 * cloth) * (0.5 + 0.5 * step(waist, 0.0, 0.05 * s))
    return normals * (thick * s)[:, None]
