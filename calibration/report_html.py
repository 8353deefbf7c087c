"""A calibration report as one HTML file that needs no network, and as JSON."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from calibration.camera import Rig
from calibration.quality_report import CalibrationReport
from calibration.report_scene import scene
from calibration.report_sections import ASSETS, cameras_section, graph_section, method_section, rig_section, summary

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""The page tells the browser to load nothing from anywhere, so that it can be seen to need nothing."""


def write_report(report: CalibrationReport, rig: Rig, path: str | Path, *, title: str = "Calibration") -> None:
    """The page for people; it is there whole or not at all. rig: the one the report is about, for its lenses."""
    _write(Path(path), page(report, rig, title=title))


def write_report_json(report: CalibrationReport, path: str | Path) -> None:
    """The same for machines; what is not known is null."""
    _write(Path(path), json.dumps(report.to_json_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def page(report: CalibrationReport, rig: Rig, *, title: str = "Calibration") -> str:
    """The HTML document."""
    data = json.dumps(scene(report, rig), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A camera's name must not end the element that holds the data.
    data = data.replace("<", "\\u003c")
    sections = (summary, rig_section, cameras_section, graph_section, method_section)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<title>{escape(title)}: {report.verdict}</title>",
            f"<style>{(ASSETS / 'report.css').read_text(encoding='utf-8')}</style></head><body><main>",
            f"<h1>{escape(title)}</h1>",
            *(section(report) for section in sections),
            f'</main><script type="application/json" id="scene">{data}</script>',
            f"<script>{(ASSETS / 'report.js').read_text(encoding='utf-8')}</script></body></html>",
            "",
        ]
    )


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)
