"""Stage artefacts: one HDF5 file per stage, written atomically, each with the key of what made it.

Schema (version 1). Root attributes: `schema` ("mocap/<type>/1"), `key` (hash of inputs, configuration and code),
`writer` (package version). Datasets carry the names and shapes of the fields of the type; keypoint sets and skeletons
are JSON in attributes; arrays have checksums. Several motions of one take lie in groups `person_000`, `person_001`, …

    detections2d   frame camera track (N,)  xy (N,J,2) px  confidence (N,J)  box (N,4) px  score (N,)
    keypoints2d    xy (T,P,C,J,2) px  confidence (T,P,C,J)
    keypoints3d    xyz (T,P,J,3) m  confidence reprojection_px n_views (T,P,J)
    motions        per person: root_translation (T,3) m  local_rotations (T,J,4) wxyz  joint_sd_m (T,J) m where known
                   and the skeleton's arrays
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar, cast

import h5py
import numpy as np

from mocap.core.errors import FileFormatError
from mocap.core.keypoints import Detections2D, Keypoints2D, Keypoints3D, KeypointSet
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition

SCHEMA_VERSION = 1

LEFTOVER_S = 3600.0
"""A file that nobody has written to for so long is nobody's."""

T = TypeVar("T")

DETECTION_ARRAYS = ("frame", "camera", "track", "xy", "confidence", "box", "score")
KEYPOINT_2D_ARRAYS = ("xy", "confidence")
KEYPOINT_3D_ARRAYS = ("xyz", "confidence", "reprojection_px", "n_views")
SKELETON_ARRAYS = ("parents", "rest_offsets", "limits", "tips")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well and vanishes when it does not.

    Errors of the system (a full disk, for instance) carry the name of `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(*folders: Path) -> None:
    """Delete what killed processes have left half-written; nothing that a living one may still be writing."""
    before = time.time() - LEFTOVER_S
    for folder in folders:
        for path in folder.rglob(".*.part"):
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)


def write_text_atomic(path: Path, text: str) -> None:
    """UTF-8 text with LF line ends, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def read_key(path: Path) -> str | None:
    """The key an artefact was written with; None where there is no readable artefact."""
    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs["key"])
    except (OSError, KeyError):
        return None


def save_detections(detections: Detections2D, path: Path, key: str = "") -> None:
    """Write 2D detections (see the schema above)."""
    with _create(path, "detections2d", key) as file:
        file.attrs["cameras"] = json.dumps(detections.cameras)
        file.attrs["n_frames"] = detections.n_frames
        file.attrs["keypoint_set"] = _keypoint_set_to_json(detections.keypoint_set)
        _write_arrays(file, detections, DETECTION_ARRAYS)


def load_detections(path: Path) -> Detections2D:
    """Read what `save_detections` wrote."""
    return _load(path, "detections2d", _detections_from)


def save_keypoints2d(points: Keypoints2D, path: Path, key: str = "") -> None:
    """Write associated 2D keypoints."""
    with _create(path, "keypoints2d", key) as file:
        file.attrs["cameras"] = json.dumps(points.cameras)
        file.attrs["fps"] = points.fps
        file.attrs["keypoint_set"] = _keypoint_set_to_json(points.keypoint_set)
        _write_arrays(file, points, KEYPOINT_2D_ARRAYS)


def load_keypoints2d(path: Path) -> Keypoints2D:
    """Read what `save_keypoints2d` wrote."""
    return _load(path, "keypoints2d", _keypoints2d_from)


def save_keypoints3d(points: Keypoints3D, path: Path, key: str = "") -> None:
    """Write 3D keypoints."""
    with _create(path, "keypoints3d", key) as file:
        file.attrs["fps"] = points.fps
        file.attrs["keypoint_set"] = _keypoint_set_to_json(points.keypoint_set)
        _write_arrays(file, points, KEYPOINT_3D_ARRAYS)


def load_keypoints3d(path: Path) -> Keypoints3D:
    """Read what `save_keypoints3d` wrote."""
    return _load(path, "keypoints3d", _keypoints3d_from)


def save_motions(motions: Sequence[Motion], path: Path, key: str = "") -> None:
    """Write the solved motions of a take, one group a person."""
    with _create(path, "motions", key) as file:
        file.attrs["n_people"] = len(motions)
        for number, motion in enumerate(motions):
            group = file.create_group(f"person_{number:03d}")
            group.attrs["person"] = motion.person
            group.attrs["fps"] = motion.fps
            group.attrs["skeleton"] = json.dumps(
                {
                    "name": motion.skeleton.name,
                    "joint_names": motion.skeleton.joint_names,
                    "mirror_pairs": motion.skeleton.mirror_pairs,
                }
            )
            _write_arrays(group, motion, ("root_translation", "local_rotations"))
            if motion.joint_sd_m is not None:
                _write_arrays(group, motion, ("joint_sd_m",))
            _write_arrays(group, motion.skeleton, SKELETON_ARRAYS)


def load_motions(path: Path) -> tuple[Motion, ...]:
    """Read what `save_motions` wrote."""
    return _load(path, "motions", _motions_from)


@contextmanager
def _create(path: Path, kind: str, key: str) -> Iterator[h5py.File]:
    """In memory first: on a full disk HDF5 cannot close its file, and crashes later (h5py 3.16)."""
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        file.attrs["schema"] = f"mocap/{kind}/{SCHEMA_VERSION}"
        file.attrs["key"] = key
        file.attrs["writer"] = _package_version()
        yield file
        file.flush()
        image = file.id.get_file_image()
    with atomic_path(path) as temporary:
        temporary.write_bytes(image)


def _load(path: Path, kind: str, build: Callable[[h5py.File], T]) -> T:
    expected = f"mocap/{kind}/{SCHEMA_VERSION}"
    try:
        with h5py.File(path, "r") as file:
            found = file.attrs.get("schema")
            if found != expected:
                raise FileFormatError(f"holds {found!r}, expected {expected!r}", where=path)
            return build(file)
    except FileNotFoundError:
        raise FileFormatError("no such file", where=path) from None
    except FileFormatError:
        raise
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise FileFormatError(
            f"not a readable artefact ({error})", where=path, remedy="Delete it and run the command again."
        ) from None


def _write_arrays(group: h5py.Group, instance: object, names: Sequence[str]) -> None:
    for name in names:
        array = getattr(instance, name)
        checked = {"fletcher32": True} if array.size else {}
        compressed = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if array.size > 4096 else {}
        group.create_dataset(name, data=array, **checked, **compressed)


def _read_arrays(group: h5py.Group, names: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: np.asarray(group[name]) for name in names}


def _attribute(group: h5py.Group, name: str) -> Any:
    return group.attrs[name]


def _detections_from(file: h5py.File) -> Detections2D:
    return Detections2D(
        cameras=tuple(json.loads(_attribute(file, "cameras"))),
        n_frames=int(_attribute(file, "n_frames")),
        keypoint_set=_keypoint_set_from_json(_attribute(file, "keypoint_set")),
        **_read_arrays(file, DETECTION_ARRAYS),
    )


def _keypoints2d_from(file: h5py.File) -> Keypoints2D:
    return Keypoints2D(
        cameras=tuple(json.loads(_attribute(file, "cameras"))),
        keypoint_set=_keypoint_set_from_json(_attribute(file, "keypoint_set")),
        fps=float(_attribute(file, "fps")),
        **_read_arrays(file, KEYPOINT_2D_ARRAYS),
    )


def _keypoints3d_from(file: h5py.File) -> Keypoints3D:
    return Keypoints3D(
        keypoint_set=_keypoint_set_from_json(_attribute(file, "keypoint_set")),
        fps=float(_attribute(file, "fps")),
        **_read_arrays(file, KEYPOINT_3D_ARRAYS),
    )


def _motions_from(file: h5py.File) -> tuple[Motion, ...]:
    count = int(_attribute(file, "n_people"))
    return tuple(_motion_from(cast(h5py.Group, file[f"person_{n:03d}"])) for n in range(count))


def _motion_from(group: h5py.Group) -> Motion:
    described = json.loads(_attribute(group, "skeleton"))
    skeleton = SkeletonDefinition(
        name=described["name"],
        joint_names=tuple(described["joint_names"]),
        mirror_pairs=tuple((a, b) for a, b in described["mirror_pairs"]),
        **_read_arrays(group, SKELETON_ARRAYS),
    )
    return Motion(
        skeleton=skeleton,
        fps=float(_attribute(group, "fps")),
        person=str(_attribute(group, "person")),
        **_read_arrays(group, ("root_translation", "local_rotations")),
        joint_sd_m=np.asarray(group["joint_sd_m"]) if "joint_sd_m" in group else None,
    )


def _keypoint_set_to_json(keypoint_set: KeypointSet) -> str:
    return json.dumps(asdict(keypoint_set))


def _keypoint_set_from_json(text: str) -> KeypointSet:
    table = json.loads(text)
    return KeypointSet(
        name=table["name"],
        names=tuple(table["names"]),
        edges=tuple((a, b) for a, b in table["edges"]),
        mirror_pairs=tuple((a, b) for a, b in table["mirror_pairs"]),
        body=tuple(table["body"]),
    )


def _package_version() -> str:
    try:
        return version("mocap-pipeline")
    except PackageNotFoundError:
        return "unknown"
