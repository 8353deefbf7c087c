"""Rendered people with exact keypoints, for `mocap train heatmap --config configs/train/heatmap_rendered.toml`.

    python tools/render_people.py --scenes 40 --takes sample_sessions/two_people/takes/crossing -o data/rendered_people

Scenes that lie there already are not made again; a scene is some 80 people and takes about 25 s of a core. Of takes
that `mocap synth` rendered, every sixth frame is taken.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from mocap.training.datasets.rendered_scenes import make_scene, people_of_take, render_people, scene_path


def main() -> None:
    """Render what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--takes", type=Path, nargs="*", default=(), help="rendered takes with their truth")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for take in options.takes:
        people = people_of_take(take)
        people.save(options.output / f"scene_{take.name}.npz")
        print(f"{take.name}: {len(people.lengths)} people", flush=True)
    numbers = range(options.first, options.first + options.scenes)
    missing = [n for n in numbers if not scene_path(options.output, options.seed, n).exists()]
    if not missing:
        return
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, context) as pool:
        jobs = [pool.submit(render_scene, options.output, options.seed, number) for number in missing]
        for done, job in enumerate(as_completed(jobs), start=1):
            print(f"{done} of {len(missing)}: {job.result()} people", flush=True)


def render_scene(folder: Path, seed: int, number: int) -> int:
    """One scene into its file; how many people are in it."""
    people = render_people(make_scene(seed, number))
    people.save(scene_path(folder, seed, number))
    return len(people.lengths)


if __name__ == "__main__":
    main()
