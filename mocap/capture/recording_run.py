"""A recording from its first picture to its report: the cameras' threads, and one that looks after them."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import Field

from mocap.capture.camera_recording import CameraRecording, RecordingPlan
from mocap.capture.encoder_choice import KeepJpegs, choose_encoders
from mocap.capture.reader import CameraReader
from mocap.capture.recording_files import RecordingMarker, RecordingPlace, TimesLog, remove_if_empty, write_take_file
from mocap.capture.recording_report import Problem, ProblemKind, RecordingReport, RecordingStatus, sentences_of
from mocap.capture.recovery import repair_recording
from mocap.capture.rig import CaptureRig
from mocap.capture.source import SourceFrame
from mocap.capture.stream_writer import StreamWriterConfig
from mocap.core.config import Config
from mocap.core.errors import InputError, sentence_for_user, sentence_of_fault

LOOK_S = 0.1


class RecorderConfig(Config):
    """keep_jpegs: keep the JPEGs of cameras that send such instead of encoding them to H.264: "always", "never", or
    "auto" for whenever this machine cannot encode all cameras. Kept, they cost no computing time and several times the
    disk, and browsers do not play them. The same goes for cameras that send H.264: kept, each begins with its next key
    picture, which may come seconds after the start. least_free_mb: room on the disk at which recording ends by itself.
    sync_s: how often all is put on the disk, which bounds what a pulled plug costs. silent_s: without a picture for so
    long, a camera is reported.
    """

    writer: StreamWriterConfig = StreamWriterConfig()
    keep_jpegs: KeepJpegs = "auto"
    least_free_mb: float = Field(default=300.0, ge=0)
    sync_s: float = Field(default=0.5, gt=0, le=1)
    silent_s: float = Field(default=1.0, gt=0)


class RecordingRun:
    """Starts at once. Methods may be called by any thread."""

    def __init__(
        self,
        rig: CaptureRig,
        place: RecordingPlace,
        readers: Mapping[str, CameraReader],
        duration_s: float | None,
        config: RecorderConfig,
    ) -> None:
        self._rig, self._place, self._config = rig, place, config
        self._problems: list[Problem] = []
        self._silent: set[str] = set()
        self._failed: set[str] = set()
        self._heard: dict[str, tuple[SourceFrame | None, float]] = {}
        self._report: RecordingReport | None = None
        encoders = choose_encoders(readers, config.writer, config.keep_jpegs)
        self._new_take_file = place.take_file is not None and not place.take_file.exists()
        self._marker, self._log = _prepared(place, tuple(readers))
        self.start_s = self._begun()
        plan = RecordingPlan(place, self.start_s, duration_s, config.writer, self._log)
        self._cameras = tuple(CameraRecording(reader, plan, *encoders[name]) for name, reader in readers.items())
        for camera in self._cameras:
            camera.start()
        self._thread = threading.Thread(target=self._look_after, name="recording", daemon=True)
        self._thread.start()

    def _begun(self) -> float:
        """Let the scene begin; where that fails, nothing stays of the recording."""
        try:
            return self._rig.set_scene(self._place.scene)
        except BaseException:
            if self._log is not None:
                self._log.close()
            self._marker.remove()
            self._leave_nothing()
            raise

    @property
    def running(self) -> bool:
        """Whether files may still be open."""
        return self._thread.is_alive()

    def stop(self) -> RecordingReport:
        """End it, if it still runs."""
        self._finish()
        self._thread.join()
        assert self._report is not None
        return self._report

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for it to end by itself; whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def status(self) -> RecordingStatus:
        """How it goes, or went."""
        records = tuple(camera.record() for camera in self._cameras)
        running = self.running
        return RecordingStatus(
            recording=running,
            folder=self._place.root,
            elapsed_s=max(0.0, time.monotonic() - self.start_s) if running else self._last_s(),
            cameras=records,
            problems=tuple(self._problems),
            disk_mb=sum(record.megabytes for record in records),
            free_mb=free_mb(self._place.root),
        )

    def _last_s(self) -> float:
        return max(camera.last_s for camera in self._cameras)

    def _finish(self) -> None:
        until_s = time.monotonic()
        for camera in self._cameras:
            camera.finish(until_s)

    def _look_after(self) -> None:
        synced_s = time.monotonic()
        try:
            while any(camera.running for camera in self._cameras):
                time.sleep(LOOK_S)
                for camera in self._cameras:
                    self._look_at(camera)
                if time.monotonic() - synced_s >= self._config.sync_s:
                    synced_s = time.monotonic()
                    self._look_at_disk()
        except Exception as error:  # a fault here must not leave cameras recording without end
            self._tell("disk", f"the recording was ended: {sentence_of_fault(error)}")
            self._finish()
        for camera in self._cameras:
            camera.join()
            self._look_at(camera)
        self._rig.set_scene(None)
        self._report = self._concluded()

    def _look_at_disk(self) -> None:
        """Put everything on the disk, times first: a picture without a time is worth less than the reverse."""
        try:
            if self._log is not None:
                self._log.flush()
                self._log.sync()
            for camera in self._cameras:
                camera.sync()
        except OSError as error:
            self._end_for(sentence_for_user(error) or str(error))
        if free_mb(self._place.root) < self._config.least_free_mb:
            self._end_for(f"less than {self._config.least_free_mb:.0f} MB are free on the disk")

    def _end_for(self, sentence: str) -> None:
        if not any(problem.kind == "disk" for problem in self._problems):
            self._tell("disk", f"the recording was ended: {sentence}")
        self._finish()

    def _look_at(self, camera: CameraRecording) -> None:
        if camera.error is not None and camera.name not in self._failed:
            self._failed.add(camera.name)
            self._tell("camera_failed", f"{camera.name}: {camera.error}", camera.name)
            if camera.disk_full:
                self._end_for(camera.error)
        if camera.running:
            self._look_for_silence(camera)

    def _look_for_silence(self, camera: CameraRecording) -> None:
        reader = self._rig.readers[camera.name]
        if reader.state == "ended" or (reader.info is not None and reader.info.waits):
            return
        latest, now = reader.latest(), time.monotonic()
        if camera.name not in self._heard or self._heard[camera.name][0] is not latest:
            self._heard[camera.name] = (latest, max(now, self.start_s))
        seen_s = 0.0 if latest is None else max(0.0, latest.time_s - self.start_s)
        silent = reader.state == "lost" or now - self._heard[camera.name][1] > self._config.silent_s
        if silent and camera.name not in self._silent:
            self._silent.add(camera.name)
            camera.died_at_s = seen_s
            why = reader.statistics().message if reader.state == "lost" else "it gives no pictures"
            self._tell("camera_lost", f"{camera.name} is silent since {seen_s:.1f} s: {why}", camera.name)
        elif not silent and camera.name in self._silent:
            self._silent.discard(camera.name)
            camera.died_at_s = None
            self._tell("camera_back", f"{camera.name} is back at {seen_s:.1f} s", camera.name)

    def _tell(self, kind: ProblemKind, sentence: str, camera: str | None = None) -> None:
        self._problems.append(Problem(kind, sentence, max(0.0, time.monotonic() - self.start_s), camera))

    def _concluded(self) -> RecordingReport:
        """Close all files, write down what is odd, and take the mark away if all that worked."""
        records = tuple(camera.record() for camera in self._cameras)
        told = [problem.sentence for problem in self._problems if problem.kind == "disk"]
        for record in records:
            told += sentences_of(record, self._last_s())
        finished = True
        try:
            self._close_files(tuple(told))
        except (OSError, InputError) as error:
            finished = False
            told.append(f"not finished: {sentence_for_user(error) or error}; it is repaired when the session is opened")
        return RecordingReport(
            folder=str(self._place.root),
            scene=self._place.scene.kind,
            duration_s=self._last_s(),
            cameras=records,
            problems=tuple(told),
            disk_mb=sum(record.megabytes for record in records),
            finished=finished,
        )

    def _close_files(self, notes: tuple[str, ...]) -> None:
        whole = True
        if self._log is not None:
            try:
                self._log.close()
            except OSError:
                whole = False
        if not whole or any(camera.error is not None for camera in self._cameras):
            repair_recording(self._place, [camera.name for camera in self._cameras])
        if not any(camera.last_s for camera in self._cameras):
            self._marker.remove()
            self._leave_nothing()
            return
        if self._place.take_file is not None and notes:
            write_take_file(self._place.take_file, notes)
        self._marker.remove()

    def _leave_nothing(self) -> None:
        """A take without a picture would be in the way."""
        made = [self._place.timestamps, self._place.take_file if self._new_take_file else None]
        for file in made:
            if file is not None:
                file.unlink(missing_ok=True)
        remove_if_empty(self._place.videos)
        remove_if_empty(self._place.root)


def free_mb(folder: Path) -> float:
    """Room on the disk of a folder; infinite where the system does not tell."""
    with suppress(OSError):
        return shutil.disk_usage(folder).free / 1e6
    return float("inf")


def _prepared(place: RecordingPlace, cameras: tuple[str, ...]) -> tuple[RecordingMarker, TimesLog | None]:
    """The mark, the table of times, and take.toml; nothing of them stays where one cannot be made."""
    new = not place.root.exists()
    try:
        marker = RecordingMarker(place, cameras, time.monotonic())
    except OSError:
        if new:
            remove_if_empty(place.root)
        raise
    try:
        place.videos.mkdir(parents=True, exist_ok=True)
        if place.take_file is not None:
            write_take_file(place.take_file, ())
        return marker, None if place.timestamps is None else TimesLog(place.timestamps)
    except BaseException:
        marker.remove()
        raise
