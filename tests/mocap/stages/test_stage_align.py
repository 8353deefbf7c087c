"""Sightings at common times: what has a frame there stays as it is, the rest lies on its path, gaps stay gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mocap.core.errors import InputError
from mocap.core.keypoints import Detections2D, load_keypoint_set
from mocap.stages.align import AlignConfig, align, common_times, cut_to_frames

SET = load_keypoint_set("blazepose33")
J = len(SET)
AMPLITUDE_PX, FREQUENCY_HZ = 80.0, 1.2
"""An arm that waves: 600 px/s at most."""


def path(time_s: np.ndarray, person: int = 0) -> np.ndarray:
    """(R, J, 2) px: every keypoint waves about its own place."""
    swing = AMPLITUDE_PX * np.sin(2 * np.pi * FREQUENCY_HZ * time_s)[:, None, None] * [1.0, 0.5]
    places = np.stack([np.linspace(200, 300, J), np.linspace(100, 500, J)], axis=-1)
    return places + swing + [600.0 * person, 0.0]


def seen(times: dict[str, np.ndarray], people: int = 1, tracks: bool = True) -> Detections2D:
    """Cameras that see the same people in the same places, at their own times."""
    rows = [
        (f, c, p, t)
        for c, own in enumerate(times.values())
        for f, t in enumerate(own)
        for p in range(people)
        if np.isfinite(t)
    ]
    frame, camera, person, time = (np.array(column) for column in zip(*rows, strict=True))
    xy = np.concatenate([path(np.array([t]), p) for t, p in zip(time, person, strict=True)])
    return Detections2D(
        tuple(times),
        max(len(own) for own in times.values()),
        SET,
        frame=frame.astype(np.int64),
        camera=camera.astype(np.int64),
        track=person.astype(np.int64) if tracks else np.full(len(frame), -1),
        xy=xy,
        confidence=np.full(xy.shape[:2], 0.8),
        box=np.concatenate([xy.min(1), xy.max(1)], axis=-1),
        score=np.full(len(xy), 0.9),
    )


ARRAYS = ("frame", "camera", "track", "xy", "confidence", "box", "score")


def same(a: Detections2D, b: Detections2D) -> bool:
    return a.n_frames == b.n_frames and all(
        np.array_equal(getattr(a, n), getattr(b, n), equal_nan=n in ("xy",)) for n in ARRAYS
    )


def test_cameras_that_agree_are_taken_over_bit_for_bit():
    """2 % of a frame is the limit: 0.67 ms at 30 frames a second."""
    rng = np.random.default_rng(1)
    times = {name: np.arange(40) / 30 + rng.uniform(-3e-4, 3e-4, 40) for name in "abc"}
    given_ = seen(times, people=2)
    found, report = align(given_, times, AlignConfig(), fps=30.0)
    assert same(found, given_)
    assert all(camera.resampled == 0 for camera in report.cameras.values())


def test_people_are_where_they_were_at_the_common_times():
    """30, 29.97 and 59.94 frames a second, started by hand. Of a sine of A = 80 px, w = 2 pi 1.2 Hz at h = 1/30 s: an
    exact Hermite cubic is off by A (w h)^4 / 384 = 0.001 px; its slopes by A w^3 h^2 / 6, which cancels in the middle
    of an interval but for A (w h)^4 / 24 / 4 = 0.003 px; in between at most (h / 27^0.5 of a slope's error) 0.04 px.
    Tracks begin and end with the step beside them for slope, off by A w^2 h / 2: half an interval on that is
    A (w h)^2 / 4 + A (w h)^2 / 8 = 1.9 px."""
    times = {
        "a": np.arange(90) / 30,
        "b": 0.413 + np.arange(80) / 29.97,
        "c": 0.2071 + np.arange(170) / 59.94,
    }
    found, report = align(seen(times, people=2), times, AlignConfig(), fps=30.0)
    assert report.start_s is not None
    assert report.start_s == pytest.approx(7 / 30)
    moments = report.start_s + np.arange(found.n_frames) / 30
    assert moments[-1] == pytest.approx(3.0), "two cameras film until 3.026 s"
    true = np.concatenate([path(np.array([moments[f]]), t) for f, t in zip(found.frame, found.track, strict=True)])
    inside = np.ones(len(found.frame), dtype=bool)
    for c, own in enumerate(times.values()):
        at = moments[found.frame]
        inside &= (found.camera != c) | ((at >= own[1]) & (at <= own[-2]))
    assert np.abs(found.xy - true)[inside].max() < 0.05
    assert np.abs(found.xy - true).max() < 1.9
    half = {name: np.diff(own)[0] / 2 for name, own in times.items()}
    reached = [np.sum((moments > t[0] - half[n] - 1e-9) & (moments < t[-1] + half[n] - 1e-9)) for n, t in times.items()]
    assert np.bincount(found.camera).tolist() == [2 * n for n in reached]
    assert found.confidence == pytest.approx(0.8)


@pytest.mark.parametrize("tracks", [True, False])
def test_short_gaps_are_bridged_and_long_ones_are_not(tracks):
    """Without ids of the detector nothing is bridged."""
    times = {"a": np.arange(60) / 30, "b": np.arange(60) / 30 + 0.01}
    given_ = seen(times, tracks=tracks)
    lost = (given_.camera == 1) & np.isin(given_.frame, [10, 11, *range(30, 36)])
    found, _ = align(given_.select(~lost), times, AlignConfig(), fps=30.0)
    there = np.zeros(60, dtype=bool)
    there[found.frame[found.camera == 1]] = True
    assert there[[10, 11, 12]].tolist() == ([True] * 3 if tracks else [True, False, True]) or not tracks
    assert not there[32:35].any()
    assert there[5:9].all()


def test_what_is_missing_beside_a_moment_is_missing_there():
    times = {"a": np.arange(20) / 30, "b": np.arange(20) / 30 + 0.01}
    given_ = seen(times)
    xy, confidence = given_.xy.copy(), given_.confidence.copy()
    hidden = (given_.camera == 1) & (given_.frame == 8)
    xy[hidden, 4], confidence[hidden, 4] = np.nan, 0.0
    fields = {name: getattr(given_, name) for name in ARRAYS} | {"xy": xy, "confidence": confidence}
    found, report = align(Detections2D(given_.cameras, 20, SET, **fields), times, AlignConfig(), fps=30.0)
    b = found.camera == 1
    missing = found.frame[b][np.isnan(found.xy[b][:, 4, 0])]
    assert report.start_s == pytest.approx(1 / 30)
    assert missing.tolist() == [7, 8]
    assert np.isfinite(found.xy[b][:, 5]).all()


def test_frames_that_repeat_others_are_left_out():
    """The path goes on as if they had not been there."""
    times = {"a": np.arange(40) / 30, "b": np.arange(40) / 30 + 0.4 / 30}
    given_ = seen(times)
    repeated = np.flatnonzero(np.arange(40) % 7 == 3)
    xy = given_.xy.copy()
    for f in repeated:
        xy[(given_.camera == 1) & (given_.frame == f)] = xy[(given_.camera == 1) & (given_.frame == f - 1)]
    faulty = Detections2D(given_.cameras, 40, SET, **({n: getattr(given_, n) for n in ARRAYS} | {"xy": xy}))
    times["b"][repeated] = np.nan
    found, report = align(faulty, times, AlignConfig(), fps=30.0)
    assert report.start_s is not None
    moments = report.start_s + found.frame / 30
    assert np.abs(found.xy - path(moments))[(found.camera == 1) & (found.frame > 0)].max() < 1.5  # two frames apart
    assert report.cameras["b"].repeated == len(repeated)
    assert report.sentences == (f"b: {len(repeated)} frames show an earlier one again and are left out",)


def test_a_track_that_changes_hands_is_not_a_person_who_flies():
    times = {"a": np.arange(20) / 30, "b": np.arange(20) / 30 + 0.016}
    given_ = seen(times, people=2)
    swapped = np.where(given_.frame >= 10, 1 - given_.track, given_.track)
    fields = {name: getattr(given_, name) for name in ARRAYS} | {"track": swapped}
    found, _ = align(Detections2D(given_.cameras, 20, SET, **fields), times, AlignConfig(), fps=30.0)
    x = found.xy[..., 0].mean(-1)
    assert ((x < 250 + 100) | (x > 850 - 100)).all()


@settings(max_examples=20, deadline=None)
@example(-3.0, 1.0, 51.0, "union")  # a alone films between b's end and c's beginning
@given(st.floats(-3, 3), st.floats(0.9998, 1.0002), st.floats(15, 65), st.sampled_from(["union", "intersection"]))
def test_the_grid_lies_within_what_is_filmed(offset, rate, fps, span):
    times = {"a": np.arange(200) / 30, "b": offset + np.arange(200) / fps * rate, "c": 1.0 + np.arange(100) / 30}
    assume(span == "union" or times["b"][-1] > 1.0)
    common = common_times(times, AlignConfig(span=span), fps=30.0)
    filmed = np.sum(
        [(common.time_s >= t[0] - 0.021 / 30) & (common.time_s <= t[-1] + 0.021 / 30) for t in times.values()], axis=0
    )
    assert filmed[[0, -1]].min() >= 2 if span == "union" else filmed.min() == 3
    assert np.abs(common.time_s * 30 - np.rint(common.time_s * 30)).max() < 1e-6, "on the frames of a"


def test_clocks_that_leave_nothing_in_common_are_told():
    times = {"a": np.arange(30) / 30, "b": 5 + np.arange(30) / 30}
    with pytest.raises(InputError, match=r"never film at the same time \(a 0.00 to 0.97 s, b 5.00 to 5.97 s\)"):
        common_times(times, AlignConfig(), fps=30.0)
    apart = {"a": np.arange(30) / 30, "b": 2 + np.arange(30) / 30, "c": 4 + np.arange(30) / 30}
    with pytest.raises(InputError, match="never film at the same time"):
        common_times(apart, AlignConfig(), fps=30.0)
    with pytest.raises(InputError, match="only a has a clock: two cameras are needed. Run mocap sync"):
        common_times({"a": times["a"]}, AlignConfig(), fps=30.0)


def test_a_camera_without_a_clock_is_left_out():
    times = {"a": np.arange(30) / 30, "b": np.arange(30) / 30, "c": np.arange(30) / 30}
    given_ = seen(times)
    found, report = align(given_, {n: times[n] for n in "ab"}, AlignConfig(), fps=30.0)
    assert found.cameras == ("a", "b", "c")
    assert set(found.camera.tolist()) == {0, 1}
    assert list(report.cameras) == ["a", "b"]


def test_without_clocks_frames_are_counted_to_the_end_of_the_shortest():
    times = {"a": np.arange(12) / 30, "b": np.arange(9) / 30}
    given_ = seen(times)
    found, report = cut_to_frames(given_, {"a": 12, "b": 9})
    assert (found.n_frames, report.n_frames, int(found.frame.max())) == (9, 9, 8)
    assert report.sentences == ("the videos differ in length (a 12, b 9 frames); the first 9 are used",)
    assert same(found.select(found.camera == 1), given_.select(given_.camera == 1)) or found.n_frames == 9
    whole, quiet = cut_to_frames(given_, {})
    assert whole is given_
    assert quiet.sentences == ()


@pytest.mark.filterwarnings("error")
def test_a_camera_with_one_picture_or_none_spoils_nothing():
    usual = np.arange(30) / 30
    times = {"a": usual, "b": usual, "c": np.array([np.nan, 0.1, np.nan]), "d": np.full(2, np.nan)}
    found, report = align(seen(times), times, AlignConfig(), fps=30.0)
    assert [int((found.camera == c).sum()) for c in range(4)] == [30, 30, 1, 0]
    assert int(found.frame[found.camera == 2][0]) == 3
    assert report.cameras["d"].repeated == 2
    assert "d: nobody is seen while another camera films" in report.sentences
