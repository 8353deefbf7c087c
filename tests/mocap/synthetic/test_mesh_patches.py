"""Cutting, refining and laying out pieces of mesh."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from mocap.synthetic.patches import Patch, clipped, grid_patch, joined, subdivided, vertex_normals


def sheet(columns: int = 7, rows: int = 5) -> Patch:
    """1.4 m by 0.9 m at z = 0, seen from above; u, v are x / 1.4 and y / 0.9; weight of joint 1 is x / 1.4."""
    y, x = np.meshgrid(np.linspace(0, 0.9, rows), np.linspace(0, 1.4, columns), indexing="ij")
    share = x.reshape(-1) / 1.4
    weights = csr_array(np.stack([1 - share, share], -1).astype(np.float32))
    patch = grid_patch(np.stack([x, y, 0 * x], -1), weights, tile=(0.0, 0.0, 1.0, 1.0), page=3)
    return Patch(patch.vertices, weights, patch.faces, patch.uv, patch.page, csr_array(np.eye(rows * columns)))


def area(patch: Patch) -> float:
    a, b, c = (patch.vertices[patch.faces[:, k]].astype(np.float64) for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum() / 2)


def check_attributes(patch: Patch) -> None:
    """Weights and places on the page are still those of the sheet, wherever new vertices are."""
    x, y = patch.vertices[:, 0], patch.vertices[:, 1]
    np.testing.assert_allclose(patch.weights.toarray()[:, 1], x / 1.4, atol=1e-6)
    np.testing.assert_allclose(patch.weights.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(patch.uv[..., 0], (x / 1.4)[patch.faces], atol=1e-6)
    np.testing.assert_allclose(patch.uv[..., 1], (y / 0.9)[patch.faces], atol=1e-6)
    np.testing.assert_allclose(patch.source.sum(1), 1, atol=1e-6)
    assert (patch.page == 3).all()


def test_grid_faces_up_where_columns_cross_rows_that_way():
    np.testing.assert_allclose(vertex_normals(sheet().vertices, sheet().faces), np.tile([0, 0, -1], (35, 1)) * -1)


def test_closed_grid_has_no_border():
    turn = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], -1)
    tube = grid_patch(
        np.stack([ring, ring + [0, 0, 1]]), csr_array(np.ones((18, 1))), tile=(0.5, 0.0, 0.5, 0.25), page=0, closed=True
    )
    assert len(tube.faces) == 18
    assert tube.uv[..., 0].min() == 0.5
    assert tube.uv[..., 0].max() == 1.0
    radial = (vertex_normals(tube.vertices, tube.faces) * tube.vertices * [1, 1, 0]).sum(-1)
    assert (radial > 0.99).all()


@pytest.mark.parametrize("slope", [0.0, 0.37, -1.2])
def test_clipping_cuts_along_a_line_exactly(slope: float):
    patch = sheet()
    part = clipped(patch, (patch.vertices[:, 0] - 0.61 - slope * (patch.vertices[:, 1] - 0.45)).astype(np.float64))
    assert area(part) == pytest.approx((1.4 - 0.61) * 0.9, rel=1e-5)  # the line turns about the middle of the height
    on_line = part.vertices[:, 0] - 0.61 - slope * (part.vertices[:, 1] - 0.45)
    assert on_line.min() > -1e-6
    assert (np.abs(on_line) < 1e-6).sum() >= 5
    check_attributes(part)


def test_clipped_parts_make_up_the_whole():
    patch = sheet()
    field = np.random.default_rng(4).normal(size=len(patch.vertices))
    assert area(clipped(patch, field)) + area(clipped(patch, -field)) == pytest.approx(1.4 * 0.9, rel=1e-5)


def test_clipping_away_everything_leaves_an_empty_patch():
    patch = sheet()
    assert len(clipped(patch, np.full(35, -1.0)).faces) == 0
    assert area(clipped(patch, np.full(35, 1.0))) == pytest.approx(1.26, rel=1e-6)


def test_subdividing_keeps_the_surface():
    finer = subdivided(sheet())
    assert len(finer.faces) == 4 * len(sheet().faces)
    assert len(finer.vertices) == 13 * 9
    assert area(finer) == pytest.approx(1.26, rel=1e-6)
    check_attributes(finer)


def test_joining_shifts_the_faces():
    two = joined([sheet(), sheet().moved(sheet().vertices + [0, 0, 1.0])])
    assert area(two) == pytest.approx(2.52, rel=1e-6)
    assert two.vertices[two.faces[-1], 2].min() == 1
    assert two.weights.shape == (70, 2)


def test_selecting_drops_unused_vertices():
    patch = sheet()
    part = patch.selected(np.arange(len(patch.faces)) == 5)
    assert part.vertices.shape == (3, 3)
    np.testing.assert_array_equal(part.vertices[part.faces[0]], patch.vertices[patch.faces[5]])
