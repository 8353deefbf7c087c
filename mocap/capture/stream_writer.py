"""Video out while it comes: H.264, or a camera's own JPEGs, in an MP4 that plays wherever the program is killed.

The file grows by fragments of a quarter of a second (movie fragments of ISO/IEC 14496-12, 8.8), each of which plays by
itself with what came before; closing it adds the index of an ordinary MP4 (FFmpeg's `hybrid_fragmented`). Matroska
survives a kill as well, but keeps times in whole milliseconds; here they are kept to 1/90000 s, the first picture's
own among them. The header says when the file was begun (`creation_time`, UTC, whole seconds), which is when its first
picture came.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8
from pydantic import Field

from mocap.capture.encoders import CLOCK_HZ, Encoder, EncoderConfig, Load, choose_encoder, open_encoder, yuv_picture
from mocap.capture.growing_file import GrowingFile
from mocap.capture.h264 import H264Picture
from mocap.core.errors import VideoError

BUFFER_BYTES = 1 << 20
"""A fragment usually goes to the disk at once."""


class StreamWriterConfig(EncoderConfig):
    """fragment_s: what a kill may lose of the pictures that were given."""

    fragment_s: float = Field(default=0.25, gt=0, le=1)


class StreamWriter:
    """Takes pictures one by one with their times, and never overwrites a file.

    size: (width, height) px of the pictures; the last row or column of an odd one is left out of H.264. as_jpeg: the
    pictures come as JPEGs and are kept as they are. Errors of the system (a full disk) come out of `write` and `close`
    as OSError; the file then ends with the last fragment that is whole.
    """

    _kept_codec = "mjpeg"

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        fps: float,
        config: StreamWriterConfig | None = None,
        *,
        encoder: Encoder | None = None,
        as_jpeg: bool = False,
    ) -> None:
        config = config or StreamWriterConfig()
        self.path = Path(path)
        self.size = size
        self.as_jpeg = as_jpeg
        self.encoder = None if as_jpeg else encoder or choose_encoder(Load(size, fps), config)
        self.n_written = 0
        self._last_tick = -1
        self._closed = False
        self._to_yuv = VideoReformatter()
        self._jpegs: VideoCodecContext | None = None
        self._file = GrowingFile(self.path)
        try:
            self._container = av.open(
                self._file,
                "w",
                format="mp4",
                container_options=_fragments(config.fragment_s),
                buffer_size=BUFFER_BYTES,
            )
            self._container.metadata["creation_time"] = datetime.now(UTC).isoformat(timespec="seconds")
            gop = max(1, round(config.keyframe_s * fps))
            self._stream = self._kept_stream(fps) if self.encoder is None else self._h264_stream(fps, gop)
        except BaseException:
            self._file.give_up()
            self.path.unlink(missing_ok=True)
            raise

    def __enter__(self) -> StreamWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, picture: UInt8[np.ndarray, "H W 3"] | VideoFrame | bytes | H264Picture, time_s: float) -> None:
        """Append an RGB picture, one from a decoder (its time stamp is changed), or a JPEG, to show at `time_s` >= 0;
        `H264Writer` takes a camera's H.264.

        Raises VideoError, and writes nothing, where it is damaged, of another size or not later than the one before.
        """
        tick = round(time_s * CLOCK_HZ)
        if tick <= self._last_tick:
            raise VideoError(f"a picture at {time_s:.4f} s does not show after the one before it", where=self.path)
        packets = [self._kept_packet(picture, tick)] if self.as_jpeg else self._encoded(picture, tick)
        self._last_tick = tick
        self.n_written += 1
        try:
            self._container.mux(packets)
        except BaseException:
            self._give_up()
            raise
        self._file.settle()

    @property
    def n_bytes(self) -> int:
        """Of the file until now."""
        return self._file.n_bytes

    def sync(self) -> None:
        """Let the system put on the disk what it has; may be called by another thread."""
        self._file.sync()

    def close(self) -> None:
        """Finish the file. Raises OSError where there is no room for its index; it plays all the same."""
        if self._closed:
            return
        try:
            if isinstance(self._stream, VideoStream) and self.encoder is not None:
                self._container.mux(self._stream.encode(None))
                self._file.settle()
            self._file.begin_to_finish()
            self._container.close()
            self._file.finish()
            self._closed = True
        finally:
            self._give_up()

    def _give_up(self) -> None:
        self._closed = True
        self._file.give_up()

    def _h264_stream(self, fps: float, gop: int) -> VideoStream:
        assert self.encoder is not None
        stream = self._container.add_stream(self.encoder.name, rate=Fraction(fps).limit_denominator(1001))
        assert isinstance(stream, VideoStream)
        width, height = self.size
        open_encoder(self.encoder, stream.codec_context, (width // 2 * 2, height // 2 * 2), fps, gop)
        return stream

    def _kept_stream(self, fps: float) -> VideoStream:
        rate = Fraction(fps).limit_denominator(1001)
        stream = self._container.add_mux_stream(
            self._kept_codec, rate, width=self.size[0], height=self.size[1], time_base=Fraction(1, CLOCK_HZ)
        )
        assert isinstance(stream, VideoStream)
        return stream

    def _kept_packet(self, picture: object, tick: int) -> Packet:
        if not isinstance(picture, bytes):
            raise VideoError("the camera gives no JPEGs any more", where=self.path)
        return self._packet(picture, tick, key=True)

    def _packet(self, data: bytes, tick: int, *, key: bool) -> Packet:
        packet = Packet(data)
        packet.pts = packet.dts = tick
        packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, CLOCK_HZ), self._stream, key
        return packet

    def _encoded(self, picture: np.ndarray | VideoFrame | bytes | H264Picture, tick: int) -> list[Packet]:
        frame = self._yuv(picture)
        frame.pts, frame.time_base = tick, Fraction(1, CLOCK_HZ)
        return list(self._stream.encode(frame))

    def _yuv(self, picture: np.ndarray | VideoFrame | bytes | H264Picture) -> VideoFrame:
        """YUV 4:2:0 of even size, BT.601, limited range."""
        if isinstance(picture, H264Picture):
            raise VideoError("compressed by the camera, and not kept so", where=self.path)
        if isinstance(picture, bytes):
            picture = self._jpeg_decoded(picture)
        size = picture.shape[1::-1] if isinstance(picture, np.ndarray) else (picture.width, picture.height)
        if size != self.size:
            raise VideoError(f"a picture of {size[0]}x{size[1]} px, not {self.size[0]}x{self.size[1]}", where=self.path)
        if isinstance(picture, VideoFrame) and (size[0] % 2 or size[1] % 2):
            picture = picture.to_ndarray(format="rgb24")
        if isinstance(picture, np.ndarray):
            return yuv_picture(picture)
        full_or_709 = picture.color_range == ColorRange.JPEG or picture.colorspace == Colorspace.ITU709
        if picture.format.name == "yuv420p" and not full_or_709:
            return picture
        return self._to_yuv.reformat(
            picture, format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG, threads=1
        )

    def _jpeg_decoded(self, data: bytes) -> VideoFrame:
        """By FFmpeg, which keeps it in YUV: the way over RGB costs twice as much."""
        if self._jpegs is None:
            context = VideoCodecContext.create("mjpeg", "r")
            assert isinstance(context, VideoCodecContext)
            context.thread_count = 1
            self._jpegs = context
        try:
            frames = self._jpegs.decode(Packet(data))
        except FFmpegError:
            frames = []
        if not frames or frames[0].is_corrupt:
            raise VideoError("damaged", where=self.path)
        return frames[0]


def _fragments(seconds: float) -> dict[str, str]:
    """delay_moov: the header waits for the first fragment, so that it can say when the first picture shows;
    movie_timescale: to what (else in milliseconds)."""
    return {
        "movflags": "hybrid_fragmented+delay_moov",
        "frag_duration": str(round(1e6 * seconds)),
        "flush_packets": "1",
        "movie_timescale": str(CLOCK_HZ),
    }
