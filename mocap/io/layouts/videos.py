"""A folder of videos, called in any sensible way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mocap.core.errors import InputError
from mocap.io.layouts.folders import folders_below, videos_in
from mocap.io.layouts.naming import MEANINGLESS, Named, named_by_pattern, named_by_themselves
from mocap.io.session_files import natural_order
from mocap.io.session_plan import ImportPlan, PlannedFile, clean_name

LAYOUT = "videos"
KIND_WORDS = {
    "intrinsics": ("intrinsic",),
    "floor": ("floor", "ground"),
    "extrinsics": ("extrinsic", "calib", "charuco", "board", "chess"),
}
"""In a take's name they make it a calibration clip."""


def plan_videos(root: Path, pattern: str | None = None, renames: Mapping[str, str] | None = None) -> ImportPlan:
    """Every video below a folder, grouped into takes."""
    paths = [path for folder in folders_below(root) for path in videos_in(folder)]
    if not paths:
        raise InputError("there are no videos here", where=root, remedy="Give the folder that holds the recordings.")
    notes: tuple[str, ...] = ()
    if pattern is not None:
        found = named_by_pattern(root, paths, pattern)
        if not found:
            raise InputError(f"no video fits the pattern {pattern!r}", where=root, remedy=f"There is {paths[0].name}.")
    else:
        found, notes = _without_pattern(root, paths)
    return plan_of(
        root, [_renamed(it, renames or {}) for it in found], notes, sorted({*paths} - {it.path for it in found})
    )


def plan_of(root: Path, found: Sequence[Named], notes: tuple[str, ...], left: Sequence[Path]) -> ImportPlan:
    """From named recordings to their places."""
    targets: dict[str, Path] = {}
    skipped = list(left)
    for it in found:
        target = _target(root, it)
        if target.rpartition(".")[0] in {t.rpartition(".")[0] for t in targets}:
            skipped.append(it.path)
            notes += (f"{it.path.name} is left out: there is another recording of {it.camera} for its place",)
        else:
            targets[target] = it.path
    cameras = tuple(sorted({clean_name(it.camera) for it in found}, key=natural_order))
    files = tuple(PlannedFile(path, target) for target, path in targets.items())
    return ImportPlan(LAYOUT, root, cameras, files, notes=notes, left=tuple(skipped))


def calibration_kind(name: str) -> str | None:
    """The kind of clip that a take's name says it is; None for a take."""
    text = name.casefold()
    return next((kind for kind, words in KIND_WORDS.items() if any(word in text for word in words)), None)


def _target(root: Path, it: Named) -> str:
    kind, camera = calibration_kind(it.take), clean_name(it.camera)
    if kind is not None:
        return f"calibration/{kind}/{camera}{it.path.suffix}"
    return f"takes/{clean_name(it.take or _own_name(root))}/video/{camera}{it.path.suffix}"


def _own_name(root: Path) -> str:
    place = root.resolve()
    return place.parent.name if place.name.casefold() in MEANINGLESS else place.name


def _renamed(it: Named, renames: Mapping[str, str]) -> Named:
    return Named(it.path, renames.get(it.camera, it.camera), it.take)


def _without_pattern(root: Path, paths: Sequence[Path]) -> tuple[list[Named], tuple[str, ...]]:
    try:
        found = named_by_themselves(root, paths)
        if _is_a_table(found):
            return found, ()
    except InputError:
        if _by_folders(root, paths) is None:
            raise
        found = []
    by_folders = _by_folders(root, paths)
    return (found, ()) if by_folders is None else by_folders


def _is_a_table(found: Sequence[Named]) -> bool:
    """Whether a take has two cameras: numbers that cameras give to their files make every file a take of its own."""
    takes = [it.take for it in found]
    return any(takes.count(take) > 1 for take in takes)


def _by_folders(root: Path, paths: Sequence[Path]) -> tuple[list[Named], tuple[str, ...]] | None:
    """One folder a camera, files called as the camera called them: they belong together in order."""
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    counts = {len(files) for files in folders.values()}
    if len(folders) < 2 or len(counts) != 1 or root in folders:
        return None
    (count,) = counts
    found = [
        Named(path, folder.name, f"take_{number + 1:02d}" if count > 1 else "")
        for folder, files in folders.items()
        for number, path in enumerate(sorted(files, key=lambda p: natural_order(p.name)))
    ]
    note = f"the {count} files of each camera are taken to belong together in their order"
    return found, (note,) if count > 1 else ()
