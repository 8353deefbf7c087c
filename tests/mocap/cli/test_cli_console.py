"""What a command's errors become: a sentence, an exit code, and a trace only where one is asked for."""

from __future__ import annotations

import errno
import signal
import sys
from pathlib import Path

import pytest
import typer

from mocap.cli import console
from mocap.cli.progress import BarObserver, LineObserver
from mocap.core.errors import InputError, sentence_for_user, sentence_of_fault


def ended(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and stderr of a command that raises."""

    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as caught:
        console.explained(command)()
    captured = capsys.readouterr()
    assert captured.out == ""
    return caught.value.exit_code, captured.err


def test_what_the_user_can_mend_is_one_sentence(capsys):
    error = InputError("is empty", where="take [1]/cam.mp4", remedy="Record it again.")
    assert ended(error, capsys) == (2, "Error take [1]/cam.mp4: is empty. Record it again.\n")


def test_a_fault_of_ours_says_where_and_how_to_see_more(capsys, monkeypatch):
    monkeypatch.delenv("MOCAP_DEBUG", raising=False)
    code, said = ended(ZeroDivisionError("division by zero"), capsys)
    assert code == 1
    assert said.startswith("Error ZeroDivisionError: division by zero (at test_cli_console.py:")
    assert "a fault of the program, not of your input. Run again with MOCAP_DEBUG=1" in said
    assert "Traceback" not in said
    monkeypatch.setenv("MOCAP_DEBUG", "1")
    assert "Traceback (most recent call last)" in ended(ZeroDivisionError(), capsys)[1]


def test_interrupts(capsys, monkeypatch):
    code, said = ended(KeyboardInterrupt(), capsys)
    assert (code, said.split(".")[0]) == (130, "Interrupted")
    monkeypatch.setattr(console, "_signals", [signal.SIGTERM])
    assert ended(ImportError("initialization failed"), capsys) == (143, ""), "it struck while something was loading"
    monkeypatch.setattr(console, "_signals", [signal.SIGINT])
    assert ended(ImportError("initialization failed"), capsys)[0] == 130


@pytest.mark.parametrize("observer", [LineObserver(), BarObserver()], ids=["lines", "bars"])
@pytest.mark.parametrize(("number", "ends"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_whose_exception_was_lost_is_heeded_at_the_next_step(monkeypatch, observer, number, ends):
    class Lossy:
        def __del__(self) -> None:
            console._end(number, None)  # as the signal would; a real one would strike the test run itself

    monkeypatch.setattr(console, "_signals", [])
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    Lossy()  # its destructor is where the exception goes nowhere
    for step in (
        lambda: observer.stage_started("detect"),
        lambda: observer.progressed("detect", 1, 9),
    ):
        with pytest.raises(ends):
            step()


def test_an_exit_and_its_code_pass_through(capsys):
    assert ended(typer.Exit(2), capsys) == (2, "")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "", "out/a.h5"), "out/a.h5: the disk is full. Free some space and run the same command"),
        (OSError(errno.EDQUOT, "", "a"), "a: the disk is full."),
        (OSError(errno.EFBIG, "", "a"), "a: the disk is full."),
        (OSError(errno.ENOSPC, ""), "the output folder: the disk is full."),
        (PermissionError(errno.EACCES, "", "a"), "a: cannot be read or written here. Check its permissions, or choose"),
        (OSError(errno.EROFS, "", "a"), "a: cannot be read or written here."),
        (NotADirectoryError(errno.ENOTDIR, "", "a"), "a: is a file where a folder is needed. Rename it"),
        (OSError(errno.EIO, "", "a"), None),
        (ValueError("no"), None),
    ],
)
def test_errors_of_the_system_that_a_user_can_mend(error, sentence):
    told = sentence_for_user(error)
    assert told is None if sentence is None else told is not None and told.startswith(sentence)


def test_a_fault_that_was_never_raised_has_no_place():
    assert sentence_of_fault(KeyError("a")) == "KeyError: 'a'"


def test_a_path_is_printed_as_it_is(capsys):
    path = Path("out") / ("[red]a[/] " * 30) / "walk.bvh"
    console.print_path(path)
    assert capsys.readouterr().out == f"{path}\n"
