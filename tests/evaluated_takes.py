"""A synthetic session of 2D results without pictures, small and quick to make, with its truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.camera import Rig
from calibration.rig_file import write_rig
from mocap.core.keypoints import Detections2D
from mocap.core.motion import Motion
from mocap.core.session import Session, SessionCamera
from mocap.core.skeleton import load_skeleton
from mocap.core.truth import PersonTruth, TakeTruth, ViewTruth, Visibility
from mocap.io.mmpose_json import write_mmpose
from mocap.io.session_files import write_session
from mocap.io.truth_file import save_truth
from mocap.synthetic.body_points import keypoints_on_body
from mocap.synthetic.gait import walk_and_reach
from mocap.synthetic.rigs import RigConfig, make_rig
from truth_worlds import KEYPOINTS, joints_of

FPS = 30.0


def walkers(people: int, seconds: float) -> tuple[Motion, ...]:
    """People who walk side by side, 1.2 m apart."""
    first = walk_and_reach(load_skeleton(), seconds=seconds, fps=FPS, person="anna")
    second = replace(first, root_translation=first.root_translation + [1.2, 0.5, 0.0], person="bert")
    return (first, second)[:people]


def true_take(*, people: int = 1, cameras: int = 4, seconds: float = 2.0) -> TakeTruth:
    """Everything visible, all clocks alike."""
    rig = make_rig(RigConfig(cameras=cameras, lens="distorted", image_size=(640, 480)), np.random.default_rng(5))
    motions = walkers(people, seconds)
    points = np.stack([keypoints_on_body(motion, KEYPOINTS) for motion in motions], axis=1)
    bodies = tuple(PersonTruth(motion, {}, np.zeros((len(points), 4), dtype=bool)) for motion in motions)
    time = np.arange(len(points)) / FPS
    views = tuple(_view(rig, name, points, time) for name in rig.names)
    return TakeTruth(FPS, bodies, KEYPOINTS.names, points, rig, views, {}, 5)


def write_take(truth: TakeTruth, root: Path, *, noise_px: float = 1.0, rig: Rig | None = None) -> Path:
    """The session with 2D results that are off by Gaussian noise; returns the take's folder."""
    take = root / "takes" / "walk"
    rng = np.random.default_rng(1)
    write_mmpose(reported(truth, noise_px, rng), take / "detections", dataset="made up")
    (take / "take.toml").write_text(f"[take]\nfps = {FPS}\n", encoding="utf-8")
    save_truth(truth, take / "truth.npz", joints_of(truth))
    write_rig(rig or truth.rig, root / "calibration" / "rig.toml")
    write_session(Session(root=root, cameras=tuple(SessionCamera(name) for name in truth.rig.names)))
    return take


def reported(truth: TakeTruth, noise_px: float, rng: np.random.Generator) -> Detections2D:
    """What a network reports whose errors are independent in x and y."""
    columns = {k: [] for k in ("frame", "camera", "track", "xy")}
    for camera, view in enumerate(truth.views):
        for person in range(len(truth.people)):
            xy = view.xy[:, person]
            columns["xy"].append(xy + rng.normal(0.0, noise_px, xy.shape))
            columns["frame"].append(np.arange(len(xy)))
            columns["camera"].append(np.full(len(xy), camera))
            columns["track"].append(np.full(len(xy), person))
    frame, camera, track, xy = (np.concatenate(columns[k]) for k in ("frame", "camera", "track", "xy"))
    known = np.isfinite(xy).all(-1)
    box = np.concatenate([np.nanmin(xy, axis=1), np.nanmax(xy, axis=1)], axis=-1)
    return Detections2D(
        cameras=truth.rig.names,
        n_frames=truth.views[0].n_frames,
        keypoint_set=KEYPOINTS,
        frame=frame,
        camera=camera,
        track=track,
        xy=xy,
        confidence=np.where(known, 0.9, 0.0),
        box=box,
        score=np.full(len(xy), 0.9),
    )


def _view(rig: Rig, name: str, points: np.ndarray, time: np.ndarray) -> ViewTruth:
    camera = rig[name]
    xy = camera.project(points)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = camera.cam_from_world.R, camera.cam_from_world.t
    width, height = camera.intrinsics.image_size
    inside = ((xy >= -0.5) & (xy < [width - 0.5, height - 0.5])).all(-1)
    return ViewTruth(
        camera=name,
        time_s=time,
        stamp_s=time,
        clock_offset_s=0.0,
        clock_rate=1.0,
        repeated=np.zeros(len(time), dtype=bool),
        cam_from_world=np.repeat(pose[None], len(time), 0),
        xy=xy,
        visibility=np.where(inside, int(Visibility.VISIBLE), int(Visibility.OUTSIDE)),
        cam_from_board=np.full((len(time), 4, 4), np.nan),
    )
