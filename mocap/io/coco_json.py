"""COCO-style JSON of 2D people: a results list, a dataset, and the per-video file of MMPose's tools.

results   [{image_id, keypoints: [x y score …], score, bbox: [x y w h], track_id}]  (COCO evaluation, AlphaPose)
dataset   {images: [{id, file_name}], annotations: [{image_id, keypoints: [x y v …], bbox}], categories: [{keypoints}]}
mmpose    {meta_info, instance_info: [{frame_id, instances: [{keypoints: [[x, y] …], keypoint_scores, bbox}]}]},
          or that list alone

Coordinates are px. COCO's visibility v becomes a confidence: 0 missing, 1 (labelled but hidden) 0.5, 2 (seen) 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mocap.core.errors import FileFormatError
from mocap.io.json_fields import describe, expect, field, numbers, read_json
from mocap.io.people2d import People2D, PersonRow, people_from_rows

HIDDEN_CONFIDENCE = 0.5
MAX_FRAME = 10**9
ImageFilter = Callable[[str], bool]


def read_coco(path: Path, wanted: ImageFilter | None = None) -> People2D:
    """All three layouts. `wanted` picks one camera's images by their name where a file holds several cameras."""
    value = read_json(path)
    kind = coco_kind(value)
    if kind == "results":
        return _read_results(value, path, wanted)
    if kind == "dataset":
        return _read_dataset(value, path, wanted)
    if kind == "mmpose":
        return _read_mmpose(value, path)
    raise FileFormatError(
        "not a COCO results list, a COCO dataset or MMPose's predictions",
        where=path,
        remedy="Expected [{image_id, keypoints, score}], {images, annotations} or {instance_info: [{frame_id, …}]}.",
    )


def coco_kind(value: Any) -> str | None:
    """Which of the layouts a parsed file has: results, dataset, mmpose or None."""
    if isinstance(value, dict):
        if "annotations" in value:
            return "dataset"
        return "mmpose" if "instance_info" in value else None
    if not isinstance(value, list):
        return None
    first = value[0] if value else {"image_id": 0}
    if not isinstance(first, dict):
        return None
    if "instances" in first:
        return "mmpose"
    return "results" if "image_id" in first else None


def image_names(path: Path) -> tuple[str, ...]:
    """The names of the images a results or dataset file speaks of, for telling cameras apart."""
    value = read_json(path)
    kind = coco_kind(value)
    if kind == "results":
        names = [entry.get("image_id") for entry in value if isinstance(entry, dict)]
    elif kind == "dataset":
        images = value.get("images")
        names = [i.get("file_name") for i in images if isinstance(i, dict)] if isinstance(images, list) else []
    else:
        names = []
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def _read_results(entries: list[Any], path: Path, wanted: ImageFilter | None) -> People2D:
    rows: list[PersonRow] = []
    for index, entry in enumerate(entries):
        place = f"[{index}]"
        table = expect(entry, dict, path, place)
        image = table.get("image_id")
        if wanted is not None and not (isinstance(image, str) and wanted(image)):
            continue
        frame = _frame_of(image, path, f"{place}.image_id")
        points = _triples(table, path, place)
        rows.append(_row(table, frame, points, path, place))
    last = max((row.frame for row in rows), default=-1)
    return people_from_rows(rows, n_keypoints=_one_width(rows, path), covered=(None, last))


def _read_dataset(value: dict[str, Any], path: Path, wanted: ImageFilter | None) -> People2D:
    frames = _dataset_frames(value, path, wanted)
    rows: list[PersonRow] = []
    annotations = field(value, "annotations", list, path, "")
    for index, entry in enumerate(annotations):
        place = f"annotations[{index}]"
        table = expect(entry, dict, path, place)
        image = table.get("image_id")
        if not isinstance(image, (int, str)) or image not in frames:
            if wanted is None:
                raise FileFormatError(f"{place}.image_id: {describe(image)} is not among the images", where=path)
            continue
        if "keypoints" in table:
            points = _triples(table, path, place)
            points[:, 2] = _visibility_as_confidence(points[:, 2])
            rows.append(_row(table, frames[image], points, path, place))
    names, edges = _category_names(value, path)
    covered = (min(frames.values()), max(frames.values())) if frames else (None, -1)
    width = _one_width(rows, path) or len(names)
    if names and len(names) != width:
        raise FileFormatError(f"categories name {len(names)} keypoints, annotations have {width}", where=path)
    return people_from_rows(rows, n_keypoints=width, names=names, edges=edges, covered=covered)


def _read_mmpose(value: Any, path: Path) -> People2D:
    prefix = "instance_info" if isinstance(value, dict) else ""
    frames = field(value, "instance_info", list, path, "") if isinstance(value, dict) else value
    rows: list[PersonRow] = []
    numbered: list[int] = []
    for index, entry in enumerate(frames):
        place = f"{prefix}[{index}]"
        table = expect(entry, dict, path, place)
        frame = field(table, "frame_id", int, path, place)
        numbered.append(frame)
        for person, instance in enumerate(field(table, "instances", list, path, place)):
            rows.append(_mmpose_row(instance, frame, path, f"{place}.instances[{person}]"))
    if len(set(numbered)) != len(numbered):
        raise FileFormatError(f"a frame_id stands in {prefix or 'the list'} twice", where=path)
    names, edges = _meta_names(value) if isinstance(value, dict) else ((), ())
    width = _one_width(rows, path) or len(names)
    if names and len(names) != width:
        names, edges = (), ()
    covered = (min(numbered), max(numbered)) if numbered else (None, -1)
    return people_from_rows(rows, n_keypoints=width, names=names, edges=edges, covered=covered)


def _mmpose_row(instance: object, frame: int, path: Path, place: str) -> PersonRow:
    table = expect(instance, dict, path, place)
    pairs = field(table, "keypoints", list, path, place)
    xy = np.stack([_pair(pair, path, f"{place}.keypoints[{i}]") for i, pair in enumerate(pairs)] or [np.zeros(2)])
    scores = numbers(table.get("keypoint_scores"), path, f"{place}.keypoint_scores")
    if len(scores) != len(pairs) or not pairs:
        raise FileFormatError(f"{place}: {len(pairs)} keypoints but {len(scores)} keypoint_scores", where=path)
    box = table.get("bbox")
    while isinstance(box, list) and len(box) == 1:  # MMPose wraps the box once or twice
        box = box[0]
    edges = None if box is None else _box(box, path, f"{place}.bbox")
    return PersonRow(frame, xy, scores, edges, _score(table, "bbox_score"), _track(table))


def _pair(value: object, path: Path, place: str) -> Float[np.ndarray, "2"]:
    pair = numbers(value, path, place)
    if len(pair) != 2:
        raise FileFormatError(f"{place}: {len(pair)} numbers, expected x and y (3D results cannot be used)", where=path)
    return pair


def _triples(table: dict[str, Any], path: Path, place: str) -> Float[np.ndarray, "K 3"]:
    flat = numbers(field(table, "keypoints", list, path, place), path, f"{place}.keypoints")
    if len(flat) % 3 or not len(flat):
        raise FileFormatError(f"{place}.keypoints: {len(flat)} numbers are not triples x y score", where=path)
    return flat.reshape(-1, 3)


def _row(table: dict[str, Any], frame: int, points: Float[np.ndarray, "K 3"], path: Path, place: str) -> PersonRow:
    key = "bbox" if "bbox" in table else "box"
    corner_size = None if table.get(key) is None else _box(table[key], path, f"{place}.{key}")
    box = None
    if corner_size is not None:  # COCO's box: its left and top edge, width and height, where pixel (0, 0) spans 0 to 1
        x, y, w, h = corner_size
        box = np.array([x, y, x + w, y + h]) - 0.5
    return PersonRow(frame, points[:, :2], points[:, 2], box, _score(table, "score"), _track(table))


def _box(value: object, path: Path, place: str) -> Float[np.ndarray, "4"]:
    box = numbers(value, path, place)
    if len(box) != 4:
        raise FileFormatError(f"{place}: {len(box)} numbers, expected 4", where=path)
    return box


def _score(table: dict[str, Any], key: str) -> float | None:
    score = table.get(key)
    return float(score) if isinstance(score, (int, float)) and not isinstance(score, bool) else None


def _track(table: dict[str, Any]) -> int:
    """`track_id`, or AlphaPose's `idx`."""
    track = table.get("track_id", table.get("idx"))
    return track if type(track) is int and 0 <= track < MAX_FRAME else -1


def _visibility_as_confidence(values: Float[np.ndarray, "K"]) -> Float[np.ndarray, "K"]:
    """v of 0, 1 or 2 as a confidence; other values are scores already."""
    if not np.isin(values, (0.0, 1.0, 2.0)).all():
        return values
    return np.where(values == 1, HIDDEN_CONFIDENCE, values / 2)


def _frame_of(image: object, path: Path, place: str) -> int:
    """An image_id that is a number, or the last number in an image's name."""
    if type(image) is int and 0 <= image < MAX_FRAME:
        return image
    if isinstance(image, str):
        digits = re.findall(r"\d+", Path(image.replace("\\", "/")).stem)
        if digits and len(digits[-1]) < 10:
            return int(digits[-1])
    raise FileFormatError(f"{place}: no frame number in {describe(image)}", where=path)


def _dataset_frames(value: dict[str, Any], path: Path, wanted: ImageFilter | None) -> dict[int | str, int]:
    frames: dict[int | str, int] = {}
    for index, entry in enumerate(field(value, "images", list, path, "")):
        place = f"images[{index}]"
        table = expect(entry, dict, path, place)
        identity, name = table.get("id"), table.get("file_name")
        if not isinstance(identity, (int, str)):
            raise FileFormatError(f"{place}.id: expected a number, found {describe(identity)}", where=path)
        if wanted is None or (isinstance(name, str) and wanted(name)):
            frames[identity] = _frame_of(name if isinstance(name, str) else identity, path, f"{place}.file_name")
    if len(set(frames.values())) != len(frames):
        raise FileFormatError(
            "two images have the same frame number",
            where=path,
            remedy="A file of several cameras needs each camera's name in its images' file_name (cam01/000012.png).",
        )
    return frames


def _category_names(value: dict[str, Any], path: Path) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Names and edges of the first category that has keypoints; COCO counts its skeleton from 1."""
    categories = value.get("categories")
    for index, category in enumerate(categories if isinstance(categories, list) else []):
        if isinstance(category, dict) and isinstance(category.get("keypoints"), list):
            place = f"categories[{index}].keypoints"
            names = tuple(expect(n, str, path, f"{place}[{i}]") for i, n in enumerate(category["keypoints"]))
            return names, _edges(category.get("skeleton"), names, first=1)
    return (), ()


def _meta_names(value: dict[str, Any]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """MMPose's dataset_meta, when it came along: keypoint_id2name {"0": name}, skeleton_links [[0, 1]]."""
    meta = value.get("meta_info")
    table = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(meta, dict) or not isinstance(table, dict):
        return (), ()
    names = tuple(table.get(str(i)) for i in range(len(table)))
    if not all(isinstance(name, str) for name in names):
        return (), ()
    texts = tuple(str(name) for name in names)
    return texts, _edges(meta.get("skeleton_links"), texts, first=0)


def _edges(value: object, names: tuple[str, ...], *, first: int) -> tuple[tuple[str, str], ...]:
    edges = []
    for pair in value if isinstance(value, list) else []:
        if isinstance(pair, list) and len(pair) == 2 and all(type(i) is int for i in pair):
            a, b = pair[0] - first, pair[1] - first
            if 0 <= a < len(names) and 0 <= b < len(names):
                edges.append((names[a], names[b]))
    return tuple(edges)


def _one_width(rows: list[PersonRow], path: Path) -> int:
    widths = {len(row.xy) for row in rows}
    if len(widths) > 1:
        raise FileFormatError(f"people with {' and '.join(map(str, sorted(widths)))} keypoints in one file", where=path)
    return widths.pop() if widths else 0
