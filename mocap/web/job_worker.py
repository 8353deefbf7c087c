"""What runs in the process of a job: calibrates a session or processes a take, and tells how it goes.

A process of its own: it can be ended at any moment (results are written atomically), and the threads that record keep
their time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mocap.core.errors import sentence_for_user, sentence_of_fault

NICENESS = 10
"""Recording goes before calculation."""


class ToldObserver:
    """Sends what a stage has done to the process that shows it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def stage_started(self, stage: str) -> None:
        """Say so."""
        self._connection.send(("progress", (stage, 0, 0)))

    def progressed(self, stage: str, done: int, total: int) -> None:
        """Say so."""
        self._connection.send(("progress", (stage, done, total)))

    def stage_finished(self, stage: str, seconds: float, *, cached: bool) -> None:
        """Say so."""
        self._connection.send(("progress", (stage, 1, 1)))


def work(connection: Connection, kind: str, root: str, take: str | None, threads: int) -> None:
    """Do one job and send its end: ("done", what came of it) or ("failed", a sentence). Its process' entry."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError, AttributeError):  # Windows has no such call
        os.nice(NICENESS)
    try:
        observer = ToldObserver(connection)
        result = WORK[kind](Path(root), take, observer, threads)
        connection.send(("done", result))
    except BrokenPipeError:
        return
    except Exception as error:
        connection.send(("failed", sentence_for_user(error) or sentence_of_fault(error)))
    finally:
        connection.close()


def calibrate_session(root: Path, take: str | None, observer: ToldObserver, threads: int) -> dict[str, Any]:
    """As `mocap calibrate SESSION` does it."""
    from mocap.calibrate.clips import find_clips
    from mocap.calibrate.observed import observe
    from mocap.calibrate.results import write_results
    from mocap.calibrate.session import calibrate

    clips = find_clips(root)
    observed = observe(clips, observer, threads=threads)
    observer.stage_started("solve")
    calibration = calibrate(observed)
    write_results(calibration, clips.folder, root.resolve().name)
    report = calibration.report
    told = [*(finding.sentence for finding in calibration.findings), *observed.sentences, *report.sentences]
    return {"verdict": report.verdict, "headline": report.headline, "notes": told, "figures": {}}


def process_one_take(root: Path, take: str | None, observer: ToldObserver, threads: int) -> dict[str, Any]:
    """As `mocap process SESSION/takes/TAKE` does it."""
    from mocap.jobs import find_jobs
    from mocap.pipeline import PipelineConfig, process_take

    assert take is not None
    (job,) = find_jobs([str(root / "takes" / take)])
    result = process_take(job, PipelineConfig(), threads=threads, observer=observer)
    headline = f"{len(result.files)} file{'s' if len(result.files) != 1 else ''} in {result.seconds:.0f} s"
    return {"verdict": "", "headline": headline, "notes": list(result.notes), "figures": dict(result.figures)}


WORK: Mapping[str, Callable[[Path, str | None, ToldObserver, int], dict[str, Any]]] = {
    "calibrate": calibrate_session,
    "process": process_one_take,
}
