"""Speed and memory of the trajectory solve: frames a second by length of the take.

    python tools/benchmark_solve.py                                     100, 1,000 and 10,000 frames, 4 views
    python tools/benchmark_solve.py --frames 100 1000 --cameras 2 --json

A person who walks and reaches, again and again, is seen by a ring of cameras with a measured detector's errors; points
are triangulated and smoothed as in the pipeline, which is not timed; feet are found and held as there, which is.
Seconds are of the processor (one thread), so that other programs on the machine count little; peak memory is the
process's, with making the take.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np

from calibration.camera import Rig
from mocap.core.keypoints import Keypoints2D, load_keypoint_set
from mocap.core.skeleton import load_skeleton
from mocap.geometry.marker_views import SeenInViews
from mocap.stages.feet import FeetConfig, standing_points
from mocap.stages.smooth import SmoothConfig, smooth
from mocap.stages.solve import SolveConfig, solve
from mocap.stages.triangulate import TriangulateConfig, triangulate
from mocap.synthetic.body_points import keypoints_on_body
from mocap.synthetic.detector_config import clean
from mocap.synthetic.detector_errors import detect
from mocap.synthetic.gait import walk_and_reach
from mocap.synthetic.rigs import RigConfig, make_rig
from mocap.synthetic.true_views import views_of

KEYPOINTS = load_keypoint_set("blazepose33")
FPS, PERIOD_S = 30.0, 8.0
NOISE_PX, OUTLIERS = 3.0, 0.03


@dataclass(frozen=True)
class Timing:
    """One take. cpu_s: seconds of the processor; peak_mib: largest memory of the process so far."""

    frames: int
    cameras: int
    cpu_s: float
    frames_per_s: float
    peak_mib: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    measure(60, options.cameras)  # what is loaded and allocated once
    for frames in options.frames:
        t = measure(frames, options.cameras)
        if options.json:
            print(json.dumps(asdict(t)), flush=True)
            continue
        speed = f"{t.cpu_s:7.2f} s, {t.frames_per_s:5.0f} frames/s"
        print(f"{t.frames:6d} frames, {t.cameras} views: {speed}, peak {t.peak_mib:.0f} MiB", flush=True)


def measure(frames: int, cameras: int) -> Timing:
    """Solve a take of that length."""
    rig = make_rig(RigConfig(cameras=cameras), np.random.default_rng(0))
    seen = seen_walk(frames, rig)
    points, _ = smooth(triangulate(seen, rig, TriangulateConfig())[0], SmoothConfig())
    begin = time.process_time()
    standing = partial(standing_points, config=FeetConfig())
    solve(points, load_skeleton(), SolveConfig(), SeenInViews(seen, rig), standing=standing)
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Timing(frames, cameras, seconds, frames / seconds, peak)


def seen_walk(frames: int, rig: Rig) -> Keypoints2D:
    """What a detector reports of the walk, there and back."""
    period = min(frames, round(PERIOD_S * FPS))
    walk = walk_and_reach(load_skeleton(), seconds=period / FPS, fps=FPS)
    points = keypoints_on_body(walk, KEYPOINTS)
    order = np.arange(frames) % (2 * period)
    points = points[np.where(order < period, order, 2 * period - 1 - order)]
    views = views_of(points[:, None], rig, KEYPOINTS, fps=FPS)
    found = detect(replace(views, torso=None), clean(NOISE_PX, OUTLIERS), np.random.default_rng(1))
    return Keypoints2D(rig.names, KEYPOINTS, found.xy, found.confidence, FPS)


if __name__ == "__main__":
    main()
