"""The tests execute the annotations of both packages."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from calibration.transforms import RigidTransform
from mocap.core.clock import Clock


def test_a_wrong_shape_is_refused_at_every_call():
    for _ in range(2):  # the checks are made at the first call, and stay
        with pytest.raises(TypeCheckError, match="apply"):
            RigidTransform(np.eye(3), np.zeros(3)).apply(np.zeros((5, 2)))


def test_a_field_of_the_wrong_kind_is_refused():
    with pytest.raises(TypeCheckError, match="__init__|RigidTransform"):
        RigidTransform(np.eye(4), np.zeros(3))
    with pytest.raises(TypeCheckError):
        Clock("first")
