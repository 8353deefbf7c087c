"""Time and memory of the whole pipeline on a real take, stage by stage, in one run.

    python tools/benchmark.py                       the four-camera trial of ../shared/data
    python tools/benchmark.py --take TAKE           any take of a session
    python tools/benchmark.py --long 1              without the same take ten times as long (forwards and backwards)
    python tools/benchmark.py calibration           calibration beside other tools: see benchmark_calibration.py
    python tools/benchmark.py detection             boards found beside other tools: see benchmark_detection.py
    python tools/benchmark.py triangulation         networks beside the published way: see benchmark_triangulation.py

Every run is a fresh process in an empty folder, as a user would start it; memory is that process's peak resident set.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocap.io.video import VideoReader
from mocap.io.video_writer import VideoWriter, VideoWriterConfig

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TRIAL_RIG = "pose2sim/HEAD/Demo_SinglePerson/calibration/Calib.qca.txt"
TRIAL_VIDEOS = {
    "cam01": "pose2sim_blender/Examples/cam01_cut.mp4",
    "cam02": "pose2sim_blender/Examples/cam02_cut.mp4",
    "cam03": "pose2sim/HEAD/Demo_SinglePerson/videos/cam03.mp4",
    "cam04": "pose2sim/HEAD/Demo_SinglePerson/videos/cam04.mp4",
}


@dataclass(frozen=True)
class Measured:
    """One run: wall seconds of the whole command, peak memory, what it said, and the reports of its stages."""

    wall_s: float
    peak_mib: float
    result: dict[str, Any]
    stages: dict[str, dict[str, Any]]

    @property
    def camera_frames(self) -> int:
        return self.result["figures"]["camera_frames"]


def main() -> None:
    """Measure, print a table, and optionally write the figures as JSON."""
    if sys.argv[1:2] in (["calibration"], ["detection"], ["triangulation"]):
        importlib.import_module(f"benchmark_{sys.argv[1]}").main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", type=Path, help="a take of a session instead of the trial")
    parser.add_argument("--long", type=int, default=10, help="how many times as long the second take is; 1: none")
    parser.add_argument("--repeat", type=int, default=1, help="runs of the short take; the fastest is printed")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="passed on to mocap process")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        videos, rig = source_of(options.take)
        runs = [run(videos, rig, Path(folder) / f"short{n}", options.set) for n in range(options.repeat)]
        short = min(runs, key=lambda measured: measured.wall_s)
        show(short, f"{short.camera_frames} camera frames")
        figures: dict[str, Any] = {"short": as_document(short)}
        if options.long > 1:
            # Encoded the same way, so that length is the only difference: decoders' buffers depend on the encoder.
            once, long = (
                run(lengthened(videos, Path(folder) / f"times{n}", n), rig, Path(folder) / f"long{n}", options.set)
                for n in (1, options.long)
            )
            show(long, f"{long.camera_frames} camera frames, {options.long} times as long, encoded anew")
            ratio = long.peak_mib / once.peak_mib
            print(
                f"peak memory, both encoded anew: {once.peak_mib:.0f} MiB -> {long.peak_mib:.0f} MiB: {ratio:.2f} times"
            )
            figures |= {"once": as_document(once), "long": as_document(long), "memory_ratio": round(ratio, 3)}
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


def source_of(take: Path | None) -> tuple[dict[str, Path], Path]:
    """Videos by camera, and the calibration."""
    if take is None:
        if not DATA.is_dir():
            sys.exit(f"{DATA} is not here; name a take with --take")
        return {name: DATA / path for name, path in TRIAL_VIDEOS.items()}, DATA / TRIAL_RIG
    from mocap.jobs import find_jobs

    (job,) = find_jobs([str(take)])
    return dict(job.take.videos), job.rig_path


def run(videos: dict[str, Path], rig: Path, output: Path, settings: list[str]) -> Measured:
    """One `mocap process` in a process of its own."""
    command = [sys.executable, "-m", "mocap.cli.main", "process", *(f"{n}={p}" for n, p in videos.items())]
    command += ["--rig", str(rig), "-o", str(output), "--json"]
    for setting in settings:
        command += ["--set", setting]
    output.mkdir(parents=True)
    printed = output / "printed.json"
    start = time.perf_counter()
    with printed.open("wb") as stdout:
        actions = [(os.POSIX_SPAWN_DUP2, stdout.fileno(), 1)]
        process = os.posix_spawn(command[0], command, dict(os.environ), file_actions=actions)
        _, status, usage = os.wait4(process, 0)
    wall_s = time.perf_counter() - start
    if status:
        sys.exit(f"mocap process failed: {' '.join(command)}")
    unit = 1024 if sys.platform == "linux" else 1024**2
    (result,) = json.loads(printed.read_text(encoding="utf-8"))
    stages = json.loads(Path(result["report"]).read_text(encoding="utf-8"))["stages"]
    return Measured(wall_s, usage.ru_maxrss / unit, result, stages)


def lengthened(videos: dict[str, Path], folder: Path, times: int) -> dict[str, Path]:
    """Every video of the take, `times` times as long."""
    return {name: there_and_back(path, folder / f"{name}.mp4", times) for name, path in videos.items()}


def there_and_back(source: Path, target: Path, times: int) -> Path:
    """The take forwards and backwards by turns, so that the motion has no jumps; encoded anew."""
    with VideoReader(source) as reader:
        images = [frame.image for frame in reader]
        fps = reader.info.fps
    height, width = images[0].shape[:2]
    with VideoWriter(target, (width, height), fps, VideoWriterConfig(preset="veryfast")) as writer:
        for n in range(times):
            for image in images if n % 2 == 0 else reversed(images):
                writer.write(image)
    return target


def shares(measured: Measured) -> dict[str, float]:
    """Seconds of the stages and of what is around them."""
    seconds = {name: stage["seconds"] for name, stage in measured.stages.items()}
    seconds["around the stages"] = measured.result["seconds"] - sum(seconds.values())
    seconds["start of the program"] = measured.wall_s - measured.result["seconds"]
    return seconds


def show(measured: Measured, title: str) -> None:
    """The table of one run."""
    n = measured.camera_frames
    print(f"\n{title}: {measured.wall_s:.2f} s in all, {1000 * measured.wall_s / n:.1f} ms a camera frame")
    for name, seconds in shares(measured).items():
        print(f"  {name:<22}{seconds:8.3f} s {1000 * seconds / n:8.2f} ms a camera frame")
        if name == "detect":
            steps = measured.stages["detect"]["ms_per_camera_frame"]
            print(f"    of it: {', '.join(f'{step} {ms:.2f}' for step, ms in steps.items() if step != 'total')} ms")
    rest = measured.result["seconds"] - measured.stages["detect"]["seconds"]
    print(f"  neither decoding nor 2D inference: {100 * rest / measured.result['seconds']:.1f} %")
    print(f"  the same with the start of the program: {100 * (1 - detect_share(measured)):.1f} %")
    print(f"  peak memory: {measured.peak_mib:.0f} MiB")


def detect_share(measured: Measured) -> float:
    """Decoding and 2D inference as a share of the whole command."""
    return measured.stages["detect"]["seconds"] / measured.wall_s


def as_document(measured: Measured) -> dict[str, Any]:
    """The figures of one run for machines."""
    return {
        "wall_s": round(measured.wall_s, 3),
        "peak_mib": round(measured.peak_mib, 1),
        "camera_frames": measured.camera_frames,
        "ms_per_camera_frame": round(1000 * measured.wall_s / measured.camera_frames, 2),
        "stages_s": {name: round(seconds, 4) for name, seconds in shares(measured).items()},
        "figures": measured.result["figures"],
    }


if __name__ == "__main__":
    main()
