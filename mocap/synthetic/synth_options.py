"""From what people type to a configuration: a file, then options, then single keys."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mocap.core.config import load_config
from mocap.core.errors import ConfigError
from mocap.synthetic.synth_config import PersonConfig, SynthConfig

APART_M = 0.9
"""Distance from the middle at which several people start by default."""


def synth_config(
    path: Path | None,
    options: Mapping[str, Any],
    settings: Sequence[str],
    *,
    people: int | None = None,
    motions: Sequence[str] = (),
    start_pose: str | None = None,
) -> SynthConfig:
    """options: dotted keys -> values, None where not given. people, motions, start_pose: a cast in place of the file's.

    One motion stands for all; with several there is a person for each.
    """
    given = [f"{key}={_toml(key, value)}" for key, value in options.items() if value is not None]
    config = load_config(SynthConfig, path, [*given, *settings])
    if people is None and not motions and start_pose is None:
        return config
    return SynthConfig.model_validate(dict(config) | {"people": _cast(config, people, motions, start_pose)})


def _toml(key: str, value: Any) -> str:
    if key == "rig.image_size":
        match = re.fullmatch(r"(\d+)\s*[xX×]\s*(\d+)", str(value))
        if match is None:
            raise ConfigError(f"{value!r} is not WIDTHxHEIGHT", where="--size", remedy="Write e.g. --size 1280x720.")
        return f"[{match[1]}, {match[2]}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cast(
    config: SynthConfig, people: int | None, motions: Sequence[str], start_pose: str | None
) -> tuple[PersonConfig, ...]:
    count = people or max(len(motions), 1 if motions else len(config.people))
    if len(motions) not in (0, 1, count):
        raise ConfigError(
            f"{len(motions)} motions for {count} people", where="--motion", remedy="Give one for all, or one for each."
        )
    cast = []
    for number in range(count):
        person = config.people[number] if number < len(config.people) else _placed(number, count)
        change: dict[str, Any] = {}
        if motions:
            change["motion"] = motions[number] if len(motions) > 1 else motions[0]
        if start_pose is not None:
            change["start_pose"] = start_pose
        if count > 1 and number < len(config.people) and person.position_m == (0.0, 0.0):
            placed = _placed(number, count)
            change |= {"position_m": placed.position_m, "heading_deg": placed.heading_deg}
        cast.append(PersonConfig.model_validate(dict(person) | change))
    return tuple(cast)


def _placed(number: int, count: int) -> PersonConfig:
    """On a circle, each facing across it."""
    angle = 2 * math.pi * number / count
    x, y = APART_M * math.cos(angle), APART_M * math.sin(angle)
    return PersonConfig(position_m=(round(x, 3), round(y, 3)), heading_deg=round(math.degrees(angle) - 90.0, 3) % 360)
