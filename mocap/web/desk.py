"""What the page shows and moves: a recording session, its pictures, its contents, and jobs on them."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mocap.capture.session_recording import RecordingSession
from mocap.core.errors import InputError
from mocap.web.config import WebConfig
from mocap.web.contents import SessionContents
from mocap.web.jobs import Job, JobRunner
from mocap.web.overlays import Finder, OverlayKind, Overlays, board_finder, people_finder
from mocap.web.page_state import (
    SHOWN_EVENTS,
    Counts,
    camera_json,
    drops_of,
    event_json,
    guide_json,
    guide_key,
    last_json,
    recording_json,
)
from mocap.web.previews import Picture, Previews, Thumbnails
from mocap.web.requests import OverlayRequest, PageRequest, ProcessRequest, RecordRequest

TICK_S = 0.2
CONTENTS_S = 3.0
"""How old the list of what lies in the session may be where nothing is known to have changed."""


class RecordingDesk:
    """A `Desk` over a recording session. `open` begins, `close` ends what runs besides the session."""

    def __init__(self, recording: RecordingSession, config: WebConfig | None = None, *, threads: int = 0) -> None:
        """threads: of jobs; 0 leaves one of the machine's to the recorder."""
        self.recording, self.config = recording, config or WebConfig()
        self.contents = SessionContents(recording.root)
        self.overlays = Overlays(recording.rig, self._finders(), self._busy, lambda: recording.state.corners)
        self.previews = Previews(recording.rig, self.overlays, self.config)
        self.thumbnails = Thumbnails()
        self.jobs = JobRunner(recording.root, threads=threads, finished=self._job_ended)
        self._rotations = {camera.name: camera.rotation for camera in recording.rig.session.cameras}
        self._lock = threading.Lock()
        self._guides: dict[str, dict[str, Any]] = {}
        self._notes: list[dict[str, Any]] = []
        self._drops: Counts = {}
        self._phase = "idle"
        self._listed: tuple[Any, float, dict[str, Any]] | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)

    @property
    def root(self) -> Path:
        """The session's folder."""
        return self.recording.root

    def open(self) -> None:
        """Begin to watch and to draw."""
        self.overlays.start()
        self._thread.start()

    def close(self) -> None:
        """End jobs and threads; the recording session is left to whoever made it."""
        self._closed.set()
        self.jobs.close()
        self.overlays.close()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def state(self) -> dict[str, Any]:
        """All that the page shows."""
        now = self.recording.state
        job = self.jobs.job
        events = [event_json(event) for event in self.recording.events(max(0, now.n_events - SHOWN_EVENTS))]
        listed = self._contents(now.n_events, job, now.take if now.phase != "idle" else None)
        with self._lock:
            told = sorted([*events, *self._notes], key=lambda event: event["at_s"])[-SHOWN_EVENTS:]
            guides = dict(self._guides)
        names = [camera.name for camera in now.cameras]
        return {
            "session": self._session(),
            "cameras": [
                camera_json(
                    camera,
                    now.pictures.get(camera.name),
                    before=self._drops.get(camera.name, (0, 0)),
                    rotation=self._rotations.get(camera.name, 0),
                )
                for camera in now.cameras
            ],
            "recording": recording_json(now, names),
            "guides": guides,
            "last": last_json(now),
            **listed,
            "job": None if job is None else _job_json(job),
            "overlay": {
                "kind": self.overlays.kind,
                "ready": self.overlays.ready,
                "message": self.overlays.message,
            },
            "events": told,
        }

    def do(self, command: str, request: PageRequest) -> None:
        """Raises InputError with a sentence for the user."""
        if isinstance(request, RecordRequest):
            self._record(request)
        elif isinstance(request, OverlayRequest):
            self.overlays.want(request.kind)
        elif isinstance(request, ProcessRequest):
            if request.take not in self.contents.take_names():
                raise InputError(f"the session has no take {request.take!r}")
            self._start_job("process", request.take)
        else:
            self._plain(command)

    def preview(self, camera: str, width: int) -> Picture | None:
        """The newest picture of a camera."""
        return self.previews.newest(camera, width, recording=self._busy())

    def thumbnail(self, take: str) -> bytes | None:
        """Of the first camera of a take."""
        for video in self.contents.videos(take):
            try:
                return self.thumbnails.of(video, self._rotations.get(video.stem, 0))
            except (InputError, OSError):
                continue
        return None

    def _record(self, asked: RecordRequest) -> None:
        recording, long = self.recording, asked.duration_s
        if asked.mode == "intrinsics":
            if asked.camera is None:
                raise InputError("no camera is named", remedy="Choose the camera whose lens is recorded.")
            recording.intrinsics(asked.camera, duration_s=long)
        elif asked.mode == "extrinsics":
            recording.extrinsics(duration_s=long)
        elif asked.mode == "floor":
            recording.floor(duration_s=long)
        else:
            recording.take(asked.take or "take", asked.number, asked.countdown_s, long)

    def _plain(self, command: str) -> None:
        if command == "stop":
            self.recording.finish()
        elif command == "retake":
            self.recording.retake()
        elif command == "calibrate":
            self._start_job("calibrate", None)
        elif command == "cancel":
            self.jobs.cancel()
        else:
            raise InputError(f"there is no command {command!r}")

    def _start_job(self, kind: str, take: str | None) -> None:
        if self._busy():
            raise InputError("a recording is running", remedy="Finish it first.")
        self.jobs.start(kind, take)

    def _job_ended(self, job: Job) -> None:
        what = "calibration" if job.kind == "calibrate" else f"processing of {job.take}"
        level = {"failed": "bad", "cancelled": "warn"}.get(job.phase, "")
        text = f"{what}: {job.phase}" + (f", {job.headline}" if job.headline else "")
        with self._lock:
            self._notes = [*self._notes, {"at_s": time.time(), "level": level, "text": text}][-SHOWN_EVENTS:]

    def _busy(self) -> bool:
        return self.recording.state.phase != "idle"

    def _session(self) -> dict[str, Any]:
        try:
            free = round(shutil.disk_usage(self.root).free / 1e9, 1)
        except OSError:
            free = None
        without = list(self.recording.rig.without_source)
        board = self.recording.board is not None
        return {"name": self.root.resolve().name, "board": board, "free_gb": free, "without_source": without}

    def _contents(self, n_events: int, job: Job | None, written: str | None) -> dict[str, Any]:
        """Of the disk; read again when something happened, else now and then."""
        key = (n_events, None if job is None else (job.number, job.phase), written)
        with self._lock:
            listed = self._listed
        if listed is None or listed[0] != key or time.monotonic() - listed[1] > CONTENTS_S:
            contents = self.contents
            found = {
                "clips": contents.clips(),
                "calibration": contents.calibration(),
                "takes": contents.takes(being_written=written),
            }
            listed = (key, time.monotonic(), found)
            with self._lock:
                self._listed = listed
        return listed[2]

    def _finders(self) -> Mapping[OverlayKind, Callable[[], Finder]]:
        def board() -> Finder:
            if self.recording.board is None:
                raise InputError(
                    "does not say which board there is",
                    where=self.root / "session.toml",
                    remedy="Add its [board]; `mocap board` writes one beside the print.",
                )
            return board_finder(self.recording.board)

        return {"board": board, "people": people_finder}

    def _run(self) -> None:
        """Keep guides for the page, count drops from the beginning of a recording, and hold jobs while one runs."""
        while not self._closed.wait(TICK_S):
            now = self.recording.state
            if now.guide is not None:
                guide = guide_json(now.guide, now.camera)
                with self._lock:
                    self._guides[guide_key(guide)] = guide
            if now.phase == "recording" and self._phase != "recording":
                self._drops = drops_of(now.cameras)
            self._phase = now.phase
            self.jobs.hold(now.phase != "idle")


def _job_json(job: Job) -> dict[str, Any]:
    return {
        "kind": job.kind,
        "take": job.take,
        "phase": job.phase,
        "held": job.held,
        "stage": job.stage,
        "done": job.done,
        "total": job.total,
        "seconds": int(job.seconds),
        "headline": job.headline,
        "verdict": job.verdict,
        "notes": list(job.notes),
    }
