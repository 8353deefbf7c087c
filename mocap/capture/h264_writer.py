"""A camera's own H.264 in an MP4 that plays wherever the program is killed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from av.packet import Packet
from av.video.stream import VideoStream

from mocap.capture.encoders import CLOCK_HZ
from mocap.capture.h264 import H264Picture
from mocap.capture.stream_writer import StreamWriter, StreamWriterConfig
from mocap.core.errors import VideoError


class H264Writer(StreamWriter):
    """As `StreamWriter`, for pictures of which `KeptPictures` has nothing to say; the first must be a key picture, as
    its parameter sets go into the header."""

    def __init__(self, path: str | Path, size: tuple[int, int], fps: float, config: StreamWriterConfig) -> None:
        super().__init__(path, size, fps, config, as_jpeg=True)

    def _kept_stream(self, fps: float) -> VideoStream:
        rate = Fraction(fps).limit_denominator(1001)
        stream = self._container.add_mux_stream(
            "h264", rate, width=self.size[0], height=self.size[1], time_base=Fraction(1, CLOCK_HZ)
        )
        assert isinstance(stream, VideoStream)
        return stream

    def _kept_packet(self, picture: object, tick: int) -> Packet:
        if not isinstance(picture, H264Picture):
            raise VideoError("the camera gives no H.264 any more", where=self.path)
        packet = Packet(picture.data)
        packet.pts = packet.dts = tick
        packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, CLOCK_HZ), self._stream, picture.key
        return packet
