"""`pattern:1280x720@30`: a moving test picture that carries its number."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import count

from mocap.capture.address import SourceAddress
from mocap.capture.counter_picture import CounterPicture
from mocap.capture.played_source import PlayedSource
from mocap.capture.player import Player, TimedPicture
from mocap.capture.source import SourceInfo

SIZES = (64, 16, 7680, 4320)
"""Smallest and largest width and height."""


class PatternSource(PlayedSource):
    """Exactly `fps` pictures a second; `limit=N`: it ends after N."""

    def __init__(self, address: SourceAddress) -> None:
        super().__init__()
        text = address.place or "1280x720@30"
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})(?:@(\d+(?:\.\d+)?))?", text)
        if match is None:
            raise address.refused(f"{text!r} is not a size", "Write e.g. pattern:1280x720@30.")
        self._size = int(match[1]), int(match[2])
        self._fps = float(match[3] or 30)
        if not (SIZES[0] <= self._size[0] <= SIZES[2] and SIZES[1] <= self._size[1] <= SIZES[3]):
            raise address.refused("is too small or too large", "Write e.g. pattern:1280x720@30.")
        if not 0.1 <= self._fps <= 1000:
            raise address.refused(f"{self._fps:g} pictures a second cannot be made", "Write e.g. pattern:1280x720@30.")
        self._limit = int(address.number("limit", 1e9)) if "limit" in address.options else None
        self._hue = sum(address.where.encode()) * 37

    def open(self) -> SourceInfo:
        """Count from 0, from now on."""
        with self._lock:
            self._put_on(Player(self._pictures(), time.monotonic()))
        return SourceInfo(self._size, self._fps, "pattern", "hardware", "a test picture")

    def _pictures(self) -> Iterator[TimedPicture]:
        picture = CounterPicture(self._size, self._hue)
        for number in count() if self._limit is None else range(self._limit):
            yield TimedPicture(number / self._fps, picture.at(number))
