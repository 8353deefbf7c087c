from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mocap.core.errors import FileFormatError
from mocap.io.openpose_json import frame_number, read_openpose


def write(folder: Path, name: str, people: list[dict]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(json.dumps({"version": 1.3, "people": people}))
    return path


def person(count: int, start: float = 10.0, *, key: str = "pose_keypoints_2d") -> dict:
    """Keypoint k at (start + k, 2 start + k), confidence 0.5."""
    return {key: [v for k in range(count) for v in (start + k, 2 * start + k, 0.5)]}


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("cam01_000000000012_keypoints.json", 12),
        ("cam02.0080.json", 80),
        ("Static_cam_01.00011.json", 11),
        ("take2_cam3_00007.json", 7),
    ],
)
def test_the_frame_is_the_last_number_of_the_name(name: str, number: int):
    assert frame_number(Path(name)) == number


def test_people_frames_and_holes_are_kept(tmp_path: Path):
    files = [
        write(tmp_path, "c_0005_keypoints.json", [person(25, 10), person(25, 50)]),
        write(tmp_path, "c_0006_keypoints.json", []),
        write(tmp_path, "c_0009_keypoints.json", [person(25, 90)]),
    ]
    people = read_openpose(files)
    assert people.frame.tolist() == [5, 5, 9]
    assert (people.first_frame, people.last_frame) == (5, 9)
    np.testing.assert_array_equal(people.xy[:, 3], [[13, 23], [53, 103], [93, 183]])
    np.testing.assert_array_equal(people.box[0], [10, 20, 34, 44])
    assert people.names == ()


def test_zeros_are_missing_and_overshooting_confidence_is_one(tmp_path: Path):
    table = person(18)
    table["pose_keypoints_2d"][0:3] = [0.0, 0.0, 0.0]
    table["pose_keypoints_2d"][3:6] = [5.0, 6.0, 1.04]
    people = read_openpose([write(tmp_path, "a_0.json", [table])])
    assert np.isnan(people.xy[0, 0]).all()
    assert people.confidence[0, :3].tolist() == [0.0, 1.0, 0.5]


def test_a_person_of_whom_nothing_is_seen_is_left_out(tmp_path: Path):
    nothing = {"pose_keypoints_2d": [0.0] * 75}
    assert len(read_openpose([write(tmp_path, "a_0.json", [nothing, person(25)])]).frame) == 1


def test_hands_and_face_follow_the_body(tmp_path: Path):
    table = person(25) | person(21, 100, key="hand_left_keypoints_2d")
    table |= {"hand_right_keypoints_2d": [], "face_keypoints_2d": []}
    people = read_openpose([write(tmp_path, "a_0.json", [table, person(25, 30)])])
    assert people.n_keypoints == 25 + 21 + 21 + 70
    np.testing.assert_array_equal(people.xy[0, 25], [100, 200])
    assert np.isnan(people.xy[0, 46:]).all()
    assert np.isnan(people.xy[1, 25:]).all()


def test_the_old_name_of_the_body_list_is_known(tmp_path: Path):
    assert read_openpose([write(tmp_path, "a_0.json", [person(18, key="pose_keypoints")])]).n_keypoints == 18


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([{"pose_keypoints_2d": [1.0, 2.0]}], r"people\[0\]\.pose_keypoints_2d: 2 numbers are not triples"),
        ([{}, {"pose_keypoints_2d": "x"}], r"people\[1\]\.pose_keypoints_2d: expected a list, found 'x'"),
        ([{"pose_keypoints_2d": [1, 2, True]}], r"people\[0\]\.pose_keypoints_2d\[2\]: expected a number, found true"),
        ([{"pose_keypoints_2d": [1, 2, 10**400]}], r"people\[0\]\.pose_keypoints_2d: a number too large"),
        (
            [{"hand_left_keypoints_2d": [1.0, 2.0, 0.3]}],
            r"people\[0\]\.hand_left_keypoints_2d: 1 keypoints, expected 21",
        ),
        ([7], r"people\[0\]: expected an object, found 7"),
    ],
)
def test_what_is_wrong_names_the_file_and_the_place(tmp_path: Path, people: list, message: str):
    with pytest.raises(FileFormatError, match=rf"a_0\.json: {message}"):
        read_openpose([write(tmp_path, "a_0.json", people)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"people": [', r"not valid JSON at line 1, column 13"),
        ("[]", "the file: expected an object, found a list of 0"),
        ("{}", "people is missing"),
        ("[" * 100_000, "nested too deeply"),
        ("\xff", "not text in UTF-8"),
        ("9" * 5000, "not usable JSON"),
    ],
)
def test_broken_json_is_told(tmp_path: Path, text: str, message: str):
    path = tmp_path / "a_0.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FileFormatError, match=rf"a_0\.json: .*{message}"):
        read_openpose([path])


def test_two_files_of_one_frame_are_refused(tmp_path: Path):
    files = [write(tmp_path, "camA_1.json", []), write(tmp_path, "camB_1.json", [])]
    with pytest.raises(FileFormatError, match=r"camA_1\.json and camB_1\.json are both frame 1"):
        read_openpose(files)


def test_people_of_two_models_in_one_folder_are_refused(tmp_path: Path):
    files = [write(tmp_path, "a_0.json", [person(25)]), write(tmp_path, "a_1.json", [person(18)])]
    with pytest.raises(FileFormatError, match=r"a_1\.json: pose_keypoints_2d: 18 keypoints, but other files .* 25"):
        read_openpose(files)


def test_a_name_without_a_number_is_refused(tmp_path: Path):
    with pytest.raises(FileFormatError, match="no frame number in the file's name"):
        read_openpose([write(tmp_path, "camera.json", [])])


def test_a_frame_of_absurd_size_is_refused(tmp_path: Path):
    path = tmp_path / "a_0.json"
    with path.open("wb") as file:
        file.truncate(17 * 2**20)
    with pytest.raises(FileFormatError, match="17 MB of JSON; up to 16 are read"):
        read_openpose([path])
