"""Which part of a recording's path names the camera, and which the take."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mocap.core.errors import InputError
from mocap.io.session_files import natural_order

NUMBERED = (
    r"cam(?:era)?|view|port|gopro|hero|phone|iphone|ipad|pixel|galaxy|device|webcam|kinect|zed|oak|angle|miqus|stream"
)
CAMERA_WORD = re.compile(rf"(?i)(?<![a-z])((?:{NUMBERED})[ _-]?\d+[a-z]?)(?![a-z0-9])")
"""What people call cameras that they number."""

SIDES = frozenset(
    ("left", "right", "front", "back", "rear", "side", "top", "middle", "centre", "center", *"lrabcdefgh")
)
"""What they call those that they do not number."""

MEANINGLESS = frozenset(("video", "videos", "clips", "footage", "recordings", "raw", "media"))
"""Folders that name no take."""

JOINTS = re.compile(r"[ _.\-]+")


@dataclass(frozen=True)
class Named:
    """A recording with the camera and the take that its path names; take is empty where nothing is left for it."""

    path: Path
    camera: str
    take: str


Split = Callable[[PurePosixPath], tuple[str, str] | None]
"""A relative path without suffix -> camera, take."""


def named_by_pattern(root: Path, paths: Sequence[Path], pattern: str) -> list[Named]:
    """Those that a pattern fits, such as `{take}_{camera}` (of the file's name) or `{camera}/{take}` (of its path
    below the root); `*` stands for anything."""
    if "{camera}" not in pattern:
        raise InputError("the pattern does not say where the camera is", where=pattern, remedy="Write {take}_{camera}.")
    text = re.escape(pattern).replace(r"\*", "[^/]*?")
    for key in ("camera", "take"):
        text = text.replace(rf"\{{{key}\}}", rf"(?P<{key}>[^/]+?)", 1)
    found = []
    for path in paths:
        relative = _relative(root, path)
        match = re.fullmatch(text, str(relative) if "/" in pattern else relative.name)
        if match:
            found.append(Named(path, match["camera"], match.groupdict().get("take") or ""))
    return found


def named_by_themselves(root: Path, paths: Sequence[Path]) -> list[Named]:
    """All of them, read in the one way in which every take has every camera.

    Words such as cam1 and GoPro2 go first; then whatever part of the paths makes a full table of takes and cameras.
    Raises where there is no such part, or two.
    """
    relatives = [_relative(root, path) for path in paths]
    by_word = [_by_word(relative) for relative in relatives]
    if by_word and all(by_word):
        return [Named(p, *found) for p, found in zip(paths, by_word, strict=True) if found is not None]
    readings = [reading for reading in (_read(relatives, split) for split in _splits(relatives)) if reading]
    known = [reading for reading in readings if all(camera.casefold() in SIDES for camera, _ in reading)]
    chosen = known or readings
    distinct = {tuple(sorted(reading)): reading for reading in chosen}
    if len(distinct) == 1 or (distinct and len({take for _, take in chosen[0]}) == 1):
        return [Named(p, *found) for p, found in zip(paths, chosen[0], strict=True)]
    flat = all(len(relative.parts) == 1 for relative in relatives)
    whole = _read(relatives, _name_split) if flat else None
    if not distinct and whole:
        return [Named(p, *found) for p, found in zip(paths, whole, strict=True)]
    raise _unclear(relatives, list(distinct.values()))


def _relative(root: Path, path: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(root).with_suffix("").as_posix())


def _by_word(relative: PurePosixPath) -> tuple[str, str] | None:
    """By a word that names a camera, as near to the file as there is one."""
    parts = list(relative.parts)
    for position in reversed(range(len(parts))):
        match = CAMERA_WORD.search(parts[position])
        if match:
            rest = parts[position][: match.start()] + parts[position][match.end() :]
            parts[position] = rest.strip(" _.-")
            return match[1], _take_of(parts)
    return None


def _take_of(parts: Sequence[str]) -> str:
    return "_".join(part for part in parts if part and part.casefold() not in MEANINGLESS)


def _splits(relatives: Sequence[PurePosixPath]) -> list[Split]:
    """Every part that may name the camera: tokens of the name, counted from both ends, then folders."""
    tokens = max((len(_tokens(relative)) for relative in relatives), default=0)
    depth = max((len(relative.parts) - 1 for relative in relatives), default=0)
    splits = [_token_split(index) for index in (*range(tokens), *range(-tokens, 0))] if tokens > 1 else []
    return [*splits, *(_folder_split(level) for level in range(depth)), *([_name_split] if depth else [])]


def _tokens(relative: PurePosixPath) -> list[str]:
    return [token for token in JOINTS.split(relative.name) if token]


def _token_split(index: int) -> Split:
    def split(relative: PurePosixPath) -> tuple[str, str] | None:
        tokens = _tokens(relative)
        if not -len(tokens) <= index < len(tokens) or len(tokens) < 2:
            return None
        rest = [token for i, token in enumerate(tokens) if i != index % len(tokens)]
        return tokens[index], _take_of((*relative.parts[:-1], *rest))

    return split


def _folder_split(level: int) -> Split:
    def split(relative: PurePosixPath) -> tuple[str, str] | None:
        if level >= len(relative.parts) - 1:
            return None
        rest = [part for i, part in enumerate(relative.parts) if i != level]
        return relative.parts[level], _take_of(rest)

    return split


def _name_split(relative: PurePosixPath) -> tuple[str, str] | None:
    return relative.name, _take_of(relative.parts[:-1])


def _read(relatives: Sequence[PurePosixPath], split: Split) -> list[tuple[str, str]] | None:
    """Camera and take of each, if every take then has every camera, once."""
    found = [pair for relative in relatives for pair in [split(relative)] if pair is not None]
    cameras, takes = {camera for camera, _ in found}, {take for _, take in found}
    whole = len(found) == len(relatives) == len(set(found)) == len(cameras) * len(takes)
    return found if whole and len(cameras) > 1 else None


def _unclear(relatives: Sequence[PurePosixPath], readings: Sequence[list[tuple[str, str]]]) -> InputError:
    named = ", ".join(str(relative) for relative in list(relatives)[:4])
    if not readings:
        return InputError(
            f"no part of the names tells the camera in every take ({named}, …)",
            remedy="Say where it is: --pattern '{take}_{camera}', or '{camera}/{take}' for folders.",
        )
    told = " or ".join(", ".join(sorted({c for c, _ in reading}, key=natural_order)[:3]) for reading in readings[:2])
    return InputError(
        f"the cameras may be {told} ({named}, …)",
        remedy="Say which: --pattern '{take}_{camera}' or --pattern '{camera}_{take}'.",
    )
