"""What the page shows and moves: a recording session, its pictures, its contents, and jobs on them."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mocap.capture.session_recording import RecordingSession
from mocap.core.errors import InputError
from mocap.web.config import WebConfig
from mocap.web.contents import SessionContents
from mocap.web.job_worker import Task
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
    job_json,
    last_json,
    recording_json,
)
from mocap.web.playback import IDLE_S, Playback, Still
from mocap.web.previews import Picture, Previews, Thumbnails
from mocap.web.requests import (
    CalibrateRequest,
    OverlayRequest,
    PageRequest,
    ProcessRequest,
    RecordRequest,
    SyncRequest,
)

TICK_S = 0.2
CONTENTS_S = 3.0
"""How old the list of what lies in the session may be where nothing is known to have changed."""


class RecordingDesk:
    """A `Desk` over a recording session. `open` begins, `close` ends what runs besides the session."""

    def __init__(self, recording: RecordingSession, config: WebConfig | None = None, *, threads: int = 0) -> None:
        """threads: of jobs; 0 leaves one of the machine's to the recorder."""
        self.recording, self.config = recording, config or WebConfig()
        self._rotations = {camera.name: camera.rotation for camera in recording.rig.session.cameras}
        self.contents = SessionContents(recording.root, self._rotations)
        self.overlays = Overlays(recording.rig, self._finders(), self._busy, lambda: recording.state.corners)
        self.previews = Previews(recording.rig, self.overlays, self.config)
        self.thumbnails = Thumbnails()
        self.playback = Playback()
        self.jobs = JobRunner(recording.root, threads=threads, finished=self._job_ended)
        self._lock = threading.Lock()
        self._guides: dict[str, dict[str, Any]] = {}
        self._notes: list[dict[str, Any]] = []
        self._drops: Counts = {}
        self._phase, self._looked = "idle", 0
        self._listed: tuple[Any, float, dict[str, Any]] | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._looking = threading.Thread(target=self._look, name="looking", daemon=True)

    @property
    def root(self) -> Path:
        """The session's folder."""
        return self.recording.root

    def open(self) -> None:
        """Begin to watch and to draw."""
        self.overlays.start()
        self._thread.start()
        self._looking.start()

    def close(self) -> None:
        """End jobs and threads; the recording session is left to whoever made it."""
        self._closed.set()
        self.jobs.close()
        self.overlays.close()
        for thread in (self._thread, self._looking):
            if thread.is_alive():
                thread.join(2.0)
        self.playback.let_go()

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
            "job": None if job is None else job_json(job, self.jobs.waiting),
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
        elif isinstance(request, CalibrateRequest):
            self._calibrate(request)
        elif isinstance(request, SyncRequest):
            self._start_jobs([Task("sync", request.take)])
        elif isinstance(request, ProcessRequest):
            again = {"again": request.again}
            self._start_jobs([Task("process", take, again) for take in dict.fromkeys(request.takes)])
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

    def still(self, take: str, camera: str, at_s: float, width: int) -> Still | None:
        """A picture of a recorded video. Raises InputError for what the session does not have."""
        now = self.recording.state
        if now.phase != "idle" and now.take == take:
            raise InputError(f"{take} is being recorded", remedy="Look at it afterwards.")
        for video in self.contents.videos(take):
            if video.stem == camera:
                turned, busy = self._rotations.get(camera, 0), now.phase != "idle"
                return self.playback.still(video, at_s, width, rotation=turned, recording=busy)
        raise InputError(f"the session has no video of {camera!r} in a take {take!r}")

    def _record(self, asked: RecordRequest) -> None:
        recording, long = self.recording, asked.duration_s
        if asked.mode != "take":
            self.jobs.hold(True)  # `_run` lets them go on where nothing is recorded after all
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
        if asked.mode != "take":
            self._drop(lambda task: task.kind == "calibrate", "its clips are being recorded again")

    def _plain(self, command: str) -> None:
        if command == "stop":
            self.recording.finish()
        elif command == "retake":
            self._retake()
        elif command == "cancel":
            self.jobs.cancel()
        else:
            raise InputError(f"there is no command {command!r}")

    def _retake(self) -> None:
        """What is made of the take that is set aside ends: it would write where the take is no longer."""
        self.jobs.hold(True)
        self.playback.let_go()
        self.recording.retake()
        takes = self.contents.take_names()
        self._drop(lambda task: task.take is not None and task.take not in takes, "the take was set aside")

    def _drop(self, which: Callable[[Task], bool], why: str) -> None:
        """End jobs that have lost their ground."""
        for task in self.jobs.cancel(which):
            self._note(f"{task.title} was ended: {why}", "warn")

    def _calibrate(self, asked: CalibrateRequest) -> None:
        if asked.floor == "person" and asked.person is None:
            raise InputError("no take is named", remedy="Choose the take in which somebody stands upright.")
        if asked.person is not None and asked.person not in self.contents.take_names():
            raise InputError(f"the session has no take {asked.person!r}")
        self._start_jobs([Task("calibrate", None, asked.model_dump())])

    def _start_jobs(self, tasks: Sequence[Task]) -> None:
        """Of several, those that are not being done already."""
        if self._busy():
            raise InputError("a recording is running", remedy="Finish it first.")
        takes = self.contents.take_names()
        missing = [task.take for task in tasks if task.take is not None and task.take not in takes]
        if missing:
            raise InputError(f"the session has no take {missing[0]!r}")
        for task in tasks:
            try:
                self.jobs.start(task)
            except InputError:
                if len(tasks) == 1:
                    raise

    def _job_ended(self, job: Job) -> None:
        level = {"failed": "bad", "cancelled": "warn"}.get(job.phase, "")
        self._note(f"{job.task.title}: {job.phase}" + (f", {job.headline}" if job.headline else ""), level)

    def _note(self, text: str, level: str) -> None:
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
        key = (n_events, None if job is None else (job.number, job.phase), written, self._looked)
        with self._lock:
            listed = self._listed
        if listed is None or listed[0] != key or time.monotonic() - listed[1] > CONTENTS_S:
            contents = self.contents
            found = {
                "clips": contents.clips(),
                "calibration": contents.calibration(),
                "takes": contents.takes(being_written=written, look=False),
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

    def _look(self) -> None:
        """Look into videos of which nothing is known yet, by a thread of its own: the page never waits for that."""
        while not self._closed.wait(TICK_S):
            self.playback.let_go(IDLE_S)
            while not self._closed.is_set() and not self._busy() and self.contents.look_into_one():
                self._looked += 1

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
