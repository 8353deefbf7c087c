"""Progress of a take: a bar per stage on a terminal, one plain line per stage elsewhere."""

from __future__ import annotations

import logging
import time
from types import TracebackType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mocap.cli.console import heed_signals, stderr

log = logging.getLogger("mocap")
PLAIN_INTERVAL_S = 10.0


class BarObserver:
    """Live bars on a terminal (standard error). Use as a context manager."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=stderr,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> BarObserver:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def stage_started(self, stage: str) -> None:
        """Add the stage's bar."""
        heed_signals()
        self._tasks[stage] = self._progress.add_task(stage, total=None)

    def progressed(self, stage: str, done: int, total: int) -> None:
        """Move the stage's bar; `total` may be an estimate that changes."""
        heed_signals()
        if stage in self._tasks:
            self._progress.update(self._tasks[stage], completed=done, total=total)

    def stage_finished(self, stage: str, seconds: float, *, cached: bool) -> None:
        """Fill the stage's bar."""
        task = self._tasks.pop(stage, None)
        if task is not None:
            total = self._progress.tasks[self._progress.task_ids.index(task)].total or 1
            self._progress.update(task, completed=total, total=total)


class LineObserver:
    """One plain line when a stage starts and ends, and every ten seconds in between."""

    def __init__(self, take: str = "") -> None:
        self._prefix = f"{take}: " if take else ""
        self._last = 0.0

    def __enter__(self) -> LineObserver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    def stage_started(self, stage: str) -> None:
        """Say so."""
        heed_signals()
        self._last = time.monotonic()
        log.info("%s%s …", self._prefix, stage)

    def progressed(self, stage: str, done: int, total: int) -> None:
        """Say so at most every ten seconds."""
        heed_signals()
        if time.monotonic() - self._last >= PLAIN_INTERVAL_S:
            self._last = time.monotonic()
            log.info("%s%s %d/%d", self._prefix, stage, done, total)

    def stage_finished(self, stage: str, seconds: float, *, cached: bool) -> None:
        """Say so, with the time it took."""
        log.info("%s%s done in %.1f s", self._prefix, stage, seconds)


def observer_for_this_output(take: str, *, quiet: bool = False) -> BarObserver | LineObserver:
    """Bars where a person watches, lines in logs and pipes."""
    if stderr.is_terminal and not quiet:
        return BarObserver()
    return LineObserver(take)


def start_plain_log(*, quiet: bool = False) -> None:
    """Send the program's messages to standard error, without colours or decoration."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
