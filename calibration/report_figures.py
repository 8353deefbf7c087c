"""Pictures of a calibration report that stand still: SVG, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float

from calibration.quality_report import CalibrationReport, CameraQuality, GraphEdge

WIDTH = 320.0
"""Of a picture, in units of its drawing."""

ARROW_CELLS = 0.9
LONGEST_CELLS = 2.5
"""Lengths of arrows, in cells of their field."""

GRAPH_RADIUS = 105.0
GRAPH_SIZE = (440.0, 300.0)


def heat_map(camera: CameraQuality) -> str:
    """How many corners were seen where, the darker the more; shades grow with the square root. Cells in which the
    working volume appears are framed."""
    coverage = camera.coverage
    rows, columns = coverage.shape
    width, height = WIDTH / columns, _height(camera.image_size) / rows
    most = max(int(coverage.max()), 1)
    cells = []
    for (row, column), count in np.ndenumerate(coverage):
        kind = ("seen" if count else "unseen") + (" wanted" if camera.wanted[row, column] else "")
        shade = f' fill-opacity="{0.12 + 0.88 * math.sqrt(count / most):.2f}"' if count else ""
        cells.append(
            f'<rect class="{kind}" x="{column * width + 1:.1f}" y="{row * height + 1:.1f}" width="{width - 2:.1f}" '
            f'height="{height - 2:.1f}"{shade}><title>{count} corners</title></rect>'
        )
    label = f"Where {camera.name} saw the board in its picture"
    return _svg(WIDTH, height * rows, "".join(cells), label)


def arrow_scale(cameras: Sequence[CameraQuality], least_px: float) -> float:
    """Pixels that an arrow of 0.9 cells stands for, in all cameras: nineteen arrows of twenty are shorter, so that a
    single wrong place does not hide the others; but no less than `least_px`."""
    lengths = np.concatenate([np.linalg.norm(camera.field.mean_px, axis=-1).ravel() for camera in cameras])
    lengths = lengths[np.isfinite(lengths)]
    return max(least_px, float(np.quantile(lengths, 0.95))) if len(lengths) else least_px


def residual_arrows(camera: CameraQuality, usual_px: float) -> str:
    """Mean residuals by place; an arrow of 0.9 cells is `usual_px`, and none is longer than LONGEST_CELLS."""
    field = camera.field
    rows, columns = field.corners.shape
    height = _height(camera.image_size)
    cell = WIDTH / columns
    parts = [f'<rect class="frame" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.1f}"/>']
    for row in range(rows):
        for column in range(columns):
            x, y = (column + 0.5) * cell, (row + 0.5) * height / rows
            shift = field.mean_px[row, column] * ARROW_CELLS * cell / usual_px
            parts.append(_arrow(x, y, shift * min(1.0, LONGEST_CELLS * cell / max(float(np.hypot(*shift)), 1e-9))))
    label = f"Mean reprojection error by place in the picture of {camera.name}"
    return _svg(WIDTH, height, "".join(parts), label)


def _arrow(x: float, y: float, shift: Float[np.ndarray, "2"]) -> str:
    if not np.isfinite(shift).all():
        return f'<circle class="nothing" cx="{x:.1f}" cy="{y:.1f}" r="1"/>'
    tip = np.array([x, y]) + shift
    length = float(np.hypot(*shift))
    line = f"M{x:.1f} {y:.1f}L{tip[0]:.1f} {tip[1]:.1f}"
    if length > 3:
        back = -shift / length * min(6.0, 0.5 * length)
        for turn in (0.5, -0.5):
            c, s = math.cos(turn), math.sin(turn)
            wing = tip + [c * back[0] - s * back[1], s * back[0] + c * back[1]]
            line += f"M{tip[0]:.1f} {tip[1]:.1f}L{wing[0]:.1f} {wing[1]:.1f}"
    return f'<circle class="tail" cx="{x:.1f}" cy="{y:.1f}" r="1.4"/><path class="arrow" d="{line}"/>'


def graph(report: CalibrationReport) -> str:
    """Cameras in the order in which they stand around the middle; lines between those that saw the board together, the
    thicker the more moments; broken where the pair was not used."""
    names = [camera.name for camera in _around(report.cameras)]
    width, height = GRAPH_SIZE
    angle = [2 * math.pi * i / len(names) - math.pi / 2 for i in range(len(names))]
    place = {
        name: (width / 2 + 1.35 * GRAPH_RADIUS * math.cos(a), height / 2 + GRAPH_RADIUS * math.sin(a))
        for name, a in zip(names, angle, strict=True)
    }
    most = max((edge.moments for edge in report.graph), default=1)
    lines = [_edge(edge, place, most) for edge in sorted(report.graph, key=lambda edge: edge.moments)]
    nodes = [_node(camera, place[camera.name], width / 2) for camera in report.cameras]
    return _svg(width, height, "".join(lines + nodes), "Which cameras saw the board together")


def _around(cameras: Sequence[CameraQuality]) -> list[CameraQuality]:
    centers = np.stack([camera.center_m for camera in cameras])
    x, y = (centers - centers.mean(axis=0))[:, :2].T
    return [cameras[i] for i in np.argsort(np.arctan2(y, x), kind="stable")]


def _edge(edge: GraphEdge, place: dict[str, tuple[float, float]], most: int) -> str:
    (x1, y1), (x2, y2) = place[edge.one], place[edge.two]
    kind = "edge" if edge.used else "edge rejected"
    thick = 1 + 7 * edge.moments / most
    told = f"{edge.one} – {edge.two}: {edge.moments} moments, {edge.corners} corners" + (
        "" if edge.used else f"; not used: {edge.reason}"
    )
    return (
        f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke-width="{thick:.1f}">'
        f"<title>{escape(told)}</title></line>"
    )


def _node(camera: CameraQuality, place: tuple[float, float], middle: float) -> str:
    x, y = place
    anchor = "middle" if abs(x - middle) < 20 else ("start" if x > middle else "end")
    side = {"middle": 0, "start": 14, "end": -14}[anchor]
    above = (-16 if y < GRAPH_SIZE[1] / 2 else 24) if anchor == "middle" else 4
    return (
        f'<circle class="node {camera.verdict}" cx="{x:.1f}" cy="{y:.1f}" r="9"/>'
        f'<text x="{x + side:.1f}" y="{y + above:.1f}" text-anchor="{anchor}">{escape(camera.name)}</text>'
    )


def _height(image_size: tuple[int, int]) -> float:
    return WIDTH * image_size[1] / image_size[0]


def _svg(width: float, height: float, inside: str, label: str) -> str:
    return f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">{inside}</svg>'
