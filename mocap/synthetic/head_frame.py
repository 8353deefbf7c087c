"""Where things made for the mean head go on a particular one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from mocap.synthetic.figure import Figure
from mocap.synthetic.pages import EXTRA, Tile
from mocap.synthetic.patches import Patch, grid_patch


@dataclass(frozen=True, eq=False)
class HeadFrame:
    """body_from_mean: (4, 3) affine, rows of a place with a 1 appended times this; head: index of the joint."""

    body_from_mean: Float[np.ndarray, "4 3"]
    head: int
    n_joints: int

    def placed(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Places of Anny's mean shape on this body in its T-pose, m."""
        return points @ self.body_from_mean[:3] + self.body_from_mean[3]

    def on_head(self, points: Float[np.ndarray, "m n 3"], tile: Tile) -> Patch:
        """A closed lattice that moves with the skull."""
        count = points.shape[0] * points.shape[1]
        where = (np.arange(count), np.full(count, self.head))
        weights = csr_array((np.ones(count, np.float32), where), shape=(count, self.n_joints))
        return grid_patch(self.placed(points), weights, tile=tile, page=EXTRA, closed=True)


def head_frame(figure: Figure) -> HeadFrame:
    """The affine map that brings the mean head closest to this one."""
    atlas, skeleton = figure.atlas, figure.body.skeleton
    skull = atlas.vertices_of("head") & (atlas.template[:, 2] > 0.69)
    mean = np.concatenate([atlas.template[skull].astype(np.float64), np.ones((int(skull.sum()), 1))], axis=1)
    fitted = np.linalg.lstsq(mean, figure.body.vertices[skull].astype(np.float64), rcond=None)[0]
    return HeadFrame(fitted, skeleton.index("Head"), len(skeleton))
