"""Has a camera moved since the calibration? Any points that several cameras see tell: a person's joints, a board.

Every camera is asked in turn: would the views agree if this one alone stood elsewhere? The camera whose new pose
explains most is named when its movement is more than what noise of the points, and small faults of any calibration,
would make up; then the rest are asked again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from calibration.camera import Camera, Rig
from calibration.camera_check_moves import CheckConfig, Move, World, best_moves, no_move, only_move, world_of
from calibration.camera_check_result import CameraCheck, RigCheck, Verdict, rig_sentences
from calibration.errors import CalibrationError

__all__ = ["CameraCheck", "CheckConfig", "RigCheck", "check_rig", "resolve_camera"]

MIN_LEFT = 3
"""Cameras not known to have moved, from which one can be told apart: two must stay to say what is right."""
MIN_TOLD = 30
"""Points of three views, below which nothing is said of a camera."""
NOISY = 2.0
"""A camera is noisy whose error is so many times the median of the others."""
LEAST_DELAY = 0.5
"""Frames: the least that is called late."""
LEAST_LATE_GAIN = 0.2
"""Share of a camera's cost that a delay explains before it is believed. Beside 0.39 for 2 frames late,
cameras that ran together had 0.09 at most."""


def check_rig(
    rig: Rig,
    px: Float[np.ndarray, "T C J 2"],
    weight: Float[np.ndarray, "T C J"],
    config: CheckConfig | None = None,
) -> RigCheck:
    """Which cameras do not stand where the rig says. px: distorted, NaN or weight 0 where unseen; cameras as in the
    rig; J names the same points in every frame (two people: 2 J)."""
    config = config or CheckConfig()
    world = world_of(rig, px, weight, config)
    found: list[Move] = []
    while True:
        free = tuple(move.camera for move in found)
        moves, noise = best_moves(world, no_move(world, found), free)
        suspects = _suspects(moves, config, config.further_ratio if found else config.least_ratio)
        if len(suspects) != 1 or len(moves) < MIN_LEFT or suspects[0] is _latest(moves):
            break
        found.append(suspects[0])
    return _report(world, found, moves, suspects, noise)


def resolve_camera(
    rig: Rig,
    name: str,
    px: Float[np.ndarray, "T C J 2"],
    weight: Float[np.ndarray, "T C J"],
    config: CheckConfig | None = None,
) -> tuple[Camera, Float[np.ndarray, "6 6"]]:
    """That camera's pose from what it and the others see, everything else left alone.

    The covariance is of (rotation w with R = exp(w) R0, rad; centre, m, world).
    """
    camera = rig.names.index(rig[name].name)
    world = world_of(rig, px, weight, config or CheckConfig())
    move = only_move(world, camera)
    if move.n_points < MIN_TOLD:
        raise CalibrationError(
            f"shares only {move.n_points} points with two other cameras",
            where=f"camera {name}",
            remedy="Record somebody, or a board, who moves through what it and at least two others see.",
        )
    return move.fit.poses.camera(rig, camera), move.covariance


def _suspects(moves: Sequence[Move], config: CheckConfig, least_ratio: float | int) -> list[Move]:
    """The camera whose movement explains most, if it convinces, and those whose movement explains nearly as much."""
    told = [move for move in moves if move.n_points >= MIN_TOLD and move.gain > 0]
    if not told:
        return []
    best = max(told, key=lambda move: move.gain)
    if best.effect_px < max(config.tolerance_px, least_ratio * best.noise_px):
        return []
    return [best, *(move for move in told if move is not best and move.gain > config.rival * best.gain)]


def _latest(moves: Sequence[Move]) -> Move | None:
    """The camera whose error a delay explains best, if it is one."""
    late = [move for move in moves if abs(move.late_frames) >= LEAST_DELAY and move.late_gain >= LEAST_LATE_GAIN]
    return max(late, key=lambda move: move.late_gain, default=None)


def _report(
    world: World, found: Sequence[Move], moves: Sequence[Move], suspects: Sequence[Move], noise_px: float
) -> RigCheck:
    names = world.rig.names
    verdicts: dict[int, Verdict] = {move.camera: "moved" for move in found}
    verdicts |= {move.camera: _verdict(move, moves, suspects) for move in moves}
    checks = tuple(
        _camera_check(names[move.camera], move, verdicts[move.camera])
        for move in sorted([*found, *moves], key=lambda move: move.camera)
    )
    poses = no_move(world, found).poses
    standing = {move.camera for move in moves}
    resolved = Rig(tuple(c if i in standing else poses.camera(world.rig, i) for i, c in enumerate(world.rig)))
    return RigCheck(checks, tuple(names[move.camera] for move in found), resolved, noise_px, rig_sentences(checks))


def _verdict(move: Move, moves: Sequence[Move], suspects: Sequence[Move]) -> Verdict:
    others = [m.error_px for m in moves if m is not move and np.isfinite(m.error_px)]
    if move.n_points < MIN_TOLD and move not in suspects:
        return "unknown"
    if move is _latest(moves) and not (len(suspects) == 1 and move not in suspects):
        return "late"
    if move in suspects:
        return "undecided"
    return "noisy" if len(others) >= 2 and move.error_px > NOISY * float(np.median(others)) else "unmoved"


def _camera_check(name: str, move: Move, verdict: Verdict) -> CameraCheck:
    variance = np.diag(move.covariance)
    return CameraCheck(
        camera=name,
        verdict=verdict,
        n_points=move.n_points,
        error_px=move.error_px,
        after_px=move.after_px,
        shift_m=move.step[3:],
        turn_rad=move.step[:3],
        shift_std_m=float(np.sqrt(variance[3:].sum())),
        turn_std_rad=float(np.sqrt(variance[:3].sum())),
        effect_px=move.effect_px,
        noise_px=move.noise_px,
        late_frames=move.late_frames,
    )
