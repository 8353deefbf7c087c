"""ASF text (Acclaim skeleton file) to `AsfSkeleton`. Every error names file and line, what was expected and is there.

Convention: angles of an `axis` turn about fixed axes in the order of its letters: `XYZ` is `Rz @ Ry @ Rx`. Directions
are those of the rest pose in the file's world.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from mocap.core.errors import FileFormatError

ROOT = "root"
TRANSLATIONS, TURNS = ("tx", "ty", "tz"), ("rx", "ry", "rz")
SECTIONS = (":version", ":name", ":units", ":documentation", ":root", ":bonedata", ":hierarchy", ":skin")
_SHOWN_CHARACTERS = 40
_PER_BONE = {"id": 1, "name": 1, "direction": 3, "length": 1, "axis": 4, "bodymass": 1, "cofmass": 1}
_BONE_KEYS = (*_PER_BONE, "dof", "limits")


@dataclass(frozen=True)
class AsfBone:
    """direction: unit vector at rest; length: units of the file; axis: world_from_dof; dof: e.g. ("rx", "rz").

    limits: degrees, one pair for each dof.
    """

    name: str
    direction: tuple[float, float, float]
    length: float
    axis: Rotation
    dof: tuple[str, ...]
    limits: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class AsfSkeleton:
    """bones: by name. parents: each bone's parent, `root` or a bone. order: the root's channels as AMC lists them.

    length_unit: the file's `length`; CMU's 0.45 says that a number divided by it is inches.
    root_position: units of the file; root_axis: world_from_dof of the root at rest.
    """

    bones: dict[str, AsfBone]
    parents: dict[str, str]
    order: tuple[str, ...]
    root_axis: Rotation
    root_position: tuple[float, float, float]
    length_unit: float


class Line(NamedTuple):
    """One line's words without comment, and how to complain about it."""

    words: list[str]
    number: int
    where: str

    def fail(self, expected: str, found: str | None = None) -> FileFormatError:
        text = " ".join(self.words) if found is None else found
        shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
        return FileFormatError(f"expected {expected}, found {shown!r}", where=f"{self.where}:{self.number}")

    def numbers(self, words: list[str], count: int, what: str) -> list[float]:
        """`count` finite numbers."""
        if len(words) != count:
            raise self.fail(f"{count} numbers for {what}")
        return [self.number_of(word, what) for word in words]

    def number_of(self, word: str, what: str) -> float:
        try:
            value = float(word)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise self.fail(f"a number for {what}", word)
        return value


def read_text(path: Path, kind: str) -> str:
    """The text of an old file: UTF-8, else Latin-1."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileFormatError("no such file", where=path) from None
    except IsADirectoryError:
        raise FileFormatError(f"is a folder, expected an {kind} file", where=path) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def lines_of(text: str, where: str) -> list[Line]:
    """Lines with words; what follows `#` is a comment."""
    rows = (row.split("#", 1)[0].split() for row in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return [Line(words, number, where) for number, words in enumerate(rows, 1) if words]


@dataclass
class _Draft:
    """What the sections say, while they are read."""

    in_degrees: bool = True
    length_unit: float = 1.0
    root: dict[str, Line] = field(default_factory=dict)
    bones: dict[str, AsfBone] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)


def parse_asf(text: str, where: str = "ASF") -> AsfSkeleton:
    """Parse the text of an ASF file; `where` names it in errors."""
    sections, last = _sections(lines_of(text, where), where)
    for name in (":root", ":bonedata", ":hierarchy"):
        if name not in sections:
            raise last.fail(f"a section {name} before the end of the file", "the end of the file")
    draft = _Draft()
    _read_units(sections.get(":units", []), draft)
    draft.root = {line.words[0].lower(): line for line in sections[":root"]}
    for block in _blocks(sections[":bonedata"]):
        bone = _read_bone(block, draft.in_degrees)
        if bone.name in draft.bones or bone.name == ROOT:
            raise block[0].fail("a bone of another name", bone.name)
        draft.bones[bone.name] = bone
    _read_hierarchy(sections[":hierarchy"], draft)
    orphans = [name for name in draft.bones if name not in draft.parents]
    if orphans:
        raise last.fail(f"{', '.join(orphans)} in the :hierarchy", "no parent for them")
    order, axis, position = _read_root(draft, sections[":root"], last)
    return AsfSkeleton(draft.bones, draft.parents, order, axis, position, draft.length_unit)


def _sections(lines: list[Line], where: str) -> tuple[dict[str, list[Line]], Line]:
    sections: dict[str, list[Line]] = {}
    current: list[Line] | None = None
    for line in lines:
        word = line.words[0].lower()
        if word.startswith(":"):
            if word not in SECTIONS:
                raise line.fail(f"one of {' '.join(SECTIONS)}")
            current = sections.setdefault(word, [])
        elif current is None:
            raise line.fail("a section such as :root")
        else:
            current.append(line)
    return sections, lines[-1] if lines else Line([], 1, where)


def _read_units(lines: list[Line], draft: _Draft) -> None:
    for line in lines:
        key = line.words[0].lower()
        if key == "angle":
            if line.words[1:] not in (["deg"], ["rad"]):
                raise line.fail("'angle deg' or 'angle rad'")
            draft.in_degrees = line.words[1] == "deg"
        elif key == "length":
            draft.length_unit = line.numbers(line.words[1:], 1, "length")[0]
            if draft.length_unit <= 0:
                raise line.fail("a length unit above 0")


def _blocks(lines: list[Line]) -> list[list[Line]]:
    """Lines between `begin` and `end`; the line of `begin` comes first."""
    blocks: list[list[Line]] = []
    is_open = False
    for line in lines:
        word = line.words[0].lower()
        if word == "begin" and not is_open:
            blocks.append([line])
            is_open = True
        elif not is_open or word == "begin":
            raise line.fail("'end'" if is_open else "'begin'")
        elif word == "end":
            is_open = False
        else:
            blocks[-1].append(line)
    if is_open:
        raise lines[-1].fail("'end' after it")
    return blocks


def _read_bone(block: list[Line], in_degrees: bool) -> AsfBone:
    found: dict[str, Line] = {}
    bounds: list[tuple[Line, str]] = []
    key = ""
    for line in block[1:]:
        is_more = line.words[0].startswith("(")
        key = key if is_more else line.words[0].lower()
        if key not in _BONE_KEYS or (is_more and key != "limits"):
            raise line.fail(f"one of {' '.join(_BONE_KEYS)}")
        if key == "limits":
            bounds += [(line, pair) for pair in re.findall(r"\(([^()]*)\)", " ".join(line.words))]
        if len(line.words) != _PER_BONE.get(key, len(line.words) - 1) + 1:
            raise line.fail(f"{_PER_BONE[key]} values after {key!r}")
        found[key] = line
    for needed in ("name", "direction", "length"):
        if needed not in found:
            raise block[-1].fail(f"{needed!r} before the end of the bone")
    name = found["name"].words[1]
    direction = np.array(found["direction"].numbers(found["direction"].words[1:], 3, "direction"))
    length = found["length"].numbers(found["length"].words[1:], 1, "length")[0]
    if length < 0 or (length > 0 and not np.linalg.norm(direction)):
        raise found["length"].fail(f"a direction and a length of at least 0 for {name!r}")
    dof = tuple(word.lower() for word in found["dof"].words[1:]) if "dof" in found else ()
    if set(dof) - set(TURNS) or len(set(dof)) != len(dof):
        raise found["dof"].fail(
            f"rx, ry, rz, once each, for {name!r} (a bone that moves or stretches is not known here)"
        )
    unit = direction / max(float(np.linalg.norm(direction)), 1e-300)
    axis = axis_of(found["axis"], in_degrees) if "axis" in found else Rotation.identity()
    return AsfBone(name, (*unit.tolist(),), length, axis, dof, _limits(bounds, dof, in_degrees))


def _limits(bounds: list[tuple[Line, str]], dof: tuple[str, ...], in_degrees: bool) -> tuple[tuple[float, float], ...]:
    pairs = []
    for line, text in bounds:
        try:
            low, high = (float(word) for word in text.replace(",", " ").split())  # inf is allowed
        except ValueError:
            raise line.fail("limits such as (-45.0 90.0)") from None
        pairs.append((low, high) if in_degrees else (np.rad2deg(low), np.rad2deg(high)))
    if bounds and len(pairs) != len(dof):
        raise bounds[-1][0].fail(f"{len(dof)} pairs of limits, one a dof", f"{len(pairs)} pairs")
    return tuple(pairs) or ((-np.inf, np.inf),) * len(dof)


def axis_of(line: Line, in_degrees: bool) -> Rotation:
    """Of `axis 0 0 20 XYZ`."""
    letters = line.words[4].lower()
    if sorted(letters) != ["x", "y", "z"]:
        raise line.fail("the letters X, Y, Z in some order", line.words[4])
    angles = dict(zip("xyz", line.numbers(line.words[1:4], 3, "axis"), strict=True))
    return Rotation.from_euler(letters, [angles[letter] for letter in letters], degrees=in_degrees)


def _read_hierarchy(lines: list[Line], draft: _Draft) -> None:
    blocks = _blocks(lines)
    for line in blocks[0][1:] if blocks else []:
        parent, *children = line.words
        if parent != ROOT and parent not in draft.parents:
            raise line.fail("a parent that is already in the tree", parent)
        for child in children:
            if child not in draft.bones or child in draft.parents:
                raise line.fail("a bone of :bonedata that has no parent yet", child)
            draft.parents[child] = parent


def _read_root(
    draft: _Draft, lines: list[Line], last: Line
) -> tuple[tuple[str, ...], Rotation, tuple[float, float, float]]:
    if "order" not in draft.root:
        raise (lines[-1] if lines else last).fail("'order TX TY TZ RX RY RZ' in :root")
    line = draft.root["order"]
    order = tuple(word.lower() for word in line.words[1:])
    if sorted(order) != sorted(TRANSLATIONS + TURNS):
        raise line.fail("TX TY TZ RX RY RZ in some order", " ".join(line.words[1:]))
    position = _triple(draft.root.get("position"))
    turn = draft.root.get("orientation")
    if turn is None:
        return order, Rotation.identity(), position
    letters = draft.root["axis"].words[1:] if "axis" in draft.root else ["XYZ"]
    merged = Line(["axis", *turn.words[1:], *letters], turn.number, turn.where)
    if len(merged.words) != 5:
        raise turn.fail("three angles for the root's orientation, and an axis such as XYZ")
    return order, axis_of(merged, draft.in_degrees), position


def _triple(line: Line | None) -> tuple[float, float, float]:
    if line is None:
        return 0.0, 0.0, 0.0
    x, y, z = line.numbers(line.words[1:], 3, line.words[0])
    return x, y, z
