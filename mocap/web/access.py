"""Who may speak to the recorder: checked before any request reaches a route.

What has to be kept out: pages of other sites that the user's browser shows at the same time (they can send requests
here, and by DNS rebinding even read answers under a name of their own), and everybody else in the network. Hence:

- the Host header must be an address in digits, or a name of this machine: rebinding needs a name of the attacker's;
- a request that a browser says comes from another origin (Origin, Sec-Fetch-Site) is refused, reading or writing;
- what changes something must be JSON, which other origins cannot send without asking, and nobody answers that question;
- where a token is set, it must be there: once in the address, from then on as a cookie that goes to this site alone;
  wrong ones are answered late.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 16384
READING = ("GET", "HEAD")
COOKIE_S = 7 * 86400
MOST_WORDS = 4
"""Of a request, that are taken for its token."""
WRONG_TOKEN_S = 0.5
"""How long the answer to a wrong token takes: guessing must not pay."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}

LOCKED = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><title>Recorder</title><h1>This recorder is locked</h1>
<p>Open the whole address that the recorder shows in its terminal; it ends in the token that lets this device in.</p>
</html>"""

WELCOME = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">
<link rel="icon" href="data:,"><title>Recorder</title><p><a href="/">To the recorder</a></p></html>"""


@dataclass(frozen=True)
class Access:
    """names: under which this machine may be spoken to, beside its addresses. token: None where none is wanted.
    cookie: under which name browsers keep it."""

    names: frozenset[str]
    token: str | None
    cookie: str = "mocap_token"

    @classmethod
    def of(cls, names: Iterable[str], token: str | None, port: int) -> Access:
        """Cookies know no ports: the name holds it, so that two recorders of one machine do not log each other out."""
        return cls(frozenset(name.casefold().rstrip(".") for name in names), token, f"mocap_token_{port}")

    def refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Status and reason where a request must not be answered, whatever token it has."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self.knows_host(hosts[0]):
            return 421, "this recorder does not go by that name; use its address in digits"
        if any(origin not in (f"http://{hosts[0]}", f"https://{hosts[0]}") for origin in origins):
            return 403, "requests from other sites are refused"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _follows_link(method, headers):
            return 403, "requests from other sites are refused"
        if method in READING:
            return None
        if method != "POST":
            return 405, "only GET and POST are understood"
        kind = headers.get("content-type", "").partition(";")[0].strip().casefold()
        return (
            None if kind == "application/json" else (415, "a request that changes something must be application/json")
        )

    def knows_host(self, host: str) -> bool:
        """Whether a Host header names this machine."""
        name = _without_port(host).casefold().rstrip(".")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True

    def admits(self, headers: Headers) -> bool:
        """Whether a request brings the token, as its cookie or as a bearer's."""
        return self.token is None or any(self.is_token(word) for word in self.words(headers))

    def words(self, headers: Headers) -> list[str]:
        """What a request brings as a token."""
        kind, _, word = headers.get("authorization", "").partition(" ")
        given = [word.strip()] if kind.casefold() == "bearer" else []
        return [*given, *_cookies(headers, self.cookie)]

    def is_token(self, word: str) -> bool:
        """In a time that does not tell how much of it is right."""
        return self.token is not None and hmac.compare_digest(word.encode(), self.token.encode())


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _follows_link(method: str, headers: Headers) -> bool:
    """A link elsewhere that leads to the page: it opens in a window of its own, which the other site cannot read."""
    return (
        method == "GET" and headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    )


def _cookies(headers: Headers, name: str) -> list[str]:
    found = []
    for line in headers.getlist("cookie")[:MOST_WORDS]:
        try:
            morsel = SimpleCookie(line).get(name)
        except CookieError:
            continue
        found += [morsel.value] if morsel is not None else []
    return found


class Guard:
    """Refuses what `Access` does not allow, bounds the bodies of requests, and adds the headers that protect the page.

    Nothing behind it is asked for a refused request.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (or the start and end of the server)."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        protected = _with_headers(send)
        request = Request(scope)
        answer = self._answer(request)
        if answer is not None:
            if answer.status_code == 401 and (_asked_token(request) or self._access.words(request.headers)):
                await asyncio.sleep(WRONG_TOKEN_S)
            await answer(scope, receive, protected)
            return
        body = await _whole_body(scope, receive)
        if body is None:
            await JSONResponse({"error": "the request is too long"}, 413)(scope, receive, protected)
            return
        await self._app(scope, _Given(body, receive), protected)

    def _answer(self, request: Request) -> Response | None:
        refusal = self._access.refusal(request.method, request.headers)
        if refusal is not None:
            return JSONResponse({"error": refusal[1]}, refusal[0])
        if self._access.token is None:
            return None
        asks_page = request.url.path == "/" and request.method == "GET"
        if asks_page and any(self._access.is_token(word) for word in _asked_token(request)):
            return self._let_in()
        if self._access.admits(request.headers):
            return None
        if request.url.path == "/":
            return Response(LOCKED, 401, media_type="text/html")
        return JSONResponse({"error": "the token is missing: open the address that the recorder shows"}, 401)

    def _let_in(self) -> Response:
        """Take the token out of the address, so that neither history nor screen shows it.

        By a page that leads on, not by a redirection: after a link on another site, cookies for this site alone would
        not come with that.
        """
        answer = Response(WELCOME, 200, media_type="text/html")
        assert self._access.token is not None
        answer.set_cookie(
            self._access.cookie, self._access.token, max_age=COOKIE_S, path="/", httponly=True, samesite="strict"
        )
        return answer


def _asked_token(request: Request) -> list[str]:
    """What stands as the token in the address."""
    try:
        query = request.scope["query_string"].decode("latin-1")
        return parse_qs(query, max_num_fields=MOST_WORDS).get("token", [])
    except ValueError:  # more fields than anybody needs
        return []


async def _whole_body(scope: Scope, receive: Receive) -> bytes | None:
    """What a request that changes something says; None where it is longer than any of ours, or breaks off: half of a
    request must do nothing."""
    if scope["method"] in READING:
        return b""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return body


class _Given:
    """Gives the body that was read already, then what comes after it: that the browser has gone."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        """The next message of the request."""
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _with_headers(send: Send, headers: Mapping[str, str] = HEADERS) -> Send:
    """`send` that adds the headers which a response does not set itself."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", [])}
            more = [(n.encode(), v.encode()) for n, v in headers.items() if n.encode() not in there]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sending
