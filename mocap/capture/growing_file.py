"""A file that is whole whenever its writing stops: what is in it is never changed until its end is safe on the disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mocap.core.errors import InputError


class GrowingFile:
    """For a container's writer that appends, and goes back only when it finishes. Never overwrites a file.

    `settle` after every part that can be read by itself; `give_up` cuts the file there. After `begin_to_finish`,
    changes of settled bytes are held back until `finish` has what was appended on the disk.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._end = 0
        self._settled = 0
        self._finishing = False
        self._held: list[tuple[int, bytes]] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file = path.open("xb", buffering=0)
        except FileExistsError:
            raise InputError(
                "is there already and is not overwritten",
                where=path,
                remedy="Give the recording another name, or move the file away.",
            ) from None

    @property
    def n_bytes(self) -> int:
        """To where the file reaches, with what is held back."""
        return self._end

    def seekable(self) -> bool:
        """It is; FFmpeg asks."""
        return True

    def writable(self) -> bool:
        """It is; FFmpeg asks."""
        return True

    def tell(self) -> int:
        """Where the next bytes go."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte; where that is from the beginning."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def write(self, data: bytes) -> int:
        """All of it, or an OSError that carries the file's name."""
        if self._finishing and self._at < self._settled:
            self._held.append((self._at, bytes(data)))
        else:
            self._put(self._at, data)
        self._at += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def settle(self) -> None:
        """What was written until now can be read by itself."""
        self._settled = self._end

    def sync(self) -> None:
        """Let the system write what it still holds in memory: only that survives a pulled plug."""
        with suppress(ValueError):  # closed by another thread
            getattr(os, "fdatasync", os.fsync)(self._file.fileno())

    def begin_to_finish(self) -> None:
        """From now on settled bytes are changed only by `finish`."""
        self._finishing = True

    def finish(self) -> None:
        """Make the last changes and close."""
        self.sync()
        for at, data in self._held:
            self._put(at, data)
        self.sync()
        self._file.close()

    def give_up(self) -> None:
        """Cut off what is not whole, and close."""
        if self._file.closed:
            return
        try:
            with suppress(OSError):
                self._file.truncate(self._settled)
        finally:
            self._file.close()

    def _put(self, at: int, data: bytes) -> None:
        try:
            self._file.seek(at)
            rest = memoryview(data)
            while len(rest):
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(self._path)) from error
