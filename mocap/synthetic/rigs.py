"""Rigs that people build: rings, corners of a room, an arc, a wall; upright phones among lying cameras; every lens."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from calibration.camera import Camera, Intrinsics, Rig
from calibration.lenses import Lens
from calibration.synthetic import camera_looking_at
from mocap.core.config import Config
from mocap.core.errors import ConfigError

Layout = Literal["ring", "corners", "arc", "line"]
LensKind = Literal["ideal", "distorted", "wide", "fisheye", "mixed"]

CORNER_STRETCH = 1.25
"""How much farther from the middle the corners of a room are than its walls' cameras would be."""
ARC_RAD = np.deg2rad(150.0)
LINE_WIDTH = 1.6
"""Width of a row of cameras along one wall, in radii."""


class RigConfig(Config):
    """Cameras around the origin, which look at a place `target_height_m` above it.

    portrait: numbers (from 0) of cameras that stand upright. fov_deg: range of the angle that the long side of the
    picture sees (fisheye: `fisheye_fov_deg`). irregularity: how far from even the places are, as a share of radius and
    spacing. names: pattern with the number from 1.
    """

    layout: Layout = "ring"
    cameras: int = Field(default=5, ge=1, le=64)
    radius_m: float = Field(default=3.6, gt=0)
    heights_m: tuple[float, float] = (1.0, 2.3)
    target_height_m: float = 0.95
    image_size: tuple[int, int] = (1280, 720)
    portrait: tuple[int, ...] = ()
    fov_deg: tuple[float, float] = (60.0, 72.0)
    fisheye_fov_deg: tuple[float, float] = (110.0, 140.0)
    lens: LensKind = "distorted"
    irregularity: float = Field(default=0.08, ge=0, le=0.5)
    names: str = "cam{:02d}"


def make_rig(config: RigConfig, rng: np.random.Generator) -> Rig:
    """The cameras; places and lenses vary with `rng`, so that no two cameras are alike."""
    wrong = [number for number in config.portrait if not 0 <= number < config.cameras]
    if wrong:
        raise ConfigError(f"portrait: there is no camera {wrong[0]}; they count from 0 to {config.cameras - 1}")
    centers = _centers(config, rng)
    return Rig(tuple(_camera(config, number, center, rng) for number, center in enumerate(centers)))


def _centers(config: RigConfig, rng: np.random.Generator) -> Float[np.ndarray, "C 3"]:
    n, uneven = config.cameras, config.irregularity
    places = np.arange(n) + uneven * rng.uniform(-1, 1, n)
    low, high = config.heights_m
    heights = rng.permutation(np.linspace(low, high, n)) if n > 1 else np.array([(low + high) / 2])
    radius = config.radius_m * (1 + uneven * rng.uniform(-0.5, 0.5, n))
    if config.layout == "line":
        x = (places / max(n - 1, 1) - 0.5) * LINE_WIDTH * config.radius_m
        return np.stack([x, -radius, heights], axis=-1)
    if config.layout == "arc":
        angle = -np.pi / 2 + (places / max(n - 1, 1) - 0.5) * ARC_RAD
    elif config.layout == "corners":
        angle = np.pi / 4 + np.pi / 2 * places
        rounds = np.arange(n) // 4  # a fifth camera hangs between the first two corners, and so on
        angle = angle + rounds * np.pi / 4
        radius = radius * np.where(rounds % 2 == 0, CORNER_STRETCH, 1.0)
    else:
        angle = 2 * np.pi * places / n + rng.uniform(0, 2 * np.pi)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), heights], axis=-1)


def _camera(config: RigConfig, number: int, center: Float[np.ndarray, "3"], rng: np.random.Generator) -> Camera:
    width, height = config.image_size
    if number in config.portrait:
        width, height = min(width, height), max(width, height)
    lens = _lens_of(config, number)
    intrinsics = _intrinsics((width, height), lens, config, rng)
    target = np.array([0.0, 0.0, config.target_height_m]) + rng.uniform(-0.1, 0.1, 3)
    roll = np.deg2rad(rng.uniform(-2.0, 2.0))
    return camera_looking_at(config.names.format(number + 1), intrinsics, center=center, target=target, roll=roll)


def _lens_of(config: RigConfig, number: int) -> LensKind:
    if config.lens != "mixed":
        return config.lens
    kinds: tuple[LensKind, ...] = ("distorted", "wide", "ideal", "fisheye")
    return kinds[number % len(kinds)]


def _intrinsics(size: tuple[int, int], kind: LensKind, config: RigConfig, rng: np.random.Generator) -> Intrinsics:
    long_side = max(size)
    low, high = config.fisheye_fov_deg if kind == "fisheye" else config.fov_deg
    half = np.deg2rad(rng.uniform(low, high)) / 2
    focal = long_side / 2 / (half if kind == "fisheye" else np.tan(half))
    center = (np.array(size) - 1) / 2 + (0 if kind == "ideal" else rng.normal(0, 0.006, 2) * long_side)
    aspect = 1.0 if kind == "ideal" else 1 + rng.normal(0, 0.0008)
    K = np.array([[focal, 0.0, center[0]], [0.0, focal * aspect, center[1]], [0.0, 0.0, 1.0]])
    return Intrinsics(size, K, _distortion(kind, rng), Lens.FISHEYE if kind == "fisheye" else Lens.BROWN_CONRADY)


def _distortion(kind: LensKind, rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    """Coefficients as calibrations of webcams, action cameras in linear mode and fisheye lenses report them."""
    if kind == "ideal":
        return np.zeros(5)
    if kind == "fisheye":
        return np.array([rng.uniform(-0.03, 0.05), rng.uniform(-0.01, 0.01), rng.uniform(-0.004, 0.004), 0.0])
    k1 = rng.uniform(-0.32, -0.24) if kind == "wide" else rng.uniform(-0.18, 0.08)
    k2 = -0.4 * k1 + rng.uniform(-0.03, 0.03)
    tangential = rng.normal(0, 5e-4, 2)
    return np.array([k1, k2, tangential[0], tangential[1], rng.uniform(-0.02, 0.02)])
