"""Errors that a user can act on. `cli` turns them into one sentence and exit code 2."""

from __future__ import annotations

from pathlib import Path


class InputError(ValueError):
    """Something the user gave cannot be used. The message says where, what happened and what to do.

    `where` is the file, camera or option; `what` is the fact; `remedy` is the next step for the user.
    """

    def __init__(self, what: str, *, where: str | Path | None = None, remedy: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head.rstrip('.')}. {self.remedy}" if self.remedy else head

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


def _rebuild(kind: type[InputError], what: str, where: str | None, remedy: str | None) -> InputError:
    """Unpickle across processes: keyword-only arguments do not survive the default protocol."""
    return kind(what, where=where, remedy=remedy)


class CalibrationError(InputError):
    """A calibration file or a set of cameras that cannot be used."""


class UnknownCameraError(CalibrationError):
    """A camera name that the rig does not have; the message lists those it has."""
