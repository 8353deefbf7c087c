"""How long the shipped triangulating networks take for a person in a frame, and how much memory.

    python tools/measure_learned_speed.py                        four views, batches of 16 people, one thread
    python tools/measure_learned_speed.py --threads 2 --people 1 --views 6

Heatmaps are as large as BlazePose's; drawing them is not timed. The least of `--repeats` counts, by the clock and of
the processor, which differ on a machine that has other work. Memory is what the process held at most beyond what it
held before (inputs and weights).
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mocap.models.shipped import load_shipped
from mocap.synthetic.heatmaps import HeatmapConfig
from mocap.synthetic.samples import SampleConfig, Samples
from mocap.training.algebraic_task import batch_of
from mocap.training.drawn_views import drawn_views

SEED = 7_000_002
KIB_PER_MIB = 1024
PAGES = Path("/proc/self/statm")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.views} views, batches of {options.people}, {options.threads} threads of {torch.__version__}")
    for name, run in networks(options.people, options.views).items():
        before = held_mib()
        with torch.inference_mode():
            spent = np.array([seconds(run) for _ in range(options.repeats)])
        clock, processor = 1000 * spent.min(0) / options.people
        told = f"{clock:7.2f} ms a person and frame ({processor:7.2f} of the processor)"
        print(f"{name:12} {told}, {most_mib() - before:5.0f} MiB beyond {before:.0f}")


def networks(people: int, views: int) -> dict[str, Callable[[], object]]:
    """Calls of both networks on the same synthetic people."""
    config = SampleConfig(block_size=people, bodies=4, body="humanoid", cameras=(views, views), motions=("punch",))
    samples = Samples(config, SEED)
    block = samples.block(0)
    mirror = samples.keypoint_set.mirror_permutation
    drawn = drawn_views(block, HeatmapConfig(), np.random.default_rng(SEED), mirror=mirror)
    given = (drawn.heatmaps, drawn.projections, drawn.seen, drawn.center, drawn.side)
    reports = batch_of(block).views
    algebraic, volumetric = load_shipped("algebraic_blazepose"), load_shipped("volumetric_blazepose")
    return {"algebraic": lambda: algebraic(reports), "volumetric": lambda: volumetric(*given)}


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Of the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - clock, time.process_time() - processor


def held_mib() -> float:
    """What the process holds now; its most so far where the system does not tell."""
    if not PAGES.is_file():
        return most_mib()
    return int(PAGES.read_text().split()[1]) * resource.getpagesize() / KIB_PER_MIB**2


def most_mib() -> float:
    """What the process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB


if __name__ == "__main__":
    main()
