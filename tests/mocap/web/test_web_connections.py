from __future__ import annotations

import socket
from contextlib import ExitStack, closing

import pytest
from page_desks import PaperDesk, fetch, served

from mocap.core.errors import ConfigError, InputError
from mocap.web.config import WebConfig
from mocap.web.page_server import PageServer, listen
from running_mocap import wait_for

HEAD = b"POST /api/stop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
OVER = "the server has ended the connection"


@pytest.fixture
def desk(tmp_path):
    return PaperDesk(tmp_path)


def connect(page) -> socket.socket:
    return socket.create_connection(("127.0.0.1", page.port), timeout=10)


def rest_of(connection) -> bytes:
    """What comes until the other side ends; fails where it does not."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionError:
        pass
    return received


@pytest.mark.parametrize(
    "data", [b"", b"GET / HT", HEAD, HEAD + b"{"], ids=["nothing", "half a line", "no body", "half"]
)
def test_who_does_not_finish_a_request_is_let_go(desk, monkeypatch, data):
    monkeypatch.setattr("mocap.web.connections.REQUEST_S", 0.2)
    with served(desk) as page, connect(page) as connection:
        connection.sendall(data)
        assert rest_of(connection) == b""
        assert fetch(page, "/api/state")[0] == 200
    assert desk.asked == []


def test_drops_of_a_request_do_not_keep_a_connection(desk, monkeypatch):
    monkeypatch.setattr("mocap.web.connections.REQUEST_S", 0.3)
    with served(desk) as page, connect(page) as connection:
        connection.settimeout(0.05)
        with pytest.raises(ConnectionError):  # within 10 s at the most, one byte every 50 ms
            for byte in HEAD * 2:
                connection.sendall(bytes([byte]))
                try:
                    if connection.recv(100) == b"":
                        raise ConnectionResetError(OVER)
                except TimeoutError:
                    continue


def test_whole_requests_may_come_late_on_a_connection(desk, monkeypatch):
    monkeypatch.setattr("mocap.web.connections.REQUEST_S", 0.3)
    with served(desk) as page, connect(page) as connection:
        for _ in range(3):
            connection.sendall(b"GET /api/state HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            told = b""
            while not told.endswith(b"}"):
                told += connection.recv(65536)
            assert told.startswith(b"HTTP/1.1 200")
            with pytest.raises(TimeoutError):
                connection.settimeout(0.4)
                connection.recv(1)
            connection.settimeout(10)


def test_who_takes_nothing_of_what_is_sent_is_let_go(desk, monkeypatch):
    monkeypatch.setattr("mocap.web.connections.STALLED_S", 0.2)
    (desk.root / "takes").mkdir()
    (desk.root / "takes" / "long.mp4").write_bytes(bytes(30_000_000))
    with served(desk) as page, connect(page) as connection:
        connection.sendall(b"GET /files/takes/long.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        wait_for(lambda: not page._server.server_state.connections, seconds=20)
        assert len(rest_of(connection)) < 30_000_000


def test_one_other_machine_gets_so_many_connections_and_no_more(desk, monkeypatch):
    monkeypatch.setattr("mocap.web.connections.MOST_OF_ONE", 3)
    with served(desk) as page, ExitStack() as stack:
        own = [stack.enter_context(connect(page)) for _ in range(6)]
        wait_for(lambda: len(page._server.server_state.connections) == len(own), seconds=20)
        monkeypatch.setattr("mocap.web.connections._is_own", lambda address: False)
        assert rest_of(stack.enter_context(connect(page))) == b""
        assert len(page._server.server_state.connections) == len(own)


def test_a_port_in_use_is_told_with_a_remedy():
    with closing(listen("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is in use already") as refused:
            listen("127.0.0.1", port)
    assert refused.value.where == f"127.0.0.1:{port}"
    assert "--port" in (refused.value.remedy or "")


@pytest.mark.parametrize("host", ["192.0.2.77", "no such name", "\u00e9" * 80])
def test_addresses_that_are_not_ours_are_refused(host):
    with pytest.raises(InputError, match="cannot be listened on"):
        listen(host, 0)


def test_a_page_takes_a_socket_that_listens_already(desk):
    listening = listen("127.0.0.1", 0)
    page = PageServer(desk, WebConfig(), listening)
    assert page.port == listening.getsockname()[1]
    page.start()
    try:
        assert fetch(page, "/api/state")[0] == 200
    finally:
        page.stop()


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"token": "short"}, "--token"),
        ({"token": "x" * 20 + "&y=1"}, "--token"),
        ({"token": "secret\r\nSet-Cookie:x"}, "--token"),
        ({"names": ("studio", "evil\r\nname")}, "--name"),
        ({"names": ("a b",)}, "--name"),
        ({"port": 70000}, "--port"),
    ],
)
def test_options_that_cannot_be_are_refused_without_showing_the_token(options, option):
    with pytest.raises(ConfigError) as refused:
        WebConfig.of_options(options)
    assert refused.value.where == option
    if "token" in options:
        assert options["token"] not in str(refused.value)


def test_tokens_that_are_guessed_easily_are_warned_of():
    assert "guessed" in WebConfig(token="studio2026").warning
    assert "guessed" in WebConfig(token="a" * 32).warning
    assert WebConfig(token="k3X9vQ27LmTz41bd").warning == ""
    assert WebConfig().warning == ""


def test_names_that_were_given_are_known(desk):
    with served(desk, names=("Studio.local", "capture.example.org.")) as page:
        for host in ("studio.local", f"STUDIO.LOCAL:{page.port}", "capture.example.org", "localhost"):
            assert fetch(page, "/api/state", headers={"Host": host})[0] == 200, host
        assert fetch(page, "/api/state", headers={"Host": "other.example.org"})[0] == 421
