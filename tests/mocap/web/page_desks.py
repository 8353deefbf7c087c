"""A desk without cameras, and requests as browsers and others send them."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mocap.core.errors import InputError
from mocap.web.config import WebConfig
from mocap.web.page_server import PageServer
from mocap.web.playback import Still
from mocap.web.previews import Picture, as_jpeg
from mocap.web.requests import PageRequest


class PaperDesk:
    """Notes what it is asked for; refuses takes called `taken`, breaks on a retake."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[tuple[str, PageRequest]] = []
        self.looked_at: list[tuple[str, str, float, int]] = []
        self.told: dict[str, Any] = {"session": {"name": "paper"}, "count": 0}

    def state(self) -> dict[str, Any]:
        return self.told

    def do(self, command: str, request: PageRequest) -> None:
        if getattr(request, "take", None) == "taken":
            raise InputError("there is a take of that name already", remedy="Choose another name.")
        if command == "retake":
            raise RuntimeError("a fault")
        self.asked.append((command, request))

    def preview(self, camera: str, width: int) -> Picture | None:
        if camera == "gone":
            raise InputError("there is no camera 'gone'")
        return None if camera == "dark" else Picture(as_jpeg(np.zeros((9, 16, 3), dtype=np.uint8)), 1.0)

    def thumbnail(self, take: str) -> bytes | None:
        return None

    def still(self, take: str, camera: str, at_s: float, width: int) -> Still | None:
        self.looked_at.append((take, camera, at_s, width))
        return None if camera == "busy" else Still(as_jpeg(np.zeros((9, 16, 3), dtype=np.uint8)), 7, 0.25, 9.5)


@contextmanager
def served(desk: Any, **values: Any) -> Iterator[PageServer]:
    """The page of a desk, on a free port."""
    server = PageServer(desk, WebConfig(port=0, **values))
    server.start()
    try:
        yield server
    finally:
        server.stop()


Answer = tuple[int, Mapping[str, str], bytes]


def fetch(
    server: PageServer,
    path: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Status, headers and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body, {"Host": f"127.0.0.1:{server.port}", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def post(server: PageServer, command: str, fields: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """As the page sends it."""
    body = fields if isinstance(fields, bytes) else json.dumps({} if fields is None else fields).encode()
    origin = {"Origin": f"http://127.0.0.1:{server.port}", "Content-Type": "application/json"}
    return fetch(server, f"/api/{command}", method="POST", body=body, headers={**origin, **(headers or {})})


def reason(answer: Answer) -> str:
    """Why a request was refused."""
    return json.loads(answer[2])["error"]


def send_raw(server: PageServer, data: bytes, *, wait: bool = True) -> bytes:
    """Bytes as they are, and what comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(data)
        if not wait:
            return b""
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except (TimeoutError, ConnectionError):
            pass
        return received
