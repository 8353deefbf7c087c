"""Hair that hangs: a sheet around sides and back of the head that falls onto shoulders or back."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_array

from mocap.synthetic.figure import Figure
from mocap.synthetic.head_frame import head_frame
from mocap.synthetic.outfit import Outfit
from mocap.synthetic.pages import EXTRA, Tile
from mocap.synthetic.patches import Patch, grid_patch
from mocap.synthetic.patterns import noise, step

COLUMNS, ROWS, LEVELS = 30, 16, 40
WIDEST = 1.85
"""Angle from the back to where the sheet ends before the ears, rad."""
THICK_M = 0.013


def make_loose_hair(figure: Figure, outfit: Outfit, *, tile: Tile) -> Patch:
    """A closed sheet, thin at its lower end."""
    s = figure.scale
    frame = head_frame(figure)
    centre = frame.placed(np.array([0.0, -0.045, 0.795]))
    angles = np.linspace(-WIDEST, WIDEST, COLUMNS)
    lowest = figure.at("Neck")[2] + ((-0.2 - 4 * outfit.hair_m) if outfit.hair_style == "long" else 0.03) * s
    heights = np.linspace(centre[2], lowest, LEVELS)
    skin = _reach(figure, centre, angles, heights)
    outer, ends = _falling(skin, heights, s, sides=np.abs(angles) > 1.0)
    ends = gaussian_filter1d(ends, 1.5) + 0.012 * s * noise(np.stack([angles * 9, angles * 0], -1), outfit.seed + 71)
    fall = np.linspace(0, 1, ROWS)[:, None]
    z = centre[2] + (ends - centre[2]) * fall
    place = (centre[2] - z) / (centre[2] - lowest) * (LEVELS - 1)
    radius = np.stack([np.interp(place[:, k], np.arange(LEVELS), outer[:, k]) for k in range(COLUMNS)], 1)
    clumps = noise(np.stack(np.broadcast_arrays(angles * 7, fall * 2), -1).reshape(-1, 2), outfit.seed + 72)
    radius = radius + 0.005 * s * clumps.reshape(ROWS, COLUMNS) - 0.006 * s * (1 - step(fall, 0.0, 0.25))
    rim = step(np.abs(angles), WIDEST, WIDEST - 0.25)
    thick = THICK_M * s * (1 - step(fall, 0.75, 1.0)) * rim
    spread = np.concatenate([radius, (radius - thick)[:, ::-1]], axis=1)
    around = np.concatenate([angles, angles[::-1]])
    heights_of = np.concatenate([z, z[:, ::-1]], axis=1)
    points = np.stack([np.sin(around) * spread + centre[0], np.cos(around) * spread + centre[1], heights_of], -1)
    weights = _weights(figure, points.reshape(-1, 3))
    return grid_patch(points[:, ::-1], weights, tile=tile, page=EXTRA, closed=True)


def _reach(
    figure: Figure, centre: Float[np.ndarray, "3"], angles: Float[np.ndarray, "a"], heights: Float[np.ndarray, "h"]
) -> Float[np.ndarray, "h a"]:
    """Distance from a vertical axis in the head to the skin, m."""
    p = figure.body.vertices.astype(np.float64)
    p = p[(p[:, 2] > heights[-1] - 0.03) & (np.abs(p[:, 0]) < figure.at("LeftArm")[0] + 0.03)]
    flat = p[:, :2] - centre[:2]
    radius, angle = np.linalg.norm(flat, axis=-1), np.arctan2(flat[:, 0], flat[:, 1])
    near_z = np.abs(p[:, 2] - heights[:, None]) < 0.016
    apart = np.abs((angle - angles[:, None] + np.pi) % (2 * np.pi) - np.pi) < 0.22
    return np.where(near_z[:, None] & apart[None], radius, 0.0).max(-1)


def _falling(
    skin: Float[np.ndarray, "h a"], heights: Float[np.ndarray, "h"], scale: float, *, sides: Bool[np.ndarray, "a"]
) -> tuple[Float[np.ndarray, "h a"], Float[np.ndarray, "a"]]:
    """Radius of the sheet, and where each column ends: at the lowest level or, at the sides, on a shoulder."""
    gap, drop = 0.014 * scale, heights[0] - heights[1]
    outer, ends = skin + gap, np.full(skin.shape[1], heights[-1])
    stopped = np.zeros(skin.shape[1], dtype=bool)
    for level in range(1, len(heights)):
        hanging = outer[level - 1] - 0.22 * drop
        shoulder = ~stopped & (skin[level] + gap > outer[level - 1] + 0.02 * scale) & sides & (level > 12)
        ends[shoulder] = heights[level - 1]
        stopped |= shoulder
        outer[level] = np.where(stopped, outer[level - 1], np.maximum(skin[level] + gap, hanging))
    return gaussian_filter1d(outer, 1.0, axis=1), ends


def _weights(figure: Figure, points: Float[np.ndarray, "n 3"]) -> csr_array:
    """With the skull above, less and less so down the back."""
    index, head, neck = figure.body.skeleton.index, figure.at("Head")[2], figure.at("Neck")[2]
    z = points[:, 2]
    skull = 0.2 + 0.8 * step(z, neck - 0.02, head)
    back = (1 - skull) * step(z, neck + 0.05, neck - 0.06)
    weights = np.zeros((len(points), len(figure.body.skeleton)), dtype=np.float32)
    weights[:, index("Head")] = skull
    weights[:, index("Spine2")] = back
    weights[:, index("Neck")] = 1 - skull - back
    return csr_array(weights)
