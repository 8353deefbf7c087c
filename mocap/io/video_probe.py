"""What a video file holds, found without decoding it: every packet is listed, one frame is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.error import EOFError as EndOfFileError
from av.error import FFmpegError, InvalidDataError
from av.stream import Disposition
from jaxtyping import Bool, Float, Int

from mocap.core.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

TEXT_AND_STILLS = ("tty", "image2", "gif", "ico", "svg_pipe", "subviewer", "srt", "webvtt", "ass")
"""Formats of FFmpeg that would take a text file or a still picture for a video."""

CONSTANT_RATE_TOLERANCE = 0.05
"""Share of a frame's duration by which frame times may wander in a stream of constant rate (besides one clock tick)."""

CUT_OFF_S = 0.25
"""A file without a frame count is cut off if it ends this much before its header says; headers are that imprecise."""


STRICT_TRIAL = 10
"""Packets at the beginning of which two thirds must pass strict checks; a sloppy encoder is so from the start."""


@dataclass(frozen=True, eq=False)
class PacketTable:
    """One row per picture of the stream, in presentation order: the index of a frame is its row.

    pts: in units of the stream's time base. position: place in decoding order. keyframe: decoding can start here.
    """

    pts: Int[np.ndarray, "T"]
    position: Int[np.ndarray, "T"]
    keyframe: Bool[np.ndarray, "T"]

    def row_of(self, pts: int, after: int = -1) -> int | None:
        """The first row later than `after` that shows at `pts`; None where no packet has that time."""
        row = max(int(np.searchsorted(self.pts, pts)), after + 1)
        return row if row < len(self.pts) and self.pts[row] == pts else None

    def start_rows(self, row: int) -> list[int]:
        """Keyframes from which decoding reaches `row`, best first.

        A picture that follows a keyframe in decoding order but shows before it may lean on the group before.
        """
        starts = np.flatnonzero(self.keyframe & (self.position <= self.position[row]) & (self.pts <= self.pts[row]))
        return [int(r) for r in starts[np.argsort(-self.position[starts])]]


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """What a video holds.

    size: (width, height) px as delivered, upright. rotation: degrees clockwise by which the coded pictures are turned
    to get there (the file's own display matrix plus the extra rotation asked for). fps: frames a second, the mean over
    the file, or the file's nominal rate where that agrees to 0.1 %; 0 where a single frame leaves it unknown.
    n_frames: how many pictures the file should have; `n_readable` of them have their data in the file (fewer when the
    file was cut off; n_frames is then an estimate unless `n_frames_exact`). times_s: presentation times of the readable
    ones, the first is 0; start_s: the first one's own time stamp. All NaN-free; times_s is index / fps where the file
    has no time stamps at all (`has_timestamps` False). strict: its beginning stands up to strict checks for damage, so
    that the rest may be held to them.
    """

    path: Path
    size: tuple[int, int]
    rotation: int
    fps: float
    constant_rate: bool
    n_frames: int
    n_frames_exact: bool
    times_s: Float[np.ndarray, "T"]
    start_s: float
    has_timestamps: bool
    codec: str
    pixel_format: str
    container: str
    has_audio: bool
    packets: PacketTable
    strict: bool

    @property
    def n_readable(self) -> int:
        return len(self.times_s)

    @property
    def coded_size(self) -> tuple[int, int]:
        """(width, height) px before the pictures are turned."""
        return self.size if self.rotation % 180 == 0 else (self.size[1], self.size[0])

    @property
    def cut_off(self) -> bool:
        """The file ends before its header says it does."""
        return self.n_readable < self.n_frames

    @property
    def duration_s(self) -> float:
        """First frame's start to last readable frame's end."""
        return float(self.times_s[-1]) + (1 / self.fps if self.fps else 0.0)


def probe_video(path: str | Path, rotation: int = 0) -> VideoInfo:
    """List the packets of a video and decode its first frame; `rotation` (degrees clockwise) comes on top.

    Raises VideoError, with the remedy, for whatever cannot be used as a video.
    """
    path = Path(path)
    check_rotation(path, rotation)
    look = _Look.at(path)
    with open_video(path) as (container, stream):
        scan = _Scan.of(container, stream)
        n_frames, exact = scan.expected_frames(container, stream)
        fps = scan.fps(stream)
        table = scan.table(cut_off=len(scan.pts) < n_frames)
        total = (look.rotation + rotation) % 360
        return VideoInfo(
            path=path,
            size=look.size if total % 180 == 0 else (look.size[1], look.size[0]),
            rotation=total,
            fps=fps,
            constant_rate=scan.constant_rate(),
            n_frames=n_frames,
            n_frames_exact=exact,
            times_s=scan.times_s(fps)[: len(table.pts)],
            start_s=float(int(scan.pts.min()) * scan.time_base) if scan.has_timestamps else 0.0,
            has_timestamps=scan.has_timestamps,
            codec=stream.codec.canonical_name,
            pixel_format=look.pixel_format,
            container=container.format.name,
            has_audio=bool(container.streams.audio),
            packets=table,
            strict=look.strict,
        )


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its main picture track. Use neither after the block: a closed stream's attributes crash."""
    _check_file(path)
    try:
        container = av.open(str(path))
    except (FFmpegError, UnicodeError) as error:
        raise _open_error(path, error) from None
    try:
        yield container, _picture_track(path, container)
    finally:
        container.close()


def check_rotation(where: str | Path, rotation: int) -> None:
    """Refuse what is not a quarter turn."""
    if rotation % 90:
        raise VideoError(
            f"a rotation of {rotation} degrees is not possible",
            where=where,
            remedy="Give 0, 90, 180 or 270 (clockwise).",
        )


def check_strictly(stream: VideoStream) -> None:
    """Let the decoder take for damage what no sane encoder writes; to be said before it decodes.

    Without, a quarter of pictures overwritten with noise pass for good (H.264, measured), with it none.
    """
    stream.codec_context.options = {"err_detect": "aggressive"}


def clockwise_rotation(frame: VideoFrame) -> int:
    """Degrees clockwise by which the display matrix wants the picture turned: 0, 90, 180 or 270.

    FFmpeg gives the angle counter-clockwise; angles in between are rounded to the nearest quarter turn.
    """
    return round(-frame.rotation / 90) * 90 % 360


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise VideoError("is a folder, not a video", where=path, remedy="Give the video file itself.")
    try:
        n_bytes = path.stat().st_size
    except OSError as error:
        raise VideoError(f"cannot be read ({error.strerror})", where=path, remedy="Check the path.") from None
    if n_bytes == 0:
        raise VideoError("the file is empty (0 bytes)", where=path, remedy="Copy or record it again.")


def _open_error(path: Path, error: Exception) -> VideoError:
    if isinstance(error, PermissionError):
        return VideoError("may not be read", where=path, remedy="Give yourself permission to read the file.")
    if isinstance(error, EndOfFileError):
        return VideoError("holds no frames", where=path, remedy="Record it again; the recording never started.")
    if isinstance(error, InvalidDataError):
        with path.open("rb") as file:
            head = file.read(64)
        if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free"):
            return VideoError(
                "this MP4/MOV has no readable index: its recording or copying was cut off before the end",
                where=path,
                remedy="Copy it again from the camera, or rebuild its index with a repair tool such as untrunc.",
            )
        return VideoError(
            "is not a video (or too damaged to tell)",
            where=path,
            remedy="Give a file that plays in a video player: MP4, MOV, MKV, AVI or WebM.",
        )
    return VideoError(f"cannot be opened ({error})", where=path, remedy="Check that it plays in a video player.")


def _picture_track(path: Path, container: InputContainer) -> VideoStream:
    names = container.format.name
    if any(name in TEXT_AND_STILLS or name.endswith("_pipe") for name in names.split(",")):
        raise VideoError("is a text or a still picture, not a video", where=path, remedy="Give a video file.")
    tracks = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not tracks:
        raise VideoError("has no picture track", where=path, remedy="Give a video; this file holds sound or data only.")
    decodable = [s for s in tracks if s.codec_context is not None]
    if not decodable:
        raise VideoError(
            "its pictures are in a format that no installed decoder reads",
            where=path,
            remedy="Convert it to H.264, e.g. with: ffmpeg -i INPUT -c:v libx264 -crf 16 OUTPUT.mp4",
        )
    return max(decodable, key=lambda s: s.width * s.height)


@dataclass(frozen=True)
class _Look:
    """What the first picture shows, before it is turned; strict as in VideoInfo."""

    size: tuple[int, int]
    pixel_format: str
    rotation: int
    strict: bool

    @classmethod
    def at(cls, path: Path) -> _Look:
        with open_video(path) as (container, stream):
            check_strictly(stream)
            frame, n_packets, n_faults = _first_frame(container, stream, STRICT_TRIAL)
            if frame is not None and 3 * n_faults <= n_packets:
                return cls._of(frame, strict=True)
        with open_video(path) as (container, stream):
            frame, n_packets, _ = _first_frame(container, stream, None)
            if frame is not None:
                return cls._of(frame, strict=False)
            raise _undecodable(path, n_packets, stream.codec.canonical_name)

    @classmethod
    def _of(cls, frame: VideoFrame, *, strict: bool) -> _Look:
        return cls((frame.width, frame.height), frame.format.name, clockwise_rotation(frame), strict)


def _first_frame(
    container: InputContainer, stream: VideoStream, n_trial: int | None
) -> tuple[VideoFrame | None, int, int]:
    """The first picture, how many packets were read, and how many faults were found in them.

    Reads `n_trial` packets, or until there is a picture.
    """
    first: VideoFrame | None = None
    n_packets, n_faults = 0, 0
    try:
        for packet in container.demux(stream):
            n_packets += packet.size > 0
            try:
                frames = packet.decode()
            except FFmpegError:
                frames, n_faults = [], n_faults + 1
            n_faults += sum(frame.is_corrupt for frame in frames)
            first = first or next(iter(frames), None)
            if n_packets == n_trial or (n_trial is None and first is not None):
                break
    except FFmpegError:
        n_faults += 1
    return first, n_packets, n_faults


def _undecodable(path: Path, n_packets: int, codec: str) -> VideoError:
    if n_packets == 0:
        return VideoError("holds no frames", where=path, remedy="Record it again; the recording never started.")
    return VideoError(
        f"none of its {n_packets} frames can be decoded ({codec})",
        where=path,
        remedy="Copy it again from the camera, or convert it with: ffmpeg -i INPUT -c:v libx264 -crf 16 OUTPUT.mp4",
    )


@dataclass(frozen=True, eq=False)
class _Scan:
    """The packets of a stream in decoding order, without those an edit list hides, and where the whole file ends."""

    pts: np.ndarray
    keyframe: np.ndarray
    has_timestamps: bool
    time_base: Fraction
    end_s: float

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream) -> _Scan:
        pts: list[int | None] = []
        keyframe: list[bool] = []
        end_s = 0.0
        try:
            for packet in container.demux():
                if packet.size and packet.pts is not None and packet.time_base is not None:
                    end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index != stream.index or not packet.size:
                    continue
                if packet.is_discard:
                    continue
                pts.append(packet.pts)
                keyframe.append(packet.is_keyframe)
        except FFmpegError:
            pass  # the data ends here; the header's count tells how much is missing
        stamped = bool(pts) and all(p is not None for p in pts)
        return cls(
            pts=np.array(pts if stamped else np.arange(len(pts)), dtype=np.int64),
            keyframe=np.array(keyframe, dtype=bool),
            has_timestamps=stamped,
            time_base=Fraction(stream.time_base or 1),
            end_s=end_s,
        )

    def table(self, cut_off: bool) -> PacketTable:
        """Rows in presentation order. At the cut, a picture is listed only if none that is lost can show before it.

        Where no picture shows more than d places before its place in decoding order, the k-th lost one of n shows at
        row n + k - d or later.
        """
        order = np.argsort(self.pts, kind="stable")
        if cut_off and len(order):
            certain = max(len(order) - int((order - np.arange(len(order))).max()), 1)
            order = order[:certain]
        return PacketTable(self.pts[order], order, self.keyframe[order])

    def fps(self, stream: VideoStream) -> float:
        nominal = float(stream.guessed_rate or stream.average_rate or 0)
        span = int(np.ptp(self.pts)) if len(self.pts) > 1 and self.has_timestamps else 0
        if not span:
            return nominal
        mean = float((len(self.pts) - 1) / (span * self.time_base))
        return nominal if abs(nominal / mean - 1) < 1e-3 else mean

    def constant_rate(self) -> bool:
        if not self.has_timestamps or len(self.pts) < 3:
            return True
        steps = np.diff(np.sort(self.pts))
        return bool(np.abs(steps - np.median(steps)).max() <= 1 + CONSTANT_RATE_TOLERANCE * np.median(steps))

    def times_s(self, fps: float) -> Float[np.ndarray, "T"]:
        if not self.has_timestamps:
            return np.arange(len(self.pts)) / (fps or 1.0)
        pts = np.sort(self.pts)
        return (pts - pts[0]) * self.time_base.numerator / self.time_base.denominator

    def expected_frames(self, container: InputContainer, stream: VideoStream) -> tuple[int, bool]:
        """How many frames the header promises, and whether that is a count or follows from a duration."""
        n = len(self.pts)
        if "mp4" in container.format.name:  # its index is complete, and knows what an edit list hides
            return max(n, sum(not entry.is_discard for entry in stream.index_entries)), True
        fps = self.fps(stream)
        if not container.duration or not fps:
            return n, True
        missing_s = container.duration / av.time_base - self.end_s
        if missing_s < CUT_OFF_S:
            return n, True
        return n + round(missing_s * fps), False
