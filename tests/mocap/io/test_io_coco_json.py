from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mocap.core.errors import FileFormatError
from mocap.io.coco_json import image_names, read_coco


def write(tmp_path: Path, value: object) -> Path:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(value))
    return path


def flat(count: int, start: float = 10.0, score: float = 0.5) -> list[float]:
    return [v for k in range(count) for v in (start + k, 2 * start + k, score)]


def result(image: object, start: float = 10.0, **more: object) -> dict:
    return {"image_id": image, "category_id": 1, "keypoints": flat(17, start), "score": 0.9} | more


def test_a_results_list_is_read(tmp_path: Path):
    people = read_coco(write(tmp_path, [result(3, bbox=[4.0, 5.0, 20.0, 30.0]), result(0, 40.0, track_id=7)]))
    assert people.frame.tolist() == [3, 0]
    assert people.track.tolist() == [-1, 7]
    assert people.score.tolist() == [0.9, 0.9]
    np.testing.assert_array_equal(people.xy[1, 2], [42, 82])
    # COCO's edges: x from 4 to 24 where the first pixel spans 0 to 1, so 3.5 to 23.5 where its centre is 0
    np.testing.assert_array_equal(people.box[0], [3.5, 4.5, 23.5, 34.5])
    assert people.first_frame is None
    assert people.last_frame == 3


def test_alphapose_names_its_images_and_overshoots(tmp_path: Path):
    entry = {
        "image_id": "12.jpg",
        "keypoints": flat(26, score=1.2),
        "score": 3.1,
        "box": [1.0, 2.0, 3.0, 4.0],
        "idx": 2,
    }
    people = read_coco(write(tmp_path, [entry]))
    assert (people.frame[0], people.track[0], people.score[0]) == (12, 2, 1.0)
    assert people.confidence.max() == 1.0
    np.testing.assert_array_equal(people.box[0], [0.5, 1.5, 3.5, 5.5])


def dataset(points: list[float], **more: object) -> dict:
    return {
        "images": [{"id": 901, "file_name": "camA/000004.png"}, {"id": 17, "file_name": "camA/000005.png"}],
        "annotations": [
            {"image_id": 17, "keypoints": points, "num_keypoints": 2},
            {"image_id": 17, "bbox": [1, 2, 3, 4]},
        ],
        "categories": [{"name": "person", "keypoints": ["nose", "tip", "tail"], "skeleton": [[1, 2], [2, 3]]}],
    } | more


def test_a_dataset_takes_frames_from_file_names_and_names_from_categories(tmp_path: Path):
    people = read_coco(write(tmp_path, dataset([1.0, 2.0, 2, 3.0, 4.0, 1, 0.0, 0.0, 0])))
    assert people.frame.tolist() == [5]
    assert (people.first_frame, people.last_frame) == (4, 5)
    assert people.names == ("nose", "tip", "tail")
    assert people.edges == (("nose", "tip"), ("tip", "tail"))
    assert people.confidence[0].tolist() == [1.0, 0.5, 0.0]
    assert np.isnan(people.xy[0, 2]).all()


def test_scores_in_a_dataset_stay_scores(tmp_path: Path):
    people = read_coco(write(tmp_path, dataset([1.0, 2.0, 0.7, 3.0, 4.0, 1.0, 5.0, 6.0, 0.1])))
    assert people.confidence[0].tolist() == [0.7, 1.0, 0.1]


def test_one_cameras_images_are_picked(tmp_path: Path):
    entries = [result("camA/0001.png"), result("camB/0001.png", 30.0), result("camB/0002.png", 50.0)]
    path = write(tmp_path, entries)
    assert image_names(path) == ("camA/0001.png", "camB/0001.png", "camB/0002.png")
    people = read_coco(path, lambda name: "camB" in name)
    assert people.frame.tolist() == [1, 2]
    assert people.xy[:, 0, 0].tolist() == [30.0, 50.0]


def mmpose_frame(number: int, people: list[dict]) -> dict:
    return {"frame_id": number, "instances": people}


def instance(start: float, **more: object) -> dict:
    pairs = [[start + k, 2 * start + k] for k in range(17)]
    return {"keypoints": pairs, "keypoint_scores": [0.25] * 17} | more


@pytest.mark.parametrize("wrapped", [True, False])
def test_mmpose_predictions_are_read(tmp_path: Path, wrapped: bool):
    frames = [
        mmpose_frame(1, [instance(10, bbox=[[1.0, 2.0, 3.0, 4.0]], bbox_score=0.8), instance(20)]),
        mmpose_frame(2, []),
    ]
    meta = {"keypoint_id2name": {str(k): f"p{k}" for k in range(17)}, "skeleton_links": [[0, 1]]}
    people = read_coco(write(tmp_path, {"meta_info": meta, "instance_info": frames} if wrapped else frames))
    assert people.frame.tolist() == [1, 1]
    assert (people.first_frame, people.last_frame) == (1, 2)
    assert people.score.tolist() == [0.8, 0.25]
    np.testing.assert_array_equal(people.box, [[1, 2, 3, 4], [20, 40, 36, 56]])
    assert people.names == (tuple(f"p{k}" for k in range(17)) if wrapped else ())
    assert people.edges == ((("p0", "p1"),) if wrapped else ())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": 1}, r"not a COCO results list, a COCO dataset or MMPose's predictions\. Expected"),
        ([result(3), 4], r"\[1\]: expected an object, found 4"),
        ([result(None)], r"\[0\]\.image_id: no frame number in null"),
        ([result("cam.png")], r"\[0\]\.image_id: no frame number in 'cam\.png'"),
        ([result(-1)], r"\[0\]\.image_id: no frame number in -1"),
        ([{"image_id": 1}], r"\[0\]\.keypoints is missing"),
        ([{"image_id": 1, "keypoints": [1, 2]}], r"\[0\]\.keypoints: 2 numbers are not triples"),
        ([result(1, bbox=[1, 2])], r"\[0\]\.bbox: 2 numbers, expected 4"),
        ([result(1), {"image_id": 2, "keypoints": [1, 2, 0.5]}], "people with 1 and 17 keypoints in one file"),
        (
            dataset([1, 2, 2], annotations=[{"image_id": 5, "keypoints": []}]),
            r"annotations\[0\]\.image_id: 5 is not among",
        ),
        (dataset([1, 2, 2]), "categories name 3 keypoints, annotations have 1"),
        (
            dataset([], images=[{"id": 1, "file_name": "a/1.png"}, {"id": 2, "file_name": "b/1.png"}]),
            "same frame number",
        ),
        ([mmpose_frame(0, [{"keypoints": [[1, 2, 3]], "keypoint_scores": [1]}])], r"keypoints\[0\]: 3 numbers, .*3D"),
        ([mmpose_frame(0, [instance(1, keypoint_scores=[1])])], r"17 keypoints but 1 keypoint_scores"),
        ([mmpose_frame(0, []), mmpose_frame(0, [])], "a frame_id stands in the list twice"),
    ],
)
def test_what_is_wrong_names_the_place(tmp_path: Path, value: object, message: str):
    with pytest.raises(FileFormatError, match=rf"results\.json: .*{message}"):
        read_coco(write(tmp_path, value))


def test_an_empty_list_is_a_take_with_nobody(tmp_path: Path):
    people = read_coco(write(tmp_path, []))
    assert len(people.frame) == 0
