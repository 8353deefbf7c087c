"""Recordings of elsewhere into a session: recognise the layout, say what will be done, do it. Nothing is moved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from calibration.rig_file import RigMetadata, rig_text
from mocap.core.errors import InputError
from mocap.core.session import Session, SessionCamera, check_unique
from mocap.io.artefacts import atomic_path, write_text_atomic
from mocap.io.layouts import caliscope, freemocap, opencap, pose2sim, videos
from mocap.io.session_files import open_session, write_session
from mocap.io.session_plan import ImportPlan, PlannedFile

How = Literal["copy", "link", "hardlink"]
Progress = Callable[[int, int], None]

LAYOUTS: Mapping[str, Callable[[Path], ImportPlan | None]] = {
    "opencap": opencap.plan,
    "freemocap": freemocap.plan,
    "caliscope": caliscope.plan,
    "pose2sim": pose2sim.plan,
}
"""In the order in which a folder is tried; each says None for a folder that is not of its kind."""

RESERVE_BYTES = 2**30


@dataclass(frozen=True)
class Imported:
    """What was done: files that were made, those that were there already, and what a user should know."""

    made: tuple[str, ...]
    kept: tuple[str, ...]
    notes: tuple[str, ...]


def plan_import(
    source: str | Path,
    layout: str = "auto",
    *,
    pattern: str | None = None,
    renames: Mapping[str, str] | None = None,
) -> ImportPlan:
    """What an import of a folder would do. `pattern` and `renames` (camera -> name) are for folders of videos."""
    root = Path(source)
    if not root.is_dir():
        raise InputError("there is no such folder", where=root, remedy="Give the folder that holds the recordings.")
    if layout not in ("auto", videos.LAYOUT, *LAYOUTS):
        raise InputError(
            f"there is no layout {layout!r}", where="--layout", remedy=f"Known: auto, videos, {', '.join(LAYOUTS)}."
        )
    if layout == videos.LAYOUT or pattern is not None:
        return videos.plan_videos(root, pattern, renames)
    for name, plan in LAYOUTS.items():
        if layout in ("auto", name):
            found = plan(root)
            if found is not None:
                return found
    if layout != "auto":
        raise InputError(f"is not laid out as {layout} does it", where=root, remedy="Try --layout videos.")
    return videos.plan_videos(root, None, renames)


def carry_out(plan: ImportPlan, root: str | Path, how: How = "copy", progress: Progress | None = None) -> Imported:
    """Do what a plan says, below `root`, which may be a session already. Nothing that is there is replaced: equal
    files are kept, others refuse the whole import before anything is made. Run again, it goes on where it stopped."""
    root = Path(root)
    wanted = [it for it in plan.files if not _is_there(it, root / it.target)]
    _refuse_others(wanted, plan, root)
    if how == "copy":
        _check_space(wanted, root)
    _check_cameras(plan, root)
    for number, it in enumerate(wanted):
        _place(it.source, root / it.target, how)
        if progress is not None:
            progress(number + 1, len(wanted))
    made = [it.target for it in wanted]
    for target, text in plan.texts.items():
        if not (root / target).exists():
            write_text_atomic(root / target, text)
            made.append(target)
    rig, notes = _write_rig(plan, root)
    _write_session(plan, root)
    kept = tuple(it.target for it in plan.files if it not in wanted)
    return Imported((*made, *rig, "session.toml"), kept, (*plan.notes, *notes))


def _is_there(it: PlannedFile, target: Path) -> bool:
    """Whether the place holds this recording already."""
    if not target.exists():
        return False
    if target.samefile(it.source):
        return True
    pairs = list(_files(it.source, target))
    return all(b.is_file() and (a.stat().st_size == b.stat().st_size) and _same_date(a, b) for a, b in pairs)


def _same_date(a: Path, b: Path) -> bool:
    """Copies keep their date, to the two seconds of old disks."""
    return a.samefile(b) or abs(a.stat().st_mtime - b.stat().st_mtime) <= 2.0


def _files(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    if not source.is_dir():
        yield source, target
        return
    for path in sorted(source.rglob("*")):
        if path.is_file():
            yield path, target / path.relative_to(source)


def _refuse_others(wanted: list[PlannedFile], plan: ImportPlan, root: Path) -> None:
    other = [it.target for it in wanted if (root / it.target).exists() or (root / it.target).is_symlink()]
    other += [target for target, text in plan.texts.items() if _differs(root / target, text)]
    if other:
        more = f" and {len(other) - 1} more" if len(other) > 1 else ""
        raise InputError(
            f"there is another file at {other[0]}{more}",
            where=root,
            remedy="Import into a session of its own, or move that file away.",
        )
    inside = root.resolve().is_relative_to(plan.source.resolve())
    if (
        inside
        and root.resolve() != plan.source.resolve()
        and any(root.resolve() in f.source.resolve().parents for f in wanted)
    ):
        raise InputError("lies in the folder that is imported", where=root, remedy="Choose a place beside it.")


def _differs(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8", errors="replace") != text


def _check_space(wanted: list[PlannedFile], root: Path) -> None:
    need = sum(a.stat().st_size for it in wanted for a, _ in _files(it.source, root))
    place = next(p for p in (root.absolute(), *root.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    if need + RESERVE_BYTES > free and need:
        raise InputError(
            f"the copies need {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            where=root,
            remedy="Import with --link or --hardlink, or choose another disk.",
        )


def _place(source: Path, target: Path, how: How) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if how == "link":
        try:
            target.symlink_to(source.resolve(), target_is_directory=source.is_dir())
        except OSError as error:
            raise InputError(
                f"cannot be linked ({error.strerror})", where=target, remedy="Use --hardlink, or copy."
            ) from None
        return
    for a, b in _files(source, target):
        b.parent.mkdir(parents=True, exist_ok=True)
        if how == "hardlink":
            _hardlink(a, b)
        elif not b.exists():
            with atomic_path(b) as temporary:
                shutil.copy2(a, temporary)


def _hardlink(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        os.link(source.resolve(), target)
    except OSError as error:
        raise InputError(
            f"cannot be linked ({error.strerror})", where=target, remedy="Both must lie on one disk; else copy."
        ) from None


def _write_rig(plan: ImportPlan, root: Path) -> tuple[list[str], list[str]]:
    """rig.toml, or beside it where there is another."""
    if plan.rig is None:
        return [], []
    source = "" if plan.rig_source is None else plan.rig_source.name
    metadata = RigMetadata(world_frame=plan.world_frame, extra={"imported_from": f"{plan.layout} {source}".strip()})
    text, target = rig_text(plan.rig, metadata), "calibration/rig.toml"
    if _differs(root / target, text):
        other = f"calibration/rig.{plan.layout}.toml"
        write_text_atomic(root / other, text)
        return [other], [f"the session has a rig already: the imported one is {other}"]
    if (root / target).exists():
        return [], []
    write_text_atomic(root / target, text)
    if plan.rig_source is not None:  # a calibration is as old as its file
        date = plan.rig_source.stat().st_mtime
        os.utime(root / target, (date, date))
    return [target], []


def _check_cameras(plan: ImportPlan, root: Path) -> None:
    check_unique("camera", _all_cameras(plan, root))


def _all_cameras(plan: ImportPlan, root: Path) -> list[str]:
    known = open_session(root).camera_names if (root / "session.toml").is_file() else ()
    return list(dict.fromkeys((*known, *plan.cameras)))


def _write_session(plan: ImportPlan, root: Path) -> None:
    """session.toml with the new cameras behind those it lists; its own board stays."""
    root.mkdir(parents=True, exist_ok=True)
    if (root / "session.toml").is_file():
        session = open_session(root)
        new = [SessionCamera(name) for name in plan.cameras if name not in session.camera_names]
        if new or (plan.board and not session.board):
            write_session(
                replace(session, cameras=(*session.cameras, *new), board=dict(session.board) or dict(plan.board))
            )
        return
    (root / "takes").mkdir(exist_ok=True)
    cameras = tuple(SessionCamera(name) for name in plan.cameras)
    write_session(Session(root=root, cameras=cameras, board=dict(plan.board), notes=f"imported from {plan.layout}"))
