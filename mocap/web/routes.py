"""The addresses of the page: the page itself, the state, pictures, files, and what can be asked for."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
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
    answers = _Answers(desk, ending)
    routes = [
        Route("/", answers.page),
        Route("/page/{name}", answers.page),
        Route("/api/state", answers.state),
        Route("/api/events", answers.events),
        Route("/preview/{camera}.jpg", answers.preview),
        Route("/thumbnail/{take}.jpg", answers.thumbnail),
        Route("/files/{path:path}", answers.file),
        Route("/api/{command}", answers.command, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes, exception_handlers={InputError: _input_error, Exception: _fault}), access)


class _Answers:
    """One method an address. What reads disks, converts pictures or moves the recorder runs in threads."""

    def __init__(self, desk: Desk, ending: Callable[[], bool]) -> None:
        self._desk, self._ending, self._pages = desk, ending, _pages()

    async def page(self, request: Request) -> Response:
        name = request.path_params.get("name", "recorder.html")
        if name not in self._pages:
            return _refused(404, "there is no such page")
        content, kind = self._pages[name]
        return Response(content, media_type=kind)

    async def state(self, request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(self._desk.state))

    async def events(self, request: Request) -> Response:
        told = _events(self._desk, request, self._ending)
        return StreamingResponse(told, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def preview(self, request: Request) -> Response:
        asked = request.query_params.get("width", "640")
        width = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 640
        picture = await asyncio.to_thread(self._desk.preview, request.path_params["camera"], width)
        if picture is None:
            return Response(status_code=204)
        return Response(picture.jpeg, media_type="image/jpeg", headers={"x-time": f"{picture.time_s:.4f}"})

    async def thumbnail(self, request: Request) -> Response:
        jpeg = await asyncio.to_thread(self._desk.thumbnail, request.path_params["take"])
        return _refused(404, "there is no picture") if jpeg is None else Response(jpeg, media_type="image/jpeg")

    async def file(self, request: Request) -> Response:
        return await asyncio.to_thread(_file, self._desk, request.path_params["path"])

    async def command(self, request: Request) -> Response:
        name = request.path_params["command"]
        if name not in COMMANDS:
            return _refused(404, f"there is no command {name!r}")
        asked = read_request(COMMANDS[name], await request.body())
        await asyncio.to_thread(self._desk.do, name, asked)
        return JSONResponse({"done": name})


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


def _file(desk: Desk, asked: str) -> Response:
    path = file_in_session(desk.root, asked)
    if path is None:
        return _refused(404, "there is no such file in the session")
    suffix = path.suffix.lower()
    headers = {"content-security-policy": REPORT_POLICY if suffix == ".html" else "sandbox; default-src 'none'"}
    name = None if suffix in SHOWN else path.name
    return FileResponse(path, media_type=TYPES[suffix], filename=name, headers=headers)


async def _input_error(request: Request, error: Exception) -> Response:
    return _refused(400, sentence_for_user(error) or "")


async def _fault(request: Request, error: Exception) -> Response:
    """An error of ours: told, and the server goes on."""
    sentence = sentence_for_user(error) or f"{sentence_of_fault(error)}. This is a fault of the program."
    log.error("%s %s: %s", request.method, request.url.path, sentence)
    return _refused(500, sentence)


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)
