"""Network cameras for tests, in a process of their own: MJPEG over HTTP and H.264 over RTSP, of test pictures.

`python tests/stream_server.py --cameras 4 --size 1280x720 --fps 30` prints one line of JSON with the ports when it
serves, then http://127.0.0.1:PORT/cam1.mjpg … and rtsp://127.0.0.1:RTSP_PORT/cam1 …; it ends with its standard input.
The picture of number n is taken `n / fps` after `start_s` of `time.monotonic()`, which all processes of a machine
share. With ?damage=N, N pictures arrive cut in half. Lines on standard input change what it does:

    stall SECONDS     nothing is sent, then what was missed is lost
    drop COUNT        as many pictures are left out
    cut               every connection breaks
    refuse 0|1        new connections are answered with 503
    die               the process ends
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import av
import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RING = 90
"""Pictures that are compressed once and sent over and over, so that serving costs next to nothing. The number in a
picture is therefore n modulo RING."""


@dataclass
class Faults:
    """What goes wrong at the moment."""

    stalled_until_s: float = 0.0
    drop: int = 0
    refuse: bool = False
    generation: int = 0


class Camera:
    """What all cameras send, and when."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.faults = Faults()
        self.start_s = time.monotonic()
        self.jpegs: list[bytes] = []
        self._h264: list[bytes] = []
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Compress the ring, from the pattern or the file."""
        for image in self.images():
            done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
            assert done
            self.jpegs.append(data.tobytes())
        self.start_s = time.monotonic()

    def h264(self) -> list[bytes]:
        """The ring as H.264 that can be sent over and over; a keyframe every half second."""
        with self._lock:
            if not self._h264:
                context = av.CodecContext.create("libx264", "w")
                context.width, context.height = map(int, self.options.size.split("x"))
                context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 30)
                context.options = {"preset": "ultrafast", "tune": "zerolatency"}
                context.gop_size, context.thread_count = 15, 1
                for image in (*self.images(), None):
                    frame = None if image is None else av.VideoFrame.from_ndarray(image, format="rgb24")
                    self._h264 += [bytes(packet) for packet in context.encode(frame)]
            return self._h264

    def images(self) -> Iterator[np.ndarray]:
        """The pictures of the ring."""
        from mocap.capture.counter_picture import CounterPicture

        if self.options.file:
            with av.open(self.options.file) as container:
                for number, frame in enumerate(container.decode(video=0)):
                    if number == self.options.ring:
                        return
                    yield frame.to_ndarray(format="rgb24")
            return
        width, height = map(int, self.options.size.split("x"))
        picture = CounterPicture((width, height))
        yield from (picture.at(number) for number in range(self.options.ring))

    def numbers(self) -> Iterator[int]:
        """Each when it is to be sent; those that nobody could take in time are lost."""
        fps, delay = self.options.fps, random.Random(1)
        number = int((time.monotonic() - self.start_s) * fps) + 1
        while True:
            due = self.start_s + number / fps
            if self.options.delay_ms:
                due += delay.expovariate(1e3 / self.options.delay_ms)
            due = max(due, self.faults.stalled_until_s)
            time.sleep(max(0.0, due - time.monotonic()))
            if time.monotonic() - (self.start_s + number / fps) > 0.5:
                number = int((time.monotonic() - self.start_s) * fps) + 1
                continue
            if self.faults.drop > 0:
                self.faults.drop -= 1
            else:
                yield number
            number += 1

    def stamp(self, number: int) -> float:
        """What the camera's own clock says of a picture."""
        return self.options.clock_offset_s + (1 + 1e-6 * self.options.drift_ppm) * number / self.options.fps


def http_server(camera: Camera) -> ThreadingHTTPServer:
    """Serves every path that ends in .mjpg; others as web page, as redirect, with a password, or not at all."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            if camera.faults.refuse:
                return self.send_error(503)
            if self.path == "/":
                return self.answer("text/html", b"<html>a camera</html>")
            if self.path == "/shot.jpg":
                return self.answer("image/jpeg", camera.jpegs[0])
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/cam1.mjpg")
                return self.end_headers()
            if self.path.startswith("/secret") and not self.headers.get("Authorization", "").endswith("dXNlcjpwYXNz"):
                return self.send_error(401)
            if ".mjpg" not in self.path:
                return self.send_error(404)
            with suppress(OSError):  # the other side may leave
                self.stream()
            return None

        def answer(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=--frame")
            self.end_headers()
            faults, generation = camera.faults, camera.faults.generation
            n_damaged = int(self.path.partition("damage=")[2] or 0)
            for sent, number in enumerate(camera.numbers()):
                if faults.generation != generation:
                    return
                data = camera.jpegs[number % len(camera.jpegs)]
                if 10 <= sent < 10 + n_damaged:
                    data = data[: len(data) // 2]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n"
                if camera.options.stamps:
                    head += f"X-Timestamp: {camera.stamp(number):.6f}\r\n"
                self.wfile.write(head.encode() + b"\r\n" + data + b"\r\n")

    server = ThreadingHTTPServer(("127.0.0.1", camera.options.port), Handler)
    server.daemon_threads = True
    return server


class RtpPackets:
    """A file that FFmpeg's RTP writer writes to: one packet at a time, sent within the RTSP connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, data: bytes) -> int:
        channel = 1 if 192 <= data[1] <= 223 else 0  # RTCP beside RTP
        self._connection.sendall(b"$" + struct.pack(">BH", channel, len(data)) + bytes(data))
        return len(data)


def serve_rtsp(camera: Camera, listener: socket.socket) -> None:
    """Accept players, each in a thread."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_rtsp_session, args=(camera, connection), daemon=True).start()


def _rtsp_session(camera: Camera, connection: socket.socket) -> None:
    try:
        with connection, connection.makefile("rb") as requests:
            while request := _rtsp_request(requests):
                method, url, sequence = request
                if camera.faults.refuse or not url.rstrip("/").split("/")[3].startswith("cam"):
                    connection.sendall(f"RTSP/1.0 404 Not Found\r\nCSeq: {sequence}\r\n\r\n".encode())
                    return
                connection.sendall(_rtsp_answer(method, url, sequence))
                if method == "PLAY":
                    _play_h264(camera, connection)
                    return
    except (OSError, av.error.FFmpegError, av.error.PyAVCallbackError):
        pass  # the other side has left


def _rtsp_request(requests: IO[bytes]) -> tuple[str, str, str] | None:
    first, sequence = requests.readline().decode().split(), "0"
    if len(first) < 2:
        return None
    while (line := requests.readline().decode().strip()) != "":
        key, _, value = line.partition(":")
        sequence = value.strip() if key.lower() == "cseq" else sequence
    return first[0], first[1], sequence


def _rtsp_answer(method: str, url: str, sequence: str) -> bytes:
    head, body = f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n", ""
    if method == "OPTIONS":
        head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
    elif method == "DESCRIBE":
        body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
        body += "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n"
        head += f"Content-Type: application/sdp\r\nContent-Base: {url}/\r\nContent-Length: {len(body)}\r\n"
    elif method == "SETUP":
        head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
    else:
        head += "Session: 1\r\n"
    return (head + "\r\n" + body).encode()


def _play_h264(camera: Camera, connection: socket.socket) -> None:
    faults, generation = camera.faults, camera.faults.generation
    pictures, rate = camera.h264(), Fraction(camera.options.fps).limit_denominator(1001)
    width, height = map(int, camera.options.size.split("x"))
    with av.open(RtpPackets(connection), "w", format="rtp", options={"packetsize": "1400"}, buffer_size=65536) as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.thread_count = width, height, "yuv420p", 1
        for number in camera.numbers():
            if faults.generation != generation:
                return
            packet = av.Packet(pictures[number % len(pictures)])
            packet.stream, packet.time_base = stream, 1 / rate
            packet.pts = packet.dts = number
            out.mux(packet)


def obey(camera: Camera) -> None:
    """Carry out the lines of standard input until it ends."""
    for line in sys.stdin:
        word, _, value = line.strip().partition(" ")
        faults = camera.faults
        match word:
            case "stall":
                faults.stalled_until_s = time.monotonic() + float(value)
            case "drop":
                faults.drop = int(value)
            case "cut":
                faults.generation += 1
            case "refuse":
                faults.refuse = value == "1"
            case "die":
                os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--ring", type=int, default=RING)
    parser.add_argument("--file", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stamps", type=int, default=1, help="0: send no X-Timestamp")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="mean of an exponential delay of each picture")
    parser.add_argument("--clock-offset-s", type=float, default=1000.0)
    parser.add_argument("--drift-ppm", type=float, default=0.0)
    sys.path[:0] = [str(ROOT)]
    camera = Camera(parser.parse_args())
    camera.prepare()
    http, listener = http_server(camera), socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=http.serve_forever, daemon=True).start()
    threading.Thread(target=serve_rtsp, args=(camera, listener), daemon=True).start()
    ports = {"port": http.server_address[1], "rtsp_port": listener.getsockname()[1], "start_s": camera.start_s}
    print(json.dumps(ports), flush=True)
    obey(camera)


class StreamServer:
    """The process, from a test's side."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, float]) -> None:
        self.process = process
        self.port = int(ready["port"])
        self.rtsp_port = int(ready["rtsp_port"])
        self.start_s = float(ready["start_s"])

    def http(self, path: str = "cam1.mjpg") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def rtsp(self, path: str = "cam1") -> str:
        return f"rtsp://127.0.0.1:{self.rtsp_port}/{path}"

    def tell(self, line: str) -> None:
        """Give it a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@contextmanager
def stream_server(**options: object) -> Iterator[StreamServer]:
    """Serve while the block runs; options as of the command line, e.g. size="320x180", fps=50."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__)), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    try:
        yield StreamServer(process, json.loads(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    main()
