"""The world that a rig stands in: Z up, floor at z = 0, metres, an origin and a heading.

A rig comes out of its calibration in the axes of one of its cameras. What fixes the world is the pose of a board that
lay on the floor (in a clip of its own or at a moment of the calibration), the length of something known, a person who
stands (`calibration.world_person`), or, for want of better, the way cameras are held (`calibration.world_cameras`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from calibration.board_motion import BoardMotion
from calibration.camera import Camera, Rig
from calibration.errors import CalibrationError
from calibration.observations import BoardObservations
from calibration.transforms import RigidTransform
from calibration.world_floor import still_board

Origin = Literal["corner", "middle", "cameras"]
Heading = Literal["board", "away"]


@dataclass(frozen=True, eq=False)
class WorldFrame:
    """`x_world = world_from_rig.apply(scale * x_rig)`, how it was found, and what there is to know about it.

    tilt_std: standard deviation of the up axis, rad, in any direction; NaN where nothing tells it.
    """

    world_from_rig: RigidTransform
    scale: float
    how: str
    sentences: tuple[str, ...] = ()
    tilt_std: float = float("nan")

    def of_rig(self, rig: Rig) -> Rig:
        """The rig in this world; its pictures are the same."""
        rig_from_world = self.world_from_rig.inverse()
        return Rig(
            tuple(
                Camera(
                    camera.name,
                    camera.intrinsics,
                    RigidTransform(camera.cam_from_world.R, self.scale * camera.cam_from_world.t) @ rig_from_world,
                )
                for camera in rig
            )
        )

    def of_motion(self, motion: BoardMotion) -> BoardMotion:
        """The motion in this world. With a scale other than 1 the board's own points must be scaled too."""
        return motion.moved(self.world_from_rig, self.scale)

    def of_points(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
        return self.world_from_rig.apply(self.scale * points)

    def after(self, first: WorldFrame) -> WorldFrame:
        """`first`, then this one, as one frame."""
        pose = RigidTransform(self.world_from_rig.R, np.zeros(3)) @ RigidTransform(
            first.world_from_rig.R, self.scale * first.world_from_rig.t
        )
        pose = RigidTransform(pose.R, pose.t + self.world_from_rig.t)
        how = f"{first.how}; {self.how}"
        return WorldFrame(pose, first.scale * self.scale, how, first.sentences + self.sentences, self.tilt_std)


def apply(rig: Rig, frame: WorldFrame) -> Rig:
    """The rig in a world."""
    return frame.of_rig(rig)


@dataclass(frozen=True)
class FloorConfig:
    """thickness_m: of the board; its print lies that high above the floor. origin: the outer corner of the print's
    top-left square ("corner"), the board's middle, or the point of the floor in the middle of the cameras. heading: +x
    along the board's columns ("board": to the right as one reads it), or away from the first camera."""

    thickness_m: float = 0.0
    origin: Origin = "corner"
    heading: Heading = "board"


def from_floor_board(
    rig: Rig,
    observations: BoardObservations,
    *,
    moments: Sequence[int] | Int[np.ndarray, "m"] | None = None,
    config: FloorConfig | None = None,
) -> WorldFrame:
    """The world in which the board lies on the floor, from views of it by one camera of the rig or more.

    moments: those of `BoardObservations.view_moment` at which it lay there; all when absent. It is one still board, so
    that the cameras' clips need not have been taken at once; where it was moved, the place that most pictures show
    counts. It lies with the side up that the cameras see.
    """
    names = [name for name in rig.names if name in observations.cameras]
    if not names:
        seers = ", ".join(observations.cameras) or "no camera"
        raise CalibrationError(
            f"the board on the floor was seen by {seers}, none of them in the rig",
            remedy=f"Take a clip of one of {', '.join(rig.names)}.",
        )
    seen = _of_moments(observations.of_cameras(names), moments)
    board = still_board(seen, rig.subset(names))
    pose, doubts = _on_the_floor(rig, board.pose, seen.points, config or FloorConfig())
    how = f"from the board on the floor ({board.n_agreeing} pictures, {', '.join(board.cameras)})"
    return WorldFrame(pose, 1.0, how, board.sentences + doubts, board.tilt_std)


def from_moment(
    rig: Rig,
    motion: BoardMotion,
    moment: int,
    points: Float[np.ndarray, "K 3"],
    *,
    config: FloorConfig | None = None,
) -> WorldFrame:
    """The world in which the board lay on the floor at a moment of a motion that is already solved.

    points: (K, 3) m, the board's corners (`BoardObservations.points`).
    """
    row = np.flatnonzero(motion.moment == moment)
    if not len(row):
        there = f"{motion.moment[0]} to {motion.moment[-1]}" if len(motion) else "none at all"
        raise CalibrationError(
            f"the board has no pose at moment {moment}", remedy=f"Take one at which it was seen ({there})."
        )
    board = RigidTransform(motion.R[row[0]], motion.t[row[0]])
    pose, doubts = _on_the_floor(rig, board, points, config or FloorConfig())
    return WorldFrame(pose, 1.0, f"from the board on the floor at moment {moment}", doubts)


def from_known_distance(points: Float[np.ndarray, "T 2 3"], distance_m: float | int) -> WorldFrame:
    """The scale at which two points (a wand's ends, in rig units, at T moments; NaN where unseen) lie as far apart as
    they do. Axes and origin stay."""
    if not (np.isfinite(distance_m) and distance_m > 0):
        raise CalibrationError(f"a known distance of {distance_m:g} m is none", remedy="Give it in metres.")
    apart = np.linalg.norm(points[:, 1] - points[:, 0], axis=-1)
    apart = apart[np.isfinite(apart) & (apart > 0)]
    if not len(apart):
        raise CalibrationError(
            "the two points of known distance were never found together",
            remedy="Show both to two cameras at least, at the same moment.",
        )
    middle = float(np.median(apart))
    scatter = 1.4826 * float(np.median(np.abs(apart - middle)))
    share = scatter / middle / np.sqrt(len(apart))
    scale = distance_m / middle
    sentence = (
        f"The known distance of {distance_m:g} m fixes the scale at {scale:.4f} ± {100 * share:.2f} % ({len(apart)} "
        f"moments, single ones scatter by {1000 * scale * scatter:.1f} mm)."
    )
    return WorldFrame(RigidTransform.identity(), scale, "scale from a known distance", (sentence,))


def _of_moments(
    observations: BoardObservations, moments: Sequence[int] | Int[np.ndarray, "m"] | None
) -> BoardObservations:
    if moments is None:
        return observations
    return observations.of_views(np.isin(observations.view_moment, np.asarray(moments, dtype=int)))


def _on_the_floor(
    rig: Rig, board: RigidTransform, points: Float[np.ndarray, "K 3"], config: FloorConfig
) -> tuple[RigidTransform, tuple[str, ...]]:
    """world_from_rig of a board (rig_from_board) that lies on the floor, and doubts. Up is the side of the board on
    which the cameras are."""
    if not (np.isfinite(config.thickness_m) and config.thickness_m >= 0):
        raise CalibrationError(f"a board of {config.thickness_m:g} m thickness is none", where="thickness")
    middle, normal = board.apply(points.mean(axis=0)), board.R[:, 2]
    up = normal if np.sign((rig.centers - middle) @ normal).sum() > 0 else -normal
    floor = middle - config.thickness_m * up
    below = [camera.name for camera in rig if (camera.center - floor) @ up < 0]
    doubt = f"{_listed(below)} below the floor that the board gives: was it really lying on the floor?" if below else ""
    origin = {"corner": board.t, "middle": middle, "cameras": rig.centers.mean(axis=0)}[config.origin]
    origin = origin + up * float((floor - origin) @ up)
    ahead = board.R[:, 0] if config.heading == "board" else rig.cameras[0].cam_from_world.R[2]
    return standing_frame(up, ahead, origin), (doubt,) if doubt else ()


def _listed(names: Sequence[str]) -> str:
    return f"Camera {names[0]} is" if len(names) == 1 else f"Cameras {', '.join(names)} are"


def standing_frame(
    up: Float[np.ndarray, "3"], ahead: Float[np.ndarray, "3"], origin: Float[np.ndarray, "3"]
) -> RigidTransform:
    """world_from_rig: z along `up`, +x along what of `ahead` is level (any direction where nothing is), 0 at `origin`
    (all in rig axes)."""
    z = up / np.linalg.norm(up)
    level = ahead - (ahead @ z) * z
    if np.linalg.norm(level) < 1e-3 * np.linalg.norm(ahead):
        level = np.cross(np.eye(3)[int(np.abs(z).argmin())], z)
    x = level / np.linalg.norm(level)
    R = np.stack([x, np.cross(z, x), z])
    return RigidTransform(R, -R @ origin)
