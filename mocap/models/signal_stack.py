"""The stack that signals are handled on, kept from libraries that leave another one behind.

OpenVINO's CPU plugin gives the thread that loads it an alternate signal stack, large enough for AMX registers, and
takes it back when it is unloaded. Of several plugins that end in another order than they began, the last one restores a
stack whose memory is gone (2026.4): the next signal, a Ctrl-C, then ends the process by SIGSEGV, before any handler.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """`stack_t` of sigaltstack(2)."""

    _fields_ = (("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Give this thread back, in the end, the alternate signal stack that it has now, or none. Linux only; elsewhere
    nothing happens."""
    if not sys.platform.startswith("linux"):
        yield
        return
    sigaltstack = ctypes.CDLL(None, use_errno=True).sigaltstack
    before = _Stack()
    sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        sigaltstack(ctypes.byref(before), None)


def signal_stack() -> int | None:
    """Where this thread's alternate signal stack lies; None for none, and where that is not known."""
    if not sys.platform.startswith("linux"):
        return None
    now = _Stack()
    ctypes.CDLL(None, use_errno=True).sigaltstack(None, ctypes.byref(now))
    return now.place
