from __future__ import annotations

import json

import numpy as np

from mocap.core.keypoints import Detections2D, load_keypoint_set
from mocap.io.detections_import import import_detections
from mocap.io.mmpose_json import write_mmpose

COCO = load_keypoint_set("coco17")
HALF_OF_LAST_DIGIT = 0.005 + 1e-9


def two_cameras() -> Detections2D:
    """Camera a: two people in frame 0, one in frame 2; camera b: one in frame 1, one without any keypoint."""
    rng = np.random.default_rng(4)
    frame, camera, track = np.array([0, 0, 2, 1, 1]), np.array([0, 0, 0, 1, 1]), np.array([0, 1, 0, -1, 2])
    xy = rng.uniform(10, 900, (5, 17, 2))
    confidence = rng.uniform(0.2, 0.9, (5, 17))
    xy[1, 3], confidence[1, 3] = np.nan, 0.0
    xy[4], confidence[4] = np.nan, 0.0
    box = np.tile([10.0, 10.0, 900.0, 900.0], (5, 1))
    return Detections2D(("a", "b"), 3, COCO, frame, camera, track, xy, confidence, box, np.full(5, 0.7))


def test_what_is_written_is_what_the_importer_reads(tmp_path):
    want = two_cameras()
    write_mmpose(want, tmp_path, dataset="synthetic")
    got = import_detections(tmp_path, ("a", "b"))
    assert got.keypoint_set.names == COCO.names
    assert got.frame.tolist() == [0, 0, 1, 2]
    kept = want.select(np.array([i for i in range(5) if want.confidence[i].any()]))
    np.testing.assert_allclose(got.xy, kept.xy, atol=HALF_OF_LAST_DIGIT)
    np.testing.assert_allclose(got.confidence, kept.confidence, atol=0.0005 + 1e-9)


def test_people_without_a_track_have_none(tmp_path):
    write_mmpose(two_cameras(), tmp_path, dataset="synthetic")
    frames = json.loads((tmp_path / "b.json").read_text())["instance_info"]
    assert [len(frame["instances"]) for frame in frames] == [0, 1, 0]
    assert "track_id" not in frames[1]["instances"][0]
