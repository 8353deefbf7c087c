"""The measurement of readers counts what they do."""

from __future__ import annotations

from argparse import Namespace

from measure_cameras import measure


def test_cameras_of_the_pattern_are_measured():
    options = Namespace(source="pattern", cameras=2, size="64x48", fps=50.0, seconds=0.5)
    result = measure(options, {})
    assert result["missing"] == ()
    assert [row["name"] for row in result["cameras"]] == ["cam01", "cam02"]
    for row in result["cameras"]:
        assert 0 < row["taken"] <= row["received"]
        assert row["dropped_queue"] == 0
