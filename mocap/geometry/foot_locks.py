"""A motion whose feet stay where they stand: the least and smoothest change of legs and pelvis that holds contacts.

One sparse Gauss-Newton over all frames. Unknowns are the root's translation and every free angle of both legs, as
departures from the given motion; the rest of the body is carried along. Residuals:
  lock        a point in contact in two frames in a row moves as the surface does, and stays as high  / LOCK_M
  height      a point in contact lies on the surface, others not under it                            / HEIGHT_M
  place       of soles and knees as given                                                            / PLACE_M
  departure   of every unknown                                                                       / its spread
  smoothness  second differences of the departures, so that they fade within `fade_s` of a contact's ends
Bone lengths are those of the skeleton; angles stop at their limits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.linalg import solveh_banded
from torch import Tensor

from mocap.core.markers import load_markers
from mocap.core.motion import Motion
from mocap.geometry.pose_model import (
    ROOT_STEPS,
    Pose,
    PoseModel,
    angles_from_rotations,
    local_rotations,
    marker_jacobian,
    place,
    pose_model,
)
from mocap.geometry.soles import SOLE_POINTS, soles

LOCK_M = 2e-4
"""How far a locked point may slip from frame to frame; small enough that a second adds up to a millimetre."""
HEIGHT_M = 2e-3
"""How far a point in contact may be over or under the surface: soles are soft."""
PLACE_M = (0.01, 0.01, 0.03)
"""How far soles and knees may go sideways and up: a leg that is too short must not swing the foot under the hip."""
ROOT_SPREAD_M = (0.01, 0.01, 0.02)
SPREADS_DEG = {"UpLeg": 6.0, "Leg": 6.0, "Foot": 8.0, "ToeBase": 12.0}
"""Departures of joints. 6 degrees at the hip are 90 mm at the ankle, so that places decide."""
ITERATIONS = 5
WINDOW = 1500
"""Frames solved at once, the first two of a later window held; 70 numbers an unknown, 23 unknowns a frame."""
OVERLAP = 120
N_SOLES = len(SOLE_POINTS)
TIPS = (2, 5)


@dataclass(frozen=True, eq=False)
class FootLocks:
    """What holds: contact (T, 6) of `soles.SOLE_POINTS`; the surface's height under each point (m) and
    horizontal velocity (m/s)."""

    contact: Bool[np.ndarray, "T 6"]
    floor_m: Float[np.ndarray, "6"]
    velocity: Float[np.ndarray, "2"]
    fade_s: float


@dataclass(frozen=True, eq=False)
class _Legs:
    """A pose model whose markers are the soles and then both knees. steps: (n,) of the pose model that may change;
    spread: (n,)."""

    model: PoseModel
    steps: Int[Tensor, "n"]
    spread: Float[Tensor, "n"]


def lock_feet(motion: Motion, locks: FootLocks) -> Motion:
    """The motion with its contacts held; every rotation but the legs' is the very same."""
    legs = _legs(motion)
    rotations = torch.from_numpy(np.array(motion.local_rotations))
    given = Pose(
        torch.from_numpy(np.array(motion.root_translation)),
        rotations[:, 0],
        angles_from_rotations(legs.model, rotations),
    )
    n_frames = motion.n_frames
    departure = torch.zeros(n_frames, len(legs.steps), dtype=torch.float64)
    begin = 0
    while True:
        end = n_frames if n_frames - begin <= WINDOW + OVERLAP else begin + WINDOW
        fixed = min(2, begin)
        rows = slice(begin - fixed, end)
        part = replace(locks, contact=locks.contact[rows])
        departure[rows] = _solved(legs, given.frames(rows), part, (departure[rows], fixed, motion.fps))
        if end == n_frames:
            break
        begin = end - OVERLAP
    moved = _moved(legs, given, departure)
    changed = local_rotations(legs.model, moved)
    joints = torch.unique(legs.model.joint[legs.steps[legs.steps >= ROOT_STEPS] - ROOT_STEPS])
    rotations[:, joints] = changed[:, joints]
    return replace(motion, root_translation=moved.translation.numpy(), local_rotations=rotations.numpy())


def _legs(motion: Motion) -> _Legs:
    skeleton, under = motion.skeleton, soles(motion.skeleton)
    model = pose_model(skeleton, load_markers("humanoid", skeleton))
    knees = [skeleton.index(f"{side}Leg") for side in ("Left", "Right")]
    joint = torch.from_numpy(np.array([*under.joint, *knees]))
    offsets = torch.from_numpy(np.concatenate([under.offsets, np.zeros((2, 3))]))
    turned = torch.cat([torch.zeros(3, dtype=torch.int64), model.joint])
    moved = model.descends[joint][:, turned]
    model = replace(model, marker_at=joint, marker_frame=joint, marker_offsets=offsets, moved=moved)
    spread = {
        skeleton.index(side + name): np.deg2rad(degrees)
        for side in ("Left", "Right")
        for name, degrees in SPREADS_DEG.items()
    }
    angles = [a for a, j in enumerate(model.joint.tolist()) if j in spread]
    return _Legs(
        model,
        torch.tensor([0, 1, 2, *(ROOT_STEPS + a for a in angles)]),
        torch.tensor([*ROOT_SPREAD_M, *(spread[int(model.joint[a])] for a in angles)], dtype=torch.float64),
    )


def _moved(legs: _Legs, given: Pose, departure: Float[Tensor, "T n"]) -> Pose:
    step = torch.zeros(len(given), legs.model.n_steps, dtype=torch.float64)
    step[:, legs.steps] = departure
    return legs.model.moved_by(given, step)


def _solved(
    legs: _Legs, given: Pose, locks: FootLocks, start: tuple[Float[Tensor, "T n"], int, float]
) -> Float[Tensor, "T n"]:
    """Departures of a window; those of its first `fixed` frames stay as they are."""
    departure, fixed, fps = start
    departure = departure.clone()
    if fixed == 0 and not locks.contact.any() and not _deep(legs, given, locks).any():
        return departure
    room, places = _room(legs, given), place(legs.model, given).markers
    for _ in range(ITERATIONS):
        moved = _moved(legs, given, departure)
        band, gradient = _equations(legs, (moved, places), departure, (locks, fps))
        held = ((departure <= room[0]) & (gradient > 0)) | ((departure >= room[1]) & (gradient < 0))
        held[:fixed] = True
        _hold(band, gradient, held)
        step = solveh_banded(band, -gradient.reshape(-1).numpy(), lower=True, overwrite_ab=True, check_finite=False)
        departure = torch.clamp(departure + torch.from_numpy(step).reshape(departure.shape), *room)
    return departure


def _deep(legs: _Legs, pose: Pose, locks: FootLocks) -> Bool[Tensor, "T 6"]:
    return place(legs.model, pose).markers[:, :N_SOLES, 2] < torch.from_numpy(locks.floor_m)


def _room(legs: _Legs, given: Pose) -> tuple[Float[Tensor, "T n"], Float[Tensor, "T n"]]:
    """How far down and up every unknown may go."""
    far = torch.full((len(given), 3), torch.inf, dtype=torch.float64)
    angles = legs.steps[3:] - ROOT_STEPS
    own = given.angles[:, angles]
    return (
        torch.cat([-far, legs.model.lower[angles] - own], dim=-1),
        torch.cat([far, legs.model.upper[angles] - own], dim=-1),
    )


def _equations(
    legs: _Legs,
    poses: tuple[Pose, Float[Tensor, "T M 3"]],
    departure: Float[Tensor, "T n"],
    rules: tuple[FootLocks, float],
) -> tuple[Float[np.ndarray, "width N"], Float[Tensor, "T n"]]:
    """Normal equations in LAPACK's lower band, and the gradient. poses: the present one, and the given places."""
    (moved, places), (locks, fps) = poses, rules
    placement = place(legs.model, moved)
    jacobian = marker_jacobian(legs.model, placement)[..., legs.steps]  # (T, 3, 8, n)
    precision = legs.spread**-2
    diagonal = torch.diag(precision).repeat(len(departure), 1, 1)
    gradient = departure * precision
    _add_places(placement.markers - places, jacobian, (diagonal, gradient))
    points, jacobian = placement.markers[:, :N_SOLES], jacobian[:, :, :N_SOLES]
    _add_heights(points, jacobian, locks, (diagonal, gradient))
    coupling = _add_locks(points, jacobian, (locks, fps), (diagonal, gradient))
    smooth = _smoothness(precision, locks.fade_s * fps)
    band = _band(diagonal, coupling)
    _add_smoothness(band, gradient, departure, smooth)
    return band.reshape(-1, band.shape[-1]).T, gradient


def _add_places(away: Float[Tensor, "T M 3"], jacobian: Float[Tensor, "T 3 M n"], terms: tuple[Tensor, Tensor]) -> None:
    diagonal, gradient = terms
    spread = torch.tensor(PLACE_M, dtype=away.dtype)
    rows = (jacobian / spread[:, None, None]).flatten(1, 2)
    diagonal += rows.mT @ rows
    gradient += (rows.mT @ (away / spread).transpose(1, 2).flatten(1)[..., None])[..., 0]


def _add_heights(
    points: Float[Tensor, "T 6 3"], jacobian: Float[Tensor, "T 3 6 n"], locks: FootLocks, terms: tuple[Tensor, Tensor]
) -> None:
    diagonal, gradient = terms
    over = points[..., 2] - torch.from_numpy(locks.floor_m)
    acts = torch.from_numpy(locks.contact) | (over < 0)
    rows = jacobian[:, 2] * (acts / HEIGHT_M)[..., None]
    diagonal += rows.mT @ rows
    gradient += (rows.mT @ (over / HEIGHT_M)[..., None])[..., 0]


def _add_locks(
    points: Float[Tensor, "T 6 3"],
    jacobian: Float[Tensor, "T 3 6 n"],
    rules: tuple[FootLocks, float],
    terms: tuple[Tensor, Tensor],
) -> Float[Tensor, "T1 n n"]:
    """Adds to the frames' terms; returns the blocks [t + 1, t]."""
    (locks, fps), (diagonal, gradient) = rules, terms
    both = torch.from_numpy(locks.contact[1:] & locks.contact[:-1])
    both[:, list(TIPS)] = False  # the ball holds the toes
    carried = torch.from_numpy(np.array([*locks.velocity, 0.0])) / fps
    slip = (points[1:] - points[:-1] - carried) * both[..., None] / LOCK_M
    weight = (both / LOCK_M)[:, None, :, None]
    now = (jacobian[:-1] * weight).flatten(1, 2)
    then = (jacobian[1:] * weight).flatten(1, 2)
    residual = slip.transpose(1, 2).flatten(1)[..., None]
    diagonal[:-1] += now.mT @ now
    diagonal[1:] += then.mT @ then
    gradient[:-1] -= (now.mT @ residual)[..., 0]
    gradient[1:] += (then.mT @ residual)[..., 0]
    return -then.mT @ now


def _smoothness(precision: Float[Tensor, "n"], fade_frames: float) -> Float[Tensor, "n"]:
    """Of second differences, with which a departure that nothing holds decays by e in about `fade_frames`."""
    return precision * fade_frames**4


def _band(diagonal: Float[Tensor, "T n n"], coupling: Float[Tensor, "T1 n n"]) -> Float[np.ndarray, "T n width"]:
    """band[t, j, i]: row t n + j + i of column t n + j, for blocks on the diagonal and next to it."""
    n_frames, n = diagonal.shape[:2]
    band = np.zeros((n_frames, n, 2 * n + 1))
    rows, columns = np.tril_indices(n)
    band[:, columns, rows - columns] = diagonal.numpy()[:, rows, columns]
    rows, columns = np.indices((n, n)).reshape(2, -1)
    band[:-1, columns, n + rows - columns] = coupling.numpy()[:, rows, columns]
    return band


def _add_smoothness(
    band: Float[np.ndarray, "T n width"],
    gradient: Float[Tensor, "T n"],
    departure: Float[Tensor, "T n"],
    precision: Float[Tensor, "n"],
) -> None:
    n_frames, n = departure.shape
    if n_frames < 3:
        return
    weights = (1.0, -2.0, 1.0)
    residual = precision * (departure[2:] - 2 * departure[1:-1] + departure[:-2])
    for k, weight in enumerate(weights):
        rows = slice(k, n_frames - 2 + k)
        gradient[rows] += weight * residual
        for later in range(k, 3):
            band[rows, :, (later - k) * n] += weight * weights[later] * precision.numpy()


def _hold(band: Float[np.ndarray, "width N"], gradient: Float[Tensor, "T n"], held: Bool[Tensor, "T n"]) -> None:
    """Makes the steps of held unknowns 0."""
    gradient[held] = 0.0
    free = (~held).reshape(-1).numpy().astype(np.float64)
    width, n = band.shape
    for i in range(min(width, n)):
        band[i, : n - i] *= free[: n - i] * free[i:]
    band[0] += 1.0 - free
