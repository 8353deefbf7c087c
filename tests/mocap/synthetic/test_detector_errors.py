"""Every error of a made-up detector is as frequent and as large as configured, and is on record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from camera_worlds import mixed_rig
from mocap.core.errors import ConfigError, InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.core.truth import Visibility
from mocap.synthetic.detector_config import PRESETS, DetectorErrors, clean, preset
from mocap.synthetic.detector_errors import as_detections, detect, spreads
from mocap.synthetic.detector_places import BACKGROUND, LIMBS, members
from mocap.synthetic.true_views import extent, views_of
from people_worlds import KEYPOINTS, body

FPS = 50.0
RIG = mixed_rig()
FRAMES = 400


def world(people=2, n_frames=FRAMES, keypoint_set=KEYPOINTS):
    """(T, P, K, 3) m: people who stand and swing their limbs, all within all pictures."""
    starts = [(-0.4, 0.3), (0.5, -0.2), (0.1, 0.6)]
    bodies = [
        body(n_frames, start=s, phase=1.3 * i, height=1.4 + 0.1 * i, keypoint_set=keypoint_set)
        for i, s in enumerate(starts)
    ]
    return np.stack(bodies[:people], axis=1)


def views(people=2, fps=FPS, **how):
    return views_of(world(people, **how), RIG, how.get("keypoint_set", KEYPOINTS), fps=fps)


def detected(errors, people=2, fps=FPS, seed=0, given=None):
    given = views(people, fps) if given is None else given
    return given, detect(given, errors, np.random.default_rng(seed))


def all_visible(given):
    return replace(given, visibility=np.full_like(given.visibility, Visibility.VISIBLE))


EXACT = DetectorErrors()


def binomial(n, share, factor=1.0):
    """4.5 standard deviations of a share of n; `factor` is how much correlation widens the variance."""
    return 4.5 * np.sqrt(share * (1 - share) * factor / n)


def widening(share, mean_frames):
    """Of the variance of a mean share in spells: correlated by (1 - r)^lag."""
    rate = min(1.0, 1 / (mean_frames * (1 - share)))
    return (2 - rate) / rate


def test_without_errors_the_projection_comes_back():
    given, found = detected(EXACT)
    seen = found.confidence > 0
    assert (seen == given.present).all()
    np.testing.assert_array_equal(found.xy[seen], given.xy[seen])
    assert np.isnan(found.xy[~seen]).all()
    np.testing.assert_allclose(found.confidence[seen], 0.9)
    assert not found.record.swapped.any()
    assert not found.record.outlier.any()
    points = found.keypoints(given, RIG.names)
    assert points.xy.shape == (FRAMES, 2, 5, 17, 2)


def test_same_seed_same_reports():
    (_, a), (_, b), (_, c) = (detected(preset("hard"), seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.xy, b.xy)
    np.testing.assert_array_equal(a.confidence, b.confidence)
    assert not np.array_equal(a.confidence, c.confidence)


@pytest.mark.parametrize(("noise_px", "noise_share"), [(1.5, 0.0), (0.0, 0.01), (1.0, 0.005)])
def test_noise_is_a_floor_and_a_share_of_the_person(noise_px, noise_share):
    given, found = detected(DetectorErrors(noise_px=noise_px, noise_share=noise_share, missing_outside=0.0))
    expected = np.hypot(noise_px, noise_share * given.size_px)
    unit = (found.xy - given.xy) / expected[..., None, None]
    n = unit.size
    assert abs(unit.std() - 1) < 4.5 / np.sqrt(2 * n)
    assert abs(unit.mean()) < 4.5 / np.sqrt(n)
    np.testing.assert_allclose(found.record.sigma_px, np.broadcast_to(expected[..., None], found.confidence.shape))
    assert abs(stats.kurtosis(unit.ravel())) < 4.5 * np.sqrt(24 / n)


def test_relative_error_in_space_grows_with_the_distance_by_the_floor_alone():
    """A person twice as far is half as large: a share halves, a floor stays."""
    points = world(1)
    near = views_of(points, RIG, KEYPOINTS, fps=FPS)
    small = replace(near, xy=near.xy / 2)
    for errors, ratio in ((DetectorErrors(noise_share=0.01), 0.5), (DetectorErrors(noise_px=2.0), 1.0)):
        a, b = (detect(v, errors, np.random.default_rng(0)).record.sigma_px for v in (near, small))
        np.testing.assert_allclose(b / a, ratio)


def test_the_person_s_size_is_the_longer_side_of_its_box():
    given = views()
    sides = np.nanmax(given.xy, axis=-2) - np.nanmin(given.xy, axis=-2)
    longest = 2.0 * np.array([max(camera.intrinsics.image_size) for camera in RIG])
    np.testing.assert_allclose(given.size_px, np.minimum(sides.max(-1), longest))


def test_what_is_hidden_is_noisier():
    given = views()
    code = np.random.default_rng(5).integers(0, 4, given.visibility.shape)
    given = replace(given, visibility=np.where(given.present, code, 0))
    errors = DetectorErrors(noise_px=1.0, hidden_self=2.0, hidden_other=3.0)
    _, found = detected(errors, given=given)
    error = found.xy - given.xy
    for which, factor in ((Visibility.VISIBLE, 1), (Visibility.HIDDEN_BY_SELF, 2), (Visibility.HIDDEN_BY_OTHER, 3)):
        part = error[given.visibility == which]
        assert abs(part.std() / factor - 1) < 4.5 / np.sqrt(2 * part.size)


def test_hips_are_harder_than_eyes():
    factor = dict(zip(KEYPOINTS.names, spreads(KEYPOINTS.names), strict=True))
    assert factor["left_hip"] == factor["right_hip"] == pytest.approx(0.107 / 0.072)
    assert factor["left_eye"] == pytest.approx(0.025 / 0.072)
    assert spreads(("left_big_toe",))[0] == 1.0
    given, found = detected(DetectorErrors(noise_share=0.01, by_keypoint=True))
    np.testing.assert_allclose(found.record.sigma_px, 0.01 * given.size_px[..., None] * spreads(KEYPOINTS.names))


def test_noise_is_remembered_as_long_as_configured():
    memory_s, share = 0.1, 0.6
    given, found = detected(
        DetectorErrors(noise_px=1.0, lasting=share, lasting_s=memory_s, missing_outside=0.0),
        given=all_visible(views()),
    )
    error = found.xy - given.xy
    series = error[0, ..., 0].size * 2
    keep = np.exp(-1 / (memory_s * FPS))
    n = series * FRAMES * (1 - keep**2) / (1 + keep**2)
    assert abs((error**2).mean() - 1) < 4.5 * np.sqrt(2 / n)
    for lag in (1, 4, 10):
        correlation = (error[lag:] * error[:-lag]).mean()
        assert abs(correlation - share * keep**lag) < 4.5 * np.sqrt(2 / n)


def test_independent_frames_remember_nothing():
    errors = DetectorErrors(noise_px=1.0, lasting=0.9, lasting_s=5.0, stray_share=0.2, stray_s=5.0)
    given = all_visible(views(fps=0.0))
    _, found = detected(errors, given=given)
    error = (found.xy - found.record.place)[..., 0]
    n = error[1:].size
    assert abs((error[1:] * error[:-1]).mean()) < 4.5 / np.sqrt(n)
    stray = found.record.outlier - 0.2
    assert abs((stray[1:] * stray[:-1]).mean()) < 4.5 * 0.16 / np.sqrt(n)


def test_tails_are_student_s():
    dof = 4.0
    given, found = detected(DetectorErrors(noise_px=1.0, tail_dof=dof, missing_outside=0.0))
    unit = (found.xy - given.xy)[..., 0].ravel() * np.sqrt(dof / (dof - 2))
    for limit in (1.0, 3.0, 6.0):
        expected = 2 * stats.t.sf(limit, dof)
        assert abs((np.abs(unit) > limit).mean() - expected) < binomial(unit.size, expected)


def test_bias_is_one_for_the_whole_take_and_all_people():
    given, found = detected(DetectorErrors(bias_share=0.01, missing_outside=0.0))
    relative = (found.xy - given.xy) / given.size_px[..., None, None]
    np.testing.assert_allclose(relative - relative[:1, :1], 0, atol=1e-12)
    n = 5 * 17 * 2
    assert abs(relative[0, 0].std() / 0.01 - 1) < 4.5 / np.sqrt(2 * n)
    np.testing.assert_allclose(found.xy - given.xy, np.broadcast_to(found.record.bias_px, found.xy.shape), atol=1e-9)


def test_swaps_are_those_on_record_and_as_frequent_as_configured():
    given = replace(all_visible(views()), facing=np.full((FRAMES, 2, 5), np.nan))
    _, found = detected(DetectorErrors(swap_share=0.1, swap_s=0.1, missing_outside=0.0), given=given)
    mirror = KEYPOINTS.mirror_permutation
    swapped = found.record.swapped
    np.testing.assert_array_equal(found.xy, np.where(swapped[..., None], given.xy[..., mirror, :], given.xy))
    paired = mirror != np.arange(17)
    assert not swapped[..., ~paired].any()
    whole = swapped[..., paired]
    assert (whole.all(-1) == whole.any(-1)).all(), "the whole person"
    n = whole[..., 0].size
    assert abs(whole[..., 0].mean() - 0.1) < binomial(n, 0.1, widening(0.1, 0.1 * FPS))
    changes = np.diff(whole[..., 0].astype(int), axis=0)
    begun = (changes == 1).sum()
    # A spell begins in a frame with chance r p (1 - p), r = 1 / (mean frames (1 - p)).
    rate = 0.1 / (0.1 * FPS)
    assert abs(begun / changes.size - rate) < binomial(changes.size, rate)


def test_limbs_are_exchanged_by_themselves():
    given = replace(all_visible(views()), facing=np.full((FRAMES, 2, 5), np.nan))
    _, found = detected(DetectorErrors(swap_limb_share=0.15, swap_s=0.0, missing_outside=0.0), given=given)
    swapped = found.record.swapped
    arms, legs = (members(KEYPOINTS, words) for words in LIMBS)
    assert not swapped[..., ~(arms | legs)].any()
    for limb in (arms, legs):
        part = swapped[..., limb]
        assert (part.all(-1) == part.any(-1)).all()
        assert abs(part[..., 0].mean() - 0.15) < binomial(part[..., 0].size, 0.15)
    both = (swapped[..., arms][..., 0] & swapped[..., legs][..., 0]).mean()
    assert abs(both - 0.15**2) < binomial(part[..., 0].size, 0.15**2)


def test_limbs_and_whole_person_exchanged_is_right_again():
    given = replace(all_visible(views()), facing=np.full((FRAMES, 2, 5), np.nan))
    _, found = detected(DetectorErrors(swap_limb_share=1.0, swap_share=1.0, swap_s=0.0), given=given)
    # Shares that follow the view are capped at 95 %; without a view they are too.
    arms = members(KEYPOINTS, LIMBS[0])
    expected = 2 * 0.95 * 0.05
    part = found.record.swapped[..., arms][..., 0]
    assert abs(part.mean() - expected) < binomial(part.size, expected)


def test_swaps_are_likelier_from_the_side_and_from_behind():
    given = all_visible(views())
    cosine = np.random.default_rng(3).choice([1.0, 0.0, -1.0, -0.5], given.facing.shape)
    given = replace(given, facing=cosine)
    errors = DetectorErrors(swap_share=0.05, swap_profile=3.0, swap_back=5.0, swap_s=0.0)
    _, found = detected(errors, given=given)
    swapped = found.record.swapped[..., KEYPOINTS.index("left_knee")]
    for value, share in ((1.0, 0.05), (0.0, 0.15), (-1.0, 0.25), (-0.5, 0.2)):
        part = swapped[cosine == value]
        assert abs(part.mean() - share) < binomial(part.size, share)


def test_facing_is_the_cosine_to_the_camera():
    """Everybody of this world faces -Y turned by phase + t / 2 about the vertical."""
    given = views(1)
    angle = 0.5 * np.arange(FRAMES) / FPS
    forward = np.stack([np.sin(angle), -np.cos(angle), np.zeros(FRAMES)], axis=-1)
    corners = KEYPOINTS.indices(["left_shoulder", "right_shoulder", "left_hip", "right_hip"])
    way = RIG.centers[None] - world(1)[:, 0, corners].mean(1)[:, None]
    expected = np.einsum("ta,tca->tc", forward, way) / np.linalg.norm(way, axis=-1)
    # The shoulders of these people lie 20 mm behind their hips: the chest leans by 0.02 / 0.28 rad.
    np.testing.assert_allclose(given.facing[:, 0], expected, atol=0.02 / 0.28)


def test_hidden_keypoints_collapse_onto_their_twins():
    given = all_visible(views())
    code = given.visibility.copy()
    knee, other = KEYPOINTS.index("left_knee"), KEYPOINTS.index("right_knee")
    code[..., knee] = Visibility.HIDDEN_BY_SELF
    given = replace(given, visibility=code)
    _, found = detected(DetectorErrors(collapse_share=0.3, swap_s=0.0, missing_outside=0.0), given=given)
    doubled = found.record.keypoint[..., knee] == other
    assert abs(doubled.mean() - 0.3) < binomial(doubled.size, 0.3)
    np.testing.assert_array_equal(found.xy[..., knee, :][doubled], given.xy[..., other, :][doubled])
    assert not np.delete(found.record.swapped, knee, axis=-1).any()


def test_a_wrong_person_is_another_one_or_something_in_the_background():
    given = all_visible(views(3))
    errors = DetectorErrors(wrong_person_share=0.2, wrong_person_s=0.1, background=0.25, missing_outside=0.0)
    _, found = detected(errors, given=given)
    who = found.record.person
    assert (who == who[..., :1]).all(), "the whole person"
    own = np.arange(3)[:, None]
    wrong = who[..., 0] != own
    factor = widening(0.2, 0.1 * FPS)
    assert abs(wrong.mean() - 0.2) < binomial(wrong.size, 0.2, factor)
    assert abs((who[..., 0] == BACKGROUND).mean() - 0.05) < binomial(wrong.size, 0.05, factor)
    for t, p, c in np.argwhere(wrong)[::50]:
        if who[t, p, c, 0] == BACKGROUND:
            middle, sides = extent(found.xy[t, p, c])
            assert ((middle >= -0.5) & (middle <= np.array(RIG.cameras[c].intrinsics.image_size) - 0.5)).all()
            ratio = sides / extent(given.xy[t, p, c])[1]
            assert ratio[0] == pytest.approx(ratio[1])
            assert 0.5 <= ratio[0] <= 1.5
        else:
            np.testing.assert_array_equal(found.xy[t, p, c], given.xy[t, who[t, p, c, 0], c])
    np.testing.assert_array_equal(found.xy[~wrong], given.xy[~wrong])


def test_somebody_alone_is_taken_for_the_background_only():
    given = all_visible(views(1))
    _, found = detected(DetectorErrors(wrong_person_share=0.2, stray_share=0.2, background=0.0), given=given)
    assert set(np.unique(found.record.person)) == {BACKGROUND, 0}


def test_bystanders_are_mistaken_but_not_reported():
    both = all_visible(views(2))
    given = replace(
        both,
        xy=both.xy[:, :1],
        visibility=both.visibility[:, :1],
        facing=both.facing[:, :1],
        bystanders=both.xy[:, 1:],
    )
    errors = DetectorErrors(wrong_person_share=0.3, wrong_person_s=0.0, background=0.0, missing_outside=0.0)
    _, found = detected(errors, given=given)
    assert found.xy.shape[1] == 1
    taken = found.record.person[..., 0] == 1
    assert abs(taken.mean() - 0.3) < binomial(taken.size, 0.3)
    np.testing.assert_array_equal(found.xy[taken], both.xy[:, 1:][taken])


def test_strays_of_single_keypoints():
    given = all_visible(views(2))
    errors = DetectorErrors(stray_share=0.03, stray_s=0.0, stray_reach=(0.1, 0.4), background=0.5, missing_outside=0.0)
    _, found = detected(errors, given=given)
    outlier = found.record.outlier
    assert abs(outlier.mean() - 0.03) < binomial(outlier.size, 0.03)
    background = found.record.person == BACKGROUND
    assert abs(background.mean() - 0.015) < binomial(outlier.size, 0.015)
    np.testing.assert_array_equal(found.xy[~outlier], given.xy[~outlier])
    reach = np.linalg.norm(found.xy - given.xy, axis=-1) / given.size_px[..., None]
    assert reach[background].min() >= 0.1 - 1e-12
    assert reach[background].max() <= 0.4 + 1e-12
    # Uniform over the ring: half of its area lies within sqrt((0.1² + 0.4²) / 2).
    inner = (reach[background] < np.sqrt((0.01 + 0.16) / 2)).mean()
    assert abs(inner - 0.5) < binomial(background.sum(), 0.5)
    other = outlier & ~background
    np.testing.assert_array_equal(found.xy[other], given.xy[:, ::-1][other])


def test_a_spell_of_straying_stays_at_its_place():
    given = all_visible(views(1))
    _, found = detected(DetectorErrors(stray_share=0.2, stray_s=0.3, missing_outside=0.0), given=given)
    away = (found.xy - given.xy) / given.size_px[..., None, None]
    steps = np.linalg.norm(np.diff(away, axis=0), axis=-1)
    both = found.record.outlier[1:] & found.record.outlier[:-1]
    # r = 1 / (15 (1 - p)): within a run of strays a new one begins with chance r p / (1 - r (1 - p)).
    rate = 1 / (0.3 * FPS * 0.8)
    anew = rate * 0.2 / (1 - rate * 0.8)
    moved = steps[both] > 1e-9
    assert abs(moved.mean() - anew) < binomial(moved.size, anew)


def test_keypoints_are_missing_by_how_they_show():
    given = views()
    code = np.random.default_rng(8).integers(0, 4, given.visibility.shape)
    given = replace(given, visibility=np.where(given.present, code, 0))
    inside = all_visible(views()).xy
    shares = {Visibility.VISIBLE: 0.02, Visibility.HIDDEN_BY_SELF: 0.2, Visibility.HIDDEN_BY_OTHER: 0.5}
    errors = DetectorErrors(missing_visible=0.02, missing_self=0.2, missing_other=0.5, missing_s=0.0)
    _, found = detected(errors, given=given)
    missing = found.confidence == 0
    assert missing[given.visibility == Visibility.OUTSIDE].all()
    assert np.isfinite(inside).any()
    for which, share in shares.items():
        part = missing[given.visibility == which]
        assert abs(part.mean() - share) < binomial(part.size, share)


def test_people_are_lost_as_a_whole():
    given, found = detected(DetectorErrors(lost_share=0.1, lost_s=0.2))
    lost = found.record.lost
    assert abs(lost.mean() - 0.1) < binomial(lost.size, 0.1, widening(0.1, 0.2 * FPS))
    assert (found.confidence[lost] == 0).all()
    assert (found.confidence[~lost] > 0)[given.present[~lost]].all()


def test_who_is_hardly_in_the_picture_is_not_found_and_something_else_is():
    given = views()
    gone = given.visibility.copy()
    gone[:, 0, 2, 3:] = Visibility.OUTSIDE  # three of seventeen keypoints are left
    given = replace(given, visibility=gone)
    errors = DetectorErrors(least_inside=0.3, phantom_share=0.25, wrong_person_s=0.1)
    _, found = detected(errors, given=given)
    phantom = found.record.phantom
    assert not phantom[:, 1].any()
    assert not phantom[:, 0, [0, 1, 3, 4]].any()
    part = phantom[:, 0, 2]
    assert abs(part.mean() - 0.25) < binomial(FRAMES, 0.25, widening(0.25, 5))
    assert (found.record.lost[:, 0, 2] == ~part).all()
    assert (found.record.person[phantom] == BACKGROUND).all()
    sides = extent(found.record.place[:, 0, 2][part])[1].max(-1)
    height = RIG.cameras[2].intrinsics.image_size[1]
    assert (sides >= 0.15 * height - 1e-6).all()
    assert (sides <= 0.7 * height + 1e-6).all()


def test_confidence_falls_with_the_error_and_where_hidden():
    given = views()
    code = np.random.default_rng(8).integers(1, 4, given.visibility.shape)
    given = replace(given, visibility=np.where(given.present, code, 0))
    errors = DetectorErrors(
        noise_share=0.01,
        confidence=0.8,
        hidden_doubt=1.5,
        error_doubt=0.7,
        error_reference=0.01,
        confidence_spread=0.5,
    )
    _, found = detected(errors, given=given)
    seen = found.confidence > 0
    error = np.linalg.norm(found.xy - given.xy, axis=-1) / given.size_px[..., None]
    hidden = given.visibility != Visibility.VISIBLE
    expected = np.log(0.8 / 0.2) - 1.5 * hidden - 0.7 * np.log1p((error / 0.01) ** 2)
    logit = np.log(found.confidence / (1 - found.confidence), where=seen, out=np.zeros(seen.shape))
    off = (logit - expected)[seen]
    assert abs(off.mean()) < 4.5 * 0.5 / np.sqrt(off.size)
    assert abs(off.std() / 0.5 - 1) < 4.5 / np.sqrt(2 * off.size)
    rank = stats.spearmanr(found.confidence[seen & ~hidden], error[seen & ~hidden]).statistic
    assert -0.95 < rank < -0.3, "informative, but not the truth itself"


def test_a_network_does_not_know_that_it_has_exchanged_sides():
    given = all_visible(views())
    errors = DetectorErrors(swap_share=0.3, stray_share=0.1, error_doubt=1.0, missing_outside=0.0)
    _, found = detected(errors, given=given)
    swapped, stray = found.record.swapped, found.record.outlier
    np.testing.assert_allclose(found.confidence[swapped & ~stray], 0.9)
    assert found.confidence[stray].max() < 0.5


def test_detections_are_shuffled_people_without_ids():
    given, found = detected(preset("hard"), people=3)
    detections, who = as_detections(found, given, RIG.names, np.random.default_rng(0))
    assert (detections.track == -1).all()
    assert len(who) == len(detections) == ((found.confidence > 0).sum(-1) >= 3).sum()
    phantom = who == BACKGROUND
    assert phantom.sum() == (found.record.phantom & ((found.confidence > 0).sum(-1) >= 3)).sum()
    rows = np.flatnonzero(~phantom)
    expected = found.xy[detections.frame[rows], who[rows], detections.camera[rows]]
    np.testing.assert_array_equal(detections.xy[rows], expected)
    seen = np.isfinite(detections.xy).all(-1)
    for side, sign in ((slice(0, 2), 1), (slice(2, 4), -1)):
        beyond = sign * (detections.xy - detections.box[:, None, side])
        assert beyond[seen].min() >= 0
    three = [who[(detections.frame == t) & (detections.camera == 0)] for t in range(FRAMES)]
    orders = {tuple(order) for order in three if len(order) == 3 and order.min() >= 0}
    assert len(orders) == 6, "all orders of three people occur"


def test_presets_report_people_that_can_be_found_again():
    given = views(2)
    medians = {}
    for name in PRESETS:
        _, found = detected(preset(name), given=given)
        points = found.keypoints(given, RIG.names)
        assert (points.confidence > 0).mean() > 0.4
        right = (found.confidence > 0) & ~found.record.outlier & ~found.record.swapped
        medians[name] = np.median(np.linalg.norm(found.xy - given.xy, axis=-1)[right])
    assert medians["clean"] < medians["blazepose_like"] < medians["hard"]
    # Two independent axes: the median of a Rayleigh distribution is 1.1774 sigma.
    assert medians["clean"] == pytest.approx(1.1774, rel=0.02)
    assert clean(2.0, 0.1).stray_share == 0.1


def test_keypoints_unknown_to_a_body_are_never_reported():
    points = world(1)
    points[:, :, 3] = np.nan
    given = views_of(points, RIG, KEYPOINTS, fps=FPS)
    _, found = detected(preset("hard"), given=given)
    assert (found.confidence[..., 3][~found.record.swapped[..., 3] & ~found.record.outlier[..., 3]] == 0).all()


def test_mistakes_of_the_user_are_told():
    with pytest.raises(ConfigError, match="no preset 'perfect'.*clean, blazepose_like, hard"):
        preset("perfect")
    with pytest.raises(ValidationError, match="tail_dof = 1.5 has no standard deviation"):
        DetectorErrors(tail_dof=1.5)
    with pytest.raises(ValidationError, match="stray_reach"):
        DetectorErrors(stray_reach=(0.5, 0.1))
    with pytest.raises(InputError, match="17 keypoints, but blazepose33 has 33"):
        views_of(world(1), RIG, load_keypoint_set("blazepose33"), fps=FPS)
    with pytest.raises(InputError, match="visibility has shape"):
        views_of(world(1), RIG, KEYPOINTS, fps=FPS, visibility=np.ones((3, 1, 5, 17), dtype=np.int64))
