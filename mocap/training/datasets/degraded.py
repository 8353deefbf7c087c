"""What cameras, encoders and light do to a crop and rendered pictures have too little of."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

LARGEST_BLUR_PX = 1.8
LARGEST_NOISE = 14.0
"""Standard deviation, of 255."""
GAMMA = 1.6
GREY_SHARE = 0.15
QUALITIES = (20, 80)


def degraded(picture: UInt8[np.ndarray, "H W 3"], share: float, rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
    """Gamma, blur, noise and JPEG, each with probability `share`; now and then the colours are lost too."""
    changed = picture
    if rng.random() < share:
        table = 255 * (np.arange(256) / 255) ** (GAMMA ** rng.uniform(-1, 1))
        changed = np.round(table).astype(np.uint8)[changed]
    if rng.random() < share * GREY_SHARE:
        changed = np.repeat(changed.mean(-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    if rng.random() < share:
        changed = cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.3, LARGEST_BLUR_PX))
    if rng.random() < share:
        noise = rng.normal(0.0, rng.uniform(1.0, LARGEST_NOISE), changed.shape)
        changed = np.clip(changed + noise, 0, 255).astype(np.uint8)
    if rng.random() < share:
        quality = int(rng.integers(*QUALITIES))
        _, jpeg = cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, quality])
        changed = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(changed, dtype=np.uint8)
