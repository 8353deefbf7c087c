"""Detection in segments: a killed run goes on, and what comes out does not tell where it was killed."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mocap.core.errors import FileFormatError, NoPersonError
from mocap.core.keypoints import Detections2D
from mocap.core.session import Take
from mocap.io.artefacts import DETECTION_ARRAYS, load_detections
from mocap.io.heatmap_file import open_heatmaps
from mocap.io.video import VideoReader, probe_video
from mocap.io.video_writer import VideoWriter, VideoWriterConfig
from mocap.models.blazepose import BlazePose
from mocap.models.detector import PersonInImage
from mocap.segmented_detection import SegmentStore, detect_in_segments, forget_parts, segments
from mocap.stages.detect import SETTLING_FRAMES, DetectConfig, DetectReport, detect_take
from real_frames import TREADMILL
from video_worlds import FAST, rewrap, truncated, write_counter_clip

N_FRAMES, LENGTH = 25, 5
STARTS = range(0, N_FRAMES, LENGTH)
CAMERAS = ("cam01", "cam03")
"""Two people in one, one in the other."""

CONFIG = DetectConfig(segment_frames=LENGTH)
Part = tuple[Detections2D, DetectReport]


def pictures(frames: int, *, borders: int) -> int:
    """Of all cameras: frames kept, and those before every border that were looked at to settle."""
    return (frames + borders * SETTLING_FRAMES) * len(CAMERAS)


def write_clip(source: Path, path: Path, seen: Callable[[int], bool] = lambda index: True) -> Path:
    """The first frames of a real video at half the size, with a keyframe every 6; black where nothing is seen."""
    config = VideoWriterConfig(gop=6, b_frames=2, preset="ultrafast", threads=1)
    with VideoReader(source) as reader, VideoWriter(path, (544, 960), 60.0, config) as writer:
        for frame in reader.frames(stop=N_FRAMES):
            writer.write(np.ascontiguousarray(frame.image[::2, ::2]) * np.uint8(seen(frame.index)))
    return rewrap(path, path.with_name(f"{path.stem}_front.mp4"), options={"movflags": "faststart"})


@pytest.fixture(scope="module")
def videos(shared_data: Path, blazepose_files, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("segments")
    return {name: write_clip(shared_data / TREADMILL[name], folder / f"{name}.mp4") for name in CAMERAS}


def found_in(videos: dict[str, Path], folder: Path, config: DetectConfig = CONFIG, key: str = "k", progress=None):
    return detect_in_segments(
        Take("take", folder, videos), config, store=SegmentStore(folder, key), threads=2, progress=progress
    )


@pytest.fixture(scope="module")
def uninterrupted(videos: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Part:
    return found_in(videos, tmp_path_factory.mktemp("uninterrupted"))


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the number of pictures at each call of the detector."""
    counts: list[int] = []
    real = BlazePose.detect

    def counted(self, images, cameras):
        counts.append(len(images))
        return real(self, images, cameras)

    monkeypatch.setattr(BlazePose, "detect", counted)
    return counts


def stop_at(frame: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        assert total == N_FRAMES
        if done == frame + 1:
            raise KeyboardInterrupt

    return progress


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def assert_same(part: Part, other: Part) -> None:
    for name in DETECTION_ARRAYS:
        np.testing.assert_array_equal(getattr(part[0], name), getattr(other[0], name), err_msg=name)
    assert (part[0].n_frames, part[0].cameras) == (other[0].n_frames, other[0].cameras)
    aside = {"ms_per_camera_frame", "heatmaps"}  # how long it took, and whether heatmaps were kept beside
    assert part[1].model_dump(exclude=aside) == other[1].model_dump(exclude=aside)


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(videos, uninterrupted, tmp_path, looked_at):
    with pytest.raises(KeyboardInterrupt):
        found_in(videos, tmp_path, progress=stop_at(12))
    assert sum(looked_at) == pictures(13, borders=2)
    assert files_below(tmp_path) == [f"detect.parts/k/{start}.{end}" for start in (0, 5) for end in ("h5", "json")]
    looked_at.clear()
    done: list[tuple[int, int]] = []
    part = found_in(videos, tmp_path, progress=lambda *frames: done.append(frames))
    assert done == [(frame + 1, N_FRAMES) for frame in range(10, N_FRAMES)]
    assert sum(looked_at) == pictures(N_FRAMES - 10, borders=3)
    assert_same(part, uninterrupted)
    looked_at.clear()
    assert_same(found_in(videos, tmp_path), uninterrupted)
    assert not looked_at, "everything was finished; only saving the whole was not"
    forget_parts(tmp_path)
    assert files_below(tmp_path) == []


def test_everybody_is_found_in_every_segment_and_nobody_has_an_id_twice(uninterrupted: Part):
    detections, report = uninterrupted
    people = {name: counts.people for name, counts in report.cameras.items()}
    assert people == {"cam01": 2 * N_FRAMES, "cam03": N_FRAMES}
    assert {name: counts.tracks for name, counts in report.cameras.items()} == {"cam01": 10, "cam03": 5}
    assert report.n_frames == N_FRAMES
    for camera, n_people in ((0, 2), (1, 1)):
        own = detections.select(detections.camera == camera)
        tracks = [set(own.track[own.frame // LENGTH == k].tolist()) for k in range(len(STARTS))]
        assert [len(ids) for ids in tracks] == [n_people] * len(STARTS)
        assert set.union(*tracks) == set(range(n_people * len(STARTS)))


def test_a_border_does_not_move_what_is_found(videos, uninterrupted, tmp_path):
    """The first picture behind a border is searched afresh: the crop differs, the points by a few px at most.

    Crops are about 480 px wide (a man of 380 px), their heatmap cells 7.5 px; a finding from another crop of the same
    person agrees to a fraction of a cell in the median.
    """
    whole, _ = found_in(videos, tmp_path, DetectConfig(segment_frames=N_FRAMES))
    parts, _ = uninterrupted
    np.testing.assert_array_equal(whole.frame, parts.frame)
    both = (whole.confidence > 0.5) & (parts.confidence > 0.5)
    distance = np.linalg.norm(whole.xy - parts.xy, axis=-1)
    assert both.mean() > 0.5
    assert np.median(distance[both]) < 2.0


def test_one_segment_is_the_take_in_one_go_and_writes_nothing(videos, tmp_path):
    config = DetectConfig(segment_frames=N_FRAMES)
    part = found_in(videos, tmp_path, config)
    assert files_below(tmp_path) == []
    assert_same(part, detect_take(Take("take", tmp_path, videos), config, threads=2))


@pytest.mark.slow
def test_a_damaged_tail_is_told_once(videos, tmp_path, looked_at):
    """Cam03 ends in the fourth segment; the last one has nothing of it."""
    cut = {**videos, "cam03": truncated(videos["cam03"], tmp_path / "cut.mp4", 0.75)}
    n_good = probe_video(cut["cam03"]).n_readable
    assert 15 < n_good < 20
    detections, report = found_in(cut, tmp_path / "parts")
    whole = detect_take(Take("take", tmp_path, cut), DetectConfig(), threads=2)[1]
    n_good = report.cameras["cam03"].frames
    assert report.videos == whole.videos
    assert report.sentences == whole.sentences
    (sentence,) = report.sentences
    assert f"{n_good} of {N_FRAMES} frames are good; the first one missing is frame {n_good}" in sentence
    assert detections.frame[detections.camera == 1].max() == n_good - 1
    assert detections.frame[detections.camera == 0].max() == N_FRAMES - 1


@pytest.mark.slow
def test_a_take_may_begin_empty_but_not_be_empty(shared_data, tmp_path, blazepose_files):
    source = shared_data / TREADMILL["cam03"]
    late = {"a": write_clip(source, tmp_path / "late.mp4", lambda index: index >= 17)}
    detections, report = found_in(late, tmp_path / "late")
    assert detections.frame.min() == 17
    assert report.sentences == ("a: nobody was found in 17 of 25 frames",)
    never = {"a": write_clip(source, tmp_path / "never.mp4", lambda index: False)}
    with pytest.raises(NoPersonError, match="nobody was found in any of the 25 frames of a"):
        found_in(never, tmp_path / "never")


@pytest.mark.slow
def test_parts_of_other_keys_go_and_broken_ones_are_made_again(videos, uninterrupted, tmp_path, looked_at):
    with pytest.raises(KeyboardInterrupt):
        found_in(videos, tmp_path, key="old", progress=stop_at(6))
    with pytest.raises(KeyboardInterrupt):
        found_in(videos, tmp_path, progress=stop_at(17))
    parts = tmp_path / "detect.parts"
    assert [folder.name for folder in parts.iterdir()] == ["k"]
    (parts / "k" / "0.h5").write_bytes(b"not HDF5")
    (parts / "k" / "5.json").write_text("{")
    looked_at.clear()
    assert_same(found_in(videos, tmp_path), uninterrupted)
    assert sum(looked_at) == pictures(10 + N_FRAMES - 15, borders=3)


def test_people_do_not_pile_up(videos, tmp_path):
    """Alive at any time: the rows of one segment, and no segment's detections but the latest."""
    most = {PersonInImage: 0, Detections2D: 0}

    def progress(done: int, total: int) -> None:
        for kind in most:
            most[kind] = max(most[kind], n_alive(kind))

    gc.freeze()  # what is alive already, of other tests too, is not counted, nor looked at again and again
    try:
        found_in(videos, tmp_path, progress=progress)
    finally:
        gc.unfreeze()
    # Three people in 5 frames; those of the latest picture exist with and without heatmaps.
    assert 3 * LENGTH <= most[PersonInImage] <= 3 * LENGTH + 3
    assert most[Detections2D] <= 2


def n_alive(kind: type) -> int:
    return sum(type(thing) is kind for thing in gc.get_objects())


# --- heatmaps ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_heatmaps_belong_to_the_rows_of_the_detections(videos, uninterrupted, tmp_path):
    detections, _ = found_in(videos, tmp_path, CONFIG.model_copy(update={"keep_heatmaps": True}))
    for name in DETECTION_ARRAYS:
        np.testing.assert_array_equal(getattr(detections, name), getattr(uninterrupted[0], name), err_msg=name)
    rows = list(zip(detections.frame.tolist(), detections.camera.tolist(), detections.track.tolist(), strict=True))
    cells = []
    with open_heatmaps(tmp_path / "heatmaps") as heatmaps:
        for frame, camera in sorted({row[:2] for row in rows}):
            assert [(frame, camera, t) for t in heatmaps.tracks(frame, camera)] == [
                row for row in rows if row[:2] == (frame, camera)
            ]
        for n in np.random.default_rng(2).permutation(len(rows))[:40]:
            maps, px_from_heatmap = heatmaps.read(*rows[n])
            assert (maps.shape, maps.dtype, px_from_heatmap.shape) == ((39, 64, 64), np.float16, (2, 3))
            peak = np.stack(np.unravel_index(maps[:33].reshape(33, -1).argmax(1), (64, 64))[::-1], axis=1)
            px = peak @ px_from_heatmap[:, :2].T + px_from_heatmap[:, 2]
            cell_px = np.linalg.norm(px_from_heatmap[:, 0])
            sure = detections.confidence[n] > 0.8
            cells.append(np.linalg.norm(px - detections.xy[n], axis=1)[sure] / cell_px)
        with pytest.raises(FileFormatError, match="no heatmaps of track 99 in frame 0 of camera 1"):
            heatmaps.read(0, 1, 99)
    # Points are centroids of 7x7 cells around what the network says, so most lie within two cells of the maximum.
    assert np.median(np.concatenate(cells)) < 2


def test_no_heatmaps_no_file(videos, tmp_path):
    with pytest.raises(FileFormatError, match="no heatmaps. Run with --set detect.keep_heatmaps=true"):
        open_heatmaps(tmp_path / "heatmaps")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are others on Windows")
def test_a_kill_leaves_nothing_that_counts(videos, uninterrupted, tmp_path, looked_at):
    """SIGKILL, which no clean-up survives, in the third segment, while its heatmaps are being written."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from mocap.core.session import Take\n"
        "from mocap.segmented_detection import SegmentStore, detect_in_segments\n"
        "from mocap.stages.detect import DetectConfig\n"
        "folder, a, b = map(Path, sys.argv[1:])\n"
        "def progress(done, total):\n"
        "    print(done, flush=True)\n"
        "    time.sleep(60 if done == 13 else 0)\n"
        "detect_in_segments(Take('take', folder, {'cam01': a, 'cam03': b}),\n"
        "    DetectConfig(segment_frames=5, keep_heatmaps=True), store=SegmentStore(folder, 'k'), progress=progress)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-c", program, str(tmp_path), *map(str, videos.values())]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=Path.home())
    assert process.stdout is not None
    assert any(line.strip() == "13" for line in process.stdout)
    process.kill()
    process.communicate(timeout=10)
    heatmaps = tmp_path / "heatmaps"
    assert sorted(f.name for f in heatmaps.iterdir() if not f.name.endswith(".part")) == ["0.h5", "5.h5"]
    assert any(f.name.endswith(".part") for f in heatmaps.iterdir()), "the kill came too late to be of interest"
    config = CONFIG.model_copy(update={"keep_heatmaps": True})
    assert_same(found_in(videos, tmp_path, config), uninterrupted)
    assert sum(looked_at) == pictures(N_FRAMES - 10, borders=3)
    assert sorted(f.name for f in heatmaps.iterdir()) == sorted(f"{start}.h5" for start in STARTS)
    rows = load_detections(tmp_path / "detect.parts" / "k" / "5.h5")
    with open_heatmaps(heatmaps) as kept:
        assert kept.tracks(5, 0) == tuple(rows.track[(rows.frame == 5) & (rows.camera == 0)].tolist())
    found_in(videos, tmp_path, DetectConfig(segment_frames=N_FRAMES), key="other")
    assert list(heatmaps.iterdir()) == []


# --- borders -------------------------------------------------------------------------------------------------------


def test_borders_are_regular_where_keyframes_are_near(tmp_path):
    info = probe_video(write_counter_clip(tmp_path / "near.mp4", 60))
    assert segments({"a": info}, 60, 25) == [range(0, 25), range(25, 50), range(50, 60)]
    assert segments({"a": info}, 60, 60) == segments({"a": info}, 60, 600) == [range(0, 60)]
    assert segments({"a": info}, 0, 600) == [range(0, 0)]


def test_borders_are_rarer_where_decoding_would_have_to_go_back_far(tmp_path):
    """With one keyframe only, each segment's detour is its start: at most three times the segment before it."""
    config = FAST.model_copy(update={"gop": 1000})
    far = probe_video(write_counter_clip(tmp_path / "far.mp4", 100, config=config))
    near = probe_video(write_counter_clip(tmp_path / "near.mp4", 100))
    spans = segments({"near": near, "far": far}, 100, 8)
    assert [span.start for span in spans] == [0, 8, 16, 24, 40, 64, 96]
    assert sum(span.start for span in spans) <= 3 * 100
    cut = probe_video(truncated(rewrap(tmp_path / "far.mp4", tmp_path / "f.mkv"), tmp_path / "cut.mkv", 0.3))
    assert cut.n_readable < 40
    assert segments({"near": near, "cut": cut}, 100, 40) == [range(0, 40), range(40, 80), range(80, 100)]
