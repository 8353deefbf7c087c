"""Where the page is served, and to whom."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from mocap.core.config import Config
from mocap.core.errors import ConfigError

SHORTEST_TOKEN, STRONG_TOKEN = 8, 16
STRONG_VARIETY = 6
"""Different letters and digits in a token that is not easily guessed."""


class WebConfig(Config):
    """How the recorder's page is served.

    host: address to listen on; everything but loopback opens the page to the network, and wants the token then.
    port: 0 takes a free one. token: the word that lets a browser in; None makes one up where one is needed. names:
    under which this machine is reached, besides its addresses and its own name. preview_width, preview_fps: limits for
    the pictures of a camera that all browsers together get. open_browser: show the page on this machine.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    token: str | None = None
    names: tuple[str, ...] = ()
    preview_width: Annotated[int, Field(ge=64, le=1920)] = 640
    preview_fps: Annotated[float, Field(gt=0, le=60)] = 12.0
    open_browser: bool = False

    @classmethod
    def of_options(cls, options: dict[str, Any]) -> WebConfig:
        """From the options of a command. Raises ConfigError that names the option, and never shows the token."""
        try:
            return cls(**options)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            option = "--" + str(first["loc"][0]).rstrip("s").replace("_", "-")
            raise ConfigError(first["msg"].removeprefix("Value error, "), where=option) from None

    @field_validator("token")
    @classmethod
    def _long_enough(cls, token: str | None) -> str | None:
        if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isalnum()):
            raise ValueError(f"must be {SHORTEST_TOKEN} letters and digits or more")
        return token

    @field_validator("names")
    @classmethod
    def _of_machines(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?\.?", name):
                raise ValueError(f"{name!r} is no name of a machine, such as studio.local")
        return names

    @property
    def warning(self) -> str:
        """What is unsafe about the token that was chosen; empty where nothing is."""
        if self.token is None or (len(self.token) >= STRONG_TOKEN and len(set(self.token)) >= STRONG_VARIETY):
            return ""
        return f"the token is easily guessed: {STRONG_TOKEN} letters and digits that mean nothing are not"

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine can reach the page."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
