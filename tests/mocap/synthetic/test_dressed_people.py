"""People with clothes on: decent, watertight enough to render, the same for the same seed."""

from functools import lru_cache

import numpy as np
import pytest

from mocap.geometry.joint_transforms import rest_joints
from mocap.synthetic.appearance import DressedBody, dress, sample_outfit
from mocap.synthetic.body import Body, BodyShape, make_body
from mocap.synthetic.outfit import CHILD_AGE, Outfit
from mocap.synthetic.pages import BOTTOM, EXTRA, HAIR, SKIN, TOP
from mocap.synthetic.scene import Surface

pytest.importorskip("anny", reason="bodies are made from Anny")
o3d = pytest.importorskip("open3d", reason="texels are found by casting rays")

WOMAN = BodyShape(gender=0.95, age=0.65, weight=0.7)
MAN = BodyShape(gender=0.05, age=0.75, muscle=0.7)
CHILD = BodyShape(gender=0.5, age=0.36, weight=0.4)
CASES = {
    "woman in a skirt": (WOMAN, Outfit(top="tank_top", bottom="skirt", hair_style="long", feet="barefoot")),
    "man in a hoodie": (MAN, Outfit(top="hoodie", bottom="jeans", bottom_pattern="denim", cap=True, beard=1.0)),
    "child in shorts": (CHILD, Outfit(top="t_shirt", top_pattern="stripes", bottom="shorts", hair_style="bun")),
}


@lru_cache
def dressed(case: str) -> tuple[Body, DressedBody]:
    shape, outfit = CASES[case]
    body = make_body(shape)
    return body, dress(body, outfit)


def joint(body: Body, name: str) -> np.ndarray:
    return rest_joints(body.skeleton)[body.skeleton.index(name)]


def first_hits(look: DressedBody, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Faces that rays meet first, -1 for none."""
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(o3d.core.Tensor(look.vertices), o3d.core.Tensor(look.faces.astype(np.uint32)))
    rays = np.concatenate([origins, directions], -1).astype(np.float32)
    hits = scene.cast_rays(o3d.core.Tensor(rays))
    return np.where(np.isfinite(hits["t_hit"].numpy()), hits["primitive_ids"].numpy().astype(np.int64), -1)


def rays_at_the_trunk(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """From all around, level and from 45 degrees below, at a vertical axis from the upper thighs to the chest."""
    low = joint(body, "LeftUpLeg")[2] - 0.05 * body.height_m / 1.72
    high = joint(body, "LeftArm")[2] - 0.09 * body.height_m / 1.72
    turn, height, fall = (grid.ravel() for grid in np.meshgrid(
        np.linspace(0, 2 * np.pi, 72, endpoint=False), np.linspace(low, high, 40), [0.0, 1.0]))  # fmt: skip
    aim = np.stack([0 * turn, joint(body, "Spine1")[1] + 0 * turn, height], -1)
    directions = np.stack([np.cos(turn), np.sin(turn), fall], -1)
    return aim - 1.5 * directions, directions


def bare_trunk(body: Body, look: DressedBody, face: np.ndarray) -> np.ndarray:
    """Where rays met skin of the trunk or of the upper thighs; armholes may show some of the armpit."""
    at = look.vertices[look.faces[face]].mean(1)
    arm = np.abs(at[:, 0]) > joint(body, "LeftArm")[0] - 0.005
    shin = at[:, 2] < joint(body, "LeftUpLeg")[2] - 0.15 * body.height_m / 1.72
    return (face >= 0) & (look.page[face] == SKIN) & ~arm & ~shin


def samples(look: DressedBody, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    face = rng.integers(0, len(look.faces), count).astype(np.int32)
    return face, rng.dirichlet([1, 1, 1], count).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
def test_mesh_can_be_posed_and_rendered(case: str):
    body, look = dressed(case)
    assert isinstance(look, Surface)
    assert np.isfinite(look.vertices).all()
    assert look.weights.shape == (len(look.vertices), len(body.skeleton))
    np.testing.assert_allclose(look.weights.sum(1), 1, atol=1e-5)
    assert look.weights.data.min() >= 0
    assert look.faces.min() >= 0
    assert look.faces.max() < len(look.vertices)
    assert 10_000 < len(look.faces) < 60_000
    assert look.vertices[:, 2].min() > -1e-3  # soles stay on the floor
    assert look.vertices[:, 2].max() < body.height_m + 0.08  # a bun
    assert set(np.unique(look.page)) == {SKIN, TOP, BOTTOM, HAIR, EXTRA}


@pytest.mark.parametrize("case", CASES)
def test_trunk_and_thighs_are_covered(case: str):
    body, look = dressed(case)
    face = first_hits(look, *rays_at_the_trunk(body))
    hit = face >= 0
    assert hit.mean() > 0.95  # all but those that pass between the legs
    assert not bare_trunk(body, look, face).any()


@pytest.mark.slow
def test_nobody_is_bare_where_they_should_not_be():
    from mocap.synthetic.body_sampling import sample_shape

    for seed in range(40):
        rng = np.random.default_rng(seed)
        shape = sample_shape(rng)
        body, outfit = make_body(shape), sample_outfit(rng, shape)
        look = dress(body, outfit)
        face = first_hits(look, *rays_at_the_trunk(body))
        assert not bare_trunk(body, look, face).any(), (seed, outfit)


@pytest.mark.parametrize("case", CASES)
def test_cloth_lies_outside_the_skin(case: str):
    """Against the body itself, which is still there below the cloth in this test's eyes."""
    body, look = dressed(case)
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(o3d.core.Tensor(body.vertices), o3d.core.Tensor(body.faces.astype(np.uint32)))
    cloth = np.unique(look.faces[np.isin(look.page, (TOP, BOTTOM))])
    distance = scene.compute_signed_distance(o3d.core.Tensor(look.vertices[cloth])).numpy()
    # details of the skin up to SMOOTHED_M wide may stand out of the cloth, where the skin is not drawn
    assert np.quantile(distance, 0.02) > -0.004
    assert np.median(distance) > 0.003


@pytest.mark.parametrize("case", CASES)
def test_skin_below_hems_is_sunk_or_gone(case: str):
    """Seen from outside along the normals, no skin comes through cloth."""
    _, look = dressed(case)
    corners = look.vertices[look.faces]
    cloth = np.flatnonzero(np.isin(look.page, (TOP, BOTTOM)))
    middle = corners[cloth].mean(1)
    normal = np.cross(corners[cloth, 1] - corners[cloth, 0], corners[cloth, 2] - corners[cloth, 0])
    area = np.linalg.norm(normal, axis=-1)
    normal /= area[:, None]
    face = first_hits(look, middle + 0.012 * normal, -normal)
    assert area[look.page[face] == SKIN].sum() < 0.01 * area.sum()  # but at the rims of armholes, where arms bulge


@pytest.mark.parametrize("case", CASES)
def test_albedo_is_a_colour(case: str):
    _, look = dressed(case)
    face, barycentric = samples(look, 20_000)
    for footprint in (1e-5, 0.004, 1.0):
        colour = look.albedo(face, barycentric, np.full(len(face), footprint, np.float32))
        assert colour.shape == (20_000, 3)
        assert colour.dtype == np.float32
        assert colour.min() >= 0
        assert colour.max() <= 1


def test_small_footprints_are_crisp_and_large_ones_average():
    _, look = dressed("child in shorts")
    stripes = np.flatnonzero(look.page == TOP).astype(np.int32)
    face, barycentric = np.repeat(stripes, 3), np.tile(samples(look, 3, 4)[1], (len(stripes), 1))
    sharp, blurred = (look.albedo(face, barycentric, np.full(len(face), f, np.float32)) for f in (0.001, 0.12))
    assert sharp.std(0).max() > 2 * blurred.std(0).max()
    np.testing.assert_allclose(blurred.mean(0), sharp.mean(0), atol=0.05)
    between = np.abs(sharp - blurred).max(-1)
    assert np.quantile(between, 0.9) > 0.1


def test_faces_are_painted():
    _, look = dressed("woman in a skirt")
    eye = np.flatnonzero((look.page == EXTRA) & (look.vertices[look.faces][..., 1].mean(1) < 0)).astype(np.int32)
    head = look.vertices[look.faces[eye]].mean(1)
    eye = eye[(np.abs(head[:, 0]) < 0.05) & (np.ptp(look.vertices[look.faces[eye]], axis=1).max(1) < 0.006)]
    many = np.repeat(eye, 40)
    colour = look.albedo(many, samples(look, len(many), 5)[1], np.full(len(many), 1e-4, np.float32)).mean(-1)
    assert colour.min() < 0.03  # pupils
    assert colour.max() > 0.35  # whites


def test_same_outfit_looks_the_same():
    body, look = dressed("man in a hoodie")
    again = dress(body, CASES["man in a hoodie"][1])
    np.testing.assert_array_equal(again.vertices, look.vertices)
    np.testing.assert_array_equal(again.atlas.image, look.atlas.image)


def test_outfits_follow_the_seed():
    outfits = [sample_outfit(np.random.default_rng(seed), MAN) for seed in range(60)]
    assert outfits == [sample_outfit(np.random.default_rng(seed), MAN) for seed in range(60)]
    assert len({outfit.model_dump_json() for outfit in outfits}) == 60
    skin = np.array([outfit.skin for outfit in outfits])
    assert skin.min() < 0.1
    assert skin.max() > 0.9
    assert len({outfit.top for outfit in outfits}) >= 5
    assert len({outfit.bottom for outfit in outfits}) >= 4


def test_children_are_dressed_as_children():
    for seed in range(300):
        rng = np.random.default_rng(seed)
        shape = BodyShape(age=rng.uniform(0.2, CHILD_AGE - 0.01), gender=rng.random())
        outfit = sample_outfit(rng, shape)
        assert outfit.top != "tank_top"
        assert outfit.beard == 0
        assert outfit.hair_style not in ("bald", "shaved")


def test_skin_tones_run_from_light_to_dark():
    tones = np.array([Outfit(skin=value).skin_colour for value in np.linspace(0, 1, 30)])
    assert (np.diff(tones.sum(1)) < 0).all()
    assert tones[0].min() > 0.4
    assert tones[-1].max() < 0.08
