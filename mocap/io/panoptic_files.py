"""CMU Panoptic (Joo et al. 2015) in the layout that its toolbox downloads and unpacks, HD cameras.

    <sequence>/calibration_<sequence>.json                                  cameras with K R t distCoef, cm, Y down
    <sequence>/hdPose3d_stage1_coco19/[hd/]body3DScene_<frame, 8 digits>.json   people with joints19: x y z confidence
    <sequence>/hdImgs/<camera>/<camera>_<frame>.jpg  or  <sequence>/hdVideos/hd_<camera>.mp4

Cameras are named panel_node, `00_10`. What is read is in our world: metres, Z up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from calibration.camera import Camera, Intrinsics, Rig
from calibration.errors import CalibrationError
from calibration.transforms import RigidTransform
from mocap.core.errors import FileFormatError, InputError
from mocap.io.json_fields import array, expect, field, read_json
from mocap.io.published_crops import (
    INPUT_SIZE,
    MultiviewFrame,
    Picture,
    Undistortion,
    crop_picture,
    crop_projection,
    read_picture,
    square_box,
)
from mocap.io.video_reader import VideoReader

JOINTS = (
    "neck", "nose", "hip", "left_shoulder", "left_elbow", "left_wrist", "left_hip", "left_knee", "left_ankle",
    "right_shoulder", "right_elbow", "right_wrist", "right_hip", "right_knee", "right_ankle", "left_eye", "left_ear",
    "right_eye", "right_ear",
)  # fmt: skip
"""joints19 in their order; `hip` is the toolbox's BodyCenter."""
CM_PER_M = 100.0
WORLD_FROM_PANOPTIC = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Y down to Z up, a quarter turn about x."""
LEAST_CONFIDENCE = 0.1
"""Joints below it count as not labelled, as in the toolbox's own example."""
BOX_PADDING = 1.25
LEAST_INSIDE = 0.5
"""Share of the labelled joints that must lie in a picture for the view to count."""
POSE_FOLDERS = (Path("hdPose3d_stage1_coco19") / "hd", Path("hdPose3d_stage1_coco19"))


@dataclass(frozen=True, eq=False)
class PanopticPerson:
    """One person at one frame of a sequence. xyz: (19, 3) m, NaN where not labelled."""

    frame: int
    person: int
    xyz: Float[np.ndarray, "19 3"]


class PanopticSequence:
    """One sequence: its rig (of some HD cameras), people and pictures."""

    def __init__(self, folder: Path, cameras: Sequence[str] = ()) -> None:
        self.folder, self.name = folder, folder.name
        self.rig = read_panoptic_rig(folder / f"calibration_{folder.name}.json", cameras)
        self._maps: dict[str, Undistortion] = {}
        self._videos: dict[str, VideoReader] = {}

    def people(self, *, every: int = 1, alone: bool = True) -> tuple[PanopticPerson, ...]:
        """People of every n-th labelled frame; alone: only of frames with exactly one."""
        folder = next((self.folder / name for name in POSE_FOLDERS if any((self.folder / name).glob("body3D*"))), None)
        if folder is None:
            raise InputError(
                "has no 3D poses", where=self.folder, remedy="Unpack hdPose3d_stage1_coco19.tar there (joints19)."
            )
        found: list[PanopticPerson] = []
        for path in sorted(folder.glob("body3DScene_*.json"))[::every]:
            people = read_panoptic_people(path)
            found += people if len(people) == 1 or not alone else ()
        return tuple(found)

    def load(
        self, person: PanopticPerson, *, names: Sequence[str] = JOINTS, size: tuple[int, int] = INPUT_SIZE
    ) -> MultiviewFrame:
        """A person in the views that show most of them, undistorted and cut out around the true joints.

        names: of the joints to give the truth of, in that order; NaN for those that the labels do not have.
        """
        pictures, projections, seen = [], [], []
        for camera in self.rig:
            if not self.shows(camera, person):
                continue
            box = square_box(_pinhole(camera, person.xyz), BOX_PADDING)
            pictures.append(crop_picture(self.picture(camera, person.frame), box, size))
            projections.append(crop_projection(camera.projection, box, size))
            seen.append(camera.name)
        return MultiviewFrame(
            cameras=tuple(seen),
            pictures=np.stack(pictures) if seen else np.zeros((0, size[1], size[0], 3), np.uint8),
            projections=np.stack(projections) if seen else np.zeros((0, 3, 4)),
            xyz=np.stack([person.xyz[JOINTS.index(n)] if n in JOINTS else np.full(3, np.nan) for n in names]),
        )

    def shows(self, camera: Camera, person: PanopticPerson) -> bool:
        """Whether `LEAST_INSIDE` of the labelled joints lie in a camera's picture."""
        px = _pinhole(camera, person.xyz)
        width, height = camera.intrinsics.image_size
        labelled = np.isfinite(person.xyz).all(-1)
        inside = ((px > -0.5) & (px < [width - 0.5, height - 0.5])).all(-1)
        return bool(labelled.any() and inside.sum() >= LEAST_INSIDE * labelled.sum())

    def picture(self, camera: Camera, frame: int) -> Picture:
        """A whole picture, undistorted: of hdImgs, else of hdVideos."""
        path = self.folder / "hdImgs" / camera.name / f"{camera.name}_{frame:08d}.jpg"
        video = self.folder / "hdVideos" / f"hd_{camera.name}.mp4"
        if path.is_file() or not video.is_file():
            picture = read_picture(path)
        else:
            if camera.name not in self._videos:
                self._videos[camera.name] = VideoReader(video)
            picture = np.asarray(self._videos[camera.name].read(frame).image, dtype=np.uint8)
        width, height = camera.intrinsics.image_size
        if picture.shape[:2] != (height, width):
            raise FileFormatError(
                f"a picture of {picture.shape[1]}×{picture.shape[0]}, calibrated at {width}×{height}",
                where=path if path.is_file() else video,
            )
        if camera.name not in self._maps:
            self._maps[camera.name] = Undistortion(camera.intrinsics.K, camera.intrinsics.distortion, (width, height))
        return self._maps[camera.name](picture)

    def close(self) -> None:
        """Let go of the videos."""
        for video in self._videos.values():
            video.close()
        self._videos.clear()


def panoptic_sequences(root: Path, names: Sequence[str] = ()) -> tuple[Path, ...]:
    """Folders of sequences below `root` (or itself one): those with a calibration, or the named ones."""
    if (root / f"calibration_{root.name}.json").is_file():
        return (root,)
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    known = tuple(path for path in folders if (path / f"calibration_{path.name}.json").is_file())
    if not known:
        raise InputError(
            "holds no sequence", where=root, remedy="Expected <sequence>/calibration_<sequence>.json, as downloaded."
        )
    missing = [name for name in names if name not in [path.name for path in known]]
    if missing:
        raise InputError(
            f"holds no sequence {', '.join(missing)}",
            where=root,
            remedy=f"It has {', '.join(path.name for path in known)}.",
        )
    return tuple(path for path in known if not names or path.name in names)


def read_panoptic_rig(path: Path, cameras: Sequence[str] = ()) -> Rig:
    """The HD cameras of a calibration, or the named ones in that order, in our world."""
    listed = field(expect(read_json(path), dict, path, ""), "cameras", list, path, "")
    found: dict[str, Camera] = {}
    for index, entry in enumerate(listed):
        place = f"cameras[{index}]"
        table = expect(entry, dict, path, place)
        if field(table, "type", str, path, place) == "hd":
            camera = _camera(table, path, place)
            found[camera.name] = camera
    missing = [name for name in cameras if name not in found]
    if missing or not found:
        told = f"no HD camera {', '.join(missing)}" if missing else "no HD cameras"
        raise InputError(told, where=path, remedy=f"It has {', '.join(found) or 'none'}; names are panel_node.")
    return Rig(tuple(found[name] for name in (cameras or found)))


def read_panoptic_people(path: Path) -> tuple[PanopticPerson, ...]:
    """The people of one frame, joints in our world."""
    match = re.fullmatch(r"body3DScene_(\d{1,9})", path.stem)
    if match is None:
        raise FileFormatError("expected a name like body3DScene_00000120.json", where=path)
    bodies = field(expect(read_json(path), dict, path, ""), "bodies", list, path, "")
    people = []
    for index, body in enumerate(bodies):
        place = f"bodies[{index}]"
        table = expect(body, dict, path, place)
        if "joints19" not in table:
            raise FileFormatError(
                f"{place}: has no joints19", where=path, remedy="Use hdPose3d_stage1_coco19, not the 15 older joints."
            )
        joints = array(table["joints19"], (len(JOINTS), 4), path, f"{place}.joints19", gaps=True)
        labelled = np.isfinite(joints).all(-1) & (joints[:, 3] >= LEAST_CONFIDENCE)
        xyz = np.where(labelled[:, None], joints[:, :3] @ WORLD_FROM_PANOPTIC.T / CM_PER_M, np.nan)
        people.append(PanopticPerson(int(match[1]), field(table, "id", int, path, place), xyz))
    return tuple(people)


def _camera(table: dict[str, Any], path: Path, place: str) -> Camera:
    name = field(table, "name", str, path, place)
    if not re.fullmatch(r"\w+", name):
        raise FileFormatError(f"{place}.name: {name!r} is no name of a camera", where=path)
    shapes = {"K": (3, 3), "R": (3, 3), "t": (3,), "distCoef": (5,), "resolution": (2,)}
    values = {
        key: array(field(table, key, list, path, place), shape, path, f"{place}.{key}") for key, shape in shapes.items()
    }
    try:
        size = (int(values["resolution"][0]), int(values["resolution"][1]))
        intrinsics = Intrinsics(size, values["K"], values["distCoef"])
        pose = RigidTransform(values["R"] @ WORLD_FROM_PANOPTIC.T, values["t"] / CM_PER_M)
    except (CalibrationError, ValueError) as error:
        raise FileFormatError(f"{place} ({name}): {error}", where=path) from None
    return Camera(name, intrinsics, pose)


def _pinhole(camera: Camera, xyz: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 2"]:
    """Pixels without distortion; NaN behind the camera."""
    projected = xyz @ camera.projection[:, :3].T + camera.projection[:, 3]
    ahead = projected[:, 2:] > 0
    return np.where(ahead, projected[:, :2] / np.where(ahead, projected[:, 2:], 1.0), np.nan)
