"""Where the corner of four squares is, by fitting what a blurred picture of it should look like.

Around a corner the print looks the same after half a turn, the inner corners of two markers included, as long as the
window ends before the markers' bits. What a lens, motion or an overexposed sensor does to edges leaves that symmetry,
and thereby the estimate, alone; pixels are taken as they are, without interpolation.

Model, in squares (u, v) from the corner, white at u v > 0, with P the logistic distribution's integral over a blur (one
tanh gives it and its derivative; the normal one fits real edges no better and takes twice as long):
    s(u) s(v) - 2 P(u - m) P(v - m) - 2 P(-u - m) P(-v - m),    s = 2 P - 1,
where m is the white margin around a marker. Gauss-Newton over shift, blur, brightness and contrast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

MAX_HALF = 9
"""Half side of the largest window, px: more pixels of a sharp edge add little."""

MIN_HALF = 3
START_BLUR_PX = 0.9
BLURS_PX = (0.45, 5.0)
EDGE_PX = 1
LOGISTIC = np.float32(np.pi / np.sqrt(12))
"""tanh(LOGISTIC z) is 2 P(z) - 1 of a logistic distribution of standard deviation 1."""


@dataclass(frozen=True, eq=False)
class SaddleGuess:
    """Corners before they are fitted. xy: px. px_from_square: derivative of the picture's place by (u, v). turned: the
    white squares lie at u v < 0. margin: of a marker in its square, in squares (infinite without markers). reach: how
    far the print is as the model says, in squares."""

    xy: Float[np.ndarray, "N 2"]
    px_from_square: Float[np.ndarray, "N 2 2"]
    turned: Bool[np.ndarray, "N"]
    margin: float
    reach: float


@dataclass(frozen=True, eq=False)
class Saddles:
    """Fitted corners. xy: px, NaN where the window leaves the picture or the fit ran away. likeness: correlation of
    picture and model in the window, 1 at best. contrast: white minus black, grey values. blur_px: standard deviation
    of the edges' blur. last_step_px: how far the last step went."""

    xy: Float[np.ndarray, "N 2"]
    likeness: Float[np.ndarray, "N"]
    contrast: Float[np.ndarray, "N"]
    blur_px: Float[np.ndarray, "N"]
    last_step_px: Float[np.ndarray, "N"]


def fit_saddles(gray: UInt8[np.ndarray, "H W"], guess: SaddleGuess, steps: int = 5) -> Saddles:
    """All corners of a view at once. steps: from a third of a square away 5, from a pixel 3."""
    found = Saddles(*(np.full(shape, np.nan) for shape in ((len(guess.xy), 2), *[(len(guess.xy),)] * 4)))
    usable = np.flatnonzero(_is_usable(gray, guess))
    if len(usable):
        _fit(gray, guess, usable, steps, found)
    return found


def _is_usable(gray: np.ndarray, guess: SaddleGuess) -> np.ndarray:
    height, width = gray.shape
    room = np.array([width, height]) - 1 - EDGE_PX - MIN_HALF
    with np.errstate(invalid="ignore"):
        inside = ((guess.xy >= EDGE_PX + MIN_HALF) & (guess.xy <= room)).all(axis=1)
    return np.asarray(inside & np.isfinite(guess.px_from_square).all(axis=(1, 2)))


def _fit(gray: np.ndarray, guess: SaddleGuess, rows: np.ndarray, steps: int, found: Saddles) -> None:
    jacobian = guess.px_from_square[rows]
    square = np.linalg.inv(jacobian)
    sides = np.linalg.norm(jacobian, axis=1)
    half = int(np.clip(np.ceil(guess.reach * sides.max()), MIN_HALF, MAX_HALF))
    at = np.rint(guess.xy[rows]).astype(np.int64)
    offset = np.stack(np.meshgrid(np.arange(-half, half + 1), np.arange(-half, half + 1)), axis=-1).reshape(-1, 2)
    pixel = at[:, None] + offset
    height, width = gray.shape
    inside = np.asarray(((pixel >= 0) & (pixel < [width, height])).all(axis=-1))
    value = gray[np.clip(pixel[..., 1], 0, height - 1), np.clip(pixel[..., 0], 0, width - 1)].astype(np.float32)
    flip = np.where(guess.turned[rows], -1.0, 1.0)
    square = square * np.stack([flip, np.ones_like(flip)], axis=-1)[:, :, None]
    spread = np.linalg.norm(square, axis=2)
    state = _State(pixel, value, inside, square, spread, guess)
    xy, blur = guess.xy[rows].copy(), np.full(len(rows), START_BLUR_PX)
    before = xy
    for _ in range(steps):
        before = xy
        xy, blur = state.step(xy, blur)
    found.last_step_px[rows] = np.linalg.norm(xy - before, axis=1)
    found.likeness[rows], found.contrast[rows] = state.likeness(xy, blur)
    found.xy[rows], found.blur_px[rows] = xy, blur


@dataclass(frozen=True, eq=False)
class _State:
    """N windows of P pixels. square: d(u, v) / d px, with u turned so that white is at u v > 0; spread: how many
    squares a pixel's blur covers along u and v."""

    pixel: Int[np.ndarray, "N P 2"]
    value: Float[np.ndarray, "N P"]
    inside: Bool[np.ndarray, "N P"]
    square: Float[np.ndarray, "N 2 2"]
    spread: Float[np.ndarray, "N 2"]
    guess: SaddleGuess

    def step(self, xy: np.ndarray, blur: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One Gauss-Newton step, at most a pixel long."""
        uv, weight = self._place(xy)
        model, by_u, by_v, by_blur = saddle_model(
            uv, (self.spread * blur[:, None]).astype(np.float32), self.guess.margin
        )
        brightness, contrast = _line(model, self.value, weight)
        columns = np.stack([by_u, by_v, by_blur], axis=-1) * contrast[:, None, None]
        columns = np.concatenate([columns, model[..., None], np.ones_like(model)[..., None]], axis=-1)
        residual = self.value - brightness[:, None] - contrast[:, None] * model
        weighted = columns * weight[..., None]
        normal = (np.swapaxes(weighted, 1, 2) @ columns).astype(np.float64)
        diagonal = np.einsum("nii->ni", normal)
        diagonal += 1e-3 * diagonal + 1e-9
        delta = np.linalg.solve(normal, np.swapaxes(weighted, 1, 2) @ residual[..., None])[..., 0]
        shift = -np.einsum("nij,nj->ni", np.linalg.inv(self.square), delta[:, :2])
        length = np.linalg.norm(shift, axis=1, keepdims=True)
        shift *= 1.0 / np.maximum(length, 1.0)
        return xy + shift, np.clip(blur * np.exp(np.clip(delta[:, 2], -0.5, 0.5)), *BLURS_PX)

    def likeness(self, xy: np.ndarray, blur: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        uv, weight = self._place(xy)
        model = saddle_model(uv, (self.spread * blur[:, None]).astype(np.float32), self.guess.margin)[0]
        _, contrast = _line(model, self.value, weight)
        total = weight.sum(axis=1, keepdims=True)
        m = model - (weight * model).sum(axis=1, keepdims=True) / total
        v = self.value - (weight * self.value).sum(axis=1, keepdims=True) / total
        power = (weight * m * m).sum(axis=1) * (weight * v * v).sum(axis=1)
        return (weight * m * v).sum(axis=1) / np.sqrt(np.maximum(power, 1e-12)), 2 * contrast

    def _place(self, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels in squares from the corner (N, P, 2) and their weights (N, P): a window that ends softly, within a
        pixel, before `reach`."""
        uv = (self.pixel - xy[:, None]) @ np.swapaxes(self.square, 1, 2)
        room = (self.guess.reach - np.abs(uv)) / self.spread[:, None]
        soft = np.clip(room + 0.5, 0.0, 1.0).prod(axis=-1)
        away = np.linalg.norm(self.pixel - xy[:, None], axis=-1)
        weight = soft * self.inside * np.clip(MAX_HALF + 0.5 - away, 0.0, 1.0) + 1e-9
        return uv.astype(np.float32), weight.astype(np.float32)


def saddle_model(
    uv: Float[np.ndarray, "N P 2"], blur: Float[np.ndarray, "N 2"], margin: float
) -> tuple[Float[np.ndarray, "N P"], Float[np.ndarray, "N P"], Float[np.ndarray, "N P"], Float[np.ndarray, "N P"]]:
    """Grey values from -1 to 1, and their derivatives by u, by v and by the logarithm of the blur (in squares)."""
    wide = LOGISTIC / blur[:, None]
    s = np.tanh(wide * uv)
    slope = wide * (1 - s * s)
    model = s[..., 0] * s[..., 1]
    by_u, by_v = slope[..., 0] * s[..., 1], s[..., 0] * slope[..., 1]
    by_blur = -(uv[..., 0] * by_u + uv[..., 1] * by_v)
    if not np.isfinite(margin):
        return model, by_u, by_v, by_blur
    for sign in (1.0, -1.0):
        far = sign * uv - np.float32(margin)
        s = np.tanh(wide * far)
        p, slope = 0.5 + 0.5 * s, wide * (1 - s * s)
        model = model - 2 * p[..., 0] * p[..., 1]
        du, dv = slope[..., 0] * p[..., 1], p[..., 0] * slope[..., 1]
        by_u, by_v = by_u - sign * du, by_v - sign * dv
        by_blur = by_blur + far[..., 0] * du + far[..., 1] * dv
    return model, by_u, by_v, by_blur


def _line(model: np.ndarray, value: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and contrast (N,) for which brightness + contrast * model is nearest to the values."""
    total = weight.sum(axis=1)
    mean_m, mean_v = (weight * model).sum(axis=1) / total, (weight * value).sum(axis=1) / total
    m = model - mean_m[:, None]
    contrast = (weight * m * value).sum(axis=1) / np.maximum((weight * m * m).sum(axis=1), 1e-9)
    return mean_v - contrast * mean_m, contrast
