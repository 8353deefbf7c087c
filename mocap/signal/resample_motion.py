"""A motion at another frame rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from mocap.core.errors import InputError
from mocap.core.motion import Motion

# Below this angle the weights of slerp are 0/0; those of a straight line differ from them by less than angle² / 24.
STRAIGHT_LINE_RAD = 1e-6


def resample_motion(motion: Motion, fps: float) -> Motion:
    """The same motion sampled at `fps`, from its first instant to the last one that lies within it.

    Positions go straight between frames, rotations along the shortest arc (slerp); both are exact at frames that
    coincide. No low-pass filter: a walk sampled down to 10 frames a second aliases, as any motion would.
    """
    if not np.isfinite(fps) or fps <= 0:
        raise InputError(f"{fps} frames a second is not a frame rate")
    if fps == motion.fps or motion.n_frames < 2:
        return replace(motion, fps=fps)
    # 1e-9 frames of slack, so that 2 s at 60/s sampled at 30/s keeps its last frame in spite of rounding.
    last = motion.n_frames - 1
    n_frames = int(np.floor(last * fps / motion.fps + 1e-9)) + 1
    rotations, translation = poses_at(motion, np.arange(n_frames) / fps)
    return replace(motion, root_translation=translation, local_rotations=rotations, fps=fps, joint_sd_m=None)


def poses_at(
    motion: Motion, time_s: Float[np.ndarray, "N"]
) -> tuple[Float[np.ndarray, "N J 4"], Float[np.ndarray, "N 3"]]:
    """Local rotations and root translation at any moments (seconds since the first frame); held before and after."""
    last = motion.n_frames - 1
    if last == 0:
        return np.repeat(motion.local_rotations, len(time_s), 0), np.repeat(motion.root_translation, len(time_s), 0)
    at = np.clip(time_s * motion.fps, 0, last)
    before = np.minimum(at.astype(np.int64), last - 1)
    fraction = (at - before)[:, None]
    translation, rotations = motion.root_translation, motion.local_rotations
    return (
        _slerp(rotations[before], rotations[before + 1], fraction[..., None]),
        translation[before] * (1 - fraction) + translation[before + 1] * fraction,
    )


def _slerp(
    start: Float[np.ndarray, "T J 4"], stop: Float[np.ndarray, "T J 4"], fraction: Float[np.ndarray, "T 1 1"]
) -> Float[np.ndarray, "T J 4"]:
    """Unit quaternions with non-negative dot products (`Motion` sees to that) along their great circles."""
    # atan2 of chord lengths: arccos of the dot product loses half the digits for small angles.
    angle = 2 * np.arctan2(
        np.linalg.norm(stop - start, axis=-1, keepdims=True), np.linalg.norm(stop + start, axis=-1, keepdims=True)
    )
    short = angle < STRAIGHT_LINE_RAD
    sine = np.where(short, 1.0, np.sin(angle))
    first = np.where(short, 1 - fraction, np.sin((1 - fraction) * angle) / sine)
    second = np.where(short, fraction, np.sin(fraction * angle) / sine)
    blended = first * start + second * stop
    return blended / np.linalg.norm(blended, axis=-1, keepdims=True)
