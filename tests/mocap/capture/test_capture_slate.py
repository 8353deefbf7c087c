"""Takes are numbered for each name, and no number is used twice."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mocap.capture.slate import make_slate, next_number
from mocap.core.errors import InputError

NOW = datetime(2024, 5, 17, 9, 30, 5, tzinfo=UTC)


def test_numbers_count_for_each_name(tmp_path: Path):
    for folder in ("takes/walk_01", "takes/walk_03", "takes/walk_on_07", "set_aside/walk_05", "takes/run"):
        (tmp_path / folder).mkdir(parents=True)
    assert next_number(tmp_path, "walk") == 6
    assert next_number(tmp_path, "walk_on") == 8
    assert next_number(tmp_path, "run") == 1
    assert next_number(tmp_path / "none", "run") == 1
    assert make_slate(tmp_path, "Walk", None, NOW).take == "Walk_06"  # one folder with walk_06 on some systems


def test_a_take_that_is_there_is_refused(tmp_path: Path):
    (tmp_path / "takes" / "walk_02").mkdir(parents=True)
    with pytest.raises(InputError, match="there is such a take already") as refused:
        make_slate(tmp_path, "walk", 2, NOW)
    assert "the next free one is 3" in str(refused.value)
    with pytest.raises(InputError, match="Takes count from 1"):
        make_slate(tmp_path, "walk", 0, NOW)
    with pytest.raises(InputError, match="cannot be the name of a take"):
        make_slate(tmp_path, "walk/../..", None, NOW)


def test_a_slate_says_what_and_when(tmp_path: Path):
    slate = make_slate(tmp_path, "walk", 4, NOW)
    assert slate.sentence.startswith("walk, take 4, recorded 2024-05-1")
    assert datetime.fromisoformat(slate.sentence.split("recorded ")[1]) == NOW
    picture = slate.picture((320, 180))
    assert picture.shape == (180, 320, 3)
    assert 0.02 < np.mean(picture < 128) < 0.4  # letters and a bar on white
