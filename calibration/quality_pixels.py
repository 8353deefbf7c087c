"""Reprojection errors by camera and by place in the picture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.camera import Intrinsics
from calibration.quality_report import PixelErrors, ResidualField

COVERAGE_CELLS = 8
"""Cells of the coverage map along either side."""

FIELD_CELLS = 10
"""Cells of the residual field along the longer side of the picture; along the other as many as keep them square."""

FEWEST_IN_CELL = 5
"""A mean of fewer residuals is mostly chance; such cells are left out of the field."""

MOST_BLOCKS = 24
FEWEST_BLOCKS = 8
"""Blocks of views whose signs are flipped: with 8 the smallest p-value is 2 / 2^8, below the 0.01 at which we speak.
More than 24 would cut through what drifts from view to view: errors of 100 views that resemble those of the view before
are told at p < 0.01 in 3.7 % of cases with 64 blocks, in 1.5 % with 24."""

IMAGED_GRID = 25

FLIPS = 1999
SEED = 20


def pixel_errors(
    residual: Float[np.ndarray, "N 2"], outlier: Bool[np.ndarray, "N"], unused: Bool[np.ndarray, "N"]
) -> PixelErrors:
    """Statistics of the lengths of the residuals (px)."""
    length = np.linalg.norm(residual[~outlier], axis=-1)
    some = len(length) > 0
    return PixelErrors(
        corners=len(outlier),
        outliers=int(outlier.sum()),
        unused=int(unused.sum()),
        rms_px=float(np.sqrt((length**2).mean())) if some else np.nan,
        median_px=float(np.median(length)) if some else np.nan,
        p95_px=float(np.quantile(length, 0.95)) if some else np.nan,
    )


def coverage(xy: Float[np.ndarray, "N 2"], image_size: tuple[int, int]) -> Int[np.ndarray, "8 8"]:
    """Corners in each of 8 x 8 equal cells of the picture, top left first."""
    return _counts(_cells(xy, image_size, COVERAGE_CELLS, COVERAGE_CELLS), COVERAGE_CELLS, COVERAGE_CELLS)


def covered_share(coverage: Int[np.ndarray, "8 8"], wanted: Bool[np.ndarray, "8 8"]) -> float:
    """Of the wanted cells, those with a corner in them or in one of the eight around: a lens is smooth, and an eighth
    of a picture further on it is still known. NaN where none is wanted."""
    near = np.pad(coverage > 0, 1)
    near = np.any([near[i : i + COVERAGE_CELLS, j : j + COVERAGE_CELLS] for i in range(3) for j in range(3)], axis=0)
    return float(near[wanted].mean()) if wanted.any() else np.nan


def imaged_share(intrinsics: Intrinsics) -> float:
    """Of the picture, where its lens formula has a ray for a pixel: a polynomial that was fitted to corners near the
    middle may turn back before the edge."""
    width, height = intrinsics.image_size
    x, y = np.linspace(0, width - 1, IMAGED_GRID), np.linspace(0, height - 1, IMAGED_GRID)
    px = np.stack(np.meshgrid(x, y), axis=-1)
    return float(np.isfinite(intrinsics.ray(px)).all(axis=-1).mean())


def residual_field(
    xy: Float[np.ndarray, "N 2"],
    residual: Float[np.ndarray, "N 2"],
    view: Int[np.ndarray, "N"],
    image_size: tuple[int, int],
) -> ResidualField:
    """Mean residuals by place, and whether they are more than chance.

    The test flips signs of whole blocks of consecutive views (a wild cluster bootstrap under the null hypothesis;
    Cameron, Gelbach & Miller 2008): corners of one view share the errors of its pose, and views that follow each other
    those of the motion, so that a test that took corners as independent would find fault with every lens. What
    the fit itself has removed makes the test a little shy, never too eager. `view`: numbers that grow with time.
    """
    columns, rows = _field_shape(image_size)
    cell = _cells(xy, image_size, columns, rows)
    corners = _counts(cell, columns, rows)
    enough = corners.reshape(-1) >= FEWEST_IN_CELL
    block = _blocks(view)
    sums = np.zeros((int(block.max(initial=-1)) + 1, rows * columns, 2))
    np.add.at(sums, (block, cell), residual)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(enough[:, None], sums.sum(axis=0) / corners.reshape(-1, 1), np.nan)
    systematic, p_value = _sign_flip_test(sums[:, enough], corners.reshape(-1)[enough])
    return ResidualField(mean.reshape(rows, columns, 2), corners, systematic, p_value)


def _sign_flip_test(
    sums: Float[np.ndarray, "blocks cells 2"], corners: Int[np.ndarray, "cells"]
) -> tuple[float, float]:
    """RMS (px) of the systematic part per corner, and the p-value of the energy of the mean field."""
    if len(sums) < FEWEST_BLOCKS or not len(corners):
        return np.nan, np.nan
    scaled = (sums / np.sqrt(corners)[:, None]).reshape(len(sums), -1)
    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], (FLIPS, len(sums)))
    observed = (scaled.sum(axis=0) ** 2).sum()
    by_chance = ((signs @ scaled) ** 2).sum(axis=-1)
    # Flips that leave all signs alike must count as reached, whatever order BLAS sums in.
    reached = by_chance >= observed * (1 - 1e-9)
    systematic = np.sqrt(max(observed - by_chance.mean(), 0.0) / corners.sum())
    return float(systematic), float((1 + reached.sum()) / (1 + FLIPS))


def _field_shape(image_size: tuple[int, int]) -> tuple[int, int]:
    longest = max(image_size)
    columns, rows = (max(2, round(FIELD_CELLS * side / longest)) for side in image_size)
    return columns, rows


def _cells(xy: Float[np.ndarray, "N 2"], image_size: tuple[int, int], columns: int, rows: int) -> Int[np.ndarray, "N"]:
    """Pixel centres are at whole numbers: the picture begins at -0.5."""
    place = (xy + 0.5) / image_size * [columns, rows]
    x, y = np.clip(place.astype(int), 0, [columns - 1, rows - 1]).T
    return y * columns + x


def _counts(cell: Int[np.ndarray, "N"], columns: int, rows: int) -> Int[np.ndarray, "rows columns"]:
    return np.bincount(cell, minlength=rows * columns).reshape(rows, columns)


def _blocks(view: Int[np.ndarray, "N"]) -> Int[np.ndarray, "N"]:
    """Equally many consecutive views each, at most MOST_BLOCKS blocks."""
    views, position = np.unique(view, return_inverse=True)
    n_blocks = max(min(len(views), MOST_BLOCKS), 1)
    return position * n_blocks // max(len(views), 1)
