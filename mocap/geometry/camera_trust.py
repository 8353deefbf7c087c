"""Cameras that are off as a whole: knocked since the calibration, calibrated badly, or not in step with the others.

What a camera has wrong in common for all keypoints and frames does not average out as noise does, and a robust cost
alone still lets it pull at everything. Here such a camera is believed less from the start.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

USUAL = 1.25
"""Ratio to the middle camera's typical error up to which cameras are alike: on rendered takes with true cameras the
ratios lie within 0.86 and 1.07."""
SUSPECT = 2.0
"""From here on a camera is named: knocked by one degree it was off by 3.3, and a rendered take without faults never."""
_FEWEST = 3
"""Of two cameras none can tell which is wrong."""


def relative_errors(errors: Float[Tensor, "C"]) -> Float[Tensor, "C"]:
    """Each camera's typical error (see `Views.typical_errors`) over that of the middle one; 1 where unknown, or where
    fewer than three cameras see anything."""
    known = errors.isfinite()
    if int(known.sum()) < _FEWEST:
        return torch.ones_like(errors)
    return torch.where(known, errors / errors[known].median().clamp_min(1e-9), 1.0)


def trust(relative: Float[Tensor, "C"]) -> Float[Tensor, "C"]:
    """Factors on confidence, 1 for cameras that are like the others.

    The spread of a camera's reports is taken as the square of its relative error: once for their size, and once more
    because neighbours share it.
    """
    return torch.where(relative > USUAL, relative.square().reciprocal(), 1.0)
