from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.evaluation.evaluate_points import LIMBS, NamedPoints, evaluate_points, match_points, side_pairs

FPS = 30.0


def walkers(people: int = 1, seconds: float = 2.0) -> NamedPoints:
    """Twelve limb joints and a nose, each on a smooth path of its own; people 1.5 m apart."""
    rng = np.random.default_rng(4)
    time = np.arange(round(seconds * FPS))[:, None, None, None] / FPS
    names = (*LIMBS, "nose")
    place = rng.uniform(-0.6, 0.6, (1, 1, len(names), 3)) + np.arange(people)[None, :, None, None] * [1.5, 0, 0]
    sway = 0.1 * np.sin(2 * np.pi * (0.7 * time + rng.uniform(0, 1, (1, 1, len(names), 3))))
    return NamedPoints(names, place + sway, FPS, tuple(f"p{q}" for q in range(people)))


def test_headline_joints_are_those_of_every_keypoint_set():
    assert set(LIMBS) == set(load_keypoint_set("blazepose33").body) == set(load_keypoint_set("halpe26").body)


def test_a_shift_of_30_mm_is_an_error_of_30_mm_that_alignment_takes_out():
    truth = walkers()
    report, _ = evaluate_points(replace(truth, xyz=truth.xyz + [0.030, 0, 0]), truth)
    assert report.headline_mm.n == 60 * 12
    for value in (report.headline_mm.mean, report.headline_mm.max, report.headline_mm.median):
        assert value == pytest.approx(30.0, abs=1e-9)
    means = {name: figures.errors_mm.mean for name, figures in report.limbs.alignments.items()}
    assert means.pop("absolute") == pytest.approx(30.0, abs=1e-9)
    assert means == pytest.approx(dict.fromkeys(means, 0.0), abs=1e-9)
    assert report.motion.velocity_error_mm_s.max == pytest.approx(0.0, abs=1e-9)
    assert report.all_points.alignments["absolute"].errors_mm.n == 60 * 13


def test_a_turned_and_enlarged_copy_has_no_procrustes_error():
    truth = walkers()
    R = Rotation.from_rotvec([0.3, -1.1, 2.0]).as_matrix()
    report, _ = evaluate_points(replace(truth, xyz=1.3 * truth.xyz @ R.T + [0.5, -2.0, 0.1]), truth)
    assert (report.headline_mm.mean or 0) > 500
    assert report.limbs.alignments["procrustes"].errors_mm.max == pytest.approx(0.0, abs=1e-9)
    assert (report.limbs.alignments["rigid"].errors_mm.mean or 0) > 50


def test_people_are_matched_whatever_their_order_and_surplus_ones_told():
    truth = walkers(people=2)
    ghost = truth.xyz[:, :1] + [0, 5.0, 0]
    found = replace(truth, xyz=np.concatenate([truth.xyz[:, ::-1] + [0, 0.010, 0], ghost], axis=1))
    report, matched = evaluate_points(found, truth)
    assert matched.tracks.tolist() == [1, 0]
    assert report.headline_mm.mean == pytest.approx(10.0, abs=1e-9)
    assert report.crowd is not None
    near = report.crowd.detection["150"]
    assert (near.matched, near.surplus, near.missed) == (120, 60, 0)


def test_one_person_far_away_is_still_that_person_but_a_missed_one_of_two_is_missing():
    truth = walkers()
    report, _ = evaluate_points(replace(truth, xyz=truth.xyz + [0, 0, 3.0]), truth)
    assert report.headline_mm.mean == pytest.approx(3000.0)
    two = walkers(people=2)
    report, _ = evaluate_points(replace(two, xyz=two.xyz[:, :1]), two)
    assert (report.headline_mm.n, report.headline_mm.missing) == (720, 720)
    nobody, _ = evaluate_points(replace(two, xyz=two.xyz[:, :0]), two)
    assert (nobody.headline_mm.mean, nobody.headline_mm.missing) == (None, 1440)


def test_names_are_matched_and_what_is_not_common_is_listed():
    truth = walkers()
    order = ["left_knee", "extra", "nose", "right_hip"]
    xyz = np.stack([truth.xyz[:, :, truth.names.index(n)] if n != "extra" else np.ones((60, 1, 3)) for n in order], 2)
    report, _ = evaluate_points(NamedPoints(tuple(order), xyz, FPS, ("a",)), truth)
    assert (report.names, report.only_predicted) == (("left_knee", "nose", "right_hip"), ("extra",))
    assert report.headline_names == ("right_hip", "left_knee")
    assert report.headline_mm.max == 0
    assert "left_wrist" in report.only_true


def test_without_common_names_the_sentence_names_some():
    truth = walkers()
    with pytest.raises(InputError, match=r"no point has the same name in both: tail and left_ankle.*rename"):
        match_points(NamedPoints(("tail",), truth.xyz[:, :, :1], FPS, ("a",)), truth)


def test_worst_frames_are_found_apart_from_each_other():
    truth = walkers()
    xyz = np.array(truth.xyz)
    for frame, error_m in ((10, 0.4), (11, 0.5), (40, 0.3)):
        xyz[frame, 0, truth.names.index("left_wrist")] += [0, error_m, 0]
    report, _ = evaluate_points(replace(truth, xyz=xyz), truth)
    first, second = report.worst_frames[:2]
    assert (first.frame, first.worst, second.frame) == (11, "left_wrist", 40)
    assert first.worst_mm == pytest.approx(500)
    assert first.error_mm == pytest.approx(500 / 12)


def test_a_protocol_is_taken_besides():
    truth = walkers()
    report, _ = evaluate_points(replace(truth, xyz=truth.xyz + [0, 0, 0.020]), truth, protocol="human36m")
    assert report.protocol is not None
    assert report.protocol.figures["mpjpe_absolute_mm"] == pytest.approx(20.0)
    with pytest.raises(InputError, match="no protocol 'humaneva'; there are human36m"):
        evaluate_points(truth, truth, protocol="humaneva")


def test_sides_are_told_by_name():
    names = ("left_hip", "right_hip", "mouth_left", "mouth_right", "nose", "LeftArm", "RightArm", "left_ear")
    assert side_pairs(names) == (("left_hip", "right_hip"), ("mouth_left", "mouth_right"), ("LeftArm", "RightArm"))
