"""`file:clip.mp4?pace=real|fast&loop=1`: a video in place of a camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mocap.capture.address import SourceAddress
from mocap.capture.played_source import ReplayedSource
from mocap.capture.player import TimedPicture
from mocap.capture.source import SourceInfo, SourceRefused
from mocap.core.errors import VideoError
from mocap.io.video import VideoInfo, VideoReader, probe_video
from mocap.io.video_decode import DamageMap, decode_pictures

STILL_S = 1 / 30
"""How long the only picture of a video shows where it loops."""


class FileSource(ReplayedSource):
    """A video's good pictures, upright."""

    def __init__(self, address: SourceAddress, session_root: Path) -> None:
        super().__init__(address, session_root)
        self._info: VideoInfo | None = None

    def open(self) -> SourceInfo:
        """Look the file through, and play it. Raises SourceRefused where it is no video."""
        try:
            info = probe_video(self._path)
        except VideoError as error:
            raise SourceRefused(error.what, where=error.where, remedy=error.remedy) from None
        self._info = info
        self._begin()
        detail = f"{self._path.name}, {info.n_readable} frames, {'in real time' if self._paced else 'as fast as taken'}"
        return SourceInfo(info.size, info.fps or None, "file", "stream", detail, waits=not self._paced)

    def _pictures(self) -> Iterator[TimedPicture]:
        assert self._info is not None
        return clip_pictures(self._info, loop=self._loop)

    def _length_s(self) -> float | None:
        return None if self._info is None else self._info.duration_s


def clip_pictures(info: VideoInfo, *, loop: bool = False) -> Iterator[TimedPicture]:
    """A video's good pictures at their times, upright, over and over if it shall loop and has any."""
    begin, shown = 0.0, True
    while shown:
        shown = False
        for picture in _once(info):
            shown = loop
            yield TimedPicture(begin + picture.time_s, picture.picture)
        begin += info.duration_s or STILL_S


def _once(info: VideoInfo) -> Iterator[TimedPicture]:
    if info.rotation:
        with VideoReader(info.path, info=info) as reader:
            for frame in reader:
                yield TimedPicture(frame.time_s, frame.image)
        return
    for picture in decode_pictures(info, DamageMap(info)):
        yield TimedPicture(float(info.times_s[picture.row]), picture.frame)
