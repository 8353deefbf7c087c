"""What a fit needs to know of a parametric body: joints, keypoints and skin as functions of a few shape parameters.

Every family is put on the joints of `humanoid`, whose tree the 22 body joints of SMPL and the joints that we make of
Anny's bones share, so that one pose prior, one set of limits and one solver serve them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from mocap.core.body_motion import BodyModelName, Gender
from mocap.core.markers import MarkerSet
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.kinematics import descends_from

ROUNDING_M = 1e-9


@dataclass(frozen=True, eq=False)
class ShapeSpace:
    """The shape parameters of a family. usual, spread: (S,) mean and standard deviation among people; lower, upper."""

    names: tuple[str, ...]
    usual: Float[np.ndarray, "S"]
    spread: Float[np.ndarray, "S"]
    lower: Float[np.ndarray, "S"]
    upper: Float[np.ndarray, "S"]

    def __len__(self) -> int:
        return len(self.names)

    def clamped(self, shape: Float[np.ndarray, "S"]) -> Float[np.ndarray, "S"]:
        """Within the bounds."""
        return np.clip(shape, self.lower, self.upper)


@dataclass(frozen=True, eq=False)
class BodyRest:
    """The joints and keypoints of one shape in the T-pose, facing -Y, soles on z = 0.

    rest_offsets: (J, 3) m as in SkeletonDefinition. keypoints: name -> (3,) m.
    """

    rest_offsets: Float[np.ndarray, "J 3"]
    keypoints: Mapping[str, Float[np.ndarray, "3"]]


@dataclass(frozen=True, eq=False)
class BodyMesh:
    """The skin of one shape in the T-pose: vertices (V, 3) m, faces (F, 3), weights (V, J) on the joints."""

    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]
    weights: Float[np.ndarray, "V J"]

    @property
    def height_m(self) -> float:
        """From the soles to the crown."""
        return float(np.ptp(self.vertices[:, 2]))


@runtime_checkable
class BodyFamily(Protocol):
    """Bodies of all shapes of one model."""

    @property
    def model(self) -> BodyModelName: ...
    @property
    def gender(self) -> Gender: ...
    @property
    def space(self) -> ShapeSpace: ...

    def rest(self, shape: Float[np.ndarray, "S"]) -> BodyRest:
        """Joints and keypoints of a shape; cheap, and the same names for every shape."""
        ...

    def skeleton(self, shape: Float[np.ndarray, "S"]) -> SkeletonDefinition:
        """`humanoid` with the joints and tips of a shape."""
        ...

    def mesh(self, shape: Float[np.ndarray, "S"]) -> BodyMesh:
        """The skin of a shape."""
        ...

    def posed(self, shape: Float[np.ndarray, "S"], motion: Motion) -> Float[np.ndarray, "T V 3"]:
        """The skin in every frame of a motion of that shape's skeleton, m, world."""
        ...

    def root_rest(self, shape: Float[np.ndarray, "S"]) -> Float[np.ndarray, "3"]:
        """Where the model itself has its root in its rest pose, in our axes, m."""
        ...


def rest_joints(rest_offsets: Float[np.ndarray, "J 3"], parents: Int[np.ndarray, "J"]) -> Float[np.ndarray, "J 3"]:
    """Where the joints are in the T-pose, m."""
    return np.array(descends_from(parents.tolist()), dtype=np.float64) @ rest_offsets


def body_markers(markers: MarkerSet, rest: BodyRest, parents: Int[np.ndarray, "J"]) -> MarkerSet:
    """The markers of those keypoints that a body has, where the body has them."""
    own = markers.select(tuple(rest.keypoints))
    places = np.array([rest.keypoints[name] for name in own.keypoints]).reshape(-1, 3)
    offsets = places - rest_joints(rest.rest_offsets, parents)[own.at]
    return replace(own, offsets=np.where(np.abs(offsets) < ROUNDING_M, 0.0, offsets))
