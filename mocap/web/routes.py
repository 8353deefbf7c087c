"""The addresses of the page: the page itself, the state, pictures, files, and what can be asked for."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from importlib.resources import files
from typing import Any, Protocol, TypeVar, runtime_checkable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mocap.core.errors import InputError, sentence_for_user, sentence_of_fault
from mocap.web.access import Access, Guard
from mocap.web.playback import Still
from mocap.web.previews import Picture
from mocap.web.requests import (
    CalibrateRequest,
    NoFields,
    OverlayRequest,
    PageRequest,
    ProcessRequest,
    RecordRequest,
    SyncRequest,
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

COMMAND_THREADS, PREVIEW_THREADS, FILE_THREADS = 2, 4, 2
"""Of their own, so that no number of pictures keeps a command waiting, and none of recorded ones a live one."""
ResultT = TypeVar("ResultT")

COMMANDS: Mapping[str, type[PageRequest]] = {
    "record": RecordRequest,
    "stop": NoFields,
    "retake": NoFields,
    "calibrate": CalibrateRequest,
    "sync": SyncRequest,
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

    def still(self, take: str, camera: str, at_s: float, width: int) -> Still | None:
        """A picture of a recorded video; None where there is no time for it now."""
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
        Route("/still/{take}/{camera}.jpg", answers.still),
        Route("/files/{path:path}", answers.file),
        Route("/api/{command}", answers.command, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={InputError: _input_error, Exception: _fault})
    app.router.redirect_slashes = False
    return Guard(app, access)


class _Told:
    """The state as JSON, made at most so often however many browsers listen."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._lock = desk, threading.Lock()
        self._text, self._made_s = "", -math.inf

    def text(self) -> str:
        """Not older than half the time between two events."""
        with self._lock:
            if time.monotonic() - self._made_s > STATE_INTERVAL_S / 2:
                self._text = json.dumps(self._desk.state(), ensure_ascii=False, allow_nan=False)
                self._made_s = time.monotonic()
            return self._text


class _Answers:
    """One method an address. What reads disks, converts pictures or moves the recorder runs in threads."""

    def __init__(self, desk: Desk, ending: Callable[[], bool]) -> None:
        self._desk, self._ending, self._pages = desk, ending, _pages()
        self._told = _Told(desk)
        self._commands = ThreadPoolExecutor(COMMAND_THREADS, thread_name_prefix="command")
        self._states = ThreadPoolExecutor(1, thread_name_prefix="state")
        self._previews = ThreadPoolExecutor(PREVIEW_THREADS, thread_name_prefix="preview")
        self._files = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="file")

    async def page(self, request: Request) -> Response:
        """The page, or one of its files."""
        name = request.path_params.get("name", "recorder.html")
        if name not in self._pages:
            return _refused(404, "there is no such page")
        content, kind = self._pages[name]
        return Response(content, media_type=kind)

    async def state(self, request: Request) -> Response:
        """All that the page shows, once."""
        return JSONResponse(await _in(self._states, self._desk.state))

    async def events(self, request: Request) -> Response:
        """All that the page shows, whenever it changes."""
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        told = _events(self._told, request, self._states, self._ending)
        return StreamingResponse(told, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def preview(self, request: Request) -> Response:
        """What a camera sees now."""
        width = _whole(request.query_params.get("width", ""), 640)
        picture = await _in(self._previews, self._desk.preview, request.path_params["camera"], width)
        if picture is None:
            return Response(status_code=204)
        return Response(picture.jpeg, media_type="image/jpeg", headers={"x-time": f"{picture.time_s:.4f}"})

    async def thumbnail(self, request: Request) -> Response:
        """A picture of a take."""
        jpeg = await _in(self._files, self._desk.thumbnail, request.path_params["take"])
        return _refused(404, "there is no picture") if jpeg is None else Response(jpeg, media_type="image/jpeg")

    async def still(self, request: Request) -> Response:
        """What a video of a take shows at ?ms=…, with the frame's number and time, and the video's length."""
        at_s = _whole(request.query_params.get("ms", ""), 0) / 1000
        width = _whole(request.query_params.get("width", ""), 640)
        take, camera = request.path_params["take"], request.path_params["camera"]
        still = await _in(self._files, self._desk.still, take, camera, at_s, width)
        if still is None:
            return Response(status_code=204)
        headers = {"x-frame": str(still.index), "x-time": f"{still.time_s:.4f}", "x-length": f"{still.length_s:.4f}"}
        return Response(still.jpeg, media_type="image/jpeg", headers=headers)

    async def file(self, request: Request) -> Response:
        """A result or a recording of the session."""
        return await _in(self._files, _file, self._desk, request.path_params["path"])

    async def command(self, request: Request) -> Response:
        """Do what is asked for."""
        name = request.path_params["command"]
        if name not in COMMANDS:
            return _refused(404, f"there is no command {name!r}")
        asked = read_request(COMMANDS[name], await request.body())
        await _in(self._commands, self._desk.do, name, asked)
        return JSONResponse({"done": name})


def _pages() -> dict[str, tuple[bytes, str]]:
    """The files of the page by name, read once: no address can name any other file."""
    folder = files("mocap.web") / "page"
    found = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    return {name: (data, PAGE_TYPES["." + name.rpartition(".")[2]]) for name, data in found.items()}


async def _events(told: _Told, request: Request, threads: Executor, ending: Callable[[], bool]) -> AsyncIterator[str]:
    """The state whenever it has changed, as server-sent events; a sign of life in between."""
    last, silent = "", 0.0
    while not ending() and not await request.is_disconnected():
        now = await _in(threads, told.text)
        if now != last:
            last, silent = now, 0.0
            yield f"data: {now}\n\n"
        elif silent >= HEARTBEAT_S:
            silent = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(STATE_INTERVAL_S)
        silent += STATE_INTERVAL_S


def _in(threads: Executor, call: Callable[..., ResultT], *arguments: Any) -> Awaitable[ResultT]:
    """The result of a call that waits, made by one of these threads."""
    return asyncio.get_running_loop().run_in_executor(threads, call, *arguments)


def _whole(text: str, missing: int) -> int:
    """A whole number of up to eight digits; `missing` for all else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else missing


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
