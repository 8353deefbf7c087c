"""From what the cameras saw of a board to a rig in its world: diagnose, lenses, rig, world, report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from calibration.board_grids import Checkerboard
from calibration.bundle_adjustment import BundleConfig, BundleResult, bundle_adjust
from calibration.bundle_held_out import follow_board
from calibration.camera import Intrinsics, Rig
from calibration.diagnosis import Finding, diagnose
from calibration.errors import CalibrationError
from calibration.extrinsics import ExtrinsicsConfig, initial_rig
from calibration.extrinsics_boards import place_boards
from calibration.extrinsics_views import PosedViews
from calibration.intrinsics import IntrinsicsConfig, IntrinsicsPrior, IntrinsicsResult, calibrate_intrinsics
from calibration.observations import BoardObservations
from calibration.quality import CalibrationReport, HeldOut, assess
from calibration.world_frame import WorldFrame
from mocap.calibrate.observed import Observed
from mocap.calibrate.world import WorldConfig, find_world

HELD_OUT_EVERY = 6
ENOUGH_MOMENTS = 60
"""Moments with several views from which on every sixth is kept out of the solve, to test it: what is known of the rig
becomes a tenth less certain, and its errors are then measured instead of estimated."""


@dataclass(frozen=True)
class CalibrateConfig:
    """known: lenses that are taken as they are. hold_out: whether some moments are kept to test the solve."""

    intrinsics: IntrinsicsConfig = field(default_factory=IntrinsicsConfig)
    extrinsics: ExtrinsicsConfig = field(default_factory=ExtrinsicsConfig)
    bundle: BundleConfig = field(default_factory=BundleConfig)
    world: WorldConfig = field(default_factory=WorldConfig)
    known: Mapping[str, Intrinsics] = field(default_factory=dict)
    hold_out: bool = True


@dataclass(frozen=True, eq=False)
class Calibration:
    """A solved session. rig: in the world. bundle: in its own axes. findings: what speaks against the recording."""

    rig: Rig
    world: WorldFrame
    report: CalibrationReport
    bundle: BundleResult
    intrinsics: Mapping[str, IntrinsicsResult]
    findings: tuple[Finding, ...]
    seconds: float


def calibrate(observed: Observed, config: CalibrateConfig | None = None) -> Calibration:
    """Solve what was seen. Raises CalibrationError with a sentence for each fault that makes a rig meaningless."""
    config, began = config or CalibrateConfig(), time.perf_counter()
    shared = shared_views(observed)
    findings = [*_no_errors(diagnose(shared))]
    lenses, priors = find_lenses(observed, config)
    intrinsics = {name: result.intrinsics for name, result in lenses.items()}
    findings += _no_errors(diagnose(shared, intrinsics))
    rig, motion, extrinsics = initial_rig(shared, intrinsics, config.extrinsics)
    shared = shared.of_views(~np.isin(np.arange(shared.n_views), list(extrinsics.misfits)))
    solved, held_out = split(shared) if config.hold_out else (shared, None)
    bundle = bundle_adjust(rig, motion, solved, config.bundle, priors)
    tested = None if held_out is None else _tested(bundle, held_out, config.bundle)
    world = find_world(bundle.rig, bundle.motion, shared.points, observed.floor, config.world)
    report = assess(solved, bundle, lenses, extrinsics, held_out=tested, world=world)
    seconds, said = time.perf_counter() - began, tuple(dict.fromkeys(findings))
    return Calibration(world.of_rig(bundle.rig), world, report, bundle, lenses, said, seconds)


def shared_views(observed: Observed) -> BoardObservations:
    """The views that place cameras: of the extrinsics clips, every camera of the session among them."""
    if observed.extrinsics is None:
        raise CalibrationError(
            "there are no clips of a board that several cameras see at once",
            where=observed.root / "calibration" / "extrinsics",
            remedy="Carry the board through the space while all cameras record: "
            "calibration/extrinsics/<camera>.mp4 for each.",
        )
    missing = [name for name in observed.cameras if name not in observed.extrinsics.cameras]
    if missing:
        raise CalibrationError(
            f"there is no extrinsics clip of {', '.join(missing)}",
            where=observed.root / "calibration" / "extrinsics",
            remedy="Record one, or take the camera's other clips away to calibrate without it.",
        )
    board = observed.board
    if isinstance(board, Checkerboard) and board.looks_the_same_upside_down and len(observed.cameras) > 1:
        raise CalibrationError(
            f"a checkerboard of {board.squares_x} x {board.squares_y} squares looks the same upside down: cameras "
            "cannot agree which corner is which",
            where=observed.root / "calibration" / "extrinsics",
            remedy="Record these clips with a ChArUco board (`mocap board`), or with a checkerboard that has an odd "
            "sum of columns and rows. The clips of single cameras, for their lenses, can stay.",
        )
    return observed.extrinsics


def find_lenses(
    observed: Observed, config: CalibrateConfig
) -> tuple[dict[str, IntrinsicsResult], dict[str, IntrinsicsPrior]]:
    """A lens for every camera, and what is known of it beside the extrinsics clips.

    From the camera's own clip where there is one, else from the extrinsics clips. Lenses of the extrinsics clips are no
    prior for the adjustment of the same pictures.
    """
    shared = shared_views(observed)
    own = observed.intrinsics
    from_own = tuple(n for n in shared.cameras if own is not None and n in own.cameras and n not in config.known)
    others = tuple(n for n in shared.cameras if n not in from_own)
    results: dict[str, IntrinsicsResult] = {}
    if own is not None and from_own:
        results |= calibrate_intrinsics(own.of_cameras(from_own), _sharing(config.intrinsics, from_own))
    if others:
        known = {name: config.known[name] for name in others if name in config.known}
        results |= calibrate_intrinsics(shared.of_cameras(others), _sharing(config.intrinsics, others), known)
    certain = {*from_own, *(name for name in others if name in config.known)}
    return {n: results[n] for n in shared.cameras}, {n: results[n].prior() for n in shared.cameras if n in certain}


def split(observations: BoardObservations) -> tuple[BoardObservations, BoardObservations | None]:
    """What is solved, and what is kept to test it: every sixth of the moments that several cameras saw."""
    moments, index = np.unique(observations.view_moment, return_inverse=True)
    several = moments[np.bincount(index) > 1]
    if len(several) < ENOUGH_MOMENTS:
        return observations, None
    kept = np.isin(observations.view_moment, several[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY])
    return observations.of_views(~kept), observations.of_views(kept)


def _tested(bundle: BundleResult, held_out: BoardObservations, config: BundleConfig) -> HeldOut:
    """The board at moments that the solve did not see, before its cameras."""
    late = np.array([bundle.time_offset_s.get(name, 0.0) for name in held_out.cameras])
    timed = replace(held_out, view_time_s=held_out.view_time_s + late[held_out.view_camera])
    intrinsics = {camera.name: camera.intrinsics for camera in bundle.rig}
    motion = place_boards(PosedViews.of(timed, intrinsics), bundle.rig)
    return HeldOut(held_out, follow_board(motion, held_out, bundle, config))


def _sharing(config: IntrinsicsConfig, names: Sequence[str]) -> IntrinsicsConfig:
    """Groups of shared lenses as far as these cameras are in them."""
    groups = [tuple(name for name in group if name in names) for group in config.shared]
    return replace(config, shared=tuple(group for group in groups if len(group) > 1))


def _no_errors(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The warnings among them; raises for errors."""
    errors = [finding.sentence for finding in findings if finding.severity == "error"]
    if errors:
        raise CalibrationError("\n".join(errors))
    return tuple(findings)
