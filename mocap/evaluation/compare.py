"""Ways to triangulate side by side: the same keypoints of one take, the same points judged, nothing smoothed.

A method that leaves out what is difficult would look good. So figures are of the points that every method has, and how
many a method lacks stands beside them. Reprojection, lengths of limbs and jitter need no truth.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from calibration.camera import Rig
from mocap.core.config import Report
from mocap.core.errors import ConfigError, InputError
from mocap.core.heatmaps import HeatmapSource
from mocap.core.keypoints import Keypoints2D, Keypoints3D
from mocap.core.truth import TakeTruth
from mocap.evaluation.evaluate_points import LIMBS, match_points
from mocap.evaluation.evaluate_truth import TrueBodies, reference_times
from mocap.evaluation.motion_metrics import bone_report, jitter_m_s3
from mocap.evaluation.take import named_keypoints, true_points
from mocap.models.learned_triangulation import has_weights, require_weights
from mocap.stages.triangulate import METHODS, Evidence, Method, TriangulateConfig, triangulate

NEAR_MM = 50.0


@dataclass(frozen=True, eq=False)
class MethodPoints:
    """What a method made of the take. used: how it calls itself, another one where it could not be used."""

    points: Keypoints3D
    used: str
    seconds: float
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class MethodEvidence:
    """Of the limb joints that every method has, for plots. errors_mm: none without a truth."""

    reprojection_px: Float[np.ndarray, "n"]
    errors_mm: Float[np.ndarray, "m"]
    bones: dict[str, float]


class MethodFigures(Report):
    """One method. mpjpe_mm, median_mm, p95_mm, pck_50mm: against the truth, None without one.

    reprojection: full L2 in all views that saw a point, agreeing or not. limb_variation: standard deviation of limb
    lengths as a share of the mean, averaged over the rigid bones; asymmetry: left against right likewise. jitter: mean
    jerk. missing: share of the limb joints. ms_per_frame: triangulation alone, on this machine.
    """

    used: str
    mpjpe_mm: float | None
    median_mm: float | None
    p95_mm: float | None
    pck_50mm: float | None
    reprojection_median_px: float | None
    reprojection_p95_px: float | None
    limb_variation: float | None
    asymmetry: float | None
    jitter_m_s3: float | None
    missing: float
    ms_per_frame: float
    sentences: tuple[str, ...]


class Comparison(Report):
    """points: limb joints of people in frames that every method has, out of `of`; of_truth: likewise those compared
    with the truth, None where there is none."""

    take: str
    session: str | None
    frames: int
    cameras: tuple[str, ...]
    joints: tuple[str, ...]
    points: int
    of: int
    of_truth: int | None
    methods: dict[str, MethodFigures]


def methods_of(listed: str, config: TriangulateConfig) -> tuple[Method, ...]:
    """Methods by name, between commas; "all" are those whose weights are there."""
    if listed.strip() == "all":
        return tuple(method for method in METHODS if has_weights(method, config.learned))
    names = tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names:
        raise ConfigError(
            f"no method {', '.join(unknown) or 'is named'}",
            where="--compare",
            remedy=f"There are {', '.join(METHODS)}.",
        )
    for name in names:
        require_weights(name, config.learned)
    return tuple(method for method in METHODS if method in names)


def triangulate_by(
    methods: Sequence[Method],
    views: Keypoints2D,
    rig: Rig,
    config: TriangulateConfig,
    heatmaps: HeatmapSource | None = None,
) -> dict[str, MethodPoints]:
    """The points of each method, all else as configured. Learned ones read `heatmaps` as far as they would anyway."""
    found = {}
    for method in methods:
        how = TriangulateConfig.model_validate({**config.model_dump(), "method": method})
        start = time.perf_counter()
        points, report = triangulate(views, rig, how, Evidence(heatmaps if how.reads_heatmaps else None))
        seconds = time.perf_counter() - start
        found[method] = MethodPoints(points, report.method, seconds, report.sentences)
    return found


def compare_methods(
    found: Mapping[str, MethodPoints],
    views: Keypoints2D,
    rig: Rig,
    *,
    truth: TakeTruth | None = None,
    names: tuple[str, str | None] = ("", None),
) -> tuple[Comparison, dict[str, MethodEvidence]]:
    """views: what the points were made of. names: of the take and of its session."""
    if not found:
        raise InputError("there are no methods to compare")
    known = views.keypoint_set.names
    joints = tuple(name for name in LIMBS if name in known) or known
    columns = [known.index(name) for name in joints]
    xyz = {method: one.points.xyz[:, :, columns] for method, one in found.items()}
    there = {method: np.isfinite(points).all(-1) for method, points in xyz.items()}
    common = np.logical_and.reduce(list(there.values()))
    errors = {} if truth is None else _errors(found, views, truth)
    figures, evidence = {}, {}
    for method, one in found.items():
        points = np.where(common[..., None], xyz[method], np.nan)
        pixels = _reprojection(points, views, columns, rig)
        figures[method] = _figures(one, points, joints, (pixels, errors.get(method)), 1.0 - float(there[method].mean()))
        evidence[method] = MethodEvidence(pixels, errors.get(method, np.zeros(0)), _bones(points, joints))
    comparison = Comparison(
        take=names[0],
        session=names[1],
        frames=views.n_frames,
        cameras=views.cameras,
        joints=joints,
        points=int(common.sum()),
        of=common.size,
        of_truth=None if truth is None else len(next(iter(errors.values()))),
        methods=figures,
    )
    return comparison, evidence


def _figures(
    one: MethodPoints,
    points: Float[np.ndarray, "T P L 3"],
    joints: tuple[str, ...],
    errors: tuple[Float[np.ndarray, "n"], Float[np.ndarray, "m"] | None],
    missing: float,
) -> MethodFigures:
    pixels, millimetres = errors
    bones = [bone_report(points[:, p], joints) for p in range(points.shape[1])]
    jerk = jitter_m_s3(points, one.points.fps)
    return MethodFigures(
        used=one.used,
        mpjpe_mm=_mean(millimetres),
        median_mm=_percentile(millimetres, 50.0),
        p95_mm=_percentile(millimetres, 95.0),
        pck_50mm=None if millimetres is None else _mean((millimetres < NEAR_MM).astype(float)),
        reprojection_median_px=_percentile(pixels, 50.0),
        reprojection_p95_px=_percentile(pixels, 95.0),
        limb_variation=_mean(np.array([b.mean_coefficient for b in bones if b.mean_coefficient is not None])),
        asymmetry=_mean(np.array([value for b in bones for value in b.asymmetry.values()])),
        jitter_m_s3=_mean(jerk[np.isfinite(jerk)]),
        missing=missing,
        ms_per_frame=1000 * one.seconds / max(1, len(points)),
        sentences=one.sentences,
    )


def _errors(
    found: Mapping[str, MethodPoints], views: Keypoints2D, truth: TakeTruth
) -> dict[str, Float[np.ndarray, "m"]]:
    """Distances (mm) of limb joints that every method and the truth have, at the moments of the first camera."""
    reference = next((camera for camera in views.cameras if camera in truth.rig.names), truth.rig.names[0])
    times = reference_times(truth, reference, views.n_frames)
    moments = TrueBodies(truth).at(times, fps=views.fps)
    true = true_points(moments, "triangulated", views.fps)
    matched = {method: match_points(named_keypoints(one.points), true) for method, one in found.items()}
    distances = {method: points.errors_mm[:, :, list(points.limbs)] for method, points in matched.items()}
    common: Bool[np.ndarray, "T Q L"] = np.logical_and.reduce([np.isfinite(d) for d in distances.values()])
    return {method: values[common] for method, values in distances.items()}


def _reprojection(
    points: Float[np.ndarray, "T P L 3"], views: Keypoints2D, columns: list[int], rig: Rig
) -> Float[np.ndarray, "n"]:
    """px of every point in every view that saw it."""
    projected = np.moveaxis(rig.subset(views.cameras).project(points), 0, 2)
    error = np.linalg.norm(projected - views.xy[:, :, :, columns], axis=-1)
    return error[np.isfinite(error)]


def _bones(points: Float[np.ndarray, "T P L 3"], joints: tuple[str, ...]) -> dict[str, float]:
    """Variation of every bone of the first person."""
    bones = bone_report(points[:, 0], joints).bones
    return {name: bone.coefficient for name, bone in bones.items() if bone.coefficient is not None}


def _mean(values: Float[np.ndarray, "n"] | None) -> float | None:
    return None if values is None or not len(values) else float(values.mean())


def _percentile(values: Float[np.ndarray, "n"] | None, percent: float) -> float | None:
    return None if values is None or not len(values) else float(np.percentile(values, percent))
