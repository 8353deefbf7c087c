"""The board in live pictures: found quickly in small ones, and collected as far as new pictures tell something new."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from calibration.board_file import Board
from calibration.detection import BoardDetector, DetectionConfig, SeenCorners
from calibration.detection_recognise import ways_of_printing
from calibration.intrinsics_views import table_of_views
from calibration.observations import BoardObservations
from calibration.view_selection import APART, view_signatures

SETTLED_AFTER = 3
"""Pictures with the board after which the way in which a board is printed counts as known."""

FEWEST_CORNERS = 6
"""As in `IntrinsicsConfig.min_corners`: views with fewer are not used."""


class BoardFinder:
    """Finds one board in small pictures of full ones, however it is printed; for one thread at a time."""

    def __init__(self, board: Board, width_px: int) -> None:
        """width_px: of the longer side of pictures that are looked at; larger ones are made smaller."""
        self._detectors = [BoardDetector(way, DetectionConfig(FEWEST_CORNERS)) for way in ways_of_printing(board)]
        self._found = [0] * len(self._detectors)
        self._way = 0
        self._longest = width_px

    def find(
        self, image: UInt8[np.ndarray, "H W 3"] | UInt8[np.ndarray, "H W"], full_size: tuple[int, int]
    ) -> SeenCorners | None:
        """Corners in px of the full picture, of which `image` (RGB or grey) may be a smaller copy."""
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        smaller = self._longest / max(gray.shape)
        if smaller < 1:
            size = (max(1, round(gray.shape[1] * smaller)), max(1, round(gray.shape[0] * smaller)))
            gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        seen = self._detectors[self._way].detect(np.asarray(gray, dtype=np.uint8))
        if seen is None:
            if max(self._found) < SETTLED_AFTER:
                self._way = (self._way + 1) % len(self._detectors)
            return None
        self._found[self._way] += 1
        scale = np.array(full_size) / np.array(gray.shape[1::-1])
        return replace(seen, xy=(seen.xy + 0.5) * scale - 0.5)


@dataclass(frozen=True, eq=False)
class CollectedView:
    """One view of the board. moment: views with the same number were taken together. signature: (6,) where and how the
    board lies in the picture, in shares of its larger side (`calibration.view_selection`)."""

    camera: int
    moment: int
    time_s: float
    seen: SeenCorners
    signature: Float[np.ndarray, "6"]


class ViewCollection:
    """Views of one board by some cameras, kept where they differ from what is there; any thread may read."""

    def __init__(self, board: Board, cameras: Sequence[str]) -> None:
        self.board = board
        self.cameras = tuple(cameras)
        self._sizes: dict[int, tuple[int, int]] = {}
        self._views: list[CollectedView] = []
        self._lock = threading.Lock()

    def view(
        self, camera: str, seen: SeenCorners, size: tuple[int, int], *, moment: int, time_s: float
    ) -> CollectedView | None:
        """What was seen as a view that can be added; None where its corners tell no pose (on a line, or too few)."""
        index = self.cameras.index(camera)
        one = _observations(self.board, (camera,), (size,), [CollectedView(0, moment, time_s, seen, np.zeros(6))])
        table, _ = table_of_views(one, (camera,), FEWEST_CORNERS)
        if not len(table):
            return None
        self._sizes[index] = size
        return CollectedView(index, moment, time_s, seen, view_signatures(table)[0])

    def is_new(self, view: CollectedView) -> bool:
        """Whether the board was never so before this camera (`view_selection.APART`)."""
        others = [other.signature for other in self.snapshot() if other.camera == view.camera]
        return not others or float(np.linalg.norm(np.stack(others) - view.signature, axis=1).min()) >= APART

    def has_moved(self, views: Sequence[CollectedView]) -> bool:
        """Whether the board is elsewhere than in the last view of one of these cameras."""
        last = {other.camera: other.signature for other in self.snapshot()}
        return any(
            view.camera not in last or float(np.linalg.norm(last[view.camera] - view.signature)) >= APART
            for view in views
        )

    def add(self, views: Sequence[CollectedView], at_most: int) -> None:
        """Keep these; where that makes too many moments, every second of the older ones goes."""
        with self._lock:
            self._views += views
            moments = sorted({view.moment for view in self._views})
            if len(moments) > at_most:
                kept = {*moments[: len(moments) // 2 : 2], *moments[len(moments) // 2 :]}
                self._views = [view for view in self._views if view.moment in kept]

    def snapshot(self) -> tuple[CollectedView, ...]:
        """All views so far."""
        with self._lock:
            return tuple(self._views)

    def observations(self) -> BoardObservations | None:
        """As calibration takes them: of cameras that saw the board at all; None where there are none."""
        views = self.snapshot()
        seen = sorted({view.camera for view in views})
        if not seen:
            return None
        place = {camera: k for k, camera in enumerate(seen)}
        names = tuple(self.cameras[i] for i in seen)
        placed = [replace(view, camera=place[view.camera]) for view in views]
        return _observations(self.board, names, tuple(self._sizes[i] for i in seen), placed)


@dataclass(frozen=True, eq=False)
class LiveCorners:
    """What is drawn into a preview: corners in px of the full, upright picture. time_s: of the picture."""

    ids: Int[np.ndarray, "N"]
    xy: Float[np.ndarray, "N 2"]
    time_s: float

    @cached_property
    def middle(self) -> tuple[float, float]:
        """Of the corners, px."""
        x, y = self.xy.mean(axis=0).tolist()
        return x, y


def _observations(
    board: Board, names: tuple[str, ...], sizes: tuple[tuple[int, int], ...], views: Sequence[CollectedView]
) -> BoardObservations:
    lengths = [len(view.seen) for view in views]
    return BoardObservations(
        cameras=names,
        image_sizes=sizes,
        points=board.corners,
        view_camera=np.array([view.camera for view in views], dtype=np.int64),
        view_frame=np.array([view.moment for view in views], dtype=np.int64),
        view_moment=np.array([view.moment for view in views], dtype=np.int64),
        view_time_s=np.array([view.time_s for view in views], dtype=np.float64),
        view=np.repeat(np.arange(len(views)), lengths),
        corner=np.concatenate([view.seen.ids for view in views]),
        xy=np.concatenate([view.seen.xy for view in views]),
    )


def corners_now(seen: Mapping[str, SeenCorners | None], time_s: float) -> dict[str, LiveCorners]:
    """By camera, those that saw the board."""
    return {name: LiveCorners(it.ids, it.xy, time_s) for name, it in seen.items() if it is not None}
