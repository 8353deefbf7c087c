from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocap.core.errors import InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.evaluation.protocols import FIGURES, PROTOCOLS, evaluate_protocol, protocol

HALPE, COCO = load_keypoint_set("halpe26"), load_keypoint_set("coco17")
SETS = ("coco17", "halpe26", "body25", "body25b", "blazepose33", "coco18", "coco_wholebody133")

HUMAN36M = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("pelvis", "spine", "thorax", "head_top"),
    *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck_nose"),
)
"""The order of the published labels; joint 6 is the pelvis."""


def _bodies(seed: int, n_keypoints: int, frames: int = 3, people: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    places = 3.0 * np.arange(people)[:, None, None] * [1.0, 0, 0]
    return rng.normal([0.0, 0.0, 1.0], [0.3, 0.2, 0.5], (frames, people, n_keypoints, 3)) + places


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(
        InputError, match="no protocol 'h36m'; there are human36m, cmu_panoptic, shelf, campus, mpi_inf_3dhp"
    ):
        protocol("h36m")


def test_protocols_are_whole() -> None:
    for name, how in PROTOCOLS.items():
        assert how.name == name
        assert set(how.figures) <= set(FIGURES)
        assert len(set(how.joint_names)) == len(how.joint_names)
        assert how.root is None or how.root in how.joint_names
        assert set(how.counted) <= set(how.joint_names)
        assert {n for limb in how.limbs for n in (*limb.start, *limb.end)} <= set(how.joint_names)
        for joint in how.joints:
            for choice in joint.choices:
                np.testing.assert_allclose(np.sum([np.ones(3) * w for w in choice.terms.values()], 0), 1.0)
    assert protocol("human36m").joint_names == HUMAN36M
    assert [len(PROTOCOLS[n].joints) for n in PROTOCOLS] == [17, 15, 14, 14, 17]
    assert len(protocol("shelf").limbs) == 10
    assert len(protocol("mpi_inf_3dhp").counted) == 14


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("keypoints", SETS)
def test_every_set_is_perfect_against_itself(name: str, keypoints: str) -> None:
    names = load_keypoint_set(keypoints).names
    points = _bodies(1, len(names), people=2)
    report = evaluate_protocol(name, (points, names), (points, names))
    assert set(report.joints) | set(report.absent) == set(protocol(name).joint_names)
    for figure, value in report.figures.items():
        best = {"mm": 0.0, "auc_150": 30 / 31}.get(figure if figure == "auc_150" else figure.rpartition("_")[2], 1.0)
        assert value == pytest.approx(1.0 if figure == "recall_500mm" else best, abs=1e-9), figure
    json.loads(report.model_dump_json())


def test_points_that_have_the_protocol_s_names_stay_as_they_are() -> None:
    points = _bodies(2, 17)
    order = np.random.default_rng(0).permutation(17)
    selected = protocol("human36m").select(points[:, :, order], [HUMAN36M[i] for i in order])
    np.testing.assert_array_equal(selected.points, points)
    assert (selected.approximate, selected.absent) == ((), ())


def test_joints_of_our_own_keypoints() -> None:
    points = _bodies(3, 26)
    selected = protocol("human36m").select(points, HALPE.names)
    assert selected.absent == ()
    assert selected.approximate == ("spine", "thorax", "neck_nose")
    np.testing.assert_array_equal(selected.points[:, :, 6], points[:, :, HALPE.index("hip")])
    np.testing.assert_array_equal(selected.points[:, :, 9], points[:, :, HALPE.index("head")])
    coco = protocol("human36m").select(points[:, :, :17], COCO.names)
    assert coco.absent == ("head_top",)
    hips = points[:, :, [COCO.index("left_hip"), COCO.index("right_hip")]].mean(2)
    np.testing.assert_allclose(coco.points[:, :, 6], hips)
    assert np.isnan(coco.points[:, :, 9]).all()


def test_human36m_absolute_and_relative_to_joint_6() -> None:
    """All joints 30 mm aside, but the pelvis 10 mm: absolute (16·30 + 10)/17. Relative to it all others are off by 20
    and it itself counts with 0: 16·20/17."""
    truth = _bodies(4, 17)
    prediction = truth + [0.03, 0, 0]
    prediction[:, :, 6] = truth[:, :, 6] + [0.01, 0, 0]
    figures = evaluate_protocol("human36m", (prediction, HUMAN36M), (truth, HUMAN36M)).figures
    assert figures["mpjpe_absolute_mm"] == pytest.approx(490 / 17)
    assert figures["mpjpe_relative_mm"] == pytest.approx(320 / 17)
    assert figures["mpjpe_procrustes_mm"] is not None
    assert figures["mpjpe_procrustes_mm"] < 490 / 17


def test_joints_that_one_side_lacks_are_left_out_and_listed() -> None:
    truth = _bodies(5, 26)
    prediction = truth[:, :, :17] + [0.0, 0, 0.02]
    report = evaluate_protocol("human36m", (prediction, COCO.names), (truth, HALPE.names))
    assert report.absent == ("head_top",)
    assert len(report.joints) == 16
    assert "neck_nose" in report.approximate
    exact = [n for n in report.joints if n not in report.approximate]
    assert len(exact) == 13
    without_root = evaluate_protocol("human36m", (truth[:, :, :1], ("nose",)), (truth, HALPE.names))
    assert without_root.joints == ("neck_nose",)
    assert without_root.figures["mpjpe_relative_mm"] is None
    with pytest.raises(InputError, match="none of the joints of shelf is among left_thumb"):
        evaluate_protocol("shelf", (truth[:, :, :1], ("left_thumb",)), (truth, HALPE.names))


def test_mpi_inf_3dhp_counts_fourteen_joints() -> None:
    """Pelvis, spine and head are in the MPJPE, not in the PCK. The pelvis is right, so relative is absolute: wrists are
    off by 200 mm, the spine by 400 mm: PCK 12/14, MPJPE 800/17. AUC: twelve are exact (30 of 31 thresholds)."""
    names = protocol("mpi_inf_3dhp").joint_names
    truth = _bodies(6, 17)
    prediction = truth.copy()
    for joint, error in (("left_wrist", 0.2), ("right_wrist", 0.2), ("spine", 0.4)):
        prediction[:, :, names.index(joint), 1] += error
    figures = evaluate_protocol("mpi_inf_3dhp", (prediction, names), (truth, names)).figures
    assert figures["pck_150"] == pytest.approx(12 / 14)
    assert figures["auc_150"] == pytest.approx(12 * 30 / (14 * 31))
    assert figures["mpjpe_relative_mm"] == pytest.approx(800 / 17)


def test_panoptic_of_two_people_of_whom_one_is_found() -> None:
    """Everything 60 mm aside for one of two: AP 0 at 25 and 50 mm, 1/2 above."""
    truth = _bodies(7, 26, people=2)
    prediction = truth[:, :1] + [0, 0, 0.06]
    figures = evaluate_protocol("cmu_panoptic", (prediction, HALPE.names), (truth, HALPE.names)).figures
    assert [figures[f"ap_{t}"] for t in (25, 50, 75, 150)] == pytest.approx([0, 0, 0.5, 0.5])
    assert (figures["map"], figures["recall_500mm"]) == (pytest.approx(1 / 3), 0.5)
    assert figures["mpjpe_mm"] == pytest.approx(60)


def test_shelf_averages_over_actors() -> None:
    """Two actors; of the second one the right wrist is off by two metres: one of ten parts, half of the lower arms."""
    names = protocol("shelf").joint_names
    truth = _bodies(8, 14, people=2)
    prediction = truth.copy()
    prediction[:, 1, names.index("right_wrist")] += [2.0, 0, 0]
    figures = evaluate_protocol("shelf", (prediction, names), (truth, names)).figures
    assert (figures["pcp_actor_1"], figures["pcp_actor_2"]) == (1.0, 0.9)
    assert figures["pcp_average"] == pytest.approx(0.95)
    assert (figures["pcp_lower_arms"], figures["pcp_torso"]) == (0.75, 1.0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_head_of_shelf_from_coco_as_published(seed: int) -> None:
    """The steps of the published conversion, one by one."""
    points = _bodies(seed, 17, frames=1)
    nose, ear_l, ear_r, sho_l, sho_r = (
        points[0, 0, COCO.index(n)] for n in ("nose", "left_ear", "right_ear", "left_shoulder", "right_shoulder")
    )
    shoulders, ears = (sho_l + sho_r) / 2, (ear_l + ear_r) / 2
    bottom = (shoulders + ears) / 2
    top = bottom + (ears - bottom) * 2
    from_nose_top = shoulders + (nose - shoulders) * np.array([0.75, 0.75, 1.5])
    from_nose_bottom = shoulders + (nose - shoulders) * 0.5
    selected = protocol("shelf").select(points, COCO.names)
    np.testing.assert_allclose(selected.points[0, 0, 12], 0.75 * from_nose_bottom + 0.25 * bottom, atol=1e-12)
    np.testing.assert_allclose(selected.points[0, 0, 13], 0.75 * from_nose_top + 0.25 * top, atol=1e-12)
    assert selected.approximate == ("bottom_head", "top_head")
