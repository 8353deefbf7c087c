"""A camera's own H.264 in an MP4 that plays wherever the program is killed."""

from __future__ import annotations

from pathlib import Path

from av.packet import Packet

from mocap.capture.h264 import H264Picture
from mocap.capture.stream_writer import StreamWriter, StreamWriterConfig
from mocap.core.errors import VideoError


class H264Writer(StreamWriter):
    """As `StreamWriter`, for pictures of which `KeptPictures` has nothing to say; the first must be a key picture, as
    its parameter sets go into the header."""

    _kept_codec = "h264"

    def __init__(self, path: str | Path, size: tuple[int, int], fps: float, config: StreamWriterConfig) -> None:
        super().__init__(path, size, fps, config, as_jpeg=True)

    def _kept_packet(self, picture: object, tick: int) -> Packet:
        if not isinstance(picture, H264Picture):
            raise VideoError("the camera gives no H.264 any more", where=self.path)
        return self._packet(picture.data, tick, key=picture.key)
