"""Labelled points over time, as marker files (C3D, TRC) have them, and the way from and to `Keypoints3D`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from mocap.core.errors import InputError
from mocap.core.keypoints import Keypoints3D, KeypointSet
from mocap.io.axes import Unit, Up, file_from_world, metres_per

ResidualUnit = Literal["px", "length"]


@dataclass(frozen=True, eq=False)
class PointTracks:
    """What a marker file says. Missing points are NaN in all of their numbers.

    xyz: (T, N, 3) in the axes and the unit of the file. residuals: (T, N) how well the views of a point agreed, 0 where
    it was calculated and not measured, NaN where nothing is known; in pixels, or in the file's unit of length.
    unit: "mm", "m", …, empty where the file does not say. up: None where the file does not say. first_frame: its number
    in the recording.
    """

    labels: tuple[str, ...]
    xyz: Float[np.ndarray, "T N 3"]
    residuals: Float[np.ndarray, "T N"]
    fps: float
    unit: str = ""
    up: Up | None = None
    first_frame: int = 1
    residual_unit: ResidualUnit = "length"

    def __post_init__(self) -> None:
        xyz = np.array(self.xyz, dtype=np.float64)
        residuals = np.array(self.residuals, dtype=np.float64)
        if xyz.ndim != 3 or xyz.shape[1:] != (len(self.labels), 3) or residuals.shape != xyz.shape[:2]:
            raise InputError(
                f"PointTracks has {len(self.labels)} labels but points {xyz.shape} and residuals {residuals.shape}"
            )
        if len(set(self.labels)) != len(self.labels):
            raise InputError("PointTracks repeats a label")
        if not np.isfinite(self.fps) or self.fps <= 0:
            raise InputError(f"{self.fps} frames a second is not a frame rate")
        missing = ~np.isfinite(xyz).all(axis=-1)
        xyz[missing], residuals[missing] = np.nan, np.nan
        for name, array in (("xyz", xyz), ("residuals", residuals)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def n_frames(self) -> int:
        return len(self.xyz)


def tracks_from_points(points: Keypoints3D, *, up: Up, unit: Unit, people: Sequence[str] = ()) -> PointTracks:
    """Keypoints in a file's axes and unit; the residuals are reprojection errors in pixels, 0 where filled in.

    Labels are the keypoints' names; of several people `person1:nose`, as in Vicon's files, or with the names given.
    """
    n_people, names = points.n_people, points.keypoint_set.names
    if people and len(people) != n_people:
        raise InputError(f"{len(people)} names for {n_people} people")
    subjects = list(people) or [f"person{number + 1}" for number in range(n_people)]
    labels = names if n_people == 1 else tuple(f"{person}:{name}" for person in subjects for name in names)
    shape = (points.n_frames, n_people * len(names))
    return PointTracks(
        labels=labels,
        xyz=(points.xyz @ file_from_world(up).T / metres_per(unit)).reshape(*shape, 3),
        residuals=np.nan_to_num(points.reprojection_px, nan=0.0).reshape(shape),
        fps=points.fps,
        unit=unit,
        up=up,
        residual_unit="px",
    )


def points_from_tracks(tracks: PointTracks, *, up: Up | None = None, unit: Unit | float | None = None) -> Keypoints3D:
    """Metres, Z up. `person1:nose` and `person2:nose` become two people where all have the same points.

    up, unit: for files that do not say them; they count before what a file says. Points that are there have confidence
    1; the number of views is not known, and the reprojection error only where residuals are pixels.
    """
    up, length = up or tracks.up, unit or tracks.unit
    if up is None or not length:
        missing = " and ".join(what for what, known in (("up axis", up), ("unit", length)) if not known)
        raise InputError(f"the points' {missing} is not in their file", remedy="State it with `up` or `unit`.")
    subjects, names = _subjects(tracks.labels)
    shape = (tracks.n_frames, len(subjects), len(names))
    xyz = (tracks.xyz @ file_from_world(up) * metres_per(length)).reshape(*shape, 3)
    measured = (tracks.residual_unit == "px") & (tracks.residuals > 0)
    return Keypoints3D(
        keypoint_set=KeypointSet("markers", names, edges=(), mirror_pairs=_mirror_pairs(names), body=names),
        xyz=xyz,
        confidence=np.isfinite(xyz).all(axis=-1).astype(float),
        reprojection_px=np.where(measured, tracks.residuals, np.nan).reshape(shape),
        n_views=np.zeros(shape, dtype=np.int64),
        fps=tracks.fps,
    )


def _subjects(labels: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Subjects and the names of their points; one subject "" with whole labels unless all share the same points."""
    split = [label.partition(":") for label in labels]
    subjects = tuple(dict.fromkeys(subject for subject, colon, _ in split if colon))
    names = tuple(dict.fromkeys(name for _, _, name in split))
    if list(labels) == [f"{subject}:{name}" for subject in subjects for name in names]:
        return subjects, names
    return ("",), tuple(labels)


def _mirror_pairs(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Points whose names differ by left and right only."""
    opposite = {name: name.replace("left", "right").replace("Left", "Right") for name in names}
    return tuple((left, right) for left, right in opposite.items() if left != right and right in names)


def distinct_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels of a file, each once: `LASI`, `LASI_2`, and `point_7` for the seventh where it has none."""
    taken: dict[str, None] = {}
    for number, label in enumerate(labels, start=1):
        name = free = label.strip() or f"point_{number}"
        again = 1
        while free in taken:
            again += 1
            free = f"{name}_{again}"
        taken[free] = None
    return tuple(taken)
