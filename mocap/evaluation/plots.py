"""Pictures (PNG) of an evaluation that people look at. The only module that draws with matplotlib (extra `plots`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from jaxtyping import Bool, Float

from mocap.core.errors import InputError
from mocap.core.truth import Visibility
from mocap.evaluation.compare import Comparison, MethodEvidence
from mocap.evaluation.contact_metrics import FOOT_POINTS
from mocap.evaluation.distribution import known_mean
from mocap.evaluation.evaluate_pictures import MatchedViews
from mocap.evaluation.evaluate_points import BadFrame, Feet, MatchedPoints, PointsEvaluation
from mocap.evaluation.image_metrics import pixel_errors
from mocap.evaluation.overlay import draw_sheet, frame_overlays, read_pictures
from mocap.evaluation.take import HEADLINE_ORDER, TakeEvaluation, TakeEvidence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {"triangulated": "#8c96a3", "smoothed": "#0072b2", "solved": "#d55e00", "prediction": "#0072b2"}
METHOD_COLORS = {
    "dlt": "#8c96a3",
    "ransac": "#e69f00",
    "robust": "#0072b2",
    "algebraic": "#009e73",
    "volumetric": "#d55e00",
}
TRUTH, VISIBLE, HIDDEN = "#2a2a2a", "#0072b2", "#e69f00"
DPI = 110
WIDTH = 9.0
"""Inches."""
N_SHEETS = 3
"""Worst frames that are drawn over the views."""

STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "font.size": 9,
}


def require_plots() -> None:
    """Refuse with a remedy where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError("plots need matplotlib", remedy="Run: python tools/bootstrap.py env --extra plots") from None


def plot_take(report: TakeEvaluation, evidence: TakeEvidence, folder: Path) -> list[Path]:
    """All pictures of a take: those of its points, errors in the views, and its worst frames over the views."""
    paths = plot_points(report.points, evidence.points, folder)
    views = evidence.views.get("detections") or evidence.views.get("associated")
    if views is not None:
        paths.append(_save(plot_pictures(views), folder / "error_in_pictures.png"))
    stage = next(stage for stage in HEADLINE_ORDER if stage in report.points)
    for place, bad in enumerate(report.points[stage].worst_frames[:N_SHEETS], start=1):
        path = folder / f"worst_{place}_frame_{bad.frame:04d}.png"
        sheet = _worst_sheet(evidence, stage, bad)
        if sheet is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(".png", np.ascontiguousarray(sheet[..., ::-1]))[1].tobytes())
            paths.append(path)
    return paths


def plot_points(
    figures: Mapping[str, PointsEvaluation], matched: Mapping[str, MatchedPoints], folder: Path
) -> list[Path]:
    """Pictures of points by stage: error over time, by joint, and feet."""
    require_plots()
    paths = [
        _save(plot_errors_over_time(figures, matched), folder / "error_over_time.png"),
        _save(plot_joints(matched), folder / "error_by_joint.png"),
    ]
    with_feet = [stage for stage in (*HEADLINE_ORDER, "prediction") if stage in matched and matched[stage].feet]
    for stage in with_feet[:1]:
        feet, points = matched[stage].feet, matched[stage]
        assert feet is not None
        for q, person in enumerate(points.people):
            name = "feet.png" if len(points.people) == 1 else f"feet_{person}.png"
            paths.append(_save(plot_feet(points, feet, q, stage), folder / name))
    return paths


def plot_comparison(report: Comparison, evidence: Mapping[str, MethodEvidence], folder: Path) -> list[Path]:
    """Ways to triangulate side by side: errors against the truth where there is one, reprojection, limb lengths."""
    require_plots()
    spreads = {"reprojection in all views, px": {m: _known(e.reprojection_px) for m, e in evidence.items()}}
    if report.of_truth is not None:
        spreads = {"error against the truth, mm": {m: _known(e.errors_mm) for m, e in evidence.items()}, **spreads}
    figure, axes = _figure(len(spreads) + 1, width=WIDTH, height=0.3 * len(evidence) + 1.2, share_x=False)
    methods, places = list(evidence), np.arange(len(evidence), dtype=float)
    for axis, (label, values) in zip(axes, spreads.items(), strict=False):
        for place, method in zip(places, methods, strict=True):
            _boxes(axis, [values[method]], np.array([place]), 0.6, METHOD_COLORS.get(method, "#555555"))
        axis.set_yticks(places, methods)
        axis.set(xlabel=label, ylim=(len(methods) - 0.4, -0.6))
        axis.set_xlim(left=0)
    bones = sorted({bone for one in evidence.values() for bone in one.bones})
    width = 0.8 / len(methods)
    for k, method in enumerate(methods):
        at = np.arange(len(bones)) + (k - (len(methods) - 1) / 2) * width
        shares = [100 * evidence[method].bones.get(bone, np.nan) for bone in bones]
        axes[-1].bar(at, shares, width, color=METHOD_COLORS.get(method, "#555555"), label=method)
    axes[-1].set_xticks(np.arange(len(bones)), [bone.replace("_", "\n") for bone in bones], fontsize=7)
    axes[-1].set(ylabel="length varies, %")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1.005, 1.0), frameon=False)
    axes[0].set_title(f"{report.take}: {report.points} points that every method has, nothing smoothed")
    return [_save(figure, folder / "comparison.png")]


def plot_errors_over_time(figures: Mapping[str, PointsEvaluation], matched: Mapping[str, MatchedPoints]) -> Figure:
    """Mean absolute error of the limb joints in every frame, a row for each person; the worst frames are marked."""
    people = next(iter(matched.values())).people
    figure, axes = _figure(len(people), width=WIDTH, height=2.4)
    for q, (person, axis) in enumerate(zip(people, axes, strict=True)):
        top = 0.0
        for stage, points in matched.items():
            error = known_mean(points.errors_mm[:, q][:, list(points.limbs)], -1)
            time = np.arange(len(error)) / points.fps
            mean = known_mean(error)
            label = f"{stage}, mean {float(mean):.1f} mm" if np.isfinite(mean) else f"{stage}, nothing found"
            axis.plot(time, error, color=_color(stage), linewidth=1.2, label=label)
            top = max(top, float(np.nanpercentile(error, 99.5)) if np.isfinite(error).any() else 0.0)
        stage = next(s for s in (*HEADLINE_ORDER, "prediction") if s in figures)
        for bad in [b for b in figures[stage].worst_frames if b.person == person][:N_SHEETS]:
            axis.plot(bad.frame / figures[stage].fps, min(bad.error_mm, 1.15 * top), "v", color=_color(stage))
        axis.set(ylabel="mm", ylim=(0, 1.25 * top if top else 1), title=f"{person}: mean error of the limb joints")
        axis.legend(loc="upper left", bbox_to_anchor=(1.005, 1.0), frameon=False)
    axes[-1].set_xlabel("time, s")
    return figure


def plot_joints(matched: Mapping[str, MatchedPoints]) -> Figure:
    """Spread of the absolute error of every limb joint: boxes are quartiles, whiskers 5 and 95 %."""
    first = next(iter(matched.values()))
    names = [first.names[j] for j in first.limbs]
    figure, (axis,) = _figure(1, width=WIDTH, height=0.33 * len(names) + 1.2)
    height = 0.8 / len(matched)
    for k, (stage, points) in enumerate(matched.items()):
        errors = [_known(points.errors_mm[:, :, points.names.index(n)]) if n in points.names else [] for n in names]
        places = np.arange(len(names)) + (k - (len(matched) - 1) / 2) * height
        _boxes(axis, errors, places, 0.8 * height, _color(stage))
        axis.plot([], [], color=_color(stage), linewidth=6, label=stage)
    axis.set_yticks(np.arange(len(names)), [name.replace("_", " ") for name in names])
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set(xlabel="error, mm", title="error by joint, all frames and people")
    axis.set_xlim(left=0)
    axis.legend(loc="upper left", bbox_to_anchor=(1.005, 1.0), frameon=False)
    return figure


def plot_pictures(views: MatchedViews) -> Figure:
    """Spread of pixel errors by camera, points that are seen and those that something hides."""
    cameras = list(views.true)
    figure, (axis,) = _figure(1, width=WIDTH, height=0.42 * len(cameras) + 1.3)
    kinds = {"visible": VISIBLE, "hidden": HIDDEN}
    values = {w: [_known(_view_errors(views, c, visible=w == "visible")) for c in cameras] for w in kinds}
    values = {what: errors for what, errors in values.items() if any(errors)}
    for k, (what, errors) in enumerate(values.items()):
        color, count = kinds[what], sum(len(e) for e in errors)
        _boxes(axis, errors, np.arange(len(cameras)) + (k - (len(values) - 1) / 2) * 0.36, 0.28, color)
        axis.plot([], [], color=color, linewidth=6, label=f"{what} ({count} points)")
    axis.set_yticks(np.arange(len(cameras)), cameras)
    axis.set_ylim(len(cameras) - 0.4, -0.6)
    axis.set(xlabel="error, px", title="found keypoints against true pixels")
    axis.set_xlim(left=0)
    axis.legend(loc="upper left", bbox_to_anchor=(1.005, 1.0), frameon=False)
    return figure


def plot_feet(points: MatchedPoints, feet: Feet, person: int, stage: str) -> Figure:
    """Height of heels and toes over that at rest, true and found; shaded where the true foot is on the floor."""
    figure, axes = _figure(len(FOOT_POINTS), width=WIDTH, height=1.35, share_y=True)
    time = np.arange(len(feet.true)) / points.fps
    for i, (name, axis) in enumerate(zip(FOOT_POINTS, axes, strict=True)):
        true = 1000 * (feet.true[:, person, i, 2] - feet.rest_true_m[person, i])
        found = 1000 * (feet.found[:, person, i, 2] - feet.rest_found_m[person, i])
        _shade(axis, time, feet.contact[:, person, i])
        axis.axhline(0, color="#999999", linewidth=0.8)
        axis.plot(time, true, color=TRUTH, linewidth=1.0, label="true")
        axis.plot(time, found, color=_color(stage), linewidth=1.2, label=stage)
        axis.set_ylabel(f"{name.replace('_', ' ')}\nmm")
    axes[0].set_title(f"{points.people[person]}: height of the feet over the floor (shaded: in contact)")
    axes[0].legend(loc="upper left", bbox_to_anchor=(1.005, 1.0), frameon=False)
    axes[-1].set_xlabel("time, s")
    return figure


def _worst_sheet(evidence: TakeEvidence, stage: str, bad: BadFrame) -> np.ndarray | None:
    matched, rig = evidence.points[stage], evidence.rig or evidence.truth.rig
    views = evidence.views.get("associated") or evidence.views.get("detections")
    known = tuple(name for name in matched.names if views is not None and name in views.names)
    detected = {}
    if views is not None and known == matched.names:
        columns = [views.names.index(name) for name in matched.names]
        detected = {camera: found[:, :, columns] for camera, found in views.found.items()}
    overlays = frame_overlays(matched, evidence.truth, rig, bad, detected)
    if not overlays:
        return None
    shown = {camera: int(evidence.pictures[camera][bad.frame]) for camera in overlays}
    pictures = read_pictures(evidence.take, shown)
    title = f"frame {bad.frame} ({bad.frame / matched.fps:.2f} s), {bad.person}, {stage}: "
    return draw_sheet(
        overlays, pictures, title + f"mean {bad.error_mm:.1f} mm, {bad.worst.replace('_', ' ')} {bad.worst_mm:.1f} mm"
    )


def _figure(
    rows: int, *, width: float, height: float, share_x: bool = True, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """Without a screen; `height` inches a row."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(width, rows * height + 0.6), layout="constrained")
        axes = figure.subplots(rows, 1, sharex=share_x, sharey=share_y, squeeze=False)[:, 0]
    return figure, list(axes)


def _boxes(
    axis: Axes, values: Sequence[Sequence[float]], places: Float[np.ndarray, "N"], width: float, color: str
) -> None:
    some = [(v, p) for v, p in zip(values, places, strict=True) if len(v)]
    if not some:
        return
    axis.boxplot(
        [v for v, _ in some],
        positions=[float(p) for _, p in some],
        widths=width,
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": color, "alpha": 0.55, "edgecolor": color},
        medianprops={"color": TRUTH, "linewidth": 1.4},
        whiskerprops={"color": color},
        capprops={"color": color},
    )


def _shade(axis: Axes, time: Float[np.ndarray, "T"], on: Bool[np.ndarray, "T"]) -> None:
    half = float(time[1] - time[0]) / 2 if len(time) > 1 else 0.5
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int64)))
    for start, stop in edges.reshape(-1, 2):
        axis.axvspan(float(time[start]) - half, float(time[stop - 1]) + half, color="#009e73", alpha=0.16, linewidth=0)


def _view_errors(views: MatchedViews, camera: str, *, visible: bool) -> Float[np.ndarray, "F Q J"]:
    errors, code = pixel_errors(views.found[camera], views.true[camera]), views.code[camera]
    hidden = (code == Visibility.HIDDEN_BY_SELF) | (code == Visibility.HIDDEN_BY_OTHER)
    return np.where(code == Visibility.VISIBLE if visible else hidden, errors, np.nan)


def _known(values: Float[np.ndarray, "*any"]) -> list[float]:
    return values[np.isfinite(values)].tolist()


def _color(stage: str) -> str:
    return COLORS.get(stage, "#555555")


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    return path
