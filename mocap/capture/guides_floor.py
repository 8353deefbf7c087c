"""Whether the board lies still on the floor where cameras see it, so that it can give the world its ground."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, UInt8

from calibration.board_file import Board
from calibration.camera import Rig
from calibration.diagnosis_views import SMALL_SHARE, STILL_SHARE, board_share
from calibration.errors import CalibrationError
from calibration.world_floor import DOUBTFUL_TILT, still_board
from mocap.capture.guides_extrinsics import PICTURE_PX
from mocap.capture.guides_views import BoardFinder, CollectedView, LiveCorners, ViewCollection, corners_now

STILL_FOR_S = 1.0
"""A second at any rate is more pictures than noise needs, and short enough to wait for."""

REMEMBERED = 12
"""Pictures of each camera."""

LAY_IT = "lay the board flat on the floor, print up, where several cameras see all of it"
HANDS_OFF = "leave the board lying still"
ENOUGH = "enough: the floor is known well from this"


@dataclass(frozen=True, eq=False)
class FloorState:
    """cameras: that see the board now. still_s: how long it has been lying still for all of them. tilt_deg: standard
    deviation of the floor's tilt, NaN where no rig is known yet. corners: seen last, by camera. share: 0 to 1."""

    cameras: tuple[str, ...]
    still_s: float
    hint: str
    done: bool
    corners: Mapping[str, LiveCorners] = field(default_factory=dict)
    tilt_deg: float = float("nan")
    share: float = 0.0


class FloorGuide:
    """For one thread at a time; `state` may be read from any."""

    def __init__(
        self,
        board: Board,
        camera_names: Sequence[str],
        *,
        sizes: Mapping[str, tuple[int, int]] | None = None,
        rig: Rig | None = None,
    ) -> None:
        """rig: cameras as far as they are known, in any world."""
        self._board = board
        self._names = tuple(camera_names)
        self._finders = {name: BoardFinder(board, PICTURE_PX) for name in self._names}
        self._sizes = dict(sizes or {})
        self._rig = rig
        self._latest: dict[str, deque[CollectedView]] = {name: deque(maxlen=REMEMBERED) for name in self._names}
        self._still_since: float | None = None
        self._moment = 0
        self._state = FloorState((), 0.0, LAY_IT, done=False)

    @property
    def state(self) -> FloorState:
        """As of the last pictures."""
        return self._state

    def update(
        self,
        images: Mapping[str, UInt8[np.ndarray, "H W 3"] | UInt8[np.ndarray, "H W"]],
        time_s: float | int | Mapping[str, float],
    ) -> None:
        """Look at pictures (RGB or grey, upright, full or smaller) of one moment; time_s: for all, or of each."""
        now = max(time_s.values(), default=0.0) if isinstance(time_s, Mapping) else float(time_s)
        seen = {
            name: self._finders[name].find(image, self._sizes.setdefault(name, (image.shape[1], image.shape[0])))
            for name, image in images.items()
        }
        collection = ViewCollection(self._board, self._names)
        for name, it in seen.items():
            view = None
            if it is not None:
                view = collection.view(name, it, self._sizes[name], moment=self._moment, time_s=now)
            if view is None:
                self._latest[name].clear()
            else:
                self._latest[name].append(view)
        self._moment += 1
        self._judge(now, corners_now(seen, now))

    def improve(self) -> None:
        """Nothing is solved in the background here."""

    def _judge(self, now: float, corners: Mapping[str, LiveCorners]) -> None:
        cameras = tuple(name for name in self._names if self._latest[name])
        still = bool(cameras) and all(_lies_still(self._latest[name]) for name in cameras)
        if not still:
            self._still_since = None
        elif self._still_since is None:
            self._still_since = now
        lain = 0.0 if self._still_since is None else now - self._still_since
        tilt, doubt = self._tilt(cameras) if lain >= STILL_FOR_S else (float("nan"), "")
        done = lain >= STILL_FOR_S and not doubt
        hint = ENOUGH if done else doubt or (HANDS_OFF if cameras else LAY_IT)
        share = 1.0 if done else 0.9 * min(1.0, lain / STILL_FOR_S)
        shown = FloorState(cameras, lain, hint, done=done, corners=corners, tilt_deg=float(np.degrees(tilt)))
        self._state = replace(shown, share=share)

    def _tilt(self, cameras: Sequence[str]) -> tuple[float, str]:
        """Standard deviation (rad) of the floor's tilt where a rig is known, and what is wrong with how it lies."""
        collection = ViewCollection(self._board, self._names)
        for name in cameras:
            for view in self._latest[name]:
                collection.view(name, view.seen, self._sizes[name], moment=view.moment, time_s=view.time_s)
            collection.add(list(self._latest[name]), at_most=REMEMBERED * 10)
        observations = collection.observations()
        if observations is None:
            return float("nan"), LAY_IT
        largest = float(np.nanmax(board_share(observations), initial=0.0))
        if largest < SMALL_SHARE:
            return float("nan"), "the board is too small in all pictures: lay it nearer to a camera"
        known = [name for name in observations.cameras if self._rig is not None and name in self._rig.names]
        if self._rig is None or not known:
            return float("nan"), ""
        try:
            lying = still_board(observations.of_cameras(known), self._rig.subset(known))
        except CalibrationError as error:
            return float("nan"), error.remedy or error.what
        doubt = "" if lying.tilt_std <= DOUBTFUL_TILT else "lay the board where more cameras see it, and larger"
        return lying.tilt_std, doubt


def _lies_still(views: Sequence[CollectedView]) -> bool:
    """Whether the board is where it was, in a hundredth of the picture's diagonal (`diagnosis_views.STILL_SHARE`)."""
    places: Float[np.ndarray, "n 6"] = np.stack([view.signature for view in views])
    return bool(np.ptp(places[:, 4:], axis=0).max(initial=0.0) < STILL_SHARE)
