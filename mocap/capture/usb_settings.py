"""What session.toml asks of a camera of this computer: set, read back, and told where the camera does otherwise."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2

from mocap.core.session import SessionCamera

SIZE_FIRST = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
AUTOMATIC = {"exposure": cv2.CAP_PROP_AUTO_EXPOSURE, "focus": cv2.CAP_PROP_AUTOFOCUS}
MANUAL = {"exposure": cv2.CAP_PROP_EXPOSURE, "gain": cv2.CAP_PROP_GAIN, "focus": cv2.CAP_PROP_FOCUS}
V4L2_AUTOMATIC = {"exposure": (3.0, 1.0)}
"""Values for automatic and manual where they are not 1 and 0: V4L2_EXPOSURE_APERTURE_PRIORITY, V4L2_EXPOSURE_MANUAL."""
TOLERANCE = 0.02


@runtime_checkable
class Properties(Protocol):
    """The settings of `cv2.VideoCapture`."""

    def set(self, propId: int, value: float) -> bool:
        """Ask for a setting; whether the driver says that it took it."""
        ...

    def get(self, propId: int) -> float:
        """A setting as it is; 0 or -1 where the driver does not know it."""
        ...


@dataclass(frozen=True)
class Setting:
    """One wish and what became of it."""

    name: str
    wanted: str
    actual: str
    kept: bool

    @property
    def sentence(self) -> str:
        """For people, where the camera did otherwise."""
        return f"the camera refuses {self.name} {self.wanted} (it has {self.actual})"


def apply_settings(capture: Properties, camera: SessionCamera) -> tuple[Setting, ...]:
    """Format first, since it limits sizes, and size before rate, since it limits rates."""
    done = []
    if camera.codec is not None:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*camera.codec))
    if camera.size is not None:
        for prop, value in zip(SIZE_FIRST, camera.size, strict=True):
            capture.set(prop, value)
    if camera.fps is not None:
        capture.set(cv2.CAP_PROP_FPS, camera.fps)
    if camera.codec is not None:
        has = codec_name(capture)
        done.append(Setting("format", camera.codec, has or "unknown", has == camera.codec))
    if camera.size is not None:
        has_size = tuple(round(capture.get(prop)) for prop in SIZE_FIRST)
        done.append(Setting("size", _by(camera.size), _by(has_size), has_size == camera.size))
    if camera.fps is not None:
        fps = capture.get(cv2.CAP_PROP_FPS)
        done.append(Setting("fps", f"{camera.fps:g}", f"{fps:g}", _close(fps, camera.fps)))
    for name in MANUAL:
        wanted = getattr(camera, name)
        if wanted is not None:
            done.append(_apply_control(capture, name, wanted))
    return tuple(done)


def codec_name(capture: Properties) -> str:
    """The four letters of the picture format; empty where unknown."""
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    letters = bytes((code >> shift) & 0xFF for shift in (0, 8, 16, 24)) if code > 0 else b""
    return letters.decode("ascii", errors="ignore").strip("\0 ") if letters.isascii() else ""


def _apply_control(capture: Properties, name: str, wanted: float | str) -> Setting:
    automatic, manual = V4L2_AUTOMATIC.get(name, (1.0, 0.0)) if sys.platform == "linux" else (1.0, 0.0)
    switch = AUTOMATIC.get(name)
    if isinstance(wanted, str):
        if switch is None:
            return Setting(name, wanted, "no automatic", False)
        taken = capture.set(switch, automatic)
        has = capture.get(switch)
        return Setting(name, wanted, "manual" if has == manual else f"mode {has:g}", taken and has == automatic)
    if switch is not None:
        capture.set(switch, manual)
    taken = capture.set(MANUAL[name], wanted)
    has = capture.get(MANUAL[name])
    return Setting(name, f"{wanted:g}", f"{has:g}", taken and _close(has, wanted))


def _close(has: float, wanted: float) -> bool:
    return abs(has - wanted) <= TOLERANCE * abs(wanted)


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
