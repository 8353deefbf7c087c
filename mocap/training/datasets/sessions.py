"""Processed takes as labelled people: the labels of `mocap.training.session_labels`, the pictures of the videos.

Videos are read once, in order, when the first person is asked for; what is kept of a picture is the person's
surroundings as a JPEG, some 20 kB each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from calibration.camera import rescale_pixels
from calibration.formats import read_calibration
from mocap.core.errors import InputError
from mocap.core.keypoints import KeypointSet
from mocap.core.session import Take
from mocap.io.artefacts import load_keypoints2d
from mocap.io.session_files import open_session, open_take
from mocap.io.take_videos import probe_take
from mocap.io.video_fit import fit_rig_to_videos
from mocap.io.video_reader import VideoReader
from mocap.training.datasets.labelled_people import LabelledPerson
from mocap.training.session_labels import SessionLabelConfig, SessionLabelReport, SessionLabels, session_labels

SURROUNDINGS = 2.2
"""Times the box: what padding, scale and rotation of a crop can reach."""
LARGEST_SIDE_PX = 640
"""Larger pieces are halved until they fit."""
JPEG_QUALITY = 92


@dataclass(frozen=True, eq=False)
class _Piece:
    """Part of a picture: JPEG, the place of its first pixel, and how many px of the video one of its own is."""

    jpeg: bytes
    corner: Float[np.ndarray, "2"]
    shrunk: int


class SessionSource:
    """People of one take that was processed. A sample is one person in one frame of one camera."""

    def __init__(self, take: Path, config: SessionLabelConfig | None = None) -> None:
        self.take = open_take(take)
        self.labels, self.report = take_labels(self.take, config or SessionLabelConfig())
        if not len(self.labels.samples):
            raise InputError(
                "no person has enough keypoints on which the cameras agree",
                where=take,
                remedy="Check the calibration (mocap report), or raise agree_mm.",
            )

    @property
    def keypoint_set(self) -> KeypointSet:
        """That of the detector which processed the take."""
        return self.labels.keypoint_set

    def __len__(self) -> int:
        return len(self.labels.samples)

    def person(self, index: int) -> LabelledPerson:
        """Samples in the order of frames, people and cameras; coordinates are those of the piece of picture."""
        place, piece = tuple(self.labels.samples[index]), self._pieces[index]
        picture = np.asarray(cv2.imdecode(np.frombuffer(piece.jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        xy = rescale_pixels(self.labels.xy[place] - piece.corner, 1 / piece.shrunk)
        box = rescale_pixels(self.labels.box[place].reshape(2, 2) - piece.corner, 1 / piece.shrunk).reshape(4)
        return LabelledPerson(picture[..., ::-1], xy, self.labels.visibility[place], box)

    @cached_property
    def _pieces(self) -> dict[int, _Piece]:
        pieces: dict[int, _Piece] = {}
        for camera, name in enumerate(self.labels.cameras):
            rows = np.flatnonzero(self.labels.samples[:, 2] == camera)
            path, rotation = self.take.videos[name], self.take.rotations.get(name, 0)
            with VideoReader(path, rotation=rotation) as video:
                pieces |= dict(_cut_out(video, rows, self.labels))
        missing = [row for row in range(len(self)) if row not in pieces]
        if missing:
            frame = int(self.labels.samples[missing[0], 0])
            raise InputError(f"frame {frame} cannot be decoded any more", where=self.take.root)
        return pieces


def take_labels(take: Take, config: SessionLabelConfig) -> tuple[SessionLabels, SessionLabelReport]:
    """Labels of a processed take, from its `derived/associate.h5`, its videos' sizes and its session's rig."""
    associated = take.root / "derived" / "associate.h5"
    if not take.videos:
        raise InputError("a take without videos has no pictures to learn from", where=take.root)
    if not associated.is_file():
        raise InputError("is not processed yet", where=take.root, remedy=f"Run: mocap process {take.root}")
    session = open_session(take.session_root) if take.session_root is not None else None
    if session is None or session.rig_path is None:
        raise InputError("there is no calibration for this take", where=take.root, remedy="Run: mocap calibrate")
    rig, _ = fit_rig_to_videos(read_calibration(session.rig_path), probe_take(take).infos)
    return session_labels(load_keypoints2d(associated), rig, config)


def session_sources(paths: Sequence[Path], config: SessionLabelConfig | None = None) -> tuple[SessionSource, ...]:
    """Takes, or all processed takes of sessions."""
    takes: list[Path] = []
    for path in paths:
        below = sorted((path / "takes").iterdir()) if (path / "takes").is_dir() else [path]
        processed = [take for take in below if (take / "derived" / "associate.h5").is_file()]
        takes += processed or [below[0] if below else path]
    return tuple(SessionSource(take, config) for take in takes)


def _cut_out(video: VideoReader, rows: Int[np.ndarray, "n"], labels: SessionLabels) -> Iterator[tuple[int, _Piece]]:
    """Pieces of one camera's samples, frame by frame."""
    frames = labels.samples[rows, 0]
    wanted: dict[int, list[int]] = {}
    for row, frame in zip(rows.tolist(), frames.tolist(), strict=True):
        wanted.setdefault(frame, []).append(row)
    if not wanted:
        return
    for frame in video.frames(min(wanted), max(wanted) + 1):
        for row in wanted.get(frame.index, ()):
            yield row, _piece(frame.image, labels.box[tuple(labels.samples[row])])


def _piece(picture: UInt8[np.ndarray, "H W 3"], box: Float[np.ndarray, "4"]) -> _Piece:
    height, width = picture.shape[:2]
    middle, half = (box[:2] + box[2:]) / 2, SURROUNDINGS * (box[2:] - box[:2]).max() / 2
    low = np.clip(np.floor(middle - half), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(middle + half), low + 1, [width, height]).astype(int)
    cut, shrunk = picture[low[1] : high[1], low[0] : high[0]], 1
    while max(cut.shape[:2]) > LARGEST_SIDE_PX:
        tall, wide = cut.shape[0] // 2, cut.shape[1] // 2
        cut = cv2.resize(cut[: 2 * tall, : 2 * wide], (wide, tall), interpolation=cv2.INTER_AREA)
        shrunk *= 2
    encoded = cv2.imencode(".jpg", cut[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return _Piece(encoded.tobytes(), low.astype(np.float64), shrunk)
