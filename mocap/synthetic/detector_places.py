"""Where a detector believes keypoints to be: on the right person or a wrong one, on the right side or the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.core.keypoints import KeypointSet
from mocap.core.truth import Visibility
from mocap.synthetic.detector_config import DetectorErrors
from mocap.synthetic.spells import draw_spells
from mocap.synthetic.true_views import TrueViews, extent

BACKGROUND = -1
"""Stands for a person who is none."""
LIMBS = (("elbow", "wrist", "hand", "pinky", "index", "thumb"), ("knee", "ankle", "heel", "toe", "foot"))
"""Words in the names of keypoints that are exchanged together."""
MOST_LIKELY = 0.95
PHANTOM_HEIGHT = (0.15, 0.7)
"""Size of what is taken for a person, in heights of the picture."""


@dataclass(frozen=True, eq=False)
class Places:
    """xy: (T, P, C, K, 2) px, where reports are made from; believed: the same without strays of single keypoints.

    person, keypoint: (T, P, C, K) whose it is. size: (T, P, C) px. absent, phantom: (T, P, C).
    """

    xy: Float[np.ndarray, "T P C K 2"]
    believed: Float[np.ndarray, "T P C K 2"]
    person: Int[np.ndarray, "T P C K"]
    keypoint: Int[np.ndarray, "T P C K"]
    size: Float[np.ndarray, "T P C"]
    absent: Bool[np.ndarray, "T P C"]
    phantom: Bool[np.ndarray, "T P C"]


def places_of(views: TrueViews, errors: DetectorErrors, rng: np.random.Generator) -> Places:
    """Draws who is taken for whom, which sides are exchanged, and which keypoints stray."""
    keypoint = _keypoints(views, errors, rng)
    person = np.broadcast_to(np.arange(views.xy.shape[1])[:, None, None], keypoint.shape).copy()
    jumps = draw_spells(rng, keypoint.shape[:3], errors.wrong_person_share, views.frames(errors.wrong_person_s))
    other = jumps.held(_other_person(views, errors, jumps.active.shape, rng))
    person = np.where(jumps.active[..., None], other[..., None], person)
    xy = _gathered(views, person, keypoint)
    away = jumps.active & (other == BACKGROUND)
    if away.any():
        xy = np.where(away[..., None, None], _moved(views, xy, jumps.held(rng.random((*away.shape, 3)))), xy)
    absent = views.present.mean(-1) < errors.least_inside
    whole = Places(xy, xy, person, keypoint, views.size_px, absent, np.zeros_like(absent))
    return _with_phantoms(views, errors, _with_strays(views, errors, whole, rng), rng)


def _keypoints(views: TrueViews, errors: DetectorErrors, rng: np.random.Generator) -> Int[np.ndarray, "T P C K"]:
    """Which keypoint's place is reported for each: itself, or its twin of the other side."""
    shape = views.xy.shape[:-1]
    mirror = views.keypoint_set.mirror_permutation
    turned = np.nan_to_num(views.facing, nan=1.0)
    factor = np.interp(turned, [-1.0, 0.0, 1.0], [errors.swap_back, errors.swap_profile, 1.0])
    frames = views.frames(errors.swap_s)
    swapped = np.zeros(shape, dtype=bool)
    if errors.swap_share:
        share = np.minimum(errors.swap_share * factor, MOST_LIKELY)
        swapped |= draw_spells(rng, shape[:3], share, frames).active[..., None]
    for words in LIMBS if errors.swap_limb_share else ():
        share = np.minimum(errors.swap_limb_share * factor, MOST_LIKELY)
        exchanged = draw_spells(rng, shape[:3], share, frames).active[..., None]
        swapped ^= exchanged & members(views.keypoint_set, words)
    keypoint = np.where(swapped, mirror, np.arange(shape[-1]))
    if errors.collapse_share:
        hidden = (views.visibility == Visibility.HIDDEN_BY_SELF) & (views.visibility[..., mirror] == Visibility.VISIBLE)
        doubled = draw_spells(rng, shape, errors.collapse_share * hidden, frames).active
        keypoint = np.where(doubled & ~swapped, mirror, keypoint)
    return keypoint


def members(keypoint_set: KeypointSet, words: tuple[str, ...]) -> Bool[np.ndarray, "K"]:
    """Which keypoints have one of these words in their names."""
    return np.array([bool(set(words) & set(name.split("_"))) for name in keypoint_set.names])


def _other_person(
    views: TrueViews, errors: DetectorErrors, shape: tuple[int, ...], rng: np.random.Generator
) -> Int[np.ndarray, "T P C *k"]:
    """Somebody else, drawn for every frame; `BACKGROUND` in the configured share, or where there is nobody else."""
    people = views.everyone.shape[1]
    own = np.arange(shape[1]).reshape(-1, *(1,) * (len(shape) - 2))
    if people < 2:
        return np.full(shape, BACKGROUND)
    other = (own + rng.integers(1, people, shape)) % people
    return np.where(rng.random(shape) < errors.background, BACKGROUND, other)


def _gathered(
    views: TrueViews, person: Int[np.ndarray, "T P C K"], keypoint: Int[np.ndarray, "T P C K"]
) -> Float[np.ndarray, "T P C K 2"]:
    """The exact pixels of other keypoints and people; the background is left to others, and gets one's own."""
    everyone = views.everyone
    own = np.arange(person.shape[1])[:, None, None]
    whose = np.where(person == BACKGROUND, own, person)
    frame = np.arange(len(person))[:, None, None, None]
    camera = np.arange(person.shape[2])[:, None]
    return everyone[frame, whose, camera, keypoint]


def _moved(
    views: TrueViews, xy: Float[np.ndarray, "T P C K 2"], chance: Float[np.ndarray, "T P C 3"]
) -> Float[np.ndarray, "T P C K 2"]:
    """The same shape about another middle, anywhere in the picture, half to one and a half times as large."""
    middle, _ = extent(xy)
    target = chance[..., :2] * views.image_size[:, None] - 0.5
    scale = 0.5 + chance[..., 2]
    return target[..., None, :] + scale[..., None, None] * (xy - middle[..., None, :])


def _with_strays(views: TrueViews, errors: DetectorErrors, places: Places, rng: np.random.Generator) -> Places:
    if not errors.stray_share:
        return places
    shape = places.person.shape
    strays = draw_spells(rng, shape, errors.stray_share, views.frames(errors.stray_s))
    other = strays.held(_other_person(views, errors, shape, rng))
    own = np.broadcast_to(np.arange(shape[-1]), shape)
    least, most = errors.stray_reach
    reach = strays.held(np.sqrt(rng.uniform(least**2, most**2, shape))) * places.size[..., None]
    angle = strays.held(rng.uniform(0, 2 * np.pi, shape))
    beside = places.xy + reach[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    elsewhere = np.where((other == BACKGROUND)[..., None], beside, _gathered(views, other, own))
    return replace(
        places,
        xy=np.where(strays.active[..., None], elsewhere, places.xy),
        person=np.where(strays.active, other, places.person),
        keypoint=np.where(strays.active, own, places.keypoint),
    )


def _with_phantoms(views: TrueViews, errors: DetectorErrors, places: Places, rng: np.random.Generator) -> Places:
    """Where the person is absent, sometimes a person's shape (of any view of this call) stands somewhere."""
    seen = np.isfinite(views.xy[..., 0]).sum(-1)
    whole = np.argwhere((seen == seen.max(initial=1)) & (views.size_px > 0))
    if not errors.phantom_share or not len(whole) or not places.absent.any():
        return places
    spells = draw_spells(rng, places.absent.shape, errors.phantom_share, views.frames(errors.wrong_person_s))
    shape = views.xy[tuple(whole[spells.held(rng.integers(len(whole), size=spells.since.shape))].transpose(3, 0, 1, 2))]
    middle, sides = extent(shape)
    chance = spells.held(rng.random((*spells.since.shape, 3)))
    low, high = PHANTOM_HEIGHT
    size = (low + (high - low) * chance[..., 2]) * views.image_size[:, None, :, 1]
    target = chance[..., :2] * views.image_size[:, None] - 0.5
    scale = size / np.maximum(sides.max(-1), 1.0)
    xy = target[..., None, :] + scale[..., None, None] * (shape - middle[..., None, :])
    phantom = spells.active & places.absent
    here = phantom[..., None]
    return replace(
        places,
        xy=np.where(here[..., None], xy, places.xy),
        believed=np.where(here[..., None], xy, places.believed),
        person=np.where(here, BACKGROUND, places.person),
        keypoint=np.where(here, np.arange(places.keypoint.shape[-1]), places.keypoint),
        size=np.where(phantom, size, places.size),
        phantom=phantom,
    )
