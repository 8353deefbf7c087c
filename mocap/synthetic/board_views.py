"""Which cameras see a moving board, and see it together: whether a calibration can be had from it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from calibration.boards import CharucoBoard
from calibration.camera import Camera, Rig
from mocap.core.config import Config

CORNERS_FOR_A_POSE = 6


class SightConfig(Config):
    """When a corner counts as seen.

    max_incidence_deg: between the line of sight and the board's normal. min_square_px: apparent side of a square, the
    shorter where it is foreshortened; of a DICT_4X4 board (markers of 3/4 of a square, sharp, any roll) OpenCV's
    detector with its own settings finds half of the corners at about 20 px, nearly all at 28. two_sided: the back shows
    the print too.
    """

    max_incidence_deg: float = 60.0
    min_square_px: float = 0.0
    two_sided: bool = False


def corners_in_view(
    rig: Rig,
    board: CharucoBoard,
    world_from_board: Float[np.ndarray, "T 4 4"],
    sight: SightConfig | None = None,
) -> Int[np.ndarray, "C T"]:
    """Number of inner corners that each camera sees at each moment; nothing stands in the way."""
    points = np.einsum("tab,nb->tna", world_from_board[:, :3, :3], board.corners) + world_from_board[:, None, :3, 3]
    normals = -world_from_board[:, :3, 2]
    seen = [_seen_by(camera, points, normals, board.square_m, sight or SightConfig()) for camera in rig]
    return np.stack(seen).sum(-1)


def square_px(rig: Rig, board: CharucoBoard, world_from_board: Float[np.ndarray, "T 4 4"]) -> Float[np.ndarray, "C T"]:
    """Apparent side of a square in the board's middle, foreshortened; negative where the board shows its back."""
    middle = np.array([*board.size_m, 0.0]) / 2
    places = world_from_board[:, :3, :3] @ middle + world_from_board[:, :3, 3]
    towards = rig.centers[:, None] - places
    cosine_by_distance = np.einsum("cta,ta->ct", towards, -world_from_board[:, :3, 2]) / (towards**2).sum(-1)
    focal = np.array([camera.intrinsics.K[0, 0] for camera in rig])
    return focal[:, None] * board.square_m * cosine_by_distance


def _seen_by(
    camera: Camera,
    points: Float[np.ndarray, "T N 3"],
    normals: Float[np.ndarray, "T 3"],
    square_m: float,
    sight: SightConfig,
) -> Bool[np.ndarray, "T N"]:
    px = camera.project(points)
    inside = ((px >= 0) & (px <= np.array(camera.intrinsics.image_size) - 1)).all(-1)  # NaN is not
    towards = camera.center - points
    distance = np.linalg.norm(towards, axis=-1)
    cosine = np.einsum("tna,ta->tn", towards, normals) / distance
    if sight.two_sided:
        cosine = np.abs(cosine)
    side = camera.intrinsics.K[0, 0] * square_m / distance * cosine
    return inside & (cosine >= np.cos(np.deg2rad(sight.max_incidence_deg))) & (side >= sight.min_square_px)


def shared_frames(seen: Int[np.ndarray, "C T"], least: int = CORNERS_FOR_A_POSE) -> Int[np.ndarray, "C C"]:
    """Number of moments at which each pair of cameras sees at least so many corners; its own on the diagonal."""
    enough = (seen >= least).astype(np.int64)
    return enough @ enough.T


def camera_groups(
    rig: Rig, shared: Int[np.ndarray, "C C"], least_frames: int = CORNERS_FOR_A_POSE
) -> tuple[tuple[str, ...], ...]:
    """Names of the cameras that hang together through pairs with at least so many shared moments, largest group first.

    One group means that the rig can be calibrated from the path.
    """
    count, label = connected_components(csr_array(shared >= least_frames), directed=False)
    groups = [tuple(name for name, own in zip(rig.names, label, strict=True) if own == k) for k in range(count)]
    return tuple(sorted(groups, key=len, reverse=True))
