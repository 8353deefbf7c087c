"""Lenses of real cameras, from every calibration in the shared material."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration import Intrinsics
from calibration.formats import read_calibration, read_intrinsics

POSED = (
    "pose2sim/HEAD/Demo_SinglePerson/calibration/Calib.qca.txt",
    "caliscope/history/8d1cb291_low_res_numeric/config.toml",
    "caliscope/history/9af418c9_post_optimization_3cam/config.toml",
)
LENSES = "opencv_contrib/modules/aruco/samples"


@pytest.fixture(scope="session")
def real_lenses(shared_data: Path) -> dict[str, Intrinsics]:
    """Fourteen cameras: portrait industrial ones, webcams with k1 from -0.33 to 0.25, k3 up to 2.95."""
    found = dict(read_intrinsics(shared_data / LENSES, image_size=(640, 480)))
    for path in POSED:
        for camera in read_calibration(shared_data / path):
            found[f"{Path(path).parent.name}/{camera.name}"] = camera.intrinsics
    assert len(found) == 14
    return found
