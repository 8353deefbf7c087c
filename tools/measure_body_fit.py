"""How near a fitted body is to the truth of a synthetic take, and how long the fit takes.

mocap process sample_sessions/one_person -o FOLDER
python tools/measure_body_fit.py FOLDER sample_sessions/one_person/takes/walk/truth.npz --rig RIG.toml
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.formats import read_calibration
from mocap.core.motion import Motion
from mocap.geometry.marker_views import SeenInViews
from mocap.io import artefacts
from mocap.io.truth_file import load_truth
from mocap.io.world_joints import joint_worlds
from mocap.stages.fit_body import FitBodyConfig, fit_body
from mocap.synthetic.anny_body import anny_bodies

EVERY = 5
"""Frames of which the skins are compared."""


def some(motion: Motion) -> Motion:
    """Every so many frames."""
    rows = slice(None, None, EVERY)
    return replace(motion, root_translation=motion.root_translation[rows], local_rotations=motion.local_rotations[rows])


def measure(results: Path, truth_path: Path, rig_path: Path, *, views: bool) -> dict[str, float]:
    """Anny fitted to the first person, against the truth."""
    truth, bodies = load_truth(truth_path), anny_bodies()
    person = truth.people[0]
    points = artefacts.load_keypoints3d(results / "derived" / "smooth.h5")
    seen = artefacts.load_keypoints2d(results / "derived" / "associate.h5")
    bodies.skeleton(bodies.space.usual)  # loads Anny, which is no part of the fit
    start, cpu = time.perf_counter(), time.process_time()
    config = FitBodyConfig(views=views)
    fitted, report = fit_body(points, bodies, config, seen=SeenInViews(seen, read_calibration(rig_path)))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    true_shape = np.array([person.shape[name] for name in bodies.space.names])
    true_motion = replace(person.motion, fps=points.fps)
    skins = [
        bodies.posed(shape, some(m)) for shape, m in ((fitted[0].shape, fitted[0].motion), (true_shape, true_motion))
    ]
    vertex_mm = 1000 * np.linalg.norm(skins[0] - skins[1], axis=-1)
    joints = [joint_worlds(m)[1] for m in (fitted[0].motion, true_motion)]
    return {
        "frames": points.n_frames,
        "height_error_mm": 1000 * (report.people[0].height_m - bodies.mesh(true_shape).height_m),
        "vertex_error_mm": float(vertex_mm.mean()),
        "vertex_error_p95_mm": float(np.percentile(vertex_mm, 95)),
        "mpjpe_mm": 1000 * float(np.linalg.norm(joints[0] - joints[1], axis=-1).mean()),
        "frames_per_s": points.n_frames / seconds,
        "frames_per_cpu_s": points.n_frames / cpu,
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder with the take's derived/")
    parser.add_argument("truth", type=Path)
    parser.add_argument("--rig", type=Path, required=True)
    parser.add_argument("--points-only", action="store_true", help="without what the views show")
    given = parser.parse_args()
    figures = measure(given.results, given.truth, given.rig, views=not given.points_only)
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
