"""Errors that a user can act on; `cli` prints one sentence and exits with 2."""

from __future__ import annotations

import errno
import traceback
from pathlib import PurePath

from calibration.errors import CalibrationError, InputError, UnknownCameraError

__all__ = [
    "CalibrationError",
    "ConfigError",
    "FileFormatError",
    "InputError",
    "NoPersonError",
    "UnknownCameraError",
    "VideoError",
    "sentence_for_user",
    "sentence_of_fault",
]

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class VideoError(InputError):
    """A video that is missing, empty, of another size than its calibration, or cannot be decoded."""


class ConfigError(InputError):
    """An unknown key or an impossible value in a configuration file or a `--set`."""


class FileFormatError(InputError):
    """A file that is not what its name says."""


class NoPersonError(InputError):
    """A take in which nobody can be found (in enough views)."""


def sentence_for_user(error: BaseException) -> str | None:
    """What happened, where, and what to do; None for an error that is a fault of the program."""
    if isinstance(error, InputError):
        return str(error)
    if not isinstance(error, OSError):
        return None
    where = error.filename or "the output folder"
    if error.errno in FULL:
        return f"{where}: the disk is full. Free some space and run the same command again."
    if error.errno in FORBIDDEN:
        return f"{where}: cannot be read or written here. Check its permissions, or choose another folder with -o."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{where}: is a file where a folder is needed. Rename it, or choose another folder with -o."
    return None


def sentence_of_fault(error: BaseException) -> str:
    """What an error says that nobody expected, and where in the program it came from."""
    places = traceback.extract_tb(error.__traceback__)
    place = f" (at {PurePath(places[-1].filename).name}:{places[-1].lineno})" if places else ""
    return f"{type(error).__name__}: {error}{place}"
