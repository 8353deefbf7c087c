"""COCO's own annotation files of people with keypoints, `annotations/person_keypoints_<split>.json`, as columns.

Unlike `coco_json`, which reads anybody's results frame by frame, this keeps what training needs: the picture's file and
size, the visibility flags, and which annotations are of crowds. Coordinates: keypoints are pixels with the centre of
the first at (0, 0); boxes are given as edges, pixel (0, 0) from 0 to 1, and come out half a pixel less.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.core.errors import FileFormatError
from mocap.io.json_fields import array, describe, expect, field, read_json

MAX_BYTES = 2**30
"""Those of 2017 have 238 MB; a parsed file takes some ten times its size in memory."""
FLAGS = (0, 1, 2)


@dataclass(frozen=True, eq=False)
class CocoPeople:
    """N annotated people. file: their picture's name; names: of the K keypoints, as the file has them.

    xy: px, NaN where the flag is 0. visibility: COCO's flags. box: x0 y0 x1 y1 px. crowd: the annotation is of many.
    """

    names: tuple[str, ...]
    file: tuple[str, ...]
    xy: Float[np.ndarray, "N K 2"]
    visibility: Int[np.ndarray, "N K"]
    box: Float[np.ndarray, "N 4"]
    crowd: Bool[np.ndarray, "N"]

    def __len__(self) -> int:
        return len(self.file)


def read_coco_keypoints(path: Path) -> CocoPeople:
    """Every annotation that has keypoints, in the file's order."""
    value = expect(read_json(path, max_bytes=MAX_BYTES), dict, path, "")
    names = _names(value, path)
    files = _files(value, path)
    rows = [
        _row(entry, f"annotations[{index}]", names, path)
        for index, entry in enumerate(field(value, "annotations", list, path, ""))
        if isinstance(entry, dict) and "keypoints" in entry
    ]
    unknown = next((image for image, *_ in rows if image not in files), None)
    if unknown is not None:
        raise FileFormatError(f"an annotation's image_id {unknown} is not among the images", where=path)
    points = np.stack([points for _, points, _, _ in rows]) if rows else np.zeros((0, len(names), 3))
    flags = points[..., 2].astype(np.int64)
    return CocoPeople(
        names=names,
        file=tuple(files[image] for image, *_ in rows),
        xy=np.where(flags[..., None] > 0, points[..., :2], np.nan),
        visibility=flags,
        box=np.stack([box for _, _, box, _ in rows]) if rows else np.zeros((0, 4)),
        crowd=np.array([crowd for *_, crowd in rows], dtype=bool),
    )


def _row(
    table: dict[str, Any], place: str, names: tuple[str, ...], path: Path
) -> tuple[int, Float[np.ndarray, "K 3"], Float[np.ndarray, "4"], bool]:
    points = array(table["keypoints"], (len(names), 3), path, f"{place}.keypoints")
    if not np.isin(points[:, 2], FLAGS).all():
        raise FileFormatError(f"{place}.keypoints: flags must be 0, 1 or 2", where=path)
    box = array(field(table, "bbox", list, path, place), (4,), path, f"{place}.bbox")
    edges = np.concatenate([box[:2], box[:2] + box[2:]]) - 0.5
    return field(table, "image_id", int, path, place), points, edges, bool(table.get("iscrowd", 0))


def _files(value: dict[str, Any], path: Path) -> dict[int, str]:
    files = {}
    for index, entry in enumerate(field(value, "images", list, path, "")):
        place = f"images[{index}]"
        table = expect(entry, dict, path, place)
        name = field(table, "file_name", str, path, place)
        if name.startswith(("/", "\\")) or ".." in name or ":" in name:
            raise FileFormatError(f"{place}.file_name: {describe(name)} leads out of the data set", where=path)
        files[field(table, "id", int, path, place)] = name
    return files


def _names(value: dict[str, Any], path: Path) -> tuple[str, ...]:
    for index, category in enumerate(field(value, "categories", list, path, "")):
        if isinstance(category, dict) and isinstance(category.get("keypoints"), list):
            place = f"categories[{index}].keypoints"
            return tuple(expect(name, str, path, f"{place}[{i}]") for i, name in enumerate(category["keypoints"]))
    raise FileFormatError(
        "no category has keypoints", where=path, remedy="Use person_keypoints_*.json, not instances_*.json."
    )
