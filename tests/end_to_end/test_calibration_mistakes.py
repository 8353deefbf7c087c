"""Ten ways to get a calibration wrong: each ends with a sentence that says what happened and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.board_file import Board, write_board
from calibration.boards import CharucoBoard
from calibration.errors import CalibrationError
from calibration.observations import BoardObservations
from mocap.calibrate.clips import find_clips
from mocap.calibrate.observed import Observed, observe
from mocap.calibrate.session import Calibration, calibrate
from mocap.io.video import VideoReader
from mocap.io.video_writer import VideoWriter, VideoWriterConfig
from mocap.stage_cache import SilentObserver
from running_mocap import complaint, mocap

pytestmark = pytest.mark.slow

SAMPLE = Path(__file__).resolve().parents[2] / "sample_sessions" / "one_person"
SAID: list[str] = []


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    """The sample session's clips, without its rig."""
    root = tmp_path_factory.mktemp("clips") / "session"
    shutil.copytree(SAMPLE, root, ignore=shutil.ignore_patterns("derived", "export", "truth.npz", "rig.toml", "takes"))
    return root


@pytest.fixture(scope="module")
def observed(session) -> Observed:
    return observe(find_clips(session), SilentObserver())


@pytest.fixture(scope="module")
def fine(observed) -> Calibration:
    """Nothing is wrong with it to begin with."""
    calibration = calibrate(observed)
    assert calibration.report.verdict == "good"
    assert calibration.findings == ()
    return calibration


def refused(observed: Observed) -> str:
    """The sentence of a calibration that is not made."""
    with pytest.raises(CalibrationError) as caught:
        calibrate(observed)
    print(caught.value)
    return str(caught.value)


def warned(observed: Observed) -> str:
    """What a calibration that is made all the same says of the recording, or of its own worth."""
    made = calibrate(observed)
    said = "\n".join([*(finding.sentence for finding in made.findings), made.report.headline, *made.report.sentences])
    print(said)
    return said


def shared(observed: Observed, change: Callable[[BoardObservations], BoardObservations]) -> Observed:
    """With other extrinsics clips."""
    assert observed.extrinsics is not None
    return replace(observed, extrinsics=change(observed.extrinsics))


def copied(session: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(session, tmp_path / "session", ignore=shutil.ignore_patterns("derived")))


def first_pictures(source: Path, target: Path, count: int) -> None:
    with VideoReader(source) as reader:
        size, fps = reader.info.size, reader.info.fps
        with VideoWriter(target, size, fps, VideoWriterConfig(preset="veryfast")) as writer:
            for frame in reader.frames(0, count):
                writer.write(frame.image)


def board_file(board: Board, tmp_path: Path) -> Path:
    path = tmp_path / "board.toml"
    write_board(board, path)
    return path


def short_session(session: Path, tmp_path: Path) -> Path:
    """Its extrinsics clips alone, with their first twenty pictures."""
    for source in (session / "calibration" / "extrinsics").iterdir():
        target = tmp_path / "short" / "calibration" / "extrinsics" / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        first_pictures(source, target, 20)
    return tmp_path / "short"


@pytest.mark.parametrize(
    ("board", "sentence"),
    [
        (CharucoBoard(5, 7, 0.13, 0.099, "DICT_5X5_100"), "DICT_4X4"),
        (CharucoBoard(7, 9, 0.13, 0.099, "DICT_4X4_50"), "5x7"),
    ],
    ids=["wrong dictionary", "wrong square count"],
)
def test_another_board_than_the_one_in_the_pictures(session, tmp_path, board, sentence):
    told = complaint(mocap("calibrate", short_session(session, tmp_path), "--board", board_file(board, tmp_path)))
    print(told)
    assert sentence in told.replace(" ", "").replace("×", "x")
    assert "[board]" in told or "board" in told


def test_one_camera_never_sees_the_board(observed, fine):
    def blind(it: BoardObservations) -> BoardObservations:
        return it.of_views(it.view_camera != it.index("cam03"))

    told = refused(shared(observed, blind))
    assert "cam03" in told
    assert "cam01" not in told.split("cam03")[0]


def test_the_board_is_only_far_away(observed):
    """A quarter as large in all pictures, lenses from them as well."""

    def far(it: BoardObservations) -> BoardObservations:
        middle = np.zeros((it.n_views, 2))
        np.add.at(middle, it.view, it.xy)
        middle /= np.maximum(it.corners_per_view, 1)[:, None]
        return replace(it, xy=middle[it.view] + 0.12 * (it.xy - middle[it.view]))

    told = refused(replace(shared(observed, far), intrinsics=None))
    assert any(word in told for word in ("small", "closer", "larger"))


def test_the_board_does_not_move(observed):
    """The clips of the floor in the place of the others."""
    told = refused(replace(observed, extrinsics=observed.floor, intrinsics=None))
    assert "move" in told or "carry" in told


def test_one_camera_gives_mirrored_pictures(observed, fine):
    def mirror(it: BoardObservations) -> BoardObservations:
        number = it.index("cam02")
        xy = it.xy.copy()
        mine = it.camera == number
        xy[mine, 0] = it.image_sizes[number][0] - 1 - xy[mine, 0]
        return replace(it, xy=xy)

    assert observed.intrinsics is not None
    both = replace(shared(observed, mirror), intrinsics=mirror(observed.intrinsics))
    told = refused(both)
    assert "cam02" in told
    assert "mirror" in told or "flip" in told


def test_two_cameras_are_exchanged(observed, fine):
    """Their extrinsics clips carry each other's names. Lenses differ, or nothing could tell."""

    def exchange(it: BoardObservations) -> BoardObservations:
        names = list(it.cameras)
        first, second = names.index("cam01"), names.index("cam02")
        names[first], names[second] = names[second], names[first]
        return replace(it, cameras=tuple(names))

    told = refused(shared(observed, exchange))
    assert "cam01" in told
    assert "cam02" in told


def test_a_clip_was_cut_off_while_it_was_written(session, tmp_path):
    root = copied(session, tmp_path)
    for kind in ("intrinsics", "floor"):
        shutil.rmtree(root / "calibration" / kind)
    clip = root / "calibration" / "extrinsics" / "cam04.mp4"
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    told = complaint(mocap("calibrate", root))
    print(told)
    assert told.startswith(str(clip))


def test_the_clips_do_not_run_together(observed, fine):
    """cam05 began five pictures late."""

    def late(it: BoardObservations) -> BoardObservations:
        mine = it.view_camera == it.index("cam05")
        moment = it.view_moment - 5 * mine
        time_s = it.view_time_s - 5 / 12 * mine
        shifted = replace(it, view_moment=moment, view_time_s=time_s)
        return shifted.of_views(moment >= 0)

    told = shared(observed, late)
    try:
        said = warned(told)
    except CalibrationError as error:
        said = str(error)
        print(said)
    assert "cam05" in said
    assert "late" in said or "early" in said or "together" in said


def test_two_pictures_only(observed):
    def two(it: BoardObservations) -> BoardObservations:
        moments = np.unique(it.view_moment)
        return it.of_views(np.isin(it.view_moment, moments[:2]))

    told = refused(replace(shared(observed, two), intrinsics=None))
    assert "2" in told
    assert "record" in told.lower() or "add" in told.lower() or "move" in told.lower()
