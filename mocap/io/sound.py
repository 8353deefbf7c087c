"""The sound of a video as one row of samples, on the times of its pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from av.error import FFmpegError
from jaxtyping import Float, Float32

from mocap.core.errors import VideoError

SOUND_HZ = 16_000
"""Enough for onsets to a tenth of a millisecond; claps and speech have little above 8 kHz."""
JUMP_S = 0.02
"""Blocks whose stamps leave the running count by more than this are put where their stamps say."""
LONGEST_S = 4 * 3600.0


@dataclass(frozen=True, eq=False)
class SoundTrack:
    """Mono sound. samples: (N,) in [-1, 1]. rate_hz: samples a second. start_s: time of the first one.

    As read, times are the container's own, those of `VideoInfo.start_s + VideoInfo.times_s`.
    """

    samples: Float32[np.ndarray, "N"]
    rate_hz: float
    start_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """From the first sample to the end of the last."""
        return len(self.samples) / self.rate_hz

    @property
    def silent(self) -> bool:
        """Nothing in it but zeros and the least significant bit."""
        return not len(self.samples) or float(np.abs(self.samples).max()) < 1e-4

    def time_s(self, seconds_in: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Times of what is heard so many seconds after the first sample, by the track's nominal count."""
        return self.start_s + seconds_in

    def on(self, slope: float, offset_s: float) -> SoundTrack:
        """With times t of the track put on another clock, which says slope * t + offset."""
        return replace(self, rate_hz=self.rate_hz / slope, start_s=slope * self.start_s + offset_s)


def read_sound(path: str | Path, *, rate_hz: int = SOUND_HZ) -> SoundTrack | None:
    """The first track of sound, mixed to mono; None for a video without any that can be decoded.

    Blocks lie where their stamps say: where a recorder lost some there is silence, so that what follows is in time.
    """
    path = Path(path)
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return None
            blocks = _decoded(container, rate_hz)
    except FileNotFoundError:
        raise VideoError("no such file", where=path) from None
    except (FFmpegError, OSError) as error:
        raise VideoError(f"its sound cannot be read ({error})", where=path) from None
    return _joined(blocks, rate_hz) if blocks else None


def _decoded(container: InputContainer, rate_hz: int) -> list[tuple[float | None, np.ndarray]]:
    """(stamp in s, samples) of every block; damaged ones are left out."""
    stream = container.streams.audio[0]
    resampler = AudioResampler(format="flt", layout="mono", rate=rate_hz)
    blocks: list[tuple[float | None, np.ndarray]] = []
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except FFmpegError:
                continue
            for frame in frames:
                assert isinstance(frame, AudioFrame)
                stamp = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
                blocks += _resampled(resampler, frame, stamp)
    except FFmpegError:
        pass  # the file is cut off here
    return blocks


def _resampled(
    resampler: AudioResampler, frame: AudioFrame, stamp: float | None
) -> list[tuple[float | None, np.ndarray]]:
    """The resampler keeps back a little of each block: what comes out begins before the block that went in."""
    out = []
    for piece in resampler.resample(frame):
        begin = float(piece.pts * piece.time_base) if piece.pts is not None and piece.time_base else stamp
        out.append((begin, piece.to_ndarray().reshape(-1)))
    return out


def _joined(blocks: list[tuple[float | None, np.ndarray]], rate_hz: int) -> SoundTrack:
    start_s = next((stamp for stamp, _ in blocks if stamp is not None), 0.0)
    at, places = 0, []
    for stamp, samples in blocks:
        meant = at if stamp is None else round((stamp - start_s) * rate_hz)
        if abs(meant - at) > JUMP_S * rate_hz and 0 <= meant < LONGEST_S * rate_hz:
            at = meant
        places.append(at)
        at += len(samples)
    end = max(place + len(samples) for place, (_, samples) in zip(places, blocks, strict=True))
    joined = np.zeros(end, dtype=np.float32)
    for place, (_, samples) in zip(places, blocks, strict=True):
        joined[place : place + len(samples)] = samples
    return SoundTrack(np.nan_to_num(joined), float(rate_hz), start_s)
