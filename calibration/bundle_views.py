"""The corners of each camera laid out for speed, and what a state predicts of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.bundle_lenses import project_linearised
from calibration.bundle_placing import Placed
from calibration.bundle_state import CameraState
from calibration.camera import Rig
from calibration.lenses import Lens
from calibration.observations import BoardObservations
from calibration.rotation_vectors import cross_matrices

BEHIND_PX = 1e3
"""Residual of a corner that the state puts behind a camera: far off, and pulling nowhere."""


@dataclass(frozen=True, eq=False)
class CameraViews:
    """V views of one camera in slots of S corners. points: (V, 3, S) m from the middle of the board; seen: (V, 2, S)
    px; rows: index of the corner in the observations, where `filled`; ids: of the corner on the board; down: rows below
    the picture's middle, px; row: the moment of the view among those of the motion; time_s: when it was taken, as was
    reported; back: whether it shows the back of the board; timed: whether it is the first of its moment, whose time is
    believed: were all free, the whole moment could be shifted along the motion.
    """

    views: Int[np.ndarray, "V"]
    row: Int[np.ndarray, "V"]
    time_s: Float[np.ndarray, "V"]
    back: Bool[np.ndarray, "V"]
    timed: Bool[np.ndarray, "V"]
    points: Float[np.ndarray, "V 3 S"]
    seen: Float[np.ndarray, "V 2 S"]
    filled: Bool[np.ndarray, "V S"]
    rows: Int[np.ndarray, "V S"]
    ids: Int[np.ndarray, "V S"]
    lens: Lens
    skew: float
    middle_row: float

    @property
    def down(self) -> Float[np.ndarray, "V S"]:
        return self.seen[:, 1] - self.middle_row


def lay_out(
    rig: Rig, observations: BoardObservations, row: Int[np.ndarray, "V"], back: Bool[np.ndarray, "V"]
) -> tuple[CameraViews, ...]:
    """Views of every camera of the rig; row: the moment of each view among those of the motion, -1 leaves it out."""
    order = np.argsort(observations.view, kind="stable")
    counts = observations.corners_per_view
    slot = np.empty(observations.n_corners, dtype=int)
    slot[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    points = observations.points - observations.points.mean(axis=0)
    first = _first_of_moments(row)
    out = []
    for index, camera in enumerate(rig):
        views = np.flatnonzero((observations.view_camera == index) & (row >= 0) & (counts > 0))
        place = np.full(observations.n_views, -1)
        place[views] = np.arange(len(views))
        mine = np.flatnonzero(place[observations.view] >= 0)
        at = (place[observations.view[mine]], slot[mine])
        rows = np.zeros((len(views), int(counts[views].max(initial=1))), dtype=int)
        filled = np.zeros(rows.shape, dtype=bool)
        rows[at], filled[at] = mine, True
        rows = np.where(filled, rows, rows[:, :1])
        out.append(
            CameraViews(
                views,
                row[views],
                observations.view_time_s[views],
                back[views],
                first[views],
                np.ascontiguousarray(np.moveaxis(points[observations.corner[rows]], 2, 1)),
                np.ascontiguousarray(np.moveaxis(observations.xy[rows], 2, 1)),
                filled,
                rows,
                observations.corner[rows],
                camera.intrinsics.lens,
                float(camera.intrinsics.K[0, 1]),
                (camera.intrinsics.image_size[1] - 1) / 2,
            )
        )
    return tuple(out)


def _first_of_moments(row: Int[np.ndarray, "V"]) -> Bool[np.ndarray, "V"]:
    """The first view of every moment in the order of the table; -1 is none."""
    used = np.flatnonzero(row >= 0)
    first = np.zeros(len(row), dtype=bool)
    first[used[np.unique(row[used], return_index=True)[1]]] = True
    return first


@dataclass(frozen=True, eq=False)
class Predicted:
    """residual: (V, 2, S) px, seen minus predicted; valid: in front of the camera; jacobian: (V, L, 2, S) of the
    predicted pixels by the local numbers; maps: (V, L, own numbers of the camera + 12 of the knot)."""

    residual: Float[np.ndarray, "V 2 S"]
    valid: Bool[np.ndarray, "V S"]
    jacobian: Float[np.ndarray, "V L 2 S"]
    maps: Float[np.ndarray, "V L n"]


def predict(it: CameraViews, camera: CameraState, placed: Placed, *, with_lens: bool, rolling: bool) -> Predicted:
    """Local numbers: the pose of the board in the camera (turn 3, shift 3), the lens, and, for a rolling shutter, the
    pose again times how many rows below the picture's middle the corner lies."""
    R = camera.R @ placed.R
    middle = (placed.t - camera.center) @ camera.R.T
    from_middle = R @ it.points
    x = from_middle + middle[:, :, None]
    if rolling:
        turning = np.cross((placed.rates[:, :3] @ camera.R.T)[:, None], np.swapaxes(from_middle, 1, 2))
        moving = np.swapaxes(turning, 1, 2) + (placed.rates[:, 3:] @ camera.R.T)[:, :, None]
        x = x + moving * (camera.line_s * it.down)[:, None]
    px, jacobian = project_linearised(x, it.lens, camera.lens, skew=it.skew, with_lens=with_lens)
    residual = it.seen - px
    valid = np.isfinite(residual).all(axis=1) & it.filled
    if rolling:
        jacobian = np.concatenate([jacobian, jacobian[:, :6] * it.down[:, None, None]], axis=1)
    if not valid.all():
        residual = np.where(valid[:, None], residual, 0.0)
        jacobian = np.where(valid[:, None, None], jacobian, 0.0)
    maps = _maps(camera, _pose_by_world(camera.R, middle), placed, it.back)
    if not with_lens:
        count = len(camera.lens)
        maps = np.concatenate([maps[:, :6], maps[:, 6 + count :]], axis=1)
    return Predicted(residual, valid, jacobian, maps[:, : jacobian.shape[1]])


def _pose_by_world(R: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """(V, 6, 6): pose in the camera by the board's turn about its middle and shift, both in world axes.

    A point y of the board, seen from its middle at m, moves by w x y for a turn w in camera axes: turning everything
    about the camera moves it by w x (y + m), so the shift takes back w x m = -[m]x w.
    """
    out = np.zeros((len(middle), 6, 6))
    out[:, :3, :3] = R
    out[:, 3:, 3:] = R
    out[:, 3:, :3] = cross_matrices(middle) @ R
    return out


def _maps(camera: CameraState, by_world: np.ndarray, placed: Placed, back: np.ndarray) -> np.ndarray:
    """(V, 6 + n + 6, 6 + n + 8 + D): local numbers by own numbers of the camera and those of the knots."""
    n = len(camera.lens)
    out = np.zeros((len(by_world), 12 + n, 14 + n + placed.by_knots.shape[2]))
    pose, rolling = slice(0, 6), slice(6 + n, 12 + n)
    out[:, range(3), range(3)] = 1
    out[:, 3:6, 3:6] = -camera.R
    out[:, range(6, 6 + n), range(6, 6 + n)] = 1
    late = (by_world @ placed.rates[:, :, None])[:, :, 0]
    out[:, pose, 6 + n] = late
    out[:, rolling, 7 + n] = late
    out[:, pose, 14 + n :] = by_world @ placed.by_knots
    if back.any():
        front = placed.R[back] @ camera.back_turn.T
        out[back, pose, 8 + n : 11 + n] = by_world[back, :, :3] @ front
        out[back, pose, 11 + n : 14 + n] = by_world[back, :, 3:] @ front
    if camera.line_s:
        out[:, rolling, 6 + n] = (by_world @ placed.gains[:, :, None])[:, :, 0] * camera.line_s
        out[:, rolling, 14 + n :] = by_world @ placed.rates_by_knots * camera.line_s
    return out
