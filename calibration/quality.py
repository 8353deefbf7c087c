"""Judges a calibration: everything measured of it, and what to say about it."""

from __future__ import annotations

from calibration.quality_report import (
    BoardScale,
    CalibrationReport,
    CameraQuality,
    GraphEdge,
    PixelErrors,
    ResidualField,
    Solve,
    Verdict,
    VolumeQuality,
)

__all__ = [
    "BoardScale",
    "CalibrationReport",
    "CameraQuality",
    "GraphEdge",
    "PixelErrors",
    "ResidualField",
    "Solve",
    "Verdict",
    "VolumeQuality",
]
