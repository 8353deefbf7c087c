from __future__ import annotations

import numpy as np
import pytest
import torch

from mocap.geometry import least_vectors as module
from mocap.geometry.algebraic import project_pinhole, triangulate_algebraic
from mocap.geometry.least_vectors import COLUMN, ROW, UPPER, least_vectors, times
from mocap.geometry.rotations import rotvec_to_matrix

MANY = 3000


def upper(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices (n, 4, 4) as (10, n)."""
    return matrices[..., ROW, COLUMN].movedim(-1, 0)


def whole(ten: torch.Tensor) -> torch.Tensor:
    """The other way round."""
    place = [UPPER.index((min(i, j), max(i, j))) for i in range(4) for j in range(4)]
    return ten[place].movedim(0, -1).unflatten(-1, (4, 4))


def matrices_of(values: list[float], *, count: int = MANY, seed: int = 0) -> torch.Tensor:
    """Of given eigenvalues and random eigenvectors."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.linalg.qr(torch.randn(count, 4, 4, dtype=torch.float64, generator=generator))[0]
    return vectors * torch.tensor(values, dtype=torch.float64) @ vectors.mT


SPECTRA = {
    "apart": [0.01, 1.0, 2.0, 5.0],
    "no residual": [0.0, 1.0, 2.0, 3.0],
    "near": [0.9, 1.0, 2.0, 3.0],
    "others meet": [0.1, 2.0, 2.0, 2.0],
    "steep": [1e-6, 1.0, 1e6, 1e10],
}


@pytest.mark.parametrize("name", SPECTRA)
def test_it_equals_the_eigensolver(name):
    """An eigenvector moves by the rounding of the matrix over the gap; the iteration leaves `PROVEN_CHANGE`."""
    values = SPECTRA[name]
    given = matrices_of(values)
    found = least_vectors(upper(given), torch.ones(MANY, dtype=torch.bool))
    assert found.fixed.all()
    expected = torch.linalg.eigh(given).eigenvectors[..., 0]
    sine = (expected - (found.vector.T * expected).sum(-1, keepdim=True) * found.vector.T).norm(dim=-1)
    rounding = 100 * 2e-16 * values[-1] / (values[1] - values[0])
    assert sine.max() < module.PROVEN_CHANGE + rounding
    inverse = torch.linalg.pinv(given - values[0] * torch.eye(4).double(), rtol=1e-12, hermitian=True)
    error = (whole(found.inverse) - inverse).norm(dim=(-1, -2)) / inverse.norm(dim=(-1, -2))
    assert error.max() < 10 * (module.PROVEN_CHANGE + rounding)


def test_the_iteration_proves_most_of_what_cameras_see():
    """Three pixels of noise, four views: the eigensolver is for the exceptions."""
    projections, xy, _ = seen(views=4, noise_px=3.0)
    asked: list[int] = []
    solver = module._by_eigensolver

    def counted(matrix, solvable):
        asked.append(matrix.shape[1])
        return solver(matrix, solvable)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_by_eigensolver", counted)
        triangulate_algebraic(projections, xy, torch.ones_like(xy[..., 0]))
    assert sum(asked) < 0.01 * xy[..., 0, :, 0].numel()


def seen(*, views: int, noise_px: float, unit: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Projections (B, C, 3, 4), xy (B, C, J, 2) and truth: 100 rigs of 30 points, some 4.5 m away."""
    generator = torch.Generator().manual_seed(views)
    turn = rotvec_to_matrix(torch.randn(100, views, 3, dtype=torch.float64, generator=generator))
    shift = unit * torch.tensor([0.1, -0.2, 4.5], dtype=torch.float64).expand(100, views, 3)
    K = torch.tensor([[1145.0, 0.7, 512.3], [0.0, 1143.8, 515.4], [0.0, 0.0, 1.0]], dtype=torch.float64)
    projections = K @ torch.cat([turn, shift[..., None]], dim=-1)
    truth = 0.6 * unit * torch.randn(100, 30, 3, dtype=torch.float64, generator=generator)
    xy = project_pinhole(projections, truth)[0]
    return projections, xy + noise_px * torch.randn(xy.shape, dtype=torch.float64, generator=generator), truth


@pytest.mark.parametrize("unit", [1.0, 1000.0], ids=["m", "mm"])
@pytest.mark.parametrize("views", [2, 3, 6])
@pytest.mark.parametrize("noise_px", [0.0, 5.0, 400.0])
def test_many_points_equal_one_singular_value_decomposition_each(views, noise_px, unit):
    """400 px are wrong people: eigenvalues come near each other, and every digit that the gap leaves must agree."""
    projections, xy, truth = seen(views=views, noise_px=noise_px, unit=unit)
    xy[:, 0, ::7] = torch.nan
    found = triangulate_algebraic(projections, xy, torch.ones_like(xy[..., 0]))
    rows = (xy[..., None] * projections[:, :, None, 2:] - projections[:, :, None, :2]).nan_to_num()
    _, values, vectors = np.linalg.svd(rows.transpose(1, 2).flatten(2, 3).numpy())
    homogeneous = torch.from_numpy(vectors[..., -1, :])
    expected = homogeneous[..., :3] / homogeneous[..., 3:]
    enough = torch.ones(30, dtype=torch.bool)
    enough[::7] = views > 2
    # The decomposition itself rounds by 1e-16 of the largest value over the gap between the two least.
    rounding = (
        torch.from_numpy(2e-16 * values[..., 0] / (values[..., -2] - values[..., -1])) / homogeneous[..., 3].abs()
    )
    error = (found - expected).norm(dim=-1) / (unit + expected.norm(dim=-1))
    assert found[:, ~enough].isnan().all()
    assert (error < 1e-9 + 100 * rounding * (1 + expected.norm(dim=-1)))[:, enough].all()
    if noise_px == 0:
        assert (found - truth)[:, enough].norm(dim=-1).max() < 1e-7 * unit


def test_gradcheck_of_the_iteration(monkeypatch):
    """The same as of the eigensolver, which is for few matrices."""
    monkeypatch.setattr(module, "FEW", 0)
    projections, xy, _ = seen(views=3, noise_px=10.0)
    inputs = [array.clone().requires_grad_() for array in (projections[0], xy[0, :, :1], 0.5 + xy[0, :, :1, 0] % 1)]
    assert torch.autograd.gradcheck(triangulate_algebraic, inputs, rtol=1e-4, atol=1e-7)


def test_what_cannot_be_solved_is_left_out_of_many():
    given = matrices_of([0.1, 1.0, 2.0, 3.0])
    given[::3] = matrices_of([1.0, 1.0, 2.0, 3.0])[::3]
    solvable = torch.ones(MANY, dtype=torch.bool)
    solvable[1::3] = False
    found = least_vectors(upper(given), solvable)
    assert not found.fixed[::3].any()
    assert not found.fixed[1::3].any()
    assert found.fixed[2::3].all()
    left_out = ~found.fixed
    assert (found.vector[:, left_out] == 0).all()
    assert (found.inverse[:, left_out] == 0).all()


@pytest.mark.parametrize("count", [0, 1, module.FEW, module.AT_ONCE + 5])
def test_any_number_and_any_axes(count):
    given = matrices_of([0.1, 1.0, 2.0, 3.0], count=count)
    flat = least_vectors(upper(given), torch.ones(count, dtype=torch.bool))
    assert flat.vector.shape == (4, count)
    nested = least_vectors(upper(given)[:, :, None], torch.ones(count, 1, dtype=torch.bool))
    assert nested.inverse.shape == (10, count, 1)
    assert torch.equal(nested.vector[..., 0], flat.vector)


def test_times_is_the_product():
    given, vector = matrices_of([1.0, 2.0, 3.0, 4.0], count=5), torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(times(upper(given), vector.T).T, (given @ vector[..., None])[..., 0])
