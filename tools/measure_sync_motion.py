"""How well cameras are put on one clock by the motion of people alone, on takes whose clocks are known.

    python tools/measure_sync_motion.py --seeds 24 --seconds 20
    python tools/measure_sync_motion.py --seeds 24 --seconds 60 --keep FOLDER
    python tools/measure_sync_motion.py --detections detect.h5 --rig rig.toml
    python tools/measure_sync_motion.py --detections detect.h5 --rig rig.toml --resample

The first two: four cameras in a ring at 29.97 and 60 frames a second in turn, clocks off by up to 2 s and by +50 or -50
ppm, 1 % of the frames lost; one person; a detector with made-up errors (`blazepose_like`) and with those of BlazePose
on rendered people (`blazepose_measured`) in turn. "mid" and "end" are errors of the clocks in the middle and at the
worse end of the take; --keep writes the takes, of which making takes longest, or reads them. The third: cameras that
are on one clock are shifted by known frames and fractions of frames, and each keeps every second frame, one the even
and another the odd ones, at random. The last: the 2D tracks of each camera are themselves taken at times between its
frames, linearly, and keep their stamps; "beyond" is the error beyond what the estimate for the unshifted tracks is off
by, which is that of the calibration, the detector and the cameras. --turn says what a calibration that is off does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from calibration.camera import Rig
from calibration.formats import read_calibration
from calibration.rig_file import read_rig, write_rig
from calibration.transforms import RigidTransform
from mocap.capture.sync_motion import sync_by_motion
from mocap.core.clock import Clock, ClockEstimate
from mocap.core.keypoints import Detections2D, load_keypoint_set
from mocap.io.artefacts import atomic_path, load_detections, save_detections
from mocap.signal.person_chains import person_chains
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


def kept_take(folder: Path, seed: int, seconds: float) -> tuple[ReportedTake, str]:
    """`faulty_take`, read from the folder or written there: making the people's views takes longest."""
    place = folder / f"seed{seed:03d}_{seconds:g}s"
    if not (place / "take.npz").exists():
        take, _ = faulty_take(seed, seconds)
        keep_take(take, place)
    with np.load(place / "take.npz", allow_pickle=False) as file:
        clocks = {name: Clock(*row) for name, row in zip(file["names"].tolist(), file["clocks"].tolist(), strict=True)}
        stamps = {name: file[f"stamps_{name}"] for name in clocks}
    take = ReportedTake(load_detections(place / "detect.h5"), stamps, read_rig(place / "rig.toml"), clocks)
    return take, f"{MOTIONS[seed % 12]}, {DETECTORS[seed % 2]}"


def keep_take(take: ReportedTake, place: Path) -> None:
    """The last file says that the others are whole."""
    place.mkdir(parents=True, exist_ok=True)
    save_detections(take.detections, place / "detect.h5")
    write_rig(take.rig, place / "rig.toml")
    rows = np.array([[clock.offset_s, clock.rate] for clock in take.clocks.values()])
    columns: dict[str, Any] = {f"stamps_{name}": stamp for name, stamp in take.stamps_s.items()}
    with atomic_path(place / "take.npz") as path, path.open("wb") as file:
        np.savez(file, names=np.array(list(take.clocks)), clocks=rows, **columns)


def errors_ms(estimates: Sequence[ClockEstimate], clocks: Mapping[str, Clock], seconds: float) -> dict[str, np.ndarray]:
    """Of every camera's clock against the reference's, at the start, the middle and the end of the take."""
    at = np.array([0.0, seconds / 2, seconds])
    return {
        e.camera: 1000 * (e.clock.stamp_s(clocks[e.reference].stamp_s(at)) - clocks[e.camera].stamp_s(at))
        for e in estimates
    }


def _synthetic(seeds: Sequence[int], seconds: float, with_rig: bool, folder: Path | None) -> None:
    found, sure, spent = [], [], 0.0
    for seed in seeds:
        take, what = kept_take(folder, seed, seconds) if folder else faulty_take(seed, seconds)
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


def _recorded(detections: Detections2D, rig: Rig, fps: float, trials: int) -> None:
    wrong = []
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        shifts = [0.0, *(rng.integers(-40, 41, len(detections.cameras) - 1) + rng.choice([0.0, 0.25, 0.5, 0.7]))]
        stamps = shifted_frames(detections, fps, shifts)
        phase = rng.integers(0, 2, len(detections.cameras))
        some = detections.select(detections.frame % 2 == phase[detections.camera])
        estimates = sync_by_motion(some, stamps, rig)
        known = {name: Clock(shift / fps) for name, shift in zip(detections.cameras, shifts, strict=True)}
        found = errors_ms(estimates, known, detections.n_frames / fps)
        wrong.append([e[1] for e in found.values()])
        told = ", ".join(f"{e.camera} sd {1000 * e.sd_s:.1f} ms confidence {e.confidence:.2f}" for e in estimates)
        print(np.round(shifts, 2), "frames: mid", np.round(wrong[-1], 2), "ms;", told, flush=True)
    print(_summary("mid", np.abs(np.concatenate(wrong))))


def resampled(detections: Detections2D, shifts: Sequence[float], fps: float) -> Detections2D:
    """Frame k of a camera shows what was at its frame k + shift, between two frames by the line through them.

    People are followed from frame to frame; a keypoint is there where it is in both frames.
    """
    parts = []
    for camera, shift in enumerate(shifts):
        rows = np.flatnonzero(detections.camera == camera)
        frame, box = detections.frame[rows], detections.box[rows]
        size = np.maximum((box[:, 2:] - box[:, :2]).max(-1), 1.0)
        owner = person_chains(frame, detections.track[rows], detections.xy[rows], size, stamp_s=frame / fps)
        whole, part = int(np.floor(shift)), float(shift - np.floor(shift))
        for person in np.unique(owner[owner >= 0]).tolist():
            mine = rows[owner == person]
            both, left, right = np.intersect1d(detections.frame[mine], detections.frame[mine] - 1, return_indices=True)
            parts.append(_between(detections, (mine[left], mine[right]), part, both - whole, track=person))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    first, last = columns["frame"].min(), columns["frame"].max()
    columns["frame"] = columns["frame"] - first
    return Detections2D(detections.cameras, int(last - first) + 1, detections.keypoint_set, **columns)


def _between(
    detections: Detections2D, rows: tuple[np.ndarray, np.ndarray], part: float, frame: np.ndarray, *, track: int
) -> dict[str, np.ndarray]:
    """Columns of the people between those of two frames; what the second of them lacks counts only if it is needed."""
    left, right = rows
    second = right if part else left
    mixed = {
        name: (1 - part) * getattr(detections, name)[left] + part * getattr(detections, name)[second]
        for name in ("xy", "box", "score")
    }
    confidence = np.minimum(detections.confidence[left], detections.confidence[second])
    mixed["confidence"] = np.where(np.isfinite(mixed["xy"]).all(-1), confidence, 0.0)
    return mixed | {"frame": frame, "camera": detections.camera[left], "track": np.full(len(left), track)}


def _resampled(detections: Detections2D, rig: Rig, fps: float, trials: int) -> None:
    still = np.zeros(len(detections.cameras))
    before, sure = _found_ms(detections, rig, fps, still)
    print("as they are:", _told(before, sure), flush=True)
    wrong, beyond = [], []
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        fractions = rng.permutation(np.arange(len(still) - 1) / (len(still) - 1) + rng.uniform(0, 1 / (len(still) - 1)))
        shifts = np.concatenate([[0.0], rng.integers(-20, 21, len(still) - 1) + fractions])
        found, sure = _found_ms(detections, rig, fps, shifts)
        wrong += list(found.values())
        beyond += [found[name] - before[name] for name in found]
        print(np.round(shifts[1:], 2), "frames:", _told(found, sure), flush=True)
    print(_summary("absolute", np.abs(wrong)))
    print(_summary("beyond", np.abs(beyond)))


def _found_ms(
    detections: Detections2D, rig: Rig, fps: float, shifts: np.ndarray
) -> tuple[dict[str, float], dict[str, float]]:
    """Error in the middle of the tracks taken `shifts` frames later, and the deviation that is told, by camera, ms."""
    taken = resampled(detections, shifts.tolist(), fps)
    stamps = {name: np.arange(taken.n_frames) / fps for name in detections.cameras}
    estimates = sync_by_motion(taken, stamps, rig)
    middle = np.array([taken.n_frames / fps / 2])
    shift = dict(zip(detections.cameras, shifts, strict=True))
    told = {e.camera: float(e.clock.stamp_s(middle)[0] - middle[0] + shift[e.camera] / fps) for e in estimates}
    return {name: 1000 * off for name, off in told.items()}, {e.camera: 1000 * e.sd_s for e in estimates}


def turned(rig: Rig, changes: Sequence[str]) -> Rig:
    """With cameras turned so that their pictures move by some pixels: CAMERA=RIGHT,DOWN."""
    cameras = {camera.name: camera for camera in rig}
    for name, moves in (change.split("=") for change in changes):
        camera = cameras[name]
        right, down = (float(move) for move in moves.split(","))
        K = camera.intrinsics.K
        turn = RigidTransform.from_rotvec(np.array([-down / K[1, 1], right / K[0, 0], 0.0]), np.zeros(3))
        cameras[name] = replace(camera, cam_from_world=turn @ camera.cam_from_world)
    return Rig(tuple(cameras.values()))


def _told(found: Mapping[str, float], sure: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {off:+.2f} (sd {sure[name]:.1f})" for name, off in found.items()) + " ms"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--keep", type=Path, help="folder in which takes are kept for the next time")
    parser.add_argument("--no-rig", action="store_true", help="speeds alone")
    parser.add_argument("--detections", type=Path, help="a detect.h5 of cameras that are on one clock")
    parser.add_argument("--rig", type=Path)
    parser.add_argument("--fps", type=float, default=60.0)
    parser.add_argument("--resample", action="store_true", help="take the 2D tracks at times between the frames")
    parser.add_argument("--turn", nargs="+", default=[], metavar="CAMERA=RIGHT,DOWN", help="turn cameras by pixels")
    options = parser.parse_args()
    if options.detections:
        detections = load_detections(options.detections)
        rig = turned(read_calibration(options.rig).subset(detections.cameras), options.turn)
        (_resampled if options.resample else _recorded)(detections, rig, options.fps, options.seeds)
    else:
        _synthetic(
            range(options.first, options.first + options.seeds), options.seconds, not options.no_rig, options.keep
        )


if __name__ == "__main__":
    main()
