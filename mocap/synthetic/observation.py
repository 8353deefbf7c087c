"""What a 2D network would report of a body in known cameras: points, errors that last, and what it cannot see."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import lfilter

from calibration.camera import Camera
from mocap.core.config import Config
from mocap.core.keypoints import KeypointSet


class ObservationConfig(Config):
    """How a network errs. Shares are of the person's height in the image, about 1000 px for a person who fills it.

    jitter: new in every frame. drift: lasts for about `drift_s` seconds. hidden_factor: both grow by it where the body
    hides the point. jumps_per_s: per keypoint, sudden errors of size `jump` that last up to five frames. lost_per_s:
    per keypoint, moments of up to ten frames in which it is not reported at all.
    """

    jitter: float = 0.0022
    drift: float = 0.0035
    drift_s: float = 0.25
    hidden_factor: float = 3.0
    jumps_per_s: float = 0.03
    jump: float = 0.06
    lost_per_s: float = 0.04


def hidden_by_trunk(
    points: Float[np.ndarray, "T K 3"], trunk: Float[np.ndarray, "T S 3"], center: Float[np.ndarray, "3"]
) -> Bool[np.ndarray, "T K"]:
    """Whether a point lies behind one of the balls (radius 0.11 m) along the trunk, seen from `center`."""
    radius, margin = 0.11, 0.1
    ray = points - center
    depth = np.linalg.norm(ray, axis=-1)
    towards = trunk - center
    along = np.einsum("tkc,tsc->tks", ray / depth[..., None], towards)
    aside = np.sqrt(np.maximum((towards**2).sum(-1)[:, None] - along**2, 0.0))
    return ((aside < radius) & (along < depth[..., None] - margin)).any(-1)


def trunk_of(points: Float[np.ndarray, "T K 3"], keypoint_set: KeypointSet) -> Float[np.ndarray, "T S 3"]:
    """Centres of balls from the hips to the shoulders."""
    hips = points[:, keypoint_set.indices(["left_hip", "right_hip"])].mean(1)
    shoulders = points[:, keypoint_set.indices(["left_shoulder", "right_shoulder"])].mean(1)
    share = np.linspace(0.0, 1.0, 8)[:, None]
    return hips[:, None] + share * (shoulders - hips)[:, None]


def observe(
    points: Float[np.ndarray, "T K 3"],
    trunk: Float[np.ndarray, "T S 3"],
    camera: Camera,
    *,
    fps: float,
    rng: np.random.Generator,
    config: ObservationConfig,
) -> tuple[Float[np.ndarray, "T K 2"], Float[np.ndarray, "T K"]]:
    """Reported pixels and confidences of one body in one camera; NaN and 0 where nothing is reported."""
    exact = camera.project(points)
    height = np.nanmax(exact[..., 1], axis=1) - np.nanmin(exact[..., 1], axis=1)
    hidden = hidden_by_trunk(points, trunk, camera.center)
    scale = height[:, None] * np.where(hidden, config.hidden_factor, 1.0)
    error = config.jitter * rng.standard_normal(exact.shape) + config.drift * _lasting(rng, exact.shape, fps, config)
    jumping = _moments(rng, hidden.shape, config.jumps_per_s / fps, longest=5)
    direction = rng.standard_normal((1, *exact.shape[1:]))
    error = error + config.jump * jumping[..., None] * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    xy = exact + error * scale[..., None]
    confidence = np.where(hidden, 0.45, 0.93) - 0.5 * jumping + 0.04 * rng.standard_normal(hidden.shape)
    size = np.array(camera.intrinsics.image_size)
    reported = np.isfinite(xy).all(-1) & ((xy >= -0.5) & (xy <= size - 0.5)).all(-1)
    reported &= ~_moments(rng, hidden.shape, config.lost_per_s / fps, longest=10)
    return np.where(reported[..., None], xy, np.nan), np.where(reported, np.clip(confidence, 0.05, 0.99), 0.0)


def _lasting(
    rng: np.random.Generator, shape: tuple[int, ...], fps: float, config: ObservationConfig
) -> Float[np.ndarray, "T *rest"]:
    """A first-order autoregressive error of unit spread: it forgets itself in `drift_s`."""
    keep = np.exp(-1 / (config.drift_s * fps))
    fresh = rng.standard_normal(shape) * np.sqrt(1 - keep**2)
    fresh[0] /= np.sqrt(1 - keep**2)
    return np.asarray(lfilter([1.0], [1.0, -keep], fresh, axis=0))


def _moments(
    rng: np.random.Generator, shape: tuple[int, int], chance: float, *, longest: int
) -> Bool[np.ndarray, "T K"]:
    """Spells of 1 to `longest` frames that begin in a frame with this chance."""
    length = np.where(rng.random(shape) < chance, rng.integers(1, longest + 1, shape), 0)
    active = np.zeros(shape, dtype=bool)
    for later in range(longest):
        active[later:] |= length[: shape[0] - later] > later
    return active
