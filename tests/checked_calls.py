"""The annotations of both packages executed: types by beartype, shapes and the letters in them by jaxtyping.

`jaxtyping.jaxtyped` binds the arguments of every call and looks at them twice, and has the checks of all functions
written when a module is loaded. That was half the time of many tests, and 8 s for all modules. Here each argument is
looked at once, and checks are written at a function's first call. What is accepted is the same; a mistake raises
the same kind of error, in beartype's words.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Iterator
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError, install_import_hook, jaxtyped

CHECKS = BeartypeConf(violation_type=TypeCheckError)
OWN_LETTERS = jaxtyped("context")
"""While it is entered, the letters in shapes are those of one call. It holds nothing itself."""


def check_calls(*packages: str) -> None:
    """Execute the annotations of packages that are loaded from now on."""
    jaxtyping.jaxtyped = _jaxtyped  # what the import hook writes before each function and class
    install_import_hook(list(packages), "beartype.beartype")


def _jaxtyped(thing: Any = None, **options: Any) -> Any:
    return checked if thing is None else jaxtyped(thing, **options)


def checked(thing: Any) -> Any:
    """A function, or a dataclass whose fields are checked when one is made; other classes are left as they are."""
    if not isinstance(thing, type):
        return _checked_function(thing) if thing.__annotations__ else thing
    if dataclasses.is_dataclass(thing) and not hasattr(thing.__init__, "checks"):
        thing.__init__ = _checked_function(thing.__init__)
    return thing


def _checked_function(function: Callable[..., Any]) -> Callable[..., Any]:
    if any("{" in str(hint) for hint in function.__annotations__.values()):
        return jaxtyped(function, typechecker=beartype)  # a size is an argument's value

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal run
        if run is None:
            run = _with_checks(function)
        return run(*arguments, **named)

    run: Callable[..., Any] | None = None
    call.__dict__["checks"] = True
    return call


def _with_checks(function: Callable[..., Any]) -> Callable[..., Any]:
    hints = {key: _meaning(hint, function.__globals__) for key, hint in function.__annotations__.items()}
    function.__annotations__ = hints
    run = beartype(function, conf=CHECKS)
    if not any(isinstance(part, type(AbstractArray)) for hint in hints.values() for part in _parts(hint)):
        return run

    def call(*arguments: Any, **named: Any) -> Any:
        with OWN_LETTERS:
            return run(*arguments, **named)

    return call


def _meaning(hint: Any, names: dict[str, Any]) -> Any:
    """A written hint as a type; anything where it is for type checkers only, which know
    names that are not imported and parameters that compiled classes do not take."""
    try:
        return eval(hint, names) if isinstance(hint, str) else hint
    except (NameError, TypeError):
        return Any


def _read(hint: Any, names: dict[str, Any]) -> Any:
    """What is written, as an object; anything goes, as in jaxtyping, for what is imported for type checkers only."""

    def one() -> None: ...

    one.__annotations__ = {"hint": hint}
    try:
        return typing.get_type_hints(one, names, include_extras=True)["hint"]
    except (NameError, AttributeError, TypeError, ValueError):
        return Any


def _parts(hint: Any) -> Iterator[Any]:
    yield hint
    for part in typing.get_args(hint):
        yield from _parts(part)
