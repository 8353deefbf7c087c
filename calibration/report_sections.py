"""The parts of a calibration report as HTML: words and tables around the figures."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from string import Template

from calibration.quality_pixels import FEWEST_IN_CELL
from calibration.quality_report import CalibrationReport, CameraQuality, Verdict
from calibration.quality_verdicts import (
    COVERED_SHARE,
    DETECTOR_MM,
    DETECTOR_PX,
    OUTLIER_SHARES,
    REFERENCE_PX,
    SHARED_MOMENTS,
    SIGNIFICANT,
    limits_mm,
    limits_px,
)
from calibration.report_figures import ARROW_CELLS, arrow_scale, graph, heat_map, residual_arrows
from calibration.report_scene import SHOWN_SIGMAS, magnification

ASSETS = Path(__file__).parent / "report_assets"

BADGES: dict[Verdict, str] = {"good": "✓ good", "usable": "! usable", "redo": "✕ redo"}

LEAST_ARROW_PX = 0.3
"""Fields weaker than this are drawn weaker than the arrows could be, so that noise does not look like a fault."""


def number(value: float | int, digits: int = 2, unit: str = "") -> str:
    """Rounded, with its unit; a dash where it is not known."""
    if not math.isfinite(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}{unit}"  # + 0.0: no minus before a zero


def summary(report: CalibrationReport) -> str:
    """Verdict, key figures, and what the user should know."""
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in report.sentences)
    tiles = "".join(
        f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for value, name in _key_figures(report)
    )
    return (
        f'<section class="card verdict {report.verdict}">{_badge(report.verdict)}'
        f"<p>{escape(report.headline)}</p></section>"
        + (f'<ul class="told">{told}</ul>' if told else "")
        + f'<div class="tiles">{tiles}</div>'
    )


def _key_figures(report: CalibrationReport) -> list[tuple[str, str]]:
    errors, volume, board = report.errors, report.volume, report.board
    kept, used = (1 - count / max(errors.corners, 1) for count in (errors.outliers, errors.unused))
    figures = [
        (
            number(volume.median_calibration_mm, 1, " mm"),
            "that calibration puts points of the working volume wrong by (median; "
            f"{number(volume.p95_calibration_mm, 1)} mm for 95 % of them)",
        ),
        (
            number(errors.rms_px, 2, " px"),
            f"RMS reprojection error (median {number(errors.median_px)} px) over {number(100 * kept, 1)} % of "
            f"{errors.corners} corners; the solve used {number(100 * used, 1)} %",
        ),
    ]
    if board is not None:
        where = "moments kept out of the solve" if board.held_out else "moments of the solve itself"
        figures.append(
            (
                f"{number(board.mean_mm, 2)} ± {number(board.std_mm, 2)} mm",
                f"between neighbouring corners that are {number(board.nominal_mm, 2)} mm apart; rows straight to "
                f"{number(board.straightness_mm, 2)} mm ({board.distances} distances at {board.moments} {where}; "
                f"{100 * board.kept_share:.0f} % of the corners)",
            )
        )
    figures.append(
        (
            number(volume.median_mm_per_px, 1, " mm"),
            f"more or less for every pixel that a keypoint is off by; two cameras see {100 * volume.seen_share:.0f} % "
            "of the working volume",
        )
    )
    return figures


def rig_section(report: CalibrationReport) -> str:
    """The turnable picture; report.js fills it."""
    magnified = magnification(report.cameras)
    ellipsoids = (
        f"Ellipsoids: where each camera may stand ({SHOWN_SIGMAS:g} standard deviations), "
        f"<b>drawn {magnified:g} times larger than they are</b>. "
        if any(camera.position_std_mm > 0 for camera in report.cameras)
        else "Places of the cameras were held: no uncertainty is drawn. "
    )
    axes = (
        "Axes x, y, z start at the origin on the floor; the grid is 1 m wide. "
        if report.solve.world
        else "The world has no floor yet: up is that of the cameras; the grid is 1 m wide. "
    )
    return _filled("rig.html", ellipsoids=ellipsoids, axes=axes)


def cameras_section(report: CalibrationReport) -> str:
    """One card per camera."""
    usual = arrow_scale(report.cameras, LEAST_ARROW_PX)
    cards = "".join(_card(camera, usual) for camera in report.cameras)
    legend = (
        f"Arrows: mean of where corners were seen, minus where they should be, in places of {FEWEST_IN_CELL} or "
        "more corners. The scale is the same for all cameras: an arrow as long as a place is wide stands for "
        f"{usual / ARROW_CELLS:.2f} px. Arrows that point all ways are noise; arrows that agree with neighbours "
        "show a lens that does not fit."
    )
    return f'<h2>Cameras</h2><div class="cameras">{cards}</div><p class="note">{legend}</p>{_camera_table(report)}'


def _card(camera: CameraQuality, usual_px: float) -> str:
    facts = {
        "error RMS": number(camera.errors.rms_px, 2, " px"),
        "median": number(camera.errors.median_px, 2, " px"),
        "place known to": number(camera.position_std_mm, 1, " mm"),
        "direction known to": number(camera.rotation_std_deg, 3, "°"),
        "rays off by": number(camera.ray_std_mm, 1, " mm"),
        "shared moments": str(camera.shared_moments),
    }
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in camera.reasons)
    return (
        f'<article class="card camera"><header><h3>{escape(camera.name)}</h3>{_badge(camera.verdict)}</header>'
        + (f'<ul class="told">{reasons}</ul>' if reasons else "")
        + f'<dl>{listed}</dl><div class="pictures">'
        f"<figure><figcaption>Where the board was seen: near {number(100 * camera.covered_share, 0)} % of the framed "
        f"cells, in which the working volume appears</figcaption>{heat_map(camera)}</figure>"
        f"<figure><figcaption>{_of_field(camera)}</figcaption>{residual_arrows(camera, usual_px)}</figure>"
        "</div></article>"
    )


def _of_field(camera: CameraQuality) -> str:
    field = camera.field
    if not math.isfinite(field.p_value):
        return "Too few views to judge the lens"
    if field.p_value >= SIGNIFICANT:
        return f"Lens: no error that is more than chance (p = {field.p_value:.2f})"
    weak = field.systematic_px <= limits_px(camera.image_size)[0] / 2
    judged = "real, but too small to matter" if weak else "the lens model does not fit"
    return f"Lens: {field.systematic_px:.2f} px systematic (p = {field.p_value:.1g}): {judged}"


def _camera_table(report: CalibrationReport) -> str:
    timing = any(camera.time_offset_ms or camera.line_time_us for camera in report.cameras)
    columns = [
        "camera",
        "verdict",
        "views",
        "corners",
        "outliers",
        "RMS px",
        "median px",
        "95 % px",
        "focal px",
        "± px",
    ]
    columns += ["lens", "x m", "y m", "z m", "± mm", "± °"] + (["clock ms", "line µs"] if timing else [])
    rows = []
    for camera in report.cameras:
        errors = camera.errors
        row = [escape(camera.name), camera.verdict, str(camera.views), str(errors.corners), str(errors.outliers)]
        row += [str(errors.unused)]
        row += [number(errors.rms_px), number(errors.median_px), number(errors.p95_px)]
        row += [number(camera.focal_px, 1), number(camera.focal_std_px, 1), camera.lens.replace("_", "–")]
        row += [number(float(value), 3) for value in camera.center_m]
        row += [number(camera.position_std_mm, 1), number(camera.rotation_std_deg, 3)]
        rows.append(row + ([number(camera.time_offset_ms, 1), number(camera.line_time_us, 1)] if timing else []))
    return _folded("All numbers of the cameras", _table(columns, rows))


def graph_section(report: CalibrationReport) -> str:
    """Which cameras saw the board together."""
    rows = [
        [
            f"{escape(edge.one)} – {escape(edge.two)}",
            str(edge.moments),
            str(edge.corners),
            number(edge.rms_px),
            "yes" if edge.used else f"no: {escape(edge.reason)}",
        ]
        for edge in report.graph
    ]
    table = _table(["pair", "moments", "corners", "RMS px", "used"], rows)
    return (
        '<h2>Who saw the board together</h2><div class="card">'
        f'<div class="graph">{graph(report)}</div><p class="note">The thicker a line, the more moments two cameras '
        "share; broken red lines contradicted the others and were left out.</p>"
        f"{_folded('All pairs', table)}</div>"
    )


def method_section(report: CalibrationReport) -> str:
    """What the verdicts mean, and how the solution was found."""
    good_mm, usable_mm = limits_mm()
    good_px, usable_px = limits_px((REFERENCE_PX, 1))
    solve = report.solve
    how = (
        f"Solved in {solve.iterations} steps and {solve.seconds:.2f} s, "
        f"{'converged' if solve.converged else 'not converged'}; noise of a corner {number(solve.noise_px, 3)} px per "
        f"coordinate. World: {escape(solve.world) or 'none chosen yet'}."
    )
    return _filled(
        "method.html",
        detector_px=f"{DETECTOR_PX:g}",
        detector_mm=f"{DETECTOR_MM:g}",
        reference=str(REFERENCE_PX),
        good_mm=f"{good_mm:g}",
        usable_mm=f"{usable_mm:g}",
        good_px=f"{good_px:g}",
        usable_px=f"{usable_px:g}",
        significant=f"{SIGNIFICANT:g}",
        outliers=f"{OUTLIER_SHARES[0]:.0%}",
        most_outliers=f"{OUTLIER_SHARES[1]:.0%}",
        moments=str(SHARED_MOMENTS[0]),
        fewest_moments=str(SHARED_MOMENTS[1]),
        covered=f"{COVERED_SHARE:.0%}",
        how=how,
    )


def _filled(asset: str, **values: str) -> str:
    return Template((ASSETS / asset).read_text(encoding="utf-8")).substitute(values)


def _badge(verdict: Verdict) -> str:
    return f'<span class="badge {verdict}">{BADGES[verdict]}</span>'


def _folded(summary: str, table: str) -> str:
    return f'<details><summary>{summary}</summary><div class="scroll">{table}</div></details>'


def _table(columns: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
