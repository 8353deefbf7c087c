"""Where a calibrated rig stands: what the session offers, in order of how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from calibration.board_motion import BoardMotion
from calibration.camera import Rig
from calibration.errors import CalibrationError, UnknownCameraError
from calibration.observations import BoardObservations
from calibration.transforms import RigidTransform
from calibration.world_cameras import from_upright_cameras
from calibration.world_frame import FloorConfig, WorldFrame, from_floor_board, from_known_distance, from_moment
from mocap.calibrate.standing import world_by_person


@dataclass(frozen=True)
class KnownDistance:
    """How far apart the optical centres of two cameras were measured to be, m."""

    cameras: tuple[str, str]
    distance_m: float


@dataclass(frozen=True)
class WorldConfig:
    """person: a take in which somebody stands upright. floor_moment: a moment (picture number) of the extrinsics clips
    at which the board lay on the floor. known_distance: sets the scale, in the place of the board's printed size.
    floor: origin, heading, thickness."""

    floor: FloorConfig = field(default_factory=FloorConfig)
    person: Path | None = None
    floor_moment: int | None = None
    known_distance: KnownDistance | None = None


def find_world(
    rig: Rig, motion: BoardMotion, points: np.ndarray, floor: BoardObservations | None, config: WorldConfig
) -> WorldFrame:
    """World of a rig: from a take or a moment that was named, else from clips of the board on the floor, else guessed
    from how cameras are held. points: (K, 3) m, corners of the board; motion: its poses in the clips that were solved.
    """
    if config.known_distance is None:
        return _standing(rig, motion, points, floor, config)
    sized = from_known_distance(_ends(rig, config.known_distance), config.known_distance.distance_m)
    in_rig_units = replace(config.floor, thickness_m=config.floor.thickness_m / sized.scale)
    standing = _standing(rig, motion, points, floor, replace(config, floor=in_rig_units))
    pose = RigidTransform(standing.world_from_rig.R, sized.scale * standing.world_from_rig.t)
    how, sentences = f"{standing.how}; {sized.how}", standing.sentences + sized.sentences
    return WorldFrame(pose, sized.scale * standing.scale, how, sentences, standing.tilt_std)


def _standing(
    rig: Rig, motion: BoardMotion, points: np.ndarray, floor: BoardObservations | None, config: WorldConfig
) -> WorldFrame:
    if config.floor_moment is not None:
        return from_moment(rig, motion, config.floor_moment, points, config=config.floor)
    if config.person is not None:
        return world_by_person(rig, config.person)
    if floor is not None:
        return from_floor_board(rig, floor, config=config.floor)
    try:
        return from_upright_cameras(rig, motion, points)
    except CalibrationError as error:
        sentence = f"The world is the first camera's: {error.what}. {error.remedy}"
        return WorldFrame(RigidTransform.identity(), 1.0, "axes of the first camera", (sentence,))


def _ends(rig: Rig, known: KnownDistance) -> np.ndarray:
    try:
        return np.stack([rig[name].center for name in known.cameras])[None]
    except UnknownCameraError as error:
        raise CalibrationError(error.what, where="known distance", remedy=error.remedy) from None
