"""What Blender's importers of GLB and USD make of a file; see blender_scene.py, which runs inside Blender."""

import subprocess
from pathlib import Path

import numpy as np

from blender_runs import ROOT, blender_or_skip
from mocap.core.motion import Motion


def blender_scene(file: Path, *options: object) -> None:
    command = [str(o) for o in (blender_or_skip(), ROOT / "tests" / "blender_scene.py", file, *options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def scene_of(file: Path, *options: object, fps: float) -> dict[str, np.ndarray]:
    """Names, heads, rest pose and meshes of every armature of a file."""
    out = file.with_suffix(".npz")
    blender_scene(file, "--fps", fps, "--dump", out, *options)
    with np.load(out) as arrays:
        return dict(arrays)


def in_our_order(found: dict[str, np.ndarray], what: str, number: int, motion: Motion) -> np.ndarray:
    """`heads` or `rest` of one armature with the joints as the motion lists them."""
    names = found[f"names_{number}"].tolist()
    assert sorted(names) == sorted(motion.skeleton.joint_names)
    return found[f"{what}_{number}"][..., [names.index(name) for name in motion.skeleton.joint_names], :]
