"""Listens for browsers and gives them the page, until it is told to end."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn

from mocap.core.errors import InputError
from mocap.web.access import Access
from mocap.web.config import WebConfig
from mocap.web.connections import BoundedProtocol
from mocap.web.routes import Desk, make_app

log = logging.getLogger("mocap")

LOCAL_NAMES = ("localhost",)
MOST_CONNECTIONS = 200
LONGEST_HEADERS = 32768
KEEP_ALIVE_S = 30
LAST_ANSWERS_S = 1
"""How long answers that are being given may take when the server ends."""
TOKEN_BYTES = 16
ELSEWHERE = "192.0.2.1"
"""An address that nobody has (RFC 5737): the way there shows which address this machine has in its network."""


@dataclass(frozen=True)
class Addresses:
    """Where the page is: for a browser on this machine, and for others (empty: nobody else is let in)."""

    local: str
    others: tuple[str, ...] = ()


class PageServer:
    """The page on a socket that is already open, so that its port is known before anything is served."""

    def __init__(self, desk: Desk, config: WebConfig | None = None, listening: socket.socket | None = None) -> None:
        """listening: what `listen` gave, where that was done before."""
        self.config = config or WebConfig()
        self._socket = listening or listen(self.config.host, self.config.port)
        self.port: int = self._socket.getsockname()[1]
        self.token = self.config.token
        if self.token is None and not self.config.is_local:
            self.token = secrets.token_hex(TOKEN_BYTES)
        names = {*LOCAL_NAMES, *self.config.names}
        if not self.config.is_local:
            names |= {socket.gethostname(), f"{socket.gethostname().partition('.')[0]}.local"}
        app = make_app(desk, Access.of(names, self.token, self.port), ending=lambda: self._server.should_exit)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=MOST_CONNECTIONS,
                h11_max_incomplete_event_size=LONGEST_HEADERS,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=LAST_ANSWERS_S,
            )
        )
        self._thread: threading.Thread | None = None

    @property
    def addresses(self) -> Addresses:
        """With the token, where there is one."""
        ending = "" if self.token is None else f"?token={self.token}"
        at = "127.0.0.1" if self.config.host in ("0.0.0.0", "::", "localhost", "") else self.config.host
        local = f"http://{_in_address(at)}:{self.port}/{ending}"
        if self.config.is_local:
            return Addresses(local)
        here = _own_addresses(self.config.host)
        return Addresses(local, tuple(f"http://{_in_address(one)}:{self.port}/{ending}" for one in here))

    def run(self) -> None:
        """Serve until Ctrl-C or `stop`."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="page", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End serving; open answers are cut off."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(10.0)


def run_page(server: PageServer, announce: Callable[[Addresses], None] | None = None) -> None:
    """Tell where the page is, open it where that is wanted, and serve it."""
    addresses = server.addresses
    (announce or log_addresses)(addresses)
    if server.config.open_browser:
        threading.Timer(0.5, webbrowser.open, (addresses.local,)).start()
    server.run()


def log_addresses(addresses: Addresses) -> None:
    """As the program's own messages."""
    log.info("The recorder is at %s", addresses.local)
    for address in addresses.others:
        log.info("For a phone or tablet in the same network: %s", address)
    if addresses.others:
        log.info("Whoever has this address can see the cameras: it travels unencrypted, use a network you trust.")


def listen(host: str, port: int) -> socket.socket:
    """Take an address, before anything else is begun. Raises InputError where somebody has it, or it is not ours."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind)
    except (OSError, UnicodeError) as error:
        raise _refused(host, port, error) from None
    try:
        # Elsewhere it lets an address be used again at once; on Windows it would let two programs have one.
        alone = getattr(socket, "SO_EXCLUSIVEADDRUSE", None) if os.name == "nt" else socket.SO_REUSEADDR
        if alone is not None:
            listening.setsockopt(socket.SOL_SOCKET, alone, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise _refused(host, port, error) from None
    return listening


def _refused(host: str, port: int, error: OSError | UnicodeError) -> InputError:
    where, why = f"{_in_address(host)}:{port}", getattr(error, "strerror", None) or error
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return InputError(
            f"port {port} is in use already, perhaps by another recorder",
            where=where,
            remedy="End that, or choose another --port (0 takes a free one).",
        )
    return InputError(
        f"cannot be listened on ({why})",
        where=where,
        remedy="Choose another --port (0 takes a free one), or an address of this machine for --host.",
    )


def _own_addresses(host: str) -> tuple[str, ...]:
    """Of this machine in its network, where the page listens on all of them."""
    if host not in ("0.0.0.0", "::", ""):
        return (host,)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((ELSEWHERE, 9))  # sends nothing
            return (probe.getsockname()[0],)
        except OSError:
            return (socket.gethostname(),)


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host
