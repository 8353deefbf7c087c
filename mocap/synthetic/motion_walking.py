"""Walking along any path: where feet land, and what pelvis, trunk and arms make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from mocap.synthetic.motion_build import SIDES, SIGN, TOES_OUT_RAD, Build, direction, in_frame
from mocap.synthetic.motion_curves import beyond, smooth
from mocap.synthetic.motion_plan import Plan, Timeline, arm_pose
from mocap.synthetic.motion_steps import Step, stepping

OTHER = {"Left": "Right", "Right": "Left"}
SWINGING_PART = 0.75
"""Of the time from one landing to the next; both feet are on the floor for the rest (24 to 30 % of a stride)."""
TURN_PER_STEP_RAD = np.deg2rad(48.0)
FIRST_STEP, START_S = 0.7, 0.55
FORWARD_BACK = (np.deg2rad(18.0), np.deg2rad(13.0))
"""Arm swing, forward and back, for steps of 0.7 of the leg."""
SMOOTHING_S = 0.07
LOOK_AHEAD_S = 0.45

Path = Callable[[float], tuple[Float[np.ndarray, "2"], float, float]]
"""Distance walked (m) to place (m), heading (rad) and curvature (1/m, left positive)."""


@dataclass(frozen=True)
class Gait:
    """step: m, on a straight way. period_s: from one landing to the next. width: m, from foot to foot."""

    step: float
    period_s: float
    width: float

    @staticmethod
    def drawn(build: Build, rng: np.random.Generator, *, step: float = 0.62, period_s: float = 0.56) -> Gait:
        """About these figures of the usual adult, in the size of this one."""
        vigour = rng.uniform(0.92, 1.08)
        return Gait(
            step * build.size * vigour,
            period_s * build.tempo * rng.uniform(0.96, 1.04) / np.sqrt(vigour),
            build.half_stance * rng.uniform(1.15, 1.5),
        )


def circle(radius: float, *, left: bool) -> Path:
    """From the origin, facing -Y, round a centre to the left or right."""
    sign = 1.0 if left else -1.0

    def at(distance: float) -> tuple[Float[np.ndarray, "2"], float, float]:
        angle = distance / radius
        return np.array([sign * radius * (1 - np.cos(angle)), -radius * np.sin(angle)]), sign * angle, sign / radius

    return at


def there_and_back(length: float, bend_radius: float, *, left: bool) -> Path:
    """Straight on, a half circle, straight back beside the way, a half circle, and so on."""
    sign, half = (1.0 if left else -1.0), np.pi * bend_radius

    def at(distance: float) -> tuple[Float[np.ndarray, "2"], float, float]:
        lap, rest = divmod(distance, length + half)
        turned = sign * np.pi * lap
        origin = np.array([2 * bend_radius * sign, -length]) * (lap % 2)
        ahead = min(rest, length)
        angle = max(rest - length, 0.0) / bend_radius
        local = np.array([sign * bend_radius * (1 - np.cos(angle)), -ahead - bend_radius * np.sin(angle)])
        curvature = sign / bend_radius if angle > 0 else 0.0
        return in_frame(local, origin, turned), turned + sign * angle, curvature

    return at


def walk_steps(
    build: Build, path: Path, gait: Gait, rng: np.random.Generator, *, seconds: float, ends: bool
) -> list[Step]:
    """Steps along a path from standing at its beginning; with `ends`, both feet come together before `seconds`."""
    side = SIDES[rng.integers(2)]
    land = START_S + 1.1 * gait.period_s
    reserve = 1.5 * gait.period_s if ends else -2 * gait.period_s
    at, steps = {"Left": 0.0, "Right": 0.0}, []
    while not steps or land + reserve < seconds:
        here = at[OTHER[side]]
        there = here + _step_length(path, here, gait) * (1.0 if steps else FIRST_STEP) * rng.uniform(0.97, 1.03)
        now = land
        land += gait.period_s * rng.uniform(0.98, 1.02)
        aside = build.half_stance if ends and land + reserve >= seconds else 0.5 * gait.width
        steps.append(_step(build, path, gait, _Landing(side, there, there - at[side], now, aside)))
        at[side] = there
        side = OTHER[side]
    if ends:
        last = at[OTHER[side]]
        closing = _step(build, path, gait, _Landing(side, last, last - at[side], land, build.half_stance))
        steps.append(replace(closing, off=0.45, strike=-0.12, lift_s=closing.lift_s - 0.05 * gait.period_s))
    return steps


@dataclass(frozen=True)
class _Landing:
    """A foot lands `aside` (m) of where `distance` m of the path are walked, having come `travel` m."""

    side: str
    distance: float
    travel: float
    land_s: float
    aside: float


def _step_length(path: Path, distance: float, gait: Gait) -> float:
    """Shorter where the path bends, so that a step turns the body by no more than TURN_PER_STEP_RAD."""
    bends = [abs(path(distance + share * gait.step)[2]) for share in (0.1, 0.5, 0.9)]
    return min(gait.step, TURN_PER_STEP_RAD / max(max(bends), 1e-9))


def _step(build: Build, path: Path, gait: Gait, landing: _Landing) -> Step:
    """How a foot rolls goes with how far it travels."""
    middle, heading, _ = path(landing.distance)
    aside = np.array([SIGN[landing.side] * landing.aside, 0.0])
    place = in_frame(aside, middle, heading)
    halfway, start = (path(max(0.0, landing.distance - part * landing.travel)) for part in (0.5, 1.0))
    bent = in_frame(aside, *halfway[:2]) - (place + in_frame(aside, *start[:2])) / 2
    far = float(np.clip(landing.travel / (1.5 * build.leg), 0.1, 1.0))
    return Step(
        landing.side,
        landing.land_s - SWINGING_PART * gait.period_s,
        landing.land_s,
        (float(place[0]), float(place[1])),
        heading + SIGN[landing.side] * TOES_OUT_RAD,
        off=np.deg2rad(26 + 30 * far),
        strike=-np.deg2rad(7 + 12 * far),
        rising_s=(0.43 + 0.21 * far) * gait.period_s,
        settling_s=0.2 * gait.period_s,
        clearance=(0.03 + 0.015 * far) * build.size,
        by=(float(bent[0]), float(bent[1])),
    )


def walking(build: Build, line: Timeline, steps: list[Step], rng: np.random.Generator) -> Plan:
    """Steps taken as people walk: the pelvis turns and drops with the legs, arms swing against them."""
    plan = stepping(build, line, steps)
    return with_gait(plan, build, rng)


def with_gait(plan: Plan, build: Build, rng: np.random.Generator) -> Plan:
    """What the body does because of the feet, wherever they go; nothing while they stand side by side."""
    ahead = _left_ahead(plan, build)
    loaded = smooth(plan.feet["Left"].load - plan.feet["Right"].load, SMOOTHING_S * build.tempo, plan.fps)
    quick = smooth(np.abs(np.gradient(plan.support, axis=0) * plan.fps).sum(-1), 0.25, plan.fps) / np.sqrt(build.size)
    quick = np.minimum(quick, 1.5)
    deg = np.deg2rad(1.0)
    turn, drop, swing = rng.uniform(5.0, 9.0) * deg, rng.uniform(1.5, 3.5) * deg, rng.uniform(0.8, 1.25)
    moving = quick / 1.2
    ahead = ahead / 0.7
    pelvis = np.stack([2.0 * deg * moving, -drop * loaded * moving, -turn * ahead], axis=-1)
    trunk = np.stack([2.5 * deg * moving, 0.9 * drop * loaded * moving, 2.1 * turn * ahead], axis=-1)
    gaze = np.stack([3.0 * deg * moving, np.zeros_like(ahead), _looking_ahead(plan)], axis=-1)
    arms = {}
    for side in SIDES:
        forward = -SIGN[side] * swing * ahead
        forward = smooth(forward, SMOOTHING_S * build.tempo, plan.fps)
        angles = plan.arms[side].angles + _arm_swing(forward, moving)
        arms[side] = replace(plan.arms[side], angles=angles)
    return replace(plan, pelvis=plan.pelvis + pelvis, trunk=plan.trunk + trunk, gaze=plan.gaze + gaze, arms=arms)


def _left_ahead(plan: Plan, build: Build) -> Float[np.ndarray, "T"]:
    """How far the left foot is before the right, by the length of the leg."""
    apart = plan.feet["Left"].place - plan.feet["Right"].place
    ahead = (apart * direction(plan.heading)).sum(-1) / build.leg
    return smooth(ahead, SMOOTHING_S * build.tempo, plan.fps)


def _looking_ahead(plan: Plan) -> Float[np.ndarray, "T"]:
    """Eyes go where the body will be heading."""
    later = np.interp(plan.time + LOOK_AHEAD_S, plan.time, plan.heading)
    return smooth(later - plan.heading, 0.2, plan.fps)


def _arm_swing(forward: Float[np.ndarray, "T"], moving: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T 8"]:
    """Farther forward than back; the elbow bends on the way forward."""
    ahead = beyond(forward, 0.0, 0.1) - 0.1 * np.log(2)
    back = forward - ahead
    swing = -(FORWARD_BACK[0] * ahead + FORWARD_BACK[1] * back)
    shape = np.zeros((len(forward), 8))
    shape[:, 3] = swing
    return shape + ahead[:, None] * arm_pose(elbow=12.0) + moving[:, None] * arm_pose(elbow=8.0, lower=1.0)
