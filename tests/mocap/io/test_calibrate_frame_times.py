from __future__ import annotations

import numpy as np
import pytest

from mocap.core.errors import FileFormatError
from mocap.io.frame_times import grouped_by_time, read_frame_times


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_our_own_form(tmp_path):
    rows = ["camera,frame,time_s"]
    rows += [f"{camera},{i},{10 + i / 30 + late:.6f}" for camera, late in (("b", 0.004), ("a", 0.0)) for i in range(4)]
    times = read_frame_times(write(tmp_path / "timestamps.csv", "\n".join(rows) + "\n"))
    assert times.cameras == ("a", "b")
    clip = times.named(("b",)).of_clip("b", 4)
    np.testing.assert_array_equal(clip.frame, [0, 1, 2, 3])
    np.testing.assert_array_equal(clip.moment, [0, 1, 2, 3])
    np.testing.assert_allclose(clip.time_s, np.arange(4) / 30 + 0.004, atol=1e-6)


@pytest.mark.parametrize("column", ["cam_id", "port"])
def test_caliscopes_forms(tmp_path, column):
    rows = [f"sync_index,{column},frame_index,frame_time"]
    rows += [f"{7 + i},{camera},{7 + i},{100 + i / 6 + camera / 1000}" for i in (2, 0, 1) for camera in (3, 1)]
    times = read_frame_times(write(tmp_path / "t.csv", "\n".join(rows))).named(("cam_1", "port_03"))
    assert times.cameras == ("cam_1", "port_03")
    clip = times.of_clip("port_03", 3)
    np.testing.assert_array_equal(clip.frame, [0, 1, 2])  # the file counts frames of a longer recording
    np.testing.assert_array_equal(clip.moment, [7, 8, 9])
    np.testing.assert_allclose(clip.time_s, np.arange(3) / 6 + 0.002, atol=1e-9)


def test_times_of_another_recording_are_refused(tmp_path):
    text = "camera,frame,time_s\n" + "".join(f"a,{i},{i / 10}\n" for i in range(20, 25))
    times = read_frame_times(write(tmp_path / "t.csv", text))
    with pytest.raises(FileFormatError, match="5 frames of camera a, from 20 to 24; its clip has 9.*recorded with"):
        times.of_clip("a", 9)


def test_an_unknown_camera_is_named(tmp_path):
    times = read_frame_times(write(tmp_path / "t.csv", "camera,frame,time_s\ncam1,0,0\ncam2,0,0\n"))
    with pytest.raises(FileFormatError, match="has no camera left; it has cam1, cam2"):
        times.named(("left",))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "begins with ''.*Known columns: camera,frame,time_s or sync_index"),
        ("a,b\n1,2\n", "begins with 'a,b'"),
        ("camera,frame,time_s\n", "holds no frames"),
        ("camera,frame,time_s\na,0\n", "row 2 has 2 of 3 columns"),
        ("camera,frame,time_s\na,x,0\n", "cannot be read as camera,frame,time_s"),
        ("camera,frame,time_s\na,0,inf\n", "not finite"),
        ("camera,frame,time_s\na,0,0\na,0,1\n", "lists frame 0 of camera a twice"),
        ("camera,frame,time_s\na,0,1\na,1,1\n", "does not increase after frame 0 of camera a"),
    ],
)
def test_faulty_files_say_what_is_wrong(tmp_path, text, sentence):
    with pytest.raises(FileFormatError, match=sentence):
        read_frame_times(write(tmp_path / "t.csv", text))


def test_a_missing_file(tmp_path):
    with pytest.raises(FileFormatError, match="no such file of frame times"):
        read_frame_times(tmp_path / "t.csv")


def test_frames_of_slower_cameras_join_the_nearest_of_the_fastest():
    fast, slow = np.arange(12) / 60, 0.005 + np.arange(4) / 20
    moment = grouped_by_time(np.repeat([0, 1], [12, 4]), np.concatenate([fast, slow]))
    np.testing.assert_array_equal(moment[:12], np.arange(12))
    np.testing.assert_array_equal(moment[12:], [0, 3, 6, 9])


def test_frames_that_nobody_shares_are_moments_of_their_own():
    times = np.concatenate([np.arange(3) / 10, [0.101, 0.125, 0.9]])
    moment = grouped_by_time(np.array([0, 0, 0, 1, 1, 1]), times)
    assert len(set(moment.tolist())) == 5
    assert moment[3] == moment[1]
    assert (np.diff(moment[np.argsort(times)]) >= 0).all()


def test_one_frame_each():
    np.testing.assert_array_equal(grouped_by_time(np.array([0, 1]), np.array([0.0, 0.3])), [0, 0])


def test_the_real_file(shared_data):
    folder = shared_data / "caliscope/sessions/charuco_calibration/calibration/extrinsic"
    times = read_frame_times(folder / "timestamps.csv").named(tuple(f"cam_{i}" for i in range(4)))
    clips = [times.of_clip(f"cam_{i}", 111) for i in range(4)]
    assert all((clip.frame == np.arange(111)).all() and (clip.moment == np.arange(26, 137)).all() for clip in clips)
    apart = np.ptp([clip.time_s for clip in clips], axis=0)
    assert 0.02 < apart.max() < 0.05  # pictures of one index are tens of milliseconds apart, at 6 pictures a second
