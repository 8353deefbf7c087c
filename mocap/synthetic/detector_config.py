"""How a 2D network errs, as numbers; named presets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mocap.core.config import Config
from mocap.core.errors import ConfigError
from mocap.synthetic.measured_errors import measured

Share = Field(default=0.0, ge=0, le=1)
NotNegative = Field(default=0.0, ge=0)


class DetectorErrors(Config):
    """Shares are of frames (a state that is on in 3 % of them), `_s` how long it lasts on average.

    Noise of a keypoint has the standard deviation sqrt(noise_px² + (noise_share · size)²) per axis, with the size of
    the person in the picture (longer side of the box, px): its error in space grows with the distance where noise_px
    dominates, and stays where noise_share does. by_keypoint scales noise_share by how far people who annotate disagree
    (COCO's constants: hips 1.5 times the mean, eyes a third). hidden_self, hidden_other: factors where something hides
    the point. lasting: share of the variance that is remembered for `lasting_s`; the rest is new in every frame and has
    the tails of Student's t with `tail_dof` (0: Gaussian); tails_last: the lasting part has them too, so that what is
    far off stays so. view_spread: of the logarithm of a factor that the noise of all keypoints of a person in a view
    shares, as some views are harder than others; it changes over `lasting_s`. bias_share: per keypoint and view, for
    the whole take.

    measured: name of a network of which bias, spread and confidence are known for every keypoint and direction of view
    (`measured_errors`). Then they take the place of noise_share, by_keypoint, hidden_self, hidden_other, bias_share,
    confidence, hidden_doubt and confidence_spread.

    swap_share: left and right exchanged, the whole person; swap_limb_share: the arms, or the legs. They are shares seen
    from the front; from the side and from behind they are `swap_profile` and `swap_back` times as likely.
    collapse_share: of hidden keypoints that are reported where their visible twin is.

    wrong_person_share: the whole person is reported elsewhere; stray_share: a single keypoint is. In `background` of
    the cases, and where there is nobody else, that is a place in the background: for a whole person anywhere in the
    picture, for a keypoint `stray_reach` (least, most; shares of the size) away.

    missing_*: shares of keypoints that are not reported, by how they show. lost_share: whole persons that are not;
    lost_hidden: of those whom others hide for the most part (0: as any other).
    least_inside: a person of whom a smaller share of keypoints is in the picture is not found; then `phantom_share` is
    how often something else is taken for them.

    confidence: of a faultless visible point. Its logit falls by hidden_doubt where the point is hidden and by
    error_doubt · log(1 + (error / (error_reference · size))²), and varies by `confidence_spread`. Swaps and wrong
    persons do not lower it: a network does not know.
    """

    measured: Literal["", "blazepose"] = ""
    noise_px: float = NotNegative
    noise_share: float = NotNegative
    by_keypoint: bool = False
    hidden_self: float = Field(default=1.0, ge=0)
    hidden_other: float = Field(default=1.0, ge=0)
    lasting: float = Share
    lasting_s: float = Field(default=0.25, ge=0)
    tail_dof: float = Field(default=0.0, ge=0)
    tails_last: bool = False
    view_spread: float = NotNegative
    bias_share: float = NotNegative
    swap_share: float = Share
    swap_limb_share: float = Share
    swap_s: float = Field(default=0.2, ge=0)
    swap_profile: float = Field(default=1.0, ge=0)
    swap_back: float = Field(default=1.0, ge=0)
    collapse_share: float = Share
    wrong_person_share: float = Share
    wrong_person_s: float = Field(default=0.3, ge=0)
    stray_share: float = Share
    stray_s: float = Field(default=0.1, ge=0)
    stray_reach: tuple[float, float] = (0.05, 0.5)
    background: float = Field(default=1.0, ge=0, le=1)
    missing_visible: float = Share
    missing_self: float = Share
    missing_other: float = Share
    missing_outside: float = Field(default=1.0, ge=0, le=1)
    missing_s: float = Field(default=0.15, ge=0)
    lost_share: float = Share
    lost_hidden: float = Share
    lost_s: float = Field(default=0.2, ge=0)
    least_inside: float = Share
    phantom_share: float = Share
    confidence: float = Field(default=0.9, gt=0, lt=1)
    hidden_doubt: float = 0.0
    error_doubt: float = NotNegative
    error_reference: float = Field(default=0.01, gt=0)
    confidence_spread: float = NotNegative

    @model_validator(mode="after")
    def _possible(self) -> DetectorErrors:
        if 0 < self.tail_dof <= 2:
            raise ValueError(f"tail_dof = {self.tail_dof:g} has no standard deviation; give more than 2, or 0")
        if not 0 <= self.stray_reach[0] <= self.stray_reach[1]:
            raise ValueError(f"stray_reach {self.stray_reach} is not (least, most)")
        return self


def clean(sigma_px: float = 1.0, outlier_share: float = 0.0) -> DetectorErrors:
    """Gaussian noise of `sigma_px` per axis, new in every frame, and single keypoints that are somewhere else."""
    return DetectorErrors(noise_px=sigma_px, stray_share=outlier_share, stray_s=0.0)


BLAZEPOSE_LIKE = DetectorErrors(
    noise_px=0.4,
    noise_share=0.004,
    by_keypoint=True,
    hidden_self=3.0,
    hidden_other=4.0,
    lasting=0.7,
    tail_dof=5.0,
    bias_share=0.004,
    swap_share=0.002,
    swap_limb_share=0.004,
    swap_profile=4.0,
    swap_back=6.0,
    collapse_share=0.05,
    wrong_person_share=0.004,
    stray_share=0.004,
    background=0.3,
    missing_visible=0.001,
    missing_self=0.01,
    missing_other=0.03,
    missing_outside=0.7,
    lost_share=0.01,
    least_inside=0.3,
    phantom_share=0.01,
    confidence=0.96,
    hidden_doubt=2.5,
    error_doubt=0.8,
    confidence_spread=0.6,
)
"""Spreads as `observation.ObservationConfig` has them: 0.4 % of the height, thrice that where hidden."""

HARD = BLAZEPOSE_LIKE.model_copy(
    update={
        "noise_px": 1.0,
        "noise_share": 0.008,
        "tail_dof": 3.0,
        "bias_share": 0.008,
        "swap_share": 0.01,
        "swap_limb_share": 0.02,
        "collapse_share": 0.15,
        "wrong_person_share": 0.02,
        "stray_share": 0.03,
        "missing_visible": 0.03,
        "missing_self": 0.2,
        "missing_other": 0.4,
        "lost_share": 0.05,
        "phantom_share": 0.1,
        "confidence_spread": 1.2,
    }
)

PRESETS = {"clean": clean(), "blazepose_like": BLAZEPOSE_LIKE, "hard": HARD}
MEASURED = {"blazepose_measured": "blazepose"}
"""Presets that are read from a file of `mocap/synthetic/measured` when they are asked for."""


def preset(name: str) -> DetectorErrors:
    """A set of errors by name."""
    if name in MEASURED:
        return DetectorErrors.model_validate({**measured(MEASURED[name]).errors, "measured": MEASURED[name]})
    if name not in PRESETS:
        names = ", ".join((*PRESETS, *MEASURED))
        raise ConfigError(f"no preset {name!r} of detector errors; there are {names}")
    return PRESETS[name]
