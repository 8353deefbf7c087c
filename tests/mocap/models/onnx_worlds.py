"""Small real ONNX networks whose answers can be computed, and pictures to show them.

A person is three round blobs, red, green and blue, of Gaussian brightness: a pose network finds keypoint k as the
blob of colour k (mod 3), a person network the bounds of everything that is bright in one half of the picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)
STD = np.array([58.395, 57.12, 57.375], dtype=np.float32)
BRIGHT = 0.5
"""Above the grey beside a picture (114 of 255)."""


class Graph:
    """Collects nodes; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list = []
        self.constants: list = []
        self._count = 0

    def name(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def constant(self, value) -> str:
        array = np.asarray(value)
        name = self.name()
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *inputs: str, to: str | None = None, **attributes) -> str:
        name = to or self.name()
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def as_float(self, value: str) -> str:
        name = self.name()
        self.nodes.append(helper.make_node("Cast", [value], [name], to=TensorProto.FLOAT))
        return name

    def f32(self, *values) -> str:
        return self.constant(np.array(values, dtype=np.float32))

    def i64(self, *values) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def save(self, path: Path, input_shape: list, outputs: dict[str, tuple[int, list]]) -> Path:
        """outputs: name → (element type, shape); a text in a shape is a free axis."""
        graph = helper.make_graph(
            self.nodes,
            "test",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, input_shape)],
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)
        return path


def restored(g: Graph, *, channels: str = "rgb") -> str:
    """The picture as R, G, B planes in 0 to 1, from an input normalised by MEAN and STD."""
    order = slice(None) if channels == "rgb" else slice(None, None, -1)
    planes = g.op("Mul", "input", g.constant((STD[order] / 255).reshape(1, 3, 1, 1)))
    planes = g.op("Add", planes, g.constant((MEAN[order] / 255).reshape(1, 3, 1, 1)))
    return planes if channels == "rgb" else g.op("Gather", planes, g.i64(2, 1, 0), axis=1)


def per_keypoint(g: Graph, planes: str, count: int) -> str:
    return g.op("Gather", planes, g.constant(np.arange(count, dtype=np.int64) % 3), axis=1)


def heatmap_network(path: Path, *, grid: str, size: tuple[int, int], count: int = 3, channels: str = "rgb") -> Path:
    """Brightness of each colour on a grid of a quarter of the size, aligned as `grid` says."""
    g = Graph()
    planes = per_keypoint(g, restored(g, channels=channels), count)
    width, height = size
    if grid == "stride":
        g.op("Slice", planes, g.i64(0, 0), g.i64(height, width), g.i64(2, 3), g.i64(4, 4), to="heatmaps")
    elif grid == "pixel_centre":
        g.op("AveragePool", planes, to="heatmaps", kernel_shape=[4, 4], strides=[4, 4])
    else:
        sizes = g.constant(np.array([1, count, height // 4, width // 4], dtype=np.int64))
        g.op(
            "Resize", planes, "", "", sizes, to="heatmaps", mode="linear",
            coordinate_transformation_mode="align_corners",
        )  # fmt: skip
    shape = [1, count, height // 4, width // 4]
    return g.save(path, [1, 3, height, width], {"heatmaps": (TensorProto.FLOAT, shape)})


def simcc_network(
    path: Path, *, size: tuple[int, int], count: int = 17, ratio: int = 2, batch: str | int = "N"
) -> Path:
    """Profiles of each colour along x and y; bin b lies at b / ratio."""
    g = Graph()
    planes = per_keypoint(g, restored(g), count)
    width, height = size
    outputs = {}
    for name, axis, length in (("simcc_x", 2, width), ("simcc_y", 3, height)):
        profile = g.op("ReduceMax", planes, axes=[axis], keepdims=0)
        g.op(
            "Resize", profile, "", g.f32(1, 1, ratio), to=name, mode="linear",
            coordinate_transformation_mode="asymmetric",
        )  # fmt: skip
        outputs[name] = (TensorProto.FLOAT, [batch, count, length * ratio])
    return g.save(path, [batch, 3, height, width], outputs)


def two_box_network(path: Path, *, size: tuple[int, int], labels: tuple[int, int] | None = (0, 0)) -> Path:
    """dets (1, 2, 5): bounds of what is bright in the left and right half; edges count from the picture's edge.

    The score is the greatest brightness of the half. Input as RTMDet's: BGR, MEAN and STD.
    """
    g = Graph()
    planes = restored(g, channels="bgr")
    bright = g.op("ReduceMax", planes, axes=[1], keepdims=0)
    width, height = size
    rows = []
    for start, end in ((0, width // 2), (width // 2, width)):
        half = g.op("Slice", bright, g.i64(start), g.i64(end), g.i64(2))
        score = g.op("ReduceMax", half, axes=[1, 2], keepdims=0)
        lit = g.as_float(g.op("Greater", half, g.f32(BRIGHT)))
        x0, x1 = _bounds(g, lit, axis=1, length=end - start)
        y0, y1 = _bounds(g, lit, axis=2, length=height)
        shift = g.f32(start)
        x0, x1 = g.op("Add", x0, shift), g.op("Add", x1, shift)
        parts = [g.op("Unsqueeze", v, g.i64(1)) for v in (x0, y0, x1, y1, score)]
        rows.append(g.op("Unsqueeze", g.op("Concat", *parts, axis=1), g.i64(1)))
    g.op("Concat", *rows, to="dets", axis=1)
    outputs = {"dets": (TensorProto.FLOAT, [1, 2, 5])}
    if labels is not None:
        g.op("Identity", g.constant(np.array([labels], dtype=np.int64)), to="labels")
        outputs["labels"] = (TensorProto.INT64, [1, 2])
    return g.save(path, [1, 3, height, width], outputs)


def _bounds(g: Graph, lit: str, *, axis: int, length: int) -> tuple[str, str]:
    """First and last + 1 lit index along the other axis, as floats (1,)."""
    profile = g.op("ReduceMax", lit, axes=[axis], keepdims=0)
    backwards = g.op("Slice", profile, g.i64(-1), g.i64(-length - 1), g.i64(1), g.i64(-1))
    ends = []
    for values in (profile, backwards):
        ends.append(g.as_float(g.op("ArgMax", values, axis=1, keepdims=0)))
    return ends[0], g.op("Sub", g.f32(length), ends[1])


YOLOX_XY = (0.25, 0.75)
YOLOX_LOG_WH = (0.5, 1.0)


def yolox_network(path: Path, *, size: tuple[int, int], decoded: bool = False, classes: int = 2) -> Path:
    """Objectness of a cell: mean brightness of one plane, B at stride 8, G at 16, R at 32. Class 0 is 1, others 0.5.

    Every cell says the box with centre YOLOX_XY and size exp(YOLOX_LOG_WH), in strides. Input 0 to 255, BGR.
    """
    g = Graph()
    width, height = size
    levels = []
    for plane, stride in enumerate((8, 16, 32)):
        picture = g.op("Gather", "input", g.i64(plane), axis=1)
        mean = g.op("AveragePool", picture, kernel_shape=[stride, stride], strides=[stride, stride])
        objectness = g.op("Transpose", g.op("Reshape", mean, g.i64(1, 1, -1)), perm=[0, 2, 1])
        objectness = g.op("Div", objectness, g.f32(255))
        columns, rows = width // stride, height // stride
        fixed = np.tile(np.array([*YOLOX_XY, *YOLOX_LOG_WH], dtype=np.float32), (1, columns * rows, 1))
        if decoded:
            x, y = np.meshgrid(np.arange(columns), np.arange(rows))
            fixed[0, :, :2] = (fixed[0, :, :2] + np.stack([x, y], -1).reshape(-1, 2)) * stride
            fixed[0, :, 2:] = np.exp(fixed[0, :, 2:]) * stride
        kinds = np.full((1, columns * rows, classes), 0.5, dtype=np.float32)
        kinds[..., 0] = 1.0
        levels.append(g.op("Concat", g.constant(fixed), objectness, g.constant(kinds), axis=2))
    g.op("Concat", *levels, to="output", axis=1)
    anchors = sum((width // s) * (height // s) for s in (8, 16, 32))
    return g.save(path, [1, 3, height, width], {"output": (TensorProto.FLOAT, [1, anchors, 5 + classes])})


def pass_through_network(path: Path, shape: list) -> Path:
    """Gives back what it is given."""
    g = Graph()
    g.op("Identity", "input", to="picture")
    return g.save(path, shape, {"picture": (TensorProto.FLOAT, shape)})


def network_with_outputs(path: Path, shapes: dict[str, list[int]], *, size: tuple[int, int] = (192, 256)) -> Path:
    """Zeros of the given shapes, for the recognition alone."""
    g = Graph()
    zero = g.op("Mul", g.op("ReduceMean", "input", keepdims=0), g.f32(0.0))
    for name, shape in shapes.items():
        g.op("Add", g.constant(np.zeros(shape, dtype=np.float32)), zero, to=name)
    outputs = {name: (TensorProto.FLOAT, list(shape)) for name, shape in shapes.items()}
    return g.save(path, [1, 3, size[1], size[0]], outputs)


def picture_of_people(size: tuple[int, int], people: list[np.ndarray], *, sigma: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB: person p has a blob of colour k centred at people[p][k] px."""
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    picture = np.zeros((size[1], size[0], 3))
    for points in people:
        for colour, (x, y) in enumerate(points):
            blob = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
            picture[..., colour] = np.maximum(picture[..., colour], blob)
    return np.round(255 * picture).astype(np.uint8)
