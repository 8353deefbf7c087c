"""A finding, and how cameras and numbers stand in its sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """kind: a fixed word for machines. severity: an "error" makes a calibration useless, a "warning" may.
    cameras: whom it concerns, empty for all. sentence: what happened and what to do."""

    kind: str
    severity: Literal["error", "warning"]
    cameras: tuple[str, ...]
    sentence: str


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def counted(count: int, one: str) -> str:
    """1 picture, 2 pictures."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"
