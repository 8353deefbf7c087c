"""How well points in space are found from noisy keypoints with outliers, and how fast such samples are made.

    python tools/measure_triangulation.py               4 cameras, 1 px noise, 3 % outliers
    python tools/measure_triangulation.py --sweep       noise from 0.5 to 5 px, outliers from 0 to 20 %
    python tools/measure_triangulation.py --json

People in random poses (`mocap.synthetic.samples`) stand among cameras of 1280x720 (--mixed: of all sizes from 640x480
to 4K and all focal lengths); reports are exact pixels plus Gaussian noise per axis, outliers lie 5 to 50 % of the
person's size away. MPJPE is the mean distance over the points that a method returns; "lost" is the share of those seen
by two cameras that it does not return. "known outliers" is least squares over the views that are none: nobody can do
better who does not know more. The stage takes noise to be equal in mm over the cameras, "robust in px" in pixels.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from calibration.camera import Rig
from calibration.triangulation import triangulate_dlt
from mocap.core.keypoints import Keypoints2D, load_keypoint_set
from mocap.geometry.projection import camera_tensors
from mocap.geometry.refinement import refine_reprojection
from mocap.geometry.threads import one_thread
from mocap.geometry.triangulation import triangulate_robust
from mocap.stages.triangulate import TriangulateConfig, triangulate
from mocap.synthetic.detector_config import clean
from mocap.synthetic.detector_errors import Detected, detect
from mocap.synthetic.heatmaps import HeatmapConfig
from mocap.synthetic.random_rigs import RandomRigConfig, random_rigs
from mocap.synthetic.rigs import Layout, RigConfig, make_rig
from mocap.synthetic.samples import SampleConfig, Samples
from mocap.synthetic.true_views import TrueViews, views_of

KEYPOINTS = load_keypoint_set("blazepose33")
PEOPLE = SampleConfig(cameras=(4, 4), others=(0, 0), furniture=(0, 0), body="humanoid", bodies=32)
NOISES_PX = (0.5, 1.0, 2.0, 3.0, 5.0)
OUTLIERS = (0.0, 0.03, 0.05, 0.1, 0.2)

Method = Callable[["World"], np.ndarray]


@dataclass(frozen=True, eq=False)
class World:
    """One rig, T moments of one person (T, K, 3) m, and what was reported."""

    rig: Rig
    xyz: np.ndarray
    views: TrueViews
    found: Detected
    noise_px: float

    @property
    def px(self) -> np.ndarray:
        """(T, K, C, 2), NaN where not reported."""
        return np.swapaxes(self.found.xy[:, 0], 1, 2)

    @property
    def right(self) -> np.ndarray:
        """(T, K, C) reported, and no outlier."""
        return np.swapaxes((self.found.confidence > 0) & ~self.found.record.outlier, 2, 3)[:, 0]


@dataclass(frozen=True)
class Figure:
    """mpjpe_mm: mean, median_mm: median distance, within_20_mm: share; lost: share of seen points without a result."""

    method: str
    mpjpe_mm: float
    median_mm: float
    within_20_mm: float
    lost: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--noise", type=float, default=1.0, metavar="PX")
    parser.add_argument("--outliers", type=float, default=0.03, metavar="SHARE")
    parser.add_argument("--rigs", type=int, default=8)
    parser.add_argument("--moments", type=int, default=256, help="poses per rig")
    parser.add_argument("--mixed", action="store_true", help="rigs of unlike cameras")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sweep", action="store_true", help="a table over noise and outliers")
    parser.add_argument("--no-speed", action="store_true", help="leave out the count of samples a second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cases = [(n, o) for n in NOISES_PX for o in OUTLIERS] if options.sweep else [(options.noise, options.outliers)]
    with one_thread():
        tables = [{"noise_px": n, "outliers": o, "figures": measure(options, n, o)} for n, o in cases]
    speeds = {} if options.no_speed else sample_rates()
    if options.json:
        rows = [{**table, "figures": [asdict(figure) for figure in table["figures"]]} for table in tables]
        print(json.dumps({"cameras": options.cameras, "cases": rows, "samples_per_s": speeds}, indent=2))
        return
    (show_sweep if options.sweep else show)(tables)
    for what, rate in speeds.items():
        print(f"{what}: {rate:.0f} samples/s, {rate * 3600 / 1e6:.1f} million an hour")


def measure(options: argparse.Namespace, noise_px: float, outliers: float) -> list[Figure]:
    """Every method on the same worlds."""
    rigs = make_rigs(options)
    people = Samples(PEOPLE.model_copy(update={"block_size": options.moments}), options.seed)
    worlds = []
    for number in range(options.rigs):
        xyz, rig = people.block(number).xyz, rigs[number]
        views = views_of(xyz[:, None], rig, KEYPOINTS, fps=30.0)
        found = detect(views, clean(noise_px, outliers), np.random.default_rng([options.seed, 8, number]))
        worlds.append(World(rig, xyz, views, found, noise_px))
    return [figure(name, method, worlds) for name, method in METHODS.items()]


def make_rigs(options: argparse.Namespace) -> list[Rig]:
    """Rings and corners by turns, or whatever people have."""
    rng = np.random.default_rng([options.seed, 7])
    if options.mixed:
        batch = random_rigs(options.rigs, options.cameras, rng, RandomRigConfig())
        return [batch.rig(number) for number in range(options.rigs)]
    layouts: tuple[Layout, ...] = ("ring", "corners")
    return [
        make_rig(RigConfig(cameras=options.cameras, layout=layouts[number % 2]), rng) for number in range(options.rigs)
    ]


def figure(name: str, method: Method, worlds: Sequence[World]) -> Figure:
    """One method over all worlds."""
    errors, seen = [], 0
    for world in worlds:
        error = np.linalg.norm(method(world) - world.xyz, axis=-1)
        seen += int((np.isfinite(world.px[..., 0]).sum(-1) >= 2).sum())
        errors.append(error[np.isfinite(error)])
    error = 1000 * np.concatenate(errors)
    within = float((error < 20).mean())
    return Figure(name, float(error.mean()), float(np.median(error)), within, 1 - len(error) / seen)


def plain_dlt(world: World) -> np.ndarray:
    """All views alike, linear."""
    return triangulate_dlt(world.rig, world.px)


def of_stage(**config: object) -> Method:
    """The pipeline's stage, the noise in mm as configured or (noise_mm=None) that of these pixels."""

    def method(world: World) -> np.ndarray:
        points = Keypoints2D(world.rig.names, KEYPOINTS, world.found.xy, world.found.confidence, 30.0)
        given = {key: value if value is not None else noise_mm(world) for key, value in config.items()}
        return triangulate(points, world.rig, TriangulateConfig.model_validate(given))[0].xyz[:, 0]

    return method


def robust_in_px(world: World) -> np.ndarray:
    """The robust method of `mocap.geometry`, told that the noise is the same in every picture."""
    px, weight = torch.from_numpy(world.px.copy()), torch.from_numpy(np.isfinite(world.px[..., 0]).astype(np.float64))
    scale = torch.full_like(weight, 2 * world.noise_px)
    found = triangulate_robust(
        camera_tensors(world.rig), px, weight, scale_px=scale, inlier_px=10 * scale, kernel="cauchy"
    )
    return found.xyz.numpy()


def noise_mm(world: World) -> float:
    """Twice the noise of a pixel at the distance of the subject, mean over cameras: where a kernel should bend."""
    distance = np.linalg.norm(world.rig.centers - [0.0, 0.0, 0.95], axis=-1)
    focal = np.array([camera.intrinsics.K[0, 0] for camera in world.rig])
    return float(2000 * world.noise_px * (distance / focal).mean())


def known_outliers(world: World) -> np.ndarray:
    """Least squares over the views that are right."""
    px, weight = torch.from_numpy(world.px.copy()), torch.from_numpy(world.right.astype(np.float64))
    start = torch.from_numpy(triangulate_dlt(world.rig, world.px, world.right.astype(np.float64)))
    return refine_reprojection(camera_tensors(world.rig), px, weight, start, scale_px=torch.ones_like(weight))[
        0
    ].numpy()


METHODS: dict[str, Method] = {
    "plain DLT": plain_dlt,
    "ransac": of_stage(method="ransac"),
    "robust": of_stage(method="robust"),
    "robust, noise known": of_stage(method="robust", noise_mm=None),
    "robust in px": robust_in_px,
    "known outliers": known_outliers,
}


def sample_rates(blocks: int = 4) -> dict[str, float]:
    """Samples a second of 4 cameras and 33 keypoints on one core, the fastest of some blocks."""
    rates = {}
    cases = {
        "one person": (PEOPLE, False),
        "with others, furniture": (PEOPLE.model_copy(update={"others": (1, 1), "furniture": (1, 1)}), False),
        "64x64 heatmaps": (PEOPLE.model_copy(update={"heatmaps": HeatmapConfig()}), False),
        "64x64 heatmaps, memory reused": (PEOPLE.model_copy(update={"heatmaps": HeatmapConfig()}), True),
    }
    for name, (config, reuse) in cases.items():
        stream = Samples(config, 0).blocks(reuse=reuse)
        next(stream)
        taken = []
        for _ in range(blocks):
            begun = time.perf_counter()
            next(stream)
            taken.append(time.perf_counter() - begun)
        rates[name] = config.block_size / min(taken)
    return rates


def show(tables: list[dict]) -> None:
    """One case, a row a method."""
    for table in tables:
        print(f"{table['noise_px']:g} px noise, {table['outliers']:.0%} outliers")
        print(f"{'':22}{'MPJPE mm':>10}{'median mm':>11}{'< 20 mm':>9}{'lost':>8}")
        for f in table["figures"]:
            print(f"{f.method:22}{f.mpjpe_mm:10.2f}{f.median_mm:11.2f}{f.within_20_mm:9.1%}{f.lost:8.2%}")


def show_sweep(tables: list[dict]) -> None:
    """MPJPE (and share lost) of every method, a row a case."""
    names = [f.method for f in tables[0]["figures"]]
    print("MPJPE mm (lost)" + "".join(f"{name:>22}" for name in names))
    for table in tables:
        cells = "".join(f"{f.mpjpe_mm:13.2f} ({f.lost:6.2%})" for f in table["figures"])
        print(f"{table['noise_px']:4g} px {table['outliers']:6.0%} {cells}")


if __name__ == "__main__":
    main()
