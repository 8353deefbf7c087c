"""Video out: H.264 in MP4 or MKV with exact frame times, and sound; the file appears when it is complete."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.error import FFmpegError
from av.video.frame import VideoFrame
from jaxtyping import Float32, UInt8
from pydantic import Field

from mocap.core.config import Config
from mocap.core.errors import VideoError

CLOCK_HZ = 90_000
"""Ticks a second of frame times; a multiple of all usual frame rates."""


REPRODUCIBLE = "cpu-independent=1"
"""Without it x264 made six different files of the same ten pictures and sound in ten runs, with one thread too: its
assembly rounds as its buffers happen to lie."""


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


@dataclass(frozen=True, eq=False)
class Sound:
    """A mono track in [-1, 1] that starts with the video (its time 0)."""

    samples: Float32[np.ndarray, "N"]
    rate_hz: int = 48_000


class VideoWriter:
    """Takes RGB pictures one by one. Leaving the block finishes the file; leaving it by an error removes it."""

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        fps: float,
        config: VideoWriterConfig | None = None,
        *,
        sound: Sound | None = None,
    ) -> None:
        self.path = Path(path)
        self._size = size
        self._fps = fps
        self._config = config or VideoWriterConfig()
        self._sound = sound
        self._n_heard = 0
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
            self._audio = self._add_audio() if self._sound is not None else None
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
            self._hear_until(None)
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
        self._hear_until(tick / CLOCK_HZ)
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
        if config.codec == "libx264":
            context.options |= {"x264-params": REPRODUCIBLE}
        if config.rotation:
            stream.set_display_rotation(-config.rotation)  # FFmpeg counts counter-clockwise
        return stream

    def _add_audio(self) -> av.AudioStream:
        assert self._sound is not None
        stream = self._container.add_stream("aac", rate=self._sound.rate_hz)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        return stream

    def _hear_until(self, time_s: float | None) -> None:
        """Write the sound up to a moment, so that both tracks lie side by side in the file; None: all of it."""
        if self._sound is None or self._audio is None:
            return
        samples, rate = self._sound.samples, self._sound.rate_hz
        end = len(samples) if time_s is None else min(len(samples), round(time_s * rate))
        if end > self._n_heard:
            block = np.ascontiguousarray(samples[None, self._n_heard : end])
            frame = AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, self._n_heard, Fraction(1, rate)
            self._container.mux(self._audio.encode(frame))
            self._n_heard = end
        if time_s is None:
            self._container.mux(self._audio.encode(None))

    def _abandon(self) -> None:
        try:
            self._container.close()
        except FFmpegError:
            pass  # the disk may be full; there is nothing to save
        finally:
            self._partial.unlink(missing_ok=True)
