"""Sessions and takes on disk: finding, checking and writing `session.toml` and `take.toml`.

A session is a folder with `takes/<take>/video/<camera>.mp4` (any container) and, where there is more to say, a
`session.toml`. A take may hold 2D results of another program in `detections/` instead: a file or folder per camera.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tomlkit
from pydantic import Field
from tomlkit import TOMLDocument
from tomlkit.items import AoT, Table

from mocap.core.clock import Clock
from mocap.core.config import Config, load_config
from mocap.core.errors import ConfigError, InputError, VideoError
from mocap.core.session import Session, SessionCamera, Take, check_name
from mocap.io.sync_file import SYNC_FILE, CameraSync, TakeSync, read_sync

CAMERA_FILES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mts", ".m2ts", ".ts", ".mpg", ".mpeg", ".wmv")
PHONE_AND_WEB = (".3gp", ".flv", ".ogv", ".mjpeg", ".mjpg")
VIDEO_SUFFIXES = frozenset(CAMERA_FILES + PHONE_AND_WEB)
DETECTION_SUFFIXES = frozenset((".json", ".h5", ".hdf5", ".hdf"))
MINIMUM_CAMERAS = 2

LAYOUT = "takes/<take>/video/<camera>.mp4"


class CameraEntry(Config):
    """`[[camera]]` of session.toml."""

    name: str = ""
    source: str | None = None
    rotation: int = 0
    size: tuple[int, int] | None = None
    fps: float | None = None
    exposure: float | str | None = None
    gain: float | str | None = None
    focus: float | str | None = None
    codec: str | None = None


class SessionFile(Config):
    """session.toml. `rig` is the calibration file, relative to the session (default calibration/rig.toml)."""

    camera: tuple[CameraEntry, ...] = ()
    rig: str | None = None
    board: dict[str, Any] = Field(default_factory=dict)
    fps: float | None = None
    notes: str = ""


class TakeEntry(Config):
    """`[take]` of take.toml. `fps` goes before what the videos say. clocks = "shared": timestamps.csv is on one clock
    for all cameras, as our recorder writes it; else each camera's stamps are its own clock's."""

    fps: float | None = None
    notes: str = ""
    clocks: Literal["own", "shared"] = "own"


class TakeFile(Config):
    """take.toml."""

    take: TakeEntry = TakeEntry()


def is_take(folder: Path) -> bool:
    """Whether a folder has the shape of a take."""
    return (folder / "video").is_dir() or (folder / "detections").is_dir()


def is_session(folder: Path) -> bool:
    """Whether a folder has the shape of a session."""
    return (folder / "session.toml").is_file() or (folder / "takes").is_dir()


def open_session(root: str | Path) -> Session:
    """The session in a folder, with or without a session.toml (or of that file)."""
    root = Path(root)
    if root.name == "session.toml":
        root = root.parent
    _check_folder(root, "session")
    if not is_session(root):
        raise InputError(
            "is not a session", where=root, remedy=f"A session holds {LAYOUT}, and optionally a session.toml."
        )
    path = root / "session.toml"
    file = load_config(SessionFile, path) if path.is_file() else SessionFile()
    takes = tuple(f.name for f in _visible(root / "takes") if f.is_dir()) if (root / "takes").is_dir() else ()
    try:
        cameras = tuple(SessionCamera(**c.model_dump()) for c in file.camera)
        return Session(
            root=root,
            cameras=cameras or tuple(SessionCamera(name) for name in _cameras_seen(root, takes)),
            takes=takes,
            rig_path=_rig_path(root, file),
            board=file.board,
            notes=file.notes,
            fps=file.fps,
        )
    except InputError as error:
        what = f"{error.where}: {error.what}" if error.where else error.what
        raise ConfigError(what, where=path, remedy=error.remedy) from None


def open_take(path: str | Path) -> Take:
    """The take in a folder (or of its `video` folder); what its session says about cameras is taken over."""
    root = Path(path)
    if root.name in ("video", "detections") and root.is_dir() and not is_take(root):
        root = root.parent
    session_root = _absolute(root).parent.parent if _absolute(root).parent.name == "takes" else None
    if not root.is_dir() and session_root is not None and is_session(session_root):
        raise _missing_take(open_session(session_root), root.name)
    _check_folder(root, "take")
    session = open_session(session_root) if session_root is not None else None
    return _take_of_folder(root, session)


def open_takes(session: Session) -> tuple[Take, ...]:
    """Every take of a session; the first that cannot be used raises."""
    return tuple(_take_of_folder(session.take_root(name), session) for name in take_names(session))


def take_names(session: Session) -> tuple[str, ...]:
    """The takes of a session that has some."""
    if not session.takes:
        raise InputError("the session has no takes", where=session.root, remedy=f"Put videos at {LAYOUT}.")
    return session.takes


def open_take_of(session: Session, name: str) -> Take:
    """One take of a session by name."""
    if name not in session.takes:
        raise _missing_take(session, name)
    return _take_of_folder(session.take_root(name), session)


def take_from_videos(
    videos: Mapping[str, Path] | Path,
    *,
    root: Path,
    name: str | None = None,
    rotations: Mapping[str, int] | None = None,
    fps: float | None = None,
) -> Take:
    """A take of loose videos, by camera or as a folder of `<camera>.mp4`; results go below `root`."""
    if isinstance(videos, Mapping):
        found = {camera: Path(path) for camera, path in videos.items()}
        default_name = _absolute(root).name
    else:
        _check_folder(videos, "folder of videos")
        found = _videos_in(videos)
        folder = _absolute(videos)
        default_name = folder.parent.name if folder.name in ("video", "videos") else folder.name
    for camera in found:
        check_name("camera", camera)
    where = "the given videos" if isinstance(videos, Mapping) else videos
    _check_enough(found, where, "videos")
    known = {camera: turn for camera, turn in (rotations or {}).items() if camera in found}
    for camera, turn in known.items():
        SessionCamera(camera, rotation=turn)
    return Take(name=name or default_name or "take", root=root, videos=found, rotations=known, fps=fps)


def write_session(session: Session) -> Path:
    """Write session.toml; what people wrote there beside our keys (comments, order) stays."""
    path = session.root / "session.toml"
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.is_file() else tomlkit.document()
    if session.notes:
        document["notes"] = session.notes
    if session.fps is not None:
        document["fps"] = session.fps
    if session.rig_path is not None and session.rig_path != session.root / "calibration" / "rig.toml":
        document["rig"] = Path(os.path.relpath(session.rig_path, session.root)).as_posix()
    _write_cameras(document, session.cameras)
    if session.board:
        document["board"] = dict(session.board)
    session.root.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(tomlkit.dumps(document), encoding="utf-8", newline="\n")
    temporary.replace(path)
    return path


def natural_order(name: str) -> list[tuple[int, int | str]]:
    """Sort key that puts cam2 before cam10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name.casefold()) if part]


def _write_cameras(document: TOMLDocument, cameras: Sequence[SessionCamera]) -> None:
    """Tables that are there already are changed where they stand, so that what people wrote between them stays."""
    there = document.get("camera")
    kept = list(there) if isinstance(there, AoT) else []
    if [table.get("name") for table in kept] != [camera.name for camera in cameras][: len(kept)]:
        kept = []
    for table, camera in zip(kept, cameras, strict=False):
        _fill_camera(table, camera)
    if kept and isinstance(there, AoT):
        for camera in cameras[len(kept) :]:
            there.append(_fill_camera(tomlkit.table(), camera))
    elif cameras:
        tables = tomlkit.aot()
        for camera in cameras:
            tables.append(_fill_camera(tomlkit.table(), camera))
        document["camera"] = tables


def _fill_camera(table: Table, camera: SessionCamera) -> Table:
    device = {key: getattr(camera, key) for key in ("size", "fps", "exposure", "gain", "focus", "codec")}
    wanted = {"name": camera.name, "source": camera.source, "rotation": camera.rotation or None, **device}
    for key, value in wanted.items():
        plain = list(value) if isinstance(value, tuple) else value
        if plain is None:
            table.pop(key, None)
        elif table.get(key) != plain:
            table[key] = plain
    return table


def _take_of_folder(root: Path, session: Session | None) -> Take:
    if not is_take(root):
        raise InputError("is not a take", where=root, remedy="A take holds video/<camera>.mp4 for each camera.")
    file = load_config(TakeFile, root / "take.toml") if (root / "take.toml").is_file() else TakeFile()
    listed = session.cameras if session is not None and (session.root / "session.toml").is_file() else ()
    detections = root / "detections" if (root / "detections").is_dir() else None
    videos = _take_videos(root, listed) if (root / "video").is_dir() else {}
    detected = _detected_cameras(root / "detections", listed) if not videos and detections is not None else ()
    if not detected:
        _check_enough(videos, root / "video", "videos")
    cameras = tuple(videos) or detected
    sync = _sync_of(root, file.take, cameras)
    return Take(
        name=_absolute(root).name,
        root=root,
        videos=videos,
        detections=detections,
        detected_cameras=detected,
        rotations={camera.name: camera.rotation for camera in listed if camera.rotation and camera.name in videos},
        fps=file.take.fps or (session.fps if session is not None and not videos else None),
        clocks={name: found.clock for name, found in sync.cameras.items() if name in cameras},
        faults={name: found.faults for name, found in sync.cameras.items() if name in cameras},
        synced_by=sync.method,
        timestamps=root / "timestamps.csv" if (root / "timestamps.csv").is_file() else None,
        session_root=None if session is None else session.root,
        notes=_notes(root, cameras, listed, sync),
    )


def has_recorder_clock(take: Take) -> bool:
    """Whether take.toml says that timestamps.csv is on one clock for all cameras."""
    path = take.root / "take.toml"
    file = load_config(TakeFile, path) if path.is_file() else TakeFile()
    return file.take.clocks == "shared" and take.timestamps is not None


def _sync_of(root: Path, entry: TakeEntry, cameras: tuple[str, ...]) -> TakeSync:
    """What sync.toml says; without it, the recorder's own clock; else nothing."""
    if (root / SYNC_FILE).is_file():
        return read_sync(root / SYNC_FILE)
    if entry.clocks == "shared" and (root / "timestamps.csv").is_file():
        return TakeSync(cameras[0], "the recorder's clock", {name: CameraSync(Clock()) for name in cameras})
    return TakeSync(cameras[0], "", {})


def _take_videos(root: Path, listed: Iterable[SessionCamera]) -> dict[str, Path]:
    """In the order of session.toml, which must know every camera of the take if it lists any."""
    found = _videos_in(root / "video")
    names = [camera.name for camera in listed]
    unknown = [name for name in found if name not in names] if names else []
    if unknown:
        raise InputError(
            f"session.toml does not list camera {', '.join(unknown)}; it lists {', '.join(names)}",
            where=root,
            remedy="Rename the video to its camera, or add a [[camera]] to session.toml.",
        )
    return {name: found[name] for name in names if name in found} if names else found


def _detected_cameras(folder: Path, listed: Iterable[SessionCamera]) -> tuple[str, ...]:
    """Those of session.toml, else one per entry of the folder."""
    names = tuple(camera.name for camera in listed)
    if names and _detection_names(folder):
        return names
    found = {name: folder / name for name in _detection_names(folder)}
    _check_enough(found, folder, "2D results")
    return tuple(found)


def _notes(root: Path, cameras: tuple[str, ...], listed: Iterable[SessionCamera], sync: TakeSync) -> tuple[str, ...]:
    notes = [
        f"camera {camera.name} of session.toml has nothing in this take"
        for camera in listed
        if camera.name not in cameras
    ]
    unknown = [name for name in cameras if name not in sync.cameras] if sync.cameras else []
    if unknown:
        notes.append(f"{SYNC_FILE} has no clock for {', '.join(unknown)}: not used; mocap sync finds one")
    if not sync.cameras and (root / "timestamps.csv").is_file():
        notes.append("the cameras are not on one clock, and taken frame by frame: mocap sync puts them on one")
    return tuple(notes)


def _videos_in(folder: Path) -> dict[str, Path]:
    return _by_camera(folder, _video_pairs(folder))


def _video_pairs(folder: Path) -> list[tuple[str, Path]]:
    """A link to nowhere counts, so that it is told and not passed over."""
    return [(f.stem, f) for f in _visible(folder) if not f.is_dir() and f.suffix.lower() in VIDEO_SUFFIXES]


def _detection_names(folder: Path) -> list[str]:
    entries = [f for f in _visible(folder) if f.is_dir() or f.suffix.lower() in DETECTION_SUFFIXES]
    return [f.name.removesuffix("_json") if f.is_dir() else f.stem for f in entries]


def _by_camera(folder: Path, found: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    cameras: dict[str, Path] = {}
    for name, path in found:
        twin = next((other for other in cameras if other.casefold() == name.casefold()), None)
        if twin is not None:
            raise InputError(
                f"{cameras[twin].name} and {path.name} would both be camera {name!r}",
                where=folder,
                remedy="Keep one of them, or rename it.",
            )
        cameras[name] = path
    return cameras


def _visible(folder: Path) -> list[Path]:
    """Entries in natural order without hidden ones, such as the ._cam1.mp4 that macOS leaves on foreign disks."""
    return sorted((f for f in folder.iterdir() if not f.name.startswith(".")), key=lambda f: natural_order(f.name))


def _absolute(path: Path) -> Path:
    """Without `..`, and without following links: a take's name is what the user calls it."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _check_folder(path: Path, what: str) -> None:
    if path.is_dir():
        return
    fact = "is a file" if path.exists() else "there is no such folder"
    raise InputError(fact, where=path, remedy=f"Give the folder of the {what}.")


def _check_enough(found: Mapping[str, Path], where: Path | str, what: str) -> None:
    if len(found) >= MINIMUM_CAMERAS:
        return
    fact = f"only camera {next(iter(found))} is here" if found else f"there are no {what} here{_seen_in(Path(where))}"
    raise VideoError(
        fact, where=where, remedy=f"Depth needs at least {MINIMUM_CAMERAS} cameras: one file per camera, <camera>.mp4."
    )


def _seen_in(folder: Path) -> str:
    names = [f.name for f in _visible(folder)] if folder.is_dir() else []
    return f" (found: {', '.join(names[:4])}{', …' if len(names) > 4 else ''})" if names else ""


def _cameras_seen(root: Path, takes: Iterable[str]) -> tuple[str, ...]:
    """Without a session.toml the cameras are those that the takes have."""
    names: dict[str, str] = {}
    for take in takes:
        video, detections = root / "takes" / take / "video", root / "takes" / take / "detections"
        found = [name for name, _ in _video_pairs(video)] if video.is_dir() else []
        found += _detection_names(detections) if not found and detections.is_dir() else []
        names |= {name.casefold(): name for name in found}
    return tuple(sorted(names.values(), key=natural_order))


def _rig_path(root: Path, file: SessionFile) -> Path | None:
    path = root / (file.rig or Path("calibration") / "rig.toml")
    if file.rig is not None and not path.is_file():
        raise InputError(f"the rig {file.rig!r} does not exist", remedy="Give a path relative to the session.")
    return path if path.is_file() else None


def _missing_take(session: Session, name: str) -> InputError:
    there = f"there are {', '.join(session.takes)}" if session.takes else "it has none"
    return InputError(f"the session has no take {name!r}; {there}", where=session.root, remedy="Check the name.")
