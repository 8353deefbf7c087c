"""What `mocap session import` will do, does and did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mocap.cli.console import stderr, tell

if TYPE_CHECKING:
    from mocap.io.session_import import Imported
    from mocap.io.session_plan import ImportPlan

SHOWN = 40


@contextmanager
def copying(total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar over files, where there is a terminal."""
    columns = (TextColumn("copying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def show_plan(plan: ImportPlan, done: Imported | None) -> None:
    """For people: every place, and where it comes from."""
    tell(f"[bold]{escape(str(plan.source))}[/], read as {plan.layout}")
    tell(f"  cameras: {escape(', '.join(plan.cameras) or 'none')}")
    kept = () if done is None else done.kept
    for it in plan.files[:SHOWN]:
        state = " (there already)" if it.target in kept else ""
        tell(f"  {escape(it.target)} [dim]from {escape(_short(it.source, plan))}[/]{state}")
    if len(plan.files) > SHOWN:
        tell(f"  … and {len(plan.files) - SHOWN} more")
    if plan.rig is not None:
        origin = "" if plan.rig_source is None else f" [dim]from {escape(_short(plan.rig_source, plan))}[/]"
        tell(f"  calibration of {escape(', '.join(plan.rig.names))}{origin}")
    for note in plan.notes if done is None else done.notes:
        tell(f"  [yellow]note[/] {escape(note)}")
    for path in plan.left:
        tell(f"  [dim]left out: {escape(_short(path, plan))}[/]")


def _short(path: Path, plan: ImportPlan) -> str:
    """As it lies in the folder that is imported, which the first line names."""
    return path.relative_to(plan.source).as_posix() if path.is_relative_to(plan.source) else str(path)


def plan_document(plan: ImportPlan, done: Imported | None) -> dict[str, Any]:
    """For machines."""
    return {
        "layout": plan.layout,
        "source": str(plan.source),
        "cameras": list(plan.cameras),
        "takes": list(plan.takes),
        "files": [{"source": str(it.source), "target": it.target} for it in plan.files],
        "rig": None if plan.rig_source is None else str(plan.rig_source),
        "board": dict(plan.board),
        "notes": list(plan.notes if done is None else done.notes),
        "left": [str(path) for path in plan.left],
        "made": None if done is None else list(done.made),
        "kept": None if done is None else list(done.kept),
    }
