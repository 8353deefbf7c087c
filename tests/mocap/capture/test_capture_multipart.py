"""Pictures out of a stream of bytes, however it is cut, and JPEGs measured without decoding."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocap.capture.jpeg import JpegPicture, jpeg_size
from mocap.capture.multipart import LARGEST_HEADER, MultipartParser, boundary_of
from mocap.core.errors import FileFormatError, VideoError

BODIES = (b"\xff\xd8one\xff\xd9", b"\xff\xd8\r\n\r\n--fram two\xff\xd9", b"\xff\xd8" + bytes(300) + b"\xff\xd9")


def stream(*, lengths: bool, newline: bytes = b"\r\n") -> bytes:
    data = b""
    for number, body in enumerate(BODIES):
        head = [b"--frame", b"Content-Type: image/jpeg", b"X-Timestamp: %d.5" % number]
        head += [b"Content-length: %d" % len(body)] if lengths else []
        data += newline.join(head) + 2 * newline + body + newline
    return data + b"--frame" + newline


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
@pytest.mark.parametrize("lengths", [True, False])
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 600), max_size=12))
def test_parts_come_out_however_the_bytes_are_cut(lengths, newline, cuts):
    data = stream(lengths=lengths, newline=newline)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parser = MultipartParser(b"frame")
    parts = [part for a, b in pairwise(edges) for part in parser.feed(data[a:b])]
    assert [part.body.removesuffix(newline) for part in parts] == list(BODIES)
    assert [part.headers["x-timestamp"] for part in parts] == ["0.5", "1.5", "2.5"]


def test_a_header_that_does_not_end_is_refused():
    with pytest.raises(FileFormatError, match="header of a picture does not end"):
        MultipartParser(b"frame").feed(b"--frame" + b"x" * 2 * LARGEST_HEADER)


def test_a_length_that_no_picture_has_is_refused():
    with pytest.raises(FileFormatError, match="too large"):
        MultipartParser(b"frame").feed(b"--frame\r\nContent-Length: 99999999999\r\n\r\n")


@pytest.mark.parametrize(
    ("text", "boundary"),
    [
        ("multipart/x-mixed-replace; boundary=frame", b"frame"),
        ('multipart/x-mixed-replace;boundary="--my frame"', b"my frame"),
        ("Multipart/x-mixed-replace; charset=x; Boundary=--b", b"b"),
        ("image/jpeg", None),
        ("multipart/x-mixed-replace; boundary=", None),
    ],
)
def test_boundaries_are_found(text, boundary):
    assert boundary_of(text) == boundary


@pytest.mark.parametrize("size", [(1, 1), (37, 19), (640, 360)])
@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_is_measured_without_decoding(size, progressive):
    image = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    picture = JpegPicture.of(data + b"rest" + bytes(7))
    assert picture.size == size
    assert picture.data == data
    decoded = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(picture.decoded(), decoded)


@given(data=st.binary(max_size=64))
@settings(max_examples=200, deadline=None)
def test_noise_is_no_jpeg_and_does_no_harm(data):
    jpeg_size(b"\xff\xd8" + data)
    jpeg_size(data)


def test_half_a_jpeg_is_refused():
    data = cv2.imencode(".jpg", np.zeros((90, 160, 3), np.uint8))[1].tobytes()
    with pytest.raises(VideoError, match="cut off"):
        JpegPicture.of(data[: len(data) // 2])
    with pytest.raises(VideoError, match="not a JPEG"):
        JpegPicture.of(b"hello")
