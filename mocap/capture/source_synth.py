"""`synth:session`: a camera of a session made by `mocap synth`, as if it stood there: plays the clip of every scene.

Pictures carry the true times of their exposures, lost ones are missing, and all cameras of a rig begin together.
Between scenes an empty picture is shown. The session must have pictures (not made with keypoints only).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import cv2
import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Bool, Float

from mocap.capture.address import SourceAddress
from mocap.capture.played_source import PlayedSource
from mocap.capture.player import Player, TimedPicture
from mocap.capture.source import Scene, SourceInfo, SourceRefused
from mocap.capture.source_file import clip_pictures
from mocap.core.errors import InputError
from mocap.core.session import SessionCamera
from mocap.io.session_files import VIDEO_SUFFIXES, natural_order, open_session
from mocap.io.video import VideoInfo, probe_video

GREY = 70


@dataclass(frozen=True, eq=False)
class Clip:
    """A video and when each of its pictures was exposed, seconds from the scene's beginning; fresh: shows a moment of
    its own, which a picture that was written twice does not."""

    info: VideoInfo
    time_s: Float[np.ndarray, "F"]
    fresh: Bool[np.ndarray, "F"]


class SynthSource(PlayedSource):
    """The camera of that name, or of `?camera=NAME`."""

    def __init__(self, address: SourceAddress, session_root: Path, camera: SessionCamera) -> None:
        super().__init__()
        self._root = session_root / Path(address.place).expanduser()
        self._camera = address.options.get("camera", camera.name)
        self._own_name = camera.name
        self._clips: dict[Path, Clip] = {}
        self._idle: VideoFrame | None = None
        self._fps = 30.0
        self._on: tuple[Clip, float] | None = None

    def open(self) -> SourceInfo:
        """Show what is on, or an empty picture. Raises SourceRefused where the session has no video of the camera."""
        try:
            known = open_session(self._root).camera_names
            paths = self._videos()
            if not paths:
                cameras = ", ".join(known) or "none"
                raise SourceRefused(
                    f"holds no video of camera {self._camera} (its cameras: {cameras})",
                    where=self._root,
                    remedy="Name the camera as it is called there, or add ?camera=NAME to its source.",
                )
            infos = [self._clip(path).info for path in paths]
        except SourceRefused:
            raise
        except InputError as error:
            raise SourceRefused(error.what, where=error.where, remedy=error.remedy) from None
        self._fps = infos[-1].fps or 30.0
        size = infos[-1].size
        self._idle = _empty_picture(size, self._camera)
        with self._lock:
            self._put_on(Player(self._now_playing(), 0.0))
        return SourceInfo(size, self._fps, "synth", "hardware", f"camera {self._camera} of {self._root.name}")

    def set_scene(self, scene: Scene | None, *, start_s: float) -> None:
        """Play the scene's clip, if this camera has one; nothing before `start_s` and after the clip."""
        path = None if scene is None else self._path_of(scene)
        clip = None if path is None else self._clip(path)
        with self._lock:
            self._on = None if clip is None else (clip, start_s)
            if self._player is not None:  # a picture of before may be on its way
                self._put_on(Player(self._now_playing(1 / self._fps), 0.0))

    def scene_seconds(self, scene: Scene) -> float | None:
        """How long the scene's clip of this camera is; None where there is none."""
        path = self._path_of(scene)
        return None if path is None else self._clip(path).info.duration_s

    def _now_playing(self, after_s: float = 0.0) -> Iterator[TimedPicture]:
        """What is on, also for who opens the camera anew while a clip plays."""
        begin = time.monotonic() + after_s
        return self._nothing(begin) if self._on is None else self._playing(self._on[0], begin, self._on[1])

    def _playing(self, clip: Clip, begin_s: float, start_s: float) -> Iterator[TimedPicture]:
        last_s = start_s + float(clip.time_s.max())
        before = self._nothing(begin_s, start_s - 0.5 / self._fps)
        return chain(before, _exposures(clip, start_s), self._nothing(last_s + 1 / self._fps))

    def _nothing(self, begin_s: float, end_s: float = float("inf")) -> Iterator[TimedPicture]:
        assert self._idle is not None
        for number in count():
            time_s = begin_s + number / self._fps
            if time_s >= end_s:
                return
            yield TimedPicture(time_s, self._idle)

    def _path_of(self, scene: Scene) -> Path | None:
        if scene.kind == "intrinsics" and scene.camera not in (None, self._own_name):
            return None
        if scene.kind != "take":
            return _video(self._root / "calibration" / scene.kind, self._camera)
        takes = {path.parent.parent.name: path for path in self._videos() if path.parent.name == "video"}
        plain = re.sub(r"[-_ ]?\d+$", "", scene.take or "")
        wanted = [name for name in (scene.take, plain, *takes) if name in takes]
        return takes[wanted[0]] if wanted else None

    def _videos(self) -> list[Path]:
        """Of this camera: those of calibration, then those of takes."""
        calibration = [self._root / "calibration" / kind for kind in ("intrinsics", "extrinsics", "floor")]
        takes = sorted(self._root.glob("takes/*/video"), key=lambda path: natural_order(path.parent.name))
        found = (_video(folder, self._camera) for folder in (*calibration, *takes))
        return [path for path in found if path is not None]

    def _clip(self, path: Path) -> Clip:
        if path not in self._clips:
            self._clips[path] = _read_clip(path, self._camera)
        return self._clips[path]


def _video(folder: Path, camera: str) -> Path | None:
    return next((p for s in sorted(VIDEO_SUFFIXES) if (p := folder / f"{camera}{s}").is_file()), None)


def _read_clip(path: Path, camera: str) -> Clip:
    """With the times of the truth beside it, else those of the file."""
    info = probe_video(path)
    folder = path.parent.parent if path.parent.name == "video" else path.parent
    time_s, fresh = info.times_s, np.ones(info.n_readable, dtype=bool)
    try:
        with np.load(folder / "truth.npz", allow_pickle=False) as truth:
            true_s = truth[f"view.{camera}.time_s"].astype(np.float64)
            repeated = truth[f"view.{camera}.repeated"].astype(bool)
    except (OSError, KeyError, ValueError):
        return Clip(info, time_s, fresh)
    if len(true_s) != info.n_readable:
        return Clip(info, time_s, fresh)
    ascending = np.diff(np.maximum.accumulate(true_s), prepend=-np.inf) > 0
    return Clip(info, true_s, ~repeated & ascending)


def _exposures(clip: Clip, start_s: float) -> Iterator[TimedPicture]:
    row = 0
    for picture in clip_pictures(clip.info):
        while row < len(clip.time_s) - 1 and clip.info.times_s[row] < picture.time_s - 1e-9:
            row += 1
        if clip.fresh[row]:
            yield TimedPicture(start_s + float(clip.time_s[row]), picture.picture)


def _empty_picture(size: tuple[int, int], name: str) -> VideoFrame:
    """Grey, with the camera's name in the corner."""
    image = np.full((size[1], size[0], 3), GREY, np.uint8)
    scale = max(0.3, size[1] / 720)
    place = (round(20 * scale), round(40 * scale))
    cv2.putText(image, name, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (110, 110, 110), max(1, round(2 * scale)))
    frame = VideoFrame.from_ndarray(image, format="rgb24")
    return frame.reformat(format="yuv420p") if size[0] % 2 == size[1] % 2 == 0 else frame
