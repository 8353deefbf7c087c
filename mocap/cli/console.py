"""How commands speak: results on stdout, everything else on stderr, one sentence for an error, and the exit code.

0 done, 1 a fault of ours, 2 the user's input, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from mocap.core.errors import sentence_for_user, sentence_of_fault

P = ParamSpec("P")
R = TypeVar("R")

EXIT_FAULT = 1
EXIT_INPUT = 2

stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)


def explained(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: known errors become one sentence on stderr and an exit code, unknown ones a report to file."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise _interrupted(signal.SIGINT) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if _signals:  # it struck while an extension was loading, which reports that as a failure of its own
                raise _interrupted(_signals[0]) from None
            code, sentence = explain(error)
            stderr.print(f"[bold red]Error[/] {escape(sentence)}", soft_wrap=True)
            raise typer.Exit(code) from None

    return run


def obey_signals() -> None:
    """Leave through every `finally` when told to end, so that nothing half-written stays."""
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


_signals: list[int] = []


def _end(number: int, _frame: FrameType | None) -> None:
    _signals.append(number)
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def heed_signals() -> None:
    """Leave, where a signal has asked for it and the exception that it raised was lost.

    Exceptions in callbacks of the interpreter (weak references, destructors) and within some extensions go nowhere; a
    command that goes on after Ctrl-C finds out here, at its next step.
    """
    if _signals:
        raise KeyboardInterrupt if _signals[0] == signal.SIGINT else SystemExit(128 + _signals[0])


def _interrupted(number: int) -> typer.Exit:
    if number == signal.SIGINT:
        stderr.print("Interrupted. What was finished is kept; run the same command again to go on.")
    return typer.Exit(128 + number)


def explain(error: Exception) -> tuple[int, str]:
    """Exit code and sentence of an error."""
    sentence = sentence_for_user(error)
    if sentence is not None:
        return EXIT_INPUT, sentence
    if os.environ.get("MOCAP_DEBUG"):
        traceback.print_exception(error)
    return EXIT_FAULT, (
        f"{sentence_of_fault(error)}. This is a fault of the program, not of your input. "
        "Run again with MOCAP_DEBUG=1 for the whole trace and report it."
    )


def print_json(value: Any) -> None:
    """A result for machines: one JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_path(path: Path) -> None:
    """A file that was made: one line on stdout, exactly its name."""
    sys.stdout.write(f"{path}\n")


def tell(line: str) -> None:
    """A line for people on stderr, in Rich's markup, not broken where no terminal is."""
    stderr.print(line, soft_wrap=not stderr.is_terminal)
