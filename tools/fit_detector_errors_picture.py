"""Measured errors beside those that are drawn from the fit, for the same views: part of `fit_detector_errors.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mocap.core.keypoints import load_keypoint_set
from mocap.core.truth import Visibility
from mocap.synthetic.detector_config import DetectorErrors, preset
from mocap.synthetic.heatmaps import HeatmapConfig, Sighted, make_heatmaps, rivals_of
from mocap.synthetic.measured_bias import FlatViews, flat_views
from mocap.synthetic.measured_errors import MeasuredErrors, bias_px
from mocap.synthetic.measured_heatmaps_fit import AT_PLACE, LEAST_PEAK
from mocap.synthetic.measured_sorting import SortedErrors, sort_errors
from mocap.synthetic.measured_views import MeasuredViews, heat_statistics, sampled
from mocap.synthetic.torso_frames import TorsoViews

KEYPOINTS = load_keypoint_set("blazepose33")
STATES = {Visibility.VISIBLE: "visible", Visibility.HIDDEN_BY_SELF: "self-hidden", Visibility.HIDDEN_BY_OTHER: "hidden"}
SHOWN = ("nose", "left_shoulder", "left_elbow", "left_wrist", "left_hip", "left_knee", "left_ankle", "left_heel")
DRAWN_MAPS = 250
COLOURS = {"measured": "black", "sampled": "tab:orange", "guessed": "tab:blue"}

Reports = dict[str, MeasuredViews]


def draw(views: MeasuredViews, found: MeasuredErrors, path: Path) -> None:
    """Needs matplotlib (extra `plots`)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rng = np.random.default_rng(0)
    errors = DetectorErrors.model_validate({**found.errors, "measured": "blazepose"})
    reports = {
        "measured": views,
        "sampled": sampled(views, errors, KEYPOINTS, rng),
        "guessed": sampled(views, preset("blazepose_like"), KEYPOINTS, rng),
    }
    sorts = {name: sort_errors(one, KEYPOINTS) for name, one in reports.items()}
    figure, axes = plt.subplots(3, 4, figsize=(22, 15))
    for axis, state in zip(axes[0], STATES, strict=False):
        _errors(axis, reports, sorts, state)
    _sizes_of_views(axes[0, 3], reports, sorts)
    for axis, state in zip(axes[1, :2], STATES, strict=False):
        _confidences(axis, reports, sorts, state)
    _calibration(axes[1, 2], reports, sorts)
    _memory(axes[1, 3], reports, sorts)
    _offsets(axes[2, :2], flat_views(views, sorts["measured"], KEYPOINTS), found)
    drawn = drawn_heatmaps(views, sorts["measured"], HeatmapConfig.model_validate(found.heatmaps), rng)
    _peaks(axes[2, 2], views, sorts["measured"], drawn)
    _widths(axes[2, 3], views, sorts["measured"], drawn)
    figure.tight_layout()
    figure.savefig(path, dpi=60)
    plt.close(figure)


def shares(views: MeasuredViews, kinds: SortedErrors) -> np.ndarray:
    """(N, B, F, K) distance from the exact place, sizes of the person; all reports, whatever went wrong."""
    return np.linalg.norm(views.xy - views.exact, axis=-1) / kinds.size[..., None]


def _errors(axis: Any, reports: Reports, sorts: dict[str, SortedErrors], state: Visibility) -> None:
    for name, views in reports.items():
        share = shares(views, sorts[name])
        chosen = np.sort(share[(views.visibility == state) & np.isfinite(share)])
        axis.plot(100 * chosen, np.linspace(0, 1, len(chosen)), color=COLOURS[name], label=f"{name}, {len(chosen)}")
        quantiles = np.quantile(chosen, [0.25, 0.5, 0.75, 0.9, 0.99]) if len(chosen) else np.full(5, np.nan)
        print(f"{STATES[state]:12s} {name:9s} 25..99 % of errors, % of size:", np.round(100 * quantiles, 2))
    axis.set(xscale="log", xlim=(0.1, 100), title=f"error of {STATES[state]} points, % of size", ylabel="share below")
    axis.legend()


def _sizes_of_views(axis: Any, reports: Reports, sorts: dict[str, SortedErrors]) -> None:
    for name, views in reports.items():
        share = np.where(views.visibility == Visibility.VISIBLE, shares(views, sorts[name]), np.nan)
        many = np.isfinite(share).sum(-1) >= 8
        axis.hist(
            np.log10(100 * np.nanmedian(share[many], axis=-1)),
            bins=np.linspace(-0.6, 1.6, 45),
            histtype="step",
            color=COLOURS[name],
            density=True,
            label=name,
        )
    axis.set(title="median visible error of a person in a picture, log10 of % of size")
    axis.legend()


def _confidences(axis: Any, reports: Reports, sorts: dict[str, SortedErrors], state: Visibility) -> None:
    for name, views in reports.items():
        chosen = views.confidence[(views.visibility == state) & (views.confidence > 0)]
        axis.hist(chosen, bins=np.linspace(0, 1, 41), histtype="step", color=COLOURS[name], density=True, label=name)
    axis.set(yscale="log", title=f"confidence of {STATES[state]} points")
    axis.legend()


def _calibration(axis: Any, reports: Reports, sorts: dict[str, SortedErrors]) -> None:
    edges = np.array([0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 1.0])
    for name, views in reports.items():
        share, confidence = shares(views, sorts[name]), views.confidence
        known = np.isfinite(share)
        which = np.digitize(confidence[known], edges) - 1
        for quantile, style in ((0.5, "-"), (0.9, "--")):
            at = [
                100 * np.quantile(share[known][which == n], quantile) if (which == n).any() else np.nan
                for n in range(10)
            ]
            label = f"{name}, {round(100 * quantile)} %"
            axis.plot((edges[1:] + edges[:-1]) / 2, at, style, color=COLOURS[name], label=label)
    axis.set(yscale="log", title="error against confidence, % of size", xlabel="confidence")
    axis.legend()


def _memory(axis: Any, reports: Reports, sorts: dict[str, SortedErrors]) -> None:
    """Distance that the error moves within 1, 2, 3 frames."""
    for name, views in reports.items():
        error = (views.xy - views.exact) / sorts[name].size[..., None, None]
        visible = (views.visibility == Visibility.VISIBLE)[..., None]
        error = np.where(visible, error, np.nan)
        moved = [
            100 * np.nanmedian(np.linalg.norm(error[:, :, lag:] - error[:, :, :-lag], axis=-1)) for lag in (1, 2, 3)
        ]
        print(f"moved within 1, 2, 3 frames {name:9s}, % of size:", np.round(moved, 2))
        axis.plot([1, 2, 3], moved, "o-", color=COLOURS[name], label=name)
    axis.set(ylim=(0, None), xlabel="frames", title="median change of a visible point's error, % of size")
    axis.legend()


def _offsets(axes: Sequence[Any], flat: FlatViews, found: MeasuredErrors) -> None:
    """Mean error across and up the picture by the direction that a person is seen from, measured and as fitted."""
    direction, J = (value[:, None, None] for value in (flat.direction, flat.px_from_torso))
    own = np.zeros((1, 1, 1, len(KEYPOINTS), 3))
    limb_end = flat.limb[:, None, None]
    fitted = bias_px(replace(found, along=np.zeros(len(KEYPOINTS))), TorsoViews(direction, J), limb_end, own)[:, 0, 0]
    fitted = fitted + found.along[:, None] * flat.limb
    yaw = np.rad2deg(np.arctan2(flat.direction[:, 1], flat.direction[:, 0]))
    edges = np.linspace(-180, 180, 9)
    for part, (axis, title) in enumerate(zip(axes, ("to the right", "down"), strict=True)):
        for number, name in enumerate(SHOWN):
            k, rows = KEYPOINTS.names.index(name), []
            for low, high in pairwise(edges):
                here = (yaw >= low) & (yaw < high) & np.isfinite(flat.error[:, k, 0])
                here &= flat.visibility[:, k] == Visibility.VISIBLE
                both = [
                    100 * np.median((e[:, k, part] / flat.size)[here]) if here.sum() > 10 else np.nan
                    for e in (flat.error, fitted)
                ]
                rows.append(both)
            values = np.array(rows)
            middle = (edges[1:] + edges[:-1]) / 2
            axis.plot(middle, values[:, 0], "o", color=f"C{number}", label=name)
            axis.plot(middle, values[:, 1], "-", color=f"C{number}")
        axis.set(
            title=f"mean error {title}, % of size: dots measured, lines fitted", xlabel="seen from, deg (90: its left)"
        )
        axis.legend(fontsize=8)


def drawn_heatmaps(
    views: MeasuredViews, kinds: SortedErrors, config: HeatmapConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`HEAT_FIELDS` (n, K, 8) of heatmaps drawn for some of the reports, and the confidence (n, K)."""
    rows = np.argwhere(views.found & ~kinds.wrong & ~kinds.background)
    rows = tuple(rows[rng.permutation(len(rows))[:DRAWN_MAPS]].T)
    affine = views.px_from_heatmap[rows]
    cells = np.einsum("nab,nkb->nka", np.linalg.inv(affine[..., :2]), views.xy[rows] - affine[:, None, :, 2])
    box = np.tile([-0.5, -0.5, 63.5, 63.5], (len(cells), 1))
    twins = rivals_of(cells[:, None], KEYPOINTS.mirror_permutation, None, rng)[:, 0]
    maps = make_heatmaps(Sighted(cells, views.confidence[rows], box, twins), config, rng).numpy()
    return np.stack([heat_statistics(one) for one in maps]), views.confidence[rows]


def _peaks(axis: Any, views: MeasuredViews, kinds: SortedErrors, drawn: tuple[np.ndarray, np.ndarray]) -> None:
    known = kinds.ordinary & np.isfinite(views.heat[..., 0])
    both = {
        "measured": (views.confidence[known], views.heat[known]),
        "sampled": (drawn[1].ravel(), drawn[0].reshape(-1, 8)),
    }
    edges = np.linspace(0, 1, 11)
    for name, (confidence, heat) in both.items():
        which = np.clip(np.digitize(confidence, edges) - 1, 0, 9)
        for quantile, style in ((0.1, ":"), (0.5, "-"), (0.9, ":")):
            at = [np.nanquantile(heat[which == n, 0], quantile) if (which == n).any() else np.nan for n in range(10)]
            axis.plot(edges[:-1] + 0.05, at, style, color=COLOURS[name], label=name if quantile == 0.5 else None)
        second = np.nanmean(heat[:, 4] > 0.1 * heat[:, 0])
        print(f"heatmaps {name}: second peak in {100 * second:.1f} %, floor {np.nanmean(heat[:, 7]):.2g}")
    axis.set(title="height of the peak against confidence: 10, 50, 90 %", xlabel="confidence")
    axis.legend()


def _widths(axis: Any, views: MeasuredViews, kinds: SortedErrors, drawn: tuple[np.ndarray, np.ndarray]) -> None:
    for name, heat in {"measured": views.heat[kinds.ordinary], "sampled": drawn[0].reshape(-1, 8)}.items():
        sharp = heat[:, 0] > LEAST_PEAK
        sigma = np.sqrt(heat[sharp, 3] / (2 * np.pi * heat[sharp, 0]))
        axis.hist(
            sigma, bins=np.linspace(0.8, AT_PLACE, 60), histtype="step", density=True, color=COLOURS[name], label=name
        )
        print(f"sigma {name}: 10, 50, 90 %", np.round(np.quantile(sigma, [0.1, 0.5, 0.9]), 2), "cells")
    axis.set(title="width of peaks, cells")
    axis.legend()
