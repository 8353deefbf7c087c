"""From packets to pictures in presentation order, without those that damage has spoiled."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mocap.io.video_probe import VideoInfo, check_strictly, open_video

REORDER_WINDOW = 16
"""Pictures that may be held back; H.264 and HEVC reorder at most 16."""


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """A picture as the decoder gave it, and its row in presentation order."""

    row: int
    frame: VideoFrame


class DamageMap:
    """Which rows a damaged picture spoils: itself and what is predicted from it, up to the next keyframe."""

    def __init__(self, info: VideoInfo) -> None:
        self.first_error: str | None = None
        self.spoiled = np.zeros(info.n_readable, dtype=bool)
        self._table = info.packets

    def mark(self, row: int | None, error: str) -> None:
        """The picture of `row` (None: of no listed one) cannot be shown."""
        self.first_error = self.first_error or error
        if row is None or self.spoiled[row]:
            return
        table = self._table
        spoiled = table.position >= table.position[row]
        later_keys = np.flatnonzero(table.keyframe & (table.position > table.position[row]))
        if len(later_keys):
            key = later_keys[np.argmin(table.position[later_keys])]
            spoiled &= (table.position < table.position[key]) | (table.pts < table.pts[key])
        self.spoiled |= spoiled


def decode_pictures(info: VideoInfo, damage: DamageMap, start_row: int = 0) -> Generator[DecodedPicture]:
    """Good pictures from `start_row` on, in presentation order.

    One thread decodes: a frame-threaded decoder hands pictures out before it knows that they are damaged, and cannot
    tell which packet an error belongs to. Several files read at once lose nothing by it: four of 1088x1920 on two
    cores take 2.1 ms a picture with one thread each and 2.2 to 2.8 ms with two or more.
    """
    starts = info.packets.start_rows(start_row) if info.has_timestamps else []
    first_row = starts[0] if starts else 0
    order = _Reordering(info, damage, first_row)
    with open_video(info.path) as (container, stream):
        if info.strict:
            check_strictly(stream)
        stream.codec_context.thread_type = ThreadType.NONE
        stream.codec_context.thread_count = 1
        for packet in _packets(info, container, stream, first_row):
            if packet.is_corrupt:
                order.lost(packet, "the data is incomplete")
                continue
            try:
                frames = packet.decode()
            except FFmpegError:
                order.lost(packet, "the data is damaged")
                continue
            for frame in frames:
                yield from (picture for picture in order.push(frame) if picture.row >= start_row)
        yield from (picture for picture in order.flush() if picture.row >= start_row)


def _packets(
    info: VideoInfo, container: InputContainer, stream: VideoStream, first_row: int
) -> Iterator[Packet[VideoStream]]:
    """Packets from the keyframe `first_row` (or earlier) on, then the empty one that empties the decoder."""
    packets = _seek(info, container, stream, first_row) if first_row else container.demux(stream)
    try:
        yield from packets
    except FFmpegError:
        yield from _flush(stream)


def _flush(stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    flush = cast("Packet[VideoStream]", Packet())
    flush.stream = stream
    yield flush


def _seek(
    info: VideoInfo, container: InputContainer, stream: VideoStream, first_row: int
) -> Iterator[Packet[VideoStream]]:
    """Containers differ in whether they seek by decoding or presentation time: look where it landed."""
    table = info.packets
    for row in (*table.start_rows(first_row), 0):
        container.seek(int(table.pts[row]), stream=stream, backward=True)
        packets = container.demux(stream)
        landed = next(packets)
        landed_row = None if landed.pts is None else table.row_of(landed.pts)
        if row == 0 or (landed_row is not None and table.position[landed_row] <= table.position[first_row]):
            yield landed
            yield from packets
            return


class _Reordering:
    """Holds each picture back until all that were decoded before it have come out.

    A picture can show before the one it is predicted from; only then is it known whether that one was damaged.
    """

    def __init__(self, info: VideoInfo, damage: DamageMap, first_row: int) -> None:
        self._info = info
        self._table = info.packets
        self._damage = damage
        self._first_row = first_row
        self._last_row = -1
        self._next_position = int(self._table.position[first_row])
        self._out: set[int] = set()
        self._held: list[DecodedPicture] = []

    def push(self, frame: VideoFrame) -> list[DecodedPicture]:
        """Take a picture from the decoder; give those that are safe to show now."""
        row = self._row_of(frame.pts)
        if row is None or row < self._first_row:
            return []
        self._last_row = row
        if frame.is_corrupt:
            self._damage.mark(row, "a damaged picture")
        if (frame.width, frame.height) != self._info.coded_size:
            self._damage.mark(row, f"the picture size changes to {frame.width}x{frame.height}")
        self._out.add(int(self._table.position[row]))
        self._held.append(DecodedPicture(row, frame))
        if len(self._held) > REORDER_WINDOW:
            self._next_position = min(self._out)  # a picture that the decoder swallowed without a word
        return self._release()

    def lost(self, packet: Packet[VideoStream], error: str) -> None:
        """The decoder refused a packet."""
        if self._info.has_timestamps:
            row = None if packet.pts is None else self._table.row_of(packet.pts)
        else:
            row = self._row_of(None) if packet.size else None
        if row is None:
            self._damage.mark(None, error)
        elif self._table.position[row] >= self._next_position:
            self._damage.mark(row, error)
            self._out.add(int(self._table.position[row]))

    def flush(self) -> list[DecodedPicture]:
        """What is left at the end of the stream."""
        self._next_position = int(self._table.position.max()) + 1
        return self._release()

    def _row_of(self, pts: int | None) -> int | None:
        if self._info.has_timestamps and pts is not None:
            return self._table.row_of(pts, after=self._last_row)
        return self._last_row + 1 if self._last_row + 1 < len(self._table.pts) else None

    def _release(self) -> list[DecodedPicture]:
        while self._next_position in self._out:
            self._out.remove(self._next_position)
            self._next_position += 1
        ready = []
        while self._held and self._table.position[self._held[0].row] < self._next_position:
            picture = self._held.pop(0)
            if not self._damage.spoiled[picture.row]:
                ready.append(picture)
        return ready
