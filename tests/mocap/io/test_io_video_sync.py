"""Cameras in lock-step: the right frames together, holes where a camera fails, and threads that end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mocap.core.errors import VideoError
from mocap.io.video import SynchronizedReader
from video_worlds import counter_of, rewrap, truncated, with_ruined_packet, write_counter_clip

N_FRAMES = 40


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sync")
    whole = write_counter_clip(folder / "b.mp4", N_FRAMES)
    front = rewrap(whole, folder / "front.mp4", options={"movflags": "faststart"})
    return {
        "b": whole,
        "a": write_counter_clip(folder / "a.mkv", N_FRAMES),
        "c": write_counter_clip(folder / "c.mp4", N_FRAMES - 9),
        "front": front,
        "cut": truncated(front, folder / "cut.mp4", 0.6),
        "hole": with_ruined_packet(front, folder / "hole.mp4", 14),
    }


def picked(clips: dict[str, Path], *names: str) -> dict[str, Path]:
    return {name: clips[name] for name in names}


def shown(reader: SynchronizedReader) -> list[dict[str, int | None]]:
    rows = []
    for position, (index, images) in enumerate(reader):
        assert index == position
        rows.append({name: None if image is None else counter_of(image) for name, image in images.items()})
    return rows


@pytest.mark.parametrize("queue_length", [1, 3])
def test_all_cameras_show_the_same_frame(clips: dict[str, Path], queue_length: int):
    before = threading.active_count()
    reader = SynchronizedReader(picked(clips, "b", "a", "front"), queue_length=queue_length)
    rows = shown(reader)
    assert rows == [{"b": i, "a": i, "front": i} for i in range(N_FRAMES)]
    assert list(rows[0]) == ["b", "a", "front"]
    assert reader.report is not None
    assert reader.report.sentences == ()
    assert threading.active_count() == before


def test_it_ends_with_the_shortest_video_and_says_so(clips: dict[str, Path]):
    reader = SynchronizedReader(picked(clips, "a", "b", "c"))
    assert len(shown(reader)) == len(reader) == N_FRAMES - 9
    assert reader.report is not None
    assert reader.report.lengths == {"a": 40, "b": 40, "c": 31}
    assert reader.report.sentences == ("the videos differ in length (a 40, b 40, c 31 frames); the first 31 are used",)
    assert all(camera.complete for camera in reader.report.cameras.values())


def test_a_cut_off_camera_is_absent_while_the_others_go_on(clips: dict[str, Path]):
    reader = SynchronizedReader(picked(clips, "a", "cut"))
    rows = shown(reader)
    assert [row["a"] for row in rows] == list(range(N_FRAMES))
    given = [row["cut"] for row in rows]
    last = max(i for i in given if i is not None)
    assert 10 < last < N_FRAMES - 5
    assert given == [i if i <= last else None for i in range(N_FRAMES)]
    assert reader.report is not None
    (sentence,) = reader.report.sentences
    assert sentence.startswith("cut: ")
    assert f"{last + 1} of 40 frames are good; the first one missing is frame {last + 1}" in sentence


def test_a_hole_is_a_hole_and_not_a_shift(clips: dict[str, Path]):
    rows = shown(SynchronizedReader(picked(clips, "hole", "b")))
    assert all(row["b"] == i for i, row in enumerate(rows))
    missing = [i for i, row in enumerate(rows) if row["hole"] is None]
    assert 0 < len(missing) < 12
    assert all(row["hole"] in (i, None) for i, row in enumerate(rows))
    assert rows[24]["hole"] == 24


def test_where_all_cameras_are_cut_off_it_ends(clips: dict[str, Path], tmp_path: Path):
    other = truncated(clips["front"], tmp_path / "other.mp4", 0.4)
    reader = SynchronizedReader({"cut": clips["cut"], "other": other})
    rows = shown(reader)
    assert rows[-1]["cut"] == len(rows) - 1
    assert rows[-1]["other"] is None


def test_extra_turns_are_per_camera(clips: dict[str, Path], tmp_path: Path):
    lying = write_counter_clip(tmp_path / "lying.mp4", 3, transform=lambda image: np.rot90(image, 1))
    reader = SynchronizedReader({"lying": lying, "a": clips["a"]}, rotations={"lying": 90})
    assert shown(reader) == [{"lying": i, "a": i} for i in range(3)]


def test_a_failing_consumer_ends_the_threads_at_once(clips: dict[str, Path]):
    before = threading.active_count()
    with SynchronizedReader(picked(clips, "a", "b")) as reader, pytest.raises(RuntimeError, match="enough"):
        for index, _ in reader:
            if index == 5:
                raise RuntimeError("enough")
    started = time.perf_counter()
    reader.close()
    assert threading.active_count() == before
    assert time.perf_counter() - started < 1.0


def test_closing_the_iterator_ends_the_threads(clips: dict[str, Path]):
    before = threading.active_count()
    pairs = iter(SynchronizedReader(picked(clips, "a", "b"), queue_length=1))
    next(pairs)
    assert threading.active_count() == before + 2
    started = time.perf_counter()
    pairs.close()
    # A thread that waits for room in its queue looks every 0.1 s whether it is still wanted.
    assert time.perf_counter() - started < 1.0
    assert threading.active_count() == before


def test_what_a_decoding_thread_raises_reaches_the_consumer(tmp_path: Path):
    paths = {name: write_counter_clip(tmp_path / f"{name}.mp4", 20) for name in ("a", "b")}
    reader = SynchronizedReader(paths)
    paths["b"].unlink()
    before = threading.active_count()
    with pytest.raises(VideoError, match="b.mp4: cannot be read"):
        list(reader)
    assert threading.active_count() == before


def test_it_may_be_iterated_again(clips: dict[str, Path]):
    reader = SynchronizedReader(picked(clips, "a", "b"))
    assert shown(reader) == shown(reader)


def test_queues_are_short(clips: dict[str, Path]):
    """A slow consumer does not let pictures pile up: 2 in each queue, one in hand, one more waiting to be put."""
    pairs = iter(SynchronizedReader(picked(clips, "a"), queue_length=2))
    _, first = next(pairs)
    time.sleep(0.3)
    (worker,) = [t for t in threading.enumerate() if t.name.startswith("decode a")]
    assert worker.is_alive()
    assert worker._target.__self__._queue.qsize() <= 2  # type: ignore[attr-defined]
    assert first["a"] is not None
    pairs.close()


def test_no_videos():
    with pytest.raises(VideoError, match="at least one video"):
        SynchronizedReader({})


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are others on Windows")
def test_an_interrupt_ends_it_within_a_second(clips: dict[str, Path]):
    program = (
        "import sys, time\n"
        "from mocap.io.video import SynchronizedReader\n"
        "for index, images in SynchronizedReader({'a': sys.argv[1], 'b': sys.argv[2]}, queue_length=1):\n"
        "    print(index, flush=True)\n"
        "    time.sleep(0.2)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    command = [sys.executable, "-c", program, str(clips["a"]), str(clips["b"])]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path.home()
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "0"
    process.send_signal(signal.SIGINT)
    started = time.perf_counter()
    _, errors = process.communicate(timeout=10)
    assert time.perf_counter() - started < 1.5
    assert "KeyboardInterrupt" in errors


@pytest.mark.slow
def test_the_real_take(shared_data: Path):
    demo = shared_data / "pose2sim" / "HEAD" / "Demo_SinglePerson" / "videos"
    blender = shared_data / "pose2sim_blender" / "Examples"
    videos = {
        "cam01": blender / "cam01_cut.mp4",
        "cam02": blender / "cam02_cut.mp4",
        "cam03": demo / "cam03.mp4",
        "cam04": demo / "cam04.mp4",
    }
    n_frames = 0
    reader = SynchronizedReader(videos)
    for _, images in reader:
        n_frames += 1
        assert all(image is not None and image.shape == (1920, 1088, 3) for image in images.values())
    assert n_frames == 100
    assert reader.report is not None
    assert reader.report.sentences == ()


def test_an_interrupt_between_the_starts_of_the_threads_stays_an_interrupt(clips: dict[str, Path], monkeypatch):
    """Ctrl-C comes when it wants; a thread that was never started cannot be joined."""
    before, start, started = threading.active_count(), threading.Thread.start, []

    def start_one(thread: threading.Thread) -> None:
        if started:
            raise KeyboardInterrupt
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    with pytest.raises(KeyboardInterrupt), SynchronizedReader(picked(clips, "a", "b", "c")) as reader:
        list(reader)
    assert threading.active_count() == before
