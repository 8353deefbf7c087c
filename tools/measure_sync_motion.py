"""How well cameras are put on one clock by the motion of people alone, on takes whose clocks are known.

    python tools/measure_sync_motion.py --seeds 24 --seconds 20
    python tools/measure_sync_motion.py --detections detect.h5 --rig rig.toml

The first: four cameras in a ring at 29.97 and 60 frames a second in turn, clocks off by up to 2 s and by +50 or -50
ppm, 1 % of the frames lost; one person; a detector with made-up errors (`blazepose_like`) and with those of BlazePose
on rendered people (`blazepose_measured`) in turn. "mid" and "end" are errors of the clocks in the middle and at the
worse end of the take. The second: cameras that are on one clock are shifted by known frames and fractions of frames,
and each keeps every second frame, one the even and another the odd ones, at random.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.camera import Rig
from calibration.formats import read_calibration
from mocap.capture.sync_motion import sync_by_motion
from mocap.core.clock import Clock, ClockEstimate
from mocap.core.keypoints import Detections2D, load_keypoint_set
from mocap.io.artefacts import load_detections
from mocap.synthetic.cast import make_actors
from mocap.synthetic.clocks import CameraFaults, frame_clock
from mocap.synthetic.detector_config import preset
from mocap.synthetic.detector_errors import as_detections, detect
from mocap.synthetic.reported_session import Seer, true_view
from mocap.synthetic.rigs import RigConfig, make_rig
from mocap.synthetic.synth_config import PersonConfig, SynthConfig
from mocap.synthetic.take_truth import view_of

MOTIONS = (
    "walk_circle",
    "squat",
    "wave",
    "walk_and_reach",
    "dance",
    "walk_line",
    "jump",
    "reach",
    "arm_circles",
    "side_steps",
    "clap",
    "turn_around",
)
DETECTORS = ("blazepose_like", "blazepose_measured")
COLUMNS = ("frame", "camera", "track", "xy", "confidence", "box", "score")
GOAL_MS = 4.0


@dataclass(frozen=True, eq=False)
class ReportedTake:
    """Detections of every camera at its own frames, stamps (F,) of those, and what ties the stamps to scene time."""

    detections: Detections2D
    stamps_s: dict[str, np.ndarray]
    rig: Rig
    clocks: dict[str, Clock]


def reported_take(
    faults: Mapping[str, CameraFaults],
    config: SynthConfig,
    *,
    frame_rates: Sequence[float],
) -> ReportedTake:
    """A take as `mocap synth --keypoints-only` makes it, in memory."""
    seed, seconds = config.seed, config.seconds
    rig = make_rig(config.rig, np.random.default_rng([seed, 0]))
    actors = make_actors(config, seconds, Path())
    seer, keypoint_set = Seer(actors), load_keypoint_set(config.keypoint_set)
    parts, stamps, clocks = [], {}, {}
    for number, camera in enumerate(rig):
        rate = frame_rates[number % len(frame_rates)]
        rng = np.random.default_rng([seed, 3, number])
        clock = frame_clock(faults.get(camera.name, CameraFaults()), fps=rate, seconds=seconds, rng=rng)
        seen = seer.visibility(camera, (), clock.time_s)
        view = view_of(camera, clock, (), actors, visibility=seen)
        exact = true_view(view, actors, camera, keypoint_set, fps=rate)
        rng = np.random.default_rng([seed, 7, number])
        rows, _ = as_detections(detect(exact, preset(config.detector), rng), exact, (camera.name,), rng)
        parts.append(rows)
        stamps[camera.name], clocks[camera.name] = clock.stamp_s, Clock(clock.offset_s, clock.rate)
    return ReportedTake(_joined(parts, rig.names), stamps, rig, clocks)


def _joined(parts: Sequence[Detections2D], cameras: tuple[str, ...]) -> Detections2D:
    """Detections of single cameras as those of all."""
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    columns["camera"] = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return Detections2D(cameras, max(part.n_frames for part in parts), parts[0].keypoint_set, **columns)


def faulty_take(seed: int, seconds: float, *, cameras: int = 4) -> tuple[ReportedTake, str]:
    """One take of the table, and what it is."""
    rng, motion, detector = np.random.default_rng([seed, 99]), MOTIONS[seed % 12], DETECTORS[seed % 2]
    faults = {"cam01": CameraFaults(dropped=0.01)}
    for number in range(1, cameras):
        offset, drift = float(rng.uniform(-2, 2)), float(rng.choice([-50, 50]))
        faults[f"cam{number + 1:02d}"] = CameraFaults(offset_s=offset, drift_ppm=drift, dropped=0.01)
    config = SynthConfig(
        seed=seed,
        seconds=seconds,
        people=(PersonConfig(motion=motion),),
        rig=RigConfig(cameras=cameras),
        detector=detector,
    )
    return reported_take(faults, config, frame_rates=(30000 / 1001, 60.0)), f"{motion}, {detector}"


def errors_ms(estimates: Sequence[ClockEstimate], clocks: Mapping[str, Clock], seconds: float) -> dict[str, np.ndarray]:
    """Of every camera's clock against the reference's, at the start, the middle and the end of the take."""
    at = np.array([0.0, seconds / 2, seconds])
    return {
        e.camera: 1000 * (e.clock.stamp_s(clocks[e.reference].stamp_s(at)) - clocks[e.camera].stamp_s(at))
        for e in estimates
    }


def _synthetic(seeds: Sequence[int], seconds: float, with_rig: bool) -> None:
    found, sure, spent = [], [], 0.0
    for seed in seeds:
        take, what = faulty_take(seed, seconds)
        start = time.perf_counter()
        estimates = sync_by_motion(take.detections, take.stamps_s, take.rig if with_rig else None)
        spent += time.perf_counter() - start
        wrong = np.stack(list(errors_ms(estimates, take.clocks, seconds).values()))
        found.append(wrong)
        sure += [e.sd_s * 1000 for e in estimates]
        print(f"{seed:3d} {what:36s} mid {np.round(wrong[:, 1], 2)} end {np.abs(wrong).max():.2f} ms", flush=True)
    every = np.concatenate(found)
    print(_summary("mid", np.abs(every[:, 1])))
    print(_summary("end", np.abs(every).max(1)))
    print(f"error over sd_s, RMS: {np.sqrt(np.mean((every[:, 1] / np.array(sure)) ** 2)):.2f}")
    print(f"{spent / len(seeds):.2f} s a take")


def _summary(name: str, wrong: np.ndarray) -> str:
    return (
        f"{name}: {len(wrong)} clocks, RMS {np.sqrt((wrong**2).mean()):.2f}, median {np.median(wrong):.2f}, "
        f"90 % {np.quantile(wrong, 0.9):.2f}, max {wrong.max():.2f} ms; within {GOAL_MS:g} ms: "
        f"{(wrong <= GOAL_MS).mean():.1%}"
    )


def shifted_frames(detections: Detections2D, fps: float, shifts: Sequence[float]) -> dict[str, np.ndarray]:
    """Stamps that are `shifts` frames off, by camera."""
    frames = np.arange(detections.n_frames) / fps
    return {name: frames + shift / fps for name, shift in zip(detections.cameras, shifts, strict=True)}


def _recorded(path: Path, rig: Path, fps: float, trials: int) -> None:
    detections, cameras = load_detections(path), read_calibration(rig)
    wrong = []
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        shifts = [0.0, *(rng.integers(-40, 41, len(detections.cameras) - 1) + rng.choice([0.0, 0.25, 0.5, 0.7]))]
        stamps = shifted_frames(detections, fps, shifts)
        phase = rng.integers(0, 2, len(detections.cameras))
        some = detections.select(detections.frame % 2 == phase[detections.camera])
        estimates = sync_by_motion(some, stamps, cameras.subset(detections.cameras))
        known = {name: Clock(shift / fps) for name, shift in zip(detections.cameras, shifts, strict=True)}
        found = errors_ms(estimates, known, detections.n_frames / fps)
        wrong.append([e[1] for e in found.values()])
        told = ", ".join(f"{e.camera} sd {1000 * e.sd_s:.1f} ms confidence {e.confidence:.2f}" for e in estimates)
        print(np.round(shifts, 2), "frames: mid", np.round(wrong[-1], 2), "ms;", told, flush=True)
    print(_summary("mid", np.abs(np.concatenate(wrong))))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--no-rig", action="store_true", help="speeds alone")
    parser.add_argument("--detections", type=Path, help="a detect.h5 of cameras that are on one clock")
    parser.add_argument("--rig", type=Path)
    parser.add_argument("--fps", type=float, default=60.0)
    options = parser.parse_args()
    if options.detections:
        _recorded(options.detections, options.rig, options.fps, options.seeds)
    else:
        _synthetic(range(options.first, options.first + options.seeds), options.seconds, not options.no_rig)


if __name__ == "__main__":
    main()
