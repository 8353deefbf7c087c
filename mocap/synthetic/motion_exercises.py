"""What the whole body does: squat, jump, lunge, sit, bow, pick up, kick, step aside, turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from mocap.synthetic.motion_build import SIDES, SIGN, TOES_OUT_RAD, Build
from mocap.synthetic.motion_curves import bump, pulse, ramp, through
from mocap.synthetic.motion_gestures import DEG, LEAD_IN_S, LEAD_OUT_S, at_ease, lasting, rounds, some_side, with_arms
from mocap.synthetic.motion_plan import FootTrack, Occasion, Plan, Timeline, arm_pose, toward
from mocap.synthetic.motion_steps import Step, stepping

GRAVITY = 9.81
PUSH_OFF_S = 0.07
"""A jumper's feet come up to the body's speed in that time: that long they lag behind."""
LEAN = 40.0
"""Of the pelvis in a squat, degrees: what balances hips that are far behind the feet."""
FLIGHT_STRETCH = 0.97


def both_arms(plan: Plan, weight: Float[np.ndarray, "T"], pose: Float[np.ndarray, "*#T 8"]) -> Plan:
    """Both arms brought to a pose."""
    arms = {side: replace(arm, angles=toward(arm.angles, weight, pose)) for side, arm in plan.arms.items()}
    return replace(plan, arms=arms)


def on_toes(plan: Plan, pitch: Float[np.ndarray, "T"], sides: tuple[str, ...] = SIDES) -> Plan:
    """Heels lifted by a turn over the balls; toes stay flat."""
    feet = dict(plan.feet)
    for side in sides:
        foot = feet[side]
        feet[side] = replace(foot, pitch=foot.pitch + pitch, toe=foot.toe - pitch)
    return replace(plan, feet=feet)


def leaned(
    plan: Plan,
    weight: Float[np.ndarray, "T"],
    *,
    pelvis: float,
    trunk: float,
    gaze: float = 0.0,
) -> Plan:
    """Forward by so many degrees at pelvis and trunk; the head looks down by `gaze`."""
    forward = weight[:, None] * np.array([1.0, 0.0, 0.0]) * DEG
    return replace(
        plan,
        pelvis=plan.pelvis + pelvis * forward,
        trunk=plan.trunk + trunk * forward,
        gaze=plan.gaze + gaze * forward,
    )


def squat(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Hips back and down, arms forward, and up again."""
    repetitions = rounds(occasion, rng.uniform(2.0, 2.8) * build.tempo, rng)
    plan, time = at_ease(build, lasting(repetitions), occasion.fps)
    down = np.zeros_like(time)
    deepest = rng.uniform(0.36, 0.5)
    for start, each in repetitions:
        share = rng.uniform(0.92, 1.0)
        down += share * pulse(time, start, 0.42 * each, 0.06 * each, 0.44 * each)
    plan = replace(plan, drop=deepest * build.leg * down)
    plan = leaned(plan, down, pelvis=LEAN * deepest / 0.45, trunk=6.0, gaze=8.0)
    plan = on_toes(plan, rng.choice([0.0, 6.0]) * DEG * down**2)
    return both_arms(
        plan,
        down,
        arm_pose(
            lift=10.0, forward=10.0, lower=78.0, swing=-86.0 - 0.9 * LEAN * deepest / 0.45, elbow=12.0, pronation=10.0
        ),
    )


def jump(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Crouch, arms back; up with both arms; flight under gravity; landing on the balls, absorbed."""
    height = rng.uniform(0.14, 0.32) * build.size
    each = 2.0 * build.tempo + 2 * np.sqrt(2 * height / GRAVITY)
    repetitions = rounds(occasion, each, rng)
    plan, time = at_ease(build, lasting(repetitions) + 0.3, occasion.fps)
    for start, _ in repetitions:
        plan = _jumped(plan, build, time, start, height=height * rng.uniform(0.9, 1.0), rng=rng)
    return plan


def _jumped(
    plan: Plan, build: Build, time: Float[np.ndarray, "T"], start: float, *, height: float, rng: np.random.Generator
) -> Plan:
    speed = np.sqrt(2 * GRAVITY * height)
    lag = 0.5 * speed * PUSH_OFF_S
    pitch = np.array([34.0, 50.0, 30.0]) * DEG
    leaving = (1 - FLIGHT_STRETCH) * build.leg + lag - build.heel_rise(float(pitch[1]))
    low, soft = (rng.uniform(0.24, 0.32) * build.leg, rng.uniform(0.2, 0.28) * build.leg)
    off = start + rng.uniform(0.5, 0.6) * build.tempo + 2.1 * (low - leaving) / speed
    bottom, land = off - 2.1 * (low - leaving) / speed, off + 2 * speed / GRAVITY
    rest = land + 2.1 * (soft - leaving) / speed
    up = rest + 0.7 * build.tempo
    pull = 0.8 * GRAVITY
    drop = through(
        time,
        [(start, 0.0), (bottom, low, 0.0, -pull), (off, leaving, -speed, GRAVITY)]
        + [(land, leaving, speed, GRAVITY), (rest, soft, 0.0, -pull), (up, 0.0)],
    )
    flying = (time > off) & (time < land)
    since = np.where(flying, time - off, 0.0)
    drop = np.where(flying, leaving - speed * since + 0.5 * GRAVITY * since**2, drop)
    plan = replace(plan, drop=plan.drop + drop)
    plan = _flying_feet(plan, time, off=off, land=land, speed=speed, pitch=pitch)
    crouched = pulse(time, start, bottom - start, 0.0, off - bottom) + 0.75 * pulse(
        time, land - 0.04, rest - land + 0.04, 0.0, up - rest
    )
    plan = leaned(plan, crouched, pelvis=34.0, trunk=12.0, gaze=6.0)
    back = pulse(time, start, bottom - start - 0.06, 0.0, off - bottom)
    raised = pulse(time, bottom - 0.06, off - bottom + 0.16, 0.2 * (land - off), 0.5)
    plan = both_arms(plan, back, arm_pose(lower=72.0, swing=38.0, elbow=12.0))
    return both_arms(
        plan, raised, arm_pose(lift=14.0, forward=6.0, lower=70.0, swing=-rng.uniform(105, 135), elbow=24.0)
    )


def _flying_feet(
    plan: Plan, time: Float[np.ndarray, "T"], *, off: float, land: float, speed: float, pitch: Float[np.ndarray, "3"]
) -> Plan:
    """Balls leave the floor with no jolt, and meet it so. pitch: when leaving, flying and landing, rad."""
    fine = np.linspace(0.0, land - off, 4001)
    weight = ramp(fine, 0.0, PUSH_OFF_S) * ramp(land - off - fine, 0.0, PUSH_OFF_S)
    rising = (speed - GRAVITY * fine) * weight
    rise = np.concatenate([[0.0], np.cumsum((rising[1:] + rising[:-1]) / 2 * np.diff(fine))])
    height = np.interp(time - off, fine, rise, left=0.0, right=0.0)
    knots = [(off - 0.17, 0.0), (off, pitch[0], 5.0), (off + 0.09, pitch[1])]
    knots += [(land - 0.09, pitch[1] - 0.1), (land, pitch[2], -3.5), (land + 0.16, 0.0)]
    heel = through(time, knots)
    span = land - off
    limp = min(0.6, 5 * float(rise.max())) * pulse(time, off + 0.25 * span, 0.25 * span, 0.0, 0.25 * span)
    feet = {}
    for side, foot in plan.feet.items():
        offset = foot.offset + height[:, None] * [0.0, 0.0, 1.0]
        feet[side] = replace(foot, pitch=foot.pitch + heel, toe=foot.toe - heel * (1 - limp), offset=offset)
    return replace(plan, feet=feet)


def bow(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """From the hips, knees straight, hands at the thighs."""
    repetitions = rounds(occasion, rng.uniform(2.6, 3.2) * build.tempo, rng, most=2)
    plan, time = at_ease(build, lasting(repetitions), occasion.fps)
    deep = rng.uniform(28, 52)
    for start, each in repetitions:
        down = pulse(time, start, 0.36 * each, 0.2 * each, 0.4 * each)
        plan = leaned(plan, down, pelvis=deep, trunk=0.55 * deep, gaze=0.9 * deep)
        plan = both_arms(plan, down, arm_pose(lower=77.0, swing=-0.8 * deep, elbow=12.0, pronation=15.0))
    return plan


def sit_down(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Down on a seat as high as the knees, a while there, and up. Nothing is there to be seen of the seat."""
    move, stay = 1.25 * build.tempo, rng.uniform(1.0, 2.0)
    stay = max(stay, occasion.seconds - LEAD_IN_S - LEAD_OUT_S - 2 * move) if occasion.ends else stay
    plan, time = at_ease(build, LEAD_IN_S + 2 * move + stay + LEAD_OUT_S, occasion.fps)
    start = LEAD_IN_S
    rise = start + move + stay
    knee, hip = build.at_rest("LeftLeg"), build.offset("LeftUpLeg")
    depth = build.standing_height + hip[2] - (knee[2] + 0.02 * build.size)
    seated = pulse(time, start + 0.12 * move, 0.88 * move, stay, 0.88 * move)
    leaning = pulse(time, start, 0.5 * move, 0.1 * move, 0.55 * move) + pulse(
        time, rise - 0.15 * move, 0.5 * move, 0.1 * move, 0.5 * move
    )
    held = pulse(time, start + 0.55 * move, 0.45 * move, stay, 0.45 * move)
    thigh = float(np.linalg.norm(build.offset("LeftLeg")))
    support = plan.support + (held * 0.98 * thigh)[:, None] * [0.0, 1.0]
    plan = replace(plan, drop=depth * seated, support=support, poise=1 - held)
    plan = leaned(plan, leaning, pelvis=26.0, trunk=14.0, gaze=10.0)
    plan = leaned(plan, seated, pelvis=4.0, trunk=5.0)
    return both_arms(plan, seated, arm_pose(forward=4.0, lower=77.0, swing=-34.0, elbow=48.0, pronation=55.0))


def pick_up(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Knees and back bent, a hand to the floor before the feet, and up with what is in it."""
    repetitions = rounds(occasion, rng.uniform(3.0, 3.6) * build.tempo, rng)
    plan, time = at_ease(build, lasting(repetitions), occasion.fps)
    side = some_side(rng)
    other = "Left" if side == "Right" else "Right"
    target = np.array([SIGN[side] * (build.half_stance + 0.15 * build.size), -0.26 * build.leg, 0.23 * build.size])
    for start, each in repetitions:
        down = pulse(time, start, 0.36 * each, 0.06 * each, 0.36 * each)
        hand = pulse(time, start + 0.08 * each, 0.28 * each, 0.06 * each, 0.3 * each)
        carried = pulse(time, start + 0.46 * each, 0.26 * each, 0.06 * each, 0.22 * each)
        plan = replace(plan, drop=plan.drop + 0.36 * build.leg * down)
        plan = leaned(plan, down, pelvis=54.0, trunk=36.0, gaze=42.0)
        arm = plan.arms[side]
        angles = toward(arm.angles, hand, arm_pose(forward=12.0, lower=78.0, swing=-60.0, elbow=10.0))
        angles = toward(angles, carried, arm_pose(lower=70.0, swing=-24.0, elbow=82.0, pronation=-10.0))
        arm = replace(arm, angles=angles, held=arm.held + hand, wrist=np.tile(target, (len(time), 1)))
        knee = replace(
            plan.arms[other],
            angles=toward(
                plan.arms[other].angles,
                down,
                arm_pose(forward=6.0, lower=72.0, swing=-58.0, elbow=78.0, pronation=40.0),
            ),
        )
        plan = with_arms(plan, **{side: arm, other: knee})
    return plan


def lunge(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """A long step forward, down until the back knee is low, and back beside the other foot."""
    repetitions = rounds(occasion, rng.uniform(2.9, 3.4) * build.tempo, rng)
    line = Timeline.lasting(lasting(repetitions) + 0.2, occasion.fps)
    side, steps = some_side(rng), []
    low, ahead, heels = line.zeros(), line.zeros(), {name: line.zeros() for name in SIDES}
    far = rng.uniform(0.66, 0.78) * build.leg
    for start, each in repetitions:
        x, yaw = SIGN[side] * build.half_stance, SIGN[side] * TOES_OUT_RAD
        back = start + 0.66 * each
        steps.append(Step(side, start + 0.16 * each, start + 0.36 * each, (x, -far), yaw, 0.4, -0.22))
        steps.append(Step(side, back, back + 0.22 * each, (x, 0.0), yaw, 0.25, 0.12, 0.12))
        low += pulse(line.time, start + 0.24 * each, 0.24 * each, 0.06 * each, 0.26 * each)
        ahead += pulse(line.time, start + 0.15 * each, 0.27 * each, 0.16 * each, 0.32 * each)
        other = "Left" if side == "Right" else "Right"
        heels[other] += pulse(line.time, start + 0.22 * each, 0.24 * each, 0.08 * each, 0.28 * each)
        side = other
    plan = stepping(build, line, steps)
    for name in SIDES:
        plan = on_toes(plan, 44 * DEG * heels[name], (name,))
    support = plan.support * [1.0, 0.0] + (plan.support[0] - 0.5 * far * ahead[:, None]) * [0.0, 1.0]
    plan = replace(plan, drop=rng.uniform(0.26, 0.36) * build.leg * low, support=support)
    plan = leaned(plan, low, pelvis=7.0, trunk=3.0, gaze=5.0)
    return both_arms(plan, low, arm_pose(lower=52.0, swing=-14.0, twist=-10.0, elbow=104.0, pronation=10.0))


def kick(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Knee up, the foot forward, knee back, down; arms up for balance."""
    repetitions = rounds(occasion, rng.uniform(2.1, 2.5) * build.tempo, rng)
    line = Timeline.lasting(lasting(repetitions) + 0.2, occasion.fps)
    side = some_side(rng)
    x, yaw = SIGN[side] * build.half_stance, SIGN[side] * TOES_OUT_RAD
    steps = [
        Step(side, start + 0.26 * each, start + 0.8 * each, (x, 0.0), yaw, 0.35, 0.15, 0.2, 0.15, 0.0)
        for start, each in repetitions
    ]
    plan = stepping(build, line, steps)
    foot, up = plan.feet[side], line.zeros()
    height = rng.uniform(0.42, 0.68)
    for start, each in repetitions:
        foot = _kicked(foot, build, line.time, steps_at=(start + 0.26 * each, start + 0.8 * each), height=height)
        up += pulse(line.time, start + 0.1 * each, 0.3 * each, 0.2 * each, 0.32 * each)
    plan = replace(plan, feet={**plan.feet, side: foot}, drop=0.012 * build.leg * up)
    plan = leaned(plan, up, pelvis=-9.0, trunk=5.0)
    return both_arms(plan, up, arm_pose(lower=56.0, swing=-34.0, elbow=88.0, pronation=20.0))


def _kicked(
    foot: FootTrack, build: Build, time: Float[np.ndarray, "T"], *, steps_at: tuple[float, float], height: float
) -> FootTrack:
    """The foot's way forward and up, by the length of the leg."""
    lift, land = steps_at
    span = land - lift
    forward = through(
        time,
        [(lift, 0.0), (lift + 0.3 * span, 0.12, 1.2), (lift + 0.5 * span, 0.8)]
        + [(lift + 0.7 * span, 0.14, -1.0), (land, 0.0)],
    )
    up = through(
        time,
        [(lift, 0.0), (lift + 0.3 * span, 0.36, 1.2), (lift + 0.5 * span, height)]
        + [(lift + 0.7 * span, 0.32, -1.2), (land, 0.0)],
    )
    offset = foot.offset + build.leg * np.stack([0 * time, -forward, up], axis=-1)
    swing = bump((time - lift) / span)
    return replace(foot, offset=offset, pitch=foot.pitch - (30 * swing + 31 * swing**3) * DEG)


def side_steps(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Some steps to one side, and back."""
    pace = rng.uniform(0.5, 0.62) * build.tempo
    count = int(np.clip((occasion.seconds - LEAD_IN_S - 0.8) / (2 * pace), 2, 12))
    width, sign = rng.uniform(0.3, 0.4) * build.size, rng.choice([-1.0, 1.0])
    x, steps, at = 0.0, [], LEAD_IN_S + 0.5
    for number in range(count):
        way = sign if (number // 2) % 2 == 0 else -sign
        x += way * width
        for side in ("Left", "Right") if way > 0 else ("Right", "Left"):
            place = (x + SIGN[side] * build.half_stance, 0.0)
            steps.append(
                Step(
                    side,
                    at,
                    at + 0.66 * pace,
                    place,
                    SIGN[side] * TOES_OUT_RAD,
                    0.3,
                    0.1,
                    0.3 * pace,
                    0.2 * pace,
                    0.035,
                )
            )
            at += pace
    plan = stepping(build, Timeline.lasting(at + 0.6, occasion.fps), steps)
    going = ramp(plan.time, 0.2, 0.8) - ramp(plan.time, at - 0.2, at + 0.4)
    plan = replace(plan, drop=0.03 * build.leg * going)
    plan = leaned(plan, going, pelvis=4.0, trunk=4.0)
    return both_arms(plan, going, arm_pose(lower=66.0, swing=-16.0, elbow=62.0, pronation=15.0))
