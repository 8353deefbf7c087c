"""Cameras of the network: real streams of a process of the test, and everything that goes wrong with them."""

from __future__ import annotations

import socket
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mocap.capture.counter_picture import CounterPicture, read_number
from mocap.capture.reader import CameraReader, ReaderConfig
from mocap.capture.source import CameraSource, SourceFrame, SourceLost, open_source
from mocap.core.errors import InputError
from mocap.core.session import SessionCamera
from stream_server import RING, StreamServer, stream_server

FPS = 30.0
WAIT_S = 30.0


@pytest.fixture(scope="module")
def server():
    with stream_server(size="160x90", fps=FPS, delay_ms=5) as server:
        yield server


def source_of(address: str) -> CameraSource:
    return open_source(SessionCamera("a", address), Path())


def taken(source: CameraSource, count: int) -> list[SourceFrame]:
    source.open()
    try:
        return [source.read(WAIT_S) for _ in range(count)]
    finally:
        source.close()


def late_s(server: StreamServer, frames: list[SourceFrame]) -> np.ndarray:
    """(N,) by how much each time is after the moment that the picture itself tells (its number counts modulo RING)."""
    number = np.array([read_number(frame.image) for frame in frames], float)
    shown = np.array([frame.time_s - server.start_s for frame in frames]) * FPS
    return (shown - number - RING * np.round((shown - number) / RING)) / FPS


@pytest.fixture
def reading():
    readers = []

    def start(address: str, **config) -> CameraReader:
        reader = CameraReader("a", source_of(address), config=ReaderConfig(**{"retry_s": 0.05, **config}))
        readers.append(reader)
        reader.start()
        return reader

    yield start
    for reader in readers:
        reader.close()


def until(condition) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def test_mjpeg_comes_as_it_was_sent_with_its_stamps(server):
    frames = taken(source_of(server.http()), 45)
    assert {(frame.size, frame.codec) for frame in frames} == {((160, 90), "mjpeg")}
    assert all(frame.packet.startswith(b"\xff\xd8") for frame in frames)
    stamps = np.array([frame.stamp_s for frame in frames])
    np.testing.assert_allclose(np.diff(stamps) * FPS, np.round(np.diff(stamps) * FPS), atol=1e-3)
    # A picture is never stamped before it was taken, and after half a second of pictures the least of 15 delays of
    # 5 ms is known; the machine that runs both ends adds what it is busy with.
    late = late_s(server, frames)
    assert late.min() > -1e-4
    assert np.median(late[15:]) < 0.015


def test_h264_over_rtsp_knows_when_pictures_were_taken(server):
    source = source_of(server.rtsp())
    info = source.open()
    frames = [source.read(WAIT_S) for _ in range(30)]
    source.close()
    assert (info.size, info.stamps) == ((160, 90), "stream")
    assert frames[0].packet is None
    assert frames[0].video_frame.format.name == "yuv420p"
    late = late_s(server, frames)
    assert late.min() > -1e-4
    assert np.median(late[15:]) < 0.7 / FPS  # without care for how FFmpeg waits it would be more than one picture


def _send_transport_stream(port: int, began: list[float], count: int) -> None:
    """H.264 in MPEG-TS by UDP, as encoders of video mixers send it."""
    picture, rate = CounterPicture((160, 90)), Fraction(round(FPS))
    with av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts", options={"flush_packets": "1"}) as out:
        stream = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 90, "yuv420p", 10
        began.append(time.monotonic())
        for number in range(count):
            time.sleep(max(0.0, began[0] + number / FPS - time.monotonic()))
            frame = av.VideoFrame.from_ndarray(picture.at(number % RING), format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            out.mux(stream.encode(frame))


def test_a_transport_stream_knows_when_pictures_were_taken():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began: list[float] = []
    sender = threading.Thread(target=_send_transport_stream, args=(port, began, 90))
    sender.start()
    frames = taken(source_of(f"udp://@:{port}"), 20)
    sender.join()
    shown = np.array([(frame.time_s - began[0]) * FPS - (read_number(frame.image) or 0) for frame in frames])
    assert shown.min() > -0.01  # a stamp counts 1/90000 s
    assert np.median(shown) < 0.7  # FFmpeg hands pictures out two later


def test_a_redirect_is_followed_by_ffmpeg(server):
    source = source_of(server.http("moved"))
    info = source.open()
    frame = source.read(WAIT_S)
    source.close()
    assert (info.stamps, frame.codec, frame.size) == ("arrival", "mjpeg", (160, 90))


def test_a_camera_without_stamps_gets_arrival_times():
    with stream_server(size="333x77", fps=FPS, stamps=0) as server:
        source = source_of(server.http())
        before = time.monotonic()
        info = source.open()
        frame = source.read(WAIT_S)
        source.close()
    assert (info.stamps, info.size, frame.image.shape) == ("arrival", (333, 77), (77, 333, 3))
    assert frame.stamp_s is None
    assert before < frame.time_s < time.monotonic()


def test_another_size_than_asked_is_told(server):
    source = open_source(SessionCamera("a", server.http(), size=(640, 480)), Path())
    assert "sends 160x90 instead of 640x480: set that in the camera itself" in source.open().detail
    source.close()


def test_a_password_is_sent_and_never_shown(server):
    address = server.http("secret.mjpg")
    with pytest.raises(SourceLost, match="wants a name and a password"):
        source_of(address).open()
    assert taken(source_of(address.replace("//", "//user:pass@")), 1)
    with pytest.raises(SourceLost) as error:
        source_of(address.replace("//", "//user:wrong1@")).open()
    assert "wrong1" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("", "is a web page, not a video"),
        ("shot.jpg", "is a single picture, not a video"),
        ("none", "answers 404"),
        ("none.html", "look up the path of its video"),
    ],
)
def test_a_wrong_path_says_what_to_do(server, path, what):
    with pytest.raises(SourceLost, match=f"(?i){what}"):
        source_of(server.http(path)).open()


def test_a_wrong_rtsp_path_says_what_to_do(server):
    with pytest.raises(SourceLost, match="is not there"):
        source_of(server.rtsp("nothing")).open()


def test_a_password_is_not_shown_by_ffmpeg_either():
    with socket.create_server(("127.0.0.1", 0)) as hasty:
        port = hasty.getsockname()[1]
        source = source_of(f"rtsp://me:p@ss@127.0.0.1:{port}/x")
        threading.Thread(target=lambda: [hasty.accept()[0].close() for _ in range(3)], daemon=True).start()
        with pytest.raises(SourceLost) as error:
            source.open()
    assert "p@ss" not in str(error.value)
    assert "ss@" not in str(error.value)


def test_nobody_at_the_port_says_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SourceLost, match=f"nothing listens at port {port}"):
        source_of(f"rtsp://127.0.0.1:{port}/x").open()


def test_someone_who_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr("mocap.capture.http_mjpeg.OPEN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(SourceLost, match="does not answer"):
        source_of(f"http://127.0.0.1:{mute.getsockname()[1]}/x.mjpg").open()


@pytest.mark.parametrize("address", ["ftp://host/x", "rtsp://", "http://host:99999/x", "gopher", "usb", "concat://a|b"])
def test_an_address_nobody_understands_is_refused_before_anything_starts(address):
    with pytest.raises(InputError, match="camera a"):
        source_of(address)


def test_a_stall_is_seen_and_its_pictures_are_counted_as_lost(server, reading):
    reader = reading(server.http(), silence_s=0.3)
    until(lambda: reader.statistics().received > 12)
    server.tell("drop 3")
    until(lambda: reader.statistics().lost_source >= 3)
    server.tell("stall 1.0")
    until(lambda: reader.state == "lost")
    assert "gives no picture for 0.3 s" in reader.statistics().message
    until(lambda: reader.state == "live")
    assert reader.statistics().reconnects >= 1


def test_a_broken_connection_is_made_again(server, reading):
    reader = reading(server.http())
    until(lambda: reader.state == "live")
    server.tell("refuse 1")
    server.tell("cut 1")
    until(lambda: reader.state == "lost" and "answers 503" in reader.statistics().message)
    before = reader.statistics().received
    server.tell("refuse 0")
    until(lambda: reader.statistics().received > before)
    status = reader.statistics()
    assert (status.state, status.reconnects) == ("live", 1)


def test_damaged_pictures_are_left_out(server):
    frames = taken(source_of(server.http("cam1.mjpg?damage=4")), 14)
    steps = np.diff([read_number(frame.image) for frame in frames]) % RING
    assert steps.min() >= 1
    assert steps[9] >= 5


def test_a_camera_that_dies_does_not_stop_another(server, reading):
    other = reading(server.http())
    with stream_server(size="64x48", fps=FPS) as mortal:
        reader = reading(mortal.rtsp(), silence_s=1.0)
        until(lambda: reader.state == "live")
        mortal.tell("die")
        until(lambda: reader.state == "lost")
    received = other.statistics().received
    until(lambda: other.statistics().received > received + 5)
    assert other.state == "live"
    assert reader.statistics().lost_at_s is not None
