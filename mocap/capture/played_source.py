"""What sources have in common that play something instead of filming it."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from mocap.capture.address import SourceAddress
from mocap.capture.player import Player, TimedPicture
from mocap.capture.source import Scene, SourceEnded, SourceFrame


class PlayedSource:
    """Plays one sequence at a time; another one may take its place while it is read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._player: Player | None = None

    def read(self, timeout_s: float) -> SourceFrame:
        """The next picture of what plays. Raises TimeoutError before its moment, SourceEnded after the last one."""
        player = self._player
        if player is None:
            raise SourceEnded("the source is closed")
        return player.read(timeout_s)

    def close(self) -> None:
        """End what plays, also while another thread waits for its next picture."""
        with self._lock:
            self._put_on(None)

    def _put_on(self, player: Player | None) -> None:
        """In place of what plays; called with the lock held."""
        old, self._player = self._player, player
        if old is not None:
            old.stop()


class ReplayedSource(PlayedSource, ABC):
    """Plays from its beginning when opened and again for every scene, over and over where it loops.

    Played fast, it waits until its pictures are taken.
    """

    def __init__(self, address: SourceAddress, session_root: Path) -> None:
        super().__init__()
        self._path = session_root / Path(address.place).expanduser()
        self._paced = address.one_of("pace", ("real", "fast")) == "real"
        self._loop = address.flag("loop")

    def set_scene(self, scene: Scene | None, *, start_s: float) -> None:
        """Begin again at `start_s`; go on as it is where nothing in particular is wanted."""
        with self._lock:
            if scene is not None and self._player is not None:
                self._put_on(Player(self._pictures(), start_s, paced=self._paced))

    def scene_seconds(self, scene: Scene) -> float | None:
        """Until the last picture has shown; None before it is open, and where it loops."""
        return None if self._loop else self._length_s()

    def _begin(self) -> None:
        """Play from now on."""
        with self._lock:
            self._put_on(Player(self._pictures(), time.monotonic(), paced=self._paced))

    @abstractmethod
    def _pictures(self) -> Iterator[TimedPicture]:
        """All pictures at their times after the beginning."""

    @abstractmethod
    def _length_s(self) -> float | None:
        """Seconds that they show; None before it is open."""
