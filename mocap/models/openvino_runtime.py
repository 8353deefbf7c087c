"""Networks on the CPU through OpenVINO: one image per request, many requests at once, the same numbers everywhere.

OpenVINO picks bfloat16 by itself where the processor has it, and moves BlazePose's keypoints by 0.25 px of its crop
(0.8 px of a 1088x1920 image, median) when it does; float32 is therefore asked for by name. With it the outputs were
equal to the last bit for 1, 2 and 4 threads, 1 and 2 streams and batches of 1, 2 and 4.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from jaxtyping import UInt8
from openvino.preprocess import PrePostProcessor

from mocap.core.errors import FileFormatError
from mocap.models.detector import NetworkIdentity
from mocap.models.signal_stack import kept_signal_stack
from mocap.models.weights import sha256_of

MAX_STREAMS = 4
"""Images worked on at the same time; further threads work inside an image. Four cameras are the common case."""


@dataclass(frozen=True)
class NetworkSpec:
    """What is asked of a network file: an 8-bit RGB picture goes in as `(pixel - mean) / scale`, outputs come by shape.

    outputs: the shapes to return, in this order. Whatever else the file computes is cut away (the segmentation mask of
    BlazePose is 40 % of its landmark network's time).
    """

    name: str
    input_shape: tuple[int, ...]
    outputs: tuple[tuple[int, ...], ...]
    mean: float
    scale: float


class CompiledModel:
    """A network with one 8-bit image a request as its input; safe to call from one thread at a time.

    The requests are kept and waited for here: OpenVINO's own AsyncInferQueue, which calls back into Python, was seen
    to hang when it was taken down (2026.4: its destructor holds the interpreter's lock that the callback waits for).
    """

    def __init__(self, core: ov.Core, model: ov.Model, *, threads: int, precision: str) -> None:
        compiled = core.compile_model(model, "CPU", _settings(threads, precision))
        count = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._requests = [compiled.create_infer_request() for _ in range(count)]

    def infer(self, images: Iterable[UInt8[np.ndarray, "H W 3"]]) -> list[tuple[np.ndarray, ...]]:
        """Outputs of every image, without the batch axis. Lazy images are made while earlier ones are computed."""
        results: list[tuple[np.ndarray, ...]] = []
        running: deque[ov.InferRequest] = deque()
        try:
            for index, image in enumerate(images):
                if len(running) == len(self._requests):
                    results.append(_finished(running.popleft()))
                request = self._requests[index % len(self._requests)]
                request.start_async({0: image[None]})
                running.append(request)
            while running:
                results.append(_finished(running.popleft()))
        finally:
            # After an error or Ctrl-C, which may strike between the start of a request and its place in `running`:
            # nothing may still be computing when the next call comes.
            for request in self._requests:
                request.wait()
        return results


class Network(CompiledModel):
    """A known network, checked against its specification."""

    def __init__(self, path: Path, spec: NetworkSpec, *, threads: int = 0, precision: str = "f32") -> None:
        self.identity = identity_of(path, spec.name, precision)
        core = cpu_core()
        super().__init__(core, _prepared(core, path, spec), threads=threads, precision=precision)


def cpu_core() -> ov.Core:
    """OpenVINO with its CPU plugin loaded, and this thread's signals handled where they were before."""
    with kept_signal_stack():
        core = ov.Core()
        core.get_property("CPU", "FULL_DEVICE_NAME")  # loads the plugin
    return core


def identity_of(path: Path, name: str, precision: str) -> NetworkIdentity:
    """What reports and caches say about a network file."""
    return NetworkIdentity(name, sha256_of(path), f"openvino {ov.__version__} CPU {precision}")


def _finished(request: ov.InferRequest) -> tuple[np.ndarray, ...]:
    """Its outputs, copied: the request's memory is used again."""
    request.wait()
    return tuple(np.array(tensor.data[0]) for tensor in request.output_tensors)


def _settings(threads: int, precision: str) -> dict[str, Any]:
    count = threads if threads > 0 else available_cores()
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "EXECUTION_MODE_HINT": "ACCURACY" if precision == "f32" else "PERFORMANCE",
        "INFERENCE_NUM_THREADS": count,
        "NUM_STREAMS": str(min(count, MAX_STREAMS)),
    }


def available_cores() -> int:
    """Cores that this process may use, which containers and batch systems often limit."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, len(affinity(0)) if affinity is not None else (os.cpu_count() or 1))


def read_network(core: ov.Core, path: Path) -> Any:
    """The model in a .tflite, .onnx or .xml file."""
    try:
        return core.read_model(path)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise FileFormatError(f"not a network that OpenVINO can read ({reason})", where=path) from None


def _prepared(core: ov.Core, path: Path, spec: NetworkSpec) -> ov.Model:
    model = read_network(core, path)
    inputs, outputs = ([port_shape(port) for port in ports] for ports in (model.inputs, model.outputs))
    wanted = [(1, *shape) for shape in spec.outputs]
    if inputs != [(1, *spec.input_shape)] or any(shape not in outputs for shape in wanted):
        raise FileFormatError(
            f"not the network {spec.name!r}: it maps {inputs} to {outputs}, "
            f"expected {[(1, *spec.input_shape)]} to {wanted} among others",
            where=path,
        )
    kept: list[Any] = [model.outputs[outputs.index(shape)].get_node().input_value(0) for shape in wanted]
    make: Any = ov.Model  # its annotations do not know the class that read_model returns
    cut = make(kept, model.get_parameters(), spec.name)
    steps = PrePostProcessor(cut)
    steps.input().tensor().set_element_type(ov.Type.u8)
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean(spec.mean).scale(spec.scale)
    return steps.build()


def port_shape(port: Any) -> tuple[int, ...]:
    """The shape of an input or output, -1 for a free axis."""
    return tuple(int(d.get_length()) if d.is_static else -1 for d in port.partial_shape)
