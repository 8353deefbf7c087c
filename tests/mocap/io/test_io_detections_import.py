from __future__ import annotations

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from calibration.formats import read_calibration
from mocap.core.errors import FileFormatError, InputError
from mocap.core.keypoint_names import our_names
from mocap.core.keypoints import load_keypoint_set
from mocap.io.detections_import import ImportConfig, import_detections, names_camera, recognise

FILES = Path(__file__).parent / "foreign_2d"
CAMERAS = ("cam1", "cam2", "cam10")
TRIAL = "pose2sim/v0.7dev_a948c205/S00_Demo_Session"


def coco_person(start: float) -> list[float]:
    return [v for k in range(17) for v in (start + k, 2 * start + k, 0.5)]


def openpose_take(root: Path, *, first: int = 0, folder: str = "{camera}_json") -> Path:
    """Three cameras, frames 0, 1, 3; camera number c sees c + 1 people at x = 1000 c + 100 person + frame."""
    for c, camera in enumerate(CAMERAS):
        place = root / folder.format(camera=camera)
        place.mkdir(parents=True, exist_ok=True)
        for frame in (0, 1, 3):
            people = [{"pose_keypoints_2d": coco_person(1000 * c + 100 * p + frame + 1)} for p in range(c + 1)]
            path = place / f"{camera}_{frame + first:04d}_keypoints.json"
            path.write_text(json.dumps({"people": people}))
    return root


def assert_is_openpose_take(detections) -> None:
    assert detections.cameras == CAMERAS
    assert detections.n_frames == 4
    assert detections.keypoint_set.name == "coco17"
    assert len(detections) == 3 * (1 + 2 + 3)
    for row in range(len(detections)):
        x = detections.xy[row, 0, 0] - detections.frame[row] - 1
        assert x // 1000 == detections.camera[row]
        assert x % 1000 in (0, 100, 200)


@pytest.mark.parametrize("folder", ["{camera}_json", "{camera}", "take-{camera}", "."])
@pytest.mark.parametrize("first", [0, 17])
def test_openpose_folders_find_their_camera(tmp_path: Path, folder: str, first: int):
    assert_is_openpose_take(import_detections(openpose_take(tmp_path, first=first, folder=folder), CAMERAS))


def test_a_mapping_names_folders_of_any_name(tmp_path: Path):
    openpose_take(tmp_path)
    mapping = {camera: tmp_path / f"{camera}_json" for camera in CAMERAS}
    assert_is_openpose_take(import_detections(mapping, CAMERAS, format="openpose"))


def test_a_take_may_begin_within_the_files(tmp_path: Path):
    openpose_take(tmp_path, first=5)
    detections = import_detections(tmp_path, CAMERAS, n_frames=10, config=ImportConfig(first_frame=3))
    assert sorted(set(detections.frame)) == [2, 3, 5]
    assert detections.n_frames == 10


def test_people_behind_the_takes_end_are_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    detections = import_detections(openpose_take(tmp_path), CAMERAS, n_frames=3)
    assert detections.n_frames == 3
    assert set(detections.frame) == {0, 1}
    assert "cam10_json: 3 people after the last frame of the take are left out" in caplog.text


@pytest.mark.parametrize(("first", "n_frames", "worst", "last"), [(1, 9, 0, 9), (-20, 10, 3, -11)])
def test_frames_that_do_not_belong_to_the_take_are_refused(
    tmp_path: Path, first: int, n_frames: int, worst: int, last: int
):
    message = rf"cam1_json: someone is in frame {worst}, but the take goes from {first} to {last} .*Set first_frame"
    with pytest.raises(InputError, match=message):
        import_detections(openpose_take(tmp_path), CAMERAS, n_frames=n_frames, config=ImportConfig(first_frame=first))


@pytest.mark.parametrize(
    ("name", "camera", "speaks"),
    [
        ("cam1_json", "cam1", True),
        ("cam10_json", "cam1", False),
        ("xcam1_json", "cam1", False),
        ("take2-Cam1.json", "cam1", True),
        ("cam1DLC_resnet50_demo.h5", "cam1", True),
        ("cam10DLC_resnet50_demo.h5", "cam1", False),
        ("labels.v001.000_cam.a.analysis.h5", "cam.a", True),
        ("labels.v001.000_camxa.analysis.h5", "cam.a", False),
    ],
)
def test_names_speak_of_a_camera_as_a_whole_word(name: str, camera: str, speaks: bool):
    assert names_camera(name, camera) is speaks


def h5_take(tmp_path: Path, source: str, name: str) -> Path:
    for camera in CAMERAS:
        shutil.copy(FILES / source, tmp_path / name.format(camera=camera))
    return tmp_path


@pytest.mark.parametrize(
    ("source", "name", "format", "people"),
    [
        ("deeplabcut_single.h5", "{camera}DLC_resnet50_x.h5", "deeplabcut", 1),
        ("deeplabcut_several.h5", "{camera}DLC_resnet50_x.h5", "deeplabcut", 2),
        ("sleap_matlab.h5", "labels.000_{camera}.analysis.h5", "sleap", 2),
    ],
)
def test_h5_files_are_recognised_and_renamed(tmp_path: Path, source: str, name: str, format: str, people: int):
    assert recognise(FILES / source) == format
    detections = import_detections(
        h5_take(tmp_path, source, name), CAMERAS, config=ImportConfig(keypoint_names={"tail": "hip"})
    )
    assert detections.keypoint_set.names == ("nose", "left_shoulder", "right_wrist", "hip")
    assert detections.n_frames == 5
    assert len(detections) == 3 * 4 * people
    row = np.flatnonzero((detections.frame == 4) & (detections.camera == 2))[0]
    np.testing.assert_array_equal(detections.xy[row], [[400, 400.5], [401, 401.5], [402, 402.5], [403, 403.5]])


def test_cameras_whose_files_order_names_otherwise_are_brought_together(tmp_path: Path):
    orders = {"a": ["nose", "left_hip"], "b": ["left_hip", "nose"]}
    for camera, names in orders.items():
        value = {
            "images": [{"id": 1, "file_name": "0.png"}],
            "annotations": [{"image_id": 1, "keypoints": [v for n in names for v in (len(n), 1.0, 2)]}],
            "categories": [{"keypoints": names}],
        }
        (tmp_path / f"{camera}.json").write_text(json.dumps(value))
    detections = import_detections(tmp_path, ["a", "b"])
    assert detections.keypoint_set.names == ("nose", "left_hip")
    np.testing.assert_array_equal(detections.xy[..., 0], [[4, 8], [4, 8]])


def test_cameras_with_other_keypoints_are_refused(tmp_path: Path):
    for camera, name in (("a", "nose"), ("b", "hip")):
        value = {"images": [{"id": 1, "file_name": "0.png"}], "categories": [{"keypoints": [name]}],
                 "annotations": [{"image_id": 1, "keypoints": [1.0, 2.0, 2]}]}  # fmt: skip
        (tmp_path / f"{camera}.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"b\.json: the cameras disagree about the keypoints hip, nose"):
        import_detections(tmp_path, ["a", "b"])


def test_one_coco_file_holds_all_cameras(tmp_path: Path):
    entries = [
        {"image_id": f"{camera}/{frame:05d}.png", "keypoints": coco_person(100 * c + frame + 1), "score": 0.5}
        for c, camera in enumerate(CAMERAS)
        for frame in (0, 2)
    ]
    path = tmp_path / "everything.json"
    path.write_text(json.dumps(entries))
    detections = import_detections(path, CAMERAS)
    assert detections.camera.tolist() == [0, 1, 2, 0, 1, 2]
    assert detections.frame.tolist() == [0, 0, 0, 2, 2, 2]
    assert detections.xy[:, 0, 0].tolist() == [1, 101, 201, 3, 103, 203]


def test_one_file_without_camera_names_is_refused_for_several(tmp_path: Path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": 1, "keypoints": coco_person(1), "score": 0.5}]))
    with pytest.raises(InputError, match=r"no image of camera 'cam1' in this file; its images are not named"):
        import_detections(path, CAMERAS)
    assert len(import_detections(path, ["cam1"])) == 1


def test_offset_and_least_confidence(tmp_path: Path):
    path = tmp_path / "results.json"
    points = coco_person(1)
    points[2] = 0.2
    path.write_text(json.dumps([{"image_id": 0, "keypoints": points, "bbox": [1, 1, 4, 4]}]))
    config = ImportConfig(pixel_offset=-0.5, min_confidence=0.3)
    detections = import_detections(path, ["cam1"], config=config)
    assert np.isnan(detections.xy[0, 0]).all()
    np.testing.assert_array_equal(detections.xy[0, 1], [1.5, 2.5])
    np.testing.assert_array_equal(detections.box[0], [0, 0, 4, 4])


def test_a_camera_that_sees_nobody_has_no_rows(tmp_path: Path):
    openpose_take(tmp_path)
    for path in (tmp_path / "cam2_json").iterdir():
        path.write_text('{"people": []}')
    detections = import_detections(tmp_path, CAMERAS)
    assert set(detections.camera) == {0, 2}
    assert detections.n_frames == 4


def test_nobody_at_all_is_refused_with_the_reason(tmp_path: Path):
    (tmp_path / "cam1_0000.json").write_text('{"people": []}')
    with pytest.raises(InputError, match="there is nobody in these 2D results"):
        import_detections(tmp_path, ["cam1"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: shutil.rmtree(root / "cam2_json"),
         r"no 2D results for camera 'cam2'; there is cam10_json, cam1_json"),
        (lambda root: shutil.copytree(root / "cam2_json", root / "old_cam2"),
         r"cam2_json, old_cam2 could all be camera 'cam2'"),
        (lambda root: shutil.rmtree(root), "no such file or folder"),
        (lambda root: [p.unlink() for p in (root / "cam2_json").iterdir()], r"cam2_json: no \.json or \.h5 files"),
        (lambda root: (root / "cam2_json" / "cam2_0000_keypoints.json").write_text("[]"),
         r"cam2_json: 3 files \(cam2_0000_keypoints\.json, .*expected one for the whole take"),
        (lambda root: (root / "cam1_json" / "cam1_0000_keypoints.json").write_text('{"x": 1}'),
         "not 2D results of a known format"),
    ],
)  # fmt: skip
def test_what_is_missing_or_doubled_is_told(tmp_path: Path, change, message: str):
    root = openpose_take(tmp_path / "pose")
    change(root)
    with pytest.raises(InputError, match=message):
        import_detections(root, CAMERAS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "vicon"}, "unknown format 'vicon' of 2D results. There are openpose, coco, deeplabcut, sleap"),
        ({"config": ImportConfig(keypoint_set="body25")}, "body25 has 25 keypoints, the files have 17"),
        ({"config": ImportConfig(keypoint_set="body26")}, "no keypoint set 'body26'; there are blazepose33"),
        ({"config": ImportConfig(first_frame=99)}, "no frames between 99 and the last in the files"),
    ],
)
def test_impossible_options_are_told(tmp_path: Path, options: dict, message: str):
    with pytest.raises(InputError, match=message):
        import_detections(openpose_take(tmp_path), CAMERAS, **options)


def test_a_mapping_must_name_every_camera(tmp_path: Path):
    with pytest.raises(InputError, match=r"no 2D results named for cam2, cam10\. Named are cam1"):
        import_detections({"cam1": openpose_take(tmp_path)}, CAMERAS)


def test_files_that_name_their_keypoints_need_no_set(tmp_path: Path):
    root = h5_take(tmp_path, "sleap_matlab.h5", "{camera}.h5")
    with pytest.raises(InputError, match=r"the files name their keypoints \(Nose, LShoulder, right wrist …\)"):
        import_detections(root, CAMERAS, config=ImportConfig(keypoint_set="coco17"))


def test_mapping_to_a_missing_file(tmp_path: Path):
    with pytest.raises(FileFormatError, match=r"nowhere\.json: no such file or folder"):
        import_detections({"cam1": tmp_path / "nowhere.json"}, ["cam1"])


REAL_CAMERAS = ["cam01", "cam02", "cam03", "cam04"]


@pytest.fixture
def trial(shared_data: Path) -> Path:
    return shared_data / TRIAL / "S00_P00_SingleParticipant" / "S00_P00_T01_BalancingTrial"


def test_the_real_trial_is_imported_whole(trial: Path):
    detections = import_detections(trial / "pose", REAL_CAMERAS)
    assert detections.keypoint_set.name == "body25b"
    assert detections.n_frames == 100
    # counted in the files: bystanders in cam01 (one frame with three people) and cam02
    assert np.bincount(detections.camera).tolist() == [201, 200, 100, 100]


def test_the_real_trial_in_the_other_order_is_recognised_as_body25(trial: Path):
    detections = import_detections(trial / "pose", REAL_CAMERAS)
    there, here = load_keypoint_set("body25b"), load_keypoint_set("body25")
    order = [there.index("neck" if n == "hip" else n) for n in here.names]
    xy = np.array(detections.xy[:, order])
    xy[:, here.index("hip")] = (xy[:, here.index("left_hip")] + xy[:, here.index("right_hip")]) / 2
    from mocap.core.keypoint_names import keypoint_set_by_count

    assert keypoint_set_by_count(25, xy).name == "body25"


def read_trc(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Marker names and (T, M, 3) m in the calibration's Z-up world."""
    lines = path.read_text().splitlines()
    names = tuple(n for n in lines[3].split("\t")[2:] if n.strip())
    rows = [[float(v) for v in line.split("\t")[2 : 2 + 3 * len(names)]] for line in lines[5:] if line.strip()]
    return names, np.array(rows).reshape(len(rows), -1, 3)[..., [2, 0, 1]]


def triangulated(rig, detections, cameras: tuple[int, ...], keypoint: int) -> np.ndarray:
    """(T, 3) by the confidence-weighted homogeneous DLT from these cameras; NaN where one misses the point."""
    xy = np.full((detections.n_frames, len(cameras), 2), np.nan)
    weight = np.zeros((detections.n_frames, len(cameras), 1, 1))
    for slot, camera in enumerate(cameras):
        rows = np.flatnonzero(detections.camera == camera)
        xy[detections.frame[rows], slot] = rig.cameras[camera].intrinsics.undistort(detections.xy[rows, keypoint])
        weight[detections.frame[rows], slot, 0, 0] = detections.confidence[rows, keypoint]
    P = rig.projections[list(cameras)]
    equations = weight * (xy[..., None] * P[:, None, 2] - P[:, :2])
    points = np.full((detections.n_frames, 3), np.nan)
    for t in np.flatnonzero(np.isfinite(equations).all((1, 2, 3))):
        homogeneous = np.linalg.svd(equations[t].reshape(-1, 4))[2][-1]
        points[t] = homogeneous[:3] / homogeneous[3]
    return points


def test_imported_keypoints_meet_in_space_where_the_trials_own_result_is(trial: Path, shared_data: Path):
    """Names, order, sides, frames, cameras and pixels at once: the TRC was made from these very detections.

    Pose2Sim leaves out the cameras that disagree, so the nearest pair of cameras is compared: what remains is its
    weighting and its lens model. A wrong frame is 10 mm and more at the wrists, a swapped side 200 mm.
    """
    rig = read_calibration(shared_data / TRIAL / "S00_Calibration" / "Calib.qca.txt")
    detections = import_detections(trial / "pose-associated", REAL_CAMERAS)
    names, truth = read_trc(trial / "pose-3d" / "S00_P00_T01_BalancingTrial_0-100.trc")
    errors_mm = {}
    for marker, name in enumerate(our_names(names, {})):
        keypoint = detections.keypoint_set.index(name)
        subsets = [s for n in (2, 3, 4) for s in combinations(range(4), n)]
        distance = [
            np.linalg.norm(triangulated(rig, detections, s, keypoint) - truth[:, marker], axis=-1) for s in subsets
        ]
        errors_mm[name] = 1000 * float(np.median(np.nanmin(distance, axis=0)))
    assert len(errors_mm) == 21
    assert max(errors_mm.values()) < 5.0, errors_mm
