from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocap.core.errors import InputError
from mocap.evaluation.limb_metrics import Limb, pcp_report
from mocap.evaluation.people_metrics import (
    PANOPTIC_THRESHOLDS_MM,
    assign_tracks,
    average_precision,
    detection_figures,
    identity_figures,
    match_people,
    panoptic_figures,
    people_report,
    person_distances_mm,
    present_people,
    take_matched,
)

seeds = st.integers(0, 2**32 - 1)


def _people(offsets_m: list[list[float]]) -> np.ndarray:
    """(T, P, 4, 3): the same four joints for everybody, put at x = offset; NaN is nobody."""
    body = np.array([[0.0, 0, 0], [0, 0.2, 0.5], [0, -0.2, 0.5], [0, 0, 1]])
    people = np.tile(body, (len(offsets_m), len(offsets_m[0]), 1, 1))
    people[..., 0] += np.array(offsets_m)[..., None]
    people[np.isnan(people).any((-1, -2))] = np.nan
    return people


TRUTH = _people([[0.0, 2.0]] * 6)
NOBODY = np.nan


def test_mean_joint_distance_over_what_both_have() -> None:
    """100 mm and 1.9 m; with two of four joints predicted still 100 mm, with one of four nobody."""
    prediction = _people([[0.1], [0.1], [0.1], [NOBODY]])
    prediction[1, 0, :2] = np.nan
    prediction[2, 0, 1:] = np.nan
    found = person_distances_mm(prediction, TRUTH[:4])
    assert found.shape == (4, 1, 2)
    np.testing.assert_allclose(found[:2, 0], [[100, 1900]] * 2)
    assert np.isinf(found[2:]).all()


@settings(max_examples=50, deadline=None)
@given(seed=seeds, n_predicted=st.integers(0, 4), n_true=st.integers(0, 4))
def test_matching_finds_the_most_pairs_then_the_nearest(seed: int, n_predicted: int, n_true: int) -> None:
    cost = np.random.default_rng(seed).uniform(0, 300, (1, n_predicted, n_true))
    matches = match_people(cost, 200.0)[0]
    best = (0, 0.0)
    for size in range(min(n_predicted, n_true) + 1):
        for rows in itertools.permutations(range(n_predicted), size):
            for columns in itertools.combinations(range(n_true), size):
                total = [cost[0, r, c] for r, c in zip(rows, columns, strict=True)]
                if all(c < 200 for c in total):
                    best = max(best, (size, -sum(total)))
    used = [(r, q) for q, r in enumerate(matches) if r >= 0]
    assert len({r for r, _ in used}) == len(used)
    assert (len(used), -sum(cost[0, r, q] for r, q in used)) == pytest.approx(best)


def test_two_people_one_missed_and_one_invented() -> None:
    """Frame 0: both found, at 60 and 100 mm. Frame 1: one at 40 mm and one 1 m away from everybody. At 500 mm 3 of 4
    predictions are right and 3 of 4 people found; mean 200/3 mm. At 50 mm one of each is."""
    prediction, truth = _people([[0.06, 2.1], [0.04, 3.0]]), TRUTH[:2]
    distances = person_distances_mm(prediction, truth)
    there = (present_people(prediction), present_people(truth))
    wide = detection_figures(distances, *there, 500.0)
    assert (wide.matched, wide.surplus, wide.missed) == (3, 1, 1)
    assert (wide.precision, wide.recall, wide.f1) == (0.75, 0.75, 0.75)
    assert wide.mpjpe_mm == pytest.approx(200 / 3)
    narrow = detection_figures(distances, *there, 50.0)
    assert (narrow.matched, narrow.precision, narrow.recall) == (1, 0.25, 0.25)
    taken = take_matched(prediction, match_people(distances))
    np.testing.assert_allclose(taken[:, 0], prediction[:, 0])
    assert np.isnan(taken[1, 1]).all()


def _identities(offsets_m: list[list[float]], truth: np.ndarray = TRUTH):
    prediction = _people(offsets_m)
    distances = person_distances_mm(prediction, truth)
    return identity_figures(distances, present_people(prediction), present_people(truth))


def test_tracks_that_change_places_once() -> None:
    """Two tracks over six frames exchange people after the fourth. Everybody is always found: two switches, MOTA =
    1 - 2/12. The best fixed assignment is right in four frames of six: IDF1 = 2·8 / 24 = 2/3."""
    figures = _identities([[0.0, 2.0]] * 4 + [[2.0, 0.0]] * 2)
    assert (figures.switches, figures.fragments) == (2, 0)
    assert figures.mota == pytest.approx(1 - 2 / 12)
    assert (figures.idf1, figures.idp, figures.idr) == (pytest.approx(2 / 3),) * 3
    assert figures.motp_mm == pytest.approx(0)


def test_a_track_that_is_lost_and_comes_back_under_its_name_or_another() -> None:
    """Person 2 is missed in the frames 2 and 3: MOTA = 1 - 2/12, one fragment, IDF1 = 2·10/22. Under a third track
    afterwards there is a switch too, and two frames go to the wrong identity: IDF1 = 2·8/22."""
    same = _identities([[0.0, 2.0]] * 2 + [[0.0, NOBODY]] * 2 + [[0.0, 2.0]] * 2)
    assert (same.switches, same.fragments, same.mota) == (0, 1, pytest.approx(1 - 2 / 12))
    assert same.idf1 == pytest.approx(20 / 22)
    other = _identities(
        [[0.0, 2.0, NOBODY]] * 2 + [[0.0, NOBODY, NOBODY]] * 2 + [[0.0, NOBODY, 2.0]] * 2,
    )
    assert (other.switches, other.fragments, other.mota) == (1, 1, pytest.approx(1 - 3 / 12))
    assert other.idf1 == pytest.approx(16 / 22)


def test_who_left_and_came_back_is_no_fragment() -> None:
    truth = TRUTH.copy()
    truth[2:4, 1] = np.nan
    figures = _identities([[0.0, 2.0]] * 2 + [[0.0, NOBODY]] * 2 + [[0.0, 2.0]] * 2, truth)
    assert (figures.fragments, figures.switches, figures.mota, figures.idf1) == (0, 0, 1.0, 1.0)


def test_late_starts_are_no_fragments() -> None:
    figures = _identities([[0.0, NOBODY]] * 3 + [[0.0, 2.0]] * 3)
    assert (figures.fragments, figures.mota) == (0, pytest.approx(1 - 3 / 12))


def test_a_track_is_kept_while_it_is_near() -> None:
    """Two tracks 300 and 250 mm from a person: the second one is nearer in frame 1, but the first was there before."""
    distances = np.array([[[100.0], [400.0]], [[300.0], [250.0]], [[600.0], [250.0]], [[100.0], [250.0]]])
    assert match_people(distances, keep=True)[:, 0].tolist() == [0, 0, 1, 1]
    assert match_people(distances)[:, 0].tolist() == [0, 1, 1, 0]
    figures = identity_figures(distances, np.ones((4, 2), dtype=bool), np.ones((4, 1), dtype=bool))
    assert figures.switches == 1
    assert figures.motp_mm == pytest.approx((100 + 300 + 250 + 250) / 4)


def test_an_old_claim_does_not_hold_two_people() -> None:
    """Track 0 was with person 0, then with person 1 while person 0 was away: afterwards it cannot be kept by both."""
    distances = np.array([[[10.0, 900.0]], [[900.0, 10.0]], [[20.0, 30.0]]])
    assert match_people(distances, keep=True).tolist() == [[0, -1], [-1, 0], [-1, 0]]


def test_whole_tracks_are_assigned_by_frames_then_distance() -> None:
    distances = np.full((4, 3, 2), np.inf)
    distances[:3, 0, 0] = 400
    distances[2:, 1, 0] = 1
    distances[:, 1, 1] = 300
    distances[:, 2, 1] = 200
    assert assign_tracks(distances).tolist() == [0, 2]
    assert assign_tracks(distances[:, :, :1] + 1000).tolist() == [-1]
    assert assign_tracks(np.zeros((0, 0, 2))).tolist() == [-1, -1]


def test_average_precision_of_a_known_order() -> None:
    """Right, wrong, right, of three people: precision 1, 1/2, 2/3; made monotone 1, 2/3, 2/3: (1 + 2/3) / 3 = 5/9."""
    assert average_precision(np.array([True, False, True]), 3) == pytest.approx(5 / 9)
    assert average_precision(np.array([], dtype=bool), 3) == 0.0


def test_panoptic_figures_of_a_known_case() -> None:
    """One frame, people at 0 and 2 m; predictions at 10 mm (score 0.5), 30 mm (0.9), 60 mm of person 1 (0.8) and 700 mm
    off (0.7). At 25 mm only the first is right, last in order: precision 1/4, AP (1/4)/2. At 50 mm the 30 mm one is
    right and first (precision 1, AP 1/2) and the 10 mm one claims somebody who is taken. From 75 mm on also the 60 mm
    one: precision 1, 1: AP 1. mAP = (1/8 + 1/2 + 4)/6. At 500 mm the claims are 30 and 60 mm: MPJPE 45."""
    prediction = _people([[0.01, 0.03, 2.06, 2.7]])
    scores = np.array([[0.5, 0.9, 0.8, 0.7]])
    distances = person_distances_mm(prediction, TRUTH[:1])
    found = panoptic_figures(distances, present_people(prediction), present_people(TRUTH[:1]), scores)
    assert [found.ap[f"{t:g}"] for t in PANOPTIC_THRESHOLDS_MM] == pytest.approx([1 / 8, 1 / 2, 1, 1, 1, 1])
    assert found.map == pytest.approx((1 / 8 + 1 / 2 + 4) / 6)
    assert (found.recall["25"], found.recall["75"], found.recall_500mm) == (0.5, 1.0, 1.0)
    assert found.mpjpe_mm == pytest.approx(45)


def _published_ap(entries: list[tuple[float, float, int]], n_true: int, threshold: float) -> float:
    """The loop that the published evaluation runs over (error, score, person), without its 1e-5 in denominators."""
    entries = sorted(entries, key=lambda entry: entry[1], reverse=True)
    taken, tp = set(), []
    for error, _, person in entries:
        tp.append(error < threshold and person not in taken)
        if tp[-1]:
            taken.add(person)
    counts = np.cumsum(tp)
    precision = [counts[i] / (i + 1) for i in range(len(tp))]
    for i in reversed(range(len(tp) - 1)):
        precision[i] = max(precision[i], precision[i + 1])
    recall = np.concatenate([[0], counts / n_true, [1]])
    padded = np.concatenate([[0], precision, [0]])
    steps = np.flatnonzero(recall[1:] != recall[:-1])
    return float(sum((recall[i + 1] - recall[i]) * padded[i + 1] for i in steps))


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_panoptic_equals_the_published_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 0.1, (4, 3, 5, 3)) + rng.uniform(-1, 1, (4, 3, 1, 3))
    truth[rng.random((4, 3)) < 0.3] = np.nan
    truth[0] = np.nan
    prediction = np.concatenate([truth, truth[:, :1]], axis=1) + rng.normal(0, 0.08, (4, 4, 5, 3))
    prediction[0] = rng.normal(size=(4, 5, 3))  # in a frame without people: not counted
    prediction[rng.random((4, 4)) < 0.2] = np.nan
    scores = rng.random((4, 4))
    entries, n_true = [], 0
    for t in range(4):
        people = [q for q in range(3) if np.isfinite(truth[t, q]).all()]
        for p in range(4):
            if people and np.isfinite(prediction[t, p]).all():
                errors = [1000 * np.linalg.norm(prediction[t, p] - truth[t, q], axis=-1).mean() for q in people]
                entries.append((min(errors), scores[t, p], n_true + int(np.argmin(errors))))
        n_true += len(people)
    distances = person_distances_mm(prediction, truth)
    found = panoptic_figures(distances, present_people(prediction), present_people(truth), scores)
    for threshold in PANOPTIC_THRESHOLDS_MM:
        if n_true and entries:
            assert found.ap[f"{threshold:g}"] == pytest.approx(_published_ap(entries, n_true, threshold))


def test_takes_without_people_or_predictions() -> None:
    empty = people_report(TRUTH[:, :0], TRUTH)
    assert (empty.true_people, empty.predictions) == (12, 0)
    assert (empty.identity.mota, empty.panoptic.map, empty.panoptic.recall_500mm) == (0.0, 0.0, 0.0)
    assert empty.detection["500"].precision is None
    alone = people_report(TRUTH, TRUTH[:, :0])
    assert (alone.identity.mota, alone.panoptic.map, alone.detection["500"].precision) == (None, None, 0.0)
    assert take_matched(TRUTH[:, :0], np.full((6, 2), -1)).shape == TRUTH.shape
    json.loads(alone.model_dump_json())
    with pytest.raises(InputError, match="a matching threshold of 0.0 mm matches nobody"):
        match_people(np.zeros((1, 1, 1)), 0.0)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_the_order_of_predictions_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prediction = np.concatenate([TRUTH, TRUTH[:, :1]], axis=1) + rng.normal(0, 0.15, (6, 3, 1, 3))
    scores, order = rng.random((6, 3)), rng.permutation(3)
    one, other = people_report(prediction, TRUTH, scores=scores), people_report(
        prediction[:, order], TRUTH, scores=scores[:, order]
    )  # fmt: skip
    assert other.panoptic == one.panoptic
    assert other.detection["150"].matched == one.detection["150"].matched
    assert other.identity.idf1 == one.identity.idf1


LIMB_NAMES = ("a", "b", "c", "d")
LIMBS = (Limb("shank", ("a",), ("b",)), Limb("rest", ("c", "d"), ("b",)))


def test_pcp_of_known_parts() -> None:
    """Part a-b is 1 m long: right while (error of a + error of b) / 2 <= 0.5 m. Frame 0: 0.4 and 0.6: right, just.
    Frame 1: 0.4 and 0.602: wrong. Frame 2: nobody is there: wrong. Frame 3: the truth lacks a: not counted. The other
    part, from the middle of c and d to b, is 2 m long, so right unless b is missing."""
    body = np.array([[0.0, 0, 0], [1, 0, 0], [3, 1, 0], [3, -1, 0]])
    truth = np.tile(body, (4, 1, 1, 1))
    truth[3, 0, 0] = np.nan
    prediction = np.tile(body, (4, 1, 1, 1))
    prediction[:2, 0, 0, 2] += 0.4
    prediction[0, 0, 1, 1] += 0.6
    prediction[1, 0, 1, 1] += 0.602
    prediction[2] = np.nan
    report = pcp_report(prediction, truth, names=LIMB_NAMES, limbs=LIMBS)
    assert report.per_group == {"shank": (pytest.approx(1 / 3),), "rest": (0.75,)}
    assert report.per_actor == (pytest.approx(4 / 7),)
    assert (report.people, report.recall_500mm) == (4, 0.75)


def test_pcp_averages_actors_and_takes_the_nearest_prediction_of_any() -> None:
    """Actor 0 is found in 1 frame of 1, actor 1 is only near what belongs to actor 0, 300 mm off (limit 150 mm of a
    300 mm part), actor 2 is never there: mean of 1 and 0."""
    body = np.array([[0.0, 0, 0], [0.3, 0, 0], [0, 0, 0], [0, 0, 0]])
    truth = np.stack([body, body + [0, 0.3, 0], np.full((4, 3), np.nan)])[None]
    report = pcp_report(body[None, None], truth, names=LIMB_NAMES, limbs=LIMBS[:1])
    assert report.per_actor == (1.0, 0.0, None)
    assert (report.average, report.recall_500mm) == (0.5, 1.0)
    nothing = pcp_report(truth[:, :0], truth, names=LIMB_NAMES, limbs=LIMBS)
    assert (nothing.average, nothing.recall_500mm) == (0.0, 0.0)
    with pytest.raises(InputError, match="parts end in z; there are a, b, c, d"):
        pcp_report(truth, truth, names=LIMB_NAMES, limbs=(Limb("z", ("a",), ("z",)),))
