"""COCO keypoints in the official layout as labelled people.

<root>/annotations/person_keypoints_<split>.json
<root>/<split>/<file name>          or <root>/images/<split>/<file name>
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mocap.core.errors import InputError
from mocap.core.keypoint_names import keypoint_set_from_names, our_names
from mocap.core.keypoints import KeypointSet, load_keypoint_set
from mocap.io.coco_keypoints import read_coco_keypoints
from mocap.io.published_crops import read_picture
from mocap.training.datasets.labelled_people import LabelledPerson

LEAST_KEYPOINTS = 5
"""Labelled ones a person must have to be worth a sample."""
LEAST_SIDE_PX = 24.0
"""Of the box's longer side: below it, a cell of the heatmap is more than the picture says."""


class CocoSource:
    """One split: people with enough labelled keypoints, no crowds, not tiny."""

    def __init__(self, root: Path, split: str = "train2017", *, least_keypoints: int = LEAST_KEYPOINTS) -> None:
        places = [folder for folder in (root / split, root / "images" / split) if folder.is_dir()]
        if not places:
            raise InputError(
                f"has no pictures of {split}", where=root, remedy=f"Unpack {split}.zip there: {root / split}."
            )
        self.root, self.pictures = root, places[0]
        people = read_coco_keypoints(root / "annotations" / f"person_keypoints_{split}.json")
        self._set = _keypoint_set(people.names)
        sides = (people.box[:, 2:] - people.box[:, :2]).max(-1)
        enough = (people.visibility > 0).sum(-1) >= least_keypoints
        self._rows = np.flatnonzero(enough & ~people.crowd & (sides >= LEAST_SIDE_PX))
        self._people = people
        if not len(self._rows):
            raise InputError(f"{split} has nobody with {least_keypoints} labelled keypoints", where=root)

    @property
    def keypoint_set(self) -> KeypointSet:
        """COCO's 17 by our names, or the file's own."""
        return self._set

    def __len__(self) -> int:
        return len(self._rows)

    def person(self, index: int) -> LabelledPerson:
        """Annotations that are used, in the file's order."""
        row, people = self._rows[index], self._people
        picture = read_picture(self.pictures / people.file[row])
        return LabelledPerson(picture, people.xy[row], people.visibility[row], people.box[row])


def _keypoint_set(names: tuple[str, ...]) -> KeypointSet:
    known = load_keypoint_set("coco17")
    ours = our_names(names, {})
    return known if ours == known.names else keypoint_set_from_names("coco_file", ours)
