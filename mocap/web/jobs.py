"""Calibration and processing started from the page: one job at a time, in a process that can be ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from mocap.core.errors import InputError
from mocap.web.job_worker import WORK, work

JobPhase = Literal["running", "done", "failed", "cancelled"]
END_S = 5.0
"""How long a job may take to end when it is told to, before it is ended by force."""


@dataclass(frozen=True)
class Job:
    """What was asked for, and how far it is. done, total: of the stage; total 0: unknown. held: it waits for a
    recording to end. headline, verdict, figures, notes: what came of it, or why nothing did."""

    number: int
    kind: str
    take: str | None
    phase: JobPhase = "running"
    stage: str = ""
    done: int = 0
    total: int = 0
    held: bool = False
    seconds: float = 0.0
    headline: str = ""
    verdict: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


class JobRunner:
    """Runs jobs of one session. All methods may be called by any thread; none waits for a job."""

    def __init__(
        self, root: Path, *, threads: int = 0, finished: Callable[[Job], None] | None = None, entry: Any = work
    ) -> None:
        """finished: told of every job that ended, by the job's thread. entry: what the process runs."""
        self._root, self._threads, self._finished, self._entry = root, threads, finished, entry
        self._lock = threading.Lock()
        self._job: Job | None = None
        self._process: BaseProcess | None = None
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._count = 0

    @property
    def job(self) -> Job | None:
        """The latest one, running or ended."""
        with self._lock:
            job = self._job
            if job is not None and job.phase == "running":
                job = replace(job, seconds=time.monotonic() - self._began)
            return job

    def start(self, kind: str, take: str | None = None) -> Job:
        """Begin a job. Raises InputError while another one runs."""
        if kind not in WORK:
            raise InputError(f"there is no job {kind!r}; there are {', '.join(WORK)}")
        with self._lock:
            if self._job is not None and self._job.phase == "running":
                raise InputError(
                    f"{_name(self._job)} is still running", remedy="Wait until it has ended, or cancel it."
                )
            self._count += 1
            self._job, self._began = Job(self._count, kind, take), time.monotonic()
            ours = self._spawn(kind, take)
            followed = (self._count, ours, self._process)
            self._thread = threading.Thread(target=self._follow, args=followed, name="job", daemon=True)
            self._thread.start()
            return self._job

    def cancel(self) -> bool:
        """End the running job; whether there was one. What it had finished is kept, and used by the next one."""
        with self._lock:
            process, running = self._process, self._job is not None and self._job.phase == "running"
            if not running or self._job is None or process is None:
                return False
            job = self._job = replace(self._job, phase="cancelled", seconds=time.monotonic() - self._began)
        self._signal(held=False)
        process.terminate()
        self._tell(job)
        return True

    def hold(self, held: bool) -> None:
        """Let the running job wait, or go on; nothing where there is none, or the system cannot."""
        with self._lock:
            if self._job is None or self._job.phase != "running" or self._job.held == held:
                return
            if self._signal(held=held):
                self._job = replace(self._job, held=held)

    def close(self) -> None:
        """End what runs, and wait for its end."""
        self.cancel()
        if self._thread is not None:
            self._thread.join(3 * END_S)

    def _signal(self, *, held: bool) -> bool:
        """Stop the process for now, or let it go on; whether that is possible."""
        number = getattr(signal, "SIGSTOP" if held else "SIGCONT", None)
        process = self._process
        if number is None or process is None or process.pid is None:
            return False
        try:
            os.kill(process.pid, number)
        except OSError:
            return False
        return True

    def _spawn(self, kind: str, take: str | None) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        threads = self._threads or max(1, (os.cpu_count() or 1) - 1)
        arguments = (theirs, kind, str(self._root), take, threads)
        self._process = context.Process(target=self._entry, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        return ours

    def _follow(self, number: int, connection: Connection, process: BaseProcess) -> None:
        """Read what the process of job `number` tells until it ends; the next job may begin before it has."""
        try:
            while True:
                self._hear(number, *connection.recv())
        except (EOFError, OSError):
            pass
        connection.close()
        process.join(END_S)
        if process.is_alive():
            process.kill()
            process.join()
        self._died(number, process.exitcode)

    def _hear(self, number: int, kind: str, content: Any) -> None:
        with self._lock:
            if self._job is None or self._job.number != number or self._job.phase != "running":
                return
            if kind == "progress":
                stage, done, total = content
                self._job = replace(self._job, stage=stage, done=done, total=total)
                return
            seconds = time.monotonic() - self._began
            ended = {"headline": content} if kind == "failed" else content
            phase: JobPhase = "failed" if kind == "failed" else "done"
            job = self._job = replace(self._job, phase=phase, seconds=seconds, **ended)
        self._tell(job)

    def _died(self, number: int, code: int | None) -> None:
        """The process has ended; what it did not say itself is said here."""
        with self._lock:
            if self._job is None or self._job.number != number or self._job.phase != "running":
                return
            why = f"its process died (exit code {code}); out of memory is the usual cause"
            seconds = time.monotonic() - self._began
            job = self._job = replace(self._job, phase="failed", headline=why, seconds=seconds)
        self._tell(job)

    def _tell(self, job: Job) -> None:
        if self._finished is not None:
            self._finished(job)


def _name(job: Job) -> str:
    return "calibration" if job.kind == "calibrate" else f"processing of take {job.take}"
