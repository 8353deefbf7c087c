"""Looking colours up in pages, and the patterns that are painted on them."""

import numpy as np
import pytest

from mocap.synthetic.atlas import LEVELS, make_atlas
from mocap.synthetic.patterns import PATTERNS, noise, print_on, srgb, weave

SIZE = 64


def sample(atlas, place, page=0, texels=1.0):
    place = np.atleast_2d(np.array(place, dtype=np.float32))
    n = len(place)
    return atlas.sample(place, np.full(n, page, np.int32), np.full(n, texels, np.float32))


@pytest.fixture(scope="module")
def pages():
    return list(np.random.default_rng(1).random((3, SIZE, SIZE, 3)).astype(np.float32))


def test_texel_centres_have_their_own_colour(pages):
    atlas = make_atlas(pages)
    for page in range(3):
        colour = sample(atlas, [(10.5 / SIZE, 33.5 / SIZE)], page)
        np.testing.assert_allclose(colour[0], pages[page][33, 10], atol=1 / 65535)


def test_between_texels_colours_are_mixed(pages):
    colour = sample(make_atlas(pages), [(11 / SIZE, 34 / SIZE)], 1)[0]
    # cv2.remap places samples on a grid of 1/32 texel: up to 2/64 of the difference of neighbours
    np.testing.assert_allclose(colour, pages[1][33:35, 10:12].mean((0, 1)), atol=0.035)


def test_wide_footprints_average(pages):
    atlas = make_atlas(pages)
    wide = sample(atlas, [(20 / SIZE, 36 / SIZE)], 2, texels=8.0)[0]  # the centre of four texels of level 3
    np.testing.assert_allclose(wide, pages[2][24:48, 8:32].mean((0, 1)), atol=0.12)
    spread = [
        sample(atlas, np.random.default_rng(2).random((500, 2)), 2, texels=float(2**k)).std() for k in range(LEVELS)
    ]
    assert (np.diff(spread) < 0).all()


def test_pages_do_not_bleed_into_each_other():
    pages = [np.full((SIZE, SIZE, 3), value, np.float32) for value in (0.0, 1.0, 0.25)]
    atlas = make_atlas(pages)
    edges = np.random.default_rng(3).choice([0.0, 1.0, 0.5], (400, 2))
    for level in range(LEVELS):
        for page, value in enumerate((0.0, 1.0, 0.25)):
            np.testing.assert_allclose(sample(atlas, edges, page, 2.0**level), value, atol=1 / 65535)


def test_srgb_is_decoded():
    assert srgb("ffffff") == (1.0, 1.0, 1.0)
    assert srgb("000000") == (0.0, 0.0, 0.0)
    assert srgb("800000")[0] == pytest.approx(0.2159, abs=1e-4)  # IEC 61966-2-1
    assert srgb("0a0000")[0] == pytest.approx(10 / 255 / 12.92)


@pytest.mark.parametrize("dims", [2, 3])
def test_noise_is_smooth_and_centred(dims: int):
    points = np.random.default_rng(0).uniform(0, 60, (20_000, dims))
    values = noise(points, 7)
    assert np.abs(values).max() <= 1
    assert abs(values.mean()) < 0.02  # 20,000 samples of a spread of 0.3 over 3,600 cells at least: 0.3 / 60 = 0.005
    assert np.abs(noise(points + 1e-4, 7) - values).max() < 1e-4 * 1.5 * 2 * dims * 1.1  # steepest: 1.5 * 2 per axis
    np.testing.assert_array_equal(values, noise(points, 7))
    assert np.abs(values - noise(points, 8)).mean() > 0.1


@pytest.mark.parametrize("pattern", PATTERNS)
def test_fabrics_stay_near_their_colours(pattern: str):
    rng = np.random.default_rng(5)
    across, along = rng.uniform(-0.5, 0.5, (2, 4000))
    pair = ((0.2, 0.3, 0.5), (0.8, 0.7, 0.1))
    colour = weave(pattern, across, along, colours=pair, seed=11)
    assert colour.min() > 0
    assert colour.max() < 1
    low = np.minimum(*np.array(pair)) * 0.5
    assert (colour >= low).all()
    if pattern in ("stripes", "checks", "pinstripes"):
        assert colour.std(0).min() > 0.02


def test_prints_end_at_their_rim():
    x, z = np.random.default_rng(6).uniform(-0.4, 0.4, (2, 5000))
    plain = np.full((5000, 3), 0.1, np.float32)
    for seed in range(12):
        painted = print_on(plain, x, z, ink=(0.9, 0.9, 0.9), seed=seed)
        changed = np.abs(painted - plain).max(-1) > 0.01
        assert changed.any()
        assert np.hypot(x, z)[changed].max() < 0.2
