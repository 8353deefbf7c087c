"""Rooms, furniture, textures, and what hides what."""

import numpy as np
import pytest

pytest.importorskip("open3d", reason="rays are cast by open3d")

from rendered_worlds import ball, block, camera, moved

from mocap.synthetic.rendering.coarse import coarse_faces
from mocap.synthetic.rendering.furniture import KINDS, furniture
from mocap.synthetic.rendering.materials import FLOORS, WALLS
from mocap.synthetic.rendering.occlusion import Occlusion
from mocap.synthetic.rendering.open_parts import seen_from_behind
from mocap.synthetic.rendering.raycasting import Hits, Mesh, Scene
from mocap.synthetic.rendering.renderer import Renderer
from mocap.synthetic.rendering.room import sample_room
from mocap.synthetic.rendering.textures import make_texture
from mocap.synthetic.rendering.topology import Topology, flat_normals
from mocap.synthetic.scene import Surface, Thing

INSIDE = np.array([[2.0, -3.0, 1.6], [-2.5, 2.0, 2.4], [0.0, 0.0, 0.0]])


@pytest.fixture(scope="module")
def room():
    return sample_room(np.random.default_rng(2), inside=INSIDE, studio=False)


def test_a_room_holds_its_points_and_its_lamps_shine_into_it(room):
    assert (room.lower[:2] < INSIDE[:, :2].min(0)).all()
    assert (room.upper > INSIDE.max(0)).all()
    assert room.lower[2] == 0
    assert 1 <= len(room.lighting.lamps) <= 3
    for lamp in room.lighting.lamps:
        centre = (room.lower + room.upper) / 2
        assert (centre - lamp.centre) @ lamp.normal > 0
        assert ((lamp.points >= room.lower - 1e-6) & (lamp.points <= room.upper + 1e-6)).all()


def test_rooms_show_only_fronts_and_are_bright_enough(room):
    """Every ray from inside meets a face that looks towards it, and a white ball in the middle is at the level."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((500, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rays = np.concatenate([np.broadcast_to([0.0, 0.0, 1.3], (500, 3)), directions], axis=1).astype(np.float32)
    things = [*room.shell, *room.decor]
    hits = Scene([Mesh(t.vertices, t.surface.faces) for t in things]).cast(rays)
    assert (hits.mesh >= 0).all()
    normals = np.stack([flat_normals(things[m])[f] for m, f in zip(hits.mesh, hits.face, strict=True)])
    assert (np.einsum("na,na->n", normals, directions) < 0).all()
    middle = ((room.lower + room.upper) / 2 * [1, 1, 0] + [0, 0, 1.2]).astype(np.float32)
    assert room.lighting.level(middle) == pytest.approx(0.55, rel=1e-4)


def test_rooms_of_other_seeds_look_different_and_of_one_seed_the_same():
    views = []
    for seed in (5, 5, 6):
        made = sample_room(np.random.default_rng(seed), inside=INSIDE)
        views.append(Renderer(camera(center=(1.5, -2.5, 1.6)), made).render([]).image)
    np.testing.assert_array_equal(views[0], views[1])
    assert np.abs(views[0] - views[2]).mean() > 0.01
    assert 0.02 < np.median(views[0]) < 1


@pytest.mark.parametrize("kind", KINDS)
def test_furniture_stands_on_the_floor_with_colours(kind):
    piece = KINDS[kind](np.random.default_rng(1))
    assert isinstance(piece.surface, Surface)
    assert piece.vertices[:, 2].min() == pytest.approx(0, abs=0.081)  # a sofa's body hangs 8 cm above the floor
    faces = np.arange(len(piece.surface.faces), dtype=np.int32)
    middle = np.full((len(faces), 3), 1 / 3, dtype=np.float32)
    colour = piece.surface.albedo(faces, middle, np.full(len(faces), 0.01, dtype=np.float32))
    assert ((colour > 0) & (colour < 1)).all()


def test_furniture_keeps_clear_of_paths_and_of_each_other():
    clear = np.array([[0.0, 0.0, 1.0], [2.0, 2.0, 0.8]])
    lower, upper = np.array([-4.0, -4.0]), np.array([4.0, 4.0])
    pieces = furniture(np.random.default_rng(3), count=8, lower=lower, upper=upper, clear=clear)
    assert len(pieces) >= 6
    for piece in pieces:
        place = piece.vertices[:, :2]
        assert ((place >= lower) & (place <= upper)).all()
        for x, y, radius in clear:
            assert np.hypot(*(place - [x, y]).T).min() >= radius
    assert not furniture(np.random.default_rng(3), count=3, lower=lower, upper=lower + 0.1, clear=clear)


@pytest.mark.parametrize("name", [*FLOORS, *WALLS])
def test_textures_repeat_without_a_seam_and_blur_to_their_mean(name):
    texture = {**FLOORS, **WALLS}[name](np.random.default_rng(4))
    finest = texture.levels[0]
    assert ((finest > 0) & (finest < 1)).all()
    size = np.array([finest.shape[1] * texture.texel_m[0], finest.shape[0] * texture.texel_m[1]], dtype=np.float32)
    places = np.random.default_rng(0).random((50, 2)).astype(np.float32) * size
    fine = np.full(50, min(texture.texel_m), dtype=np.float32)
    np.testing.assert_allclose(texture.sample(places, fine), texture.sample(places + 2 * size, fine), atol=0.02)
    blurred = texture.sample(places, np.full(50, 100.0, dtype=np.float32))
    np.testing.assert_allclose(blurred, np.broadcast_to(finest.mean((0, 1), dtype=np.float64), (50, 3)), atol=1e-4)


def test_a_texture_is_read_at_texel_centres():
    image = np.zeros((4, 8, 3), dtype=np.float32)
    image[1, 2] = 1
    texture = make_texture(image, (0.8, 0.4))
    place = np.array([[0.25, 0.15], [0.30, 0.15], [0.25, 0.35]], dtype=np.float32)
    found = texture.sample(place, np.full(3, 0.01, dtype=np.float32))[:, 0]
    np.testing.assert_allclose(found, [1.0, 0.5, 0.0], atol=0.02)  # remap counts in 1/32 texel


def test_what_hides_a_point_is_named():
    near, far = ball((0.0, 0.0, 1.0), 0.2), block((-0.5, 0.5, 0.0), (0.5, 0.6, 2.0))
    occlusion = Occlusion([("person", [near]), (7, [far]), ("nobody", [])])
    assert occlusion.names == ("person", 7, "nobody")
    centres = np.array([[[0.0, -3.0, 1.0]], [[0.0, 3.0, 1.0]]])
    points = np.array([[0.0, 0.3, 1.0], [0.0, 0.55, 1.8], [0.4, 0.0, 1.0], [np.nan, 0, 0]])
    distance, group = occlusion.distances(centres, points)
    np.testing.assert_array_equal(group, [[0, 1, -1, -1], [1, 1, 1, -1]])
    assert distance[0, 0] == pytest.approx(2.8, abs=0.01)
    assert distance[1, 0] == pytest.approx(2.4, abs=1e-5)
    assert np.isinf(distance[0, 2:]).all()


def test_occlusion_of_nothing_hides_nothing():
    distance, group = Occlusion([]).distances(np.zeros(3), np.ones((5, 3)))
    assert np.isinf(distance).all()
    np.testing.assert_array_equal(group, -1)


def test_light_nodes_interpolate_what_is_linear():
    """Positions of the nodes around a hit, mixed by their weights, are the hit's own position."""
    thing = block((0.0, 0.0, 0.0), (0.5, 0.9, 0.03))
    topology, rng = Topology(thing), np.random.default_rng(6)
    assert not topology.fine
    face = rng.integers(0, 12, 400).astype(np.int32)
    weights = rng.dirichlet([1, 1, 1], 400).astype(np.float32)
    weights[:3] = np.eye(3)
    hits = Hits(np.ones(400, np.float32), np.zeros(400, np.int32), face, weights)
    nodes = topology.nodes(thing, flat_normals(thing))
    corners, mix = topology.corners(hits)
    expected = np.einsum("nc,nca->na", weights, thing.vertices[thing.surface.faces[face]])
    np.testing.assert_allclose(np.einsum("nc,nca->na", mix, nodes.points[corners]), expected, atol=1e-5)
    assert mix.min() > -1e-4
    assert np.linalg.norm(np.ptp(nodes.points[corners], axis=1), axis=-1).max() < 0.07  # 4 cm, and across


def test_a_coarse_mesh_keeps_near_to_the_fine_one():
    fine = ball((0.0, 0.0, 0.0), 0.1)
    rough = coarse_faces(fine.vertices, fine.surface.faces, cell_m=0.04)
    assert 20 < len(rough) < 0.5 * len(fine.surface.faces)
    rng = np.random.default_rng(0)
    start = rng.standard_normal((200, 3))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    rays = np.concatenate([start, -start], axis=1).astype(np.float32)
    distance = Scene([Mesh(fine.vertices, rough)]).distance(rays)
    assert np.isfinite(distance).all()  # it has no holes
    assert np.abs(distance - 0.9).max() < 0.03  # r (1 - cos(asin(cell sqrt(3) / 2r))) = 0.006, and ragged cells


def test_only_triangles_around_holes_are_seen_from_behind():
    closed = ball((0.0, 0.0, 0.0), 0.2)
    assert not seen_from_behind(closed.vertices, closed.surface.faces).any()
    middle = closed.vertices[closed.surface.faces].mean(1)
    bowl = closed.surface.faces[middle[:, 2] < 0.19 * np.cos(0.3)]
    seen = seen_from_behind(closed.vertices, bowl)
    height = closed.vertices[bowl].mean(1)[:, 2]
    assert seen[height > 0.15].all()
    assert not seen[height < 0].any()


def test_things_that_are_moved_keep_their_surface():
    thing = ball((0.0, 0.0, 1.0))
    assert isinstance(thing.surface, Surface)
    assert moved(thing, (1, 0, 0)).surface is thing.surface
    assert isinstance(thing, Thing)
