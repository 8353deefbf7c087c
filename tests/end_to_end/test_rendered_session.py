"""The session that everybody starts with, from pixels to animation, against its truth."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from running_mocap import mocap, results

SESSION = Path(__file__).resolve().parents[2] / "sample_sessions" / "one_person"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def processed(tmp_path_factory) -> Path:
    """The session with its results, by the true rig."""
    session = tmp_path_factory.mktemp("rendered") / "one_person"
    shutil.copytree(SESSION, session, ignore=shutil.ignore_patterns("derived", "export"))
    results(mocap("process", session, "--json"))
    return session


@pytest.fixture(scope="module")
def evaluated(processed) -> dict[str, Any]:
    """What `mocap evaluate` says of the processed session."""
    done = mocap("evaluate", "take", processed, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[0]


@pytest.fixture(scope="module")
def calibrated(processed, tmp_path_factory) -> Path:
    """The session with a rig of its own clips, and results by that. The board's print lies 2 mm above the floor."""
    session = tmp_path_factory.mktemp("calibrated") / "one_person"
    shutil.copytree(processed, session)
    (session / "calibration" / "rig.toml").unlink()
    made = mocap("calibrate", session, "--thickness-mm", 2, "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["verdict"] == "good"
    results(mocap("process", session, "--json"))
    return session


def test_the_people_are_found_where_they_are(evaluated):
    """22.6, 22.5 and 21.4 mm when the session was made; of these 18 mm are the hips, which the detector sees 5 cm from
    the joints. Another processor's rounding moves them by some tenths, another session of this kind by 3 mm."""
    for stage, error_mm in evaluated["headline_mm"].items():
        print(f"MPJPE {stage}: {error_mm:.1f} mm")
        assert error_mm < 26, stage
    assert evaluated["pictures"]["detections"]["all"]["missed"] == 0
    assert evaluated["pictures"]["detections"]["all"]["limbs_px"] < 6.5  # 5.2 measured
    assert evaluated["points"]["solved"]["limbs"]["swaps"]["swapped"] == 0


def test_the_motion_is_calm_and_its_bones_are_rigid(evaluated):
    """Measured: jitter 69 m/s³ against the truth's 65, bones of constant length, feet that slide at 23 mm/s while the
    true ones stand (1.2 in the median: where they are lifted a little early); 4 % of the sole's points under the floor,
    by 2.4 mm in the mean and 4.4 at most, which is what levelled soles of a slightly wrong thickness leave."""
    solved = evaluated["points"]["solved"]
    jitter = solved["motion"]["jitter_prediction_m_s3"]["mean"]
    slid = solved["feet"]["person1"]["slid_mm_s"]
    print(f"jitter {jitter:.0f} m/s³, feet slide at {slid:.0f} mm/s")
    assert jitter < 85
    assert slid < 45
    assert solved["feet"]["person1"]["penetration_share"] < 0.08
    assert solved["feet"]["person1"]["penetration_mm"]["max"] < 10
    assert solved["bones"]["person1"]["mean_coefficient"] < 1e-9
    assert evaluated["points"]["smoothed"]["motion"]["jitter_prediction_m_s3"]["mean"] < 130  # 86 measured


def test_its_own_calibration_is_as_good_as_the_true_one(calibrated, evaluated):
    """Errors of the person differ by 0.1 mm where 3 are allowed."""
    done = mocap("evaluate", "take", calibrated, "--json")
    assert done.returncode == 0, done.stderr
    own = json.loads(done.stdout)[0]["headline_mm"]
    for stage, error_mm in own.items():
        print(f"MPJPE {stage}: {error_mm:.2f} mm, with the true rig {evaluated['headline_mm'][stage]:.2f} mm")
        assert abs(error_mm - evaluated["headline_mm"][stage]) < 3, stage


def test_the_calibration_puts_points_where_they_are(calibrated):
    """0.11 mm in the mean, 0.32 at most, without moving the result to the truth; focal lengths within 0.03 %. A camera
    is known to a millimetre at 4 m, 0.25 mrad; the limit is what a point moves that rests on one such camera."""
    done = mocap(
        "evaluate", "rig", calibrated / "calibration" / "rig.toml", SESSION / "calibration" / "rig.toml", "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(json.dumps(found)[:400])
    assert found["triangulation_mm"]["mean"] < 1
