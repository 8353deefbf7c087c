"""What recording costs and keeps: pictures written and dropped, how true their times are, CPU, and what a kill leaves.

    python tools/measure_recording.py run --source http --cameras 4 --seconds 60
    python tools/measure_recording.py run --source http --keep-jpegs never
    python tools/measure_recording.py run --source http --no-stamps --delay-ms 10
    python tools/measure_recording.py run --source synth --session sample_sessions/one_person --cameras 4
    python tools/measure_recording.py kill --repeat 5
    python tools/measure_recording.py containers
    python tools/measure_recording.py presets

Cameras of `http` and `rtsp` are served by a process of their own (tests/stream_server.py). Their pictures carry their
numbers, and picture n is taken n / fps after the server's start on the clock that all processes share: that is what
the times in timestamps.csv are compared with (constant delay and what is left, the jitter). CPU is in per cent of one
thread of the machine; the server's is told apart.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np

from mocap.capture.counter_picture import read_number
from mocap.capture.encoder_choice import KeepJpegs
from mocap.capture.encoders import CLOCK_HZ, PRESETS, EncoderConfig, Load, choose_encoder, trial_pictures, yuv_picture
from mocap.capture.recorder import Recorder, RecorderConfig
from mocap.capture.recording_files import scene_folder
from mocap.capture.recovery import recover
from mocap.capture.rig import CaptureRig
from mocap.capture.source import Scene
from mocap.capture.stream_writer import StreamWriterConfig
from mocap.core.session import Session, SessionCamera
from mocap.io.session_files import open_session, open_take
from mocap.io.video_reader import VideoReader

ROOT = Path(__file__).resolve().parents[1]
TAKE = Scene("take", take="measured")
LOOK_AT_EVERY = 7
"""Pictures whose number is read; a prime, so that no period of the stream is met."""


@dataclass(frozen=True)
class CameraFigures:
    """Of one camera. lag_ms: mean of written minus true time; jitter_ms: standard deviation of what is left, worst_ms
    its largest; None where the truth is not known."""

    camera: str
    received: int
    written: int
    dropped: Mapping[str, int]
    interval_sd_ms: float
    encoder: str
    megabytes: float
    lag_ms: float | None = None
    jitter_ms: float | None = None
    worst_ms: float | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the first argument says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "kill", "containers", "presets", "child"])
    parser.add_argument("--source", choices=["http", "rtsp", "pattern", "synth"], default="http")
    parser.add_argument("--session", type=Path, default=ROOT / "sample_sessions" / "one_person")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--keep-jpegs", choices=["auto", "always", "never"], default="auto")
    parser.add_argument("--preset", default="auto")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="mean of a random delay of each picture")
    parser.add_argument("--no-stamps", action="store_true", help="the cameras do not say when pictures were taken")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to record (default: a temporary folder)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        options.folder = options.folder or Path(temporary)
        table = {"run": run, "kill": kill, "containers": containers, "presets": presets, "child": child}
        document = table[options.what](options)
    if document is not None:
        print(json.dumps(document, indent=1) if options.json else text_of(document))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Record for some time and compare what is there with what was sent."""
    with sources(options) as served:
        session = Session(options.folder, tuple(SessionCamera(name, address) for name, address in served.cameras))
        with CaptureRig(session) as rig:
            missing = rig.wait_until_live(20.0)
            if missing:
                sys.exit(f"no pictures of {', '.join(missing)}: {rig.status()}")
            recorder = Recorder(rig, recorder_config(options))
            before = cpu_s(served.pid)
            began = time.monotonic()
            recorder.start(scene_folder(options.folder, TAKE), scene=TAKE, duration_s=options.seconds)
            recorder.wait(options.seconds + 60)
            report = recorder.stop()
            wall = time.monotonic() - began
            own, server = (100 * (b - a) / wall for a, b in zip(before, cpu_s(served.pid), strict=True))
        start_s = recorder.start_s
    figures = []
    for record in report.cameras:
        errors = time_errors(options, record.camera, start_s or 0.0, served.start_s)
        figures.append(
            CameraFigures(
                camera=record.camera,
                received=record.received,
                written=record.written,
                dropped=record.dropped,
                interval_sd_ms=record.jitter_ms,
                encoder=record.encoder,
                megabytes=record.megabytes,
                **errors,
            )
        )
    return {
        "source": options.source,
        "seconds": report.duration_s,
        "expected": round(options.seconds * options.fps),
        "cpu_percent": own,
        "server_cpu_percent": server,
        "disk_mb": report.disk_mb,
        "problems": report.problems,
        "cameras": [asdict(figure) for figure in figures],
    }


def recorder_config(options: argparse.Namespace) -> RecorderConfig:
    """What the command line asks of the recorder."""
    writer = StreamWriterConfig(preset=options.preset)
    return RecorderConfig(keep_jpegs=cast(KeepJpegs, options.keep_jpegs), writer=writer)


@dataclass(frozen=True)
class Served:
    """cameras: (name, source); start_s: when picture 0 was taken, None where unknown; pid: of the server."""

    cameras: tuple[tuple[str, str], ...]
    start_s: float | None = None
    pid: int | None = None


@contextmanager
def sources(options: argparse.Namespace) -> Iterator[Served]:
    """The cameras to record from."""
    names = [f"cam{number + 1:02d}" for number in range(options.cameras)]
    if options.source == "pattern":
        yield Served(tuple((name, f"pattern:{options.size}@{options.fps:g}") for name in names))
        return
    if options.source == "synth":
        session = looped_session(options.session, options.folder / "played", options.seconds + 1)
        known = [name for name in open_session(session).camera_names if upright(session, name)]
        yield Served(tuple((name, f"synth:{session.absolute()}") for name in known[: options.cameras]))
        return
    sys.path.append(str(ROOT / "tests"))
    from stream_server import stream_server  # pyright: ignore[reportMissingImports]

    behaviour = {"delay_ms": options.delay_ms, "stamps": int(not options.no_stamps)}
    with stream_server(size=options.size, fps=options.fps, **behaviour) as server:
        address = server.http if options.source == "http" else server.rtsp
        ending = ".mjpg" if options.source == "http" else ""
        cameras = tuple((name, address(f"{name}{ending}")) for name in names)
        yield Served(cameras, server.start_s, server.process.pid)


def upright(session: Path, camera: str) -> bool:
    """Whether a camera's pictures are as wide as those of the others (the sample has one that is turned)."""
    info = VideoReader(session / "takes" / "measured" / "video" / f"{camera}.mp4").info
    return info.size[0] > info.size[1]


def looped_session(source: Path, target: Path, seconds: float) -> Path:
    """A session whose take is the first take of another, over and over: its packets, with later times."""
    session = open_session(source)
    videos = open_take(session.take_root(session.takes[0])).videos
    folder = target / "takes" / "measured" / "video"
    folder.mkdir(parents=True)
    for name, path in videos.items():
        with av.open(str(folder / f"{name}.mp4"), "w") as writing:
            begin, copy = Fraction(0), None
            while begin < seconds:
                with av.open(str(path)) as reading:
                    stream = reading.streams.video[0]
                    copy = copy or writing.add_stream_from_template(stream)
                    base, end = cast(Fraction, stream.time_base), Fraction(0)
                    shift = round(begin / base)
                    for packet in (p for p in reading.demux(stream) if p.size):
                        pts, dts = cast(int, packet.pts), cast(int, packet.dts)
                        end = max(end, (pts + (packet.duration or 0)) * base)
                        packet.pts, packet.dts, packet.stream = pts + shift, dts + shift, copy
                        writing.mux(packet)
                    begin += end
    return target


def time_errors(options: argparse.Namespace, camera: str, start_s: float, served_s: float | None) -> dict[str, float]:
    """Times in timestamps.csv against those at which the server says that the pictures were taken."""
    if served_s is None:
        return {}
    take = scene_folder(options.folder, TAKE)
    with (take / "timestamps.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["camera"] == camera]
    errors = []
    ring_s = 90 / options.fps
    for frame in VideoReader(take / "video" / f"{camera}.mp4"):
        number = read_number(frame.image) if frame.index % LOOK_AT_EVERY == 0 else None
        if number is not None:
            error = start_s + float(rows[frame.index]["time_s"]) - served_s - number / options.fps
            errors.append((error + ring_s / 2) % ring_s - ring_s / 2)
    away = 1e3 * (np.array(errors) - np.mean(errors))
    return {
        "lag_ms": 1e3 * float(np.mean(errors)),
        "jitter_ms": float(away.std()),
        "worst_ms": float(np.abs(away).max()),
    }


def cpu_s(server: int | None) -> tuple[float, float]:
    """Seconds of CPU that this process and the server have used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    own = used.ru_utime + used.ru_stime
    if server is None:
        return own, 0.0
    fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    return own, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kill(options: argparse.Namespace) -> dict[str, Any]:
    """Record in a process, end it by kill -9, and look at what it leaves, before and after the repair."""
    rng = np.random.default_rng(0)
    runs = []
    for number in range(options.repeat):
        folder = options.folder / f"killed{number}"
        command = [sys.executable, __file__, "child", "--folder", str(folder), "--cameras", str(options.cameras)]
        command += ["--size", options.size, "--keep-jpegs", options.keep_jpegs, "--source", options.source]
        command += ["--seconds", "600"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(4 + 2 * rng.random())
        killed_s = time.monotonic()
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().splitlines()
        process.wait()
        runs.append(what_is_left(folder, killed_s, rest[-1] if rest else ""))
    return {"kills": runs}


def child(options: argparse.Namespace) -> None:
    """Record until killed; every line tells the start and how much is written."""
    with sources(options) as served:
        session = Session(options.folder, tuple(SessionCamera(name, address) for name, address in served.cameras))
        with CaptureRig(session) as rig:
            rig.wait_until_live(20.0)
            recorder = Recorder(rig, recorder_config(options))
            recorder.start(scene_folder(options.folder, TAKE), scene=TAKE)
            while True:
                written = {record.camera: record.written for record in recorder.status().cameras}
                print(json.dumps({"start_s": recorder.start_s, "written": written}), flush=True)
                time.sleep(0.05)


def what_is_left(folder: Path, killed_s: float, last_line: str) -> dict[str, Any]:
    """Pictures that each reader shows, and how long before the kill the last one was taken."""
    said = json.loads(last_line)
    take = scene_folder(folder, TAKE)
    cameras: dict[str, Any] = {}
    for path in sorted((take / "video").glob("*.mp4")):
        reader = VideoReader(path)
        ours = sum(1 for _ in reader)
        last_s = said["start_s"] + reader.info.start_s + float(reader.info.times_s[ours - 1])
        cameras[path.stem] = {
            "written": said["written"][path.stem],
            "ours": ours,
            "pyav": frames_of_pyav(path),
            "opencv": frames_of_opencv(path),
            "lost_s": killed_s - last_s,
        }
    sentences = recover(folder)
    rows = (take / "timestamps.csv").read_text().splitlines()[1:]
    videos = open_take(take).videos
    agree = {name: sum(1 for _ in VideoReader(path)) for name, path in videos.items()}
    counted = {name: sum(row.startswith(f"{name},") for row in rows) for name in videos}
    return {"cameras": cameras, "recovered": sentences, "rows_agree": agree == counted}


def frames_of_pyav(path: Path) -> int:
    """That FFmpeg decodes."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def frames_of_opencv(path: Path) -> int:
    """That OpenCV decodes."""
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count


CONTAINERS: dict[str, tuple[str, dict[str, str]]] = {
    "mp4, ordinary": ("mp4", {}),
    "mp4, fragments at keyframes": (
        "mp4",
        {"movflags": "frag_keyframe+empty_moov", "frag_duration": "250000", "flush_packets": "1"},
    ),
    "mp4, hybrid fragments": (
        "mp4",
        {
            "movflags": "hybrid_fragmented+delay_moov",
            "frag_duration": "250000",
            "flush_packets": "1",
            "movie_timescale": str(CLOCK_HZ),
        },
    ),
    "matroska": ("matroska", {"cluster_time_limit": "250", "flush_packets": "1"}),
}


def containers(options: argparse.Namespace) -> dict[str, Any]:
    """What of five seconds is readable at any moment of writing, and how true the times are that it keeps."""
    found = {}
    for name, (kind, settings) in CONTAINERS.items():
        path = options.folder / f"clip.{kind}"
        lost, error = _copied_while_written(path, kind, settings)
        found[name] = {"lost_mean_s": lost[0], "lost_worst_s": lost[1], "time_error_ms": error}
    return found


def _copied_while_written(path: Path, kind: str, settings: dict[str, str]) -> tuple[tuple[float, float], float]:
    times = [0.0123 + n / 30 + 0.003 * float(np.sin(n)) for n in range(150)]
    encoder = choose_encoder(Load((640, 360), 30.0), EncoderConfig(codec="libx264", preset="ultrafast"))
    lost, error = [], 0.0
    with av.open(str(path), "w", format=kind, container_options=settings) as container:
        stream = cast(av.VideoStream, container.add_stream(encoder.name, rate=30, options=dict(encoder.options)))
        stream.width, stream.height, stream.codec_context.gop_size = 640, 360, 15
        stream.codec_context.time_base = Fraction(1, CLOCK_HZ)
        pictures = trial_pictures((640, 360), len(times))
        for number, time_s in enumerate(times):
            frame = yuv_picture(pictures[number])
            frame.pts, frame.time_base = round(time_s * CLOCK_HZ), Fraction(1, CLOCK_HZ)
            container.mux(stream.encode(frame))
            if number % 5 == 4:
                shown = _times_of_copy(path)
                lost.append(time_s - times[len(shown) - 1] if len(shown) else time_s)
                error = max(error, *(1e3 * abs(a - b) for a, b in zip(shown, times, strict=False)), 0.0)
    return (float(np.mean(lost)), max(lost)), error


def _times_of_copy(path: Path) -> list[float]:
    copy = path.with_name(f"copy{path.suffix}")
    copy.write_bytes(path.read_bytes())
    try:
        info = VideoReader(copy).info
    except ValueError:
        return []
    return [info.start_s + float(time_s) for time_s in info.times_s]


def presets(options: argparse.Namespace) -> dict[str, Any]:
    """What each preset of x264 costs, and which one is chosen for the cameras asked for."""
    width, height = map(int, options.size.split("x"))
    load = Load((width, height), options.fps, options.cameras)
    table: dict[str, Any] = {
        preset: choose_encoder(load, EncoderConfig(codec="libx264", preset=preset)).sentence for preset in PRESETS
    }
    chosen = choose_encoder(load, EncoderConfig())
    return table | {"chosen": f"{chosen.sentence}; {'fits' if chosen.fits else 'does not fit'}"}


def text_of(document: Mapping[str, Any], indent: str = "") -> str:
    """The document as indented lines."""
    lines = []
    for key, value in document.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", text_of(value, indent + "  ")]
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            lines += [f"{indent}{key}:", *(indent + "  " + _row(item) for item in value)]
        else:
            lines.append(f"{indent}{key}: {_plain(value)}")
    return "\n".join(lines)


def _row(item: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_plain(value)}" for key, value in item.items() if value is not None)


def _plain(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
