"""A board that lies still, from all pictures of it by cameras of a known rig, whenever they were taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.camera import Rig
from calibration.errors import CalibrationError
from calibration.extrinsics_boards import camera_arrays, refine_boards, view_informations
from calibration.extrinsics_pairs import VOTE_ANGLE, board_outline
from calibration.extrinsics_views import PosedViews
from calibration.observations import BoardObservations
from calibration.transforms import RigidTransform, nearest_rotation

MAX_PROPOSALS = 80

STILL_M = 0.01
STILL_ANGLE = 5e-3
"""A board that appears within a centimetre, or 5 mrad (a few pixels, what a rig may be off by), has not been moved."""

TOSS_UP = 0.7
"""Ratio of the residuals of a plane's two solutions above which noise may have decided between them."""

DOUBTFUL_TILT = np.radians(0.5)
"""A floor tilted by half a degree is 26 mm off at 3 m: a foot's sole."""


@dataclass(frozen=True, eq=False)
class StillBoard:
    """rig_from_board of a board that lay still, the cameras that saw it there and in how many pictures, the standard
    deviation of its tilt in the worse direction (rad), and what there is to know about it."""

    pose: RigidTransform
    cameras: tuple[str, ...]
    n_agreeing: int
    tilt_std: float
    sentences: tuple[str, ...]


def still_board(observations: BoardObservations, rig: Rig) -> StillBoard:
    """Where the board lay in most pictures (each camera's together count as one), by cameras in the rig's order."""
    views = PosedViews.of(observations, {camera.name: camera.intrinsics for camera in rig})
    known = np.flatnonzero(views.poses.known & ~views.misfit)
    if not len(known):
        raise CalibrationError(
            "no camera saw enough of the board on the floor for its pose",
            remedy="Lay it flat where a camera sees all of it, large in the picture, and record a second of it.",
        )
    R, center = _elected(views, rig, known)
    agrees = _agrees(views, rig, known, R, center)
    R, center = _refined(views, rig, known[agrees], R, center)
    agrees = _agrees(views, rig, known, R, center)
    lying = known[agrees] if agrees.any() else known
    tilt = _tilt_std(views, rig, lying, R, center)
    names = tuple(rig.names[i] for i in np.unique(observations.view_camera[lying]))
    sentences = _sentences(views, known, lying, names, tilt)
    R = nearest_rotation(R)
    return StillBoard(RigidTransform(R, center - R @ views.middle), names, len(lying), tilt, sentences)


def _elected(
    views: PosedViews, rig: Rig, known: Int[np.ndarray, "v"]
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """Of both solutions of pictures spread over the cameras' clips, the one that most pictures show."""
    camera = views.observations.view_camera
    shown = known[np.argsort(_place_in_clip(camera[known]), kind="stable")][:MAX_PROPOSALS]
    turn, origin = (values[camera[shown]] for values in camera_arrays(rig))
    poses = views.poses
    proposals, costs = [], []
    share = 1 / np.bincount(camera[known], minlength=len(rig))[camera[known]]
    for R_cam, t_cam, rms in (
        (poses.R, poses.t, poses.rms_px),
        (poses.R_second, poses.t_second, poses.rms_second_px),
    ):
        R = np.swapaxes(turn, -1, -2) @ R_cam[shown]
        there = t_cam[shown] + R_cam[shown] @ views.middle
        center = (np.swapaxes(turn, -1, -2) @ there[..., None])[..., 0] + origin
        for k in np.flatnonzero(np.isfinite(center[:, 0])):
            off = np.minimum(_angles(views, rig, known, R[k], center[k]) / VOTE_ANGLE, 1.0) ** 2
            costs.append(float((share * off).sum()) + 1e-3 * min(float(rms[shown[k]]), 1e3))
            proposals.append((R[k], center[k]))
    return proposals[int(np.argmin(costs))]


def _place_in_clip(camera: Int[np.ndarray, "v"]) -> Float[np.ndarray, "v"]:
    """A number that puts one picture of every camera first, then one more of each, spread over their clips."""
    place = np.zeros(len(camera))
    for index in np.unique(camera):
        rows = np.flatnonzero(camera == index)
        # The golden ratio's multiples spread any first few evenly.
        place[rows[np.argsort((np.arange(len(rows)) * 0.6180339887) % 1.0, kind="stable")]] = np.arange(len(rows))
    return place


def _angles(
    views: PosedViews, rig: Rig, rows: Int[np.ndarray, "v"], R: Float[np.ndarray, "3 3"], center: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "v"]:
    """Largest angle (rad) between where pictures show the board's outline and where a pose of it puts it."""
    outline = board_outline(views.observations.points)
    turn, origin = (values[views.observations.view_camera[rows]] for values in camera_arrays(rig))
    seen = (views.poses.t[rows] + views.poses.R[rows] @ views.middle)[:, None] + outline @ np.swapaxes(
        views.poses.R[rows], -1, -2
    )
    placed = (outline @ R.T + center - origin[:, None]) @ np.swapaxes(turn, -1, -2)
    one, two = (p / (np.linalg.norm(p, axis=-1, keepdims=True) + 1e-300) for p in (seen, placed))
    return np.asarray(np.linalg.norm(one - two, axis=-1).max(axis=-1))


def _agrees(
    views: PosedViews, rig: Rig, rows: Int[np.ndarray, "v"], R: Float[np.ndarray, "3 3"], center: Float[np.ndarray, "3"]
) -> Bool[np.ndarray, "v"]:
    distance = np.linalg.norm(center - rig.centers[views.observations.view_camera[rows]], axis=-1)
    return np.asarray(_angles(views, rig, rows, R, center) < np.maximum(STILL_M / distance, STILL_ANGLE))


def _refined(
    views: PosedViews, rig: Rig, rows: Int[np.ndarray, "v"], R: Float[np.ndarray, "3 3"], center: Float[np.ndarray, "3"]
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    if not len(rows):
        return R, center
    turn, origin = (values[views.observations.view_camera[rows]] for values in camera_arrays(rig))
    one = np.zeros(len(rows), dtype=int)
    R_all, center_all = refine_boards(views.rays.of(rows), turn, origin, one, (R[None], center[None]))
    return R_all[0], center_all[0]


def _tilt_std(
    views: PosedViews, rig: Rig, rows: Int[np.ndarray, "v"], R: Float[np.ndarray, "3 3"], center: Float[np.ndarray, "3"]
) -> float:
    """Of the board's normal, in its worse direction. Pictures of a still board repeat their errors: those of a camera
    count as one."""
    camera = views.observations.view_camera[rows]
    turn, origin = (values[camera] for values in camera_arrays(rig))
    before = (turn @ (center - origin)[..., None])[..., 0]
    each = view_informations(views.rays.of(rows), turn, turn @ R, before)
    total = np.stack([each[camera == index].mean(axis=0) for index in np.unique(camera)]).sum(axis=0)
    in_board = R.T @ np.linalg.inv(total)[:3, :3] @ R
    return float(np.sqrt(np.linalg.eigvalsh(in_board[:2, :2])[-1]))


def _sentences(
    views: PosedViews, known: Int[np.ndarray, "v"], lying: Int[np.ndarray, "l"], names: tuple[str, ...], tilt: float
) -> tuple[str, ...]:
    said = []
    if len(lying) < len(known):
        said.append(
            f"The board on the floor did not lie still, or not all cameras show it in one place: {len(lying)} of "
            f"{len(known)} pictures were used."
        )
    unheard = sorted({views.observations.cameras[i] for i in views.observations.view_camera[known]} - set(names))
    if unheard:
        said.append(f"Where {', '.join(unheard)} saw the board, it did not lie for the others.")
    level = f"The floor's tilt is known to ± {np.degrees(tilt):.2f}° ({1000 * np.tan(tilt) * 3:.0f} mm at 3 m)"
    said.append(level + (": lay the board where more cameras see it, and larger." if tilt > DOUBTFUL_TILT else "."))
    if len(names) == 1 and np.median(views.poses.ambiguity[lying]) > TOSS_UP:
        said.append(
            f"Only {names[0]} saw the board on the floor, and so small that its picture can be read as two tilts: look "
            f"at the result, or lay it where another camera sees it too."
        )
    return tuple(said)
