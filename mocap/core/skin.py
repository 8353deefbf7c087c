"""A body's mesh, bound to the joints of a skeleton."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import InputError

WEIGHT_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class SkinnedMesh:
    """Linear blend skinning, as game engines have it: at most four joints a vertex.

    vertices: (V, 3) m, Z-up, in the rest pose of the skeleton of the motion that it belongs to (the skeleton's T-pose,
    its root at rest_offsets[0]). faces: (F, 3) indices of vertices, counter-clockwise from outside. joints, weights:
    (V, 4) joints that move each vertex and their shares, which sum to 1; unused places have joint 0 and weight 0.
    """

    name: str
    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]
    joints: Int[np.ndarray, "V 4"]
    weights: Float[np.ndarray, "V 4"]

    def __post_init__(self) -> None:
        vertices, weights = np.array(self.vertices, dtype=np.float64), np.array(self.weights, dtype=np.float64)
        faces, joints = np.array(self.faces, dtype=np.int32), np.array(self.joints, dtype=np.int32)
        n = len(vertices)
        if vertices.shape != (n, 3) or joints.shape != (n, 4) or weights.shape != (n, 4):
            raise InputError(
                f"SkinnedMesh {self.name!r} has vertices {vertices.shape}, joints {joints.shape} and weights "
                f"{weights.shape}, expected (V, 3), (V, 4) and (V, 4)"
            )
        if faces.ndim != 2 or faces.shape[1] != 3 or (faces.size and not 0 <= faces.min() <= faces.max() < n):
            raise InputError(f"SkinnedMesh {self.name!r} : faces {faces.shape}, expected (F, 3) of its {n} vertices")
        if not np.isfinite(vertices).all():
            raise InputError(f"SkinnedMesh {self.name!r} has vertices that are not finite")
        if n and (joints.min() < 0 or not (weights >= 0).all() or np.abs(weights.sum(1) - 1).max() > WEIGHT_TOLERANCE):
            raise InputError(f"SkinnedMesh {self.name!r} : joints and weights must be >= 0, weights sum to 1")
        arrays = {"vertices": vertices, "faces": faces, "joints": joints, "weights": weights}
        for name, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def n_joints_used(self) -> int:
        """One more than the highest joint that moves a vertex: what the skeleton must have at least."""
        return int(self.joints[self.weights > 0].max(initial=-1)) + 1


def four_weights(
    weights: Float[np.ndarray, "V J"],
) -> tuple[Int[np.ndarray, "V 4"], Float[np.ndarray, "V 4"]]:
    """The four greatest weights of each vertex, scaled to sum to 1, and their joints, the greatest first."""
    padded = np.pad(np.asarray(weights, dtype=np.float64), ((0, 0), (0, max(0, 4 - weights.shape[1]))))
    joints = np.argsort(-padded, axis=1, kind="stable")[:, :4]
    greatest = np.take_along_axis(padded, joints, axis=1)
    joints = np.where(greatest > 0, joints, 0)
    return joints.astype(np.int32), greatest / greatest.sum(1, keepdims=True)
