"""Putting the cameras of a take on one clock: every method that can say something is asked, the surest is believed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from calibration.camera import Rig
from calibration.formats import read_calibration
from mocap.capture.sound_places import HandPlaces
from mocap.capture.sync import CameraClock, choose_clocks
from mocap.capture.sync_audio import AudioSyncConfig, audio_estimates, take_sounds
from mocap.capture.sync_light import flash_estimates
from mocap.capture.sync_motion import MotionSyncConfig, sync_by_motion
from mocap.capture.sync_speed import sync_by_speed
from mocap.capture.sync_timestamps import timestamp_estimates
from mocap.core.clock import METHODS, Clock, ClockEstimate
from mocap.core.config import Config
from mocap.core.errors import InputError
from mocap.core.keypoints import Detections2D
from mocap.core.session import Take
from mocap.frame_faults import FoundFaults, camera_faults, faults_together, people_points
from mocap.io.brightness import FrameLight, read_brightness
from mocap.io.file_clock import read_file_clock
from mocap.io.session_files import has_recorder_clock
from mocap.io.sound_length import sound_end_s
from mocap.io.sync_file import CameraSync, TakeSync
from mocap.io.take_times import read_take_stamps
from mocap.io.video import VideoInfo, probe_video
from mocap.io.video_fit import fit_rig_to_videos, rig_of_cameras
from mocap.signal.frame_gaps import even_times
from mocap.stage_cache import Observer, SilentObserver
from mocap.stages.detect import DetectConfig
from mocap.take_detection import detected_take

Method = Literal["auto", "timestamps", "audio", "flash", "motion"]
Times = Mapping[str, Float[np.ndarray, "..."]]


class SyncConfig(Config):
    """method: one, or all that can say something ("auto"). reference: the camera whose clock is the take's, by default
    the first. least_confidence: cameras that are less sure are left out. enough_confidence, enough_sd_s: where all
    cameras are as sure as that, people are not looked for to ask the motion, too, unless they were found before.
    """

    method: Method = "auto"
    reference: str | None = None
    least_confidence: float = Field(default=0.3, ge=0, le=1)
    enough_confidence: float = Field(default=0.8, ge=0, le=1)
    enough_sd_s: float = Field(default=0.002, gt=0)
    audio: AudioSyncConfig = AudioSyncConfig()
    motion: MotionSyncConfig = MotionSyncConfig()
    detect: DetectConfig = DetectConfig()


@dataclass(frozen=True, eq=False)
class SyncResult:
    """sync: what belongs into sync.toml. cameras: how it came about. notes: sentences about methods that could say
    nothing, cameras left out and frames that are wrong."""

    take: Take
    sync: TakeSync
    cameras: Mapping[str, CameraClock]
    notes: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Cameras without a clock."""
        return tuple(name for name in self.take.cameras if name not in self.sync.cameras)


def sync_take(
    take: Take,
    derived: Path,
    config: SyncConfig | None = None,
    *,
    rig_path: Path | None = None,
    threads: int = 0,
    observer: Observer | None = None,
) -> SyncResult:
    """Find the clock of every camera; writes nothing but the people it finds on the way (`derived/detect.h5`).

    derived: the folder of the take's stage artefacts. rig_path: the calibration, with which sound and motion say more.
    Raises where no camera can be put on the reference's clock.
    """
    config = config or SyncConfig()
    reference = config.reference or take.cameras[0]
    if reference not in take.cameras:
        raise InputError(f"has no camera {reference}; it has {', '.join(take.cameras)}", where=take.root)
    material = _Material(take, derived, config, rig_path, threads, observer or SilentObserver())
    asked = _Asked(material, reference)
    asked.ask_all()
    if not asked.estimates and not asked.notes:
        raise InputError("no method can say anything about this take", where=take.root)
    chosen = asked.choice()
    least = config.least_confidence if config.method == "auto" else 0.0
    sync = _sync(material, reference, chosen, least)
    notes = (*asked.notes, *_told(sync, chosen, least), *material.faults_told)
    if len(sync.cameras) < 2:
        raise InputError(
            "the cameras could not be put on one clock (" + "; ".join(notes) + ")",
            where=take.root,
            remedy="Clap where all cameras hear and see it, or calibrate first so that motion can be used.",
        )
    return SyncResult(take, sync, chosen, notes)


@dataclass(eq=False)
class _Material:
    """What methods look at, each read once and only when it is asked for."""

    take: Take
    derived: Path
    config: SyncConfig
    rig_path: Path | None
    threads: int
    observer: Observer
    found: dict[bool, dict[str, FoundFaults]] = field(default_factory=dict)
    """Faults, without and with the people known."""

    @cached_property
    def infos(self) -> dict[str, VideoInfo]:
        return {n: probe_video(path, self.take.rotations.get(n, 0)) for n, path in self.take.videos.items()}

    @cached_property
    def stamps(self) -> Times:
        counted = None if self.take.videos else self.people.n_frames
        return read_take_stamps(self.take, self.infos, n_frames=counted)

    @property
    def mended(self) -> Times:
        """The stamps without what is wrong with them."""
        faults = {name: found.faults for name, found in self.faults.items()}
        return {
            name: faults[name].corrected_s(even_times(stamp) if faults[name].uneven_stamps else stamp)
            for name, stamp in self.stamps.items()
        }

    @property
    def rig(self) -> Rig | None:
        if self.rig_path is None:
            return None
        rig = read_calibration(self.rig_path)
        if self.take.videos:
            return fit_rig_to_videos(rig, self.infos)[0]
        return rig_of_cameras(rig, self.take.cameras)[0]

    @property
    def found_before(self) -> bool:
        return (self.derived / "detect.json").is_file() or not self.take.videos

    @property
    def people_known(self) -> bool:
        """Whether asking for `people` costs next to nothing."""
        return self.found_before or "people" in self.__dict__

    @cached_property
    def people(self) -> Detections2D:
        """In every frame, as they are found."""
        return detected_take(self.take, self.derived, self.config.detect, threads=self.threads, observer=self.observer)

    @property
    def detections(self) -> Detections2D:
        """Without the frames that show an earlier one again."""
        people = self.people
        kept = np.ones(len(people), dtype=bool)
        for name, found in self.faults.items():
            again = np.isin(people.frame, found.faults.repeated)
            kept &= ~((people.camera == people.cameras.index(name)) & again)
        return people.select(kept)

    @cached_property
    def light(self) -> dict[str, FrameLight]:
        self.observer.stage_started("pictures")
        start, found = time.perf_counter(), {}
        for done, (name, path) in enumerate(self.take.videos.items()):
            found[name] = read_brightness(path)
            self.observer.progressed("pictures", done + 1, len(self.take.videos))
        self.observer.stage_finished("pictures", time.perf_counter() - start, cached=False)
        return found

    @property
    def faults(self) -> dict[str, FoundFaults]:
        """By what is known yet; where the sound says that frames are lost, and pictures do not show which, people are
        looked for."""
        found = self._faults_by(people=self.people_known)
        if self.config.method == "auto" and not self.people_known and any(f.missing for f in found.values()):
            found = self._faults_by(people=True)
        return found

    def _faults_by(self, *, people: bool) -> dict[str, FoundFaults]:
        if people not in self.found:
            own = {name: self._faults_of(name, people) for name in self.take.cameras}
            self.found[people] = self._faults_together(own) if people else own
        return self.found[people]

    def _faults_together(self, own: dict[str, FoundFaults]) -> dict[str, FoundFaults]:
        """With what calibrated cameras see in one another; as they are where motion ties them not."""
        rig = self.rig
        if rig is None:
            return own
        try:
            return faults_together(own, self.stamps, self.people, rig)
        except InputError:
            return own

    def _faults_of(self, name: str, people: bool) -> FoundFaults:
        video, stamp = self.take.videos.get(name), self.stamps[name]
        end = sound_end_s(video) if video is not None else None
        return camera_faults(
            stamp,
            light=None if video is None else self.light[name],
            people=people_points(self.people, name, len(stamp)) if people else (),
            length_s=None if end is None else end - self.infos[name].start_s,
            recorded=self.take.timestamps is not None,
        )

    @property
    def faults_told(self) -> tuple[str, ...]:
        return tuple(f"{name}: {said}" for name, found in self.faults.items() for said in found.sentences)


class _Asked:
    """What the methods say. A method that cannot say anything leaves a sentence; where it alone was asked for, it
    raises."""

    def __init__(self, material: _Material, reference: str) -> None:
        self.material, self.reference = material, reference
        self.estimates: list[ClockEstimate] = []
        self.notes: list[str] = []
        self._heard_with_hands = False
        self._lit_by: object = None
        self._methods: dict[str, Callable[[], Sequence[ClockEstimate]]] = {
            "timestamps": self._timestamps,
            "audio": self._audio,
            "flash": self._flash,
            "motion": self._motion,
        }

    def ask_all(self) -> None:
        """In the order of what it costs; the motion only where that is needed, or costs nothing."""
        method = self.material.config.method
        if method != "auto":
            self._ask(method, alone=True)
            return
        for name in METHODS:
            if name in self._methods and (name != "motion" or self.material.found_before or not self._enough()):
                self._ask(name, alone=False)
        heard = [estimate for estimate in self.estimates if estimate.method == "audio"]
        if heard and self._hands() is not None and not self._heard_with_hands:
            self._ask_again("audio")
        if self._lit_by is not None and self._lit_by is not self.material.faults:
            self._ask_again("flash")

    def _ask_again(self, method: str) -> None:
        """With what other methods have brought to light."""
        self.estimates = [estimate for estimate in self.estimates if estimate.method != method]
        self.notes = [note for note in self.notes if not note.startswith(f"{method}: ")]
        self._ask(method, alone=False)

    def choice(self) -> dict[str, CameraClock]:
        stamps = self.material.mended[self.reference]
        middle = float((stamps[0] + stamps[-1]) / 2) if len(stamps) else 0.0
        cameras = self.material.take.cameras
        return choose_clocks(self.estimates, cameras, reference=self.reference, middle_s=middle)

    def _ask(self, method: str, *, alone: bool) -> None:
        if method not in self._methods:
            raise InputError(f"takes are not put on one clock by {method}")
        self.material.observer.stage_started(method)
        start = time.perf_counter()
        try:
            self.estimates += self._methods[method]()
        except InputError as error:
            if alone:
                raise
            self.notes.append(f"{method}: {error.what}")
        self.material.observer.stage_finished(method, time.perf_counter() - start, cached=False)

    def _enough(self) -> bool:
        config = self.material.config
        chosen = self.choice().values()
        return all(
            c.chosen is not None and c.confidence >= config.enough_confidence and c.chosen.sd_s <= config.enough_sd_s
            for c in chosen
        )

    def _timestamps(self) -> Sequence[ClockEstimate]:
        take = self.material.take
        clocks = {name: read_file_clock(path) for name, path in take.videos.items()}
        listed, shared = take.timestamps is not None, has_recorder_clock(take)
        return timestamp_estimates(
            self.material.stamps, reference=self.reference, shared=shared, clocks=clocks, listed=listed
        )

    def _audio(self) -> Sequence[ClockEstimate]:
        material = self.material
        tracks = take_sounds(material.take.videos, material.stamps)
        first = self.reference if self.reference in tracks else None
        hands = self._hands()
        self._heard_with_hands = hands is not None
        return audio_estimates(tracks, reference=first, rig=material.rig, places=hands, config=material.config.audio)

    def _hands(self) -> HandPlaces | None:
        """Where what claps is, once people were found: sound takes 9 ms for 3 m."""
        material = self.material
        rig = material.rig if material.people_known else None
        return None if rig is None else HandPlaces(material.detections, material.mended, rig)

    def _flash(self) -> Sequence[ClockEstimate]:
        light = {name: found.brightness for name, found in self.material.light.items()}
        self._lit_by = self.material.faults
        return flash_estimates(light, self.material.mended, reference=self.reference)

    def _motion(self) -> Sequence[ClockEstimate]:
        material = self.material
        rig = material.rig
        if rig is None and material.config.method == "auto" and not material.found_before:
            raise InputError("motion says much only with a calibration", remedy="Calibrate first, or give --rig.")
        around = {
            name: clock.chosen.offset_s
            for name, clock in self.choice().items()
            if clock.chosen is not None and clock.confidence >= material.config.enough_confidence
        }
        config, found, stamps = material.config.motion, material.detections, material.mended
        if rig is None:
            return sync_by_speed(
                found, stamps, config, search_s=config.search_s, reference=self.reference, around_s=around
            )
        return sync_by_motion(found, stamps, rig, config, reference=self.reference, around_s=around)


def _sync(material: _Material, reference: str, chosen: Mapping[str, CameraClock], least: float) -> TakeSync:
    faults = {name: found.faults for name, found in material.faults.items()}
    first = CameraSync(Clock(), faults=faults[reference])
    cameras = {reference: first}
    for name, found in chosen.items():
        if found.chosen is not None and found.confidence >= least:
            estimate = found.chosen
            cameras[name] = CameraSync(
                estimate.clock,
                ", ".join(found.agreeing),
                found.confidence,
                estimate.sd_s,
                faults[name],
            )
    methods = dict.fromkeys(method for found in chosen.values() for method in found.agreeing)
    ordered = {name: cameras[name] for name in material.take.cameras if name in cameras}
    return TakeSync(reference, ", ".join(methods), ordered)


def _told(sync: TakeSync, chosen: Mapping[str, CameraClock], least: float) -> tuple[str, ...]:
    told = []
    for name, found in chosen.items():
        if name not in sync.cameras or found.chosen is None:
            best = "no method places it" if found.chosen is None else f"confidence {found.confidence:.2f} of {least:g}"
            told.append(f"{name} could not be put on the clock of {sync.reference} ({best}): it is left out")
            continue
        for other, apart_s, agrees in zip(found.estimates, found.apart_s, found.agrees, strict=True):
            if not agrees and other.confidence >= least:
                told.append(
                    f"{name}: {other.method} (confidence {other.confidence:.2f}) says {1000 * apart_s:+.1f} ms more "
                    f"than {found.chosen.method}, which is believed"
                )
    return tuple(told)


def with_sync(take: Take, sync: TakeSync) -> Take:
    """The take with these clocks, as if it had been opened after they were written."""
    return replace(
        take,
        clocks={name: found.clock for name, found in sync.cameras.items()},
        faults={name: found.faults for name, found in sync.cameras.items()},
        synced_by=sync.method,
    )
