"""Animation curves of FBX: steps, straight lines, and cubics with slopes and weights at their keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mocap.io.fbx_node import TICKS_PER_SECOND, FbxNode

CONSTANT, LINEAR, CUBIC = 0x2, 0x4, 0x8
STEP_NEXT = 0x100  # a constant key has the next key's value
WEIGHTED_RIGHT, WEIGHTED_NEXT_LEFT = 0x01000000, 0x02000000
USUAL_WEIGHT = 1 / 3
WEIGHT_UNIT = 9999.0
BISECTIONS = 50


@dataclass(frozen=True)
class FbxCurve:
    """Keys at times_s with values. kinds, slopes, weights: of the piece that starts at each key.

    slopes: (K, 2) a second, leaving this key and arriving at the next. weights: (K, 2) how far the handles reach, in
    shares of the piece.
    """

    times_s: Float[np.ndarray, "K"]
    values: Float[np.ndarray, "K"]
    kinds: Int[np.ndarray, "K"]
    slopes: Float[np.ndarray, "K 2"]
    weights: Float[np.ndarray, "K 2"]


def read_curve(node: FbxNode) -> FbxCurve:
    """From an `AnimationCurve`; attributes are kept once for runs of keys that share them."""
    times = node.array("KeyTime") / TICKS_PER_SECOND
    values = node.array("KeyValueFloat")
    count = min(len(times), len(values))
    flags = node.array("KeyAttrFlags", np.int64)
    runs = np.clip(node.array("KeyAttrRefCount", np.int64), 0, max(count, 0))
    data = node.array("KeyAttrDataFloat", np.float32)
    usable = min(len(flags), len(runs), len(data) // 4)
    flags, runs, data = flags[:usable], runs[:usable], data[: 4 * usable].reshape(-1, 4)
    which = np.repeat(np.arange(usable), runs)[:count]
    kinds = np.full(count, LINEAR, dtype=np.int64)
    slopes, weights = np.zeros((count, 2)), np.full((count, 2), USUAL_WEIGHT)
    kinds[: len(which)] = flags[which]
    slopes[: len(which)] = data[which, :2]
    packed = np.ascontiguousarray(data[:, 2]).view(np.int16).reshape(-1, 2) / WEIGHT_UNIT
    for side, flag in enumerate((WEIGHTED_RIGHT, WEIGHTED_NEXT_LEFT)):
        weighted = (flags[which] & flag) != 0
        weights[: len(which), side] = np.where(weighted, np.clip(packed[which, side], 1e-4, 1.0), USUAL_WEIGHT)
    order = np.argsort(times[:count], kind="stable")
    return FbxCurve(times[:count][order], values[:count][order], kinds[order], slopes[order], weights[order])


def curve_at(curve: FbxCurve, times_s: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """Values at these moments; held before the first key and after the last."""
    if len(curve.times_s) < 2:
        return np.full(len(times_s), curve.values[0] if len(curve.values) else 0.0)
    at = np.clip(times_s, curve.times_s[0], curve.times_s[-1])
    piece = np.clip(np.searchsorted(curve.times_s, at, side="right") - 1, 0, len(curve.times_s) - 2)
    start, stop = curve.values[piece], curve.values[piece + 1]
    length = curve.times_s[piece + 1] - curve.times_s[piece]
    share = np.where(length > 0, (at - curve.times_s[piece]) / np.where(length > 0, length, 1.0), 1.0)
    kinds = curve.kinds[piece]
    found = start + share * (stop - start)
    step = np.where((kinds & STEP_NEXT) != 0, np.where(share > 0, stop, start), np.where(share < 1, start, stop))
    found = np.where((kinds & CONSTANT) != 0, step, found)
    cubic = (kinds & CUBIC) != 0
    if cubic.any():
        found[cubic] = _cubic(
            share[cubic],
            np.stack([start, stop], axis=-1)[cubic],
            curve.slopes[piece][cubic] * length[cubic, None],
            curve.weights[piece][cubic],
        )
    return found


def _cubic(
    share: Float[np.ndarray, "T"],
    ends: Float[np.ndarray, "T 2"],
    slopes: Float[np.ndarray, "T 2"],
    weights: Float[np.ndarray, "T 2"],
) -> Float[np.ndarray, "T"]:
    """A Bezier piece over a time from 0 to 1: handles reach `weights` of it, along `slopes`."""
    first, second = weights[:, 0], 1.0 - weights[:, 1]
    low, high = np.zeros_like(share), np.ones_like(share)
    for _ in range(BISECTIONS):  # time rises along the piece, so the place of a moment is found by halving
        middle = (low + high) / 2
        early = _bezier(middle, 0.0, first, second, 1.0) < share
        low, high = np.where(early, middle, low), np.where(early, high, middle)
    handles = ends[:, 0] + slopes[:, 0] * weights[:, 0], ends[:, 1] - slopes[:, 1] * weights[:, 1]
    return _bezier((low + high) / 2, ends[:, 0], handles[0], handles[1], ends[:, 1])


def _bezier(s: np.ndarray, a: np.ndarray | float, b: np.ndarray, c: np.ndarray, d: np.ndarray | float) -> np.ndarray:
    rest = 1.0 - s
    return rest**3 * a + 3 * rest**2 * s * b + 3 * rest * s**2 * c + s**3 * d
