"""What really happened in a synthetic take: bodies, cameras, clocks, boards. The file is `mocap.io.truth_file`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float, Integer

from calibration.camera import Rig
from mocap.core.errors import InputError
from mocap.core.keypoints import KeypointSet
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition


class Visibility(IntEnum):
    """How a point shows in a picture."""

    OUTSIDE = 0
    HIDDEN_BY_SELF = 1
    HIDDEN_BY_OTHER = 2
    VISIBLE = 3


@dataclass(frozen=True, eq=False)
class PersonTruth:
    """One person: the motion of the skeleton's joints, the body's parameters, and the feet.

    shape: names of the body model's parameters -> values. contact: (T, 4) whether left heel, left toes, right heel,
    right toes carry weight on the floor.
    """

    motion: Motion
    shape: dict[str, float]
    contact: Bool[np.ndarray, "T 4"]


@dataclass(frozen=True, eq=False)
class ViewTruth:
    """One camera's pictures.

    time_s: (F,) scene time at the middle of the exposure of every written frame. stamp_s: (F,) what the camera's own
    clock says of it, which the video's timestamps hold. clock_offset_s, clock_rate: stamp = rate * time + offset.
    repeated: (F,) frames that show the picture before them once more. cam_from_world: (F, 4, 4) true pose (it changes
    where a camera was moved). xy: (F, P, K, 2) px, distorted, NaN where not in front of the lens. visibility:
    (F, P, K) values of `Visibility`. cam_from_board: (F, 4, 4), NaN where there is no board.
    """

    camera: str
    time_s: Float[np.ndarray, "F"]
    stamp_s: Float[np.ndarray, "F"]
    clock_offset_s: float
    clock_rate: float
    repeated: Bool[np.ndarray, "F"]
    cam_from_world: Float[np.ndarray, "F 4 4"]
    xy: Float[np.ndarray, "F P K 2"]
    visibility: Integer[np.ndarray, "F P K"]
    cam_from_board: Float[np.ndarray, "F 4 4"]

    @property
    def n_frames(self) -> int:
        return len(self.time_s)


@dataclass(frozen=True, eq=False)
class TakeTruth:
    """All of one take, sampled at `fps` from scene time 0 (bodies) and at each camera's own times (views).

    keypoints_m: (T, P, K, 3) world, the union of the keypoints of all sets by name; NaN for those that the body lacks.
    rig: the true cameras at the start. board: the board's definition as session.toml writes it, empty without one.
    """

    fps: float
    people: tuple[PersonTruth, ...]
    keypoint_names: tuple[str, ...]
    keypoints_m: Float[np.ndarray, "T P K 3"]
    rig: Rig
    views: tuple[ViewTruth, ...]
    board: dict[str, object]
    seed: int

    def __post_init__(self) -> None:
        expected = (len(self.people), len(self.keypoint_names), 3)
        if self.keypoints_m.shape[1:] != expected:
            raise InputError(f"TakeTruth.keypoints_m has shape {self.keypoints_m.shape}, expected (T, {expected})")
        for person in self.people:
            if person.motion.n_frames != self.n_frames or len(person.contact) != self.n_frames:
                raise InputError(f"TakeTruth: {person.motion.person} has not {self.n_frames} frames")
        names = tuple(view.camera for view in self.views)
        if names != self.rig.names:
            raise InputError(f"TakeTruth has views of {', '.join(names)}, but cameras {', '.join(self.rig.names)}")

    @property
    def n_frames(self) -> int:
        return len(self.keypoints_m)

    @property
    def time_s(self) -> Float[np.ndarray, "T"]:
        """Scene time of the bodies' samples."""
        return np.arange(self.n_frames) / self.fps

    @property
    def skeleton(self) -> SkeletonDefinition:
        """The first person's skeleton; all people share its joints, not its lengths."""
        return self.people[0].motion.skeleton

    def view(self, camera: str) -> ViewTruth:
        """The pictures of one camera."""
        for view in self.views:
            if view.camera == camera:
                return view
        raise InputError(f"the truth has no camera {camera!r}; it has {', '.join(self.rig.names)}")

    def columns(self, names: Sequence[str]) -> Integer[np.ndarray, "n"]:
        """Positions of keypoints on the K axis; -1 for those that the truth does not know."""
        place = {name: k for k, name in enumerate(self.keypoint_names)}
        return np.array([place.get(name, -1) for name in names], dtype=np.int64)

    def keypoints_of(self, keypoint_set: KeypointSet) -> Float[np.ndarray, "T P J 3"]:
        """The keypoints of one set in its order, m; NaN where unknown."""
        columns = self.columns(keypoint_set.names)
        return np.where((columns >= 0)[:, None], self.keypoints_m[:, :, columns], np.nan)
