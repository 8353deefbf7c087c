"""Which cameras are off as a whole."""

from __future__ import annotations

import math

import pytest
import torch

from mocap.geometry.camera_trust import USUAL, relative_errors, trust


def test_only_cameras_that_are_off_lose_belief():
    relative = torch.tensor([0.9, 1.0, USUAL, 2.0, 4.0], dtype=torch.float64)
    assert trust(relative).tolist() == pytest.approx([1, 1, 1, 1 / 4, 1 / 16])


@pytest.mark.parametrize(
    ("errors", "relative"),
    [((1.0, 1.0, 3.0), (1, 1, 3)), ((1.0, 3.0), (1, 1)), ((1.0, math.nan, 3.0), (1, 1, 1))],
)
def test_of_two_cameras_none_is_blamed(errors, relative):
    assert relative_errors(torch.tensor(errors, dtype=torch.float64)).tolist() == pytest.approx(relative)
