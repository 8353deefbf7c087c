"""Distances to triangles, by hand and by brute force."""

import numpy as np
import pytest

from mocap.synthetic.skin_depth import depths_under_skin, distances_to_triangles, faces_around

TRIANGLE = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 3.0, 0.0]])


@pytest.mark.parametrize(
    ("point", "distance"),
    [
        ((1.0, 1.0, 2.0), 2.0),  # over the inside
        ((-3.0, -4.0, 0.0), 5.0),  # nearest to a corner
        ((2.0, -2.0, 1.5), 2.5),  # nearest to the edge along x
        ((4.0, 3.0, 0.0), 2.4),  # nearest to the long edge: the triangle's height over it
        ((1.0, 0.5, 0.0), 0.0),
    ],
)
def test_known_distances(point: tuple[float, float, float], distance: float) -> None:
    assert distances_to_triangles(np.array([point]), TRIANGLE[None])[0] == pytest.approx(distance)


def test_a_triangle_without_area_is_its_edges() -> None:
    flat = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert distances_to_triangles(np.array([[1.0, 1.0, 0.0]]), flat[None])[0] == pytest.approx(1.0)


def test_faces_around_vertices() -> None:
    around = faces_around(np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1]]), 4)
    assert [sorted(set(row)) for row in around.tolist()] == [[0, 1, 2], [0, 2], [0, 1], [1, 2]]


def test_depth_in_a_box_whose_sides_differ() -> None:
    """The nearest side of a box of 2 x 3 x 5 m, its sides cut into 12 x 12 rectangles."""
    vertices, faces = _box((2.0, 3.0, 5.0), 12)
    points = np.array([[1.0, 1.5, 2.5], [0.3, 1.0, 2.0], [1.0, 2.8, 2.0], [1.0, 1.5, 4.6], [0.0, 1.5, 2.5]])
    depth = depths_under_skin(points, vertices, faces=faces, around=faces_around(faces, len(vertices)))
    np.testing.assert_allclose(depth, [1.0, 0.3, 0.2, 0.4, 0.0], atol=1e-12)


def _box(size: tuple[float, float, float], n: int) -> tuple[np.ndarray, np.ndarray]:
    u, v = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    index = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
    quad = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], -1).reshape(-1, 4)
    sheet = np.concatenate([quad[:, :3], quad[:, [0, 2, 3]]])
    vertices, faces = [], []
    for axis in range(3):
        for end in (0.0, size[axis]):
            side = np.full((n + 1, n + 1, 3), end)
            a, b = (i for i in range(3) if i != axis)
            side[..., a], side[..., b] = u / n * size[a], v / n * size[b]
            faces.append(sheet + len(vertices) * (n + 1) ** 2)
            vertices.append(side.reshape(-1, 3))
    return np.concatenate(vertices), np.concatenate(faces)
