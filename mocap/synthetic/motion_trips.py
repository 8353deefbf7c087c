"""Ways through the room: a circle, there and back, to a place where something is reached for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mocap.synthetic.motion_build import Build
from mocap.synthetic.motion_gestures import reach
from mocap.synthetic.motion_joining import joined
from mocap.synthetic.motion_plan import Occasion, Plan, Timeline
from mocap.synthetic.motion_steps import stepping
from mocap.synthetic.motion_walking import TURN_PER_STEP_RAD, Gait, Path, circle, there_and_back, walk_steps, with_gait

CIRCLE_RADIUS_M = (0.70, 0.88)
"""Of the body's way, within a circle of 1.5 to 2 m."""
LONGEST_LINE_M, SHORTEST_LINE_M = 2.8, 0.9
STOP_S = 1.1
UNDER_WAY_S = 1.8
"""What starting takes of the time for a line, and the rest of the last step."""


def _walk(build: Build, occasion: Occasion, path: Path, gait: Gait, rng: np.random.Generator) -> Plan:
    steps = walk_steps(build, path, gait, rng, seconds=occasion.seconds - STOP_S * occasion.ends, ends=occasion.ends)
    line = Timeline.lasting(max(occasion.seconds * (not occasion.ends), steps[-1].land_s + STOP_S), occasion.fps)
    return with_gait(stepping(build, line, steps), build, rng)


def walk_circle(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Round a circle, left or right; the middle belongs to the origin."""
    left, radius = bool(rng.random() < 0.5), rng.uniform(*CIRCLE_RADIUS_M)
    gait = Gait.drawn(build, rng, step=0.47, period_s=0.6)
    plan = _walk(build, occasion, circle(radius, left=left), gait, rng)
    return replace(plan, anchor=np.array([radius if left else -radius, 0.0]))


def walk_line(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Straight on, round, straight back, and so on; as far as lets the person be back in time."""
    gait, bend = Gait.drawn(build, rng), 0.24 * build.size
    pace = gait.step / gait.period_s
    turning_s = (np.pi / TURN_PER_STEP_RAD + 1) * gait.period_s
    far = float(np.clip((occasion.seconds - UNDER_WAY_S - turning_s) * pace / 2, SHORTEST_LINE_M, LONGEST_LINE_M))
    left = bool(rng.random() < 0.5)
    plan = _walk(build, occasion, there_and_back(far, bend, left=left), gait, rng)
    return replace(plan, anchor=np.array([bend if left else -bend, -far / 2]))


def turn_around(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Round once on the spot, in small steps."""
    gait = Gait.drawn(build, rng, step=0.3, period_s=0.62)
    radius = 0.1 * build.size
    left = bool(rng.random() < 0.5)
    plan = _walk(build, occasion, circle(radius, left=left), replace(gait, width=2 * build.half_stance), rng)
    return replace(plan, anchor=np.array([radius if left else -radius, 0.0]))


def walk_and_reach(build: Build, occasion: Occasion, rng: np.random.Generator) -> Plan:
    """Some steps in a slight bend, a stop, and a reach."""
    walking_s = float(np.clip(0.55 * occasion.seconds, 2.6, 5.0))
    gait, bend = Gait.drawn(build, rng), rng.uniform(2.5, 6.0)
    way = _walk(
        build, replace(occasion, seconds=walking_s, ends=True), circle(bend, left=bool(rng.random() < 0.5)), gait, rng
    )
    rest = max(occasion.seconds - way.n_frames / occasion.fps, 2.8)
    plan = joined([way, reach(build, replace(occasion, seconds=rest), rng)], build)
    end, _ = plan.end_frame()
    return replace(plan, anchor=end / 2)
