"""Packages that only synthetic sessions need: imported when first used, with a remedy where they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from mocap.core.errors import InputError

INSTALL = "python tools/bootstrap.py env --extra synth"


def require(name: str) -> ModuleType:
    """The package, or an InputError that says how to get it; one that is installed but does not load is told apart."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise InputError(f"does not load: it lacks {error.name}", where=name, remedy=f"Run: {INSTALL}") from error
        raise InputError(
            "not installed; synthetic bodies and pictures need it", where=name, remedy=f"Run: {INSTALL}"
        ) from None
    except (ImportError, OSError) as error:  # a shared library of the system is missing
        raise InputError(
            f"is installed but does not load ({error})",
            where=name,
            remedy="On Debian or Ubuntu: apt install libusb-1.0-0 libgl1 libgomp1",
        ) from error
