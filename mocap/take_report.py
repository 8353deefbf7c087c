"""What a user wants to know of a processed take: the figures that tell good from bad, and what is odd about it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mocap.io.artefacts import write_text_atomic

Reports = Mapping[str, Mapping[str, Any]]


def key_figures(reports: Reports, *, n_cameras: int, fps: float) -> dict[str, Any]:
    """The few numbers that tell whether a take is good.

    body_reprojection_px: median over shoulders to ankles in all views; frames_lost: frames in which fewer than two
    views show the subject; sides_exchanged: parts of people in views and frames whose left and right were put back;
    solve_distance_mm: mean distance of measured keypoints to the joints they name; foot_skate_mm: mean way of a foot in
    contact from frame to frame.
    """
    frames = reports["align"]["n_frames"]
    distances = [person["mean_joint_mm"] for person in reports["solve"]["people"]]
    known = [distance for distance in distances if distance is not None]
    skates = [person["after"]["skate_mm"] for person in reports["feet"]["people"]]
    held = [skate for skate in skates if skate is not None]
    return {
        "frames": frames,
        "camera_frames": frames * n_cameras,
        "fps": round(fps, 6),
        "frames_lost": reports["associate"]["frames_below_two_views"],
        "sides_exchanged": sum(run["frames"] for run in reports["repair"]["exchanges"]),
        "body_reprojection_px": _rounded(reports["triangulate"]["median_body_px"]),
        "solve_distance_mm": _rounded(sum(known) / len(known) if known else None),
        "foot_skate_mm": _rounded(sum(held) / len(held) if held else None),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def told_by(reports: Reports) -> tuple[str, ...]:
    """The sentences that the stages' reports hold, in the order of the stages."""
    return tuple(sentence for report in reports.values() for sentence in report.get("sentences", ()))


def write_take_report(
    path: Path, *, take: str, files: Sequence[str], figures: Mapping[str, Any], notes: Sequence[str], reports: Reports
) -> None:
    """One JSON document beside the exported files."""
    document = {"take": take, "files": files, "figures": figures, "notes": notes, "stages": reports}
    write_text_atomic(path, json.dumps(document, indent=1, ensure_ascii=False))
