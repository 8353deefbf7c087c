"""Where pictures of a board come from: a video, a folder of images or a list of them, one picture at a time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from mocap.core.errors import InputError, VideoError
from mocap.io.video import VideoReader, probe_video

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
QUARTER_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}

Source = Path | str | Sequence[Path]
"""A video file, a folder of images, or images."""

Picture = tuple[int, UInt8[np.ndarray, "H W"]]
"""Index in the clip, and grey values."""


@runtime_checkable
class Pictures(Protocol):
    """One camera's pictures. size: (width, height) px, upright. n: how many there should be. moment: (n,) pictures of
    several cameras with the same number belong together when nothing is known of times. time_s: (n,) since the
    first; None where pictures carry no times. fps: 0 where unknown."""

    size: tuple[int, int]
    n: int
    moment: Int[np.ndarray, "T"]
    time_s: Float[np.ndarray, "T"] | None
    fps: float
    sentences: list[str]

    def each(self, every: int) -> Iterator[Picture]:
        """Every so manieth picture, from the first; bad ones are left out, and `sentences` says so afterwards."""
        ...


class VideoPictures:
    """Pictures of a video file."""

    def __init__(self, path: Path, rotation: int = 0) -> None:
        self._info = probe_video(path, rotation)
        self.size = self._info.size
        self.n = self._info.n_readable
        self.moment = np.arange(self.n)
        self.time_s: Float[np.ndarray, "T"] | None = np.asarray(self._info.times_s, dtype=np.float64)
        self.fps = float(self._info.fps)
        self.sentences: list[str] = []

    def each(self, every: int) -> Iterator[Picture]:
        reader = VideoReader(self._info.path, info=self._info)
        frames = reader.frames()
        try:
            for frame in frames:
                if frame.index % every == 0:
                    yield frame.index, cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        finally:
            frames.close()
        if not reader.report.complete:
            self.sentences.append(reader.report.sentence)


class ImagePictures:
    """Image files of one size; those of another size, or that cannot be read, are left out."""

    def __init__(self, paths: Sequence[Path], rotation: int = 0) -> None:
        self._paths = list(paths)
        self._rotation = rotation % 360
        self.size = self._usual_size()
        self.n = len(self._paths)
        self.moment = picture_numbers(self._paths)
        self.time_s: Float[np.ndarray, "T"] | None = None
        self.fps = 0.0
        self.sentences: list[str] = []

    def each(self, every: int) -> Iterator[Picture]:
        for index in range(0, self.n, every):
            gray = self._read(self._paths[index])
            if gray is None:
                self.sentences.append(f"{self._paths[index]}: cannot be read as an image and was left out")
            elif gray.shape[::-1] != self.size:
                size, usual = "x".join(map(str, gray.shape[::-1])), "x".join(map(str, self.size))
                self.sentences.append(f"{self._paths[index]}: is {size} px, the others are {usual}; it was left out")
            else:
                yield index, gray

    def _read(self, path: Path) -> np.ndarray | None:
        coded = np.fromfile(path, dtype=np.uint8)
        gray = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE) if len(coded) else None
        if gray is not None and self._rotation:
            gray = cv2.rotate(gray, QUARTER_TURNS[self._rotation])
        return gray

    def _usual_size(self) -> tuple[int, int]:
        sizes = Counter(gray.shape[::-1] for path in self._paths[:9] if (gray := self._read(path)) is not None)
        if not sizes:
            raise InputError("none of these images can be read", where=self._paths[0].parent)
        return sizes.most_common(1)[0][0]


def open_pictures(source: Source, rotation: int = 0) -> Pictures:
    """The pictures of a video file, of a folder of images, or of image files."""
    if not isinstance(source, str | Path):
        paths = [Path(path) for path in source]
        if not paths:
            raise InputError("there are no images in the list")
        return ImagePictures(paths, rotation)
    path = Path(source)
    if path.is_dir():
        images = sorted((p for p in path.iterdir() if p.suffix.lower() in IMAGES), key=lambda p: natural(p.name))
        if not images:
            raise InputError(
                "there are no images in this folder",
                where=path,
                remedy=f"Give a video file, or a folder of images ({', '.join(IMAGES)}).",
            )
        return ImagePictures(images, rotation)
    if path.suffix.lower() in IMAGES:
        return ImagePictures([path], rotation)
    if not path.exists():
        raise VideoError("no such file", where=path)
    return VideoPictures(path, rotation)


def picture_numbers(paths: Sequence[Path]) -> Int[np.ndarray, "T"]:
    """The number that counts images in their names (5 of cam02_05_int.jpg, where 02 is in all names), ascending and
    unique; places in the list where names have no such number."""
    digits = [[int(d) for d in re.findall(r"\d+", path.stem)] for path in paths]
    places = np.arange(len(paths))
    if len(paths) < 2 or len({len(row) for row in digits}) != 1:
        return places
    table = np.array(digits, dtype=np.int64).reshape(len(paths), -1)
    counting = [column for column in table.T if len(set(column.tolist())) == len(column)]
    return counting[0] if len(counting) == 1 else places


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sorts img_2 before img_10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
