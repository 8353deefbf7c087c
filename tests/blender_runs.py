"""Blender as a test partner: it runs in an environment of its own, because its package wants an old numpy.

`python tools/bootstrap.py blender` makes that in .venv-blender; MOCAP_BLENDER_PYTHON names another Python with `bpy`.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mocap.core.motion import Motion

ROOT = Path(__file__).resolve().parents[1]


def blender_or_skip() -> Path:
    named = os.environ.get("MOCAP_BLENDER_PYTHON")
    places = [ROOT / ".venv-blender" / "bin" / "python", ROOT / ".venv-blender" / "Scripts" / "python.exe"]
    for python in [Path(named)] if named else places:
        if python.is_file():
            return python
    pytest.skip("no Blender here: `python tools/bootstrap.py blender` makes .venv-blender")


def played_by(python: Path, file: Path, scale: float, *options: str) -> dict[str, np.ndarray]:
    """What Blender's importer makes of a file."""
    played = file.with_suffix(".npz")
    command = [python, ROOT / "tools" / "blender_check.py", file, "--scale", str(scale), *options, "--dump", played]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with np.load(played) as arrays:
        return dict(arrays)


def in_order(played: dict[str, np.ndarray], motion: Motion) -> list[int]:
    names = played["names"].tolist()
    assert sorted(names) == sorted(motion.skeleton.joint_names)
    return [names.index(name) for name in motion.skeleton.joint_names]
