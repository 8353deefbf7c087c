"""How a network's heatmaps look beside what it reports: values for the fields of `HeatmapConfig`."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from mocap.core.keypoints import KeypointSet
from mocap.synthetic.measured_sorting import SortedErrors
from mocap.synthetic.measured_views import APART_CELLS, HEAT_FIELDS, MeasuredViews
from mocap.synthetic.true_views import extent

CELLS = 64
LEAST_PEAK = 0.1
"""Peaks below have no shape worth measuring."""
LEAST_SECOND = 0.1
"""Of the first peak's height: lower second ones are the floor."""
AT_PLACE = 4.0
"""Cells within which a peak is that of the reported place."""


def fit_heatmaps(views: MeasuredViews, kinds: SortedErrors, keypoint_set: KeypointSet) -> dict[str, Any]:
    """Heights and widths against confidence, second peaks, the floor, how peaks lie off the reports, and boxes."""
    column = {name: views.heat[..., k].astype(np.float64) for k, name in enumerate(HEAT_FIELDS)}
    peak, confidence = column["peak"], views.confidence
    cells = _cells(views.xy, views.px_from_heatmap)
    off = np.stack([column["peak_x"], column["peak_y"]], axis=-1) - cells
    known = kinds.ordinary & np.isfinite(peak)
    shaped = known & (peak > LEAST_PEAK) & (np.linalg.norm(off, axis=-1) < AT_PLACE)
    sigma = np.sqrt(column["mass"] / (2 * np.pi * np.maximum(peak, 1e-6)))
    # The highest cell is up to half a cell from the peak in x and in y: exp(-r² / (2 sigma²)) lower, mean r² = 1 / 6.
    lowered = np.exp(-1 / (12 * np.maximum(sigma, 0.8) ** 2))
    peak, sigma = peak / lowered, sigma * np.sqrt(lowered)
    low, high, height_spread = _line(confidence[known], peak[known])
    wide, sharp, sigma_spread = _line(confidence[shaped], sigma[shaped])
    ratio = column["second"] / np.maximum(peak, 1e-6)
    second = shaped & (ratio > LEAST_SECOND)
    seconds = _seconds(views, column, keypoint_set, shaped, second)
    spread = 1.4826 * np.median(np.abs(off[shaped] - np.median(off[shaped], axis=0)))
    box = _boxes(views, kinds)
    return {
        "size": [CELLS, CELLS],
        "sigma_cells": [round(sharp, 3), round(max(wide, 0.8), 3)],
        "height": [round(min(high, 1.0), 3), round(max(low, 0.02), 3)],
        "height_spread": round(height_spread, 3),
        "sigma_spread": round(sigma_spread / float(np.median(sigma[shaped])), 3),
        "offset_cells": round(float(np.sqrt(max(spread**2 - 1 / 12, 0.0))), 3),
        **seconds,
        "second_height": [round(float(q), 3) for q in _quantiles(ratio[second])],
        "noise": float(f"{np.mean(column['floor'][known]):.3g}"),
        **box,
    }


def _seconds(
    views: MeasuredViews,
    column: dict[str, np.ndarray],
    keypoint_set: KeypointSet,
    shaped: Bool[np.ndarray, "N B F K"],
    second: Bool[np.ndarray, "N B F K"],
) -> dict[str, Any]:
    """How many there are, and how many of them not at the twin's place or somebody else's. The share allows for twins
    too near to the first peak to be a second one."""
    exact = _cells(views.exact, views.px_from_heatmap)
    twin = exact[..., keypoint_set.mirror_permutation, :]
    other = _cells(views.other, views.px_from_heatmap)
    place = np.stack([column["second_x"], column["second_y"]], axis=-1)
    first = np.stack([column["peak_x"], column["peak_y"]], axis=-1)
    near = [np.linalg.norm(place - there, axis=-1) < AT_PLACE for there in (twin, other)]
    beside = float(1 - (near[0] | near[1])[second].mean()) if second.any() else 0.0
    inside = ((twin >= 0) & (twin <= CELLS - 1)).all(-1)
    possible = float((inside & (np.linalg.norm(twin - first, axis=-1) > APART_CELLS))[shaped].mean())
    share = float(second.sum() / max(1, shaped.sum())) / max(beside + (1 - beside) * possible, 0.1)
    far = np.linalg.norm(place - first, axis=-1)[second]
    reach = np.quantile(far, [0.0, 0.9]) if len(far) >= 10 else np.array([7.0, 30.0])
    return {
        "second_share": round(min(share, 1.0), 4),
        "second_beside": round(beside, 3),
        "second_reach": [round(float(value), 1) for value in reach],
    }


def _quantiles(ratio: Float[np.ndarray, "n"]) -> Float[np.ndarray, "2"]:
    return np.quantile(ratio, [0.1, 0.9]) if len(ratio) >= 10 else np.array([0.1, 0.5])


def _cells(xy: Float[np.ndarray, "*b K 2"], affine: Float[np.ndarray, "*b 2 3"]) -> Float[np.ndarray, "*b K 2"]:
    linear = np.where(np.isfinite(affine[..., :2]), affine[..., :2], np.eye(2))
    return np.einsum("...ab,...kb->...ka", np.linalg.inv(linear), xy - affine[..., None, :, 2])


def _line(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]) -> tuple[float, float, float]:
    """Values of a straight line at 0 and at 1, and the spread about it, all robust (iterated, errors beyond 2 spreads
    count less)."""
    weight, line, spread = np.ones_like(y), np.zeros(2), 1.0
    for _ in range(6):
        line = np.polyfit(x, y, 1, w=np.sqrt(weight))
        left = np.abs(y - np.polyval(line, x))
        spread = max(float(1.4826 * np.median(left)), 1e-9)
        weight = np.minimum(1.0, 2 * spread / np.maximum(left, 1e-12))
    return float(line[1]), float(line.sum()), spread


def _boxes(views: MeasuredViews, kinds: SortedErrors) -> dict[str, Any]:
    """Side of the region over the longer side of what is seen of the person, and how its middle and size vary."""
    good: Bool[np.ndarray, "N B F"] = views.found & ~(kinds.wrong | kinds.background)
    good &= (views.visibility != 0).all(-1)
    affine = views.px_from_heatmap[good]
    side = CELLS * np.hypot(affine[:, 0, 0], affine[:, 1, 0])
    middle, sides = extent(views.exact[good])
    center = affine @ np.array([CELLS / 2, CELLS / 2, 1.0])
    padding = side / sides.max(-1)
    off = (center - middle) / side[:, None]
    return {
        "box_padding": round(float(np.exp(np.log(padding).mean())), 3),
        "box_jitter": round(float(np.sqrt((off.var(0).sum() + np.log(padding).var()) / 3)), 3),
    }
