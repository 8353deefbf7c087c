"""A body model's shape and its motion: what a fit of a body gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float

from mocap.core.errors import InputError
from mocap.core.motion import Motion

BodyModelName = Literal["anny", "smpl", "smplh", "smplx"]
Gender = Literal["neutral", "female", "male"]


@dataclass(frozen=True, eq=False)
class BodyMotion:
    """One person as a body model: a shape for the whole take, and the motion of the model's joints.

    shape: (S,) parameters by `shape_names` (Anny's phenotypes, or betas). motion: of `humanoid` with the joints of this
    shape in the model's T-pose. root_rest: (3,) m, where the model itself has its root in its rest pose, in our axes
    (the model's translation counts from there).
    """

    model: BodyModelName
    gender: Gender
    shape_names: tuple[str, ...]
    shape: Float[np.ndarray, "S"]
    motion: Motion
    root_rest: Float[np.ndarray, "3"] = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self) -> None:
        shape, root = np.array(self.shape, dtype=np.float64), np.array(self.root_rest, dtype=np.float64)
        if shape.shape != (len(self.shape_names),) or root.shape != (3,):
            raise InputError(
                f"BodyMotion has shape {shape.shape} and root {root.shape}, "
                f"expected ({len(self.shape_names)},) and (3,)"
            )
        if not np.isfinite(shape).all() or not np.isfinite(root).all():
            raise InputError("BodyMotion must have a finite shape")
        for name, array in (("shape", shape), ("root_rest", root)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def fps(self) -> float:
        return self.motion.fps

    @property
    def n_frames(self) -> int:
        return self.motion.n_frames
