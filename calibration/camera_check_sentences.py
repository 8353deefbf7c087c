"""A check of cameras in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float


class Checked(Protocol):
    """What a sentence about a camera needs of `CameraCheck`."""

    @property
    def camera(self) -> str: ...
    @property
    def verdict(self) -> str: ...
    @property
    def n_points(self) -> int: ...
    @property
    def error_px(self) -> float: ...
    @property
    def after_px(self) -> float: ...
    @property
    def shift_m(self) -> Float[np.ndarray, "3"]: ...
    @property
    def turn_rad(self) -> Float[np.ndarray, "3"]: ...
    @property
    def shift_std_m(self) -> float: ...
    @property
    def turn_std_rad(self) -> float: ...
    @property
    def effect_px(self) -> float: ...
    @property
    def late_frames(self) -> float: ...


def sentence_of(it: Checked) -> str:
    """One camera."""
    return {
        "moved": _moved,
        "late": _late,
        "noisy": _noisy,
        "undecided": _undecided,
        "unknown": _unknown,
        "unmoved": _unmoved,
    }[it.verdict](it)


def rig_sentences(cameras: Sequence[Checked]) -> tuple[str, ...]:
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


def _movement(it: Checked) -> str:
    shift, turn = np.linalg.norm(it.shift_m), np.degrees(np.linalg.norm(it.turn_rad))
    return (
        f"{1000 * shift:.0f} mm (± {1000 * it.shift_std_m:.0f}) and {turn:.1f}° (± {np.degrees(it.turn_std_rad):.1f})"
    )


def _moved(it: Checked) -> str:
    return (
        f"{it.camera} has moved since the calibration, by {_movement(it)}: what it sees is {it.error_px:.1f} px off "
        f"where the other cameras see it, and {it.after_px:.1f} px once it is solved again. Solve it again from this "
        "recording, or calibrate anew"
    )


def _late(it: Checked) -> str:
    late = f"{abs(it.late_frames):.1f} frames {'late' if it.late_frames > 0 else 'early'}"
    return (
        f"{it.camera} runs {late} against the other cameras, which explains its error of {it.error_px:.1f} px as well "
        "as a movement would. Synchronize the clips, then check again"
    )


def _noisy(it: Checked) -> str:
    return (
        f"{it.camera} is {it.error_px:.1f} px off where the other cameras see things, and no other pose of it explains "
        "that. Look at its picture (blur, focus, zoom, somebody else in view) and at its synchronization"
    )


def _undecided(it: Checked) -> str:
    return f"{it.camera} may have moved, by {_movement(it)}, unless another camera has"


def _unknown(it: Checked) -> str:
    return (
        f"nothing can be said about {it.camera}: it shares {it.n_points} points with two other cameras. "
        "Let somebody walk through what it and its neighbours see"
    )


def _unmoved(it: Checked) -> str:
    return f"{it.camera} stands where it stood: {it.error_px:.1f} px off where the other cameras see things"


def _disagreement(undecided: Sequence[Checked], count: int) -> str:
    names = " or ".join(it.camera for it in undecided)
    remedy = (
        "A third camera would tell which. Calibrate anew"
        if count < 3
        else "Record somebody who walks through the whole space and check again, or calibrate anew"
    )
    return f"a camera has moved since the calibration, and these points do not tell whether it is {names}. {remedy}"
