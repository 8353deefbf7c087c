"""`file:clip.mp4?pace=real|fast&loop=1`: a video in place of a camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mocap.capture.address import SourceAddress
from mocap.capture.player import Player, TimedPicture
from mocap.capture.source import Scene, SourceEnded, SourceFrame, SourceInfo, SourceRefused
from mocap.core.errors import VideoError
from mocap.io.video import VideoInfo, VideoReader, probe_video
from mocap.io.video_decode import DamageMap, decode_pictures


class FileSource:
    """Plays from its beginning when opened and again for every scene. A file played fast waits until it is taken."""

    def __init__(self, address: SourceAddress, session_root: Path) -> None:
        self._path = session_root / Path(address.place).expanduser()
        self._paced = address.one_of("pace", ("real", "fast")) == "real"
        self._loop = address.flag("loop")
        self._lock = threading.Lock()
        self._info: VideoInfo | None = None
        self._player: Player | None = None

    def open(self) -> SourceInfo:
        try:
            info = probe_video(self._path)
        except VideoError as error:
            raise SourceRefused(error.what, where=error.where, remedy=error.remedy) from None
        with self._lock:
            self._info = info
            self._player = self._playing(info, time.monotonic())
        detail = f"{self._path.name}, {info.n_readable} frames, {'in real time' if self._paced else 'as fast as taken'}"
        return SourceInfo(info.size, info.fps or None, "file", "stream", detail, waits=not self._paced)

    def read(self, timeout_s: float) -> SourceFrame:
        player = self._player
        if player is None:
            raise SourceEnded("the source is closed")
        return player.read(timeout_s)

    def set_scene(self, scene: Scene | None, *, start_s: float) -> None:
        """Begin again at `start_s`."""
        with self._lock:
            old = self._player
            if scene is not None and self._info is not None:
                self._player = self._playing(self._info, start_s)
                if old is not None:
                    old.stop()

    def scene_seconds(self, scene: Scene) -> float | None:
        """The video's length; None before it is open, and where it loops."""
        return None if self._loop or self._info is None else self._info.duration_s

    def close(self) -> None:
        with self._lock:
            if self._player is not None:
                self._player.stop()
            self._player = None

    def _playing(self, info: VideoInfo, start_s: float) -> Player:
        return Player(clip_pictures(info, loop=self._loop), start_s, paced=self._paced)


def clip_pictures(info: VideoInfo, *, loop: bool = False) -> Iterator[TimedPicture]:
    """A video's good pictures at their times, upright, over and over if it shall loop."""
    begin = 0.0
    while True:
        for picture in _once(info):
            yield TimedPicture(begin + picture.time_s, picture.picture)
        if not loop:
            return
        begin += info.duration_s


def _once(info: VideoInfo) -> Iterator[TimedPicture]:
    if info.rotation:
        with VideoReader(info.path, info=info) as reader:
            for frame in reader:
                yield TimedPicture(frame.time_s, frame.image)
        return
    for picture in decode_pictures(info, DamageMap(info)):
        yield TimedPicture(float(info.times_s[picture.row]), picture.frame)
