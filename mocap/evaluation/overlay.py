"""True and found skeletons drawn over the views of one frame, each view cut to the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from calibration.camera import Rig
from mocap.core.errors import VideoError
from mocap.core.session import Take
from mocap.core.truth import TakeTruth
from mocap.evaluation.evaluate_points import BadFrame, MatchedPoints
from mocap.io.video import VideoReader

TILE = (360, 480)
"""Width and height of one view, px."""

MOST_VIEWS = 6
MARGIN = 0.18
"""Of the person's size, kept around it on every side."""

SMALLEST_PX = 120
"""Nobody is enlarged beyond a cut of this height."""

BAR_PX = 46
TRUE, FOUND, DETECTED = (90, 220, 120), (255, 70, 200), (255, 210, 70)
"""RGB."""
NO_PICTURE, GROUND, INK = (46, 48, 54), (24, 24, 24), (235, 235, 235)
FONT = cv2.FONT_HERSHEY_SIMPLEX

Image = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True, eq=False)
class Cut:
    """A part of a picture, shown at TILE: tile = (px - low) * scale."""

    low: Float[np.ndarray, "2"]
    scale: float

    def place(self, xy: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
        """Pixels of the picture in the tile."""
        return (xy - self.low) * self.scale


@dataclass(frozen=True, eq=False)
class Overlay:
    """What is drawn in a view: pixels of the true, the found and the detected points of one person, by name."""

    names: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    true: Float[np.ndarray, "J 2"]
    found: Float[np.ndarray, "J 2"]
    detected: Float[np.ndarray, "J 2"]
    marked: str


def frame_overlays(
    matched: MatchedPoints, truth: TakeTruth, rig: Rig, bad: BadFrame, detected: dict[str, np.ndarray]
) -> dict[str, Overlay]:
    """By camera that has a picture of that frame. detected: (F, Q, J, 2) by camera, for the names of `matched`."""
    person, frame = matched.people.index(bad.person), bad.frame
    columns = truth.columns(matched.names)
    overlays = {}
    for camera in rig:
        view = truth.view(camera.name)
        if frame >= view.n_frames:
            continue
        if (columns >= 0).all():
            true = view.xy[frame, person, columns]
        else:
            true = truth.rig[camera.name].project(matched.true[frame, person])
        seen = detected.get(camera.name)
        nothing = np.full(true.shape, np.nan)
        overlays[camera.name] = Overlay(
            names=matched.names,
            edges=matched.edges,
            true=true,
            found=camera.project(matched.found[frame, person]),
            detected=nothing if seen is None or frame >= len(seen) else seen[frame, person],
            marked=bad.worst,
        )
    return overlays


def draw_sheet(overlays: dict[str, Overlay], pictures: dict[str, Image], title: str) -> Image:
    """All views side by side under a title; views without a picture have a plain ground."""
    shown = list(overlays)[:MOST_VIEWS]
    tiles = [draw_view(overlays[name], pictures.get(name), name) for name in shown]
    per_row = min(len(tiles), 3) if len(tiles) != 4 else 4
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % per_row)
    rows = [np.hstack(tiles[i : i + per_row]) for i in range(0, len(tiles), per_row)]
    body = np.vstack(rows)
    return np.vstack([_title_bar(title, body.shape[1]), body])


def draw_view(overlay: Overlay, picture: Image | None, camera: str) -> Image:
    """One view, cut to the person."""
    cut = cut_of(np.concatenate([overlay.true, overlay.found]))
    tile = np.full((TILE[1], TILE[0], 3), NO_PICTURE, dtype=np.uint8)
    if picture is not None:
        shift = np.array([[cut.scale, 0, -cut.low[0] * cut.scale], [0, cut.scale, -cut.low[1] * cut.scale]])
        how = cv2.INTER_AREA if cut.scale < 1 else cv2.INTER_LINEAR
        tile = cv2.warpAffine(picture, shift, TILE, flags=how, borderValue=NO_PICTURE)
        tile = (tile * 0.8).astype(np.uint8)
    _skeleton(tile, cut.place(overlay.true), overlay, TRUE, 4)
    _skeleton(tile, cut.place(overlay.found), overlay, FOUND, 2)
    for point in _whole(cut.place(overlay.detected)):
        cv2.drawMarker(tile, point, DETECTED, cv2.MARKER_CROSS, 7, 1, cv2.LINE_AA)
    worst = overlay.names.index(overlay.marked)
    for point in _whole(cut.place(overlay.found[worst : worst + 1])):
        cv2.circle(tile, point, 11, INK, 1, cv2.LINE_AA)
    error = np.linalg.norm(overlay.found - overlay.true, axis=-1)
    known = error[np.isfinite(error)]
    label = f"{camera}  {known.mean():.1f} px" if known.size else f"{camera}  not in front of it"
    _text(tile, label, (8, 20))
    cv2.rectangle(tile, (0, 0), (TILE[0] - 1, TILE[1] - 1), (0, 0, 0), 1)
    return tile


def cut_of(points: Float[np.ndarray, "N 2"]) -> Cut:
    """The smallest part of TILE's shape that has all points and a margin."""
    known = points[np.isfinite(points).all(-1)]
    if not len(known):
        return Cut(np.zeros(2), 1.0)
    low, high = known.min(0), known.max(0)
    width, height = (high - low) * (1 + 2 * MARGIN)
    scale = min(TILE[0] / max(width, 1.0), TILE[1] / max(height, SMALLEST_PX))
    return Cut((low + high) / 2 - np.array(TILE) / scale / 2, float(scale))


def read_pictures(take: Take, frames: Mapping[str, int]) -> dict[str, Image]:
    """One frame of each camera that has a video with it."""
    pictures = {}
    for camera, frame in frames.items():
        if camera in take.videos:
            picture = _read(take.videos[camera], take.rotations.get(camera, 0), frame)
            if picture is not None:
                pictures[camera] = picture
    return pictures


def _read(path: Path, rotation: int, frame: int) -> Image | None:
    try:
        with VideoReader(path, rotation=rotation) as reader:
            return reader.read(frame).image
    except VideoError:  # a hole in the video leaves a plain ground
        return None


def _skeleton(
    tile: Image, xy: Float[np.ndarray, "J 2"], overlay: Overlay, color: tuple[int, int, int], width: int
) -> None:
    column = {name: j for j, name in enumerate(overlay.names)}
    for a, b in overlay.edges:
        ends = _whole(xy[[column[a], column[b]]])
        if len(ends) == 2:
            cv2.line(tile, ends[0], ends[1], color, width, cv2.LINE_AA)
    for point in _whole(xy):
        cv2.circle(tile, point, min(width, 3), color, -1, cv2.LINE_AA)


def _whole(xy: Float[np.ndarray, "N 2"]) -> list[tuple[int, int]]:
    """Known points that OpenCV can draw."""
    known = xy[np.isfinite(xy).all(-1) & (np.abs(np.nan_to_num(xy)) < 1e4).all(-1)]
    return [(round(float(x)), round(float(y))) for x, y in known]


def _title_bar(title: str, width: int) -> Image:
    bar = np.full((BAR_PX, width, 3), GROUND, dtype=np.uint8)
    _text(bar, title, (10, 19))
    left = 10
    for what, color in (("true", TRUE), ("found", FOUND), ("detected", DETECTED)):
        cv2.line(bar, (left, 35), (left + 22, 35), color, 3, cv2.LINE_AA)
        _text(bar, what, (left + 28, 40), 0.45)
        left += 48 + 9 * len(what)
    return bar


def _text(image: Image, text: str, at: tuple[int, int], size: float = 0.5) -> None:
    """On a dark ground. ASCII only: OpenCV's fonts have nothing else."""
    plain = text.encode("ascii", "replace").decode()
    (width, height), below = cv2.getTextSize(plain, FONT, size, 1)
    x, y = at
    cv2.rectangle(image, (x - 4, y - height - 4), (x + width + 4, y + below), GROUND, -1)
    cv2.putText(image, plain, at, FONT, size, INK, 1, cv2.LINE_AA)
