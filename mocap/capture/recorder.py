"""Records all cameras of a rig on one clock; whatever happens to one of them, the others go on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from mocap.capture.reader import CameraReader
from mocap.capture.recording_files import RecordingPlace
from mocap.capture.recording_report import Problem, RecordingReport, RecordingStatus
from mocap.capture.recording_run import RecorderConfig, RecordingRun, free_mb
from mocap.capture.rig import CaptureRig
from mocap.capture.source import Scene
from mocap.core.errors import InputError
from mocap.io.session_files import VIDEO_SUFFIXES

__all__ = ["Problem", "Recorder", "RecorderConfig", "RecordingReport", "RecordingStatus"]


class Recorder:
    """One recording at a time of the cameras of `rig`, which must be open. Methods may be called by any thread."""

    def __init__(self, rig: CaptureRig, config: RecorderConfig | None = None) -> None:
        self._rig = rig
        self._config = config or RecorderConfig()
        self._lock = threading.Lock()
        self._run: RecordingRun | None = None

    def start(
        self,
        folder: Path,
        *,
        scene: Scene,
        cameras: Sequence[str] | None = None,
        duration_s: float | None = None,
    ) -> None:
        """Record `cameras` (default: all) until `stop`, the duration, or the end of all sources.

        folder: of the take, or of the calibration clips (`recording_files.scene_folder`). Raises InputError where
        something of that name is there already, and OSError where nothing can be written.
        """
        names = tuple(self._rig.names if cameras is None else cameras)
        readers = self._readers(names)
        with self._lock:
            if self.recording:
                raise InputError("a recording is running", remedy="Stop it first.")
            place = RecordingPlace.of(Path(folder), scene)
            _check_free(place, names, self._config)
            self._run = RecordingRun(self._rig, place, readers, duration_s, self._config)

    def stop(self) -> RecordingReport:
        """End the recording, if it still runs, and tell what became of it."""
        if self._run is None:
            raise InputError("nothing was recorded yet", remedy="Start a recording first.")
        return self._run.stop()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the recording to end by itself; whether it has."""
        return self._run is None or self._run.wait(timeout_s)

    @property
    def recording(self) -> bool:
        """Whether a recording runs."""
        return self._run is not None and self._run.running

    @property
    def start_s(self) -> float | None:
        """Of `time.monotonic()`: time 0 of the recording that runs, or of the last one."""
        return None if self._run is None else self._run.start_s

    def status(self) -> RecordingStatus:
        """Of the recording that runs, or of the last one."""
        return RecordingStatus(recording=False) if self._run is None else self._run.status()

    def _readers(self, names: Sequence[str]) -> dict[str, CameraReader]:
        unknown = [name for name in names if name not in self._rig.readers]
        if unknown or not names:
            raise InputError(
                f"there is no camera {', '.join(unknown)} to record from" if unknown else "no camera was named",
                remedy=f"The rig has {', '.join(self._rig.names)}.",
            )
        return {name: self._rig.readers[name] for name in names}


def _check_free(place: RecordingPlace, names: Sequence[str], config: RecorderConfig) -> None:
    """That nothing would be overwritten or mixed up, and that there is room."""
    videos = place.videos.iterdir() if place.videos.is_dir() else ()
    clips = [file for file in videos if file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith(".")]
    taken = [file for file in clips if place.scene.kind == "take" or file.stem in names]
    taken += [file for file in (place.timestamps, place.marker) if file is not None and file.exists()]
    if taken:
        raise InputError(
            "is there already and is not overwritten",
            where=taken[0],
            remedy="Give the recording another name, or set the old one aside.",
        )
    parent = next(folder for folder in (place.root, *place.root.absolute().parents) if folder.exists())
    if free_mb(parent) < config.least_free_mb:
        raise InputError(
            f"only {free_mb(parent):.0f} MB are free on the disk; recording needs {config.least_free_mb:.0f}",
            where=place.root,
            remedy="Free some space, or record to another disk.",
        )
