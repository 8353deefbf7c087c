"""A take without pictures: what the cameras' 2D networks would have reported, in files that the pipeline imports."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer

from calibration.camera import Camera, Rig
from mocap.core.keypoints import Detections2D, KeypointSet
from mocap.core.truth import ViewTruth
from mocap.io.mmpose_json import write_mmpose
from mocap.synthetic.body_parts import body_parts, fitted_parts, margins
from mocap.synthetic.capsules import BodyParts, PlacedParts, place_parts, visibility
from mocap.synthetic.cast import Actor
from mocap.synthetic.clocks import CameraMove, FrameClock, camera_poses, moved_camera
from mocap.synthetic.detector_config import DetectorErrors
from mocap.synthetic.detector_errors import as_detections, detect
from mocap.synthetic.posing import joint_transforms
from mocap.synthetic.torso_frames import torso_views
from mocap.synthetic.true_views import TrueViews, facing_cosine


class Seer:
    """Knows, without pictures, which keypoints of which person a camera can see."""

    def __init__(self, actors: Sequence[Actor]) -> None:
        self._actors = actors
        self._parts = [_parts_of(actor) for actor in actors]
        self._margin = np.stack(
            [margins(parts, actor.body.keypoints) for parts, actor in zip(self._parts, actors, strict=True)]
        )

    def visibility(
        self, camera: Camera, moves: Sequence[CameraMove], time_s: Float[np.ndarray, "F"]
    ) -> Integer[np.ndarray, "F P K"]:
        """Codes of `Visibility` for every keypoint of the bodies."""
        points = np.stack([actor.keypoints_at(time_s) for actor in self._actors], axis=1)
        placed = self._placed(time_s)
        poses = camera_poses(camera, moves, time_s)
        changes = np.flatnonzero(np.abs(np.diff(poses, axis=0)).max((1, 2)) > 0) + 1
        found = []
        for start, end in pairwise([0, *changes.tolist(), len(time_s)]):
            rig = Rig((moved_camera(camera, moves, float(time_s[start])),))
            rows = slice(start, end)
            now = PlacedParts(placed.start[rows], placed.unit_from_world[rows], placed.along[rows])
            found.append(visibility(points[rows], rig, now, margin_m=self._margin)[:, :, 0])
        return np.concatenate(found)

    def _placed(self, time_s: Float[np.ndarray, "F"]) -> PlacedParts:
        each = [
            place_parts(parts, joint_transforms(actor.motion, time_s))
            for parts, actor in zip(self._parts, self._actors, strict=True)
        ]
        fields = ("start", "unit_from_world", "along")
        return PlacedParts(**{name: np.stack([getattr(p, name) for p in each], axis=1) for name in fields})


def write_reports(
    rig: Rig,
    clocks: Sequence[FrameClock],
    views: Sequence[TrueViews],
    folder: Path,
    *,
    errors: DetectorErrors,
    seed: int,
) -> None:
    """`detections/<camera>.json` for every camera, each frame by frame of its own clock."""
    n_frames = max(len(clock) for clock in clocks)
    for number, (camera, view) in enumerate(zip(rig, views, strict=True)):
        rng = np.random.default_rng([seed, 7, number])
        found = detect(view, errors, rng)
        rows, _ = as_detections(found, view, (camera.name,), rng)
        padded = Detections2D(rows.cameras, n_frames, rows.keypoint_set, *(getattr(rows, name) for name in _COLUMNS))
        write_mmpose(padded, folder, dataset="synthetic")


_COLUMNS = ("frame", "camera", "track", "xy", "confidence", "box", "score")


def true_view(
    view: ViewTruth, actors: Sequence[Actor], camera: Camera, keypoint_set: KeypointSet, *, fps: float
) -> TrueViews:
    """A camera's true view, for the keypoints of one set."""
    names = actors[0].body.keypoint_names
    columns = np.array([names.index(name) for name in keypoint_set.names])
    points = np.stack([actor.keypoints_at(view.time_s) for actor in actors], axis=1)[:, :, columns]
    poses = view.cam_from_world
    centers = -np.einsum("fba,fb->fa", poses[:, :3, :3], poses[:, :3, 3])[:, None]

    def project(ends: Float[np.ndarray, "F P n 3"]) -> Float[np.ndarray, "F P 1 n 2"]:
        in_camera = np.einsum("fab,fpnb->fpna", poses[:, :3, :3], ends) + poses[:, None, None, :3, 3]
        return camera.intrinsics.project(in_camera)[:, :, None]

    return TrueViews(
        keypoint_set,
        view.xy[:, :, None, columns],
        view.visibility[:, :, None, columns],
        np.array(camera.intrinsics.image_size)[None, None],
        facing_cosine(points, centers, keypoint_set),
        fps,
        torso=torso_views(points, centers, keypoint_set, project),
    )


def _parts_of(actor: Actor) -> BodyParts:
    return fitted_parts(body_parts(actor.body.skeleton), actor.body.vertices, actor.body.weights)
