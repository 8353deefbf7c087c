"""The truth of a take from what was staged: where everything was when each camera took its pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer

from calibration.camera import Camera, Rig
from mocap.core.truth import TakeTruth, ViewTruth
from mocap.synthetic.cast import Actor, person_truth
from mocap.synthetic.clocks import CameraMove, FrameClock, camera_poses
from mocap.synthetic.gait import joint_poses


def view_of(
    camera: Camera,
    clock: FrameClock,
    moves: Sequence[CameraMove],
    actors: Sequence[Actor],
    *,
    visibility: Integer[np.ndarray, "F P K"],
    world_from_board: Float[np.ndarray, "F 4 4"] | None = None,
) -> ViewTruth:
    """What one camera has on its pictures. The camera as it stands before all moves."""
    poses = camera_poses(camera, moves, clock.time_s)
    if actors:
        points = np.stack([actor.keypoints_at(clock.time_s) for actor in actors], axis=1)
    else:
        points = np.zeros((len(clock), 0, 0, 3))
    in_camera = np.einsum("fab,fpkb->fpka", poses[:, :3, :3], points) + poses[:, None, None, :3, 3]
    board = np.full((len(clock), 4, 4), np.nan) if world_from_board is None else poses @ world_from_board
    return ViewTruth(
        camera=camera.name,
        time_s=clock.time_s,
        stamp_s=clock.stamp_s,
        clock_offset_s=clock.offset_s,
        clock_rate=clock.rate,
        repeated=clock.repeated,
        cam_from_world=poses,
        xy=camera.intrinsics.project(in_camera),
        visibility=visibility,
        cam_from_board=board,
    )


def truth_of(
    actors: Sequence[Actor],
    rig: Rig,
    views: Sequence[ViewTruth],
    *,
    fps: float,
    n_frames: int,
    seed: int,
) -> TakeTruth:
    """The bodies sampled at `fps` beside the views."""
    time_s = np.arange(n_frames) / fps
    if actors:
        points = np.stack([actor.keypoints_at(time_s) for actor in actors], axis=1)
        names = tuple(actors[0].body.keypoint_names)
    else:
        points, names = np.zeros((n_frames, 0, 0, 3)), ()
    return TakeTruth(
        fps=fps,
        people=tuple(person_truth(actor, fps, n_frames) for actor in actors),
        keypoint_names=names,
        keypoints_m=points,
        rig=rig,
        views=tuple(views),
        board={},
        seed=seed,
    )


def joints_of(truth: TakeTruth) -> Float[np.ndarray, "T P J 3"]:
    """World positions of every person's joints, m."""
    if not truth.people:
        return np.zeros((truth.n_frames, 0, 0, 3))
    return np.stack([joint_poses(person.motion)[1] for person in truth.people], axis=1)
