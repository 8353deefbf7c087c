"""Which cameras this computer has."""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from mocap.capture.source_usb import VideoCapture, open_capture
from mocap.io.session_files import natural_order

LINUX_DEVICES = Path("/sys/class/video4linux")
QUERYCAP = 0x80685600
"""VIDIOC_QUERYCAP = _IOR('V', 0, struct v4l2_capability of 104 bytes)."""
DEVICE_CAPS_AT = 88
VIDEO_CAPTURE = 0x00000001
TRIED = 6
"""Numbers that are tried where the system does not list its cameras."""


@dataclass(frozen=True)
class FoundCamera:
    """source: what to write in session.toml. name: the maker's. detail: why it may not work, else empty.

    lasting: a source that names the same camera after the next start too, which numbers may not; empty where unknown.
    """

    source: str
    name: str
    detail: str = ""
    lasting: str = ""


def list_cameras() -> tuple[FoundCamera, ...]:
    """Cameras of this computer. On Linux none is opened; elsewhere the first numbers are tried, which takes seconds."""
    if sys.platform == "linux":
        return _linux_cameras(LINUX_DEVICES, Path("/dev"))
    return tuple(found for number in range(TRIED) if (found := _tried(number, open_capture(str(number)))) is not None)


def _linux_cameras(listed: Path, devices: Path) -> tuple[FoundCamera, ...]:
    """A camera has several device files; those that give no pictures (metadata) are left out."""
    entries = sorted(listed.iterdir(), key=lambda path: natural_order(path.name)) if listed.is_dir() else []
    found = []
    for entry in entries:
        device = devices / entry.name
        try:
            name = (entry / "name").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            name = entry.name
        captures, detail = _captures(device)
        if captures:
            found.append(FoundCamera(f"usb:{device.as_posix()}", name, detail, _lasting(device, devices)))
    return tuple(found)


def _lasting(device: Path, devices: Path) -> str:
    """By serial number where the system knows it, else by the port it is plugged into."""
    for folder in (devices / "v4l" / "by-id", devices / "v4l" / "by-path"):
        links = sorted(folder.iterdir()) if folder.is_dir() else []
        own = [link for link in links if link.resolve() == device.resolve()]
        if own:
            return f"usb:{own[0].as_posix()}"
    return ""


def _captures(device: Path) -> tuple[bool, str]:
    """Whether the device gives pictures, and what is in the way of knowing."""
    import fcntl  # there is none on Windows

    answer = bytearray(104)
    try:
        handle = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    except PermissionError:
        return True, "may not be opened: add yourself to the group video, and log in again"
    except OSError as error:
        return True, f"cannot be opened ({error.strerror})"
    try:
        fcntl.ioctl(handle, QUERYCAP, answer)
    except OSError as error:
        return True, f"does not say what it is ({error.strerror})"
    finally:
        os.close(handle)
    return bool(struct.unpack_from("<I", answer, DEVICE_CAPS_AT)[0] & VIDEO_CAPTURE), ""


def _tried(number: int, capture: VideoCapture) -> FoundCamera | None:
    try:
        return FoundCamera(f"usb:{number}", f"camera {number}") if capture.isOpened() else None
    finally:
        capture.release()
