"""Figures over data sets as tables like the paper's."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from mocap.evaluation.cmu_panoptic import PanopticErrors
from mocap.evaluation.human36m import Human36mReport

NOTHING = "–"


def human36m_table(reports: Sequence[Human36mReport]) -> Table:
    """The averages of tables 1 and 2, and the two that the paper leaves out."""
    table = _table("MPJPE, mm", "relative\nall scenes", "paper", "absolute\nundamaged", "paper")
    for column in ("relative\nundamaged", "absolute\nall scenes", "frames", "lost"):
        table.add_column(column, justify="right", no_wrap=True)
    for report in reports:
        every, undamaged = report.all_scenes, report.undamaged
        table.add_row(
            report.method,
            f"[bold]{_number(every.relative_mm)}[/]",
            _number(report.paper_relative_mm),
            f"[bold]{_number(undamaged.absolute_mm)}[/]",
            _number(report.paper_absolute_mm),
            _number(undamaged.relative_mm),
            _number(every.absolute_mm),
            str(every.frames),
            str(every.lost),
        )
    return table


def human36m_actions(reports: Sequence[Human36mReport], *, relative: bool = True) -> Table:
    """By action: relative over all scenes (table 1 of the paper), or absolute over the undamaged ones."""
    title = "relative, all scenes, mm" if relative else "absolute, undamaged, mm"
    table = _table(title, *(report.method for report in reports))
    columns = [
        report.all_scenes.relative_by_action_mm if relative else report.undamaged.absolute_by_action_mm
        for report in reports
    ]
    for action in columns[0]:
        table.add_row(action, *(_number(column[action]) for column in columns))
    means = [r.all_scenes.relative_mm if relative else r.undamaged.absolute_mm for r in reports]
    table.add_row("[bold]mean of frames[/]", *(f"[bold]{_number(value)}[/]" for value in means))
    return table


def panoptic_table(reports: Sequence[PanopticErrors]) -> Table:
    """One line a method; each sequence's mean beside that of all."""
    sequences = list(reports[0].by_sequence_mm)
    table = _table("MPJPE, mm", "absolute", "paper", "relative", "people", "lost", *sequences)
    for report in reports:
        table.add_row(
            report.method,
            f"[bold]{_number(report.absolute_mm)}[/]",
            _number(report.paper_mm),
            _number(report.relative_mm),
            str(report.people),
            str(report.lost),
            *(_number(report.by_sequence_mm[name]) for name in sequences),
        )
    return table


def panoptic_joints(reports: Sequence[PanopticErrors]) -> Table:
    """Absolute error of each joint."""
    table = _table("absolute, mm", *(report.method for report in reports))
    for joint in reports[0].by_joint_mm:
        table.add_row(joint.replace("_", " "), *(_number(report.by_joint_mm[joint]) for report in reports))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column(title, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"
