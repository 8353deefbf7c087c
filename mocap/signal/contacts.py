"""When points touch a surface: low and slow, with hysteresis; where that surface is, and whether it moves.

F points over T frames, world metres, Z up. A treadmill's belt is a surface that moves: speeds are relative to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

QUIET_M_S = 0.3
"""A point slower than this against the surface may rest on it; a swinging foot has 1 to 5 m/s."""
REST_PERCENTILE = 20.0
"""Of the heights of a point while it is quiet and low: how high it lies when it rests."""
BAND_M = 0.05
"""Heights above the lowest that still count as low when rest is looked for."""
MODE_M_S = 0.2
"""Velocities that near to each other are one velocity of the surface."""
MOVING_M_S = 0.25
"""A surface slower than this stands still."""
MOVING_EVIDENCE = 1.5
"""A surface moves where that many times as much of what is low moves with it as stands still."""


@dataclass(frozen=True)
class ContactRules:
    """A contact begins and ends in frames in which a point is lower than `low_m` and slower than `slow_m_s`; in between
    it is never higher than `high_m` nor faster than `fast_m_s`. Contacts, and gaps in them, shorter than `min_s` go.
    Heights are over the rest height, speeds (3D) against the surface."""

    low_m: float = 0.03
    high_m: float = 0.05
    slow_m_s: float = 0.25
    fast_m_s: float = 0.45
    min_s: float = 0.1


@dataclass(frozen=True, eq=False)
class Surface:
    """rest_m: (F,) height of each point when it rests, NaN for one that never does. velocity: (2,) m/s, horizontal."""

    rest_m: Float[np.ndarray, "F"]
    velocity: Float[np.ndarray, "2"]


@dataclass(frozen=True, eq=False)
class Runs:
    """Maximal runs of True, N in all: frames start to stop - 1 of a column."""

    column: Int[np.ndarray, "N"]
    start: Int[np.ndarray, "N"]
    stop: Int[np.ndarray, "N"]

    def __len__(self) -> int:
        return len(self.column)


def true_runs(values: Bool[np.ndarray, "T F"]) -> Runs:
    """Every run, by column and then in time."""
    padded = np.zeros((values.shape[1], len(values) + 2), dtype=np.int8)
    padded[:, 1:-1] = values.T
    step = np.diff(padded, axis=1)
    column, start = np.nonzero(step == 1)
    return Runs(column, start, np.nonzero(step == -1)[1])


def find_surface(points: Float[np.ndarray, "T F 3"], fps: float) -> Surface:
    """What the points rest on. At rest they share the surface's velocity, which is nought where most of what is low is
    still."""
    velocity = surface_velocity(points, fps)
    quiet = slower_speed(points, fps, velocity) < QUIET_M_S
    rest = np.full(points.shape[1], np.nan)
    for f in np.flatnonzero(quiet.any(0)):
        height = points[quiet[:, f], f, 2]
        low = height[height <= np.percentile(height, 2) + BAND_M]
        rest[f] = np.percentile(low, REST_PERCENTILE)
    return Surface(rest, velocity)


def surface_velocity(points: Float[np.ndarray, "T F 3"], fps: float) -> Float[np.ndarray, "2"]:
    """The horizontal velocity that most of what is low has (m/s): the densest of all, refined by the mean around it."""
    still = np.zeros(2)
    if len(points) < 2:
        return still
    speed = np.diff(points, axis=0) * fps
    height = points[1:, :, 2]
    low = (height <= np.percentile(height, 2, axis=0) + BAND_M) & (np.abs(speed[..., 2]) < QUIET_M_S)
    flat = speed[low][:, :2]
    if not len(flat):
        return still
    seeds = flat[:: max(1, len(flat) // 200)]
    near = np.linalg.norm(seeds[:, None] - flat, axis=-1) < MODE_M_S
    best = int(near.sum(-1).argmax())
    standing = int((np.linalg.norm(flat, axis=-1) < MODE_M_S).sum())
    found = flat[near[best]].mean(0)
    moves = np.linalg.norm(found) > MOVING_M_S and near[best].sum() > MOVING_EVIDENCE * standing
    return found if moves else still


def find_contacts(
    points: Float[np.ndarray, "T F 3"], surface: Surface, fps: float, rules: ContactRules
) -> Bool[np.ndarray, "T F"]:
    """Which points touch the surface in which frames."""
    speed = slower_speed(points, fps, surface.velocity)
    height = np.where(np.isfinite(surface.rest_m), points[..., 2] - surface.rest_m, np.inf)
    sure = (height < rules.low_m) & (speed < rules.slow_m_s)
    maybe = (height < rules.high_m) & (speed < rules.fast_m_s)
    return without_short(hysteresis(sure, maybe), rules.min_s * fps)


def slower_speed(
    points: Float[np.ndarray, "T F 3"], fps: float, surface: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "T F"]:
    """Of the two intervals beside each frame, against a surface of that horizontal velocity, m/s."""
    if len(points) < 2:
        return np.zeros(points.shape[:-1])
    speed = np.linalg.norm(np.diff(points, axis=0) * fps - [*surface, 0.0], axis=-1)
    return np.minimum(np.concatenate([speed[:1], speed]), np.concatenate([speed, speed[-1:]]))


def hysteresis(sure: Bool[np.ndarray, "T F"], maybe: Bool[np.ndarray, "T F"]) -> Bool[np.ndarray, "T F"]:
    """Runs of `maybe` from their first sure frame to their last."""
    result = np.zeros_like(sure)
    runs = true_runs(maybe | sure)
    for column, start, stop in zip(runs.column, runs.start, runs.stop, strict=True):
        inside = start + np.flatnonzero(sure[start:stop, column])
        if len(inside):
            result[inside[0] : inside[-1] + 1, column] = True
    return result


def without_short(values: Bool[np.ndarray, "T F"], shortest: float) -> Bool[np.ndarray, "T F"]:
    """Gaps of fewer frames filled, then such runs dropped; those at the take's ends stay."""
    values = values.copy()
    for state in (False, True):
        runs = true_runs(values == state)
        inner = (runs.start > 0) & (runs.stop < len(values)) & (runs.stop - runs.start < shortest)
        for column, start, stop in zip(runs.column[inner], runs.start[inner], runs.stop[inner], strict=True):
            values[start:stop, column] = not state
    return values
