"""People in pictures with labelled keypoints: what the heatmap network learns from, whatever they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, UInt8

from mocap.core.errors import InputError
from mocap.core.keypoints import KeypointSet

UNLABELLED, HIDDEN, SEEN = 0, 1, 2
"""COCO's visibility flags: no label; labelled where it must be though something hides it; labelled and seen."""


@dataclass(frozen=True, eq=False)
class LabelledPerson:
    """picture: RGB. xy: px, the centre of the top-left pixel at (0, 0); NaN where not labelled. box: x0 y0 x1 y1 px,
    from -0.5 for a person at the picture's edge. visibility: COCO's flags."""

    picture: UInt8[np.ndarray, "H W 3"]
    xy: Float[np.ndarray, "K 2"]
    visibility: Int[np.ndarray, "K"]
    box: Float[np.ndarray, "4"]

    def __post_init__(self) -> None:
        if (np.isnan(self.xy).any(-1) != (self.visibility == UNLABELLED)).any():
            raise InputError(
                "LabelledPerson: keypoints without a label must be NaN and have the flag 0, both or neither"
            )


@runtime_checkable
class PeopleSource(Protocol):
    """Labelled people by number; reading one may be slow, so they are read when asked for."""

    @property
    def keypoint_set(self) -> KeypointSet: ...

    def __len__(self) -> int: ...

    def person(self, index: int) -> LabelledPerson:
        """The same for the same number, whoever asks."""
        ...


def renamed(person: LabelledPerson, have: Sequence[str], want: Sequence[str]) -> LabelledPerson:
    """The keypoints of other names: by name, unlabelled where the person's set has no such keypoint."""
    columns = [have.index(name) if name in have else -1 for name in want]
    there = np.array(columns) >= 0
    xy = np.where(there[:, None], person.xy[columns], np.nan)
    return replace(person, xy=xy, visibility=np.where(there, person.visibility[columns], UNLABELLED))


def box_of(xy: Float[np.ndarray, "K 2"]) -> Float[np.ndarray, "4"]:
    """The box around the known keypoints of a person, at least 2 px a side."""
    known = xy[np.isfinite(xy).all(-1)]
    if not len(known):
        raise InputError("a person without any keypoint has no box")
    low, high = known.min(0), known.max(0)
    grown = np.maximum(2.0 - (high - low), 0.0) / 2
    return np.concatenate([low - grown, high + grown])
