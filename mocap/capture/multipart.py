"""Pictures out of `multipart/x-mixed-replace`, as network cameras send them, however the bytes are cut."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mocap.core.errors import FileFormatError

LARGEST_HEADER = 16_384
LARGEST_PART = 64_000_000
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True)
class Part:
    """One picture. headers: names in lower case."""

    headers: Mapping[str, str]
    body: bytes


def boundary_of(content_type: str) -> bytes | None:
    """The boundary that a Content-Type names, without the dashes that some cameras put there; None where none."""
    for field in content_type.split(";")[1:]:
        key, _, value = field.strip().partition("=")
        if key.strip().lower() == "boundary":
            name = value.strip().strip('"').removeprefix("--")
            return name.encode("latin-1", errors="replace") or None
    return None


class MultipartParser:
    """Feed it bytes as they come; it gives the parts that are complete. Parts end by their length or at a boundary."""

    def __init__(self, boundary: bytes) -> None:
        self._mark = b"--" + boundary
        self._data = bytearray()
        self._headers: dict[str, str] | None = None
        self._searched = 0

    def feed(self, data: bytes) -> list[Part]:
        """Parts that end in `data`. Raises FileFormatError when this cannot be a stream of pictures."""
        self._data += data
        parts = []
        while True:
            if self._headers is None and not self._take_header():
                return parts
            body = self._take_body()
            if body is None:
                return parts
            assert self._headers is not None
            parts.append(Part(self._headers, body))
            self._headers = None

    def _take_header(self) -> bool:
        start = self._data.find(self._mark)
        if start < 0:
            del self._data[: max(0, len(self._data) - len(self._mark))]
            return False
        blank = _BLANK_LINE.search(self._data, start, start + LARGEST_HEADER)
        if blank is not None:
            self._headers = _fields(bytes(self._data[start : blank.start()]))
            del self._data[: blank.end()]
            self._searched = 0
            return True
        if len(self._data) - start > LARGEST_HEADER:
            raise FileFormatError("the header of a picture does not end")
        return False

    def _take_body(self) -> bytes | None:
        assert self._headers is not None
        length = self._headers.get("content-length", "")
        if length.isascii() and length.isdigit():
            if int(length) > LARGEST_PART:
                raise FileFormatError(f"a picture of {int(length) / 1e6:.0f} MB is too large")
            return self._cut(int(length), int(length)) if len(self._data) >= int(length) else None
        end = self._data.find(self._mark, self._searched)
        if end >= 0:
            return self._cut(end, end)
        self._searched = max(0, len(self._data) - len(self._mark))
        if len(self._data) > LARGEST_PART:
            raise FileFormatError("a picture does not end")
        return None

    def _cut(self, size: int, consumed: int) -> bytes:
        body = bytes(self._data[:size])
        del self._data[:consumed]
        return body


def _fields(header: bytes) -> dict[str, str]:
    lines = header.decode("latin-1").splitlines()[1:]
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}
