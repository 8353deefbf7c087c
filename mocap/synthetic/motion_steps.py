"""Feet that step: they roll from heel to toes where they stand, and what stands on the floor never moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from mocap.synthetic.motion_build import HEEL_SHARE, SIDES, SIGN, TOES_OUT_RAD, Build, direction
from mocap.synthetic.motion_curves import bump, eased, ramp, smooth, through
from mocap.synthetic.motion_plan import FootTrack, Plan, Timeline, resting_arm, standing_places

TOES_STRAIGHTEN = (0.06, 0.62)
"""Part of the swing in which toes that were bent on the floor become straight."""
LOAD_SHIFT_S = 0.45
"""Weight goes to one foot in that time before the other one is lifted from standing."""
SUPPORT_SMOOTHING_S = 0.17
"""The body's way follows the feet's with this much smoothing: it sways by 2 to 3 cm when walking, as people do."""
SUPPORT_LEAD_S = 0.055
"""The body is that much ahead of what carries it: at landing it is nearly midway between the feet."""
HEADING_SMOOTHING_S = 0.28
MID_FOOT = 0.32
"""Standing, the body is balanced over the point that far from ankle to ball."""
ROLLED_OFF_RAD, ROLLED_ON_RAD = 0.9, 0.35
"""Pitch at which all weight is on the ball, or on the heel."""
ROLL_BLEND_RAD = 0.2


@dataclass(frozen=True)
class Step:
    """A foot goes to another place: ankle at `place` (x, y) m and `yaw` rad, in the world of the plan.

    off, strike: rad, the foot's pitch when it leaves and when it lands; a negative strike lands on the heel, any other
    on the ball. rising_s, settling_s: time from flat to leaving, and from landing to flat. clearance: m. by: (x, y) m,
    how far the way there bends aside in its middle.
    """

    side: str
    lift_s: float
    land_s: float
    place: tuple[float, float]
    yaw: float
    off: float = 0.5
    strike: float = -0.2
    rising_s: float = 0.25
    settling_s: float = 0.12
    clearance: float = 0.04
    by: tuple[float, float] = (0.0, 0.0)


def stepping(build: Build, line: Timeline, steps: Sequence[Step]) -> Plan:
    """Someone at ease who takes steps: feet, the body's way over them, and no more than that."""
    loads = foot_loads(line, steps)
    feet, support, heading = {}, line.zeros(2), line.zeros()
    for side in SIDES:
        own = [step for step in steps if step.side == side]
        feet[side] = foot_track(build, line, side, own, loads[side])
        forward = -build.ball(side)[1] * _rolling(line, own)[:, None] * direction(feet[side].yaw)
        support += loads[side][:, None] * (feet[side].place + forward)
        heading += loads[side] * (feet[side].yaw - SIGN[side] * TOES_OUT_RAD)
    moving = busy(line, steps)
    return Plan(
        fps=line.fps,
        heading=smooth(heading, HEADING_SMOOTHING_S * build.tempo, line.fps),
        drop=line.zeros(),
        pelvis=line.zeros(3),
        trunk=line.zeros(3),
        gaze=line.zeros(3),
        support=smooth(_sooner(line, support), SUPPORT_SMOOTHING_S * build.tempo, line.fps),
        poise=line.zeros() + 1.0,
        stretch=WALKING_STRETCH * moving + STANDING_LIMIT * (1 - moving),
        feet=feet,
        arms={side: resting_arm(line) for side in SIDES},
        anchor=np.zeros(2),
    )


WALKING_STRETCH, STANDING_LIMIT = 0.994, 0.9988
"""A stepping knee stays bent by 12.5 degrees, a standing one by 5.6: nearer to straight it has no bounded speed."""
MOVING_BLEND_S = 0.3


def busy(line: Timeline, steps: Sequence[Step]) -> Float[np.ndarray, "T"]:
    """1 while stepping, 0 while not, smoothly."""
    moving = line.zeros()
    for step in steps:
        span = step.land_s + step.settling_s - step.lift_s + step.rising_s
        on = pulse_about(line.time, step.lift_s - step.rising_s, span, MOVING_BLEND_S)
        moving = moving + on - moving * on
    return moving


def pulse_about(time: Float[np.ndarray, "T"], start: float, lasting: float, blend: float) -> Float[np.ndarray, "T"]:
    """1 within, falling to 0 over `blend` seconds before and after."""
    return ramp(time, start - blend, start) - ramp(time, start + lasting, start + lasting + blend)


def standing_point(build: Build, side: str, yaw: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T 2"]:
    """From the ankle to where the weight is under a foot that stands."""
    return MID_FOOT * -build.ball(side)[1] * direction(yaw)


def _sooner(line: Timeline, path: Float[np.ndarray, "T 2"]) -> Float[np.ndarray, "T 2"]:
    """What happens SUPPORT_LEAD_S later."""
    later = line.time + SUPPORT_LEAD_S
    return np.stack([np.interp(later, line.time, path[:, axis]) for axis in (0, 1)], axis=-1)


def _rolling(line: Timeline, steps: Sequence[Step]) -> Float[np.ndarray, "T"]:
    """Where the weight is under a foot, of the way from ankle to ball: it goes from landing to leaving."""
    knots = [(0.0, MID_FOOT)]
    for step in sorted(steps, key=lambda step: step.lift_s):
        standing = step.lift_s - knots[-1][0]
        if standing > 4 * LOAD_SHIFT_S:
            knots += [(knots[-1][0] + LOAD_SHIFT_S, MID_FOOT), (step.lift_s - LOAD_SHIFT_S, MID_FOOT)]
        leaving = MID_FOOT + (1 - MID_FOOT) * min(1.0, step.off / ROLLED_OFF_RAD)
        landing = MID_FOOT + min(0.0, step.strike) / ROLLED_ON_RAD * (MID_FOOT + HEEL_SHARE)
        knots += [(step.lift_s, leaving), (step.land_s, landing)]
    return through(line.time, [*knots, (knots[-1][0] + LOAD_SHIFT_S, MID_FOOT)])


def foot_loads(line: Timeline, steps: Sequence[Step]) -> dict[str, Float[np.ndarray, "T"]]:
    """Share of the weight on each foot: all on the one that stays, half on both where nobody steps for long."""
    knots: list[tuple[float, float]] = []
    for step in sorted(steps, key=lambda step: step.lift_s):
        on_left = 0.0 if step.side == "Left" else 1.0
        if not knots:
            knots += [(step.lift_s - LOAD_SHIFT_S, 0.5)]
        elif step.lift_s - knots[-1][0] > 2 * LOAD_SHIFT_S:
            knots += [(knots[-1][0] + LOAD_SHIFT_S, 0.5), (step.lift_s - LOAD_SHIFT_S, 0.5)]
        knots += [(step.lift_s, on_left), (step.land_s, on_left)]
    if knots:
        knots += [(knots[-1][0] + LOAD_SHIFT_S, 0.5)]
    else:
        knots = [(0.0, 0.5)]
    left = through(line.time, knots)
    return {"Left": left, "Right": 1 - left}


def foot_track(
    build: Build, line: Timeline, side: str, steps: Sequence[Step], load: Float[np.ndarray, "T"]
) -> FootTrack:
    """One foot from standing at ease at the origin, through its steps."""
    start = standing_places(build)[side]
    place, yaw = line.zeros(2) + start, line.zeros() + SIGN[side] * TOES_OUT_RAD
    on_ball, straight, offset = line.zeros() + 1.0, line.zeros(), line.zeros(3)
    pitch = through(line.time, _pitch_knots(steps))
    before, before_yaw = start, SIGN[side] * TOES_OUT_RAD
    for step in sorted(steps, key=lambda step: step.lift_s):
        share = (line.time - step.lift_s) / (step.land_s - step.lift_s)
        swung = eased(share)
        place += swung[:, None] * (np.array(step.place) - before)
        yaw += swung * (step.yaw - before_yaw)
        offset += bump(share)[:, None] * [*step.by, step.clearance]
        before, before_yaw = np.array(step.place), step.yaw
        straight += _straight_toes(share, on_heel=bool(step.strike < 0))
        if step.strike < 0:
            _land_on_heel(line, step, pitch, on_ball)
    toe = -np.maximum(pitch, 0.0) * (1 - straight)
    track = FootTrack(place, yaw, pitch, on_ball, toe, offset, load)
    return replace(track, offset=offset + _cleared(build, line, side, steps, track))


def _cleared(
    build: Build, line: Timeline, side: str, steps: Sequence[Step], track: FootTrack
) -> Float[np.ndarray, "T 3"]:
    """What swings have to be higher for the lowest point of the sole to stay above the floor."""
    lowest, more = sole_heights(build, side, track).min(axis=-1), line.zeros(3)
    for step in steps:
        share = (line.time - step.lift_s) / (step.land_s - step.lift_s)
        inside = (share > 0.08) & (share < 0.92)
        need = np.max(-lowest[inside] / bump(share[inside]), initial=0.0)
        more[:, 2] += 1.05 * need * bump(share)
    return more


def sole_heights(build: Build, side: str, foot: FootTrack) -> Float[np.ndarray, "T 3"]:
    """Of heel, ball and toe tip over the floor, m."""
    ball, heel = build.ball(side), build.heel(side)
    ankle = ankle_path(build, side, foot)[:, 2]
    joint = ankle + np.sin(foot.pitch) * ball[1] + np.cos(foot.pitch) * ball[2]
    down, tip = build.ankle_height + ball[2], np.nan_to_num(build.skeleton.tips[build.skeleton.index(f"{side}ToeBase")])
    turned = foot.pitch + foot.toe
    return np.stack(
        [
            ankle + np.sin(foot.pitch) * heel[1] + np.cos(foot.pitch) * heel[2],
            joint - np.cos(turned) * down,
            joint + np.sin(turned) * tip[1] - np.cos(turned) * down,
        ],
        axis=-1,
    )


def _pitch_knots(steps: Sequence[Step]) -> list[tuple[float, ...]]:
    knots: list[tuple[float, ...]] = [(-1.0, 0.0)]
    for step in sorted(steps, key=lambda step: step.lift_s):
        knots.append((max(step.lift_s - step.rising_s, knots[-1][0] + 1e-3), 0.0))
        speed = 1.25 * step.off / (step.lift_s - knots[-1][0])
        knots.append((step.lift_s, step.off, speed))
        knots.append((step.land_s, step.strike, -0.6 * step.strike / step.settling_s))
        knots.append((step.land_s + step.settling_s, 0.0))
    return knots


def _straight_toes(share: Float[np.ndarray, "T"], *, on_heel: bool) -> Float[np.ndarray, "T"]:
    """How far toes are straightened in a swing; before landing on the ball they are bent again."""
    if on_heel:
        return np.where(share < 1, ramp(share, *TOES_STRAIGHTEN), 0.0)
    return ramp(share, *TOES_STRAIGHTEN) - ramp(share, 0.62, 0.96)


def _land_on_heel(line: Timeline, step: Step, pitch: Float[np.ndarray, "T"], on_ball: Float[np.ndarray, "T"]) -> None:
    """Rolls over the ball, then, as the toes come up, over the heel until it is flat. Writes `on_ball`."""
    blend = min(ROLL_BLEND_RAD, 0.8 * step.off, -0.8 * step.strike)
    swinging = (line.time > step.lift_s) & (line.time < step.land_s)
    settling = (line.time >= step.land_s) & (line.time < step.land_s + step.settling_s)
    on_ball[swinging] = ramp(pitch[swinging], -blend, blend)
    on_ball[settling] = 0.0


def ankle_path(build: Build, side: str, foot: FootTrack) -> Float[np.ndarray, "T 3"]:
    """Where the ankle is, m."""
    ball, heel = build.ball(side), build.heel(side)
    rolled = foot.on_ball[:, None] * _rolled(ball, foot.pitch) + (1 - foot.on_ball)[:, None] * _rolled(heel, foot.pitch)
    ankle = np.array(foot.offset)
    ankle[:, 2] += build.ankle_height + rolled[:, 2]
    cosine, sine = np.cos(foot.yaw), np.sin(foot.yaw)
    ankle[:, 0] += foot.place[:, 0] + cosine * rolled[:, 0] - sine * rolled[:, 1]
    ankle[:, 1] += foot.place[:, 1] + sine * rolled[:, 0] + cosine * rolled[:, 1]
    return ankle


def _rolled(pivot: Float[np.ndarray, "3"], pitch: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T 3"]:
    """How a turn about a point of the foot (given from the ankle) moves the ankle."""
    cosine, sine = np.cos(pitch), np.sin(pitch)
    y = pivot[1] - (cosine * pivot[1] - sine * pivot[2])
    z = pivot[2] - (sine * pivot[1] + cosine * pivot[2])
    return np.stack([np.zeros_like(y), y, z], axis=-1)
