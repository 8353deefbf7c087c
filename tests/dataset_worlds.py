"""Miniatures of the data sets in their official layouts, and small networks with the published keys."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from mocap.core.keypoints import load_keypoint_set
from mocap.models.pose_resnet import PoseResNetConfig
from mocap.models.triangulation_nets import AlgebraicNet, AlgebraicNetConfig, VolumetricNet, VolumetricNetConfig
from mocap.models.v2v import V2VConfig

SUBJECTS = ("S1", "S9", "S11")
ACTIONS = ("Greeting-1", "Greeting-2", "Walking-1")
HUMAN36M_CAMERAS = ("54138969", "55011271", "58860488", "60457274")
SIZES = ((100, 102), (100, 100), (100, 100), (100, 102))
"""A tenth of the real ones: width, height; not the same for all cameras."""
HEIGHT_MM = 1700.0


def looking_at(center: np.ndarray, target: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R and t of a camera at `center` that looks at `target`, its y axis away from `up`."""
    z = (target - center) / np.linalg.norm(target - center)
    x = np.cross(-up, z)
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    return R, -R @ center


def person_mm(joints: int, rng: np.random.Generator, place: np.ndarray) -> np.ndarray:
    """Keypoints within a box as large as a person; the anatomy does not matter here."""
    return place + rng.uniform([-250, -250, 0], [250, 250, HEIGHT_MM], (joints, 3))


def photograph(path: Path, size: tuple[int, int], px: np.ndarray, rng: np.random.Generator) -> None:
    """A noisy picture with a bright dot at every place, as a JPEG."""
    picture = cv2.resize(rng.integers(0, 120, (9, 11, 3), dtype=np.uint8), size, interpolation=cv2.INTER_CUBIC)
    for x, y in np.round(px).astype(int):
        cv2.circle(picture, (int(x), int(y)), 2, (200, 250, 90), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())


def human36m_labels(seed: int = 0, frames: tuple[int, ...] = (5,)) -> dict:
    """Labels in the published layout: every subject does every action; one view of S11's first moment is missing."""
    rng = np.random.default_rng(seed)
    cameras = np.zeros(
        (len(SUBJECTS), 4), dtype=[("R", "f4", (3, 3)), ("t", "f4", (3, 1)), ("K", "f4", (3, 3)), ("dist", "f4", 5)]
    )
    for place, record in np.ndenumerate(cameras):
        angle = 2 * np.pi * place[1] / 4 + 0.1 * place[0]
        center = np.array([4500 * np.cos(angle), 4300 * np.sin(angle), 1500 + 50 * place[1]])
        R, t = looking_at(center, np.array([0, 0, 900.0]), np.array([0, 0, 1.0]))
        record["R"], record["t"] = R, t[:, None]
        record["K"] = [[114.5, 0, 51.2], [0, 114.3, 51.5], [0, 0, 1]]
        record["dist"] = [-0.2, 0.24, -0.001, -0.0009, 0.002]
    rows = len(SUBJECTS) * len(ACTIONS) * len(frames)
    table = np.zeros(
        rows,
        dtype=[
            ("subject_idx", "i1"),
            ("action_idx", "i1"),
            ("frame_idx", "i2"),
            ("keypoints", "f4", (17, 3)),
            ("bbox_by_camera_tlbr", "i2", (4, 4)),
        ],
    )
    for row, (subject, action, frame) in enumerate(np.ndindex(len(SUBJECTS), len(ACTIONS), len(frames))):
        record = table[row]
        record["subject_idx"], record["action_idx"], record["frame_idx"] = subject, action, frames[frame]
        record["keypoints"] = person_mm(17, rng, rng.uniform([-400, -400, 0], [400, 400, 0]))
        for camera in range(4):
            px = human36m_pixels(cameras[subject, camera], record["keypoints"])
            x, y = np.floor((px.min(0) + px.max(0)) / 2 - 25).astype(int)
            record["bbox_by_camera_tlbr"][camera] = [y, x, y + 50, x + 50]
    first = np.flatnonzero(table["subject_idx"] == SUBJECTS.index("S11"))[0]
    table["bbox_by_camera_tlbr"][first, 2] = 0
    names = {"subject_names": list(SUBJECTS), "camera_names": list(HUMAN36M_CAMERAS), "action_names": list(ACTIONS)}
    return {**names, "cameras": cameras, "table": table}


def human36m_pixels(camera: np.void, xyz_mm: np.ndarray) -> np.ndarray:
    """Undistorted pixels, one point after the other."""
    found = []
    for point in xyz_mm:
        x, y, z = camera["K"].astype(float) @ (camera["R"].astype(float) @ point + camera["t"][:, 0])
        found.append([x / z, y / z])
    return np.array(found)


def write_human36m(root: Path, labels: dict | None = None, seed: int = 0) -> dict:
    """Labels and all pictures that they mention."""
    labels = human36m_labels(seed) if labels is None else labels
    (root / "extra").mkdir(parents=True)
    np.save(root / "extra" / "human36m-multiview-labels-GTbboxes.npy", labels, allow_pickle=True)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed + 1)
    for record in labels["table"]:
        subject, action = SUBJECTS[record["subject_idx"]], ACTIONS[record["action_idx"]]
        folder = root / "processed" / subject / action / "imageSequence-undistorted"
        for camera, name in enumerate(HUMAN36M_CAMERAS):
            if record["bbox_by_camera_tlbr"][camera].any():
                px = human36m_pixels(labels["cameras"][record["subject_idx"], camera], record["keypoints"])
                photograph(folder / name / f"img_{record['frame_idx'] + 1:06d}.jpg", SIZES[camera], px, rng)
    return labels


PANOPTIC_CAMERAS = ("00_01", "00_02", "00_10", "00_13", "00_20")
PANOPTIC_SIZE = (192, 108)


def write_panoptic(
    root: Path, name: str = "171026_pose1", *, frames: tuple[int, ...] = (110, 111, 113), seed: int = 0
) -> dict:
    """One sequence; cm and Y down. The second frame has two people. Returns what was written, by camera and frame."""
    rng = np.random.default_rng(seed)
    folder = root / name
    up = np.array([0, -1.0, 0])
    cameras = []
    for index, camera in enumerate(PANOPTIC_CAMERAS):
        angle = 2 * np.pi * index / len(PANOPTIC_CAMERAS)
        center = np.array([300 * np.cos(angle), -150.0 - 10 * index, 280 * np.sin(angle)])
        R, t = looking_at(center, np.array([0, -90.0, 0]), up)
        K = [[140.0, 0, 96.5], [0, 139.0, 53.2], [0, 0, 1]]
        cameras.append(
            {
                "name": camera,
                "type": "hd",
                "resolution": list(PANOPTIC_SIZE),
                "panel": 0,
                "node": int(camera[3:]),
                "K": K,
                "distCoef": [-0.1, 0.05, 0.001, -0.002, 0.01],
                "R": R.tolist(),
                "t": t[:, None].tolist(),
            }
        )
    vga = {**cameras[0], "name": "01_01", "type": "vga"}
    folder.mkdir(parents=True)
    calibration = {"calibDataSource": "160906_calib_norm", "cameras": [vga, *cameras]}
    (folder / f"calibration_{name}.json").write_text(json.dumps(calibration))
    poses = folder / "hdPose3d_stage1_coco19"
    poses.mkdir()
    written = {}
    for number, frame in enumerate(frames):
        bodies = []
        for person in range(2 if number == 1 else 1):
            joints = person_mm(19, rng, np.zeros(3))[:, [0, 2, 1]] / 10 * [1, -1, 1]
            confidence = rng.uniform(0.3, 0.8, 19)
            confidence[15] = -1.0 if number == 0 else 0.5  # left eye not labelled
            bodies.append({"id": person, "joints19": np.column_stack([joints, confidence]).ravel().tolist()})
        document = {"version": 0.7, "univTime": 53541.5, "fpsType": "hd_29_97", "bodies": bodies}
        (poses / f"body3DScene_{frame:08d}.json").write_text(json.dumps(document))
        written[frame] = np.array(bodies[0]["joints19"]).reshape(19, 4)
        for camera in cameras:
            given = (np.array(camera[key], dtype=np.float64) for key in ("R", "t", "K", "distCoef"))
            R, t, K, distortion = given
            px = cv2.projectPoints(written[frame][:, :3].copy(), cv2.Rodrigues(R)[0], t, K, distortion)[0][:, 0]
            photograph(folder / "hdImgs" / camera["name"] / f"{camera['name']}_{frame:08d}.jpg", PANOPTIC_SIZE, px, rng)
    return {"cameras": cameras, "joints": written}


def write_checkpoints(folder: Path, joints: int = 17, seed: int = 5) -> tuple[Path, Path]:
    """Small algebraic and volumetric networks with random weights, as files with the published keys.

    Without heads for confidences they run on pictures of 64×64.
    """
    torch.manual_seed(seed)
    algebraic = AlgebraicNet(AlgebraicNetConfig(PoseResNetConfig(18, joints)))
    v2v = V2VConfig(channels_in=4, joints=joints, width=4, depth=2, front_kernel=3)
    volumetric = VolumetricNet(VolumetricNetConfig(PoseResNetConfig(18, joints), v2v))
    paths = folder / "alg.pth", folder / "vol.pth"
    for network, path in zip((algebraic, volumetric), paths, strict=True):
        torch.save({f"module.{key}": tensor for key, tensor in network.state_dict().items()}, path)
    return paths


def write_coco(root: Path, split: str = "val2017", seed: int = 2) -> dict:
    """Two pictures; five annotations, of which two are worth learning from. Returns the annotation file."""
    rng = np.random.default_rng(seed)
    names = load_keypoint_set("coco17").names
    images, annotations = [], []
    for number, size in enumerate([(200, 150), (140, 220)]):
        image = {"id": 40 + number, "file_name": f"{40 + number:012d}.jpg", "width": size[0], "height": size[1]}
        xy = rng.integers([12, 12], [size[0] - 12, size[1] - 12], (17, 2))
        flags = np.where(np.arange(17) % 5 == 4, [0, 1][number], 2)
        photograph(root / split / image["file_name"], size, xy[flags == 2], rng)
        images.append(image)
        annotations.append(coco_annotation(image["id"], xy, flags))
    spare = np.tile([[20, 20]], (17, 1)) + rng.integers(0, 9, (17, 2))
    annotations.append({**coco_annotation(40, spare, np.full(17, 2)), "iscrowd": 1})
    annotations.append(coco_annotation(41, spare, np.full(17, 2)))
    annotations.append(coco_annotation(41, spare * 4, np.where(np.arange(17) < 2, 2, 0)))
    category = {"id": 1, "name": "person", "keypoints": list(names), "skeleton": [[16, 14]]}
    content = {"info": {}, "images": images, "annotations": annotations, "categories": [category]}
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(content))
    return content


def coco_annotation(image: int, xy: np.ndarray, flags: np.ndarray) -> dict:
    """Box as edges, keypoints as pixels; 0 0 0 where not labelled."""
    low, high = xy.min(0), xy.max(0) + 1
    triples = np.where(flags[:, None] > 0, np.column_stack([xy, flags]), 0)
    return {
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": int((flags > 0).sum()),
        "keypoints": triples.ravel().tolist(),
        "bbox": [float(v) for v in (*low, *(high - low))],
    }
