"""BVH text to `BvhFile`. Tolerant of layout (tabs, CRLF, brace placement, case), strict about content.

Every error names file and line, what was expected and what is there.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mocap.core.errors import FileFormatError
from mocap.io.bvh_file import CHANNELS, BvhFile

MOTION_LINE = re.compile(r"^[ \t]*MOTION[ \t]*$", re.IGNORECASE | re.MULTILINE)
FRAMES = re.compile(r"\s*Frames\s*:[ \t]*(\S*)[ \t]*$", re.IGNORECASE | re.MULTILINE)
FRAME_TIME = re.compile(r"\s*Frame\s+Time\s*:[ \t]*(\S*)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_CANONICAL = {name.lower(): name for name in CHANNELS}
_SHOWN_CHARACTERS = 40


def read_bvh(path: Path) -> BvhFile:
    """Read a BVH file, every number at full precision."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileFormatError("no such file", where=path) from None
    except IsADirectoryError:
        raise FileFormatError("is a folder, expected a BVH file", where=path) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # joint names from an old Windows program; the rest of a BVH is ASCII
    return parse_bvh(text, where=str(path))


def parse_bvh(text: str, where: str = "BVH") -> BvhFile:
    """Parse the text of a BVH file; `where` names it in errors."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    motion = MOTION_LINE.search(text)
    tree = _read_hierarchy(text[: motion.start()] if motion else text, where)
    if motion is None:
        raise FileFormatError("the file ends without a MOTION section", where=_at(where, text.count("\n") + 1))
    n_frames, frames_end = _header(text, motion.end(), FRAMES, "'Frames: <number>'", where)
    frame_time, body_start = _header(text, frames_end, FRAME_TIME, "'Frame Time: <seconds>'", where)
    if not np.isfinite(n_frames) or n_frames != int(n_frames) or n_frames < 0:
        raise _unexpected(where, _line_of(text, frames_end), "a whole number of frames", f"{n_frames:g}")
    if not np.isfinite(frame_time) or frame_time <= 0:
        raise _unexpected(where, _line_of(text, body_start), "a frame time above 0 seconds", f"{frame_time:g}")
    n_columns = sum(len(names) for names in tree.channels)
    values = _values(text[body_start:], int(n_frames) * n_columns)
    if values is None:
        where_frames = _at(where, _line_of(text, frames_end))
        raise _bad_row(text, body_start, n_columns, where) or _bad_count(text, body_start, int(n_frames), where_frames)
    return BvhFile(
        joint_names=tuple(tree.names),
        parents=np.array(tree.parents, dtype=np.int64),
        offsets=np.array(tree.offsets, dtype=np.float64),
        channels=tuple(tree.channels),
        end_parents=np.array(tree.end_parents, dtype=np.int64),
        end_offsets=np.array(tree.end_offsets, dtype=np.float64).reshape(-1, 3),
        values=values.reshape(int(n_frames), n_columns),
        frame_time=frame_time,
    )


def _at(where: str, line: int) -> str:
    return f"{where}:{line}"


def _line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _unexpected(where: str, line: int, expected: str, found: str) -> FileFormatError:
    shown = found if len(found) <= _SHOWN_CHARACTERS else found[:_SHOWN_CHARACTERS] + "…"
    return FileFormatError(f"expected {expected}, found {shown!r}", where=_at(where, line))


@dataclass
class _Tree:
    """What the HIERARCHY section says, while it is read."""

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[list[float]] = field(default_factory=list)
    channels: list[tuple[str, ...]] = field(default_factory=list)
    end_parents: list[int] = field(default_factory=list)
    end_offsets: list[list[float]] = field(default_factory=list)


class _Tokens:
    """Words and braces of the HIERARCHY section with their lines."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.words: list[tuple[str, int]] = []
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            self.words += [(word, number) for word in line.replace("{", " { ").replace("}", " } ").split()]
        self.words.append(("", len(lines)))
        self.position = 0

    @property
    def word(self) -> str:
        return self.words[self.position][0]

    @property
    def line(self) -> int:
        return self.words[self.position][1]

    def fail(self, expected: str) -> FileFormatError:
        return _unexpected(self.where, self.line, expected, self.word or "the end of the hierarchy")

    def take(self) -> str:
        word = self.word
        self.position = min(self.position + 1, len(self.words) - 1)
        return word

    def keyword(self, *accepted: str) -> str:
        """The next word, which must be one of `accepted` in any case."""
        if self.word.upper() not in accepted:
            raise self.fail(" or ".join(accepted))
        return self.take().upper()

    def rest_of_line(self) -> str:
        """Words up to the line's end or a brace, as one name: names with blanks exist."""
        line, words = self.line, []
        while self.word not in ("", "{", "}") and self.line == line:
            words.append(self.take())
        return " ".join(words)

    def numbers(self, count: int, what: str) -> list[float]:
        values = []
        for _ in range(count):
            try:
                value = float(self.word)
            except ValueError:
                value = np.nan
            if not np.isfinite(value):
                raise self.fail(what)
            values.append(value)
            self.take()
        return values


def _read_hierarchy(text: str, where: str) -> _Tree:
    tokens, tree, open_joints = _Tokens(text, where), _Tree(), list[int]()
    tokens.keyword("HIERARCHY")
    while tokens.word or open_joints or not tree.names:
        if not open_joints:
            tokens.keyword("ROOT")
            _open_joint(tokens, tree, open_joints)
            continue
        keyword = tokens.keyword("JOINT", "END", "}")
        if keyword == "JOINT":
            _open_joint(tokens, tree, open_joints)
        elif keyword == "END":
            _read_end_site(tokens, tree, open_joints[-1])
        else:
            open_joints.pop()
    return tree


def _open_joint(tokens: _Tokens, tree: _Tree, open_joints: list[int]) -> None:
    name = tokens.rest_of_line()
    if not name:
        raise tokens.fail("the name of a joint")
    tokens.keyword("{")
    tokens.keyword("OFFSET")
    offset = tokens.numbers(3, f"three numbers after OFFSET of {name!r}")
    tree.parents.append(open_joints[-1] if open_joints else -1)
    tree.names.append(name)
    tree.offsets.append(offset)
    tree.channels.append(_read_channels(tokens, name))
    open_joints.append(len(tree.names) - 1)


def _read_channels(tokens: _Tokens, joint: str) -> tuple[str, ...]:
    if tokens.word.upper() != "CHANNELS":
        return ()
    tokens.take()
    if not tokens.word.isdecimal() or int(tokens.word) > len(CHANNELS):
        raise tokens.fail(f"the number of channels of {joint!r}, 0 to {len(CHANNELS)}")
    names: list[str] = []
    for _ in range(int(tokens.take())):
        name = _CANONICAL.get(tokens.word.lower())
        if name is None or name in names:
            raise tokens.fail(f"a channel of {joint!r}, once each of {' '.join(CHANNELS)}")
        names.append(name)
        tokens.take()
    return tuple(names)


def _read_end_site(tokens: _Tokens, tree: _Tree, joint: int) -> None:
    tokens.rest_of_line()
    tokens.keyword("{")
    tokens.keyword("OFFSET")
    tree.end_parents.append(joint)
    tree.end_offsets.append(tokens.numbers(3, f"three numbers after OFFSET of the End Site of {tree.names[joint]!r}"))
    tokens.keyword("}")


def _header(text: str, start: int, pattern: re.Pattern[str], expected: str, where: str) -> tuple[float, int]:
    match = pattern.match(text, start)
    try:
        if match:
            return float(match[1]), match.end()
    except ValueError:
        pass
    rest = text[start:].lstrip()
    line = _line_of(text, len(text) - len(rest))
    raise _unexpected(where, line, expected, rest.split("\n", 1)[0].rstrip() or "the end of the file")


def _values(block: str, count: int) -> Float[np.ndarray, "n"] | None:
    """The whole block at once (10 million numbers a second); None where it is not `count` finite numbers."""
    if not block.strip():
        return None if count else np.zeros(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy's way of saying that it met something else
        try:
            values = np.fromstring(block, dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    return values if values.size == count and np.isfinite(values).all() else None


def _bad_row(text: str, body_start: int, n_columns: int, where: str) -> FileFormatError | None:
    """The first row that is not `n_columns` numbers."""
    for number, line in enumerate(text[body_start:].split("\n"), _line_of(text, body_start)):
        words = line.split()
        for word in words:
            if not _is_finite_number(word):
                return _unexpected(where, number, "a number", word)
        if words and len(words) != n_columns:
            return _unexpected(where, number, f"{n_columns} numbers in a row, one a channel", f"{len(words)} numbers")
    return None


def _bad_count(text: str, body_start: int, n_frames: int, where: str) -> FileFormatError:
    n_rows = sum(bool(line.strip()) for line in text[body_start:].split("\n"))
    return FileFormatError(
        f"expected {n_frames} frames, found {n_rows} rows of numbers",
        where=where,
        remedy="The file is cut short, or its header is wrong: correct 'Frames:' if the rows are right.",
    )


def _is_finite_number(word: str) -> bool:
    """As numpy reads text: Python's `float` would also take `1_000` and foreign digits."""
    try:
        return word.isascii() and "_" not in word and bool(np.isfinite(float(word)))
    except ValueError:
        return False
