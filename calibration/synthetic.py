"""Cameras and boards that never existed, for worlds with a known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from calibration.board_motion import BoardMotion, rotvecs_to_matrices
from calibration.camera import Camera, Intrinsics, Rig
from calibration.errors import CalibrationError
from calibration.observations import BoardObservations
from calibration.transforms import RigidTransform


def camera_looking_at(
    name: str,
    intrinsics: Intrinsics,
    *,
    center: Sequence[float] | Float[np.ndarray, "3"],
    target: Sequence[float] | Float[np.ndarray, "3"],
    roll: float = 0.0,
) -> Camera:
    """A camera at `center` whose optical axis passes through `target` (both world, m).

    roll: rad, how far the camera is turned about its axis from standing upright, clockwise as seen from behind it.
    """
    center, forward = np.asarray(center, dtype=np.float64), np.subtract(target, center)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) < 1e-9 * np.linalg.norm(forward) or not forward.any():
        raise CalibrationError(f"camera {name} looks straight up or down, or at itself: its roll is undefined")
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    upright = np.stack([right, np.cross(forward, right), forward])
    c, s = np.cos(roll), np.sin(roll)
    R = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) @ upright
    return Camera(name, intrinsics, RigidTransform(R, -R @ center))


def ring(
    count: int,
    intrinsics: Intrinsics | Sequence[Intrinsics],
    *,
    radius_m: float | int = 3.0,
    height_m: float | int = 2.0,
    target: Sequence[float] = (0.0, 0.0, 1.0),
) -> Rig:
    """`count` cameras around the z axis that look at `target`, named cam01, cam02, …; lenses are dealt out in turn."""
    lenses = [intrinsics] if isinstance(intrinsics, Intrinsics) else list(intrinsics)
    angles = 2 * np.pi * np.arange(count) / count
    centers = np.stack([radius_m * np.cos(angles), radius_m * np.sin(angles), np.full(count, height_m)], axis=-1)
    return Rig(
        tuple(
            camera_looking_at(f"cam{i + 1:02d}", lenses[i % len(lenses)], center=center, target=target)
            for i, center in enumerate(centers)
        )
    )


def waved_board(
    points: Float[np.ndarray, "K 3"],
    *,
    n_moments: int,
    fps: float | int,
    rng: np.random.Generator,
    within_m: tuple[Sequence[float], Sequence[float]] = ((-0.8, -0.8, 0.6), (0.8, 0.8, 1.6)),
) -> BoardMotion:
    """A board carried through a box (its lower and upper corner, m) by a hand: slow drift, a full turn about the
    vertical now and then, and tilts. The velocities are those of the motion.
    """
    time_s = np.arange(n_moments) / fps
    low, high = np.asarray(within_m, dtype=np.float64)
    middle = points.mean(axis=0)

    def pose(t: Float[np.ndarray, "M"]) -> tuple[np.ndarray, np.ndarray]:
        place = low + (high - low) * (0.5 + 0.5 * np.sin(rates * t[:, None] + phases))
        heading = 2 * np.pi * (turn_rate * t) + turn_phase
        tilt = 0.5 * np.sin(tilt_rates * t[:, None] + tilt_phases)
        upright = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])  # board's y down, z away from -y
        about_z = np.stack([0 * heading, 0 * heading, heading], axis=-1)
        R = rotvecs_to_matrices(about_z) @ rotvecs_to_matrices(tilt) @ upright
        return R, place - R @ middle

    rates, phases = rng.uniform(0.5, 1.1, 3), rng.uniform(0, 2 * np.pi, 3)
    tilt_rates, tilt_phases = rng.uniform(0.7, 1.6, 3), rng.uniform(0, 2 * np.pi, 3)
    turn_rate, turn_phase = rng.uniform(0.08, 0.16), rng.uniform(0, 2 * np.pi)
    R, t = pose(time_s)
    step = 1e-4
    (R_after, t_after), (R_before, t_before) = pose(time_s + step), pose(time_s - step)
    turned = (R_after - R_before) @ np.swapaxes(R, -1, -2) / (2 * step)
    spin = np.stack([turned[:, 2, 1], turned[:, 0, 2], turned[:, 1, 0]], axis=-1)
    return BoardMotion(np.arange(n_moments), time_s, R, t, (t_after - t_before) / (2 * step), spin)


@dataclass(frozen=True)
class Seeing:
    """How cameras see a board.

    noise_px: standard deviation of either coordinate of a corner. outlier_share: corners that are put anywhere within
    30 px. time_jitter_s: pictures of one moment are taken up to so much early or late (uniform). two_sided: the back is
    printed too. max_angle: rad between a camera's line of sight and the board's normal. min_square_px: smaller boards
    are not found. missing_share: corners that are not found for no reason.
    """

    noise_px: float = 0.3
    outlier_share: float = 0.0
    time_jitter_s: float = 0.0
    two_sided: bool = False
    max_angle: float = 1.1
    min_square_px: float = 8.0
    missing_share: float = 0.05


def observe_board(
    rig: Rig, motion: BoardMotion, points: Float[np.ndarray, "K 3"], seeing: Seeing, rng: np.random.Generator
) -> BoardObservations:
    """The corners that the cameras of a rig find of a moving board. Where fewer than four corners are seen there is
    no view. Times are exact."""
    parts = [_seen_by(camera, motion, points, seeing, rng) for camera in rig]
    return BoardObservations.joined(parts)


def _seen_by(
    camera: Camera, motion: BoardMotion, points: np.ndarray, seeing: Seeing, rng: np.random.Generator
) -> BoardObservations:
    time_s = motion.time_s + rng.uniform(-1, 1, len(motion)) * seeing.time_jitter_s
    R, t = motion.at(motion.moment, time_s)
    world = points @ np.swapaxes(R, -1, -2) + t[:, None]
    xy = camera.project(world)
    exact = xy.copy()
    xy += rng.normal(0, seeing.noise_px, xy.shape)
    wild = rng.random(xy.shape[:2]) < seeing.outlier_share
    xy[wild] += rng.uniform(-30, 30, (int(wild.sum()), 2))
    width, height = camera.intrinsics.image_size
    with np.errstate(invalid="ignore"):
        inside = ((exact >= 2) & (exact <= np.array([width, height]) - 3)).all(axis=-1)
    seen = inside & (rng.random(inside.shape) >= seeing.missing_share) & np.isfinite(xy).all(axis=-1)
    seen &= _is_facing(camera, R, world, seeing)[:, None] & _is_large(exact, points, seeing)[:, None]
    seen &= (seen.sum(axis=1) >= 4)[:, None]
    found = np.flatnonzero(seen.any(axis=1))
    view, corner = np.nonzero(seen[found])
    return BoardObservations(
        (camera.name,),
        (camera.intrinsics.image_size,),
        points,
        np.zeros(len(found), dtype=int),
        found,
        motion.moment[found],
        time_s[found],
        view,
        corner,
        xy[found][view, corner],
    )


def _is_facing(camera: Camera, R: np.ndarray, world: np.ndarray, seeing: Seeing) -> np.ndarray:
    """The board's z points away from its reader."""
    sight = world.mean(axis=1) - camera.center
    cosine = (sight / np.linalg.norm(sight, axis=-1, keepdims=True) * R[:, :, 2]).sum(axis=-1)
    return (np.abs(cosine) if seeing.two_sided else cosine) > np.cos(seeing.max_angle)


def _is_large(xy: np.ndarray, points: np.ndarray, seeing: Seeing) -> np.ndarray:
    """By the distance in the image between the two corners that lie farthest apart, per square."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    one, two = np.unravel_index(np.argmax(apart), apart.shape)
    square = np.unique(np.round(apart[apart > 0], 9))[0]
    squares = apart[one, two] / square
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.linalg.norm(xy[:, one] - xy[:, two], axis=-1)) > seeing.min_square_px * squares
