from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocap.core.clock import Clock
from mocap.core.errors import InputError
from mocap.evaluation.sync_metrics import clock_times_s, sync_errors_s, sync_report

TRUE = {"a": np.arange(0, 101) / 10.0, "b": np.arange(0, 101) / 10.0 + 0.013, "c": np.arange(0, 51) / 5.0}
"""Ten seconds; b fires 13 ms later, c half as often."""


def test_offset_and_drift_of_known_clocks() -> None:
    """b is put 4 ms late throughout. c drifts by 200 ppm and is right at the start: 2 ms at 10 s, 1 in the middle."""
    found = {"a": TRUE["a"], "b": TRUE["b"] + 0.004, "c": TRUE["c"] * 1.0002}
    report = sync_report(found, TRUE)
    assert report.reference == "a"
    b, c = report.cameras["b"], report.cameras["c"]
    assert (b.offset_ms, b.drift_ppm) == (pytest.approx(4), pytest.approx(0, abs=1e-6))
    assert (b.rms_ms, b.max_ms, b.frames) == (pytest.approx(4), pytest.approx(4), 101)
    assert (c.offset_ms, c.drift_ppm, c.max_ms) == (pytest.approx(1), pytest.approx(200), pytest.approx(2))
    assert report.cameras["a"].max_ms == pytest.approx(0, abs=1e-9)
    assert report.max_ms == pytest.approx(4)
    # mean square of a ramp from 0 to 2 over 51 samples: 4 (1/3)(50)(51)(101)/2 / 50² / 51 = 1.3467
    assert c.rms_ms == pytest.approx(np.sqrt(4 * 50 * 51 * 101 / 6 / 50**2 / 51))
    assert report.rms_ms == pytest.approx(np.sqrt((101 * 16 + 51 * c.rms_ms**2) / 152))
    json.loads(report.model_dump_json())


@settings(max_examples=30, deadline=None)
@given(offset=st.floats(-100, 100), ppm=st.floats(-300, 300), reference=st.sampled_from("abc"))
def test_a_common_clock_is_free(offset: float, ppm: float, reference: str) -> None:
    """Float64 keeps 1e-14 s of 110 s."""
    found = {name: times * (1 + ppm * 1e-6) + offset for name, times in TRUE.items()}
    for error in sync_errors_s(found, TRUE, reference=reference).values():
        assert np.abs(error).max() < 1e-12


def test_errors_are_relative_to_any_reference_with_the_sign_turned() -> None:
    found = TRUE | {"b": TRUE["b"] + 0.004}
    assert sync_report(found, TRUE, reference="b").cameras["a"].offset_ms == pytest.approx(-4)


def test_clocks_from_stamps() -> None:
    """b's own clock starts at 5 s and is fast by 100 ppm; with that known, nothing is left."""
    stamps = {"a": TRUE["a"], "b": 1.0001 * TRUE["b"] + 5.0}
    times = clock_times_s({"a": Clock(), "b": Clock(5.0, 1.0001), "z": Clock()}, stamps)
    assert set(times) == {"a", "b"}
    report = sync_report(times, TRUE)
    assert report.max_ms == pytest.approx(0, abs=1e-9)
    assert report.missing == ("c",)
    wrong = sync_report(clock_times_s({"a": Clock(), "b": Clock(5.0)}, stamps), TRUE)
    assert wrong.cameras["b"].drift_ppm == pytest.approx(100)


def test_frames_without_a_time_and_cameras_without_any() -> None:
    found = {"a": TRUE["a"].copy(), "b": TRUE["b"] + 0.001, "c": np.full(51, np.nan), "z": np.zeros(3)}
    found["a"][::2] = np.nan
    found["b"][5] = np.nan
    report = sync_report(found, TRUE)
    assert (report.cameras["a"].frames, report.cameras["b"].frames) == (50, 100)
    assert (report.missing, report.surplus) == (("c",), ("z",))
    assert report.max_ms == pytest.approx(1)


def test_single_frames_and_single_cameras() -> None:
    one = {"a": np.array([2.0]), "b": np.array([2.0])}
    report = sync_report({"a": np.array([2.0]), "b": np.array([2.003])}, one)
    assert (report.cameras["b"].offset_ms, report.cameras["b"].drift_ppm) == (pytest.approx(3), None)
    assert sync_report({"a": one["a"]}, {"a": one["a"]}).max_ms is None


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(InputError, match="no camera is in both clocks: x and a, b, c"):
        sync_report({"x": np.zeros(2)}, TRUE)
    with pytest.raises(InputError, match="camera x is not in both clocks"):
        sync_report(TRUE, TRUE, reference="x")
    with pytest.raises(InputError, match="camera b: 3 found times for 101 frames"):
        sync_report(TRUE | {"b": np.zeros(3)}, TRUE)
    with pytest.raises(InputError, match="camera a, the reference, has no found times"):
        sync_report(TRUE | {"a": TRUE["a"] * np.nan}, TRUE)
