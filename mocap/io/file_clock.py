"""When a file says that it was recorded: the time of day in its metadata, and the timecode of cameras that have one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from mocap.io.video_probe import open_video

TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d+)")
DROP_FROM = Fraction(29)
NAMES = ("com.apple.quicktime.creationdate", "creation_time", "date")
EARLIEST = 1990
"""Cameras whose clock was never set say 1904 or 1970: that is no date."""


@dataclass(frozen=True)
class FileClock:
    """created_s: seconds since 1970 (UTC), to the second, as the device's clock had it; phones write the start, some
    cameras the end. timecode_s: of the first frame since midnight, to the frame, where cameras were set alike."""

    created_s: float | None = None
    timecode_s: float | None = None


def read_file_clock(path: str | Path) -> FileClock:
    """Both are None where the file says nothing, or nonsense."""
    with open_video(Path(path)) as (container, stream):
        said = [container.metadata, stream.metadata, *(s.metadata for s in container.streams)]
        rate = Fraction(stream.average_rate or stream.guessed_rate or 0)
    created = creation_date(*said)
    code = next((table["timecode"] for table in said if table.get("timecode")), None)
    return FileClock(
        None if created is None else created.timestamp(), timecode_s(code, rate) if code and rate else None
    )


def creation_date(*said: Mapping[str, str]) -> datetime | None:
    """When a recording was made, by the metadata of its container and streams; UTC where no time zone is told. A day
    without a time of day is none."""
    for name in NAMES:
        for table in said:
            text = table.get(name, "").strip()
            try:
                when = datetime.fromisoformat(text)
            except ValueError:
                continue
            if when.year >= EARLIEST and ":" in text:
                return when if when.tzinfo else when.replace(tzinfo=UTC)
    return None


def timecode_s(code: str, rate: Fraction) -> float | None:
    """Seconds since midnight of HH:MM:SS:FF at a frame rate; None for what is no timecode.

    At 29.97 and 59.94 frames a second, HH:MM:SS;FF leaves out the first 2 (4) numbers of every minute but each tenth
    (SMPTE ST 12-1), and HH:MM:SS:FF counts on, 0.1 % slow.
    """
    match = TIMECODE.fullmatch(code.strip())
    if match is None:
        return None
    hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
    whole = round(rate)
    count = (3600 * hours + 60 * minutes + seconds) * whole + frames
    if match[4] in ";." and rate.denominator != 1 and rate > DROP_FROM:
        past = 60 * hours + minutes
        count -= (whole // 15) * (past - past // 10)
    return float(count / rate)
