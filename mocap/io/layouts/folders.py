"""Walking through foreign folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mocap.io.session_files import VIDEO_SUFFIXES, natural_order
from mocap.io.session_state import IMAGE_SUFFIXES

DEPTH = 5
"""Folders below the given one that are looked through."""


def entries(folder: Path) -> list[Path]:
    """What a folder holds, in natural order, without hidden things."""
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda p: natural_order(p.name))


def videos_in(folder: Path) -> list[Path]:
    """Video files right in a folder."""
    return [p for p in entries(folder) if p.is_file() and p.suffix.lower() in VIDEO_SUFFIXES]


def folders_below(folder: Path, depth: int = DEPTH) -> Iterator[Path]:
    """The folder and those in it, parents first."""
    yield folder
    if depth:
        for path in entries(folder):
            if path.is_dir() and not path.is_symlink():
                yield from folders_below(path, depth - 1)


def holds_images(folder: Path) -> bool:
    """Whether there are pictures right in it."""
    return any(p.suffix.lower() in IMAGE_SUFFIXES for p in entries(folder))
