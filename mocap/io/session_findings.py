"""What a check of a session says, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mocap.io.session_state import SessionState

Level = Literal["blocks", "warning", "note"]


@dataclass(frozen=True)
class CareFinding:
    """One thing about a session. level: "blocks" keeps something from being processed; "warning" makes results worse;
    "note" is worth knowing. where: the part of the session."""

    level: Level
    where: str
    what: str
    remedy: str = ""

    @property
    def sentence(self) -> str:
        """What, where, and what to do."""
        return f"{self.where}: {self.what.rstrip('.')}. {self.remedy}".strip()


def has_sources(state: SessionState) -> bool:
    """Whether `mocap record` could record any of its cameras; those of an import have filmed by themselves."""
    return any(camera.source for camera in state.session.cameras)


def next_step(state: SessionState, findings: Sequence[CareFinding]) -> str:
    """The one thing to do now: what keeps a calibration or take from use, else the next step of a shoot."""
    root = state.session.root
    blocking = next((finding for finding in findings if finding.level == "blocks"), None)
    if blocking is not None:
        if blocking.remedy and "\n" not in blocking.remedy:
            return blocking.remedy
        how = f" `mocap session check {root}` shows how." if blocking.remedy else ""
        return f"Mend {blocking.where}: {blocking.what.rstrip('.')}.{how}"
    if not state.takes and not has_sources(state):
        return f"Bring a take in: `mocap session import FOLDER {root}`."
    if not state.takes:
        return f"Record a take: `mocap record {root} --take NAME`."
    unsynced = [finding for finding in findings if finding.level == "warning" and "mocap sync" in finding.remedy]
    if unsynced:
        return unsynced[0].remedy
    fresh = [take for take in state.takes if take.report is None]
    if len(fresh) == 1:
        return f"Process the take: `mocap process {fresh[0].root}`."
    if fresh:
        return f"Process the takes: `mocap process {root}`."
    redo = next((finding for finding in findings if "younger than" in finding.what), None)
    return redo.remedy if redo is not None else "Nothing is left to do: all takes are processed."
