"""What each camera would gain if it alone stood elsewhere, and which gains convince."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from calibration.camera import Rig
from calibration.camera_check_fit import Fit, fit, noise_px, pose_covariance, pose_jacobian, robust_cost, robust_weight
from calibration.camera_check_pose import MIN_POINTS, delay, located
from calibration.camera_check_views import Poses, Sights, errors_px, first_points, sights_of
from calibration.errors import CalibrationError
from calibration.transforms import matrix_to_rotvec

LATE_RATHER = 1.05
"""A delay has one parameter, a movement six: it is believed where it leaves hardly more error."""


@dataclass(frozen=True)
class CheckConfig:
    """What counts as a movement.

    tolerance_px: a camera whose picture of the points shifts by less (RMS) has not moved: no calibration is better.
    least_ratio: it shifts by so many times what the noise of the points would make it; further_ratio: the same for
    every camera after the first, as there is less left to say what is right. rival: a movement of another camera that
    explains more than this share of what the best one does makes it undecided. max_points: points (frame and joint)
    looked at; frames are left out evenly beyond.

    Networks err alike over a whole limb and from a whole side, which no statistics of their own noise shows: of cameras
    that had not moved, of 4 real and 5 rendered ones and all subsets of three and more, the ratio was 3.7 at most (2.6
    with synthetic noise), and 4.6 after a first camera was found. Cameras moved by 3 cm and 1° have 4.3 to 20.
    """

    tolerance_px: float | int = 2.0
    least_ratio: float | int = 4.0
    further_ratio: float | int = 6.0
    rival: float | int = 0.9
    max_points: int = 3000


@dataclass(frozen=True, eq=False)
class World:
    """What is looked at: a rig, points as seen (those of `max_points`), all tracks they come from, where they are by
    the rig as it is, and the noise of one coordinate by that."""

    rig: Rig
    sights: Sights
    px: Float[np.ndarray, "T C J 2"]
    points: Float[np.ndarray, "P 3"]
    scale_px: float


@dataclass(frozen=True, eq=False)
class Move:
    """The pose of one camera that fits best, given that those found before may stand elsewhere too.

    step: (rotation in its axes, rad; centre, world, m) from the rig. error_px, after_px: median distance to where the
    others put the points, from the old and the new pose. effect_px: RMS by which its picture of the points shifts;
    noise_px: the same by noise alone. gain: by how much the cost of all views falls, of what it was. late_frames: a
    delay that explains as much, 0 for none; late_gain: by how much the cost of this camera's views falls by it.
    """

    camera: int
    fit: Fit
    n_points: int
    step: Float[np.ndarray, "6"]
    covariance: Float[np.ndarray, "6 6"]
    error_px: float
    after_px: float
    effect_px: float
    noise_px: float
    late_frames: float
    late_gain: float
    gain: float = 0.0


def world_of(rig: Rig, px: np.ndarray, weight: np.ndarray, config: CheckConfig) -> World:
    """Look at the points that two cameras see at least. Refuses what says nothing about the rig."""
    if px.ndim != 4 or px.shape[1] != len(rig) or weight.shape != px.shape[:-1]:
        raise CalibrationError(f"points of shape {px.shape} and weights of {weight.shape} for a rig of {len(rig)}")
    step = -(-px.shape[0] * px.shape[2] // config.max_points)
    chosen = np.zeros(len(px), dtype=bool)
    chosen[::step] = True
    sights = sights_of(rig, px, np.where(chosen[:, None, None], weight, 0.0))
    _refuse_few(sights)
    poses = Poses.of_rig(rig)
    points = first_points(rig, poses, sights)
    known = ~np.isnan(points[:, 0])
    sights, points = sights.of(known), points[known]
    _refuse_few(sights)
    scale = noise_px(sights, errors_px(sights, poses, points))
    now = fit(sights, poses, points, scale_px=scale)
    return World(rig, sights, px, now.points, noise_px(sights, now.error))


def _refuse_few(sights: Sights) -> None:
    if len(sights) < MIN_POINTS:
        raise CalibrationError(
            f"only {len(sights)} points are seen by two cameras at least",
            remedy="Take a recording in which somebody, or a board, is in view of all cameras.",
        )


def no_move(world: World, found: Sequence[Move]) -> Fit:
    """The rig with the movements found so far, and the points by it."""
    if found:
        return found[-1].fit
    return fit(world.sights, Poses.of_rig(world.rig), world.points, scale_px=world.scale_px)


def best_moves(world: World, base: Fit, found: tuple[int, ...]) -> tuple[tuple[Move, ...], float]:
    """For every camera but those found, the movement that fits best, with its gain; and the noise then, px."""
    tried = [_tried(world, base, found, c) for c in range(len(world.rig)) if c not in found]
    scale = min([noise_px(world.sights, end.error) for _, end in tried] + [world.scale_px])
    before = _again(world, base, found, scale)
    moves = []
    for camera, end in tried:
        end = _again(world, end, (*found, camera), scale)
        move = move_of(world, end, camera, scale_px=scale)
        moves.append(replace(move, gain=1 - end.cost / max(before.cost, 1e-300)))
    return tuple(moves), scale


def only_move(world: World, camera: int) -> Move:
    """Where that camera must stand if every other stands right."""
    _, end = _tried(world, no_move(world, ()), (), camera)
    return move_of(world, end, camera, scale_px=noise_px(world.sights, end.error))


def move_of(world: World, end: Fit, camera: int, *, scale_px: float) -> Move:
    """Describe a fit in which that camera was free."""
    rig, sights = Poses.of_rig(world.rig), world.sights
    old = end.poses.with_pose(camera, rig.R[camera], rig.center[camera])
    views = (sights.weight > 0).sum(axis=1)
    told = (sights.weight[:, camera] > 0) & (views >= min(3, len(world.rig)))
    part = sights.of(told)
    left_out = fit(part.without(camera), old, end.points[told], scale_px=scale_px)
    before = replace(left_out, error=errors_px(part, old, left_out.points))
    after = errors_px(part, end.poses, left_out.points)[:, camera]
    covariance = pose_covariance(sights, end, camera, scale_px=scale_px)
    effect_px, noise = _shifts(sights, end, old, camera, covariance, scale_px)
    late, late_gain = _lateness(world, part, before, camera, after, scale_px)
    return Move(
        camera=camera,
        fit=end,
        n_points=len(part),
        step=np.concatenate(
            [matrix_to_rotvec(end.poses.R[camera] @ old.R[camera].T), end.poses.center[camera] - old.center[camera]]
        ),
        covariance=covariance,
        error_px=_median_length(before.error[:, camera]),
        after_px=_median_length(after),
        effect_px=effect_px,
        noise_px=noise,
        late_frames=late,
        late_gain=late_gain,
    )


def _lateness(
    world: World, part: Sights, before: Fit, camera: int, after: Float[np.ndarray, "P 2"], scale_px: float
) -> tuple[float, float]:
    """The delay of a camera and the share of cost that it explains; zeros where a movement explains more."""
    if not len(part):
        return 0.0, 0.0
    weight = part.weight[:, camera]
    late, cost = delay(part, before, camera, world.px[:, camera], scale_px=scale_px)
    unexplained, moved = (
        float(np.average(robust_cost(error, scale_px), weights=weight)) for error in (before.error[:, camera], after)
    )
    return (late, 1 - cost / unexplained) if cost <= LATE_RATHER * moved else (0.0, 0.0)


def _shifts(
    sights: Sights, end: Fit, old: Poses, camera: int, covariance: np.ndarray, scale_px: float
) -> tuple[float, float]:
    """RMS px by which a camera's picture of the points shifts between its two poses, and by the noise of the new."""
    weight = sights.weight[:, camera] * robust_weight(end.error[:, camera], scale_px)
    total = max(float(weight.sum()), 1e-300)
    shift = errors_px(sights, old, end.points)[:, camera] - end.error[:, camera]
    J = pose_jacobian(sights, end, camera)
    noise = np.einsum("pki,ij,pkj->p", J, covariance, J)
    return float(np.sqrt((weight * (shift**2).sum(axis=-1)).sum() / total)), float(
        np.sqrt((weight * noise).sum() / total)
    )


def _tried(world: World, base: Fit, found: tuple[int, ...], camera: int) -> tuple[int, Fit]:
    """From points of the other cameras to the pose of this one, then both together, at the noise that leaves."""
    without = world.sights.without(camera)
    points = first_points(world.rig, base.poses, without)
    known = ~np.isnan(points[:, 0])
    points[known] = fit(without.of(known), base.poses, points[known], scale_px=world.scale_px).points
    start = located(world.sights, base.poses, points, camera, scale_px=world.scale_px)
    points = np.where(known[:, None], points, base.points)
    free = (*found, camera)
    end = fit(world.sights, start, points, free=free, scale_px=world.scale_px)
    return camera, fit(world.sights, end.poses, end.points, free=free, scale_px=noise_px(world.sights, end.error))


def _again(world: World, end: Fit, free: tuple[int, ...], scale_px: float) -> Fit:
    return fit(world.sights, end.poses, end.points, free=free, scale_px=scale_px)


def _median_length(error: Float[np.ndarray, "P 2"]) -> float:
    return float(np.median(np.linalg.norm(error, axis=-1))) if len(error) else float("nan")
