"""The fit finds the errors that were put into reports, sorts what went wrong, and reads heatmaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from camera_worlds import mixed_rig
from mocap.core.truth import Visibility
from mocap.synthetic.detector_config import DetectorErrors
from mocap.synthetic.detector_errors import detect
from mocap.synthetic.heatmaps import HeatmapConfig, Sighted, make_heatmaps
from mocap.synthetic.measured_bias import Bias, fit_bias, flat_views
from mocap.synthetic.measured_errors import measured_for
from mocap.synthetic.measured_errors_fit import fit_errors, quantile_of_tails
from mocap.synthetic.measured_sorting import sort_errors
from mocap.synthetic.measured_views import HEAT_FIELDS, MeasuredViews, heat_statistics, sampled, true_views
from mocap.synthetic.torso_frames import torso_axes
from mocap.synthetic.true_views import views_of
from people_worlds import KEYPOINTS, body

RIG = mixed_rig()
PEOPLE, MOMENTS, FRAMES, FPS = 12, 8, 4, 30.0
SHAPE = (MOMENTS, FRAMES)
TRUE = measured_for("blazepose", KEYPOINTS.names)


def world(errors: DetectorErrors, seed: int = 0) -> MeasuredViews:
    """Everybody before every camera, all visible; moments 0.5 s apart, so that people turn by 14 degrees in between."""
    rng = np.random.default_rng(seed)
    parts = []
    for person in range(PEOPLE):
        place = tuple(rng.uniform(-0.4, 0.4, 2))
        long = body(MOMENTS * 15, start=place, phase=rng.uniform(0, 6), height=rng.uniform(1.5, 1.9), fps=FPS)
        points = long.reshape(MOMENTS, 15, 17, 3)[:, :FRAMES].reshape(-1, 1, 17, 3)
        given = views_of(points, RIG, KEYPOINTS, fps=FPS)
        given = replace(given, visibility=np.full_like(given.visibility, Visibility.VISIBLE))
        found = detect(given, errors, rng)
        parts.append(clips(given, found.xy, found.confidence, person, points))
    joined = MeasuredViews.joined(parts)
    return replace(joined, scene=np.repeat(np.arange(PEOPLE), len(RIG)))


def clips(given, xy, confidence, person, points) -> MeasuredViews:
    n = len(RIG)

    def by_clip(values):
        return np.moveaxis(values[:, 0], 1, 0).reshape(n, *SHAPE, *values.shape[3:])

    heat = np.zeros((n, *SHAPE, 17, len(HEAT_FIELDS)), dtype=np.float32)
    heat[..., 0], heat[..., 3] = 0.8, 0.8 * 2 * np.pi * 1.4**2
    heat[..., 1:3] = np.nan_to_num(by_clip(xy))
    length = np.linalg.norm(torso_axes(points, KEYPOINTS)[1][..., 2], axis=-1).mean()
    return MeasuredViews(
        scene=np.full(n, person),
        exact=by_clip(given.xy),
        other=np.full((n, *SHAPE, 17, 2), np.nan),
        visibility=by_clip(given.visibility),
        direction=by_clip(given.torso.direction),
        px_from_torso=by_clip(given.torso.px_from_torso),
        torso_m=np.full(n, length),
        image_size=np.array([camera.intrinsics.image_size for camera in RIG]),
        fps=np.full(n, FPS),
        found=by_clip(confidence).any(-1),
        xy=by_clip(xy),
        confidence=by_clip(confidence),
        heat=heat,
        px_from_heatmap=np.tile(np.eye(3)[:2], (n, *SHAPE, 1, 1)),
        phantoms=np.zeros(n, dtype=np.int64),
    )


ONLY = DetectorErrors(measured="blazepose", lasting=0.5, lasting_s=0.2, tail_dof=6.0, tails_last=True, view_spread=0.4)
WORLD = world(ONLY)


def test_the_fit_finds_what_was_put_in():
    found = fit_errors(WORLD, KEYPOINTS, {"seed": 0})
    flat = flat_views(WORLD, sort_errors(WORLD, KEYPOINTS), KEYPOINTS)
    put = Bias(TRUE.offset, TRUE.along).px(flat)
    left = put - Bias(found.offset, found.along).px(flat)
    # Offsets of 12 bodies, each with its own, are known to person / sqrt(12): with the noise some 0.4 % of the size.
    assert np.median(np.linalg.norm(left, axis=-1) / flat.size[:, None]) < 0.004
    assert np.median(np.linalg.norm(put, axis=-1) / flat.size[:, None]) > 0.009
    # A spread has a relative error of 1 / sqrt(2 n) with n the independent ones among 12 x 5 x 8 moments; those of
    # bodies and views, 12 and 60, are uncertain by a fifth and go into what is left for the noise.
    whole = np.hypot(found.spread[:, 0], found.view)
    expected = np.hypot(TRUE.spread[:, 0], TRUE.view)
    assert abs(np.median(whole / expected) - 1) < 0.25
    # Of 6 that were put in; what bodies and views add is Gaussian and makes tails look shorter.
    assert 3.0 <= found.errors["tail_dof"] < 25
    assert abs(found.errors["view_spread"] - 0.4) < 0.12
    assert 0.3 < np.median(found.person) / np.median(TRUE.person) < 2.0
    assert found.errors["swap_share"] < 0.002
    assert found.errors["lost_share"] == 0
    assert found.provenance["people"] == PEOPLE
    lowered = np.exp(-1 / (12 * 1.4**2))
    np.testing.assert_allclose(found.heatmaps["height"], 0.8 / lowered, atol=0.01)
    np.testing.assert_allclose(found.heatmaps["sigma_cells"], 1.4 * np.sqrt(lowered), atol=0.01)


def test_both_sides_get_the_same_numbers():
    flat = flat_views(WORLD, sort_errors(WORLD, KEYPOINTS), KEYPOINTS)
    bias = fit_bias(flat, KEYPOINTS, degree=0)
    left, right = KEYPOINTS.names.index("left_knee"), KEYPOINTS.names.index("right_knee")
    np.testing.assert_allclose(bias.offset[left, :, 0], bias.offset[right, :, 0] * [1, -1, 1], atol=1e-9)


@pytest.mark.parametrize(("share", "dof"), [(0.5, 4.0), (0.95, 4.0), (0.9, 20.0)])
def test_quantiles_of_the_tails_are_those_of_what_is_drawn(share, dof):
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((200_000, 2)) * np.sqrt((dof - 2) / rng.chisquare(dof, (200_000, 1)))
    below = (np.linalg.norm(drawn, axis=-1) < quantile_of_tails(share, dof)).mean()
    assert abs(below - share) < 4.5 * np.sqrt(share * (1 - share) / 200_000)


def test_exchanged_sides_are_recognised():
    clean = world(DetectorErrors())
    mirror = KEYPOINTS.mirror_permutation
    swapped = replace(clean, xy=clean.xy[..., mirror, :])
    kinds = sort_errors(swapped, KEYPOINTS)
    assert kinds.swapped[..., 0][kinds.swap_known[..., 0]].all()
    assert not kinds.swapped[..., 1:][kinds.swap_known[..., 0]].any()
    assert not sort_errors(clean, KEYPOINTS).swapped.any()
    arms = clean.xy.copy()
    both = [KEYPOINTS.names.index(name) for name in ("left_elbow", "left_wrist", "right_elbow", "right_wrist")]
    arms[..., both, :] = clean.xy[..., mirror, :][..., both, :]
    kinds = sort_errors(replace(clean, xy=arms), KEYPOINTS)
    assert kinds.swapped[..., 1][kinds.swap_known[..., 1] & kinds.swap_known[..., 0]].mean() > 0.95
    assert not kinds.swapped[..., 0].any()


def test_reports_of_somebody_else_are_no_errors_of_keypoints():
    clean = world(DetectorErrors())
    away = replace(clean, xy=clean.exact + 400.0, other=clean.exact + 400.0)
    kinds = sort_errors(away, KEYPOINTS)
    assert kinds.wrong.all()
    assert not kinds.ordinary.any()
    assert sort_errors(replace(away, other=clean.other), KEYPOINTS).background.all()


def test_sampled_reports_are_as_far_off_as_those_they_were_fitted_to():
    few = MeasuredViews(**{name: value[::7] for name, value in vars(WORLD).items()})
    again = sampled(few, ONLY, KEYPOINTS, np.random.default_rng(1))
    one, two = (np.nanmedian(np.linalg.norm(views.xy - views.exact, axis=-1)) for views in (few, again))
    assert abs(one / two - 1) < 0.15
    views = true_views(WORLD, 0, 0, KEYPOINTS)
    assert views.xy.shape == (FRAMES, 1, 1, 17, 2)


def test_files_come_back(tmp_path):
    path = tmp_path / "views.npz"
    WORLD.save(path)
    again = MeasuredViews.load(path)
    np.testing.assert_array_equal(again.xy, WORLD.xy)
    assert again.n_views == PEOPLE * len(RIG) * MOMENTS * FRAMES


def test_statistics_of_a_drawn_heatmap():
    config = HeatmapConfig(sigma_cells=(1.5, 1.5), height=(0.8, 0.8), noise=0.0, second_share=0.0)
    box = np.array([-0.5, -0.5, 63.5, 63.5])
    sighted = Sighted(np.array([[20.0, 30.0], [40.0, 10.0]]), np.full(2, 0.9), box)
    maps = make_heatmaps(sighted, config, np.random.default_rng(0)).numpy()
    found = dict(zip(HEAT_FIELDS, heat_statistics(maps + 0.5 * maps[::-1]).T, strict=True))
    np.testing.assert_allclose(found["peak"], 0.8, rtol=1e-4)
    np.testing.assert_array_equal(found["peak_x"], [20, 40])
    np.testing.assert_array_equal(found["second_y"], [10, 30])
    np.testing.assert_allclose(found["second"], 0.4, rtol=1e-4)
    # The mass of a peak within 5 cells: all but exp(-25 / (2 sigma²)) = 0.4 %.
    np.testing.assert_allclose(found["mass"], 0.8 * 2 * np.pi * 1.5**2, rtol=0.01)
    assert (found["floor"] < 1e-4).all()
