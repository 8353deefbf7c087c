"""The recorder's page over a recording session: `mocap record SESSION --web`."""

from __future__ import annotations

from collections.abc import Callable

from mocap.capture.session_recording import RecordingSession
from mocap.web.config import WebConfig
from mocap.web.desk import RecordingDesk
from mocap.web.page_server import Addresses, PageServer, run_page

__all__ = ["Addresses", "WebConfig", "serve"]


def serve(
    recording: RecordingSession,
    config: WebConfig | None = None,
    *,
    announce: Callable[[Addresses], None] | None = None,
) -> None:
    """Serve the page of a recording session until Ctrl-C; `recording` is finished then, but left open.

    announce: told where the page is, before it is served; by default the program's log tells.
    """
    desk = RecordingDesk(recording, config)
    server = PageServer(desk, desk.config)
    desk.open()
    try:
        run_page(server, announce)
    finally:
        recording.finish()
        desk.close()
