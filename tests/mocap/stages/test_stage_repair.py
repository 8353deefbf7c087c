"""Exchanged sides, put back: people walking in a known rig, whose labels were exchanged on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from evaluated_takes import true_take
from mocap.core.keypoints import Keypoints2D
from mocap.core.truth import TakeTruth
from mocap.geometry.side_labels import PairRays, distances, labelling_costs, nearest_points
from mocap.stages.repair import Exchange, RepairConfig, repair
from truth_worlds import KEYPOINTS

LEGS = ("knee", "ankle", "heel", "toe")


def seen_by(truth: TakeTruth, noise_px: float = 2.0) -> Keypoints2D:
    """All people in all views, with noise."""
    xy = np.stack([view.xy for view in truth.views], axis=2)
    xy = xy + np.random.default_rng(3).normal(0.0, noise_px, xy.shape)
    confidence = np.where(np.isfinite(xy).all(-1), 0.9, 0.0)
    return Keypoints2D(truth.rig.names, KEYPOINTS, xy, confidence, truth.fps)


def exchanged(points: Keypoints2D, where: np.ndarray, words: tuple[str, ...] = ("",)) -> Keypoints2D:
    """where: (T, P, C)."""
    pairs = [pair for pair in points.keypoint_set.mirror_pairs if any(word in pair[0] for word in words)]
    permutation = np.arange(len(points.keypoint_set))
    for left, right in (points.keypoint_set.indices(pair) for pair in pairs):
        permutation[[left, right]] = [right, left]
    xy = np.where(where[..., None, None], points.xy[:, :, :, permutation], points.xy)
    confidence = np.where(where[..., None], points.confidence[:, :, :, permutation], points.confidence)
    return replace(points, xy=xy, confidence=confidence)


def some(points: Keypoints2D, share: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(points.confidence.shape[:3]) < share


def wrong_mm(points: Keypoints2D, truth: Keypoints2D) -> float:
    """Largest pixel distance from the unswapped."""
    return float(np.nanmax(np.linalg.norm(points.xy - truth.xy, axis=-1)))


@pytest.fixture(scope="module")
def truth() -> TakeTruth:
    return true_take(people=2, seconds=1.5)


@pytest.fixture(scope="module")
def clean(truth) -> Keypoints2D:
    return seen_by(truth)


def test_good_labels_stay_the_very_same_numbers(truth, clean):
    repaired, report = repair(clean, truth.rig, RepairConfig())
    assert repaired is clean
    assert (report.exchanges, report.exchanged, report.share, report.sentences) == ([], {}, 0.0, ())


@pytest.mark.parametrize("words", [("",), LEGS], ids=["whole", "legs"])
def test_one_in_twenty_is_put_back(truth, clean, words):
    where = some(clean, 0.05)
    repaired, report = repair(exchanged(clean, where, words), truth.rig, RepairConfig())
    left = np.linalg.norm(np.nan_to_num(repaired.xy - clean.xy), axis=-1)
    # what is left exchanged lies where both sides coincide, within the noise of a few pixels
    assert left.max() < 12
    assert (left > 0).any(-1).sum() <= 0.1 * where.sum()
    assert len(report.exchanges) >= 0.8 * where.sum() / 2


def test_a_view_that_is_wrong_for_half_the_take_and_two_wrong_at_once(truth, clean):
    where = np.zeros(clean.confidence.shape[:3], dtype=bool)
    where[10:35, 0, 1] = True
    where[20:30, 0, 3] = True
    repaired, report = repair(exchanged(clean, where), truth.rig, RepairConfig())
    np.testing.assert_array_equal(repaired.xy, clean.xy)
    legs = [run for run in report.exchanges if run.part == "legs"]
    names = [(run.person, run.camera, run.first, run.last, run.frames) for run in legs]
    assert names == [(0, truth.rig.names[1], 10, 34, 25), (0, truth.rig.names[3], 20, 29, 10)]
    assert all((run.before_mm or 0) > 80 and (run.after_mm or 99) < 25 for run in legs), (
        "hips are 0.18 m apart; 2 px are 16 mm"
    )
    assert report.sentences[0].startswith("left and right were exchanged and have been put back: ")


def test_time_tells_where_all_views_are_exchanged_at_once(truth, clean):
    where = np.zeros(clean.confidence.shape[:3], dtype=bool)
    where[[12, 30]] = True
    repaired, _ = repair(exchanged(clean, where, LEGS), truth.rig, RepairConfig())
    left = np.linalg.norm(np.nan_to_num(repaired.xy - clean.xy), axis=-1).max()
    assert left < 30, "a leg passing the other in all views at once"


def test_two_of_three_views_exchanged_for_a_while_do_not_outvote_time():
    """The third view alone is right: exchanging it instead would be one exchange less, and turn the person round."""
    truth = true_take(cameras=3, seconds=1.5)
    clean = seen_by(truth)
    where = np.zeros(clean.confidence.shape[:3], dtype=bool)
    where[12:30, 0, 1] = where[18:36, 0, 2] = True
    repaired, _ = repair(exchanged(clean, where), truth.rig, RepairConfig())
    np.testing.assert_array_equal(repaired.xy, clean.xy)


def test_what_is_not_seen_stays_missing_and_one_view_left_alone_follows_time(truth, clean):
    xy, confidence = clean.xy.copy(), clean.confidence.copy()
    xy[15:30, :, 1:], confidence[15:30, :, 1:] = np.nan, 0.0
    few = replace(clean, xy=xy, confidence=confidence)
    where = np.zeros(clean.confidence.shape[:3], dtype=bool)
    where[20:22, 0, 0] = True
    repaired, _ = repair(exchanged(few, where, LEGS), truth.rig, RepairConfig())
    np.testing.assert_array_equal(np.isnan(repaired.xy), np.isnan(few.xy))
    np.testing.assert_array_equal(repaired.xy[:15], few.xy[:15])


def test_switched_off_or_without_pairs_nothing_is_touched(truth, clean):
    bad = exchanged(clean, some(clean, 0.1))
    assert repair(bad, truth.rig, RepairConfig(enabled=False))[0] is bad
    one = clean.keypoint_set.index("nose")
    nose = replace(clean.keypoint_set, names=("nose",), edges=(), mirror_pairs=(), body=())
    alone = replace(clean, keypoint_set=nose, xy=clean.xy[..., [one], :], confidence=clean.confidence[..., [one]])
    assert repair(alone, truth.rig, RepairConfig())[0] is alone


def test_more_views_than_are_labelled_together():
    truth = true_take(cameras=8, seconds=0.8)
    clean = seen_by(truth)
    where = some(clean, 0.1, seed=2)
    repaired, report = repair(exchanged(clean, where), truth.rig, RepairConfig())
    left = np.linalg.norm(np.nan_to_num(repaired.xy - clean.xy), axis=-1)
    assert left.max() < 12
    assert sum(run.frames for run in report.exchanges if run.part == "legs") >= 0.9 * where.sum()


def test_the_sentence_names_four_runs_and_counts_the_others(truth, clean):
    _, report = repair(exchanged(clean, some(clean, 0.05)), truth.rig, RepairConfig())
    assert report.sentences[0].endswith(f" and {len(report.exchanges) - 4} more")
    assert all(isinstance(run, Exchange) for run in report.exchanges)


class TestLabellings:
    """Three cameras on the axes look at two points; camera 1 has them exchanged."""

    POINTS = torch.tensor([[[0.1, 0.05, 0.02]], [[-0.1, -0.03, 0.04]]], dtype=torch.float64)
    ORIGINS = torch.tensor([[5.0, 0, 0], [0, 4.0, 0], [0, 0.5, 3.0]], dtype=torch.float64)

    def rays(self) -> PairRays:
        towards = self.POINTS[None] - self.ORIGINS[:, None, None]
        directions = torch.nn.functional.normalize(towards, dim=-1)
        directions[1] = directions[1].flip(0)
        return PairRays(self.ORIGINS, directions[None], torch.ones(1, 3, 2, 1, dtype=torch.float64))

    def test_the_right_labelling_and_its_mirror_cost_nothing(self):
        costs = labelling_costs(self.rays(), tolerance_m=0.02)[0]
        assert costs[[0b010, 0b101]].abs().max() < 1e-9
        assert costs[[0, 1, 3, 4, 6, 7]].min() > 1.0

    def test_points_and_distances_are_those_of_plain_geometry(self):
        changed = torch.tensor([[False, True, False]])
        rays = self.rays().labelled(changed)
        points = nearest_points(rays, tolerance_m=0.02)
        np.testing.assert_allclose(points[0].numpy(), self.POINTS.numpy(), atol=1e-9)
        apart = distances(self.rays(), points)[0, 1, :, 0]
        away = (self.POINTS[:, 0] - self.ORIGINS[1]).numpy()
        expected = np.linalg.norm(np.cross(self.rays().directions[0, 1, :, 0].numpy(), away), axis=-1)
        assert apart.numpy() == pytest.approx(expected)

    def test_a_missing_ray_says_nothing(self):
        rays = self.rays()
        weight = rays.weight.clone()
        weight[0, 1] = 0
        costs = labelling_costs(PairRays(rays.origins, rays.directions, weight), tolerance_m=0.02)[0]
        assert costs[0b010] == pytest.approx(float(costs[0]))
        assert costs[0b001] > 1.0
