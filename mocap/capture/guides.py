"""What to do with the board next, while one camera records it for its lens.

guide = IntrinsicsGuide(board, (1280, 720))
guide.update(image, time_s)   # some times a second: finds the board
guide.improve()               # now and then, in another thread: what the views tell of the lens
guide.state.hint              # "tilt the board further, by 30 to 45 degrees, left, right, up and down"
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, UInt8

from calibration.board_file import Board
from calibration.errors import CalibrationError
from calibration.intrinsics import IntrinsicsResult, calibrate_intrinsics
from calibration.intrinsics_result import Verdict
from mocap.capture.coverage import LensKnowledge, coverage, lens_knowledge
from mocap.capture.focus import FocusMeter, PictureState
from mocap.capture.guides_views import BoardFinder, LiveCorners, ViewCollection

SMALL_PICTURE_PX = 640
"""A board held before one camera is found as often in such a picture as in the full one, in half of the time."""

MOST_VIEWS = 80
SHOW_THE_BOARD = "show the board to the camera, near and facing it"
MORE = "move and tilt the board slowly: near, far, and into all corners of the picture"
ENOUGH = "enough: the lens can be calibrated well from this"


@dataclass(frozen=True, eq=False)
class CoverageState:
    """How far the views of one camera have come.

    cells: corners by rows and columns of the picture. tilts (V,) rad and distances (V,) m: of the views that tell of
    the lens. hint: what to do next. share: 0 to 1. corners: seen last, None where the board was not. verdict: on the
    lens so far, "" before there is any. ray_mrad: how well rays are known, NaN before. views: that differ.
    """

    cells: Int[np.ndarray, "8 8"]
    tilts: Float[np.ndarray, "V"]
    distances: Float[np.ndarray, "V"]
    hint: str
    share: float
    done: bool
    corners: LiveCorners | None = None
    verdict: Verdict | str = ""
    ray_mrad: float = float("nan")
    views: int = 0
    picture: PictureState | None = None


class IntrinsicsGuide:
    """Collects views of one camera and says which others its lens still needs. `update` and `improve` may be called
    from different threads, each from one; `state` from any."""

    def __init__(self, board: Board, image_size: tuple[int, int]) -> None:
        """image_size: (width, height) px of full, upright pictures."""
        self._size = image_size
        self._finder = BoardFinder(board, SMALL_PICTURE_PX)
        self._views = ViewCollection(board, ("camera",))
        self._focus = FocusMeter()
        self._lens: LensKnowledge | None = None
        self._improved_at = 0
        empty = np.zeros(0)
        self._state = CoverageState(coverage(None), empty, empty.copy(), SHOW_THE_BOARD, 0.0, done=False)

    @property
    def state(self) -> CoverageState:
        """As of the last picture."""
        return self._state

    @property
    def lens(self) -> LensKnowledge | None:
        """What is known of the lens."""
        return self._lens

    def update(self, image: UInt8[np.ndarray, "H W 3"] | UInt8[np.ndarray, "H W"], time_s: float | int) -> None:
        """Look at a picture (RGB or grey, upright, full or smaller)."""
        seen = self._finder.find(image, self._size)
        picture = self._focus.update(image)
        if seen is None:
            self._show(None, picture)
            return
        count = len(self._views.snapshot())
        view = self._views.view("camera", seen, self._size, moment=count, time_s=float(time_s))
        if view is not None and self._views.is_new(view):
            self._views.add([view], MOST_VIEWS)
        self._show(LiveCorners(seen.ids, seen.xy, float(time_s)), picture)

    def improve(self) -> None:
        """Fit a lens to the views, where there are new ones. Takes a tenth of a second."""
        views = self._views.snapshot()
        if len(views) == self._improved_at:
            return
        self._improved_at = len(views)
        observations = self._views.observations()
        if observations is not None:
            self._lens = lens_knowledge(observations)
        self._show(self._state.corners, self._state.picture)

    def result(self, camera: str) -> IntrinsicsResult | None:
        """The lens as its calibration finds it from these views; None where they do not determine it."""
        observations = self._views.observations()
        if observations is None:
            return None
        try:
            return calibrate_intrinsics(replace(observations, cameras=(camera,)))[camera]
        except (CalibrationError, np.linalg.LinAlgError, ValueError):
            return None

    def _show(self, corners: LiveCorners | None, picture: PictureState | None) -> None:
        lens, views = self._lens, len(self._views.snapshot())
        done = lens is not None and lens.is_enough
        shown = replace(
            self._state,
            cells=coverage(self._views.observations()),
            hint=self._hint(corners, picture),
            done=done,
            corners=corners,
            views=views,
            picture=picture,
        )
        if lens is not None:
            share = 1.0 if done else min(lens.share, 0.99)
            shown = replace(
                shown,
                tilts=lens.tilts,
                distances=lens.distances,
                share=share,
                verdict=lens.verdict,
                ray_mrad=1e3 * lens.ray_std,
            )
        self._state = shown

    def _hint(self, corners: LiveCorners | None, picture: PictureState | None) -> str:
        lens = self._lens
        if lens is not None and lens.is_enough:
            return ENOUGH
        if corners is None:
            return picture.sentence if picture is not None and picture.sentence else SHOW_THE_BOARD
        wish = lens.wishes[0] if lens is not None and lens.wishes else ""
        return MORE if not wish or wish.startswith("take more pictures") else wish
