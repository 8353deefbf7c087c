"""Meshes bound to joints: what is refused, and how many weights are reduced to four."""

import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.core.skin import SkinnedMesh, four_weights


def _triangle(**changes: object) -> SkinnedMesh:
    fields = {
        "name": "body",
        "vertices": np.eye(3),
        "faces": np.array([[0, 1, 2]]),
        "joints": np.array([[0, 0, 0, 0], [4, 0, 0, 0], [1, 2, 0, 0]]),
        "weights": np.array([[1.0, 0, 0, 0], [1.0, 0, 0, 0], [0.25, 0.75, 0, 0]]),
    }
    return SkinnedMesh(**(fields | changes))  # pyright: ignore[reportArgumentType]


def test_arrays_are_frozen_and_joints_counted():
    mesh = _triangle()
    assert mesh.n_joints_used == 5
    with pytest.raises(ValueError, match="read-only"):
        mesh.vertices[0, 0] = 2.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.full((3, 4), 0.3)}, "sum to 1"),
        ({"faces": np.array([[0, 1, 3]])}, "its 3 vertices"),
        ({"vertices": np.full((3, 3), np.nan)}, "not finite"),
        ({"joints": np.full((3, 4), -1)}, "must be >= 0"),
    ],
)
def test_a_mesh_that_no_program_could_draw_is_refused(changes: dict[str, object], message: str):
    with pytest.raises(InputError, match=message):
        _triangle(**changes)


def test_four_greatest_weights_sum_to_one():
    weights = np.array([[0.1, 0.3, 0.05, 0.25, 0.2, 0.1], [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]])
    joints, shares = four_weights(weights)
    assert joints.tolist() == [[1, 3, 4, 0], [4, 0, 0, 0]]
    np.testing.assert_allclose(shares[0], np.array([0.3, 0.25, 0.2, 0.1]) / 0.85)
    assert shares[1].tolist() == [1, 0, 0, 0]


def test_fewer_than_four_joints():
    joints, shares = four_weights(np.array([[0.5, 0.5]]))
    assert joints.tolist() == [[0, 1, 0, 0]]
    assert shares.tolist() == [[0.5, 0.5, 0, 0]]
