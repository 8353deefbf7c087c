"""`mocap process`: takes in, animation out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mocap.cli.console import print_json, print_path, tell
from mocap.cli.progress import observer_for_this_output, start_plain_log

if TYPE_CHECKING:
    from mocap.pipeline import TakeResult

EXAMPLE = """
Take a session, a take, loose videos or a folder of them.

[bold]Examples[/]

  mocap process my_session

  mocap process my_session/takes/walk --set smooth.filter=butterworth

  mocap process cam01=a.mp4 cam02=b.mp4 cam03=c.mp4 --rig Calib.qca.txt -o out

Results lie in the take's [bold]export/[/] folder. A second run does nothing; an interrupted one goes on.
"""


def command(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH…", help="A session, a take, a folder of videos, or CAMERA=VIDEO for each camera."),
    ],
    rig: Annotated[
        Path | None, typer.Option("--rig", help="Calibration file (any supported format) instead of the session's.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the results; needed for loose videos.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file, see configs/pipeline/.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key; may be repeated.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads to use; 0 means all cores.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Run every stage again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Turn takes into animation files."""
    start_plain_log()
    from mocap.core.config import load_config
    from mocap.jobs import find_jobs
    from mocap.pipeline import PipelineConfig, process_take

    values = load_config(PipelineConfig, config, settings or ())
    results = []
    for job in find_jobs(paths, rig=rig, output=output):
        with observer_for_this_output(job.take.name) as observer:
            result = process_take(job, values, threads=threads, force=force, observer=observer)
        results.append(result)
        if not as_json:
            show(result)
    if as_json:
        print_json([as_document(result) for result in results])


command.__doc__ = (command.__doc__ or "") + EXAMPLE


def as_document(result: TakeResult) -> dict[str, Any]:
    """The result of a take for machines."""
    return {
        "take": result.take,
        "files": [str(file) for file in result.files],
        "report": str(result.report_path),
        "ran": list(result.ran),
        "seconds": round(result.seconds, 3),
        "figures": result.figures,
    }


def show(result: TakeResult) -> None:
    """The result of a take for people."""
    what = "ran " + ", ".join(result.ran) if result.ran else "nothing to do, everything was up to date"
    tell(f"{escape(result.take)}: {what} ({result.seconds:.1f} s)")
    for name, value in result.figures.items():
        tell(f"  {name.replace('_', ' ')}: {value}")
    for note in result.notes:
        tell(f"  [yellow]note[/] {escape(note)}")
    for file in (*result.files, result.report_path):
        print_path(file)
