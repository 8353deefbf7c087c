"""Where the page is served, and to whom."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import Field, field_validator

from mocap.core.config import Config

SHORTEST_TOKEN = 16


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

    @field_validator("token")
    @classmethod
    def _long_enough(cls, token: str | None) -> str | None:
        if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isalnum()):
            raise ValueError(f"must be {SHORTEST_TOKEN} letters and digits or more")
        return token

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine can reach the page."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
