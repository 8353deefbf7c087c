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
def evaluated(tmp_path_factory) -> dict[str, Any]:
    """What `mocap evaluate` says of the processed session."""
    session = tmp_path_factory.mktemp("rendered") / "one_person"
    shutil.copytree(SESSION, session, ignore=shutil.ignore_patterns("derived", "export"))
    results(mocap("process", session, "--json"))
    done = mocap("evaluate", "take", session, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[0]


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
    """Measured: jitter 57 m/s³ against the truth's 65, bones of constant length, feet that slide at 92 mm/s while the
    true ones stand (contacts are not solved yet)."""
    solved = evaluated["points"]["solved"]
    jitter = solved["motion"]["jitter_prediction_m_s3"]["mean"]
    slid = solved["feet"]["person1"]["slid_mm_s"]
    print(f"jitter {jitter:.0f} m/s³, feet slide at {slid:.0f} mm/s")
    assert jitter < 85
    assert slid < 120
    assert solved["feet"]["person1"]["penetration_share"] < 0.02
    assert solved["bones"]["person1"]["mean_coefficient"] < 1e-9
    assert evaluated["points"]["smoothed"]["motion"]["jitter_prediction_m_s3"]["mean"] < 130  # 86 measured
