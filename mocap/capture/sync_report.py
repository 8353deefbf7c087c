"""What the clocks of a take were found by, as one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import Float

from calibration.report_html import POLICY
from calibration.report_sections import ASSETS, number
from mocap.capture.sync import CameraClock
from mocap.core.clock import ClockEstimate
from mocap.core.session import Take
from mocap.io.artefacts import write_text_atomic
from mocap.io.sync_file import SYNC_FILE, CameraSync, TakeSync, write_sync

GOOD, USABLE = 0.8, 0.5
"""Confidences from which a clock is called so."""
BADGES = {"good": "✓ sure", "usable": "! fairly sure", "redo": "✕ not used"}
WIDTH, HEIGHT, LEFT, BELOW = 460, 150, 6, 22
STYLE = """
.curve { fill: none; stroke: var(--seq); stroke-width: 1.3; }
.picked { stroke: var(--arrow); stroke-width: 1.5; stroke-dasharray: 4 3; }
.axis { stroke: var(--line); }
text { fill: var(--soft); font-size: 12px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
td, th { padding: 3px 12px 3px 0; text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 500; }
.wide { overflow-x: auto; }
.camera td, .camera th { white-space: normal; }
"""


def save_sync(
    take: Take, sync: TakeSync, cameras: Mapping[str, CameraClock], notes: Sequence[str]
) -> tuple[Path, Path]:
    """Write a take's sync.toml, and sync.html beside it, which tells how its clocks were found."""
    clocks, page = take.root / SYNC_FILE, take.root / "sync.html"
    write_text_atomic(page, sync_page(sync, cameras, notes, title=take.name))
    write_sync(sync, clocks)
    return clocks, page


def sync_page(sync: TakeSync, cameras: Mapping[str, CameraClock], notes: Sequence[str], *, title: str) -> str:
    """The HTML document."""
    cards = "".join(_card(name, found, sync.cameras.get(name)) for name, found in cameras.items())
    told = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<title>{escape(title)}: clocks</title>",
            f"<style>{(ASSETS / 'report.css').read_text(encoding='utf-8')}{STYLE}</style></head><body><main>",
            f"<h1>{escape(title)}: one clock for all cameras</h1>",
            _summary(sync, cameras),
            f'<ul class="told">{told}</ul>' if told else "",
            "<h2>Clocks</h2>",
            _table(sync),
            "<h2>What each method says</h2>",
            '<p class="note">A curve shows how well the camera and the reference match if the camera\'s stamps are '
            "ahead by so much; the broken line is the offset in use. One clear peak is sure; several alike are "
            "a guess.</p>",
            f'<div class="cameras">{cards}</div>',
            "</main></body></html>",
            "",
        ]
    )


def _summary(sync: TakeSync, cameras: Mapping[str, CameraClock]) -> str:
    left_out = [name for name in cameras if name not in sync.cameras]
    least = min((c.confidence for n, c in sync.cameras.items() if n != sync.reference), default=0.0)
    verdict = "redo" if left_out else _verdict(least)
    headline = f"{len(sync.cameras)} cameras are on the clock of {sync.reference}, by {sync.method}" + (
        f"; {', '.join(left_out)} could not be put on it" if left_out else ""
    )
    return f'<section class="card verdict {verdict}"><p>{escape(headline)}</p></section>'


def _table(sync: TakeSync) -> str:
    head = (
        "camera",
        "offset, s",
        "drift, ppm",
        "uncertain by, ms",
        "confidence",
        "found by",
        "repeated frames",
        "gaps put right",
    )
    rows = [
        (
            name,
            number(found.clock.offset_s, 4),
            number(1e6 * (found.clock.rate - 1), 1),
            number(1000 * found.sd_s, 2),
            number(found.confidence, 2),
            found.method or "reference",
            str(len(found.faults.repeated)),
            str(len(found.faults.gaps)),
        )
        for name, found in sync.cameras.items()
    ]
    cells = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{"".join(f"<th>{h}</th>" for h in head)}</tr>{cells}</table></div>'


def _card(name: str, found: CameraClock, used: CameraSync | None) -> str:
    verdict = "redo" if used is None else _verdict(found.confidence)
    curves = "".join(_figure(estimate, found.chosen) for estimate in found.estimates if estimate.curve is not None)
    rows = "".join(
        _method(estimate, apart, agrees)
        for estimate, apart, agrees in zip(found.estimates, found.apart_s, found.agrees, strict=True)
    )
    head = "<tr><th>method</th><th>from the clock in use, ms</th><th>± ms</th><th>confidence</th><th></th></tr>"
    return (
        f'<section class="card camera"><header><h3>{escape(name)}</h3>'
        f'<span class="badge {verdict}">{BADGES[verdict]}</span></header>{curves}'
        f'<div class="wide"><table>{head}{rows}</table></div></section>'
    )


def _method(estimate: ClockEstimate, apart_s: float, agrees: bool) -> str:
    cells = (
        estimate.method + ("" if agrees or estimate.confidence == 0 else " (disagrees)"),
        number(1000 * apart_s, 1),
        number(1000 * estimate.sd_s, 1) if estimate.confidence > 0 else "–",
        number(estimate.confidence, 2),
        estimate.note,
    )
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _figure(estimate: ClockEstimate, chosen: ClockEstimate | None) -> str:
    assert estimate.curve is not None
    lags, score = estimate.curve
    known = np.isfinite(score) & np.isfinite(lags)
    if known.sum() < 2:
        return ""
    drawn = _curve_svg(lags[known], score[known], None if chosen is None else chosen.offset_s, estimate)
    return f"<figure><figcaption>{escape(estimate.method)}</figcaption>{drawn}</figure>"


def _curve_svg(
    lags: Float[np.ndarray, "n"], score: Float[np.ndarray, "n"], picked_s: float | None, estimate: ClockEstimate
) -> str:
    """The score over the offset, and the offset in use."""
    low, high = float(lags.min()), float(lags.max())
    bottom, top = float(np.percentile(score, 1)), float(score.max())
    x = LEFT + (lags - low) / max(high - low, 1e-9) * (WIDTH - 2 * LEFT)
    y = HEIGHT - BELOW - np.clip((score - bottom) / max(top - bottom, 1e-12), 0, 1) * (HEIGHT - BELOW - 6)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    label = f"{estimate.method}: score of {estimate.camera} against {estimate.reference} over the offset"
    parts = [
        f'<line class="axis" x1="0" x2="{WIDTH}" y1="{HEIGHT - BELOW}" y2="{HEIGHT - BELOW}"/>',
        f'<polyline class="curve" points="{points}"/>',
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{low:.2f} s</text>',
        f'<text x="{WIDTH - LEFT}" y="{HEIGHT - 6}" text-anchor="end">{high:.2f} s</text>',
    ]
    if picked_s is not None and low <= picked_s <= high:
        at = LEFT + (picked_s - low) / max(high - low, 1e-9) * (WIDTH - 2 * LEFT)
        parts.append(f'<line class="picked" x1="{at:.1f}" x2="{at:.1f}" y1="2" y2="{HEIGHT - BELOW}"/>')
        anchor, beside = ("start", at + 5) if at < WIDTH / 2 else ("end", at - 5)
        parts.append(f'<text x="{beside:.1f}" y="14" text-anchor="{anchor}">{picked_s:.4f} s</text>')
    inside = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{inside}</svg>'


def _verdict(confidence: float) -> str:
    return "good" if confidence >= GOOD else "usable" if confidence >= USABLE else "redo"
