"""Ways to get a recording wrong: each is named, and a recording without fault is not accused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration import Intrinsics, Lens
from calibration.board_motion import BoardMotion
from calibration.boards import CharucoBoard
from calibration.diagnosis import Finding, diagnose
from calibration.diagnosis_tracks import aligned, best_shift
from calibration.diagnosis_views import board_share
from calibration.formats import read_calibration
from calibration.formats.point_data import read_point_data
from calibration.observations import BoardObservations
from calibration.synthetic import Seeing, observe_board, ring, waved_board

BOARD = CharucoBoard(5, 7, 0.12, 0.09)
FPS = 15


def matrix(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


LENSES = (
    Intrinsics((1280, 720), matrix(900, 905, 620, 370), np.array([-0.1, 0.05, 1e-3, 0, 0])),
    Intrinsics((1280, 720), matrix(1010, 1012, 655, 350), np.array([-0.05, 0.02, 0, 1e-3, 0])),
    Intrinsics((1440, 1080), matrix(620, 615, 702, 560), np.zeros(4), Lens.FISHEYE),
)
Recorded = tuple[BoardObservations, dict[str, Intrinsics]]


def recorded(
    seed: int = 0, count: int = 4, *, radius_m: float = 3.0, n_moments: int = 120, **seeing: float
) -> Recorded:
    """What cameras around a waved board see, and their lenses."""
    rng = np.random.default_rng(seed)
    rig = ring(count, LENSES, radius_m=radius_m)
    motion = waved_board(BOARD.corners, n_moments=n_moments, fps=FPS, rng=rng)
    it = observe_board(rig, motion, BOARD.corners, Seeing(**{"two_sided": True, **seeing}), rng)
    return it, {camera.name: camera.intrinsics for camera in rig}


def mirrored(it: BoardObservations, name: str) -> BoardObservations:
    """One camera's pictures flipped left to right."""
    xy, rows = it.xy.copy(), it.camera == it.index(name)
    xy[rows, 0] = it.image_sizes[it.index(name)][0] - 1 - xy[rows, 0]
    return replace(it, xy=xy)


def delayed(it: BoardObservations, name: str, frames: int) -> BoardObservations:
    """One camera's clip begins earlier, so that everything is seen `frames` later in it."""
    late = np.where(it.view_camera == it.index(name), frames, 0)
    return replace(
        it,
        view_moment=it.view_moment + late,
        view_frame=it.view_frame + late,
        view_time_s=it.view_time_s + late / FPS,
    )


def renamed(it: BoardObservations, a: str, b: str) -> BoardObservations:
    """The clips of two cameras under each other's name."""
    i, j = it.index(a), it.index(b)
    swap = np.arange(len(it.cameras))
    swap[[i, j]] = j, i
    return replace(it, view_camera=swap[it.view_camera], image_sizes=tuple(it.image_sizes[k] for k in swap))


def only(findings: tuple[Finding, ...], kind: str) -> Finding:
    """The one finding there is."""
    assert [finding.kind for finding in findings] == [kind], findings
    return findings[0]


POOR: dict[str, Any] = {"noise_px": 0.6, "outlier_share": 0.05, "time_jitter_s": 0.015}


@pytest.mark.slow
@pytest.mark.parametrize("two_sided", [False, True])
def test_of_many_recordings_none_is_accused(two_sided):
    """A board with one side may never turn it to some camera in twelve seconds; that is no accusation."""
    for seed in range(3, 25):
        it, lenses = recorded(seed, 3 + seed % 4, radius_m=2.6, two_sided=two_sided, **POOR)
        blind = {name for number, name in enumerate(it.cameras) if not (it.view_camera == number).any()}
        assert not (two_sided and blind)
        findings = [f for f in diagnose(it, lenses) if f.kind != "never_seen" or not blind.issuperset(f.cameras)]
        assert findings == [], seed


@pytest.mark.parametrize(
    "seeing",
    [{}, {"two_sided": False}, POOR],
    ids=["both sides", "one side", "poor"],
)
def test_recordings_without_fault_are_not_accused(seeing):
    for seed in range(3):
        findings = diagnose(*recorded(seed, 3 + seed % 4, radius_m=2.6, **seeing))
        assert findings == (), seed


def test_a_camera_that_never_sees_the_board():
    it, lenses = recorded()
    finding = only(diagnose(it.of_views(it.view_camera != 1), lenses), "never_seen")
    assert (finding.severity, finding.cameras) == ("error", ("cam02",))
    assert "cam02 never sees the board. Check that its clip shows the board" in finding.sentence


def test_a_board_that_no_camera_sees():
    it, lenses = recorded()
    finding = only(diagnose(it.of_views(np.zeros(it.n_views, dtype=bool)), lenses), "never_seen")
    assert "no camera ever sees the board. Check that its settings are those of the print" in finding.sentence


def test_two_frames_only():
    it, lenses = recorded()
    moments = it.view_moment[it.view_camera == 0][[0, -1]]
    findings = diagnose(it.of_views(np.isin(it.view_moment, moments)), lenses)
    assert {finding.kind for finding in findings} <= {"few_views", "never_seen"}
    assert {finding.severity for finding in findings} == {"error"}
    assert any("cam01 sees the board in 2 pictures only. Record it for 20 seconds" in f.sentence for f in findings)


def test_a_static_board():
    rng = np.random.default_rng(1)
    rig = ring(4, LENSES)
    moving = waved_board(BOARD.corners, n_moments=40, fps=FPS, rng=rng)
    still = replace(
        moving,
        R=np.repeat(moving.R[:1], 40, 0),
        t=np.repeat(moving.t[:1], 40, 0),
        velocity=0 * moving.t,
        spin=0 * moving.t,
    )
    assert isinstance(still, BoardMotion)
    it = observe_board(rig, still, BOARD.corners, Seeing(two_sided=True), rng)
    findings = diagnose(it, {camera.name: camera.intrinsics for camera in rig})
    (finding,) = [finding for finding in findings if finding.kind == "static_board"]
    assert {finding.kind for finding in findings} <= {"static_board", "never_seen"}
    assert "the board does not move: all pictures show it in one place. Carry it" in finding.sentence


def test_one_camera_whose_picture_stands_still():
    it, lenses = recorded()
    first = it.view_camera == 2
    of_first_view = np.flatnonzero(first)[0]
    here = it.of_views(~first)
    still = it.of_views(np.arange(it.n_views) == of_first_view)
    many = BoardObservations.joined(
        [here, *(replace(still, view_moment=still.view_moment + k, view_frame=still.view_frame + k) for k in range(20))]
    )
    findings = diagnose(many.of_cameras(it.cameras), lenses)
    (finding,) = [finding for finding in findings if finding.kind == "static_board"]
    assert finding.cameras == ("cam03",)
    assert "the board does not move in cam03, though it does in other cameras" in finding.sentence


@pytest.mark.parametrize(("radius_m", "severity"), [(7.0, "warning"), (14.0, "error")])
def test_a_board_that_is_far_away_only(radius_m, severity):
    it, lenses = recorded(radius_m=radius_m, min_square_px=1.0)
    findings = [finding for finding in diagnose(it, lenses) if finding.kind == "small_board"]
    assert ("cam03",) in [finding.cameras for finding in findings]
    assert {finding.severity for finding in findings if finding.cameras == ("cam03",)} == {severity}
    assert "sees the board from far away only: from corner to corner it takes" in findings[0].sentence


def test_the_share_of_a_picture_is_that_of_the_whole_board_though_part_is_seen():
    it, _ = recorded(missing_share=0.0, noise_px=0.0)
    whole = board_share(it)
    half = board_share(it.of_corners(it.corner % 2 == 0))
    # Perspective stretches parts by the board's depth over its distance, 0.5 m of 2.5 m, at most.
    np.testing.assert_allclose(half, whole, rtol=0.25)
    assert abs(np.nanmedian(half / whole) - 1) < 0.02


@pytest.mark.parametrize("name", ["cam01", "cam03"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_mirrored_picture(name, seed):
    it, lenses = recorded(seed)
    finding = only(diagnose(mirrored(it, name), lenses), "mirrored")
    assert (finding.severity, finding.cameras) == ("error", (name,))
    assert f"the picture of {name} is mirrored" in finding.sentence
    assert "Switch off the mirroring" in finding.sentence


def test_of_two_cameras_the_one_that_sees_the_back_is_mirrored():
    it, lenses = recorded(2, 6, two_sided=False)
    pair = mirrored(it, "cam02").of_cameras(["cam01", "cam02"])
    assert only(diagnose(pair, lenses), "mirrored").cameras == ("cam02",)


def test_of_two_cameras_that_see_both_sides_one_is_mirrored():
    it, lenses = recorded()
    pair = mirrored(it, "cam02").of_cameras(["cam01", "cam02"])
    finding = only(diagnose(pair, lenses), "mirrored")
    assert finding.cameras == ("cam01", "cam02")
    assert "one of cam01 and cam02 has mirrored pictures" in finding.sentence


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_exchanged_names(seed):
    """Lenses of 900 and 1010 px: a single picture of the board hardly tells them apart."""
    it, lenses = recorded(seed)
    finding = only(diagnose(renamed(it, "cam01", "cam02"), lenses), "exchanged")
    assert (finding.severity, finding.cameras) == ("error", ("cam01", "cam02"))
    assert "cam01 and cam02 seem to be exchanged" in finding.sentence


def test_exchanged_names_of_cameras_with_other_pictures():
    it, lenses = recorded()
    finding = only(diagnose(renamed(it, "cam01", "cam03"), lenses), "exchanged")
    assert "each has pictures of the size for which the other's lens was calibrated" in finding.sentence


def test_a_lens_for_pictures_of_another_size():
    it, lenses = recorded()
    findings = diagnose(it, lenses | {"cam02": lenses["cam02"].resized((1920, 1080))})
    assert (
        "cam02 has pictures of 1280 x 720, its lens was calibrated for 1920 x 1080."
        in only(findings, "picture_size").sentence
    )


def test_a_lens_that_was_zoomed():
    it, lenses = recorded()
    zoomed = replace(lenses["cam02"], distortion=np.array([0.8, 0.0, 0.0, 0, 0]))
    finding = only(tuple(f for f in diagnose(it, lenses | {"cam02": zoomed}) if f.kind == "lens_misfit"), "lens_misfit")
    assert (finding.severity, finding.cameras) == ("warning", ("cam02",))
    assert "the lens of cam02 does not fit its pictures" in finding.sentence


@pytest.mark.parametrize(("name", "frames", "told"), [("cam02", 5, "333 ms) late"), ("cam03", -40, "2667 ms) early")])
def test_clips_that_do_not_run_together(name, frames, told):
    it, lenses = recorded(1)
    finding = only(diagnose(delayed(it, name, frames), lenses), "unsynchronized")
    assert (finding.severity, finding.cameras) == ("error", (name,))
    assert f"{name} is {abs(frames)} frames ({told} against the others. Synchronize them" in finding.sentence


def test_tracks_fit_when_turned_shifted_delayed_or_mirrored():
    rng = np.random.default_rng(4)
    track = np.cumsum(rng.normal(0, 0.1, (80, 1, 3)), axis=0) + rng.normal(0, 0.3, (4, 3)) + [0, 0, 4]
    turned = track[:, :, [1, 2, 0]] + [0.3, -1.0, 2.0]
    now = np.zeros(1, dtype=np.int64)
    assert aligned(track, turned, now).misfit[0] < 1e-9
    assert aligned(track, turned * [1, 1, -1], now).misfit[0] > 0.02
    assert aligned(track, turned * [1, 1, -1], now, mirrored=True).misfit[0] < 1e-9
    later = np.concatenate([np.full((7, 4, 3), np.nan), turned[:-7]])
    shift, left, before = best_shift(track, later)
    assert (shift, left < 1e-9, before > 0.02) == (7, True, True)
    assert not np.isfinite(aligned(track[:7], turned[:7], now).misfit[0])


def test_two_cameras_with_the_same_clip():
    it, _ = recorded()
    one = it.of_cameras(["cam01"])
    twice = BoardObservations.joined([it.of_cameras(["cam01", "cam02"]), replace(one, cameras=("cam09",))])
    finding = only(diagnose(twice), "same_clip")
    assert finding.cameras == ("cam01", "cam09")
    assert "Give each camera its own clip" in finding.sentence


def test_real_recordings(shared_data: Path):
    """Corners that another program found in webcam clips: as they are, and with a fault put in."""
    folder = shared_data / "caliscope/history/9af418c9_post_optimization_3cam"
    first, second, third = names = ("cam_0", "cam_1", "cam_2")
    it = read_point_data(folder / "point_data.csv").of_cameras(names)
    lenses = {camera.name: camera.intrinsics for camera in read_calibration(folder / "config.toml")}
    assert not [finding for finding in diagnose(it, lenses) if finding.severity == "error"]
    (flipped,) = [finding for finding in diagnose(mirrored(it, third), lenses) if finding.kind == "mirrored"]
    assert flipped.cameras == (third,)
    (swapped,) = [finding for finding in diagnose(renamed(it, first, second), lenses) if finding.kind == "exchanged"]
    assert swapped.cameras == (first, second)
    (late,) = [finding for finding in diagnose(delayed(it, third, 15), lenses) if finding.kind == "unsynchronized"]
    assert (late.severity, late.cameras) == ("error", (third,))
