from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from mocap.io.file_clock import creation_date, read_file_clock, timecode_s

MADE, APPLES = "creation_time", "com.apple.quicktime.creationdate"
FILM, NTSC = Fraction(25), Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("code", "rate", "seconds"),
    [
        ("00:00:01:05", FILM, 1.2),
        ("10:00:00:00", FILM, 36000.0),
        # SMPTE's own example: after ten minutes of drop frame 17982 frames have passed.
        ("00:10:00;00", NTSC, 17982 * 1001 / 30000),
        ("00:01:00;02", NTSC, 1800 * 1001 / 30000),
        ("00:01:00:00", NTSC, 1800 * 1001 / 30000),
    ],
)
def test_timecodes_count_as_smpte_has_it(code, rate, seconds):
    assert timecode_s(code, rate) == pytest.approx(seconds)


def test_what_is_no_timecode_is_none():
    assert timecode_s("soon", FILM) is None


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ([{MADE: "2024-05-17T09:30:15.000000Z"}], "2024-05-17T09:30:15+00:00"),
        ([{MADE: "2024-05-17T09:30:15"}], "2024-05-17T09:30:15+00:00"),
        # A phone's own tag has the time zone, its streams are stamped when the file was closed.
        (
            [{MADE: "2024-05-17T09:31:00Z"}, {APPLES: "2024-05-17T11:30:15+0200"}],
            "2024-05-17T11:30:15+02:00",
        ),
        ([{MADE: "1904-01-01T00:00:00Z"}, {MADE: "2024-05-17T09:30:15Z"}], "2024-05-17T09:30:15+00:00"),
        ([{"date": "2024-05-17"}, {MADE: "1970-01-01T00:00:00Z"}, {MADE: "soon"}], None),
    ],
)
def test_the_date_of_a_recording_is_the_first_that_makes_sense(said, wanted):
    found = creation_date(*said)
    assert (None if found is None else found.isoformat()) == wanted


def test_a_file_tells_when_it_was_made(tmp_path):
    path = tmp_path / "cam.mov"
    with av.open(str(path), "w") as container:
        container.metadata["creation_time"] = "2024-05-17T09:30:15.000000Z"
        container.metadata["timecode"] = "01:02:03:10"
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clock = read_file_clock(path)
    assert clock.created_s == 1715938215.0
    assert clock.timecode_s == pytest.approx(3723.4)
