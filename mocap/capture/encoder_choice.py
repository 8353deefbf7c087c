"""How each camera of a recording is written: by which encoder, or as it compresses its pictures itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from mocap.capture.encoders import Encoder, EncoderConfig, Load, choose_encoder
from mocap.capture.reader import CameraReader

KeepJpegs = Literal["auto", "always", "never"]

USUAL_SIZE, USUAL_FPS = (1280, 720), 30.0
"""Of a camera that says nothing and has not given a picture yet."""


def choose_encoders(
    readers: Mapping[str, CameraReader], config: EncoderConfig, keep_jpegs: KeepJpegs = "auto"
) -> dict[str, tuple[Encoder | None, float]]:
    """Camera -> its encoder (None: its JPEGs or its H.264 are kept) and its nominal pictures a second.

    All cameras count when the machine's strength is asked for, so that each is recorded in the same way.
    """
    chosen: dict[str, tuple[Encoder | None, float]] = {}
    for name, reader in readers.items():
        size, fps, jpeg = camera_stream(reader)
        latest = reader.latest()
        compressed = jpeg is not None or (latest is not None and latest.h264 is not None)
        if compressed and keep_jpegs == "always":
            chosen[name] = (None, fps)
            continue
        extra_s = 0.0 if jpeg is None else _decoding_s(jpeg)
        encoder = choose_encoder(Load(size, fps, len(readers), extra_s), config)
        keep = compressed and keep_jpegs == "auto" and not encoder.fits
        chosen[name] = (None if keep else encoder, fps)
    return chosen


def camera_stream(reader: CameraReader) -> tuple[tuple[int, int], float, bytes | None]:
    """Size (width, height) px, pictures a second and, where it sends such, a JPEG of a camera."""
    status, latest = reader.statistics(), reader.latest()
    fps = status.nominal_fps or status.fps or USUAL_FPS
    return status.size or USUAL_SIZE, fps, None if latest is None else latest.packet


def _decoding_s(jpeg: bytes, times: int = 3) -> float:
    context = VideoCodecContext.create("mjpeg", "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    begin = time.thread_time()
    try:
        for _ in range(times):
            context.decode(Packet(jpeg))
    except FFmpegError:
        return 0.0
    return (time.thread_time() - begin) / times
