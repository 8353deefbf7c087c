"""H.264 as a camera compressed it, to be kept without being encoded anew.

Pictures lean on the one before them, back to a key picture that stands alone, and parameter sets say how all of them
are to be read (ITU-T H.264, 7.3.2.1 and 7.3.2.2). In the bytes each unit follows a start code (annex B).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

START_CODES = (b"\0\0\1", b"\0\0\0\1")
PARAMETERS = frozenset((7, 8))
"""Types of units: of the sequence, of pictures."""
SLICES = frozenset(range(1, 6))
_UNIT = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)

FIRST = "before the camera's first key picture"
GAP = "leaning on a picture that is missing"
CHANGED = "compressed in another way than those before"
DAMAGED = "not whole"


@dataclass(frozen=True, eq=False)
class H264Picture:
    """One picture of a stream. key: it stands alone, and has the parameter sets with it. number: its place in the
    stream, counting all that came. parameters: by which it is to be read."""

    data: bytes
    key: bool
    stream: H264Stream
    number: int
    parameters: bytes


class H264Stream:
    """The pictures of one connection. outside: the parameter sets that came before the pictures, if any did."""

    def __init__(self, outside: bytes | None = None) -> None:
        self._outside = outside if outside is not None and parameter_sets(outside) else b""
        self._parameters = b""
        self._number = 0

    def next(self, data: bytes, *, key: bool) -> H264Picture | None:
        """To be told of every picture, in order; None for one that cannot be kept."""
        self._number += 1
        if not data.startswith(START_CODES):
            return None
        if key:
            inside = parameter_sets(data)
            data = data if inside else self._outside + data
            self._parameters = inside or parameter_sets(self._outside)
        return H264Picture(data, key, self, self._number, self._parameters) if self._parameters else None


class KeptPictures:
    """Which pictures a file can hold: from a key picture on, without a gap up to the next one, of one kind."""

    def __init__(self) -> None:
        self._last: H264Picture | None = None
        self._parameters: bytes | None = None

    def why_not(self, picture: H264Picture | None) -> str | None:
        """Why a picture has to be left out; None where it is the file's next."""
        if picture is None:
            return DAMAGED
        if self._parameters not in (None, picture.parameters):
            return CHANGED
        if not picture.key and not self._leads_to(picture):
            return FIRST if self._parameters is None else GAP
        self._last, self._parameters = picture, picture.parameters
        return None

    def lost(self) -> None:
        """The picture at hand did not come into the file."""
        self._last = None

    def _leads_to(self, picture: H264Picture) -> bool:
        last = self._last
        return last is not None and last.stream is picture.stream and last.number + 1 == picture.number


def parameter_sets(data: bytes) -> bytes:
    """The parameter sets before the first slice, each after a start code; empty where there are none."""
    units = [(match.start(), data[match.end() - 1] & 31) for match in _UNIT.finditer(data)]
    found = []
    for (start, kind), (end, _) in pairwise([*units, (len(data), 0)]):
        if kind in SLICES:
            break
        if kind in PARAMETERS:
            found.append(data[start:end].rstrip(b"\0"))
    return b"".join(found)
