from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.errors import CalibrationError
from calibration.formats.point_data import read_point_data

HISTORY = Path("caliscope") / "history"
SIZES = {"cam_0": (640, 480), "cam_2": (1280, 720)}
HEADERS = {
    "old": "sync_index,port,frame_index,frame_time,point_id,img_loc_x,img_loc_y,board_loc_x,board_loc_y",
    "newer": "sync_index,cam_id,frame_index,frame_time,point_id,img_loc_x,img_loc_y,obj_loc_x,obj_loc_y",
}
ROWS = (
    "7,2,5,10.25,1,700.5,20.0,0.10800000280141830,0.054",
    "7,0,7,10.00,2,100.0,50.5,0.054,0.108",
    "7,0,7,10.00,0,90.0,40.5,0.05400000140070915,0.054",
    "3,0,3,9.5,1,12.0,13.0,0.108,0.054",
)


def written(folder: Path, *rows: str, header: str = HEADERS["old"]) -> Path:
    path = folder / "point_data.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("header", HEADERS)
def test_rows_become_views_and_corners(tmp_path: Path, header: str) -> None:
    seen = read_point_data(written(tmp_path, *ROWS, header=HEADERS[header]), image_sizes=SIZES)
    assert seen.cameras == ("cam_0", "cam_2")
    assert seen.image_sizes == ((640, 480), (1280, 720))
    assert seen.view_moment.tolist() == [3, 7, 7]
    assert seen.view_camera.tolist() == [0, 0, 1]
    assert seen.view_frame.tolist() == [3, 7, 5]
    np.testing.assert_allclose(seen.view_time_s, [0, 0.5, 0.75], atol=1e-12)
    assert seen.view.tolist() == [0, 1, 1, 2]
    assert seen.corner.tolist() == [1, 0, 2, 1]
    assert seen.xy.tolist() == [[12.0, 13.0], [90.0, 40.5], [100.0, 50.5], [700.5, 20.0]]
    assert seen.points.tolist() == [[0.054, 0.054, 0.0], [0.108, 0.054, 0.0], [0.054, 0.108, 0.0]]


def test_newest_header_with_depth_and_without_frames(tmp_path: Path) -> None:
    header = "sync_index,cam_id,object_id,keypoint_id,img_loc_x,img_loc_y,obj_loc_x,obj_loc_y,obj_loc_z,frame_time"
    path = written(tmp_path, "4,0,0,0,1,2,0.05,0.05,,1.5", "4,2,0,0,3,4,0.05,0.05,0.0,1.6", header=header)
    seen = read_point_data(path, image_sizes=SIZES)
    assert seen.view_frame.tolist() == seen.view_moment.tolist() == [4, 4]
    assert seen.points.tolist() == [[0.05, 0.05, 0.0]]
    path = written(tmp_path, "4,0,1,0,1,2,0.05,0.05,0.004,1.5", header=header)
    with pytest.raises(
        CalibrationError, match=r"holds several objects \(object_id 1\)\. Only the corners of one board"
    ):
        read_point_data(path, image_sizes=SIZES)


def test_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    one = read_point_data(written(tmp_path, *ROWS), image_sizes=SIZES)
    two = read_point_data(written(tmp_path, *reversed(ROWS)), image_sizes=SIZES)
    assert one.xy.tolist() == two.xy.tolist()
    assert one.view.tolist() == two.view.tolist()


def test_times_of_another_file_go_before_its_own(tmp_path: Path) -> None:
    clock = tmp_path / "frame_time_history.csv"
    clock.write_text("sync_index,port,frame_index,frame_time\n9,0,3,1.0\n9,2,5,\n8,0,7,3.0\n8,2,5,3.5\n")
    seen = read_point_data(written(tmp_path, *ROWS), clock, image_sizes=SIZES)
    assert seen.view_time_s.tolist() == [0.0, 2.0, 2.5]
    clock.write_text("sync_index,port,frame_index,frame_time\n9,0,3,1.0\n8,0,7,3.0\n")
    message = r"history\.csv: has no time for frame_index 5 of camera 2 \(1 of 3 pictures lack one\)\. Give the frame"
    with pytest.raises(CalibrationError, match=message):
        read_point_data(written(tmp_path, *ROWS), clock, image_sizes=SIZES)


def test_corners_that_nobody_saw_come_from_the_board(tmp_path: Path) -> None:
    path = written(tmp_path, "7,2,5,10.25,3,700.5,20.0,0.1,0.05")
    with pytest.raises(CalibrationError, match=r"nobody saw corner 0, 1, 2: .*Give the board's corners"):
        read_point_data(path, image_sizes=SIZES)
    board = np.arange(12.0).reshape(4, 3)
    assert read_point_data(path, image_sizes=SIZES, points=board).points is board


BROKEN = {
    "no column": (
        ("1,2,3",),
        "sync_index,port,x",
        r"has no column point_id, img_loc_x, .*columns are sync_index, port, x",
    ),
    "empty": ((), HEADERS["old"], "has a header and nothing below it"),
    "no header": ((), "", "Its columns are none"),
    "text": (("7,2,5,10.25,1,left,20.0,0.1,0.1",), HEADERS["old"], r"line 2: img_loc_x is 'left', not a finite number"),
    "short": ((ROWS[0], "7,0"), HEADERS["old"], r"line 3: \w+ is '', not a "),
    "half a frame": (("7.5,2,5,10.25,1,3,20.0,0.1,0.1",), HEADERS["old"], "sync_index is '7.5', not a whole number"),
    "twice": ((ROWS[0], ROWS[0]), HEADERS["old"], "has corner 1 twice in one picture"),
    "two boards": (
        (*ROWS, "9,0,9,11,0,90.0,40.5,0.06,0.054"),
        HEADERS["old"],
        "has corner 0 at two places of the board: it mixes boards",
    ),
    "no time": (("7,2,5,,0,1,1,0.05,0.05",), HEADERS["old"], r"does not say when .*Give the session's timestamps\.csv"),
    "unknown camera": (("7,5,5,1,0,1,1,0.05,0.05",), HEADERS["old"], "pictures of cam_5 is unknown .*of cam_0, cam_2"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_used_is_told_with_its_place(tmp_path: Path, case: str) -> None:
    rows, header, message = BROKEN[case]
    path = written(tmp_path, *rows, header=header)
    with pytest.raises(CalibrationError, match=message) as error:
        read_point_data(path, image_sizes=SIZES)
    assert str(error.value).startswith(f"{path}: ")


def test_sizes_come_from_the_camera_file_beside_it(tmp_path: Path) -> None:
    path = written(tmp_path, *ROWS)
    with pytest.raises(CalibrationError, match=r"no camera_array\.toml or config\.toml lies beside it.*image_sizes="):
        read_point_data(path)
    table = "size = [{}]\nmatrix = [[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]\n"
    older = "".join(f"[cam_{n}]\nport = {n}\n{table.format(size)}" for n, size in ((0, "640, 480"), (2, "1280, 720")))
    (tmp_path / "config.toml").write_text(older, encoding="utf-8")
    assert read_point_data(path).image_sizes == ((640, 480), (1280, 720))
    newer = "".join(f"[cameras.{n}]\n{table.format(size)}" for n, size in ((0, "800, 600"), (2, "1920, 1080")))
    (tmp_path / "camera_array.toml").write_text(newer, encoding="utf-8")
    assert read_point_data(path).image_sizes == ((800, 600), (1920, 1080))


@pytest.mark.parametrize(
    ("folder", "views", "corners", "size"),
    [("8d1cb291_low_res_numeric", 348, 3352, (640, 480)), ("9af418c9_post_optimization_3cam", 153, 1331, (1280, 720))],
)
def test_real_observations(shared_data: Path, folder: str, views: int, corners: int, size: tuple[int, int]) -> None:
    path = shared_data / HISTORY / folder / "point_data.csv"
    seen = read_point_data(path)
    assert (seen.n_views, seen.n_corners) == (views, corners)
    assert seen.cameras == ("cam_0", "cam_1", "cam_2", "cam_3")
    assert set(seen.image_sizes) == {size}
    row, column = np.divmod(np.arange(12), 3)
    np.testing.assert_array_equal(seen.points, np.round(0.054 * np.stack([column + 1, row + 1, 0 * row], -1), 6))
    moments = np.unique(seen.view_moment)
    times = [seen.view_time_s[seen.view_moment == moment] for moment in moments]
    interval = np.median(np.diff([t.mean() for t in times]))
    assert max(np.ptp(t) for t in times) < interval / 2  # else a picture would belong to the next moment


def test_history_of_the_recording_tells_the_same_times(shared_data: Path) -> None:
    folder = shared_data / HISTORY / "8d1cb291_low_res_numeric"
    own, told = (read_point_data(folder / "point_data.csv", t) for t in (None, folder / "frame_time_history.csv"))
    np.testing.assert_allclose(own.view_time_s, told.view_time_s, atol=1e-6)
