"""Errors as they were measured: the committed file, what is drawn from it, and that the fit finds what was put in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from camera_worlds import mixed_rig
from mocap.core.errors import ConfigError
from mocap.core.keypoints import load_keypoint_set
from mocap.core.truth import Visibility
from mocap.synthetic.detector_config import DetectorErrors, preset
from mocap.synthetic.detector_errors import detect
from mocap.synthetic.heatmaps import HeatmapConfig, Sighted, make_heatmaps, measured_heatmaps
from mocap.synthetic.measured_errors import (
    COLUMNS,
    STATES,
    bias_px,
    by_state,
    direction_basis,
    measured,
    measured_for,
    measured_from_table,
    neighbours,
    powers,
)
from mocap.synthetic.samples import SampleConfig, Samples
from mocap.synthetic.torso_frames import torso_axes, torso_views
from mocap.synthetic.true_views import views_of
from people_worlds import KEYPOINTS, body

BODY33 = load_keypoint_set("blazepose33")
FOUND = measured("blazepose")
OF_COCO = measured_for("blazepose", KEYPOINTS.names)
RIG = mixed_rig()


def standing(n_frames=6):
    return body(n_frames, start=(0.1, -0.2))[:, None]


def test_the_axes_of_an_upright_torso_are_forward_left_and_up():
    points = np.full((1, 33, 3), np.nan)
    names = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    # Faces -Y as bodies do in the T-pose, so that the left is +X; a torso of 0.5 m.
    points[0, BODY33.indices(names)] = [[0.2, 0, 1.5], [-0.2, 0, 1.5], [0.1, 0, 1.0], [-0.1, 0, 1.0]]
    middle, axes = torso_axes(points, BODY33)
    np.testing.assert_allclose(middle, [[0, 0, 1.25]], atol=1e-12)
    np.testing.assert_allclose(axes[0], 0.5 * np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]), atol=1e-12)


def test_a_step_along_the_torso_is_what_the_camera_shows_of_it():
    points = standing(3)
    views = views_of(points, RIG, KEYPOINTS, fps=30.0)
    assert views.torso is not None
    middle, axes = torso_axes(points, KEYPOINTS)
    step = 0.02  # of a torso: beyond it a lens at 3 m is linear to 1 %
    for axis in range(3):
        shift = np.array([c.project(middle + step * axes[..., axis]) - c.project(middle) for c in RIG])
        expected = np.moveaxis(shift, 0, 2) / step
        found = views.torso.px_from_torso[..., axis]
        scale = np.linalg.norm(views.torso.px_from_torso, axis=(-2, -1)).max()
        np.testing.assert_allclose(found, expected, atol=0.02 * scale)
    np.testing.assert_allclose(np.linalg.norm(views.torso.direction, axis=-1), 1.0)
    np.testing.assert_allclose(views.torso.direction[..., 0], views.facing, atol=0.02)


def test_keypoints_without_a_torso_have_no_torso_views():
    head = replace(KEYPOINTS, names=KEYPOINTS.names[:5], edges=(), mirror_pairs=(), body=())
    assert torso_views(np.zeros((1, 1, 5, 3)), np.ones((1, 1, 3)), head, lambda p: np.zeros((1, 1, 1, 4, 2))) is None
    views = replace(views_of(standing(2), RIG, KEYPOINTS, fps=30.0), torso=None)
    found = detect(views, DetectorErrors(measured="blazepose"), np.random.default_rng(0))
    assert np.isfinite(found.xy[..., 5, 0]).any()


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_the_polynomials_of_a_direction_are_independent_on_the_sphere(degree):
    rng = np.random.default_rng(0)
    direction = rng.standard_normal((400, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    size = (degree + 1) ** 2
    assert len(powers(degree)) == size
    basis = direction_basis(direction, size)
    assert np.linalg.matrix_rank(basis) == size
    np.testing.assert_array_equal(basis[:, 0], 1.0)


def test_neighbours_lie_towards_the_trunk():
    near = neighbours(BODY33.names)
    pairs = {BODY33.names[k]: BODY33.names[n] for k, n in enumerate(near) if n != k}
    assert pairs["left_wrist"] == "left_elbow"
    assert pairs["right_big_toe"] == "right_heel"
    assert "nose" not in pairs
    assert "left_hip" not in pairs
    assert len(pairs) == 18


def test_the_file_is_of_this_network_and_alike_on_both_sides():
    assert FOUND.names == BODY33.names
    mirror = BODY33.mirror_permutation
    turned = np.array([(-1.0) ** (1 + power[1]) for power in powers(2)])
    flipped = FOUND.offset[mirror] * np.array([-1.0, 1.0, -1.0])[:, None] * turned
    # offset_y is odd, and so are polynomials odd in y; numbers are rounded to 4 decimals.
    np.testing.assert_allclose(FOUND.offset, flipped, atol=2e-4)
    for values in (FOUND.along, FOUND.person, FOUND.view, FOUND.spread, FOUND.confidence):
        np.testing.assert_allclose(values, values[mirror], atol=2e-2 * max(1.0, float(np.abs(values).max())) / 2)
    assert (FOUND.spread > 0).all()
    assert FOUND.spread[:, 0].max() < 0.02
    assert FOUND.spread.max() < 0.2  # points that others hide are guesses
    assert FOUND.provenance["people_in_pictures"] >= 1000
    assert 1 < FOUND.provenance["median_error_percent"] < 2.5


def test_a_table_comes_back_as_it_was():
    again = measured_from_table(FOUND.to_table())
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(again, name), getattr(FOUND, name))


def test_other_keypoint_sets_take_what_they_share():
    coco = measured_for("blazepose", load_keypoint_set("coco17").names)
    k, j = coco.names.index("left_knee"), FOUND.names.index("left_knee")
    np.testing.assert_array_equal(coco.offset[k], FOUND.offset[j])
    foreign = measured_for("blazepose", ("tail", "left_knee"))
    assert (foreign.offset[0] == 0).all()
    np.testing.assert_allclose(foreign.spread[0], FOUND.spread.mean(0))


def test_an_unknown_network_is_refused():
    with pytest.raises(ConfigError, match="no measured errors of 'nobody'"):
        measured("nobody")
    with pytest.raises(ConfigError, match="blazepose_measured"):
        preset("perfect")


def test_reports_lie_off_by_the_measured_offset():
    """Averaged over independent draws: noise of spread s leaves s / sqrt(n), tails widen it by their factor."""
    n = 400
    points = np.repeat(standing(1), n, axis=0)
    given = views_of(points, RIG, KEYPOINTS, fps=0.0)
    given = replace(given, visibility=np.full_like(given.visibility, Visibility.VISIBLE))
    found = detect(given, DetectorErrors(measured="blazepose"), np.random.default_rng(3))
    mean = (found.xy - given.xy).mean(0)
    expected = bias_px(OF_COCO, given.torso, given.xy, np.zeros((1, 1, 1, 17, 3)))[0]
    spread = (found.xy - given.xy).std(0)
    assert (np.abs(mean - expected) < 5 * spread / np.sqrt(n)).all()
    assert np.abs(expected).max() > 1.0


def test_a_body_s_own_offset_is_the_same_point_for_all_cameras():
    """In a take person and view last: errors of two frames differ by noise alone, none of it is left without noise."""
    points = standing(8)
    given = views_of(points, RIG, KEYPOINTS, fps=30.0)
    found = detect(given, DetectorErrors(measured="blazepose"), np.random.default_rng(0))
    own = found.record.bias_px - bias_px(OF_COCO, given.torso, given.xy, np.zeros((1, 1, 1, 17, 3)))
    assert np.abs(np.diff(own, axis=0)).max() < 0.25 * np.abs(own).max()


def test_spread_and_confidence_follow_how_a_point_shows():
    code = np.array([[*STATES, Visibility.OUTSIDE]] * 33).T
    spread = by_state(FOUND.spread, code)
    np.testing.assert_array_equal(spread[:3].T, FOUND.spread)
    np.testing.assert_array_equal(spread[3], FOUND.spread[:, 2])
    given = views_of(np.repeat(standing(1), 200, axis=0), RIG, KEYPOINTS, fps=0.0)
    mean = {}
    for state in STATES[:2]:
        seen = replace(given, visibility=np.full_like(given.visibility, state))
        found = detect(seen, preset("blazepose_measured"), np.random.default_rng(1))
        wrist = [KEYPOINTS.names.index("left_wrist")]
        mean[state] = found.confidence[..., wrist].mean()
    assert mean[Visibility.VISIBLE] > mean[Visibility.HIDDEN_BY_SELF] + 0.2


def test_a_view_s_own_factor_makes_all_its_errors_larger_together():
    given = views_of(np.repeat(standing(1), 3000, axis=0), RIG, KEYPOINTS, fps=0.0)
    found = detect(given, DetectorErrors(noise_px=1.0, view_spread=0.6), np.random.default_rng(0))
    error = np.linalg.norm(found.xy - given.xy, axis=-1)[:, 0]
    level = np.log(np.median(error, axis=-1))
    # A median of 17 Rayleigh lengths varies by 0.67 sqrt(1.57 / 17) = 0.2.
    expected = np.hypot(0.6, 0.2)
    assert abs(np.nanstd(level) - expected) < 0.05


def test_tails_that_last_stay_with_their_frames():
    given = views_of(standing(600), RIG, KEYPOINTS, fps=30.0)
    base = DetectorErrors(noise_px=1.0, tail_dof=3.0, lasting=0.0, lasting_s=1.0)
    sizes = {}
    for name, errors in (("new", base), ("held", base.model_copy(update={"tails_last": True}))):
        found = detect(given, errors, np.random.default_rng(0))
        length = np.log(np.linalg.norm(found.xy - given.xy, axis=-1))
        length -= np.nanmean(length)
        sizes[name] = np.nanmean(length[1:] * length[:-1]) / np.nanvar(length)
    assert abs(sizes["new"]) < 0.03
    assert sizes["held"] > 0.1


def test_samples_are_made_with_it_and_are_the_same_again():
    config = SampleConfig(block_size=16, cameras=(3, 3), body="humanoid", bodies=4, motions=("walk_line",))
    config = config.model_copy(
        update={"errors": preset("blazepose_measured"), "heatmaps": measured_heatmaps("blazepose")}
    )
    a, b = (Samples(config, 5).block(2) for _ in range(2))
    np.testing.assert_array_equal(a.xy, b.xy)
    assert a.heatmaps is not None
    assert a.heatmaps.shape == (16, 3, 33, 64, 64)
    error = np.linalg.norm(a.xy - a.exact, axis=-1)[a.visibility == Visibility.VISIBLE]
    size = np.nanmax(np.ptp(np.nan_to_num(a.exact, nan=np.nanmean(a.exact)), axis=2), axis=-1).mean()
    assert 0.005 < np.nanmedian(error) / size < 0.03


def test_peaks_vary_as_configured():
    rng = np.random.default_rng(0)
    plain = HeatmapConfig(noise=0.0, second_share=0.0)
    n = 300
    sighted = Sighted(np.full((n, 1, 2), 100.0), np.full((n, 1), 0.7), np.tile([0.0, 0.0, 200.0, 200.0], (n, 1)))
    same = make_heatmaps(sighted, plain, rng)
    assert float(same.std(0).max()) == 0.0
    varied = plain.model_copy(update={"height_spread": 0.1, "sigma_spread": 0.2, "offset_cells": 0.5})
    maps = make_heatmaps(sighted, varied, rng).numpy()[:, 0]
    columns = (maps.sum(1) * np.arange(64)).sum(-1) / maps.sum((1, 2))
    assert abs(columns.std() - 0.5) < 4.5 * 0.5 / np.sqrt(2 * n)
    area = np.log(maps.sum((1, 2)) / maps.max((1, 2)))  # 2 pi sigma²
    assert abs(area.std() - 0.4) < 0.08


def test_people_whom_others_hide_are_lost_more_often():
    given = views_of(np.repeat(standing(1), 2000, axis=0), RIG, KEYPOINTS, fps=0.0)
    hidden = np.where(np.arange(17) < 8, Visibility.HIDDEN_BY_OTHER, Visibility.VISIBLE)  # 47 % of the keypoints
    errors = DetectorErrors(lost_share=0.05, lost_hidden=0.6)
    lost = {}
    for name, code in (("clear", np.full(17, Visibility.VISIBLE)), ("hidden", hidden)):
        seen = replace(given, visibility=np.broadcast_to(code, given.visibility.shape))
        lost[name] = detect(seen, errors, np.random.default_rng(0)).record.lost.mean()
    n = 2000 * len(RIG)
    assert abs(lost["clear"] - 0.05) < 4.5 * np.sqrt(0.05 * 0.95 / n)
    assert abs(lost["hidden"] - 0.6) < 4.5 * np.sqrt(0.6 * 0.4 / n)


def test_second_peaks_beside_the_first_keep_their_distance():
    config = HeatmapConfig(
        noise=0.0, second_share=1.0, second_height=(0.5, 0.5), second_beside=1.0, second_reach=(8, 20)
    )
    n = 200
    box = np.tile([-0.5, -0.5, 63.5, 63.5], (n, 1))
    middle = np.full((n, 1, 2), 31.0)
    sighted = Sighted(middle, np.full((n, 1), 0.9), box, np.full((n, 1, 2), np.nan))
    maps = make_heatmaps(sighted, config, np.random.default_rng(0)).numpy()[:, 0]
    rows, columns = np.mgrid[:64, :64]
    far = np.where(np.hypot(rows - 31, columns - 31) > 6, maps, 0).reshape(n, -1)
    y, x = np.divmod(far.argmax(1), 64)
    distance = np.hypot(y - 31, x - 31)
    assert (far.max(1) > 0.3 * maps.max((1, 2))).all()
    assert (distance > 7).all()
    assert (distance < 21).all()
    assert np.hypot((x - 31).mean(), (y - 31).mean()) < 4.5 * 10 / np.sqrt(n)
