"""Everything that a bundle adjustment changes, and how a step changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from calibration.board_motion import rotvecs_to_matrices
from calibration.bundle_parameters import Parameters
from calibration.camera import Camera, Intrinsics, Rig
from calibration.intrinsics_prior import parameters_of
from calibration.rotation_vectors import logs
from calibration.transforms import RigidTransform

Late = Sequence[np.ndarray | None]
"""Per camera a number for each of its views."""


@dataclass(frozen=True, eq=False)
class Knots:
    """The board at K times: world_from_board (R, t) with t the middle of its corners, velocity m/s and spin rad/s."""

    time_s: Float[np.ndarray, "K"]
    R: Float[np.ndarray, "K 3 3"]
    t: Float[np.ndarray, "K 3"]
    velocity: Float[np.ndarray, "K 3"]
    spin: Float[np.ndarray, "K 3"]

    def __len__(self) -> int:
        return len(self.time_s)

    def stepped(self, step: Float[np.ndarray, "K D"]) -> Knots:
        """D = 6: turned about the world's axes (rad) and shifted (m); D = 12: also spin and velocity."""
        turned = rotvecs_to_matrices(step[:, :3]) @ self.R
        faster = (
            {"spin": self.spin + step[:, 6:9], "velocity": self.velocity + step[:, 9:]} if step.shape[1] > 6 else {}
        )
        return replace(self, R=turned, t=self.t + step[:, 3:6], **faster)


@dataclass(frozen=True, eq=False)
class CameraState:
    """R: cam_from_world; center: m, world; lens: fx fy cx cy and distortion; offset_s: to be added to the times of its
    pictures, late_s: each view's own, None where times are exact; line_s: later by so much is a row than the one above
    it; back_turn, back_shift: front_from_back of the board's prints about its middle, m, the same for all cameras."""

    R: Float[np.ndarray, "3 3"]
    center: Float[np.ndarray, "3"]
    lens: Float[np.ndarray, "n"]
    offset_s: float = 0.0
    line_s: float = 0.0
    late_s: Float[np.ndarray, "V"] | None = None
    back_turn: Float[np.ndarray, "3 3"] = field(default_factory=lambda: np.eye(3))
    back_shift: Float[np.ndarray, "3"] = field(default_factory=lambda: np.zeros(3))

    @property
    def delay_s(self) -> float | Float[np.ndarray, "V"]:
        """What is to be added to the reported times of its views."""
        return self.offset_s if self.late_s is None else self.offset_s + self.late_s

    def stepped(self, step: Float[np.ndarray, "n"], late_step: Float[np.ndarray, "V"] | None) -> CameraState:
        """By a step in the camera's own numbers, and in the times of its views."""
        count = len(self.lens)
        turns = rotvecs_to_matrices(np.stack([step[:3], step[8 + count : 11 + count]]))
        return CameraState(
            turns[0] @ self.R,
            self.center + step[3:6],
            self.lens + step[6 : 6 + count],
            self.offset_s + float(step[6 + count]),
            self.line_s + float(step[7 + count]),
            self.late_s if self.late_s is None or late_step is None else self.late_s + late_step,
            turns[1] @ self.back_turn,
            self.back_shift + step[11 + count :],
        )


@dataclass(frozen=True, eq=False)
class State:
    """All cameras, in the order of the rig, and the board."""

    cameras: tuple[CameraState, ...]
    knots: Knots

    def stepped(self, parameters: Parameters, step: np.ndarray, knot_step: np.ndarray, late_steps: Late) -> State:
        """By a step in the P numbers of the cameras, one per knot, and one in the times of each camera's views."""
        padded = np.append(step, 0.0)
        cameras = tuple(
            camera.stepped(padded[columns], late)
            for camera, columns, late in zip(self.cameras, parameters.columns, late_steps, strict=True)
        )
        return State(cameras, self.knots.stepped(knot_step))

    def values(self, parameters: Parameters) -> Float[np.ndarray, "P"]:
        """The P numbers; zero for poses, which have no value apart from a start."""
        out = np.zeros(len(parameters))
        for camera, columns in zip(self.cameras, parameters.columns, strict=True):
            own = np.concatenate(
                [
                    np.zeros(6),
                    camera.lens,
                    [camera.offset_s, camera.line_s],
                    logs(camera.back_turn[None])[0],
                    camera.back_shift,
                ]
            )
            out[columns[columns >= 0]] = own[columns >= 0]
        return out


def camera_states(rig: Rig) -> tuple[CameraState, ...]:
    """The cameras of a rig, whose clocks agree."""
    return tuple(CameraState(c.cam_from_world.R, c.center, parameters_of(c.intrinsics)) for c in rig)


def rig_from(states: tuple[CameraState, ...], rig: Rig) -> Rig:
    """The cameras of a rig with the numbers of a state."""
    return Rig(tuple(_camera_from(state, camera) for state, camera in zip(states, rig, strict=True)))


def _camera_from(state: CameraState, camera: Camera) -> Camera:
    fx, fy, cx, cy = state.lens[:4]
    old = camera.intrinsics
    K = np.array([[fx, old.K[0, 1], cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    pose = RigidTransform(state.R, -state.R @ state.center)
    return Camera(camera.name, Intrinsics(old.image_size, K, state.lens[4:], old.lens), pose)
