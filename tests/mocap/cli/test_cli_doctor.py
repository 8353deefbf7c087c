"""`mocap doctor` on this environment, and on environments broken on purpose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mocap.cli import health_checks
from mocap.cli.health_checks import Probe
from running_mocap import invoke

RUN = "from mocap.cli.main import main; main()"


def doctor(*arguments: str, shadow: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; modules in `shadow` hide installed ones."""
    env = {**os.environ, "COLUMNS": "200"}
    if shadow is not None:
        env["PYTHONPATH"] = str(shadow)
    command = [sys.executable, "-c", RUN, "doctor", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def checks_of(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


@pytest.fixture(scope="module")
def report() -> subprocess.CompletedProcess[str]:
    return doctor("--json")


def test_this_environment_is_well(report):
    assert report.returncode == 0, report.stdout + report.stderr
    assert json.loads(report.stdout)["ok"] is True


def test_every_question_has_an_answer(report):
    checks = checks_of(report)
    expected = {"Python", "packages", "OpenCV wheels", "torch", "OpenVINO devices", "video decoders", "model blazepose"}
    expected |= {"cache folder", "disk space", "extra synth", "extra smpl", "ffmpeg", "Blender for tests"}
    assert expected <= set(checks)
    assert "h264, hevc, vp9" in checks["video decoders"]["detail"]
    assert "CPU" in checks["OpenVINO devices"]["detail"]
    assert "opencv-contrib-python" in checks["packages"]["detail"]
    for check in checks.values():
        assert check["state"] != "optional" or check["remedy"] or "not needed" in check["detail"]


def test_the_report_for_people_says_the_same(report, monkeypatch):
    checks = [health_checks.Check(**check) for check in json.loads(report.stdout)["checks"]]
    monkeypatch.setattr(health_checks, "all_checks", lambda: checks)
    done = invoke("doctor")
    assert done.returncode == 0
    assert "Everything that is needed works." in done.stdout
    assert "libusb-1.0-0" in done.stdout or "open3d 0" in done.stdout
    for check in checks:
        assert check.name in done.stdout
        assert check.detail in done.stdout


def checked(name: str, shadow: Path, monkeypatch: pytest.MonkeyPatch) -> list[health_checks.Check]:
    """What is said of one package, when modules in `shadow` hide installed ones."""
    monkeypatch.setenv("PYTHONPATH", str(shadow))
    return list(health_checks.imports({name: health_checks.probe(name)}))


def test_a_library_that_is_missing_and_a_package_that_kills_are_answers(tmp_path, monkeypatch):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    (tmp_path / "openvino.py").write_text("import os; os._exit(139)")
    (broken,) = checked("cv2", tmp_path, monkeypatch)
    assert (broken.name, broken.state) == ("import cv2", "broken")
    assert "apt install libgl1" in broken.remedy
    (killed,) = checked("openvino", tmp_path, monkeypatch)
    assert killed.stops
    assert "139" in killed.detail


@pytest.mark.slow
def test_a_missing_system_library_is_named_with_its_package(tmp_path):
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')", encoding="utf-8"
    )
    done = doctor("--json", shadow=tmp_path)
    assert done.returncode == 1, done.stderr
    check = checks_of(done)["import cv2"]
    assert check["state"] == "broken"
    assert "apt install libgl1" in check["remedy"]


@pytest.mark.slow
def test_a_package_that_kills_the_process_is_an_answer_too(tmp_path):
    (tmp_path / "openvino.py").write_text("import os; os._exit(139)", encoding="utf-8")
    done = doctor(shadow=tmp_path)
    assert done.returncode == 1
    assert "139" in done.stdout
    assert "1 to mend: import openvino" in done.stdout


def test_two_opencv_wheels_are_found(tmp_path, monkeypatch):
    record = tmp_path / "opencv_python_headless-4.10.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: opencv-python-headless\nVersion: 4.10.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    (check,) = health_checks.opencv_wheels()
    assert check.stops
    assert "opencv-contrib-python and opencv-python-headless" in check.detail
    assert check.remedy.startswith("pip uninstall -y opencv-contrib-python opencv-python-headless")


def test_a_package_that_is_too_old_or_missing_is_found(tmp_path, monkeypatch):
    record = tmp_path / "numpy-1.26.4.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.26.4\n")
    monkeypatch.syspath_prepend(tmp_path)
    stopping = {check.name: check for check in health_checks.packages() if check.stops}
    assert set(stopping) == {"numpy"}
    assert "older than 2.0" in stopping["numpy"].detail
    monkeypatch.setattr(health_checks, "required_packages", lambda: [("no-such-package", "1")])
    assert [check.state for check in health_checks.packages()] == ["missing", "ok"]


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("MOCAP_MODELS_DIR", str(file / "below"))
    (check,) = health_checks.cache()
    assert check.state == "broken"
    assert "MOCAP_MODELS_DIR" in check.remedy


def test_changed_model_files_are_found(tmp_path, monkeypatch):
    folder = tmp_path / "blazepose"
    folder.mkdir()
    (folder / "pose_detection.tflite").write_bytes(b"something else")
    monkeypatch.setenv("MOCAP_MODELS_DIR", str(tmp_path))
    check = next(check for check in health_checks.models() if check.name == "model blazepose")
    assert check.state == "later"
    assert "other files than it should" in check.detail
    monkeypatch.setenv("MOCAP_MODELS_DIR", str(tmp_path / "none"))
    absent = next(check for check in health_checks.models() if check.name == "model blazepose")
    assert "not fetched yet" in absent.detail


def test_a_check_that_fails_itself_is_reported_and_stops_nothing(monkeypatch):
    def broken():
        raise RuntimeError("metadata is gone")

    (check,) = health_checks._guarded(broken)
    assert check.stops
    assert "metadata is gone" in check.detail


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("OSError: libusb-1.0.so.0: cannot open shared object file", "libusb-1.0-0"),
        ("ImportError: libgthread-2.0.so.0: cannot open shared object file", "libglib2.0-0"),
        ("ImportError: DLL load failed while importing cv2", "Visual C++"),
        ("ModuleNotFoundError: No module named 'av'", "bootstrap.py env"),
    ],
)
def test_import_errors_come_with_what_to_do(error, words):
    assert words in health_checks.remedy_for(error)


def test_missing_decoders_stop():
    found = {"version": "1", "codecs": ["h264"]}
    (check,) = health_checks.imports({"av": Probe(found)})
    assert check.stops
    assert "without hevc, vp9" in check.detail
