"""Do the lenses belong to the pictures? A board seen through another camera's lens does not fit as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from calibration.board_pose import board_poses
from calibration.camera import Intrinsics
from calibration.diagnosis_findings import Finding, listed
from calibration.observations import BoardObservations

MOST_VIEWS = 40
"""Of each camera, spread over the clip."""
LEAST_VIEWS = 5
SURE = 5.0
"""Standard errors by which another lens must fit better, over views."""
BETTER = 0.1
"""And by so much, in the logarithm of the error: 10 %."""
MISFIT_PX = 1.0
"""RMS of single views by a lens that was calibrated well: 0.05 to 0.7 px in all real sets."""
MISFIT_RATIO = 2.5
"""And by so many times the median of the other cameras."""


def picture_sizes(it: BoardObservations, intrinsics: Mapping[str, Intrinsics]) -> list[Finding]:
    """Lenses calibrated for pictures of another size than the clips have; two cameras exchanged, if that is why."""
    lens_size = {name: intrinsics[name].image_size for name in it.cameras if name in intrinsics}
    size = dict(zip(it.cameras, it.image_sizes, strict=True))
    wrong = tuple(name for name in lens_size if lens_size[name] != size[name])
    if len(wrong) == 2 and all(lens_size[a] == size[b] for a, b in (wrong, wrong[::-1])):
        what = (
            f"{listed(wrong)} seem to be exchanged: each has pictures of the size for which the other's lens was "
            "calibrated. Check which clip is of which camera, and rename them"
        )
        return [Finding("exchanged", "error", wrong, what)]
    return [Finding("picture_size", "error", (name,), _of_another_size(name, size, lens_size)) for name in wrong]


def _of_another_size(name: str, size: Mapping[str, tuple[int, int]], lens_size: Mapping[str, tuple[int, int]]) -> str:
    (w, h), (lens_w, lens_h) = size[name], lens_size[name]
    others = [other for other in lens_size if other != name and lens_size[other] == size[name]]
    hint = f" (as the lens of {listed(others)} was: check that names are not exchanged)" if others else ""
    return (
        f"{name} has pictures of {w} x {h}, its lens was calibrated for {lens_w} x {lens_h}. Take the clips and the "
        f"lens's in one setting of the camera{hint}"
    )


@dataclass(frozen=True, eq=False)
class LensFits:
    """log_rms (C, C, V): logarithm of the error (px) of a camera's views (first) through a lens (second); NaN where
    there is none."""

    cameras: tuple[str, ...]
    log_rms: Float[np.ndarray, "C C V"]

    @property
    def rms_px(self) -> Float[np.ndarray, "C C"]:
        """Median over views; inf where there are none."""
        known = np.isfinite(self.log_rms).sum(axis=-1) > 0
        typical = np.nanmedian(np.where(np.expand_dims(known, -1), self.log_rms, 0.0), axis=-1)
        return np.where(known, np.exp(typical), np.inf)


def lens_fits(it: BoardObservations, intrinsics: Mapping[str, Intrinsics]) -> LensFits:
    """Every camera's views through its own lens, and those of others with pictures of the same size."""
    names = it.cameras
    table = np.full((len(names), len(names), MOST_VIEWS), np.nan)
    for c, name in enumerate(names):
        some = _some_views(it.of_cameras([name]))
        for k, other in enumerate(names):
            if intrinsics[other].image_size != it.image_sizes[c] or not some.n_views:
                continue
            rms = board_poses(some, {name: intrinsics[other]}).rms_px
            with np.errstate(divide="ignore", invalid="ignore"):
                table[c, k, : len(rms)] = np.log(np.maximum(rms, 1e-3))
    return LensFits(names, table)


def _some_views(it: BoardObservations) -> BoardObservations:
    enough = np.flatnonzero(it.corners_per_view >= 6)
    chosen = enough[np.unique(np.linspace(0, len(enough) - 1, min(MOST_VIEWS, len(enough))).astype(int))]
    keep = np.zeros(it.n_views, dtype=bool)
    keep[chosen] = True
    return it.of_views(keep)


def exchanged(fits: LensFits) -> list[Finding]:
    """Cameras whose pictures fit each other's lenses better than their own."""
    cost = np.where(np.isfinite(fits.rms_px), np.log(np.maximum(fits.rms_px, 1e-3)), 1e3)
    _, lens = linear_sum_assignment(cost)
    changed = [c for c, k in enumerate(lens) if c != k]
    if not changed or not all(_is_sure(fits, c, int(lens[c])) for c in changed):
        return []
    names = tuple(fits.cameras[c] for c in changed)
    told = "; ".join(
        f"{fits.cameras[c]}'s pictures fit the lens of {fits.cameras[lens[c]]} to {fits.rms_px[c, lens[c]]:.2f} px, "
        f"their own to {fits.rms_px[c, c]:.2f} px"
        for c in changed
    )
    what = f"{listed(names)} seem to be exchanged: {told}. Check which clip is of which camera, and rename them"
    return [Finding("exchanged", "error", names, what)]


def _is_sure(fits: LensFits, camera: int, lens: int) -> bool:
    gain = fits.log_rms[camera, camera] - fits.log_rms[camera, lens]
    gain = gain[np.isfinite(gain)]
    if len(gain) < LEAST_VIEWS:
        return False
    return float(gain.mean()) > max(BETTER, SURE * float(gain.std(ddof=1)) / len(gain) ** 0.5)


def misfits(fits: LensFits) -> list[Finding]:
    """Lenses that fit their own pictures far worse than the others do."""
    own = np.diag(fits.rms_px)
    found = []
    for c, name in enumerate(fits.cameras):
        others = np.delete(own, c)
        others = others[np.isfinite(others)]
        usual = float(np.median(others)) if len(others) else 0.0
        if np.isfinite(own[c]) and own[c] > max(MISFIT_PX, MISFIT_RATIO * usual):
            what = (
                f"the lens of {name} does not fit its pictures: single views of the board are {own[c]:.1f} px off. "
                "Zoom, focus or stabilization may differ from when the lens was calibrated, or the board's squares "
                "were counted wrongly; calibrate the lens from these clips"
            )
            found.append(Finding("lens_misfit", "warning", (name,), what))
    return found


def with_lens_sizes(it: BoardObservations, intrinsics: Mapping[str, Intrinsics]) -> BoardObservations:
    """The cameras that have a lens for their picture size, and views."""
    sizes = dict(zip(it.cameras, it.image_sizes, strict=True))
    usable = [name for name in it.cameras if name in intrinsics and intrinsics[name].image_size == sizes[name]]
    return it.of_cameras(usable)
