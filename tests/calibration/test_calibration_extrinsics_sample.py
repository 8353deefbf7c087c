"""First rig and world of the sample session, from its rendered clips: the truth is in its rig.toml."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration import Rig
from calibration.board_file import Board, read_board
from calibration.detection import BoardDetector
from calibration.extrinsics import initial_rig
from calibration.formats import read_calibration
from calibration.observations import BoardObservations
from calibration.world_frame import FloorConfig, from_floor_board

SESSION = Path(__file__).resolve().parents[2] / "sample_sessions/one_person"
FLOOR_BOARD = FloorConfig(thickness_m=0.002)
"""`mocap synth` lays its board 2 mm above the floor."""


@pytest.fixture(scope="module")
def truth() -> Rig:
    return read_calibration(SESSION / "calibration/rig.toml")


def seen_in_clips(kind: str, rig: Rig, board: Board, every: int = 1) -> BoardObservations:
    """Corners of every n-th picture (n = `every`); the clips are synchronous, at 12 pictures a second."""
    return BoardObservations.joined(
        [_seen_by(name, SESSION / f"calibration/{kind}/{name}.mp4", board, every) for name in rig.names]
    )


def _seen_by(name: str, clip: Path, board: Board, every: int) -> BoardObservations:
    pictures, detector, found = cv2.VideoCapture(str(clip)), BoardDetector(board), []
    frame, size = 0, (int(pictures.get(cv2.CAP_PROP_FRAME_WIDTH)), int(pictures.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    while pictures.grab():
        if frame % every == 0 and (corners := detector.detect(pictures.retrieve()[1])) is not None:
            found.append((frame, corners))
        frame += 1
    frames = np.array([frame for frame, _ in found], dtype=int)
    counts = [len(corners.ids) for _, corners in found]
    return BoardObservations(
        (name,),
        (size,),
        board.corners,
        np.zeros(len(found), dtype=int),
        frames,
        frames,
        frames / 12,
        np.repeat(np.arange(len(found)), counts),
        np.concatenate([corners.ids for _, corners in found]),
        np.concatenate([corners.xy for _, corners in found]),
    )


@pytest.mark.slow
def test_the_rig_stands_where_it_was_rendered(truth: Rig):
    board = read_board(SESSION / "session.toml")
    waved = seen_in_clips("extrinsics", truth, board, every=3)
    lenses = {camera.name: camera.intrinsics for camera in truth}
    found, _, report = initial_rig(waved, lenses)
    assert all(edge.used for edge in report.edges)
    assert report.sentences == ()
    floor = seen_in_clips("floor", truth, board)
    frame = from_floor_board(found, floor, config=FLOOR_BOARD)
    solved = frame.of_rig(found)
    # Before bundle adjustment: 0.1 % of the 5 m between cameras, 0.05° over the same distance.
    np.testing.assert_allclose(solved.centers, truth.centers, atol=0.01)
    for one, two in zip(solved, truth, strict=True):
        assert np.linalg.norm((one.cam_from_world @ two.cam_from_world.inverse()).rotvec) < np.radians(0.15)
    assert frame.tilt_std < np.radians(0.1)
