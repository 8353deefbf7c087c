"""Readers: what comes, what is dropped and counted, what happens when a source ends, stalls or fails."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from mocap.capture.counter_picture import CounterPicture, read_number
from mocap.capture.reader import CameraReader, ReaderConfig
from mocap.capture.rig import CaptureRig
from mocap.capture.source import Scene, SourceFrame, SourceInfo, SourceLost, open_source
from mocap.core.errors import InputError
from mocap.core.session import Session, SessionCamera

WAIT_S = 20.0


class ScriptedSource:
    """Each opening plays the next list of steps: a frame, or an exception to raise; after the last it gives nothing."""

    def __init__(self, *runs: list, waits: bool = False) -> None:
        self.runs = list(runs)
        self.waits = waits
        self.steps: list = []
        self.opened = 0

    def open(self) -> SourceInfo:
        self.opened += 1
        self.steps = list(self.runs.pop(0)) if self.runs else []
        if self.steps and self.steps[0] == "refuse":
            raise SourceLost("does not answer", where="camera a", remedy="Switch it on.")
        return SourceInfo((64, 16), 30.0, "scripted", "hardware", waits=self.waits)

    def read(self, timeout_s: float) -> SourceFrame:
        if not self.steps:
            time.sleep(min(timeout_s, 0.01))
            raise TimeoutError
        step = self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step

    def close(self) -> None:
        self.steps = []


def frame(number: int, fps: float = 30.0) -> SourceFrame:
    return SourceFrame(np.zeros((16, 64, 3), np.uint8), time.monotonic() + number / fps, number / fps, number)


def until(condition, timeout_s: float = WAIT_S) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


@pytest.fixture
def reading():
    readers = []

    def start(source, **config) -> CameraReader:
        reader = CameraReader("a", source, config=ReaderConfig(**{"retry_s": 0.01, **config}))
        readers.append(reader)
        return reader

    yield start
    for reader in readers:
        reader.close()


def test_pictures_arrive_in_order_and_are_counted(reading):
    reader = reading(ScriptedSource([frame(i) for i in range(20)]))
    queue = reader.subscribe(64)
    reader.start()
    taken = [queue.get(WAIT_S) for _ in range(20)]
    assert [picture.number for picture in taken if picture is not None] == list(range(20))
    status = reader.statistics()
    assert (status.received, status.delivered, status.dropped_queue, status.lost_source) == (20, 20, 0, 0)


def test_what_finds_the_queue_full_is_dropped_and_counted(reading):
    reader = reading(ScriptedSource([frame(i) for i in range(20)]))
    queue = reader.subscribe(4)
    reader.start()
    until(lambda: reader.statistics().received == 20)
    assert [queue.get(0.0).number for _ in range(4)] == [0, 1, 2, 3]
    assert queue.get(0.0) is None
    assert (queue.received, queue.delivered, queue.dropped) == (20, 4, 16)
    reader.unsubscribe(queue)
    assert reader.statistics().dropped_queue == 16


def test_a_source_that_can_wait_loses_nothing(reading):
    reader = reading(ScriptedSource([frame(i) for i in range(50)], waits=True))
    reader.start()
    until(lambda: reader.latest() is not None)
    queue = reader.subscribe(2)
    taken = [queue.get(WAIT_S).number for _ in range(50)]
    assert taken == list(range(50))
    assert queue.dropped == 0


def test_gaps_in_a_sources_own_numbers_are_losses(reading):
    numbers = [0, 1, 2, 5, 6, 10]
    reader = reading(ScriptedSource([frame(i) for i in numbers]))
    reader.start()
    until(lambda: reader.statistics().received == len(numbers))
    assert reader.statistics().lost_source == 2 + 3


def test_gaps_in_steady_stamps_are_losses(reading):
    stamps = [i / 25 for i in (*range(12), 15, 16, 17)]
    frames = [SourceFrame(np.zeros((16, 64, 3), np.uint8), 100 + stamp, stamp) for stamp in stamps]
    reader = reading(ScriptedSource(frames))
    reader.start()
    until(lambda: reader.statistics().received == len(frames))
    assert reader.statistics().lost_source == 3


def test_a_camera_that_slows_down_in_the_dark_has_lost_nothing(reading):
    stamps = np.concatenate([np.arange(20) / 30, 20 / 30 + np.arange(20) / 15])
    frames = [SourceFrame(np.zeros((16, 64, 3), np.uint8), 100 + stamp, stamp) for stamp in stamps.tolist()]
    reader = reading(ScriptedSource(frames))
    reader.start()
    until(lambda: reader.statistics().received == len(frames))
    assert reader.statistics().lost_source == 0


def test_a_camera_that_dies_is_reported_and_tried_again(reading):
    lost = SourceLost("the stream broke off", where="camera a", remedy="Check the network.")
    source = ScriptedSource([frame(0), frame(1), lost], ["refuse"], ["refuse"], [frame(0), frame(1), frame(2)])
    reader = reading(source, retry_s=0.1)
    queue = reader.subscribe()
    reader.start()
    until(lambda: reader.state == "lost")
    status = reader.statistics()
    assert "the stream broke off" in status.message
    assert "Check the network." in status.message
    assert status.lost_at_s is not None
    until(lambda: reader.statistics().received == 5)
    assert reader.state == "live"
    assert reader.statistics().reconnects == 1
    assert reader.statistics().message == ""
    assert [queue.get(0.0).number for _ in range(5)] == [0, 1, 0, 1, 2]


def test_a_silent_camera_is_lost(reading):
    reader = reading(ScriptedSource([frame(0)]), silence_s=0.05, retry_s=10)
    reader.start()
    until(lambda: reader.state == "lost")
    assert "gives no picture for 0.05 s" in reader.statistics().message


def test_a_camera_that_blocks_its_reader_is_lost_all_the_same(reading):
    source = ScriptedSource([frame(0)])
    read, hold = source.read, threading.Event()

    def blocking(timeout_s: float) -> SourceFrame:
        if not source.steps:
            hold.wait(WAIT_S)
        return read(timeout_s)

    source.read = blocking
    reader = reading(source, silence_s=0.1)
    reader.start()
    until(lambda: reader.latest() is not None)
    until(lambda: reader.statistics().state == "lost")
    assert "gives no picture for 0.1 s" in reader.statistics().message
    assert reader.statistics().lost_at_s == reader.latest().time_s
    hold.set()


def test_a_fault_of_a_source_does_not_end_its_thread(reading):
    reader = reading(ScriptedSource([frame(0), ZeroDivisionError("oops")], [frame(0)]))
    reader.start()
    until(lambda: reader.statistics().received == 2)
    assert reader.statistics().reconnects == 1


def test_the_pattern_keeps_its_rate_and_carries_its_number(reading, tmp_path):
    source = open_source(SessionCamera("a", "pattern:320x180@50?limit=30"), tmp_path)
    reader = reading(source)
    queue = reader.subscribe()
    reader.start()
    taken = [queue.get(WAIT_S) for _ in range(30)]
    assert [read_number(picture.image) for picture in taken] == [picture.number for picture in taken]
    times = np.array([picture.time_s for picture in taken])
    np.testing.assert_allclose(np.diff(times) * 50, np.diff([picture.number for picture in taken]), atol=1e-6)
    until(lambda: reader.state == "ended")


@pytest.mark.parametrize("size", [(64, 16), (333, 77), (1280, 720)])
@pytest.mark.parametrize("number", [0, 1, 0b101010101010101010101010, 2**24 - 1])
def test_numbers_survive_in_pictures_of_any_size(size, number):
    image = CounterPicture(size).at(number)
    assert image.shape == (size[1], size[0], 3)
    assert read_number(image) == number


def test_a_picture_without_a_number_has_none():
    assert read_number(np.full((90, 160, 3), 120, np.uint8)) is None


def rig_of(tmp_path, **sources: str) -> CaptureRig:
    cameras = tuple(SessionCamera(name, source) for name, source in sources.items())
    return CaptureRig(Session(root=tmp_path, cameras=cameras), config=ReaderConfig(retry_s=0.05))


def test_one_camera_that_fails_does_not_stop_the_others(tmp_path):
    with rig_of(tmp_path, a="pattern:64x48@100", b="file:nothing.mp4", c="pattern:64x48@100") as rig:
        assert rig.wait_until_live(1.0) == ("b",)
        queue = rig.readers["c"].subscribe()
        assert queue.get(WAIT_S) is not None
        a, b, c = rig.status()
        assert (a.state, b.state, c.state) == ("live", "lost", "live")
        assert "nothing.mp4" in b.message
    assert {status.state for status in rig.status()} == {"closed"}


def test_a_rig_without_any_source_says_what_to_write(tmp_path):
    with pytest.raises(InputError, match="no camera of the session has a source") as error:
        CaptureRig(Session(root=tmp_path, cameras=(SessionCamera("a"),)))
    assert 'source = "usb:0"' in str(error.value)


def test_a_scene_starts_together(tmp_path):
    with rig_of(tmp_path, a="pattern:64x48@100") as rig:
        before = time.monotonic()
        start = rig.set_scene(Scene("take", take="walk"))
        assert start > before
