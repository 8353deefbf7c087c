"""Films the shots of a session on all cores: a process each, the stage sent once, progress on the way."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from multiprocessing.queues import Queue
from typing import Any

import cv2

from mocap.geometry.threads import one_thread
from mocap.synthetic.shots import Backgrounds, Seen, Shot, Stage, shoot

POLL_S = 0.2


def film(
    stage: Stage, shots: Sequence[Shot], *, workers: int = 0, progress: Callable[[int, int], None] | None = None
) -> list[Seen]:
    """Make the videos of all shots; what was seen in each, in the order given.

    workers: processes, 0 for one a core; results do not depend on it. progress: pictures done, and in all.
    """
    total = sum(len(shot.clock.time_s) for shot in shots)
    report = progress or (lambda done, of: None)
    workers = min(workers or os.cpu_count() or 1, len(shots))
    if workers <= 1:
        return _film_here(stage, shots, report, total)
    context = multiprocessing.get_context("spawn")
    ticks: Queue[int] = context.Queue()
    with _OneThreadEach(), ProcessPoolExecutor(workers, context, _start, (stage, ticks)) as pool:
        jobs = [(job, pool.submit(_film_some, [shots[i] for i in job])) for job in jobs_of(shots, workers)]
        try:
            _watch([future for _, future in jobs], ticks, report, total)
            found = {i: seen for job, future in jobs for i, seen in zip(job, future.result(), strict=True)}
            return [found[i] for i in range(len(shots))]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise


def jobs_of(shots: Sequence[Shot], workers: int) -> list[list[int]]:
    """Numbers of shots that one process films in a row: all of a camera, whose empty room is then painted once.

    Cameras that would leave processes idle at the end (the fifth of five, for two) are shared out shot by shot.
    """
    cameras: dict[str, list[int]] = {}
    for number, shot in enumerate(shots):
        cameras.setdefault(shot.camera.name, []).append(number)
    groups = sorted(cameras.values(), key=lambda job: -sum(len(shots[i].clock) for i in job))
    whole = len(groups) // workers * workers
    rest = sorted((i for job in groups[whole:] for i in job), key=lambda i: -len(shots[i].clock))
    return groups[:whole] + [[i] for i in rest]


def _film_here(stage: Stage, shots: Sequence[Shot], report: Callable[[int, int], None], total: int) -> list[Seen]:
    done = [0]

    def tick() -> None:
        done[0] += 1
        report(done[0], total)

    backgrounds = Backgrounds(stage)
    order = [i for job in jobs_of(shots, 1) for i in job]
    with one_thread():  # as in the processes: sums of several threads are rounded differently
        found = {i: shoot(stage, shots[i], backgrounds, tick) for i in order}
    return [found[i] for i in range(len(shots))]


def _watch(
    futures: list[Future[list[Seen]]], ticks: Queue[int], report: Callable[[int, int], None], total: int
) -> None:
    done = 0
    while True:
        finished, waiting = wait(futures, POLL_S, FIRST_EXCEPTION)
        with suppress(queue.Empty):
            while True:
                done += ticks.get_nowait()
        report(done, total)
        for future in finished:
            future.result()
        if not waiting:
            return


class _OneThreadEach:
    """Processes started within use one thread for linear algebra: there is a process a core already."""

    NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self.NAMES}
        os.environ.update(dict.fromkeys(self.NAMES, "1"))

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_stage: Stage | None = None
_backgrounds: Backgrounds | None = None
_ticks: Any = None


def _start(stage: Stage, ticks: Queue[int]) -> None:
    """A worker's beginning. Ctrl-C is the parent's affair; being terminated leaves through every `finally`."""
    global _stage, _backgrounds, _ticks
    _stage, _backgrounds, _ticks = stage, Backgrounds(stage), ticks
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    cv2.setNumThreads(1)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _film_some(shots: Sequence[Shot]) -> list[Seen]:
    assert _stage is not None
    assert _backgrounds is not None
    return [shoot(_stage, shot, _backgrounds, lambda: _ticks.put(1)) for shot in shots]
