"""Learnable triangulation beside the way the published implementation is written, in one run on this machine.

    python tools/benchmark.py triangulation                everything
    python tools/benchmark.py triangulation points volume  parts: points, volume, networks, folding

points: triangulation of many samples at once against one SVD after the other. volume: lifting and V2V at 64³ against
loops over samples and views and the network as it is. networks: four views of 384x384 through the published networks.
folding: what `mocap.models.folding` gains in torch, on one thread, the variants taking turns.
Seconds are the least of some repeats: wall time, and the time that all threads were computing, which other programs on
the machine disturb less. Every variant of a network is a process of its own, whose peak memory is printed.
"""

from __future__ import annotations

import argparse
import copy
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from mocap.geometry.algebraic import project_pinhole, triangulate_algebraic
from mocap.geometry.heatmaps import soft_argmax_2d, soft_argmax_3d
from mocap.geometry.volumes import coordinate_volume
from mocap.models.convert_parts import parts_of
from mocap.models.fast_networks import CompiledPart, accelerated
from mocap.models.folding import folded
from mocap.models.pose_resnet import PoseResNet, PoseResNetConfig
from mocap.models.triangulation_nets import (
    AlgebraicNet,
    AlgebraicNetConfig,
    VolumetricNet,
    VolumetricNetConfig,
    in_millimetres,
    view_shares,
)
from mocap.models.v2v import V2V, V2VConfig

PARTS = ("points", "volume", "networks", "folding")
VARIANTS = ("loops", "torch", "f32", "bf16")
JOINTS, VIEWS, SIDE = 17, 4, 384
CENTER = (0.2, -0.1, 1.0)
SHARP = 400.0
"""The reference's multiplier of volumes: untrained scores make a peak, whose place shows differences."""


def main(arguments: Sequence[str]) -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(
        prog="benchmark.py triangulation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=PARTS, help=", ".join(PARTS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", nargs=2, metavar=("NETWORK", "VARIANT"), help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    if options.one is not None:
        one(*options.one, options=options)
        return
    for part in options.parts:
        if part == "points":
            points(options.repeat)
        elif part == "folding":
            folding(options.repeat)
        else:
            for network in ["volume"] if part == "volume" else ["algebraic", "volumetric"]:
                compare(network, options)


def timed(call: Callable[[], Any], repeat: int) -> tuple[float, float]:
    """Least wall and computing seconds of calls that were made before."""
    runs = []
    for _ in range(repeat):
        start = time.perf_counter(), time.process_time()
        call()
        runs.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return min(wall for wall, _ in runs), min(cpu for _, cpu in runs)


def points(repeat: int) -> None:
    """The linear triangulation, with and without gradients, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for batch in (16, 128, 1024):
        given = seen_points(batch)
        few = [array[:32] for array in given]
        triangulate_algebraic(*given)
        ours = timed(partial(triangulate_algebraic, *given), 10 * repeat)[1] / batch
        loop = timed(partial(by_svd, *few), repeat)[1] / len(few[0])
        print(
            f"points, {batch} samples of {JOINTS} joints and {VIEWS} views, one thread: {1 / ours:.0f} samples/s, "
            f"one SVD after the other {1 / loop:.0f} samples/s: {loop / ours:.1f} times"
        )
    torch.set_num_threads(threads)


def folding(repeat: int) -> None:
    """The backbone on one picture and V2V at 64³: as they are, folded, and folded with 2D weights channels-last."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name, network, given in (
        ("backbone", PoseResNet(PoseResNetConfig()), torch.randn(1, 3, SIDE, SIDE)),
        ("V2V", V2V(V2VConfig()), torch.randn(1, 32, 64, 64, 64)),
    ):
        fast = folded(network)
        plain = copy.deepcopy(fast)
        for parameter in plain.parameters():
            parameter.data = parameter.data.contiguous()
        calls = {"as it is": network.eval(), "folded": plain, "folded, channels-last": fast}
        spent: dict[str, list[float]] = {variant: [] for variant in calls}
        for variant, call in [*calls.items()] * (2 * repeat + 1):
            spent[variant].append(timed(partial(call, given), 1)[1])
        told = (f"{variant} {min(runs[1:]):.2f} ({median(runs[1:]):.2f})" for variant, runs in spent.items())
        print(f"folding, {name}, one thread, least (median) computing seconds: {', '.join(told)}", flush=True)
    torch.set_num_threads(threads)


def seen_points(batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Projections (mm), pixels with a pixel of noise, and confidences, float32."""
    generator = torch.Generator().manual_seed(0)
    projections = in_millimetres(ring(VIEWS).expand(batch, -1, -1, -1)).float()
    truth = 500 * torch.randn(batch, JOINTS, 3, generator=generator) + 1000 * torch.tensor(CENTER)
    xy = project_pinhole(projections, truth)[0]
    xy = xy + torch.randn(xy.shape, generator=generator)
    return projections, xy, 0.2 + torch.rand(xy.shape[:-1], generator=generator)


def by_svd(projections: Tensor, xy: Tensor, confidence: Tensor) -> Tensor:
    """As it is published: joint by joint."""
    found = torch.zeros(xy.shape[0], xy.shape[2], 3)
    for b in range(xy.shape[0]):
        for j in range(xy.shape[2]):
            P, px = projections[b], xy[b, :, j]
            rows = P[:, 2:3].expand(len(P), 2, 4) * px[..., None] - P[:, :2]
            rows = rows * confidence[b, :, j].view(-1, 1, 1)
            vector = torch.linalg.svd(rows.reshape(-1, 4))[2][3]
            found[b, j] = vector[:3] / vector[3]
    return found


def by_loops(features: Tensor, projections: Tensor, coordinates: Tensor) -> Tensor:
    """Lifting as it is published: sample by sample, view by view, then a softmax over the views."""
    lifted = []
    for b in range(len(features)):
        views = []
        for P, view in zip(projections[b], features[b], strict=True):
            places = coordinates[b].reshape(-1, 3)
            projected = torch.cat([places, torch.ones(len(places), 1)], dim=1) @ P.T
            behind = projected[:, 2] <= 0
            projected[projected[:, 2] == 0, 2] = 1.0
            px = projected[:, :2] / projected[:, 2:]
            grid = 2 * (px / torch.tensor([view.shape[2], view.shape[1]]) - 0.5)
            seen = grid_sample(view[None], grid[None, :, None], align_corners=True).view(view.shape[0], -1)
            seen[:, behind] = 0
            views.append(seen.view(view.shape[0], *coordinates.shape[1:4]))
        stacked = torch.stack(views)
        lifted.append((stacked * stacked.softmax(0)).sum(0))
    return torch.stack(lifted)


def compare(network: str, options: argparse.Namespace) -> None:
    """All variants of a network, each beside the first, which is written as published."""
    variants = [variant for variant in VARIANTS if network != "volume" or variant != "torch"]
    with tempfile.TemporaryDirectory() as folder:
        kept = {variant: Path(folder) / f"{variant}.pt" for variant in variants}
        runs = {}
        for variant in variants:
            command = [sys.executable, str(Path(__file__).with_name("benchmark.py")), "triangulation"]
            command += ["--one", network, variant, "--keep", str(kept[variant])]
            command += ["--repeat", str(options.repeat), "--threads", str(options.threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
            runs[variant] = json.loads(done.stdout.splitlines()[-1])
        published = torch.load(kept["loops"], weights_only=True)
        for variant, run in runs.items():
            xyz = torch.load(kept[variant], weights_only=True)
            apart = 1000 * float((xyz.double() - published.double()).norm(dim=-1).max())
            print(
                f"{network}, {variant}: {run['wall_s']:.3f} s, computing {run['cpu_s']:.3f} s "
                f"({run['cpu_s'] / runs['loops']['cpu_s']:.2f} of the loops'), peak {run['peak_mib']:.0f} MiB, "
                f"joints up to {apart:.4f} mm from the loops'",
                flush=True,
            )


def one(network: str, variant: str, *, options: argparse.Namespace) -> None:
    """One variant in this process: seconds of a frame, and its joints (m) in a file."""
    torch.manual_seed(3)
    if network == "algebraic":
        call = algebraic(variant, options.threads)
    else:
        call = volumetric(variant, options.threads, whole=network == "volumetric")
    torch.save(call(), options.keep)
    wall, cpu = timed(call, options.repeat)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "peak_mib": peak}))


def algebraic(variant: str, threads: int) -> Callable[[], Tensor]:
    """Four pictures to joints; `loops` is the network in torch and one SVD after the other."""
    network = AlgebraicNet(AlgebraicNetConfig()).eval()
    pictures, projections = torch.randn(1, VIEWS, 3, SIDE, SIDE), ring(VIEWS)[None]
    if variant != "loops":
        made = network if variant == "torch" else accelerated(network, precision=variant, threads=threads)  # pyright: ignore
        return lambda: made(pictures, projections).xyz

    def published() -> Tensor:
        maps = network.backbone(pictures[0])
        assert maps.alg_confidences is not None
        cells = soft_argmax_2d(maps.heatmaps, temperature=1 / network.config.heatmap_multiplier)[0]
        xy = cells * SIDE / maps.heatmaps.shape[-1]
        shares = view_shares(maps.alg_confidences[None])
        return by_svd(in_millimetres(projections).float(), xy[None], shares) / 1000

    return published


def volumetric(variant: str, threads: int, *, whole: bool) -> Callable[[], Tensor]:
    """Four pictures, or the features of four views, to joints; `loops` lifts view by view."""
    network = VolumetricNet(VolumetricNetConfig(volume_multiplier=SHARP)).eval()
    pictures, projections = torch.randn(1, VIEWS, 3, SIDE, SIDE), ring(VIEWS)[None]
    center = torch.tensor([CENTER])
    features = torch.randn(1, VIEWS, 32, SIDE // 4, SIDE // 4, generator=torch.Generator().manual_seed(2))
    if variant != "loops":
        if whole:
            made = network if variant == "torch" else accelerated(network, precision=variant, threads=threads)  # pyright: ignore
            return lambda: made(pictures, projections, center).xyz
        part = next(part for part in parts_of(network, size=(SIDE, SIDE), views=1) if part.name == "volume")
        scored = CompiledPart(part, variant, threads)  # pyright: ignore
        network.backbone, network.process_features = Given(features[0]), nn.Identity()  # pyright: ignore
        network.volume_net.forward = lambda volumes: scored(volumes)["scores"]
        return lambda: network(pictures, projections, center).xyz
    in_cells = in_millimetres(projections) * torch.tensor([0.25, 0.25, 1.0], dtype=torch.float64)[:, None]

    def published() -> Tensor:
        maps = network.process_features(network.backbone(pictures[0]).features)[None] if whole else features
        cube = coordinate_volume(1000 * center, 2500.0, size=(64, 64, 64))
        scores = network.volume_net(by_loops(maps, in_cells.float(), cube))
        return soft_argmax_3d(scores, cube, temperature=1 / SHARP)[0] / 1000

    return published


class Given(nn.Module):
    """In place of a backbone: features that are there already."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, pictures: Tensor) -> Any:
        from mocap.models.pose_resnet import PoseMaps

        return PoseMaps(heatmaps=self.features[:, :0], features=self.features)


def ring(views: int) -> Tensor:
    """Projections (C, 3, 4), m, of cameras 4.5 m around `CENTER` that see it in the middle of their pictures."""
    angle = 0.3 + torch.arange(views, dtype=torch.float64) * (2 * torch.pi / views)
    zero = torch.zeros_like(angle)
    forward = torch.stack([-angle.cos(), -angle.sin(), zero], dim=-1)
    right = torch.stack([angle.sin(), -angle.cos(), zero], dim=-1)
    R = torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-2)
    position = torch.tensor(CENTER, dtype=torch.float64) - 4.5 * forward
    K = torch.tensor([[700.0, 0, SIDE / 2], [0, 700.0, SIDE / 2], [0, 0, 1]], dtype=torch.float64)
    return K @ torch.cat([R, -(R @ position[..., None])], dim=-1)


if __name__ == "__main__":
    main(sys.argv[1:])
