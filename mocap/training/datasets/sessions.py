"""Processed takes as labelled people: the labels of `mocap.training.session_labels`, the pictures of the videos.

Videos are read once, in order, when the first person is asked for; what is kept of a picture is the person's
surroundings as a JPEG, some 20 kB each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int

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
from mocap.training.datasets.pieces import Piece, cut_out, decoded
from mocap.training.session_labels import SessionLabelConfig, SessionLabelReport, SessionLabels, session_labels


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
        box = piece.here(self.labels.box[place].reshape(2, 2)).reshape(4)
        xy = piece.here(self.labels.xy[place])
        return LabelledPerson(decoded(piece.jpeg), xy, self.labels.visibility[place], box)

    @cached_property
    def _pieces(self) -> dict[int, Piece]:
        pieces: dict[int, Piece] = {}
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
    _check_frames_are_pictures(take)
    session = open_session(take.session_root) if take.session_root is not None else None
    if session is None or session.rig_path is None:
        raise InputError("there is no calibration for this take", where=take.root, remedy="Run: mocap calibrate")
    rig, _ = fit_rig_to_videos(read_calibration(session.rig_path), probe_take(take).infos)
    return session_labels(load_keypoints2d(associated), rig, config)


def _check_frames_are_pictures(take: Take) -> None:
    """That frame k of the results is picture k of every camera: where clocks differ, 2D points lie between pictures."""
    report = take.root / "derived" / "align.json"
    found = json.loads(report.read_text(encoding="utf-8"))["report"] if report.is_file() else {}
    moved = [
        name
        for name, camera in found.get("cameras", {}).items()
        if camera["resampled"] or camera["frames"] != found["n_frames"]
    ]
    if moved:
        raise InputError(
            f"the 2D points of {', '.join(moved)} were put between pictures, as its cameras have clocks of their own",
            where=take.root,
            remedy="Learn from takes whose cameras were in step.",
        )


def session_sources(paths: Sequence[Path], config: SessionLabelConfig | None = None) -> tuple[SessionSource, ...]:
    """Takes, or all processed takes of sessions."""
    takes: list[Path] = []
    for path in paths:
        below = sorted((path / "takes").iterdir()) if (path / "takes").is_dir() else [path]
        processed = [take for take in below if (take / "derived" / "associate.h5").is_file()]
        takes += processed or [below[0] if below else path]
    return tuple(SessionSource(take, config) for take in takes)


def _cut_out(video: VideoReader, rows: Int[np.ndarray, "n"], labels: SessionLabels) -> Iterator[tuple[int, Piece]]:
    """Pieces of one camera's samples, frame by frame."""
    frames = labels.samples[rows, 0]
    wanted: dict[int, list[int]] = {}
    for row, frame in zip(rows.tolist(), frames.tolist(), strict=True):
        wanted.setdefault(frame, []).append(row)
    if not wanted:
        return
    for frame in video.frames(min(wanted), max(wanted) + 1):
        for row in wanted.get(frame.index, ()):
            yield row, cut_out(frame.image, labels.box[tuple(labels.samples[row])])
