"""What a user asks of a calibration, as its parts want it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from calibration.bundle_adjustment import BundleConfig
from calibration.formats import read_calibration
from calibration.intrinsics_result import IntrinsicsConfig, LensChoice
from calibration.world_frame import FloorConfig, Heading, Origin
from mocap.calibrate.session import CalibrateConfig
from mocap.calibrate.world import KnownDistance, WorldConfig
from mocap.core.errors import ConfigError


def calibrate_config(cameras: Mapping[str, Any], world: Mapping[str, Any]) -> CalibrateConfig:
    """From options. cameras: lens, same_lens (texts "a,b"), lenses (a calibration file), line_time. world: origin,
    heading, thickness_mm, person (a take), floor_picture, distance (a text "a,b=metres")."""
    lens = _one_of("--lens", cameras["lens"], get_args(LensChoice))
    groups = tuple(_names("--same-lens", text) for text in cameras["same_lens"])
    known = {} if cameras["lenses"] is None else _lenses(cameras["lenses"])
    return CalibrateConfig(
        intrinsics=IntrinsicsConfig(lens=lens, shared=groups),
        bundle=BundleConfig(shared=groups, line_time=True if cameras["line_time"] else "auto"),
        world=_world(world),
        known=known,
    )


def _world(options: Mapping[str, Any]) -> WorldConfig:
    floor = FloorConfig(
        thickness_m=options["thickness_mm"] / 1000,
        origin=_one_of("--origin", options["origin"], get_args(Origin)),
        heading=_one_of("--heading", options["heading"], get_args(Heading)),
    )
    distance = None if options["distance"] is None else _distance(options["distance"])
    return WorldConfig(floor, options["person"], options["floor_picture"], distance)


def _lenses(path: Path) -> dict[str, Any]:
    return {camera.name: camera.intrinsics for camera in read_calibration(path)}


def _distance(text: str) -> KnownDistance:
    names, _, metres = text.partition("=")
    cameras = tuple(name.strip() for name in names.split(","))
    try:
        value = float(metres)
    except ValueError:
        value = math.nan
    if math.isnan(value) or len(cameras) != 2:
        raise ConfigError(
            f"{text!r} is not CAMERA,CAMERA=METRES",
            where="--distance",
            remedy="Write e.g. --distance cam01,cam03=4.25.",
        )
    return KnownDistance((cameras[0], cameras[1]), value)


def _names(option: str, text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if len(names) < 2:
        raise ConfigError(f"{text!r} names no two cameras", where=option, remedy="Write e.g. cam01,cam02.")
    return names


def _one_of(option: str, value: str, known: tuple[str, ...]) -> Any:
    if value not in known:
        raise ConfigError(f"there is no {value!r}", where=option, remedy=f"Known: {', '.join(known)}.")
    return value
