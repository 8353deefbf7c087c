"""Feet that stand where they stand: contacts found in a solved motion, held, and let go of smoothly.

Height and speed of heel and ball say when a foot carries. What it carries on is the floor of the calibration where it
rests near that, else the height it rests at; where most that is low moves alike, it is a belt and feet move with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field

from mocap.core.config import Config, Report
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.foot_locks import FootLocks, lock_feet
from mocap.geometry.pose_solver import Anchors
from mocap.geometry.soles import HEEL_SHARE, SOLE_JOINTS, has_soles, sole_points, soles
from mocap.geometry.threads import one_thread
from mocap.signal.contacts import ContactRules, Surface, find_contacts, find_surface, true_runs

HEELS, BALLS, TIPS = (0, 3), (1, 4), (2, 5)
SAME_FLOOR_M = 0.02
"""Feet whose heights at rest differ by less stand on one floor."""
FloorSource = Literal["calibration", "feet"]
CONTACT_POINTS = ("left_heel", "left_toes", "right_heel", "right_toes")
"""As in the truth of synthetic takes; toes carry where the ball or the tip does."""


class FeetConfig(Config):
    """enabled: whether feet are held at all. low_m, high_m, slow_m_s, fast_m_s: a contact begins and ends lower and
    slower than the first of each, and is never above or faster than the second; min_s: shorter ones do not count.
    near_m: a contact begins and ends within that of its middle place. max_slide_m: a point that strays more is not
    held; somebody slides on purpose. floor: "calibration" is z = 0, "feet" the height that they rest at, "auto" the
    former for a foot that rests within near_floor_m of it. max_level_deg: how far feet may be turned, all alike, for
    soles at rest to be level; max_sole_m: by how much soles may be thicker or thinner than the skeleton's. fade_s: how
    long a correction takes to go.
    """

    enabled: bool = True
    low_m: float = Field(default=0.025, gt=0)
    high_m: float = Field(default=0.04, gt=0)
    slow_m_s: float = Field(default=0.2, gt=0)
    fast_m_s: float = Field(default=0.35, gt=0)
    min_s: float = Field(default=0.1, ge=0)
    near_m: float = Field(default=0.012, gt=0)
    max_slide_m: float = Field(default=0.06, gt=0)
    floor: Literal["auto", "calibration", "feet"] = "auto"
    near_floor_m: float = Field(default=0.03, gt=0)
    max_level_deg: float = Field(default=12.0, ge=0)
    max_sole_m: float = Field(default=0.03, ge=0)
    fade_s: float = Field(default=0.12, gt=0)


class FootQuality(Report):
    """skate_mm: way of a point in contact from frame to frame against what it stands on, mean and 95th percentile.
    deepest_mm: under the surface; under_share: of all sole points and frames, those deeper than 2 mm. root_jitter_mm,
    knee_jitter_deg: root mean square of second differences from frame to frame of the root's place, and of the knees'
    angles; knee_jitter_max_deg: the largest, a pop."""

    skate_mm: float | None
    skate_p95_mm: float | None
    deepest_mm: float
    under_share: float
    root_jitter_mm: float
    knee_jitter_deg: float
    knee_jitter_max_deg: float


class PersonFeetReport(Report):
    """contacts: spells by point; contact_share: of frames, by point. not_held: spells left out because the point slid.
    floor_m: height of what the left and the right foot stand on; belt_m_s: its velocity. levelled_deg: how far the feet
    were turned; sole_m: by how much soles grew thicker. most_moved_mm: of any sole point."""

    person: str
    contacts: dict[str, int]
    contact_share: dict[str, float]
    not_held: int
    floor_m: tuple[float, float]
    floor_from: tuple[FloorSource, FloorSource]
    belt_m_s: tuple[float, float]
    levelled_deg: float
    sole_m: float
    most_moved_mm: float
    before: FootQuality
    after: FootQuality


class FeetReport(Report):
    """One entry a person whose feet were held; people_left_alone: nothing says when their feet stand."""

    people: list[PersonFeetReport]
    people_left_alone: list[str]
    sentences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Stance:
    """A motion with level soles, and what they stand on and when."""

    motion: Motion
    surface: Surface
    floor_m: Float[np.ndarray, "2"]
    from_feet: Bool[np.ndarray, "2"]
    levelled_deg: float
    sole_m: float
    contact: Bool[np.ndarray, "T 6"]
    not_held: int


def settle_feet(motions: tuple[Motion, ...], config: FeetConfig) -> tuple[tuple[Motion, ...], FeetReport]:
    """The motions with their feet held while they carry; bone lengths stay, but for the soles' thickness."""
    settled, reports, alone = [], [], []
    for motion in motions:
        stance = _stance(motion, config) if config.enabled and has_soles(motion.skeleton) else None
        if stance is None or not stance.contact.any():
            settled.append(motion)
            alone.append(motion.person)
            continue
        held = _held(stance, config)
        settled.append(held)
        reports.append(_person_report(motion, held, stance))
    sentences = tuple(sentence for report in reports for sentence in _sentences(report))
    return tuple(settled), FeetReport(people=reports, people_left_alone=alone, sentences=sentences)


def standing_points(motion: Motion, config: FeetConfig) -> Anchors | None:
    """The soles' points of a motion and where they stand, with precision 1 while they carry and 0 otherwise; None where
    nothing ever stands."""
    if not config.enabled or not has_soles(motion.skeleton):
        return None
    stance = _stance(motion, config)
    if stance is None or not stance.contact.any():
        return None
    held = _held(stance, config)
    under = soles(held.skeleton)
    carries = torch.from_numpy(stance.contact).double()[..., None].expand(-1, -1, 3)
    joint, offsets, places = (torch.from_numpy(values) for values in (under.joint, under.offsets, sole_points(held)))
    return Anchors(joint, offsets, places, carries)


def contacts_of(contact: Bool[np.ndarray, "T 6"]) -> Bool[np.ndarray, "T 4"]:
    """CONTACT_POINTS from the points of soles."""
    toes = contact[:, list(BALLS)] | contact[:, list(TIPS)]
    return np.stack([contact[:, 0], toes[:, 0], contact[:, 3], toes[:, 1]], axis=-1)


def _held(stance: _Stance, config: FeetConfig) -> Motion:
    locks = FootLocks(stance.contact, np.repeat(stance.floor_m, 3), stance.surface.velocity, config.fade_s)
    with one_thread():
        return lock_feet(stance.motion, locks)


def _stance(motion: Motion, config: FeetConfig) -> _Stance | None:
    """None where no sole point ever rests."""
    surface = find_surface(sole_points(motion), motion.fps)
    if not np.isfinite(surface.rest_m[[*HEELS, *BALLS]]).any():
        return None
    pitch = _pitch(motion.skeleton, surface, np.deg2rad(config.max_level_deg))
    level = _turned(motion, pitch)
    surface = replace(surface, rest_m=find_surface(sole_points(level), motion.fps).rest_m)
    floor, from_feet, thicker = _floor(surface, config)
    level = replace(level, skeleton=_on_soles(level.skeleton, thicker))
    surface = replace(surface, rest_m=surface.rest_m - thicker)
    found, not_held = _contacts(sole_points(level), surface, motion.fps, config)
    return _Stance(level, surface, floor, from_feet, float(np.rad2deg(pitch)), thicker, found, not_held)


def _floor(surface: Surface, config: FeetConfig) -> tuple[Float[np.ndarray, "2"], Bool[np.ndarray, "2"], float]:
    """Height of what each foot stands on, whether its rest says so, and how much thicker soles are. A foot that never
    rests has the other's floor; two that rest nearly as high have the same."""
    own = np.array([[surface.rest_m[i] for i in pair] for pair in zip(HEELS, BALLS, strict=True)])
    rests = np.isfinite(own).any(-1)
    height = np.full(2, np.nanmean(own))
    height[rests] = np.nanmean(own[rests], axis=-1)
    if abs(height[0] - height[1]) < SAME_FLOOR_M:
        height[:] = height.mean()
    from_feet = np.full(2, config.floor == "feet")
    if config.floor == "auto":
        from_feet = np.abs(height) > config.near_floor_m
    on_floor = height[~from_feet]
    thicker = float(np.clip(on_floor.mean(), -config.max_sole_m, config.max_sole_m)) if len(on_floor) else 0.0
    return np.where(from_feet, height - thicker, 0.0), from_feet, thicker


def _pitch(skeleton: SkeletonDefinition, surface: Surface, most: float) -> float:
    """Angle (rad) by which resting feet point down, over both feet."""
    heel, ball = surface.rest_m[list(HEELS)], surface.rest_m[list(BALLS)]
    reach = [(1 + HEEL_SHARE) * np.hypot(*skeleton.rest_offsets[skeleton.index(name)][:2]) for _, name in SOLE_JOINTS]
    slope = np.arctan2(heel - ball, reach)
    return float(np.clip(np.mean(slope[np.isfinite(slope)]), -most, most)) if np.isfinite(slope).any() else 0.0


def _turned(motion: Motion, pitch: float) -> Motion:
    """Toes lifted by an angle about the x axis of the ankles, in every frame."""
    w, x = np.cos(pitch / 2), -np.sin(pitch / 2)
    rotations = motion.local_rotations.copy()
    feet = [motion.skeleton.index(foot) for foot, _ in SOLE_JOINTS]
    a, b, c, d = np.moveaxis(rotations[:, feet], -1, 0)
    rotations[:, feet] = np.stack([a * w - b * x, a * x + b * w, c * w + d * x, d * w - c * x], axis=-1)
    return replace(motion, local_rotations=rotations)


def _on_soles(skeleton: SkeletonDefinition, thicker: float) -> SkeletonDefinition:
    """The same joints standing higher above the floor in the T-pose."""
    offsets = skeleton.rest_offsets.copy()
    offsets[0, 2] += thicker
    return replace(skeleton, rest_offsets=offsets)


def _contacts(
    points: Float[np.ndarray, "T 6 3"], surface: Surface, fps: float, config: FeetConfig
) -> tuple[Bool[np.ndarray, "T 6"], int]:
    """Contacts that can be held, without the frames at their ends in which the foot is still or already on its way,
    and how many were found that cannot."""
    rules = ContactRules(config.low_m, config.high_m, config.slow_m_s, config.fast_m_s, config.min_s)
    found = find_contacts(points, surface, fps, rules)
    carried = points[..., :2] - np.arange(len(points))[:, None, None] / fps * surface.velocity
    runs, slid = true_runs(found), 0
    for point, start, stop in zip(runs.column, runs.start, runs.stop, strict=True):
        places = carried[start:stop, point]
        away = np.linalg.norm(places - np.median(places, axis=0), axis=-1)
        found[start:stop, point] = False
        there = start + np.flatnonzero(away < config.near_m)
        if len(there) and away.max() < config.max_slide_m and there[-1] - there[0] + 1 >= config.min_s * fps:
            found[there[0] : there[-1] + 1, point] = True
        else:
            slid += point not in TIPS
    return found, slid


def _person_report(given: Motion, held: Motion, stance: _Stance) -> PersonFeetReport:
    shown = contacts_of(stance.contact)
    runs = true_runs(shown)
    before, after = sole_points(given), sole_points(held)
    return PersonFeetReport(
        person=given.person,
        contacts={name: int((runs.column == i).sum()) for i, name in enumerate(CONTACT_POINTS)},
        contact_share=dict(zip(CONTACT_POINTS, shown.mean(0).round(4).tolist(), strict=True)),
        not_held=stance.not_held,
        floor_m=(float(stance.floor_m[0]), float(stance.floor_m[1])),
        floor_from=("feet" if stance.from_feet[0] else "calibration", "feet" if stance.from_feet[1] else "calibration"),
        belt_m_s=(float(stance.surface.velocity[0]), float(stance.surface.velocity[1])),
        levelled_deg=stance.levelled_deg,
        sole_m=stance.sole_m,
        most_moved_mm=1000 * float(np.linalg.norm(after - before, axis=-1).max()),
        before=_quality(given, before, stance),
        after=_quality(held, after, stance),
    )


def _quality(motion: Motion, points: Float[np.ndarray, "T 6 3"], stance: _Stance) -> FootQuality:
    carries = [*HEELS, *BALLS]
    contact = stance.contact[:, carries]
    both = contact[1:] & contact[:-1]
    slip = np.diff(points[:, carries, :2], axis=0) - stance.surface.velocity / motion.fps
    skate = 1000 * np.linalg.norm(slip, axis=-1)[both]
    depth = 1000 * (np.repeat(stance.floor_m, 3) - points[..., 2])
    knees = [motion.skeleton.index(foot) for foot, _ in SOLE_JOINTS]
    bends = _bends(motion, [int(motion.skeleton.parents[k]) for k in knees])
    return FootQuality(
        skate_mm=float(skate.mean()) if len(skate) else None,
        skate_p95_mm=float(np.percentile(skate, 95)) if len(skate) else None,
        deepest_mm=max(float(depth.max()), 0.0),
        under_share=float((depth > 2.0).mean()),
        root_jitter_mm=1000 * _rms(np.linalg.norm(np.diff(motion.root_translation, 2, axis=0), axis=-1)),
        knee_jitter_deg=_rms(bends),
        knee_jitter_max_deg=float(np.abs(bends).max(initial=0.0)),
    )


def _bends(motion: Motion, knees: list[int]) -> Float[np.ndarray, "n K"]:
    """Second differences of the angles of joints, degrees."""
    w = np.abs(motion.local_rotations[:, knees, 0]).clip(max=1.0)
    return np.diff(np.rad2deg(2 * np.arccos(w)), 2, axis=0)


def _rms(values: Float[np.ndarray, "*n"]) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


def _sentences(report: PersonFeetReport) -> list[str]:
    told = []
    speed = float(np.hypot(*report.belt_m_s))
    if speed:
        told.append(f"{report.person}: feet stand on something that moves at {speed:.2f} m/s; they are held to it.")
    if "feet" in report.floor_from:
        left, right = (1000 * height for height in report.floor_m)
        feet = (
            f"feet rest {left:.0f} mm" if left == right else f"left and right foot rest {left:.0f} and {right:.0f} mm"
        )
        told.append(f"{report.person}: {feet} from z = 0; that height is taken for the floor.")
    if report.not_held:
        told.append(f"{report.person}: {report.not_held} contacts were not held, as the foot slid on.")
    return told
