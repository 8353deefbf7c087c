"""Before the first take: is there room, is the disk quick enough, can the machine and the cables carry all cameras?"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mocap.capture.address import parse_address
from mocap.capture.encoder_choice import USUAL_FPS, USUAL_SIZE
from mocap.capture.encoders import BITS_PER_PIXEL, Encoder, Load, choose_encoder
from mocap.capture.reader import CameraStatus
from mocap.capture.recording_run import RecorderConfig, free_mb
from mocap.capture.recovery import unfinished
from mocap.core.errors import InputError, sentence_for_user
from mocap.core.session import Session, SessionCamera

JPEG_BITS_PER_PIXEL = 1.2
"""Of cameras at their usual quality: 140 kB for 1280x720."""

USB2_MB_PER_S = 40.0
"""What remains of 480 Mbit/s for pictures (USB 2.0, isochronous)."""

FAST_ETHERNET_MB_PER_S = 11.0

TRIAL_MB = 16


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. level: "error" where recording cannot work."""

    level: Literal["ok", "warning", "error"]
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what}. {self.remedy}" if self.remedy else f"{self.what}."


@dataclass(frozen=True)
class _Stream:
    """What a camera is expected to send."""

    camera: SessionCamera
    kind: str
    size: tuple[int, int]
    fps: float

    @property
    def pixels_per_s(self) -> float:
        return self.size[0] * self.size[1] * self.fps


def preflight(
    session: Session,
    config: RecorderConfig | None = None,
    *,
    minutes: float = 20.0,
    statuses: Sequence[CameraStatus] = (),
) -> tuple[Finding, ...]:
    """What is fine and what is not for `minutes` of recording all cameras that have a source.

    statuses: of a rig that runs, for true sizes and rates; else what session.toml asks for, or 1280x720 at 30.
    """
    config = config or RecorderConfig()
    try:
        streams = _streams(session, statuses)
    except InputError as error:
        return (Finding("error", f"{error.where}: {error.what}" if error.where else error.what, error.remedy or ""),)
    if not streams:
        return (Finding("error", "no camera has a source to record from", 'Write source = "usb:0" or the like.'),)
    folder = _check_folder(session.root)
    if folder.level == "error":
        return (folder,)
    encoder = _encoder(streams, config)
    as_jpeg = encoder is not None and not encoder.fits and config.keep_jpegs != "never"
    mb_per_s = sum(_mb_per_s(stream, as_jpeg, config) for stream in streams)
    findings = [folder, *_check_leftovers(session.root), _check_room(session.root, config, mb_per_s, minutes)]
    findings += [_check_disk(session.root, mb_per_s)]
    if encoder is not None:
        findings.append(_check_machine(encoder, config, streams))
    return (*findings, *_check_usb(streams), *_check_network(streams))


def _streams(session: Session, statuses: Sequence[CameraStatus]) -> list[_Stream]:
    known = {status.name: status for status in statuses}
    streams = []
    for camera in session.cameras:
        if camera.source:
            status = known.get(camera.name)
            size = (status.size if status is not None else None) or camera.size or USUAL_SIZE
            fps = (status.nominal_fps or status.fps if status is not None else None) or camera.fps or USUAL_FPS
            streams.append(_Stream(camera, parse_address(camera.source, camera.name).kind, size, fps))
    return streams


def _mb_per_s(stream: _Stream, as_jpeg: bool, config: RecorderConfig) -> float:
    kept = config.keep_jpegs == "always" or as_jpeg
    bits = JPEG_BITS_PER_PIXEL if kept and stream.kind in ("usb", "network") else BITS_PER_PIXEL
    return bits * stream.pixels_per_s / 8e6


def _encoder(streams: Sequence[_Stream], config: RecorderConfig) -> Encoder | None:
    if config.keep_jpegs == "always":
        return None
    largest = max(streams, key=lambda stream: stream.pixels_per_s)
    try:
        return choose_encoder(Load(largest.size, largest.fps, len(streams)), config.writer)
    except InputError:
        return None


def _check_folder(root: Path) -> Finding:
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        sentence = sentence_for_user(error) or str(error)
        return Finding("error", f"nothing can be written in {root} ({sentence})", "Record to another folder.")
    return Finding("ok", f"{root} can be written")


def _check_leftovers(root: Path) -> list[Finding]:
    folders = [folder.relative_to(root).as_posix() for folder in unfinished(root)]
    if not folders:
        return []
    return [Finding("warning", f"cut off and not repaired yet: {', '.join(folders)}", "It is done on opening.")]


def _check_room(root: Path, config: RecorderConfig, mb_per_s: float, minutes: float) -> Finding:
    free = free_mb(root)
    enough = max(0.0, free - config.least_free_mb) / mb_per_s / 60
    what = f"{free / 1000:.1f} GB are free: about {enough:.0f} minutes at {mb_per_s:.1f} MB/s"
    if enough < 1:
        return Finding("error", what, "Free some space, or record to another disk.")
    if enough < minutes:
        return Finding("warning", f"{what}, {minutes:.0f} are wanted", "Free some space, or record to another disk.")
    return Finding("ok", what)


def _check_disk(root: Path, mb_per_s: float) -> Finding:
    try:
        speed = disk_mb_per_s(root)
    except OSError as error:
        return Finding("error", f"the disk does not take a trial ({sentence_for_user(error) or error})")
    what = f"the disk writes {speed:.0f} MB/s; about {mb_per_s:.1f} come"
    if speed < 2 * mb_per_s:
        return Finding("warning", what, "Record to an internal or faster disk.")
    return Finding("ok", what)


def disk_mb_per_s(folder: Path) -> float:
    """Measured with 16 MB that are put on the disk and removed."""
    block = os.urandom(1 << 20)
    with tempfile.TemporaryFile(dir=folder) as file:
        begin = time.perf_counter()
        for _ in range(TRIAL_MB):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return TRIAL_MB * 1.048576 / (time.perf_counter() - begin)


def _check_machine(encoder: Encoder, config: RecorderConfig, streams: Sequence[_Stream]) -> Finding:
    if encoder.fits:
        return Finding("ok", f"{len(streams)} cameras are encoded by {encoder.sentence}")
    what = f"this machine is too slow to encode {len(streams)} cameras ({encoder.sentence})"
    remedy = "Ask for smaller pictures or a lower rate in session.toml, or use cameras that send MJPEG"
    kept = ": those are kept as they are." if config.keep_jpegs != "never" else ' and keep_jpegs = "auto".'
    return Finding("warning", what, remedy + kept)


def _check_usb(streams: Sequence[_Stream]) -> list[Finding]:
    found = []
    for stream in streams:
        raw = 2 * stream.pixels_per_s / 1e6
        asked = (stream.camera.codec or "").upper()
        if stream.kind == "usb" and asked != "MJPG" and raw > USB2_MB_PER_S:
            what = (
                f"{stream.camera.name} would send {raw:.0f} MB/s of plain pictures; USB 2 carries {USB2_MB_PER_S:.0f}"
            )
            found.append(Finding("warning", what, 'Write codec = "MJPG" for it in session.toml.'))
    return found


def _check_network(streams: Sequence[_Stream]) -> list[Finding]:
    rates = [JPEG_BITS_PER_PIXEL * s.pixels_per_s / 8e6 for s in streams if s.kind == "network"]
    if sum(rates) <= FAST_ETHERNET_MB_PER_S:
        return []
    what = f"the network cameras may send {sum(rates):.0f} MB/s if they send MJPEG"
    return [Finding("warning", what, "Use a wired gigabit network; 100 Mbit/s and most Wi-Fi carry less.")]
