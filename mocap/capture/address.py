"""Addresses of cameras: `kind:place?option=value&…`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from mocap.core.errors import InputError

Kind = Literal["usb", "network", "file", "images", "synth", "pattern"]

OPTIONS: dict[str, tuple[str, ...]] = {
    "usb": (),
    "file": ("pace", "loop"),
    "images": ("fps", "pace", "loop"),
    "synth": ("camera",),
    "pattern": ("limit",),
}
"""What may follow the `?` of each kind of ours; a network address belongs to the camera as it is."""

LISTENING = ("udp", "rtp")
"""Schemes that may name a port of this computer only: udp://:5000."""

_SECRET = re.compile(r"([?&](?:pass|passwd|password|pwd|token|key|auth)=)[^&#]*", re.IGNORECASE)

EXAMPLES = "usb:0, rtsp://host/stream, http://host/video.mjpg, file:clip.mp4, images:folder, synth:session, pattern:"


@dataclass(frozen=True)
class SourceAddress:
    """An address taken apart. place: a device, path or whole URL; where: the camera, for messages."""

    text: str
    kind: Kind
    place: str
    options: dict[str, str] = field(default_factory=dict)
    where: str = ""

    @property
    def shown(self) -> str:
        """Without the passwords that a URL may carry, before the host or among its options."""
        return _SECRET.sub(r"\1…", re.sub(r"(?<=://)([^/:@]*):.*@", r"\1:…@", self.text))

    def number(self, option: str, default: float) -> float:
        """The value of an option that must be a positive number."""
        try:
            value = float(self.options.get(option, default))
        except ValueError:
            value = float("nan")
        if not 0 < value < float("inf"):
            raise self.refused(f"{option}={self.options[option]} is not a positive number")
        return value

    def one_of(self, option: str, values: tuple[str, ...]) -> str:
        """The value of an option, the first of `values` where it is not given."""
        value = self.options.get(option, values[0])
        if value not in values:
            raise self.refused(f"{option}={value} is not known", f"Give one of {', '.join(values)}.")
        return value

    def flag(self, option: str) -> bool:
        """Whether an option is 1."""
        return self.one_of(option, ("0", "1")) == "1"

    def refused(self, what: str, remedy: str = "Correct the camera's source in session.toml.") -> InputError:
        """An error about this address."""
        return InputError(f"source {self.shown!r}: {what}", where=self.where or None, remedy=remedy)


def parse_address(text: str, camera: str = "") -> SourceAddress:
    """Take an address apart; raises InputError with what was expected."""
    where = f"camera {camera}" if camera else ""
    text = text.strip()
    kind, colon, rest = text.partition(":")
    kind = kind.casefold()
    if colon and kind not in OPTIONS and rest.startswith("//"):
        return _network(SourceAddress(text, "network", text, where=where))
    whole = SourceAddress(text, "file", rest, where=where)
    if not colon or kind not in OPTIONS:
        raise whole.refused("is not an address of a camera", f"Write one of: {EXAMPLES}.")
    place, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - set(OPTIONS[kind]))
    if unknown:
        known = ", ".join(OPTIONS[kind]) or "none"
        raise whole.refused(f"there is no option {unknown[0]!r}", f"Options of {kind}: {known}.")
    if not place and kind not in ("pattern",):
        raise whole.refused("says no place", f"Write e.g. one of: {EXAMPLES}.")
    return SourceAddress(text, kind, place, options, where)  # pyright: ignore[reportArgumentType]  # a key of OPTIONS


def _network(address: SourceAddress) -> SourceAddress:
    try:
        parts = urlsplit(address.text)
        _ = parts.port
    except ValueError as error:
        if "@" in address.text:  # the error's own text may show a part of the password
            remedy = "In its name and password write %40 for @, %3A for :, %2F for / and %23 for #."
            raise address.refused("is not a valid URL", remedy) from None
        raise address.refused(f"is not a valid URL ({error})") from None
    if not parts.hostname and parts.scheme.lower() not in LISTENING:
        raise address.refused("names no host", "Write e.g. rtsp://192.168.1.20/stream.")
    return address
