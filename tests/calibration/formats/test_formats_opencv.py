from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration import CalibrationError, Lens
from calibration.formats import read_calibration, read_intrinsics

SAMPLES = "opencv_contrib/modules/aruco/samples"
K = np.array([[500.0, 0, 321], [0, 510, 239], [0, 0, 1]])
R = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
T = np.array([[0.1], [0.2], [3.0]])


def _store(path: Path, **entries: object) -> Path:
    """A file that OpenCV itself writes."""
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for key, value in entries.items():
        storage.write(key, value)
    storage.release()
    return path


def _lens(**changes: object) -> dict[str, object]:
    base = {"camera_matrix": K, "distortion_coefficients": np.array([[0.1, -0.2, 1e-3, 2e-3, 0.05]])}
    return {"image_width": 640, "image_height": 480, **base, **changes}


def test_real_files_of_opencv(shared_data: Path) -> None:
    lenses = read_intrinsics(shared_data / SAMPLES / "tutorial_camera_charuco.yml")
    lens = lenses["tutorial_camera_charuco"]
    assert lens.image_size == (640, 480)
    assert lens.K[0, 0] == 4.5251072219637672e02
    assert lens.distortion[4] == 2.9542589406810080e00
    with pytest.raises(CalibrationError, match="camera 'tutorial_camera_params': 'image_width' is missing"):
        read_intrinsics(shared_data / SAMPLES / "tutorial_camera_params.yml")
    both = read_intrinsics(shared_data / SAMPLES, image_size=(800, 600))
    assert {name: lens.image_size for name, lens in both.items()} == {
        "tutorial_camera_charuco": (640, 480),
        "tutorial_camera_params": (800, 600),
    }
    assert both["tutorial_camera_params"].distortion.tolist() == [0.0995485, -0.206384, 0.00754589, 0.00336531, 0]


def test_a_lens_without_a_pose_is_no_rig(shared_data: Path) -> None:
    with pytest.raises(CalibrationError, match=r"tutorial_camera_charuco': has a lens but no pose \(R and T\)"):
        read_calibration(shared_data / SAMPLES / "tutorial_camera_charuco.yml")


@pytest.mark.parametrize("suffix", [".yml", ".yaml", ".xml"])
def test_files_that_opencv_writes_are_read(tmp_path: Path, suffix: str) -> None:
    path = _store(tmp_path / f"left{suffix}", **_lens(), R=R, T=T)
    camera = read_calibration(path).cameras[0]
    assert (camera.name, camera.intrinsics.image_size) == ("left", (640, 480))
    np.testing.assert_array_equal(camera.intrinsics.K, K)
    np.testing.assert_array_equal(camera.intrinsics.distortion, [0.1, -0.2, 1e-3, 2e-3, 0.05])
    np.testing.assert_allclose(camera.cam_from_world.matrix[:3], np.hstack([R, T]))


def test_opencv_reads_what_is_written(tmp_path: Path) -> None:
    from calibration.formats import write_calibration

    path = _store(tmp_path / "in.yml", **_lens(camera_name="left eye"), R=R, T=T)
    write_calibration(read_calibration(path), tmp_path / "out.yml", "opencv")
    storage = cv2.FileStorage(str(tmp_path / "out.yml"), cv2.FILE_STORAGE_READ)
    assert storage.getNode("camera_name").string() == "left eye"
    assert storage.getNode("image_height").real() == 480
    np.testing.assert_array_equal(storage.getNode("camera_matrix").mat(), K)
    np.testing.assert_array_equal(
        storage.getNode("distortion_coefficients").mat().reshape(-1), [0.1, -0.2, 1e-3, 2e-3, 0.05]
    )
    np.testing.assert_array_equal(storage.getNode("T").mat(), T)


def test_pose_as_rotation_vector_and_in_millimetres(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.yml", **_lens(), rvec=np.array([[np.pi / 2, 0, 0]]), tvec=1000 * T.T)
    camera = read_calibration(path, unit="mm").cameras[0]
    np.testing.assert_allclose(camera.cam_from_world.matrix[:3], np.hstack([R, T]), atol=1e-12)


def test_folder_is_read_in_natural_order_and_other_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("cam10", "cam2", "cam1"):
        _store(tmp_path / f"{name}.yml", **_lens(), R=R, T=T)
    (tmp_path / "notes.txt").write_text("camera_matrix")
    _store(tmp_path / "stereo.yml", rectified=1)
    assert read_calibration(tmp_path).names == ("cam1", "cam2", "cam10")


def test_fisheye_of_opencv_and_of_ros(tmp_path: Path) -> None:
    four = np.array([[0.02, -0.01, 4e-3, -1e-3]])
    path = _store(tmp_path / "a.yml", **_lens(distortion_coefficients=four, fisheye_model=1))
    assert read_intrinsics(path)["a"].lens is Lens.FISHEYE
    (tmp_path / "ros.yaml").write_text(
        "image_width: 640\nimage_height: 480\ncamera_name: front\n"
        "camera_matrix:\n  rows: 3\n  cols: 3\n  data: [500, 0, 321, 0, 510, 239, 0, 0, 1]\n"
        "distortion_model: equidistant\n"
        "distortion_coefficients:\n  rows: 1\n  cols: 4\n  data: [0.02, -0.01, 0.004, -0.001]\n"
    )
    lens = read_intrinsics(tmp_path / "ros.yaml")["front"]
    assert lens.lens is Lens.FISHEYE
    np.testing.assert_array_equal(lens.K, K)
    np.testing.assert_array_equal(lens.distortion, four[0])


def test_large_letters_of_old_programs(tmp_path: Path) -> None:
    path = _store(
        tmp_path / "old.yml",
        image_Width=640,
        image_Height=480,
        Camera_Matrix=K,
        Distortion_Coefficients=np.zeros((5, 1)),
    )
    assert read_intrinsics(path)["old"].image_size == (640, 480)


MALFORMED = {
    "prism": (
        _lens(distortion_coefficients=np.full((1, 12), 0.1)),
        "camera 'a': 12 distortion coefficients .*thin-prism",
    ),
    "tilt": (_lens(distortion_coefficients=np.full((1, 14), 0.1)), "camera 'a': 14 distortion coefficients"),
    "fisheye": (_lens(fisheye_model=1), "camera 'a': 5 distortion coefficients for a fisheye lens"),
    "matrix": (_lens(camera_matrix=K[:2]), "camera 'a': 'camera_matrix' should have 3x3 numbers, not 2x3"),
    "size": (_lens(image_width=0), "camera 'a': image size 0 x 480"),
    "text": (_lens(image_width="wide"), "camera 'a': 'image_width' is not a list of numbers: 'wide'"),
    "half a pose": (_lens(R=R), "camera 'a': 't' is missing"),
    "mirror": (_lens(R=-np.eye(3), T=T), "camera 'a': not a rotation matrix"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files_are_refused(case: str, tmp_path: Path) -> None:
    entries, message = MALFORMED[case]
    path = _store(tmp_path / "a.yml", **entries)
    with pytest.raises(CalibrationError, match=message) as error:
        read_calibration(path)
    assert str(error.value).startswith(f"{path}: ")


BROKEN_TEXT = {
    "numbers": (
        "K: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n   data: [ 1., 2. ]\n",
        "a 3x3 matrix with 2 numbers",
    ),
    "brackets": ("K: [1, 2\n", "OpenCV cannot parse it"),
    "huge": (
        "K: !!opencv-matrix\n   rows: 400000\n   cols: 400000\n   dt: d\n   data: [ 1. ]\n",
        "a 400000x400000 matrix",
    ),
}


@pytest.mark.parametrize("case", BROKEN_TEXT)
def test_broken_yaml_is_refused(case: str, tmp_path: Path) -> None:
    text, message = BROKEN_TEXT[case]
    path = tmp_path / "a.yml"
    path.write_text(
        "%YAML:1.0\n---\nimage_width: 4\nimage_height: 4\n"
        + text.replace("K:", "camera_matrix:")
        + "distortion_coefficients: [0., 0., 0., 0.]\n"
    )
    with pytest.raises(CalibrationError, match=message) as error:
        read_intrinsics(path)
    assert str(error.value).startswith(f"{path}: ")


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    path, mark = tmp_path / "a.yml", tmp_path / "mark"
    path.write_text(f"%YAML:1.0\n---\ncamera_matrix: !!python/object/apply:os.mkdir ['{mark}']\nimage_width: 3\n")
    with pytest.raises(CalibrationError):
        read_intrinsics(path)
    assert not mark.exists()


def test_several_cameras_do_not_fit_one_file(tmp_path: Path) -> None:
    from calibration.formats import write_calibration

    for name in ("a", "b"):
        _store(tmp_path / f"{name}.yml", **_lens(), R=R, T=T)
    with pytest.raises(CalibrationError, match="one OpenCV file holds one camera. Name a folder instead"):
        write_calibration(read_calibration(tmp_path), tmp_path / "both.yml", "opencv")
