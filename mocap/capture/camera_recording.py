"""One camera's part of a recording: a thread between its reader's queue and its file."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from pydantic import Field

from mocap.capture.encoders import SOFTWARE, Encoder, software_encoder
from mocap.capture.frame_queue import FrameQueue
from mocap.capture.h264 import DAMAGED, FIRST, KeptPictures
from mocap.capture.h264_writer import H264Writer
from mocap.capture.jpeg import JpegPicture
from mocap.capture.reader import CameraReader
from mocap.capture.recording_files import RecordingPlace, TimesLog
from mocap.capture.source import SourceFrame
from mocap.capture.stream_writer import StreamWriter, StreamWriterConfig
from mocap.capture.thinning import BACKLOG_S, Thinning
from mocap.core.config import Report
from mocap.core.errors import InputError, VideoError, sentence_for_user, sentence_of_fault

POLL_S = 0.1
GAP = 1.6
"""An interval so many times longer than usual hides a picture that is missing."""
LEAST_STEP_S = 0.0005
"""Pictures whose times are those of their arrival may arrive together; a video needs them one after the other."""
BACKWARDS_S = 0.25
"""Times may go back by less: of pictures that arrive late, where a camera's clock is being found out."""
SILENT_START_S = 3.0
"""A source that has ended before may be so long in beginning again."""


class CameraRecord(Report):
    """What became of a camera's pictures from the start to the end of the recording.

    received: that came from the camera. written: that are in the file. dropped: reason -> how many are not. fps:
    written a second, jitter_ms: standard deviation of the intervals between their capture times, gaps left out.
    gaps: intervals in which pictures are missing; longest_gap_s. died_at_s: since the start, its last picture before it
    fell silent for good; None for a camera that lived. times_moved: pictures that came at once, and are put
    `LEAST_STEP_S` apart. error: why its file ends early.
    """

    camera: str
    file: str
    encoder: str = ""
    received: int = 0
    written: int = 0
    dropped: dict[str, int] = Field(default_factory=dict)
    fps: float = 0.0
    jitter_ms: float = 0.0
    gaps: int = 0
    longest_gap_s: float = 0.0
    times_moved: int = 0
    reconnects: int = 0
    died_at_s: float | None = None
    error: str | None = None
    megabytes: float = 0.0

    @property
    def before(self) -> int:
        """Pictures that came before the first one that could be kept as the camera compressed it."""
        return self.dropped.get(FIRST, 0)

    @property
    def missing(self) -> int:
        """Pictures that the camera took since, as far as is known, and the file lacks."""
        return sum(self.dropped.values()) - self.before


@dataclass(frozen=True)
class RecordingPlan:
    """What all cameras of a recording share. start_s: of `time.monotonic()`. log: None where no times are written."""

    place: RecordingPlace
    start_s: float
    duration_s: float | None
    writer: StreamWriterConfig
    log: TimesLog | None


class CameraRecording:
    """Writes a camera's pictures from `plan.start_s` until `finish`, the duration, or the source's end.

    encoder: None to keep a camera's JPEGs or H.264 as they are. H.264 begins with the camera's next key picture, and
    after a loss goes on with one.
    """

    def __init__(self, reader: CameraReader, plan: RecordingPlan, encoder: Encoder | None, fps: float) -> None:
        self.name = reader.name
        self.path = plan.place.video(reader.name)
        self.error: str | None = None
        self.disk_full = False
        self.died_at_s: float | None = None
        self._reader = reader
        self._plan = plan
        self._encoder = encoder
        self._fps = fps
        self._writer: StreamWriter | None = None
        self._times: list[float] = []
        self._received = 0
        self._left_out = 0
        self._n_moved = 0
        self._thinning = Thinning(fps)
        self._kept = KeptPictures()
        self._refused: dict[str, int] = {}
        self._until_s: float | None = None
        self._before = reader.statistics()
        self._queue: FrameQueue = reader.subscribe(max(8, round(BACKLOG_S * fps)))
        self._thread = threading.Thread(target=self._run, name=f"record {self.name}", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def finish(self, until_s: float) -> None:
        """Write what was captured before `until_s` (of `time.monotonic()`), then end."""
        if self._until_s is None:
            self._until_s = until_s

    @property
    def running(self) -> bool:
        """Whether pictures may still be written."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def sync(self) -> None:
        """Let the system put on the disk what it has of the file."""
        if self._writer is not None:
            self._writer.sync()

    def record(self) -> CameraRecord:
        """Counts as they are now."""
        times = np.array(self._times)
        steps = np.diff(times)
        usual = float(np.median(steps)) if len(steps) else 0.0
        gaps = steps[steps > GAP * usual]
        even = steps[steps <= GAP * usual]
        now = self._reader.statistics()
        dropped = {
            "lost at the camera or on their way": now.lost_source - self._before.lost_source,
            "left out, as this machine is too slow": self._queue.dropped + self._left_out,
            **self._refused,
        }
        return CameraRecord(
            camera=self.name,
            file=self.path.name,
            encoder=self._how,
            received=self._received + self._queue.dropped,
            written=len(times),
            dropped={reason: count for reason, count in dropped.items() if count > 0},
            fps=(len(times) - 1) / float(times[-1] - times[0]) if len(times) > 1 else 0.0,
            jitter_ms=1e3 * float(even.std()) if len(even) else 0.0,
            gaps=len(gaps),
            longest_gap_s=float(gaps.max()) if len(gaps) else 0.0,
            times_moved=self._n_moved,
            reconnects=now.reconnects - self._before.reconnects,
            died_at_s=self.died_at_s,
            error=self.error,
            megabytes=self._n_bytes() / 1e6,
        )

    @property
    def last_s(self) -> float:
        """Time of the last picture written; 0 before there is one."""
        return self._times[-1] if self._times else 0.0

    @property
    def _how(self) -> str:
        if self._encoder is not None:
            return self._encoder.name
        return "the camera's own H.264" if isinstance(self._writer, H264Writer) else "the camera's own JPEG"

    def _n_bytes(self) -> int:
        return 0 if self._writer is None else self._writer.n_bytes

    def _run(self) -> None:
        try:
            self._write_all()
        except Exception as error:
            self._fail(error)
        finally:
            self._reader.unsubscribe(self._queue)
            if self._writer is not None:
                try:
                    self._writer.close()
                except Exception as error:
                    self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.disk_full = self.disk_full or (isinstance(error, OSError) and sentence_for_user(error) is not None)
        self.error = self.error or sentence_for_user(error) or sentence_of_fault(error)

    def _write_all(self) -> None:
        while True:
            frame = self._queue.get(POLL_S)
            if frame is None:
                if self._over():
                    return
                continue
            time_s = frame.time_s - self._plan.start_s
            if time_s < 0:
                continue
            if self._plan.duration_s is not None and time_s >= self._plan.duration_s:
                return
            if self._until_s is not None and frame.time_s > self._until_s:
                return
            self._received += 1
            leans = self._encoder is None and frame.h264 is not None  # on those before, and costs nothing
            if not self._waits and not leans and self._thinning.leaves_out(len(self._queue), time.monotonic()):
                self._left_out += 1
            else:
                self._write(frame, time_s)

    def _write(self, frame: SourceFrame, time_s: float) -> None:
        picture, why = frame.native, None
        if self._encoder is None and isinstance(picture, VideoFrame):
            picture, why = frame.h264, self._kept.why_not(frame.h264)
        if picture is None or why is not None:
            self._refuse(why or DAMAGED)
            return
        if self._writer is None:
            self._writer = self._opened(frame)
        try:
            if frame.size != self._writer.size:
                raise VideoError(f"of another size ({frame.size[0]}x{frame.size[1]})")
            if self._times and time_s < self._times[-1] - BACKWARDS_S:
                raise VideoError("taken before the one that came before")
            later_s = self._times[-1] + LEAST_STEP_S if self._times else time_s
            self._n_moved += time_s < later_s
            time_s = max(time_s, later_s)
            self._writer.write(picture.data if isinstance(picture, JpegPicture) else picture, time_s)
        except (VideoError, FFmpegError) as error:
            if isinstance(error, OSError):
                raise
            self._kept.lost()
            self._refuse(getattr(error, "what", str(error)))
            return
        if self._plan.log is not None:
            self._plan.log.add(self.name, len(self._times), time_s)
        self._times.append(time_s)

    def _refuse(self, reason: str) -> None:
        self._refused[reason] = self._refused.get(reason, 0) + 1

    def _opened(self, frame: SourceFrame) -> StreamWriter:
        keep = self._encoder is None
        if keep and frame.h264 is not None:
            return H264Writer(self.path, frame.size, self._fps, self._plan.writer)
        if keep and not isinstance(frame.native, JpegPicture):
            raise InputError("the camera gives no JPEGs any more", where=f"camera {self.name}")
        make = partial(StreamWriter, self.path, frame.size, self._fps, self._plan.writer, as_jpeg=keep)
        try:
            return make(encoder=self._encoder)
        except FFmpegError:  # of hardware: consumer cards encode a few streams at once, and no more
            if self._encoder is None or self._encoder.name == SOFTWARE:
                raise
            self._encoder = software_encoder("ultrafast", self._plan.writer.quality)
            return make(encoder=self._encoder)

    def _over(self) -> bool:
        """Nothing waits: is nothing more to come?"""
        now = time.monotonic()
        if self._queue.closed or self._until_s is not None:
            return True
        begun = self._received > 0 or now > self._plan.start_s + SILENT_START_S
        if self._reader.state in ("ended", "closed") and begun and not len(self._queue):
            return True
        plan = self._plan
        return plan.duration_s is not None and not self._waits and now > plan.start_s + plan.duration_s + 2 * POLL_S

    @property
    def _waits(self) -> bool:
        """The source loses nothing when pictures are taken late."""
        return self._reader.info is not None and self._reader.info.waits
