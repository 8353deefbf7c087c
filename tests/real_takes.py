"""The real takes beside the checkout, laid out as a user would have them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from calibration.formats import read_calibration
from calibration.rig_file import write_rig
from mocap.io.video import VideoReader
from mocap.io.video_writer import VideoWriter, VideoWriterConfig
from real_frames import TREADMILL

TRIAL_RIG = "pose2sim/HEAD/Demo_SinglePerson/calibration/Calib.qca.txt"
SEATED = "caliscope/sessions/charuco_calibration"


def trial_videos(shared_data: Path) -> dict[str, Path]:
    """Camera -> video of the man on the treadmill."""
    return {name: shared_data / path for name, path in TREADMILL.items()}


def trial_rig(shared_data: Path) -> Path:
    return shared_data / TRIAL_RIG


def as_arguments(videos: Mapping[str, Path]) -> list[str]:
    """CAMERA=VIDEO for each."""
    return [f"{name}={path}" for name, path in videos.items()]


def write_session_of(videos: Mapping[str, Path], rig: Path, root: Path, takes: tuple[str, ...]) -> Path:
    """A session folder: rig.toml in our format, session.toml, and in every take a link (or copy) of each video."""
    (root / "calibration").mkdir(parents=True)
    write_rig(read_calibration(rig), root / "calibration" / "rig.toml")
    (root / "session.toml").write_text("".join(f'[[camera]]\nname = "{name}"\n\n' for name in videos))
    for take in takes:
        add_take(root, take, videos)
    return root


def add_take(root: Path, take: str, videos: Mapping[str, Path]) -> Path:
    """One more take of links to videos."""
    folder = root / "takes" / take / "video"
    folder.mkdir(parents=True)
    for name, path in videos.items():
        link_or_copy(path, folder / f"{name}{path.suffix}")
    return folder.parent


def link_or_copy(source: Path, target: Path) -> Path:
    try:
        target.symlink_to(os.path.relpath(source, target.parent))
    except OSError:  # Windows without the privilege
        shutil.copyfile(source, target)
    return target


def first_frames(source: Path, target: Path, count: int) -> Path:
    """A short clip of the same pictures at the same rate, encoded anew and nearly without loss."""
    with VideoReader(source) as reader:
        fps = reader.info.fps
        with VideoWriter(target, reader.info.size, fps, VideoWriterConfig(crf=12, preset="veryfast")) as writer:
            for frame in reader:
                if frame.index == count:
                    break
                writer.write(frame.image)
    return target


def short_trial(shared_data: Path, folder: Path, count: int) -> dict[str, Path]:
    """The first pictures of the trial."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: first_frames(path, folder / f"{name}.mp4", count) for name, path in trial_videos(shared_data).items()}
