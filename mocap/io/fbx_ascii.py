"""The text encoding of FBX, read into the same tree as the binary one. Numbers in arrays become float64.

`Name: value, "text", *3 { a: 1,2,3 } { children }`: a record ends with its line, unless a comma or a brace goes on.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from mocap.core.errors import FileFormatError
from mocap.io.fbx_node import FbxNode, full_name

_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|;[^\n]*)
      | (?P<line>\n)
      | (?P<text>"[^"]*")
      | (?P<key>[A-Za-z_][\w|\-]*:(?!:))
      | (?P<count>\*\d+)
      | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?:\#[A-Za-z]+)?)
      | (?P<mark>[{},])
      | (?P<word>[A-Za-z_][\w|]*)""",
    re.VERBOSE,
)
_VERSION = re.compile(r"FBXVersion:\s*(\d+)")
_ARRAY = re.compile(r"\s*\{\s*a:\s*([^}]*)\}")
MAX_DEPTH = 64
LARGEST_INT32 = 2**31


def looks_like_ascii(data: bytes) -> bool:
    """Whether these are the first bytes of an FBX file in text."""
    return b"\0" not in data[:1024] and b"FBXHeaderExtension" in data[:4096]


def decode_ascii(data: bytes, where: str) -> FbxNode:
    """The tree of a file."""
    text = data.decode("utf-8", errors="replace")
    version = _VERSION.search(text)
    if version is None:
        raise FileFormatError("does not say of which version of FBX it is", where=where)
    root = FbxNode("", version=int(version[1]))
    _Parser(text, where).records(root, depth=0)
    for node in root.all("Objects"):
        for child in node.children:
            child.properties = [_joined(value) for value in child.properties]
    return root


def _joined(value: Any) -> Any:
    """`Model::Hips` as binary files have it; anything else as it is."""
    if isinstance(value, str) and "::" in value:
        kind, _, name = value.partition("::")
        return full_name(name, kind)
    return value


class _Parser:
    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        self.at = 0

    def fail(self, what: str) -> FileFormatError:
        line = self.text.count("\n", 0, self.at) + 1
        return FileFormatError(what, where=f"{self.where}:{line}")

    def token(self) -> tuple[str, str]:
        """Kind and text of the next token; ("end", "") at the end."""
        while self.at < len(self.text):
            match = _TOKEN.match(self.text, self.at)
            if match is None:
                raise self.fail(f"{self.text[self.at]!r} has no meaning here")
            self.at = match.end()
            if match.lastgroup != "skip":
                return str(match.lastgroup), match[0]
        return "end", ""

    def records(self, parent: FbxNode, *, depth: int) -> None:
        """Children up to the closing brace, or to the end of the file at depth 0."""
        if depth > MAX_DEPTH:
            raise self.fail(f"records nest deeper than {MAX_DEPTH}")
        while True:
            kind, text = self.token()
            if kind == "key":
                self.record(parent.add(text[:-1]), depth)
            elif kind == "end" or text == "}":
                if (kind == "end") != (depth == 0):
                    raise self.fail("a brace is missing" if kind == "end" else "a brace closes nothing")
                return
            elif kind != "line":
                raise self.fail(f"expected a record, found {text!r}")

    def record(self, node: FbxNode, depth: int) -> None:
        goes_on = False
        while True:
            start = self.at
            kind, text = self.token()
            if kind == "line" and goes_on:
                continue
            if kind in ("line", "end", "key") or text == "}":
                self.at = start
                return
            if text == "{":
                self.records(node, depth=depth + 1)
                return
            goes_on = text == ","
            if kind == "count":
                node.properties.append(self.array(int(text[1:])))
                return
            if not goes_on:
                node.properties.append(_value(kind, text))

    def array(self, count: int) -> np.ndarray:
        match = _ARRAY.match(self.text, self.at)
        if match is None:
            raise self.fail(f"expected an array of {count} numbers")
        try:
            values = np.array([float(word) for word in match[1].split(",") if word.strip()])
        except ValueError:
            raise self.fail("an array holds what is no number") from None
        if values.size != count:
            raise self.fail(f"an array of {count} numbers has {values.size}")
        self.at = match.end()
        return values


def _value(kind: str, text: str) -> Any:
    if kind == "text":
        return text[1:-1].replace("&quot;", '"')
    if kind == "number" and "#" not in text:
        if re.fullmatch(r"[-+]?\d+", text):
            whole = int(text)
            return whole if abs(whole) < LARGEST_INT32 else np.int64(max(min(whole, 2**63 - 1), -(2**63)))
        return float(text)
    return {"T": True, "Y": True, "F": False, "N": False}.get(text, text) if kind == "word" else float("nan")
