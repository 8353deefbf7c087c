"""From corners to a rig in its world: what is solved, what is kept to test it, and where the result stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration import CalibrationError, Intrinsics, Lens, Rig
from calibration.board_grids import Checkerboard
from calibration.board_motion import BoardMotion
from calibration.boards import CharucoBoard
from calibration.intrinsics import IntrinsicsConfig
from calibration.observations import BoardObservations
from calibration.synthetic import Seeing, observe_board, ring, waved_board
from calibration.world_frame import FloorConfig
from mocap.calibrate.observed import Observed
from mocap.calibrate.session import CalibrateConfig, calibrate, find_lenses, split
from mocap.calibrate.world import KnownDistance, WorldConfig

BOARD = CharucoBoard(6, 8, 0.11, 0.08)
LENSES = (
    Intrinsics((1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.array([-0.1, 0.05, 1e-3, 0, 0])),
    Intrinsics((720, 1280), np.array([[950.0, 0, 352], [0, 948, 655], [0, 0, 1]]), np.array([0.05, -0.02, 0, 1e-3, 0])),
)
RIG = ring(4, LENSES, radius_m=2.6, height_m=1.7)
SEEING = Seeing(noise_px=0.2, two_sided=True)
QUICK = CalibrateConfig(intrinsics=IntrinsicsConfig(lens="brown_conrady"), hold_out=False)
"""Without trying lens formulas, and without a test of the result."""
LENSES_KNOWN = replace(QUICK, known={name: RIG[name].intrinsics for name in RIG.names})
"""For what has nothing to do with lenses."""


def lying(count: int = 6) -> BoardMotion:
    """The board on the floor, its corner at the origin, its columns along +x, read from above."""
    R = np.broadcast_to(np.diag([1.0, -1.0, -1.0]), (count, 3, 3)).copy()
    zero = np.zeros((count, 3))
    return BoardMotion(np.arange(count), np.arange(count) / 10, R, zero, zero, zero)


def near(camera: str, rng: np.random.Generator) -> BoardObservations:
    """The board waved before one camera alone."""
    alone = Rig((RIG[camera],))
    toward = alone.cameras[0].center + 0.9 * alone.cameras[0].cam_from_world.R[2]
    box = ((toward - [0.35, 0.35, 0.25]).tolist(), (toward + [0.35, 0.35, 0.25]).tolist())
    motion = waved_board(BOARD.corners, n_moments=80, fps=5, rng=rng, within_m=box)
    return observe_board(alone, motion, BOARD.corners, SEEING, rng)


@pytest.fixture(scope="module")
def observed() -> Observed:
    rng = np.random.default_rng(4)
    motion = waved_board(BOARD.corners, n_moments=150, fps=10, rng=rng)
    return Observed(
        RIG.names,
        BOARD,
        Path("session"),
        intrinsics=BoardObservations.joined([near(name, rng) for name in RIG.names]),
        extrinsics=observe_board(RIG, motion, BOARD.corners, SEEING, rng),
        floor=observe_board(RIG, lying(), BOARD.corners, replace(SEEING, max_angle=1.4), rng),
    )


def centre_errors_mm(rig: Rig, truth: Rig = RIG) -> np.ndarray:
    return 1000 * np.linalg.norm(rig.centers - truth.centers, axis=1)


def test_the_rig_stands_where_it_stands(observed):
    made = calibrate(observed)
    # Noise of 0.2 px at 900 px and 2.6 m is 0.6 mm a corner; the floor's frame, of six pictures, carries most of it.
    assert centre_errors_mm(made.rig).max() < 4
    assert made.report.verdict == "good"
    assert made.findings == ()
    assert made.report.board is not None
    assert made.report.board.held_out
    assert made.bundle.noise_px == pytest.approx(0.2, rel=0.05)


def test_thickness_origin_and_heading_are_as_asked(observed):
    plain = calibrate(observed, LENSES_KNOWN)
    thick = calibrate(
        observed, replace(LENSES_KNOWN, world=WorldConfig(FloorConfig(thickness_m=0.02, origin="middle")))
    )
    shift = thick.rig.centers - plain.rig.centers
    middle = BOARD.corners.mean(axis=0) * [1, -1, 0]
    np.testing.assert_allclose(shift, np.broadcast_to([-middle[0], -middle[1], 0.02], shift.shape), atol=1e-3)


def test_a_measured_distance_sets_the_scale(observed):
    apart = float(np.linalg.norm(RIG["cam01"].center - RIG["cam03"].center))
    world = WorldConfig(known_distance=KnownDistance(("cam01", "cam03"), 2 * apart))
    rig = calibrate(observed, replace(LENSES_KNOWN, world=world)).rig
    assert np.linalg.norm(rig["cam01"].center - rig["cam03"].center) == pytest.approx(2 * apart, rel=1e-9)
    np.testing.assert_allclose(rig.centers, 2 * RIG.centers, atol=0.01)  # 4 mm, doubled
    other = WorldConfig(known_distance=KnownDistance(("cam01", "camera 3"), 1.0))
    with pytest.raises(CalibrationError, match="known distance: no camera named 'camera 3'"):
        calibrate(observed, replace(LENSES_KNOWN, world=other))


def test_without_a_floor_the_world_is_a_guess_and_says_so(observed):
    made = calibrate(replace(observed, floor=None), LENSES_KNOWN)
    assert "guess" in made.world.how
    assert any("lay the board on the floor" in sentence for sentence in made.report.sentences)
    up = made.rig.centers[:, 2]
    assert up.min() > 0
    assert np.ptp(up) < 0.1, "all cameras are equally high"


def test_lenses_come_from_their_own_clips_where_there_are_some(observed):
    lenses, priors = find_lenses(observed, QUICK)
    assert set(priors) == set(RIG.names)
    some = replace(observed, intrinsics=observed.intrinsics.of_cameras(["cam01", "cam04"]))
    lenses, priors = find_lenses(some, QUICK)
    assert list(lenses) == list(RIG.names)
    assert set(priors) == {"cam01", "cam04"}, "what the extrinsics clips tell of a lens must not count twice"


def test_known_lenses_stay_as_they_are(observed):
    made = calibrate(replace(observed, intrinsics=None), LENSES_KNOWN)
    for camera in made.rig:
        np.testing.assert_array_equal(camera.intrinsics.K, RIG[camera.name].intrinsics.K)
    assert centre_errors_mm(made.rig).max() < 4


def test_cameras_of_one_make_share_their_lens(observed):
    config = CalibrateConfig(
        intrinsics=IntrinsicsConfig(shared=(("cam01", "cam03"),), lens="brown_conrady"), hold_out=False
    )
    lenses, _ = find_lenses(observed, config)
    np.testing.assert_array_equal(lenses["cam01"].intrinsics.K, lenses["cam03"].intrinsics.K)
    assert lenses["cam01"].intrinsics.lens is Lens.BROWN_CONRADY


def test_every_sixth_moment_is_kept_out_where_there_are_enough(observed):
    solved, kept = split(observed.extrinsics)
    assert kept is not None
    assert solved.n_views + kept.n_views == observed.extrinsics.n_views
    assert not set(solved.view_moment) & set(kept.view_moment)
    several = np.unique(kept.view_moment, return_counts=True)[1]
    assert (several > 1).all()
    few = observed.extrinsics.of_views(observed.extrinsics.view_moment < 20)
    assert split(few) == (few, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: replace(it, extrinsics=None), "no clips of a board that several cameras see at once"),
        (lambda it: replace(it, cameras=(*it.cameras, "cam05")), "there is no extrinsics clip of cam05"),
        (lambda it: replace(it, board=Checkerboard(7, 5, 0.06)), "7 x 5 squares looks the same upside down"),
    ],
)
def test_what_is_missing_is_named(observed, change, message):
    with pytest.raises(CalibrationError, match=message):
        calibrate(change(observed))
