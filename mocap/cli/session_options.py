"""How `mocap session new` describes cameras."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.errors import InputError

if TYPE_CHECKING:
    from mocap.core.session import SessionCamera


def session_like(path: Path | None) -> tuple[tuple[SessionCamera, ...], dict[str, Any]]:
    """Cameras and `[board]` table of another session; nothing without one."""
    from mocap.io.session_files import open_session

    if path is None:
        return (), {}
    other = open_session(path)
    return other.cameras, dict(other.board)


def cameras_of(
    named: Sequence[str], known: Sequence[SessionCamera], device: Mapping[str, Any], turned: Sequence[str]
) -> tuple[SessionCamera, ...]:
    """Cameras that NAME=SOURCE texts name, else those already known, with what is asked of every device and by what
    they are turned (NAME=DEGREES)."""
    cameras = tuple(_camera(text) for text in named) or tuple(known)
    asked = {key: _value(key, value) for key, value in device.items()}
    turns = dict(_turn(text, [camera.name for camera in cameras]) for text in turned)
    return tuple(replace(camera, **asked, rotation=turns.get(camera.name, camera.rotation)) for camera in cameras)


def _camera(text: str) -> SessionCamera:
    """Of NAME=SOURCE, or of a name alone: a camera that films by itself."""
    from mocap.capture.address import EXAMPLES, parse_address
    from mocap.core.session import SessionCamera

    name, equals, source = (part.strip() for part in text.partition("="))
    if equals and not source:
        raise InputError(
            f"{text!r} names no source", where="--camera", remedy=f"Write NAME alone, or NAME= and one of {EXAMPLES}."
        )
    camera = SessionCamera(name, source or None)
    if source:
        parse_address(source, camera=name)
    return camera


def renames_of(texts: Sequence[str]) -> dict[str, str]:
    """Of OLD=NEW texts."""
    pairs = [text.partition("=") for text in texts]
    for text, (old, _, new) in zip(texts, pairs, strict=True):
        if not old or not new:
            raise InputError(f"{text!r} is not OLD=NEW", where="--camera", remedy="Write e.g. --camera GX01=left.")
    return {old: new for old, _, new in pairs}


def _value(key: str, value: Any) -> Any:
    if key == "size":
        found = re.fullmatch(r"(\d+)[x×](\d+)", value.strip().lower())
        if not found:
            raise InputError(f"{value!r} is not width x height", where="--size", remedy="Write it as 1280x720.")
        return int(found[1]), int(found[2])
    if key in ("exposure", "gain", "focus") and value != "auto":
        try:
            return float(value)
        except ValueError:
            raise InputError(f"{value!r} is not a number", where=f"--{key}", remedy="Give auto or a number.") from None
    return value


def _turn(text: str, cameras: Sequence[str]) -> tuple[str, int]:
    name, _, degrees = text.partition("=")
    if name not in cameras or not degrees.lstrip("-").isdigit():
        raise InputError(
            f"{text!r} is not NAME=DEGREES of a camera", where="--rotation", remedy=f"Cameras: {', '.join(cameras)}."
        )
    return name, int(degrees) % 360
