"""Human3.6M as prepared for the published implementation of Learnable Triangulation.

    extra/human36m-multiview-labels-GTbboxes.npy   names, cameras and a table of moments, a pickled dictionary
    processed/<subject>/<action>/imageSequence-undistorted/<camera>/img_<frame + 1, six digits>.jpg

The labels are in millimetres, Z up; cameras have R t K and dist (k1 k2 p1 p2 k3). Boxes are top left bottom right and
square; a view with an empty box is missing. Without the undistorted pictures those of `imageSequence` are undistorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.core.errors import FileFormatError, InputError
from mocap.io.numpy_pickle import read_numpy_object
from mocap.io.published_crops import (
    INPUT_SIZE,
    MultiviewFrame,
    Picture,
    Undistortion,
    crop_picture,
    crop_projection,
    read_picture,
    scaled_box,
)

LABELS = Path("extra") / "human36m-multiview-labels-GTbboxes.npy"
PICTURES = Path("processed")
JOINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "thorax",
    "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "nose",
)  # fmt: skip
"""In the labels' order."""
TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
DAMAGED = {"S9": ("Greeting-2", "SittingDown-2", "Waiting-1")}
"""Scenes whose labels are shifted, which the paper leaves out of its absolute figures."""
MM_PER_M = 1000.0

CAMERA_FIELDS = {"R": (3, 3), "t": (3,), "K": (3, 3), "dist": (5,)}
TABLE_FIELDS = {"subject_idx": (), "action_idx": (), "frame_idx": (), "keypoints": (len(JOINTS), 3)}
NAMES = ("subject_names", "action_names", "camera_names")


@dataclass(frozen=True, eq=False)
class Human36mLabels:
    """S subjects, C cameras, N moments. R, t (m), K, distortion: of each subject's cameras. xyz_mm: true keypoints.

    boxes: left upper right lower, px; empty where a view is missing. subject, action: into their names.
    """

    subject_names: tuple[str, ...]
    action_names: tuple[str, ...]
    camera_names: tuple[str, ...]
    R: Float[np.ndarray, "S C 3 3"]
    t: Float[np.ndarray, "S C 3"]
    K: Float[np.ndarray, "S C 3 3"]
    distortion: Float[np.ndarray, "S C 5"]
    subject: Int[np.ndarray, "N"]
    action: Int[np.ndarray, "N"]
    frame: Int[np.ndarray, "N"]
    xyz_mm: Float[np.ndarray, "N J 3"]
    boxes: Int[np.ndarray, "N C 4"]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def seen(self) -> Bool[np.ndarray, "N C"]:
        """Which views are there."""
        return np.asarray((self.boxes[..., 2:] > self.boxes[..., :2]).all(-1))

    def of_subjects(self, names: Sequence[str]) -> Bool[np.ndarray, "N"]:
        """Moments of some subjects, which the labels must know."""
        unknown = [name for name in names if name not in self.subject_names]
        if unknown:
            raise InputError(
                f"the labels have no subject {', '.join(unknown)}", remedy=f"They have {', '.join(self.subject_names)}."
            )
        return np.isin(self.subject, [self.subject_names.index(name) for name in names])

    @property
    def damaged(self) -> Bool[np.ndarray, "N"]:
        """Moments of the scenes in `DAMAGED`."""
        found = np.zeros(len(self), dtype=bool)
        for subject, actions in DAMAGED.items():
            if subject in self.subject_names:
                wanted = [i for i, name in enumerate(self.action_names) if name in actions]
                found |= (self.subject == self.subject_names.index(subject)) & np.isin(self.action, wanted)
        return found

    def projection(self, row: int, camera: int) -> Float[np.ndarray, "3 4"]:
        """K [R t] of a view of one moment, world m to undistorted px."""
        place = (self.subject[row], camera)
        return self.K[place] @ np.concatenate([self.R[place], self.t[place][:, None]], axis=1)


def read_human36m_labels(path: Path) -> Human36mLabels:
    """The labels, checked throughout; a pickle that holds anything but plain data and arrays is not opened."""
    table = read_numpy_object(path)
    if not isinstance(table, dict):
        raise FileFormatError(f"holds {type(table).__name__}, expected a dictionary", where=path)
    missing = [name for name in (*NAMES, "cameras", "table") if name not in table]
    if missing:
        raise FileFormatError(f"lacks {', '.join(missing)}", where=path, remedy="Expected the multi-view labels.")
    subjects, actions, cameras = (_names(table[name], f"{name}", path) for name in NAMES)
    shape = (len(subjects), len(cameras))
    posed = _record(table["cameras"], "cameras", CAMERA_FIELDS, shape, path)
    moments = table["table"]
    fields = {**TABLE_FIELDS, "bbox_by_camera_tlbr": (len(cameras), 4)}
    rows = _record(moments, "table", fields, np.shape(moments)[:1], path)
    for name, known in (("subject_idx", subjects), ("action_idx", actions)):
        if len(rows[name]) and not 0 <= rows[name].min() <= rows[name].max() < len(known):
            raise FileFormatError(f"table: {name} points beyond the {len(known)} names", where=path)
    return Human36mLabels(
        subject_names=subjects,
        action_names=actions,
        camera_names=cameras,
        R=posed["R"].astype(np.float64),
        t=posed["t"].astype(np.float64) / MM_PER_M,
        K=posed["K"].astype(np.float64),
        distortion=posed["dist"].astype(np.float64),
        subject=rows["subject_idx"].astype(np.int64),
        action=rows["action_idx"].astype(np.int64),
        frame=rows["frame_idx"].astype(np.int64),
        xyz_mm=rows["keypoints"],
        boxes=rows["bbox_by_camera_tlbr"].astype(np.int64)[..., [1, 0, 3, 2]],
    )


class Human36mFrames:
    """The pictures that belong to labels. root: the folder with `processed`, or `processed` itself."""

    def __init__(self, root: Path, labels: Human36mLabels) -> None:
        self.root = root / PICTURES if (root / PICTURES).is_dir() else root
        self.labels = labels
        self._maps: dict[tuple[int, int], Undistortion] = {}
        if not self.root.is_dir():
            raise InputError("no such folder", where=root, remedy="Give the folder that holds processed and extra.")

    def load(
        self, row: int, *, size: tuple[int, int] = INPUT_SIZE, scale: float = 1.0, cameras: Sequence[int] = ()
    ) -> MultiviewFrame:
        """One moment in all of its views (or some), cut out along its boxes × `scale`."""
        wanted = [c for c in (cameras or range(len(self.labels.camera_names))) if self.labels.seen[row, c]]
        pictures, projections = [], []
        for camera in wanted:
            box = scaled_box(self.labels.boxes[row, camera], scale)
            pictures.append(crop_picture(self.picture(row, camera), box, size))
            projections.append(crop_projection(self.labels.projection(row, camera), box, size))
        return MultiviewFrame(
            cameras=tuple(self.labels.camera_names[c] for c in wanted),
            pictures=np.stack(pictures) if pictures else np.zeros((0, size[1], size[0], 3), np.uint8),
            projections=np.stack(projections) if projections else np.zeros((0, 3, 4)),
            xyz=self.labels.xyz_mm[row].astype(np.float64) / MM_PER_M,
        )

    def picture(self, row: int, camera: int) -> Picture:
        """A whole picture, undistorted."""
        labels = self.labels
        place = self.root / labels.subject_names[labels.subject[row]] / labels.action_names[labels.action[row]]
        name = Path(labels.camera_names[camera]) / f"img_{labels.frame[row] + 1:06d}.jpg"
        distorted = place / "imageSequence" / name
        if (place / "imageSequence-undistorted").is_dir() or not distorted.is_file():
            return read_picture(place / "imageSequence-undistorted" / name)
        return self._undistorted(read_picture(distorted), (int(labels.subject[row]), camera))

    def _undistorted(self, picture: Picture, lens: tuple[int, int]) -> Picture:
        size = (picture.shape[1], picture.shape[0])
        if lens not in self._maps or self._maps[lens].size != size:
            self._maps[lens] = Undistortion(self.labels.K[lens], self.labels.distortion[lens], size)
        return self._maps[lens](picture)


def _names(value: Any, what: str, path: Path) -> tuple[str, ...]:
    texts = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(texts, (list, tuple)) or not texts or not all(isinstance(text, str) for text in texts):
        raise FileFormatError(f"{what}: expected a list of names", where=path)
    if any("/" in text or "\\" in text or text in ("", ".", "..") for text in texts):
        raise FileFormatError(f"{what}: a name that is no name of a folder", where=path)
    return tuple(texts)


def _record(
    value: Any, what: str, fields: dict[str, tuple[int, ...]], shape: tuple[int, ...], path: Path
) -> dict[str, np.ndarray]:
    """The columns of a structured array, of the shapes (t may be a column of 3 × 1) and finite."""
    names = value.dtype.names if isinstance(value, np.ndarray) and value.dtype.names else ()
    missing = [name for name in fields if name not in names]
    if missing:
        raise FileFormatError(
            f"{what}: lacks {', '.join(missing)}", where=path, remedy="A newer file of labels has them."
        )
    columns = {}
    for name, inner in fields.items():
        column = value[name]
        if name == "t" and column.shape[-1] == 1:
            column = column[..., 0]
        if column.shape != (*shape, *inner) or column.dtype.kind not in "iuf":
            raise FileFormatError(
                f"{what}: {name} is {column.dtype} {column.shape}, expected numbers {(*shape, *inner)}", where=path
            )
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            raise FileFormatError(f"{what}: {name} holds NaN or infinity", where=path)
        columns[name] = column
    return columns
