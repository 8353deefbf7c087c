"""Noise, and the patterns of cloth: colours as functions of places in metres."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Float32, Int32

Pattern = Literal["plain", "melange", "stripes", "pinstripes", "checks", "print", "blocks", "knit", "denim"]
PATTERNS: tuple[str, ...] = get_args(Pattern)
NOISE_PERIOD = 64
EDGE_M = 1.1e-3
"""Half of the width of an edge: as sharp as texels of 2 mm can show without steps."""


def srgb(code: str) -> tuple[float, float, float]:
    """Linear RGB of six hexadecimal digits in sRGB."""
    coded = np.array([int(code[k : k + 2], 16) for k in (0, 2, 4)]) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    return (float(linear[0]), float(linear[1]), float(linear[2]))


def step(
    x: Float[np.ndarray, "*n"], start: float | np.ndarray, end: float | np.ndarray
) -> Float[np.ndarray, "*n"]:  # fmt: skip
    """0 before `start`, 1 after `end`, smooth in between; `end` may be below `start`."""
    t = np.clip((x - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def noise(points: Float[np.ndarray, "N D"], seed: int) -> Float32[np.ndarray, "N"]:
    """Smooth noise of mean 0 and about -1 to 1, one lump per unit, in two or three dimensions."""
    dims = points.shape[1]
    table = np.random.default_rng(seed).uniform(-1, 1, NOISE_PERIOD**dims).astype(np.float32)
    points = points.astype(np.float32)
    base = np.floor(points)
    t = (points - base).T
    t = t * t * (3 - 2 * t)
    cell = base.astype(np.int32).T & (NOISE_PERIOD - 1)
    after = (cell + 1) & (NOISE_PERIOD - 1)
    return _between(table, np.zeros(len(points), dtype=np.int32), cell, after, t)


def _between(
    table: Float32[np.ndarray, "P"],
    row: Int32[np.ndarray, "N"],
    cell: Int32[np.ndarray, "D N"],
    after: Int32[np.ndarray, "D N"],
    t: Float32[np.ndarray, "D N"],
) -> Float32[np.ndarray, "N"]:
    """Interpolation in the first axis between interpolations in the others."""
    row = row * NOISE_PERIOD
    if len(cell) == 1:
        near, far = np.take(table, row + cell[0]), np.take(table, row + after[0])
    else:
        near = _between(table, row + cell[0], cell[1:], after[1:], t[1:])
        far = _between(table, row + after[0], cell[1:], after[1:], t[1:])
    far -= near
    far *= t[0]
    near += far
    return near


def fractal(points: Float[np.ndarray, "N D"], seed: int, octaves: int = 3) -> Float32[np.ndarray, "N"]:
    """Noise at several scales, each half as large and half as strong as the one before."""
    total = np.zeros(len(points), dtype=np.float32)
    for octave in range(octaves):
        total += noise(points * 2.0**octave + 7.3 * octave, seed + octave) * np.float32(0.5**octave)
    return total


def weave(
    pattern: str,
    across: Float[np.ndarray, "N"],
    along: Float[np.ndarray, "N"],
    *,
    colours: tuple[tuple[float, float, float], tuple[float, float, float]],
    seed: int,
) -> Float32[np.ndarray, "N 3"]:
    """Colours of a fabric. across, along: m on the cloth, along being downwards or towards the hand."""
    main, second = (np.array(colour, dtype=np.float32) for colour in colours)
    rng = np.random.default_rng(seed)
    place = np.stack([across, along], -1)
    if pattern == "denim":
        return _denim(main, place, rng)
    if pattern in ("melange", "knit"):
        size = 0.0025 if pattern == "melange" else 0.006
        strength = 0.22 if pattern == "melange" else 0.3
        amount = noise(place / (size * np.array([1.0, 1.6])), seed) * strength
        return main * (1 + amount[:, None])
    amount = np.zeros(len(across), dtype=np.float32)
    if pattern == "stripes":
        period, share = rng.uniform(0.02, 0.07), rng.uniform(0.25, 0.6)
        amount = _bands(along, period, share)
    elif pattern == "pinstripes":
        amount = _bands(across, rng.uniform(0.012, 0.025), 0.15) * 0.8
    elif pattern == "checks":
        period = rng.uniform(0.025, 0.07)
        amount = 0.5 * _bands(across, period, 0.45) + 0.5 * _bands(along, period, 0.45)
    return main + amount[:, None].astype(np.float32) * (second - main)


def _bands(x: Float[np.ndarray, "N"], period: float, share: float) -> Float[np.ndarray, "N"]:
    """1 in a share of every period, with soft edges."""
    away = np.abs(x / period - np.rint(x / period)) * period
    return step(away, share * period / 2 + EDGE_M, share * period / 2 - EDGE_M)


def _denim(main: np.ndarray, place: Float[np.ndarray, "N 2"], rng: np.random.Generator) -> Float32[np.ndarray, "N 3"]:
    threads = noise(place / np.array([0.0012, 0.006]), int(rng.integers(2**31)))
    worn = fractal(place / 0.12, int(rng.integers(2**31)))
    white = np.array([0.55, 0.58, 0.62], dtype=np.float32)
    fade = np.clip(0.06 + 0.025 * threads + 0.05 * worn, 0, 0.5)[:, None]
    return (main + fade * (white - main)).astype(np.float32)


def print_on(
    colours: Float32[np.ndarray, "N 3"],
    x: Float[np.ndarray, "N"],
    z: Float[np.ndarray, "N"],
    *,
    ink: tuple[float, float, float],
    seed: int,
) -> Float32[np.ndarray, "N 3"]:
    """A shirt's print about (0, 0): a disc, a ring, bars, letters or a star, at most 0.3 m wide."""
    rng = np.random.default_rng(seed)
    kind, size = int(rng.integers(5)), rng.uniform(0.07, 0.13)
    radius = np.hypot(x, z)
    if kind == 0:
        inside = step(radius, size + EDGE_M, size - EDGE_M)
    elif kind == 1:
        inside = step(np.abs(radius - size * 0.8), size * 0.2 + EDGE_M, size * 0.2 - EDGE_M)
    elif kind == 2:
        inside = _bands(z, size * 0.5, 0.5) * (np.abs(x) < size * 1.1) * (np.abs(z) < size)
    elif kind == 3:
        inside = _letters(x, z, size, rng)
    else:
        angle = np.arctan2(x, z) * 5 / (2 * np.pi)
        spike = np.abs(angle - np.rint(angle)) * 2
        inside = step(radius, size * (1 - 0.6 * spike) + EDGE_M, size * (1 - 0.6 * spike) - EDGE_M)
    return colours + (inside * 0.95)[:, None].astype(np.float32) * (np.array(ink, dtype=np.float32) - colours)


def _letters(x: np.ndarray, z: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Blocks on a grid of 5 by 7 cells per letter, as of a word too far away to be read."""
    count = int(rng.integers(3, 7))
    high = 2 * size / count * 1.3
    column = np.floor((x / (2 * size) + 0.5) * count * 6).astype(np.int64)
    row = np.floor((z / high + 0.5) * 7).astype(np.int64)
    ok = (column >= 0) & (column < count * 6) & (row >= 0) & (row < 7) & (column % 6 < 5)
    cells = rng.random((count * 6, 7)) < 0.6
    cells[0::6] = True  # stems
    return np.where(ok, cells[np.clip(column, 0, count * 6 - 1), np.clip(row, 0, 6)], False).astype(np.float32)
