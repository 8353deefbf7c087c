"""What a session holds by now, for the page: clips, the calibration's verdict, takes and what came of them."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from mocap.core.config import load_config
from mocap.core.errors import InputError
from mocap.io.session_files import VIDEO_SUFFIXES, TakeFile, natural_order
from mocap.io.sync_file import SYNC_FILE, TakeSync, read_sync
from mocap.io.video_probe import probe_video
from mocap.web.session_paths import file_in_session

CLIP_KINDS = ("intrinsics", "extrinsics", "floor")
SHOWN_NOTES = 12
PLAYED = frozenset((".mp4", ".mkv"))
"""Containers that a browser may open, if it knows the codec."""
NOT_PLAYED = frozenset(("mjpeg", "hevc", "prores", "mpeg4", "rawvideo", "ffv1", "dvvideo", "mpeg2video"))
"""Codecs that no browser plays, or not everywhere: pictures of such videos are sent one by one."""

ContentT = TypeVar("ContentT")


@dataclass(frozen=True)
class VideoFacts:
    """Of one recorded video, as its container tells. fault: why it cannot be read. looked: False where nobody has."""

    frames: int = 0
    seconds: float = 0.0
    size: tuple[int, int] | None = None
    codec: str = ""
    fault: str = ""
    looked: bool = True


NOT_LOOKED = VideoFacts(looked=False)


class SessionContents:
    """Reads what lies in a session, and reads again only what has changed. May be used by any thread."""

    def __init__(self, root: Path, rotations: Mapping[str, int] | None = None) -> None:
        """rotations: degrees by camera, on top of what files say."""
        self.root, self.rotations = root, rotations or {}
        self._lock = threading.Lock()
        self._kept: dict[tuple[Path, str], tuple[tuple[int, int], Any]] = {}
        self._unknown: set[Path] = set()

    def clips(self) -> dict[str, list[str]]:
        """Cameras that have a calibration clip, by kind."""
        folder = self.root / "calibration"
        return {kind: [path.stem for path in videos_of(folder / kind)] for kind in CLIP_KINDS}

    def calibration(self) -> dict[str, Any] | None:
        """Verdict, headline and sentences of the latest calibration; None before the first."""
        folder = self.root / "calibration"
        if not (folder / "rig.toml").is_file():
            return None
        told = self._json(folder / "report.json")
        page = folder / "report.html"
        return {
            "verdict": str(told.get("verdict", "")),
            "headline": str(told.get("headline", "there is a rig.toml, without a report")),
            "notes": [str(note) for note in _list(told, "sentences")][:SHOWN_NOTES],
            "report": "calibration/report.html" if page.is_file() else None,
            "made_s": _changed_s(folder / "rig.toml"),
        }

    def take_names(self) -> list[str]:
        """In natural order."""
        folder = self.root / "takes"
        found = [path for path in _entries(folder) if (path / "video").is_dir()]
        return [path.name for path in found]

    def takes(self, *, being_written: str | None = None, look: bool = True) -> list[dict[str, Any]]:
        """Every take with its length, its state and its results; the one that is being recorded is not looked into.

        look: into videos that nobody has looked into yet, which takes a while each; else `look_into_one` does that.
        """
        return [self._take(name, written=name == being_written, look=look) for name in self.take_names()]

    def look_into_one(self) -> bool:
        """Look into a video of which `takes` knew nothing, the newest first; whether there was one."""
        with self._lock:
            waiting = sorted(self._unknown, key=_changed_s)
            if not waiting:
                return False
            self._unknown.discard(waiting[-1])
        self._read(waiting[-1], "facts", _probed, NOT_LOOKED)
        return True

    def videos(self, take: str) -> list[Path]:
        """The videos of a take; none for a name that is no take of the session."""
        return videos_of(self.root / "takes" / take / "video") if take in self.take_names() else []

    def _take(self, name: str, *, written: bool, look: bool) -> dict[str, Any]:
        root = self.root / "takes" / name
        videos = videos_of(root / "video")
        facts = [NOT_LOOKED if written else self._facts(path, look=look) for path in videos]
        path = root / "export" / f"{name}_report.json"
        report = self._json(path)
        files = [str(file) for file in _list(report, "files") if (root / "export" / str(file)).is_file()]
        newest = max(_changed_s(root / SYNC_FILE), _changed_s(self.root / "calibration" / "rig.toml"))
        return {
            "name": name,
            "cameras": [path.stem for path in videos],
            "seconds": max((fact.seconds for fact in facts), default=0.0),
            "looked": all(fact.looked for fact in facts),
            "frames": [fact.frames for fact in facts],
            "faults": [f"{path.name}: {fact.fault}" for path, fact in zip(videos, facts, strict=True) if fact.fault],
            "videos": [self._video(path, fact) for path, fact in zip(videos, facts, strict=True)],
            "made_s": max((_changed_s(path) for path in videos), default=0.0),
            "being_written": written,
            "clocks": {"state": "", "text": "", "report": None} if written else self._clocks(root),
            "figures": report.get("figures", {}),
            "marks": self._read(root / "take.toml", "marks", _marks, []),
            "notes": [str(note) for note in _list(report, "notes")][:SHOWN_NOTES],
            "files": [f"takes/{name}/export/{file}" for file in files],
            "stale": bool(files) and _changed_s(path) < newest,
        }

    def _video(self, path: Path, fact: VideoFacts) -> dict[str, Any]:
        """plays: whether a browser can be given the file itself. It turns no picture, and gets no file of elsewhere to
        which there is but a link."""
        asked = path.relative_to(self.root).as_posix()
        plain = path.suffix.lower() in PLAYED and fact.codec not in NOT_PLAYED and not self.rotations.get(path.stem, 0)
        plays = plain and file_in_session(self.root, asked) is not None
        return {"camera": path.stem, "path": asked, "plays": plays, "seconds": fact.seconds}

    def _clocks(self, root: Path) -> dict[str, Any]:
        """state: "shared" (the recorder's), "synced", "none" or "fault"; a sentence; the page with the curves."""
        sync: TakeSync | str | None = self._read(root / SYNC_FILE, "clocks", _clocks_of, None)
        if isinstance(sync, str):
            return {"state": "fault", "text": sync, "report": None}
        if sync is not None:
            page = root / "sync.html"
            shown = page.relative_to(self.root).as_posix() if page.is_file() else None
            return {"state": "synced", "text": _told(sync, root), "report": shown}
        if self._read(root / "take.toml", "shared", _says_shared, False) and (root / "timestamps.csv").is_file():
            return {"state": "shared", "text": "one clock: the recorder's", "report": None}
        return {"state": "none", "text": "not on one clock", "report": None}

    def _facts(self, path: Path, *, look: bool) -> VideoFacts:
        """Probing lists every packet: once for each state of a file."""
        if look:
            return self._read(path, "facts", _probed, VideoFacts(fault="cannot be read"))
        known = self._known(path, "facts")
        if known is None:
            with self._lock:
                self._unknown.add(path)
        return NOT_LOOKED if known is None else cast(VideoFacts, known)

    def _json(self, path: Path) -> Mapping[str, Any]:
        return self._read(path, "json", _json, {})

    def _read(self, path: Path, what: str, read: Callable[[Path], ContentT], missing: ContentT) -> ContentT:
        """What `read` makes of a file, made once for each state of it."""
        known = self._known(path, what)
        if known is not None:
            return known
        state = _state_of(path)
        if state is None:
            return missing
        content = read(path)
        with self._lock:
            self._kept[path, what] = (state, content)
        return content

    def _known(self, path: Path, what: str) -> Any:
        state = _state_of(path)
        with self._lock:
            kept = self._kept.get((path, what))
            if kept is not None and kept[0] != state:
                del self._kept[path, what]
                return None
        return None if kept is None else kept[1]


def videos_of(folder: Path) -> list[Path]:
    """Videos of a folder, one a camera, in natural order."""
    return [path for path in _entries(folder) if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES]


def _entries(folder: Path) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:  # not there, or set aside at this moment
        return []
    return sorted(found, key=lambda path: natural_order(path.name))


def _state_of(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _changed_s(path: Path) -> float:
    state = _state_of(path)
    return 0.0 if state is None else state[1] / 1e9


def _probed(path: Path) -> VideoFacts:
    try:
        info = probe_video(path)
    except (InputError, OSError) as error:
        return VideoFacts(fault=error.what if isinstance(error, InputError) else str(error))
    return VideoFacts(info.n_readable, info.n_readable / info.fps if info.fps else 0.0, info.size, info.codec)


def _marks(path: Path) -> list[str]:
    """What was noted when the take was recorded."""
    try:
        notes = load_config(TakeFile, path).take.notes
    except (InputError, OSError) as error:
        return [error.what if isinstance(error, InputError) else str(error)]
    return [line.strip() for line in notes.splitlines() if line.strip()][:SHOWN_NOTES]


def _says_shared(path: Path) -> bool:
    try:
        return load_config(TakeFile, path).take.clocks == "shared"
    except (InputError, OSError):
        return False


def _clocks_of(path: Path) -> TakeSync | str:
    """Or why they cannot be read."""
    try:
        return read_sync(path)
    except (InputError, OSError) as error:
        return f"{path.name}: {error.what if isinstance(error, InputError) else error}"


def _told(sync: TakeSync, root: Path) -> str:
    known = [it.sd_s for it in sync.cameras.values() if math.isfinite(it.sd_s)]
    sure = f", ± {1000 * max(known):.1f} ms" if known else ""
    without = [path.stem for path in videos_of(root / "video") if path.stem not in sync.cameras]
    return f"clocks by {sync.method or 'hand'}{sure}" + (f"; without {', '.join(without)}" if without else "")


def _json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)  # pages know no NaN
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    return value if isinstance(value, list) else []
