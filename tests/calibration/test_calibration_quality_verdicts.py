"""Verdicts on a calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from calibration_report_worlds import BOARD, FLOOR, LENSES, RIG, aligned, calibrated, drawn, pixels_in_pictures

from calibration import Intrinsics, Rig, RigidTransform, quality_volume
from calibration.bundle_adjustment import bundle_adjust
from calibration.bundle_result import BundleResult
from calibration.extrinsics import CameraEdge, ExtrinsicsReport
from calibration.intrinsics_prior import parameter_names
from calibration.intrinsics_result import IntrinsicsResult
from calibration.observations import BoardObservations
from calibration.quality import CalibrationReport, assess
from calibration.quality_verdicts import judge, limits_mm, limits_px, worst
from calibration.report_html import page
from calibration.synthetic import Seeing, observe_board, waved_board
from calibration.triangulation import triangulate_dlt
from calibration.world_frame import WorldFrame


@pytest.fixture(autouse=True, scope="module")
def coarse_volume():
    """A grid of 25 cm shows the same, sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality_volume, "MOST_POINTS", 600)
        yield


@pytest.fixture(scope="module")
def seen() -> BoardObservations:
    return calibrated().seen


@pytest.fixture(scope="module")
def bundle() -> BundleResult:
    return calibrated().bundle


@pytest.fixture(scope="module")
def report(seen: BoardObservations, bundle: BundleResult) -> CalibrationReport:
    return assess(seen, bundle, {}, held_out=calibrated().held_out, world=FLOOR)


def test_a_good_calibration_is_called_good(report):
    assert report.verdict == "good", report.sentences
    assert report.headline.startswith("Good: corners of the board lie 0.2")
    assert all(camera.verdict == "good" and not camera.reasons for camera in report.cameras)
    assert report.errors.outliers == pytest.approx(0.01 * report.errors.corners, rel=0.5)
    assert report.board.held_out
    assert report.board.mean_mm == pytest.approx(100.0, abs=0.2)
    assert 0.9 < report.board.kept_share <= 1
    assert {(edge.one, edge.two) for edge in report.graph} >= {("cam01", "cam02"), ("cam01", "cam03")}


def test_the_expected_error_is_about_the_one_that_happened(report, bundle):
    points = report.volume.points
    found = triangulate_dlt(bundle.rig, pixels_in_pictures(RIG, points))
    seen = np.isfinite(found).all(axis=-1)
    moved = aligned(found[seen], points[seen]) - points[seen]
    happened = 1e3 * np.median(np.linalg.norm(moved, axis=-1))
    # One draw of some ten numbers that matter (4 cameras' places and directions, less the whole's, and focal lengths),
    # of which the alignment took some more: a factor of two either way is three deviations.
    assert 0.4 < happened / report.volume.median_calibration_mm < 2.0


def test_the_world_changes_places_but_no_error(seen, bundle, report):
    turned = RigidTransform.from_rotvec(np.array([0.1, 0.2, 0.9]), np.array([3.0, -2.0, 1.0]))
    one = assess(seen, bundle, {})
    other = assess(seen, bundle, {}, world=WorldFrame(turned, 1.0, "turned"))
    assert one.solve.world == ""
    for a, b in zip(one.cameras, other.cameras, strict=True):
        np.testing.assert_allclose(turned.apply(a.center_m), b.center_m, atol=1e-9)
        # Uncertainties are with respect to a box along the world's axes, which is another one.
        assert (a.position_std_mm, a.ray_std_mm) == (
            pytest.approx(b.position_std_mm, rel=0.3),
            pytest.approx(b.ray_std_mm, rel=0.6),
        )
    assert report.volume.median_calibration_mm == pytest.approx(other.volume.median_calibration_mm, rel=0.5)


def test_a_world_of_another_scale_scales_errors(seen, bundle):
    one = assess(seen, bundle, {}, world=FLOOR).cameras[0]
    twice = assess(seen, bundle, {}, world=replace(FLOOR, scale=2.0)).cameras[0]
    assert twice.position_std_mm == pytest.approx(2 * one.position_std_mm, rel=0.3)
    np.testing.assert_allclose(twice.center_m, 2 * one.center_m)
    assert twice.rotation_std_deg == pytest.approx(one.rotation_std_deg, rel=0.3)


def test_a_camera_that_contradicts_itself_is_to_be_redone(seen, bundle):
    worse = bundle.residual_px.copy()
    worse[seen.camera == 2] *= 9
    report = assess(seen, replace(bundle, residual_px=worse), {}, world=FLOOR)
    assert report.verdict == "redo"
    assert report.headline.startswith("Redo camera cam03: corners lie 2.")
    assert "film the board slowly" in report.headline
    assert report.sentences[0].startswith("cam03: Corners lie")
    assert [camera.verdict for camera in report.cameras] == ["good", "good", "redo", "good"]


def test_a_lens_that_does_not_fit_is_told(seen, bundle):
    bent = bundle.residual_px.copy()
    mine = seen.camera == 2
    centred = (seen.xy[mine] - [620, 370]) / 640
    bent[mine] += 40.0 * centred * ((centred**2).sum(axis=1, keepdims=True) - 0.15)
    camera = assess(seen, replace(bundle, residual_px=bent), {}, world=FLOOR).camera("cam03")
    assert camera.field.p_value < 0.01
    assert camera.verdict == "usable"
    assert any('choose the lens "rational" or "fisheye"' in reason for reason in camera.reasons)


def test_many_outliers_cost_a_camera_its_verdict(seen, bundle):
    fourth = (seen.camera == 0) & (np.arange(seen.n_corners) % 4 == 0)
    wild = np.where(fourth[:, None], 30.0, bundle.residual_px)
    camera = assess(seen, replace(bundle, residual_px=wild), {}, world=FLOOR).camera("cam01")
    assert camera.verdict == "redo"
    assert "of its corners contradict the others" in camera.reasons[0]
    assert camera.errors.rms_px < 0.5


def test_what_the_solve_left_out_still_counts(seen, bundle):
    fourth = (seen.camera == 0) & (np.arange(seen.n_corners) % 4 == 0)
    worse = np.where(fourth[:, None], 2.5, bundle.residual_px)
    left_out = replace(bundle, residual_px=worse, outlier=bundle.outlier | fourth)
    camera = assess(seen, left_out, {}, world=FLOOR).camera("cam01")
    # A quarter is 3.5 px off: RMS 1.8 px, whatever the solve used.
    assert camera.errors.rms_px == pytest.approx(1.8, abs=0.1)
    assert camera.verdict == "usable"
    assert any(reason.startswith("The solve trusted 74% of its corners") for reason in camera.reasons)


def test_an_uncertain_solution_is_not_good(seen, bundle):
    report = assess(seen, replace(bundle, covariance=6400 * bundle.covariance, converged=False), {}, world=FLOOR)
    assert report.verdict == "redo"
    assert any("Its rays pass by points" in reason for camera in report.cameras for reason in camera.reasons)
    assert any(sentence.startswith("The solution still changed") for sentence in report.sentences)
    assert any(sentence.startswith("Calibration alone puts points") for sentence in report.sentences)


def test_a_camera_that_shares_few_moments_is_told(seen, bundle):
    there = seen.view_camera != 3
    few = there | np.isin(np.arange(seen.n_views), np.flatnonzero(~there)[:6])
    rows = few[seen.view]
    columns = {name: getattr(bundle, name)[rows] for name in ("residual_px", "weight", "outlier")}
    camera = assess(seen.of_views(few), replace(bundle, **columns), {}, world=FLOOR).camera("cam04")
    assert camera.shared_moments <= 6
    assert any(f"at {camera.shared_moments} moments only" in reason for reason in camera.reasons)


def own_lens(camera: str, intrinsics: Intrinsics, verdict: str) -> IntrinsicsResult:
    names = parameter_names(intrinsics)
    return IntrinsicsResult(
        camera, intrinsics, names, np.diag(np.full(len(names), 4.0)), 0.3, 0.2, np.arange(3), {}, {},
        np.ones((8, 8), dtype=int), 1e-3, verdict, ("Add footage: tilt it.",),
    )  # fmt: skip


def test_what_single_cameras_say_counts(seen, bundle):
    own = {"cam01": own_lens("cam01", LENSES[0], "redo"), "cam02": own_lens("cam02", LENSES[1], "good")}
    report = assess(seen, bundle, own, world=FLOOR)
    assert report.camera("cam01").verdict == "usable"
    assert report.camera("cam01").reasons == ("Its own clips do not determine its lens: Add footage: tilt it.",)
    assert report.camera("cam02").verdict == "good"
    assert report.camera("cam01").covered_share == 1.0


def test_focal_lengths_that_the_solve_held_have_the_deviation_of_their_own_calibration(seen, bundle):
    rows = [i for i, (_, name) in enumerate(bundle.parameters) if name in ("rx", "ry", "rz", "x", "y", "z")]
    parameters = tuple(bundle.parameters[i] for i in rows)
    held = replace(bundle, parameters=parameters, covariance=bundle.covariance[np.ix_(rows, rows)])
    report = assess(seen, held, {"cam01": own_lens("cam01", LENSES[0], "good")}, world=FLOOR)
    assert report.camera("cam01").focal_std_px == pytest.approx(np.sqrt(2.0))  # the mean of two with variance 4
    assert np.isnan(report.camera("cam02").focal_std_px)


def test_cameras_that_share_a_lens_are_all_uncertain_of_it(seen, bundle):
    lens = bundle.rig["cam01"].intrinsics
    cameras = tuple(replace(c, intrinsics=lens) if c.name == "cam03" else c for c in bundle.rig)
    rows = [i for i, (n, p) in enumerate(bundle.parameters) if n != "cam03" or p in ("rx", "ry", "rz", "x", "y", "z")]
    shared = replace(
        bundle,
        rig=Rig(cameras),
        parameters=tuple(bundle.parameters[i] for i in rows),
        covariance=bundle.covariance[np.ix_(rows, rows)],
    )
    report = assess(seen, shared, {}, world=FLOOR)
    assert report.camera("cam03").focal_std_px == pytest.approx(report.camera("cam01").focal_std_px)
    assert report.camera("cam01").focal_std_px > 0


def test_pairs_that_the_start_rejected_are_told(seen, bundle):
    edge = CameraEdge(("cam02", "cam01"), 9, 1, 90, 8.0, False, False, 0.1, 0.2, "contradicts the other pairs by 6°")
    start = ExtrinsicsReport((edge,), (RIG.names,), {}, ("Cameras cam02 and cam01 contradict the others.",))
    report = assess(seen, bundle, {}, start, world=FLOOR)
    rejected = [edge for edge in report.graph if not edge.used]
    assert [(e.one, e.two, e.reason) for e in rejected] == [("cam01", "cam02", "contradicts the other pairs by 6°")]
    assert report.sentences[-1] == "Cameras cam02 and cam01 contradict the others."
    assert "edge rejected" in page(report, bundle.rig)


def test_limits_are_shares_of_what_detectors_are_off_by():
    assert limits_px((1280, 720)) == (1.0, 2.0)
    assert limits_px((1080, 1920)) == (1.5, 3.0)
    assert limits_mm() == (5.0, 10.0)
    assert [judge(value, 1.0, 2.0) for value in (1.0, 1.1, 2.1, np.nan)] == ["good", "usable", "redo", "redo"]
    assert worst(["good", "redo", "usable"]) == "redo"
    assert worst([]) == "good"


@pytest.mark.slow
def test_expected_errors_are_honest():
    normalised = []
    for seed in range(20):
        rng = np.random.default_rng(100 + seed)
        motion = waved_board(BOARD.corners, n_moments=60, fps=5, rng=rng)
        seen = observe_board(RIG, motion, BOARD.corners, Seeing(two_sided=True), rng)
        priors = {camera.name: drawn(camera.intrinsics, rng) for camera in RIG}
        start = Rig(tuple(replace(camera, intrinsics=priors[camera.name].intrinsics) for camera in RIG))
        bundle = bundle_adjust(start, motion, seen, priors=priors)
        volume = assess(seen, bundle, {}, world=FLOOR).volume
        found = triangulate_dlt(bundle.rig, pixels_in_pictures(RIG, volume.points))
        both = np.isfinite(found).all(axis=-1)
        error = 1e3 * np.linalg.norm(aligned(found[both], volume.points[both]) - volume.points[both], axis=-1)
        normalised.append(np.mean((error / volume.calibration_mm[both]) ** 2))
    # Mean of 20 means of squares with about ten degrees of freedom each: 1 +- sqrt(2 / 200); five deviations.
    assert 0.5 < np.mean(normalised) < 1.5
