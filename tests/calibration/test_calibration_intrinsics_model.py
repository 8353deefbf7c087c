"""Projections with derivatives: against the cameras' own projection, and against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from calibration import Intrinsics, Lens
from calibration.errors import CalibrationError
from calibration.intrinsics_model import NEAR_AXIS, project, project_with_jacobians
from calibration.intrinsics_prior import IntrinsicsPrior, intrinsics_from, parameter_names, parameters_of

SIZE = (1280, 720)
K = np.array([[903.5, 0, 618.3], [0, 911.2, 394.2], [0, 0, 1]])
LENSES = {
    "brown": Intrinsics(SIZE, K, np.array([-0.34, 0.12, 6e-4, -4e-4, -0.02])),
    "rational": Intrinsics(SIZE, K, np.array([0.3, -0.05, 3e-4, 2e-4, 0.004, 0.45, 0.01, 0.002])),
    "fisheye": Intrinsics(SIZE, K, np.array([0.021, -0.013, 0.004, -0.001]), Lens.FISHEYE),
}


def points(lens: Lens) -> np.ndarray:
    """(6, 7, 3) m; a fisheye lens sees some of them beyond 90° from its axis, and one on it."""
    rng = np.random.default_rng(2)
    z = rng.uniform(0.5, 6, (6, 7, 1))
    there = np.concatenate([rng.uniform(-0.65, 0.65, (6, 7, 2)) * z, z], axis=-1)
    if lens is Lens.FISHEYE:
        there[0, :3, 2] *= -0.05
        there[1, 0] = [0, 0, 2.0]
        there[1, 1] = [0.5 * NEAR_AXIS, -0.5 * NEAR_AXIS, 1.0]
    return there


@pytest.mark.parametrize("name", LENSES)
def test_projects_as_the_camera_does(name):
    lens = LENSES[name]
    there = points(lens.lens)
    px, _, _ = project_with_jacobians(there, parameters_of(lens), lens.lens)
    np.testing.assert_allclose(px, lens.project(there), atol=1e-9, rtol=0)
    np.testing.assert_allclose(project(there, parameters_of(lens), lens.lens), px, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", LENSES)
def test_derivatives_are_those_of_finite_differences(name):
    lens = LENSES[name]
    there, numbers = points(lens.lens), parameters_of(lens)
    _, by_point, by_parameters = project_with_jacobians(there, numbers, lens.lens)
    # Central differences: the third derivative times step² (below 1e-5 px/m), rounding over the step (1e-12 / 1e-5).
    step = 1e-5
    for axis in range(3):
        shift = step * np.eye(3)[axis]
        slope = (project(there + shift, numbers, lens.lens) - project(there - shift, numbers, lens.lens)) / (2 * step)
        np.testing.assert_allclose(by_point[..., axis], slope, atol=2e-3, rtol=1e-6)
    for index in range(len(numbers)):
        shift = step * np.eye(len(numbers))[index]
        slope = (project(there, numbers + shift, lens.lens) - project(there, numbers - shift, lens.lens)) / (2 * step)
        np.testing.assert_allclose(by_parameters[..., index], slope, atol=1e-5, rtol=1e-6)


def test_the_branch_on_the_axis_meets_the_other_one():
    lens = LENSES["fisheye"]
    z = 2.0
    inside, outside = (np.array([[r * z, 0.3 * r * z, z]]) for r in (0.9 * NEAR_AXIS, 1.1 * NEAR_AXIS))
    both = (project_with_jacobians(p, parameters_of(lens), lens.lens) for p in (inside, outside))
    for one, other in zip(*both, strict=True):
        # Between the two points everything moves by at most slope x distance: 1e3 px x 2e-5.
        np.testing.assert_allclose(one, other, atol=0.03)


def test_brown_conrady_has_nothing_behind_the_camera():
    px, _, _ = project_with_jacobians(np.array([[0.1, 0.1, -1.0]]), parameters_of(LENSES["brown"]), Lens.BROWN_CONRADY)
    assert np.isnan(px).all()


def test_numbers_and_lenses_are_two_ways_to_write_the_same():
    for lens in LENSES.values():
        again = intrinsics_from(parameters_of(lens), lens.image_size, lens.lens)
        np.testing.assert_array_equal(again.K, lens.K)
        np.testing.assert_array_equal(again.distortion, lens.distortion)
    assert parameter_names(LENSES["rational"])[4:] == ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    assert parameter_names(LENSES["fisheye"]) == ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4")


def test_a_prior_needs_a_covariance_of_its_size():
    prior = IntrinsicsPrior(LENSES["brown"], np.eye(9))
    assert prior.mean[2] == 618.3
    assert prior.names[-1] == "k3"
    with pytest.raises(CalibrationError, match="9 numbers must be finite and 9 x 9, not 8 x 8"):
        IntrinsicsPrior(LENSES["brown"], np.eye(8))
