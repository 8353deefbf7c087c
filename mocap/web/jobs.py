"""Calibration, clocks and processing started from the page: one job after the other, each in a process that can be
ended."""

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
from mocap.web.job_worker import WORK, Task, work

JobPhase = Literal["running", "done", "failed", "cancelled"]
END_S = 5.0
"""How long a job may take to end when it is told to, before it is ended by force."""


@dataclass(frozen=True)
class Job:
    """What was asked for, and how far it is. done, total: of the stage; total 0: unknown. held: it waits for a
    recording to end. headline, verdict, figures, notes: what came of it, or why nothing did."""

    number: int
    task: Task
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

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.phase == "running"


class JobRunner:
    """Runs jobs of one session, in the order in which they were asked for. All methods may be called by any thread;
    none waits for a job."""

    def __init__(
        self, root: Path, *, threads: int = 0, finished: Callable[[Job], None] | None = None, entry: Any = work
    ) -> None:
        """finished: told of every job that ended, by the job's thread. entry: what the process runs."""
        self._root, self._threads, self._finished, self._entry = root, threads, finished, entry
        self._lock = threading.Lock()
        self._job: Job | None = None
        self._waiting: list[Task] = []
        self._held = self._closing = False
        self._process: BaseProcess | None = None
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._count = 0

    @property
    def job(self) -> Job | None:
        """The latest one that began, running or ended."""
        with self._lock:
            job = self._job
            return replace(job, seconds=time.monotonic() - self._began) if job is not None and job.running else job

    @property
    def waiting(self) -> tuple[Task, ...]:
        """What begins when the running job has ended."""
        with self._lock:
            return tuple(self._waiting)

    def start(self, task: Task) -> None:
        """Do it now, or after those that were asked for before. Raises InputError for what is being done already."""
        if task.kind not in WORK:
            raise InputError(f"there is no job {task.kind!r}; there are {', '.join(WORK)}")
        with self._lock:
            if self._job is not None and self._job.running and self._job.task.same(task):
                raise InputError(f"{task.title} is still running", remedy="Wait until it has ended, or cancel it.")
            if any(task.same(other) for other in self._waiting):
                raise InputError(f"{task.title} waits already", remedy="Wait for it, or cancel what is running.")
            self._waiting.append(task)
        self._advance()

    def cancel(self, which: Callable[[Task], bool] = lambda task: True) -> tuple[Task, ...]:
        """End what runs and forget what waits, as far as `which` says so; what there was of that. What a job had
        finished is kept, and used by the next one."""
        with self._lock:
            dropped = [task for task in self._waiting if which(task)]
            self._waiting = [task for task in self._waiting if not which(task)]
            process, job = self._process, self._job
            if process is None or job is None or not job.running or not which(job.task):
                return tuple(dropped)
            job = self._job = replace(job, phase="cancelled", seconds=time.monotonic() - self._began)
            process.terminate()  # before it may go on: it ends without another step
            self._signal(held=False)
        self._tell(job)
        return (job.task, *dropped)

    def hold(self, held: bool) -> None:
        """Let the running job wait, or go on (where the system can do that), and begin none meanwhile."""
        with self._lock:
            self._held = held
            if self._job is not None and self._job.running and self._job.held != held and self._signal(held=held):
                self._job = replace(self._job, held=held)
        if not held:
            self._advance()

    def close(self) -> None:
        """End what runs, and wait for its end."""
        with self._lock:
            self._closing = True
        self.cancel()
        if self._thread is not None:
            self._thread.join(3 * END_S)

    def _advance(self) -> None:
        """Begin the next one, where none runs and none is held back."""
        with self._lock:
            if self._closing or self._held or not self._waiting or (self._job is not None and self._job.running):
                return
            task = self._waiting.pop(0)
            self._count += 1
            self._job, self._began = Job(self._count, task), time.monotonic()
            try:
                followed = self._spawn(task)
            except OSError as error:  # no memory, or no process left
                job = self._job = replace(self._job, phase="failed", headline=f"no process could be started: {error}")
            else:
                name, number = "job", self._count
                self._thread = threading.Thread(target=self._follow, args=(number, *followed), name=name, daemon=True)
                self._thread.start()
                return
        self._tell(job)

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

    def _spawn(self, task: Task) -> tuple[Connection, BaseProcess]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        threads = self._threads or max(1, (os.cpu_count() or 1) - 1)
        process = context.Process(target=self._entry, args=(theirs, task, str(self._root), threads), daemon=True)
        try:
            process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._process = process
        return ours, process

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
        self._advance()

    def _hear(self, number: int, kind: str, content: Any) -> None:
        with self._lock:
            if self._job is None or self._job.number != number or not self._job.running:
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
            if self._job is None or self._job.number != number or not self._job.running:
                return
            why = f"its process died (exit code {code}); out of memory is the usual cause"
            seconds = time.monotonic() - self._began
            job = self._job = replace(self._job, phase="failed", headline=why, seconds=seconds)
        self._tell(job)

    def _tell(self, job: Job) -> None:
        if self._finished is not None:
            self._finished(job)
