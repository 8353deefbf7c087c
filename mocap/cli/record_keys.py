"""Single keys from a terminal, without Enter."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol, runtime_checkable

ARROWS = {"[C": "right", "[D": "left", "[A": "up", "[B": "down", "OC": "right", "OD": "left", "OA": "up", "OB": "down"}
NAMES = {" ": "space", "\r": "enter", "\n": "enter", "\x1b": "escape", "\x04": "q"}


@runtime_checkable
class Keys(Protocol):
    """Where keys come from."""

    def next(self, timeout_s: float) -> str | None:
        """The name of the next key ("space", "enter", "left", "r", …), None where none came in time."""
        ...


class TerminalKeys:
    """Keys of the terminal at standard input. Use as a context manager: it restores how the terminal was."""

    def __enter__(self) -> TerminalKeys:
        self._was = None
        if sys.platform != "win32":
            import termios
            import tty

            self._was = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if sys.platform != "win32" and self._was is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._was)

    def next(self, timeout_s: float) -> str | None:
        """The next key."""
        text = _windows_text(timeout_s) if sys.platform == "win32" else _posix_text(timeout_s)
        if text is None:
            return None
        return ARROWS.get(text[1:]) or NAMES.get(text, text.lower()[:1])


def _posix_text(timeout_s: float) -> str | None:
    """What is waiting: one letter, or the whole sequence of an arrow."""
    import os
    import select

    if not select.select([sys.stdin], [], [], timeout_s)[0]:
        return None
    text = os.read(sys.stdin.fileno(), 1).decode(errors="replace")
    if text != "\x1b":
        return text or "q"  # the end of standard input
    while select.select([sys.stdin], [], [], 0.02)[0] and len(text) < 3:
        text += os.read(sys.stdin.fileno(), 1).decode(errors="replace")
    return text


def _windows_text(timeout_s: float) -> str | None:
    if sys.platform != "win32":
        return None
    import msvcrt

    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if msvcrt.kbhit():
            text = msvcrt.getwch()
            if text in ("\x00", "\xe0"):
                return {"M": "\x1b[C", "K": "\x1b[D", "H": "\x1b[A", "P": "\x1b[B"}.get(msvcrt.getwch(), "")
            return text
        time.sleep(0.02)
    return None
