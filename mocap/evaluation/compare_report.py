"""A comparison of ways to triangulate as a table for a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from mocap.evaluation.compare import Comparison, MethodFigures
from mocap.evaluation.report import NOTHING

Column = tuple[str, Callable[[MethodFigures], float | None], float, int]

OF_TRUTH: tuple[Column, ...] = (
    ("MPJPE\nmm", lambda f: f.mpjpe_mm, 1.0, 1),
    ("median\nmm", lambda f: f.median_mm, 1.0, 1),
    ("p95\nmm", lambda f: f.p95_mm, 1.0, 1),
    ("PCK\n%", lambda f: f.pck_50mm, 100.0, 1),
)
ALWAYS: tuple[Column, ...] = (
    ("reproj.\npx", lambda f: f.reprojection_median_px, 1.0, 2),
    ("p95\npx", lambda f: f.reprojection_p95_px, 1.0, 2),
    ("limbs\n%", lambda f: f.limb_variation, 100.0, 2),
    ("l/r\n%", lambda f: f.asymmetry, 100.0, 2),
    ("jitter\nm/s³", lambda f: f.jitter_m_s3, 1.0, 0),
    ("lost\n%", lambda f: f.missing, 100.0, 1),
    ("ms", lambda f: f.ms_per_frame, 1.0, 1),
)


def comparison_lines(report: Comparison) -> list[RenderableType]:
    """One line of what was compared, the table, and what the methods have to say."""
    name = f"{report.session}/{report.take}" if report.session else report.take
    what = f"{len(report.joints)} limb joints in {report.frames} frames of {len(report.cameras)} cameras"
    lines: list[RenderableType] = [
        f"[bold]{escape(name)}[/]  {what}: {report.points} of {report.of} points that every method has",
        comparison_table(report),
    ]
    for method, figures in report.methods.items():
        lines += [f"[yellow]note[/] {method}: {escape(told)}" for told in figures.sentences if method in told]
    return lines


def comparison_table(report: Comparison) -> Table:
    """A row for each method; the best of each column is bold, how long it took apart."""
    columns = (*(OF_TRUTH if report.of_truth is not None else ()), *ALWAYS)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0), caption_justify="left", header_style="bold")
    table.add_column("method", no_wrap=True)
    for title, *_ in columns:
        table.add_column(title, justify="right", no_wrap=True)
    values = {method: [value(figures) for _, value, _, _ in columns] for method, figures in report.methods.items()}
    best = [_best(title, [row[i] for row in values.values()]) for i, (title, *_) in enumerate(columns)]
    for method, row in values.items():
        cells = [
            _cell(value, scale, digits, bold=value is not None and value == top)
            for value, (_, _, scale, digits), top in zip(row, columns, best, strict=True)
        ]
        used = report.methods[method].used
        table.add_row(method if used.startswith(method) else f"{method} → {used}", *cells)
    return table


def _best(title: str, values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < 2 or title.startswith("ms"):
        return None
    return max(known) if title.startswith("PCK") else min(known)


def _cell(value: float | None, scale: float, digits: int, *, bold: bool) -> str:
    text = NOTHING if value is None else f"{scale * value:.{digits}f}"
    return f"[bold]{text}[/]" if bold else text
