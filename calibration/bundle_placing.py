"""Where a moving board was when a picture was taken, from its poses and velocities at knots in time.

Between two knots the board follows the cubic Hermite spline through their poses and velocities, which is the mean of
the motion prior there (`calibration.bundle_motion`); the turn is a spline in the rotation vector from the first knot.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.board_motion import rotvecs_to_matrices
from calibration.bundle_state import CameraState, Knots
from calibration.rotation_vectors import cross_matrices, inverse_left_jacobians, left_jacobians, logs

LONGEST_LINK_S = 1.0
"""Knots farther apart are not tied: a hand changes its mind faster, and a turn by pi has no logarithm."""


@dataclass(frozen=True, eq=False)
class Placed:
    """world_from_board of V views (t of the board's middle), and how it depends on knots.

    rates: (V, 6) spin rad/s and velocity m/s; gains: (V, 6) what they grow by in a second. first, second: the knots
    that it depends on; by_knots: (V, 6, D) turn and shift by the numbers of the first knot (turn, shift; with
    velocities also spin, velocity) and of the second one.
    """

    R: Float[np.ndarray, "V 3 3"]
    t: Float[np.ndarray, "V 3"]
    rates: Float[np.ndarray, "V 6"]
    gains: Float[np.ndarray, "V 6"]
    first: Int[np.ndarray, "V"]
    second: Int[np.ndarray, "V"]
    by_knots: Float[np.ndarray, "V 6 D"]
    rates_by_knots: Float[np.ndarray, "V 6 D"]

    def split(self, ends: Int[np.ndarray, "_"]) -> tuple[Placed, ...]:
        """Parts that begin at 0 and at each of `ends`."""
        parts = zip(*(np.split(getattr(self, each.name), ends) for each in fields(self)), strict=True)
        return tuple(Placed(*part) for part in parts)


def place_still(knots: Knots, row: Int[np.ndarray, "V"]) -> Placed:
    """Views at the very knots."""
    each = np.broadcast_to(np.eye(6), (len(row), 6, 6))
    rates = np.zeros((len(row), 6))
    return Placed(knots.R[row], knots.t[row], rates, rates, row, row, each, np.zeros_like(each))


def place_moving(knots: Knots, row: Int[np.ndarray, "V"], time_s: Float[np.ndarray, "V"]) -> Placed:
    """Views between knots that are tied, else at the constant velocity of their own knot `row`."""
    first, second, weights, rates, gains = _hermite(knots, row, time_s)
    whole, late_a, late_b = (weights[:, i, None] for i in range(3))
    turn = logs(knots.R[second] @ np.swapaxes(knots.R[first], 1, 2))
    inverse = inverse_left_jacobians(turn)
    at_end = (inverse @ knots.spin[second][:, :, None])[:, :, 0]  # the slope of the rotation vector at its end
    xi = whole * turn + late_a * knots.spin[first] + late_b * at_end
    shift = knots.t[second] - knots.t[first]
    bend = left_jacobians(xi)
    turned = rotvecs_to_matrices(xi)
    ends = np.concatenate(
        [[turn, knots.spin[first], at_end], [shift, knots.velocity[first], knots.velocity[second]]], 2
    )
    pace, gain = (np.einsum("vi,ivj->vj", weight, ends) for weight in (rates, gains))
    for change in (pace, gain):
        change[:, :3] = (bend @ change[:, :3, None])[:, :, 0]
    return Placed(
        turned @ knots.R[first],
        knots.t[first] + whole * shift + late_a * knots.velocity[first] + late_b * knots.velocity[second],
        pace,
        gain,
        first,
        second,
        _by_knots(weights, bend, turned, inverse),
        _rates_by_knots(rates),
    )


def _hermite(
    knots: Knots, row: np.ndarray, time_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Knots before and after, and the weights of (their difference, velocity before, velocity after) in what is added
    to the first pose (V, 3), in the velocity, and in the acceleration."""
    last = len(knots) - 1
    before = np.clip(np.searchsorted(knots.time_s, time_s, side="right") - 1, 0, max(last - 1, 0))
    after = np.minimum(before + 1, last)
    length = knots.time_s[after] - knots.time_s[before]
    inside = (time_s >= knots.time_s[before]) & (time_s <= knots.time_s[after])
    tied = inside & (length <= LONGEST_LINK_S) & (length > 0)
    first, second = np.where(tied, before, row), np.where(tied, after, row)
    ahead = time_s - knots.time_s[first]
    d = np.where(tied, length, 1.0)
    s = np.where(tied, ahead / d, 0.0)
    weights = [s**2 * (3 - 2 * s), np.where(tied, d * s * (1 - s) ** 2, ahead), d * s**2 * (s - 1)]
    rates = [6 * s * (1 - s) / d, (1 - s) * (1 - 3 * s), s * (3 * s - 2)]
    gains = [6 * (1 - 2 * s) / d**2, (6 * s - 4) / d, (6 * s - 2) / d]
    weights, rates, gains = (np.stack(each, axis=1) for each in (weights, rates, gains))
    return first, second, weights, rates, np.where(tied[:, None], gains, 0.0)


def _by_knots(weights: np.ndarray, bend: np.ndarray, turned: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """With l = log(R2 R1^T), xi = w l + a spin1 + b J^-1(l) spin2 and R = exp(xi) R1 (J: the left Jacobian of SO(3)), a
    turn by d1 of the first knot turns R by exp(xi) d1 - w J(xi) J^-T(l) d1, one of the second by w J(xi) J^-1(l) d2.
    How J^-1(l) in the last term changes is left out: half of b spin x d, under a hundredth of the rest."""
    out = np.zeros((len(weights), 6, 24))
    whole, late_a, late_b = (weights[:, i, None, None] for i in range(3))
    out[:, :3, 0:3] = turned - whole * (bend @ np.swapaxes(inverse, 1, 2))
    out[:, :3, 6:9] = late_a * bend
    out[:, :3, 12:15] = whole * (bend @ inverse)
    out[:, :3, 18:21] = late_b * (bend @ inverse)
    for i in range(3):
        out[:, 3 + i, 3 + i] = 1 - weights[:, 0]
        out[:, 3 + i, 9 + i] = weights[:, 1]
        out[:, 3 + i, 15 + i] = weights[:, 0]
        out[:, 3 + i, 21 + i] = weights[:, 2]
    return out


def _rates_by_knots(rates: np.ndarray) -> np.ndarray:
    """To first order in the turn between knots; only a rolling shutter needs it, for a part of one picture's time."""
    out = np.zeros((len(rates), 6, 24))
    for i in range(6):
        out[:, i, i] = -rates[:, 0]
        out[:, i, 6 + i] = rates[:, 1]
        out[:, i, 12 + i] = rates[:, 0]
        out[:, i, 18 + i] = rates[:, 2]
    return out


def on_back(placed: Placed, camera: CameraState, back: Bool[np.ndarray, "V"]) -> Placed:
    """With the pose of the print on the back in place of that on the front, for some views."""
    R, away = placed.R[back], placed.R[back] @ camera.back_shift
    arm = cross_matrices(away)
    out = {name: getattr(placed, name).copy() for name in ("R", "t", "rates", "gains", "by_knots", "rates_by_knots")}
    out["R"][back] = R @ camera.back_turn
    out["t"][back] += away
    sweep = np.cross(placed.rates[back, :3], away)
    out["rates"][back, 3:] += sweep
    out["gains"][back, 3:] += np.cross(placed.gains[back, :3], away) + np.cross(placed.rates[back, :3], sweep)
    for name in ("by_knots", "rates_by_knots"):
        out[name][back, 3:] -= arm @ out[name][back, :3]
    return replace(placed, **out)
