"""Cameras of this computer, with a device of the test in OpenCV's place: what is asked, refused, sent and stamped."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from mocap.capture.address import parse_address
from mocap.capture.found_cameras import _linux_cameras, list_cameras
from mocap.capture.source import SourceLost, open_source
from mocap.capture.source_usb import UsbSource
from mocap.capture.usb_settings import apply_settings
from mocap.core.session import SessionCamera

SIZES = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)


class Device:
    """A webcam: 640x480 at most unless it sends MJPG, no focus motor, exposure only when set to manual."""

    def __init__(self, *, opens: bool = True, stamps: bool = True, pictures: int = 1000) -> None:
        self.opens, self.stamps, self.pictures = opens, stamps, pictures
        self.values = {cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"YUYV"), cv2.CAP_PROP_FPS: 30.0, SIZES[0]: 640.0}
        self.values |= {SIZES[1]: 480.0, cv2.CAP_PROP_AUTO_EXPOSURE: 3.0, cv2.CAP_PROP_CONVERT_RGB: 1.0}
        self.released = False
        self.order: list[int] = []

    def isOpened(self) -> bool:
        return self.opens

    def set(self, propId: int, value: float) -> bool:
        self.order.append(propId)
        mjpg = self.values[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
        if propId in (cv2.CAP_PROP_FOCUS, cv2.CAP_PROP_AUTOFOCUS):
            return False
        if propId == cv2.CAP_PROP_EXPOSURE and self.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 3.0:
            return False
        if propId == SIZES[0] and value > 640 and not mjpg:
            return True  # V4L2 says yes and takes the nearest
        self.values[propId] = value
        return True

    def get(self, propId: int) -> float:
        if propId == cv2.CAP_PROP_POS_MSEC:
            return self.stamp if self.stamps else -1.0
        return self.values.get(propId, -1.0)

    def grab(self) -> bool:
        self.pictures -= 1
        time.sleep(0.001)
        self.stamp = 1e3 * (time.monotonic() - 0.0005)
        return self.pictures >= 0

    def retrieve(self):
        image = np.zeros((int(self.values[SIZES[1]]), int(self.values[SIZES[0]]), 3), np.uint8)
        image[..., 0] = 200  # blue
        if self.values[cv2.CAP_PROP_CONVERT_RGB] == 0:
            return True, cv2.imencode(".jpg", image)[1].reshape(1, -1)
        return True, image

    def release(self) -> None:
        self.released = True


def usb(device: Device, **asked) -> UsbSource:
    return UsbSource(parse_address("usb:0", "a"), SessionCamera("a", "usb:0", **asked), lambda _: device)


def test_a_camera_gives_rgb_at_the_drivers_times():
    source = usb(Device())
    info = source.open()
    frame = source.read(1.0)
    assert (info.size, info.fps, info.stamps, info.kind) == ((640, 480), 30.0, "hardware", "usb")
    assert frame.image[0, 0].tolist() == [0, 0, 200]
    assert frame.stamp_s == frame.time_s
    assert 0 < time.monotonic() - frame.time_s < 1


def test_without_the_drivers_times_the_arrival_counts():
    source = usb(Device(stamps=False))
    assert source.open().stamps == "arrival"
    assert source.read(1.0).stamp_s is None


@pytest.mark.skipif(sys.platform != "linux", reason="only V4L2 hands out what the camera compressed")
def test_mjpg_is_handed_on_as_it_comes():
    source = usb(Device(), codec="MJPG", size=(1280, 720))
    info = source.open()
    frame = source.read(1.0)
    assert (info.size, info.detail, frame.codec) == ((1280, 720), "MJPG", "mjpeg")
    assert frame.image.shape == (720, 1280, 3)


def test_what_the_camera_refuses_is_told():
    source = usb(Device(), size=(1280, 720), focus=20.0, gain=5.0, fps=30.0)
    detail = source.open().detail
    assert "refuses size 1280x720 (it has 640x720)" in detail
    assert "refuses focus 20" in detail
    assert "gain" not in detail
    assert "fps" not in detail


@pytest.mark.skipif(sys.platform != "linux", reason="the values of V4L2")
def test_exposure_is_switched_to_manual_before_it_is_set_and_back():
    device = Device()
    (setting,) = apply_settings(device, SessionCamera("a", "usb:0", exposure=150.0))
    assert setting.kept
    assert device.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 1.0
    (setting,) = apply_settings(device, SessionCamera("a", "usb:0", exposure="auto"))
    assert setting.kept
    assert device.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 3.0


def test_the_format_comes_before_the_size_and_the_size_before_the_rate():
    device = Device()
    apply_settings(device, SessionCamera("a", "usb:0", codec="MJPG", size=(1280, 720), fps=60.0))
    assert device.order == [cv2.CAP_PROP_FOURCC, *SIZES, cv2.CAP_PROP_FPS]


def test_a_camera_that_is_not_there_says_what_to_do():
    device = Device(opens=False)
    with pytest.raises(SourceLost, match="cannot be opened. Plug it in"):
        usb(device).open()
    assert device.released


def test_a_camera_that_gives_nothing_says_what_to_do():
    with pytest.raises(SourceLost, match="gives no picture. Another program may hold it"):
        usb(Device(pictures=0)).open()


def test_a_camera_that_is_pulled_out_is_lost():
    source = usb(Device(pictures=10))
    source.open()
    seen = 0
    with pytest.raises(SourceLost, match="gives no pictures any more"):
        while True:
            try:
                source.read(0.01)
                seen += 1
            except TimeoutError:
                continue
    assert seen == 10 - 3  # one to know the size, two to know the stamps


def test_opencv_itself_refuses_a_device_that_is_not_there(tmp_path):
    with pytest.raises(SourceLost, match="cannot be opened"):
        open_source(SessionCamera("a", f"usb:{tmp_path / 'video9'}"), Path()).open()


def test_devices_are_listed_with_what_is_in_their_way(tmp_path):
    for name in ("video10", "video2"):
        (tmp_path / "sys" / name).mkdir(parents=True)
        (tmp_path / "sys" / name / "name").write_text("A Webcam\n")
    (tmp_path / "video2").write_text("")
    (tmp_path / "v4l" / "by-id").mkdir(parents=True)
    (tmp_path / "v4l" / "by-id" / "usb-A_Webcam_1234").symlink_to(tmp_path / "video2")
    found = _linux_cameras(tmp_path / "sys", tmp_path)
    assert [camera.source for camera in found] == [f"usb:{tmp_path}/video2", f"usb:{tmp_path}/video10"]
    assert found[0].name == "A Webcam"
    assert [camera.lasting for camera in found] == [f"usb:{tmp_path}/v4l/by-id/usb-A_Webcam_1234", ""]
    assert "does not say what it is" in found[0].detail
    assert "cannot be opened" in found[1].detail


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere this opens cameras")
def test_cameras_of_this_machine_can_be_listed():
    assert isinstance(list_cameras(), tuple)
