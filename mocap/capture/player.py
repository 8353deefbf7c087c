"""Plays pictures that have times, each at its moment or as fast as they are taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import UInt8

from mocap.capture.jpeg import JpegPicture
from mocap.capture.source import SourceEnded, SourceFrame

LATE_S = 2.0
"""A picture that is not ready this long after its moment is lost, so that a machine that is too slow keeps up."""


@dataclass(frozen=True, eq=False)
class TimedPicture:
    """A picture and when it shows, seconds from the beginning. number: its own, where some are known to be missing."""

    time_s: float
    picture: UInt8[np.ndarray, "H W 3"] | VideoFrame | JpegPicture
    number: int | None = None


class Player:
    """One run through a sequence; `stop` may be called by another thread and ends a wait at once."""

    def __init__(self, pictures: Iterator[TimedPicture], start_s: float, *, paced: bool = True) -> None:
        self.start_s = start_s
        self._pictures = pictures
        self._paced = paced
        self._pending: TimedPicture | None = None
        self._number = -1
        self._stopped = threading.Event()

    def read(self, timeout_s: float) -> SourceFrame:
        """The next picture at its moment. Raises TimeoutError before it, SourceEnded after the last one."""
        until = time.monotonic() + timeout_s
        while True:
            if self._pending is None:
                self._pending = next(self._pictures, None)
                self._number += 1
            if self._pending is None:
                raise SourceEnded("all pictures were shown")
            due = self.start_s + self._pending.time_s
            if not self._paced:
                break
            if time.monotonic() - due > LATE_S:
                self._pending = None
                if time.monotonic() > until:
                    raise TimeoutError
                continue
            if self._stopped.wait(max(0.0, min(due, until) - time.monotonic())) or due > until:
                raise TimeoutError
            break
        shown, self._pending = self._pending, None
        number = self._number if shown.number is None else shown.number
        return SourceFrame(shown.picture, due, shown.time_s, number)

    def stop(self) -> None:
        """End a wait; nothing more comes."""
        self._stopped.set()
