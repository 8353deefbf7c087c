from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from calibration.board_file import read_board
from calibration.board_grids import Checkerboard
from calibration.boards import CharucoBoard
from calibration.errors import CalibrationError
from calibration.observations_file import TABLES
from mocap.calibrate.detect_boards import detect_in_clips
from mocap.calibrate.detect_boards_pictures import picture_numbers
from mocap.core.errors import InputError
from mocap.io.frame_times import read_frame_times
from mocap.io.video_writer import VideoWriter, VideoWriterConfig
from printed_boards import picture_of

BOARD = CharucoBoard(4, 5, 0.05, 0.04, "DICT_4X4_50", inverted=True)
SIZE = (320, 214)
N = 8


def write_clip(path, board=BOARD, n_frames=N, **options):
    truth = []
    with VideoWriter(path, SIZE, 10.0, VideoWriterConfig(crf=8, preset="ultrafast", gop=4, threads=1)) as writer:
        for i in range(n_frames):
            picture, xy = picture_of(board, size=SIZE, turn=0.1 + 0.07 * i, seed=i, **options)
            writer.write(np.repeat(picture[..., None], 3, axis=2))
            truth.append(xy)
    return path, np.array(truth)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    front, front_truth = write_clip(folder / "front.mp4")
    back, back_truth = write_clip(folder / "back.mp4", mirrored=True)
    return {"front": front, "back": back}, {"front": front_truth, "back": back_truth}


def test_corners_of_all_cameras_in_one_table(clips):
    paths, truth = clips
    calls = []
    found, report = detect_in_clips(paths, replace(BOARD, inverted=False), progress=lambda *n: calls.append(n))
    assert found.cameras == ("front", "back")
    assert found.image_sizes == (SIZE, SIZE)
    np.testing.assert_array_equal(found.points, BOARD.corners)
    for i, name in enumerate(found.cameras):
        own = found.camera == i
        error = found.xy[own] - truth[name][found.view_frame[found.view[own]], found.corner[own]]
        assert np.abs(error).max() < 0.25  # compressed pictures of 320 pixels
        assert own.sum() > 0.9 * N * BOARD.n_corners
    assert (report.inverted, report.legacy, report.marker_share, report.sentences) == (True, False, None, ())
    assert report.cameras["back"].mirrored == report.cameras["back"].found == N
    assert report.cameras["front"].mirrored == 0
    np.testing.assert_allclose(found.view_time_s, found.view_frame / 10, atol=1e-6)
    np.testing.assert_array_equal(found.view_moment, found.view_frame)
    assert calls == [(i + 1, 2 * N) for i in range(2 * N)]


def test_the_result_does_not_depend_on_threads(clips):
    one, _ = detect_in_clips(clips[0], BOARD, threads=1)
    many, _ = detect_in_clips(clips[0], BOARD, threads=5)
    for name in TABLES:
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


def test_some_pictures_only(clips):
    found, report = detect_in_clips(clips[0], BOARD, every=3)
    assert set(found.view_frame.tolist()) == {0, 3, 6}
    assert report.cameras["front"].pictures == 3


def test_turned_cameras_give_upright_corners(clips):
    paths, truth = clips
    found, _ = detect_in_clips({"front": paths["front"]}, BOARD, rotations={"front": 90})
    assert found.image_sizes == ((SIZE[1], SIZE[0]),)
    upright = truth["front"][found.view_frame[found.view], found.corner]
    expected = np.stack([SIZE[1] - 1 - upright[:, 1], upright[:, 0]], axis=-1)
    assert np.abs(found.xy - expected).max() < 0.25


def test_times_come_from_the_file(clips, tmp_path):
    rows = [f"{camera},{i},{5 + i / 10 + late}" for camera, late in (("front", 0.0), ("back", 0.02)) for i in range(N)]
    rows.remove("back,2,5.22")
    (tmp_path / "timestamps.csv").write_text("\n".join(["camera,frame,time_s", *rows]))
    found, _ = detect_in_clips(clips[0], BOARD, times=read_frame_times(tmp_path / "timestamps.csv"))
    back = found.view_camera == found.index("back")
    np.testing.assert_allclose(found.view_time_s, found.view_frame / 10 + 0.02 * back, atol=1e-9)
    np.testing.assert_array_equal(found.view_moment, found.view_frame)
    assert 2 not in found.view_frame[back]  # it has no time


def test_a_folder_of_images_and_a_list_of_them(tmp_path):
    for i in (1, 2, 10):
        picture, _ = picture_of(BOARD, size=SIZE, turn=0.2 * i)
        cv2.imwrite(str(tmp_path / f"cam02_{i}_int.png"), picture)
    cv2.imwrite(str(tmp_path / "cam02_11_int.png"), np.zeros((20, 30), np.uint8))
    (tmp_path / "cam02_12_int.png").write_text("no image")
    listed = sorted(tmp_path.glob("*_1*_int.png"))[:2]
    found, report = detect_in_clips({"stills": tmp_path, "list": listed}, BOARD)
    stills = found.of_cameras(["stills"])
    np.testing.assert_array_equal(stills.view_frame, [0, 1, 2])
    np.testing.assert_array_equal(stills.view_moment, [1, 2, 10])
    assert any("is 30x20 px, the others are 320x214" in sentence for sentence in report.cameras["stills"].sentences)
    assert any("cannot be read as an image" in sentence for sentence in report.cameras["stills"].sentences)


def test_numbers_that_count_pictures(tmp_path):
    def numbers(*names):
        return picture_numbers([tmp_path / name for name in names]).tolist()

    assert numbers("cam02_01_int.jpg", "cam02_03_int.jpg") == [1, 3]
    assert numbers("a.jpg", "b.jpg") == [0, 1]
    assert numbers("7.jpg") == [0]
    assert numbers("1_1.jpg", "2_2.jpg") == [0, 1]


def test_a_truncated_clip_gives_its_good_pictures_and_a_sentence(clips, tmp_path):
    with VideoWriter(tmp_path / "c.mkv", SIZE, 10.0, VideoWriterConfig(preset="ultrafast", gop=4, threads=1)) as writer:
        for i in range(40):
            picture, _ = picture_of(BOARD, size=SIZE, turn=0.05 * (i % 5))
            writer.write(np.repeat(picture[..., None], 3, axis=2))
    whole = (tmp_path / "c.mkv").read_bytes()
    (tmp_path / "c.mkv").write_bytes(whole[: len(whole) // 2])
    found, report = detect_in_clips({"cut": tmp_path / "c.mkv"}, BOARD)
    assert 8 <= found.n_views < 40
    assert any("frames are good" in sentence for sentence in report.sentences)


def test_a_camera_that_never_sees_the_board_is_named(clips, tmp_path):
    with VideoWriter(tmp_path / "blank.mp4", SIZE, 10.0, VideoWriterConfig(preset="ultrafast", threads=1)) as writer:
        for _ in range(3):
            writer.write(np.full((SIZE[1], SIZE[0], 3), 90, np.uint8))
    found, report = detect_in_clips(clips[0] | {"blank": tmp_path / "blank.mp4"}, BOARD)
    assert found.of_cameras(["blank"]).n_views == 0
    assert report.sentences == (
        "blank: the board is in none of its 3 pictures. Show it the board, nearer and facing it",
    )


def test_another_board_than_described(clips):
    with pytest.raises(CalibrationError, match="front, back: .*You probably have DICT_4X4_50, 4 x 5 squares"):
        detect_in_clips(clips[0], CharucoBoard(5, 7, 0.05, 0.04, "DICT_6X6_250"))


@pytest.mark.slow
def test_a_board_that_is_described_across(clips):
    with pytest.raises(CalibrationError, match=r"on a board of 4 x 5 squares, not of 5 x 4"):
        detect_in_clips(clips[0], CharucoBoard(5, 4, 0.05, 0.04, "DICT_4X4_50"))


def test_a_checkerboard_without_an_up_serves_one_camera_at_a_time(tmp_path):
    board = Checkerboard(6, 4, 0.04)
    cv2.imwrite(str(tmp_path / "one.png"), picture_of(board, size=SIZE)[0])
    clip = [tmp_path / "one.png"]
    _, alone = detect_in_clips({"a": clip}, board)
    _, both = detect_in_clips({"a": clip, "b": clip}, board)
    assert (alone.ids_shared, alone.sentences) == (False, ())
    assert "6 x 4 squares looks the same upside down" in both.sentences[0]


def test_what_is_no_clip(tmp_path):
    with pytest.raises(InputError, match="no clips"):
        detect_in_clips({}, BOARD)
    with pytest.raises(InputError, match="no such file"):
        detect_in_clips({"a": tmp_path / "a.mp4"}, BOARD)
    with pytest.raises(InputError, match="no images in this folder.*Give a video file, or a folder of images"):
        detect_in_clips({"a": tmp_path}, BOARD)


@pytest.mark.slow
def test_real_clips_with_no_hint(shared_data):
    """One set shows the front of an inverted print, the other its mirrored back; nobody says so."""
    session = shared_data / "caliscope/sessions/charuco_calibration"
    board = replace(read_board(session / "charuco.toml"), inverted=False)
    folder = session / "calibration/extrinsic"
    front = {f"cam_{i}": folder / f"cam_{i}.mp4" for i in range(4)}
    found, report = detect_in_clips(front, board, times=read_frame_times(folder / "timestamps.csv"))
    assert report.inverted
    assert found.n_corners > 2100
    history = shared_data / "caliscope/history/9af418c9_post_optimization_3cam"
    found, report = detect_in_clips({f"cam_{i}": history / f"port_{i}.mp4" for i in range(3)}, board)
    assert all(camera.mirrored == camera.found for camera in report.cameras.values())
    assert found.n_corners > 3200
