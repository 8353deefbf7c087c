"""MJPEG over HTTP: every picture as the camera compressed it, with its own stamp where it sends one.

FFmpeg's demuxer drops the header of each part, and with it the stamps (`X-Timestamp`, as mjpg-streamer, uStreamer and
others send them), so the parts are read here. What needs more than plain HTTP (TLS, digest passwords, redirects) is
left to FFmpeg.
"""

from __future__ import annotations

import base64
import http.client
import io
import math
import socket
import time
from collections import deque
from contextlib import suppress
from urllib.parse import SplitResult, unquote, urlsplit

from mocap.capture.address import SourceAddress
from mocap.capture.jpeg import JpegPicture
from mocap.capture.multipart import LARGEST_HEADER, MultipartParser, Part, boundary_of
from mocap.capture.now import now_s
from mocap.capture.source import SourceFrame, SourceInfo, SourceLost
from mocap.capture.stream_clock import StreamClock
from mocap.core.errors import FileFormatError, VideoError

STAMPS = ("x-timestamp", "x-ustreamer-grab-timestamp")
CHUNK = 262_144
OPEN_S = 5.0


class NotPlainMjpeg(Exception):  # noqa: N818  (a finding, not an error)
    """Something for FFmpeg."""


class HttpMjpeg:
    """One connection, from `open` to `close`; closing it from another thread ends a read."""

    def __init__(self, address: SourceAddress, fps: float | None) -> None:
        self._address = address
        self._fps = fps
        self._socket: socket.socket | None = None
        self._ready: deque[SourceFrame] = deque()
        self._clock = StreamClock()
        self._stamped = False
        self.damaged = 0

    def open(self) -> SourceInfo:
        """Connect and wait for the first picture. Raises NotPlainMjpeg, SourceLost."""
        self._connect()
        until = time.monotonic() + OPEN_S
        while not self._ready:
            if time.monotonic() > until:
                raise self.lost("sends no pictures", "Check that it is switched on and set to MJPEG.")
            try:
                self._receive(0.5)
            except TimeoutError:
                continue
        detail = "MJPEG over HTTP, passed on as it comes"
        stamps = "stream" if self._stamped else "arrival"
        return SourceInfo(self._ready[0].size, self._fps, "network", stamps, detail)

    def read(self, timeout_s: float) -> SourceFrame:
        """The next good picture; damaged ones are counted in `damaged`."""
        until = time.monotonic() + timeout_s
        while not self._ready:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._receive(left)
        return self._ready.popleft()

    def close(self) -> None:
        """End the connection."""
        connection, self._socket = self._socket, None
        if connection is not None:
            with suppress(OSError):  # the other side may have been faster
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def lost(self, what: str, remedy: str) -> SourceLost:
        """An error about this camera."""
        return SourceLost(f"{self._address.shown} {what}", where=self._address.where or None, remedy=remedy)

    def _connect(self) -> None:
        url = urlsplit(self._address.text)
        until = time.monotonic() + OPEN_S
        try:
            self._socket = socket.create_connection((url.hostname or "", url.port or 80), timeout=OPEN_S)
            self._socket.sendall(_request(url))
            answer = bytearray()
            while b"\r\n\r\n" not in answer and len(answer) < LARGEST_HEADER and time.monotonic() < until:
                data = self._socket.recv(CHUNK)
                answer += data
                if not data:
                    break
            head, _, rest = bytes(answer).partition(b"\r\n\r\n")
            status, reason, headers = _answer(head)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self.lost(f"does not answer ({error or type(error).__name__})", _AWAKE) from None
        self._parser = MultipartParser(self._boundary(status, reason, headers))
        self._parse(rest, now_s())

    def _boundary(self, status: int, reason: str, headers: http.client.HTTPMessage) -> bytes:
        kind = headers.get("Content-Type", "").lower()
        digest = "digest" in headers.get("WWW-Authenticate", "").lower()
        if status in (301, 302, 303, 307, 308) or (status == 401 and digest):
            raise NotPlainMjpeg
        if status in (401, 403):
            raise self.lost(f"wants a name and a password ({status})", "Write http://name:password@host/…")
        if status != 200:
            raise self.lost(f"answers {status} {reason}", "Look up the path of its video in its manual.")
        if kind.startswith("text/html"):
            raise self.lost("is a web page, not a video", "Look up the address of its MJPEG or RTSP stream.")
        if kind.startswith("image/"):
            raise self.lost("is a single picture, not a video", "Look up the address of its MJPEG or RTSP stream.")
        boundary = boundary_of(headers.get("Content-Type", ""))
        if boundary is None or "multipart" not in kind or "chunked" in headers.get("Transfer-Encoding", "").lower():
            raise NotPlainMjpeg
        return boundary

    def _receive(self, timeout_s: float) -> None:
        connection = self._socket
        if connection is None:
            raise self.lost("was closed", _AWAKE)
        try:
            connection.settimeout(max(timeout_s, 0.001))
            data = connection.recv(CHUNK)
        except TimeoutError:
            raise
        except OSError as error:
            raise self.lost(f"broke off ({error})", _AWAKE) from None
        if not data:
            raise self.lost("ended the stream", _AWAKE)
        self._parse(data, now_s())

    def _parse(self, data: bytes, arrival_s: float) -> None:
        try:
            parts = self._parser.feed(data)
        except FileFormatError as error:
            raise self.lost(f"sends something else than pictures: {error.what}", _AWAKE) from None
        for part in parts:
            self._accept(part, arrival_s)

    def _accept(self, part: Part, arrival_s: float) -> None:
        try:
            picture = JpegPicture.of(part.body.removesuffix(b"\r\n"))
        except VideoError:
            self.damaged += 1
            return
        stamp_s = _stamp(part)
        self._stamped = stamp_s is not None
        time_s = arrival_s if stamp_s is None else self._clock.time_s(stamp_s, arrival_s)
        self._ready.append(SourceFrame(picture, time_s, stamp_s))


_AWAKE = "Check its power, network and address; it is tried again by itself."


def _request(url: SplitResult) -> bytes:
    """HTTP 1.0, so that nothing comes in chunks."""
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    lines = [f"GET {target} HTTP/1.0", f"Host: {host}:{url.port or 80}", "User-Agent: mocap", "Accept: */*"]
    if url.username is not None:
        word = f"{unquote(url.username)}:{unquote(url.password or '')}"
        lines.append("Authorization: Basic " + base64.b64encode(word.encode()).decode())
    return "\r\n".join([*lines, "", ""]).encode()


def _answer(head: bytes) -> tuple[int, str, http.client.HTTPMessage]:
    first, _, rest = head.partition(b"\r\n")
    words = first.decode("latin-1").split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        raise ValueError("the answer is not HTTP")
    return int(words[1]), words[2] if len(words) > 2 else "", http.client.parse_headers(io.BytesIO(rest + b"\r\n\r\n"))


def _stamp(part: Part) -> float | None:
    """Seconds; None where the camera says none."""
    for name in STAMPS:
        try:
            stamp = float(part.headers[name])
        except (KeyError, ValueError):
            continue
        if math.isfinite(stamp):
            return stamp
    return None
