"""Clips of a waved board: one camera after the other (intrinsics), all together (extrinsics), lying on the floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from calibration.boards import CharucoBoard
from calibration.camera import Rig
from mocap.io.truth_file import save_truth
from mocap.synthetic.board_carrying import carry_through
from mocap.synthetic.board_paths import lie_on_floor, wave_at_camera
from mocap.synthetic.clocks import CameraFaults, frame_clock
from mocap.synthetic.shots import BoardPath, Filming, Shot
from mocap.synthetic.stage_setting import sensor_of
from mocap.synthetic.synth_config import BoardConfig, SynthConfig
from mocap.synthetic.take_truth import joints_of, truth_of, view_of


@dataclass(frozen=True, eq=False)
class Clip:
    """One kind of calibration clip: a shot for every camera, in the order of the rig."""

    folder: Path
    rig: Rig
    shots: tuple[Shot, ...]

    def write_truth(self, config: SynthConfig) -> None:
        """`truth.npz` beside the videos, with the board's pose in every picture."""
        views = [
            view_of(
                shot.camera,
                shot.clock,
                (),
                (),
                visibility=np.zeros((len(shot.clock), 0, 0), dtype=np.int64),
                world_from_board=_poses(shot),
            )
            for shot in self.shots
        ]
        longest = max(len(shot.clock) for shot in self.shots)
        table = dict(board_of(config.board).to_table())
        truth = truth_of((), self.rig, views, fps=self.shots[0].fps, n_frames=longest, seed=config.seed)
        save_truth(replace(truth, board=table), self.folder / "truth.npz", joints_of(truth))


def board_of(config: BoardConfig) -> CharucoBoard:
    """The board of a configuration."""
    columns, rows = config.squares
    return CharucoBoard(
        columns, rows, config.square_m, config.marker_m, config.dictionary, config.legacy, config.inverted
    )


def calibration_shots(config: SynthConfig, rig: Rig, folder: Path, filming: Filming) -> list[Clip]:
    """What is to be filmed for calibration; empty kinds are left out."""
    wanted, board, fps = config.calibration, board_of(config.board), config.calibration.fps
    clips = []
    if wanted.intrinsics_s:
        paths = []
        for number, camera in enumerate(rig):
            rng = np.random.default_rng([config.seed, 8, number])
            paths.append(wave_at_camera(camera, board, seconds=wanted.intrinsics_s, fps=fps, rng=rng))
        clips.append(_clip(config, rig, folder / "intrinsics", paths, filming))
    if wanted.extrinsics_s:
        path = carry_through(
            rig, board, seconds=wanted.extrinsics_s, fps=fps, rng=np.random.default_rng([config.seed, 9])
        )
        clips.append(_clip(config, rig, folder / "extrinsics", [path] * len(rig), filming))
    if wanted.floor_s:
        path = np.repeat(lie_on_floor(board)[None], max(1, round(wanted.floor_s * fps)), axis=0)
        clips.append(_clip(config, rig, folder / "floor", [path] * len(rig), filming))
    return clips


def _clip(
    config: SynthConfig, rig: Rig, folder: Path, paths: Sequence[Float[np.ndarray, "T 4 4"]], filming: Filming
) -> Clip:
    board, fps = board_of(config.board), config.calibration.fps
    shots = []
    for number, (camera, path) in enumerate(zip(rig, paths, strict=True)):
        clock = frame_clock(CameraFaults(), fps=fps, seconds=len(path) / fps, rng=np.random.default_rng(0))
        shots.append(
            Shot(
                path=folder / f"{camera.name}.mp4",
                camera=camera,
                clock=clock,
                fps=fps,
                sensor=sensor_of(config, number),
                seed=1000 * config.seed + 100 * (1 + len(folder.name)) + number,
                filming=filming,
                board=BoardPath(board, path, fps, config.board.sheet),
                with_actors=False,
            )
        )
    return Clip(folder, rig, tuple(shots))


def _poses(shot: Shot) -> Float[np.ndarray, "F 4 4"]:
    assert shot.board is not None
    return shot.board.at(shot.clock.time_s)
