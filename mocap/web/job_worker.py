"""What runs in the process of a job: calibrates a session, puts a take on one clock or processes it, and tells how it
goes.

A process of its own: it can be ended at any moment (results are written atomically), and the threads that record keep
their time.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocap.core.errors import InputError, sentence_for_user, sentence_of_fault
from mocap.stage_cache import Observer

if TYPE_CHECKING:
    from mocap.calibrate.observed import Observed
    from mocap.take_sync import SyncResult

NICENESS = 10
"""Recording goes before calculation."""
SURE_S, SURE = 0.004, 0.8
"""Standard deviation and confidence of clocks from which on they are called good: an eighth of a frame at 30 a second.
"""


@dataclass(frozen=True)
class Task:
    """What a job does. kind: one of `WORK`. take: of which take; None for the whole session. options: of its kind."""

    kind: str
    take: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For people."""
        if self.kind == "calibrate":
            return "calibration"
        return f"{'clocks' if self.kind == 'sync' else 'processing'} of {self.take}"

    def same(self, other: Task) -> bool:
        """Whether both would write the same files."""
        return (self.kind, self.take) == (other.kind, other.take)


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


def work(connection: Connection, task: Task, root: str, threads: int) -> None:
    """Do one job and send its end: ("done", what came of it) or ("failed", a sentence). Its process' entry."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError, AttributeError):  # Windows has no such call
        os.nice(NICENESS)
    try:
        observer = ToldObserver(connection)
        result = WORK[task.kind](Path(root), task, observer, threads)
        connection.send(("done", result))
    except BrokenPipeError:
        return
    except Exception as error:
        connection.send(("failed", sentence_for_user(error) or sentence_of_fault(error)))
    finally:
        connection.close()


def calibrate_session(root: Path, task: Task, observer: Observer, threads: int) -> dict[str, Any]:
    """As `mocap calibrate SESSION` does it. options: those of the page's request."""
    from calibration.world_frame import FloorConfig
    from mocap.calibrate.clips import find_clips
    from mocap.calibrate.observed import observe
    from mocap.calibrate.results import write_results
    from mocap.calibrate.session import CalibrateConfig, calibrate
    from mocap.calibrate.world import WorldConfig

    asked = task.options
    thickness_m = asked.get("thickness_mm", 0.0) / 1000
    floor = FloorConfig(thickness_m=thickness_m, origin=asked.get("origin", "corner"))
    person = root / "takes" / asked["person"] if asked.get("floor") == "person" else None
    clips = find_clips(root)
    observed = observe(clips, observer, threads=threads)
    left = without_clips(observed, asked.get("without_lenses", ()), floor=asked.get("floor", "board") == "board")
    observer.stage_started("solve")
    calibration = calibrate(left, CalibrateConfig(world=WorldConfig(floor, person)))
    write_results(calibration, clips.folder, root.resolve().name)
    report = calibration.report
    told = [*(finding.sentence for finding in calibration.findings), *observed.sentences, *report.sentences]
    return {"verdict": report.verdict, "headline": report.headline, "notes": told, "figures": {}}


def without_clips(observed: Observed, lenses: Sequence[str], *, floor: bool) -> Observed:
    """What was seen, without the lens clips of these cameras, and with the floor's clip or not."""
    from dataclasses import replace

    seen = observed.intrinsics
    if seen is not None and lenses:
        names = [name for name in seen.cameras if name not in lenses]
        seen = seen.of_cameras(names) if names else None
    return replace(observed, intrinsics=seen, floor=observed.floor if floor else None)


def sync_one_take(root: Path, task: Task, observer: Observer, threads: int) -> dict[str, Any]:
    """As `mocap sync SESSION/takes/TAKE` does it."""
    from mocap.capture.sync_report import save_sync
    from mocap.io.session_files import open_session, open_take_of
    from mocap.take_sync import sync_take

    session = open_session(root)
    take = open_take_of(session, task.take or "")
    found = sync_take(take, take.root / "derived", rig_path=session.rig_path, threads=threads, observer=observer)
    save_sync(take, found.sync, found.cameras, found.notes)
    verdict, headline = clocks_verdict(found)
    return {"verdict": verdict, "headline": headline, "notes": list(found.notes), "figures": {}}


def clocks_verdict(found: SyncResult) -> tuple[str, str]:
    """How sure the clocks of a take are, as a verdict and a sentence."""
    others = [found.sync.cameras[name] for name in found.sync.cameras if name != found.sync.reference]
    worst_s = max((math.inf if math.isnan(it.sd_s) else it.sd_s for it in others), default=math.inf)
    least = min((it.confidence for it in others), default=0.0)
    told = f"{len(found.sync.cameras)} cameras on one clock by {found.sync.method}"
    told += f", ± {1000 * worst_s:.1f} ms" if math.isfinite(worst_s) else ""
    if found.missing:
        return "redo", f"{told}; not on it: {', '.join(found.missing)}"
    return ("good" if worst_s <= SURE_S and least >= SURE else "usable"), told


def process_one_take(root: Path, task: Task, observer: Observer, threads: int) -> dict[str, Any]:
    """As `mocap process SESSION/takes/TAKE` does it. options: again, to run every stage again."""
    from mocap.jobs import find_jobs
    from mocap.pipeline import PipelineConfig, process_take

    if task.take is None:
        raise InputError("no take was named")
    (job,) = find_jobs([str(root / "takes" / task.take)])
    again = bool(task.options.get("again", False))
    result = process_take(job, PipelineConfig(), threads=threads, force=again, observer=observer)
    headline = f"{len(result.files)} file{'s' if len(result.files) != 1 else ''} in {result.seconds:.0f} s"
    return {"verdict": "", "headline": headline, "notes": list(result.notes), "figures": dict(result.figures)}


WORK: Mapping[str, Callable[[Path, Task, Observer, int], dict[str, Any]]] = {
    "calibrate": calibrate_session,
    "sync": sync_one_take,
    "process": process_one_take,
}
