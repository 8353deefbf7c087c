from __future__ import annotations

import pytest

from mocap.capture.encoders import Encoder
from mocap.capture.preflight import Finding, disk_mb_per_s, preflight
from mocap.capture.reader import CameraStatus
from mocap.capture.recorder import RecorderConfig
from mocap.capture.stream_writer import StreamWriterConfig
from mocap.core.session import Session, SessionCamera

CONFIG = RecorderConfig(writer=StreamWriterConfig(codec="libx264", preset="ultrafast"))


def findings(root, *cameras: SessionCamera, config=CONFIG, **options) -> tuple[Finding, ...]:
    return preflight(Session(root, cameras), config, **options)


def told(found: tuple[Finding, ...], level: str) -> str:
    return "\n".join(str(finding) for finding in found if finding.level == level)


def small(name: str, source: str) -> SessionCamera:
    return SessionCamera(name, source, size=(320, 240), fps=30.0)


@pytest.fixture
def roomy(monkeypatch):
    monkeypatch.setattr("mocap.capture.preflight.free_mb", lambda folder: 1e6)
    monkeypatch.setattr("mocap.capture.preflight.disk_mb_per_s", lambda folder: 500.0)


def test_a_good_machine_has_nothing_to_complain_of(tmp_path, roomy):
    found = findings(tmp_path, small("cam1", "usb:0"), small("cam2", "pattern:320x240@30"))
    assert {finding.level for finding in found} == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_room_is_counted_in_minutes(tmp_path, roomy, monkeypatch):
    # 0.15 bit a pixel: 320 x 240 x 30 fps = 0.0432 MB/s, so that (303 - 300) MB are 1.16 minutes
    monkeypatch.setattr("mocap.capture.preflight.free_mb", lambda folder: 303.0)
    found = findings(tmp_path, small("cam1", "usb:0"))
    assert "about 1 minutes at 0.0 MB/s, 20 are wanted" in told(found, "warning")
    monkeypatch.setattr("mocap.capture.preflight.free_mb", lambda folder: 301.0)
    assert "about 0 minutes" in told(findings(tmp_path, small("cam1", "usb:0")), "error")


def test_a_slow_disk_is_told(tmp_path, roomy, monkeypatch):
    monkeypatch.setattr("mocap.capture.preflight.disk_mb_per_s", lambda folder: 0.05)
    assert "Record to an internal or faster disk" in told(findings(tmp_path, small("cam1", "usb:0")), "warning")


def test_a_slow_machine_is_told(tmp_path, roomy, monkeypatch):
    slow = Encoder("libx264", {"preset": "ultrafast"}, 1, 0.05, 1.2, fits=False)
    monkeypatch.setattr("mocap.capture.preflight.choose_encoder", lambda load, config: slow)
    text = told(findings(tmp_path, small("cam1", "usb:0")), "warning")
    assert "too slow to encode 1 cameras (libx264 ultrafast, 50.0 ms a picture, 120 % of this machine)" in text
    assert "those are kept as they are" in text


def test_cables_that_carry_too_little_are_told(tmp_path, roomy):
    status = CameraStatus("cam1", "live", size=(1920, 1080), nominal_fps=30.0)
    text = told(findings(tmp_path, SessionCamera("cam1", "usb:0"), statuses=[status]), "warning")
    assert 'cam1 would send 124 MB/s of plain pictures; USB 2 carries 40. Write codec = "MJPG"' in text
    found = findings(tmp_path, *(SessionCamera(f"cam{n}", f"http://10.0.0.{n}/video.mjpg") for n in range(4)))
    assert "the network cameras may send 17 MB/s" in told(found, "warning")


def test_what_makes_recording_impossible_is_an_error(tmp_path, roomy):
    assert "no camera has a source" in told(findings(tmp_path, SessionCamera("cam1")), "error")
    assert "cam1" in told(findings(tmp_path, SessionCamera("cam1", "magic:3")), "error")
    (tmp_path / "file").write_text("in the way")
    assert "nothing can be written" in told(findings(tmp_path / "file", small("cam1", "usb:0")), "error")


def test_the_disk_is_measured_and_left_clean(tmp_path):
    assert disk_mb_per_s(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []
