"""The one sentence on top of a report."""

from __future__ import annotations

from collections.abc import Sequence

from calibration.quality_report import CameraQuality, PixelErrors, VolumeQuality
from calibration.quality_verdicts import Finding, worst


def headline(
    cameras: Sequence[CameraQuality], on_rig: Sequence[Finding], errors: PixelErrors, volume: VolumeQuality
) -> str:
    """Good, usable or what to do again, with the reason that weighs most."""
    verdict = worst([*(camera.verdict for camera in cameras), *(finding.verdict for finding in on_rig)])
    if verdict == "good":
        return (
            f"Good: corners of the board lie {errors.rms_px:.2f} px from where they should (RMS), and calibration "
            f"puts points of the working volume wrong by {volume.median_calibration_mm:.1f} mm (median)."
        )
    blamed = [camera for camera in cameras if camera.verdict == verdict]
    reasons = [finding.reason for finding in on_rig if finding.verdict == verdict]
    if blamed:
        names = _listed([camera.name for camera in blamed])
        reason = blamed[0].reasons[0]
        plural = "s" if len(blamed) > 1 else ""
        start = f"Redo camera{plural} {names}" if verdict == "redo" else f"Usable, with doubts about {names}"
        # Of several cameras the first one's reason is told; the others' stand with each of them.
        return f"{start}. {blamed[0].name}: {reason}" if plural else f"{start}: {_lowered(reason)}"
    return f"{'Redo the calibration' if verdict == 'redo' else 'Usable'}: {_lowered(reasons[0])}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
