"""What every source of pictures has in common, and which one an address of session.toml names.

    usb:0  usb:/dev/video2                  a camera of this computer
    rtsp://…  http://…/video.mjpg           a camera of the network, any address that FFmpeg reads
    file:clip.mp4?pace=real|fast&loop=1     a video, played in real time or as fast as it is taken
    images:folder?fps=30&loop=1             pictures in natural order
    synth:session                           the clips of this camera in a session made by `mocap synth`
    pattern:1280x720@30                     a moving test picture that carries its number

Paths are relative to the session.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import UInt8

from mocap.capture.address import parse_address
from mocap.capture.h264 import H264Picture
from mocap.capture.jpeg import JpegPicture
from mocap.capture.preview import rgb_of, shrunk
from mocap.core.errors import InputError
from mocap.core.session import SessionCamera

Stamps = Literal["hardware", "stream", "arrival"]


class SourceEnded(Exception):  # noqa: N818  (an end, not an error)
    """A file or folder has no more pictures."""


class SourceLost(InputError):  # noqa: N818
    """A camera that cannot be opened, or gives no pictures any more; opening it again may help."""


class SourceRefused(InputError):  # noqa: N818
    """A source that cannot work, however often it is tried: no such file, not a picture, an impossible setting."""


@dataclass(frozen=True)
class Scene:
    """What is going to be recorded; camera: whose intrinsics; take: its name."""

    kind: Literal["intrinsics", "extrinsics", "floor", "take"]
    camera: str | None = None
    take: str | None = None


@dataclass(frozen=True)
class SourceInfo:
    """What an open source gives.

    size: (width, height) px as it comes. fps: as the source says, None where it does not. stamps: where times come
    from. waits: it loses nothing when nobody takes its pictures (a file played fast). detail: for people, with what the
    camera refused.
    """

    size: tuple[int, int]
    fps: float | None
    kind: str
    stamps: Stamps
    detail: str = ""
    waits: bool = False


class SourceFrame:
    """One picture, in the form that the source gave: decoded or converted when asked for, once, by any thread.

    time_s: of `time.monotonic()`, when it was captured (hardware or stream stamps mapped there, else its arrival).
    stamp_s: the source's own stamp. number: the source's own count, of which lost pictures take their part. h264: the
    same picture as the camera compressed it, where it came so and can be kept.
    """

    def __init__(
        self,
        image: UInt8[np.ndarray, "H W 3"] | VideoFrame | JpegPicture,
        time_s: float,
        stamp_s: float | None = None,
        number: int | None = None,
        h264: H264Picture | None = None,
    ) -> None:
        self._picture = image
        self._lock = threading.Lock()
        self.time_s = time_s
        self.stamp_s = stamp_s
        self.number = number
        self.h264 = h264

    @property
    def native(self) -> UInt8[np.ndarray, "H W 3"] | VideoFrame | JpegPicture:
        """As the source gave it, for whoever can use each kind as it is."""
        return self._picture

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) px; needs no decoding."""
        picture = self._picture
        if isinstance(picture, np.ndarray):
            return picture.shape[1], picture.shape[0]
        return picture.size if isinstance(picture, JpegPicture) else (picture.width, picture.height)

    @property
    def packet(self) -> bytes | None:
        """The picture as the camera compressed it (a whole JPEG: codec mjpeg); None where it came otherwise."""
        return self._picture.data if isinstance(self._picture, JpegPicture) else None

    @property
    def codec(self) -> str | None:
        """Of `packet`: "mjpeg", or None."""
        return "mjpeg" if isinstance(self._picture, JpegPicture) else None

    @property
    def image(self) -> UInt8[np.ndarray, "H W 3"]:
        """RGB. Raises VideoError where the picture is damaged."""
        with self._lock:
            return self._image

    @property
    def video_frame(self) -> VideoFrame:
        """For an encoder: as the decoder gave it, without a way over RGB. Do not change it: others may hold it too."""
        if isinstance(self._picture, VideoFrame):
            return self._picture
        return VideoFrame.from_ndarray(np.ascontiguousarray(self.image), format="rgb24")

    def preview(self, max_width: int) -> UInt8[np.ndarray, "h w 3"]:
        """RGB, no wider than that, for the screen: cheaper than `image` where that is not decoded yet."""
        if "_image" in self.__dict__:
            return shrunk(self._image, max_width)
        return shrunk(self._picture, max_width)

    @cached_property
    def _image(self) -> UInt8[np.ndarray, "H W 3"]:
        picture = self._picture
        if isinstance(picture, np.ndarray):
            return picture
        return picture.decoded() if isinstance(picture, JpegPicture) else rgb_of(picture)


@runtime_checkable
class CameraSource(Protocol):
    """One camera, or what stands in for one. Used by one thread at a time, but for `close`."""

    def open(self) -> SourceInfo:
        """Begin to give pictures. Raises SourceLost (try again) or SourceRefused. Works again after `close`."""
        ...

    def read(self, timeout_s: float) -> SourceFrame:
        """The next picture. Raises TimeoutError when none came in time, SourceEnded, SourceLost."""
        ...

    def close(self) -> None:
        """Let go of the device; no harm when it is not open."""
        ...


@runtime_checkable
class SceneSource(CameraSource, Protocol):
    """A source that plays something which can begin on command."""

    def set_scene(self, scene: Scene | None, *, start_s: float) -> None:
        """Show a scene from its beginning, at `start_s` of `time.monotonic()`; None: nothing in particular."""
        ...

    def scene_seconds(self, scene: Scene) -> float | None:
        """How long it plays; None where it has nothing of the scene, or does not end."""
        ...


def open_source(camera: SessionCamera, session_root: Path) -> CameraSource:
    """The source that `camera.source` names, not opened yet. Raises InputError for an address nobody understands."""
    if not camera.source:
        raise InputError(
            "has no source to record from",
            where=f"camera {camera.name}",
            remedy='Give one in session.toml, e.g. source = "usb:0" or source = "rtsp://192.168.1.20/stream".',
        )
    address = parse_address(camera.source, camera.name)
    match address.kind:
        case "pattern":
            from mocap.capture.source_pattern import PatternSource

            return PatternSource(address)
        case "file":
            from mocap.capture.source_file import FileSource

            return FileSource(address, session_root)
        case "images":
            from mocap.capture.source_images import ImagesSource

            return ImagesSource(address, session_root)
        case "synth":
            from mocap.capture.source_synth import SynthSource

            return SynthSource(address, session_root, camera)
        case "usb":
            from mocap.capture.source_usb import UsbSource

            return UsbSource(address, camera)
        case _:
            from mocap.capture.source_network import NetworkSource

            return NetworkSource(address, camera)
