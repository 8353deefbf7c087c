"""Lenses from views of a board: against truth, against OpenCV on the same corners, and on real corners."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from lens_worlds import BROWN, FISHEYE, LENSES, RATIONAL, held_in_front

from calibration import CalibrationError, Intrinsics, UnknownCameraError
from calibration.boards import CharucoBoard
from calibration.intrinsics import (
    IntrinsicsConfig,
    IntrinsicsResult,
    UnobservableIntrinsicsError,
    calibrate_intrinsics,
)
from calibration.intrinsics_prior import parameters_of
from calibration.observations import BoardObservations
from calibration.synthetic import Seeing

CLEAN = Seeing(noise_px=0.3, max_angle=1.4)
DIRTY = replace(CLEAN, outlier_share=0.05)
ONE_MODEL = IntrinsicsConfig(lens="brown_conrady")
"""Spares the comparison of lenses where it is not what a test is about."""


def calibrated(lens: Intrinsics, seed: int = 0, config: IntrinsicsConfig | None = None, **world) -> IntrinsicsResult:
    it = held_in_front(lens, np.random.default_rng(seed), **({"seeing": DIRTY} | world))
    return calibrate_intrinsics(it, config)["cam01"]


def normalised_error(result: IntrinsicsResult, truth: Intrinsics) -> float:
    """Squared Mahalanobis distance over the number of parameters: 1 on average when covariances are right."""
    error = parameters_of(result.intrinsics) - parameters_of(truth)
    return float(error @ np.linalg.solve(result.covariance, error)) / len(error)


@pytest.mark.parametrize("name", LENSES)
def test_finds_the_lens_and_its_formula_among_outliers(name):
    truth = LENSES[name]
    result = calibrated(truth)
    assert (result.intrinsics.lens, len(result.intrinsics.distortion)) == (truth.lens, len(truth.distortion))
    # 0.3 px noise, corners beyond 4.5 deviations left out: known to 1 / sqrt(2 n), n = 2000, less what poses take.
    assert result.rms_px == pytest.approx(0.3 * np.sqrt(2), rel=0.15)
    assert result.held_out_rms_px[name] <= min(result.held_out_rms_px.values()) * 1.01
    for value, true, std in zip(
        parameters_of(result.intrinsics), parameters_of(truth), result.std.values(), strict=True
    ):
        assert abs(value - true) < 4 * std
    assert result.std["fx"] / result.intrinsics.K[0, 0] < 0.005
    assert result.verdict in {"good", "usable"}
    assert result.sentences[0].startswith(f"Focal length {result.intrinsics.K[0, 0]:.1f} ± {result.std['fx']:.1f} px")
    told = any(f"Lens {name}: views held out fit to 0." in sentence for sentence in result.sentences)
    assert told == (len(result.held_out_rms_px) > 1) == (name != "brown_conrady")


@pytest.mark.slow
@pytest.mark.parametrize("name", LENSES)
def test_uncertainties_are_those_of_the_errors(name):
    results = [calibrated(LENSES[name], seed) for seed in range(24)]
    chosen = [r for r in results if len(r.intrinsics.distortion) == len(LENSES[name].distortion)]
    assert len(chosen) >= 23
    errors = [normalised_error(result, LENSES[name]) for result in chosen]
    # The mean of 24 x 8 (9, 12) squared normal numbers is known to sqrt(2 / 192) = 0.10; four of those, and the factor
    # for groups of views, never below 1, makes it up to 0.2 smaller.
    assert 0.5 < np.mean(errors) < 1.4


def test_least_squares_are_those_of_opencv_on_the_same_corners():
    it = held_in_front(BROWN, np.random.default_rng(4), n_views=20, seeing=CLEAN)
    config = IntrinsicsConfig(lens="brown_conrady", typical=False, outlier_sigmas=100, min_corners=4)
    ours = calibrate_intrinsics(it, config)["cam01"]
    views = [it.view == v for v in ours.used]
    _, K, distortion, _, _ = cv2.calibrateCamera(
        [it.points[it.corner[rows]].astype(np.float32) for rows in views],
        [it.xy[rows].astype(np.float32) for rows in views],
        (1280, 720),
        None,
        None,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 1000, 1e-14),
    )
    # The weak prior of the principal point (320 px against 1 px) moves it by 1e-5 of its distance from the middle.
    np.testing.assert_allclose(ours.intrinsics.K, K, atol=0.02)
    np.testing.assert_allclose(ours.intrinsics.distortion, distortion.ravel(), atol=2e-3, rtol=1e-3)


def test_long_clips_are_thinned_to_views_that_say_as_much():
    long = held_in_front(BROWN, np.random.default_rng(1), n_views=300, seeing=CLEAN)
    some = calibrate_intrinsics(long, IntrinsicsConfig(lens="brown_conrady"))["cam01"]
    every = calibrate_intrinsics(long, IntrinsicsConfig(lens="brown_conrady", max_views=1000))["cam01"]
    first = calibrate_intrinsics(
        long.of_views(np.arange(long.n_views) < 50), IntrinsicsConfig(lens="brown_conrady", max_views=1000)
    )["cam01"]
    assert len(some.used) == 50
    assert len(every.used) > 280
    # Fifty views taken at random know sqrt(6) = 2.4 times less than all; chosen ones beat those.
    assert some.std["fx"] < 0.8 * first.std["fx"]
    assert normalised_error(some, BROWN) < 3  # 9 numbers: beyond in one of 600 cases


def test_views_with_other_boards_are_dropped_and_named():
    it = held_in_front(BROWN, np.random.default_rng(6), n_views=30, seeing=CLEAN)
    rng = np.random.default_rng(7)
    wrong = it.view == 4
    xy = it.xy.copy()
    xy[wrong] = xy[wrong][rng.permutation(int(wrong.sum()))]
    few = (it.view != 9) | (np.cumsum(it.view == 9) <= 5)
    result = calibrate_intrinsics(replace(it, xy=xy).of_corners(few), ONE_MODEL)["cam01"]
    assert "px off, those of other views" in result.dropped[4]
    assert result.dropped[9] == "only 5 corners"
    assert not {4, 9} & set(result.used.tolist())


def test_nothing_depends_on_the_order_of_corners():
    it = held_in_front(FISHEYE, np.random.default_rng(3), n_views=20, seeing=CLEAN)
    turned = np.random.default_rng(0).permutation(it.n_corners)
    shuffled = replace(it, view=it.view[turned], corner=it.corner[turned], xy=it.xy[turned])
    config = IntrinsicsConfig(lens="fisheye")
    one, other, again = (calibrate_intrinsics(each, config)["cam01"] for each in (it, shuffled, it))
    np.testing.assert_allclose(parameters_of(other.intrinsics), parameters_of(one.intrinsics), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(parameters_of(again.intrinsics), parameters_of(one.intrinsics))
    np.testing.assert_array_equal(again.covariance, one.covariance)


def test_the_mirrored_back_of_a_board_serves_as_well():
    front = held_in_front(BROWN, np.random.default_rng(5), seeing=CLEAN)
    # Seen from behind, x runs the other way; which corners those are does not change.
    back = replace(front, points=front.points * [-1, 1, 1], xy=front.xy)
    one, other = (calibrate_intrinsics(each, ONE_MODEL)["cam01"] for each in (front, back))
    np.testing.assert_allclose(other.intrinsics.K, one.intrinsics.K, atol=1e-3)


def test_a_picture_in_the_corner_of_a_larger_one():
    it = held_in_front(BROWN.resized((640, 360)), np.random.default_rng(2), seeing=CLEAN)
    padded = replace(it, image_sizes=((2560, 1440),))
    result = calibrate_intrinsics(padded, ONE_MODEL)["cam01"]
    assert abs(result.intrinsics.K[0, 2] - BROWN.resized((640, 360)).K[0, 2]) < 4 * result.std["cx"]
    assert result.std["fx"] < 0.01 * result.intrinsics.K[0, 0]
    assert result.coverage[:2, :2].sum() == result.coverage.sum()
    assert any("camera's picture in a part of a larger one" in sentence for sentence in result.sentences)


def two_cameras(second: Intrinsics = BROWN) -> BoardObservations:
    one = held_in_front(BROWN, np.random.default_rng(1), n_views=25, seeing=CLEAN)
    other = held_in_front(second, np.random.default_rng(2), n_views=4, seeing=CLEAN, name="cam02")
    return BoardObservations.joined([one, other])


def test_cameras_of_one_make_share_their_views():
    shared = calibrate_intrinsics(two_cameras(), replace(ONE_MODEL, shared=(("cam01", "cam02"),)))
    alone = calibrate_intrinsics(two_cameras(), ONE_MODEL)
    np.testing.assert_array_equal(shared["cam01"].intrinsics.K, shared["cam02"].intrinsics.K)
    assert shared["cam02"].std["fx"] < 0.5 * alone["cam02"].std["fx"]
    assert set(shared["cam02"].used) == set(alone["cam02"].used)
    assert shared["cam01"].used.max() < shared["cam02"].used.min()
    assert shared["cam01"].rms_px != shared["cam02"].rms_px


@pytest.mark.parametrize(
    ("shared", "message"),
    [
        ((("cam01", "cam02"),), "cam01, cam02 are to share one lens, but their pictures differ in size"),
        ((("cam01", "cam07"),), "no camera 'cam07'"),
    ],
)
def test_cameras_that_cannot_share_are_refused(shared, message):
    with pytest.raises((CalibrationError, UnknownCameraError), match=message):
        calibrate_intrinsics(two_cameras(RATIONAL), IntrinsicsConfig(shared=shared))


def test_known_lenses_stay_and_are_resized():
    known = BROWN.resized((640, 360))
    result = calibrate_intrinsics(two_cameras(), ONE_MODEL, known={"cam01": known})["cam01"]
    np.testing.assert_allclose(result.intrinsics.K, BROWN.K, rtol=1e-12)
    assert not result.covariance.any()
    assert result.median_px < 0.5
    assert result.verdict == "good"


def test_known_lenses_that_the_views_contradict_are_told():
    known = replace(BROWN, K=BROWN.K * [[1.3], [1.3], [1.0]])
    result = calibrate_intrinsics(two_cameras(), ONE_MODEL, known={"cam01": known})["cam01"]
    assert result.verdict == "redo"
    assert "belong to another camera, zoom, focus or recording mode" in result.sentences[-1]
    with pytest.raises(CalibrationError, match="camera cam01 has intrinsics for pictures of 640 x 480.*another shape"):
        calibrate_intrinsics(two_cameras(), ONE_MODEL, known={"cam01": BROWN.resized((640, 480))})


def test_a_known_lens_needs_no_views():
    it = two_cameras()
    blind = it.of_views(it.view_camera == 0)
    result = calibrate_intrinsics(blind, ONE_MODEL, known={"cam02": BROWN})["cam02"]
    assert np.isnan(result.rms_px)
    with pytest.raises(UnobservableIntrinsicsError, match="camera cam02 never sees the board. Add footage"):
        calibrate_intrinsics(blind, ONE_MODEL)


@pytest.mark.parametrize(
    ("world", "message"),
    [
        ({"parallel": True, "tilt": 0.0}, "camera cam01: its focal length cannot be told.*tilt.*30 to 45 degrees"),
        ({"parallel": True, "tilt": 0.0, "distance_m": (1.0, 1.0)}, "its focal length cannot be told.*tilt"),
        ({"n_views": 2}, "camera cam01 has 2 usable views of the board.*3 sides or more"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_views_that_leave_the_focal_length_open_are_refused(world, message, seed):
    with pytest.raises(UnobservableIntrinsicsError, match=message):
        calibrated(BROWN, seed, ONE_MODEL, **({"seeing": CLEAN, "n_views": 30} | world))


def test_every_camera_that_is_refused_is_named():
    cameras = [
        held_in_front(BROWN, np.random.default_rng(i), n_views=n, seeing=CLEAN, name=f"cam0{i}")
        for i, n in ((1, 2), (2, 25), (3, 2))
    ]
    with pytest.raises(UnobservableIntrinsicsError, match="(?s)cam01 has 2 usable.*cam03 has 2 usable") as caught:
        calibrate_intrinsics(BoardObservations.joined(cameras), ONE_MODEL)
    assert "cam02" not in str(caught.value)


@pytest.mark.filterwarnings("error")
def test_corners_of_no_board_are_refused():
    it = held_in_front(BROWN, np.random.default_rng(3), n_views=20, seeing=CLEAN)
    anywhere = np.random.default_rng(4).uniform(0, 700, it.xy.shape)
    with pytest.raises(UnobservableIntrinsicsError, match="no lens puts the corners.*Check the board's description"):
        calibrate_intrinsics(replace(it, xy=anywhere))


def test_a_board_far_away_gives_a_large_uncertainty_and_says_what_to_film():
    result = calibrated(BROWN, config=ONE_MODEL, distance_m=(4.0, 6.0), seeing=replace(CLEAN, min_square_px=4.0))
    assert result.verdict == "redo"
    assert any("bring it closer" in sentence for sentence in result.sentences)
    assert abs(result.intrinsics.K[0, 0] - 900) < 4 * result.std["fx"]


def test_a_board_that_is_not_flat_is_refused():
    it = two_cameras()
    bent = it.points.copy()
    bent[0, 2] = 0.01
    with pytest.raises(CalibrationError, match="this board is not flat"):
        calibrate_intrinsics(replace(it, points=bent))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_views": 2}, "max_views >= 3"),
        ({"outlier_sigmas": 1.0}, "outlier_sigmas >= 2"),
        ({"shared": (("a", "b"), ("b", "c"))}, "two groups of shared intrinsics: b"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(CalibrationError, match=message):
        IntrinsicsConfig(**change)


OPENCV_BOARD = CharucoBoard(5, 7, 0.04, 0.02, "DICT_6X6_250")
OPENCV_STILLS = "opencv_contrib/modules/aruco/tutorials/aruco_calibration/images"
OPENCV_K = (452.51072219637672, 456.76707935146891, 317.70297317353277, 277.75155919135995)
OPENCV_DISTORTION = (0.12136925618707872, -1.0854664722560681, 1.1786843796668460e-4, -4.624068604648551e-4, 2.954259)


def found_by_opencv(
    board: CharucoBoard,
    pictures: Iterable[np.ndarray],
    name: str,
    parameters: cv2.aruco.DetectorParameters | None = None,
    again: bool = False,
) -> BoardObservations:
    """Corners as OpenCV finds them; again: markers that were missed are looked for where the others say they are."""
    how = cv2.aruco.CharucoParameters()
    how.tryRefineMarkers = again
    detector = cv2.aruco.CharucoDetector(board.opencv(), how, parameters or cv2.aruco.DetectorParameters())
    frames, ids, corners, size = [], [], [], (0, 0)
    for frame, picture in enumerate(pictures):
        xy, found, *_ = detector.detectBoard(255 - picture if board.inverted else picture)
        size = picture.shape[1::-1]
        if found is not None and len(found) >= 4:
            frames.append(frame)
            ids.append(np.asarray(found).ravel().astype(int))
            corners.append(np.asarray(xy).reshape(-1, 2).astype(np.float64))
    at = np.array(frames)
    return BoardObservations(
        cameras=(name,),
        image_sizes=(size,),
        points=board.corners,
        view_camera=np.zeros_like(at),
        view_frame=at,
        view_moment=at,
        view_time_s=at / 30.0,
        view=np.repeat(np.arange(len(at)), [len(each) for each in ids]),
        corner=np.concatenate(ids),
        xy=np.concatenate(corners),
    )


def parameters_of_the_sample() -> cv2.aruco.DetectorParameters:
    """Of detector_params.yml, beside OpenCV's program that made the stored lens; markers refined by their contour."""
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_CONTOUR
    parameters.polygonalApproxAccuracyRate = 0.05
    parameters.minMarkerDistanceRate = 0.05
    parameters.perspectiveRemovePixelPerCell = 8
    parameters.maxErroneousBitsInBorderRate = 0.04
    return parameters


def test_opencv_stills_give_the_stored_lens(shared_data):
    folder = shared_data / OPENCV_STILLS
    if not folder.is_dir():
        pytest.skip("the stills of opencv_contrib are not here")
    plain = IntrinsicsConfig(lens="brown_conrady", typical=False, outlier_sigmas=100)
    stills = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.glob("*.jpg"))]
    it = found_by_opencv(OPENCV_BOARD, stills, "stills", parameters_of_the_sample(), again=True)
    result = calibrate_intrinsics(it, plain)["stills"]
    numbers = parameters_of(result.intrinsics)
    stored = np.array([*OPENCV_K, *OPENCV_DISTORTION])
    # Four stills leave 3 % of the focal length open and all of the coefficients: a hundredth of a pixel in the corners
    # moves it by 0.5 %, k3 by 7 %. The file's own corners, of an older version, are not there.
    np.testing.assert_allclose(numbers[:4], stored[:4], rtol=3e-3)
    deviations = np.abs(numbers - stored) / np.array(list(result.std.values()))
    assert deviations.max() < 1
    assert result.verdict == "redo"
    assert any("take more pictures" in sentence for sentence in result.sentences)


def gray_pictures(clip: Path) -> Iterator[np.ndarray]:
    video = cv2.VideoCapture(str(clip))
    while (read := video.read())[0]:
        yield cv2.cvtColor(read[1], cv2.COLOR_BGR2GRAY)


@pytest.mark.slow
def test_halves_of_a_real_clip_differ_by_as_much_as_they_say(shared_data):
    clip = shared_data / "caliscope/history/charuco.mkv"
    if not clip.is_file():
        pytest.skip("charuco.mkv is not here")
    board = CharucoBoard(4, 5, 0.054, 0.0405, "DICT_4X4_50", inverted=True)
    it = found_by_opencv(board, gray_pictures(clip), "webcam")
    assert it.n_views > 200
    first = (np.arange(it.n_views) // 20) % 2 == 0
    one, other = (calibrate_intrinsics(it.of_views(half), ONE_MODEL)["webcam"] for half in (first, ~first))
    apart = parameters_of(one.intrinsics) - parameters_of(other.intrinsics)
    distance = apart @ np.linalg.solve(one.covariance + other.covariance, apart) / len(apart)
    # Nine squared normal numbers: their mean is above 2.4 once in a hundred; below 0.2 once in a hundred.
    assert 0.1 < distance < 2.5
    # The clip shows a camera's picture of 512 x 384 in the corner of black pictures of 2048 x 1152.
    np.testing.assert_allclose(one.intrinsics.K[:2, 2], [256, 192], atol=25)
