"""Good, usable or redo: the thresholds, where they come from, and the sentences that go with them.

A calibration exists to triangulate what a keypoint detector sees. Its errors stay the same from frame to frame, the
detector's do not; together they are sqrt(1 + r²) times the detector's, r being their ratio. With r = 1/4 that is 3 %
more, which nobody can measure in motion: good. With r = 1/2 it is 12 % more: usable. Beyond, calibrating again is the
cheapest way to better motion: redo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.quality_report import (
    BoardScale,
    CameraQuality,
    PixelErrors,
    ResidualField,
    Solve,
    Verdict,
    VolumeQuality,
)

GOOD_RATIO = 1 / 4
USABLE_RATIO = 1 / 2

DETECTOR_PX = 4.0
"""Standard deviation of either coordinate of good keypoint detectors, on people who fill a picture 1280 px long; it
grows with the picture, for they look at people scaled to one size."""

DETECTOR_MM = 20.0
"""What markerless joints are off by at best, against markers: 20-30 mm (Nakano et al. 2020, Kanko et al. 2021)."""

REFERENCE_PX = 1280

SIGNIFICANT = 0.01
"""p-value below which a residual field is told; one good camera in a hundred will be told so by chance, which then
needs to be half the pixel threshold strong too to cost it anything."""

OUTLIER_SHARES = (0.05, 0.2)
"""Detectors put some corners wrong: one in twenty at most in the sets we know. With one in five something else is."""

USED_SHARE = 0.8
"""Of the corners. A solve that leaves out more has found a solution that its own measurements speak against; how far
off they are is told by the other limits."""

OUTLIER_SIGMAS = 4.0

SHARED_MOMENTS = (10, 3)
"""Fewer than 10 moments shared with other cameras: a wrong one among them may not stand out. Below 3 it cannot."""

COVERED_SHARE = 0.5
"""Of what a camera sees of the working volume: with less, most of it is seen through a part of the lens, an eighth of
the picture away from any corner and more, that nothing has checked."""

IMAGED_SHARE = 0.95
"""Of the picture; what a polynomial misses of the very corners costs few a keypoint."""

ORDER: tuple[Verdict, ...] = ("good", "usable", "redo")


@dataclass(frozen=True)
class Finding:
    """One thing that speaks for a verdict, with its reason as a sentence that says what to do."""

    verdict: Verdict
    reason: str


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst one; good where there is none."""
    return ORDER[max((ORDER.index(verdict) for verdict in verdicts), default=0)]


def judge(value: float | int, good: float | int, usable: float | int) -> Verdict:
    """By upper limits; what is not known must be done again."""
    if np.isnan(value) or value > usable:
        return "redo"
    return "usable" if value > good else "good"


def limits_px(image_size: tuple[int, int]) -> tuple[float, float]:
    """What a good and a usable camera may be off by, RMS length: 1.0 and 2.0 px in a picture 1280 px long."""
    detector = DETECTOR_PX * max(image_size) / REFERENCE_PX
    return GOOD_RATIO * detector, USABLE_RATIO * detector


def outlier_limit_px(image_size: tuple[int, int], noise_px: float) -> float:
    """Corners further off count as the detector's mistakes: twice what a usable camera may be off by on the whole, or
    what noise may do."""
    return max(2 * limits_px(image_size)[1], OUTLIER_SIGMAS * noise_px)


def limits_mm() -> tuple[float, float]:
    """What a good and a usable calibration may put a point wrong by: 5 and 10 mm."""
    return GOOD_RATIO * DETECTOR_MM, USABLE_RATIO * DETECTOR_MM


def findings_on_pixels(errors: PixelErrors, field: ResidualField, image_size: tuple[int, int]) -> list[Finding]:
    """Reprojection errors, outliers and the lens."""
    if errors.corners == errors.outliers:
        return [Finding("redo", "No corner of the board that it saw agrees with the other cameras: film it again.")]
    good, usable = limits_px(image_size)
    found = []
    verdict = judge(errors.rms_px, good, usable)
    if verdict != "good":
        found.append(
            Finding(
                verdict,
                f"Corners lie {errors.rms_px:.2f} px from where they should (RMS; up to {good:.1f} px is good here): "
                "film the board slowly and sharp, check that the board is flat and that nobody touched the camera.",
            )
        )
    share = errors.outliers / errors.corners
    verdict = judge(share, *OUTLIER_SHARES)
    if verdict != "good":
        found.append(
            Finding(
                verdict,
                f"{share:.0%} of its corners contradict the others (up to {OUTLIER_SHARES[0]:.0%} is usual): look for "
                "blur, glare, a second board in the picture, or a clip that is not synchronous.",
            )
        )
    used = 1 - errors.unused / errors.corners
    if used < USED_SHARE and verdict == "good":
        found.append(
            Finding(
                "usable",
                f"The solve trusted {used:.0%} of its corners only; the others fit worse than the noise of the rest "
                "explains: look for blur, a bent board, or times of pictures that are not those of the files.",
            )
        )
    return found + _findings_on_field(field, good / 2, usable / 2)


def _findings_on_field(field: ResidualField, good: float, usable: float) -> list[Finding]:
    """A field is only a part of the error that the pixel limits hold for: half of it."""
    if not field.p_value < SIGNIFICANT or field.systematic_px <= good:
        return []
    return [
        Finding(
            judge(field.systematic_px, good, usable),
            f"Errors point the same way in the same part of the picture ({field.systematic_px:.2f} px, chance in "
            f"{field.p_value:.1g}): the lens model does not fit. Film the board up to the corners of the picture for "
            'its intrinsics, or choose the lens "rational" or "fisheye".',
        )
    ]


def findings_on_camera(camera: CameraQuality) -> list[Finding]:
    """Views, coverage and the uncertainty of the solved camera."""
    found = []
    verdict: Verdict = judge(-camera.shared_moments, -SHARED_MOMENTS[0], -SHARED_MOMENTS[1])
    if verdict != "good":
        found.append(
            Finding(
                verdict,
                f"It saw the board together with another camera at {camera.shared_moments} moments only; "
                f"{SHARED_MOMENTS[0]} or more are needed to notice mistakes: hold the board where both see it.",
            )
        )
    good, usable = limits_mm()
    verdict = judge(camera.ray_std_mm, good, usable)
    if verdict != "good":
        found.append(Finding(verdict, _of_uncertain(camera, good)))
    if camera.covered_share < COVERED_SHARE:
        found.append(
            Finding(
                "usable",
                f"The board came near {camera.covered_share:.0%} only of where the working volume appears in its "
                "picture; elsewhere the lens is a guess: carry the board further to the edges of the picture.",
            )
        )
    if camera.imaged_share < IMAGED_SHARE:
        found.append(
            Finding(
                "usable",
                f"Its lens formula has no rays for {1 - camera.imaged_share:.0%} of the picture, at the edges; "
                "keypoints there are lost: carry the board to the edges of the picture.",
            )
        )
    return found


def _of_uncertain(camera: CameraQuality, good: float) -> str:
    if np.isnan(camera.ray_std_mm):
        return "It has no part of the working volume in its picture: turn it to where the board was, and film again."
    lens = ""
    if camera.focal_std_px > 0.01 * camera.focal_px:
        share = camera.focal_std_px / camera.focal_px
        lens = f" Its focal length is known to {share:.1%} only: tilt the board more, and show it near and far."
    return (
        f"Its rays pass by points of the working volume at {camera.ray_std_mm:.1f} mm (median; up to {good:.0f} mm is "
        f"good): film more board views that it shares with others.{lens}"
    )


def findings_on_rig(volume: VolumeQuality, board: BoardScale | None, solve: Solve) -> list[Finding]:
    """What concerns no single camera."""
    good, usable = limits_mm()
    found = []
    if not solve.converged:
        found.append(
            Finding(
                "usable",
                f"The solution still changed after {solve.iterations} steps: film more views shared by two cameras.",
            )
        )
    verdict = judge(volume.median_calibration_mm, good, usable)
    if not len(volume.points):
        found.append(Finding("redo", "No two cameras see the same part of the working volume: turn them towards it."))
    elif verdict != "good":
        found.append(
            Finding(
                verdict,
                f"Calibration alone puts points of the working volume wrong by {volume.median_calibration_mm:.1f} mm "
                f"(median; up to {good:.0f} mm is good): film more board views shared by cameras, all over the volume.",
            )
        )
    return found + ([] if board is None else _findings_on_board(board))


def _findings_on_board(board: BoardScale) -> list[Finding]:
    """Distances on the board are known; over a person of 1.8 m, 5 and 10 mm are 0.28 and 0.56 % of scale."""
    good, usable = limits_mm()
    person_mm = 1800.0
    off = board.mean_mm / board.nominal_mm - 1
    found = []
    verdict = judge(abs(off) * person_mm, good, usable)
    if verdict != "good":
        found.append(
            Finding(
                verdict,
                f"Squares of the board come out {off:+.1%} too {'large' if off > 0 else 'small'} "
                f"({board.mean_mm:.2f} mm for {board.nominal_mm:.2f} mm): a lens does not fit, or the board is bent.",
            )
        )
    verdict = judge(board.std_mm, good, usable)
    if verdict != "good":
        found.append(
            Finding(
                verdict,
                f"Squares of the board vary by {board.std_mm:.1f} mm (standard deviation; up to {good:.0f} mm is "
                "good): pictures are blurred or not taken together, or cameras see the board from too narrow an angle.",
            )
        )
    return found
