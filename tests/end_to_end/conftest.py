"""The real takes, processed once for all tests through the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mocap.core.keypoints import Keypoints3D
from mocap.core.motion import Motion
from mocap.io.artefacts import load_keypoints3d, load_motions
from mocap.synthetic.gait import joint_poses
from real_takes import as_arguments, trial_rig, trial_videos
from running_mocap import mocap, results


@dataclass(frozen=True, eq=False)
class Processed:
    """A take's folder after `mocap process --json`, and what that printed."""

    folder: Path
    printed: dict[str, Any]

    @property
    def bvh(self) -> Path:
        (path,) = (Path(file) for file in self.printed["files"] if file.endswith(".bvh"))
        return path

    @property
    def report(self) -> dict[str, Any]:
        """The document beside the exported files."""
        return json.loads(Path(self.printed["report"]).read_text(encoding="utf-8"))

    @property
    def motion(self) -> Motion:
        (motion,) = load_motions(self.folder / "derived" / "feet.h5")
        return motion

    @property
    def joints(self) -> np.ndarray:
        """(T, J, 3) m."""
        return joint_poses(self.motion)[1]

    @property
    def keypoints(self) -> Keypoints3D:
        return load_keypoints3d(self.folder / "derived" / "smooth.h5")


@pytest.fixture(scope="session")
def trial(shared_data: Path, blazepose_files: Any, tmp_path_factory: pytest.TempPathFactory) -> Processed:
    """The man on the treadmill: four loose videos and a Qualisys calibration, one command."""
    folder = tmp_path_factory.mktemp("trial") / "balancing"
    loose = as_arguments(trial_videos(shared_data))
    done = mocap("process", *loose, "--rig", trial_rig(shared_data), "-o", folder, "--json")
    (printed,) = results(done)
    return Processed(folder, printed)
