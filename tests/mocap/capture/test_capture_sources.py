"""Sources that play what is on disk: which pictures come, at which times, and what is said where none can come."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from mocap.capture import source_file
from mocap.capture.address import parse_address
from mocap.capture.counter_picture import CounterPicture, read_number
from mocap.capture.frame_queue import FrameQueue
from mocap.capture.jpeg import JpegPicture
from mocap.capture.reader import CameraReader, ReaderConfig
from mocap.capture.rig import SCENE_LEAD_S, CaptureRig
from mocap.capture.source import Scene, SceneSource, SourceEnded, SourceFrame, SourceLost, SourceRefused, open_source
from mocap.core.errors import InputError
from mocap.core.session import Session, SessionCamera
from mocap.io.video_probe import probe_video
from mocap.io.video_writer import VideoWriter, VideoWriterConfig

SIZE = (160, 90)
WAIT_S = 20.0


def write_clip(path: Path, count: int, *, fps: float = 50.0, first: int = 0, rotation: int = 0) -> None:
    config = VideoWriterConfig(preset="ultrafast", crf=10, b_frames=0, rotation=rotation, threads=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = CounterPicture(SIZE)
    with VideoWriter(path, SIZE, fps, config) as writer:
        for number in range(first, first + count):
            writer.write(picture.at(number))


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_clip(path, 12)
    return path


def all_of(source, limit: int = 1000) -> list[SourceFrame]:
    frames = []
    while len(frames) < limit:
        try:
            frames.append(source.read(WAIT_S))
        except SourceEnded:
            break
    return frames


def opened(address: str, root: Path = Path(), name: str = "a"):
    source = open_source(SessionCamera(name, address), root)
    return source, source.open()


def test_a_file_played_fast_gives_every_picture_at_its_own_time(clip):
    source, info = opened(f"file:{clip.name}?pace=fast", clip.parent)
    frames = all_of(source)
    assert (info.size, info.fps, info.waits) == (SIZE, 50.0, True)
    assert [read_number(frame.image) for frame in frames] == list(range(12))
    times = np.array([frame.time_s for frame in frames])
    np.testing.assert_allclose(np.diff(times), 1 / 50, atol=2e-5)  # a tick of the file's clock is 11 µs
    source.close()


def test_a_file_in_real_time_shows_nothing_before_its_moment(clip):
    source, info = opened(f"file:{clip}")
    frames = []
    for _ in range(12):
        frames.append(source.read(WAIT_S))
        assert time.monotonic() >= frames[-1].time_s
    assert not info.waits
    with pytest.raises(SourceEnded):
        source.read(0.1)
    source.close()


def test_a_file_that_loops_begins_again_without_a_jump_in_time(clip):
    source, _ = opened(f"file:{clip}?pace=fast&loop=1")
    frames = all_of(source, 30)
    assert [read_number(frame.image) for frame in frames] == [number % 12 for number in range(30)]
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 1 / 50, atol=2e-5)
    source.close()


def test_a_turned_file_comes_upright(tmp_path):
    write_clip(tmp_path / "turned.mp4", 2, rotation=90)
    source, info = opened("file:turned.mp4?pace=fast", tmp_path)
    frame = source.read(WAIT_S)
    assert info.size == frame.size == (90, 160)
    assert read_number(np.ascontiguousarray(np.rot90(frame.image))) == 0
    source.close()


def test_a_file_starts_again_for_a_scene_and_the_reader_wakes(clip):
    reader = CameraReader("a", open_source(SessionCamera("a", f"file:{clip}?pace=fast"), Path()))
    reader.start()
    try:
        for _ in range(2):
            start_s = time.monotonic() + 0.05
            reader.set_scene(Scene("take"), start_s=start_s)
            queue = reader.subscribe(4)
            frames = [queue.get(WAIT_S) for _ in range(12)]
            assert [read_number(frame.image) for frame in frames] == list(range(12))
            assert frames[0].time_s == pytest.approx(start_s)
            assert queue.dropped == 0
            reader.unsubscribe(queue)
        assert reader.scene_seconds(Scene("take")) == pytest.approx(12 / 50)
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("content", "what"), [(None, "cannot be read"), (b"", "is empty"), (b"hello", "is not a video|text or a still")]
)
def test_a_file_that_is_no_video_says_so(tmp_path, content, what):
    if content is not None:
        (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(SourceRefused, match=what):
        opened("file:x.mp4", tmp_path)


def write_images(folder: Path, count: int, suffix: str) -> None:
    folder.mkdir(exist_ok=True)
    picture = CounterPicture(SIZE)
    for number in range(count):
        cv2.imwrite(str(folder / f"image{number}{suffix}"), cv2.cvtColor(picture.at(number), cv2.COLOR_RGB2BGR))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_pictures_of_a_folder_come_in_natural_order(tmp_path, suffix):
    write_images(tmp_path / "shots", 12, suffix)
    (tmp_path / "shots" / "notes.txt").write_text("not a picture")
    source, info = opened("images:shots?fps=10&pace=fast", tmp_path)
    frames = all_of(source)
    assert (info.size, info.fps) == (SIZE, 10.0)
    assert [read_number(frame.image) for frame in frames] == list(range(12))
    assert {frame.codec for frame in frames} == {"mjpeg" if suffix == ".jpg" else None}
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 0.1, atol=1e-9)
    source.close()


def test_a_picture_that_is_damaged_or_of_another_size_leaves_a_gap(tmp_path):
    write_images(tmp_path / "shots", 5, ".png")
    (tmp_path / "shots" / "image1.png").write_bytes(b"damaged")
    cv2.imwrite(str(tmp_path / "shots" / "image3.png"), np.zeros((8, 8, 3), np.uint8))
    source, _ = opened("images:shots?pace=fast", tmp_path)
    assert [frame.number for frame in all_of(source)] == [0, 2, 4]
    source.close()


def test_a_folder_without_pictures_says_so(tmp_path):
    with pytest.raises(SourceRefused, match="holds no pictures. It may hold files of .bmp"):
        opened(f"images:{tmp_path}")
    with pytest.raises(SourceRefused, match="is not a folder of pictures"):
        opened("images:nothing", tmp_path)


EXPOSED_S = np.array([0.0, 0.021, 0.021, 0.06, 0.081, 0.1])
"""True exposure times of six written pictures: uneven, one lost after the third, the third a repetition."""
REPEATED = np.array([False, False, True, False, False, False])


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory) -> Path:
    """A session like `mocap synth` makes: two cameras, a take with truth, calibration clips without."""
    root = tmp_path_factory.mktemp("rigs") / "rig"
    for name in ("cam1", "cam2"):
        write_clip(root / "takes" / "walk" / "video" / f"{name}.mp4", 6)
        write_clip(root / "takes" / "run" / "video" / f"{name}.mp4", 3, first=40)
        write_clip(root / "calibration" / "extrinsics" / f"{name}.mp4", 3, first=50)
        write_clip(root / "calibration" / "intrinsics" / f"{name}.mp4", 3, first=60)
    truth = {f"view.{name}.time_s": EXPOSED_S + shift for name, shift in (("cam1", 0.0), ("cam2", 0.004))}
    truth |= {f"view.{name}.repeated": REPEATED for name in ("cam1", "cam2")}
    np.savez(root / "takes" / "walk" / "truth.npz", **truth)
    return root


def played(synthetic: Path, scene: Scene) -> dict[str, list[tuple[int, float]]]:
    """(number, time after the scene's start) of what each camera shows of a scene; empty pictures left out."""
    cameras = tuple(SessionCamera(name, "synth:rig") for name in ("cam1", "cam2"))
    rig = CaptureRig(Session(root=synthetic.parent, cameras=cameras), config=ReaderConfig(queue_length=200))
    with rig:
        assert rig.wait_until_live(WAIT_S) == ()
        start_s = rig.set_scene(scene)
        queues = {name: reader.subscribe() for name, reader in rig.readers.items()}
        time.sleep(SCENE_LEAD_S + 0.3)
    shown: dict[str, list[tuple[int, float]]] = {}
    for name, queue in queues.items():
        frames = iter(lambda q=queue: q.get(0.0), None)
        numbered = [(read_number(frame.image), frame.time_s - start_s) for frame in frames]
        assert np.all(np.diff([moment for _, moment in numbered]) > 0)
        shown[name] = [(number, moment) for number, moment in numbered if number is not None]
    return shown


def test_a_synthetic_take_comes_at_its_true_exposures_from_one_start(synthetic):
    shown = played(synthetic, Scene("take", take="walk"))
    for name, shift in (("cam1", 0.0), ("cam2", 0.004)):
        assert [number for number, _ in shown[name]] == [0, 1, 3, 4, 5]
        np.testing.assert_allclose([t for _, t in shown[name]], EXPOSED_S[~REPEATED] + shift, atol=1e-6)


@pytest.mark.parametrize(
    ("scene", "first"),
    [
        (Scene("extrinsics"), {"cam1": 50, "cam2": 50}),
        (Scene("intrinsics", camera="cam2"), {"cam2": 60}),
        (Scene("take", take="run_03"), {"cam1": 40, "cam2": 40}),
        (Scene("floor"), {}),
    ],
)
def test_every_scene_has_the_clip_that_belongs_to_it(synthetic, scene, first):
    shown = played(synthetic, scene)
    assert {name: numbers[0][0] for name, numbers in shown.items() if numbers} == first


def test_who_opens_a_camera_anew_meets_the_scene_that_plays(synthetic):
    source, _ = opened("synth:rig", synthetic.parent, "cam1")
    source.set_scene(Scene("take", take="walk"), start_s=time.monotonic() + 0.5)
    source.close()
    source.open()
    numbers = [read_number(source.read(WAIT_S).image) for _ in range(40)]
    source.close()
    assert [number for number in numbers if number is not None] == [0, 1, 3, 4, 5]


def test_lengths_of_scenes_are_known_beforehand(synthetic):
    source, _ = opened("synth:rig", synthetic.parent, "cam1")
    assert source.scene_seconds(Scene("extrinsics")) == pytest.approx(3 / 50)
    assert source.scene_seconds(Scene("floor")) is None
    source.close()


def test_a_synthetic_camera_may_have_another_name(synthetic):
    _, info = opened("synth:rig?camera=cam2", synthetic.parent, "left")
    assert info.detail == "camera cam2 of rig"


def test_a_camera_that_the_synthetic_session_lacks_is_refused(synthetic, tmp_path):
    with pytest.raises(SourceRefused, match="holds no video of camera left"):
        opened("synth:rig", synthetic.parent, "left")
    with pytest.raises(SourceRefused, match="no such|not a session|is not"):
        opened("synth:nothing", tmp_path)


def test_times_come_from_the_file_where_the_truth_does_not_fit(synthetic, tmp_path):
    shutil.copytree(synthetic, tmp_path / "rig")
    (tmp_path / "rig" / "takes" / "walk" / "truth.npz").write_bytes(b"damaged")
    shown = played(tmp_path / "rig", Scene("take", take="walk"))
    np.testing.assert_allclose([t for _, t in shown["cam1"]], np.arange(6) / 50, atol=2e-5)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("camera1", "is not an address"),
        ("file:", "says no place"),
        ("file:x.mp4?speed=2", "there is no option 'speed'. Options of file: pace, loop"),
        ("file:x.mp4?pace=slow", "pace=slow is not known. Give one of real, fast"),
        ("images:x?fps=-3", "fps=-3 is not a positive number"),
        ("pattern:big", "is not a size"),
        ("pattern:10x10", "too small"),
        ("pattern:640x480@0.01", "cannot be made"),
    ],
)
def test_an_address_that_makes_no_sense_says_what_does(text, what):
    with pytest.raises(InputError, match=what) as error:
        open_source(SessionCamera("a", text), Path())
    assert "camera a" in str(error.value)


def test_passwords_are_not_shown():
    assert parse_address("rtsp://me:secret@host/x").shown == "rtsp://me:…@host/x"
    assert parse_address("rtsp://host:554/x@y").shown == "rtsp://host:…@y", "rather too little"
    options = "http://host/video.cgi?user=me&pwd=secret&Token=abc&size=2"
    assert parse_address(options).shown == "http://host/video.cgi?user=me&pwd=…&Token=…&size=2"
    with pytest.raises(InputError, match="write %40 for @") as error:
        parse_address("rtsp://me:sec/ret@host/x")
    assert "sec" not in str(error.value)


def picture_as(kind: str) -> SourceFrame:
    image = CounterPicture((320, 180)).at(7)
    if kind == "jpeg":
        data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
        return SourceFrame(JpegPicture.of(data), 0.0)
    return SourceFrame(image if kind == "array" else VideoFrame.from_ndarray(image, format="rgb24"), 0.0)


def test_many_threads_may_look_at_one_picture():
    """The converter that a decoder's picture carries with it is not for two threads at once: they hang."""
    frame = VideoFrame.from_ndarray(CounterPicture((320, 180)).at(7), format="rgb24").reformat(format="yuv420p")
    shared = [SourceFrame(frame, 0.0) for _ in range(4)]

    def look(number: int) -> bool:
        picture = shared[number % 4]
        picture.preview(40 + number)
        return read_number(picture.image) == 7

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, range(200)))


@pytest.mark.parametrize("kind", ["array", "video", "jpeg"])
def test_a_picture_is_the_same_in_whatever_form_it_came(kind):
    frame = picture_as(kind)
    assert frame.size == (320, 180)
    for width, size in ((160, (90, 160, 3)), (100, (56, 100, 3)), (5000, (180, 320, 3))):
        assert frame.preview(width).shape == size
    assert read_number(frame.image) == 7
    assert frame.preview(160).shape == (90, 160, 3)
    assert (frame.video_frame.width, frame.video_frame.height) == (320, 180)
    assert np.abs(frame.image.astype(int) - CounterPicture((320, 180)).at(7)).mean() < 3
    assert (frame.packet is not None) == (kind == "jpeg")


@pytest.mark.parametrize("address", ["file:clip.mp4?loop=1", "images:shots?loop=1", "synth:rig", "pattern:160x90@50"])
def test_a_closed_source_shows_nothing_for_a_scene_until_it_is_opened_again(synthetic, tmp_path, address):
    shutil.copytree(synthetic, tmp_path / "rig")
    write_clip(tmp_path / "clip.mp4", 4)
    write_images(tmp_path / "shots", 3, ".png")
    source, _ = opened(address, tmp_path, "cam1")
    source.close()
    if isinstance(source, SceneSource):
        source.set_scene(Scene("take", take="walk"), start_s=time.monotonic())
    with pytest.raises(SourceEnded, match="closed"):
        source.read(0.0)
    source.open()
    assert source.read(WAIT_S).size == SIZE
    source.close()


def test_pictures_that_vanish_while_they_loop_are_reported(tmp_path):
    write_images(tmp_path / "shots", 3, ".png")
    source, _ = opened("images:shots?pace=fast&loop=1", tmp_path)
    assert [source.read(WAIT_S).number for _ in range(4)] == [0, 1, 2, 3]
    shutil.rmtree(tmp_path / "shots")
    with pytest.raises(SourceLost, match="none of its pictures can be read any more"):
        source.read(WAIT_S)
    with pytest.raises(SourceEnded):
        source.read(0.0)
    source.close()


def test_a_loop_over_pictures_of_which_none_is_good_ends(clip, monkeypatch):
    info = probe_video(clip)
    monkeypatch.setattr(source_file, "decode_pictures", lambda *_: iter(()))
    assert list(source_file.clip_pictures(info, loop=True)) == []


def test_a_video_of_one_picture_loops_on_in_time(tmp_path):
    write_clip(tmp_path / "still.mp4", 1)
    pictures = source_file.clip_pictures(probe_video(tmp_path / "still.mp4"), loop=True)
    assert np.all(np.diff([picture.time_s for picture in islice(pictures, 4)]) > 0)


def test_a_queue_that_ends_while_its_source_waits_has_dropped_nothing():
    queue = FrameQueue(1)
    frame = SourceFrame(np.zeros((2, 2, 3), np.uint8), 0.0)
    assert queue.put(frame, wait=True)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.put, frame, wait=True)
        time.sleep(0.05)
        queue.close()
        assert waiting.result() is False
    assert (queue.received, queue.dropped) == (1, 0)
