"""What small heatmap networks give and cost: accuracy on rendered people and on real pictures, and ms a crop.

    python tools/measure_small_networks.py --people FOLDER                      float32 and bfloat16
    python tools/measure_small_networks.py --people FOLDER --sizes 64 96 128    the same weights, other crops
    python tools/measure_small_networks.py --people FOLDER --weights A.safetensors B.safetensors
    python tools/measure_small_networks.py --people FOLDER --int8 OTHER         calibrated on OTHER (needs nncf)
    python tools/measure_small_networks.py --widths 0.25 0.5 1 --sizes 64 96 128     time alone, untrained
    python tools/measure_small_networks.py --videos A.mp4 B.mp4                 BlazePose stands for the truth
    python tools/measure_small_networks.py --blazepose-int8 A.mp4 B.mp4         its landmarks in 8 bits (needs nncf)

FOLDER: what tools/render_people.py wrote, people who were not trained on. near: share of keypoints within 10 % of the
crop's side, as in training; error: median distance from the truth, % of the longer side of the box around the person.
Times are the fastest of fifteen rounds of one thread, crops one by one, the cutting out not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from mocap.io.video import VideoReader
from mocap.models.blazepose import BlazePose, BlazePoseConfig
from mocap.models.blazepose_landmarks import LANDMARK_NETWORK, N_KEYPOINTS, REFINE_KERNEL, decode_landmarks
from mocap.models.folding import folded
from mocap.models.mobile_pose import MobilePose, MobilePoseConfig
from mocap.models.onnx_crop import Crop, crop_of
from mocap.models.onnx_pose import HeatmapHead
from mocap.models.openvino_runtime import CompiledModel, Network, cpu_core
from mocap.models.openvino_runtime import _prepared as prepared
from mocap.models.person_boxes import box_of_keypoints
from mocap.models.pose_resnet import STRIDE
from mocap.models.shipped_pose import NEAR, ChanceMaps, ShippedPose, picture_graph, read_chances
from mocap.models.weights import blazepose_weights
from mocap.training.datasets.labelled_people import SEEN
from mocap.training.datasets.rendered import RenderedSource

ROUNDS, TIMED = 15, 40
PER_VIDEO = 16


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody in a picture: where the keypoints are, NaN for those that do not count, and the box around all."""

    image: np.ndarray
    xy: np.ndarray
    box: np.ndarray

    @property
    def size_px(self) -> float:
        return float((self.box[2:] - self.box[:2]).max())


@dataclass(frozen=True, eq=False)
class Graph:
    """A network that takes crops of a size (width, height)."""

    model: ov.Model
    size: tuple[int, int]
    padding: float
    precision: str
    label: str

    def crop(self, person: Person) -> Crop:
        return crop_of(person.box, self.size, padding=self.padding, grid="pixel_centre")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path)
    parser.add_argument("--videos", type=Path, nargs="*", default=())
    parser.add_argument("--weights", type=Path, nargs="*", default=(None,), help="files of tools/ship_pose.py")
    parser.add_argument("--widths", type=float, nargs="*", default=(), help="untrained networks, their time alone")
    parser.add_argument("--sizes", type=int, nargs="*", default=(0,), help="sides of the crop, 0 for the training's")
    parser.add_argument("--precisions", nargs="*", default=("f32", "bf16"))
    parser.add_argument("--int8", type=Path, help="rendered people to calibrate on")
    parser.add_argument("--blazepose-int8", type=Path, nargs="*", default=(), help="videos: the first half calibrates")
    parser.add_argument("--every", type=int, default=1, help="n-th person or frame")
    options = parser.parse_args()
    if options.widths:
        time_widths(options.widths, options.sizes)
        return
    if options.blazepose_int8:
        compare_blazepose(options.blazepose_int8, options.every)
        return
    poses = [ShippedPose(path) for path in options.weights]
    graphs = [graph for pose in poses for side in options.sizes for graph in graphs_of(pose, side, options)]
    if options.people is not None:
        people = rendered(options.people, options.every)
        report(f"rendered people: {len(people)}", graphs, people)
    if options.videos:
        people = seen_by_blazepose(options.videos, options.every)
        report(f"real pictures: {len(people)} people as BlazePose sees them", graphs, people)


def graphs_of(pose: ShippedPose, side: int, options: argparse.Namespace) -> list[Graph]:
    """A network in every precision."""
    size = (side, side) if side else pose.about.size
    millions = sum(value.numel() for value in pose.network.parameters()) / 1e6
    label = f"{pose.path.stem:24s} width {pose.about.config['width']:.2f} {millions:.2f} M"
    graphs = [Graph(pose.graph(size), size, pose.about.padding, name, label) for name in options.precisions]
    if options.int8 is not None:
        known = rendered(options.int8, 4)
        graphs.append(Graph(quantised(graphs[0], known), size, pose.about.padding, "int8", label))
    return graphs


def time_widths(widths: Sequence[float], sizes: Sequence[int]) -> None:
    """ms a crop and parameters of untrained networks, float32."""
    for width in widths:
        network = MobilePose(MobilePoseConfig(33, width, 64)).eval()
        millions = sum(value.numel() for value in network.parameters()) / 1e6
        for side in sizes:
            model = picture_graph(ChanceMaps(folded(network)).eval(), (side, side))
            runs = CompiledModel(cpu_core(), model, threads=1, precision="f32")
            pictures = [np.full((side, side, 3), 90, np.uint8)] * TIMED
            ms = 1000 * min(_seconds(runs, pictures) for _ in range(ROUNDS)) / TIMED
            print(f"width {width:.2f} {millions:.2f} M  {side}x{side}  {ms:.2f} ms", flush=True)


def quantised(graph: Graph, people: Sequence[Person]) -> ov.Model:
    """Weights and activations in 8 bits, ranges from the crops of people (NNCF, post-training)."""
    nncf = import_module("nncf")  # no part of the project: pip install nncf
    crops = [graph.crop(person).averaged_picture_of(person.image)[None] for person in people[:300]]
    return nncf.quantize(graph.model, nncf.Dataset(crops), subset_size=len(crops), preset=nncf.QuantizationPreset.MIXED)


class Recorder:
    """Passes crops on to a network and keeps them."""

    def __init__(self, network: Network) -> None:
        self.network, self.crops = network, []

    def infer(self, images: Iterable[np.ndarray]) -> list[tuple[np.ndarray, ...]]:
        """What the network says."""
        images = list(images)
        self.crops += images
        return self.network.infer(images)


def compare_blazepose(videos: Sequence[Path], every: int) -> None:
    """BlazePose's landmark network in float32 and in int8 on the crops of people whom it follows."""
    crops: list[np.ndarray] = []
    for path in videos:
        detector = BlazePose(blazepose_weights(None), BlazePoseConfig(mirror=False), max_people=1, threads=1)
        recorder: Any = Recorder(detector._landmarks)
        detector._landmarks = recorder
        with VideoReader(path) as video:
            for frame in video.frames(0, PER_VIDEO * every):
                if frame.index % every == 0:
                    detector.detect([frame.image], [0])
        crops += recorder.crops
    known, unknown = crops[::2], crops[1::2]
    model = prepared(cpu_core(), blazepose_weights(None).landmarks, LANDMARK_NETWORK)
    small = import_module("nncf").quantize(
        model, import_module("nncf").Dataset([crop[None] for crop in known]), subset_size=len(known)
    )
    found = []
    for name, graph in (("f32", model), ("int8", small)):
        network = CompiledModel(cpu_core(), graph, threads=1, precision="f32")
        found.append([decode_landmarks(*out, kernel=REFINE_KERNEL) for out in network.infer(unknown)])
        ms = 1000 * min(_seconds(network, unknown[:TIMED]) for _ in range(ROUNDS)) / min(TIMED, len(unknown))
        print(f"BlazePose landmarks {name:5s} {ms:6.2f} ms a crop", flush=True)
    exact, rounded = (np.stack([one.xy[:N_KEYPOINTS] for one in ones]) for ones in found)
    sure = np.stack([one.confidence[:N_KEYPOINTS] * (one.pose_presence > 0.5) for one in found[0]]) > 0.5
    off = np.linalg.norm(rounded - exact, axis=-1)[sure]
    print(
        f"int8 moves sure keypoints by {np.median(off):.2f} px of 256 (median), {np.quantile(off, 0.95):.2f} px (95 %)"
    )


def report(title: str, graphs: Sequence[Graph], people: Sequence[Person]) -> None:
    """A line for each network."""
    print(f"\n{title}\n{'network':44s} {'crop':>9s} {'':5s} {'near':>7s} {'error':>7s} {'ms':>6s}")
    for graph in graphs:
        near, error, ms = measured(graph, people)
        crop = f"{graph.size[0]}x{graph.size[1]}"
        print(f"{graph.label:44s} {crop:>9s} {graph.precision:5s} {near:7.2%} {error:7.2%} {ms:6.2f}", flush=True)


def measured(graph: Graph, people: Sequence[Person]) -> tuple[float, float, float]:
    """near, error and ms as above."""
    precision = "f32" if graph.precision == "int8" else graph.precision
    network = CompiledModel(cpu_core(), graph.model, threads=1, precision=precision)
    crops = [graph.crop(person) for person in people]
    pictures = [crop.averaged_picture_of(person.image) for crop, person in zip(crops, people, strict=True)]
    spent = [_seconds(network, pictures[:TIMED]) for _ in range(ROUNDS)]
    cells = (graph.size[0] // STRIDE, graph.size[1] // STRIDE)
    head = HeatmapHead("maps", people[0].xy.shape[0], cells)
    places = [read_chances(maps, crop, head).xy for (maps,), crop in zip(network.infer(pictures), crops, strict=True)]
    off = np.linalg.norm(np.stack(places) - np.stack([person.xy for person in people]), axis=-1)
    size = np.array([person.size_px for person in people])
    side = size * graph.padding
    counted = np.isfinite(np.stack([person.xy for person in people])).all(-1)
    near = float((off < NEAR * side[:, None])[counted].mean())
    return near, float(np.median((off / size[:, None])[counted])), 1000 * min(spent) / min(TIMED, len(pictures))


def _seconds(network: CompiledModel, pictures: Sequence[np.ndarray]) -> float:
    started = time.perf_counter()
    network.infer(pictures)
    return time.perf_counter() - started


def rendered(folder: Path, every: int) -> list[Person]:
    """People with the keypoints that are seen; hidden ones do not count."""
    source = RenderedSource(folder)
    people = [source.person(index) for index in range(0, len(source), every)]
    return [Person(p.picture, np.where((p.visibility == SEEN)[:, None], p.xy, np.nan), p.box) for p in people]


def seen_by_blazepose(videos: Sequence[Path], every: int) -> list[Person]:
    """The largest person of every n-th frame, with the keypoints that BlazePose is sure of."""
    people = []
    for path in videos:
        detector = BlazePose(blazepose_weights(None), max_people=1, threads=1)
        with VideoReader(path) as video:
            for frame in video:
                if frame.index % every:
                    continue
                for person in detector.detect([frame.image], [0])[0]:
                    box = box_of_keypoints(person.xy, person.confidence, least=0.1, margin=1.0)
                    sure = np.where((person.confidence > 0.5)[:, None], person.xy, np.nan)
                    if box is not None and np.isfinite(sure).any():
                        people.append(Person(frame.image, sure, box))
    return people


if __name__ == "__main__":
    main()
