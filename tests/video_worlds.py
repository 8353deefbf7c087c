"""Clips whose every picture carries its own number, and ways to rewrap and damage them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mocap.io.video_writer import VideoWriter, VideoWriterConfig

CELL = 16
SIZE = (96, 64)
BITS = 12
FAST = VideoWriterConfig(crf=12, preset="ultrafast", gop=12, b_frames=3, threads=1)


def counter_image(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Twelve cells in the upper half spell the number in binary, a red cell marks the lower left, noise moves below."""
    image = np.full((size[1], size[0], 3), 90, dtype=np.uint8)
    for bit in range(BITS):
        row, column = divmod(bit, 6)
        level = 230 if number >> bit & 1 else 20
        image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = level
    noise = np.random.default_rng(number).integers(0, 120, (2 * CELL, size[0] - CELL, 1), dtype=np.uint8)
    image[2 * CELL : 4 * CELL, CELL:] = noise
    image[3 * CELL : 4 * CELL, :CELL] = (220, 30, 30)
    return image


def counter_of(image: np.ndarray) -> int:
    """The number that an upright counter image shows."""
    assert image.shape[:2] == (SIZE[1], SIZE[0])
    inner = slice(4, CELL - 4)
    red, green, blue = image[3 * CELL : 4 * CELL, :CELL][inner, inner].reshape(-1, 3).mean(axis=0)
    assert red > green + 80, "not upright: the red cell is not at the lower left"
    assert red > blue + 80, "red and blue are exchanged"
    cells = image[: 2 * CELL].reshape(2, CELL, 6, CELL, 3)[:, inner, :, inner].mean(axis=(1, 3, 4)).reshape(-1)
    return int(sum(1 << bit for bit in range(BITS) if cells[bit] > 125))


def write_counter_clip(
    path: Path,
    n_frames: int,
    *,
    fps: float = 30.0,
    times_s: Sequence[float] | None = None,
    config: VideoWriterConfig = FAST,
    transform: Callable[[np.ndarray], np.ndarray] = lambda image: image,
) -> Path:
    """A clip whose frame i shows the number i, after `transform` (a turn, for instance)."""
    height, width = transform(counter_image(0)).shape[:2]
    with VideoWriter(path, (width, height), fps, config) as writer:
        for number in range(n_frames):
            writer.write(transform(counter_image(number)), None if times_s is None else times_s[number])
    return path


def rewrap(
    source: Path,
    target: Path,
    *,
    shift_s: float = 0.0,
    with_audio: bool = False,
    keep: Callable[[int], bool] = lambda position: True,
    options: dict[str, str] | None = None,
) -> Path:
    """Copy the packets into another container without encoding again: times shifted, some left out, sound added."""
    with av.open(str(source)) as reading, av.open(str(target), "w", options=options or {}) as writing:
        stream = reading.streams.video[0]
        copy = writing.add_stream_from_template(stream)
        sound = writing.add_stream("aac", rate=48000) if with_audio else None
        writing.start_encoding()
        if sound is not None:
            _write_silence(writing, sound, n_blocks=60)
        for position, packet in enumerate(p for p in reading.demux(stream) if p.size):
            if keep(position):
                shift = round(Fraction(shift_s) / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = copy
                writing.mux(packet)
    return target


def _write_silence(container: av.container.OutputContainer, stream: av.AudioStream, n_blocks: int) -> None:
    for block in range(n_blocks):
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts, frame.time_base = 48000, block * 1024, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_sound_only(path: Path) -> Path:
    """A file with a sound track and nothing else."""
    with av.open(str(path), "w") as container:
        _write_silence(container, container.add_stream("aac", rate=48000), n_blocks=20)
    return path


def truncated(source: Path, target: Path, share: float) -> Path:
    """The first `share` of a file's bytes."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


def flipped(source: Path, target: Path, share: float, n_bytes: int = 200) -> Path:
    """A file with some bytes changed at `share` of its length."""
    data = bytearray(source.read_bytes())
    start = int((len(data) - n_bytes) * share)
    for k in range(n_bytes):
        data[start + k] ^= 0x5A
    target.write_bytes(bytes(data))
    return target


def with_ruined_packet(source: Path, target: Path, position: int) -> Path:
    """A file whose packet at that place in decoding order holds noise behind its header."""
    with av.open(str(source)) as container:
        packet = [p for p in container.demux(video=0) if p.size][position]
        start, end = packet.pos + 10, packet.pos + packet.size
    data = bytearray(source.read_bytes())
    data[start:end] = np.random.default_rng(position).bytes(end - start)
    target.write_bytes(bytes(data))
    return target


def with_slack_in_slices(source: Path, target: Path) -> Path:
    """As some cameras write it: bytes behind the end of each H.264 slice that mean nothing."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = reading.streams.video[0]
        copy = writing.add_stream_from_template(stream)
        for packet in (p for p in reading.demux(stream) if p.size):
            units = _nal_units(bytes(packet))
            units[-1] += bytes.fromhex("55aa33cc0f")
            slack = av.Packet(b"".join(len(unit).to_bytes(4, "big") + unit for unit in units))
            slack.pts, slack.dts, slack.time_base = packet.pts, packet.dts, packet.time_base
            slack.is_keyframe, slack.stream = packet.is_keyframe, copy
            writing.mux(slack)
    return target


def _nal_units(data: bytes) -> list[bytes]:
    units, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        units.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return units
