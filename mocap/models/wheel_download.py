"""One wheel from the package index, through pip: downloaded, not installed, whatever machine this is."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mocap.core.errors import InputError

PLATFORM = "manylinux_2_28_x86_64"
PYTHON = "3.11"
POLL_S = 0.1


def download_wheel(
    requirement: str,
    folder: Path,
    expected_bytes: int,
    progress: Callable[[int, int], None] | None = None,
    *,
    remedy: str,
) -> Path:
    """Download the wheel of `requirement` (for one fixed platform) into `folder`.

    pip downloads into its temporary folder first, which is put below `folder`; the bytes there are the progress.
    """
    target, temporary = folder / "wheel", folder / "tmp"
    target.mkdir()
    temporary.mkdir()
    command = [*_pip(remedy), *_arguments(requirement, target)]
    environment = os.environ | {name: str(temporary) for name in ("TMPDIR", "TEMP", "TMP")}
    with (folder / "pip.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            while process.poll() is None:
                time.sleep(POLL_S)
                if progress is not None:
                    progress(min(_bytes_below(folder), expected_bytes), expected_bytes)
        finally:
            _end(process)
    wheels = sorted(target.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        raise InputError(
            f"pip could not download it ({_reason(folder / 'pip.log')})",
            where=requirement,
            remedy=f"Check the network connection and pip's index settings. {remedy}.",
        )
    if progress is not None:
        progress(expected_bytes, expected_bytes)
    return wheels[0]


def _arguments(requirement: str, target: Path) -> list[str]:
    return [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        f"--platform={PLATFORM}",
        f"--python-version={PYTHON}",
        "--implementation=cp",
        f"--abi=cp{PYTHON.replace('.', '')}",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar=off",
        f"--dest={target}",
        requirement,
    ]


def _pip(remedy: str) -> list[str]:
    """This environment's pip, or any other: the wheel is the same."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        if found := shutil.which(name):
            return [found]
    raise InputError(
        "pip is not installed, and the networks are downloaded with it",
        remedy=f"Install it with `{Path(sys.executable).name} -m ensurepip`. {remedy}.",
    )


def _bytes_below(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_size  # noqa: PTH116, PTH118
            except FileNotFoundError:  # pip moves its files while we look
                continue
    return total


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C must not leave a download behind."""
    if process.poll() is None:
        process.terminate()
        process.wait()


def _reason(log: Path) -> str:
    """The last error that pip printed, without its hints."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return errors[-1] if errors else (lines[-1] if lines else "no message")
