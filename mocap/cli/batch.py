"""`mocap batch`: many takes at once, one table at the end."""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from mocap.cli.console import EXIT_FAULT, EXIT_INPUT, print_json, print_path, stderr, stdout
from mocap.cli.progress import start_plain_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocap.batch import Outcome
    from mocap.core.errors import InputError
    from mocap.pipeline import TakeJob

log = logging.getLogger("mocap")

EXAMPLE = """
One take that fails stops no other. The table at the end says what became of each; the same lies in a JSON file.
Takes that are up to date are not run again, so the same command finishes a batch that was stopped.

[bold]Examples[/]

  mocap batch monday tuesday --jobs 2

  mocap batch recordings/* --set smooth.filter=butterworth --summary night.json
"""

COLOURS = {"done": "green", "input": "yellow", "fault": "red"}
FIGURES = {"frames": "frames", "frames_lost": "lost", "body_reprojection_px": "px off", "solve_distance_mm": "mm off"}


def command(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Sessions, takes, or folders that hold sessions.")
    ],
    jobs: Annotated[
        int, typer.Option("-j", "--jobs", min=0, help="Takes at once; 0 chooses by the number of cores.")
    ] = 0,
    rig: Annotated[
        Path | None, typer.Option("--rig", help="Calibration file for all takes instead of their own.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file, see configs/pipeline/.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key; may be repeated.")
    ] = None,
    summary: Annotated[Path, typer.Option(help="Where the machine-readable summary goes.")] = Path(
        "batch_summary.json"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON too.")] = False,
) -> None:
    """Process many takes, several at once."""
    start_plain_log()
    from mocap.batch import FAILED_INPUT, Outcome, run_batch
    from mocap.core.config import load_config
    from mocap.jobs import find_batch_jobs
    from mocap.pipeline import PipelineConfig

    values = load_config(PipelineConfig, config, settings or ())
    outcomes: list[Outcome] = []
    start = time.perf_counter()

    def refuse(place: str, error: InputError) -> None:
        outcomes.append(Outcome(place, place, FAILED_INPUT, 0.0, str(error)))

    found = find_batch_jobs(paths, rig=rig, refused=refuse)
    n_workers = min(jobs or default_workers(), max(len(found), 1))
    write_summary(summary, outcomes, 0.0)  # now, so that a place where it cannot be is known before the work
    with (
        board(found) as progress,
        closing(run_batch(found, values, n_workers=n_workers, on_progress=progress.progressed)) as ended,
    ):
        for outcome in ended:
            outcomes.append(outcome)
            progress.ended(outcome)
            write_summary(summary, outcomes, time.perf_counter() - start)
    if as_json:
        print_json([asdict(outcome) for outcome in outcomes])
    else:
        show(outcomes)
        print_path(summary)
    raise_exit_code(outcomes)


command.__doc__ = (command.__doc__ or "") + EXAMPLE


def default_workers() -> int:
    """Takes at once. One take keeps about two cores busy (decoding and inference)."""
    return max(1, (os.cpu_count() or 1) // 2)


def write_summary(path: Path, outcomes: Sequence[Outcome], seconds: float) -> None:
    """The machine-readable summary, rewritten after every take so that a killed batch leaves one too."""
    from mocap.io.artefacts import write_text_atomic

    counts = {status: sum(o.status == status for o in outcomes) for status in COLOURS}
    document = {"seconds": round(seconds, 3), "counts": counts, "takes": [asdict(outcome) for outcome in outcomes]}
    write_text_atomic(path, json.dumps(document, indent=2, ensure_ascii=False))


def show(outcomes: Sequence[Outcome]) -> None:
    """One line per take, and below it a sentence for each that could not be done."""
    table = Table("take", "result", *FIGURES.values(), "s", box=SIMPLE_HEAD)
    for outcome in outcomes:
        result = outcome.status if outcome.ran or outcome.status != "done" else "up to date"
        figures = [str(outcome.figures.get(name, "")) for name in FIGURES]
        table.add_row(
            escape(outcome.take), f"[{COLOURS[outcome.status]}]{result}[/]", *figures, f"{outcome.seconds:.1f}"
        )
    stdout.print(table, soft_wrap=not stdout.is_terminal)
    for outcome in outcomes:
        if outcome.message:
            stdout.print(f"{escape(outcome.take)}: {escape(outcome.message)}", soft_wrap=True)


def raise_exit_code(outcomes: Sequence[Outcome]) -> None:
    """1 when a fault of ours happened, else 2 when a take could not be used, else 0."""
    statuses = {outcome.status for outcome in outcomes}
    if "fault" in statuses:
        raise typer.Exit(EXIT_FAULT)
    if "input" in statuses or not outcomes:
        raise typer.Exit(EXIT_INPUT)


class Board:
    """One bar over all takes with what is being done to each; lines where no terminal is."""

    def __init__(self, jobs: Sequence[TakeJob]) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=stderr,
            disable=not stderr.is_terminal,
        )
        self._all = self._bars.add_task("takes", total=len(jobs))
        self._takes: dict[str, TaskID] = {}

    def __enter__(self) -> Board:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def progressed(self, take: str, stage: str, done: int, total: int) -> None:
        """Move a take's bar."""
        if take not in self._takes:
            self._takes[take] = self._bars.add_task("")
        self._bars.update(self._takes[take], description=f"  {take} {stage}", completed=done, total=total or None)

    def ended(self, outcome: Outcome) -> None:
        """Take the take's bar away and count it."""
        if outcome.take in self._takes:
            self._bars.remove_task(self._takes.pop(outcome.take))
        self._bars.advance(self._all)
        log.info(
            "%s: %s in %.1f s%s",
            outcome.take,
            outcome.status,
            outcome.seconds,
            f" ({m})" if (m := outcome.message) else "",
        )


def board(jobs: Sequence[TakeJob]) -> Board:
    """The display of a batch."""
    return Board(jobs)
