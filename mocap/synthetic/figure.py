"""A body as a tailor sees it: where its joints are, its size, and a smooth surface over it that cloth can lie on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import map_coordinates
from scipy.sparse import coo_array, csc_array, diags_array
from scipy.sparse.linalg import splu

from mocap.geometry.joint_transforms import rest_joints
from mocap.synthetic.body import Body
from mocap.synthetic.body_atlas import BodyAtlas, load_body_atlas
from mocap.synthetic.patches import Patch, vertex_normals

STATURE_M = 1.72
"""Of the person for whom the cuts are given in metres; others get them in proportion."""
SMOOTHED_M = 0.018
"""Details of the skin smaller than this do not show through cloth."""
LEVELLED_M = 0.05
ANGLES = 36
ROW_M = 0.03


@dataclass(frozen=True, eq=False)
class Figure:
    """joints: (J, 3) m. shell, shell_normals: (V, 3) the smooth surface; the skin itself at head and hands."""

    body: Body
    atlas: BodyAtlas
    joints: Float[np.ndarray, "J 3"]
    skin_normals: Float[np.ndarray, "V 3"]
    shell: Float[np.ndarray, "V 3"]
    shell_normals: Float[np.ndarray, "V 3"]

    def at(self, joint: str) -> Float[np.ndarray, "3"]:
        """Where a joint is in the T-pose, m."""
        return self.joints[self.body.skeleton.index(joint)]

    @property
    def scale(self) -> float:
        """Stature, 1 for STATURE_M."""
        return self.body.height_m / STATURE_M

    @property
    def skin(self) -> Patch:
        """The whole body as a patch on page 0."""
        count = len(self.body.vertices)
        page = np.zeros(len(self.body.faces), dtype=np.int32)
        everything = csc_array(diags_array(np.ones(count))).tocsr()
        return Patch(self.body.vertices, self.body.weights, self.body.faces, self.atlas.uv, page, everything)


def make_figure(body: Body) -> Figure:
    """Measures a body."""
    atlas = load_body_atlas()
    vertices = body.vertices.astype(np.float64)
    normals = vertex_normals(vertices, body.faces)
    skip = np.any([atlas.parts[name] for name in ("head", "hands", "eyes", "eye_cavities", "mouth")], axis=0)
    faces = body.faces[~skip]
    used, renamed = np.unique(faces, return_inverse=True)
    shell, shell_normals = vertices.copy(), normals.copy()
    scale = float(vertices[:, 2].max()) / STATURE_M
    joints = rest_joints(body.skeleton)
    away = (vertices[used] - joints[body.skeleton.index("LeftUpLeg")] * [0, 1, 1]) / scale
    level = np.exp(-((away[:, 0] / 0.07) ** 2) - ((away[:, 2] + 0.04) / 0.075) ** 2) * (away[:, 1] < 0)
    shell[used], shell_normals[used] = _smooth(vertices[used], renamed.reshape(-1, 3), scale=scale, level=level)
    return Figure(body, atlas, joints, normals, shell, shell_normals)


def _smooth(
    points: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "F 3"], *, scale: float, level: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Implicit diffusion, and then pushed out again by the mean of what limbs and trunk lost in girth.

    level: 0 to 1, where larger details are to go as well.
    """
    mass, stiffness = _stiffness(points, faces)
    fine = splu(csc_array(diags_array(mass) + (SMOOTHED_M * scale) ** 2 * stiffness))
    coarse = splu(csc_array(diags_array(mass) + (LEVELLED_M * scale) ** 2 * stiffness))
    smooth = _filled(points, fine.solve(mass[:, None] * points), faces, lambda lost: coarse.solve(mass * lost))
    broad = coarse.solve(mass[:, None] * points)
    broad = _filled(points, broad, faces, lambda lost: coarse.solve(mass * coarse.solve(mass * lost)))
    smooth = smooth + level[:, None] * (broad - smooth)
    return smooth, vertex_normals(smooth, faces)


def _filled(
    points: Float[np.ndarray, "n 3"],
    smooth: Float[np.ndarray, "n 3"],
    faces: Int[np.ndarray, "F 3"],
    mean: Callable[[np.ndarray], np.ndarray],
) -> Float[np.ndarray, "n 3"]:
    """Smoothed points moved along the normals by the local mean of how far they fell in."""
    normals = vertex_normals(smooth, faces)
    return smooth + mean(((points - smooth) * normals).sum(-1))[:, None] * normals


def _stiffness(points: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "F 3"]) -> tuple[np.ndarray, csc_array]:
    """Vertices' areas and the Laplacian with cotangent weights, those of obtuse corners taken as 0."""
    rows, columns, values = [], [], []
    area = np.zeros(len(points))
    for corner in range(3):
        a, b, c = (faces[:, (corner + k) % 3] for k in range(3))
        u, v = points[b] - points[a], points[c] - points[a]
        twice = np.linalg.norm(np.cross(u, v), axis=-1)
        area += np.bincount(a, twice / 6, len(points))
        cotangent = np.clip((u * v).sum(-1) / np.maximum(twice, 1e-12), 0, 10) / 2
        rows += [b, c, b, c]
        columns += [c, b, b, c]
        values += [-cotangent, -cotangent, cotangent, cotangent]
    where = (np.concatenate(rows), np.concatenate(columns))
    return area, csc_array(coo_array((np.concatenate(values), where), shape=(len(points),) * 2))


def hanging(
    points: Float[np.ndarray, "n 3"],
    trunk: Bool[np.ndarray, "n"],
    *,
    axis_y: float,
    top: float,
    slope: float,
) -> Float[np.ndarray, "n 3"]:
    """Horizontal push of points of the trunk below height `top`, so that cloth hangs from what bulges above.

    Seen from the vertical axis at y = axis_y the cloth comes nearer by at most `slope` m per metre downwards.
    """
    flat = points[:, :2] - [0.0, axis_y]
    radius, angle = np.linalg.norm(flat, axis=-1), np.arctan2(flat[:, 1], flat[:, 0])
    row, column = (top - points[:, 2]) / ROW_M, (angle / (2 * np.pi) + 0.5) * ANGLES
    below = trunk & (row > -1)
    if not below.any():
        return np.zeros_like(points)
    rows = int(row[below].max()) + 3
    reach = np.zeros((rows, ANGLES))
    cell = (
        np.clip(np.rint(row[below]), 0, rows - 1).astype(np.int64),
        np.rint(column[below]).astype(np.int64) % ANGLES,
    )
    np.maximum.at(reach, cell, radius[below])
    reach = np.maximum(reach, (np.roll(reach, 1, 1) + np.roll(reach, -1, 1)) / 2)
    for k in range(1, rows):
        reach[k] = np.maximum(reach[k], reach[k - 1] - slope * ROW_M)
    reach = (reach + np.roll(reach, 1, 1) + np.roll(reach, -1, 1)) / 3
    wrapped = np.concatenate([reach, reach[:, :1]], axis=1)
    wanted = map_coordinates(wrapped, [np.clip(row, 0, rows - 1), column % ANGLES], order=1)
    push = np.where(below, np.maximum(wanted - radius, 0) * np.clip(row + 1, 0, 1), 0.0)
    return np.concatenate([flat / np.maximum(radius, 1e-9)[:, None] * push[:, None], np.zeros((len(points), 1))], 1)
