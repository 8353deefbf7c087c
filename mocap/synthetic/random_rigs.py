"""Random rigs by the thousand: rings, corners, arcs and walls of phones and webcams, for training samples."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field

from mocap.core.config import Config
from mocap.synthetic.camera_batch import CameraBatch, folds, looking_at

LAYOUTS = ("ring", "corners", "arc", "line")
SIZES = ((1280, 720), (1920, 1080), (1280, 960), (640, 480), (3840, 2160))
ARC_RAD = np.deg2rad(150.0)
CORNER_STRETCH = 1.25
LINE_WIDTH = 1.6
"""Of a row of cameras, in radii."""


class RandomRigConfig(Config):
    """Ranges that rigs are drawn from. portrait, fisheye: shares of cameras. fov_deg: what the long side sees.

    irregularity: how far from even the places are, as a share of spacing and radius. target_m: cameras look at a place
    within that of the middle, 0.95 m above the floor.
    """

    radius_m: tuple[float, float] = (2.2, 5.5)
    heights_m: tuple[float, float] = (0.7, 2.8)
    irregularity: float = Field(default=0.25, ge=0, le=0.5)
    portrait: float = Field(default=0.3, ge=0, le=1)
    fisheye: float = Field(default=0.1, ge=0, le=1)
    fov_deg: tuple[float, float] = (50.0, 85.0)
    fisheye_fov_deg: tuple[float, float] = (100.0, 150.0)
    roll_deg: float = Field(default=5.0, ge=0)
    target_m: float = Field(default=0.3, ge=0)


def random_rigs(n: int, cameras: int, rng: np.random.Generator, config: RandomRigConfig) -> CameraBatch:
    """`n` rigs of that many cameras; no two are alike."""
    centers = _centers(n, cameras, rng, config)
    targets = np.array([0.0, 0.0, 0.95]) + rng.uniform(-config.target_m, config.target_m, centers.shape)
    roll = np.deg2rad(config.roll_deg) * rng.uniform(-1, 1, (n, cameras))
    R, t = looking_at(centers, targets, roll)
    size = _image_sizes(n, cameras, rng, config.portrait)
    fisheye = rng.random((n, cameras)) < config.fisheye
    focal, principal = _pinholes(size, fisheye, rng, config)
    distortion = np.where(fisheye[..., None], _fisheye_lenses(fisheye.shape, rng), _brown_lenses(fisheye.shape, rng))
    return CameraBatch(R, t, focal, principal, distortion, fisheye, size, folds(distortion, fisheye))


def _centers(n: int, cameras: int, rng: np.random.Generator, config: RandomRigConfig) -> Float[np.ndarray, "N C 3"]:
    """The layouts of `rigs.make_rig`, one for each rig."""
    uneven = config.irregularity
    shape = (n, cameras)
    places = np.arange(cameras) + uneven * rng.uniform(-1, 1, shape)
    radius = rng.uniform(*config.radius_m, (n, 1)) * (1 + uneven * rng.uniform(-0.5, 0.5, shape))
    heights = rng.uniform(*config.heights_m, shape)
    layout = rng.integers(len(LAYOUTS), size=(n, 1))
    along = places / max(cameras - 1, 1) - 0.5
    rounds = np.arange(cameras) // 4
    ring = 2 * np.pi * places / cameras
    corners = np.pi / 4 + np.pi / 2 * places + rounds * np.pi / 4
    angle = np.choose(layout, (ring, corners, along * ARC_RAD, np.arctan(along * LINE_WIDTH)))
    even = np.ones(shape)
    far = np.broadcast_to(np.where(rounds % 2 == 0, CORNER_STRETCH, 1.0), shape)
    stretch = np.choose(layout, (even, far, even, np.hypot(1.0, along * LINE_WIDTH)))
    angle = angle + rng.uniform(0, 2 * np.pi, (n, 1))
    radius = radius * stretch
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), heights], axis=-1)


def _image_sizes(n: int, cameras: int, rng: np.random.Generator, portrait: float) -> Int[np.ndarray, "N C 2"]:
    size = np.array(SIZES)[rng.integers(len(SIZES), size=(n, cameras))]
    upright = rng.random((n, cameras, 1)) < portrait
    return np.where(upright, size[..., ::-1], size)


def _pinholes(
    size: Int[np.ndarray, "N C 2"], fisheye: Bool[np.ndarray, "N C"], rng: np.random.Generator, config: RandomRigConfig
) -> tuple[Float[np.ndarray, "N C 2"], Float[np.ndarray, "N C 2"]]:
    long_side = size.max(-1)
    half = np.deg2rad(rng.uniform(*config.fov_deg, fisheye.shape)) / 2
    half_round = np.deg2rad(rng.uniform(*config.fisheye_fov_deg, fisheye.shape)) / 2
    focal = long_side / 2 / np.where(fisheye, half_round, np.tan(half))
    aspect = 1 + rng.normal(0, 0.001, fisheye.shape)
    principal = (size - 1) / 2 + rng.normal(0, 0.008, size.shape) * long_side[..., None]
    return np.stack([focal, focal * aspect], axis=-1), principal


def _brown_lenses(shape: tuple[int, ...], rng: np.random.Generator) -> Float[np.ndarray, "N C 5"]:
    """From barrel to slight pincushion; none of them folds within 85° of view."""
    k1 = rng.uniform(-0.25, 0.08, shape)
    k2 = -0.4 * k1 + rng.uniform(-0.02, 0.03, shape)
    p1, p2 = rng.normal(0, 5e-4, (2, *shape))
    return np.stack([k1, k2, p1, p2, rng.uniform(-0.005, 0.01, shape)], axis=-1)


def _fisheye_lenses(shape: tuple[int, ...], rng: np.random.Generator) -> Float[np.ndarray, "N C 5"]:
    k1, k2 = rng.uniform(-0.03, 0.05, shape), rng.uniform(-0.01, 0.01, shape)
    k3 = rng.uniform(-0.002, 0.004, shape)
    return np.stack([k1, k2, k3, np.zeros(shape), np.zeros(shape)], axis=-1)
