"""A skeleton in motion: one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mocap.core.errors import InputError
from mocap.core.skeleton import SkeletonDefinition

UNIT_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Motion:
    """root_translation: (T, 3) m, position of the root joint in the world.

    local_rotations: (T, J, 4) unit quaternions wxyz, parent_from_joint (the root's is world_from_root),
    sign-continuous in time. `person` names the subject in exports. joint_sd_m: (T, J) m, root mean squared distance
    that joints are expected to be off, where whoever made the motion knows.
    """

    skeleton: SkeletonDefinition
    root_translation: Float[np.ndarray, "T 3"]
    local_rotations: Float[np.ndarray, "T J 4"]
    fps: float
    person: str = "person"
    joint_sd_m: Float[np.ndarray, "T J"] | None = None

    def __post_init__(self) -> None:
        translation = np.array(self.root_translation, dtype=np.float64)
        rotations = np.array(self.local_rotations, dtype=np.float64)
        if translation.ndim != 2 or rotations.shape != (len(translation), len(self.skeleton), 4):
            raise InputError(
                f"Motion has translation {translation.shape} and rotations {rotations.shape}, "
                f"expected (T, 3) and (T, {len(self.skeleton)}, 4)"
            )
        if not np.isfinite(translation).all() or not np.isfinite(rotations).all():
            raise InputError("Motion must be finite in every frame")
        norm = np.linalg.norm(rotations, axis=-1, keepdims=True)
        if (np.abs(norm - 1) > UNIT_TOLERANCE).any():
            raise InputError(f"Motion has quaternions of norm {norm.min():.4f} to {norm.max():.4f}, not 1")
        if not np.isfinite(self.fps) or self.fps <= 0:
            raise InputError(f"{self.fps} frames a second is not a frame rate")
        rotations = sign_continuous(rotations / norm)
        self._freeze("root_translation", translation)
        self._freeze("local_rotations", rotations)
        if self.joint_sd_m is not None:
            spread = np.array(self.joint_sd_m, dtype=np.float64)
            if spread.shape != rotations.shape[:2]:
                raise InputError(f"Motion.joint_sd_m has shape {spread.shape}, expected {rotations.shape[:2]}")
            self._freeze("joint_sd_m", spread)

    def _freeze(self, name: str, array: np.ndarray) -> None:
        array.setflags(write=False)
        object.__setattr__(self, name, array)

    @property
    def n_frames(self) -> int:
        return len(self.root_translation)


def sign_continuous(quaternions: Float[np.ndarray, "T *batch 4"]) -> Float[np.ndarray, "T *batch 4"]:
    """Flip signs so that neighbours in time have a non-negative dot product; the first frame gets w >= 0."""
    if not len(quaternions):
        return quaternions
    flips = np.where((quaternions[1:] * quaternions[:-1]).sum(-1) < 0, -1.0, 1.0)
    first = np.where(quaternions[:1, ..., 0] < 0, -1.0, 1.0)
    return quaternions * np.cumprod(np.concatenate([first, flips]), axis=0)[..., None]
