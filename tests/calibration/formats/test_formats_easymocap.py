from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration import CalibrationError
from calibration.formats import read_calibration, write_calibration
from camera_worlds import mixed_rig

INTRI = """%YAML:1.0\r
---\r
names:\r
  - "01"\r
  - "03"\r
K_01: !!opencv-matrix\r
  rows: 3\r
  cols: 3\r
  dt: d\r
  data: [2272.816, 0.000, 1255.278, 0.000, 2269.930, 729.021, 0.000, 0.000, 1.000]\r
dist_01: !!opencv-matrix\r
  rows: 1\r
  cols: 5\r
  dt: d\r
  data: [0.057, -0.047, 0.002, -0.003, 0.010]\r
K_03: !!opencv-matrix\r
  rows: 3\r
  cols: 3\r
  dt: d\r
  data: [2272.816, 0.000, 1255.278, 0.000, 2269.930, 729.021, 0.000, 0.000, 1.000]\r
D_03: !!opencv-matrix\r
  rows: 4\r
  cols: 1\r
  dt: d\r
  data: [0.057, -0.047, 0.002, -0.003]\r
"""
EXTRI = """%YAML:1.0\r
---\r
names:\r
  - "01"\r
  - "03"\r
R_01: !!opencv-matrix\r
  rows: 3\r
  cols: 1\r
  dt: d\r
  data: [1.258000, -1.292000, 1.178000]\r
T_01: !!opencv-matrix\r
  rows: 3\r
  cols: 1\r
  dt: d\r
  data: [0.453000, 1.048000, 4.957000]\r
Rot_03: !!opencv-matrix\r
  rows: 3\r
  cols: 3\r
  dt: d\r
  data: [1., 0., 0., 0., 0., -1., 0., 1., 0.]\r
T_03: !!opencv-matrix\r
  rows: 3\r
  cols: 1\r
  dt: d\r
  data: [0.1, 0.2, 3.0]\r
"""


def _folder(tmp_path: Path, intri: str = INTRI, extri: str = EXTRI) -> Path:
    (tmp_path / "intri.yml").write_bytes(intri.encode())
    (tmp_path / "extri.yml").write_bytes(extri.encode())
    return tmp_path


def test_files_as_easymocap_writes_them(tmp_path: Path) -> None:
    """No size in the file, axis-angle or matrix, six decimals, either name of the coefficients."""
    for path in (_folder(tmp_path), tmp_path / "intri.yml", tmp_path / "extri.yml"):
        rig = read_calibration(path, image_size=(2560, 1440))
        assert rig.names == ("01", "03")
    one, three = rig
    assert one.intrinsics.image_size == (2560, 1440)
    assert one.intrinsics.distortion.tolist() == [0.057, -0.047, 0.002, -0.003, 0.010]
    assert three.intrinsics.distortion.tolist() == [0.057, -0.047, 0.002, -0.003, 0]
    np.testing.assert_allclose(one.cam_from_world.R, cv2.Rodrigues(np.array([1.258, -1.292, 1.178]))[0], atol=1e-12)
    np.testing.assert_allclose(one.cam_from_world.t, [0.453, 1.048, 4.957])
    np.testing.assert_allclose(three.center, [-0.1, -3, 0.2], atol=1e-12)


def test_size_in_the_file_comes_before_the_callers(tmp_path: Path) -> None:
    sized = INTRI + "W_01: 640\r\nH_01: 480\r\nW_03: -1\r\nH_03: -1\r\n"
    rig = read_calibration(_folder(tmp_path, sized), image_size=(2560, 1440))
    assert [c.intrinsics.image_size for c in rig] == [(640, 480), (2560, 1440)]


def test_easymocap_reads_what_is_written(tmp_path: Path) -> None:
    """Its reader takes K_, dist_, R_, T_ with cv2.FileStorage, and W_, H_ as numbers."""
    camera = mixed_rig().cameras[0]
    write_calibration(mixed_rig().subset(["cam0", "cam4"]), tmp_path, "easymocap")
    intri, extri = (cv2.FileStorage(str(tmp_path / n), cv2.FILE_STORAGE_READ) for n in ("intri.yml", "extri.yml"))
    assert [intri.getNode("names").at(i).string() for i in range(2)] == ["cam0", "cam4"]
    assert (intri.getNode("W_cam0").real(), intri.getNode("H_cam0").real()) == (1080, 1920)
    assert intri.getNode("dist_cam0").mat().shape == (1, 5)
    assert extri.getNode("T_cam0").mat().shape == (3, 1)
    np.testing.assert_array_equal(intri.getNode("K_cam0").mat(), camera.intrinsics.K)
    np.testing.assert_allclose(cv2.Rodrigues(extri.getNode("R_cam0").mat())[0], camera.cam_from_world.R, atol=1e-14)


MALFORMED = {
    "size": (INTRI, EXTRI, "intri.yml: camera '01': 'W_01' is missing"),
    "lens": (INTRI.replace("K_03", "C_03"), EXTRI, "intri.yml: camera '03': 'K_03' is missing"),
    "pose": (INTRI, EXTRI.replace("R_01", "Q_01"), "extri.yml: camera '01': 'R_01' is missing"),
    "place": (INTRI, EXTRI.replace("T_03", "S_03"), "extri.yml: camera '03': 'T_03' is missing"),
    "names": (INTRI.replace("names:", "nomes:"), EXTRI, "intri.yml: has no list of camera names"),
    "twins": (INTRI.replace('"03"', '"01"'), EXTRI, "intri.yml: camera names appear twice: 01"),
    "mirror": (INTRI, EXTRI.replace("[1., 0.", "[-1., 0."), "extri.yml: camera '03': not a rotation matrix"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files_are_refused(case: str, tmp_path: Path) -> None:
    intri, extri, message = MALFORMED[case]
    size = None if case == "size" else (2560, 1440)
    with pytest.raises(CalibrationError) as error:
        read_calibration(_folder(tmp_path, intri, extri), image_size=size)
    assert str(error.value).startswith(str(tmp_path / message))


def test_half_of_the_pair_is_refused(tmp_path: Path) -> None:
    _folder(tmp_path)
    (tmp_path / "extri.yml").unlink()
    with pytest.raises(CalibrationError, match=r"extri\.yml: no such file"):
        read_calibration(tmp_path / "intri.yml")
