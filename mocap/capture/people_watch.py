"""Takes are looked at for people: one after the other, in a process of its own, while nothing is recorded."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from mocap.capture.people_look import PeopleLook, look_in_process

POLL_S = 0.1
LONGEST_S = 120.0
"""A look takes seconds; whatever takes longer hangs."""
END_S = 2.0

Entry = Callable[[Connection, str], None]


class PeopleWatch:
    """`told` gets the folder of a take and what the look came to, in a thread of its own. Any thread may call anything.

    A look that is under way when something is recorded is ended, and begun anew afterwards.
    """

    def __init__(self, told: Callable[[Path, PeopleLook], None], entry: Entry = look_in_process) -> None:
        """entry: what looks, in a process; it has to be a function of a module."""
        self._told = told
        self._entry = entry
        self._changed = threading.Condition()
        self._waiting: deque[Path] = deque()
        self._busy = False
        self._held = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def add(self, folder: Path) -> None:
        """Look at the take in this folder as soon as there is nothing better to do."""
        with self._changed:
            self._waiting.append(folder)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="people", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def hold(self, held: bool) -> None:
        """Look at nothing, or go on."""
        with self._changed:
            self._held = held
            self._changed.notify_all()

    def wait(self, timeout_s: float | int | None = None) -> bool:
        """Until every take was looked at; whether that came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_s)

    def close(self) -> None:
        """End the look that is under way; what waits is not looked at."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(2 * END_S)

    def _run(self) -> None:
        while (folder := self._next()) is not None:
            look = self._looked(folder)
            if look is not None:
                with suppress(Exception):  # nothing that only looks may end what records
                    self._told(folder, look)
            with self._changed:
                if look is None and not self._closed:
                    self._waiting.appendleft(folder)
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> Path | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (bool(self._waiting) and not self._held))
            if self._closed:
                return None
            self._busy = True
            return self._waiting.popleft()

    def _looked(self, folder: Path) -> PeopleLook | None:
        """None where the look was ended before it came to anything."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=self._entry, args=(theirs, str(folder)), daemon=True)
        process.start()
        theirs.close()
        until_s = time.monotonic() + LONGEST_S
        try:
            while not ours.poll(POLL_S):
                if self._held or self._closed:
                    return None
                if time.monotonic() > until_s:
                    return PeopleLook(problem="people could not be looked for: it took too long")
            return ours.recv()
        except (EOFError, OSError):
            return PeopleLook(problem="people could not be looked for: the process that looked has died")
        finally:
            ours.close()
            process.terminate()
            process.join(END_S)
            if process.is_alive():
                process.kill()
                process.join()
