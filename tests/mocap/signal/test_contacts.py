from __future__ import annotations

import numpy as np
import pytest

from mocap.signal.contacts import (
    ContactRules,
    find_contacts,
    find_surface,
    hysteresis,
    slower_speed,
    true_runs,
    without_short,
)

FPS = 50.0


def column(text: str) -> np.ndarray:
    """A column of frames, `x` for True."""
    return np.array([c == "x" for c in text])[:, None]


def stepping(velocity: tuple[float, float] = (0.0, 0.0), height: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A point that rests for 0.5 s and swings for 0.5 s, 1 m on and 0.15 m up, on a surface that moves; and when it
    rests."""
    time = np.arange(150) / FPS
    step, phase = np.divmod(time, 1.0)
    swing = np.clip((phase - 0.5) / 0.5, 0.0, 1.0)
    path = np.stack([step + swing, 0 * time, height + 0.15 * np.sin(np.pi * swing)], axis=-1)
    path[:, :2] += time[:, None] * velocity
    return path[:, None], phase < 0.5 + 1e-9


def test_runs_come_by_column_and_in_time():
    runs = true_runs(np.concatenate([column("xx..x"), column(".xxx.")], axis=1))
    assert list(zip(runs.column, runs.start, runs.stop, strict=True)) == [(0, 0, 2), (0, 4, 5), (1, 1, 4)]
    assert len(true_runs(np.zeros((0, 2), dtype=bool))) == 0


def test_a_run_lasts_from_its_first_sure_frame_to_its_last():
    assert hysteresis(column("...x..x....x"), column(".xxxxxxxx.x.")).T.tolist() == column("...xxxx....x").T.tolist()


def test_short_gaps_are_filled_before_short_runs_go():
    assert without_short(column("xxx.xxx..x..x"), 3.0).T.tolist() == column("xxxxxxxxxxxxx").T.tolist()
    assert without_short(column("xxxx....x...."), 3.0).T.tolist() == column("xxxx.........").T.tolist()
    assert without_short(column("x......xxxxxx"), 3.0)[0, 0], "what the take cuts off may be long"


@pytest.mark.parametrize(("velocity", "height"), [((0.0, 0.0), 0.0), ((0.0, 0.0), 0.12), ((-1.1, 0.3), 0.05)])
def test_surface_and_contacts_of_a_point_that_steps(velocity, height):
    points, rests = stepping(velocity, height)
    surface = find_surface(points, FPS)
    assert surface.rest_m[0] == pytest.approx(height, abs=1e-9)
    assert surface.velocity == pytest.approx(velocity, abs=1e-6)
    found = find_contacts(points, surface, FPS, ContactRules())[:, 0]
    # a frame at an end of a rest has one still interval: it may count to either
    assert (found != rests).sum() <= 5


def test_noise_of_a_solved_motion_does_not_break_contacts():
    points, rests = stepping()
    noisy = points + np.random.default_rng(0).normal(0, 0.0015, points.shape)  # 0.1 m/s at 50 frames/s
    found = find_contacts(noisy, find_surface(noisy, FPS), FPS, ContactRules())
    assert len(true_runs(found)) == 3
    assert (found[:, 0] != rests).sum() <= 12


def test_what_never_rests_has_no_rest_height_and_no_contact():
    time = np.arange(100) / FPS
    flying = np.stack([2 * time**2 + time, 0 * time, 1 + 0 * time], axis=-1)[:, None]
    steps, _ = stepping()
    both = np.concatenate([steps[:100], flying], axis=1)
    surface = find_surface(both, FPS)
    assert np.isnan(surface.rest_m[1])
    assert not find_contacts(both, surface, FPS, ContactRules())[:, 1].any()


def test_takes_of_no_and_one_frame():
    for n in (0, 1):
        points = np.zeros((n, 2, 3))
        surface = find_surface(points, FPS)
        assert find_contacts(points, surface, FPS, ContactRules()).shape == (n, 2)
        assert slower_speed(points, FPS, np.zeros(2)).tolist() == [[0.0, 0.0]] * n
