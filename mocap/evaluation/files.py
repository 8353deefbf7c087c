"""Files of points, calibrations and times: reading whatever they are, and comparing two of them.

| points from | what is read |
|---|---|
| `.h5` | keypoints of a take (`triangulate.h5`, `smooth.h5`), or the joints of its motions (`solve.h5`) |
| `truth.npz` | keypoints of all people at the truth's own samples; joints where the other file holds joints |
| `.bvh` | joints of every root; unit and up axis are guessed from the body and told |
| `.npz` | `names` (J,) text; `xyz` (T, J, 3) or (T, P, J, 3) m, NaN where missing; optional: `fps`, `people` (P,) |
| `.csv` | a header `frame,name,x,y,z`, optionally `person`; m; frames from 0; an absent row is a missing point |

Limb joints of skeletons (`LeftArm`, `mixamorig:LeftArm`) get the names of keypoints (`left_shoulder`), so that BVH
files compare with keypoints. A joint is not quite where a keypoint is clicked: hips differ by centimetres.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from calibration.camera import Rig
from calibration.formats import read_calibration
from mocap.core.config import Report
from mocap.core.errors import FileFormatError, InputError
from mocap.core.session import Take
from mocap.core.truth import TakeTruth
from mocap.evaluation.evaluate_feet import feet_of_keypoints
from mocap.evaluation.evaluate_motions import named_joints
from mocap.evaluation.evaluate_points import (
    MatchedPoints,
    NamedPoints,
    PointsEvaluation,
    common_names,
    evaluate_points,
    match_points,
)
from mocap.evaluation.evaluate_truth import OffsetReport, find_offset
from mocap.evaluation.sync_metrics import SyncReport, sync_report
from mocap.evaluation.take import named_keypoints, truth_of_take
from mocap.io.artefacts import load_keypoints3d, load_motions
from mocap.io.bvh import guess_conventions, motion_from_bvh, read_bvh, split_roots
from mocap.io.take_times import read_take_stamps, take_times
from mocap.io.truth_file import load_truth

DEFAULT_FPS = 30.0
"""Of files that do not say theirs, where the other does not either."""

CSV_COLUMNS = ("frame", "name", "x", "y", "z")


class FilesEvaluation(Report):
    """Two files of points. offset: what the search found, None where none was made; offset_ms: what was applied."""

    prediction: str
    truth: str
    offset_ms: float
    offset: OffsetReport | None
    points: PointsEvaluation


def evaluate_files(
    prediction: Path,
    truth: Path,
    *,
    offset_ms: float | None = 0.0,
    protocol: str | None = None,
    fps: float | None = None,
) -> tuple[FilesEvaluation, MatchedPoints, tuple[str, ...]]:
    """Compare frame by frame. offset_ms: how much later the truth is taken, None looks for the best; then, or where
    frame rates differ, the truth is interpolated straight between its frames. fps: for files that say none.

    The last part are sentences about what was guessed.
    """
    found, found_notes = read_points(prediction)
    true, true_notes = read_points(truth, joints=found.of_joints)
    if true.of_joints and not found.of_joints:
        found, found_notes = read_points(prediction, joints=True)
    notes = list(found_notes + true_notes)
    rate = found.fps or true.fps or fps or DEFAULT_FPS
    found, true = _with_rate(found, found.fps or rate), _with_rate(true, true.fps or rate)
    if found.fps != true.fps:
        notes.append(
            f"{prediction.name} has {found.fps:g} frames a second, {truth.name} {true.fps:g}: put on one clock"
        )
    elif len(found.xyz) != len(true.xyz):
        n = min(len(found.xyz), len(true.xyz))
        notes.append(f"{len(found.xyz)} frames against {len(true.xyz)} of the truth: the first {n} count")
    common_names(found, true)
    offset = _offset(found, true) if offset_ms is None else None
    shift_ms = offset.offset_ms if offset is not None else offset_ms or 0.0
    at = true if shift_ms == 0 and found.fps == true.fps else _resampled(true, found, shift_ms / 1000)
    points, matched = evaluate_points(
        found, at, feet=lambda m: feet_of_keypoints(m, np.zeros((*m.true.shape[:2], 4), dtype=bool)), protocol=protocol
    )
    report = FilesEvaluation(
        prediction=str(prediction), truth=str(truth), offset_ms=shift_ms, offset=offset, points=points
    )
    return report, matched, tuple(notes)


def read_points(path: Path, *, joints: bool = False) -> tuple[NamedPoints, tuple[str, ...]]:
    """Points of a file and sentences about what was guessed; `fps` is 0 where the file does not say it.

    joints: of a truth.npz, which has both, the joints and not the keypoints.
    """
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise FileFormatError(
            f"points are read from {', '.join(READERS)}, not from {suffix or 'a name without suffix'}", where=path
        )
    if not path.is_file():
        raise InputError("there is no such file", where=path)
    return READERS[suffix](path, joints)


def read_rig_file(path: Path) -> Rig:
    """A calibration of any format, or the true cameras of a truth.npz."""
    return load_truth(path).rig if path.suffix.lower() == ".npz" else read_calibration(path)


def evaluate_sync(take: Take, *, nominal: bool = False, reference: str | None = None) -> tuple[SyncReport, str]:
    """When a take's frames are said to be against when they were, and what says it. nominal: index / fps, whatever
    is known besides."""
    truth = truth_of_take(take)
    true = {view.camera: view.time_s for view in truth.views}
    synced = None if nominal else take_times(take, n_frames=truth.views[0].n_frames)
    if synced is not None:
        return sync_report(_comparable(synced, true), true, reference=reference), f"the clocks by {take.synced_by}"
    stamped = take.timestamps is not None and not nominal
    found = read_take_stamps(take) if stamped else _nominal_times(take, truth)
    report = sync_report(found, true, reference=reference)
    return report, "timestamps.csv" if stamped else "index / fps"


def _comparable(
    found: Mapping[str, Float[np.ndarray, "..."]], true: Mapping[str, Float[np.ndarray, "..."]]
) -> dict[str, Float[np.ndarray, "..."]]:
    """Of videos with a frame less than the truth, the last time is unknown."""
    short = {name: len(true[name]) - len(times) for name, times in found.items() if name in true}
    return {
        name: np.pad(times, (0, max(short.get(name, 0), 0)), constant_values=np.nan) for name, times in found.items()
    }


def _nominal_times(take: Take, truth: TakeTruth) -> dict[str, Float[np.ndarray, "..."]]:
    fps = take.fps or truth.fps
    return {view.camera: np.arange(view.n_frames) / fps for view in truth.views if view.camera in take.cameras}


def _offset(found: NamedPoints, true: NamedPoints) -> OffsetReport:
    matched = match_points(found, _resampled(true, found, 0.0))
    limbs = [matched.names[j] for j in matched.limbs]
    true, points = true.select(limbs), matched.found[:, :, list(matched.limbs)]
    return find_offset(points, lambda s: _resampled(true, found, s).xyz[: len(points)], 1 / found.fps)


def _resampled(points: NamedPoints, clock: NamedPoints, shift_s: float) -> NamedPoints:
    """The points at the frames of another, so much later; straight in between, NaN outside and beside missing ones."""
    frame = (np.arange(len(clock.xyz)) / clock.fps + shift_s) * points.fps
    last = len(points.xyz) - 1
    frame = np.where(np.abs(frame - np.rint(frame)) < 1e-9, np.rint(frame), frame)
    inside = (frame >= 0) & (frame <= last)
    low = np.clip(np.floor(frame), 0, last).astype(np.int64)
    share = (frame - low)[:, None, None, None]
    high = np.minimum(low + 1, last)
    between = np.where(share > 0, (1 - share) * points.xyz[low] + share * points.xyz[high], points.xyz[low])
    between[~inside] = np.nan
    return replace(points, xyz=between, fps=clock.fps, scores=None)


def _with_rate(points: NamedPoints, fps: float) -> NamedPoints:
    return replace(points, fps=fps)


def _read_h5(path: Path, _joints: bool) -> tuple[NamedPoints, tuple[str, ...]]:
    if _schema(path).startswith("mocap/motions/"):
        motions = load_motions(path)
        if not motions:
            raise InputError("holds the motion of nobody", where=path)
        return named_joints(motions), ()
    return named_keypoints(load_keypoints3d(path)), ()


def _schema(path: Path) -> str:
    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs.get("schema", ""))
    except OSError:
        return ""


def _read_npz(path: Path, joints: bool) -> tuple[NamedPoints, tuple[str, ...]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key in ("names", "xyz", "fps", "people")}
            own = {"names", "xyz"} <= set(file.files)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise FileFormatError(f"cannot be read as .npz ({error})", where=path) from None
    return (_from_arrays(path, arrays), ()) if own else (_of_truth(load_truth(path), joints), ())


def _of_truth(truth: TakeTruth, joints: bool) -> NamedPoints:
    if joints and truth.people:
        return named_joints([person.motion for person in truth.people])
    people = tuple(person.motion.person for person in truth.people)
    return NamedPoints(truth.keypoint_names, truth.keypoints_m, truth.fps, people)


def _from_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> NamedPoints:
    names = tuple(str(name) for name in arrays["names"].ravel())
    xyz = arrays["xyz"].astype(np.float64)
    xyz = xyz[:, None] if xyz.ndim == 3 else xyz
    if xyz.ndim != 4 or xyz.shape[2:] != (len(names), 3):
        raise FileFormatError(
            f"has {len(names)} names and xyz of shape {arrays['xyz'].shape}",
            where=path,
            remedy="It needs (T, P, J, 3).",
        )
    people = [str(name) for name in arrays.get("people", np.array([]))]
    people = people if len(people) == xyz.shape[1] else [f"person {number}" for number in range(xyz.shape[1])]
    return NamedPoints(names, xyz, float(arrays.get("fps", 0.0)), tuple(people))


def _read_csv(path: Path, _joints: bool) -> tuple[NamedPoints, tuple[str, ...]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            absent = [name for name in CSV_COLUMNS if name not in (reader.fieldnames or ())]
            if absent:
                raise FileFormatError(
                    f"has no column {', '.join(absent)}", where=path, remedy=f"Its header is {','.join(CSV_COLUMNS)}."
                )
            rows = [
                (int(r["frame"]), r.get("person") or "person 0", r["name"], [float(r[axis] or "nan") for axis in "xyz"])
                for r in reader
            ]
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        if isinstance(error, InputError):
            raise
        raise FileFormatError(f"cannot be read as points ({error})", where=path) from None
    if not rows:
        raise FileFormatError("has no rows", where=path)
    if min(row[0] for row in rows) < 0:
        raise FileFormatError("has frames before 0", where=path)
    names, people = tuple(dict.fromkeys(row[2] for row in rows)), tuple(dict.fromkeys(row[1] for row in rows))
    xyz = np.full((max(row[0] for row in rows) + 1, len(people), len(names), 3), np.nan)
    place = {name: j for j, name in enumerate(names)}
    for frame, person, name, point in rows:
        xyz[frame, people.index(person), place[name]] = point
    return NamedPoints(names, xyz, 0.0, people), ()


def _read_bvh(path: Path, _joints: bool) -> tuple[NamedPoints, tuple[str, ...]]:
    motions, notes = [], []
    for part in split_roots(read_bvh(path)):
        guess = guess_conventions(part)
        doubt = "" if guess.certain else "; not certain"
        notes.append(f"{path.name}: {guess.reason} (guessed{doubt})")
        try:
            motions.append(motion_from_bvh(part, up=guess.up, unit=guess.metres_per_unit, person=part.joint_names[0]))
        except InputError as error:
            raise InputError(error.what, where=error.where or path, remedy=error.remedy) from None
    if len({motion.skeleton.joint_names for motion in motions}) > 1:
        raise InputError("holds people of different joints", where=path, remedy="Compare them one by one.")
    return named_joints(motions), tuple(notes)


READERS: dict[str, Callable[[Path, bool], tuple[NamedPoints, tuple[str, ...]]]] = {
    ".h5": _read_h5,
    ".npz": _read_npz,
    ".bvh": _read_bvh,
    ".csv": _read_csv,
}
"""By suffix."""
