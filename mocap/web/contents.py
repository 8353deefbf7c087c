"""What a session holds by now, for the page: clips, the calibration's verdict, takes and what came of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocap.core.config import load_config
from mocap.core.errors import InputError
from mocap.io.session_files import VIDEO_SUFFIXES, TakeFile, natural_order
from mocap.io.video_probe import probe_video

CLIP_KINDS = ("intrinsics", "extrinsics", "floor")
SHOWN_NOTES = 12

Signature = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class VideoFacts:
    """Of one recorded video, as its container tells. fault: why it cannot be read."""

    frames: int = 0
    seconds: float = 0.0
    size: tuple[int, int] | None = None
    fault: str = ""


class SessionContents:
    """Reads what lies in a session, and reads again only what has changed. May be used by any thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._videos: dict[Path, tuple[Signature, VideoFacts]] = {}

    def clips(self) -> dict[str, list[str]]:
        """Cameras that have a calibration clip, by kind."""
        folder = self.root / "calibration"
        return {kind: [path.stem for path in videos_of(folder / kind)] for kind in CLIP_KINDS}

    def calibration(self) -> dict[str, Any] | None:
        """Verdict, headline and sentences of the latest calibration; None before the first."""
        folder = self.root / "calibration"
        if not (folder / "rig.toml").is_file():
            return None
        told = _json(folder / "report.json")
        page = folder / "report.html"
        return {
            "verdict": str(told.get("verdict", "")),
            "headline": str(told.get("headline", "there is a rig.toml, without a report")),
            "notes": [str(note) for note in told.get("sentences", [])][:SHOWN_NOTES],
            "report": "calibration/report.html" if page.is_file() else None,
            "made_s": (folder / "rig.toml").stat().st_mtime,
        }

    def take_names(self) -> list[str]:
        """In natural order."""
        folder = self.root / "takes"
        found = [path for path in _entries(folder) if (path / "video").is_dir()]
        return [path.name for path in found]

    def takes(self, *, being_written: str | None = None) -> list[dict[str, Any]]:
        """Every take with its length, its state and its results; the one that is being recorded is not looked into."""
        return [self._take(name, written=name == being_written) for name in self.take_names()]

    def videos(self, take: str) -> list[Path]:
        """The videos of a take; none for a name that is no take of the session."""
        return videos_of(self.root / "takes" / take / "video") if take in self.take_names() else []

    def _take(self, name: str, *, written: bool) -> dict[str, Any]:
        root = self.root / "takes" / name
        videos = videos_of(root / "video")
        facts = [] if written else [self._facts(path) for path in videos]
        report = _json(root / "export" / f"{name}_report.json")
        files = [str(file) for file in report.get("files", [])]
        return {
            "name": name,
            "cameras": [path.stem for path in videos],
            "seconds": max((fact.seconds for fact in facts), default=0.0),
            "frames": [fact.frames for fact in facts],
            "faults": [f"{path.name}: {fact.fault}" for path, fact in zip(videos, facts, strict=False) if fact.fault],
            "videos": [path.relative_to(self.root).as_posix() for path in videos],
            "made_s": max((path.stat().st_mtime for path in videos), default=0.0),
            "being_written": written,
            "figures": report.get("figures", {}),
            "marks": _marks(root / "take.toml"),
            "notes": [str(note) for note in report.get("notes", [])][:SHOWN_NOTES],
            "files": [f"takes/{name}/export/{file}" for file in files if (root / "export" / file).is_file()],
        }

    def _facts(self, path: Path) -> VideoFacts:
        """Probing lists every packet: once for each state of a file."""
        try:
            stat = path.stat()
        except OSError:
            return VideoFacts(fault="cannot be read")
        signature = ((path.name, stat.st_size, stat.st_mtime_ns),)
        with self._lock:
            known = self._videos.get(path)
        if known is not None and known[0] == signature:
            return known[1]
        facts = _probed(path)
        with self._lock:
            self._videos[path] = (signature, facts)
        return facts


def videos_of(folder: Path) -> list[Path]:
    """Videos of a folder, one a camera, in natural order."""
    return [path for path in _entries(folder) if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES]


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(found, key=lambda path: natural_order(path.name))


def _probed(path: Path) -> VideoFacts:
    try:
        info = probe_video(path)
    except (InputError, OSError) as error:
        return VideoFacts(fault=error.what if isinstance(error, InputError) else str(error))
    return VideoFacts(info.n_readable, info.n_readable / info.fps if info.fps else 0.0, info.size)


def _marks(path: Path) -> list[str]:
    """What was noted when the take was recorded."""
    if not path.is_file():
        return []
    try:
        notes = load_config(TakeFile, path).take.notes
    except InputError as error:
        return [error.what]
    return [line.strip() for line in notes.splitlines() if line.strip()][:SHOWN_NOTES]


def _json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
