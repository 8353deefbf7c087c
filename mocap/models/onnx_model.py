"""An ONNX (or OpenVINO) image network by path: its picture size and axis order are read from the file.

Convention: pictures go in as 8-bit RGB, height × width × 3. What the network wants (planar or interleaved axes, BGR,
`(pixel - mean) / std`, floats or bytes) is put in front of it, so that it is computed with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from jaxtyping import UInt8
from openvino.preprocess import PrePostProcessor

from mocap.core.errors import FileFormatError
from mocap.models.detector import NetworkIdentity
from mocap.models.openvino_runtime import CompiledModel, cpu_core, identity_of, port_shape, read_network

MAX_SIDE = 4096
"""A picture side beyond this is a misread axis or a malicious file."""


@dataclass(frozen=True)
class Normalisation:
    """channels: rgb or bgr, as the network was trained; mean, std: of R, G and B, in 0 to 255."""

    channels: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET_RGB = Normalisation("rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""MMPose's and timm's: all RTMPose, HRNet and ViTPose models of MMPose."""

IMAGENET_BGR = Normalisation("bgr", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""MMDetection's RTMDet (its configuration lists the same numbers in the order B, G, R)."""

BYTES_BGR = Normalisation("bgr", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""YOLOX since 0.1.1: 0 to 255, B first."""


@dataclass(frozen=True)
class Output:
    """One output of a network for one picture, without the batch axis; -1 for a length that depends on the picture."""

    name: str
    shape: tuple[int, ...]


class OnnxModel:
    """A network file that was read but not compiled: what it takes and gives, so that a caller can decide."""

    def __init__(self, path: Path, *, default_size: tuple[int, int], input_size: tuple[int, int] | None = None) -> None:
        """default_size, input_size: (width, height) for a file that leaves them free; input_size is checked else."""
        if not path.is_file():
            raise FileFormatError("no such network file", where=path)
        self.path = path
        self._core = cpu_core()
        self._model = read_network(self._core, path)
        self._planar, size = _input_axes(self._model, path)
        self.size = _chosen_size(size, input_size, default_size, path)
        self._fix_shape()
        self.outputs = tuple(_output(port) for port in self._model.outputs)

    @property
    def begins_with_slices(self) -> bool:
        """Whether the picture is first cut into its even and odd pixels, as only YOLOX's stem does."""
        targets = self._model.inputs[0].get_target_inputs()
        return len(targets) >= 2 and all("Slice" in target.get_node().get_type_name() for target in targets)

    @property
    def has_attention(self) -> bool:
        """Whether it contains a transformer: a softmax before the last layers. ViTPose has, HRNet has not."""
        return any(op.get_type_name() in ("Softmax", "ScaledDotProductAttention") for op in self._model.get_ops())

    def described(self) -> str:
        """The outputs for an error message."""
        return ", ".join(f"{o.name} {_shape_text((1, *o.shape))}" for o in self.outputs)

    def compiled(self, normalisation: Normalisation, *, threads: int, precision: str, name: str) -> RunnableModel:
        """Ready to run, with the normalisation in front."""
        model = self._with_preprocessing(normalisation)
        compiled = CompiledModel(self._core, model, threads=threads, precision=precision)
        return RunnableModel(self, compiled, identity_of(self.path, name, precision))

    def _fix_shape(self) -> None:
        width, height = self.size
        shape = [1, 3, height, width] if self._planar else [1, height, width, 3]
        try:
            self._model.reshape(ov.PartialShape(shape))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise FileFormatError(
                f"cannot work on one picture of {width}x{height} ({reason})",
                where=self.path,
                remedy="Export it with a free batch axis or for batches of one.",
            ) from None

    def _with_preprocessing(self, normalisation: Normalisation) -> Any:
        steps = PrePostProcessor(self._model)
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        steps.input().model().set_layout(ov.Layout("NCHW" if self._planar else "NHWC"))
        if self._model.inputs[0].element_type.is_real():
            chain = steps.input().preprocess().convert_element_type(ov.Type.f32)
            chain = chain.mean(list(normalisation.mean)).scale(list(normalisation.std))
        if normalisation.channels == "bgr":
            steps.input().preprocess().reverse_channels()
        return steps.build()


class RunnableModel:
    """Runs pictures of the network's size; results by output name."""

    def __init__(self, source: OnnxModel, compiled: CompiledModel, identity: NetworkIdentity) -> None:
        self.size = source.size
        self.identity = identity
        self._names = tuple(output.name for output in source.outputs)
        self._compiled = compiled

    def infer(self, images: Iterable[UInt8[np.ndarray, "H W 3"]]) -> list[dict[str, np.ndarray]]:
        """Outputs of every picture, without the batch axis."""
        return [dict(zip(self._names, arrays, strict=True)) for arrays in self._compiled.infer(images)]


def unsupported(model: OnnxModel, kind: str, known: Sequence[str]) -> FileFormatError:
    """The error for outputs that no decoder fits."""
    return FileFormatError(
        f"as a {kind}, its outputs are not known: {model.described()} for a picture of {model.size[0]}x{model.size[1]}",
        where=model.path,
        remedy=f"Supported: {'; '.join(known)}.",
    )


def _input_axes(model: Any, path: Path) -> tuple[bool, tuple[int, int]]:
    """Whether the axes are planar (N, 3, H, W), and (width, height) with -1 where free."""
    shapes = [port_shape(port) if port.partial_shape.rank.is_static else () for port in model.inputs]
    if len(shapes) == 1 and len(shapes[0]) == 4:
        _, a, b, c = shapes[0]
        if a == 3:
            return True, (c, b)
        if c == 3:
            return False, (b, a)
        if a == -1 and c != -1:
            return True, (c, b)
    inputs = ", ".join(_shape_text(shape) for shape in shapes)
    raise FileFormatError(f"expects {inputs or 'nothing'}, not one picture (N, 3, H, W) or (N, H, W, 3)", where=path)


def _chosen_size(
    in_file: tuple[int, int], asked: tuple[int, int] | None, default: tuple[int, int], path: Path
) -> tuple[int, int]:
    if asked is not None and any(s not in (-1, a) for s, a in zip(in_file, asked, strict=True)):
        raise FileFormatError(
            f"takes pictures of {_size_text(in_file)}, not of {_size_text(asked)} (width x height)", where=path
        )
    wanted = default if asked is None else asked
    width, height = (w if s == -1 else s for s, w in zip(in_file, wanted, strict=True))
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise FileFormatError(f"pictures of {width}x{height} are out of bounds (1 to {MAX_SIDE})", where=path)
    return width, height


def _output(port: Any) -> Output:
    names = sorted(port.get_names())
    shape = port_shape(port) if port.partial_shape.rank.is_static else (-1,)
    return Output(names[0] if names else port.get_node().get_friendly_name(), shape[1:])


def _shape_text(shape: Sequence[int]) -> str:
    return f"({', '.join('?' if n == -1 else str(n) for n in shape)})"


def _size_text(size: tuple[int, int]) -> str:
    return "x".join("any" if n == -1 else str(n) for n in size)
