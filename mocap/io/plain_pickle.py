"""Reads the few pickled lists that pandas leaves in HDF5 attributes, without unpickling.

A pickle is a program; running one from a stranger runs what the stranger likes. `pickletools.genops` only takes it
apart. Here the opcodes that build lists, tuples, dictionaries, texts and numbers are carried out by hand, and every
other one (those that import, call or set state) is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any

MAX_BYTES = 16 * 2**20
VALUE_OPCODES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
}  # fmt: skip
IGNORED_OPCODES = {"PROTO", "FRAME"}
MARK = object()


class NotPlainDataError(ValueError):
    """The pickle holds something else than lists, tuples, dictionaries, texts and numbers, or is broken."""


def parse_plain_pickle(data: bytes) -> Any:
    """The value of a pickle of plain data. Raises NotPlainDataError for anything else."""
    if len(data) > MAX_BYTES:
        raise NotPlainDataError(f"{len(data)} bytes")
    machine = PlainMachine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except NotPlainDataError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise NotPlainDataError(f"broken ({error})") from None
    raise NotPlainDataError("ends early")


class PlainMachine:
    """The stack and the memo of the pickle protocols 0 to 4, for plain values."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        if len(self.stack) != 1 or self.stack[0] is MARK:
            raise NotPlainDataError("ends with an unfinished value")
        return self.stack[0]

    def step(self, name: str, argument: Any) -> None:
        if name in VALUE_OPCODES:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name]())
        elif name in ACTIONS:
            ACTIONS[name](self, argument)
        elif name not in IGNORED_OPCODES:
            raise NotPlainDataError(f"uses {name}")

    def above_mark(self) -> list[Any]:
        """Takes everything down to the last mark off the stack."""
        for depth in range(len(self.stack) - 1, -1, -1):
            if self.stack[depth] is MARK:
                items = self.stack[depth + 1 :]
                del self.stack[depth:]
                return items
        raise NotPlainDataError("a mark is missing")

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) < count or any(item is MARK for item in self.stack[-count:]):
            raise NotPlainDataError("the stack is too short")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def extend(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def update(self, items: list[Any]) -> None:
        self._top(dict).update(zip(items[0::2], items[1::2], strict=True))

    def remember(self, slot: int | None) -> None:
        self.memo[len(self.memo) if slot is None else slot] = self.stack[-1]

    def _top(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise NotPlainDataError(f"expected a {kind.__name__} on the stack")
        return self.stack[-1]


def _dictionary(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[0::2], items[1::2], strict=True))


CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "MARK": lambda: MARK,
}

ACTIONS: dict[str, Callable[[PlainMachine, Any], None]] = {
    "LIST": lambda m, _: m.stack.append(m.above_mark()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.above_mark())),
    "TUPLE1": lambda m, _: m.stack.append(tuple(m.pop(1))),
    "TUPLE2": lambda m, _: m.stack.append(tuple(m.pop(2))),
    "TUPLE3": lambda m, _: m.stack.append(tuple(m.pop(3))),
    "DICT": lambda m, _: m.stack.append(_dictionary(m.above_mark())),
    "APPEND": lambda m, _: m.extend(m.pop(1)),
    "APPENDS": lambda m, _: m.extend(m.above_mark()),
    "SETITEM": lambda m, _: m.update(m.pop(2)),
    "SETITEMS": lambda m, _: m.update(m.above_mark()),
    "PUT": lambda m, slot: m.remember(slot),
    "BINPUT": lambda m, slot: m.remember(slot),
    "LONG_BINPUT": lambda m, slot: m.remember(slot),
    "MEMOIZE": lambda m, _: m.remember(None),
    "GET": lambda m, slot: m.stack.append(m.memo[slot]),
    "BINGET": lambda m, slot: m.stack.append(m.memo[slot]),
    "LONG_BINGET": lambda m, slot: m.stack.append(m.memo[slot]),
}
