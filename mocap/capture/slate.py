"""Which take this is: the name of its folder, and the slate that people see and that stays in its notes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from mocap.core.errors import InputError
from mocap.core.session import check_name

PLACES = ("takes", "set_aside")
"""Folders of a session that hold takes: those that count, and those that were recorded again."""


@dataclass(frozen=True)
class Slate:
    """A take of a session. name: of what is done (walk); number: from 1, counted for each name."""

    session: str
    name: str
    number: int
    time: datetime

    @property
    def take(self) -> str:
        """Name of the take's folder: walk_02."""
        return take_folder(self.name, self.number)

    @property
    def sentence(self) -> str:
        """For notes: what, which, when (local time with its offset)."""
        return (
            f"{self.name}, take {self.number}, recorded {self.time.astimezone().isoformat(sep=' ', timespec='seconds')}"
        )

    def picture(self, size: tuple[int, int] = (1280, 720)) -> UInt8[np.ndarray, "H W 3"]:
        """For a screen that is held before the cameras; size: (width, height) px."""
        width, height = size
        image = np.full((height, width, 3), 255, dtype=np.uint8)
        image[: height // 6] = np.where((np.arange(width) // (width // 12 + 1)) % 2, 0, 255)[None, :, None]
        lines = ((self.session, 0.06), (self.name, 0.17), (f"take {self.number}", 0.17), (_clock(self.time), 0.06))
        top = height // 6
        for text, share in lines:
            top += round(height * (share + 0.05))
            _write(image, _ascii(text), top, round(height * share))
        return image


def take_folder(name: str, number: int) -> str:
    """Folder of a take; sorts by number up to 99."""
    return f"{name}_{number:02d}"


def next_number(session_root: Path, name: str) -> int:
    """One more than any take of that name has or had, those recorded again included."""
    there = [folder for place in PLACES for folder in _entries(session_root / place)]
    pattern = re.compile(re.escape(name.casefold()) + r"_(\d+)")
    found = [int(match[1]) for folder in there if (match := pattern.fullmatch(folder.name.casefold()))]
    return max(found, default=0) + 1


def make_slate(session_root: Path, name: str, number: int | None, time: datetime) -> Slate:
    """The slate of a take that is about to be recorded; a number that was used is refused."""
    check_name("take", name)
    if number is not None and number < 1:
        raise InputError(f"{number} is not the number of a take", remedy="Takes count from 1.")
    slate = Slate(session_root.resolve().name, name, number or next_number(session_root, name), time)
    if (session_root / "takes" / slate.take).exists():
        raise InputError(
            "there is such a take already",
            where=session_root / "takes" / slate.take,
            remedy=f"Leave the number out: the next free one is {next_number(session_root, name)}.",
        )
    return slate


def _entries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _clock(time: datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d  %H:%M:%S")


def _ascii(text: str) -> str:
    """OpenCV's letters are few."""
    return text.encode("ascii", "replace").decode()


def _write(image: UInt8[np.ndarray, "H W 3"], text: str, baseline: int, height: int) -> None:
    """In the middle, smaller where it would be wider than the picture."""
    font, weight = cv2.FONT_HERSHEY_DUPLEX, max(1, height // 20)
    (width_1, height_1), _ = cv2.getTextSize(text, font, 1.0, weight)
    scale = min(height / max(height_1, 1), 0.9 * image.shape[1] / max(width_1, 1))
    left = round((image.shape[1] - scale * width_1) / 2)
    cv2.putText(image, text, (left, baseline), font, scale, (0, 0, 0), weight, cv2.LINE_AA)
