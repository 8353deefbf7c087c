"""What a calibrated lens is worth, in sentences, and what footage would make it better."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from calibration.intrinsics_fit import FittedLens
from calibration.intrinsics_result import Verdict
from calibration.intrinsics_views import Window

GOOD_RAY, USABLE_RAY = 1e-3, 4e-3
"""rad: 4 and 16 mm at a distance of 4 m. Markerless detections there are off by 10 to 15 mm; a good lens adds nothing
that shows beside them, a usable one about as much as they do."""

GOOD_SIGMA, USABLE_SIGMA = 1e-3, 3e-3
"""Of the picture's width, deviation of a corner: sharp corners lie within 0.3 of a thousandth, compressed and blurred
ones within 1; beyond 3 (4 px of 1280) it is another board, another lens or a picture in motion."""

UNFIT_SIGMA = 1e-2
"""Of the picture's width: corners of another board, or none at all."""

UNOBSERVABLE = 0.1
"""Relative deviation of the focal length. 10 % is what one knows of a camera from its data sheet."""

CONTRADICTED = 2.0
"""Median error with given intrinsics over that with fitted ones. Given ones that fit their own clip to 0.3 px have been
seen to leave 0.4 to 0.5 px in another clip of the same camera."""

FLAT_ON, TILTED = np.radians(12.0), np.radians(25.0)
NEAR = 1 / 3
WANTED_VIEWS = 20
AT_DISTANCE_M = 4.0


def verdict_of(fitted: FittedLens, ray_std: float) -> Verdict:
    """By the direction of rays, and by how well corners fit at all."""
    sigma = fitted.sigma_px / fitted.table.image_size[0]
    if ray_std <= GOOD_RAY and sigma <= GOOD_SIGMA:
        return "good"
    return "usable" if ray_std <= USABLE_RAY and sigma <= USABLE_SIGMA else "redo"


def sentences_of(
    fitted: FittedLens,
    covariance: Float[np.ndarray, "P P"],
    ray_stds: tuple[float, float],
    coverage: Int[np.ndarray, "8 8"],
) -> tuple[str, ...]:
    """The numbers that matter, then what is wrong and what to do about it.

    ray_stds: rad, where the board was seen and over the whole picture.
    """
    ray_std, anywhere = ray_stds
    focal, deviation = fitted.fit.parameters[0], np.sqrt(covariance[0, 0])
    sentences = [
        f"Focal length {focal:.1f} ± {deviation:.1f} px ({deviation / focal:.2%}); rays are known to "
        f"{1e3 * ray_std:.2f} mrad, {1e3 * AT_DISTANCE_M * ray_std:.1f} mm at {AT_DISTANCE_M:g} m."
    ]
    width = fitted.table.image_size[0]
    if fitted.sigma_px > GOOD_SIGMA * width:
        sentences.append(
            f"Corners lie {fitted.sigma_px:.1f} px from where they should: blurred pictures, a bent board, or a wrong "
            "description of it. Hold the board still and flat, and check its squares."
        )
    if ray_std > GOOD_RAY:
        sentences.append(footage_to_add(fitted, coverage))
    elif anywhere > USABLE_RAY and not is_padded(fitted):
        reached = float((coverage > 0).mean())
        sentences.append(
            f"The board reached {reached:.0%} of the picture; elsewhere rays are not known. Record people within that "
            f"part, or {' and '.join(_place_wishes(coverage) or ['show the board in the corners of the picture'])}."
        )
    if is_padded(fitted):
        x, y = fitted.fit.parameters[2:4]
        sentences.append(
            f"The axis of the lens meets the picture at ({x:.0f}, {y:.0f}), far from its middle: the clip shows the "
            "camera's picture in a part of a larger one. Record the camera itself if you can."
        )
    return tuple(sentences)


def is_padded(fitted: FittedLens) -> bool:
    """Whether the axis was found where the corners are and not about the middle of the picture."""
    return fitted.table.window != Window.of_picture(fitted.table.image_size)


def choice_sentence(chosen: str, held_out_rms_px: Mapping[str, float]) -> tuple[str, ...]:
    """Why this model, when there was a choice."""
    others = [f"{error:.3f} px with {name}" for name, error in held_out_rms_px.items() if name != chosen]
    if not others:
        return ()
    return (f"Lens {chosen}: views held out fit to {held_out_rms_px[chosen]:.3f} px, {', '.join(others)}.",)


def contradiction(given_px: float, fitted_px: float) -> str:
    """What to say when views fit much worse to given intrinsics than to any others; empty when they do not."""
    if given_px <= CONTRADICTED * fitted_px + 0.1:
        return ""
    return (
        f"These intrinsics leave corners {given_px:.1f} px off (median), others fit them to {fitted_px:.1f} px: they "
        "belong to another camera, zoom, focus or recording mode. Calibrate this camera from its clip."
    )


def footage_to_add(fitted: FittedLens, coverage: Int[np.ndarray, "8 8"], *, tilt: bool = False) -> str:
    """One sentence for whoever waves the board; `tilt`: that is wanted whatever the views look like."""
    wishes = _tilt_wishes(fitted, tilt) + _size_wishes(fitted) + ([] if is_padded(fitted) else _place_wishes(coverage))
    if len(fitted.table) < WANTED_VIEWS:
        wishes.append(f"take more pictures ({len(fitted.table)} are used, {WANTED_VIEWS} or more are wanted)")
    return f"Add footage: {'; '.join(wishes or ['more of the same, slowly, in other places and tilts'])}."


def board_tilts(fitted: FittedLens) -> Float[np.ndarray, "V"]:
    """rad, between the board and the plane of the picture."""
    return np.arccos(np.clip(np.abs(fitted.fit.R[:, 2, 2]), 0, 1))


def board_sizes(fitted: FittedLens) -> Float[np.ndarray, "V"]:
    """Larger extent of the corners in the picture, as a share of its larger side (of the part in use)."""
    there = fitted.table.present[..., None]
    high = np.where(there, fitted.table.xy, -np.inf).max(axis=1)
    low = np.where(there, fitted.table.xy, np.inf).min(axis=1)
    return (high - low).max(axis=-1) / fitted.table.window.longer


def _tilt_wishes(fitted: FittedLens, wanted: bool) -> list[str]:
    tilts = board_tilts(fitted)
    if np.percentile(tilts, 90) < FLAT_ON:
        return ["the board is parallel to the picture in all views: tilt it by 30 to 45 degrees, left, right, up, down"]
    if wanted or np.percentile(tilts, 75) < TILTED:
        return ["tilt the board further, by 30 to 45 degrees, left, right, up and down"]
    return []


def _size_wishes(fitted: FittedLens) -> list[str]:
    size = float(np.percentile(board_sizes(fitted), 90))
    return [f"bring it closer, until it fills half the picture ({size:.0%} of it now)"] if size < NEAR else []


def _place_wishes(coverage: Int[np.ndarray, "8 8"]) -> list[str]:
    sides = {"left": coverage[:, :2], "right": coverage[:, -2:], "top": coverage[:2], "bottom": coverage[-2:]}
    missing = [name for name, cells in sides.items() if (cells > 0).mean() < 0.25]
    return [f"show it at the {' and '.join(missing)} of the picture too"] if missing else []
