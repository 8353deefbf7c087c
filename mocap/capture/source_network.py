"""Cameras of the network: MJPEG over HTTP as it comes, all else through FFmpeg."""

from __future__ import annotations

import socket
from dataclasses import replace
from urllib.parse import urlsplit

from mocap.capture.address import SourceAddress
from mocap.capture.av_stream import AvStream
from mocap.capture.http_mjpeg import HttpMjpeg, NotPlainMjpeg
from mocap.capture.source import SourceFrame, SourceInfo, SourceLost
from mocap.core.session import SessionCamera

PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443, "tcp": None}
"""Schemes that connect to a port of the camera, and the usual one."""
OTHERS = ("udp", "rtp", "srt")
REACH_S = 4.0


class NetworkSource:
    """The address of a stream. `close` by another thread takes effect within the stream's time-out."""

    def __init__(self, address: SourceAddress, camera: SessionCamera) -> None:
        self._address = address
        self._fps = camera.fps
        self._size = camera.size
        self._url = urlsplit(address.text)
        self._stream: HttpMjpeg | AvStream | None = None
        known = (*PORTS, *OTHERS)
        if self._url.scheme.lower() not in known:
            raise address.refused(f"{self._url.scheme}:// cannot be read", f"Known: {', '.join(known)}.")

    def open(self) -> SourceInfo:
        """Connect and wait for the first picture. Raises SourceLost with what is wrong."""
        self._reach()
        if self._url.scheme.lower() == "http":
            try:
                return self._opened(HttpMjpeg(self._address, self._fps))
            except NotPlainMjpeg:
                self.close()
        return self._opened(AvStream(self._address, self._fps))

    def read(self, timeout_s: float) -> SourceFrame:
        """The next good picture. Raises TimeoutError when none came in time, SourceLost when the stream broke off."""
        if self._stream is None:
            raise self._lost("is closed", "")
        return self._stream.read(timeout_s)

    def close(self) -> None:
        """Hang up; by another thread, it takes effect within the stream's time-out."""
        stream = self._stream
        if stream is not None:
            stream.close()

    def _opened(self, stream: HttpMjpeg | AvStream) -> SourceInfo:
        self._stream = stream
        info = stream.open()
        if self._size in (None, info.size):
            return info
        wanted, has = (f"{width}x{height}" for width, height in (self._size, info.size))
        return replace(info, detail=f"{info.detail}; it sends {has} instead of {wanted}: set that in the camera itself")

    def _reach(self) -> None:
        """Say plainly what is wrong where nobody answers, which FFmpeg does not."""
        scheme = self._url.scheme.lower()
        port = self._url.port or PORTS.get(scheme)
        host = self._url.hostname or ""
        if port is None or scheme in OTHERS:
            return
        try:
            socket.create_connection((host, port), timeout=REACH_S).close()
        except socket.gaierror:
            raise self._lost(f"names a host {host!r} that nobody knows", "Correct the name, or write its IP.") from None
        except ConnectionRefusedError:
            raise self._lost(
                f"is refused: nothing listens at port {port} of {host}", "Start the camera's stream; check the port."
            ) from None
        except OSError as error:
            reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
            raise self._lost(
                f"cannot be reached ({reason})", "Check that the camera is on and in the same network."
            ) from None

    def _lost(self, what: str, remedy: str) -> SourceLost:
        return SourceLost(f"{self._address.shown} {what}", where=self._address.where or None, remedy=remedy)
