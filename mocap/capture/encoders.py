"""Which H.264 encoder records here: hardware where it truly works, else x264 as fine as the machine can hold.

That FFmpeg lists an encoder says nothing about the machine: NVENC is listed where there is no NVIDIA card. So each is
tried: it must encode pictures of the size in question, and they must look right when they are decoded again.

Measured for 1280x720, a moving texture, one core of a loaded two-thread machine: x264 ultrafast 7 ms a picture,
superfast 10 ms, veryfast 15 ms; RGB to YUV 4:2:0 0.5 ms by OpenCV, 5 ms by swscale.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import UInt8
from pydantic import Field

from mocap.core.config import Config
from mocap.core.errors import ConfigError

SOFTWARE = "libx264"
HARDWARE = ("h264_nvenc", "h264_videotoolbox", "h264_qsv", "h264_amf", "h264_mf", "h264_v4l2m2m")
"""VAAPI is left out: it takes its pictures from the card's own memory, to which PyAV offers no way."""

PRESETS = ("ultrafast", "superfast", "veryfast")
"""From little work to small files."""

TRIAL_PICTURES = 6
ONE_THREAD_PX = 1920 * 1088
"""Pictures up to so many pixels are encoded by one thread, which is less work in all than several."""

KEEPS_UP = 0.8
"""Share of its time that an encoder may be busy; pictures come unevenly."""

LEAST_PSNR_DB = 24.0
"""Any sane quality gives more than 30 dB of the smooth trial picture; a broken driver gives noise or grey."""

CLOCK_HZ = 90_000
"""Ticks a second of frame times, as in all videos of the program."""

BITS_PER_PIXEL = 0.15
"""For encoders that know no constant quality: 4 Mbit/s for 1280x720 at 30 frames a second."""


class EncoderConfig(Config):
    """How pictures are encoded while they come.

    codec: "auto", or FFmpeg's name of an encoder. preset: x264's, "auto" for the finest that takes no more than
    `cpu_share` of what is free of the machine for all cameras together. quality: constant rate factor, 18 looks
    lossless. keyframe_s: from one picture that can be decoded alone to the next. threads: of x264 for each camera, 0
    for as many as its pictures need.
    """

    codec: str = "auto"
    preset: str = "auto"
    quality: int = Field(default=21, ge=0, le=51)
    keyframe_s: float = Field(default=0.5, gt=0)
    threads: int = Field(default=0, ge=0)
    cpu_share: float = Field(default=0.5, gt=0, le=1)


@dataclass(frozen=True)
class Load:
    """What has to be encoded at once: `fps` pictures a second of `size` (width, height) px from each of `cameras`.

    extra_s: seconds that each costs before it comes to the encoder (a JPEG has to be decoded).
    """

    size: tuple[int, int]
    fps: float
    cameras: int = 1
    extra_s: float = 0.0


@dataclass(frozen=True)
class Encoder:
    """An encoder that was tried. seconds: for one picture; share: of the machine that the whole load takes."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    seconds: float = 0.0
    share: float = 0.0
    fits: bool = True

    @property
    def sentence(self) -> str:
        """Its name, and what it costs."""
        preset = f" {self.options['preset']}" if self.name == SOFTWARE else ""
        return f"{self.name}{preset}, {1e3 * self.seconds:.1f} ms a picture, {100 * self.share:.0f} % of this machine"


def choose_encoder(load: Load, config: EncoderConfig | None = None) -> Encoder:
    """The first hardware encoder that works and keeps up, else x264. `fits` tells whether the machine can hold it."""
    config = config or EncoderConfig()
    if config.codec not in ("auto", SOFTWARE):
        return _asked_for(load, config)
    if config.codec == "auto":
        for name in HARDWARE:
            found = _tried(name, load, config)
            if found is not None and found.fits:
                return found
    preset = PRESETS[0] if config.preset == "auto" else config.preset
    chosen = _tried(SOFTWARE, load, config, preset)
    if chosen is None:
        raise ConfigError(
            f"x264 does not work with the preset {preset!r}",
            where="preset",
            remedy=f'Write "auto", or one of {", ".join(PRESETS)}.',
        )
    for finer in PRESETS[1:] if config.preset == "auto" and chosen.fits else ():
        found = _tried(SOFTWARE, load, config, finer)
        if found is None or not found.fits:
            break
        chosen = found
    return chosen


def free_share() -> float:
    """Of the machine, as the last minute was (a tenth at least); 1 where the system does not tell."""
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(0.1, 1 - load / cores)


def software_encoder(preset: str, quality: int) -> Encoder:
    """x264 without a trial: it is part of every build of PyAV."""
    return Encoder(SOFTWARE, encoder_options(SOFTWARE, quality, preset, 0))


def encoder_options(name: str, quality: int, preset: str, bit_rate: int) -> dict[str, str]:
    """What makes an encoder give every picture at once, at a constant quality where it knows one.

    Only x264 was at hand to be tried; the others' options are from FFmpeg's documentation of them.
    """
    if name == SOFTWARE:
        return {"preset": preset, "crf": str(quality), "tune": "zerolatency"}
    known = {
        "h264_nvenc": {"preset": "p4", "tune": "ll", "rc": "vbr", "cq": str(quality), "b": "0", "delay": "0"},
        "h264_qsv": {"preset": "veryfast", "global_quality": str(quality), "async_depth": "1"},
        "h264_videotoolbox": {"realtime": "1", "b": str(bit_rate)},
    }
    return known.get(name, {"b": str(bit_rate)})


def open_encoder(encoder: Encoder, context: VideoCodecContext, size: tuple[int, int], fps: float, gop: int) -> None:
    """Set up and open a fresh context; pictures come out in the order they go in, none is held back."""
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.color_range = ColorRange.MPEG
    context.colorspace = Colorspace.ITU601
    context.framerate = Fraction(fps).limit_denominator(1001)
    context.time_base = Fraction(1, CLOCK_HZ)
    context.gop_size = gop
    context.max_b_frames = 0
    context.thread_count = encoder.threads
    context.options = dict(encoder.options)
    context.open()


def yuv_picture(image: UInt8[np.ndarray, "H W 3"]) -> VideoFrame:
    """RGB as YUV 4:2:0 (BT.601, limited range); a last odd row or column is left out."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    planes = cv2.cvtColor(np.ascontiguousarray(image[:height, :width]), cv2.COLOR_RGB2YUV_I420)
    return VideoFrame.from_ndarray(planes.astype(np.uint8, copy=False), format="yuv420p")


def _asked_for(load: Load, config: EncoderConfig) -> Encoder:
    if config.codec not in av.codecs_available:
        raise ConfigError(
            f"there is no encoder {config.codec!r} in this FFmpeg",
            where="codec",
            remedy=f'Write "auto", or one of {", ".join(_offered())}.',
        )
    found = _tried(config.codec, load, config)
    if found is None:
        raise ConfigError(
            f"the encoder {config.codec} does not work on this machine", where="codec", remedy='Write "auto".'
        )
    return found


def _offered() -> list[str]:
    return [name for name in (SOFTWARE, *HARDWARE) if name in av.codecs_available]


def _tried(name: str, load: Load, config: EncoderConfig, preset: str = "") -> Encoder | None:
    if name not in av.codecs_available:
        return None
    size = (load.size[0] // 2 * 2, load.size[1] // 2 * 2)
    options = encoder_options(name, config.quality, preset, round(BITS_PER_PIXEL * size[0] * size[1] * 30))
    threads = config.threads or (1 if size[0] * size[1] <= ONE_THREAD_PX else _free_threads(load.cameras))
    seconds = trial(name, tuple(options.items()), size, threads)
    if seconds is None:
        return None
    if name != SOFTWARE:  # one engine for all cameras
        share = load.fps * load.cameras * seconds
        return Encoder(name, options, 1, seconds, share, fits=share < KEEPS_UP)
    share = load.fps * load.cameras * (seconds * threads + load.extra_s) / (os.cpu_count() or 1)
    keeps_up = load.fps * (seconds + load.extra_s) < KEEPS_UP
    return Encoder(name, options, threads, seconds, share, fits=keeps_up and share <= config.cpu_share * free_share())


def _free_threads(cameras: int) -> int:
    return max(1, min(4, (os.cpu_count() or 1) // cameras))


@lru_cache(maxsize=64)
def trial(name: str, options: tuple[tuple[str, str], ...], size: tuple[int, int], threads: int = 1) -> float | None:
    """Seconds that an encoder takes for a picture; None where it does not work, or not rightly."""
    pictures = trial_pictures(size, TRIAL_PICTURES)
    try:
        context = VideoCodecContext.create(name, "w")
        assert isinstance(context, VideoCodecContext)
        open_encoder(Encoder(name, dict(options), threads), context, size, 30.0, TRIAL_PICTURES)
        packets, seconds = _encoded(context, pictures, alone=name == SOFTWARE and threads == 1)
        shown = _decoded(packets)
    except (FFmpegError, OSError, ValueError):
        return None
    good = len(shown) == len(pictures) and _psnr_db(pictures[-1], shown[-1]) > LEAST_PSNR_DB
    return seconds if good else None


def trial_pictures(size: tuple[int, int], count: int) -> list[UInt8[np.ndarray, "H W 3"]]:
    """A smooth texture that moves by 3 px from each to the next, with fine noise that stays."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (size[1] // 16 + 2, size[0] // 16 + 8, 3), dtype=np.uint8)
    whole = cv2.resize(coarse, (size[0] + 3 * count, size[1]), interpolation=cv2.INTER_CUBIC)
    noise = cv2.merge([rng.integers(0, 8, (size[1], size[0]), dtype=np.uint8)] * 3)
    return [cv2.add(whole[:, 3 * n : 3 * n + size[0]], noise).astype(np.uint8) for n in range(count)]


def _encoded(
    context: VideoCodecContext, pictures: Sequence[np.ndarray], *, alone: bool
) -> tuple[list[av.Packet], float]:
    """alone: the encoder works in this thread, whose own time is told, whatever else the machine does."""
    clock = time.thread_time if alone else time.perf_counter
    packets: list[av.Packet] = []
    begin = clock()
    for number, picture in enumerate(pictures):
        frame = yuv_picture(picture)
        frame.pts, frame.time_base = number * CLOCK_HZ // 30, Fraction(1, CLOCK_HZ)
        packets += context.encode(frame)
    packets += context.encode(None)
    return packets, (clock() - begin) / len(pictures)


def _decoded(packets: Sequence[av.Packet]) -> list[np.ndarray]:
    context = VideoCodecContext.create("h264", "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    frames = [frame for packet in [*packets, None] for frame in context.decode(packet)]
    return [frame.to_ndarray(format="rgb24") for frame in frames]


def _psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    error = float(np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255.0**2 / error))
