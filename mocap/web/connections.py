"""Connections of browsers, bounded: slow, silent and greedy ones must not keep others from the recorder."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 20.0
"""How long a request may take to arrive, from its first byte (or the beginning of the connection) to its last."""
STALLED_S = 30.0
"""How long somebody may take nothing of what is sent, before that ends."""
MOST_OF_ONE = 64
"""Connections from one other machine: a browser opens six."""


class BoundedProtocol(H11Protocol):
    """uvicorn's own, which waits for ever by itself."""

    _arriving: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Refuses more than enough connections of one machine."""
        super().connection_made(transport)
        if self.client is not None and not _is_own(self.client[0]):
            theirs = [other for other in self.connections if _address_of(other) == self.client[0]]
            if len(theirs) > MOST_OF_ONE:
                transport.abort()
                return
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """A request that has begun to arrive must end."""
        super().data_received(data)
        if self.cycle is None or self.cycle.more_body or self.cycle.response_complete:
            self._await_request()
        else:
            self._forget(arriving=True)

    def pause_writing(self) -> None:
        """The other side takes nothing any more."""
        super().pause_writing()
        self._forget(stalled=True)
        self._stalled = self.loop.call_later(STALLED_S, self._abort)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._forget(stalled=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for."""
        self._forget(arriving=True, stalled=True)
        super().connection_lost(exc)

    def _await_request(self) -> None:
        if self._arriving is None:
            self._arriving = self.loop.call_later(REQUEST_S, self._abort)

    def _forget(self, *, arriving: bool = False, stalled: bool = False) -> None:
        if arriving and self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None
        if stalled and self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _abort(self) -> None:
        """Also where the end waits for what nobody takes."""
        self.transport.abort()


def _address_of(connection: Any) -> str | None:
    client = getattr(connection, "client", None)
    return None if client is None else client[0]


def _is_own(address: str) -> bool:
    """Whether a connection comes from this machine."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
