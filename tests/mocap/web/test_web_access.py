from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from urllib.parse import quote

import pytest
from page_desks import PaperDesk, fetch, post, reason, send_raw, served
from starlette.datastructures import Headers

from mocap.web.access import MAX_BODY_BYTES, Access
from mocap.web.config import WebConfig

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return PaperDesk(tmp_path_factory.mktemp("session"))


@pytest.fixture(scope="module")
def page(desk):
    with served(desk) as server:
        yield server


@pytest.fixture(scope="module")
def locked(desk):
    with pytest.MonkeyPatch.context() as patch, served(desk, token=TOKEN) as server:
        patch.setattr("mocap.web.access.WRONG_TOKEN_S", 0.01)
        yield server


def test_the_page_and_its_files_are_given_with_headers_that_protect_them(page):
    status, headers, body = fetch(page, "/")
    assert status == 200
    assert b"<title>Recorder</title>" in body
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers
    for name, kind in (("recorder.js", "text/javascript"), ("recorder.css", "text/css"), ("icon.svg", "image/svg+xml")):
        status, headers, _ = fetch(page, f"/page/{name}")
        assert (status, headers["content-type"].partition(";")[0]) == (200, kind)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8765", "localhost.evil.example", "127.0.0.1.nip.example", "0x7f.1", "", "[evil]"],
)
def test_names_that_are_not_this_machines_are_refused(page, host):
    status, _, _ = fetch(page, "/api/state", headers={"Host": host})
    assert status == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9000", "LOCALHOST.", "[::1]:8765", "192.168.1.5:8765"])
def test_addresses_in_digits_and_own_names_are_known(host):
    assert Access.of(["localhost"], None, 8765).knows_host(host)


def test_two_hosts_are_refused(page):
    own = f"127.0.0.1:{page.port}".encode()
    answer = send_raw(page, b"GET / HTTP/1.1\r\nHost: " + own + b"\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert answer.split()[1] in (b"400", b"421")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://", "http://localhost"])
def test_other_origins_are_refused_reading_and_writing(page, desk, origin):
    before = len(desk.asked)
    assert fetch(page, "/api/state", headers={"Origin": origin})[0] == 403
    assert post(page, "stop", headers={"Origin": origin})[0] == 403
    assert len(desk.asked) == before


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_picture_in_another_page_is_refused_a_link_to_the_page_is_not(page, site):
    embedded = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    framed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    followed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert fetch(page, "/preview/cam1.jpg", headers=embedded)[0] == 403
    assert fetch(page, "/", headers=framed)[0] == 403
    assert fetch(page, "/", headers=followed)[0] == 200
    assert post(page, "stop", headers=followed)[0] == 403


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_form_of_another_site_could_send_is_refused(page, desk, kind):
    before = len(desk.asked)
    status, _, _ = fetch(page, "/api/stop", method="POST", body=b"{}", headers={"Content-Type": kind})
    assert status == 415
    assert len(desk.asked) == before


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(page, method):
    status, headers, _ = fetch(page, "/api/stop", method=method)
    assert status == 405
    assert "access-control-allow-methods" not in headers


def test_without_the_token_nothing_is_given(locked, desk):
    before = len(desk.asked)
    for path in ("/api/state", "/api/events", "/preview/cam1.jpg", "/page/recorder.js", "/files/takes/a/video/a.mp4"):
        assert fetch(locked, path)[0] == 401, path
    status, _, body = fetch(locked, "/")
    assert status == 401
    assert b"locked" in body
    for wrong in (
        "",
        "?token=",
        f"?token={TOKEN[:-1]}0",
        f"?token={TOKEN}0",
        "?token=%00",
        "?token=\u00e9".encode().decode("latin-1"),
    ):
        path = "/" + "".join(c if c.isascii() else "%E9" for c in wrong)
        assert fetch(locked, path)[0] == 401, wrong
    assert post(locked, "stop")[0] == 401
    assert post(locked, "stop", headers={"Authorization": f"Bearer {TOKEN[::-1]}"})[0] == 401
    assert len(desk.asked) == before


def test_the_token_goes_once_in_the_address_then_as_a_cookie_for_this_site_alone(locked):
    status, headers, body = fetch(locked, f"/?token={TOKEN}")
    assert status == 200
    assert TOKEN.encode() not in body
    cookie = headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    pair = cookie.partition(";")[0]
    assert fetch(locked, "/", headers={"Cookie": pair})[0] == 200
    assert fetch(locked, "/api/state", headers={"Cookie": f"other=1; {pair}"})[0] == 200
    assert post(locked, "stop", headers={"Cookie": pair})[0] == 200
    assert fetch(locked, "/api/state", headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200
    assert fetch(locked, f"/api/state?token={TOKEN}")[0] == 401, "only the page takes it from the address"


def test_the_token_does_not_open_the_page_to_other_origins(locked):
    pair = {"Cookie": f"mocap_token_{locked.port}={TOKEN}"}
    assert fetch(locked, "/api/state", headers=pair)[0] == 200
    assert fetch(locked, "/api/state", headers={**pair, "Origin": "http://evil.example"})[0] == 403
    assert fetch(locked, "/api/state", headers={**pair, "Host": "evil.example"})[0] == 421


def test_broken_cookies_are_no_token(locked):
    for cookie in ("mocap_token_1", "=;=;", '"', "\x7f", f"mocap_token_{locked.port}"):
        assert fetch(locked, "/api/state", headers={"Cookie": cookie})[0] == 401


def test_tokens_are_compared_whole():
    access = Access.of([], TOKEN, 1)
    assert access.is_token(TOKEN)
    assert not any(access.is_token(word) for word in ("", TOKEN[:-1], TOKEN + "0", "\u00e9" * 32))
    assert not Access.of([], None, 1).is_token("")
    assert not access.admits(Headers({"cookie": "mocap_token_2=" + TOKEN}))


def test_long_bodies_are_refused_while_they_come(page, desk):
    before = len(desk.asked)
    assert post(page, "stop", b" " * (MAX_BODY_BYTES + 1))[0] == 413
    lines = [b"POST /api/stop HTTP/1.1", b"Host: 127.0.0.1", b"Content-Type: application/json"]
    head = b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"Connection: close", b"", b""])
    answer = send_raw(
        page, head + b"4000\r\n" + b" " * 0x4000 + b"\r\n" + b"4000\r\n" + b" " * 0x4000 + b"\r\n0\r\n\r\n"
    )
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert len(desk.asked) == before


def test_a_request_is_read_field_by_field(page, desk):
    answer = post(page, "record", {"mode": "take", "take": "walk", "countdown_s": 3, "duration_s": 5.5})
    assert answer[0] == 200
    command, request = desk.asked[-1]
    assert (command, request.mode, request.take, request.duration_s) == ("record", "take", "walk", 5.5)
    before = len(desk.asked)
    wrong = {
        b"": "not JSON",
        b"{": "not JSON",
        b"[" * 4000: "not",
        b"null": "",
        b"[]": "",
        b"\xff\xfe": "not",
        b'{"mode": "take", "duration_s": NaN}': "",
        b'{"mode": "take", "duration_s": 1e999}': "duration_s",
        b'{"mode": "take", "duration_s": -1}': "duration_s",
        b'{"mode": "take", "duration_s": "5"}': "duration_s",
        b'{"mode": "dance"}': "mode",
        b'{"mode": "take", "take": ""}': "take",
        b'{"mode": "take", "shell": "x"}': "shell",
        b'{"mode": "take", "\\ud800": "x"}': "not understood",
        b'{"mode": "take", "take": "\\ud800"}': "not understood",
        json.dumps({"mode": "take", "take": "x" * 500}).encode(): "take",
    }
    for body, field in wrong.items():
        answer = post(page, "record", body)
        assert answer[0] == 400, body
        assert field in reason(answer), body
    assert len(desk.asked) == before


def test_a_take_is_looked_at_picture_by_picture(page, desk):
    status, headers, body = fetch(page, "/still/walk%2001/cam%20%C3%A9.jpg?ms=1250&width=320")
    assert (status, headers["content-type"], headers["x-frame"], headers["x-time"]) == (
        200,
        "image/jpeg",
        "7",
        "0.2500",
    )
    assert body.startswith(b"\xff\xd8")
    assert desk.looked_at[-1] == ("walk 01", "cam \u00e9", 1.25, 320)
    for wrong in ("-1", "1e3", "nan", "", "9" * 30, "\u0661".encode().decode("latin-1")):
        assert fetch(page, f"/still/a/b.jpg?ms={quote(wrong)}&width={quote(wrong)}")[0] == 200
        assert desk.looked_at[-1] == ("a", "b", 0.0, 640)
    assert fetch(page, "/still/a/busy.jpg")[0] == 204
    assert fetch(page, "/still/a/..%2f..%2fx.jpg")[0] == 404


def test_nothing_is_redirected_and_nobody_is_sent_elsewhere(page):
    for path in (
        "/api/state/",
        "//evil.example/",
        "/page/recorder.js/",
        "/api/state/%0d%0aLocation:%20http://evil.example",
    ):
        status, headers, _ = fetch(page, path)
        assert status == 404, path
        assert "location" not in headers


def test_the_head_of_the_events_ends(page):
    assert fetch(page, "/api/events", method="HEAD")[0] == 200


def test_many_browsers_share_one_state(page, desk):
    made = []
    state = desk.state
    desk.state = lambda: (made.append(time.monotonic()), state())[1]
    connections = [http.client.HTTPConnection("127.0.0.1", page.port, timeout=10) for _ in range(12)]
    try:
        for connection in connections:
            connection.request("GET", "/api/events")
        for connection in connections:
            connection.getresponse().readline()
        time.sleep(0.5)
        assert len(made) < 12, "an eighth of a second between two of them, whoever asks"
    finally:
        desk.state = state
        for connection in connections:
            connection.close()


def test_a_command_is_not_kept_waiting_by_pictures(page, desk):
    going_on = threading.Event()
    preview = desk.preview
    desk.preview = lambda camera, width: (going_on.wait(20.0), preview(camera, width))[1]
    askers = [threading.Thread(target=fetch, args=(page, "/preview/cam1.jpg")) for _ in range(20)]
    try:
        for asker in askers:
            asker.start()
        assert post(page, "stop")[0] == 200
        assert not going_on.is_set()
    finally:
        going_on.set()
        desk.preview = preview
        for asker in askers:
            asker.join()


def test_refusals_and_faults_are_told_and_the_page_goes_on(page):
    answer = post(page, "record", {"mode": "take", "take": "taken"})
    assert answer[0] == 400
    assert "Choose another name" in reason(answer)
    answer = post(page, "retake")
    assert answer[0] == 500
    assert "a fault" in reason(answer)
    assert post(page, "shutdown")[0] == 404
    assert fetch(page, "/preview/gone.jpg")[0] == 400
    assert fetch(page, "/preview/dark.jpg")[0] == 204
    assert fetch(page, "/nothing")[0] == 404
    assert fetch(page, "/api/state")[0] == 200


RUBBISH = [
    b"",
    b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /api/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"POST /api/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /api/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    b"POST /api/stop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /api/stop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    bytes(range(256)) * 20,
]


def test_rubbish_reaches_nothing_and_harms_nothing(page, desk):
    before = len(desk.asked)
    for data in RUBBISH:
        send_raw(page, data, wait=False)
    assert fetch(page, "/api/state")[0] == 200
    assert len(desk.asked) == before


def test_the_state_comes_as_events_when_it_changes(page, desk):
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
    connection.request("GET", "/api/events")
    answer = connection.getresponse()
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    first = answer.readline()
    desk.told = {**desk.told, "count": 1}
    answer.readline()
    second = answer.readline()
    connection.close()
    assert [json.loads(line.removeprefix(b"data: "))["count"] for line in (first, second)] == [0, 1]


def test_open_to_the_network_there_is_always_a_token(desk):
    with served(desk, host="0.0.0.0") as server:
        assert server.token is not None
        assert len(server.token) == 32
        assert fetch(server, "/api/state")[0] == 401
        assert server.addresses.others
        assert all(server.token in address for address in (server.addresses.local, *server.addresses.others))


def test_wrong_tokens_are_answered_late(desk, monkeypatch):
    monkeypatch.setattr("mocap.web.access.WRONG_TOKEN_S", 60.0)
    guesses = [f"/?token={TOKEN[::-1]} HTTP/1.1\r\n", "/api/state HTTP/1.1\r\nAuthorization: Bearer guess\r\n"]
    with served(desk, token=TOKEN) as server:
        for guess in guesses:
            with socket.create_connection(("127.0.0.1", server.port), timeout=0.2) as connection:
                connection.sendall(f"GET {guess}Host: 127.0.0.1\r\n\r\n".encode())
                with pytest.raises(TimeoutError):
                    connection.recv(1)
        assert fetch(server, "/api/state")[0] == 401, "no token is no guess"
        assert fetch(server, "/?" + "&".join(["token=a"] * 3000))[0] in (400, 401), "so many are none"
        assert fetch(server, f"/?token={TOKEN}")[0] == 200


def test_on_loopback_alone_no_token_is_needed():
    assert WebConfig().is_local
    assert WebConfig(host="localhost").is_local
    assert WebConfig(host="::1").is_local
    assert not WebConfig(host="0.0.0.0").is_local
    assert not WebConfig(host="studio.example").is_local
    with pytest.raises(ValueError, match="8 letters"):
        WebConfig(token="short")
