"""2D results that people already have, from whatever tool made them, as Detections2D.

Formats: `openpose` (a folder of JSON frames per camera), `coco` (COCO results or dataset, AlphaPose, MMPose
predictions), `deeplabcut` and `sleap` (HDF5). The format is recognised from the content. Cameras find their file or
folder by name: `cam01_json/`, `take2-cam01.json`, `cam01DLC_resnet50….h5`, or as a mapping says.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from pydantic import Field

from mocap.core.config import Config
from mocap.core.errors import FileFormatError, InputError
from mocap.core.keypoint_names import keypoint_set_by_count, keypoint_set_from_names, our_names
from mocap.core.keypoints import Detections2D, KeypointSet, load_keypoint_set
from mocap.io.coco_json import ImageFilter, coco_kind, image_names, read_coco
from mocap.io.deeplabcut_h5 import looks_like_deeplabcut, read_deeplabcut
from mocap.io.json_fields import read_json
from mocap.io.openpose_json import looks_like_openpose, read_openpose
from mocap.io.people2d import People2D
from mocap.io.sleap_h5 import looks_like_sleap, read_sleap

Format = Literal["openpose", "coco", "deeplabcut", "sleap"]
FORMATS: tuple[Format, ...] = ("openpose", "coco", "deeplabcut", "sleap")
SUFFIXES = (".json", ".h5", ".hdf5", ".hdf")
MAX_FRAMES = 10_000_000
log = logging.getLogger("mocap")


class ImportConfig(Config):
    """How foreign 2D results are read.

    format: one of FORMATS; none recognises it. keypoint_set: a set of the package, for files that do not name their
    keypoints. keypoint_names: their name → ours, for files that do (and to rename those of `keypoint_set`).
    first_frame: the number that the files give to the first video frame; none takes the lowest number any camera
    covers (OpenPose, COCO datasets, MMPose) or 0 (DeepLabCut, SLEAP, COCO results). pixel_offset: added to every x
    and y, e.g. -0.5 where the tool puts (0, 0) at the corner of the first pixel. min_confidence: keypoints below it
    are taken as missing.
    """

    format: Format | None = None
    keypoint_set: str | None = None
    keypoint_names: dict[str, str] = Field(default_factory=dict)
    first_frame: int | None = None
    pixel_offset: float = 0.0
    min_confidence: float = Field(default=0.0, ge=0.0, le=1.0)


DEFAULT_IMPORT = ImportConfig()


def import_detections(
    source: Path | Mapping[str, Path],
    cameras: Sequence[str],
    *,
    format: str | None = None,
    n_frames: int | None = None,
    config: ImportConfig = DEFAULT_IMPORT,
) -> Detections2D:
    """The people of all cameras, in the video's own frame numbers from 0.

    source: a folder with an entry per camera, one file that holds all of them, or camera → file or folder.
    n_frames: length of the take; without it, as far as the results go. What lies behind its end is left out (another
    camera's video was shorter), but a camera that would lose everybody, or has somebody before its start, is refused.
    """
    known = _checked_format(format or config.format)
    places = _places(source, cameras)
    people = {camera: _read(place, known, camera, len(cameras)) for camera, place in places.items()}
    keypoint_set = _keypoint_set(people, config)
    first = config.first_frame if config.first_frame is not None else _first_frame(people)
    length = max(p.last_frame for p in people.values()) - first + 1 if n_frames is None else n_frames
    if not 0 < length <= MAX_FRAMES:
        raise InputError(f"no frames between {first} and the last in the files", where=_label(source))
    people = {camera: _within_take(p, (first, length), places[camera]) for camera, p in people.items()}
    ordered = [_in_our_order(people[camera], keypoint_set, config, places[camera]) for camera in cameras]
    xy = np.concatenate([xy for xy, _ in ordered]) + config.pixel_offset
    confidence = np.concatenate([confidence for _, confidence in ordered])
    confidence = np.where(confidence < config.min_confidence, 0.0, confidence)
    return Detections2D(
        cameras=tuple(cameras),
        n_frames=length,
        keypoint_set=keypoint_set,
        frame=np.concatenate([p.frame for p in people.values()]) - first,
        camera=np.repeat(np.arange(len(cameras)), [len(p.frame) for p in people.values()]),
        track=np.concatenate([p.track for p in people.values()]),
        xy=np.where(confidence[..., None] > 0, xy, np.nan),
        confidence=confidence,
        box=np.concatenate([p.box for p in people.values()]) + config.pixel_offset,
        score=np.concatenate([p.score for p in people.values()]),
    )


def recognise(place: Path) -> Format:
    """The format of a file, or of the files in a folder, from its content."""
    sample = _candidates(place)[0]
    if sample.suffix.lower() == ".json":
        value = read_json(sample)
        if looks_like_openpose(value):
            return "openpose"
        if coco_kind(value):
            return "coco"
    elif h5py.is_hdf5(sample):
        with h5py.File(sample, "r") as file:
            if looks_like_sleap(file):
                return "sleap"
            if looks_like_deeplabcut(file):
                return "deeplabcut"
    raise FileFormatError(
        "not 2D results of a known format",
        where=sample,
        remedy="Known: OpenPose JSON frames, COCO or MMPose JSON, DeepLabCut .h5, SLEAP analysis .h5.",
    )


def _checked_format(name: str | None) -> Format | None:
    for known in FORMATS:
        if name == known:
            return known
    if name is None:
        return None
    raise InputError(f"unknown format {name!r} of 2D results", remedy=f"There are {', '.join(FORMATS)}.")


def _places(source: Path | Mapping[str, Path], cameras: Sequence[str]) -> dict[str, Path | list[Path]]:
    """Per camera the file, the folder, or the frames of a folder that all cameras share."""
    if not cameras:
        raise InputError("no cameras to import 2D results for")
    if isinstance(source, Mapping):
        missing = [camera for camera in cameras if camera not in source]
        if missing:
            raise InputError(
                f"no 2D results named for {', '.join(missing)}", remedy=f"Named are {', '.join(source) or 'none'}."
            )
        return {camera: _existing(Path(source[camera])) for camera in cameras}
    if _existing(source).is_file() or (len(cameras) == 1 and _holds_frames(source)):
        return dict.fromkeys(cameras, source)
    entries = [e for e in sorted(source.iterdir()) if e.is_dir() or e.suffix.lower() in SUFFIXES]
    return {camera: _entry_of(camera, entries, source) for camera in cameras}


def _entry_of(camera: str, entries: list[Path], folder: Path) -> Path | list[Path]:
    exact = [entry for entry in entries if entry.stem == camera]
    found = exact or [entry for entry in entries if names_camera(entry.name, camera)]
    if len(found) == 1:
        return found[0]
    if found and all(entry.suffix.lower() == ".json" for entry in found) and _is_openpose_file(found[0]):
        return found
    if found:
        raise InputError(
            f"{', '.join(e.name for e in found[:4])}{' …' if len(found) > 4 else ''} could all be camera {camera!r}",
            where=folder,
            remedy="Move the others away, or name each camera's file in a mapping.",
        )
    there = ", ".join(entry.name for entry in entries[:12]) or "nothing"
    raise InputError(
        f"no 2D results for camera {camera!r}; there is {there}",
        where=folder,
        remedy=f"Name the file or folder after the camera, e.g. {camera}_json.",
    )


def names_camera(name: str, camera: str) -> bool:
    """Whether a file's name speaks of the camera: as a word of its own, or before DeepLabCut's DLC. cam1 ≠ cam10."""
    word = rf"(?<![A-Za-z0-9]){re.escape(camera)}(?![A-Za-z0-9])"
    before_dlc = rf"(?<![A-Za-z0-9]){re.escape(camera)}(?=DLC)"
    return re.search(f"{word}|{before_dlc}", name, re.IGNORECASE) is not None


def _read(place: Path | list[Path], known: Format | None, camera: str, n_cameras: int) -> People2D:
    if isinstance(place, list):
        return read_openpose(place)
    format = known or recognise(place)
    if format == "openpose":
        return read_openpose(sorted(place.glob("*.json")) if place.is_dir() else [place])
    path = _only_file(place)
    if format == "deeplabcut":
        return read_deeplabcut(path)
    if format == "sleap":
        return read_sleap(path)
    if n_cameras == 1 or any(names_camera(path.name, camera) for path in (path, path.parent)):
        return read_coco(path)
    return read_coco(path, _image_filter(path, camera))


def _image_filter(path: Path, camera: str) -> ImageFilter:
    names = image_names(path)
    if not any(names_camera(name, camera) for name in names):
        raise InputError(
            f"no image of camera {camera!r} in this file; its images are {', '.join(names[:3]) or 'not named'}",
            where=path,
            remedy="Give each camera its own file, or put the camera's name in each file_name (cam01/000012.png).",
        )
    return lambda name: names_camera(name, camera)


def _keypoint_set(people: Mapping[str, People2D], config: ImportConfig) -> KeypointSet:
    with_points = {camera: p for camera, p in people.items() if p.n_keypoints} or dict(people)
    widths = {camera: p.n_keypoints for camera, p in with_points.items()}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{camera}: {width}" for camera, width in widths.items())
        raise InputError(f"the cameras have different numbers of keypoints ({told})")
    first = next((p for p in with_points.values() if p.names), None)
    if first is not None:
        if config.keypoint_set is not None:
            raise InputError(
                f"the files name their keypoints ({', '.join(first.names[:3])} …), so keypoint_set cannot",
                remedy="Leave keypoint_set out; rename with keypoint_names.",
            )
        ours = our_names(first.names, config.keypoint_names)
        renamed = dict(zip(first.names, ours, strict=True))
        edges = tuple((renamed[a], renamed[b]) for a, b in first.edges)
        return keypoint_set_from_names("imported", ours, edges)
    by_count = _unnamed_set(with_points, config)
    if not config.keypoint_names:
        return by_count
    return keypoint_set_from_names("imported", our_names(by_count.names, config.keypoint_names))


def _unnamed_set(people: Mapping[str, People2D], config: ImportConfig) -> KeypointSet:
    width = next(iter(people.values())).n_keypoints
    if config.keypoint_set is None:
        if width == 0:
            raise InputError("there is nobody in these 2D results", remedy="Check the folder and the camera names.")
        return keypoint_set_by_count(width, np.concatenate([p.xy for p in people.values()]))
    chosen = load_keypoint_set(config.keypoint_set)
    if width not in (0, len(chosen)):
        raise InputError(f"{config.keypoint_set} has {len(chosen)} keypoints, the files have {width}")
    return chosen


def _in_our_order(
    people: People2D, keypoint_set: KeypointSet, config: ImportConfig, place: Path | list[Path]
) -> tuple[np.ndarray, np.ndarray]:
    """Points and confidences of one camera in the order of the set."""
    if not len(people.frame):
        return np.zeros((0, len(keypoint_set), 2)), np.zeros((0, len(keypoint_set)))
    if not people.names:
        return people.xy, people.confidence
    ours = our_names(people.names, config.keypoint_names)
    if set(ours) != set(keypoint_set.names):
        odd = sorted(set(ours) ^ set(keypoint_set.names))
        raise InputError(f"the cameras disagree about the keypoints {', '.join(odd)}", where=_label(place))
    order = [ours.index(name) for name in keypoint_set.names]
    return people.xy[:, order], people.confidence[:, order]


def _first_frame(people: Mapping[str, People2D]) -> int:
    starts = [p.first_frame for p in people.values()]
    return min((start for start in starts if start is not None), default=0)


def _within_take(people: People2D, span: tuple[int, int], place: Path | list[Path]) -> People2D:
    """Without the people behind the take's end."""
    first, length = span
    inside = people.frame < first + length
    early = people.frame < first
    if early.any() or not (inside.any() or inside.size == 0):
        worst = people.frame.min() if early.any() else people.frame.max()
        raise InputError(
            f"someone is in frame {worst}, but the take goes from {first} to {first + length - 1} in their counting",
            where=_label(place),
            remedy="Set first_frame to the number that the files give to the video's first frame.",
        )
    if inside.all():
        return people
    log.warning("%s: %d people after the last frame of the take are left out", _label(place), (~inside).sum())
    return people.select(inside)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise FileFormatError("no such file or folder", where=path)
    return path


def _holds_frames(folder: Path) -> bool:
    """Whether a folder is itself one camera's frames."""
    return any(_is_openpose_file(path) for path in sorted(folder.glob("*.json"))[:1])


def _is_openpose_file(path: Path) -> bool:
    return path.suffix.lower() == ".json" and looks_like_openpose(read_json(path))


def _only_file(place: Path) -> Path:
    """The file itself, or the only candidate in a camera's folder."""
    files = _candidates(place)
    if len(files) > 1:
        raise FileFormatError(
            f"{len(files)} files ({files[0].name}, {files[1].name}, …), expected one for the whole take", where=place
        )
    return files[0]


def _candidates(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    files = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise FileFormatError("no .json or .h5 files in this folder", where=place)
    return files


def _label(place: object) -> str | Path | None:
    if isinstance(place, list):
        return place[0].parent
    return place if isinstance(place, Path) else None
