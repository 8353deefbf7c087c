"""TRC (Track Row Column, of Motion Analysis): labelled points as text, the format of OpenSim. It has no residuals.

Five lines of header (type; names and values of rate, counts and unit; labels; X1 Y1 Z1 …), an empty line, then a row a
frame: number, time in seconds, three numbers a point, empty where it is missing. The unit is stated, the up axis is
not: OpenSim's is Y.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mocap.core.config import Config
from mocap.core.errors import FileFormatError
from mocap.core.keypoints import Keypoints3D
from mocap.io.artefacts import write_text_atomic
from mocap.io.axes import Unit, Up
from mocap.io.point_tracks import PointTracks, distinct_labels, tracks_from_points

KEYS = ("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate", "OrigDataStartFrame")
DECIMALS = {"m": 7, "cm": 5, "mm": 4, "in": 6}  # 1e-7 m or better
UNITS = {"meters": "m", "millimeters": "mm", "centimeters": "cm"}


class TrcConfig(Config):
    """How a TRC is written. The file says its unit, not its up axis. people: their names, for several."""

    up: Up = "y"
    unit: Unit = "mm"
    people: tuple[str, ...] = ()


def write_trc(points: Keypoints3D, path: Path, config: TrcConfig | None = None) -> None:
    """Write keypoints, whole or not at all; the same points give the same bytes."""
    config = config or TrcConfig()
    write_trc_tracks(tracks_from_points(points, up=config.up, unit=config.unit, people=config.people), path)


def write_trc_tracks(tracks: PointTracks, path: Path) -> None:
    """Write points in their own axes and unit; their residuals are lost."""
    n_points, rate = len(tracks.labels), repr(tracks.fps)
    values = (rate, rate, tracks.n_frames, n_points, tracks.unit, rate, tracks.first_frame, tracks.n_frames)
    labels = [re.sub(r"\s+", "_", label) for label in tracks.labels]
    axes = [f"{axis}{number}" for number in range(1, n_points + 1) for axis in "XYZ"]
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "\t".join([*KEYS, "OrigNumFrames"]),
        "\t".join(map(str, values)),
        "Frame#\tTime\t" + "\t\t\t".join(labels) + ("\t\t" if labels else ""),
        "\t\t" + "\t".join(axes),
        "",
        *_rows(tracks),
    ]
    write_text_atomic(path, "\n".join(lines) + "\n")


def _rows(tracks: PointTracks) -> list[str]:
    places = DECIMALS.get(tracks.unit, 6)
    pattern = "\t".join([f"%.{places}f"] * 3 * len(tracks.labels))
    table = np.round(tracks.xyz.reshape(tracks.n_frames, 3 * len(tracks.labels)), places) + 0.0
    rows = []
    for frame, numbers in enumerate(table.tolist()):
        cells = (pattern % tuple(numbers)).replace("nan", "")
        rows.append(f"{tracks.first_frame + frame}\t{frame / tracks.fps:.9f}\t{cells}")
    return rows


def read_trc(path: Path) -> PointTracks:
    """Any TRC that separates by tabs; rows may be shorter where points at their end are missing."""
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except FileNotFoundError:
        raise FileFormatError("no such file", where=path) from None
    if not lines or not lines[0].startswith("PathFileType"):
        raise FileFormatError("is not a TRC: the first line does not begin with PathFileType", where=path)
    if len(lines) < 5:
        raise FileFormatError(f"ends after {len(lines)} lines, within its header", where=path)
    header = dict(zip(lines[1].split(), lines[2].split(), strict=False))
    labels = [cell.strip() for cell in lines[3].split("\t")[2:] if cell.strip()]
    stated = header.get("NumMarkers")
    if stated is not None and stated != str(len(labels)):
        raise FileFormatError(f"states {stated} points and names {len(labels)}", where=path)
    rows = [line for line in lines[5:] if line.strip()]
    xyz = _points(rows, len(labels), path)
    unit = header.get("Units", "").lower()
    return PointTracks(
        labels=distinct_labels(labels),
        xyz=xyz,
        residuals=np.full(xyz.shape[:2], np.nan),
        fps=_rate(header, rows, path),
        unit=UNITS.get(unit, unit),
        first_frame=int(float(rows[0].split()[0])) if rows else 1,
    )


def _rate(header: dict[str, str], rows: list[str], path: Path) -> float:
    """As stated; by the times of the first and the last row where the header has no rate."""
    try:
        stated = float(header.get("DataRate", 0))
        if stated > 0 or len(rows) < 2:
            return stated
        return (len(rows) - 1) / (float(rows[-1].split()[1]) - float(rows[0].split()[1]))
    except (ValueError, ZeroDivisionError):
        raise FileFormatError("neither its DataRate nor its times tell a frame rate", where=path) from None


def _points(rows: list[str], n_points: int, path: Path) -> Float[np.ndarray, "T N 3"]:
    values = np.full((len(rows), 3 * n_points), np.nan)
    for number, row in enumerate(rows):
        cells = row.rstrip("\r\n").split("\t")[2 : 2 + 3 * n_points]
        try:
            values[number, : len(cells)] = [float(cell) if cell.strip() else np.nan for cell in cells]
        except ValueError as error:
            raise FileFormatError(f"row {number + 1} of its points is not numbers ({error})", where=path) from None
    return values.reshape(len(rows), n_points, 3)
