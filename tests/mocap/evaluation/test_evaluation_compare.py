"""Ways to triangulate are judged alike: on the same points, by numbers that a known world predicts."""

from __future__ import annotations

import numpy as np
import pytest

from camera_worlds import mixed_rig
from heatmap_worlds import KEYPOINTS, seen_by, walker
from mocap.core.errors import ConfigError, InputError
from mocap.core.keypoints import Keypoints3D
from mocap.evaluation.compare import MethodPoints, compare_methods, methods_of, triangulate_by
from mocap.evaluation.compare_report import comparison_table
from mocap.stages.triangulate import METHODS, TriangulateConfig
from truth_worlds import small_truth

RIG = mixed_rig()
FRAMES = 8
LIMB_JOINTS = 12


def points_of(xyz: np.ndarray) -> Keypoints3D:
    """(T, J, 3) of one person."""
    there = np.isfinite(xyz[:, None, :, 0])
    return Keypoints3D(
        KEYPOINTS, xyz[:, None], there.astype(float), np.where(there, 0.0, np.nan), 5 * there.astype(np.int64), 30.0
    )


def made(xyz: np.ndarray, used: str = "one") -> MethodPoints:
    return MethodPoints(points_of(xyz), used, 0.4)


def test_exact_views_are_judged_exact_by_every_method_that_needs_no_weights():
    xyz = walker(FRAMES)
    views = seen_by(RIG, xyz)
    found = triangulate_by(("dlt", "ransac", "robust"), views, RIG, TriangulateConfig())
    report, evidence = compare_methods(found, views, RIG)
    assert tuple(report.methods) == ("dlt", "ransac", "robust")
    assert (report.points, report.of, report.of_truth) == (FRAMES * LIMB_JOINTS, FRAMES * LIMB_JOINTS, None)
    for method, figures in report.methods.items():
        assert figures.used.startswith(method)
        assert figures.reprojection_p95_px is not None
        assert figures.reprojection_p95_px < 0.05
        assert figures.limb_variation == pytest.approx(report.methods["dlt"].limb_variation, abs=1e-4)
        assert figures.missing == 0
        assert figures.mpjpe_mm is None
        assert figures.ms_per_frame > 0
        assert len(evidence[method].reprojection_px) == FRAMES * LIMB_JOINTS * len(RIG)


def test_only_points_that_every_method_has_count_and_what_one_lacks_is_told():
    """One method is perfect but lacks a wrist, the other has it 1 m off: neither gains or loses by it."""
    xyz = walker(FRAMES)
    wrist = KEYPOINTS.index("left_wrist")
    shy, bold = xyz.copy(), xyz.copy()
    shy[2:4, wrist] = np.nan
    bold[2:4, wrist] += 1.0
    report, _ = compare_methods({"dlt": made(shy), "ransac": made(bold)}, seen_by(RIG, xyz), RIG)
    first, second = report.methods["dlt"], report.methods["ransac"]
    assert (report.points, report.of) == (FRAMES * LIMB_JOINTS - 2, FRAMES * LIMB_JOINTS)
    assert (first.missing, second.missing) == (pytest.approx(2 / report.of), 0)
    assert first.model_dump(exclude={"missing"}) == second.model_dump(exclude={"missing"})


def test_errors_against_the_truth_are_those_that_were_made():
    truth = small_truth(seconds=0.5)
    xyz = truth.keypoints_m[:, 0]
    views = seen_by(truth.rig, xyz)
    off = xyz + np.array([0.02, 0.0, 0.0])
    report, evidence = compare_methods(
        {"dlt": made(off), "robust": made(xyz, "robust (cauchy)")}, views, truth.rig, truth=truth
    )
    assert report.methods["dlt"].mpjpe_mm == pytest.approx(20.0, abs=1e-6)
    assert report.methods["dlt"].pck_50mm == 1.0
    assert report.methods["robust"].mpjpe_mm == pytest.approx(0.0, abs=1e-6)
    assert report.of_truth == len(xyz) * LIMB_JOINTS == len(evidence["dlt"].errors_mm)
    assert report.methods["dlt"].limb_variation == pytest.approx(report.methods["robust"].limb_variation)
    assert report.methods["dlt"].jitter_m_s3 == pytest.approx(report.methods["robust"].jitter_m_s3)
    titles = [column.header for column in comparison_table(report).columns]
    assert "MPJPE\nmm" in titles


def test_noise_shows_in_limbs_and_jitter():
    """Both grow in proportion to the noise: ten times within the spread of their estimates from 8 frames."""
    xyz, rng = walker(40), np.random.default_rng(0)
    noise = rng.normal(0, 1, xyz.shape)
    still = np.broadcast_to(xyz[0], xyz.shape)
    found = {"dlt": made(still + 0.001 * noise), "ransac": made(still + 0.01 * noise)}
    report, _ = compare_methods(found, seen_by(RIG, xyz), RIG)
    small, large = report.methods["dlt"], report.methods["ransac"]
    assert small.limb_variation is not None
    assert small.jitter_m_s3 is not None
    assert large.limb_variation == pytest.approx(10 * small.limb_variation, rel=0.05)
    assert large.jitter_m_s3 == pytest.approx(10 * small.jitter_m_s3, rel=1e-6)
    assert small.jitter_m_s3 == pytest.approx(7.1 * 0.001 * 30**3, rel=0.05)


def test_methods_are_named_once_in_one_order_and_unknown_ones_refused(tmp_path):
    config = TriangulateConfig()
    assert methods_of("robust, dlt,robust", config) == ("dlt", "robust")
    assert set(methods_of("all", config)) <= set(METHODS)
    without = TriangulateConfig.model_validate({"learned": {"weights": tmp_path}})
    assert methods_of("all", without) == ("dlt", "ransac", "robust")
    for wrong in ("dlt,magic", ""):
        with pytest.raises(ConfigError, match="There are dlt, ransac, robust, algebraic, volumetric"):
            methods_of(wrong, config)


def test_nothing_to_compare_is_told():
    views = seen_by(RIG, walker(3))
    with pytest.raises(InputError, match="no methods to compare"):
        compare_methods({}, views, RIG)
