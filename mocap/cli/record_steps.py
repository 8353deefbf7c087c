"""What `mocap record` is asked to record, in order, and how a step begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mocap.core.errors import ConfigError
from mocap.core.session import check_name

if TYPE_CHECKING:
    from mocap.capture.session_recording import RecordingSession
    from mocap.capture.session_recording_state import Mode

ALL = "all"
DEFAULT_TAKE = "motion"


@dataclass(frozen=True)
class Step:
    """camera: of intrinsics. name, number: of a take; number None: the next free one."""

    mode: Mode
    camera: str | None = None
    name: str | None = None
    number: int | None = None

    @property
    def title(self) -> str:
        """For people."""
        if self.mode == "take":
            return f"take {self.name}" + (f" {self.number}" if self.number is not None else "")
        return f"lens {self.camera}" if self.camera else self.mode


@dataclass(frozen=True)
class Pace:
    """seconds: of every clip, None: until enough or a key; countdown_s: before takes."""

    seconds: float | None = None
    countdown_s: float = 0.0


def asked_steps(
    cameras: Sequence[str],
    *,
    intrinsics: Sequence[str] = (),
    extrinsics: bool = False,
    floor: bool = False,
    takes: Sequence[str] = (),
    number: int | None = None,
) -> list[Step]:
    """In the order of a day. intrinsics: names, separated by commas or not, or "all"."""
    if number is not None and len(takes) != 1:
        raise ConfigError("numbers one take", where="--number", remedy="Give it with one --take.")
    named = [name.strip() for text in intrinsics for name in text.split(",") if name.strip()]
    if ALL in named and ALL not in cameras:
        named = list(cameras)
    unknown = [name for name in named if name not in cameras]
    if unknown:
        raise ConfigError(
            f"there is no camera {', '.join(unknown)} to record",
            where="--intrinsics",
            remedy=f"There are {', '.join(cameras)}; or write all.",
        )
    for name in takes:
        check_name("take", name)
    steps = [Step("intrinsics", camera=name) for name in dict.fromkeys(named)]
    steps += [Step("extrinsics")] if extrinsics else []
    steps += [Step("floor")] if floor else []
    return steps + [Step("take", name=name, number=number) for name in takes]


def check_ends(steps: Sequence[Step], pace: Pace) -> None:
    """Refuse takes that nobody would end."""
    for step in steps:
        if step.mode == "take" and pace.seconds is None:
            raise ConfigError(
                f"{step.title} has no end", where="--seconds", remedy="Say how long takes are: --seconds 10."
            )


def whole_day(cameras: Sequence[str]) -> list[Step]:
    """Everything, for whoever chooses by keys."""
    return asked_steps(cameras, intrinsics=(ALL,), extrinsics=True, floor=True, takes=(DEFAULT_TAKE,))


def begin(recording: RecordingSession, step: Step, pace: Pace) -> None:
    """Start to record a step; returns at once."""
    match step.mode:
        case "intrinsics":
            recording.intrinsics(step.camera or "", duration_s=pace.seconds)
        case "extrinsics":
            recording.extrinsics(duration_s=pace.seconds)
        case "floor":
            recording.floor(duration_s=pace.seconds)
        case "take":
            name = step.name or DEFAULT_TAKE
            recording.take(name, step.number, countdown_s=pace.countdown_s, duration_s=pace.seconds)
