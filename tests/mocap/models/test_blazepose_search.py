import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocap.models.blazepose_roi import Roi
from mocap.models.blazepose_search import SearchPlan, search_regions

SIDES = st.integers(64, 4000)


@given(width=SIDES, height=SIDES)
def test_every_person_sized_square_lies_in_some_region(width, height):
    """With neighbours overlapping by half, half a square anywhere is inside one square of its size."""
    short = min(width, height)
    for side in {r.size for r in search_regions(width, height, 2)[1:]}:
        boxes = np.array([r.box for r in search_regions(width, height, 2) if r.size == side])
        rng = np.random.default_rng(width * 4001 + height)
        corner = rng.uniform(0, 1, (50, 2)) * (np.array([width, height]) - side / 2).clip(0)
        inner = np.concatenate([corner, corner + side / 2], axis=1)[:, None]
        inside = (boxes[:, :2] <= inner[..., :2] + 1e-6).all(-1) & (boxes[:, 2:] >= inner[..., 2:] - 1e-6).all(-1)
        assert inside.any(1).all()
        assert side <= short


def test_levels_add_squares():
    whole, *rest = search_regions(1088, 1920, 0)
    assert (whole.center, whole.size) == ((544, 960), 1920)
    assert rest == []
    assert [r.size for r in search_regions(1088, 1920, 1)] == [1920, 1088, 1088, 1088]
    assert len(search_regions(1088, 1920, 2)) == 4 + 3 * 6
    assert len(search_regions(500, 500, 1)) == 1, "the whole image is the only square of the short side"


def seen(plan: SearchPlan, frames: range, **state) -> list[list[Roi]]:
    state = {"tracked": 1, "lost": ()} | state
    return [plan.regions(frame, 0, (640, 480), **state) for frame in frames]


def test_the_first_frame_is_searched_everywhere():
    assert seen(SearchPlan(4, 2), range(1))[0] == list(search_regions(640, 480, 2))


def test_while_people_are_followed_one_region_in_some_frames_and_all_by_turns():
    plan, regions = SearchPlan(4, 2), search_regions(640, 480, 2)
    frames = seen(plan, range(1, 1 + 8 * len(regions)))
    assert {len(f) for f in frames} == {0, 1}
    assert np.mean([len(f) for f in frames]) == pytest.approx(1 / 4)
    assert {r for f in frames for r in f} == set(regions)
    assert sum(f == [regions[0]] for f in frames) == len(regions), "every second turn is the whole image's"


def test_cameras_take_turns():
    plan = SearchPlan(4, 1)
    busy = [[bool(plan.regions(f, c, (640, 480), tracked=1, lost=())) for c in range(4)] for f in range(4, 12)]
    assert np.sum(busy, axis=1).tolist() == [1] * 8


def test_with_nobody_there_every_frame_is_searched():
    assert [len(f) for f in seen(SearchPlan(4, 2), range(1, 9), tracked=0)] == [2] * 8


def test_lost_people_are_looked_for_where_they_were():
    lost = Roi((100.0, 90.0), 80.0, 0.3)
    for frame in seen(SearchPlan(4, 2), range(1, 9), lost=(lost,)):
        assert frame[-1] == Roi((100.0, 90.0), 120.0)
