"""A take as a scene for Blender: a script that anyone can run there, and the numbers beside it.

The script is `mocap/io/blender/build_scene.py`, copied; the numbers are one .npz of its name. Blender itself is
needed only for a .blend: it runs the script and saves.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from calibration.camera import Camera, Rig
from calibration.lenses import Lens
from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.core.skin import SkinnedMesh
from mocap.io.artefacts import atomic_path, write_text_atomic
from mocap.io.world_joints import rest_positions

BLENDER_S = 600.0
"""Longer than a Blender that is still alive takes to save a scene."""
PROGRAM = "MOCAP_BLENDER"
"""The environment's name for Blender, or for a Python that has `bpy`."""


@dataclass(frozen=True, eq=False)
class BlenderScene:
    """name: of the collection. skins: one or None for each motion, or none at all. rig: in the pixels of the videos.

    videos, rotations (degrees clockwise), first_frames (of the scene, from 0, at which a video begins): by camera.
    """

    name: str
    motions: Sequence[Motion]
    skins: Sequence[SkinnedMesh | None] = ()
    rig: Rig | None = None
    videos: Mapping[str, Path] = field(default_factory=dict)
    rotations: Mapping[str, int] = field(default_factory=dict)
    first_frames: Mapping[str, int] = field(default_factory=dict)


def write_blender_script(scene: BlenderScene, path: Path) -> tuple[Path, Path]:
    """`path` (.py) and the .npz beside it; videos are named relative to them where they are on the same disk."""
    if not scene.motions:
        raise InputError(f"there is no motion of {scene.name!r} for a scene", remedy="Solve the take first.")
    rates = {motion.fps for motion in scene.motions}
    if len(rates) > 1:
        raise InputError(f"motions of {', '.join(f'{fps:g}' for fps in sorted(rates))} frames a second in one scene")
    arrays: dict[str, Any] = {}
    skins = [*scene.skins] or [None] * len(scene.motions)
    for number, (motion, skin) in enumerate(zip(scene.motions, skins, strict=True)):
        arrays |= {f"person_{number}/{name}": array for name, array in _person(motion, skin).items()}
    cameras = [] if scene.rig is None else [_camera(camera, scene, path.parent) for camera in scene.rig.cameras]
    people = [{"name": m.person, "joints": list(m.skeleton.joint_names)} for m in scene.motions]
    n_frames = max(motion.n_frames for motion in scene.motions)
    head = {"name": scene.name, "fps": rates.pop(), "n_frames": n_frames, "people": people, "cameras": cameras}
    data = path.with_suffix(".npz")
    with atomic_path(data) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, scene=np.array(json.dumps(head)), **arrays)
    script = resources.files("mocap.io.blender") / "build_scene.py"
    write_text_atomic(path, script.read_text(encoding="utf-8"))
    return path, data


def _person(motion: Motion, skin: SkinnedMesh | None) -> dict[str, np.ndarray]:
    skeleton = motion.skeleton
    heads = rest_positions(skeleton)
    arrays = {
        "parents": np.asarray(skeleton.parents),
        "heads": heads,
        "tails": _tails(skeleton, heads),
        "turns": motion.local_rotations,
        "root": motion.root_translation,
    }
    if skin is not None:
        arrays |= {"vertices": skin.vertices, "faces": skin.faces}
        arrays |= {"skin_joints": skin.joints, "skin_weights": skin.weights}
    return arrays


def _tails(skeleton: SkeletonDefinition, heads: Float[np.ndarray, "J 3"]) -> Float[np.ndarray, "J 3"]:
    """The child's head; of several children the one nearest to straight on; the tip, or a stump, without any."""
    tails = np.empty_like(heads)
    for joint, parent in enumerate(skeleton.parents.tolist()):
        children = skeleton.children(joint)
        straight = heads[joint] - heads[parent] if parent >= 0 else np.array([0.0, 0.0, 1.0])
        if len(children):
            bones = heads[children] - heads[joint]
            along = bones @ straight / np.maximum(np.linalg.norm(bones, axis=-1), 1e-9)
            tails[joint] = heads[children[int(along.argmax())]]
        elif np.isfinite(skeleton.tips[joint]).all():
            tails[joint] = heads[joint] + skeleton.tips[joint]
        else:
            tails[joint] = heads[joint] + straight / 2
    return tails


def _camera(camera: Camera, scene: BlenderScene, folder: Path) -> dict[str, object]:
    intrinsics, distortion = camera.intrinsics, camera.intrinsics.distortion
    brown = intrinsics.lens is Lens.BROWN_CONRADY and len(distortion) == 5 and distortion.any()
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = camera.cam_from_world.R, camera.cam_from_world.t
    video = scene.videos.get(camera.name)
    return {
        "name": camera.name,
        "size": list(intrinsics.image_size),
        "K": intrinsics.K.tolist(),
        "brown": distortion.tolist() if brown else [],
        "cam_from_world": pose.tolist(),
        "video": "" if video is None else _relative(video, folder),
        "rotation": scene.rotations.get(camera.name, 0),
        "first_frame": scene.first_frames.get(camera.name, 0),
    }


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()


def find_blender() -> Path:
    """The user's Blender: what MOCAP_BLENDER names, else `blender` on the path."""
    named = os.environ.get(PROGRAM)
    found = shutil.which(named or "blender")
    if found is None:
        what = f"{PROGRAM} names {named!r}, which is no program" if named else "there is no Blender on the path"
        raise InputError(
            what,
            remedy=f"Name it in {PROGRAM}, or export a .py instead and run it in Blender (Text Editor, Run Script).",
        )
    return Path(found)


def save_blend(script: Path, path: Path, *, blender: Path | None = None) -> None:
    """Have Blender run a script of `write_blender_script` and save the scene."""
    program = blender or find_blender()
    as_python = program.stem.lower().startswith("python")
    how = [] if as_python else ["--background", "--factory-startup", "--python-exit-code", "1", "--python"]
    with atomic_path(path) as temporary:
        target = temporary.with_suffix(".blend")
        done = subprocess.run(
            [str(program), *how, str(script), "--", "--save", str(target)],
            capture_output=True,
            text=True,
            timeout=BLENDER_S,
            check=False,
        )
        if done.returncode or not target.is_file():
            told = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise InputError(f"Blender did not save the scene: {' | '.join(told)}", where=program)
        target.replace(temporary)
