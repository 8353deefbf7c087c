"""Configuration: frozen typed objects beside the code that reads them; TOML files hold values only."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from mocap.core.errors import ConfigError


class Config(BaseModel):
    """Base of every configuration: immutable, unknown keys refused, every field has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Report(BaseModel):
    """Base of every stage's report: plain numbers and strings that go to JSON as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


ConfigT = TypeVar("ConfigT", bound=Config)


def load_config(kind: type[ConfigT], path: Path | None, overrides: Sequence[str] = ()) -> ConfigT:
    """Defaults, then the TOML file, then `section.key=value` overrides (in TOML syntax, bare words as strings)."""
    table: dict[str, Any] = {}
    if path is not None:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError("no such configuration file", where=path) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"not valid TOML ({error})", where=path) from None
    for override in overrides:
        _apply(table, override)
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise ConfigError(_explain(kind, error), where=path) from None


def _apply(table: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"{override!r} is not KEY=VALUE", where="--set", remedy="Write e.g. --set smooth.filter=rts")
    *sections, leaf = key.strip().split(".")
    node = table
    for section in sections:
        node = node.setdefault(section, {})
        if not isinstance(node, dict):
            raise ConfigError(f"{section!r} in {key!r} is a value, not a section", where="--set")
    node[leaf] = _toml_value(text.strip())


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(kind: type[BaseModel], error: ValidationError) -> str:
    sentences = []
    for problem in error.errors():
        path = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            sentences.append(f"unknown key {path!r}; known there: {', '.join(_known_keys(kind, problem['loc'][:-1]))}")
        else:
            sentences.append(f"{path}: {problem['msg'][0].lower()}{problem['msg'][1:]} (got {problem['input']!r})")
    return "; ".join(sentences)


def _known_keys(kind: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    annotation: Any = kind
    for part in location:
        model = _as_model(annotation)
        if model is None:  # a tuple[X, ...] or dict[str, X]: its index or key leads to X
            annotation = next((a for a in reversed(get_args(annotation)) if a is not Ellipsis), None)
        else:
            field = model.model_fields.get(str(part))
            annotation = None if field is None else field.annotation
    model = _as_model(annotation)
    return ["(any)"] if model is None else sorted(model.model_fields)


def _as_model(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation names, alone or beside None."""
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
