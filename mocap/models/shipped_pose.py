"""The small heatmap network that comes with the package: `mocap/weights/<name>.safetensors`, `.json` and `.md`.

The JSON says what network the tensors are of, which keypoints it gives, how its crops are cut and the tensors' SHA-256.
Its heatmaps are chances (`mocap.training.heatmap_likelihood`): a keypoint's confidence is the chance that it lies
within a tenth of the crop's side of the place that is given.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from jaxtyping import Float, UInt8
from openvino.preprocess import PrePostProcessor
from pydantic import Field
from torch import Tensor, nn

from mocap.core.config import Config
from mocap.core.errors import FileFormatError
from mocap.core.keypoints import KeypointSet, load_keypoint_set
from mocap.models.convert_sources import read_source
from mocap.models.detector import missing_as_nan
from mocap.models.folding import folded
from mocap.models.mobile_pose import MobilePose
from mocap.models.onnx_crop import Crop, crop_of
from mocap.models.onnx_model import IMAGENET_RGB
from mocap.models.onnx_pose import HeatmapHead, PoseInBox, PoseOptions
from mocap.models.openvino_runtime import CompiledModel, cpu_core, identity_of
from mocap.models.pose_resnet import STRIDE
from mocap.models.weights import sha256_of

SHIPPED = "mobile_pose_rendered"
NEAR = 0.1
"""Of the crop's side: what a confidence is the chance of, and what training calls near."""
SUREST = 2 * np.pi
"""One over the top of chances that are a Gaussian of one cell, which is what is trained for."""
REMEDY = "Take the files from the same version of the package, or write them with tools/ship_pose.py."


class PoseFile(Config):
    """What stands beside the tensors. config: of the network. size: of the crop (width, height) px, its box padded."""

    network: str = "mobile_pose"
    config: dict[str, int | float]
    sha256: str
    keypoints: str
    size: tuple[int, int]
    padding: float = Field(gt=0)


class ChanceMaps(nn.Module):
    """Pictures (N, 3, H, W), normalised, to chances (N, K, h, w) that sum to 1 for each keypoint."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        logits = self.network(pictures).heatmaps
        return logits.flatten(2).softmax(-1).reshape(logits.shape)


class ShippedPose:
    """A trained small network and how its crops are cut."""

    def __init__(self, weights: Path | None = None) -> None:
        """weights: another file than the package's, with its JSON beside it."""
        self.path = weights or Path(str(resources.files("mocap") / "weights")) / f"{SHIPPED}.safetensors"
        self.about = _about(self.path)
        network = read_source(self.path).network
        if not isinstance(network, MobilePose):
            raise FileFormatError("holds no small heatmap network", where=self.path, remedy=REMEDY)
        self.network = network

    @property
    def keypoint_set(self) -> KeypointSet:
        return load_keypoint_set(self.about.keypoints)

    def graph(self, size: tuple[int, int] | None = None) -> ov.Model:
        """For one 8-bit RGB crop (1, H, W, 3); size: (width, height) in place of that of the training."""
        return picture_graph(ChanceMaps(folded(self.network)).eval(), size or self.about.size)


class ShippedPoseNetwork:
    """Keypoints of people in boxes around their keypoints, computed by OpenVINO."""

    def __init__(self, pose: ShippedPose, *, threads: int = 0, precision: str = "f32") -> None:
        core = cpu_core()
        self._compiled = CompiledModel(core, pose.graph(), threads=threads, precision=precision)
        self.identity = identity_of(pose.path, pose.path.stem, precision)
        self._about = pose.about
        self._head = HeatmapHead("heatmaps", len(pose.keypoint_set), _cells(pose.about.size))

    @property
    def n_keypoints(self) -> int:
        return self._head.n_keypoints

    def estimate(
        self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], boxes: Sequence[Float[np.ndarray, "4"]]
    ) -> list[PoseInBox]:
        """One image and box a person; boxes in image px, around the keypoints."""
        about = self._about
        crops = [crop_of(box, about.size, padding=about.padding, grid="pixel_centre") for box in boxes]
        outputs = self._compiled.infer(_pictures(images, crops))
        return [read_chances(maps, crop, self._head) for (maps,), crop in zip(outputs, crops, strict=True)]


def _cells(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] // STRIDE, size[1] // STRIDE


def read_chances(maps: Float[np.ndarray, "K h w"], crop: Crop, head: HeatmapHead) -> PoseInBox:
    """The tops of maps of chances, refined, and the chance that each keypoint is near its top.

    The heatmaps that are given on have peaks of 1 where the network is as sure as it can be, like those of others.
    """
    pose = head.read({head.output: maps}, crop, PoseOptions())
    xy, confidence = missing_as_nan(pose.xy, chance_near_top(maps), np.ones(len(maps), dtype=bool))
    heatmaps = np.minimum(maps * SUREST, 1.0).astype(np.float16)
    return replace(pose, xy=xy, confidence=confidence, heatmaps=heatmaps)


def chance_near_top(maps: Float[np.ndarray, "K h w"]) -> Float[np.ndarray, "K"]:
    """The share of each map within `NEAR` of its longer side from its highest cell."""
    k, h, w = maps.shape
    rows, columns = np.unravel_index(maps.reshape(k, -1).argmax(-1), (h, w))
    far_x, far_y = np.arange(w) - columns[:, None], np.arange(h) - rows[:, None]
    near = far_x[:, None, :] ** 2 + far_y[:, :, None] ** 2 <= (NEAR * max(h, w)) ** 2
    return np.where(near, maps, 0.0).sum((1, 2), dtype=np.float64)


def picture_graph(network: nn.Module, size: tuple[int, int]) -> ov.Model:
    """A torch network of normalised pictures as OpenVINO's graph of one 8-bit RGB picture."""
    shape = (1, 3, size[1], size[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ov.convert_model(network, example_input=torch.zeros(shape), input=[ov.PartialShape(list(shape))])
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    chain = steps.input().preprocess().convert_element_type(ov.Type.f32)
    chain.mean(list(IMAGENET_RGB.mean)).scale(list(IMAGENET_RGB.std))
    return steps.build()


def write_pose(weights: Path, target: Path, *, keypoints: str, size: tuple[int, int], padding: float) -> PoseFile:
    """A run's weights (.safetensors) as the detector takes them: a copy at `target`, and its JSON beside it."""
    network = read_source(weights).network
    if not isinstance(network, MobilePose):
        raise FileFormatError("holds no small heatmap network", where=weights)
    about = PoseFile(
        config={name: getattr(network.config, name) for name in network.config.__dataclass_fields__},
        sha256=sha256_of(weights),
        keypoints=keypoints,
        size=size,
        padding=padding,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights, target)
    target.with_suffix(".json").write_text(about.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return about


def _pictures(images: Sequence[np.ndarray], crops: Sequence[Crop]) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    return (crop.averaged_picture_of(image) for image, crop in zip(images, crops, strict=True))


def _about(path: Path) -> PoseFile:
    """The JSON beside a file of weights, once they are what it says."""
    note = path.with_suffix(".json")
    for needed in (path, note):
        if not needed.is_file():
            raise FileFormatError("no such file", where=needed, remedy=REMEDY)
    try:
        told: Any = json.loads(note.read_text(encoding="utf-8"))
        about = PoseFile.model_validate(told)
        size_fits = all(side > 0 and side % 32 == 0 for side in about.size)
    except ValueError as error:
        raise FileFormatError(f"does not describe a pose network ({error})", where=note, remedy=REMEDY) from None
    if not size_fits:
        raise FileFormatError("crops must have sides of a multiple of 32", where=note, remedy=REMEDY)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != about.sha256:
        raise FileFormatError(
            f"has SHA-256 {found}, expected {about.sha256} as in {note.name}", where=path, remedy=REMEDY
        )
    return about
