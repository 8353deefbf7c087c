"""What every calibration format must do: recognise its files, keep a rig, refuse what it cannot hold."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from calibration import CalibrationError, Camera, Intrinsics, Lens, Rig
from calibration.formats import FORMATS, read_calibration, write_calibration
from camera_worlds import mixed_rig

FILES = {
    "rig": "rig.toml",
    "caliscope": "camera_array.toml",
    "caliscope-config": "config.toml",
    "anipose": "calibration.toml",
    "pose2sim": "Calib.toml",
    "qualisys": "Calib.qca.txt",
    "easymocap": "easymocap",
    "opencv": "opencv",
}
KINDS = {"skew": "cam1", "rational": "cam2", "fisheye": "cam3"}
HOLDS = {
    "rig": {"skew", "rational", "fisheye"},
    "caliscope": {"rational", "fisheye"},
    "caliscope-config": {"rational", "fisheye"},
    "anipose": {"rational", "fisheye"},
    "pose2sim": {"rational"},
    "qualisys": {"skew"},
    "easymocap": set(),
    "opencv": {"rational", "fisheye"},
}


def _points() -> np.ndarray:
    return np.random.default_rng(0).uniform([-1, -1, 0], [1, 1, 2], (11, 3))


def _rig_for(name: str) -> Rig:
    """The cameras of the mixed rig that a format can hold, renamed out of alphabetical order."""
    refused = {camera for kind, camera in KINDS.items() if kind not in HOLDS[name]}
    names = {"cam0": "north-2", "cam1": "a10", "cam2": "a9", "cam3": "Z_3", "cam4": "b"}
    kept = [c for c in mixed_rig() if c.name not in refused]
    rig = Rig(tuple(dataclasses.replace(c, name=names[c.name]) for c in kept))
    assert len(rig) >= 2
    return rig


def test_every_format_is_tested() -> None:
    assert set(FILES) == set(HOLDS) == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_round_trip_keeps_the_rig(name: str, tmp_path: Path) -> None:
    rig = _rig_for(name)
    write_calibration(rig, tmp_path / FILES[name], name)
    found = read_calibration(tmp_path / FILES[name])
    if name == "opencv":  # a folder has no order of its own: natural order of the names
        assert found.names == ("Z_3", "a9", "b", "north-2")
        found = found.subset(rig.names)
    assert found.names == rig.names
    for one, other in zip(found, rig, strict=True):
        assert one.intrinsics.image_size == other.intrinsics.image_size
        assert one.intrinsics.lens is other.intrinsics.lens
        np.testing.assert_allclose(one.intrinsics.K, other.intrinsics.K, rtol=1e-9)
        np.testing.assert_allclose(one.intrinsics.distortion, other.intrinsics.distortion, rtol=1e-9)
        np.testing.assert_allclose(one.cam_from_world.R, other.cam_from_world.R, atol=1e-9)
        np.testing.assert_allclose(one.center, other.center, rtol=1e-9)
    np.testing.assert_allclose(found.project(_points()), rig.project(_points()), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", FORMATS)
def test_named_format_reads_the_same(name: str, tmp_path: Path) -> None:
    write_calibration(_rig_for(name), tmp_path / FILES[name], name)
    recognised, named = (read_calibration(tmp_path / FILES[name], format) for format in (None, name))
    np.testing.assert_array_equal(recognised.projections, named.projections)


@pytest.mark.parametrize("name", FORMATS)
def test_files_are_recognised_by_what_is_in_them(name: str, tmp_path: Path) -> None:
    write_calibration(_rig_for(name), tmp_path / FILES[name], name)
    path = tmp_path / FILES[name]
    if path.is_file():
        path = path.rename(tmp_path / "calibration of ours")
    from calibration.file_fields import Document

    matching = [f.name for f in FORMATS.values() if f.recognises(Document.open(path))]
    assert matching[0] == name


@pytest.mark.parametrize("name", FORMATS)
def test_writing_twice_gives_the_same_text(name: str, tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        write_calibration(_rig_for(name), tmp_path / FILES[name], name)
        files = sorted(p for p in tmp_path.rglob("*") if p.is_file())
        contents.append([(p.name, p.read_bytes()) for p in files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORMATS)
def test_what_a_format_cannot_hold_is_refused_not_dropped(name: str, kind: str, tmp_path: Path) -> None:
    rig = mixed_rig().subset(["cam0", KINDS[kind]])
    if kind in HOLDS[name]:
        write_calibration(rig, tmp_path / FILES[name], name)
        return
    what = {"skew": "the skew", "rational": "eight distortion coefficients", "fisheye": "a fisheye lens"}[kind]
    with pytest.raises(CalibrationError, match=f"camera '{KINDS[kind]}': a .* file cannot hold {what}") as error:
        write_calibration(rig, tmp_path / FILES[name], name)
    named = {"skew": {"rig"}}.get(kind, {other for other in HOLDS if kind in HOLDS[other]} - {"caliscope-config"})
    assert error.value.remedy is not None
    assert {other for other in HOLDS if re.search(rf"\b{other}\b", error.value.remedy)} == named
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "camera"), [("opencv", "left/right"), ("easymocap", "camera one"), ("pose2sim", "metadata")]
)
def test_names_that_a_format_cannot_hold_are_refused(name: str, camera: str, tmp_path: Path) -> None:
    rig = Rig((dataclasses.replace(mixed_rig().cameras[0], name=camera),))
    with pytest.raises(CalibrationError, match=r"cannot hold its name\. Rename the camera"):
        write_calibration(rig, tmp_path / "out", name)


@pytest.mark.parametrize("name", ["anipose", "pose2sim", "caliscope", "opencv"])
def test_units_are_applied_on_request(name: str, tmp_path: Path) -> None:
    rig = _rig_for(name)
    write_calibration(rig, tmp_path / FILES[name], name)
    found = read_calibration(tmp_path / FILES[name], unit="inch").subset(rig.names)
    np.testing.assert_allclose(found.centers, rig.centers * 0.0254, rtol=1e-9)


def test_metres_that_cannot_be_are_refused_until_the_unit_is_named(tmp_path: Path) -> None:
    rig = _rig_for("anipose")
    in_mm = [
        Camera(c.name, c.intrinsics, dataclasses.replace(c.cam_from_world, t=c.cam_from_world.t * 1000)) for c in rig
    ]
    write_calibration(Rig(tuple(in_mm)), tmp_path / "anipose.toml", "anipose")
    with pytest.raises(CalibrationError, match=r"cameras are \d{4} m apart .* most likely mm"):
        read_calibration(tmp_path / "anipose.toml")
    found = read_calibration(tmp_path / "anipose.toml", unit="mm")
    np.testing.assert_allclose(found.centers, rig.centers, rtol=1e-9)


def test_unknown_files_formats_and_units_list_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("forty-two")
    for path in (tmp_path / "notes.txt", tmp_path):
        with pytest.raises(
            CalibrationError, match="is not a calibration of a known format. Known: rig .*qualisys .*opencv"
        ):
            read_calibration(path)
    with pytest.raises(CalibrationError, match="unknown calibration format 'vicon'. Known: rig, caliscope, .*opencv"):
        read_calibration(tmp_path / "notes.txt", "vicon")
    with pytest.raises(CalibrationError, match="unknown length unit 'yard'. Known: m, cm, mm, inch"):
        read_calibration(tmp_path / "notes.txt", unit="yard")
    with pytest.raises(CalibrationError, match="no such file"):
        read_calibration(tmp_path / "nothing.toml")


REAL = {
    "pose2sim/HEAD/Demo_SinglePerson/calibration/Calib.qca.txt": ("cam01", "cam02", "cam03", "cam04"),
    "pose2sim/v0.7dev_a948c205/S00_Demo_Session/S00_Calibration/Calib.qca.txt": (
        "cam_01",
        "cam_02",
        "cam_03",
        "cam_04",
    ),
    "pose2sim/v0.7dev_a948c205/S00_Demo_Session/S00_Calibration/Calib_qualisys.toml": (
        "cam_01",
        "cam_02",
        "cam_03",
        "cam_04",
    ),
    "pose2sim_blender/Examples/Pose2Sim_cameras.toml": ("cam_01", "cam_02", "cam_03", "cam_04"),
    "single_view/Sports2D/Sports2D/Demo/Calib_demo.toml": ("demo",),
    "caliscope/history/8d1cb291_low_res_numeric/config.toml": ("cam_0", "cam_1", "cam_2", "cam_3"),
    "caliscope/history/9af418c9_post_optimization_3cam/config.toml": ("cam_0", "cam_1", "cam_2", "cam_3"),
    "caliscope/sessions/charuco_calibration/config.toml": ("cam_0", "cam_1", "cam_2", "cam_3"),
    "caliscope/sessions/charuco_calibration/camera_array.toml": ("cam_0", "cam_1", "cam_2", "cam_3"),
}


@pytest.mark.parametrize("path", REAL)
def test_real_files_are_read_in_metres(path: str, shared_data: Path) -> None:
    rig = read_calibration(shared_data / path)
    assert rig.names == REAL[path]
    apart = np.linalg.norm(rig.centers[:, None] - rig.centers, axis=-1)
    if len(rig) > 1:  # a desk with webcams to a laboratory
        assert 0.2 < apart[np.triu_indices(len(rig), 1)].min() < apart.max() < 10
    for camera in rig:
        width, height = camera.intrinsics.image_size
        assert 0.3 < camera.intrinsics.K[0, 0] / max(width, height) < 2
        assert camera.intrinsics.lens is Lens.BROWN_CONRADY


@pytest.mark.parametrize("path", REAL)
def test_real_files_survive_every_format(path: str, shared_data: Path, tmp_path: Path) -> None:
    rig = read_calibration(shared_data / path)
    in_front = np.stack([c.center + c.cam_from_world.R.T @ np.array([0.1, -0.2, 1.5]) for c in rig])
    for name in FORMATS:
        write_calibration(rig, tmp_path / FILES[name], name)
        found = read_calibration(tmp_path / FILES[name]).subset(rig.names)
        np.testing.assert_allclose(found.project(in_front), rig.project(in_front), atol=1e-6, rtol=0, err_msg=name)


def test_intrinsics_of_four_coefficients_become_five(tmp_path: Path) -> None:
    lens = Intrinsics((640, 480), np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), np.array([0.1, -0.2, 0, 0]))
    rig = Rig((dataclasses.replace(mixed_rig().cameras[0], intrinsics=lens),))
    for name in FORMATS:
        write_calibration(rig, tmp_path / FILES[name], name)
        found = read_calibration(tmp_path / FILES[name]).cameras[0].intrinsics.distortion
        assert found.tolist() == [0.1, -0.2, 0, 0, 0], name


def test_a_toml_file_with_a_mistake_is_told_its_line(tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text("[cam_0]\nname = \n")
    with pytest.raises(CalibrationError, match=r"rig.toml: is not valid TOML \(Invalid value \(at line 2"):
        read_calibration(path)
