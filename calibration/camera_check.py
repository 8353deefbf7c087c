"""Has a camera moved since the calibration? Any points that several cameras see tell: a person's joints, a board.

Every camera is asked in turn: would the views agree if this one alone stood elsewhere? The camera whose new pose
explains most is named when its movement is more than what noise of the points, and small faults of any calibration,
would make up; then the rest are asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from calibration.camera import Camera, Rig
from calibration.camera_check_moves import CheckConfig, Move, World, best_moves, no_move, only_move, world_of
from calibration.camera_check_sentences import rig_sentences, sentence_of
from calibration.errors import CalibrationError

Verdict = Literal["unmoved", "moved", "late", "noisy", "undecided", "unknown"]

MIN_LEFT = 3
"""Cameras not known to have moved, from which one can be told apart: two must stay to say what is right."""
MIN_TOLD = 30
"""Points of three views, below which nothing is said of a camera."""
NOISY = 2.5
"""A camera is noisy whose error is so many times the median of the others."""
LEAST_DELAY = 0.5
"""Frames: the least that is called late."""


@dataclass(frozen=True, eq=False)
class CameraCheck:
    """One camera against the others.

    n_points: points that it and at least two others see. error_px: median distance to where the others put them;
    after_px: the same from the pose that fits best. shift_m (3,): from its place in the rig to that pose, world.
    turn_rad (3,): rotation vector in its own axes. shift_std_m, turn_std_rad: standard deviations, root of the sum over
    axes. effect_px: how far (RMS) that pose moves the points in its picture; noise_px: how far noise alone would.
    late_frames: the delay that explains the error as well as a movement does; 0 for none.
    verdict: "undecided" where another camera's movement explains as much, "unknown" where too little is seen.
    """

    camera: str
    verdict: Verdict
    n_points: int
    error_px: float
    after_px: float
    shift_m: Float[np.ndarray, "3"]
    turn_rad: Float[np.ndarray, "3"]
    shift_std_m: float
    turn_std_rad: float
    effect_px: float
    noise_px: float
    late_frames: float

    @property
    def sentence(self) -> str:
        """What a user should know of it."""
        return sentence_of(self)

    def to_json_dict(self) -> dict[str, Any]:
        """Plain numbers and lists; unknown is null."""
        plain = {name: value for name, value in vars(self).items() if not isinstance(value, np.ndarray)}
        known = {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in plain.items()}
        return known | {"shift_m": self.shift_m.tolist(), "turn_rad": self.turn_rad.tolist(), "sentence": self.sentence}


@dataclass(frozen=True, eq=False)
class RigCheck:
    """All cameras in the order of the rig. moved: those that should be solved again, the clearest first.
    resolved: the rig with these where they fit best. noise_px: of the points, one coordinate.
    sentences: what a user should know, the worst first."""

    cameras: tuple[CameraCheck, ...]
    moved: tuple[str, ...]
    resolved: Rig
    noise_px: float
    sentences: tuple[str, ...]

    def __getitem__(self, name: str) -> CameraCheck:
        for camera in self.cameras:
            if camera.camera == name:
                return camera
        raise CalibrationError(
            f"no camera named {name!r}", remedy=f"There are {', '.join(c.camera for c in self.cameras)}."
        )

    def to_json_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return {
            "moved": list(self.moved),
            "noise_px": self.noise_px,
            "cameras": [camera.to_json_dict() for camera in self.cameras],
            "sentences": list(self.sentences),
        }


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
        suspects = _suspects(moves, config)
        if len(suspects) != 1 or len(moves) < MIN_LEFT or _is_late(suspects[0]):
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


def _suspects(moves: Sequence[Move], config: CheckConfig) -> list[Move]:
    """The camera whose movement explains most, if it convinces, and those whose movement explains nearly as much."""
    told = [move for move in moves if move.n_points >= MIN_TOLD]
    if not told:
        return []
    best = max(told, key=lambda move: move.gain)
    if best.effect_px < max(config.tolerance_px, config.least_ratio * best.noise_px):
        return []
    return [best, *(move for move in told if move is not best and move.gain > config.rival * best.gain)]


def _is_late(move: Move) -> bool:
    return abs(move.late_frames) >= LEAST_DELAY


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
    if move in suspects:
        return "late" if len(suspects) == 1 and _is_late(move) else "undecided"
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
