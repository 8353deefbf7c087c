"""What is drawn into previews: corners of the board, or people, looked for now and then in a thread of its own.

Looks only at the newest pictures, one camera after the other, never faster than it can, and seldom while a recording
runs: the threads that record go first.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from calibration.board_file import Board
from calibration.camera import rescale_pixels
from mocap.capture.guides_views import BoardFinder, LiveCorners
from mocap.capture.rig import CaptureRig
from mocap.capture.source import SourceFrame
from mocap.core.errors import InputError, sentence_for_user, sentence_of_fault
from mocap.web.live_pictures import small_upright

OverlayKind = Literal["none", "board", "people"]
KINDS: tuple[OverlayKind, ...] = ("none", "board", "people")

LOOK_PX = {"board": 960, "people": 640}
"""Longer side of the pictures that are looked at: a board across the room is small, people are not."""
LOOKS_PER_S, LOOKS_PER_S_RECORDING = 4.0, 1.0
"""Of each camera, at most."""
MOST_OF_TIME = 0.5
"""Share of the time that looking may take."""
FORGET_S, FORGET_AT_MOST_S = 1.0, 2.5
"""How long something seen is drawn: two rounds over all cameras, where this machine needs longer for them."""
NICENESS = 5
SURE = 0.3
"""Keypoints below this confidence are not drawn."""

YELLOW, CYAN, MAGENTA, BLACK = (255, 214, 0), (0, 220, 255), (255, 90, 200), (0, 0, 0)


@dataclass(frozen=True, eq=False)
class Overlay:
    """What was seen in an upright picture of `size` (width, height): px of it, NaN where missing.

    points: (P, J, 2), of P people or one board. edges: pairs of indices that are joined by a line. image: the picture,
    RGB, to be drawn into; None where whoever looked did not keep it.
    """

    size: tuple[int, int]
    points: Float[np.ndarray, "P J 2"]
    edges: Sequence[tuple[int, int]]
    kind: OverlayKind
    seen_s: float
    image: UInt8[np.ndarray, "H W 3"] | None = None

    def picture(self, width: int) -> UInt8[np.ndarray, "h w 3"] | None:
        """What was looked at with all that was seen drawn in, no wider than that: late, but both of one moment."""
        if self.image is None:
            return None
        share = min(1.0, width / self.size[0])
        size = (max(1, round(share * self.size[0])), max(1, round(share * self.size[1])))
        drawn = np.array(cv2.resize(self.image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        self.draw(drawn)
        return drawn

    def draw(self, image: UInt8[np.ndarray, "H W 3"]) -> None:
        """Into an upright RGB picture of the same camera and any size."""
        scale = np.array([image.shape[1] / self.size[0], image.shape[0] / self.size[1]])
        thick = max(1, round(image.shape[1] / 400))
        for person, points in enumerate(self.points):
            known = np.isfinite(points).all(-1)
            px = np.rint(16 * np.nan_to_num(rescale_pixels(points, scale))).astype(int)
            colour = YELLOW if self.kind == "board" else (CYAN, MAGENTA, YELLOW)[person % 3]
            for a, b in self.edges:
                if known[a] and known[b]:
                    cv2.line(image, tuple(px[a]), tuple(px[b]), colour, thick + 1, cv2.LINE_AA, 4)
            for at in px[known]:
                cv2.circle(image, tuple(at), 16 * (thick + 2), BLACK, -1, cv2.LINE_AA, 4)
                cv2.circle(image, tuple(at), 16 * (thick + 1), colour, -1, cv2.LINE_AA, 4)


@runtime_checkable
class Finder(Protocol):
    """Looks for something in one upright RGB picture of a camera, by the camera's index."""

    def __call__(self, image: UInt8[np.ndarray, "H W 3"], camera: int) -> tuple[np.ndarray, Sequence[tuple[int, int]]]:
        """Points (P, J, 2) in px, and which of them are joined."""
        ...


def board_finder(board: Board) -> Finder:
    """Corners of a board, however it is printed."""
    finders: dict[int, BoardFinder] = {}  # each tries the ways of printing in turn, until one is found to be right

    def find(image: np.ndarray, camera: int) -> tuple[np.ndarray, Sequence[tuple[int, int]]]:
        finder = finders.setdefault(camera, BoardFinder(board, LOOK_PX["board"]))
        seen = finder.find(image, (image.shape[1], image.shape[0]))
        return (np.zeros((0, 0, 2)) if seen is None else seen.xy[None].astype(float)), ()

    return find


def people_finder() -> Finder:
    """People and their keypoints, by BlazePose at its quickest."""
    from mocap.models.blazepose import BlazePose, BlazePoseConfig
    from mocap.models.weights import blazepose_weights

    detector = BlazePose(blazepose_weights(), BlazePoseConfig(mirror=False, search_levels=0), max_people=3, threads=1)
    edges = [(int(a), int(b)) for a, b in detector.keypoint_set.edge_indices]
    count = len(detector.keypoint_set.names)

    def find(image: np.ndarray, camera: int) -> tuple[np.ndarray, Sequence[tuple[int, int]]]:
        (people,) = detector.detect([np.ascontiguousarray(image)], [camera])
        found = [np.where(p.confidence[:, None] >= SURE, p.xy, np.nan) for p in people]
        return (np.stack(found) if found else np.zeros((0, count, 2))), edges

    return find


class Overlays:
    """The latest overlay of each camera. `want` says what is looked for; everything else is done by its thread."""

    def __init__(
        self,
        rig: CaptureRig,
        finders: Mapping[OverlayKind, Callable[[], Finder]],
        recording: Callable[[], bool],
        guided: Callable[[], Mapping[str, LiveCorners]],
    ) -> None:
        """recording: whether one runs. guided: corners that a guide has found, which are then not looked for again."""
        self._rig, self._makers, self._recording, self._guided = rig, finders, recording, guided
        self._turns = {camera.name: camera.rotation for camera in rig.session.cameras}
        self._kind: OverlayKind = "none"
        self._message = ""
        self._forget_s = FORGET_S
        self._found: dict[str, Overlay] = {}
        self._looked: dict[str, float] = {}
        self._finders: dict[OverlayKind, Finder] = {}
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="overlays", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    @property
    def kind(self) -> OverlayKind:
        """What is drawn in."""
        return self._kind

    @property
    def ready(self) -> bool:
        """Whether it is being looked for already: networks take some seconds to load."""
        return self._kind == "none" or self._kind in self._finders

    @property
    def message(self) -> str:
        """Why nothing is drawn; empty where all is well."""
        return self._message

    def want(self, kind: str) -> None:
        """Look for something else from now on. Raises InputError for what nobody can look for."""
        if kind not in KINDS:
            raise InputError(f"nothing is known of overlay {kind!r}", remedy=f"One of {', '.join(KINDS)}.")
        self._found, self._message = {}, ""
        self._kind = kind
        self._wake.set()

    def latest(self, camera: str) -> Overlay | None:
        """What was seen of a camera within the last second."""
        found = self._found.get(camera)
        if self._kind == "board" and (corners := self._guided().get(camera)) is not None:
            frame = self._rig.readers[camera].latest()
            size = None if frame is None else self._upright_size(camera, frame)
            found = None if size is None else Overlay(size, corners.xy[None], (), "board", corners.time_s)
        return found if found is not None and time.monotonic() - found.seen_s < self._forget_s else None

    def _upright_size(self, camera: str, frame: SourceFrame) -> tuple[int, int]:
        width, height = frame.size
        return (width, height) if self._turns.get(camera, 0) % 180 == 0 else (height, width)

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # of this thread alone on Linux; elsewhere there is no such call
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while not self._closing:
            pause = 1.0
            if self._kind != "none" and not (self._kind == "board" and self._guided()) and self._loaded(self._kind):
                began = time.monotonic()
                self._look_at_all(self._kind)
                spent = time.monotonic() - began
                rate = LOOKS_PER_S_RECORDING if self._recording() else LOOKS_PER_S
                pause = max(1 / rate - spent, spent * (1 - MOST_OF_TIME) / MOST_OF_TIME)
                self._forget_s = min(max(FORGET_S, 2 * (spent + pause)), FORGET_AT_MOST_S)
            self._wake.wait(pause)
            self._wake.clear()

    def _look_at_all(self, kind: OverlayKind) -> None:
        try:
            for index, (name, frame) in enumerate(self._rig.latest().items()):
                if self._kind != kind or self._closing:
                    return
                if self._looked.get(name) != frame.time_s:
                    self._looked[name] = frame.time_s
                    self._look_at(kind, name, index, frame)
        except Exception as error:  # nothing that is only drawn may stop a recording
            self._give_up(error)

    def _loaded(self, kind: OverlayKind) -> bool:
        """Make what looks for it, the first time."""
        try:
            if kind not in self._finders:
                self._finders[kind] = self._makers[kind]()
        except Exception as error:
            self._give_up(error)
        return kind in self._finders

    def _give_up(self, error: Exception) -> None:
        self._kind, self._message = "none", sentence_for_user(error) or sentence_of_fault(error)

    def _look_at(self, kind: OverlayKind, name: str, index: int, frame: SourceFrame) -> None:
        width, height = self._upright_size(name, frame)
        wide = max(1, round(LOOK_PX[kind] * width / max(width, height)))
        image = small_upright(frame, wide, self._turns.get(name, 0))
        points, edges = self._finders[kind](image, index)
        if self._kind == kind:
            size = (image.shape[1], image.shape[0])
            self._found[name] = Overlay(size, points, edges, kind, time.monotonic(), image)
