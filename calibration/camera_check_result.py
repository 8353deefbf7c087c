"""What a check of cameras found, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from calibration.camera import Rig
from calibration.errors import CalibrationError

Verdict = Literal["unmoved", "moved", "late", "noisy", "undecided", "unknown"]


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


def sentence_of(it: CameraCheck) -> str:
    """One camera."""
    return {
        "moved": _moved,
        "late": _late,
        "noisy": _noisy,
        "undecided": _undecided,
        "unknown": _unknown,
        "unmoved": _unmoved,
    }[it.verdict](it)


def rig_sentences(cameras: Sequence[CameraCheck]) -> tuple[str, ...]:
    """Of all that is not as it should be, the worst first; of a rig in order, that it is."""
    order = ("moved", "late", "noisy", "unknown")
    told = [sentence_of(it) for verdict in order for it in cameras if it.verdict == verdict]
    undecided = [it for it in cameras if it.verdict == "undecided"]
    if undecided:
        told.insert(0, _disagreement(undecided, len(cameras)))
    if not told:
        worst = max(cameras, key=lambda it: it.effect_px)
        told = [
            f"no camera has moved: {worst.camera}, the least certain, fits {worst.effect_px:.1f} px better "
            "from another pose, which is what noise and any calibration leave"
        ]
    return tuple(told)


def _movement(it: CameraCheck) -> str:
    shift, turn = np.linalg.norm(it.shift_m), np.degrees(np.linalg.norm(it.turn_rad))
    return (
        f"{1000 * shift:.0f} mm (± {1000 * it.shift_std_m:.0f}) and {turn:.1f}° (± {np.degrees(it.turn_std_rad):.1f})"
    )


def _moved(it: CameraCheck) -> str:
    return (
        f"{it.camera} has moved since the calibration, by {_movement(it)}: what it sees is {it.error_px:.1f} px off "
        f"where the other cameras see it, and {it.after_px:.1f} px once it is solved again. Solve it again from this "
        "recording, or calibrate anew"
    )


def _late(it: CameraCheck) -> str:
    late = f"{abs(it.late_frames):.1f} frames {'late' if it.late_frames > 0 else 'early'}"
    return (
        f"{it.camera} runs {late} against the other cameras, which explains its error of {it.error_px:.1f} px better "
        "than a movement would. Synchronize the clips, then check again"
    )


def _noisy(it: CameraCheck) -> str:
    return (
        f"{it.camera} is {it.error_px:.1f} px off where the other cameras see things, and no other pose of it explains "
        "that. Look at its picture (blur, focus, zoom, somebody else in view) and at its synchronization"
    )


def _undecided(it: CameraCheck) -> str:
    return f"{it.camera} may have moved, by {_movement(it)}, unless another camera has"


def _unknown(it: CameraCheck) -> str:
    return (
        f"nothing can be said about {it.camera}: it shares {it.n_points} points with two other cameras. "
        "Let somebody walk through what it and its neighbours see"
    )


def _unmoved(it: CameraCheck) -> str:
    return f"{it.camera} stands where it stood: {it.error_px:.1f} px off where the other cameras see things"


def _disagreement(undecided: Sequence[CameraCheck], count: int) -> str:
    names = " or ".join(it.camera for it in undecided)
    remedy = (
        "A third camera would tell which. Calibrate anew"
        if count < 3
        else "Record somebody who walks through the whole space and check again, or calibrate anew"
    )
    return f"a camera has moved since the calibration, and these points do not tell whether it is {names}. {remedy}"
