"""OpenPose's JSON: one file per frame, `people` with flat lists x y c (px, px, [0, 1]; 0 0 0 where nothing was found).

The same layout is written by Pose2Sim and several converters. The frame number is the last number in the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mocap.core.errors import FileFormatError
from mocap.io.json_fields import expect, field, numbers, read_json
from mocap.io.people2d import People2D, PersonRow, people_from_rows

MAX_FRAME_BYTES = 16 * 2**20
PARTS = ("pose_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "face_keypoints_2d")
PART_SIZES = (None, 21, 21, 70)
"""The separate hand and face networks' results are appended to the body's in this order, all or none of them."""


def read_openpose(files: Sequence[Path]) -> People2D:
    """One camera's frames. Frame numbers may start anywhere and have holes; they stay as the names say."""
    if not files:
        raise FileFormatError("no JSON files to read")
    numbered = _by_frame(files)
    people: list[tuple[int, Path, list[np.ndarray]]] = []
    for frame, path in numbered.items():
        people += [(frame, path, parts) for parts in _read_frame(path)]
    widths = _part_widths(people, files[0].parent)
    rows = []
    for frame, _, parts in people:
        points = np.concatenate([_fitted(part, width) for part, width in zip(parts, widths, strict=True)])
        confidence = np.where((points[:, :2] == 0).all(1), 0.0, points[:, 2])
        rows.append(PersonRow(frame=frame, xy=points[:, :2], confidence=confidence))
    covered = (min(numbered), max(numbered))
    return people_from_rows(rows, n_keypoints=sum(widths), covered=covered)


def frame_number(path: Path) -> int:
    """`cam01_000000000012_keypoints.json` → 12, `cam02.0080.json` → 80."""
    digits = re.findall(r"\d+", path.stem.removesuffix("_keypoints"))
    if not digits:
        raise FileFormatError(
            "no frame number in the file's name", where=path, remedy="Name the files like take_000012_keypoints.json."
        )
    if len(digits[-1]) > 12:
        raise FileFormatError(f"the frame number {digits[-1]} is too long", where=path)
    return int(digits[-1])


def looks_like_openpose(value: Any) -> bool:
    """Whether a parsed JSON file is a frame of this format."""
    return isinstance(value, dict) and isinstance(value.get("people"), list)


def _by_frame(files: Sequence[Path]) -> dict[int, Path]:
    numbered: dict[int, Path] = {}
    for path in files:
        number = frame_number(path)
        if number in numbered:
            raise FileFormatError(
                f"{numbered[number].name} and {path.name} are both frame {number}",
                where=path.parent,
                remedy="Keep one camera's and one take's files in a folder.",
            )
        numbered[number] = path
    return dict(sorted(numbered.items()))


def _read_frame(path: Path) -> list[list[Float[np.ndarray, "K 3"]]]:
    root = expect(read_json(path, max_bytes=MAX_FRAME_BYTES), dict, path, "the file")
    people = field(root, "people", list, path, "")
    return [_read_person(person, path, f"people[{index}]") for index, person in enumerate(people)]


def _read_person(person: object, path: Path, place: str) -> list[Float[np.ndarray, "K 3"]]:
    table = expect(person, dict, path, place)
    parts = []
    for key, size in zip(PARTS, PART_SIZES, strict=True):
        if size is None and key not in table and "pose_keypoints" in table:  # OpenPose before 1.1
            key = "pose_keypoints"
        flat = numbers(table.get(key, []), path, f"{place}.{key}")
        if len(flat) % 3:
            raise FileFormatError(f"{place}.{key}: {len(flat)} numbers are not triples x y confidence", where=path)
        if size is not None and len(flat) not in (0, 3 * size):
            raise FileFormatError(f"{place}.{key}: {len(flat) // 3} keypoints, expected {size}", where=path)
        parts.append(flat.reshape(-1, 3))
    return parts


def _part_widths(people: list[tuple[int, Path, list[np.ndarray]]], folder: Path) -> list[int]:
    """How many keypoints each part has; a part may be empty for some people but not have two sizes."""
    widths = [0] * len(PARTS)
    for _, path, parts in people:
        for index, part in enumerate(parts):
            if len(part) and widths[index] and len(part) != widths[index]:
                raise FileFormatError(
                    f"{PARTS[index]}: {len(part)} keypoints, but other files in {folder.name} have {widths[index]}",
                    where=path,
                )
            widths[index] = max(widths[index], len(part))
    return [widths[0], *(size or 0 for size in PART_SIZES[1:])] if any(widths[1:]) else widths


def _fitted(part: Float[np.ndarray, "K 3"], width: int) -> Float[np.ndarray, "W 3"]:
    return part if len(part) == width else np.zeros((width, 3))
