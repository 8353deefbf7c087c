"""A disk of its own that can be filled up, made read-only or mounted anew; for root only."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Mount = Callable[[str], None]


@contextmanager
def small_disk_at(disk: Path, size: str) -> Iterator[tuple[Path, Mount]]:
    """The disk, and a function to mount it anew with other options."""
    disk.mkdir()

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("disks can be mounted by root only, and not in every container")

    mount(f"size={size}")
    try:
        yield disk, mount
    finally:
        subprocess.run(["umount", str(disk)], check=True)
