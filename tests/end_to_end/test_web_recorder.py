"""A day of recording without hardware on the page of `mocap record --web`, in a real browser: lens, rig, floor, take,
calibration, animation. The cameras are those of a session that `mocap synth` made, played in real time."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest
from day_rig import CAMERAS, EXTRINSICS_S, FPS, made_studio, new_session

from mocap.capture.stream_writer import StreamWriter
from mocap.core.clock import Clock
from mocap.io.bvh_parse import parse_bvh
from mocap.io.session_files import open_take
from running_mocap import wait_for
from web_browsers import chromium, complaints_of, recorder_page, widest

pytestmark = pytest.mark.slow

ROOM = CAMERAS[:3]
WAIT_MS = 120_000


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return new_session(tmp_path_factory.mktemp("day") / "monday", made_studio(tmp_path_factory), ROOM)


def test_a_day_on_the_page(session, tmp_path):
    with recorder_page(session, tmp_path / "log.txt") as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(WAIT_MS)
        complaints = complaints_of(page)
        page.goto(address)
        for name in ROOM:
            page.wait_for_selector(f"[data-camera={name}] img:visible")

        page.click("[data-camera=cam02] .picture")
        _record(page, "#record", stop_after_s=10)
        page.wait_for_selector("#verdict:not([hidden])")
        page.screenshot(path=tmp_path / "lens.png")
        page.click("[data-overlay=board]")
        page.click("[data-mode=extrinsics]")
        _record(page, "#record", stop_after_s=EXTRINSICS_S, picture=tmp_path / "rig.png")
        page.click("[data-mode=floor]")
        _record(page, "#record", stop_after_s=1.5)

        page.click("[data-mode=take]")
        page.fill("#take", "walk")
        page.fill("#duration", "5")
        page.click("#record")
        page.wait_for_selector("#count:not([hidden])")
        page.screenshot(path=tmp_path / "countdown.png")
        page.wait_for_selector("body[data-phase=recording]")
        _bother(address)
        page.screenshot(path=tmp_path / "take.png")
        page.wait_for_selector("body[data-phase=idle]")
        page.wait_for_selector("[data-take=walk_01] img")

        page.click("#calibration summary")
        page.fill("#thickness", "2")
        page.click("#calibrate")
        page.wait_for_selector("#job .progress")
        page.screenshot(path=tmp_path / "calibrating.png")
        page.wait_for_selector("#calibration .badge.good, #calibration .badge.usable", timeout=2 * WAIT_MS)
        page.click("[data-sync=walk_01]")
        page.click("[data-process=walk_01]")  # waits for the clocks
        page.wait_for_selector("[data-take=walk_01] .clocks a")
        page.wait_for_selector("#job .progress")
        page.wait_for_selector("[data-take=walk_01] .files a[href$='.bvh']", timeout=2 * WAIT_MS)
        page.screenshot(path=tmp_path / "processed.png", full_page=True)
        with page.expect_download() as download:
            page.click("[data-take=walk_01] .files a[href$='.bvh']")
        download.value.save_as(tmp_path / "walk.bvh")
        page.click("[data-take=walk_01] .thumb")
        wait_for(lambda: page.evaluate("document.getElementById('player-video').videoWidth > 0"))
        page.screenshot(path=tmp_path / "player.png")
        assert complaints == []

    assert len(list((session / "takes" / "walk_01" / "video").glob("*.mp4"))) == len(ROOM)
    frames = parse_bvh((tmp_path / "walk.bvh").read_text()).values
    assert 0.8 * 5 * FPS <= len(frames) <= 5 * FPS + 2
    clocks = open_take(session / "takes" / "walk_01").clocks
    assert clocks == {name: Clock() for name in ROOM}, "they are the recorder's: nothing is found but that"
    assert not list(session.rglob(".recording"))


def _record(page, button, *, stop_after_s, picture=None):
    """Record until the page stops by itself, or for so long."""
    page.click(button)
    page.wait_for_selector("body[data-phase=recording]")
    try:
        page.wait_for_selector("body[data-phase=idle]", timeout=1e3 * stop_after_s)
    except Exception:  # playwright's own TimeoutError, which is imported only where there is a browser
        if picture is not None:
            page.screenshot(path=picture)
        page.click(button)
        page.wait_for_selector("body[data-phase=idle]")


def _bother(address):
    """Requests of other sites, without sense, and out of the session: none of them may reach the recording."""
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    for data in (b"\x16\x03\x01" + bytes(300), b"POST /api/stop HTTP/1.1\r\nContent-Length: 5\r\n\r\n{", b"\r\n" * 50):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(data)
    refused = [
        ("api/stop", b"{}", {"Origin": "http://evil.example", "Content-Type": "application/json"}),
        ("api/stop", b"{}", {"Host": "evil.example", "Content-Type": "application/json"}),
        ("api/stop", b"stop", {"Content-Type": "text/plain"}),
        ("api/stop", b"[1", {"Content-Type": "application/json"}),
        ("files/session.toml", None, {}),
        ("files/takes/%2e%2e/session.toml", None, {}),
    ]
    for path, body, headers in refused:
        request = urllib.request.Request(f"{address}{path}", data=body, headers=headers)
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(request, timeout=10)
        assert answer.value.code in (400, 403, 404, 415, 421), path
    with urllib.request.urlopen(f"{address}api/state", timeout=10) as answer:
        assert json.load(answer)["recording"]["phase"] == "recording"


def test_takes_of_kept_jpegs_are_played_picture_by_picture(tmp_path):
    root = tmp_path / "monday"
    root.mkdir()
    names = ("left", "right")
    (root / "session.toml").write_text(
        "".join(f'[[camera]]\nname = "{name}"\nsource = "pattern:320x180@10"\n' for name in names).replace(
            '"left"\n', '"left"\nrotation = 90\n'
        )
    )
    for k, name in enumerate(names):
        with StreamWriter(root / "takes" / "jump" / "video" / f"{name}.mp4", (320, 180), 10.0, as_jpeg=True) as writer:
            for i in range(40):
                done, jpeg = cv2.imencode(".jpg", np.full((180, 320, 3), 5 * i + 10 * k, dtype=np.uint8))
                assert done
                writer.write(jpeg.tobytes(), i / 10)
    with recorder_page(root, tmp_path / "log.txt") as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 820, "height": 1180})
        page.set_default_timeout(WAIT_MS)
        complaints = complaints_of(page)
        page.goto(address)
        page.click("[data-take=jump] .thumb")
        assert _natural_size(page) == (180, 320), "upright"
        page.click("[data-video=right]")
        wait_for(lambda: _natural_size(page) == (320, 180))
        wait_for(lambda: page.inner_text("#player-time") == "4.0 / 4.0 s")
        page.wait_for_selector("#player-go[aria-label=Play]")
        page.fill("#player-at", "1000")
        wait_for(lambda: page.inner_text("#player-time") == "1.0 / 4.0 s")
        assert page.is_hidden("#player-note")
        page.screenshot(path=tmp_path / "player.png")
        page.click("#player [aria-label=Close]")
        assert complaints == []


def _natural_size(page):
    """(width, height) px of the picture that is shown, once there is one."""
    size = "it => [it.naturalWidth, it.naturalHeight]"
    picture = page.locator("#player-picture")
    wait_for(lambda: picture.evaluate(size)[0] > 0)
    return tuple(picture.evaluate(size))


@pytest.mark.parametrize(("width", "height", "theme"), [(360, 740, "dark"), (820, 1180, "light"), (1920, 1080, "dark")])
def test_the_page_fits_phones_tablets_and_desktops(tmp_path, width, height, theme):
    root = tmp_path / "monday"
    root.mkdir()
    cameras = [f'[[camera]]\nname = "camera_{i}"\nsource = "pattern:320x180@10"\n' for i in range(5)]
    (root / "session.toml").write_text("".join(cameras))
    with recorder_page(root, tmp_path / "log.txt", "--host", "0.0.0.0") as address, chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme, has_touch=width < 1000)
        page.set_default_timeout(WAIT_MS)
        complaints = complaints_of(page)
        bare = address.partition("?")[0]
        page.goto(bare)
        assert "locked" in page.content()
        complaints.clear()  # the refusal itself
        page.goto(address)
        page.wait_for_selector("[data-camera=camera_4]")
        assert "token" not in page.url
        page.wait_for_selector("[data-camera=camera_0] img:visible")
        for mode in ("extrinsics", "floor", "take", "intrinsics"):
            page.click(f"[data-mode={mode}]")
            assert widest(page) == 0, mode
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        button = page.locator("#record").bounding_box()
        assert button is not None
        assert button["height"] >= 44
        assert button["y"] + button["height"] <= height
        page.evaluate("scrollTo(0, 0)")
        last = page.locator("[data-camera=camera_4]").bounding_box()
        assert last is not None
        assert width < 1000 or last["y"] + last["height"] <= button["y"], "all cameras are seen at once"
        page.keyboard.press("ArrowRight")
        page.screenshot(path=tmp_path / "page.png")
        assert complaints == []
