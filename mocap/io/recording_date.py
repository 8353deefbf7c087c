"""When a file was recorded: what its container says, else the date of the file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import av
from av.error import FFmpegError

from mocap.io.file_clock import creation_date

SAME_DAY = timedelta(hours=12)
"""Recordings so close are of one day, though midnight may lie between them."""


@dataclass(frozen=True)
class RecordingDate:
    """when: in the local time zone. sure: the recording itself says so; else it is the date of the file, which copying
    may have changed."""

    when: datetime
    sure: bool

    @property
    def day(self) -> str:
        """As 2026-11-22."""
        return self.when.date().isoformat()

    def same_day(self, other: RecordingDate) -> bool:
        """Whether both are of one calendar day, or hours apart."""
        return self.when.date() == other.when.date() or abs(self.when - other.when) < SAME_DAY


def recording_date(path: Path) -> RecordingDate | None:
    """Of one file or folder of images; None where there is none."""
    said = None if path.is_dir() else _creation_time(path)
    if said is not None:
        return RecordingDate(said, sure=True)
    try:
        return RecordingDate(datetime.fromtimestamp(path.stat().st_mtime).astimezone(), sure=False)
    except OSError:
        return None


def earliest_date(paths: Iterable[Path]) -> RecordingDate | None:
    """Of several files of one recording: the first of those that say when they were recorded, else of the files."""
    found = [date for path in paths for date in [recording_date(path)] if date is not None]
    sure = [date for date in found if date.sure]
    return min(sure or found, key=lambda date: date.when, default=None)


def _creation_time(path: Path) -> datetime | None:
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            said = [container.metadata, *(stream.metadata for stream in container.streams)]
    except (FFmpegError, OSError, ValueError):
        return None
    when = creation_date(*said)
    return None if when is None else when.astimezone()
