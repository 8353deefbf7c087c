"""The calibration clips of a session on disk: which there are, of which board, on which clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calibration.board_file import Board, board_from_table, read_board
from mocap.core.config import load_config
from mocap.core.errors import ConfigError, InputError
from mocap.core.session import check_name, check_unique
from mocap.io.session_files import VIDEO_SUFFIXES, SessionFile, natural_order

KINDS = ("intrinsics", "extrinsics", "floor")
OTHER_NAMES = {"intrinsics": ("intrinsic",), "extrinsics": ("extrinsic",), "floor": ()}
"""How other programs call the folders."""
IMAGES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"))
LAYOUT = "calibration/extrinsics/<camera>.mp4 (or a folder of images for each camera)"


@dataclass(frozen=True, eq=False)
class ClipSet:
    """Clips of one kind, by camera. timestamps: when their pictures were taken, where a file says so."""

    sources: Mapping[str, Path]
    timestamps: Path | None = None

    @property
    def folder(self) -> Path:
        """Where the clips are."""
        return next(iter(self.sources.values())).parent


@dataclass(frozen=True, eq=False)
class CalibrationClips:
    """What there is to calibrate a session from.

    cameras: all that appear in any clip, in the order of session.toml. clips: by kind; kinds without a clip are absent.
    rotations: degrees clockwise by which a camera's pictures are turned, on top of what files say.
    """

    root: Path
    board: Board
    cameras: tuple[str, ...]
    clips: Mapping[str, ClipSet]
    rotations: Mapping[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return self.root / "calibration"


def find_clips(root: str | Path, board: Path | None = None) -> CalibrationClips:
    """The calibration clips of a session's folder. `board` goes before the session's own `[board]`."""
    root = Path(root)
    if root.name in ("calibration", "session.toml"):
        root = root.parent
    if not root.is_dir():
        raise InputError("there is no such folder", where=root, remedy="Give the folder of a session.")
    path = root / "session.toml"
    file = load_config(SessionFile, path) if path.is_file() else SessionFile()
    clips = {kind: found for kind in KINDS for found in [_clips_of(root / "calibration", kind)] if found is not None}
    if not clips:
        raise InputError(
            "there are no calibration clips", where=root / "calibration", remedy=f"Record the board into {LAYOUT}."
        )
    listed = [camera.name for camera in file.camera]
    seen = {name for found in clips.values() for name in found.sources}
    unknown = sorted(seen - set(listed), key=natural_order) if listed else []
    if unknown:
        raise ConfigError(
            f"does not list camera {', '.join(unknown)}, of which there are calibration clips; it lists "
            f"{', '.join(listed)}",
            where=path,
            remedy="Rename the clip to its camera, or add a [[camera]].",
        )
    cameras = tuple(name for name in listed if name in seen) or tuple(sorted(seen, key=natural_order))
    rotations = {camera.name: camera.rotation for camera in file.camera if camera.rotation}
    return CalibrationClips(root, _board(file, path, board), cameras, clips, rotations)


def _board(file: SessionFile, path: Path, given: Path | None) -> Board:
    if given is not None:
        return read_board(given)
    if file.board:
        return board_from_table(file.board, f"{path}: [board]")
    other = path.parent / "charuco.toml"
    if other.is_file():
        return read_board(other)
    raise InputError(
        "does not say which board was recorded",
        where=path,
        remedy="Give it with --board FILE (`mocap board` writes one beside the print), or add a [board] table: "
        'type = "charuco", squares = [columns, rows], square_mm = …, marker_mm = …, dictionary = "DICT_…".',
    )


def _clips_of(folder: Path, kind: str) -> ClipSet | None:
    there = [folder / name for name in (kind, *OTHER_NAMES[kind]) if (folder / name).is_dir()]
    if not there:
        return None
    place = there[0]
    entries = sorted((p for p in place.iterdir() if not p.name.startswith(".")), key=lambda p: natural_order(p.name))
    sources = [(p.stem, p) for p in entries if p.is_file() and p.suffix.lower() in VIDEO_SUFFIXES]
    sources += [(p.name, p) for p in entries if p.is_dir() and any(q.suffix.lower() in IMAGES for q in p.iterdir())]
    if not sources:
        return None
    for name, _ in sources:
        check_name("camera", name)
    try:
        check_unique("camera", [name for name, _ in sources])
    except InputError as error:
        raise InputError(error.what, where=place, remedy="Keep one clip of each camera.") from None
    times = place / "timestamps.csv"
    return ClipSet(dict(sources), times if times.is_file() else None)
