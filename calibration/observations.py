"""What cameras saw of a board: corners in pictures, before anybody knows where cameras and board were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.errors import CalibrationError, UnknownCameraError


@dataclass(frozen=True, eq=False)
class BoardObservations:
    """Two tables: V views (pictures in which the board was found) and N corners, each of one view.

    cameras, image_sizes: names and (width, height) px, in one order. points: (K, 3) m, the board's corners in its own
    frame, by id. view_camera: index into `cameras`. view_frame: the picture's index in its file. view_moment: views
    with the same number were meant to be taken together (pictures of one index in synchronized clips). view_time_s:
    when it was taken, on a clock that all cameras share; views of one moment may differ by some milliseconds.
    view: (N,) index of the corner's view. corner: (N,) id of the corner. xy: (N, 2) px, distorted. Corners of the
    mirrored back of a two-sided board carry the ids of the front: in 3D they coincide.
    """

    cameras: tuple[str, ...]
    image_sizes: tuple[tuple[int, int], ...]
    points: Float[np.ndarray, "K 3"]
    view_camera: Int[np.ndarray, "V"]
    view_frame: Int[np.ndarray, "V"]
    view_moment: Int[np.ndarray, "V"]
    view_time_s: Float[np.ndarray, "V"]
    view: Int[np.ndarray, "N"]
    corner: Int[np.ndarray, "N"]
    xy: Float[np.ndarray, "N 2"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cameras", tuple(self.cameras))
        object.__setattr__(self, "image_sizes", tuple((int(w), int(h)) for w, h in self.image_sizes))
        _check_tables(self)

    @property
    def n_views(self) -> int:
        return len(self.view_camera)

    @property
    def n_corners(self) -> int:
        """Rows of the corner table."""
        return len(self.corner)

    @property
    def camera(self) -> Int[np.ndarray, "N"]:
        """Camera of every corner."""
        return self.view_camera[self.view]

    @property
    def corners_per_view(self) -> Int[np.ndarray, "V"]:
        return np.bincount(self.view, minlength=self.n_views)

    def index(self, camera: str) -> int:
        """Where a camera stands in `cameras`."""
        if camera not in self.cameras:
            raise UnknownCameraError(f"no camera {camera!r} in these observations; there are {', '.join(self.cameras)}")
        return self.cameras.index(camera)

    def of_views(self, keep: Bool[np.ndarray, "V"]) -> BoardObservations:
        """Some views with their corners; cameras stay, even those left without a view."""
        new_index = np.cumsum(keep) - 1
        rows = keep[self.view]
        return replace(
            self,
            **{name: getattr(self, name)[keep] for name in ("view_camera", "view_frame", "view_moment", "view_time_s")},
            view=new_index[self.view[rows]],
            corner=self.corner[rows],
            xy=self.xy[rows],
        )

    def of_corners(self, keep: Bool[np.ndarray, "N"]) -> BoardObservations:
        """Some corners; every view stays, even without a corner."""
        return replace(self, view=self.view[keep], corner=self.corner[keep], xy=self.xy[keep])

    def of_cameras(self, names: Sequence[str]) -> BoardObservations:
        """Some cameras, in the order of `names`, with their views."""
        chosen = [self.index(name) for name in names]
        position = np.full(len(self.cameras), -1)
        position[chosen] = np.arange(len(chosen))
        kept = self.of_views(position[self.view_camera] >= 0)
        return replace(
            kept,
            cameras=tuple(names),
            image_sizes=tuple(self.image_sizes[i] for i in chosen),
            view_camera=position[kept.view_camera],
        )

    @staticmethod
    def joined(parts: Sequence[BoardObservations]) -> BoardObservations:
        """Observations of the same board by different cameras (or of different views) in one table."""
        if not parts:
            raise CalibrationError("there are no observations to join")
        names = tuple(dict.fromkeys(name for part in parts for name in part.cameras))
        sizes = {name: size for part in parts for name, size in zip(part.cameras, part.image_sizes, strict=True)}
        for part in parts:
            _check_joinable(part, parts[0].points, sizes)
        offsets = np.cumsum([0, *(part.n_views for part in parts)])
        position = [np.array([names.index(name) for name in part.cameras], dtype=int) for part in parts]
        views = ("view_frame", "view_moment", "view_time_s")
        return BoardObservations(
            cameras=names,
            image_sizes=tuple(sizes[name] for name in names),
            points=parts[0].points,
            view_camera=np.concatenate([at[p.view_camera] for at, p in zip(position, parts, strict=True)]),
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in views},
            view=np.concatenate([part.view + offset for part, offset in zip(parts, offsets, strict=False)]),
            corner=np.concatenate([part.corner for part in parts]),
            xy=np.concatenate([part.xy for part in parts]),
        )


def _check_tables(it: BoardObservations) -> None:
    lengths = {len(it.view_camera), len(it.view_frame), len(it.view_moment), len(it.view_time_s)}
    if len(lengths) != 1 or len(it.cameras) != len(it.image_sizes) or len(set(it.cameras)) != len(it.cameras):
        raise CalibrationError("the columns of these observations differ in length, or a camera is named twice")
    if len(it.view) and (it.view.min() < 0 or it.view.max() >= it.n_views):
        raise CalibrationError("a corner belongs to a view that is not there")
    if it.n_views and (it.view_camera.min() < 0 or it.view_camera.max() >= len(it.cameras)):
        raise CalibrationError("a view belongs to a camera that is not there")
    if len(it.corner) and (it.corner.min() < 0 or it.corner.max() >= len(it.points)):
        raise CalibrationError(f"a corner has an id that a board of {len(it.points)} corners does not have")
    if not (np.isfinite(it.xy).all() and np.isfinite(it.view_time_s).all() and np.isfinite(it.points).all()):
        raise CalibrationError("observations hold numbers that are not finite")


def _check_joinable(part: BoardObservations, points: np.ndarray, sizes: dict[str, tuple[int, int]]) -> None:
    if part.points.shape != points.shape or not np.array_equal(part.points, points):
        raise CalibrationError("observations of different boards cannot be joined")
    for name, size in zip(part.cameras, part.image_sizes, strict=True):
        if sizes[name] != size:
            raise CalibrationError(f"camera {name} has pictures of {size} and of {sizes[name]}")
