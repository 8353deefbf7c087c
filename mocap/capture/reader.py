"""One thread a camera: takes its pictures, hands them on by bounded queues, counts what is lost, and tries again."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from mocap.capture.frame_queue import FrameQueue
from mocap.capture.rate_meter import RateMeter
from mocap.capture.source import (
    CameraSource,
    Scene,
    SceneSource,
    SourceEnded,
    SourceFrame,
    SourceInfo,
    SourceLost,
    SourceRefused,
    Stamps,
)
from mocap.core.config import Config
from mocap.core.errors import InputError, sentence_of_fault

State = Literal["opening", "live", "lost", "ended", "closed"]
POLL_S = 0.25
CLOSE_S = 3.0
"""How long `close` waits for a camera that does not let go; its thread ends with the program in any case."""


class ReaderConfig(Config):
    """queue_length: pictures that may wait for whoever takes them (a raw 1280x720 one is 2.8 MB). silence_s: a camera
    that gives nothing for so long is lost. retry_s, retry_at_most_s: wait before it is tried again, doubling."""

    queue_length: int = Field(default=32, ge=1)
    silence_s: float = Field(default=3.0, gt=0)
    retry_s: float = Field(default=0.5, gt=0)
    retry_at_most_s: float = Field(default=5.0, gt=0)


@dataclass(frozen=True)
class CameraStatus:
    """How a camera does.

    fps, jitter_ms: over the last 2 s; jitter is the standard deviation of the intervals between capture times.
    received: pictures since it was opened first; delivered: taken from queues; dropped_queue: lost because nobody took
    them in time; lost_source: lost before they came here, by the source's own count or stamps. lost_at_s: of
    `time.monotonic()`, its last picture before it was lost; None while it lives.
    """

    name: str
    state: State
    message: str = ""
    size: tuple[int, int] | None = None
    nominal_fps: float | None = None
    fps: float = 0.0
    jitter_ms: float = 0.0
    received: int = 0
    delivered: int = 0
    dropped_queue: int = 0
    lost_source: int = 0
    reconnects: int = 0
    lost_at_s: float | None = None
    stamps: Stamps = "arrival"
    detail: str = ""


class CameraReader:
    """Reads a source in a thread of its own, from `start` to `close`. All methods may be called by any thread."""

    def __init__(
        self, name: str, source: CameraSource, queue_length: int | None = None, *, config: ReaderConfig | None = None
    ) -> None:
        self.name = name
        self._source = source
        self._config = config or ReaderConfig()
        self._queue_length = queue_length or self._config.queue_length
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._queues: list[FrameQueue] = []
        self._past = [0, 0]  # delivered and dropped by queues that are gone
        self._latest: SourceFrame | None = None
        self._info: SourceInfo | None = None
        self._state: State = "opening"
        self._message = ""
        self._lost_at_s: float | None = None
        self._reconnects = 0
        self._scene_count = 0
        self._meter = RateMeter()
        self._heard_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to let the camera go, and do not wait."""
        self._closed.set()
        self._wake.set()
        for queue in list(self._queues):
            queue.close()
        self._source.close()

    def close(self) -> None:
        """Stop reading and let the camera go."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        self._state = "closed"

    @property
    def state(self) -> State:
        """As it is now: a camera that keeps its reader waiting is lost before the reader can say so."""
        silent = self._state == "live" and not self._waits and time.monotonic() - self._heard_s > self._config.silence_s
        return "lost" if silent else self._state

    @property
    def _waits(self) -> bool:
        return self._info is not None and self._info.waits

    @property
    def info(self) -> SourceInfo | None:
        """What the source said when it was opened last; None before that."""
        return self._info

    def latest(self) -> SourceFrame | None:
        """The newest picture, for previews: nothing is taken from any queue."""
        return self._latest

    def subscribe(self, length: int | None = None) -> FrameQueue:
        """A queue that gets every picture from now on."""
        queue = FrameQueue(length or self._queue_length)
        with self._lock:
            self._queues.append(queue)
        self._wake.set()
        return queue

    def unsubscribe(self, queue: FrameQueue) -> None:
        """End a queue; what it holds can still be taken."""
        queue.close()
        with self._lock:
            if queue in self._queues:
                self._queues.remove(queue)
                self._past[0] += queue.delivered
                self._past[1] += queue.dropped
        self._wake.set()

    def set_scene(self, scene: Scene | None, *, start_s: float) -> None:
        """Tell a source that can play what is wanted; others go on as they are."""
        if isinstance(self._source, SceneSource):
            self._scene_count += 1
            self._source.set_scene(scene, start_s=start_s)
            self._wake.set()

    def scene_seconds(self, scene: Scene) -> float | None:
        """How long its source plays a scene; None for cameras, which know of none."""
        return self._source.scene_seconds(scene) if isinstance(self._source, SceneSource) else None

    def statistics(self) -> CameraStatus:
        """Counts and rates as they are now."""
        info, meter, state, latest = self._info, self._meter, self.state, self._latest
        fps, jitter_s = meter.rate(time.monotonic()) if state == "live" else (0.0, 0.0)
        silent = state == "lost" and self._state == "live"
        with self._lock:
            delivered = self._past[0] + sum(queue.delivered for queue in self._queues)
            dropped = self._past[1] + sum(queue.dropped for queue in self._queues)
        return CameraStatus(
            name=self.name,
            state=state,
            message=str(self._silence()) if silent else self._message,
            size=latest.size if latest is not None else (None if info is None else info.size),
            nominal_fps=None if info is None else info.fps,
            fps=fps,
            jitter_ms=1e3 * jitter_s,
            received=meter.received,
            delivered=delivered,
            dropped_queue=dropped,
            lost_source=meter.lost,
            reconnects=self._reconnects,
            lost_at_s=latest.time_s if silent and latest is not None else self._lost_at_s,
            stamps="arrival" if info is None else info.stamps,
            detail="" if info is None else info.detail,
        )

    def _run(self) -> None:
        wait_s = self._config.retry_s
        while not self._closed.is_set():
            before = self._meter.received
            try:
                self._read_until_lost()
            except InputError as error:
                self._lose(str(error))
                refused = isinstance(error, SourceRefused)
                wait_s = self._config.retry_at_most_s if refused else wait_s
            except Exception as error:  # a fault of one source must not end its thread: the camera is tried again
                self._lose(sentence_of_fault(error))
            finally:
                self._source.close()
            if self._meter.received > before:
                wait_s = self._config.retry_s
            self._closed.wait(wait_s)
            wait_s = min(2 * wait_s, self._config.retry_at_most_s)

    def _read_until_lost(self) -> None:
        info = self._source.open()
        self._info = info
        self._meter.restarted()
        last = time.monotonic()
        while not self._closed.is_set():
            scene = self._scene_count
            try:
                frame = self._source.read(POLL_S)
            except TimeoutError:
                self._check_silence(last)
                continue
            except SourceEnded as end:
                self._state, self._message = "ended", str(end)
                self._pause(None)
                last = time.monotonic()
                continue
            last = time.monotonic()
            self._take(frame, info, scene)

    def _check_silence(self, last: float) -> None:
        if time.monotonic() - last > self._config.silence_s:
            raise self._silence()

    def _silence(self) -> SourceLost:
        return SourceLost(
            f"gives no picture for {self._config.silence_s:g} s",
            where=f"camera {self.name}",
            remedy="Check its cable, power and network; it is tried again by itself.",
        )

    def _take(self, frame: SourceFrame, info: SourceInfo, scene: int) -> None:
        if self._closed.is_set():
            return
        self._heard_s = time.monotonic()
        if self._state != "live":
            self._reconnects += self._state == "lost" and self._meter.received > 0
            self._state, self._message, self._lost_at_s = "live", "", None
        self._meter.add(frame)
        self._latest = frame
        if info.waits:
            self._wait_for_takers(scene)
            if scene != self._scene_count:
                return  # it belongs to what was played before
        with self._lock:
            queues = list(self._queues)
        for queue in queues:
            queue.put(frame, wait=info.waits)

    def _wait_for_takers(self, scene: int) -> None:
        while not self._queues and not self._closed.is_set() and scene == self._scene_count:
            self._pause(POLL_S)

    def _lose(self, message: str) -> None:
        if self._closed.is_set():
            return
        if self._state == "live" and self._latest is not None:
            self._lost_at_s = self._latest.time_s
        self._state, self._message = "lost", message

    def _pause(self, seconds: float | None) -> None:
        """Until something happens, or that long."""
        if not self._closed.is_set():
            self._wake.wait(seconds)
        self._wake.clear()
