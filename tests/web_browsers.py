"""The recorder's page in a real browser without a window: Debian's Chromium, driven by playwright."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from running_mocap import start_mocap

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
ADDRESS = re.compile(r"http://\S+")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser; the test skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("there is no Chromium: apt install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def recorder_page(session: Path, log: Path, *options: object) -> Iterator[str]:
    """`mocap record SESSION --web` as a process; the address that it tells."""
    process = start_mocap("record", session, "--web", "--port", 0, *options, log=log)
    try:
        yield _told_address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _told_address(process: subprocess.Popen[str], log: Path) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        told = log.read_text(encoding="utf-8")
        found = ADDRESS.search(told.partition("The recorder is at")[2])
        if found and told.endswith("\n"):
            return found[0]
        assert process.poll() is None, told
        time.sleep(0.1)
    raise AssertionError(f"no page after two minutes: {log.read_text(encoding='utf-8')}")


def complaints_of(page: Page) -> list[str]:
    """A list that fills with whatever the page's scripts and policies complain of."""
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    return told


def widest(page: Page) -> int:
    """px by which the page is wider than its window: 0 on a page that nobody has to push sideways."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
