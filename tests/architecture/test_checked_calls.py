"""The tests execute the annotations of both packages."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError as WrongHint

from calibration.bundle_linear import products
from calibration.transforms import RigidTransform
from checked_calls import checked
from mocap.core.clock import Clock


def test_a_wrong_shape_is_refused_at_every_call():
    for _ in range(2):  # the checks are made at the first call, and stay
        with pytest.raises(WrongHint, match="apply"):
            RigidTransform(np.eye(3), np.zeros(3)).apply(np.zeros((5, 2)))


def test_the_same_letter_is_the_same_size_within_a_call_only():
    assert products(np.ones((3, 2)), np.ones((3, 4))).shape == (2, 4)
    assert products(np.ones((5, 2)), np.ones((5, 4))).shape == (2, 4)
    with pytest.raises(WrongHint, match="right"):
        products(np.ones((3, 2)), np.ones((5, 4)))


def test_a_field_of_the_wrong_kind_is_refused():
    with pytest.raises(WrongHint, match="__init__"):
        RigidTransform(np.eye(4), np.zeros(3))
    with pytest.raises(WrongHint):
        Clock("first")


def test_what_only_type_checkers_import_is_not_asked_for():
    def length(of: NobodyKnowsThis) -> int:
        return len(of)

    assert checked(length)("three") == 5
