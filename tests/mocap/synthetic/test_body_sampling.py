"""Sampled people are as different, and as alike, as people are."""

import numpy as np
import pytest

from mocap.synthetic.body_sampling import ANNY_AGE, YEARS, sample_shape

N = 400


def people(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = [sample_shape(rng).model_dump() for _ in range(N)]
    columns = {name: np.array([shape[name] for shape in shapes]) for name in shapes[0]}
    return columns | {"years": np.interp(columns["age"], ANNY_AGE, YEARS)}


def test_the_same_seed_gives_the_same_people() -> None:
    assert sample_shape(np.random.default_rng(7)) == sample_shape(np.random.default_rng(7))
    assert sample_shape(np.random.default_rng(7)) != sample_shape(np.random.default_rng(8))


def test_ages_and_sexes() -> None:
    """Shares of 400 draws: three standard deviations are 0.075 for a half, 0.062 for 0.78, 0.041 for 0.08."""
    sampled = people()
    assert np.mean(sampled["gender"] > 0.5) == pytest.approx(0.5, abs=0.075)
    assert np.mean(sampled["years"] >= 18) == pytest.approx(0.78, abs=0.062)
    assert np.mean(sampled["years"] < 13) == pytest.approx(0.08, abs=0.041)
    assert sampled["years"].min() >= 6
    assert sampled["years"].max() <= 75


def test_builds_vary() -> None:
    sampled = people()
    for name in ("muscle", "weight", "proportions"):
        low, high = np.quantile(sampled[name], [0.05, 0.95])
        assert high - low > 0.5


def test_bodies_are_of_human_size() -> None:
    """Adults' mean height is known to 70 mm / sqrt(n) of some 40 men and women each: 33 mm at three deviations."""
    pytest.importorskip("anny", reason="bodies are made from Anny")
    from mocap.synthetic.body_model import load_body_model

    rng = np.random.default_rng(3)
    shapes = [sample_shape(rng) for _ in range(100)]
    height = np.array([np.ptp(load_body_model().rest(shape.model_dump())[0][:, 2]) for shape in shapes])
    assert height.min() > 1.0
    assert height.max() < 2.1
    adult = np.array([shape.age for shape in shapes]) >= np.interp(18, YEARS, ANNY_AGE)
    female = np.array([shape.gender for shape in shapes]) > 0.5
    assert height[adult & ~female].mean() == pytest.approx(1.76, abs=0.033)
    assert height[adult & female].mean() == pytest.approx(1.63, abs=0.033)
    assert height[adult].std() > 0.06


def test_bodies_are_of_human_weight() -> None:
    pytest.importorskip("anny", reason="bodies are made from Anny")
    from mocap.synthetic.body import make_body

    rng = np.random.default_rng(4)
    bodies = [make_body(sample_shape(rng)) for _ in range(12)]
    index = np.array([body.mass_kg / body.height_m**2 for body in bodies])  # kg/m²; children's begin at 13
    assert index.min() > 12
    assert index.max() < 40
    assert index.std() > 1
