from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

from mocap.training.event_file import EventFile, crc32c, masked_crc32c
from mocap.training.metrics_log import MetricsLog

FROM_TENSORBOARD = (
    "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c",
    "3d000000000000006049f1ec09000000000000f83f10ac022a2f0a140a0d747261696e696e672f6c6f7373150000803e"
    "0a170a10747261696e696e672f6c61726765737415000060c050e4cc8e",
)
"""What tensorboard 2.21 writes of a file's version, and of two scalars of step 300, at 1.5 s."""


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_checksums_are_those_of_the_standard(data, expected):
    """RFC 3720, B.4, and the usual check value."""
    assert crc32c(data) == expected


def test_records_are_byte_for_byte_tensorboards(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1.5)
    events = EventFile(tmp_path, 1)
    events.add(300, {"training/loss": 0.25, "training/largest": -3.5})
    events.close()
    (path,) = tmp_path.glob("events.out.tfevents.*")
    version, _start, scalars = records(path)
    assert [version.hex(), scalars.hex()] == list(FROM_TENSORBOARD)


def test_a_resumed_log_says_from_which_step_on_older_rows_are_void(tmp_path):
    for last in (0, 41):
        log = MetricsLog(tmp_path, last)
        log.training(last + 1, {"loss": 1.0})
        log.validation(last + 1, {"error": 2.0})
        log.close()
    second = sorted(tmp_path.glob("events.out.tfevents.*"))[1]
    start = records(second)[1][12:-4]
    assert start[9:] == bytes([0x10, 42, 0x3A, 2, 0x08, 1])  # step 42; session_log { status: START }


def records(path: Path) -> list[bytes]:
    """Whole records, their checksums verified."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        record, data = data[: length + 16], data[length + 16 :]
        assert struct.unpack("<I", record[8:12])[0] == masked_crc32c(record[:8])
        assert struct.unpack("<I", record[-4:])[0] == masked_crc32c(record[12:-4])
        found.append(record)
    return found
