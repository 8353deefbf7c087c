"""What a 2D network would report of people in known cameras, with a record of every error it was made to commit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from mocap.core.keypoints import Detections2D, Keypoints2D
from mocap.core.truth import Visibility
from mocap.synthetic.capsules import inside_image
from mocap.synthetic.detector_config import DetectorErrors
from mocap.synthetic.detector_places import BACKGROUND, Places, places_of
from mocap.synthetic.measured_errors import bias_px, by_state, measured_for
from mocap.synthetic.spells import draw_spells, lasting_noise
from mocap.synthetic.true_views import TrueViews

KEYPOINT_SPREAD = {
    "nose": 0.026,
    "eye": 0.025,
    "mouth": 0.026,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}
"""COCO's per-keypoint constants: how far annotators disagree (cocodataset.org, keypoint evaluation)."""
MEAN_SPREAD = 0.072
"""Of COCO's twelve limb keypoints and head; keypoints that COCO lacks have this."""
LEAST_CONFIDENCE, MOST_CONFIDENCE = 0.01, 0.999
BOX_MARGIN = 1.1
HIDDEN_MUCH = 0.3
"""Share of keypoints hidden by others from which on `lost_hidden` holds."""
LEAST_KEYPOINTS = 3
"""Fewer keypoints in an image are no person."""


@dataclass(frozen=True, eq=False)
class ErrorRecord:
    """What was done to each report. place: (T, P, C, K, 2) px it was made from, before noise and bias; believed: the
    same without strays of single keypoints, where the detector looked for the person.

    person, keypoint: (T, P, C, K) whose place that is (an index of people, then bystanders; `BACKGROUND` for neither)
    and which keypoint's. sigma_px: (T, P, C, K) noise per axis. bias_px: (T or 1, P, C, K, 2). lost, phantom: (T, P, C)
    people who were not found, and things that were taken for people who are not there.
    """

    place: Float[np.ndarray, "T P C K 2"]
    believed: Float[np.ndarray, "T P C K 2"]
    person: Int[np.ndarray, "T P C K"]
    keypoint: Int[np.ndarray, "T P C K"]
    sigma_px: Float[np.ndarray, "T P C K"]
    bias_px: Float[np.ndarray, "#T P C K 2"]
    lost: Bool[np.ndarray, "T P C"]
    phantom: Bool[np.ndarray, "T P C"]

    @property
    def swapped(self) -> Bool[np.ndarray, "T P C K"]:
        """Reported where another keypoint of the same person is: the twin of the other side."""
        return self.keypoint != np.arange(self.keypoint.shape[-1])

    @property
    def outlier(self) -> Bool[np.ndarray, "T P C K"]:
        """Reported at another person or in the background."""
        return self.person != np.arange(self.person.shape[1])[:, None, None]


@dataclass(frozen=True, eq=False)
class Detected:
    """xy: (T, P, C, K, 2) px, NaN where nothing is reported; confidence: (T, P, C, K), 0 there."""

    xy: Float[np.ndarray, "T P C K 2"]
    confidence: Float[np.ndarray, "T P C K"]
    record: ErrorRecord

    def keypoints(self, views: TrueViews, cameras: tuple[str, ...]) -> Keypoints2D:
        """The same people in every camera, as after an association without fault."""
        return Keypoints2D(cameras, views.keypoint_set, self.xy, self.confidence, views.fps)


def detect(views: TrueViews, errors: DetectorErrors, rng: np.random.Generator) -> Detected:
    """Reports of people whose exact views are known."""
    places = places_of(views, errors, rng)
    code = _codes_of_places(views, places)
    record = _record(views, errors, places, _sigma(views, errors, code, places.size), rng)
    error = _noise(views, errors, record.sigma_px, rng) + record.bias_px
    xy = places.xy + error
    distance = np.linalg.norm(xy - places.believed, axis=-1)
    faultless = _faultless(errors, code, views.keypoint_set.names)
    confidence = _confidence(errors, faultless, distance / np.maximum(places.size, 1.0)[..., None], rng)
    reported = np.isfinite(xy).all(-1) & ~_missing(views, errors, code, rng)
    reported &= ~record.lost[..., None]
    return Detected(np.where(reported[..., None], xy, np.nan), np.where(reported, confidence, 0.0), record)


def _codes_of_places(views: TrueViews, places: Places) -> Integer[np.ndarray, "T P C K"]:
    """How the place that a report is made from shows; what belongs to somebody else counts as visible."""
    code = np.take_along_axis(views.visibility, places.keypoint, axis=-1)
    own = places.person == np.arange(views.xy.shape[1])[:, None, None]
    code = np.where(own, code, np.int8(Visibility.VISIBLE))
    inside = inside_image(places.xy, views.image_size[:, None, :, None])
    return np.where(inside, code, np.int8(Visibility.OUTSIDE))


def _sigma(
    views: TrueViews, errors: DetectorErrors, code: Integer[np.ndarray, "T P C K"], size: Float[np.ndarray, "T P C"]
) -> Float[np.ndarray, "T P C K"]:
    if errors.measured:
        found = measured_for(errors.measured, views.keypoint_set.names)
        return np.hypot(errors.noise_px, by_state(found.spread, code) * size[..., None])
    share = errors.noise_share * (spreads(views.keypoint_set.names) if errors.by_keypoint else 1.0)
    sigma = np.hypot(errors.noise_px, share * size[..., None])
    factor = np.ones(len(Visibility))
    factor[Visibility.HIDDEN_BY_SELF], factor[Visibility.HIDDEN_BY_OTHER] = errors.hidden_self, errors.hidden_other
    return np.broadcast_to(sigma, code.shape) * factor[code]


def spreads(names: tuple[str, ...]) -> Float[np.ndarray, "K"]:
    """How much harder than the mean each keypoint is to place, by its name."""
    found = [
        next((value for word, value in KEYPOINT_SPREAD.items() if word in name.split("_")), MEAN_SPREAD)
        for name in names
    ]
    return np.array(found) / MEAN_SPREAD


def _record(
    views: TrueViews,
    errors: DetectorErrors,
    places: Places,
    sigma: Float[np.ndarray, "T P C K"],
    rng: np.random.Generator,
) -> ErrorRecord:
    lead = len(sigma) if views.fps == 0 else 1  # independent frames come from different takes
    bias = np.zeros((1, *sigma.shape[1:], 2))
    if errors.measured:
        bias = _measured_bias(views, errors, places, rng)
    elif errors.bias_share:
        drawn = rng.standard_normal((lead, 1, *sigma.shape[2:], 2))
        bias = errors.bias_share * places.size[..., None, None] * drawn
        bias = bias if bias.shape[0] == len(sigma) else np.broadcast_to(bias, (*sigma.shape, 2))
    lost = draw_spells(rng, sigma.shape[:3], _lost_share(views, errors), views.frames(errors.lost_s)).active
    lost = (lost | places.absent) & ~places.phantom
    return ErrorRecord(places.xy, places.believed, places.person, places.keypoint, sigma, bias, lost, places.phantom)


def _lost_share(views: TrueViews, errors: DetectorErrors) -> Float[np.ndarray, "T P C"] | float:
    if not errors.lost_hidden:
        return errors.lost_share
    much = (views.visibility == Visibility.HIDDEN_BY_OTHER).mean(-1) > HIDDEN_MUCH
    return np.where(much, errors.lost_hidden, errors.lost_share)


def _measured_bias(
    views: TrueViews, errors: DetectorErrors, places: Places, rng: np.random.Generator
) -> Float[np.ndarray, "T P C K 2"]:
    """Of the keypoint whose place is reported, for a network that was measured."""
    found = measured_for(errors.measured, views.keypoint_set.names)
    t, p, c, k = places.keypoint.shape
    lead = t if views.fps == 0 else 1
    own = found.person[:, None] * rng.standard_normal((lead, p, 1, k, 3))
    mean = bias_px(found, views.torso, views.xy, own)
    drawn = rng.standard_normal((lead, p, c, k, 2))
    of_view = found.view[:, None] * places.size[..., None, None] * drawn
    return np.take_along_axis(mean, places.keypoint[..., None], axis=-2) + of_view


def _noise(
    views: TrueViews, errors: DetectorErrors, sigma: Float[np.ndarray, "T P C K"], rng: np.random.Generator
) -> Float[np.ndarray, "T P C K 2"]:
    if not sigma.any():
        return np.zeros((*sigma.shape, 2))
    shape = (*sigma.shape, 2)
    if errors.view_spread:
        harder = lasting_noise(rng, sigma.shape[:3], views.frames(errors.lasting_s))
        sigma = sigma * np.exp(errors.view_spread * harder)[..., None]
    noise = rng.standard_normal(shape)
    if errors.tail_dof:
        heavier = np.sqrt((errors.tail_dof - 2) / rng.chisquare(errors.tail_dof, sigma.shape))
        if errors.tails_last:
            heavier = _held(heavier, views.frames(errors.lasting_s), rng)
            sigma = sigma * heavier
        else:
            noise *= heavier[..., None]
    if errors.lasting:
        noise *= np.sqrt(1 - errors.lasting)
        noise += np.sqrt(errors.lasting) * lasting_noise(rng, shape, views.frames(errors.lasting_s))
    return noise * sigma[..., None]


def _held(
    values: Float[np.ndarray, "T P C K"], mean_frames: float, rng: np.random.Generator
) -> Float[np.ndarray, "T P C K"]:
    """Drawn anew every `mean_frames` on average, and kept in between."""
    if mean_frames <= 1:
        return values
    frame = np.arange(len(values)).reshape(-1, 1, 1, 1)
    fresh = (rng.random(values.shape) < 1 / mean_frames) | (frame == 0)
    return np.take_along_axis(values, np.maximum.accumulate(np.where(fresh, frame, 0), axis=0), axis=0)


def _missing(
    views: TrueViews, errors: DetectorErrors, code: Integer[np.ndarray, "T P C K"], rng: np.random.Generator
) -> Bool[np.ndarray, "T P C K"]:
    share = np.empty(len(Visibility))
    share[Visibility.OUTSIDE], share[Visibility.VISIBLE] = errors.missing_outside, errors.missing_visible
    share[Visibility.HIDDEN_BY_SELF], share[Visibility.HIDDEN_BY_OTHER] = errors.missing_self, errors.missing_other
    return draw_spells(rng, code.shape, share[code], views.frames(errors.missing_s)).active


def _faultless(
    errors: DetectorErrors, code: Integer[np.ndarray, "T P C K"], names: tuple[str, ...]
) -> tuple[Float[np.ndarray, "T P C K"], Float[np.ndarray, "T P C K"] | float]:
    """Mean and spread of the logit of the confidence of a point without error."""
    if errors.measured:
        found = measured_for(errors.measured, names)
        return by_state(found.confidence, code), by_state(found.confidence_spread, code)
    logit = np.full(code.shape, np.log(errors.confidence / (1 - errors.confidence)))
    return logit - errors.hidden_doubt * (code != Visibility.VISIBLE), errors.confidence_spread


def _confidence(
    errors: DetectorErrors,
    faultless: tuple[Float[np.ndarray, "T P C K"], Float[np.ndarray, "T P C K"] | float],
    relative_error: Float[np.ndarray, "T P C K"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "T P C K"]:
    """relative_error: distance from where the network believes the point to be, in sizes of the person."""
    logit, spread = faultless
    if errors.error_doubt:
        logit = logit - errors.error_doubt * np.log1p((relative_error / errors.error_reference) ** 2)
    if np.any(spread):
        logit = logit + spread * rng.standard_normal(logit.shape)
    return np.clip(1 / (1 + np.exp(-logit)), LEAST_CONFIDENCE, MOST_CONFIDENCE)


def as_detections(
    detected: Detected, views: TrueViews, cameras: tuple[str, ...], rng: np.random.Generator
) -> tuple[Detections2D, Int[np.ndarray, "N"]]:
    """People of every image in random order, without ids, and who each row is (`BACKGROUND` for phantoms)."""
    found = detected.confidence > 0
    frame, person, camera = np.nonzero(found.sum(-1) >= LEAST_KEYPOINTS)
    order = rng.permutation(len(frame))
    order = order[np.lexsort((camera[order], frame[order]))]
    frame, person, camera = frame[order], person[order], camera[order]
    xy, confidence = detected.xy[frame, person, camera], detected.confidence[frame, person, camera]
    low, high = np.nanmin(xy, axis=1), np.nanmax(xy, axis=1)
    middle, half = (low + high) / 2, (high - low) / 2 * BOX_MARGIN
    detections = Detections2D(
        cameras=cameras,
        n_frames=len(found),
        keypoint_set=views.keypoint_set,
        frame=frame,
        camera=camera,
        track=np.full(len(frame), -1),
        xy=xy,
        confidence=confidence,
        box=np.concatenate([middle - half, middle + half], axis=-1),
        score=confidence.sum(1) / np.maximum((confidence > 0).sum(1), 1),
    )
    who = np.where(detected.record.phantom[frame, person, camera], BACKGROUND, person)
    return detections, who
