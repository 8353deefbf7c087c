from __future__ import annotations

import os

import pytest
from page_desks import PaperDesk, fetch, send_raw, served

from mocap.web.session_paths import file_in_session


@pytest.fixture
def root(tmp_path):
    session = tmp_path / "session"
    for path in ("calibration/report.html", "takes/walk/export/walk.bvh", "takes/walk/video/cam 1é.mp4"):
        (session / path).parent.mkdir(parents=True, exist_ok=True)
        (session / path).write_text("inside")
    (session / "session.toml").write_text("source = 'rtsp://user:password@camera'")
    (session / "takes" / "walk" / ".recording.json").write_text("hidden")
    (session / "takes" / "walk" / "notes.exe").write_text("no result")
    (tmp_path / "outside.mp4").write_text("outside")
    (tmp_path / "session-other").mkdir()
    (tmp_path / "session-other" / "a.mp4").write_text("outside")
    (session / "takes" / "walk" / "video" / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    (session / "takes" / "linked").symlink_to(tmp_path / "session-other")
    (session / "takes" / "loop.mp4").symlink_to(session / "takes" / "loop.mp4")
    return session


@pytest.mark.parametrize(
    "asked", ["calibration/report.html", "takes/walk/export/walk.bvh", "takes/walk/video/cam 1é.mp4"]
)
def test_results_of_the_session_are_given(root, asked):
    assert file_in_session(root, asked) == (root / asked).resolve()


REFUSED = [
    "",
    "/",
    "takes",
    "takes/walk",
    "session.toml",
    "../outside.mp4",
    "takes/../../outside.mp4",
    "takes/walk/../../../outside.mp4",
    "takes/walk/video/../video/cam 1é.mp4",
    "takes//walk/export/walk.bvh",
    "/takes/walk/export/walk.bvh",
    "takes/walk/export/walk.bvh/",
    "takes\\walk\\export\\walk.bvh",
    "takes/walk/export/walk.bvh\0",
    "takes/walk/export/walk.bvh\0.mp4",
    "takes/walk/export/walk%2Ebvh",
    "takes/%2e%2e/%2e%2e/outside.mp4",
    "takes/walk/.recording.json",
    "takes/walk/notes.exe",
    "takes/walk/video/link.mp4",
    "takes/linked/a.mp4",
    "takes/loop.mp4",
    "takes/walk/video/nothing.mp4",
    "C:/outside.mp4",
    "takes/C:/outside.mp4",
    "takes/" + "a/" * 3000 + "b.mp4",
    "takes/" + "a" * 5000 + ".mp4",
]


@pytest.mark.parametrize("asked", REFUSED, ids=range(len(REFUSED)))
def test_everything_else_is_refused(root, asked):
    assert file_in_session(root, asked) is None


def test_absolute_paths_are_refused(root):
    assert file_in_session(root, str(root / "calibration" / "report.html")) is None
    assert file_in_session(root, os.fspath(root.parent / "outside.mp4")) is None


def test_over_the_network_too(root):
    with served(PaperDesk(root)) as page:
        status, headers, body = fetch(page, "/files/takes/walk/export/walk.bvh")
        assert (status, body) == (200, b"inside")
        assert headers["content-disposition"].startswith("attachment")
        status, headers, _ = fetch(page, "/files/calibration/report.html")
        assert status == 200
        assert headers["content-security-policy"].startswith("sandbox")
        assert fetch(page, "/files/takes/walk/video/cam%201%C3%A9.mp4")[0] == 200
        part = fetch(page, "/files/takes/walk/video/cam%201%C3%A9.mp4", headers={"Range": "bytes=2-3"})
        assert (part[0], part[2]) == (206, b"si")
        for path in ("/files/../outside.mp4", "/files/%2e%2e/outside.mp4", "/files/takes/..%2f..%2foutside.mp4"):
            assert fetch(page, path)[0] == 404, path
        raw = b"GET /files/takes/../../outside.mp4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert b"outside" not in send_raw(page, raw).partition(b"\r\n\r\n")[2]
        assert fetch(page, "/page/../access.py")[0] == 404
        assert fetch(page, "/page/..%2faccess.py")[0] == 404
        assert fetch(page, "/page/access.py")[0] == 404
