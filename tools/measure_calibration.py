"""How exact cameras are after a bundle adjustment, whether their deviations are honest, and how fast it is.

    python tools/measure_calibration.py synthetic      known rigs: errors by their predicted deviations, over seeds
    python tools/measure_calibration.py real           the shared recordings: residuals, distances, held-out moments
    python tools/measure_calibration.py solvers        the same problem by scipy

Errors are compared in the gauge of the covariance: the rig's own turn and shift are taken out of them first. NEES is
e^T C^-1 e by its length, 1 in the mean for honest deviations; its own deviation over n numbers is sqrt(2 / n).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.sparse import csr_matrix

from calibration.board_file import read_board
from calibration.board_motion import BoardMotion, rotvecs_to_matrices
from calibration.boards import CharucoBoard
from calibration.bundle_adjustment import BundleConfig, BundleResult, bundle_adjust
from calibration.bundle_held_out import follow_board, synchronised
from calibration.bundle_parameters import choose_parameters
from calibration.bundle_problem import Problem, placed_views
from calibration.bundle_solver import descend
from calibration.bundle_start import Work, settled
from calibration.bundle_state import State
from calibration.bundle_views import predict
from calibration.camera import Camera, Intrinsics, Rig
from calibration.extrinsics import initial_rig
from calibration.formats import read_calibration
from calibration.formats.point_data import read_point_data
from calibration.intrinsics import calibrate_intrinsics
from calibration.lenses import Lens
from calibration.observations import BoardObservations
from calibration.observations_file import read_observations, write_observations
from calibration.quality_board import neighbour_pairs
from calibration.synthetic import Seeing, observe_board, ring, waved_board
from calibration.transforms import RigidTransform
from calibration.triangulation import triangulate_dlt
from mocap.calibrate.detect_boards import detect_in_clips
from mocap.io.frame_times import read_frame_times

BOARD = CharucoBoard(5, 7, 0.1, 0.075)
PINHOLE = Intrinsics(
    (1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.array([-0.1, 0.05, 1e-3, 0, 0])
)
FISHEYE = Intrinsics((1440, 1080), np.array([[520.0, 0, 702], [0, 515, 560], [0, 0, 1]]), np.zeros(4), Lens.FISHEYE)
WAVED = Seeing(noise_px=0.3, two_sided=True)
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "caliscope"


@dataclass(frozen=True)
class Scene:
    """A synthetic recording. wrong_focal: factor of the start's focal lengths; delays_s, line_s: of all cameras."""

    name: str
    cameras: int = 5
    lenses: tuple[Intrinsics, ...] = (PINHOLE,)
    moments: int = 100
    seeing: Seeing = WAVED
    wrong_focal: float = 1.0
    delays_s: float = 0.0


SCENES = (
    Scene("4 cameras", cameras=4),
    Scene("8 cameras", cameras=8),
    Scene("fisheye", lenses=(FISHEYE,)),
    Scene("mixed lenses", lenses=(PINHOLE, FISHEYE)),
    Scene("5 % outliers", seeing=Seeing(noise_px=0.3, outlier_share=0.05, two_sided=True)),
    Scene("focal 3 % wrong", wrong_focal=1.03),
    Scene("one-sided board", seeing=Seeing(noise_px=0.3)),
    Scene("times 15 ms apart", seeing=Seeing(noise_px=0.3, time_jitter_s=0.015, two_sided=True)),
    Scene("clocks 40 ms apart", seeing=Seeing(noise_px=0.3, time_jitter_s=0.005, two_sided=True), delays_s=0.04),
)


def recorded(scene: Scene, seed: int) -> tuple[Rig, BoardMotion, BoardObservations, np.ndarray]:
    """The true rig and motion, what was seen, and by how much each camera's reported times are early."""
    rng = np.random.default_rng(seed)
    rig = ring(scene.cameras, scene.lenses)
    motion = waved_board(BOARD.corners, n_moments=scene.moments, fps=10, rng=rng)
    seen = observe_board(rig, motion, BOARD.corners, scene.seeing, rng)
    delay = rng.uniform(-1, 1, len(rig)) * scene.delays_s
    return rig, motion, replace(seen, view_time_s=seen.view_time_s - delay[seen.view_camera]), delay


def disturbed(rig: Rig, motion: BoardMotion, rng: np.random.Generator, focal: float = 1.0) -> tuple[Rig, BoardMotion]:
    """A start: cameras and boards off by some 2 cm and 0.6 degrees, focal lengths by a factor."""
    cameras = []
    for camera in rig:
        K = camera.intrinsics.K.copy()
        K[[0, 1], [0, 1]] *= focal
        off = RigidTransform.from_rotvec(rng.normal(0, 0.01, 3), rng.normal(0, 0.02, 3))
        cameras.append(Camera(camera.name, replace(camera.intrinsics, K=K), off @ camera.cam_from_world))
    count = len(motion)
    R = rotvecs_to_matrices(rng.normal(0, 0.01, (count, 3))) @ motion.R
    still = np.zeros((count, 3))
    return Rig(tuple(cameras)), BoardMotion(
        motion.moment, motion.time_s, R, motion.t + rng.normal(0, 0.02, (count, 3)), still, still
    )


def pose_errors(found: Rig, truth: Rig, distance_m: float) -> np.ndarray:
    """(C, 6): turns (camera axes, rad) and shifts of centres (m), without the common part that is the gauge."""
    errors, gauge = [], []
    middle = found.centers.mean(axis=0)
    for one, other in zip(found, truth, strict=True):
        turn = RigidTransform(one.cam_from_world.R @ other.cam_from_world.R.T, np.zeros(3)).rotvec
        errors.append(np.concatenate([turn, one.center - other.center]))
        arm = one.center - middle
        cross = np.array([[0, -arm[2], arm[1]], [arm[2], 0, -arm[0]], [-arm[1], arm[0], 0]])
        gauge.append(np.block([[-one.cam_from_world.R, np.zeros((3, 3))], [-cross, np.eye(3)]]))
    weight = np.tile(np.repeat([distance_m, 1.0], 3), len(errors))
    stacked, directions = np.concatenate(errors) * weight, np.concatenate(gauge) * weight[:, None]
    rest = stacked - directions @ np.linalg.lstsq(directions, stacked, rcond=None)[0]
    return (rest / weight).reshape(-1, 6)


def viewing_distance_m(result: BundleResult) -> float:
    """As the adjustment's gauge has it."""
    middle = BOARD.corners.mean(axis=0)
    places = np.median(result.motion.t + result.motion.R @ middle, axis=0)
    return float(np.median(np.linalg.norm(result.rig.centers - places, axis=1)))


def nees(error: np.ndarray, covariance: np.ndarray) -> float:
    """Normalised error squared by its length."""
    return float(error @ np.linalg.solve(covariance, error)) / len(error)


def synthetic(scenes: Sequence[Scene], seeds: int) -> None:
    """One line a scene."""
    print("scene                 pose NEES  focal NEES  position mm  rotation mrad  focal px  noise px  steps     s")
    for scene in scenes:
        rows = [_measured(scene, seed) for seed in range(seeds)]
        mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        print(
            f"{scene.name:20s}  {mean['pose']:9.2f}  {mean['focal']:10.2f}  {mean['mm']:11.3f}  {mean['mrad']:13.3f}  "
            f"{mean['px']:8.3f}  {mean['noise']:8.3f}  {mean['steps']:5.1f}  {mean['seconds']:5.2f}",
            flush=True,
        )


def _measured(scene: Scene, seed: int) -> dict[str, float]:
    rig, motion, seen, _ = recorded(scene, seed)
    start = disturbed(rig, motion, np.random.default_rng(1000 + seed), scene.wrong_focal)
    result = bundle_adjust(*start, seen)
    errors = pose_errors(result.rig, rig, viewing_distance_m(result))
    focal = [np.diag(result.rig[n].intrinsics.K)[:2] - np.diag(rig[n].intrinsics.K)[:2] for n in rig.names]
    names = rig.names
    return {
        "pose": float(np.mean([nees(e, result.covariance_of(n)) for n, e in zip(names, errors, strict=True)])),
        "focal": float(
            np.mean([nees(e, result.covariance_of(n, ("fx", "fy"))) for n, e in zip(names, focal, strict=True)])
        ),
        "mm": 1e3 * float(np.sqrt((errors[:, 3:] ** 2).sum(axis=1).mean())),
        "mrad": 1e3 * float(np.sqrt((errors[:, :3] ** 2).sum(axis=1).mean())),
        "px": float(np.sqrt(np.mean(np.square(focal)))),
        "noise": result.noise_px,
        "steps": float(result.iterations),
        "seconds": result.seconds,
    }


@dataclass(frozen=True)
class Recording:
    """Where a recording lies under the shared data, its clips (or observations), times and stored cameras."""

    name: str
    folder: str
    clips: str
    times: str | None
    stored: str


RECORDINGS = (
    Recording(
        "charuco_calibration",
        "sessions/charuco_calibration",
        "calibration/extrinsic/*.mp4",
        "calibration/extrinsic/timestamps.csv",
        "camera_array.toml",
    ),
    Recording("9af418c9", "history/9af418c9_post_optimization_3cam", "port_*.mp4", None, "config.toml"),
    Recording("8d1cb291", "history/8d1cb291_low_res_numeric", "", "frame_time_history.csv", "config.toml"),
)


def real(corners: Path | None) -> None:
    """Every recording from its own corners alone, and from the stored lenses."""
    for recording in RECORDINGS:
        folder = SHARED / recording.folder
        if not folder.is_dir():
            print(f"{recording.name}: no shared data here")
            continue
        seen = observed(recording, corners)
        stored = read_calibration(folder / recording.stored)
        stored = renamed(stored, seen.cameras)
        count = len(np.unique(seen.view_moment))
        print(f"\n{recording.name}: {seen.n_views} views, {seen.n_corners} corners, {count} moments")
        own = {name: result.intrinsics for name, result in calibrate_intrinsics(seen).items()}
        report(seen, own, stored, "lenses from the clips")
        report(seen, {c.name: c.intrinsics for c in stored}, stored, "start from stored lenses")
        report(seen, {c.name: c.intrinsics for c in stored}, stored, "one pose a moment, stored lenses", RIGID_MOMENTS)


RIGID_MOMENTS = BundleConfig(continuous=False, refine_intrinsics=False)


def observed(recording: Recording, corners: Path | None) -> BoardObservations:
    """From the clips, or from a file of corners that an earlier run left in the folder `corners`."""
    folder = SHARED / recording.folder
    if not recording.clips:
        return read_point_data(folder / "point_data.csv", folder / str(recording.times))
    kept = None if corners is None else corners / f"{recording.name}.npz"
    if kept is not None and kept.exists():
        return read_observations(kept)
    clips = {path.stem: path for path in sorted(folder.glob(recording.clips))}
    times = None if recording.times is None else read_frame_times(folder / recording.times)
    seen, _ = detect_in_clips(clips, read_board(SHARED / "sessions/charuco_calibration/charuco.toml"), times=times)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_observations(kept, seen)
    return seen


def renamed(stored: Rig, names: Sequence[str]) -> Rig:
    """The stored cameras under the names of clips with the same number."""
    by_number = {camera.name.split("_")[-1]: camera for camera in stored}
    return Rig(tuple(replace(by_number[name.split("_")[-1]], name=name) for name in names))


def report(
    seen: BoardObservations,
    lenses: Mapping[str, Intrinsics],
    stored: Rig,
    title: str,
    config: BundleConfig | None = None,
) -> None:
    """What became of one start."""
    config = config or BundleConfig()
    began = time.perf_counter()
    rig, motion, _ = initial_rig(seen, lenses)
    start_s = time.perf_counter() - began
    results = [bundle_adjust(rig, motion, seen, config) for _ in range(3)]
    result = results[-1]
    length = np.linalg.norm(result.residual_px, axis=1)
    share, all_px = 100 * result.inlier_share, np.sqrt(np.nanmean(length**2))
    print(f"  {title}")
    print(
        f"    RMS {result.rms_px:.3f} px over {share:.1f} %, of all {all_px:.3f},"
        f" median {np.nanmedian(length):.3f}, noise {result.noise_px:.3f}; {result.iterations} steps,"
        f" start {start_s:.2f} s, adjustment {min(r.seconds for r in results):.2f} s"
    )
    print("    offsets ms", {n: round(1e3 * v, 1) for n, v in result.time_offset_s.items()}, end="")
    print(", lines us", {n: round(1e6 * v, 1) for n, v in result.line_time_s.items()})
    change = 100 * (distances(result.rig) / distances(stored) - 1)
    print("    camera distances by stored, %:", np.round(change, 2))
    print("    held out:", held_out(seen, rig, motion, config))


def distances(rig: Rig) -> np.ndarray:
    """Between all pairs of cameras, m."""
    first, second = np.triu_indices(len(rig), 1)
    return np.linalg.norm(rig.centers[first] - rig.centers[second], axis=1)


def held_out(seen: BoardObservations, rig: Rig, motion: BoardMotion, config: BundleConfig) -> str:
    """Neighbour-corner distances by four-fold cross validation over runs of three moments: corners triangulated as
    they were seen, and as they would have been seen at one time."""
    plain, together, rms = [], [], []
    moments = np.unique(seen.view_moment)
    for part in range(4):
        held = np.isin(seen.view_moment, moments[np.arange(len(moments)) // 3 % 4 == part])
        result = bundle_adjust(rig, motion, seen.of_views(~held), config)
        test = seen.of_views(held)
        there = follow_board(motion, test, result)
        rms.append(there.rms_px)
        plain.append(neighbour_errors_mm(result.rig, test))
        together.append(neighbour_errors_mm(result.rig, synchronised(test, there)))
    rows = (("as seen", np.concatenate(plain)), ("at one time", np.concatenate(together)))
    return f"RMS {np.mean(rms):.3f} px; neighbours " + "; ".join(
        f"{name} {e.mean():+.3f} +- {e.std():.3f} mm (n = {len(e)})" for name, e in rows
    )


def neighbour_errors_mm(rig: Rig, seen: BoardObservations) -> np.ndarray:
    """Distances of triangulated corners next to each other, less the printed ones."""
    moments, row = np.unique(seen.view_moment, return_inverse=True)
    px = np.full((len(moments), len(seen.points), len(rig), 2), np.nan)
    order = [rig.names.index(name) for name in seen.cameras]
    px[row[seen.view], seen.corner, np.array(order)[seen.camera]] = seen.xy
    found = triangulate_dlt(rig, px)
    pairs = neighbour_pairs(seen.points)
    apart = np.linalg.norm(found[:, pairs.pairs[:, 0]] - found[:, pairs.pairs[:, 1]], axis=-1)
    errors = 1e3 * (apart - pairs.length_m)
    return errors[np.isfinite(errors)]


def solvers(moments: int) -> None:
    """Plain least squares over 8 cameras, their lenses and a board at rest in each moment, from the same start."""
    scene = replace(SCENES[1], moments=moments)
    rig, motion, seen, _ = recorded(scene, 0)
    start = disturbed(rig, motion, np.random.default_rng(1000))
    config = settled(BundleConfig(continuous=False, back_offset=False), False)
    parameters = choose_parameters(rig, seen, config, priors={})
    back = np.zeros(seen.n_views, dtype=bool)
    problem, state = Work(start[0], start[1], seen, config, parameters, back, False).start()
    problem = problem.counting(replace(problem.kernel, noise_px=0.3))
    print(f"8 cameras, {moments} moments, {seen.n_views} views, {seen.n_corners} corners, {len(parameters)} numbers")
    began, cpu = time.perf_counter(), time.process_time()
    found = descend(problem, state, max_iterations=50)
    own = time.perf_counter() - began, time.process_time() - cpu
    print(f"own LM: cost {found.at.cost:.2f}, {found.iterations} steps, {own[0]:.2f} s, {own[1]:.2f} s of CPU")
    began, cpu = time.perf_counter(), time.process_time()
    cost, count = scipy_cost(problem, state)
    its = time.perf_counter() - began, time.process_time() - cpu
    print(f"scipy TRF (sparse, same Jacobian): cost {cost:.2f}, {count} steps, {its[0]:.2f} s, {its[1]:.2f} s of CPU")


def scipy_cost(problem: Problem, state: State, most: int = 30) -> tuple[float, int]:
    """Cost where `scipy.optimize.least_squares` ends with the same residuals and derivatives, and its evaluations."""
    wide, count = len(problem.parameters), len(state.knots)

    def rows(x: np.ndarray) -> tuple[np.ndarray, csr_matrix]:
        at = state.stepped(problem.parameters, x[:wide], x[wide:].reshape(count, 6), [None] * len(state.cameras))
        values, blocks, line = [], [], 0
        for it, camera, columns in zip(problem.views, at.cameras, problem.parameters.columns, strict=True):
            placed = placed_views(problem, it, camera, at.knots)
            seen = predict(it, camera, placed, with_lens=True, rolling=False)
            free = np.flatnonzero(columns >= 0)
            chosen = np.concatenate([free, np.arange(len(columns), len(columns) + 6)])
            flat = seen.jacobian.reshape(*seen.jacobian.shape[:2], -1)
            slopes = np.swapaxes(flat, 1, 2) @ seen.maps[:, :, chosen]
            own = np.broadcast_to(columns[free], (len(it.views), len(free)))
            knots = wide + 6 * it.row[:, None] + np.arange(6)
            place = np.broadcast_to(np.concatenate([own, knots], axis=1)[:, None], slopes.shape)
            keep = np.concatenate([seen.valid, seen.valid], axis=1)
            number = np.cumsum(keep.reshape(-1)).reshape(keep.shape) - 1 + line
            row = np.broadcast_to(number[:, :, None], slopes.shape)
            blocks.append((slopes[keep].reshape(-1), row[keep].reshape(-1), place[keep].reshape(-1)))
            values.append(seen.residual.reshape(keep.shape)[keep])
            line += int(keep.sum())
        data, row, column = (np.concatenate(part) for part in zip(*blocks, strict=True))
        noise = problem.kernel.noise_px
        return np.concatenate(values) / noise, csr_matrix((-data / noise, (row, column)), (line, len(x)))

    x0 = np.zeros(wide + 6 * count)
    found = least_squares(lambda x: rows(x)[0], x0, lambda x: rows(x)[1], x_scale="jac", max_nfev=most)  # pyright: ignore[reportArgumentType]
    return 2 * float(found.cost), int(found.nfev)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("synthetic", "real", "solvers"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--scenes", default="", help="only those whose names contain this")
    parser.add_argument("--corners", type=Path, help="folder that keeps corners found in clips between runs")
    arguments = parser.parse_args()
    if arguments.what == "synthetic":
        synthetic([scene for scene in SCENES if arguments.scenes in scene.name], arguments.seeds)
    elif arguments.what == "real":
        real(arguments.corners)
    else:
        solvers(300)


if __name__ == "__main__":
    main()
