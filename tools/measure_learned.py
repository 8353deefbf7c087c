"""How the learned triangulations do against DLT, RANSAC and the robust method, on people that none of them has seen.

    python tools/measure_learned.py                            2, 3 and 4 views; normal and hard errors
    python tools/measure_learned.py --motions FOLDER           motions from the BVH and AMC files under a folder
    python tools/measure_learned.py --algebraic RUN --volumetric RUN    weights of your own trainings

People in random poses of held-out motions (`mocap.synthetic.samples`, a seed that no training uses) stand among random
rigs with lenses; reports have the errors of a preset of `mocap.synthetic.detector_config`, heatmaps are as large as
BlazePose's. DLT, RANSAC and robust are the pipeline's stage. MPJPE (mm), its median and that of hidden points (hidden
in half of the views or more) are taken over the points that every method returns; "< 5 cm" is the share of all points
that two views report, and a point that a method does not return counts as wrong. "lost" are those. Methods without
weights are left out, and said so. In the end there is one table of all cases (Markdown).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from mocap.core.errors import InputError, NoPersonError
from mocap.core.keypoints import Keypoints2D, load_keypoint_set
from mocap.core.skeleton import load_skeleton
from mocap.core.truth import Visibility
from mocap.geometry.threads import one_thread
from mocap.models.shipped import ShippedName, is_shipped, load_shipped
from mocap.stages.triangulate import TriangulateConfig, triangulate
from mocap.synthetic.detector_config import preset
from mocap.synthetic.heatmaps import HeatmapConfig
from mocap.synthetic.pose_bank import PoseBank, PoseConfig, bank_of_motions
from mocap.synthetic.retarget import load_motion
from mocap.synthetic.samples import SampleBlock, SampleConfig, Samples
from mocap.training.algebraic_task import batch_of
from mocap.training.drawn_views import drawn_views
from mocap.training.people_streams import HELD_OUT

KEYPOINTS = load_keypoint_set("blazepose33")
SEED = 7_000_001
WITHIN_M = 0.05
BLOCK = 64
VOLUMETRIC_MAPS = HeatmapConfig()
Method = Callable[[SampleBlock], Callable[[], np.ndarray]]
"""A block of samples to what makes points of it, (N, K, 3) m, NaN where there are none; the second step is timed."""


@dataclass(frozen=True)
class Figure:
    """Of one method in one case; all but `within_5_cm` and `lost` over the points that every method returns.

    hidden_mm: over points hidden in half of the views or more. against_ransac: change of the MPJPE, a share.
    """

    method: str
    mpjpe_mm: float
    median_mm: float
    hidden_mm: float
    within_5_cm: float
    lost: float
    against_ransac: float
    ms_a_person: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=256, help="people in every case")
    parser.add_argument("--views", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--errors", nargs="+", default=["blazepose_like", "hard"])
    parser.add_argument("--methods", nargs="+", default=["dlt", "ransac", "robust", "algebraic", "volumetric"])
    parser.add_argument("--motions", type=Path, help="a folder of BVH or AMC files, else built-in motions held out")
    parser.add_argument("--algebraic", type=Path, metavar="FOLDER", help="with algebraic_blazepose.safetensors")
    parser.add_argument("--volumetric", type=Path, metavar="FOLDER", help="with volumetric_blazepose.safetensors")
    parser.add_argument("--heatmaps", action="store_true", help="the algebraic method sees shapes of heatmaps too")
    parser.add_argument("--body", choices=("auto", "anny", "humanoid"), default="auto")
    parser.add_argument("--as-recorded", action="store_true", help="no poses but those of the motions")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with one_thread():
        methods = make_methods(options)
        base = people(options)
        cases = [
            {"errors": errors, "views": views, "figures": measure(base, methods, (errors, views), options)}
            for errors in options.errors
            for views in options.views
        ]
    if options.json:
        rows = [{**case, "figures": [asdict(figure) for figure in case["figures"]]} for case in cases]
        print(json.dumps({"samples": options.samples, "seed": options.seed, "cases": rows}, indent=2))
        return
    show(cases)
    print("\n".join(table(cases)))


def people(options: argparse.Namespace) -> Samples:
    """Held-out bodies and motions."""
    as_recorded = PoseConfig(mixed=0.0, any_angles=0.0, any_way_up=0.0, jitter_rad=0.0)
    config = SampleConfig(
        block_size=min(BLOCK, options.samples),
        body=options.body,
        motions=HELD_OUT,
        poses=as_recorded if options.as_recorded else PoseConfig(),
    )
    bank = None if options.motions is None else poses_of(options.motions)
    return Samples(config, options.seed, poses=bank)


def poses_of(folder: Path) -> PoseBank:
    """Frames of all motion files under a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".bvh", ".amc"))
    if not paths:
        raise SystemExit(f"{folder}: no BVH or AMC files there")
    skeleton = load_skeleton("humanoid")
    return bank_of_motions([load_motion(path, skeleton, fps=15.0) for path in paths])


def make_methods(options: argparse.Namespace) -> dict[str, Method]:
    """Those that were asked for and can be had."""
    makers: dict[str, Callable[[], Method]] = {
        "dlt": lambda: of_stage("dlt"),
        "ransac": lambda: of_stage("ransac"),
        "robust": lambda: of_stage("robust"),
        "algebraic": lambda: algebraic(options.algebraic),
        "volumetric": lambda: volumetric(options.volumetric),
    }
    unknown = set(options.methods) - set(makers)
    if unknown:
        raise SystemExit(f"no method {', '.join(sorted(unknown))}; there are {', '.join(makers)}")
    methods = {}
    for name in options.methods:
        try:
            methods[name] = makers[name]()
        except InputError as error:
            print(f"left out: {name} ({error})")
    return methods


def of_stage(method: str) -> Method:
    """The pipeline's stage, one person after the other, as each has a rig of its own."""
    config = TriangulateConfig.model_validate({"method": method})

    def points(block: SampleBlock) -> np.ndarray:
        found = np.full(block.xyz.shape, np.nan)
        for number in range(len(block)):
            rig = block.cameras.rig(number)
            seen = Keypoints2D(
                rig.names, KEYPOINTS, block.xy[number][None, None], block.confidence[number][None, None], 30.0
            )
            try:
                found[number] = triangulate(seen, rig, config)[0].xyz[0, 0]
            except NoPersonError:
                continue
        return found

    return lambda block: lambda: points(block)


def algebraic(folder: Path | None) -> Method:
    """Learned weights of the views."""
    net = load_shipped("algebraic_blazepose", folder=folder)

    def prepared(block: SampleBlock) -> Callable[[], np.ndarray]:
        views = batch_of(block).views

        def points() -> np.ndarray:
            with torch.no_grad():
                return net(views).xyz.numpy()

        return points

    return prepared


def volumetric(folder: Path | None) -> Method:
    """Lifted heatmaps, drawn into cameras that look at the person."""
    name: ShippedName = "volumetric_blazepose"
    if not is_shipped(name, folder=folder):
        raise InputError("no trained weights")
    net = load_shipped(name, folder=folder)

    def prepared(block: SampleBlock) -> Callable[[], np.ndarray]:
        rng = np.random.default_rng([SEED, block.index])
        views = drawn_views(block, VOLUMETRIC_MAPS, rng, mirror=KEYPOINTS.mirror_permutation)

        def points() -> np.ndarray:
            with torch.no_grad():
                found = net(views.heatmaps, views.projections, views.seen, views.center, views.side)
            return found.xyz.double().numpy()

        return points

    return prepared


def measure(
    base: Samples, methods: dict[str, Method], case: tuple[str, int], options: argparse.Namespace
) -> list[Figure]:
    """Every method on the same people. case: errors and views."""
    config = base.config.model_copy(
        update={
            "errors": preset(case[0]),
            "cameras": (case[1], case[1]),
            "heatmaps": HeatmapConfig() if options.heatmaps else None,
        }
    )
    stream = Samples(config, base.seed, poses=base.poses)
    vars(stream)["bodies"] = base.bodies
    blocks = [stream.block(number) for number in range(-(-options.samples // config.block_size))]
    found, spent = {}, {}
    for name, method in methods.items():
        parts, seconds = zip(*(_timed(method(block)) for block in blocks), strict=True)
        found[name] = np.concatenate(parts)
        spent[name] = 1000 * sum(seconds) / (len(blocks) * config.block_size)
    return figures(blocks, found, spent)


def _timed(points: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """Points, and the processor's seconds."""
    begun = time.process_time()
    found = points()
    return found, time.process_time() - begun


def figures(blocks: Sequence[SampleBlock], found: dict[str, np.ndarray], spent: dict[str, float]) -> list[Figure]:
    """Of points (N, K, 3) by method and CPU milliseconds a person."""
    truth = np.concatenate([block.xyz for block in blocks])
    reported = np.concatenate([(block.confidence > 0).sum(1) for block in blocks]) >= 2
    visible = np.concatenate([(block.visibility == Visibility.VISIBLE).mean(1) for block in blocks])
    error = {name: np.linalg.norm(points - truth, axis=-1) for name, points in found.items()}
    asked = reported & np.isfinite(truth).all(-1)
    common = asked & np.all([np.isfinite(e) for e in error.values()], axis=0)
    hidden = common & (visible <= 0.5)
    reference = 1000 * float(error["ransac"][common].mean()) if "ransac" in error else float("nan")
    rows = []
    for name, distance in error.items():
        there = 1000 * distance[common]
        good = np.where(np.isfinite(distance), distance < WITHIN_M, False)[asked]
        rows.append(
            Figure(
                method=name,
                mpjpe_mm=float(there.mean()),
                median_mm=float(np.median(there)),
                hidden_mm=1000 * float(distance[hidden].mean()) if hidden.any() else float("nan"),
                within_5_cm=float(good.mean()),
                lost=float((~np.isfinite(distance))[asked].mean()),
                against_ransac=float(there.mean()) / reference - 1,
                ms_a_person=spent[name],
            )
        )
    return rows


def show(cases: list[dict]) -> None:
    """A table a case."""
    for case in cases:
        print(f"{case['errors']}, {case['views']} views")
        widths = {"MPJPE mm": 10, "to ransac": 11, "median mm": 11, "hidden mm": 11, "< 5 cm": 9, "lost": 8, "ms": 8}
        print(" " * 12 + "".join(f"{head:>{width}}" for head, width in widths.items()))
        for f in case["figures"]:
            print(
                f"{f.method:12}{f.mpjpe_mm:10.2f}{f.against_ransac:+11.1%}{f.median_mm:11.2f}{f.hidden_mm:11.2f}"
                f"{f.within_5_cm:9.2%}{f.lost:8.2%}{f.ms_a_person:8.2f}"
            )


def table(cases: list[dict]) -> list[str]:
    """Markdown: a row for each case, the MPJPE in mm of every method, the learned against RANSAC, hidden points."""
    names = [figure.method for figure in cases[0]["figures"]]
    lines = [f"| errors | views | {' | '.join(names)} | hidden: {', '.join(names)} |", "|---" * (len(names) + 3) + "|"]
    for case in cases:
        cells = [_cell(figure) for figure in case["figures"]]
        hidden = ", ".join(f"{figure.hidden_mm:.1f}" for figure in case["figures"])
        lines.append(f"| `{case['errors']}` | {case['views']} | {' | '.join(cells)} | {hidden} |")
    return lines


def _cell(figure: Figure) -> str:
    told = f"{figure.mpjpe_mm:.1f}"
    learned = figure.method in ("algebraic", "volumetric") and np.isfinite(figure.against_ransac)
    return f"**{told}** ({figure.against_ransac:+.1%})" if learned else told


if __name__ == "__main__":
    main()
