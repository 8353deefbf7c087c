"""Human3.6M, prepared as for the published implementation: people in pictures, and moments in all views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from mocap.core.keypoint_names import keypoint_set_from_names
from mocap.core.keypoints import KeypointSet
from mocap.geometry.algebraic import project_pinhole
from mocap.io.human36m_files import (
    JOINTS,
    LABELS,
    MM_PER_M,
    TRAIN_SUBJECTS,
    Human36mFrames,
    read_human36m_labels,
)
from mocap.io.published_crops import INPUT_SIZE, MultiviewFrame
from mocap.training.datasets.labelled_people import SEEN, LabelledPerson, box_of

OUR_NAMES = {"pelvis": "hip", "head_top": "head", "nose": "human36m_neck_nose", "thorax": "neck"}
"""Theirs that are called otherwise here; the joint between neck and nose is neither, so it gets a name of its own."""


class Human36mSource:
    """Every view of every n-th moment of some subjects, as one labelled person each; also the moments themselves."""

    def __init__(
        self, root: Path, subjects: Sequence[str] = TRAIN_SUBJECTS, *, every: int = 1, labels: Path | None = None
    ) -> None:
        self._labels = read_human36m_labels(labels or root / LABELS)
        self._frames = Human36mFrames(root, self._labels)
        self._moments = np.flatnonzero(self._labels.of_subjects(subjects))[::every]
        self._views = self._moments[np.argwhere(self._labels.seen[self._moments])[:, 0]]
        self._cameras = np.argwhere(self._labels.seen[self._moments])[:, 1]
        self._set = keypoint_set_from_names("human36m17", tuple(OUR_NAMES.get(name, name) for name in JOINTS))

    @property
    def keypoint_set(self) -> KeypointSet:
        """The 17 joints by our names."""
        return self._set

    def __len__(self) -> int:
        return len(self._views)

    def person(self, index: int) -> LabelledPerson:
        """One view: the whole undistorted picture; every joint counts as seen, as nobody has labelled what hides it."""
        row, camera = int(self._views[index]), int(self._cameras[index])
        picture = self._frames.picture(row, camera)
        xy = pinhole_pixels(self._labels.projection(row, camera), self._labels.xyz_mm[row].astype(float) / MM_PER_M)
        return LabelledPerson(picture, xy, np.full(len(xy), SEEN), box_of(xy))

    @property
    def n_frames(self) -> int:
        """Moments."""
        return len(self._moments)

    def frame(self, index: int, *, size: tuple[int, int] = INPUT_SIZE, scale: float = 1.0) -> MultiviewFrame:
        """One moment in all of its views, cut out as the published networks were trained."""
        return self._frames.load(int(self._moments[index]), size=size, scale=scale)


def pinhole_pixels(projection: Float[np.ndarray, "3 4"], xyz: Float[np.ndarray, "K 3"]) -> Float[np.ndarray, "K 2"]:
    """Pixels of an undistorted picture; NaN behind the camera."""
    return project_pinhole(torch.from_numpy(projection)[None], torch.from_numpy(xyz))[0][0].numpy()
