"""A stage whose result is kept on disk with the key of what made it, and made again only when the key differs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.io.artefacts import write_text_atomic

T = TypeVar("T")


@runtime_checkable
class Observer(Protocol):
    """Told what happens; the command line draws it."""

    def stage_started(self, stage: str) -> None: ...

    def progressed(self, stage: str, done: int, total: int) -> None: ...

    def stage_finished(self, stage: str, seconds: float, *, cached: bool) -> None: ...


class SilentObserver:
    """Draws nothing."""

    def stage_started(self, stage: str) -> None:
        """Ignore it."""

    def progressed(self, stage: str, done: int, total: int) -> None:
        """Ignore it."""

    def stage_finished(self, stage: str, seconds: float, *, cached: bool) -> None:
        """Ignore it."""


@dataclass(frozen=True)
class Codec(Generic[T]):
    """How a result lives on disk: `save(value, path, key)`, `load(path)` and `key_of(path)` (None: not there)."""

    save: Callable[[T, Path, str], None]
    load: Callable[[Path], T]
    key_of: Callable[[Path], str | None]


@dataclass
class CachedStage(Generic[T]):
    """One stage of one take. `make` gets the parent's value; nothing is loaded or run before `get` is called."""

    name: str
    key: str
    path: Path
    codec: Codec[T]
    make: Callable[[Any], tuple[T, Report]]
    observer: Observer
    parent: CachedStage[Any] | None = None
    seconds: float | None = None
    _value: list[T] = field(default_factory=list)

    @property
    def report_path(self) -> Path:
        return self.path.with_suffix(".json")

    @property
    def ran(self) -> bool:
        """Whether this run had to make the result."""
        return self.seconds is not None

    def is_done(self) -> bool:
        """Whether what lies on disk is what these inputs, configuration and code would make."""
        return self.is_reported() and self.codec.key_of(self.path) == self.key

    def is_reported(self) -> bool:
        """Whether the report on disk is about such a result, wherever the result itself is."""
        document = read_stage_report(self.report_path)
        return document is not None and document["key"] == self.key

    def get(self) -> T:
        """The result: from memory, from disk, or made now."""
        if not self._value:
            self._value.append(self._kept() if self.is_done() else self._run())
        return self._value[0]

    def report(self) -> dict[str, Any]:
        """The stage's report as it lies on disk (of this run or of the one that made the artefact)."""
        document = read_stage_report(self.report_path)
        return {} if document is None else {"seconds": document["seconds"], **document["report"]}

    def _kept(self) -> T:
        try:
            return self.codec.load(self.path)
        except InputError:  # damaged behind its key
            return self._run()

    def _run(self) -> T:
        given = None if self.parent is None else self.parent.get()
        self.observer.stage_started(self.name)
        start = time.perf_counter()
        value, report = self.make(given)
        self.codec.save(value, self.path, self.key)
        self.seconds = time.perf_counter() - start
        document = {"key": self.key, "seconds": round(self.seconds, 4), "report": json.loads(report.model_dump_json())}
        write_text_atomic(self.report_path, json.dumps(document, indent=1))
        self.observer.stage_finished(self.name, self.seconds, cached=False)
        return value


def read_stage_report(path: Path) -> dict[str, Any] | None:
    """The JSON beside an artefact; None where it is missing or torn."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and {"key", "seconds", "report"} <= document.keys() else None
