"""From what a user names on the command line to takes with their calibration and their folders."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from mocap.core.errors import CalibrationError, InputError
from mocap.core.session import Session, Take
from mocap.io.session_files import (
    is_session,
    is_take,
    open_session,
    open_take,
    open_take_of,
    open_takes,
    take_from_videos,
    take_names,
)
from mocap.pipeline import TakeFolders, TakeJob

T = TypeVar("T")
Refused = Callable[[str, InputError], None]


def find_jobs(paths: Sequence[str], *, rig: Path | None = None, output: Path | None = None) -> list[TakeJob]:
    """The takes that `paths` name: sessions, takes, folders of videos, or CAMERA=VIDEO pairs (together one take).

    `output` takes the place of the takes' own folders: results of one take go right below it, of several into a
    folder each, called after the take, and after its session where takes of two sessions are called the same.
    """
    loose, places = _split(paths)
    takes = [take for place in places for take in _takes_of(Path(place), output)]
    if loose:
        takes.append(_loose_take(loose, output))
    takes = _each_once(takes, _identity)
    folders = [output] * len(takes) if output is None or len(takes) == 1 else _folders_of(takes, output)
    return [_job(take, rig, folder) for take, folder in zip(takes, folders, strict=True)]


def find_batch_jobs(paths: Iterable[Path], *, rig: Path | None = None, refused: Refused) -> list[TakeJob]:
    """Every take of sessions, takes and folders of them. What cannot be used goes to `refused`, the rest goes on."""
    jobs: list[TakeJob] = []
    for path in paths:
        for place in _sessions_and_takes(path):
            try:
                names = take_names(open_session(place)) if is_session(place) else (None,)
            except InputError as error:
                refused(str(place), error)
                continue
            for name in names:
                try:
                    take = open_take(place) if name is None else open_take_of(open_session(place), name)
                    jobs.append(_job(take, rig, None))
                except InputError as error:
                    refused(str(place if name is None else place / "takes" / name), error)
    return _each_once(jobs, lambda job: job.folders.derived.resolve())


def _split(paths: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    loose: dict[str, Path] = {}
    places: list[str] = []
    for path in paths:
        camera, separator, video = path.partition("=")
        if not separator or Path(path).exists():
            places.append(path)
        elif camera in loose:
            raise InputError(f"camera {camera!r} is given twice", where=path, remedy="Give every camera one video.")
        else:
            loose[camera] = Path(video)
    return loose, places


def _takes_of(place: Path, output: Path | None) -> tuple[Take, ...]:
    if is_take(place):
        return (open_take(place),)
    if is_session(place) or place.name == "session.toml":
        return open_takes(open_session(place))
    if place.is_dir() and place.name not in ("video", "detections") and place.parent.name != "takes":
        return (take_from_videos(place, root=output or place),)
    return (open_take(place),)


def _loose_take(videos: dict[str, Path], output: Path | None) -> Take:
    if output is None:
        raise InputError("loose videos need a folder for the results", remedy="Add -o FOLDER.")
    return take_from_videos(videos, root=output)


def _each_once(found: Sequence[T], identity: Callable[[T], Hashable]) -> list[T]:
    """Without those that were named before in another way: two runs at once would write the same files."""
    kept: dict[Hashable, T] = {}
    for item in found:
        kept.setdefault(identity(item), item)
    return list(kept.values())


def _identity(take: Take) -> Hashable:
    """The files it is made of. A link is a file of its own: two takes may share a recording."""
    files = take.videos.values() if take.videos else [take.detections or take.root]
    return tuple((path.parent.resolve(), path.name) for path in files)


def _folders_of(takes: Sequence[Take], output: Path) -> list[Path]:
    names = [take.name for take in takes]
    if len({name.casefold() for name in names}) == len(names):
        return [output / name for name in names]
    sessions = ["" if take.session_root is None else take.session_root.resolve().name for take in takes]
    folders = [output / session / name for session, name in zip(sessions, names, strict=True)]
    if len({str(folder).casefold() for folder in folders}) < len(folders):
        raise InputError(
            "several of these takes would write into one folder",
            where=output,
            remedy="Process them one by one, each with an -o of its own, or without -o.",
        )
    return folders


def _job(take: Take, rig: Path | None, output: Path | None) -> TakeJob:
    root = output or take.root
    return TakeJob(take, rig or _rig_of(take), TakeFolders(root / "derived", root / "export"))


def _rig_of(take: Take) -> Path:
    session: Session | None = open_session(take.session_root) if take.session_root is not None else None
    if session is None or session.rig_path is None:
        where = take.root if session is None else session.root
        raise CalibrationError(
            "there is no calibration for this take",
            where=where,
            remedy="Put it at calibration/rig.toml in the session, or name a calibration file with --rig.",
        )
    return session.rig_path


def _sessions_and_takes(path: Path) -> list[Path]:
    """The path itself, or the sessions and takes right below it."""
    if is_session(path) or is_take(path) or not path.is_dir():
        return [path]
    below = [p for p in sorted(path.iterdir()) if p.is_dir() and (is_session(p) or is_take(p))]
    return below or [path]
