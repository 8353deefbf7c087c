"""Where a clip or take goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mocap.capture.session_recording_state import Mode
from mocap.capture.slate import Slate
from mocap.capture.source import Scene


@dataclass(frozen=True)
class Clip:
    """What is about to be recorded. folder: where its videos go, of a take: the take's. camera: the only one."""

    mode: Mode
    folder: Path
    scene: Scene
    camera: str | None = None
    slate: Slate | None = None
    countdown_s: float = 0.0
    duration_s: float | None = None

    @property
    def name(self) -> str:
        """Of the take, of the camera, or of the mode."""
        return self.slate.take if self.slate is not None else self.camera or self.mode

    @property
    def title(self) -> str:
        """For sentences."""
        if self.slate is not None:
            return f"take {self.slate.take}"
        return f"{self.mode} of {self.camera}" if self.camera is not None else f"the {self.mode} clip"


def clip_of_board(root: Path, mode: Mode, camera: str | None, duration_s: float | None) -> Clip:
    """A calibration clip."""
    return Clip(mode, root / "calibration" / mode, Scene(mode, camera=camera), camera, duration_s=duration_s)


def clip_of_take(root: Path, slate: Slate, countdown_s: float, duration_s: float | None) -> Clip:
    """A take."""
    folder, scene = root / "takes" / slate.take, Scene("take", take=slate.name)
    return Clip("take", folder, scene, None, slate, countdown_s, duration_s)


def put_back(aside: Path | None, clip: Clip) -> None:
    """Undo `set_aside` of clips of the board, where their recording did not begin."""
    if aside is None:
        return
    clip.folder.mkdir(parents=True, exist_ok=True)
    for path in aside.iterdir():
        path.rename(clip.folder / path.name)
    aside.rmdir()
