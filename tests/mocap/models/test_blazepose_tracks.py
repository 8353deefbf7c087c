"""Two people, 33 keypoints each, on a 1000x800 image."""

import numpy as np
import pytest

from mocap.core.keypoints import load_keypoint_set
from mocap.models.blazepose_landmarks import CropLandmarks
from mocap.models.blazepose_roi import Roi
from mocap.models.blazepose_tracks import (
    MAX_NEWCOMERS,
    Proposal,
    Sighting,
    TrackBook,
    distance_to_segments,
    distinct,
    is_part_of,
    same_pose,
    same_region,
)

EDGES = load_keypoint_set("blazepose33").edge_indices
SHAPE = np.random.default_rng(4).uniform(-0.3, 0.3, (33, 2))


def crop(presence: float = 1.0) -> CropLandmarks:
    ones = np.ones(39)
    return CropLandmarks(np.zeros((39, 2)), ones, ones, presence, np.zeros((64, 64, 39), np.float32))


def sighting(proposal: Proposal, x: float, y: float, size: float, confidence: float = 0.9) -> Sighting:
    xy = SHAPE * size + [x, y]
    return Sighting(proposal, xy, np.full(33, confidence), Roi((float(x), float(y)), float(size)), crop())


def newcomer(x: float, y: float, size: float) -> Sighting:
    return sighting(Proposal(Roi((float(x), float(y)), float(size)), None), x, y, size)


def followed(book: TrackBook, moved: dict[int, float]) -> list[Sighting]:
    """Everybody in the book that `moved` names, that many px further right."""
    return [
        sighting(p, p.roi.center[0] + moved[p.track.id], p.roi.center[1], p.roi.size)
        for p in book.proposals([])
        if p.track is not None and p.track.id in moved
    ]


def after(book: TrackBook, sightings: list[Sighting], most: int = 9) -> tuple[TrackBook, list[int]]:
    book, named = book.updated(sightings, EDGES, max_people=most, remember=3)
    return book, [id_ for _, id_ in named]


@pytest.fixture
def two() -> TrackBook:
    return after(TrackBook(), [newcomer(300, 400, 500), newcomer(800, 350, 300)])[0]


def test_people_keep_their_ids_while_they_move(two):
    assert [t.id for t in two.followed] == [0, 1]
    for _ in range(5):
        two, ids = after(two, followed(two, {0: 30.0, 1: -10.0}))
        assert ids == [0, 1]
    assert two.followed[0].roi.center == pytest.approx((450, 400))


def test_a_lost_person_found_again_keeps_the_id_a_stranger_gets_a_new_one(two):
    two, ids = after(two, followed(two, {0: 5.0}))
    assert ids == [0]
    assert [t.id for t in two.lost] == [1]
    two, ids = after(two, [*followed(two, {0: 5.0}), newcomer(815, 360, 310), newcomer(600, 200, 300)])
    assert sorted(ids) == [0, 1, 2]


def test_who_is_lost_too_long_is_forgotten(two):
    for _ in range(4):
        two, _ = after(two, followed(two, {0: 0.0}))
    assert two.lost == ()
    assert after(two, [newcomer(800, 350, 300)])[1] == [2]


def test_newcomers_where_somebody_is_followed_are_not_looked_at(two):
    proposals = two.proposals([Roi((310.0, 390.0), 480.0), Roi((550.0, 100.0), 200.0)])
    assert [p.track.id if p.track else None for p in proposals] == [0, 1, None]


def test_too_many_people_leave_the_largest_and_those_who_were_there(two):
    here = followed(two, {0: 0.0, 1: 0.0})
    bigger, hardly = newcomer(550, 100, 600), newcomer(550, 700, 330)
    assert after(two, [*here, bigger], most=2)[1] == [0, 2], "625 for the one who is followed, 600, 375"
    assert after(two, [*here, hardly], most=2)[1] == [0, 1], "10 % larger is not enough to take a place"


def test_few_newcomers_are_looked_at_in_one_frame(two):
    crowd = [Roi((float(x), 700.0), 60.0) for x in range(0, 1000, 50)]
    assert len(two.proposals(crowd)) == 2 + MAX_NEWCOMERS


def test_two_tracks_that_end_on_one_person_become_the_older_one(two):
    first, second = two.proposals([])
    both = [sighting(second, 301, 400, 500), sighting(first, 300, 400, 500)]
    assert after(two, both)[1] == [0]


def test_same_region_wants_place_and_size():
    assert same_region(Roi((0.0, 0.0), 100.0), Roi((15.0, 0.0), 120.0))
    assert not same_region(Roi((0.0, 0.0), 100.0), Roi((25.0, 0.0), 120.0))
    assert not same_region(Roi((0.0, 0.0), 100.0), Roi((0.0, 0.0), 190.0))


def test_same_pose_by_sure_keypoints_or_by_region():
    a, b = newcomer(300, 400, 500), newcomer(320, 400, 500)
    assert same_pose(a, b), "20 px of 500 apart"
    assert not same_pose(a, newcomer(340, 400, 500))
    unsure = sighting(b.proposal, 340, 400, 500, confidence=0.1)
    assert same_pose(a, unsure), "nothing to compare but the regions"


def test_legs_taken_for_a_person_are_a_part_of_the_person():
    whole = newcomer(300, 400, 500)
    legs = load_keypoint_set("blazepose33").indices(["left_hip", "left_knee", "left_ankle"])
    along = np.linspace(0, 1, 11)[:, None]
    points = np.concatenate([whole.xy[a] * (1 - along) + whole.xy[b] * along for a, b in zip(legs, legs[1:])])  # noqa: B905, RUF007
    xy = np.resize(points + [0, 12], (33, 2))
    part = Sighting(
        Proposal(Roi((300.0, 500.0), 150.0), None), xy, np.full(33, 0.8), Roi((300.0, 500.0), 150.0), crop()
    )
    assert is_part_of(part, whole, EDGES), "12 px beside a limb of somebody 500 px tall"
    assert distinct([whole, part], EDGES) == [whole]
    apart = Sighting(part.proposal, xy + [400, 0], part.confidence, part.next_roi, crop())
    assert not is_part_of(apart, whole, EDGES)


def test_distance_to_segments():
    points = np.array([[0.0, 3.0], [-4.0, 0.0], [12.0, 0.0]])
    starts, ends = np.array([[0.0, 0.0], [5.0, 5.0]]), np.array([[10.0, 0.0], [5.0, 5.0]])
    expected = [[3, np.hypot(5, 2)], [4, np.hypot(9, 5)], [2, np.hypot(7, 5)]]
    assert distance_to_segments(points, starts, ends) == pytest.approx(np.array(expected))
