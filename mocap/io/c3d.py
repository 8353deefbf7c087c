"""C3D: labelled points with residuals, in binary (user guide 2021); analog channels and events are left out.

Written as float32 with Intel's byte order, millimetres and Z up (`POINT:X_SCREEN` +X, `Y_SCREEN` +Z), so that the file
says both. A point's fourth number is its residual in units of `|POINT:SCALE|`: -1 where the point is missing, 0 where
it was calculated (ours: filled in), else at least one unit, in the lower of its two bytes as the guide says (ezc3d
takes that byte for the cameras; py-c3d agrees with the guide). Our residuals are reprojection errors in pixels, because
that is what was measured; `MOCAP:RESIDUAL_UNITS` says so. Which cameras saw a point is not known: no bits are set.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from mocap.core.config import Config
from mocap.core.errors import FileFormatError, InputError
from mocap.core.keypoints import Keypoints3D
from mocap.io.artefacts import atomic_path
from mocap.io.axes import Unit, Up
from mocap.io.c3d_parameters import BLOCK, Groups, Processor, parameter_bytes, processor_of, read_parameters
from mocap.io.point_tracks import PointTracks, distinct_labels, tracks_from_points

INTEGER_RANGE = 32_000
LAST_FRAME = 65_535
MAX_LABELS = 255
SCREENS = {"z": ("+X", "+Z"), "y": ("+X", "+Y")}


class C3dConfig(Config):
    """How a C3D is written; it states both axes and unit. people: their names, for several."""

    up: Up = "z"
    unit: Unit = "mm"
    people: tuple[str, ...] = ()


def write_c3d(points: Keypoints3D, path: Path, config: C3dConfig | None = None) -> None:
    """Write keypoints, whole or not at all; the same points give the same bytes."""
    config = config or C3dConfig()
    write_c3d_tracks(tracks_from_points(points, up=config.up, unit=config.unit, people=config.people), path)


def write_c3d_tracks(tracks: PointTracks, path: Path) -> None:
    """Write points in their own axes and unit, with their residuals."""
    scale = _scale(tracks)
    parameters = parameter_bytes(_parameters(tracks, scale, 0))
    data_start = 2 + len(parameters) // BLOCK
    parameters = parameter_bytes(_parameters(tracks, scale, data_start))
    with atomic_path(path) as temporary:
        temporary.write_bytes(_header(tracks, scale, data_start) + parameters + _data(tracks, scale).tobytes())


def _scale(tracks: PointTracks) -> float:
    """Units of a residual's integer; also such that the points would fit the integer form of the format."""
    furthest = np.nanmax(np.abs(tracks.xyz), initial=0.0) / INTEGER_RANGE
    worst = np.nanmax(tracks.residuals, initial=0.0) / 255
    return float(np.float32(max(furthest, worst, 1e-6)))


def _header(tracks: PointTracks, scale: float, data_start: int) -> bytes:
    last = min(tracks.first_frame + tracks.n_frames - 1, LAST_FRAME)
    numbers = (len(tracks.labels), 0, tracks.first_frame, last, 0)
    content = struct.pack("<BB5H", 2, 0x50, *(min(max(n, 0), LAST_FRAME) for n in numbers))
    return (content + struct.pack("<fHHf", -scale, data_start, 0, tracks.fps)).ljust(BLOCK, b"\0")


def _parameters(tracks: PointTracks, scale: float, data_start: int) -> dict[str, dict[str, object]]:
    n_points, last = len(tracks.labels), tracks.first_frame + tracks.n_frames - 1
    point: dict[str, object] = {
        "USED": n_points,
        "SCALE": np.float32(-scale),
        "RATE": np.float32(tracks.fps),
        "DATA_START": data_start,
        "FRAMES": _two_words(min(tracks.n_frames, LAST_FRAME))[0],
        "LONG_FRAMES": np.float32(tracks.n_frames),
        "UNITS": tracks.unit,
    }
    if tracks.up is not None:
        point |= dict(zip(("X_SCREEN", "Y_SCREEN"), SCREENS[tracks.up], strict=True))
    for number in range(0, max(n_points, 1), MAX_LABELS):
        suffix = str(number // MAX_LABELS + 1) if number else ""
        point[f"LABELS{suffix}"] = list(tracks.labels[number : number + MAX_LABELS])
    groups: dict[str, dict[str, object]] = {"POINT": point}
    subjects = list(dict.fromkeys(label.partition(":")[0] for label in tracks.labels if ":" in label))
    if subjects:
        prefixes = [f"{subject}:" for subject in subjects]
        groups["SUBJECTS"] = {
            **{"USED": len(subjects), "IS_STATIC": 0, "USES_PREFIXES": 1},
            **{"NAMES": subjects, "LABEL_PREFIXES": prefixes},
        }
    groups["ANALOG"] = {"USED": 0, "GEN_SCALE": np.float32(1), "RATE": np.float32(0)}
    groups["FORCE_PLATFORM"] = {"USED": 0}
    fields = {"ACTUAL_START_FIELD": _two_words(tracks.first_frame), "ACTUAL_END_FIELD": _two_words(last)}
    groups["TRIAL"] = {**fields, "CAMERA_RATE": np.float32(tracks.fps)}
    groups["MANUFACTURER"] = {"SOFTWARE": "mocap-pipeline"}
    if tracks.residual_unit == "px":
        groups["MOCAP"] = {"RESIDUAL_UNITS": "px"}
    return groups


def _two_words(number: int) -> np.ndarray:
    """A frame's number as its lower and its upper 16 bits."""
    return np.array([number & 0xFFFF, number >> 16], dtype=np.uint16).view(np.int16)


def _data(tracks: PointTracks, scale: float) -> Float32[np.ndarray, "T N 4"]:
    missing = np.isnan(tracks.xyz[..., 0])
    measured = tracks.residuals > 0
    residuals = np.where(measured, np.clip(np.round(np.nan_to_num(tracks.residuals) / scale), 1, 255), 0.0)
    data = np.concatenate([np.nan_to_num(tracks.xyz, nan=0.0), residuals[..., None]], axis=-1)
    data[missing, 3] = -1.0
    return data.astype("<f4")


def read_c3d(path: Path, *, whole: bool = True) -> PointTracks:
    """The points of any C3D file: integers or floats, of Intel, DEC or MIPS. Analog channels are skipped.

    whole: refuse a file that ends before the last of its frames; else the frames that are there are read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileFormatError("no such file", where=path) from None
    if len(content) < 2 * BLOCK or content[1] != 0x50:
        raise FileFormatError("is not a C3D file: it lacks the key 0x50", where=path)
    try:
        start = (content[0] - 1) * BLOCK
        processor = processor_of(content[start : start + 4])
        length = content[start + 2] * BLOCK  # 0 in some old files, which have their data where the header says
        groups = read_parameters(content[start : start + (length or len(content) - start)])
        return _tracks(content, processor, groups, whole)
    except InputError as error:
        raise FileFormatError(error.what, where=path, remedy=error.remedy) from None
    except (struct.error, IndexError, ValueError) as error:
        raise FileFormatError(f"is a damaged C3D file ({error})", where=path) from None


def _tracks(content: bytes, processor: Processor, groups: Groups, whole: bool) -> PointTracks:
    n_points, n_analog, first, last, _ = (int(n) & 0xFFFF for n in processor.integers(content[2:12]))
    data_start = int(processor.integers(content[16:18])[0]) & 0xFFFF
    scale, rate = (float(f) for f in processor.floats(content[12:16] + content[20:24]))
    point = groups.get("POINT", {})
    body = content[(data_start - 1) * BLOCK :]
    n_held = len(body) // max((4 * n_points + n_analog) * (4 if scale < 0 else 2), 1)
    n_frames = _n_frames(first, last, groups, n_held)
    if n_held < n_frames and whole:
        raise InputError(f"ends after {n_held} of {n_frames} frames", remedy="Read what is there with whole=False.")
    n_frames = min(n_frames, n_held)
    data = _records(body, processor, (n_frames, n_points, n_analog), scale)
    last_word = data[..., 3].astype(np.int16)
    missing = (last_word < 0) | np.isnan(data).any(axis=-1)
    residuals = (last_word & 0xFF) * abs(scale)
    in_px = "RESIDUAL_UNITS" in groups.get("MOCAP", {}) and groups["MOCAP"]["RESIDUAL_UNITS"][0] == "px"
    return PointTracks(
        labels=distinct_labels(_labels(point, n_points)),
        xyz=np.where(missing[..., None], np.nan, data[..., :3] * (scale if scale > 0 else 1.0)),
        residuals=residuals,
        fps=float(str(np.float32(rate))),
        unit=str(next(iter(point.get("UNITS", [""])), "")).strip().lower(),
        up=_up(point),
        first_frame=first,
        residual_unit="px" if in_px else "length",
    )


def _n_frames(first: int, last: int, groups: Groups, n_held: int) -> int:
    """The header counts to 65,535; longer recordings say their length in a parameter, and so do some that were cut."""
    stated = last - first + 1
    if last < LAST_FRAME and stated <= n_held:
        return stated
    trial, point = groups.get("TRIAL", {}), groups.get("POINT", {})
    lengths = [int(point[name].flat[0]) for name in ("LONG_FRAMES", "FRAMES") if name in point]
    lengths = [length if length >= 0 else length + 65_536 for length in lengths]
    if {"ACTUAL_START_FIELD", "ACTUAL_END_FIELD"} <= trial.keys():
        begin, end = (trial[f"ACTUAL_{edge}_FIELD"].astype(np.int64) & 0xFFFF for edge in ("START", "END"))
        lengths.insert(0, int(end[0] + (end[1] << 16) - begin[0] - (begin[1] << 16)) + 1)
    return next((length for length in lengths if 0 <= length <= n_held), stated)


def _records(
    content: bytes, processor: Processor, counts: tuple[int, int, int], scale: float
) -> Float[np.ndarray, "T N 4"]:
    """The numbers of the points, frame by frame; each frame's analog samples follow its points."""
    n_frames, n_points, n_analog = counts
    is_float = scale < 0
    size = 4 if is_float else 2
    per_frame = 4 * n_points + n_analog
    decode = processor.floats if is_float else processor.integers
    numbers = decode(content[: n_frames * per_frame * size]).reshape(n_frames, per_frame)
    return numbers[:, : 4 * n_points].reshape(n_frames, n_points, 4).astype(np.float64)


def _labels(point: dict[str, np.ndarray], n_points: int) -> list[str]:
    names = [point[key].tolist() for key in ("LABELS", *(f"LABELS{n}" for n in range(2, 260))) if key in point]
    labels = [label for part in names for label in part][:n_points]
    return labels + [""] * (n_points - len(labels))


def _up(point: dict[str, np.ndarray]) -> Up | None:
    """The axis that is vertical on the screen the file was made for."""
    axis = str(point["Y_SCREEN"][0]).strip()[-1:].lower() if "Y_SCREEN" in point else ""
    return "y" if axis == "y" else "z" if axis == "z" else None
