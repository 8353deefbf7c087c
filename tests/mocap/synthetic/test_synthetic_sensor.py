from __future__ import annotations

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from mocap.core.errors import InputError
from mocap.synthetic.sensor import Sensor, SensorConfig, blurred, sample_sensor, srgb_from_linear

SIZE = (320, 200)
PLAIN = {"vignetting": 0.0, "blur_radius_px": 0.0, "bloom": 0.0, "contrast": 0.0}
QUIET = PLAIN | {"full_well_e": 1e7, "read_noise_e": 1.0}


def flat(*value, size=SIZE):
    return np.broadcast_to(np.array(value, dtype=np.float32), (size[1], size[0], 3)).copy()


def sensor_of(seed=1, size=SIZE, **values):
    return Sensor(size, SensorConfig(**values), seed)


def linear_from(image):
    shown = image / 255.0
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)


def test_a_sensor_without_faults_is_srgb():
    for value in (0.0, 0.002, 0.05, 0.2, 0.7, 1.0, 3.0):
        image = sensor_of(**QUIET).develop(flat(value, value / 2, 0.0), None, 0)
        assert image.dtype == np.uint8
        expected = 255 * srgb_from_linear(np.clip([value, value / 2, 0.0], 0, 1))
        # Rounding to 8 bits, and noise of sqrt(2e-7) = 0.0005 at full signal: 0.05 of a value.
        np.testing.assert_allclose(image.reshape(-1, 3).mean(0), expected, atol=0.7)


@pytest.mark.parametrize("gain", [1.0, 4.0, 16.0])
@pytest.mark.parametrize("signal", [0.01, 0.1, 0.6])
def test_noise_is_that_of_photons_and_reading_and_grows_with_gain(gain, signal):
    well, read = 8000.0, 3.0
    sensor = sensor_of(**PLAIN, gain=gain, full_well_e=well, read_noise_e=read)
    light = linear_from(sensor.develop(flat(signal), None, 7))
    a = gain / well
    slope = np.diff(srgb_from_linear(np.array([signal - 1e-4, signal + 1e-4])))[0] / 2e-4
    rounding = 1 / 255 / slope / np.sqrt(12)
    expected = np.sqrt(a * signal + (read * a) ** 2 + rounding**2)
    # Blotches of colour make neighbours alike: 64000 pixels count as some thousand, which gives the sd within 2 %.
    # In the dark at high gain the signal of 0.01 is 5 electrons: noise is skewed and cut at zero.
    assert light.std(axis=(0, 1)) == pytest.approx(expected, rel=0.12 if gain * 0.01 > signal else 0.05)
    assert light.mean() == pytest.approx(signal, abs=0.03 * signal + expected / 50)


def test_twice_the_light_is_one_stop_and_more_gain_is_no_brighter():
    dark = linear_from(sensor_of(**QUIET).develop(flat(0.2), None, 0)).mean()
    bright = linear_from(sensor_of(**QUIET, exposure_ev=1.0).develop(flat(0.2), None, 0)).mean()
    assert bright / dark == pytest.approx(2.0, rel=0.02)  # one of 8-bit values of 124 is 1.8 %
    amplified = linear_from(sensor_of(**QUIET, gain=50.0).develop(flat(0.2), None, 0)).mean()
    assert amplified == pytest.approx(dark, rel=0.01)


def test_white_balance_and_contrast():
    image = sensor_of(**QUIET, white_balance=(1.2, 1.0, 0.8)).develop(flat(0.3), None, 0)
    np.testing.assert_allclose(linear_from(image).mean((0, 1)), [0.36, 0.3, 0.24], rtol=0.02)
    curve = {**QUIET, "contrast": 0.5}
    dark, bright = (sensor_of(**curve).develop(flat(v), None, 0).mean() for v in (0.05, 0.6))
    plain_dark, plain_bright = (sensor_of(**QUIET).develop(flat(v), None, 0).mean() for v in (0.05, 0.6))
    assert dark < plain_dark - 5
    assert bright > plain_bright + 5


def test_corners_are_darker_by_what_vignetting_says():
    light = linear_from(sensor_of(**(QUIET | {"vignetting": 0.4})).develop(flat(0.5), None, 0))
    assert light[100, 160].mean() == pytest.approx(0.5, rel=0.02)
    corners = light[[0, 0, -1, -1], [0, -1, 0, -1]].mean()
    assert corners == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("radius", [0.8, 1.6, 3.0, 6.0])
def test_defocus_keeps_light_and_spreads_it_as_a_disc_does(radius):
    point = np.zeros((61, 61), dtype=np.float32)
    point[30, 30] = 1.0
    spread = blurred(point, radius)
    offset = np.arange(61) - 30.0
    assert spread.sum() == pytest.approx(1.0, abs=1e-5)
    assert spread.sum(0) @ offset**2 == pytest.approx(radius**2 / 4, rel=0.15)  # pixels are squares: + 1/12 here
    assert abs(spread.sum(0) @ offset) < 1e-5


def test_depth_of_field_blurs_what_is_out_of_focus_only():
    stripes = flat(0.0)
    stripes[:, ::8] = 0.9
    stripes[:, 1::8] = 0.9
    depth = np.full((SIZE[1], SIZE[0]), 2.0, dtype=np.float32)
    depth[100:] = np.inf
    image = sensor_of(**QUIET, focus_m=2.0, far_blur_px=5.0).develop(stripes, depth, 0).astype(float)
    sharp = sensor_of(**QUIET).develop(stripes, None, 0)
    np.testing.assert_allclose(image[:90], sharp[:90], atol=2)
    assert np.ptp(image[120:, 40:-40]) < 0.35 * np.ptp(image[:90])
    near = np.full_like(depth, 1.0)  # |1 - 2 / 1|: as far out of focus as infinity
    far = np.full_like(depth, np.inf)
    blurs = [sensor_of(**QUIET, focus_m=2.0, far_blur_px=5.0).develop(stripes, d, 0) for d in (near, far)]
    np.testing.assert_array_equal(*blurs)


def test_bloom_lifts_what_is_beside_a_lamp_and_keeps_the_light():
    scene = flat(0.05)
    scene[80:120, 140:180] = 8.0
    without = linear_from(sensor_of(**QUIET).develop(scene, None, 0))
    veiled = linear_from(sensor_of(**(QUIET | {"bloom": 0.05})).develop(scene, None, 0))
    beside, away = (100, 200), (10, 10)
    assert veiled[beside].mean() > without[beside].mean() + 0.01
    assert veiled[beside].mean() > veiled[away].mean() + 0.005


def test_frames_differ_but_not_by_order_and_seeds_differ():
    scene, order = flat(0.3), [5, 0, 3]
    first = sensor_of(2, drift_ev=0.2, fixed_pattern=0.01)
    again = sensor_of(2, drift_ev=0.2, fixed_pattern=0.01)
    pictures = {n: first.develop(scene, None, n) for n in order}
    for n in sorted(order):
        np.testing.assert_array_equal(again.develop(scene, None, n), pictures[n])
    assert (pictures[0] != pictures[3]).mean() > 0.5
    assert (sensor_of(3).develop(scene, None, 0) != sensor_of(2).develop(scene, None, 0)).mean() > 0.5
    np.testing.assert_array_equal(scene, flat(0.3))  # the caller's picture is left alone


def test_noise_of_different_frames_is_independent_and_the_fixed_pattern_stays():
    noisy = [sensor_of(**PLAIN).develop(flat(0.3), None, n).astype(float) for n in (0, 1)]
    noise = [(p - p.mean((0, 1))).reshape(-1) for p in noisy]
    # 192000 values, blotches make some thousand independent ones of them: 3 / sqrt(5000).
    assert abs(np.corrcoef(*noise)[0, 1]) < 0.04
    fixed = [sensor_of(**QUIET, fixed_pattern=0.05).develop(flat(0.3), None, n).astype(float) for n in (0, 1)]
    assert np.corrcoef(*(p.reshape(-1) for p in fixed))[0, 1] > 0.9


def test_automatic_exposure_wanders_slowly_within_its_bounds():
    sensor = sensor_of(**QUIET, drift_ev=0.3, drift_frames=100.0)
    stops = np.array([sensor.exposure_ev(n) for n in range(400)])
    assert np.abs(stops).max() <= 0.3
    assert np.ptp(stops) > 0.3
    # 0.3 (0.7 + 0.3 * 2.618) 2 pi / 100 a frame at most
    assert np.abs(np.diff(stops)).max() < 0.3 * (0.7 + 0.3 * 2.618) * 2 * np.pi / 100 + 1e-9
    brightness = [linear_from(sensor.develop(flat(0.2), None, n)).mean() for n in (0, 30)]
    assert np.log2(brightness[1] / brightness[0]) == pytest.approx(stops[30] - stops[0], abs=0.05)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_players_turn_stored_pictures_back(rotation):
    scene = flat(0.05)
    scene[:50, :90] = (0.9, 0.1, 0.1)
    upright = sensor_of(**QUIET).develop(scene, None, 0)
    stored = sensor_of(**QUIET, rotation=rotation).develop(scene, None, 0)
    codes = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
    shown = cv2.rotate(stored, codes[rotation]) if rotation else stored
    np.testing.assert_array_equal(shown, upright)
    assert stored.flags.c_contiguous


def test_mirrored_pictures_are_stored_left_for_right():
    scene = flat(0.05)
    scene[:, :90] = 0.9
    plain, mirrored = (sensor_of(**QUIET, mirrored=m).develop(scene, None, 0) for m in (False, True))
    np.testing.assert_array_equal(mirrored, plain[:, ::-1])


def test_another_size_is_refused():
    with pytest.raises(InputError, match=r"shape \(200, 300, 3\), expected \(200, 320, 3\)"):
        sensor_of().develop(flat(0.1, size=(300, 200)), None, 0)
    with pytest.raises(ValidationError):
        SensorConfig(rotation=45)


def test_sampled_sensors_are_valid_differ_and_show_a_grey_wall_as_grey():
    rng = np.random.default_rng(5)
    configs = [sample_sensor(rng) for _ in range(12)]
    assert len({c.model_dump_json() for c in configs}) == 12
    means = np.array([Sensor(SIZE, c).develop(flat(0.2), None, 3).mean((0, 1)) for c in configs])
    assert means.min() > 60
    assert means.max() < 200
    assert np.ptp(means[:, 1]) > 10
    assert (np.ptp(means, axis=1)).max() < 60
