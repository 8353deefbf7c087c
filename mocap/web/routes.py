"""The addresses of the page: the page itself, the state, pictures, files, and what can be asked for."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any, Protocol, runtime_checkable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mocap.core.errors import InputError, sentence_for_user, sentence_of_fault
from mocap.web.access import Access, Guard
from mocap.web.previews import Picture
from mocap.web.requests import (
    NoFields,
    OverlayRequest,
    PageRequest,
    ProcessRequest,
    RecordRequest,
    read_request,
)
from mocap.web.session_paths import SHOWN, TYPES, file_in_session

log = logging.getLogger("mocap")

PAGE_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
STATE_INTERVAL_S = 0.25
HEARTBEAT_S = 10.0
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
)
"""Of the report on a calibration, which is one file with all in it: it may run, but as a stranger to this page."""

COMMANDS: Mapping[str, type[PageRequest]] = {
    "record": RecordRequest,
    "stop": NoFields,
    "retake": NoFields,
    "calibrate": NoFields,
    "process": ProcessRequest,
    "cancel": NoFields,
    "overlay": OverlayRequest,
}


@runtime_checkable
class Desk(Protocol):
    """What the page shows and moves. All methods may be called by any thread."""

    @property
    def root(self) -> Any:
        """The session's folder."""
        ...

    def state(self) -> dict[str, Any]:
        """All that the page shows, as JSON can hold it; quick."""
        ...

    def do(self, command: str, request: PageRequest) -> None:
        """Raises InputError with a sentence for the user."""
        ...

    def preview(self, camera: str, width: int) -> Picture | None:
        """The newest picture of a camera."""
        ...

    def thumbnail(self, take: str) -> bytes | None:
        """JPEG of a take; None where there is none."""
        ...


def make_app(desk: Desk, access: Access, *, ending: Callable[[], bool] = lambda: False) -> Guard:
    """The whole application, behind its guard. ending: whether the server is about to stop."""
    pages = _pages()

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "recorder.html")
        if name not in pages:
            return _refused(404, "there is no such page")
        content, kind = pages[name]
        return Response(content, media_type=kind)

    async def state(request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(desk.state))

    async def events(request: Request) -> Response:
        return StreamingResponse(
            _events(desk, request, ending), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    async def preview(request: Request) -> Response:
        return await _preview(desk, request)

    async def thumbnail(request: Request) -> Response:
        jpeg = await asyncio.to_thread(desk.thumbnail, request.path_params["take"])
        return _refused(404, "there is no picture") if jpeg is None else Response(jpeg, media_type="image/jpeg")

    async def file(request: Request) -> Response:
        return await asyncio.to_thread(_file, desk, request.path_params["path"])

    async def command(request: Request) -> Response:
        return await _command(desk, request)

    routes = [
        Route("/", page),
        Route("/page/{name}", page),
        Route("/api/state", state),
        Route("/api/events", events),
        Route("/preview/{camera}.jpg", preview),
        Route("/thumbnail/{take}.jpg", thumbnail),
        Route("/files/{path:path}", file),
        Route("/api/{command}", command, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes, exception_handlers={InputError: _input_error, Exception: _fault}), access)


def _pages() -> dict[str, tuple[bytes, str]]:
    """The files of the page by name, read once: no address can name any other file."""
    folder = files("mocap.web") / "page"
    found = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    return {name: (data, PAGE_TYPES["." + name.rpartition(".")[2]]) for name, data in found.items()}


async def _events(desk: Desk, request: Request, ending: Callable[[], bool]) -> AsyncIterator[str]:
    """The state whenever it has changed, as server-sent events; a sign of life in between."""
    last, silent = "", 0.0
    while not ending() and not await request.is_disconnected():
        now = json.dumps(await asyncio.to_thread(desk.state), ensure_ascii=False, allow_nan=False)
        if now != last:
            last, silent = now, 0.0
            yield f"data: {now}\n\n"
        elif silent >= HEARTBEAT_S:
            silent = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(STATE_INTERVAL_S)
        silent += STATE_INTERVAL_S


async def _preview(desk: Desk, request: Request) -> Response:
    asked = request.query_params.get("width", "640")
    width = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 640
    picture = await asyncio.to_thread(desk.preview, request.path_params["camera"], width)
    if picture is None:
        return _refused(404, "the camera gave no picture yet")
    return Response(picture.jpeg, media_type="image/jpeg", headers={"x-time": f"{picture.time_s:.4f}"})


def _file(desk: Desk, asked: str) -> Response:
    path = file_in_session(desk.root, asked)
    if path is None:
        return _refused(404, "there is no such file in the session")
    suffix = path.suffix.lower()
    headers = {"content-security-policy": REPORT_POLICY if suffix == ".html" else "sandbox; default-src 'none'"}
    name = None if suffix in SHOWN else path.name
    return FileResponse(path, media_type=TYPES[suffix], filename=name, headers=headers)


async def _command(desk: Desk, request: Request) -> Response:
    name = request.path_params["command"]
    if name not in COMMANDS:
        return _refused(404, f"there is no command {name!r}")
    asked = read_request(COMMANDS[name], await request.body())
    await asyncio.to_thread(desk.do, name, asked)
    return JSONResponse({"done": name})


async def _input_error(request: Request, error: Exception) -> Response:
    return _refused(400, sentence_for_user(error) or "")


async def _fault(request: Request, error: Exception) -> Response:
    """An error of ours: told, and the server goes on."""
    sentence = sentence_for_user(error) or f"{sentence_of_fault(error)}. This is a fault of the program."
    log.error("%s %s: %s", request.method, request.url.path, sentence)
    return _refused(500, sentence)


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)


Handler = Callable[[Request], Awaitable[Response]]
