import pytest
import torch

from mocap.geometry.leg_bending import SOFT, STRAIGHTEST, reach
from mocap.geometry.rotations import quat_rotate

LENGTHS = (0.43, 0.41)


def bent_leg(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Thighs and shanks in random directions, bent by 0.3 to 2 rad about random hinges."""
    generator = torch.Generator().manual_seed(seed)
    upper = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator, dtype=torch.float64), dim=-1)
    other = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    hinge = torch.nn.functional.normalize(torch.linalg.cross(upper, other), dim=-1)
    angle = 0.3 + 1.7 * torch.rand(n, 1, generator=generator, dtype=torch.float64)
    lower = angle.cos() * upper + angle.sin() * torch.linalg.cross(hinge, upper)
    return LENGTHS[0] * upper, LENGTHS[1] * lower, hinge


def ends(bones, target, hinge):
    swing, lower = reach(bones, target, hinge)
    thigh, shank = quat_rotate(swing, bones[0]), quat_rotate(lower, bones[1])
    return thigh, shank, quat_rotate(swing, hinge)


def test_a_leg_reaches_every_point_that_it_can():
    upper, lower, hinge = bent_leg(500, seed=1)
    generator = torch.Generator().manual_seed(2)
    direction = torch.nn.functional.normalize(torch.randn(500, 3, generator=generator, dtype=torch.float64), dim=-1)
    reachable = sum(LENGTHS) * STRAIGHTEST * (1 - SOFT)
    target = direction * (0.05 + (reachable - 0.05) * torch.rand(500, 1, generator=generator, dtype=torch.float64))
    thigh, shank, normal = ends((upper, lower), target, hinge)
    torch.testing.assert_close(thigh + shank, target, rtol=0, atol=1e-9)
    torch.testing.assert_close(thigh.norm(dim=-1), upper.norm(dim=-1), rtol=1e-12, atol=0)
    assert (torch.linalg.cross(thigh, shank) * normal).sum(-1).min() > 0, "a knee bends the other way"


def test_what_is_out_of_reach_is_pointed_at():
    upper, lower, hinge = bent_leg(50, seed=3)
    target = 2.0 * torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64), dim=-1)
    thigh, shank, _ = ends((upper, lower), target, hinge)
    end = thigh + shank
    torch.testing.assert_close(torch.nn.functional.normalize(end, dim=-1), target / 2, rtol=0, atol=1e-9)
    assert float(end.norm(dim=-1).max()) <= sum(LENGTHS) * STRAIGHTEST + 1e-9


def test_a_leg_that_is_there_already_stays():
    upper, lower, hinge = bent_leg(100, seed=4)
    kept = (upper + lower).norm(dim=-1) < sum(LENGTHS) * STRAIGHTEST * (1 - SOFT)
    bones, target, hinge = (upper[kept], lower[kept]), (upper + lower)[kept], hinge[kept]
    swing, turn = reach(bones, target, hinge)
    assert float(torch.stack([swing, turn])[..., 1:].abs().max()) < 1e-7


def test_a_straight_leg_bends_about_its_hinge():
    down, hinge = (
        torch.tensor([[0.0, 0.0, -1.0]], dtype=torch.float64),
        torch.tensor([[1.0, 0, 0]], dtype=torch.float64),
    )
    bones = (LENGTHS[0] * down, LENGTHS[1] * down)
    thigh, shank, _ = ends(bones, 0.7 * down, hinge)
    assert float(thigh[0, 1]) < -0.1, "the knee of somebody who faces -Y goes forward"
    torch.testing.assert_close(thigh + shank, 0.7 * down, rtol=0, atol=1e-9)


def test_stretching_has_no_jump_of_the_knee():
    """At full length the bend is a square root of the distance; softly approached, a millimetre never moves the knee
    by more than three degrees (acos of STRAIGHTEST is 1.8 degrees a bone)."""
    down, hinge = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64), torch.tensor([1.0, 0, 0], dtype=torch.float64)
    distance = torch.arange(0.5, 1.0, 0.001, dtype=torch.float64)[:, None]
    bent = torch.tensor([0.0, 0.6, -0.8], dtype=torch.float64)
    bones = ((LENGTHS[0] * down).expand(len(distance), 3), (LENGTHS[1] * bent).expand(len(distance), 3))
    thigh, shank, _ = ends(bones, distance * down, hinge.expand(len(distance), 3))
    cosine = (thigh * shank).sum(-1) / (LENGTHS[0] * LENGTHS[1])
    bend = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
    assert float(bend.diff().abs().max()) < 3.0
    assert float(bend.diff().max()) <= 1e-9, "farther away is straighter"


@pytest.mark.parametrize("distance", [0.0, 1e-12])
def test_a_target_at_the_hip_gives_finite_turns(distance):
    upper, lower, hinge = bent_leg(3, seed=5)
    swing, turn = reach((upper, lower), torch.full((3, 3), distance, dtype=torch.float64), hinge)
    assert bool(torch.isfinite(swing).all() & torch.isfinite(turn).all())
