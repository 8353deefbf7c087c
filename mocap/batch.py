"""Many takes, several at once, each worker in a process of its own: one that fails or dies takes no other with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any

from mocap.core.errors import sentence_for_user, sentence_of_fault
from mocap.pipeline import PipelineConfig, TakeJob, process_take

FAILED_INPUT = "input"
FAILED_FAULT = "fault"
DONE = "done"

STOP_S = 10.0
"""How long a worker may take to put its things away."""


@dataclass(frozen=True)
class Outcome:
    """What became of one take. `status` is done, input (the user's material) or fault (ours)."""

    take: str
    folder: str
    status: str
    seconds: float
    message: str = ""
    files: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    job: TakeJob | None = None
    started: float = 0.0


def run_batch(
    jobs: Sequence[TakeJob],
    config: PipelineConfig,
    *,
    n_workers: int,
    on_progress: Callable[[str, str, int, int], None] | None = None,
) -> Generator[Outcome, None, None]:
    """Process the jobs on `n_workers` processes and yield an outcome as each one ends, in the order they end.

    `on_progress(take, stage, done, total)` is called in this process. Closing the iterator or an interrupt stops the
    workers; what they had finished is kept.
    """
    waiting = list(jobs)
    workers: list[_Worker] = []
    try:
        for _ in range(min(n_workers, len(waiting))):
            workers.append(_start_worker(n_workers))
            workers[-1] = _next_job(workers[-1], waiting, config, n_workers)
        while any(worker.job is not None for worker in workers):
            for index in _ready(workers):
                outcome = _receive(workers[index], on_progress)
                if outcome is not None:
                    yield outcome
                    workers[index] = _next_job(workers[index], waiting, config, n_workers)
    finally:
        _stop(workers)


def _start_worker(n_workers: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    threads = max(1, (os.cpu_count() or 1) // n_workers)
    process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
    with _inherited_by_workers(threads):
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _inherited_by_workers(threads: int) -> Iterator[None]:
    """Libraries read their number of threads while they load; Ctrl-C is for the parent, which ends its workers."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main else None
    try:
        yield
    finally:
        if in_main:
            signal.signal(signal.SIGINT, handler or signal.SIG_DFL)
        del os.environ["OMP_NUM_THREADS"]
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def _next_job(worker: _Worker, waiting: list[TakeJob], config: PipelineConfig, n_workers: int) -> _Worker:
    """The worker, or one in the place of a dead one, with the next job."""
    worker.job = None
    if not waiting:
        return worker
    if worker.connection.closed or not worker.process.is_alive():
        worker = _start_worker(n_workers)
    worker.job, worker.started = waiting.pop(0), time.perf_counter()
    with suppress(OSError):  # it died just now, which receiving from it will tell
        worker.connection.send((worker.job, config))
    return worker


def _ready(workers: Sequence[_Worker]) -> list[int]:
    busy = {w.connection: i for i, w in enumerate(workers) if w.job is not None}
    ready = wait(list(busy))
    return [index for connection, index in busy.items() if connection in ready]


def _receive(worker: _Worker, on_progress: Callable[[str, str, int, int], None] | None) -> Outcome | None:
    """The next message of a worker: progress (passed on, None returned) or the end of its take."""
    assert worker.job is not None
    try:
        kind, content = worker.connection.recv()
    except (EOFError, OSError):
        worker.connection.close()
        worker.process.join()
        return Outcome(
            worker.job.label,
            str(worker.job.folders.export),
            FAILED_FAULT,
            time.perf_counter() - worker.started,
            f"the worker process died (exit code {worker.process.exitcode}); out of memory is the usual cause: "
            "try fewer takes at once with --jobs",
        )
    if kind == "progress":
        if on_progress is not None:
            on_progress(worker.job.label, *content)
        return None
    return content


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        with suppress(OSError):
            worker.connection.close()
        if worker.job is not None:
            worker.process.terminate()
    for worker in workers:
        worker.process.join(timeout=STOP_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


class _PipeObserver:
    """Sends a worker's progress to the parent, at most ten times a second."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last = 0.0

    def stage_started(self, stage: str) -> None:
        self._connection.send(("progress", (stage, 0, 0)))

    def progressed(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() - self._last > 0.1:
            self._last = time.monotonic()
            self._connection.send(("progress", (stage, done, total)))

    def stage_finished(self, stage: str, seconds: float, *, cached: bool) -> None:
        self._connection.send(("progress", (stage, 1, 1)))


def _serve(connection: Connection, threads: int) -> None:
    """A worker's life: takes in, outcomes out, until the parent hangs up."""
    signal.signal(signal.SIGTERM, _leave)
    observer = _PipeObserver(connection)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            job, config = connection.recv()
            connection.send(("end", run_one(job, config, threads=threads, observer=observer)))


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Through every `finally`, so that nothing half-written stays."""
    raise KeyboardInterrupt


def run_one(job: TakeJob, config: PipelineConfig, *, threads: int, observer: Any) -> Outcome:
    """Process one take and turn whatever happens into an outcome."""
    start = time.perf_counter()
    name, folder = job.label, str(job.folders.export)
    try:
        result = process_take(job, config, threads=threads, observer=observer)
    except Exception as error:
        sentence = sentence_for_user(error)
        status = FAILED_FAULT if sentence is None else FAILED_INPUT
        return Outcome(name, folder, status, time.perf_counter() - start, sentence or sentence_of_fault(error))
    return Outcome(
        name,
        folder,
        DONE,
        time.perf_counter() - start,
        files=tuple(str(Path(f)) for f in result.files),
        ran=result.ran,
        figures=dict(result.figures),
    )
