"""Material that cannot be used: one sentence that names it and says what to do, exit code 2, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from calibration import Intrinsics, Rig
from calibration.rig_file import write_rig
from calibration.synthetic import camera_looking_at
from mocap.io.video_writer import VideoWriter
from real_takes import as_arguments, short_trial, trial_rig, trial_videos
from running_mocap import complaint, invoke, mocap, results, rubbish
from video_worlds import FAST, SIZE, rewrap, truncated, write_counter_clip, write_sound_only

Spoil = Callable[[Path], object]
CAMERAS = ("left", "middle", "right")


@pytest.fixture
def session(tmp_path) -> Path:
    """Three cameras that agree with their rig; their clips show numbers and nobody."""
    root = tmp_path / "monday"
    for name in CAMERAS:
        write_counter_clip(video(root, name), 6)
    (root / "calibration").mkdir()
    with_rig_of(root, CAMERAS)
    return root


def video(root: Path, camera: str) -> Path:
    path = root / "takes" / "walk" / "video" / f"{camera}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def with_unknown_codec(root: Path) -> None:
    """The container is sound, its codec is one that nobody knows."""
    path = video(root, "right")
    data = path.read_bytes()
    assert data.count(b"avc1") >= 1
    path.write_bytes(data.replace(b"avc1", b"zq9x"))


def as_broken_link(root: Path) -> None:
    video(root, "right").unlink()
    try:
        video(root, "right").symlink_to(root / "gone.mp4")
    except OSError:
        pytest.skip("this system makes no links")


def renamed(root: Path) -> None:
    for name in CAMERAS:
        video(root, name).rename(video(root, f"gopro_{name}"))


def with_rig_of(root: Path, names: tuple[str, ...], size: tuple[int, int] = SIZE) -> None:
    K = np.array([[1.4 * size[0], 0, 0.52 * size[0]], [0, 1.41 * size[0], 0.47 * size[1]], [0, 0, 1]])
    lens = Intrinsics(size, K, np.zeros(5))
    places = [(3 * np.cos(turn), 3 * np.sin(turn), 1.4) for turn in range(len(names))]
    cameras = (
        camera_looking_at(name, lens, center=c, target=(0.0, 0.0, 1.0)) for name, c in zip(names, places, strict=True)
    )
    write_rig(Rig(tuple(cameras)), root / "calibration" / "rig.toml")


def alone(root: Path) -> None:
    for name in CAMERAS[1:]:
        video(root, name).unlink()


SPOILT: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "a missing video": (
        as_broken_link,
        ("video/right.mp4: cannot be read (No such file or directory). Check the path.",),
    ),
    "an empty video": (
        lambda root: video(root, "right").write_bytes(b""),
        ("video/right.mp4: the file is empty (0 bytes). Copy or record it again.",),
    ),
    "a text called video": (
        lambda root: video(root, "right").write_text("Two roads diverged in a yellow wood\n" * 40),
        ("video/right.mp4: ", "not a video"),
    ),
    "a recording without pictures": (
        lambda root: write_sound_only(video(root, "right")),
        ("video/right.mp4: ", "no picture"),
    ),
    "an unknown codec": (
        with_unknown_codec,
        ("video/right.mp4: its pictures are in", "format that no installed decoder reads", "ffmpeg -i INPUT -c:v"),
    ),
    "a damaged head": (
        lambda root: video(root, "right").write_bytes(video(root, "right").read_bytes()[:300]),
        ("video/right.mp4: ",),
    ),
    "another frame rate": (
        lambda root: write_counter_clip(video(root, "right"), 6, fps=25.0),
        ("the cameras have different frame rates (left 30, middle 30, right 25 frames a second).", "ffmpeg -i INPUT"),
    ),
    "names the rig does not have": (
        renamed,
        (
            "the rig has no camera gopro_left, gopro_middle, gopro_right; it has left, middle, right.",
            '[video.names]\ngopro_left = "left"',
        ),
    ),
    "a rig without a camera of the take": (
        lambda root: with_rig_of(root, CAMERAS[:2]),
        ("the rig has no camera right; it has left, middle. Rename the videos", "or calibrate the missing ones."),
    ),
    "one view": (alone, ("takes/walk/video: only camera left is here. Depth needs at least 2 cameras",)),
    "another size": (
        lambda root: with_rig_of(root, CAMERAS, (2 * SIZE[0], 2 * SIZE[1])),
        ("left.mp4: camera left: the video is 96x64 but its calibration is for 192x128.", '[video]\nfit = "resize"'),
    ),
    "no calibration": (
        lambda root: (root / "calibration" / "rig.toml").unlink(),
        ("there is no calibration for this take. Put it at calibration/rig.toml in the session, or name a",),
    ),
    "a rig that is broken TOML": (
        lambda root: (root / "calibration" / "rig.toml").write_text("[cam_0]\nname = \n"),
        ("calibration/rig.toml: is not valid TOML (Invalid value (at line 2",),
    ),
    "a rig that is something else": (
        lambda root: (root / "calibration" / "rig.toml").write_text('[project]\nname = "no rig"\n'),
        ("calibration/rig.toml: is not a calibration of a known format. Known: rig (",),
    ),
    "a rig that lacks a number": (
        lambda root: (root / "calibration" / "rig.toml").write_text(
            (root / "calibration" / "rig.toml").read_text().replace("rotation", "rot", 1)
        ),
        ("calibration/rig.toml: camera 'left': 'rotation' is missing. Its entries are: ",),
    ),
    "a session that lists other cameras": (
        lambda root: (root / "session.toml").write_text('[[camera]]\nname = "left"\n[[camera]]\nname = "top"\n'),
        ("takes/walk: session.toml does not list camera middle, right; it lists left, top. Rename the video",),
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_take_that_cannot_be_used(session, name):
    spoil, sentences = SPOILT[name]
    spoil(session)
    before = sorted(session.rglob("*"))
    told = complaint(invoke("process", session))
    for sentence in sentences:
        assert sentence in told
    assert sorted(session.rglob("*")) == before, "nothing is written before the input is known to be good"


def test_the_remedy_that_is_printed_for_another_size_works(session, tmp_path):
    """As far as the pictures of numbers go: nobody is on them."""
    with_rig_of(session, CAMERAS, (2 * SIZE[0], 2 * SIZE[1]))
    told = complaint(invoke("process", session))
    remedy = told.partition("if it was resized:\n")[2].partition("\nor ")[0]
    (tmp_path / "fit.toml").write_text(remedy)
    assert "nobody was found" in complaint(invoke("process", session, "--config", tmp_path / "fit.toml"))


@pytest.mark.slow
def test_a_take_with_nobody_in_it(session, blazepose_files):
    """Numbers and noise. A second run looks again and says the same."""
    for _ in range(2):
        told = complaint(mocap("process", session))
        assert told == (
            f"{session / 'takes' / 'walk'}: nobody was found in any of the 6 frames of left, middle, right. "
            "Check that the videos are upright and show a person; `rotation` in session.toml turns them."
        )
        assert rubbish(session) == []
        assert not list(session.rglob("*.bvh"))
        assert [path.name for path in (session / "takes" / "walk" / "derived").rglob("*") if path.is_file()] == [
            "inputs.json"
        ]


# ---- what only real pictures can show


@pytest.fixture(scope="module")
def clips(shared_data, tmp_path_factory) -> dict[str, Path]:
    """The first sixteen pictures of the treadmill take."""
    return short_trial(shared_data, tmp_path_factory.mktemp("short"), 16)


def written_blank(path: Path, source: Path) -> Path:
    """As many grey pictures of the same size."""
    from mocap.io.video import probe_video

    info = probe_video(source)
    with VideoWriter(path, info.size, info.fps, FAST) as writer:
        for _ in range(info.n_frames):
            writer.write(np.full((info.size[1], info.size[0], 3), 97, dtype=np.uint8))
    return path


@pytest.mark.slow
def test_two_views_are_enough_and_said_to_be_few(shared_data, clips, blazepose_files, tmp_path):
    two = {name: clips[name] for name in ("cam03", "cam04")}
    done = mocap("process", *as_arguments(two), "--rig", trial_rig(shared_data), "-o", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert "the rig's cam01, cam02 have nothing in this take and are left out" in done.stderr
    assert "two cameras only: what one does not see is lost" in done.stderr
    assert (tmp_path / "two" / "export" / "two.bvh").read_text().count("\n") > 16


@pytest.mark.slow
def test_one_view_that_shows_nobody_is_told_and_the_others_do(shared_data, clips, blazepose_files, tmp_path):
    blank = {**clips, "cam02": written_blank(tmp_path / "blank.mp4", clips["cam02"])}
    done = mocap("process", *as_arguments(blank), "--rig", trial_rig(shared_data), "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "cam02: nobody was found in 16 of 16 frames" in done.stderr


@pytest.mark.slow
def test_somebody_in_one_view_alone_is_refused(shared_data, clips, blazepose_files, tmp_path):
    blank = written_blank(tmp_path / "blank.mp4", clips["cam02"])
    shown = {"cam01": blank, "cam02": blank, "cam03": clips["cam03"]}
    told = complaint(mocap("process", *as_arguments(shown), "--rig", trial_rig(shared_data), "-o", tmp_path / "out"))
    assert told.startswith(
        f"{tmp_path / 'out'}: only cam03 shows anybody; a second view is needed. Check that the other"
    )
    assert not list(tmp_path.rglob("*.bvh"))
    assert rubbish(tmp_path) == []


@pytest.mark.slow
def test_videos_of_another_size_are_refused_then_adapted_as_configured(shared_data, blazepose_files, trial, tmp_path):
    """The demo's own cam01 and cam02 are 1080 wide, their calibration is for 1088: they were scaled and shifted."""
    import evaluate_real_take

    narrow = {name: shared_data / f"pose2sim/HEAD/Demo_SinglePerson/videos/{name}.mp4" for name in ("cam01", "cam02")}
    videos = {**trial_videos(shared_data), **narrow}
    command = ["process", *as_arguments(videos), "--rig", trial_rig(shared_data), "-o", tmp_path / "take"]
    told = complaint(mocap(*command))
    assert f"{narrow['cam01']}: camera cam01: the video is 1080x1920 but its calibration is for 1088x1920." in told
    assert '[video.cameras.cam01]\nfit = "affine"\nscale = [1.0074, 1.0000]\noffset_px = [0.0037, 0.0000]' in told
    assert not (tmp_path / "take").exists()

    table = '[video.cameras.{}]\nfit = "affine"\nscale = [1.0075, 1.0075]\noffset_px = [-0.1, -7.2]\n'
    (tmp_path / "fit.toml").write_text(table.format("cam01") + table.format("cam02"))
    (adapted,) = results(mocap(*command, "--config", tmp_path / "fit.toml", "--json"))
    assert adapted["figures"]["frames_lost"] == 0
    # Measured: 6.9 px beside 5.7, 28 mm beside 27: these two videos are of lower quality than their wider twins.
    assert adapted["figures"]["body_reprojection_px"] < 1.4 * trial.printed["figures"]["body_reprojection_px"]
    near, usual = (evaluate_real_take.evaluate(folder)["mean_mm"] for folder in (tmp_path / "take", trial.folder))
    assert near["butterworth / by time"]["smoothed"] < 1.2 * usual["butterworth / by time"]["smoothed"]


@pytest.mark.slow
def test_a_video_with_a_damaged_tail_gives_its_good_frames(shared_data, blazepose_files, tmp_path):
    """Copying broke off: cam02's file ends in the middle. The other cameras go on without it."""
    videos = trial_videos(shared_data)
    whole = rewrap(videos["cam02"], tmp_path / "whole.mkv")
    cut = truncated(whole, tmp_path / "cut.mkv", 0.5)
    shown = {**videos, "cam02": cut}
    done = mocap("process", *as_arguments(shown), "--rig", trial_rig(shared_data), "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (note,) = [line for line in done.stderr.splitlines() if "cut.mkv" in line]
    assert "frames are good; the first one missing is frame" in note
    assert "frames lost: 0" in done.stderr
    assert "Frames: 100\n" in (tmp_path / "out" / "export" / "out.bvh").read_text()
