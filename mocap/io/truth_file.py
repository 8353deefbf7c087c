"""`truth.npz`: what really happened in a synthetic take, readable with `numpy.load` alone (no pickles).

Units are in the names: metres, seconds, pixels; quaternions are wxyz. T frames of the scene, P people, J joints,
K keypoints, C cameras, F frames of one camera.

| key | shape | content |
|---|---|---|
| `version` | () | 1 |
| `fps`, `seed` | () | samples of the scene a second; what the take was made from |
| `people` | (P,) | names |
| `joint_names`, `parents` | (J,) | the skeleton, root first |
| `rest_offsets_m`, `tips_m` | (P,J,3) | each person's own T-pose; tips are NaN but at the ends of chains |
| `root_translation_m`, `local_rotations_wxyz`, `joints_m` | (T,P,3), (T,P,J,4), (T,P,J,3) | joints in the world |
| `contact` | (T,P,4) | left heel, left toes, right heel, right toes carry weight |
| `shape_names`, `shape` | (S,), (P,S) | parameters of the body model |
| `keypoint_names`, `keypoints_m` | (K,), (T,P,K,3) | every keypoint of every set by name, world |
| `board` | () | the board's definition as JSON, `{}` without one |
| `camera_names`, `lenses` | (C,) | in the order of the rig; `brown_conrady` or `fisheye` |
| `image_size`, `camera_matrix`, `distortion` | (C,2), (C,3,3), (C,D) | distortion is padded with NaN |
| `view.CAMERA.time_s`, `.stamp_s` | (F,) | scene time of each picture, and what the camera's clock says |
| `view.CAMERA.clock` | (2,) | offset_s and rate: stamp = rate * time + offset |
| `view.CAMERA.repeated` | (F,) | the picture before was written once more |
| `view.CAMERA.cam_from_world` | (F,4,4) | true pose; at the start it is the first row |
| `view.CAMERA.xy` | (F,P,K,2) | px, distorted; NaN where the point is not in front of the lens |
| `view.CAMERA.visibility` | (F,P,K) | 0 outside, 1 hidden by the own body, 2 hidden by something else, 3 visible |
| `view.CAMERA.cam_from_board` | (F,4,4) | NaN where there is no board |
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from calibration.camera import Camera, Intrinsics, Rig
from calibration.lenses import Lens
from calibration.transforms import RigidTransform
from mocap.core.errors import FileFormatError, InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition, load_skeleton
from mocap.core.truth import PersonTruth, TakeTruth, ViewTruth

VERSION = 1


def save_truth(truth: TakeTruth, path: Path, joints_m: Float[np.ndarray, "T P J 3"]) -> None:
    """Write `truth.npz`; the same truth gives the same bytes. The file appears when it is complete."""
    arrays: dict[str, Any] = {
        "version": np.int64(VERSION),
        "fps": np.float64(truth.fps),
        "seed": np.int64(truth.seed),
        "keypoint_names": np.array(truth.keypoint_names, dtype=str),
        "keypoints_m": truth.keypoints_m.astype(np.float32),
        "joints_m": joints_m.astype(np.float32),
        "board": np.array(json.dumps(truth.board, sort_keys=True)),
    }
    arrays |= _people_arrays(truth) | _rig_arrays(truth.rig)
    for view in truth.views:
        arrays |= {f"view.{view.camera}.{key}": value for key, value in _view_arrays(view).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.part.npz")
    try:
        np.savez_compressed(partial, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_truth(path: Path) -> TakeTruth:
    """Read `truth.npz`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise InputError("there is no such file", where=path, remedy="Synthetic takes have a truth.npz.") from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise FileFormatError(f"cannot be read as a truth ({error})", where=path) from None
    if "version" not in arrays:
        raise FileFormatError("is an .npz of something else: it has no 'version'", where=path)
    if int(arrays["version"]) != VERSION:
        raise FileFormatError(f"has version {int(arrays['version'])}, this program reads {VERSION}", where=path)
    try:
        return _truth_of(arrays)
    except KeyError as error:
        raise FileFormatError(f"has no {error.args[0]!r}", where=path) from None


def _people_arrays(truth: TakeTruth) -> dict[str, Any]:
    people = truth.people
    skeleton = people[0].motion.skeleton if people else load_skeleton()
    names = sorted({name for person in people for name in person.shape})
    t, j = truth.n_frames, len(skeleton)
    return {
        "people": np.array([person.motion.person for person in people], dtype=str),
        "joint_names": np.array(skeleton.joint_names, dtype=str),
        "parents": skeleton.parents,
        "rest_offsets_m": _stack([p.motion.skeleton.rest_offsets for p in people], 0, (0, j, 3)),
        "tips_m": _stack([p.motion.skeleton.tips for p in people], 0, (0, j, 3)),
        "root_translation_m": _stack([p.motion.root_translation for p in people], 1, (t, 0, 3)),
        "local_rotations_wxyz": _stack([p.motion.local_rotations for p in people], 1, (t, 0, j, 4)),
        "contact": _stack([p.contact for p in people], 1, (t, 0, 4)).astype(bool),
        "shape_names": np.array(names, dtype=str),
        "shape": np.array([[p.shape.get(n, np.nan) for n in names] for p in people]).reshape(len(people), len(names)),
    }


def _stack(arrays: list[np.ndarray], axis: int, empty: tuple[int, ...]) -> np.ndarray:
    return np.stack(arrays, axis) if arrays else np.zeros(empty)


def _rig_arrays(rig: Rig) -> dict[str, Any]:
    width = max((len(camera.intrinsics.distortion) for camera in rig), default=0)
    distortion = np.full((len(rig), width), np.nan)
    for row, camera in zip(distortion, rig, strict=True):
        row[: len(camera.intrinsics.distortion)] = camera.intrinsics.distortion
    return {
        "camera_names": np.array(rig.names, dtype=str),
        "lenses": np.array([camera.intrinsics.lens for camera in rig], dtype=str),
        "image_size": np.array([camera.intrinsics.image_size for camera in rig], dtype=np.int64).reshape(-1, 2),
        "camera_matrix": np.array([camera.intrinsics.K for camera in rig]).reshape(-1, 3, 3),
        "distortion": distortion,
        "cam_from_world": np.array([_matrix(camera.cam_from_world) for camera in rig]).reshape(-1, 4, 4),
    }


def _matrix(transform: RigidTransform) -> Float[np.ndarray, "4 4"]:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = transform.R, transform.t
    return matrix


def _view_arrays(view: ViewTruth) -> dict[str, Any]:
    return {
        "time_s": view.time_s,
        "stamp_s": view.stamp_s,
        "clock": np.array([view.clock_offset_s, view.clock_rate]),
        "repeated": view.repeated,
        "cam_from_world": view.cam_from_world,
        "xy": view.xy.astype(np.float32),
        "visibility": view.visibility.astype(np.uint8),
        "cam_from_board": view.cam_from_board,
    }


def _truth_of(arrays: Mapping[str, np.ndarray]) -> TakeTruth:
    fps = float(arrays["fps"])
    return TakeTruth(
        fps=fps,
        people=tuple(_person_of(arrays, index, fps) for index in range(len(arrays["people"]))),
        keypoint_names=tuple(str(name) for name in arrays["keypoint_names"]),
        keypoints_m=arrays["keypoints_m"].astype(np.float64),
        rig=_rig_of(arrays),
        views=tuple(_view_of(arrays, str(name)) for name in arrays["camera_names"]),
        board=json.loads(str(arrays["board"])),
        seed=int(arrays["seed"]),
    )


def _person_of(arrays: Mapping[str, np.ndarray], index: int, fps: float) -> PersonTruth:
    standard = load_skeleton()
    names = tuple(str(name) for name in arrays["joint_names"])
    offsets, tips = arrays["rest_offsets_m"][index], arrays["tips_m"][index]
    same = names == standard.joint_names
    skeleton = SkeletonDefinition(
        name=standard.name if same else "truth",
        joint_names=names,
        parents=arrays["parents"],
        rest_offsets=offsets,
        limits=standard.limits if same else np.tile([-2 * np.pi, 2 * np.pi], (len(names), 3, 1)),
        tips=tips,
        mirror_pairs=standard.mirror_pairs if same else (),
    )
    rotations = arrays["local_rotations_wxyz"][:, index].astype(np.float64)
    motion = Motion(skeleton, arrays["root_translation_m"][:, index], rotations, fps, str(arrays["people"][index]))
    shape = {str(n): float(v) for n, v in zip(arrays["shape_names"], arrays["shape"][index], strict=True) if v == v}
    return PersonTruth(motion, shape, arrays["contact"][:, index])


def _rig_of(arrays: Mapping[str, np.ndarray]) -> Rig:
    cameras = []
    for index, name in enumerate(arrays["camera_names"]):
        distortion = arrays["distortion"][index]
        width, height = (int(v) for v in arrays["image_size"][index])
        lens = Lens(str(arrays["lenses"][index]))
        intrinsics = Intrinsics(
            (width, height), arrays["camera_matrix"][index], distortion[np.isfinite(distortion)], lens
        )
        pose = arrays["cam_from_world"][index]
        cameras.append(Camera(str(name), intrinsics, RigidTransform(pose[:3, :3], pose[:3, 3])))
    return Rig(tuple(cameras))


def _view_of(arrays: Mapping[str, np.ndarray], camera: str) -> ViewTruth:
    def field(name: str) -> np.ndarray:
        return arrays[f"view.{camera}.{name}"]

    offset, rate = field("clock")
    return ViewTruth(
        camera=camera,
        time_s=field("time_s"),
        stamp_s=field("stamp_s"),
        clock_offset_s=float(offset),
        clock_rate=float(rate),
        repeated=field("repeated"),
        cam_from_world=field("cam_from_world"),
        xy=field("xy").astype(np.float64),
        visibility=field("visibility").astype(np.int64),
        cam_from_board=field("cam_from_board"),
    )
