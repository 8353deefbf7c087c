from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration import CalibrationError, Rig
from calibration.formats import read_calibration
from calibration.triangulation import reprojection_px, triangulate_dlt
from demo_rig import demo_rig, demo_rig_as_filed

DEMO = "pose2sim/HEAD/Demo_SinglePerson/calibration"
SESSION = "pose2sim/v0.7dev_a948c205/S00_Demo_Session"
TRIAL = f"{SESSION}/S00_P00_SingleParticipant/S00_P00_T01_BalancingTrial"
# fmt: off
BODY_25B = [
    "Nose", "LEye", "REye", "LEar", "REar", "LShoulder", "RShoulder", "LElbow", "RElbow", "LWrist", "RWrist", "LHip",
    "RHip", "LKnee", "RKnee", "LAnkle", "RAnkle", "Neck", "Head", "LBigToe", "LSmallToe", "LHeel", "RBigToe",
    "RSmallToe", "RHeel",
]
# fmt: on


def _camera(**changes: str) -> str:
    """A landscape camera at (1, 2, 3) m that looks along world +y, Qualisys axes x right, y up, z backwards."""
    values = {
        "head": 'active="1" serial="26580" model="Miqus Video" viewrotation="90"',
        "window": '<fov_video left="0" top="0" right="1919" bottom="1087"/>',
        "pose": '<transform x="1000" y="2000" z="3000" r11="1" r12="0" r13="0" r21="0" r22="0" r23="1" '
        'r31="0" r32="-1" r33="0"/>',
        "lens": '<intrinsic sensorMinU="0" sensorMaxU="122879" focalLengthU="64000" focalLengthV="128000" '
        'centerPointU="60800" centerPointV="32000" skew="0" radialDistortion1="-0.04" radialDistortion2="0.13" '
        'radialDistortion3="0.01" tangentalDistortion1="0.002" tangentalDistortion2="-0.003"/>',
        **changes,
    }
    return "<camera {head}>{window}{pose}{lens}</camera>".format(**values)


def _file(tmp_path: Path, *cameras: str) -> Path:
    path = tmp_path / "calib.qca.txt"
    path.write_text(f"<calibration><cameras>{''.join(cameras)}</cameras></calibration>", encoding="utf-8")
    return path


def test_units_axes_and_coefficients(tmp_path: Path) -> None:
    camera = read_calibration(_file(tmp_path, _camera())).cameras[0]
    lens = camera.intrinsics
    assert (camera.name, lens.image_size) == ("26580", (1920, 1088))
    np.testing.assert_allclose(lens.K, [[1000, 0, 950], [0, 2000, 500], [0, 0, 1]])
    np.testing.assert_allclose(lens.distortion, [-0.04, 0.13, 0.002, -0.003, 0.01])
    np.testing.assert_allclose(camera.center, [1, 2, 3])
    straight_ahead, right, up = np.array([1.0, 5, 3]), np.array([1.1, 5, 3]), np.array([1.0, 5, 3.1])
    np.testing.assert_allclose(camera.project(straight_ahead), [950, 500], atol=1e-9)
    assert camera.project(right)[0] > 980
    assert camera.project(up)[1] < 440
    assert np.isnan(camera.project(np.array([1.0, 1, 3]))).all()


def test_a_window_of_the_sensor_moves_the_centre(tmp_path: Path) -> None:
    window = '<fov_video left="100" top="40" right="1379" bottom="759"/>'
    lens = read_calibration(_file(tmp_path, _camera(window=window))).cameras[0].intrinsics
    assert lens.image_size == (1280, 720)
    np.testing.assert_allclose(lens.K[:2, 2], [850, 460])


def test_marker_cameras_and_inactive_ones_are_left_out(tmp_path: Path) -> None:
    marker = _camera(head='active="1" serial="1" model="Miqus M3"')
    idle = _camera(head='active="0" serial="2" model="Miqus Video"')
    under_water = _camera(head='active="1" serial="3" model="Miqus Video UnderWater"')
    assert read_calibration(_file(tmp_path, marker, idle, under_water, _camera())).names == ("3", "26580")
    with pytest.raises(CalibrationError, match="has no active video camera: its models are Miqus M3, Miqus Video"):
        read_calibration(_file(tmp_path, marker, idle))
    with pytest.raises(CalibrationError, match="it has no <camera> at all"):
        read_calibration(_file(tmp_path), "qualisys")


LENS = _camera().split("/>", 2)[2].removesuffix("</camera>")
MALFORMED = {
    "no lens": ({"lens": ""}, "camera '26580': <intrinsic> is missing"),
    "no pose": ({"pose": ""}, "camera '26580': <transform> is missing"),
    "no window": ({"window": ""}, "camera '26580': <fov_video> is missing"),
    "no focal length": (
        {"lens": LENS.replace("focalLengthU", "focus")},
        "camera '26580': 'focalLengthU' is missing. Its entries are: sensorMinU",
    ),
    "text": (
        {"lens": LENS.replace('"64000"', '"long"')},
        "camera '26580': 'focalLengthU' is not a list of numbers: 'long'",
    ),
    "mirror": (
        {
            "pose": '<transform x="0" y="0" z="0" r11="1" r12="0" r13="0" r21="0" r22="1" r23="0" '
            'r31="0" r32="0" r33="-1"/>'
        },
        "camera '26580': not a rotation matrix",
    ),
    "window": (
        {"window": '<fov_video left="9" top="0" right="8" bottom="1087"/>'},
        "camera '26580': image size 0 x 1088",
    ),
    "no serial": ({"head": 'active="1" model="none"'}, "a <camera> has no serial"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files_are_refused(case: str, tmp_path: Path) -> None:
    changes, message = MALFORMED[case]
    path = _file(tmp_path, _camera(**changes))
    with pytest.raises(CalibrationError) as error:
        read_calibration(path, "qualisys")
    assert str(error.value).startswith(f"{path}: {message}")


def test_twins_bad_xml_and_entities_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"qca\.txt: camera names appear twice: 26580"):
        read_calibration(_file(tmp_path, _camera(), _camera()))
    path = _file(tmp_path, _camera())
    path.write_text(path.read_text().replace("</cameras>", ""))
    with pytest.raises(CalibrationError, match="is not well-formed XML: mismatched tag"):
        read_calibration(path)
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><calibration>&b; focalLengthU</calibration>'
    path.write_text(bomb)
    with pytest.raises(CalibrationError, match="has a document type"):
        read_calibration(path)


def _demo(shared_data: Path) -> Rig:
    return read_calibration(shared_data / DEMO / "Calib.qca.txt")


def test_poses_and_pinholes_are_those_that_pose2sim_derived(shared_data: Path) -> None:
    """Pose2Sim's own conversion of the same file, but for the distortion, which it divides by 64."""
    theirs = read_calibration(shared_data / SESSION / "S00_Calibration/Calib_qualisys.toml")
    for one, other in zip(_demo(shared_data), theirs, strict=True):
        assert one.intrinsics.image_size == other.intrinsics.image_size == (1088, 1920)
        np.testing.assert_allclose(one.intrinsics.K, other.intrinsics.K, atol=1e-6)
        np.testing.assert_allclose(one.intrinsics.distortion, 64 * other.intrinsics.distortion, atol=1e-9)
        # their translations and rotation vectors end after eight decimals
        np.testing.assert_allclose(one.cam_from_world.R, other.cam_from_world.R, atol=2e-8)
        np.testing.assert_allclose(one.cam_from_world.t, other.cam_from_world.t, atol=2e-8)


def test_cameras_stand_around_the_treadmill_and_look_down_at_it(shared_data: Path) -> None:
    for camera in _demo(shared_data):
        assert 1.5 < camera.center[2] < 2.2  # tripods
        assert camera.cam_from_world.R[2, 2] < 0  # forward is downwards
        assert camera.cam_from_world.R[1, 2] < -0.8  # image down is world down: the pictures are upright
        width, height = camera.intrinsics.image_size
        x, y = camera.project(np.array([0.0, 0.0, 1.0]))
        assert 0 < x < width
        assert 0 < y < height


def _reference_points(shared_data: Path) -> tuple[list[str], np.ndarray]:
    """Names and (T, J, 3) world points of the reference TRC, whose (x, y, z) are the world's (y, z, x)."""
    path = next((shared_data / TRIAL / "pose-3d").glob("*_0-100.trc"))
    lines = path.read_text().splitlines()
    names = [name for name in lines[3].split("\t")[2:] if name]
    rows = np.array([[float(v) for v in line.split("\t")[2 : 2 + 3 * len(names)]] for line in lines[5:] if line])
    return names, rows.reshape(len(rows), -1, 3)[..., [2, 0, 1]]


def _detections(shared_data: Path, camera: str, frame: int) -> np.ndarray:
    path = shared_data / TRIAL / "pose-associated" / f"{camera}_json" / f"{camera}.{frame:04d}.json"
    person = json.loads(path.read_text())["people"][0]
    return np.array(person.get("pose_keypoints_2d", [np.nan] * 75)).reshape(25, 3)


def test_reference_joints_land_on_the_man(shared_data: Path) -> None:
    """A flipped axis, transposed rotation or a wrong unit misses by hundreds of pixels; the man is 900 px tall.

    The reference comes from other people's triangulation and reprojects at 8 to 17 px in the four cameras.
    """
    names, points = _reference_points(shared_data)
    rig = _demo(shared_data)
    both = [name for name in names if name in BODY_25B]
    projected = rig.project(points[::10, [names.index(name) for name in both]])
    for camera, px in zip(rig, projected, strict=True):
        seen = np.stack([_detections(shared_data, camera.name, frame) for frame in range(0, 100, 10)])
        seen = seen[:, [BODY_25B.index(name) for name in both]]
        distance = np.linalg.norm(px - seen[..., :2], axis=-1)[seen[..., 2] > 0.4]
        assert np.median(distance) < 20, camera.name
        assert np.quantile(distance, 0.9) < 60, camera.name


def test_views_agree_once_the_principal_points_are_turned_like_the_cameras(shared_data: Path) -> None:
    """The trial's file has them transposed: see `demo_rig`. The reader reports the file; the tests know better."""
    rigs = {"filed": demo_rig_as_filed(shared_data), "turned": demo_rig(shared_data)}
    frames = range(0, 100, 10)
    seen = np.stack([[_detections(shared_data, name, f) for name in rigs["filed"].names] for f in frames])
    seen = np.moveaxis(seen, 1, -2)
    trusted = seen[..., 2] > 0.5
    px, weight = np.where(trusted[..., None], seen[..., :2], np.nan), np.where(trusted, seen[..., 2], 0.0)
    median = {k: np.nanmedian(reprojection_px(rig, triangulate_dlt(rig, px, weight), px)) for k, rig in rigs.items()}
    assert median["turned"] < 8 < 11 < median["filed"]


@pytest.mark.slow
def test_distortion_coefficients_are_not_sixty_fourths(shared_data: Path) -> None:
    """Checkerboard stills of one camera: the coefficients as they stand fit better than a 64th of them or none.

    Only the pose of the board is free, per still. All four cameras together (27 stills): RMS 0.669 px as they stand,
    0.714 px divided by 64, 0.715 px without; a free fit of k1 gives -0.04 to -0.06 for the file's -0.047.
    """
    lens = _demo(shared_data)["cam02"].intrinsics
    board = np.concatenate([np.mgrid[:7, :4].T.reshape(-1, 2) * 0.06, np.zeros((28, 1))], axis=1)
    rms = {}
    corners = []
    for still in ("01", "02", "04", "07"):
        image = cv2.imread(
            str(shared_data / DEMO / f"intrinsics/int_cam02_img/cam02_{still}_int.jpg"), cv2.IMREAD_GRAYSCALE
        )
        found, points = cv2.findChessboardCornersSB(
            image, (7, 4), flags=cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY
        )
        assert found
        corners.append(points.reshape(-1, 2).astype(np.float64))
    for scale in (1.0, 1 / 64, 0.0):
        squares = []
        for points in corners:
            _, r, t = cv2.solvePnP(board, points, lens.K, scale * lens.distortion)
            r, t = cv2.solvePnPRefineLM(board, points, lens.K, scale * lens.distortion, r, t)
            again = cv2.projectPoints(board, r, t, lens.K, scale * lens.distortion)[0].reshape(-1, 2)
            squares.append(((again - points) ** 2).sum(-1))
        rms[scale] = np.sqrt(np.mean(squares))
    assert rms[1.0] < 0.9 * rms[1 / 64] < 0.9 * 1.01 * rms[0.0]
