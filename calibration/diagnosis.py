"""What went wrong when a calibration was recorded: every finding a sentence that says what happened and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from calibration.camera import Intrinsics
from calibration.observations import BoardObservations


@dataclass(frozen=True)
class Finding:
    """kind: a fixed word for machines. severity: an "error" makes a calibration useless, a "warning" may.
    cameras: whom it concerns, empty for all. sentence: what happened and what to do."""

    kind: str
    severity: Literal["error", "warning"]
    cameras: tuple[str, ...]
    sentence: str


def diagnose(
    observations: BoardObservations, intrinsics: Mapping[str, Intrinsics] | None = None
) -> tuple[Finding, ...]:
    """Faults of the recording, worst first. With `intrinsics` of the cameras more can be told: mirrored pictures,
    exchanged names, clips that do not run together."""
    raise NotImplementedError
