"""The files of a calibration: rig.toml, report.html, report.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.camera import Rig
from calibration.formats import FORMATS, write_calibration
from calibration.report_html import write_report, write_report_json
from calibration.rig_file import RigMetadata, rig_text, write_rig
from mocap.calibrate.session import Calibration
from mocap.core.errors import InputError

PREVIOUS = "rig.previous.toml"


@dataclass(frozen=True)
class Written:
    """rig, page, data: the files. previous: where the rig that was there before lies now."""

    rig: Path
    page: Path
    data: Path
    previous: Path | None = None


def write_results(calibration: Calibration, folder: Path, title: str) -> Written:
    """Write all files of a calibration. An older rig is kept beside the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    report = calibration.report
    metadata = RigMetadata(
        adjusted=True,
        error=round(report.errors.rms_px, 4),
        extra={"world_from": calibration.world.how, "verdict": report.verdict},
    )
    rig, previous = folder / "rig.toml", _keep_previous(folder / "rig.toml", rig_text(calibration.rig, metadata))
    write_report(report, calibration.rig, folder / "report.html", title=title)
    write_report_json(report, folder / "report.json")
    write_rig(calibration.rig, rig, metadata)
    return Written(rig, folder / "report.html", folder / "report.json", previous)


def replace_rig(rig: Rig, path: Path, metadata: RigMetadata) -> Path | None:
    """Write a rig in the place of another, which is kept beside it; where it lies then."""
    previous = _keep_previous(path, rig_text(rig, metadata))
    write_rig(rig, path, metadata)
    return previous


def export_rigs(rig: Rig, wanted: Sequence[str]) -> list[Path]:
    """Write the rig for other tools: FORMAT=FILE each."""
    places = []
    for text in wanted:
        kind, separator, path = text.partition("=")
        if not separator or not path:
            raise InputError(f"{text!r} is not FORMAT=FILE", where="--export", remedy=f"Formats: {', '.join(FORMATS)}.")
        write_calibration(rig, path, kind)
        places.append(Path(path))
    return places


def _keep_previous(path: Path, text: str) -> Path | None:
    if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") == text:
        return None
    previous = path.with_name(PREVIOUS)
    path.replace(previous)
    return previous
