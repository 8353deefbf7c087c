from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.evaluation.alignment import (
    fit_scale,
    fit_similarity,
    root_aligned,
    similarity_aligned,
    take_aligned,
)

EXACT = 1e-9
"""Points within 10 m: an SVD is good to some 10 eps of the covariance (100 m²), 2e-13 m; room for scales up to 30."""

seeds = st.integers(0, 2**32 - 1)


def _world(seed: int, shape: tuple[int, ...] = (7,)) -> tuple[np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return rng.normal([1.0, -2.0, 0.9], [0.4, 0.2, 0.7], (*shape, 3)), rng


def _naive_umeyama(source: np.ndarray, target: np.ndarray, weights: np.ndarray, scale: bool) -> tuple:
    """One set of points, in the paper's own order: means, covariance, SVD, S, R, c, t."""
    rows = [i for i in range(len(source)) if np.isfinite(source[i]).all() and np.isfinite(target[i]).all()]
    w = weights[rows] / weights[rows].sum()
    x, y = source[rows], target[rows]
    mx, my = sum(a * b for a, b in zip(w, x, strict=True)), sum(a * b for a, b in zip(w, y, strict=True))
    sigma = sum(a * np.outer(q - my, p - mx) for a, p, q in zip(w, x, y, strict=True))
    u, d, vt = np.linalg.svd(sigma)
    s = np.diag([1, 1, -1 if np.linalg.det(u) * np.linalg.det(vt) < 0 else 1])
    R = u @ s @ vt
    c = np.trace(np.diag(d) @ s) / sum(a * (p - mx) @ (p - mx) for a, p in zip(w, x, strict=True)) if scale else 1.0
    return c, R, my - c * R @ mx


def test_a_quarter_turn_doubled_and_moved() -> None:
    """(x, y, z) -> 2 (-y, x, z) + (1, 2, 3): a turn of 90 degrees about z."""
    source = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    target = np.array([[1.0, 2, 3], [1, 4, 3], [-1, 2, 3], [1, 2, 5]])
    found = fit_similarity(source, target)
    assert found.scale == pytest.approx(2.0)
    np.testing.assert_allclose(found.R, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(found.t, [1, 2, 3], atol=1e-12)
    assert found.determined


@settings(max_examples=60, deadline=None)
@given(seed=seeds, factor=st.floats(0.05, 30.0), n=st.integers(3, 12))
def test_undoes_any_similarity(seed: int, factor: float, n: int) -> None:
    points, rng = _world(seed, (n,))
    R = Rotation.random(random_state=seed).as_matrix()
    moved = factor * points @ R.T + rng.normal(size=3)
    found = fit_similarity(points, moved)
    np.testing.assert_allclose(found.apply(points), moved, atol=EXACT)
    assert found.scale == pytest.approx(factor)
    if found.determined:
        np.testing.assert_allclose(found.R, R, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, scale=st.booleans())
def test_equals_its_naive_twin_over_batches_with_weights_and_gaps(seed: int, scale: bool) -> None:
    source, rng = _world(seed, (3, 2, 8))
    target = source @ Rotation.random(random_state=seed).as_matrix().T + rng.normal(0, 0.3, source.shape)
    weights = rng.uniform(0.2, 3.0, source.shape[:-1])
    source[rng.random((3, 2, 8)) < 0.2] = np.nan
    target[rng.random((3, 2, 8)) < 0.15, 1] = np.nan
    found = fit_similarity(source, target, weights, scale=scale)
    for i in np.ndindex(3, 2):
        if (np.isfinite(source[i]).all(-1) & np.isfinite(target[i]).all(-1)).sum() < 4:
            continue
        c, R, t = _naive_umeyama(source[i], target[i], weights[i], scale)
        np.testing.assert_allclose(found.R[i], R, atol=1e-7)
        np.testing.assert_allclose([found.scale[i], *found.t[i]], [c, *t], atol=1e-7)


def test_a_mirrored_body_is_never_mirrored_back() -> None:
    points, _ = _world(4, (9,))
    mirrored = points * [-1.0, 1.0, 1.0]
    found = fit_similarity(points, mirrored)
    assert np.linalg.det(found.R) == pytest.approx(1.0)
    assert np.linalg.norm(found.apply(points) - mirrored, axis=-1).max() > 0.1


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_no_nearby_transform_is_better(seed: int) -> None:
    source, rng = _world(seed, (6,))
    target = source * 1.3 + rng.normal(0, 0.2, source.shape)
    found = fit_similarity(source, target)
    best = ((found.apply(source) - target) ** 2).sum()
    for _ in range(10):
        R = Rotation.from_rotvec(rng.normal(0, 1e-3, 3)).as_matrix() @ found.R
        scale, t = found.scale * (1 + rng.normal(0, 1e-3)), found.t + rng.normal(0, 1e-3, 3)
        assert ((scale * source @ R.T + t - target) ** 2).sum() >= best - 1e-12


def test_too_few_points_give_what_they_can_and_say_so() -> None:
    points, _ = _world(5, (5, 4))
    target = points + [0.3, 0.1, -0.2]
    points[0] = np.nan
    points[1, 1:] = np.nan
    points[2, 2:] = np.nan
    points[3] = np.linspace(0, 1, 4)[:, None] * [1.0, 2.0, 3.0]
    target[3] = np.linspace(0, 2, 4)[:, None] * [1.0, 2.0, 3.0]
    found = fit_similarity(points, target)
    assert found.determined.tolist() == [False, False, False, False, True]
    assert np.isnan(found.scale[0])
    assert np.isnan(found.R[0]).all()
    np.testing.assert_allclose(found.R[1], np.eye(3))
    assert found.scale[1] == 1.0
    moved = found.apply(points)
    assert np.isnan(moved[0]).all()
    np.testing.assert_allclose(moved[1, 0], target[1, 0], atol=EXACT)
    np.testing.assert_allclose(moved[2, :2], target[2, :2], atol=EXACT)
    np.testing.assert_allclose(moved[3], target[3], atol=EXACT)
    assert found.scale[3] == pytest.approx(2.0)


def test_points_that_coincide_are_only_moved() -> None:
    """The mean of seven times 2.9 is not 2.9 in float64: what is left is rounding, and no shape."""
    source, target = np.full((7, 3), 2.9), np.array([[0.0, 0, 1], [0, 0, 3], [0, 0, 1], [0, 0, 3]] + [[0, 0, 2]] * 3)
    assert ((source / 7).sum(0) != source[0]).any()
    found = fit_similarity(source, target)
    assert (found.scale, found.determined) == (1.0, False)
    np.testing.assert_array_equal(found.R, np.eye(3))
    np.testing.assert_allclose(found.apply(source), np.tile([0.0, 0, 2], (7, 1)), atol=EXACT)
    assert fit_similarity(target, source).scale == 0.0


def test_a_mirrored_body_without_a_longest_axis_has_many_best_rotations() -> None:
    octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    assert fit_similarity(octahedron, octahedron).determined
    assert not fit_similarity(octahedron, octahedron * [-1.0, 1, 1]).determined


def test_a_flat_body_has_one_rotation() -> None:
    flat = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [1, 2, 0]])
    R = Rotation.from_euler("xyz", [0.4, -1.0, 2.0]).as_matrix()
    found = fit_similarity(flat, flat @ R.T)
    assert found.determined
    np.testing.assert_allclose(found.R, R, atol=1e-12)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_weights_must_be_weights(bad: float) -> None:
    points, _ = _world(6)
    weights = np.ones(7)
    weights[3] = bad
    with pytest.raises(InputError, match="weights must be finite numbers from zero upwards"):
        fit_similarity(points, points, weights)


def test_scale_of_a_known_case() -> None:
    """<s, t> = 1·2 + 2·2 = 6, <s, s> = 1 + 4 = 5: the factor is 1.2. The third point is missing."""
    source = np.array([[1.0, 0, 0], [0, 2, 0], [np.nan, 5, 5]])
    target = np.array([[2.0, 0, 0], [0, 2, 0], [9, 9, 9]])
    assert fit_scale(source, target) == pytest.approx(1.2)
    assert fit_scale(0 * target, target) == 1.0
    assert np.isnan(fit_scale(source[2:], target[2:]))


def test_root_alignment_of_one_joint_and_of_two() -> None:
    points = np.array([[1.0, 0, 0], [3, 0, 0], [5, 6, 7]])
    np.testing.assert_allclose(root_aligned(points, [1]), [[-2, 0, 0], [0, 0, 0], [2, 6, 7]])
    np.testing.assert_allclose(root_aligned(points, [0, 1])[2], [3, 6, 7])
    points[0] = np.nan
    assert np.isnan(root_aligned(points, [0, 1])).all()
    with pytest.raises(InputError, match="at least one root joint"):
        root_aligned(points, [])


def test_one_transform_for_a_take_leaves_drift_in() -> None:
    """A walker seen at twice the size and turned, whose second half has slipped by 1 m: a transform of the whole take
    cannot undo that, one of the first two frames leaves the first half exact, per-frame ones undo all."""
    truth, _ = _world(7, (20, 1, 5))
    prediction = 2 * truth @ Rotation.from_euler("z", 1.0).as_matrix().T
    np.testing.assert_allclose(take_aligned(prediction, truth), truth, atol=EXACT)
    prediction[10:] += [2.0, 0.0, 0.0]
    slipped = np.linalg.norm(take_aligned(prediction, truth) - truth, axis=-1)
    assert slipped.mean() > 0.2
    start = np.linalg.norm(take_aligned(prediction, truth, fit_frames=2) - truth, axis=-1)
    np.testing.assert_allclose(start[:10], 0, atol=EXACT)
    np.testing.assert_allclose(start[10:], 1.0, atol=EXACT)
    np.testing.assert_allclose(take_aligned(prediction, truth, segment_frames=10), truth, atol=EXACT)
    np.testing.assert_allclose(similarity_aligned(prediction, truth), truth, atol=EXACT)
    assert take_aligned(prediction[:0], truth[:0]).shape == (0, 1, 5, 3)
    with pytest.raises(InputError, match="fit_frames is 0"):
        take_aligned(prediction, truth, fit_frames=0)
