"""What a session holds and how far its takes are, found by looking at files without opening videos."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mocap.core.errors import InputError
from mocap.core.session import Session, Take
from mocap.io.session_files import VIDEO_SUFFIXES, is_session, natural_order, open_session, open_take_of

CLIP_KINDS = ("intrinsics", "extrinsics", "floor")
CLIP_FOLDERS = {
    "intrinsics": ("intrinsics", "intrinsic"),
    "extrinsics": ("extrinsics", "extrinsic"),
    "floor": ("floor",),
}
"""Other programs call the folders so."""

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"))

MARKER = ".recording"
"""Lies in the folder of a recording while it runs; one that is still there was cut off."""

Sync = Literal["one clock", "synced", "stamps only", "by frames"]


@dataclass(frozen=True, eq=False)
class CalibrationState:
    """clips: kind -> camera -> file or folder of images. rig: the calibration, None before there is one."""

    clips: Mapping[str, Mapping[str, Path]]
    rig: Path | None
    board: bool

    @property
    def extrinsics(self) -> Mapping[str, Path]:
        """The clips that place the cameras."""
        return self.clips.get("extrinsics", {})


@dataclass(frozen=True, eq=False)
class TakeState:
    """One take. take: None where it cannot be opened, for the reason in `problem`. sync: how its cameras are put on one
    clock. report: of a run of the pipeline. exported: the kinds of files in export/. remarks: of take.toml, by people
    and by the recorder."""

    name: str
    root: Path
    take: Take | None
    problem: str
    sync: Sync
    report: Path | None
    exported: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def cameras(self) -> tuple[str, ...]:
        """Those that recorded it."""
        return () if self.take is None else self.take.cameras

    @property
    def state(self) -> str:
        """How far it is, in a word."""
        if self.take is None:
            return "unusable"
        if self.report is not None:
            return "exported" if self.exported else "processed"
        return "synced" if self.sync == "synced" else "recorded"


@dataclass(frozen=True, eq=False)
class SessionState:
    """A session, its calibration and its takes. unfinished: folders of recordings that were cut off."""

    session: Session
    calibration: CalibrationState
    takes: tuple[TakeState, ...]
    unfinished: tuple[Path, ...] = field(default=())


def look_at_session(root: str | Path) -> SessionState:
    """What a session holds. Raises only where it is no session or its session.toml cannot be read."""
    session = open_session(root)
    folder = session.root / "calibration"
    clips = {kind: clips_of(folder, kind) for kind in CLIP_KINDS}
    return SessionState(
        session=session,
        calibration=CalibrationState(
            {kind: found for kind, found in clips.items() if found},
            session.rig_path,
            bool(session.board) or (session.root / "charuco.toml").is_file(),
        ),
        takes=tuple(_take_state(session, name) for name in session.takes),
        unfinished=tuple(sorted(path.parent for path in session.root.rglob(MARKER))),
    )


def sessions_in(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The sessions that paths are, lie in, or hold one or two folders further down."""
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise InputError("there is no such folder", where=path, remedy="Give sessions, or folders that hold them.")
        for place in _sessions_at(path):
            found.setdefault(place.resolve(), place)
    return tuple(found.values())


def clips_of(folder: Path, kind: str) -> dict[str, Path]:
    """Calibration clips of a kind by camera: videos, or folders of images."""
    place = next((folder / name for name in CLIP_FOLDERS[kind] if (folder / name).is_dir()), None)
    if place is None:
        return {}
    entries = sorted((p for p in place.iterdir() if not p.name.startswith(".")), key=lambda p: natural_order(p.name))
    videos = {p.stem: p for p in entries if p.is_file() and p.suffix.lower() in VIDEO_SUFFIXES}
    return videos | {p.name: p for p in entries if p.is_dir() and images_in(p)}


def images_in(folder: Path) -> list[Path]:
    """The pictures of a folder, in natural order."""
    return sorted(
        (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=lambda p: natural_order(p.name)
    )


def _sessions_at(path: Path) -> list[Path]:
    if is_session(path):
        return [path]
    if path.parent.name == "takes" and is_session(path.parent.parent):
        return [path.parent.parent]
    below = [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    further = [q for p in below if not is_session(p) for q in sorted(p.iterdir()) if q.is_dir()]
    return [p for p in (*below, *further) if is_session(p)]


def _take_state(session: Session, name: str) -> TakeState:
    root = session.take_root(name)
    try:
        take, problem = open_take_of(session, name), ""
    except InputError as error:
        take, problem = None, str(error)
    report = root / "export" / f"{name}_report.json"
    return TakeState(
        name=name,
        root=root,
        take=take,
        problem=problem,
        sync=_sync(root),
        report=report if report.is_file() else None,
        exported=_exported(root / "export"),
        remarks=tuple(line for line in str(_take_table(root).get("notes", "")).splitlines() if line.strip()),
    )


def _sync(root: Path) -> Sync:
    if (root / "sync.toml").is_file():
        return "synced"
    if not (root / "timestamps.csv").is_file():
        return "by frames"
    return "one clock" if _take_table(root).get("clocks") == "shared" else "stamps only"


def _take_table(root: Path) -> Mapping[str, Any]:
    try:
        table = tomllib.loads((root / "take.toml").read_text(encoding="utf-8")).get("take", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    return table if isinstance(table, dict) else {}


def _exported(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return ()
    kinds = {path.suffix[1:].lower() for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    return tuple(sorted(kinds - {"json", "html", "csv", "part", ""}))
