"""A take's motion for Blender, with the cameras that filmed it and their videos."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skin import SkinnedMesh
from mocap.io.blender_scene import BlenderScene, find_blender, save_blend, write_blender_script
from mocap.io.session_files import is_take
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
    starts = {camera: round(-clock.offset_s * fps) for camera, clock in own.clocks.items()}
    return BlenderScene(name, motions, skins, rig, own.videos, own.rotations, starts)
