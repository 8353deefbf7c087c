"""A small truth made without pictures: three cameras, two people, a few frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibration.camera import Rig
from mocap.core.keypoints import load_keypoint_set
from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.core.truth import PersonTruth, TakeTruth, ViewTruth, Visibility
from mocap.synthetic.body_points import keypoints_on_body
from mocap.synthetic.gait import joint_poses, walk_and_reach
from mocap.synthetic.rigs import RigConfig, make_rig

KEYPOINTS = load_keypoint_set("blazepose33")


def two_walkers(seconds: float = 0.5, fps: float = 30.0) -> tuple[Motion, Motion]:
    """Side by side, 1.2 m apart; the second is 10 % taller and half a metre behind."""
    skeleton = load_skeleton()
    tall = replace(skeleton, rest_offsets=skeleton.rest_offsets * 1.1, tips=skeleton.tips * 1.1)
    first = walk_and_reach(skeleton, seconds=seconds, fps=fps, person="anna")
    second = walk_and_reach(tall, seconds=seconds, fps=fps, person="bert")
    return first, replace(second, root_translation=second.root_translation + [1.2, 0.5, 0.0])


def small_truth(seed: int = 3, *, seconds: float = 0.5, fps: float = 30.0) -> TakeTruth:
    """Everything visible, clocks perfect, except that camera 2 has lost its second frame and repeats its fourth."""
    rig = make_rig(RigConfig(cameras=3, portrait=(1,), lens="mixed"), np.random.default_rng(seed))
    motions = two_walkers(seconds, fps)
    points = np.stack([keypoints_on_body(motion, KEYPOINTS) for motion in motions], axis=1)
    time = np.arange(len(points)) / fps
    people = tuple(
        PersonTruth(motion, {"height": 0.5 + 0.1 * i}, np.zeros((len(points), 4), dtype=bool))
        for i, motion in enumerate(motions)
    )
    views = tuple(_view(rig, camera.name, points, time) for camera in rig)
    return TakeTruth(fps, people, KEYPOINTS.names, points, rig, views, {}, seed)


def joints_of(truth: TakeTruth) -> np.ndarray:
    """World positions of all joints, (T, P, J, 3) m."""
    return np.stack([joint_poses(person.motion)[1] for person in truth.people], axis=1)


def _view(rig: Rig, name: str, points: np.ndarray, time: np.ndarray) -> ViewTruth:
    frames = np.arange(len(time))
    repeated = np.zeros(len(time), dtype=bool)
    if name == rig.names[1]:
        frames = np.delete(frames, 1)
        frames[3] = frames[2]
        repeated = np.arange(len(frames)) == 3
    camera = rig[name]
    xy = camera.project(points[frames])
    visible = np.full(xy.shape[:-1], int(Visibility.VISIBLE))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = camera.cam_from_world.R, camera.cam_from_world.t
    return ViewTruth(
        camera=name,
        time_s=time[frames],
        stamp_s=1.00001 * time[frames] + 0.25,
        clock_offset_s=0.25,
        clock_rate=1.00001,
        repeated=repeated,
        cam_from_world=np.repeat(pose[None], len(frames), 0),
        xy=xy,
        visibility=visible,
        cam_from_board=np.full((len(frames), 4, 4), np.nan),
    )
