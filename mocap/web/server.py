"""The recorder's page over a recording session: `mocap record SESSION --web`."""

from __future__ import annotations

import socket
from collections.abc import Callable

from mocap.capture.session_recording import RecordingSession
from mocap.web.config import WebConfig
from mocap.web.desk import RecordingDesk
from mocap.web.page_server import Addresses, PageServer, listen, run_page

__all__ = ["Addresses", "WebConfig", "listen", "serve"]


def serve(
    recording: RecordingSession,
    config: WebConfig | None = None,
    *,
    listening: socket.socket | None = None,
    announce: Callable[[Addresses], None] | None = None,
) -> None:
    """Serve the page of a recording session until Ctrl-C; `recording` is finished then, but left open.

    listening: what `listen` gave, to know before cameras are opened that the address is free.
    announce: told where the page is, before it is served; by default the program's log tells.
    """
    desk = RecordingDesk(recording, config)
    server = PageServer(desk, desk.config, listening)
    desk.open()
    try:
        run_page(server, announce)
    finally:
        try:
            recording.finish()
        finally:
            desk.close()
