"""The table of times and the mark of a recording on a disk that takes no more for a moment."""

from __future__ import annotations

import errno
import os

import pytest

from mocap.capture import recording_files
from mocap.capture.recording_files import RecordingMarker, RecordingPlace, TimesLog
from mocap.capture.source import Scene


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_times_that_found_the_disk_full_are_written_when_there_is_room(tmp_path, monkeypatch):
    log = TimesLog(tmp_path / "timestamps.csv")
    put = log._file._put

    def half(at: int, data: bytes) -> None:
        put(at, data[: len(data) // 2])
        raise full()

    log.add("cam1", 0, 0.5)
    log.flush()
    log.add("cam1", 1, 0.75)
    monkeypatch.setattr(log._file, "_put", half)
    with pytest.raises(OSError, match="No space"):
        log.flush()
    log.add("cam2", 0, 0.8)
    monkeypatch.setattr(log._file, "_put", put)
    log.close()
    lines = (tmp_path / "timestamps.csv").read_text().splitlines()
    assert lines[1:] == ["cam1,0,0.500000", "cam1,1,0.750000", "cam2,0,0.800000"]


def test_times_that_never_find_room_leave_whole_rows(tmp_path, monkeypatch):
    log = TimesLog(tmp_path / "timestamps.csv")
    log.add("cam1", 0, 0.5)
    log.flush()
    log.add("cam1", 1, 0.75)
    put = log._file._put

    def half(at: int, data: bytes) -> None:
        put(at, data[: len(data) // 2])
        raise full()

    monkeypatch.setattr(log._file, "_put", half)
    with pytest.raises(OSError, match="No space"):
        log.close()
    assert (tmp_path / "timestamps.csv").read_text().splitlines()[1:] == ["cam1,0,0.500000"]


def test_a_mark_that_cannot_be_made_is_not_left_behind(tmp_path, monkeypatch):
    place = RecordingPlace.of(tmp_path / "takes" / "walk", Scene("take", take="walk"))

    def refused(_) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as patch:
        patch.setattr(recording_files, "_lock", refused)
        with pytest.raises(OSError, match="[Ll]ocks"):
            RecordingMarker(place, ("cam1",), 0.0)
    assert not place.marker.exists()
    RecordingMarker(place, ("cam1",), 0.0).remove()
