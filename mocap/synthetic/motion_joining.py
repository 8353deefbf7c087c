"""Plans one after the other, elsewhere, longer or shorter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from mocap.synthetic.motion_build import Build, in_frame
from mocap.synthetic.motion_curves import ramp
from mocap.synthetic.motion_plan import HANGING, ArmTrack, Plan, toward
from mocap.synthetic.motion_steps import standing_point

SETTLING_S = 0.3


def joined(plans: Sequence[Plan], build: Build) -> Plan:
    """One plan after the other, each from where the one before ends. Every plan must begin at the origin, facing -Y."""
    placed, origin, heading = [], np.zeros(2), 0.0
    for number, plan in enumerate(plans):
        still = _settled(plan, build, start=number > 0, end=number < len(plans) - 1)
        placed.append(moved(still, origin, heading))
        origin, heading = placed[-1].end_frame()
    return _stacked(placed)


def _settled(plan: Plan, build: Build, *, start: bool, end: bool) -> Plan:
    """What is left of movements at its ends faded out, so that plans fit together; feet are still there anyway."""
    here = np.ones(plan.n_frames)
    if start:
        here *= ramp(plan.time, 0.0, SETTLING_S)
    if end:
        here *= ramp(plan.time[::-1], 0.0, SETTLING_S)
    rest = _resting(plan, build)
    faded = {
        name: value + (getattr(plan, name) - value) * here.reshape(-1, *(1,) * (value.ndim - 1))
        for name, value in rest.items()
    }
    arms = {side: replace(arm, angles=toward(arm.angles, 1 - here, HANGING)) for side, arm in plan.arms.items()}
    return replace(plan, arms=arms, **faded)


def _resting(plan: Plan, build: Build) -> dict[str, np.ndarray]:
    """Who stands at ease with these feet: before the middle of the plan as at its first frame, then as at its last."""
    late = plan.time > plan.time[-1] / 2
    support, heading = np.zeros_like(plan.support), np.zeros_like(plan.heading)
    for side, foot in plan.feet.items():
        place, yaw = np.where(late[:, None], foot.place[-1], foot.place[0]), np.where(late, foot.yaw[-1], foot.yaw[0])
        support += (place + standing_point(build, side, yaw)) / 2
        heading += yaw / 2
    rest = {name: np.zeros_like(getattr(plan, name)) for name in ("pelvis", "trunk", "gaze", "drop")}
    return {**rest, "support": support, "heading": heading}


def moved(plan: Plan, origin: Float[np.ndarray, "2"], heading: float) -> Plan:
    """The plan of someone who stands at `origin` with a heading, both at its beginning."""

    def carried(points: Float[np.ndarray, "*T 2"]) -> Float[np.ndarray, "*T 2"]:
        return in_frame(points, origin, heading)

    feet = {}
    for side, foot in plan.feet.items():
        offset = np.array(foot.offset)
        offset[:, :2] = in_frame(offset[:, :2], np.zeros(2), heading)
        feet[side] = replace(foot, place=carried(foot.place), yaw=foot.yaw + heading, offset=offset)
    arms = {side: _moved_arm(arm, origin, heading) for side, arm in plan.arms.items()}
    return replace(
        plan,
        heading=plan.heading + heading,
        support=carried(plan.support),
        feet=feet,
        arms=arms,
        anchor=carried(plan.anchor),
    )


def _moved_arm(arm: ArmTrack, origin: Float[np.ndarray, "2"], heading: float) -> ArmTrack:
    wrist = np.array(arm.wrist)
    there = in_frame(wrist[:, :2], origin, heading)
    wrist[:, :2] = np.where(arm.to_chest[:, None] > 0, wrist[:, :2], there)
    return replace(arm, wrist=wrist)


def _stacked(plans: Sequence[Any]) -> Any:
    """Arrays of dataclasses of one kind end to end, in depth."""
    first = plans[0]
    changes: dict[str, Any] = {}
    for field in fields(first):
        values = [getattr(plan, field.name) for plan in plans]
        if field.name in ("anchor", "fps"):
            changes[field.name] = values[0]
        elif isinstance(values[0], Mapping):
            changes[field.name] = {key: _stacked([value[key] for value in values]) for key in values[0]}
        else:
            changes[field.name] = np.concatenate(values)
    return replace(first, **changes)


def fitted(plan: Plan, n_frames: int) -> Plan:
    """Cut off, or standing on as it ends, to have that many frames."""
    return _at(plan, np.minimum(np.arange(n_frames), plan.n_frames - 1))


def _at(plan: Any, rows: np.ndarray) -> Any:
    changes: dict[str, Any] = {}
    for field in fields(plan):
        value = getattr(plan, field.name)
        if isinstance(value, Mapping):
            changes[field.name] = {key: _at(item, rows) for key, item in value.items()}
        elif isinstance(value, np.ndarray) and field.name != "anchor":
            changes[field.name] = value[rows]
    return replace(plan, **changes)
