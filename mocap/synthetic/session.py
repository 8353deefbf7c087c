"""A synthetic session on disk, laid out like a recorded one, with the truth beside every clip."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from calibration.camera import Camera, Rig
from calibration.rig_file import RigMetadata, write_rig
from mocap.core.config import Report
from mocap.core.errors import ConfigError, InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.core.session import Session, SessionCamera
from mocap.core.truth import TakeTruth
from mocap.io.session_files import write_session
from mocap.io.truth_file import save_truth
from mocap.synthetic.calibration_clips import board_of, calibration_shots
from mocap.synthetic.cast import Actor, make_actors
from mocap.synthetic.clocks import CameraFaults, FrameClock, frame_clock
from mocap.synthetic.detector_config import preset
from mocap.synthetic.reported_session import Seer, true_view, write_reports
from mocap.synthetic.rigs import make_rig
from mocap.synthetic.shots import Filming, Seen, Shot
from mocap.synthetic.stage_setting import sensor_of, set_stage, sound_at
from mocap.synthetic.studio import film
from mocap.synthetic.synth_config import SynthConfig
from mocap.synthetic.take_truth import joints_of, truth_of, view_of

Progress = Callable[[int, int], None]


class SynthReport(Report):
    """What was made. pictures: rendered views, all clips together."""

    session: str
    take: str
    cameras: tuple[str, ...]
    people: tuple[str, ...]
    pictures: int
    megabytes: float


@dataclass(frozen=True, eq=False)
class _Plan:
    """All that is known before the first picture."""

    config: SynthConfig
    root: Path
    rig: Rig
    clocks: tuple[FrameClock, ...]
    actors: tuple[Actor, ...]

    @property
    def take_root(self) -> Path:
        """Folder of the take."""
        return self.root / "takes" / self.config.take


def make_session(
    config: SynthConfig,
    root: Path,
    *,
    motions_from: Path = Path(),
    workers: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SynthReport:
    """Make the session in `root`. The same configuration gives the same truth and pictures, whatever `workers` is.

    motions_from: folder that motion files are named from. overwrite: replace a folder that holds a session already.
    """
    _check_place(root, overwrite=overwrite)
    plan = _plan(config, root, motions_from)
    _clear(root)
    seen, n_pictures = _look(plan) if config.keypoints_only else _film(plan, workers, progress)
    _write_take(plan, _truth(plan, seen))
    _write_session(plan)
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    return SynthReport(
        session=str(root),
        take=config.take,
        cameras=plan.rig.names,
        people=tuple(actor.name for actor in plan.actors),
        pictures=n_pictures,
        megabytes=round(size / 1e6, 2),
    )


def _check_place(root: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds anything, but for a synthetic session that shall be replaced."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    ours = (root / "session.toml").is_file() and any(root.glob("takes/*/truth.npz"))
    if not overwrite or not ours:
        remedy = "Choose a new folder, or replace this session with --overwrite." if ours else "Choose a new folder."
        raise InputError("is not empty", where=root, remedy=remedy)


def _clear(root: Path) -> None:
    """The place for a new session: an older synthetic one goes only now that the new one is known to be possible."""
    root.mkdir(parents=True, exist_ok=True)
    for part in ("takes", "calibration"):
        shutil.rmtree(root / part, ignore_errors=True)
    (root / "session.toml").unlink(missing_ok=True)


def _plan(config: SynthConfig, root: Path, motions_from: Path) -> _Plan:
    rig = make_rig(config.rig, np.random.default_rng([config.seed, 0]))
    unknown = sorted(set(config.faults) - set(rig.names))
    if unknown:
        raise ConfigError(f"there is no camera {unknown[0]!r}; there are {', '.join(rig.names)}", where="faults")
    clocks = []
    for number, camera in enumerate(rig):
        rng = np.random.default_rng([config.seed, 3, number])
        clocks.append(frame_clock(_faults(config, camera), fps=_rate(config, number), seconds=config.seconds, rng=rng))
    return _Plan(config, root, rig, tuple(clocks), make_actors(config, config.seconds, motions_from))


def _faults(config: SynthConfig, camera: Camera) -> CameraFaults:
    return config.faults.get(camera.name, CameraFaults())


def _rate(config: SynthConfig, number: int) -> float:
    return config.frame_rates[number % len(config.frame_rates)] if config.frame_rates else config.fps


def _film(plan: _Plan, workers: int, progress: Progress | None) -> tuple[list[Seen], int]:
    config = plan.config
    stage = set_stage(config, plan.actors, plan.rig)
    look = config.look
    video = config.video.model_copy(update={"threads": 1})  # a process a core, and the same bytes on any
    filming = Filming(look.exposure_s, look.blur_moments, look.render, video)
    takes = [
        Shot(
            path=plan.take_root / "video" / f"{camera.name}.mp4",
            camera=camera,
            moves=_faults(config, camera).moves,
            clock=clock,
            fps=_rate(config, number),
            sensor=sensor_of(config, number),
            seed=1000 * config.seed + number,
            filming=filming,
            sound=sound_at(camera, clock, plan.actors, seed=config.seed + number) if config.sound else None,
        )
        for number, (camera, clock) in enumerate(zip(plan.rig, plan.clocks, strict=True))
    ]
    waving = replace(filming, video=config.calibration.video)
    clips = calibration_shots(config, plan.rig, plan.root / "calibration", waving)
    shots = [*takes, *(shot for clip in clips for shot in clip.shots)]
    seen = film(stage, shots, workers=workers, progress=progress)
    for clip in clips:
        clip.write_truth(config)
    return seen[: len(takes)], sum(len(shot.clock.time_s) for shot in shots)


def _look(plan: _Plan) -> tuple[list[Seen], int]:
    """What cameras would see, without pictures."""
    seer = Seer(plan.actors)
    faults = [_faults(plan.config, camera).moves for camera in plan.rig]
    return [
        Seen(seer.visibility(camera, moves, clock.time_s))
        for camera, moves, clock in zip(plan.rig, faults, plan.clocks, strict=True)
    ], 0


def _truth(plan: _Plan, seen: list[Seen]) -> TakeTruth:
    config, n_frames = plan.config, round(plan.config.seconds * plan.config.fps)
    views = [
        view_of(camera, clock, _faults(config, camera).moves, plan.actors, visibility=what.visibility)
        for camera, clock, what in zip(plan.rig, plan.clocks, seen, strict=True)
    ]
    return truth_of(plan.actors, plan.rig, views, fps=config.fps, n_frames=n_frames, seed=config.seed)


def _write_take(plan: _Plan, truth: TakeTruth) -> None:
    config = plan.config
    save_truth(truth, plan.take_root / "truth.npz", joints_of(truth))
    if config.keypoints_only:
        _write_reports(plan, truth)
        return
    _write_timestamps(plan)
    if _one_clock(plan):
        _write_take_table(plan, 'clocks = "shared"')


def _write_reports(plan: _Plan, truth: TakeTruth) -> None:
    config, keypoint_set = plan.config, load_keypoint_set(plan.config.keypoint_set)
    views = [
        true_view(view, plan.actors, camera, keypoint_set, fps=_rate(config, number))
        for number, (view, camera) in enumerate(zip(truth.views, plan.rig, strict=True))
    ]
    folder = plan.take_root / "detections"
    write_reports(plan.rig, plan.clocks, views, folder, errors=preset(config.detector), seed=config.seed)
    _write_take_table(plan, f"fps = {config.fps}")


def _one_clock(plan: _Plan) -> bool:
    """Whether the stamps of all cameras are those of one clock."""
    told = all(_faults(plan.config, camera).stamps == "clock" for camera in plan.rig)
    return told and len({(clock.offset_s, clock.rate) for clock in plan.clocks}) == 1


def _write_take_table(plan: _Plan, line: str) -> None:
    (plan.take_root / "take.toml").write_text(f"[take]\n{line}\n", encoding="utf-8", newline="\n")


def _write_timestamps(plan: _Plan) -> None:
    with (plan.take_root / "timestamps.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("camera", "frame", "time_s"))
        for camera, clock in zip(plan.rig, plan.clocks, strict=True):
            writer.writerows((camera.name, frame, f"{stamp:.6f}") for frame, stamp in enumerate(clock.stamp_s))


def _write_session(plan: _Plan) -> None:
    config = plan.config
    write_rig(plan.rig, plan.root / "calibration" / "rig.toml", RigMetadata(tool="mocap synth: the true cameras"))
    write_session(
        Session(
            root=plan.root,
            cameras=tuple(SessionCamera(name) for name in plan.rig.names),
            board={} if config.keypoints_only else board_of(config.board).to_table(),
            notes=f"Synthetic: mocap synth, seed {config.seed}. The truth is in takes/{config.take}/truth.npz",
        )
    )
