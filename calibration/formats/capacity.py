"""What a calibration format can say about a camera, and what to do about a camera that says more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from calibration.camera import Camera, Rig
from calibration.errors import CalibrationError
from calibration.lenses import Lens

REMEDIES = {
    "the skew of its matrix": "Write a rig.toml, which holds it, or calibrate without skew.",
    "a fisheye lens": "Formats that hold it: rig, caliscope, anipose, opencv; the others want undistorted videos.",
    "eight distortion coefficients": "Formats that hold them: rig, caliscope, anipose, pose2sim, opencv; or calibrate "
    "this camera with five.",
    "its name": "Rename the camera with letters, digits, _ and - only.",
}


@dataclass(frozen=True)
class Capacity:
    """What a file format, or the tools that read it, can express. `name` is a pattern for whole camera names."""

    format: str
    skew: bool = False
    fisheye: bool = True
    rational: bool = True
    name: str = ".+"

    def lacking(self, camera: Camera) -> str | None:
        """What of a camera would be lost; None where nothing is. The keys of `REMEDIES`."""
        lens = camera.intrinsics
        lacks = {
            "the skew of its matrix": lens.K[0, 1] != 0 and not self.skew,
            "a fisheye lens": lens.lens is Lens.FISHEYE and not self.fisheye,
            "eight distortion coefficients": len(lens.distortion) == 8 and not self.rational,
            "its name": re.fullmatch(self.name, camera.name) is None,
        }
        return next((what for what, lacking in lacks.items() if lacking), None)

    def check(self, rig: Rig, path: Path) -> None:
        """Refuse to write a camera that the readers of the file would take for another."""
        for camera in rig:
            what = self.lacking(camera)
            if what is not None:
                raise CalibrationError(
                    f"camera {camera.name!r}: a {self.format} file cannot hold {what}",
                    where=path,
                    remedy=REMEDIES[what],
                )
