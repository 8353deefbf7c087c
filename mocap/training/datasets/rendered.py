"""Rendered people (`tools/render_people.py`) as labelled people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Int

from mocap.core.errors import FileFormatError, InputError
from mocap.core.keypoints import KeypointSet, load_keypoint_set
from mocap.training.datasets.labelled_people import LabelledPerson
from mocap.training.datasets.pieces import decoded
from mocap.training.datasets.rendered_scenes import KEYPOINTS, RenderedPeople

REMEDY = "Render some: python tools/render_people.py --scenes 40 -o FOLDER"


@dataclass(frozen=True, eq=False)
class _Scene:
    people: RenderedPeople
    starts: Int[np.ndarray, "N"]

    def jpeg(self, row: int) -> bytes:
        start = int(self.starts[row])
        return self.people.jpegs[start : start + int(self.people.lengths[row])].tobytes()


class RenderedSource:
    """Everybody in the scenes of a folder, scene by scene; all of it is kept in memory, some 20 kB a person."""

    def __init__(self, root: Path) -> None:
        paths = sorted(root.glob("scene_*.npz")) if root.is_dir() else []
        if not paths:
            raise InputError("holds no rendered people", where=root, remedy=REMEDY)
        self._scenes = [_read(path) for path in paths]
        self._set = load_keypoint_set(KEYPOINTS)
        counts = [len(scene.starts) for scene in self._scenes]
        self.recordings: Int[np.ndarray, "N"] = np.repeat(np.arange(len(counts)), counts)
        """The scene of each person: what is kept for validation shares none with what is learned from."""
        self._rows = np.concatenate([np.arange(count) for count in counts])

    @property
    def keypoint_set(self) -> KeypointSet:
        """BlazePose's 33, where they are on the body."""
        return self._set

    def __len__(self) -> int:
        return len(self._rows)

    def person(self, index: int) -> LabelledPerson:
        """The person's surroundings, and where everything is in them."""
        scene, row = self._scenes[self.recordings[index]], int(self._rows[index])
        people = scene.people
        return LabelledPerson(decoded(scene.jpeg(row)), people.xy[row], people.visibility[row], people.box[row])


def _read(path: Path) -> _Scene:
    try:
        with np.load(path, allow_pickle=False) as file:
            people = RenderedPeople(**{name: file[name] for name in RenderedPeople.__dataclass_fields__})
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise FileFormatError(f"not a scene of rendered people ({error})", where=path, remedy=REMEDY) from None
    ends = np.cumsum(people.lengths)
    if len(ends) and ends[-1] != len(people.jpegs):
        raise FileFormatError("ends in the middle of a picture", where=path, remedy=REMEDY)
    return _Scene(people, ends - people.lengths)
