"""A take's motion for Blender, with the cameras that filmed it and their videos."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.session import Take
from mocap.core.skin import SkinnedMesh
from mocap.io.blender_scene import BlenderScene, find_blender, save_blend, write_blender_script
from mocap.io.session_files import is_take
from mocap.io.take_times import take_times
from mocap.jobs import find_jobs
from mocap.pipeline import PipelineConfig, prepare

SUFFIXES = (".blend", ".py")


def take_of(motion: Path) -> Path | None:
    """The take whose solved motion a file is (`derived/…` in its folder); None for others."""
    folder = motion.resolve().parent
    return folder.parent if folder.name == "derived" and is_take(folder.parent) else None


def hand_to_blender(
    motions: Sequence[Motion],
    path: Path,
    *,
    take: Path | None = None,
    skins: Sequence[SkinnedMesh | None] = (),
    name: str = "",
) -> tuple[Path, ...]:
    """Write a .blend through the user's Blender, or a .py (and its .npz) to run there. Returns the files.

    take: whose cameras and videos come along; a take without a calibration or with imported 2D results has none.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"is neither {' nor '.join(SUFFIXES)}", where=path)
    scene = _scene(motions, skins, take, name or path.stem)
    if path.suffix.lower() == ".py":
        return write_blender_script(scene, path)
    blender = find_blender()
    with tempfile.TemporaryDirectory() as folder:
        script, _ = write_blender_script(scene, Path(folder) / "scene.py")
        save_blend(script, path, blender=blender)
    return (path,)


def _scene(
    motions: Sequence[Motion], skins: Sequence[SkinnedMesh | None], take: Path | None, name: str
) -> BlenderScene:
    if take is None:
        return BlenderScene(name, motions, skins)
    (job,) = find_jobs([str(take)])
    rig = prepare(job, PipelineConfig()).rig
    own, fps = job.take, motions[0].fps if motions else 0.0
    starts = _starts(own, job.folders.derived, fps)
    return BlenderScene(name, motions, skins, rig, own.videos, own.rotations, starts)


def _starts(take: Take, derived: Path, fps: float) -> dict[str, int]:
    """Frames of the motion by which each camera's video begins later, on the clock that they share."""
    times = take_times(take)
    report = derived / "align.json"
    if times is None or not report.is_file():
        return {}
    start_s = json.loads(report.read_text(encoding="utf-8"))["report"]["start_s"] or 0.0
    return {name: round((float(time_s[0]) - start_s) * fps) for name, time_s in times.items()}
