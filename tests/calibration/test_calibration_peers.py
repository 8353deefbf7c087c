"""Our files in the hands of the packages that they are written for, as installed from the index."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from calibration import Camera, Rig
from calibration.formats import read_calibration, write_calibration
from calibration.rig_file import RigMetadata, write_rig
from camera_worlds import mixed_rig
from peer_runs import open_with

pytestmark = pytest.mark.slow

EXTRA = {
    "board": {"type": "charuco", "squares": [5, 7], "square_m": 0.04},
    "sentences": ["cam1 is good", "Prüfung: 0,3 px"],
    "adjusted_on": "2024-05-01",
}
METADATA = RigMetadata(adjusted=True, error=0.31, extra=EXTRA)


def without_skew(camera: Camera) -> Camera:
    K = camera.intrinsics.K.copy()
    K[0, 1] = 0.0
    return dataclasses.replace(camera, intrinsics=dataclasses.replace(camera.intrinsics, K=K))


def rig_of(*names: str) -> Rig:
    return Rig(tuple(without_skew(mixed_rig()[name]) for name in names))


def many_cameras() -> Rig:
    """Twelve, so that headers sorted as text would be out of order."""
    kept = rig_of("cam0", "cam2", "cam4").cameras
    return Rig(tuple(dataclasses.replace(kept[i % 3], name=f"view {11 - i}") for i in range(12)))


ALL = rig_of("cam0", "cam1", "cam2", "cam3", "cam4")
BROWN_CONRADY = rig_of("cam4", "cam0", "cam2", "cam1")
NUMBERED = Rig(tuple(dataclasses.replace(c, name=f"cam_{i}") for i, c in enumerate(ALL)))
"""As caliscope calls cameras."""

POINTS = np.random.default_rng(0).uniform([-0.6, -0.6, 0.4], [0.6, 0.6, 1.5], (23, 3))


@dataclass(frozen=True)
class Case:
    """A rig in a format, opened by a tool."""

    tool: str
    format: str
    rig: Rig


CASES = {
    "rig in aniposelib": Case("aniposelib", "rig", ALL),
    "many in aniposelib": Case("aniposelib", "rig", many_cameras()),
    "anipose in aniposelib": Case("aniposelib", "anipose", ALL),
    "rig in pose2sim": Case("pose2sim", "rig", BROWN_CONRADY),
    "many in pose2sim": Case("pose2sim", "rig", many_cameras()),
    "pose2sim in pose2sim": Case("pose2sim", "pose2sim", BROWN_CONRADY),
    "fisheye in pose2sim": Case("pose2sim", "rig", rig_of("cam0", "cam3")),
    "caliscope in caliscope": Case("caliscope", "caliscope", NUMBERED),
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """What the tools make of every case; each tool is started once."""
    folder = tmp_path_factory.mktemp("peers")
    files = {name: folder / f"{name.replace(' ', '_')}.toml" for name in CASES}
    for name, case in CASES.items():
        if case.format == "rig":
            write_rig(case.rig, files[name], METADATA)
        else:
            write_calibration(case.rig, files[name], case.format)
        np.savez(files[name].with_suffix(".points.npz"), points=POINTS, px=case.rig.project(POINTS))
    for tool in ("aniposelib", "pose2sim", "caliscope"):
        open_with(tool, [files[name] for name, case in CASES.items() if case.tool == tool])
    found = {}
    for name, file in files.items():
        with np.load(file.with_suffix(".opened.npz")) as arrays:
            found[name] = dict(arrays)
    return found


@pytest.mark.parametrize("name", [name for name in CASES if "fisheye" not in name])
def test_cameras_arrive_unchanged(name: str, opened: dict[str, dict[str, np.ndarray]]) -> None:
    """Our names, sizes and images, and the tool's triangulation of our pixels ends at the points.

    1e-6 px: angles are written with 14 digits, all else with all. 1e-6 m: OpenCV's undistortion, which every tool
    uses, stops at 1e-8 of the focal length or after some steps, and the rays of six metres carry that to the point.
    """
    rig, theirs = CASES[name].rig, opened[name]
    assert theirs["names"].tolist() == list(rig.names)
    assert theirs["sizes"].astype(int).tolist() == [list(c.intrinsics.image_size) for c in rig]
    assert {"px", "found"} & set(theirs)
    if "px" in theirs:
        np.testing.assert_allclose(theirs["px"], rig.project(POINTS), atol=1e-6, rtol=0)
    if "found" in theirs:
        np.testing.assert_allclose(theirs["found"], POINTS, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.tool != "pose2sim"])
def test_what_they_save_again_is_the_same_rig(
    name: str, opened: dict[str, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    (tmp_path / "theirs.toml").write_text(str(opened[name]["saved"]), encoding="utf-8")
    theirs, rig = read_calibration(tmp_path / "theirs.toml"), CASES[name].rig
    assert theirs.names == rig.names
    np.testing.assert_allclose(theirs.project(POINTS), rig.project(POINTS), atol=1e-6, rtol=0)


def test_pose2sim_takes_a_fisheye_lens_for_another(opened: dict[str, dict[str, np.ndarray]]) -> None:
    """Why its own format refuses one: rig.toml says `fisheye`, and Pose2Sim does not look."""
    assert np.abs(opened["fisheye in pose2sim"]["found"] - POINTS).max() > 1e-3
