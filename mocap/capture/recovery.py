"""Recordings that a kill, a crash or a pulled plug has cut off: found by their marks, and made whole.

What plays stays: pictures behind a torn end are left out, the file gets its index, and timestamps.csv lists the
pictures that are in the files. Nothing that holds data is deleted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from mocap.capture.recording_files import MARKER, RecordingPlace, is_recording, read_marker, write_take_file
from mocap.capture.source import Scene
from mocap.capture.stream_writer import CLOCK_HZ
from mocap.core.errors import InputError, sentence_for_user
from mocap.io.artefacts import atomic_path, write_text_atomic
from mocap.io.frame_times import OURS

SCENES: tuple[Literal["intrinsics", "extrinsics", "floor"], ...] = ("intrinsics", "extrinsics", "floor")
FORMER_TIMES = ".timestamps.before-repair.csv"


@dataclass(frozen=True, eq=False)
class Repaired:
    """A clip after its repair. times_s: of its pictures, by the file. n_lost: at its torn end."""

    times_s: np.ndarray
    n_lost: int


def recover(session_root: str | Path) -> list[str]:
    """Repair every recording of a session that was cut off; a sentence for each. One that still runs is left alone."""
    root = Path(session_root)
    markers = [*sorted(root.glob(f"takes/*/{MARKER}")), *(root / "calibration" / kind / MARKER for kind in SCENES)]
    told = []
    for marker in markers:
        if not marker.is_file():
            continue
        if is_recording(marker):
            told.append(f"{marker.parent.relative_to(root).as_posix()} is being recorded now")
            continue
        try:
            told += _recovered(root, marker)
        except (OSError, InputError) as error:
            told.append(f"{marker.parent}: cannot be repaired yet ({sentence_for_user(error) or error})")
    return told


def unfinished(session_root: str | Path) -> tuple[Path, ...]:
    """Folders of recordings that were cut off and not repaired yet."""
    root = Path(session_root)
    markers = [*sorted(root.glob(f"takes/*/{MARKER}")), *(root / "calibration" / kind / MARKER for kind in SCENES)]
    return tuple(marker.parent for marker in markers if marker.is_file() and not is_recording(marker))


def repair_recording(place: RecordingPlace, cameras: Sequence[str]) -> dict[str, Repaired]:
    """Make the clips of these cameras whole, and timestamps.csv agree; cameras without pictures are absent."""
    repaired = {}
    for camera in cameras:
        clip = place.video(camera)
        if clip.is_file():
            found = repair_clip(clip)
            if found is not None:
                repaired[camera] = found
    if place.timestamps is not None:
        _repair_times(place.timestamps, repaired)
    return repaired


def repair_clip(path: Path) -> Repaired | None:
    """Wrap the pictures that are whole into an ordinary file; None, and the file out of the way, where there are none.

    The file's first `n` pictures stay as they are: nothing is encoded again.
    """
    n_listed, good = _whole_packets(path)
    if not good:
        path.replace(path.with_name(f".{path.name}.empty"))
        return None
    if len(good) < n_listed or _grew(path):
        _rewrap(path, len(good))
    return Repaired(np.array(good), n_listed - len(good))


def set_aside(session_root: str | Path, scene: Scene, cameras: Sequence[str] = ()) -> Path | None:
    """Move a take, or clips of a calibration (of `cameras`, default all), to `set_aside/`; None where nothing is there.

    Nothing is deleted: whoever needs the room may do that.
    """
    from mocap.capture.recording_files import scene_folder

    root = Path(session_root)
    folder = scene_folder(root, scene)
    if scene.kind == "take":
        files = [folder] if folder.exists() else []
    else:
        every = folder.iterdir() if folder.is_dir() else ()
        files = sorted(f for f in every if not cameras or f.stem in cameras or f.name == "timestamps.csv")
    if not files:
        return None
    target = _free_name(root / "set_aside" / (scene.take or scene.kind))
    target.parent.mkdir(parents=True, exist_ok=True)
    if scene.kind == "take":
        return folder.rename(target)
    target.mkdir()
    for file in files:
        file.rename(target / file.name)
    return target


def _recovered(root: Path, marker: Path) -> list[str]:
    folder = marker.parent
    scene = _scene_of(folder)
    place = RecordingPlace.of(folder, scene)
    cameras = [str(name) for name in read_marker(marker).get("cameras", [])]
    cameras = cameras or [clip.stem for clip in sorted(place.videos.glob("*.mp4"))]
    repaired = repair_recording(place, cameras)
    name = folder.relative_to(root).as_posix()
    if not repaired:
        marker.unlink()
        if scene.kind == "take":
            place_aside = set_aside(root, scene)
            return [f"{name} was cut off before its first picture; it is in {place_aside}"]
        return [f"{name} was cut off before its first picture"]
    lasts = [float(clip.times_s[-1]) for clip in repaired.values()]
    sentence = f"the recording was cut off; {_seconds(lasts)} of it are good"
    missing = [camera for camera in cameras if camera not in repaired]
    if missing:
        sentence += f", nothing of {', '.join(missing)}"
    if place.take_file is not None:
        write_take_file(place.take_file, (sentence,))
    marker.unlink()
    return [f"{name}: {sentence}"]


def _scene_of(folder: Path) -> Scene:
    for kind in SCENES:
        if folder.parent.name == "calibration" and folder.name == kind:
            return Scene(kind)
    return Scene("take", take=folder.name)


def _seconds(lasts: Sequence[float]) -> str:
    low, high = min(lasts), max(lasts)
    return f"{high:.1f} s" if high - low < 0.1 else f"{low:.1f} to {high:.1f} s"


def _whole_packets(path: Path) -> tuple[int, list[float]]:
    """How many pictures the file lists, and the times (s) of those at its beginning that can be decoded."""
    listed: list[tuple[float, int, bool]] = []
    size = path.stat().st_size
    with suppress(FFmpegError), av.open(str(path)) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None and packet.time_base is not None:
                end = size if packet.pos is None else packet.pos + packet.size
                inside = end <= size and not packet.is_corrupt and any(bytes(packet)[:64])
                listed.append((float(packet.pts * packet.time_base), int(packet.is_keyframe), inside))
    n_inside = next((i for i, entry in enumerate(listed) if not entry[2]), len(listed))
    last_key = max((i for i in range(n_inside) if listed[i][1]), default=0)
    n_good = last_key + _decodable(path, last_key, n_inside - last_key) if n_inside else 0
    return len(listed), [entry[0] for entry in listed[:n_good]]


def _decodable(path: Path, start: int, count: int) -> int:
    """Of `count` packets from the keyframe `start` on, how many decode before the first that does not."""
    good = 0
    with suppress(FFmpegError), av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "aggressive"}
        stream.codec_context.thread_count = 1
        for position, packet in enumerate(p for p in container.demux(stream) if p.size):
            if position < start:
                continue
            frames = packet.decode()
            if any(frame.is_corrupt for frame in frames) or position >= start + count:
                break
            good += 1
    return good


def _grew(path: Path) -> bool:
    """Whether the file is still in fragments, without the index of a finished one."""
    with path.open("rb") as file:
        size = path.stat().st_size
        at = 0
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if head[4:8] == b"moof":
                return True
            length = int.from_bytes(head[8:16], "big") if length == 1 else length or size
            at += max(length, 8)
    return False


def _rewrap(path: Path, count: int) -> None:
    """The first `count` packets in a new file, which takes the old one's place when it is whole."""
    options = {"movie_timescale": str(CLOCK_HZ)}
    with atomic_path(path) as temporary, av.open(str(path)) as source:
        stream = source.streams.video[0]
        with av.open(str(temporary), "w", format="mp4", container_options=options) as target:
            if "creation_time" in source.metadata:
                target.metadata["creation_time"] = source.metadata["creation_time"]
            copy = target.add_stream_from_template(stream)
            copy.time_base = Fraction(1, CLOCK_HZ)
            for position, packet in enumerate(p for p in source.demux(stream) if p.size):
                if position >= count:
                    break
                _mux(target, packet, copy)


def _mux(target: OutputContainer, packet: Packet, stream: av.VideoStream) -> None:
    packet.stream = stream
    target.mux(packet)


def _repair_times(path: Path, repaired: dict[str, Repaired]) -> None:
    """Rows for exactly the pictures that are there: the recorder's where it wrote them, else the file's own times."""
    known = _known_rows(path)
    rows: list[tuple[str, str, str]] = []
    for camera, clip in repaired.items():
        for frame, time_s in enumerate(clip.times_s):
            rows.append((camera, str(frame), f"{known.get((camera, frame), float(time_s)):.6f}"))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([OURS, *rows])
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") != text.getvalue():
        path.replace(path.with_name(FORMER_TIMES))
    write_text_atomic(path, text.getvalue())


def _known_rows(path: Path) -> dict[tuple[str, int], float]:
    """What can be read of a table that may end anywhere."""
    rows: dict[tuple[str, int], float] = {}
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
        for row in csv.reader(io.StringIO(text[: text.rfind("\n") + 1])):
            with suppress(ValueError, IndexError):
                rows[row[0], int(row[1])] = float(row[2])
    return rows


def _free_name(path: Path) -> Path:
    number = 1
    target = path
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}-{number}")
    return target
