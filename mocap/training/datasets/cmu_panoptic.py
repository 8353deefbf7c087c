"""CMU Panoptic, HD cameras, as the toolbox unpacks it: people in pictures, and moments in all views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mocap.core.keypoint_names import keypoint_set_from_names
from mocap.core.keypoints import KeypointSet
from mocap.io.panoptic_files import JOINTS, PanopticSequence, panoptic_sequences
from mocap.io.published_crops import INPUT_SIZE, MultiviewFrame
from mocap.training.datasets.human36m import pinhole_pixels
from mocap.training.datasets.labelled_people import SEEN, UNLABELLED, LabelledPerson, box_of


class PanopticSource:
    """People of some sequences in some HD cameras, one view each; also the moments, for several views at once.

    alone: only frames with one person. A view in which fewer than half of the joints lie in the picture is left out.
    """

    def __init__(
        self,
        root: Path,
        sequences: Sequence[str] = (),
        cameras: Sequence[str] = (),
        *,
        every: int = 1,
        alone: bool = False,
    ) -> None:
        self._sequences = [PanopticSequence(folder, cameras) for folder in panoptic_sequences(root, sequences)]
        self._people = [(s, p) for s in self._sequences for p in s.people(every=every, alone=alone)]
        self._views = [
            (sequence, person, camera)
            for sequence, person in self._people
            for camera in sequence.rig
            if sequence.shows(camera, person)
        ]
        self._set = keypoint_set_from_names("panoptic19", JOINTS)

    @property
    def keypoint_set(self) -> KeypointSet:
        """joints19 by our names."""
        return self._set

    def __len__(self) -> int:
        return len(self._views)

    def person(self, index: int) -> LabelledPerson:
        """One view: the whole undistorted picture."""
        sequence, person, camera = self._views[index]
        xy = pinhole_pixels(camera.projection, person.xyz)
        visibility = np.where(np.isfinite(xy).all(-1), SEEN, UNLABELLED)
        return LabelledPerson(sequence.picture(camera, person.frame), xy, visibility, box_of(xy))

    @property
    def n_frames(self) -> int:
        """People at moments."""
        return len(self._people)

    def frame(self, index: int, *, size: tuple[int, int] = INPUT_SIZE) -> MultiviewFrame:
        """One person in all views that show them."""
        sequence, person = self._people[index]
        return sequence.load(person, size=size)
