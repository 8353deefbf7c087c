"""Judges a calibration: everything measured of it, and what to say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.bundle_held_out import synchronised
from calibration.bundle_result import POSE_NAMES, BundleResult
from calibration.camera import Camera, Rig
from calibration.extrinsics import ExtrinsicsReport
from calibration.intrinsics_prior import PINHOLE_NAMES, parameter_names
from calibration.intrinsics_result import IntrinsicsResult
from calibration.observations import BoardObservations
from calibration.quality_board import board_scale, shared_corners
from calibration.quality_graph import graph_edges, shared_moments
from calibration.quality_pixels import coverage, covered_share, imaged_share, pixel_errors, residual_field
from calibration.quality_report import (
    BoardScale,
    CalibrationReport,
    CameraQuality,
    GraphEdge,
    PixelErrors,
    ResidualField,
    Solve,
    Verdict,
    VolumeQuality,
)
from calibration.quality_verdicts import (
    Finding,
    findings_on_camera,
    findings_on_pixels,
    findings_on_rig,
    outlier_limit_px,
    worst,
)
from calibration.quality_volume import about_volume, expected_errors, pixels_in_picture, ray_std_mm, working_volume
from calibration.quality_words import headline
from calibration.transforms import RigidTransform
from calibration.world_frame import WorldFrame

__all__ = [
    "BoardScale",
    "CalibrationReport",
    "CameraQuality",
    "GraphEdge",
    "HeldOut",
    "PixelErrors",
    "ResidualField",
    "Solve",
    "Verdict",
    "VolumeQuality",
    "assess",
]

NO_WORLD = WorldFrame(RigidTransform(np.eye(3), np.zeros(3)), 1.0, "")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Moments that the solve did not see. solved: the board's motion there, with cameras and lenses held
    (`BundleConfig(cameras_fixed=True)`); without it the board's velocity comes from the moments before and after."""

    observations: BoardObservations
    solved: BundleResult | None = None


@dataclass(frozen=True, eq=False)
class _Solution:
    """What is judged, in the world of the report."""

    observations: BoardObservations
    bundle: BundleResult
    intrinsics: Mapping[str, IntrinsicsResult]
    rig: Rig
    parameters: tuple[tuple[str, str], ...]
    covariance: Float[np.ndarray, "P P"]
    outlier: Bool[np.ndarray, "N"]
    board_path_m: Float[np.ndarray, "M 3"]


def assess(
    observations: BoardObservations,
    bundle: BundleResult,
    intrinsics: Mapping[str, IntrinsicsResult],
    extrinsics: ExtrinsicsReport | None = None,
    *,
    held_out: HeldOut | BoardObservations | None = None,
    world: WorldFrame | None = None,
) -> CalibrationReport:
    """All that is known of a calibration, with verdicts.

    observations: those that `bundle` solved. intrinsics: by camera, where single cameras were calibrated; their
    coverage and focal lengths count where the bundle has none. held_out: moments for distances on the board; without
    them those of the solve are measured, and the report says so. world: maps the bundle's world to the report's, with
    the floor at z = 0; without it the report is in the bundle's world, whose z = 0 means nothing. Uncertainties of
    cameras are those with respect to the working volume as a whole, not to one camera or their mean.
    """
    it = _solution(observations, bundle, intrinsics, world or NO_WORLD)
    low, high = working_volume(it.board_path_m, has_floor=world is not None)
    volume = expected_errors(it.rig, it.parameters, it.covariance, low=low, high=high)
    it = replace(it, covariance=about_volume(it.rig, it.parameters, it.covariance, volume.points))
    cameras = tuple(_judged(_camera(it, index, volume), intrinsics) for index in range(len(it.rig)))
    board = _board(observations, bundle, held_out)
    solve = Solve(
        noise_px=bundle.noise_px,
        iterations=bundle.iterations,
        converged=bundle.converged,
        seconds=bundle.seconds,
        world=world.how if world else "",
    )
    on_rig = findings_on_rig(volume, board, solve)
    verdict = worst([*(camera.verdict for camera in cameras), *(finding.verdict for finding in on_rig)])
    errors = pixel_errors(bundle.residual_px, it.outlier, bundle.outlier)
    return CalibrationReport(
        verdict=verdict,
        headline=headline(cameras, on_rig, errors, volume),
        sentences=_sentences(on_rig, cameras, extrinsics, world),
        errors=errors,
        cameras=cameras,
        board=board,
        volume=volume,
        graph=graph_edges(observations, bundle.residual_px, it.outlier, extrinsics),
        board_path_m=it.board_path_m,
        solve=solve,
    )


def _solution(
    observations: BoardObservations, bundle: BundleResult, intrinsics: Mapping[str, IntrinsicsResult], world: WorldFrame
) -> _Solution:
    parameters, covariance = _with_shared_lenses(bundle)
    turn = np.eye(len(parameters))
    for camera in bundle.rig:
        rows = [parameters.index((camera.name, name)) for name in POSE_NAMES[3:] if (camera.name, name) in parameters]
        if rows:
            turn[np.ix_(rows, rows)] = world.scale * world.world_from_rig.R
    middle = observations.points.mean(axis=0)
    motion = bundle.motion.moved(world.world_from_rig, world.scale)
    return _Solution(
        observations=observations,
        bundle=bundle,
        intrinsics=intrinsics,
        rig=world.of_rig(bundle.rig),
        parameters=parameters,
        covariance=turn @ covariance @ turn.T,
        outlier=_outliers(observations, bundle),
        board_path_m=motion.t + world.scale * motion.R @ middle,
    )


def _outliers(observations: BoardObservations, bundle: BundleResult) -> Bool[np.ndarray, "N"]:
    """What the solve left out is no measure: it would hide the faults of a camera that does not fit."""
    limit = np.array([outlier_limit_px(size, bundle.noise_px) for size in observations.image_sizes])
    within = np.linalg.norm(bundle.residual_px, axis=-1) <= limit[observations.camera]
    return ~within  # NaN is within nothing


def _with_shared_lenses(bundle: BundleResult) -> tuple[tuple[tuple[str, str], ...], Float[np.ndarray, "Q Q"]]:
    """Parameters and covariance with the lens of a group repeated for each of its cameras: they move together."""
    known = list(bundle.parameters)
    owners = {name for name, parameter in known if parameter in PINHOLE_NAMES}
    rows = list(range(len(known)))
    for camera in bundle.rig:
        if camera.name in owners:
            continue
        for owner in sorted(owners):
            if _same_lens(camera, bundle.rig[owner]):
                lens = [row for row, p in enumerate(bundle.parameters) if p[0] == owner and p[1] in _lens_names(camera)]
                known += [(camera.name, bundle.parameters[row][1]) for row in lens]
                rows += lens
                break
    return tuple(known), bundle.covariance[np.ix_(rows, rows)]


def _lens_names(camera: Camera) -> tuple[str, ...]:
    return parameter_names(camera.intrinsics)


def _same_lens(one: Camera, two: Camera) -> bool:
    a, b = one.intrinsics, two.intrinsics
    return a.lens is b.lens and np.array_equal(a.K, b.K) and np.array_equal(a.distortion, b.distortion)


def _camera(it: _Solution, index: int, volume: VolumeQuality) -> CameraQuality:
    """Everything but the verdict."""
    camera = it.rig.cameras[index]
    rows = it.observations.camera == it.observations.index(camera.name)
    trusted = rows & ~it.outlier
    size = camera.intrinsics.image_size
    own = it.intrinsics.get(camera.name)
    seen = coverage(it.observations.xy[trusted], size) + (0 if own is None else own.coverage)
    wanted = coverage(pixels_in_picture(camera, volume.points), size) > 0
    views = np.unique(it.observations.view[trusted])
    K = camera.intrinsics.K
    place = _block(it, camera.name, POSE_NAMES[3:])
    return CameraQuality(
        name=camera.name,
        verdict="good",
        reasons=(),
        image_size=size,
        views=len(views),
        shared_moments=shared_moments(it.observations, it.outlier, camera.name),
        errors=pixel_errors(it.bundle.residual_px[rows], it.outlier[rows], it.bundle.outlier[rows]),
        coverage=seen,
        wanted=wanted,
        covered_share=covered_share(seen, wanted),
        imaged_share=imaged_share(camera.intrinsics),
        field=residual_field(it.observations.xy[trusted], it.bundle.residual_px[trusted], _in_time(it, trusted), size),
        lens=camera.intrinsics.lens.value,
        focal_px=float(K[0, 0] + K[1, 1]) / 2,
        focal_std_px=_focal_std(it, camera.name),
        center_m=camera.center,
        axes=camera.cam_from_world.R,
        position_covariance_m2=place,
        position_std_mm=1e3 * float(np.sqrt(np.trace(place))),
        rotation_std_deg=float(np.degrees(np.sqrt(np.trace(_block(it, camera.name, POSE_NAMES[:3]))))),
        ray_std_mm=ray_std_mm(camera, volume.points, it.parameters, it.covariance),
        time_offset_ms=1e3 * float(it.bundle.time_offset_s.get(camera.name, 0.0)),
        line_time_us=1e6 * float(it.bundle.line_time_s.get(camera.name, 0.0)),
    )


def _block(it: _Solution, camera: str, names: tuple[str, ...]) -> Float[np.ndarray, "n n"]:
    """Zeros where a pose was held."""
    rows = [it.parameters.index((camera, name)) for name in names if (camera, name) in it.parameters]
    return it.covariance[np.ix_(rows, rows)] if rows else np.zeros((len(names), len(names)))


def _focal_std(it: _Solution, camera: str) -> float:
    """Of the mean of fx and fy: from the solve, else from the camera's own calibration."""
    rows = [it.parameters.index((camera, name)) for name in PINHOLE_NAMES[:2] if (camera, name) in it.parameters]
    if rows:
        return float(np.sqrt(it.covariance[np.ix_(rows, rows)].mean()))
    own = it.intrinsics.get(camera)
    return np.nan if own is None else float(np.sqrt(own.covariance[:2, :2].mean()))


def _in_time(it: _Solution, rows: Bool[np.ndarray, "N"]) -> Int[np.ndarray, "n"]:
    """Numbers of views that grow with time."""
    order = np.argsort(it.observations.view_time_s, kind="stable")
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    return rank[it.observations.view[rows]]


def _judged(camera: CameraQuality, intrinsics: Mapping[str, IntrinsicsResult]) -> CameraQuality:
    found = findings_on_pixels(camera.errors, camera.field, camera.image_size) + findings_on_camera(camera)
    own = intrinsics.get(camera.name)
    if own is not None and own.verdict == "redo":
        # The solve of all cameras may have repaired what its own clips lacked; ray_std_mm would say if not.
        found.append(Finding("usable", "Its own clips do not determine its lens: " + " ".join(own.sentences)))
    found.sort(key=lambda finding: finding.verdict != "redo")
    verdict = worst([finding.verdict for finding in found])
    return replace(camera, verdict=verdict, reasons=tuple(finding.reason for finding in found))


def _board(
    observations: BoardObservations, bundle: BundleResult, held_out: HeldOut | BoardObservations | None
) -> BoardScale | None:
    """In the bundle's world, where the board has its printed size."""
    noise_px, every, solved = bundle.noise_px, observations, bundle
    if isinstance(held_out, BoardObservations):
        held_out = HeldOut(held_out)
    if held_out is not None:
        every, solved = held_out.observations, held_out.solved
    if solved is None:
        return board_scale(every, bundle.rig, bundle.motion, held_out=True, noise_px=noise_px)
    together = synchronised(every, solved)
    found = board_scale(together, bundle.rig, None, held_out=held_out is not None, noise_px=noise_px)
    if found is None:
        return None
    # The solve left out corners that contradict the board; they count as not measured.
    return replace(found, kept_share=found.kept_share * shared_corners(together) / max(shared_corners(every), 1))


def _sentences(
    on_rig: list[Finding],
    cameras: tuple[CameraQuality, ...],
    extrinsics: ExtrinsicsReport | None,
    world: WorldFrame | None,
) -> tuple[str, ...]:
    """The worst first, of each camera its first reason only; then what happened on the way."""
    found = [(finding.verdict, finding.reason) for finding in on_rig]
    found += [(camera.verdict, f"{camera.name}: {camera.reasons[0]}") for camera in cameras if camera.reasons]
    found.sort(key=lambda pair: pair[0] != "redo")
    told = [*(extrinsics.sentences if extrinsics else ()), *(world.sentences if world else ())]
    return tuple(dict.fromkeys([*(reason for _, reason in found), *told]))
