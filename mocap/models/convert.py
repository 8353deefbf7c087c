"""Networks to files of other runtimes, each computed there and compared with torch before it is believed.

safetensors: the whole network under the checkpoint's keys. onnx, openvino: its parts (`convert_parts`), one file each,
batch normalisation folded in; what is between the parts is `mocap.geometry`.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import openvino as ov
import torch
from torch import Tensor

from mocap.core.config import Config
from mocap.core.errors import InputError
from mocap.geometry.volumes import Aggregation
from mocap.models.convert_parts import Part, computed, parts_of
from mocap.models.convert_sources import SAFETENSORS, Source, read_source, write_safetensors
from mocap.models.folding import folded
from mocap.models.openvino_runtime import available_cores, cpu_core

Target = Literal["safetensors", "onnx", "openvino"]
Shapes = Literal["fixed", "batch", "free"]
OPSET = 17
TOLERANCE = 1e-4
"""Of the largest output: float32 through some hundred layers in another order gives 1e-6 to 1e-5."""
HALF_TOLERANCE = 0.05
"""Weights of 11 bits, 5e-4 each, at random through some hundred layers."""


class ConvertConfig(Config):
    """shapes: fixed, as in size and views; batch: any number of pictures or volumes; free: of any size too.

    size: (width, height) px. views: pictures at a time where that is fixed. half: weights of OpenVINO files in 16 bits.
    aggregation: of a volumetric checkpoint, which does not say it.
    """

    shapes: Shapes = "batch"
    size: tuple[int, int] = (384, 384)
    views: int = 4
    half: bool = False
    aggregation: Aggregation | None = None


@dataclass(frozen=True)
class Converted:
    """A file that was written. differences: by output, the largest one to torch; scales: its largest value in torch."""

    target: Target
    part: str
    path: Path
    differences: Mapping[str, float]
    scales: Mapping[str, float]


def convert(checkpoint: Path, folder: Path, targets: Sequence[str], config: ConvertConfig) -> list[Converted]:
    """Write and check `<checkpoint's name>[.<part>].<suffix>` in a folder; what computes something else is not kept."""
    unknown = [target for target in targets if target not in get_args(Target)]
    if unknown or not targets:
        raise InputError(
            f"cannot convert to {', '.join(unknown) or 'nothing'}; there are {', '.join(get_args(Target))}"
        )
    if config.views < 1:
        raise InputError(f"views is {config.views}; it must be at least 1")
    source = read_source(checkpoint, aggregation=config.aggregation)
    runtimes: list[Target] = [target for target in ("onnx", "openvino") if target in targets]
    parts = parts_of(source.network, size=config.size, views=config.views) if runtimes else ()
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Converted] = []
    if "safetensors" in targets:
        written.append(_to_safetensors(source, checkpoint, folder))
    return written + [
        _to_runtime(part, target, folder / checkpoint.stem, config) for target in runtimes for part in parts
    ]


def export_onnx(part: Part, path: Path, shapes: Shapes) -> None:
    """One ONNX file. The exporter is the one that needs no further package."""
    free = {axis: name for axis, name in enumerate(part.axes) if name is not None and _is_free(name, shapes)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's age, and that checks of shapes are not recorded
        torch.onnx.export(
            part.network,
            (part.example,),
            str(path),
            input_names=[part.input],
            output_names=list(part.outputs),
            dynamic_axes={part.input: free} | {name: {0: "N"} for name in part.outputs} if free else None,
            opset_version=OPSET,
            dynamo=False,
        )


def openvino_model(part: Part, shapes: Shapes) -> ov.Model:
    """The part as OpenVINO's graph, batch normalisation folded, inputs and outputs named."""
    shape = [
        -1 if name is not None and _is_free(name, shapes) else size
        for name, size in zip(part.axes, part.example.shape, strict=True)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ov.convert_model(folded(part.network), example_input=part.example, input=[ov.PartialShape(shape)])
    model.inputs[0].get_tensor().set_names({part.input})
    for port, name in zip(model.outputs, part.outputs, strict=True):
        port.get_tensor().set_names({name})
    return model


def run_openvino(model: ov.Model | Path, given: Tensor) -> list[Tensor]:
    """A graph or file on the CPU in float32."""
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": min(available_cores(), torch.get_num_threads()),
    }
    compiled = cpu_core().compile_model(model, "CPU", settings)
    found = compiled(given.numpy())
    return [torch.from_numpy(found[index].copy()) for index in range(len(compiled.outputs))]


def _is_free(axis: str, shapes: Shapes) -> bool:
    return shapes == "free" or (shapes == "batch" and axis == "N")


def _to_safetensors(source: Source, checkpoint: Path, folder: Path) -> Converted:
    path = folder / f"{checkpoint.stem}{SAFETENSORS}"
    if path.exists() and path.samefile(checkpoint):
        raise InputError("would be written over itself", where=path, remedy="Choose another folder with -o.")

    def write(scratch: Path) -> Converted:
        write_safetensors(source.network, scratch)
        again, state = read_source(scratch).network.state_dict(), source.network.state_dict()
        worst = max(float((again[key].double() - state[key].double()).abs().max()) for key in state)
        largest = max(float(tensor.double().abs().max()) for tensor in state.values())
        return Converted("safetensors", "network", path, {"tensors": worst}, {"tensors": largest})

    return _believed(write, path, tolerance=0.0)


def _to_runtime(part: Part, target: Target, stem: Path, config: ConvertConfig) -> Converted:
    path = stem.with_name(f"{stem.name}.{part.name}.{'onnx' if target == 'onnx' else 'xml'}")

    def write(scratch: Path) -> Converted:
        if target == "onnx":
            export_onnx(part, scratch, config.shapes)
        else:
            ov.save_model(openvino_model(part, config.shapes), scratch, compress_to_fp16=config.half)
        differences: dict[str, float] = dict.fromkeys(part.outputs, 0.0)
        scales = dict(differences)
        for given in _probes(part, config.shapes):
            for (name, expected), found in zip(
                computed(part, given).items(), run_openvino(scratch, given), strict=True
            ):
                differences[name] = max(differences[name], float((found - expected).abs().max()))
                scales[name] = max(scales[name], float(expected.abs().max()))
        return Converted(target, part.name, path, differences, scales)

    return _believed(write, path, tolerance=HALF_TOLERANCE if config.half and target == "openvino" else TOLERANCE)


def _probes(part: Part, shapes: Shapes) -> list[Tensor]:
    """The example, and where axes are free another number and another last side."""
    if shapes == "fixed":
        return [part.example]
    count, *rest = part.example.shape
    if shapes == "free":
        rest[-1] += part.multiple
    other = torch.randn((count + 1, *rest), generator=torch.Generator().manual_seed(3))
    return [part.example, other[: 1 if count > 1 else 2]]


def _believed(write: Callable[[Path], Converted], path: Path, *, tolerance: float) -> Converted:
    """Move what was written into its place if it computes what torch does."""
    with tempfile.TemporaryDirectory(prefix=".convert-", dir=path.parent) as name:
        scratch = Path(name) / path.name
        converted = write(scratch)
        for output, difference in converted.differences.items():
            # Not "greater than": NaN is no agreement.
            if not difference <= tolerance * converted.scales[output]:
                raise InputError(
                    f"{output} differs from torch by {difference:.3g}, of values up to {converted.scales[output]:.3g}; "
                    f"{tolerance:g} of them was expected at most, so the file was not kept",
                    where=path,
                    remedy=_remedy(converted.target),
                )
        for made in sorted(Path(name).iterdir()):
            made.replace(path.parent / made.name)
    return converted


def _remedy(target: Target) -> str:
    others: Any = [other for other in get_args(Target) if other != target]
    return f"Convert with full precision, or to {' or '.join(others)}."
