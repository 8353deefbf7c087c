"""Guides kept fed with live pictures, in threads of their own that wait whenever there is more important work."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from mocap.capture.focus import FocusMeter, PictureState
from mocap.capture.guides import SMALL_PICTURE_PX, IntrinsicsGuide
from mocap.capture.guides_extrinsics import PICTURE_PX, ExtrinsicsGuide
from mocap.capture.guides_floor import FloorGuide
from mocap.capture.guides_views import LiveCorners
from mocap.capture.session_recording_state import GuideState, RecordingConfig
from mocap.capture.source import SourceFrame
from mocap.core.errors import sentence_of_fault

METERED_PX = 320
"""Width of pictures of which only sharpness and exposure are measured."""

Guide = IntrinsicsGuide | ExtrinsicsGuide | FloorGuide


@runtime_checkable
class Pictures(Protocol):
    """Where the newest pictures are from: a `CaptureRig`."""

    def latest(self) -> dict[str, SourceFrame]:
        """The newest picture of every camera that gave one."""
        ...


class LiveGuidance:
    """Shows the newest pictures of a rig to a guide, a few times a second at most, and measures all of them."""

    def __init__(self, pictures: Pictures, rotations: Mapping[str, int], config: RecordingConfig) -> None:
        """rotations: degrees clockwise by which a camera's pictures are turned to be upright."""
        self._pictures = pictures
        self._rotations = dict(rotations)
        self._config = config
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._guide: Guide | None = None
        self._camera: str | None = None
        self._meters: dict[str, FocusMeter] = {}
        self._measured: dict[str, PictureState] = {}
        self._shown: dict[str, float] = {}
        self._fault = ""
        self._threads = [
            threading.Thread(target=self._look, name="guidance", daemon=True),
            threading.Thread(target=self._solve, name="guidance solve", daemon=True),
        ]

    def start(self) -> None:
        """Begin to look at pictures."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop; waits for the look that is under way, not for a solve."""
        self._closed.set()
        if self._threads[0].is_alive():
            self._threads[0].join(2.0)

    def guide_by(self, guide: Guide | None, camera: str | None = None) -> None:
        """Feed this guide from now on; camera: the one whose pictures it wants, None: those of all."""
        with self._lock:
            self._guide, self._camera, self._shown = guide, camera, {}

    @property
    def guide(self) -> Guide | None:
        """The guide that is fed; None where nobody is guided."""
        return self._guide

    @property
    def state(self) -> GuideState | None:
        """Of the guide, where there is one."""
        guide = self._guide
        return None if guide is None else guide.state

    @property
    def pictures(self) -> dict[str, PictureState]:
        """Sharpness and exposure by camera."""
        return dict(self._measured)

    @property
    def fault(self) -> str:
        """What last went wrong while looking or solving, empty where nothing did; guidance goes on."""
        return self._fault

    @property
    def corners(self) -> dict[str, LiveCorners]:
        """Of the board as it was seen last, by camera."""
        state, camera = self.state, self._camera
        if state is None:
            return {}
        seen = state.corners
        if isinstance(seen, Mapping):
            return dict(seen)
        return {} if seen is None or camera is None else {camera: seen}

    def _look(self) -> None:
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                self._look_once()
            except Exception as error:  # guidance must never end a recording: it goes on with the next pictures
                self._fault = f"guidance could not look at a picture: {sentence_of_fault(error)}"
            spent = time.monotonic() - began
            rest = spent * (1 / self._config.busy_share - 1)
            self._closed.wait(max(1 / self._config.looks_per_s - spent, rest, 0.01))

    def _look_once(self) -> None:
        with self._lock:
            guide, camera, shown = self._guide, self._camera, self._shown
        frames = {name: it for name, it in self._pictures.latest().items() if shown.get(name) != it.time_s}
        shown |= {name: it.time_s for name, it in frames.items()}
        wanted = {name: it for name, it in frames.items() if guide is not None and camera in (None, name)}
        width = SMALL_PICTURE_PX if camera is not None else PICTURE_PX
        images = {name: self._upright(name, it, width) for name, it in wanted.items()}
        if guide is not None and images:
            _show(guide, images, {name: it.time_s for name, it in wanted.items()})
        for name, frame in frames.items():
            meter = self._meters.setdefault(name, FocusMeter())
            image = images[name] if name in images else frame.preview(METERED_PX)
            self._measured[name] = meter.update(image)

    def _upright(self, name: str, frame: SourceFrame, width: int) -> UInt8[np.ndarray, "h w 3"]:
        return upright(frame.preview(width), self._rotations.get(name, 0))

    def _solve(self) -> None:
        while not self._closed.wait(self._config.solve_every_s):
            guide = self._guide
            began = time.monotonic()
            try:
                if guide is not None:
                    guide.improve()
            except Exception as error:  # guidance must never end a recording: it goes on without this solve
                self._fault = f"guidance could not solve the views: {sentence_of_fault(error)}"
            spent = time.monotonic() - began
            self._closed.wait(spent * (1 / self._config.busy_share - 1))


def upright(image: UInt8[np.ndarray, "H W 3"], rotation: int) -> UInt8[np.ndarray, "h w 3"]:
    """Turned clockwise by 0, 90, 180 or 270 degrees."""
    return np.ascontiguousarray(np.rot90(image, k=-rotation // 90)) if rotation else image


def upright_size(size: tuple[int, int], rotation: int) -> tuple[int, int]:
    """(width, height) px of pictures after that turn."""
    return (size[1], size[0]) if rotation in (90, 270) else size


def _show(guide: Guide, images: Mapping[str, UInt8[np.ndarray, "h w 3"]], times: Mapping[str, float]) -> None:
    if isinstance(guide, IntrinsicsGuide):
        for name, image in images.items():
            guide.update(image, times[name])
    else:
        guide.update(images, times)
