"""One clock out of many words: agreement, contradiction, and cameras that only others can place."""

from __future__ import annotations

import numpy as np
import pytest

from mocap.capture.sync import choose_clocks
from mocap.capture.sync_report import sync_page
from mocap.core.clock import ClockEstimate
from mocap.io.sync_file import CameraSync, TakeSync

CAMERAS = ("a", "b", "c")


def said(method: str, camera: str, offset: float, confidence: float = 0.8, **more) -> ClockEstimate:
    return ClockEstimate(method, camera, more.pop("reference", "a"), offset, confidence=confidence, **more)


def test_methods_that_agree_are_surer_than_each_and_their_mean_counts():
    """Variances 1 and 4: weights 0.8 and 0.2."""
    found = choose_clocks(
        [said("audio", "b", 1.0, sd_s=0.001), said("motion", "b", 1.005, sd_s=0.002, drift_ppm=20.0)],
        ("a", "b"),
        reference="a",
    )["b"]
    assert found.chosen is not None
    assert found.chosen.offset_s == pytest.approx(1.001)
    assert found.chosen.sd_s == pytest.approx(0.001 * np.sqrt(0.8))
    assert found.confidence == pytest.approx(1 - 0.2**2)
    assert set(found.agreeing) == {"audio", "motion"}


def test_agreement_is_asked_for_in_the_middle_of_the_take():
    """20 ppm are 20 ms after 1000 s."""
    estimates = [said("audio", "b", 0.0, sd_s=0.001), said("motion", "b", 0.0, sd_s=0.001, drift_ppm=20.0)]
    assert choose_clocks(estimates, ("a", "b"), reference="a", middle_s=10.0)["b"].opposed == ()
    assert choose_clocks(estimates, ("a", "b"), reference="a", middle_s=1000.0)["b"].opposed != ()


def test_two_outvote_one_that_is_surer_and_it_costs_them_confidence():
    estimates = [
        said("flash", "b", 3.0, confidence=0.85, sd_s=0.002),
        said("audio", "b", 1.0, confidence=0.7, sd_s=0.001),
        said("motion", "b", 1.002, confidence=0.7, sd_s=0.002),
    ]
    found = choose_clocks(estimates, ("a", "b"), reference="a")["b"]
    assert found.chosen is not None
    assert found.chosen.offset_s == pytest.approx(1.0004, abs=1e-6)
    assert found.opposed == ("flash",)
    assert found.confidence == pytest.approx(0.91 * (1 - 0.85 / 2))


def test_a_camera_that_does_not_hear_the_reference_is_placed_by_way_of_another():
    """b is tied to a by motion; c only to b, by sound: stamp_c = 2 (stamp_a + 1) + 3 at a rate of 2."""
    estimates = [
        said("motion", "b", 1.0, confidence=0.9, sd_s=0.003),
        said("audio", "c", 3.0, confidence=0.8, sd_s=0.004, reference="b", drift_ppm=1e6),
    ]
    found = choose_clocks(estimates, CAMERAS, reference="a")["c"]
    assert found.chosen is not None
    assert found.chosen.reference == "a"
    np.testing.assert_allclose(found.chosen.clock.stamp_s(np.array([0.0, 10.0])), [5.0, 25.0])
    assert found.chosen.sd_s == pytest.approx(0.005)
    assert found.confidence == pytest.approx(0.72)
    assert found.chosen.note == "by way of b"


def test_what_is_said_of_the_reference_counts_turned_round():
    found = choose_clocks([said("audio", "a", 2.0, reference="b")], ("a", "b"), reference="a")["b"]
    assert found.chosen is not None
    assert found.chosen.offset_s == pytest.approx(-2.0)


def test_cameras_that_nothing_places_are_said_to_be_so():
    estimates = [said("audio", "b", 1.0), said("audio", "c", 0.0, confidence=0.0, sd_s=10.0, note="hears nothing")]
    found = choose_clocks(estimates, CAMERAS, reference="a")
    assert found["b"].chosen is not None
    assert (found["c"].chosen, found["c"].confidence) == (None, 0.0)
    assert [e.note for e in found["c"].estimates] == ["hears nothing"]


def test_the_report_shows_the_curves_and_names_everything_safely():
    lags = np.linspace(-2, 2, 101)
    estimate = said("audio", "<b>", 0.5, curve=(lags, np.exp(-((lags - 0.5) ** 2) / 0.01)), note="1 <clap>")
    cameras = choose_clocks([estimate], ("a", "<b>"), reference="a")
    chosen = cameras["<b>"].chosen
    assert chosen is not None
    sync = TakeSync("a", "audio", {"a": CameraSync(chosen.clock), "<b>": CameraSync(chosen.clock, "audio", 0.8, 0.001)})
    page = sync_page(sync, cameras, ["a & b"], title="walk")
    assert page.count('<polyline class="curve"') == 1
    assert page.count('class="picked"') == 1
    assert "0.5000 s" in page
    assert "a &amp; b" in page
    assert "<clap>" not in page
    assert "<b>" not in page.replace("<b></b>", "")
    assert "http" not in page.replace("http-equiv", "")
