"""Up axes and units of animation files."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.io.axes import file_from_world, metres_per, turn_quaternions
from motion_worlds import quaternions


def test_y_up_keeps_left_and_turns_the_face_to_plus_z():
    turn = file_from_world("y")
    assert (turn @ [1, 2, 3]).tolist() == [1, 3, -2]
    assert (turn @ [0, -1, 0]).tolist() == [0, 0, 1]
    assert np.linalg.det(turn) == 1


def test_z_up_is_ours():
    assert (file_from_world("z") @ [1, 2, 3]).tolist() == [1, 2, 3]


def test_quaternions_turn_like_the_matrices_they_stand_for():
    turns = Rotation.random(20, random_state=5)
    axes = file_from_world("y")
    turned = turn_quaternions(quaternions(turns), axes)
    expected = axes @ turns.as_matrix() @ axes.T
    assert np.abs(Rotation.from_quat(turned[:, [1, 2, 3, 0]]).as_matrix() - expected).max() < 1e-14


@pytest.mark.parametrize(("unit", "metres"), [("cm", 0.01), ("in", 0.0254), ("mm", 0.001), ("m", 1), (0.056, 0.056)])
def test_units(unit, metres):
    assert metres_per(unit) == metres


def test_what_is_not_an_axis_or_a_unit():
    with pytest.raises(InputError, match="no up axis 'x'; there are y, z"):
        file_from_world("x")
    with pytest.raises(InputError, match="no unit 'ft'; there are m, cm, mm, in"):
        metres_per("ft")
    with pytest.raises(InputError, match=r"-1\.0 metres a unit is not a scale"):
        metres_per(-1.0)
