"""Sharpness and exposure of live pictures: enough to notice a lens out of focus, a lamp in view, a cap on the lens."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

LOOKED_AT_PX = 480
"""Longer side of the picture that is measured, so that numbers of cameras can be compared."""

TOO_BRIGHT, BRIGHT_SHARE = 250, 0.10
"""Sensors clip near 255; a window may, a tenth of the picture loses the board's white and people's shirts."""

TOO_DARK = 35
"""Median grey level (of 255) of a picture whose shadows drown in noise."""

BLURRED_SHARE = 0.35
"""Of the best sharpness that this camera has shown. Twice the width of edges makes a quarter of it."""

MEMORY = 0.99
"""By which the best sharpness fades from picture to picture: scenes change."""

FLAT = 25
"""Grey levels between the darkest and the brightest hundredth of a picture that shows nothing, such as a wall."""

DARK = "the picture is dark: more light, or a longer exposure"
BRIGHT = "the picture is overexposed: a shorter exposure, or turn away from lamps and windows"
BLURRED = "the picture has become less sharp: check the focus, hold the board still"


@dataclass(frozen=True)
class PictureState:
    """sharpness: of the best that the camera has shown, 0 to 1. brightness: median grey level, 0 to 255. clipped: share
    of white pixels. sentence: what is wrong and what to do, empty where nothing is."""

    sharpness: float
    brightness: float
    clipped: float
    sentence: str = ""


class FocusMeter:
    """Follows one camera; for one thread at a time."""

    def __init__(self) -> None:
        self._best = 0.0

    def update(self, image: UInt8[np.ndarray, "H W 3"] | UInt8[np.ndarray, "H W"]) -> PictureState:
        """Of one more picture (RGB or grey), as the middle grey and the gradients say."""
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        smaller = min(1.0, LOOKED_AT_PX / max(gray.shape))
        size = (max(8, round(gray.shape[1] * smaller)), max(8, round(gray.shape[0] * smaller)))
        small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        edges = cv2.Laplacian(small, cv2.CV_32F)
        measured = float(np.percentile(np.abs(edges), 99))
        self._best = max(self._best * MEMORY, measured)
        sharpness = measured / self._best if self._best > 0 else 1.0
        shows_nothing = float(np.ptp(np.percentile(small, [1, 99]))) < FLAT
        if shows_nothing:
            sharpness = 1.0
        brightness, clipped = float(np.median(small)), float((small >= TOO_BRIGHT).mean())
        return PictureState(sharpness, brightness, clipped, _sentence(sharpness, brightness, clipped))


def _sentence(sharpness: float, brightness: float, clipped: float) -> str:
    if brightness < TOO_DARK:
        return DARK
    if clipped > BRIGHT_SHARE:
        return BRIGHT
    return BLURRED if sharpness < BLURRED_SHARE else ""
