"""Where the values of an export for one program are found: `configs/export/<name>.toml`, or a file of the user's."""

from __future__ import annotations

import sysconfig
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mocap.core.errors import ConfigError

INSTALLED = Path("share") / "mocap" / "export"


def preset_folders() -> tuple[Path, ...]:
    """Where presets may lie: beside the source code, or where an installation puts its data."""
    beside_source = Path(__file__).resolve().parents[2] / "configs" / "export"
    schemes = (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user"))
    return (beside_source, *(Path(sysconfig.get_path("data", scheme)) / INSTALLED for scheme in schemes))


def preset_names() -> tuple[str, ...]:
    """Names of the presets that come with the program."""
    return tuple(sorted({file.stem for folder in preset_folders() for file in folder.glob("*.toml")}))


def load_preset(name: str) -> dict[str, Any]:
    """The table of a preset; `name` is one of `preset_names()`, or the path of a TOML file of the same keys."""
    candidates = (
        [folder / f"{name}.toml" for folder in preset_folders()] if not name.endswith(".toml") else [Path(name)]
    )
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise ConfigError(
            f"no export preset {name!r}; there are {', '.join(preset_names())}",
            remedy="Or give the path of a TOML file with keys of the export.",
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML ({error})", where=path) from None
    if "preset" in table:
        raise ConfigError("a preset does not name another preset", where=path)
    return table


def with_preset(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of an export over those of the preset that they name; tables are merged key by key."""
    name = given.get("preset") or ""
    return _merged(load_preset(str(name)), given) if name else dict(given)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        if isinstance(lower, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(lower, value)
        else:
            merged[key] = value
    return merged
