"""The same corners of a board, solved by this project, by aniposelib and by caliscope: time, residuals, scale.

    python tools/benchmark.py calibration                        the clips of ../shared/data, and 8 cameras x 300 frames
    python tools/benchmark.py calibration --observations FILE    corners that `calibration.observations_file` has stored

The others run in .venv-peers (`python tools/bootstrap.py peers`), called as their users call them. Times are the best
of some repeats inside a process that has loaded and compiled everything: wall seconds, and CPU seconds, which other
work on the machine disturbs less. Every solved rig is judged by the same figures:

- rigid: RMS distance of all corners to one board pose a moment, fitted to them by plain least squares.
- moving: the same with a board that moves between pictures of one moment, over the best 95 % of all corners.
- neighbours: distance of corners next to each other, each triangulated by itself, at every second moment, from cameras
  solved on the others; as they are, and moved to one time by the board's velocity between those others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from calibration.board_motion import BoardMotion, rotvecs_to_matrices
from calibration.boards import CharucoBoard
from calibration.bundle_adjustment import BundleConfig, bundle_adjust
from calibration.camera import Intrinsics, Rig
from calibration.errors import CalibrationError
from calibration.extrinsics import initial_rig
from calibration.extrinsics_boards import place_boards
from calibration.extrinsics_views import PosedViews
from calibration.formats import read_calibration, write_calibration
from calibration.intrinsics import calibrate_intrinsics
from calibration.observations import BoardObservations
from calibration.observations_file import read_observations, write_observations
from calibration.quality_board import board_scale, neighbour_pairs
from calibration.rig_file import write_rig
from calibration.synthetic import Seeing, observe_board, ring, waved_board
from calibration.transforms import RigidTransform
from calibration.triangulation import triangulate_dlt

ROOT = Path(__file__).resolve().parents[1]
SHARE = 0.95
FIT_STEPS = 25
SESSION = ROOT.parent / "shared" / "data" / "caliscope" / "sessions" / "charuco_calibration"
PEERS = tuple(ROOT / ".venv-peers" / place for place in ("bin/python", "Scripts/python.exe"))


@dataclass(frozen=True)
class Problem:
    """Corners to solve; lenses where they are known (else each tool finds them); the true rig where there is one."""

    name: str
    observations: BoardObservations
    lenses: Mapping[str, Intrinsics] | None = None
    truth: Rig | None = None


@dataclass(frozen=True)
class Solved:
    """Cameras, named and ordered as in the observations; seconds of the lenses (0 where given) and of the rest."""

    rig: Rig
    wall_s: float
    cpu_s: float
    lens_wall_s: float
    lens_cpu_s: float


@dataclass(frozen=True)
class Figures:
    """What is printed of one tool; lengths in mm, residuals in px. NaN where it does not apply."""

    wall_s: float
    cpu_s: float
    lens_wall_s: float
    lens_cpu_s: float
    rigid_rms_px: float
    moving_rms_px: float
    moving_median_px: float
    neighbours_mm: float
    neighbours_std_mm: float
    at_once_mm: float
    at_once_std_mm: float
    camera_error_mm: float


def main(arguments: Sequence[str]) -> None:
    """Solve, judge, print a table for every problem."""
    parser = argparse.ArgumentParser(
        prog="benchmark.py calibration", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--observations", type=Path, help="stored corners instead of the clips and the synthetic rig")
    parser.add_argument("--lenses", type=Path, help="with --observations: a calibration file with the cameras' lenses")
    parser.add_argument("--repeat", type=int, default=3, help="runs of every solve; the fastest is printed")
    parser.add_argument("--only", choices=tuple(TOOLS), action="append", help="these tools only")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args(arguments)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for problem in problems(options.observations, options.lenses):
        seen = problem.observations
        moments = len(np.unique(seen.view_moment))
        print(f"\n{problem.name}: {len(seen.cameras)} cameras, {moments} moments, {seen.n_corners} corners")
        found[problem.name] = {}
        for tool in options.only or tuple(TOOLS):
            try:
                figures = judged(tool, problem, options.repeat)
            except CalibrationError as error:
                print(f"  {tool:<12}went astray: {error}", flush=True)
                continue
            show(tool, figures)
            sys.stdout.flush()  # the others take minutes
            found[problem.name][tool] = asdict(figures)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


def problems(stored: Path | None, lenses_of: Path | None) -> list[Problem]:
    """The real clips with lenses to be found and with those of the session, and a synthetic rig with truth."""
    if stored is not None:
        seen = read_observations(stored)
        return [Problem(stored.stem, seen, None if lenses_of is None else stored_lenses(lenses_of, seen))]
    found = []
    if SESSION.is_dir():
        seen = seen_in_clips(SESSION)
        lenses = stored_lenses(SESSION / "camera_array.toml", seen)
        found = [Problem("charuco_calibration", seen), Problem("charuco_calibration, lenses given", seen, lenses)]
    else:
        print(f"{SESSION} is not here: synthetic corners only")
    return [*found, synthetic()]


def stored_lenses(path: Path, seen: BoardObservations) -> dict[str, Intrinsics]:
    """The lenses that a calibration file has of the cameras."""
    known = read_calibration(path)
    return {name: known[name].intrinsics for name in seen.cameras}


def seen_in_clips(session: Path) -> BoardObservations:
    """The corners of a caliscope session, at the times of its pictures."""
    from calibration.board_file import read_board
    from mocap.calibrate.detect_boards import detect_in_clips
    from mocap.io.frame_times import read_frame_times

    clips = sorted((session / "calibration" / "extrinsic").glob("cam_*.mp4"))
    times = read_frame_times(session / "calibration" / "extrinsic" / "timestamps.csv")
    board = read_board(session / "charuco.toml")
    return detect_in_clips({path.stem: path for path in clips}, board, times=times)[0]


def synthetic(cameras: int = 8, moments: int = 300) -> Problem:
    """A ring of equal cameras around a board that a hand waves; pictures of one moment are taken at once, which is
    what the others assume. 0.3 px of noise, no outliers. The lenses are given, since aniposelib's own start (focal
    lengths from homographies) leads it astray here."""
    rng = np.random.default_rng(0)
    board = CharucoBoard(7, 5, 0.08, 0.06)
    K = np.array([[1100.0, 0, 655.0], [0, 1095.0, 350.0], [0, 0, 1]])
    lens = Intrinsics((1280, 720), K, np.array([-0.12, 0.05, 0.0006, -0.0004, 0.0]))
    rig = ring(cameras, lens)
    rig = Rig(tuple(replace(camera, name=f"cam_{i}") for i, camera in enumerate(rig)))
    motion = waved_board(board.corners, n_moments=moments, fps=10, rng=rng)
    seen = observe_board(rig, motion, board.corners, Seeing(two_sided=True), rng)
    lenses = {camera.name: camera.intrinsics for camera in rig}
    return Problem(f"synthetic, {cameras} cameras x {moments} frames", seen, lenses, rig)


def with_ours(problem: Problem, repeat: int) -> Solved:
    """Lenses, start and bundle adjustment, as `mocap calibrate` runs them."""
    seen, given = problem.observations, problem.lenses
    runs = []
    for _ in range(repeat):
        times = [_now()]
        found = calibrate_intrinsics(seen, known=given)
        priors = {name: lens.prior() for name, lens in found.items()} if given else {}
        times.append(_now())
        rig, motion, _ = initial_rig(seen, {name: lens.intrinsics for name, lens in found.items()})
        rig = bundle_adjust(rig, motion, seen, priors=priors).rig
        times.append(_now())
        runs.append((rig, times[1] - times[0], times[2] - times[1]))
    lens, rest = (np.min([run[part] for run in runs], axis=0) for part in (1, 2))
    return Solved(runs[-1][0].subset(seen.cameras), rest[0], rest[1], lens[0], lens[1])


def _now() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def with_aniposelib(problem: Problem, repeat: int) -> Solved:
    """`calibrate_rows` with its defaults; lenses and poses are one solve there."""
    return _by_peer("aniposelib", problem, repeat, write_rig)


def with_caliscope(problem: Problem, repeat: int) -> Solved:
    """`calibrate_intrinsics` and `calibrate_extrinsics` of its scripting interface."""
    return _by_peer("caliscope", problem, repeat, lambda rig, path: write_calibration(rig, path, "caliscope"))


TOOLS = {"ours": with_ours, "aniposelib": with_aniposelib, "caliscope": with_caliscope}


def peers_python() -> Path:
    """The Python of .venv-peers."""
    python = next((path for path in PEERS if path.is_file()), None)
    if python is None:
        sys.exit("no other calibration tools here: `python tools/bootstrap.py peers` makes .venv-peers")
    return python


def _by_peer(tool: str, problem: Problem, repeat: int, write_lenses: Callable[[Rig, Path], None]) -> Solved:
    names = problem.observations.cameras
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_observations(folder / "seen.npz", problem.observations)
        script = ROOT / "tools" / "peers" / f"solve_with_{tool}.py"
        command = [str(peers_python()), str(script), str(folder / "seen.npz"), str(folder / "solved.toml")]
        command += ["--repeat", str(repeat)]
        if problem.lenses is not None:
            write_lenses(_unposed(names, problem.lenses), folder / "lenses.toml")
            command += ["--lenses", str(folder / "lenses.toml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
        rig = read_calibration(folder / "solved.toml", unit="m")  # said, so that a rig gone astray is read too
    seconds = {key: min(values) for key, values in json.loads(done.stdout.splitlines()[-1]).items()}
    rig = Rig(tuple(replace(camera, name=name) for camera, name in zip(rig, names, strict=True)))
    return Solved(rig, **{"lens_wall_s": 0.0, "lens_cpu_s": 0.0, **seconds})


def _unposed(names: Sequence[str], lenses: Mapping[str, Intrinsics]) -> Rig:
    """Lenses in the formats that want poses too; they are numbered, as caliscope's cameras are."""
    from calibration.camera import Camera

    still = RigidTransform(np.eye(3), np.zeros(3))
    return Rig(tuple(Camera(f"cam_{i}", lenses[name], still) for i, name in enumerate(names)))


def judged(tool: str, problem: Problem, repeat: int) -> Figures:
    """Solve everything for time and residuals, and every second moment for the distances at the others."""
    seen = problem.observations
    moments = np.unique(seen.view_moment)
    solved = TOOLS[tool](problem, repeat)
    kept = np.isin(seen.view_moment, moments[::2])
    half = replace(problem, observations=seen.of_views(kept))
    rig = TOOLS[tool](half, 1).rig
    moving = board_in(solved.rig, seen)
    rms, median = moving_rms(solved.rig, seen, moving)
    plain = neighbour_distances(rig, seen.of_views(~kept))
    at_once = distances_at_once(rig, half.observations, seen.of_views(~kept))
    return Figures(
        **{key: value for key, value in vars(solved).items() if key != "rig"},
        rigid_rms_px=rigid_rms(solved.rig, seen, moving),
        moving_rms_px=rms,
        moving_median_px=median,
        neighbours_mm=1e3 * float(plain.mean()),
        neighbours_std_mm=1e3 * float(plain.std()),
        at_once_mm=at_once[0],
        at_once_std_mm=at_once[1],
        camera_error_mm=np.nan if problem.truth is None else 1e3 * camera_error(solved.rig, problem.truth),
    )


def board_in(rig: Rig, seen: BoardObservations) -> BoardMotion:
    """Where the board was at every moment at which some view tells, for cameras as they are."""
    return place_boards(PosedViews.of(seen, {camera.name: camera.intrinsics for camera in rig}), rig)


def _residuals(rig: Rig, seen: BoardObservations, at: np.ndarray, R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Projected minus seen (n, 2) of some corners, with the board at one place or at one each; NaN where not imaged."""
    found = np.full((len(at), 2), np.nan)
    world = (R @ seen.points[seen.corner[at], :, None])[..., 0] + t
    for index, camera in enumerate(rig):
        mine = seen.camera[at] == index
        found[mine] = camera.project(world[mine]) - seen.xy[at[mine]]
    return found


def rigid_rms(rig: Rig, seen: BoardObservations, start: BoardMotion) -> float:
    """RMS distance (px) of all corners, with one board pose a moment and the cameras as they are: Levenberg–Marquardt
    on every moment by itself, numerical derivatives."""
    at = np.flatnonzero(start.has(seen.view_moment[seen.view]))
    row = np.searchsorted(start.moment, seen.view_moment[seen.view[at]])

    def residuals(R: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.nan_to_num(_residuals(rig, seen, at, R[row], t[row]), nan=50.0)

    def costs(found: np.ndarray) -> np.ndarray:
        return np.bincount(row, (found**2).sum(axis=-1), minlength=len(start))

    R, t, damping = start.R, start.t, np.full(len(start), 1e-3)
    found = residuals(R, t)
    for _ in range(FIT_STEPS):
        step = _steps(residuals, R, t, found, row, damping)
        tried = rotvecs_to_matrices(step[:, :3]) @ R, t + step[:, 3:]
        new = residuals(*tried)
        better = costs(new) < costs(found)
        R, t = np.where(better[:, None, None], tried[0], R), np.where(better[:, None], tried[1], t)
        found, damping = np.where(better[row, None], new, found), damping * np.where(better, 0.3, 10.0)
    return float(np.sqrt((found**2).sum(axis=-1).mean()))


def _steps(
    residuals: Callable[[np.ndarray, np.ndarray], np.ndarray],
    R: np.ndarray,
    t: np.ndarray,
    found: np.ndarray,
    row: np.ndarray,
    damping: np.ndarray,
) -> np.ndarray:
    """Small turn (rad, world axes) and shift (m) of the board at every moment, (M, 6)."""
    small = 1e-6 * np.eye(6)
    moved = [residuals(rotvecs_to_matrices(d[:3]) @ R, t + d[3:]) for d in small]
    jacobian = (np.stack(moved, axis=-1) - found[..., None]) / 1e-6
    normal, right = np.zeros((len(t), 6, 6)), np.zeros((len(t), 6))
    np.add.at(normal, row, np.einsum("nki,nkj->nij", jacobian, jacobian))
    np.add.at(right, row, np.einsum("nki,nk->ni", jacobian, found))
    normal += damping[:, None, None] * np.eye(6) * np.einsum("mii->mi", normal)[:, None] + 1e-9 * np.eye(6)
    return -np.linalg.solve(normal, right[..., None])[..., 0]


def moving_rms(rig: Rig, seen: BoardObservations, start: BoardMotion) -> tuple[float, float]:
    """RMS distance (px) of the best 95 % of all corners, and the median, with a board that moves between pictures."""
    result = bundle_adjust(rig, start, seen, BundleConfig(cameras_fixed=True, refine_intrinsics=False))
    distance = np.sort(np.nan_to_num(np.linalg.norm(result.residual_px, axis=-1), nan=np.inf))
    return float(np.sqrt((distance[: round(SHARE * len(distance))] ** 2).mean())), float(np.median(distance))


def neighbour_distances(rig: Rig, seen: BoardObservations) -> np.ndarray:
    """Distances (m) of neighbouring corners, triangulated from all cameras that saw them at a moment, none left out."""
    moments, row = np.unique(seen.view_moment, return_inverse=True)
    px = np.full((len(moments), len(seen.points), len(rig), 2), np.nan)
    px[row[seen.view], seen.corner, seen.camera] = seen.xy
    corners = triangulate_dlt(rig, px)
    pairs = neighbour_pairs(seen.points).pairs
    found = np.linalg.norm(corners[:, pairs[:, 0]] - corners[:, pairs[:, 1]], axis=-1)
    return found[np.isfinite(found)]


def distances_at_once(rig: Rig, solved_on: BoardObservations, seen: BoardObservations) -> tuple[float, float]:
    """Mean and deviation (mm) of the same distances with pixels moved to one time, outliers left out."""
    motion = bundle_adjust(
        rig, board_in(rig, solved_on), solved_on, BundleConfig(cameras_fixed=True, refine_intrinsics=False)
    ).motion
    scale = board_scale(seen, rig, motion, held_out=True, noise_px=0.5)
    return (np.nan, np.nan) if scale is None else (scale.mean_mm, scale.std_mm)


def camera_error(rig: Rig, truth: Rig) -> float:
    """RMS distance (m) of the cameras' centres after the rigid motion that fits them best (Kabsch 1976)."""
    found, true = rig.centers - rig.centers.mean(axis=0), truth.centers - truth.centers.mean(axis=0)
    U, _, Vt = np.linalg.svd(found.T @ true)
    R = Vt.T @ np.diag([1, 1, np.sign(np.linalg.det(Vt.T @ U.T))]) @ U.T
    return float(np.sqrt(((found @ R.T - true) ** 2).sum(axis=-1).mean()))


def show(tool: str, it: Figures) -> None:
    """Some lines about one tool."""
    lens = f" + lenses {it.lens_wall_s:.2f} s ({it.lens_cpu_s:.2f} s CPU)" if it.lens_wall_s > 1e-3 else ""
    print(f"  {tool:<12}{it.wall_s:.2f} s ({it.cpu_s:.2f} s CPU){lens}")
    print(
        f"{'':14}all corners: rigid {it.rigid_rms_px:.2f} px, moving {it.moving_rms_px:.2f} px (best {SHARE:.0%}), "
        f"median {it.moving_median_px:.2f} px"
    )
    print(
        f"{'':14}held out: neighbours {it.neighbours_mm:.2f} ± {it.neighbours_std_mm:.2f} mm, moved to one time "
        f"{it.at_once_mm:.2f} ± {it.at_once_std_mm:.2f} mm"
    )
    if np.isfinite(it.camera_error_mm):
        print(f"{'':14}cameras off by {it.camera_error_mm:.2f} mm")
