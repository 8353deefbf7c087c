"""What hands do while the feet stay where they are: wave, clap, reach, strike, draw circles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.synthetic.contacts import palm_point
from mocap.synthetic.motion_build import SIDES, SIGN, Build
from mocap.synthetic.motion_curves import pulse, ramp, through
from mocap.synthetic.motion_plan import ArmTrack, Occasion, Plan, Timeline, arm_pose, toward
from mocap.synthetic.motion_steps import stepping

LEAD_IN_S, LEAD_OUT_S = 0.35, 0.3
DEG = np.deg2rad(1.0)
WAVING = arm_pose(lift=9.0, lower=8.0, swing=-14.0, twist=-74.0, elbow=88.0, pronation=0.0, wrist=-6.0)
CLAP_SOFTNESS = 0.15
"""Of the hands' turning round when they meet, against the way they come: 0 would be a blow."""
GUARD = arm_pose(forward=6.0, lower=62.0, swing=-42.0, twist=18.0, elbow=122.0, pronation=20.0)


def at_ease(build: Build, seconds: float, fps: float) -> tuple[Plan, Float[np.ndarray, "T"]]:
    """Standing still, and the time of its frames."""
    line = Timeline.lasting(seconds, fps)
    return stepping(build, line, ()), line.time


def rounds(
    occasion: Occasion, each_s: float, rng: np.random.Generator, *, most: int = 1000
) -> list[tuple[float, float]]:
    """Start and duration of as many repetitions as there is time for, at least one."""
    room = occasion.seconds - LEAD_IN_S - LEAD_OUT_S
    n = int(np.clip(room // each_s, 1, most))
    stretched = min(each_s * 1.15, room / n) if room >= each_s else each_s
    starts, at = [], LEAD_IN_S
    for _ in range(n):
        lasting = stretched * rng.uniform(0.94, 1.0)
        starts.append((at, lasting))
        at += lasting
    return starts


def lasting(repetitions: Sequence[tuple[float, float]]) -> float:
    """Until a while after the last repetition."""
    start, duration = repetitions[-1]
    return start + duration + LEAD_OUT_S


def some_side(rng: np.random.Generator) -> str:
    """Right three times of four."""
    return "Left" if rng.random() < 0.25 else "Right"


def with_arms(plan: Plan, **arms: ArmTrack) -> Plan:
    """The plan with arms (`Left`, `Right`) exchanged."""
    return replace(plan, arms={**plan.arms, **arms})


def stand(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """At ease: now and then the weight goes to one leg, or something is looked at."""
    plan, time = at_ease(build, occasion.seconds, occasion.fps)
    aside, looking, nod = np.zeros_like(time), np.zeros_like(time), np.zeros_like(time)
    for start, each in rounds(occasion, 3.2, rng):
        if each > occasion.seconds - LEAD_IN_S:
            break
        shift = pulse(time, start, 0.3 * each, 0.25 * each, 0.3 * each)
        aside += rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 0.75) * build.half_stance * shift
        look = pulse(time, start + rng.uniform(0, 0.3) * each, 0.22 * each, 0.2 * each, 0.25 * each)
        looking += rng.uniform(-40, 40) * DEG * look
        nod += rng.uniform(-8, 14) * DEG * look
    lean = aside / build.half_stance
    pelvis = np.stack([np.zeros_like(time), -3.5 * DEG * lean, 2.0 * DEG * lean], axis=-1)
    trunk = np.stack([np.zeros_like(time), 3.0 * DEG * lean, 0.12 * looking], axis=-1)
    gaze = np.stack([nod, np.zeros_like(time), looking], axis=-1)
    support = plan.support + aside[:, None] * [1.0, 0.0]
    return replace(plan, support=support, pelvis=pelvis, trunk=trunk, gaze=gaze)


def wave(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """One hand up, to and fro several times, and down."""
    rate, side = rng.uniform(1.5, 2.2) / build.tempo, some_side(rng)
    up = 0.7 * build.tempo
    swings = max(2, int((occasion.seconds - LEAD_IN_S - LEAD_OUT_S - 2 * up) * rate)) if occasion.ends else 0
    swings = min(swings or int(occasion.seconds * rate) + 2, 12)
    length = swings / rate
    plan, time = at_ease(build, LEAD_IN_S + 2 * up + length + LEAD_OUT_S, occasion.fps)
    start = LEAD_IN_S
    raised = pulse(time, start, up, length, up)
    going = pulse(time, start + 0.7 * up, 0.4 * up, length - 0.1 * up, 0.4 * up)
    phase = 2 * np.pi * rate * (time - start)
    size = rng.uniform(16, 26)
    arm = plan.arms[side]
    angles = toward(arm.angles, raised, WAVING + rng.uniform(-4, 4, 8) * DEG)
    swing = (going * np.sin(phase))[:, None] * arm_pose(elbow=size, twist=0.25 * size)
    late = (going * np.sin(phase - 0.7))[:, None] * arm_pose(wrist=5.0, lower=2.0)
    side_bend = np.stack([0 * time, -SIGN[side] * 2.5 * DEG * raised, SIGN[side] * 3 * DEG * raised], axis=-1)
    plan = replace(plan, trunk=side_bend, gaze=np.stack([-4 * DEG * raised, 0 * time, 0 * time], axis=-1))
    return with_arms(plan, **{side: replace(arm, angles=angles + swing + late)})


def clap(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Hands come together before the chest, once or several times; `contacts.clap_times` says when."""
    up, beat = 0.75 * build.tempo, rng.uniform(0.42, 0.6)
    room = occasion.seconds - LEAD_IN_S - LEAD_OUT_S - 2 * up
    count = int(np.clip(room / beat - 0.4, 1, 3 + rng.integers(3)))
    first = LEAD_IN_S + up + 0.75 * beat
    plan, time = at_ease(build, first + (count - 1) * beat + 0.6 * beat + up + LEAD_OUT_S, occasion.fps)
    claps = [(first + k * beat, float(k), 1 / beat, 0.0) for k in range(count)]
    last = claps[-1][0]
    phase = through(time, [(first - 0.75 * beat, -0.5), *claps, (last + 0.7 * beat, count - 0.5)])
    sine = np.sin(np.pi * phase)
    reach = rng.uniform(0.11, 0.16) * build.arm / 0.581
    shape = np.sqrt(sine**2 + CLAP_SOFTNESS**2) - CLAP_SOFTNESS
    aside = reach * shape / (np.sqrt(1 + CLAP_SOFTNESS**2) - CLAP_SOFTNESS)
    held = pulse(time, LEAD_IN_S, up, last + 0.45 * beat - LEAD_IN_S - up, up)
    middle = _before_chest(build, rng)
    arms = {}
    for side in SIDES:
        turn = _palm_inward(side, rng.uniform(25, 33) * DEG)
        palm = middle + (SIGN[side] * aside)[:, None] * [1.0, 0.0, 0.0]
        wrist = palm - turn.apply(palm_point(build.skeleton, side))
        hand = np.tile(turn.as_rotvec(), (len(time), 1))
        arms[side] = replace(plan.arms[side], held=held, wrist=wrist, steered=held, hand=hand)
    nod = np.stack([6 * DEG * held, 0 * time, 0 * time], axis=-1)
    return with_arms(replace(plan, gaze=nod), **arms)


def _before_chest(build: Build, rng: np.random.Generator) -> Float[np.ndarray, "3"]:
    shoulders = (build.shoulder("Left") + build.shoulder("Right")) / 2
    return shoulders + build.arm * np.array([0.0, -rng.uniform(0.76, 0.86), -rng.uniform(0.16, 0.32)])


def _palm_inward(side: str, upwards: float) -> Rotation:
    """A hand from the T-pose to fingers ahead and up, thumb up, the palm to the other hand."""
    c, s = np.cos(upwards), np.sin(upwards)
    left = np.array([[0.0, 0.0, 1.0], [-c, -s, 0.0], [s, -c, 0.0]])
    mirror = np.diag([SIGN[side], 1.0, 1.0])
    return Rotation.from_matrix(mirror @ left @ mirror)


def reach(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """A hand to a point somewhere before the body, eyes first, and back; then perhaps the other hand to another."""
    repetitions = rounds(occasion, rng.uniform(2.3, 2.9) * build.tempo, rng)
    plan, _ = at_ease(build, lasting(repetitions), occasion.fps)
    side = some_side(rng)
    for start, each in repetitions:
        plan = _reached(plan, build, side, span=(start, each), rng=rng)
        side = side if rng.random() < 0.4 else ("Left" if side == "Right" else "Right")
    return plan


def _reached(plan: Plan, build: Build, side: str, *, span: tuple[float, float], rng: np.random.Generator) -> Plan:
    """One reach (its start and duration), to a point given by angles from the shoulder, aside and up."""
    (start, each), time = span, plan.time
    sign, up, aside = SIGN[side], rng.uniform(-30, 58) * DEG, rng.uniform(-18, 45) * DEG
    go, hold, back = 0.34 * each, 0.26 * each, 0.36 * each
    there = pulse(time, start + 0.04 * each, go, hold, back)
    body = pulse(time, start, 1.15 * go, 0.9 * hold, 1.05 * back)
    looking = pulse(time, start - 0.12, 0.35, hold + go - 0.25, 0.5)
    forward = np.array([sign * np.sin(aside) * np.cos(up), -np.cos(aside) * np.cos(up), np.sin(up)])
    lean = rng.uniform(5, 12) * DEG * np.cos(up)
    high = np.clip(np.sin(up), 0, 1)
    shoulder = build.shoulder(side) + (build.shoulder(side)[2] - build.standing_height) * lean * np.array(
        [0.0, -0.6, 0.0]
    )
    target = shoulder + build.arm * (rng.uniform(0.9, 0.97) * forward + [0.0, -0.1, 0.05 * high])
    arm = plan.arms[side]
    raised = arm_pose(lift=4.0 + 22 * high, forward=14.0, lower=70.0, swing=-60.0, elbow=40.0, pronation=35.0)
    angles = toward(arm.angles, there, raised)
    mine = (there > 0)[:, None]
    arm = replace(arm, angles=angles, held=arm.held + there, wrist=np.where(mine, target, arm.wrist))
    turn = -sign * rng.uniform(6, 14) * DEG + sign * 0.3 * aside
    pelvis = np.stack([0.5 * lean * body, 0 * time, 0.3 * turn * body], axis=-1)
    trunk = np.stack([(0.6 * lean - 7 * DEG * high) * body, -sign * 4 * DEG * high * body, turn * body], axis=-1)
    gaze = np.stack([-0.8 * up * looking, 0 * time, sign * (aside + 0.15) * 0.8 * looking], axis=-1)
    plan = with_arms(plan, **{side: arm})
    return replace(plan, pelvis=plan.pelvis + pelvis, trunk=plan.trunk + trunk, gaze=plan.gaze + gaze)


def punch(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Fists up, then straight blows with one and the other."""
    up, each = 0.55 * build.tempo, rng.uniform(0.62, 0.8) * build.tempo
    room = occasion.seconds - LEAD_IN_S - LEAD_OUT_S - 2 * up
    count = max(1, int(room // each))
    plan, time = at_ease(build, LEAD_IN_S + 2 * up + count * each + LEAD_OUT_S + 0.1, occasion.fps)
    guarded = pulse(time, LEAD_IN_S, up, count * each + 0.1, up)
    strikes = {side: np.zeros_like(time) for side in SIDES}
    side = some_side(rng)
    for number in range(count):
        strikes[side] += pulse(time, LEAD_IN_S + up + number * each, 0.2 * build.tempo, 0.03, 0.27 * build.tempo)
        side = "Left" if side == "Right" else "Right"
    arms, turn = {}, np.zeros_like(time)
    for side, strike in strikes.items():
        turn -= SIGN[side] * 20 * DEG * strike
        angles = toward(toward(plan.arms[side].angles, guarded, GUARD), strike, _blow(guarded))
        wrist = np.tile(build.arm * np.array([-SIGN[side] * 0.2, -0.93, 0.02]), (len(time), 1))
        arms[side] = replace(plan.arms[side], angles=angles, held=strike, wrist=wrist, to_chest=np.ones_like(time))
    pelvis = np.stack([5 * DEG * guarded, 0 * time, 0.5 * turn], axis=-1)
    trunk = np.stack([5 * DEG * guarded, 0 * time, turn], axis=-1)
    drop = 0.035 * build.leg * guarded
    return with_arms(replace(plan, pelvis=pelvis, trunk=trunk, drop=drop), **arms)


def _blow(guarded: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T 8"]:
    return np.tile(
        arm_pose(lift=6.0, forward=22.0, lower=66.0, swing=-75.0, elbow=25.0, pronation=75.0), (len(guarded), 1)
    )


def arm_circles(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Arms out to the sides, hands going round."""
    up, rate = 0.8 * build.tempo, rng.uniform(0.55, 0.9) / build.tempo
    turns = max(1, int((occasion.seconds - LEAD_IN_S - LEAD_OUT_S - 2 * up) * rate))
    length = turns / rate
    plan, time = at_ease(build, LEAD_IN_S + 2 * up + length + LEAD_OUT_S, occasion.fps)
    held = pulse(time, LEAD_IN_S, up, length, up)
    going = pulse(time, LEAD_IN_S + 0.6 * up, 0.6 * up, length - 0.4 * up, 0.6 * up)
    phase = rng.choice([-1.0, 1.0]) * 2 * np.pi * ramp(time, LEAD_IN_S, LEAD_IN_S + 2 * up + length) * turns
    size = rng.uniform(0.2, 0.38)
    arms = {}
    for side in SIDES:
        around = size * going
        wrist = np.stack(
            [SIGN[side] * np.sqrt(0.97**2 - around**2), around * np.sin(phase), around * np.cos(phase)],
            axis=-1,
        )
        wrist *= build.arm
        angles = toward(plan.arms[side].angles, held, arm_pose(lift=10.0, lower=5.0, elbow=8.0))
        lifting = (0.5 * going * np.cos(phase))[:, None] * arm_pose(lift=10.0)
        forward = (-0.5 * going * np.sin(phase))[:, None] * arm_pose(forward=10.0)
        arm = replace(plan.arms[side], angles=angles + lifting + forward)
        arms[side] = replace(arm, held=held, wrist=wrist, to_chest=np.ones_like(time))
    return with_arms(plan, **arms)


def dance(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """From one leg to the other on a beat, knees bouncing, arms and shoulders going along."""
    beat = rng.uniform(0.48, 0.62) * build.tempo
    length = max(4 * beat, occasion.seconds - LEAD_IN_S - LEAD_OUT_S)
    plan, time = at_ease(build, LEAD_IN_S + length + LEAD_OUT_S, occasion.fps)
    on = pulse(time, LEAD_IN_S, 1.5 * beat, max(length - 3 * beat, 0.0), 1.5 * beat)
    phase = np.pi * (time - LEAD_IN_S) / beat
    side, twice, lag = np.sin(phase), np.cos(2 * phase), np.sin(phase - 0.6)
    size = rng.uniform(0.75, 1.2)
    aside = 0.7 * build.half_stance * size * on * side
    pelvis = np.stack([2 * DEG * on, -5 * DEG * size * on * side, 6 * DEG * size * on * lag], axis=-1)
    trunk = np.stack([3 * DEG * on * twice, 5 * DEG * on * side, -16 * DEG * size * on * lag], axis=-1)
    gaze = np.stack([4 * DEG * on * twice, 5 * DEG * on * lag, 8 * DEG * on * side], axis=-1)
    arms = {}
    for name in SIDES:
        wild = SIGN[name] * side
        pose = arm_pose(lift=5.0, lower=52.0, swing=-38.0, elbow=88.0, pronation=25.0)
        angles = toward(plan.arms[name].angles, on, pose)
        angles = angles + (size * on * wild)[:, None] * arm_pose(lower=-13.0, swing=-14.0, elbow=14.0)
        angles = angles + (on * twice)[:, None] * arm_pose(lift=3.0, elbow=10.0, wrist=8.0)
        arms[name] = replace(plan.arms[name], angles=angles)
    drop = build.leg * size * on * (0.035 + 0.02 * twice)
    plan = replace(plan, support=plan.support + aside[:, None] * [1.0, 0.0], pelvis=pelvis, trunk=trunk, gaze=gaze)
    return with_arms(replace(plan, drop=drop), **arms)
