"""What readers make of several cameras at once: pictures, losses, times and the processor's work.

    python tools/measure_cameras.py --source mjpeg --cameras 4 --size 1280x720 --fps 30 --seconds 60
    python tools/measure_cameras.py --source rtsp --cameras 2
    python tools/measure_cameras.py --source synth --session sample_sessions/one_person --cameras 4

Network cameras are served by a process of its own (tests/stream_server.py), whose work is not counted. Its pictures
tell when they were taken, so that the error of every time is known, besides its jitter. --delay-ms lets the network
delay each picture by an exponential time of that mean.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from mocap.capture.counter_picture import read_number  # noqa: E402
from mocap.capture.reader import CameraReader  # noqa: E402
from mocap.capture.rig import CaptureRig  # noqa: E402
from mocap.capture.source import Scene  # noqa: E402
from mocap.core.session import Session, SessionCamera  # noqa: E402

RING = 90
"""Pictures of the server count modulo this."""


@contextmanager
def served(options: argparse.Namespace) -> Iterator[dict[str, float]]:
    """The server's ports and the moment of its picture 0."""
    command = [sys.executable, str(ROOT / "tests" / "stream_server.py"), f"--size={options.size}"]
    command += [f"--fps={options.fps}", f"--stamps={options.stamps}", f"--delay-ms={options.delay_ms}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def sources(options: argparse.Namespace, ports: dict[str, float]) -> list[str]:
    """An address for every camera."""
    names = [f"cam{number:02d}" for number in range(1, options.cameras + 1)]
    if options.source == "synth":
        return [f"synth:{options.session.resolve()}"] * len(names)
    if options.source == "file":
        videos = sorted(options.session.resolve().glob("takes/*/video/*.mp4"))
        return [f"file:{videos[number % len(videos)]}?loop=1" for number in range(len(names))]
    if options.source == "pattern":
        return [f"pattern:{options.size}@{options.fps:g}"] * len(names)
    if options.source == "rtsp":
        return [f"rtsp://127.0.0.1:{ports['rtsp_port']}/{name}" for name in names]
    return [f"http://127.0.0.1:{ports['port']}/{name}.mjpg" for name in names]


class Drain(threading.Thread):
    """Takes a camera's pictures and keeps their times, and the numbers of some."""

    def __init__(self, reader: CameraReader, until_s: float) -> None:
        super().__init__(daemon=True)
        self._queue, self._until_s = reader.subscribe(), until_s
        self.times: list[float] = []
        self.numbered: list[tuple[float, int]] = []

    def run(self) -> None:
        while time.monotonic() < self._until_s:
            frame = self._queue.get(0.1)
            if frame is None:
                continue
            self.times.append(frame.time_s)
            if len(self.times) % 15 == 0 and (number := read_number(frame.image)) is not None:
                self.numbered.append((frame.time_s, number))


def measure(options: argparse.Namespace, ports: dict[str, float]) -> dict[str, object]:
    """Read all cameras for the time asked."""
    names = [f"cam{number:02d}" for number in range(1, options.cameras + 1)]
    cameras = tuple(SessionCamera(n, s) for n, s in zip(names, sources(options, ports), strict=True))
    with CaptureRig(Session(root=ROOT, cameras=cameras)) as rig:
        missing = rig.wait_until_live(20.0)
        rig.set_scene(Scene("take"))
        time.sleep(2)
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        counts = [(s.received, s.lost_source, s.dropped_queue) for s in rig.status()]
        drains = [Drain(reader, began + options.seconds) for reader in rig.readers.values()]
        for drain in drains:
            drain.start()
        for drain in drains:
            drain.join()
        after, took = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
        rows = [
            _row(drain, status, count, ports.get("start_s"), options.fps)
            for drain, status, count in zip(drains, rig.status(), counts, strict=True)
        ]
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"missing": missing, "seconds": round(took, 2), "cpu_percent": round(100 * busy / took, 1), "cameras": rows}


def _row(drain: Drain, status, before: tuple[int, int, int], start_s: float | None, fps: float) -> dict[str, object]:
    steps = np.diff(drain.times)
    row: dict[str, object] = {
        "name": status.name,
        "received": status.received - before[0],
        "taken": len(drain.times),
        "dropped_queue": status.dropped_queue - before[2],
        "lost_source": status.lost_source - before[1],
        "reconnects": status.reconnects,
        "jitter_ms": round(1e3 * float(steps.std()), 3) if len(steps) else None,
        "longest_gap_ms": round(1e3 * float(steps.max()), 1) if len(steps) else None,
    }
    if start_s is not None and drain.numbered:
        shown, number = np.array([t for t, _ in drain.numbered]), np.array([n for _, n in drain.numbered])
        late = (shown - start_s) * fps - number
        late_ms = 1e3 * (late - RING * np.round(late / RING)) / fps
        row |= {"late_ms_median": round(float(np.median(late_ms)), 3), "late_ms_sd": round(float(late_ms.std()), 3)}
    return row


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=("mjpeg", "rtsp", "synth", "file", "pattern"), default="mjpeg")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--stamps", type=int, default=1)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--session", type=Path, default=ROOT / "sample_sessions" / "one_person")
    options = parser.parse_args()
    if options.source in ("mjpeg", "rtsp"):
        with served(options) as ports:
            result = measure(options, ports)
    else:
        result = measure(options, {})
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
