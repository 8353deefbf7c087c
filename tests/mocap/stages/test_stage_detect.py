"""The stage on short cuts of the real clips (cam01, with a bystander, and cam03), and on what goes wrong."""

import threading
from pathlib import Path

import numpy as np
import pytest

from mocap.core.errors import ConfigError, InputError, NoPersonError
from mocap.core.session import Take
from mocap.io.heatmap_file import HeatmapFile, HeatmapWriter
from mocap.io.video_writer import VideoWriter, VideoWriterConfig
from mocap.models.blazepose import BlazePose
from mocap.stages.detect import DetectConfig, detect, import_take, make_detector, require_somebody
from real_frames import TREADMILL, frames_of

N_FRAMES = 5
CAMERAS = ("cam01", "cam03")
FAST = VideoWriterConfig(crf=14, preset="ultrafast")


def write_clip(path: Path, images) -> Path:
    height, width = images[0].shape[:2]
    with VideoWriter(path, (width, height), 60.0, FAST) as writer:
        for image in images:
            writer.write(image)
    return path


@pytest.fixture(scope="module")
def take(shared_data, blazepose_files, tmp_path_factory) -> Take:
    """Cam03 ends a frame before cam01."""
    root = tmp_path_factory.mktemp("walk")
    videos = {}
    for camera in CAMERAS:
        images = frames_of(shared_data / TREADMILL[camera], range(N_FRAMES + (camera == "cam01")))
        videos[camera] = write_clip(root / "video" / f"{camera}.mp4", images)
    return Take("walk", root, videos=videos)


@pytest.fixture(scope="module")
def done(take):
    seen: list[tuple[int, int]] = []
    detector = make_detector(DetectConfig(), threads=2)
    detections, report = detect(take, detector, progress=lambda *step: seen.append(step))
    return detections, report, seen


def test_rows_of_all_frames_and_cameras(done):
    detections, _, _ = done
    assert detections.cameras == CAMERAS
    assert detections.n_frames == N_FRAMES + 1
    assert len(detections.keypoint_set) == 33
    for camera, people in enumerate((2, 1)):
        own = detections.select(detections.camera == camera)
        frames = N_FRAMES + (camera == 0)
        assert np.bincount(own.frame, minlength=frames).tolist() == [people] * frames
        man = own.select(own.track == 0)
        assert len(man) == frames
        assert (man.box[:, 3] - man.box[:, 1] > 500).all()
        assert np.median(man.confidence) > 0.9


def test_the_report_counts_and_times_and_names(done):
    _, report, _ = done
    assert report.detector == "BlazePose"
    assert [n.name for n in report.networks] == ["blazepose-person", "blazepose-landmarks"]
    assert {len(n.sha256) for n in report.networks} == {64}
    counted = {name: (c.frames, c.people, c.tracks, c.empty_frames) for name, c in report.cameras.items()}
    assert counted == {"cam01": (6, 12, 2, 0), "cam03": (5, 5, 1, 0)}
    assert set(report.ms_per_camera_frame) == {"person", "keypoints", "waiting", "total"}
    parts = [report.ms_per_camera_frame[step] for step in ("person", "keypoints", "waiting")]
    assert min(parts) > 0
    assert sum(parts) < report.ms_per_camera_frame["total"]
    assert report.sentences == ()


def test_progress_goes_from_the_first_frame_to_the_last(done):
    assert done[2] == [(n + 1, N_FRAMES + 1) for n in range(N_FRAMES + 1)]


def test_a_used_detector_starts_anew_and_the_result_is_the_same(done, take, blazepose_files):
    detector = BlazePose(blazepose_files, threads=1)
    detect(take, detector)
    again, report = detect(take, detector)
    assert np.array_equal(again.xy, done[0].xy, equal_nan=True)
    assert np.array_equal(again.track, done[0].track)
    assert report.ms_per_camera_frame["person"] < 2 * done[1].ms_per_camera_frame["total"] * N_FRAMES


def test_heatmaps_go_where_they_are_sent(take, done, tmp_path):
    path = tmp_path / "heatmaps.h5"
    with HeatmapWriter(path, take.cameras) as sink:
        detections, _ = detect(take, make_detector(DetectConfig(keep_heatmaps=True)), heatmaps=sink)
    assert np.array_equal(detections.xy, done[0].xy, equal_nan=True)
    with HeatmapFile(path) as file:
        assert [file.tracks(frame, 0) for frame in range(N_FRAMES)] == [(0, 1)] * N_FRAMES
        heatmaps, affine = file.read(3, 1, 0)
    row = detections.select((detections.frame == 3) & (detections.camera == 1))
    nose = np.unravel_index(heatmaps[0].argmax(), (64, 64))[::-1]
    cell = np.hypot(*affine[:, 0])
    assert np.linalg.norm(affine[:, :2] @ nose + affine[:, 2] - row.xy[0, 0]) < 2 * cell


def test_a_span_of_frames_keeps_its_place_in_the_take(take, done):
    detections, report = detect(take, make_detector(DetectConfig()), span=range(2, 4))
    assert sorted(set(detections.frame.tolist())) == [2, 3]
    assert report.n_frames == 2
    assert report.cameras["cam01"].frames == 2
    man, whole = (d.select((d.camera == 1) & (d.frame == 2)) for d in (detections, done[0]))
    # The span starts from the person detector, the whole from the frame before: crops differ, points by a few cells.
    assert np.nanmedian(np.linalg.norm(man.xy - whole.xy, axis=-1)) < 5 * 3.3


def test_at_most_so_many_people(take):
    detections, _ = detect(take, make_detector(DetectConfig(max_people=1)))
    assert len(detections) == 2 * N_FRAMES + 1
    assert (detections.box[:, 3] - detections.box[:, 1] > 500).all(), "the larger one"


def test_ctrl_c_stops_the_decoding_threads(take):
    before = threading.active_count()

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detect(take, make_detector(DetectConfig()), progress=stop)
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]
    assert threading.active_count() <= before + 1, "OpenVINO may keep one of its own"


def test_a_take_without_a_person_is_told(blazepose_files, tmp_path):
    wall = np.full((240, 320, 3), 120, dtype=np.uint8)
    videos = {name: write_clip(tmp_path / f"{name}.mp4", [wall] * 3) for name in "ab"}
    take = Take("empty", tmp_path, videos=videos)
    detections, report = detect(take, make_detector(DetectConfig()))
    assert len(detections) == 0
    assert "b: nobody was found in 3 of 3 frames" in report.sentences
    with pytest.raises(NoPersonError, match=r"nobody was found in any of the 3 frames of a, b.*upright"):
        require_somebody(detections, take)


def test_weights_given_by_the_user_are_used(take, blazepose_files, tmp_path):
    with pytest.raises(InputError, match=r"holds none of pose_detection\.tflite"):
        make_detector(DetectConfig(weights=tmp_path))
    detector = make_detector(DetectConfig(weights=blazepose_files.person.parent))
    assert isinstance(detector, BlazePose)


OPENPOSE = "pose2sim/v0.7dev_a948c205/S00_Demo_Session/S00_P00_SingleParticipant/S00_P00_T01_BalancingTrial/pose"


def test_imported_results_need_no_networks(shared_data, monkeypatch, tmp_path):
    monkeypatch.setenv("MOCAP_MODELS_DIR", str(tmp_path / "nowhere"))
    folder = shared_data / OPENPOSE
    if not folder.is_dir():
        pytest.skip("no OpenPose results here")
    cameras = tuple(f"cam0{n}" for n in (1, 2, 3, 4))
    take = Take("imported", tmp_path, detections=folder, detected_cameras=cameras, fps=60.0)
    detections, report = import_take(take, DetectConfig())
    assert report.detector == "imported"
    assert report.networks == ()
    assert detections.cameras == cameras
    assert report.n_frames == 100
    assert all(counts.people >= counts.frames - counts.empty_frames for counts in report.cameras.values())
    assert not (tmp_path / "nowhere").exists()


def test_importing_without_results_is_told(take):
    with pytest.raises(InputError, match="no 2D results to import"):
        import_take(take, DetectConfig(detector="imported"))
    with pytest.raises(ConfigError, match="need no detector"):
        make_detector(DetectConfig(detector="imported"))


def test_an_onnx_detector_needs_its_two_networks():
    with pytest.raises(
        ConfigError, match=r"needs two networks.*detect\.onnx\.person=FILE --set detect\.onnx\.pose=FILE"
    ):
        make_detector(DetectConfig(detector="onnx"))
