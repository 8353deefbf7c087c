"""The normal distribution of a body's points, against textbook formulas."""

from __future__ import annotations

import numpy as np
import torch

from mocap.models.body_prior import FREE_M, GIVE_M, BodyPrior

SHAPE = torch.tensor([[0.0, 0, 0], [0.1, 0.02, 0], [0, 0.12, 0.01], [0.03, 0, 0.09], [0.06, 0.05, 0.07], [0.2, 0.1, 0]])


def rigid_bodies(n: int, seed: int = 0) -> torch.Tensor:
    """(n, 6, 3) one shape of every size and heading, somewhere."""
    rng = np.random.default_rng(seed)
    turns = np.linalg.qr(rng.standard_normal((n, 3, 3)))[0]
    size, place = rng.uniform(0.8, 1.2, (n, 1, 1)), rng.normal(0, 0.05, (n, 1, 3))
    return torch.tensor(SHAPE.double().numpy() @ turns * size + place).float()


def fitted(n: int = 4000) -> BodyPrior:
    prior = BodyPrior(6)
    prior.fit(rigid_bodies(n))
    return prior


def test_unfitted_it_leaves_points_where_they_are():
    """An error of 1 cm against a spread of 10 m moves a point by a millionth of its distance."""
    xyz = rigid_bodies(5)
    assert (BodyPrior(6)(xyz, torch.full((5, 6), 0.01)) - xyz).abs().max() < 1e-6


def test_it_is_the_conditional_mean():
    """m + S (S + R)⁻¹ (x - m), each sample by itself."""
    prior, xyz = fitted(), rigid_bodies(3, 1) + 0.02 * torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(0))
    sigma = 0.005 + 0.05 * torch.rand(3, 6, generator=torch.Generator().manual_seed(1))
    found = prior(xyz, sigma).numpy()
    S, m = prior.covariance.double().numpy(), prior.mean.double().numpy().ravel()
    for n in range(3):
        R = np.diag(np.repeat(sigma[n].double().numpy() ** 2, 3))
        expected = m + S @ np.linalg.solve(S + R, xyz[n].double().numpy().ravel() - m)
        assert np.abs(found[n].ravel() - expected).max() < 1e-6


def test_noise_is_taken_from_rigid_parts():
    """Six points that turn and grow lie in 12 of 18 dimensions (affine maps): noise falls to sqrt(12 / 18) = 0.82 of
    itself, and a little more, as sizes are known."""
    prior, xyz = fitted(), rigid_bodies(300, 2)
    noisy = xyz + 0.01 * torch.randn(xyz.shape, generator=torch.Generator().manual_seed(3))
    error = (prior(noisy, torch.full((300, 6), 0.01)) - xyz).square().mean().sqrt()
    assert error < 0.85 * 0.01


def test_a_missing_point_follows_from_the_others():
    """Five points fix an affine map: the sixth is known to the 2 mm that every coordinate may give, times the length of
    the weights that make it of the others, which is below 3 for this shape."""
    prior, xyz = fitted(), rigid_bodies(100, 4)
    sigma = torch.full((100, 6), 1e-4)
    sigma[:, 5] = 3.0
    seen = xyz.clone()
    seen[:, 5] = prior.mean[5]
    assert (prior(seen, sigma)[:, 5] - xyz[:, 5]).norm(dim=-1).mean() < 3 * 2 * GIVE_M


def test_a_shift_of_the_whole_body_is_free():
    """30 cm cost what the distribution's own 5 cm cost: a point is drawn back by a share of (1 cm / 30 cm)² / 6."""
    prior, xyz = fitted(), rigid_bodies(20, 5)
    moved = prior(xyz + FREE_M, torch.full((20, 6), 0.01)) - prior(xyz, torch.full((20, 6), 0.01))
    assert (moved - FREE_M).abs().max() < 1e-3


def test_gradients_reach_points_and_doubts():
    prior = fitted(200).double()
    xyz = rigid_bodies(2, 6).double().requires_grad_()
    sigma = torch.full((2, 6), 0.02, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, s: prior(x, s), (xyz, sigma))
