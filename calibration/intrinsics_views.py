"""The views of one camera as padded arrays, and poses of a flat board from the rays to its corners."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.errors import CalibrationError
from calibration.observations import BoardObservations

FLAT = 1e-9
"""m; boards are printed on a plane."""

THIN = 0.02
"""Corners whose second extent is a smaller share of their first lie on a line: they give no pose."""

ROBUST_ROUNDS = 3


@dataclass(frozen=True)
class Window:
    """A part of a picture, px: its middle and its size."""

    x: float
    y: float
    width: float
    height: float

    @staticmethod
    def of_picture(image_size: tuple[int, int]) -> Window:
        """The whole."""
        width, height = image_size
        return Window((width - 1) / 2, (height - 1) / 2, float(width), float(height))

    @staticmethod
    def around(xy: Float[np.ndarray, "n 2"]) -> Window:
        """The smallest that holds these pixels."""
        low, high = xy.min(axis=0), xy.max(axis=0)
        return Window(*((low + high) / 2).tolist(), *(high - low).tolist())

    @property
    def longer(self) -> float:
        return max(self.width, self.height)


@dataclass(frozen=True, eq=False)
class ViewTable:
    """V views with room for K corners each.

    window: the part of the picture around whose middle the lens's axis is expected. view: index in the observations.
    frame: place in the file. points: m, in the board's frame with its middle as origin, so that a turn does not shift
    it. xy: px. present: whether there is a corner; weight: how much it counts, 0 where there is none.
    """

    image_size: tuple[int, int]
    window: Window
    view: Int[np.ndarray, "V"]
    frame: Int[np.ndarray, "V"]
    points: Float[np.ndarray, "V K 3"]
    xy: Float[np.ndarray, "V K 2"]
    present: Bool[np.ndarray, "V K"]
    weight: Float[np.ndarray, "V K"]

    def __len__(self) -> int:
        return len(self.view)

    def of(self, rows: Int[np.ndarray, "n"] | Bool[np.ndarray, "V"]) -> ViewTable:
        """Some views."""
        columns = {name: getattr(self, name)[rows] for name in ("view", "frame", "points", "xy", "present", "weight")}
        return replace(self, **columns)

    def within(self, window: Window) -> ViewTable:
        """The same views of a camera whose axis is expected elsewhere."""
        return replace(self, window=window)

    def weighted(self, weight: Float[np.ndarray, "V K"]) -> ViewTable:
        """The same views with other weights."""
        return replace(self, weight=weight)


def table_of_views(
    observations: BoardObservations, cameras: tuple[str, ...], min_corners: int
) -> tuple[ViewTable, dict[int, str]]:
    """The views of cameras that share a lens, and why others of their views are of no use."""
    it = observations
    if len(it.points) and np.ptp(it.points[:, 2]) > FLAT:
        raise CalibrationError("this board is not flat", remedy="Give its corners on the plane z = 0.")
    chosen = np.array([it.index(name) for name in cameras])
    views = np.flatnonzero(np.isin(it.view_camera, chosen))
    counts = it.corners_per_view
    order = np.argsort(it.view, kind="stable")
    begins = np.concatenate([[0], np.cumsum(counts)])
    slot = np.arange(it.n_corners) - begins[it.view[order]]
    row = np.full(it.n_views, -1)
    row[views] = np.arange(len(views))
    mine = row[it.view[order]] >= 0
    rows, slots, corners = row[it.view[order][mine]], slot[mine], order[mine]
    shape = (len(views), int(counts[views].max(initial=0)))
    points, xy, weight = np.zeros((*shape, 3)), np.zeros((*shape, 2)), np.zeros(shape)
    points[rows, slots] = it.points[it.corner[corners]] - (it.points.min(axis=0) + it.points.max(axis=0)) / 2
    xy[rows, slots], weight[rows, slots] = it.xy[corners], 1.0
    size = it.image_sizes[int(chosen[0])]
    table = ViewTable(size, Window.of_picture(size), views, it.view_frame[views], points, xy, weight > 0, weight)
    return _usable(table, min_corners)


def _usable(table: ViewTable, min_corners: int) -> tuple[ViewTable, dict[int, str]]:
    count = table.weight.sum(axis=1)
    middle = (table.points * table.weight[..., None]).sum(axis=1) / np.maximum(count, 1)[:, None]
    apart = (table.points - middle[:, None]) * table.weight[..., None]
    extent = np.sqrt(np.maximum(np.linalg.eigvalsh(np.einsum("vki,vkj->vij", apart, apart)[:, :2, :2]), 0))
    few, line = count < min_corners, extent[:, 0] <= THIN * extent[:, 1]
    dropped = {
        int(table.view[v]): f"only {int(count[v])} corners" if few[v] else "its corners lie on a line"
        for v in np.flatnonzero(few | line)
    }
    return table.of(np.flatnonzero(~(few | line))), dropped


Poses = tuple[Float[np.ndarray, "V 3 3"], Float[np.ndarray, "V 3"]]


def poses_from_rays(table: ViewTable, rays: Float[np.ndarray, "V K 3"]) -> Poses:
    """cam_from_board of every view from the rays (unit, NaN where unknown) to its corners.

    The homography H = [r1 r2 t] with ray x (H X) = 0 in least squares (Hartley & Zisserman 2004, 4.1), which for rays
    instead of pixels has no horizon; corners that fit badly count less. It is right for true pinhole rays only and as
    good as a start can be for others.
    """
    weight = np.where(np.isfinite(rays).all(axis=-1), table.weight, 0.0)
    rays = np.nan_to_num(rays)
    size = max(float(np.abs(table.points).max(initial=0.0)), 1e-12)
    flat = np.concatenate([table.points[..., :2] / size, np.ones((*weight.shape, 1))], axis=-1)
    across = np.eye(3) - rays[..., :, None] * rays[..., None, :]
    outer = flat[..., :, None] * flat[..., None, :]
    robust, H, there = weight, np.zeros((len(table), 3, 3)), flat
    for _ in range(ROBUST_ROUNDS):
        normal = np.einsum("vk,vkij,vkab->viajb", robust, across, outer, optimize=True)
        _, vectors = np.linalg.eigh(normal.reshape(-1, 9, 9))
        H = vectors[:, :, 0].reshape(-1, 3, 3)
        there = flat @ np.swapaxes(H, -1, -2)
        length = np.linalg.norm(there, axis=-1)
        miss = np.linalg.norm(np.cross(rays, there), axis=-1) / np.maximum(length, 1e-12)
        scale = np.maximum(_weighted_median(miss, weight), 1e-9)
        robust = weight / (1 + (miss / (3 * scale[:, None])) ** 2) ** 2
    ahead = np.sign((robust * (rays * there).sum(-1)).sum(axis=1))
    return _pose_of_homography(H * np.where(ahead == 0, 1.0, ahead)[:, None, None] / np.array([size, size, 1.0]))


def _weighted_median(values: Float[np.ndarray, "V K"], weight: Float[np.ndarray, "V K"]) -> Float[np.ndarray, "V"]:
    """Median along K of the values whose weight is not zero; infinite where there are none."""
    ordered = np.sort(np.where(weight > 0, values, np.inf), axis=1)
    middle = np.maximum((weight > 0).sum(axis=1) - 1, 0) // 2
    return ordered[np.arange(len(values)), middle]


def _pose_of_homography(H: Float[np.ndarray, "V 3 3"]) -> Poses:
    lengths = np.linalg.norm(H[:, :, :2], axis=1)
    H = H / np.maximum(np.sqrt(lengths.prod(axis=1)), 1e-12)[:, None, None]
    one, two = H[:, :, 0], H[:, :, 1]
    u, _, vt = np.linalg.svd(np.stack([one, two, np.cross(one, two)], axis=-1))
    turn = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    u = u * np.stack([np.ones_like(turn), np.ones_like(turn), turn], axis=-1)[:, None]
    return u @ vt, H[:, :, 2]


def mirrored_poses(R: Float[np.ndarray, "V 3 3"], t: Float[np.ndarray, "V 3"]) -> Poses:
    """The poses that look alike from far away: the board's normal mirrored about the line of sight to its middle
    (Schweighofer & Pinz 2006), by a half turn about that line followed by one within the board's plane."""
    sight = t / np.maximum(np.linalg.norm(t, axis=-1, keepdims=True), 1e-12)
    about_sight = 2 * sight[:, :, None] * sight[:, None, :] - np.eye(3)
    return about_sight @ R @ np.diag([-1.0, -1.0, 1.0]), t
