"""Learned methods on takes: untrained networks, which believe what agrees, so that exact views give exact points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from camera_worlds import mixed_rig
from heatmap_worlds import KEYPOINTS, DrawnHeatmaps, seen_by, walker
from mocap.core.errors import ConfigError
from mocap.core.keypoints import Keypoints2D, KeypointSet
from mocap.models.heatmap_volumes import HeatmapVolumeConfig, HeatmapVolumeNet
from mocap.models.learned_triangulation import LearnedConfig
from mocap.models.shipped import write_shipped
from mocap.models.view_confidences import ViewConfidenceConfig, ViewConfidenceNet
from mocap.stages.triangulate import Evidence, TriangulateConfig, TriangulateReport, triangulate

RIG = mixed_rig()
FRAMES = 6
SMALL = ViewConfidenceConfig(width=16, heads=2, blocks=1)


@pytest.fixture(scope="module")
def xyz() -> np.ndarray:
    return walker(FRAMES)


@pytest.fixture(scope="module")
def points(xyz) -> Keypoints2D:
    return seen_by(RIG, xyz)


@pytest.fixture(scope="module")
def algebraic() -> ViewConfidenceNet:
    torch.manual_seed(0)
    return ViewConfidenceNet(SMALL)


@pytest.fixture(scope="module")
def volumetric() -> HeatmapVolumeNet:
    torch.manual_seed(0)
    return HeatmapVolumeNet(HeatmapVolumeConfig(width=16, heads=2, layers=1, view_width=16))


def run(points: Keypoints2D, net, heatmaps=None, **learned) -> tuple[np.ndarray, TriangulateReport]:
    method = "algebraic" if isinstance(net, ViewConfidenceNet) else "volumetric"
    config = TriangulateConfig.model_validate({"method": method, "learned": learned})
    found, report = triangulate(points, RIG, config, Evidence(heatmaps, net))
    assert ((found.confidence > 0) == np.isfinite(found.xyz).all(-1)).all()
    return found.xyz, report


def holed(points: Keypoints2D, missing: np.ndarray) -> Keypoints2D:
    """missing: of (T, P, C, J)."""
    xy = np.where(missing[..., None], np.nan, points.xy)
    return replace(points, xy=xy, confidence=np.where(missing, 0.0, points.confidence))


def test_weighing_exact_views_gives_exact_points_through_every_lens(xyz, points, algebraic):
    found, report = run(points, algebraic)
    np.testing.assert_allclose(found[:, 0], xyz, atol=1e-6)
    assert report.method == "algebraic"
    assert report.learned is not None
    assert (report.learned.asked, report.learned.points) == (FRAMES, FRAMES * len(KEYPOINTS))
    assert report.learned.points_from_robust == 0
    assert report.sentences == ()


def test_heatmaps_lead_to_points_through_every_lens(xyz, points, volumetric):
    """Drawn peaks of 1.5 cells of 25 to 40 mm are measured to a few hundredths of a cell; half floats keep 1/2048."""
    found, report = run(points, volumetric, DrawnHeatmaps(points, []))
    assert np.linalg.norm(found[:, 0] - xyz, axis=-1).max() < 0.01
    assert report.method == "volumetric"
    assert report.learned is not None
    assert report.learned.points == FRAMES * len(KEYPOINTS)


@pytest.mark.parametrize("kind", ["algebraic", "volumetric"])
def test_batches_bound_what_is_read_at_once_and_change_nothing(kind, points, request):
    net = request.getfixturevalue(kind)
    one, few = DrawnHeatmaps(points, []), DrawnHeatmaps(points, [])
    whole, _ = run(points, net, one, batch_people=64)
    parts, _ = run(points, net, few, batch_people=2)
    # The network works in single precision, within 3 m of a person: 1e-7 x 3 m x some hundred roundings.
    np.testing.assert_allclose(parts, whole, atol=5e-5)
    assert [len(frames) for frames in one.asked] == [FRAMES]
    assert [len(frames) for frames in few.asked] == [2, 2, 2]


def test_shapes_of_heatmaps_are_looked_at_where_there_are_any(xyz, points, algebraic):
    source = DrawnHeatmaps(points, [])
    found, _ = run(points, algebraic, source)
    np.testing.assert_allclose(found[:, 0], xyz, atol=1e-6)
    assert source.asked


def test_where_it_cannot_be_asked_the_robust_points_stand_and_it_is_told(xyz, points, volumetric):
    missing = np.zeros(points.confidence.shape, dtype=bool)
    missing[1, :, 1:] = True
    missing[2, :, :, 3:] = True
    poor = holed(points, missing)
    found, report = run(poor, volumetric, DrawnHeatmaps(poor, []))
    assert np.isnan(found[1]).all(), "one view"
    np.testing.assert_allclose(found[2, 0, :3], xyz[2, :3], atol=1e-4)
    assert report.learned is not None
    assert (report.learned.asked, report.learned.few_views, report.learned.no_place) == (FRAMES - 2, 1, 1)
    assert report.sentences[-1] == (
        "in 2 of 6 frames the volumetric method was not used: fewer than two views show the subject (1), "
        "nobody knows roughly where the subject is (1)"
    )


def test_tiny_people_are_left_to_the_robust_method(xyz, points, algebraic):
    found, report = run(points, algebraic, min_person_px=5000.0)
    np.testing.assert_allclose(found[:, 0], xyz, atol=1e-4)
    assert report.learned is not None
    assert (report.learned.asked, report.learned.small, report.learned.points) == (0, FRAMES, 0)
    assert "the subject is too small in all views but one (6)" in report.sentences[-1]


@pytest.mark.parametrize("kind", ["algebraic", "volumetric"])
def test_points_outside_the_cube_are_not_believed_and_it_is_told(kind, xyz, points, request):
    """A cube of 20 cm about a person: hardly a point lies within."""
    found, report = run(points, request.getfixturevalue(kind), DrawnHeatmaps(points, []), cube_side_m=0.2)
    np.testing.assert_allclose(found[:, 0], xyz, atol=1e-4)
    assert report.learned is not None
    assert (report.learned.asked, report.learned.outside, report.learned.points) == (0, FRAMES, 0)
    assert "it puts the subject outside the cube around it (6)" in report.sentences[-1]


def test_bones_keep_their_lengths_where_a_take_is_long_enough_to_know_them(algebraic):
    """Twenty moments with 3 px of noise: lengths vary less by far, errors do not grow, and 0 changes nothing."""
    xyz = walker(20)
    clean = seen_by(RIG, xyz)
    noise = np.random.default_rng(2).normal(0, 3, clean.xy.shape)
    noisy = replace(clean, xy=clean.xy + noise)
    alone, _ = run(noisy, algebraic, length_give=0.0)
    settled, _ = run(noisy, algebraic)
    thigh = [KEYPOINTS.index("left_hip"), KEYPOINTS.index("left_knee")]

    def variation(found: np.ndarray) -> float:
        return float(np.linalg.norm(found[:, 0, thigh[0]] - found[:, 0, thigh[1]], axis=-1).std())

    assert variation(settled) < 0.5 * variation(alone)
    legs = [KEYPOINTS.index(f"{side}_{name}") for side in ("left", "right") for name in ("hip", "knee", "ankle")]
    error = [np.linalg.norm(found[:, 0, legs] - xyz[:, legs], axis=-1).mean() for found in (settled, alone)]
    assert error[0] < error[1]


def test_a_view_without_heatmaps_is_done_without(xyz, points, volumetric):
    missing = np.zeros(points.confidence.shape, dtype=bool)
    missing[:, :, 0] = True
    heatmaps = DrawnHeatmaps(holed(points, missing), [])
    found, report = run(points, volumetric, heatmaps)
    assert np.linalg.norm(found[:, 0] - xyz, axis=-1).max() < 0.01
    assert report.learned is not None
    assert report.learned.few_views == 0


def test_without_heatmaps_the_volumetric_method_says_so_and_the_robust_one_is_used(points, volumetric):
    found, report = run(points, volumetric)
    robust, _ = triangulate(points, RIG, TriangulateConfig())
    np.testing.assert_array_equal(found, robust.xyz)
    assert report.method == "robust (cauchy)"
    assert report.sentences[-1].startswith("the volumetric method was not used, the robust one was: there are no heat")


def test_other_keypoints_than_those_of_the_training_are_left_to_the_robust_method(points, algebraic):
    names = ("snout", *KEYPOINTS.names[1:])
    other = KeypointSet("somebody_elses", names, (), (), KEYPOINTS.body)
    found, report = run(replace(points, keypoint_set=other), algebraic)
    assert report.method == "robust (cauchy)"
    assert "it knows the keypoints of blazepose33, and these are those of somebody_elses" in report.sentences[-1]
    assert np.isfinite(found).all()


def test_confident_points_stand_where_views_disagree(points, algebraic):
    """One view only is right within the limit: the robust method drops such points, a sure network keeps its own."""
    rng = np.random.default_rng(0)
    xy = points.xy + rng.normal(0, 400, points.xy.shape)
    far = replace(points, xy=xy)
    doubtful, _ = run(far, algebraic, min_confidence=1.0, cube_side_m=1000.0)
    sure, report = run(far, algebraic, min_confidence=0.0, cube_side_m=1000.0)
    there, here = np.isfinite(sure[..., 0]), np.isfinite(doubtful[..., 0])
    assert here.sum() < 0.9 * there.sum()
    assert there[here].all()
    assert report.learned is not None
    assert report.learned.points == report.learned.asked * len(KEYPOINTS)


def test_weights_come_from_a_folder_and_their_absence_is_told(tmp_path, xyz, points, algebraic):
    config = TriangulateConfig(method="algebraic", learned=LearnedConfig(weights=tmp_path))
    with pytest.raises(ConfigError, match=r"no weights for the algebraic method \(algebraic_blazepose\.safetensors\)"):
        triangulate(points, RIG, config)
    write_shipped("algebraic_blazepose", algebraic, SMALL, folder=tmp_path)
    found, report = triangulate(points, RIG, config)
    np.testing.assert_allclose(found.xyz[:, 0], xyz, atol=1e-6)
    assert report.method == "algebraic"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(points, algebraic):
    with pytest.raises(ConfigError, match="no GPU that torch can use"):
        run(points, algebraic, device="cuda")
