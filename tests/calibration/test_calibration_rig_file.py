from __future__ import annotations

import dataclasses
import re
import stat
import sys
import tomllib
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import CalibrationError, Camera, Rig, RigidTransform
from calibration.rig_file import RigMetadata, camera_headers, read_rig, read_rig_metadata, rig_text, write_rig
from camera_worlds import mixed_rig

PEERS = Path(__file__).parent / "peer_files"


EXTRA = {
    "cameras_by": "hand",
    "date": datetime(2023, 4, 13, 9, 32, 19),
    "board": {"columns": 4, "square size": 0.054, "inverted": True},
    "frames": [1, 2],
}


def _points() -> np.ndarray:
    return np.random.default_rng(0).uniform([-1, -1, 0], [1, 1, 2], (9, 3))


def test_round_trip_keeps_every_digit(tmp_path: Path) -> None:
    rig = mixed_rig()
    write_rig(rig, tmp_path / "rig.toml")
    found = read_rig(tmp_path / "rig.toml")
    assert found.names == rig.names
    for one, other in zip(found, rig, strict=True):
        assert one.intrinsics.image_size == other.intrinsics.image_size
        assert one.intrinsics.lens is other.intrinsics.lens
        np.testing.assert_array_equal(one.intrinsics.K, other.intrinsics.K)
        np.testing.assert_array_equal(one.intrinsics.distortion, other.intrinsics.distortion)
        np.testing.assert_array_equal(one.cam_from_world.t, other.cam_from_world.t)
        # 14 decimals of axis-angle are 5e-15 rad
        np.testing.assert_allclose(one.cam_from_world.R, other.cam_from_world.R, atol=2e-14)
    # 5e-15 rad at 1500 px, seen from 6 m: below 1e-10 px
    np.testing.assert_allclose(found.project(_points()), rig.project(_points()), atol=1e-10, rtol=0)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-3.14, 3.14), min_size=3, max_size=3),
    st.lists(st.floats(-30, 30), min_size=3, max_size=3),
    st.text(min_size=1, max_size=12),
)
def test_writing_what_was_read_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, rotvec: list, translation: list, name: str
) -> None:
    path = tmp_path_factory.mktemp("rig") / "rig.toml"
    pose = RigidTransform.from_rotvec(np.array(rotvec), np.array(translation))
    rig = Rig((Camera(name, mixed_rig().cameras[0].intrinsics, pose),))
    write_rig(rig, path)
    first = path.read_bytes()
    assert read_rig(path).names == (name,)
    write_rig(read_rig(path), path, read_rig_metadata(path))
    assert path.read_bytes() == first


def test_text_is_the_de_facto_toml() -> None:
    text = rig_text(mixed_rig(), RigMetadata(adjusted=True, error=0.31, tool="us 1.2", extra={"board": "A3"}))
    tables = tomllib.loads(text)
    assert list(tables) == ["cam_0", "cam_1", "cam_2", "cam_3", "cam_4", "metadata"]
    assert list(tables["cam_3"]) == ["name", "size", "matrix", "distortions", "rotation", "translation", "fisheye"]
    assert tables["cam_3"]["fisheye"] is True
    assert tables["cam_0"]["size"] == [1080, 1920]
    assert tables["metadata"] == {
        "adjusted": True,
        "error": 0.31,
        "units": "m",
        "world_frame": "Z up, floor at z = 0",
        "tool": "us 1.2",
        "board": "A3",
    }
    assert all(len(line) < 400 and not line.startswith(" ") for line in text.splitlines())


def test_metadata_survives_and_names_the_tool(tmp_path: Path) -> None:
    metadata = RigMetadata(adjusted=True, error=0.4, world_frame="as captured", extra=EXTRA)
    write_rig(mixed_rig(), tmp_path / "rig.toml", metadata)
    assert read_rig_metadata(tmp_path / "rig.toml") == metadata
    assert re.fullmatch(r"mocap-pipeline( \d+\.\d+.*)?", metadata.tool)


def test_file_without_metadata_says_unknown(tmp_path: Path) -> None:
    text = rig_text(mixed_rig(), RigMetadata()).split("[metadata]")[0]
    (tmp_path / "rig.toml").write_text(text, encoding="utf-8")
    found = read_rig_metadata(tmp_path / "rig.toml")
    assert (found.tool, found.world_frame, found.error, found.adjusted) == ("unknown", "unknown", 0.0, False)


def test_many_cameras_keep_their_order_for_tools_that_sort_headers(tmp_path: Path) -> None:
    cameras = [dataclasses.replace(mixed_rig().cameras[0], name=f"c{i}") for i in range(12)]
    write_rig(Rig(tuple(cameras)), tmp_path / "rig.toml")
    tables = tomllib.loads((tmp_path / "rig.toml").read_text())
    headers = sorted(set(tables) - {"metadata"})
    assert [tables[header]["name"] for header in headers] == [f"c{i}" for i in range(12)]
    assert camera_headers(10)[-1] == "cam_9"
    assert camera_headers(1) == ["cam_0"]


def test_other_units_become_metres(tmp_path: Path) -> None:
    text = rig_text(mixed_rig(), RigMetadata()).replace('units = "m"', 'units = "cm"')
    (tmp_path / "rig.toml").write_text(text, encoding="utf-8")
    found = read_rig(tmp_path / "rig.toml")
    np.testing.assert_allclose(found.centers, mixed_rig().centers / 100, atol=1e-12)


def test_replaces_a_file_at_once_and_leaves_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "calibration" / "rig.toml"
    write_rig(mixed_rig(), path)
    write_rig(mixed_rig().subset(["cam1"]), path)
    assert read_rig(path).names == ("cam1",)
    assert [file.name for file in path.parent.iterdir()] == ["rig.toml"]
    if sys.platform != "win32":
        assert path.stat().st_mode & stat.S_IRUSR


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CalibrationError, match=r"rig\.toml: cannot be written: "):
        write_rig(mixed_rig(), tmp_path / "file" / "rig.toml")
    (tmp_path / "rig.toml").mkdir()
    with pytest.raises(CalibrationError, match=r"rig\.toml: cannot be written: "):
        write_rig(mixed_rig(), tmp_path / "rig.toml")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "rig.toml"]


@pytest.mark.parametrize(
    ("name", "cameras"),
    [
        ("rig_by_aniposelib.toml", ("cam0", "cam1", "cam2", "cam3", "cam4")),
        ("camera_array_by_caliscope.toml", ("cam_0", "cam_1", "cam_2", "cam_3", "cam_4")),
        ("anipose_by_caliscope.toml", ("cam_0", "cam_1", "cam_2", "cam_3", "cam_4")),
    ],
)
def test_what_peers_make_of_our_file_is_the_same_rig(name: str, cameras: tuple[str, ...]) -> None:
    """Files that aniposelib 0.8.0 and caliscope 0.11.8 wrote after they had read `peer_files/rig.toml` of this module
    (and the `camera_array.toml` of the same rig)."""
    from calibration.formats import read_calibration

    theirs, ours = read_calibration(PEERS / name), read_rig(PEERS / "rig.toml")
    assert theirs.names == cameras
    np.testing.assert_allclose(theirs.project(_points()), ours.project(_points()), atol=1e-6, rtol=0)
    assert [c.intrinsics.lens for c in theirs] == [c.intrinsics.lens for c in ours]
    assert [c.intrinsics.image_size for c in theirs] == [c.intrinsics.image_size for c in ours]


def _broken(old: str, new: str) -> str:
    text = rig_text(mixed_rig(), RigMetadata())
    assert old in text
    return text.replace(old, new, 1)


BROKEN = {
    "no cameras": ("[metadata]\nerror = 0.0\n", r"has no camera tables\. Expected \[cam_0\] with name, size, matrix"),
    "not toml": ("{{{", r"has no camera tables"),
    "unit": (
        _broken('units = "m"', 'units = "furlong"'),
        r"metadata\.units = 'furlong' is not a known unit\. Known: m, ",
    ),
    "no size": (
        _broken("size = [1080, 1920]\n", ""),
        r"camera 'cam0': 'size' is missing\. Its entries are: name, matrix, distortions",
    ),
    "one size": (_broken("size = [1080, 1920]", "size = [1080]"), "camera 'cam0': 'size' should have 2 numbers, not 1"),
    "half size": (_broken("[1080, 1920]", "[1080.5, 1920]"), "camera 'cam0': image size 1080.5 x 1920 is not a whole"),
    "text": (_broken("[[1500.0,", '[["wide",'), r"camera 'cam0': 'matrix' is not a list of numbers: \[\['wide'"),
    "ragged": (_broken("[0.0, 0.0, 1.0]", "[0.0, 1.0]"), "camera 'cam0': 'matrix' is not a list of numbers"),
    "nan": (_broken("[[1500.0,", "[[nan,"), "camera 'cam0': 'matrix' has values that are not finite"),
    "prism": (
        _broken("[-0.11, 0.06, 0.0008, -0.0005, 0.01]", "[0.1, 0.1, 0, 0, 0, 0, 0, 0, 0.1, 0, 0, 0]"),
        "camera 'cam0': 12 distortion coefficients for a brown_conrady lens.*thin-prism",
    ),
    "fisheye": (
        _broken("fisheye = false", 'fisheye = "no"'),
        "camera 'cam0': 'fisheye' should be true or false, not 'no'",
    ),
    "no pose": (
        re.sub(r"(rotation|translation) = .*\n", "", rig_text(mixed_rig(), RigMetadata())),
        r"camera 'cam0': has no pose \(rotation and translation\)\. Calibrate the extrinsics",
    ),
    "half a pose": (
        re.sub(r"translation = .*\n", "", rig_text(mixed_rig(), RigMetadata()), count=1),
        "camera 'cam0': 'translation' is missing",
    ),
    "no rotation": (
        re.sub(
            r"rotation = .*", "rotation = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 0.5]]", rig_text(mixed_rig(), RigMetadata())
        ),
        "camera 'cam0': not a rotation matrix",
    ),
    "twins": (_broken('"cam3"', '"cam1"'), "camera names appear twice: cam1"),
    "millimetres": (
        re.sub(r"translation = .*", "translation = [900.0, 1.0, 2.0]", rig_text(mixed_rig(), RigMetadata())),
        r"its cameras are \d+ m apart when its lengths are read as metres\. The file states no unit",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_refused_with_file_camera_and_key(tmp_path: Path, case: str) -> None:
    text, message = BROKEN[case]
    path = tmp_path / "rig.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CalibrationError, match=message) as error:
        read_rig(path)
    assert str(error.value).startswith(f"{path}: ")


def test_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"rig\.toml: no such file"):
        read_rig(tmp_path / "rig.toml")
    (tmp_path / "rig.toml").write_bytes(bytes(range(256)))
    with pytest.raises(CalibrationError, match=r"rig\.toml: is not a text file"):
        read_rig(tmp_path / "rig.toml")
