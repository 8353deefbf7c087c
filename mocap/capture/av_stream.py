"""Network streams through FFmpeg: RTSP over TCP, and whatever else it reads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

import av
from av.codec.context import ThreadType
from av.error import ExitError, FFmpegError, InvalidDataError

from mocap.capture.address import SourceAddress
from mocap.capture.h264 import H264Picture, H264Stream
from mocap.capture.jpeg import JpegPicture
from mocap.capture.now import now_s
from mocap.capture.source import SourceFrame, SourceInfo, SourceLost
from mocap.capture.stream_clock import StreamClock
from mocap.core.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

OPEN_S = 8.0
SILENT_S = 3.0
"""FFmpeg gives up when nothing came for so long."""
ARRIVALS_KEPT = 64
COUNTED_STAMPS = ("mpjpeg", "mjpeg", "image2", "h264", "hevc", "m4v")
"""Demuxers of streams that carry no time: their stamps are counted."""

PARSED = frozenset(("h264", "hevc", "mpeg4"))
"""Codecs whose pictures FFmpeg finds the end of only when the next one begins."""
WAITS = {"rtsp": 1, "rtp": 1, "sdp": 1, "mpegts": 2}
"""Pictures of those codecs that begin to arrive before FFmpeg hands one out; in a transport stream its packets wait
for the next one too. Measured with streams of known times: 34 ms late at 30 pictures a second and 200 ms at 5 (RTSP,
marker bit or not), 67 ms at 30 (MPEG-TS by UDP and TCP)."""

OPTIONS = {
    "fflags": "nobuffer+discardcorrupt",
    "flags": "low_delay",
    "analyzeduration": "1000000",
    "probesize": "2000000",
}
RTSP_OPTIONS = {"rtsp_flags": "prefer_tcp", "allowed_media_types": "video"}
"""By UDP, packets that get lost damage pictures; some cameras know nothing else."""


class AvStream:
    """One connection. Only the thread that reads touches FFmpeg; `close` by another thread takes effect after at most
    SILENT_S."""

    def __init__(self, address: SourceAddress, fps: float | None) -> None:
        self._address = address
        self._fps = fps
        self._container: InputContainer | None = None
        self._stream: VideoStream | None = None
        self._packets: Iterator[Packet] = iter(())
        self._ready: deque[SourceFrame] = deque()
        self._clock = StreamClock()
        self._times: dict[int, float] = {}
        self._stamped = True
        self._jpegs = False
        self._h264: H264Stream | None = None
        self._arrivals_s: deque[float] = deque(maxlen=1)
        self._thread = threading.get_ident()
        self._closing = False
        self.damaged = 0

    def open(self) -> SourceInfo:
        """Connect and wait for the first picture. Raises SourceLost."""
        rtsp = RTSP_OPTIONS if self._address.text.lower().startswith("rtsp") else {}
        try:
            self._container = av.open(self._address.text, options=OPTIONS | rtsp, timeout=(OPEN_S, SILENT_S))
        except (FFmpegError, OSError, ValueError) as error:
            raise self._refusal(error) from None
        videos = self._container.streams.video
        if not videos:
            raise self._lost("has no picture track", "Look up the address of its video stream.")
        self._stream = stream = videos[0]
        stream.codec_context.thread_type = ThreadType.NONE
        stream.codec_context.thread_count = 1
        self._stamped = not any(name in COUNTED_STAMPS for name in self._container.format.name.split(","))
        formats = self._container.format.name.split(",")
        self._jpegs = stream.codec.canonical_name == "mjpeg"
        if stream.codec.canonical_name == "h264":
            self._h264 = H264Stream(stream.codec_context.extradata)
        if stream.codec.canonical_name in PARSED:
            self._arrivals_s = deque(maxlen=1 + max(WAITS.get(name, 0) for name in formats))
        self._packets = self._container.demux(stream)
        while not self._ready:
            self._receive()
        rate = self._fps or (float(stream.average_rate) if stream.average_rate and self._stamped else None)
        detail = f"{stream.codec.name} over {self._container.format.name}"
        stamps = "stream" if self._stamped else "arrival"
        return SourceInfo(self._ready[0].size, rate, "network", stamps, detail)

    def read(self, timeout_s: float) -> SourceFrame:
        """The next good picture; may take up to SILENT_S. Pictures that cannot be decoded are counted in `damaged`."""
        until = time.monotonic() + timeout_s
        while not self._ready:
            if time.monotonic() > until:
                raise TimeoutError
            self._receive()
        return self._ready.popleft()

    def close(self) -> None:
        """At once in the thread that made it; another one can only ask for it."""
        self._closing = True
        if threading.get_ident() != self._thread:
            return
        container, self._container, self._stream, self._packets = self._container, None, None, iter(())
        if container is not None:
            container.close()

    def _receive(self) -> None:
        if self._closing:
            raise self._lost("was closed", "")
        try:
            packet = next(self._packets, None)
        except (FFmpegError, OSError) as error:
            raise self._refusal(error) from None
        if packet is None or not packet.size:
            raise self._lost("ended the stream", "Check the camera; it is tried again by itself.")
        arrival_s = now_s()
        kept = self._compressed(packet)
        if packet.is_corrupt:
            self.damaged += 1
            return
        if self._jpegs and self._pass_on(packet, arrival_s):
            return
        self._note(packet, arrival_s)
        try:
            frames = list(packet.decode())
        except FFmpegError:
            self.damaged += 1
            return
        for frame in frames:
            self._accept(frame, arrival_s, kept if len(frames) == 1 and frame.pts == packet.pts else None)

    def _compressed(self, packet: Packet) -> H264Picture | None:
        """The packet itself, where pictures come in the order in which they are shown."""
        if self._h264 is None:
            return None
        picture = self._h264.next(bytes(packet), key=packet.is_keyframe)
        return picture if packet.dts is None or packet.dts == packet.pts else None

    def _pass_on(self, packet: Packet, arrival_s: float) -> bool:
        """A JPEG as it is, if it is whole."""
        try:
            picture = JpegPicture.of(bytes(packet))
        except VideoError:
            return False
        stamp_s = None if packet.pts is None or not self._stamped else float(packet.pts * packet.time_base)
        time_s = arrival_s if stamp_s is None else self._clock.time_s(stamp_s, arrival_s)
        self._ready.append(SourceFrame(picture, time_s, stamp_s))
        return True

    def _note(self, packet: Packet, arrival_s: float) -> None:
        """Map a packet's stamp when it began to arrive, before it is decoded.

        Packets come in the order of decoding: with pictures that lean on later ones, the line below follows dts.
        """
        self._arrivals_s.append(arrival_s)
        known = len(self._arrivals_s) == self._arrivals_s.maxlen
        if not known or not self._stamped or packet.pts is None or packet.time_base is None:
            return
        order = packet.pts if packet.dts is None else packet.dts
        time_s = self._clock.time_s(float(order * packet.time_base), self._arrivals_s[0])
        ahead_s = float((packet.pts - order) * packet.time_base)
        self._times[packet.pts] = time_s + ahead_s
        while len(self._times) > ARRIVALS_KEPT:
            del self._times[next(iter(self._times))]

    def _accept(self, frame: VideoFrame, arrival_s: float, kept: H264Picture | None) -> None:
        if frame.is_corrupt:
            self.damaged += 1
            return
        time_s = None if frame.pts is None else self._times.get(frame.pts)
        stamp_s = None if time_s is None or frame.time is None else frame.time
        self._ready.append(SourceFrame(frame, arrival_s if time_s is None else time_s, stamp_s, h264=kept))

    def _lost(self, what: str, remedy: str) -> SourceLost:
        return SourceLost(f"{self._address.shown} {what}", where=self._address.where or None, remedy=remedy)

    def _refusal(self, error: Exception) -> SourceLost:
        name = type(error).__name__
        if "Unauthorized" in name or "Forbidden" in name:
            return self._lost("wants a name and a password", "Write rtsp://name:password@host/…")
        if "NotFound" in name:
            return self._lost("is not there (404)", "Look up the path of its video in its manual.")
        if isinstance(error, InvalidDataError):
            return self._lost("sends something else than video", "Look up the address of its video stream.")
        if isinstance(error, (ExitError, TimeoutError)) or "timed out" in str(error).lower():
            return self._lost(f"sent nothing for {SILENT_S:g} s", "Check its power and network; it is tried again.")
        reason = getattr(error, "strerror", None) or name  # the error's own text shows the password of the address
        return self._lost(f"broke off ({reason})", "Check its power, network and address; it is tried again by itself.")
