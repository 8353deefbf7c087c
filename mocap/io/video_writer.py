"""Video out: H.264 in MP4 or MKV with exact frame times; the file appears when it is complete."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from jaxtyping import UInt8
from pydantic import Field

from mocap.core.config import Config
from mocap.core.errors import VideoError

CLOCK_HZ = 90_000
"""Ticks a second of frame times; a multiple of all usual frame rates."""


class VideoWriterConfig(Config):
    """How pictures are encoded.

    crf: 0 is lossless, 18 looks so, 23 is the encoder's default. gop: frames between keyframes. b_frames: how many in
    a row may be predicted from both sides. rotation: degrees clockwise by which players shall turn the pictures (they
    are stored as given). threads: 0 lets the encoder choose.
    """

    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    crf: int = Field(default=18, ge=0, le=51)
    preset: str = "medium"
    gop: int = Field(default=60, ge=1)
    b_frames: int = Field(default=2, ge=0, le=16)
    rotation: int = 0
    threads: int = Field(default=0, ge=0)


class VideoWriter:
    """Takes RGB pictures one by one. Leaving the block finishes the file; leaving it by an error removes it."""

    def __init__(
        self, path: str | Path, size: tuple[int, int], fps: float, config: VideoWriterConfig | None = None
    ) -> None:
        self.path = Path(path)
        self._size = size
        self._fps = fps
        self._config = config or VideoWriterConfig()
        self._partial = self.path.with_name(f".{self.path.stem}.part{self.path.suffix}")
        self._n_written = 0
        self._last_tick = -1
        if self._config.pixel_format.startswith("yuv420") and (size[0] % 2 or size[1] % 2):
            raise VideoError(f"{size[0]}x{size[1]}: {self._config.pixel_format} needs even sizes", where=self.path)

    def __enter__(self) -> VideoWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._partial), "w")
        try:
            self._stream = self._add_stream()
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except BaseException:
            self._abandon()
            raise
        self._partial.replace(self.path)

    def write(self, image: UInt8[np.ndarray, "H W 3"], time_s: float | None = None) -> None:
        """Append a picture; `time_s` is when it shows, by default its number / fps."""
        if image.shape[:2] != (self._size[1], self._size[0]):
            raise VideoError(f"a picture of {image.shape[1]}x{image.shape[0]} is not {self._size}", where=self.path)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        tick = round((self._n_written / self._fps if time_s is None else time_s) * CLOCK_HZ)
        if tick <= self._last_tick:
            raise VideoError(f"frame {self._n_written} does not show after the one before it", where=self.path)
        frame.pts, frame.time_base = tick, Fraction(1, CLOCK_HZ)
        self._container.mux(self._stream.encode(frame))
        self._last_tick = tick
        self._n_written += 1

    def _add_stream(self) -> av.VideoStream:
        config = self._config
        stream = self._container.add_stream(config.codec, rate=Fraction(self._fps).limit_denominator(1001))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = self._size
        stream.pix_fmt = config.pixel_format
        context = stream.codec_context
        context.time_base = Fraction(1, CLOCK_HZ)
        context.gop_size = config.gop
        context.max_b_frames = config.b_frames
        context.thread_count = config.threads
        context.options = {"crf": str(config.crf), "preset": config.preset}
        if config.rotation:
            stream.set_display_rotation(-config.rotation)  # FFmpeg counts counter-clockwise
        return stream

    def _abandon(self) -> None:
        try:
            self._container.close()
        except FFmpegError:
            pass  # the disk may be full; there is nothing to save
        finally:
            self._partial.unlink(missing_ok=True)
