"""`mocap train`: networks from data, in a run folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mocap.cli.console import heed_signals, print_json, print_path, stderr, tell
from mocap.cli.progress import log, start_plain_log

if TYPE_CHECKING:
    from mocap.training.loop import Progress, Trained, Watch
    from mocap.training.run_folder import RunFolder
    from mocap.training.train_config import TrainConfig

LINE_INTERVAL_S = 30.0
BAR_PARTS = 10_000

EXAMPLE = """
What can be trained: [bold]algebraic[/] and [bold]volumetric[/] triangulation, [bold]heatmap[/] networks. Recipes lie
in configs/train/: algebraic_blazepose.toml and volumetric_blazepose.toml are for the networks that come with this
package, whose model cards (mocap/weights/*.md) say which runs made them. So is heatmap_rendered.toml, for a small 2D
network from rendered people; heatmap_coco.toml trains one on COCO, heatmap_sessions.toml fine-tunes it to yours.

[bold]Examples[/]

  mocap train volumetric --config configs/train/volumetric_blazepose.toml -o runs/volumetric

  mocap train algebraic --set schedule.steps=0 --set schedule.minutes=30 --set precision=bfloat16 -o runs/half_hour

  mocap train heatmap --config configs/train/heatmap_coco.toml -o runs/heatmap

  mocap train volumetric -o runs/volumetric --resume

  torchrun --nproc-per-node 4 -m mocap.cli.main train volumetric -o runs/four_gpus

The run folder holds the configuration, what code and machine made it, metrics.csv, validation.csv, events for
TensorBoard, checkpoint.pt to go on from, weights.safetensors of the best validation, and for triangulation the same as
[bold]--set triangulate.learned.weights=RUN[/] of `mocap process` takes it.
"""


def command(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="heatmap, algebraic or volumetric.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="RUN", help="Folder of the run.")],
    config: Annotated[Path | None, typer.Option("--config", help="Recipe, see configs/train/.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key; may be repeated.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a network."""
    start_plain_log()
    from mocap.training.loop import train
    from mocap.training.registry import make_task, write_ready
    from mocap.training.run_folder import RunFolder

    folder = RunFolder(output)
    values = chosen_config(what, folder, config, settings or [], resume=resume)
    with watching(what) as watch:
        trained = train(make_task(what, values), values, folder, name=what, resume=resume, watch=watch)
    if is_first_process():
        ready = write_ready(what, values, folder)
        show(trained, folder, ready, as_json=as_json)


command.__doc__ = (command.__doc__ or "") + EXAMPLE


def chosen_config(
    what: str, folder: RunFolder, config: Path | None, settings: list[str], *, resume: bool
) -> TrainConfig:
    """The recipe, or what the run in the folder was begun with."""
    from mocap.core.config import load_config
    from mocap.core.errors import InputError
    from mocap.training.registry import run_config

    kind = run_config(what)
    if not resume:
        return load_config(kind, config, settings)
    if config is not None or settings:
        raise InputError(
            "a run goes on with the configuration that it was begun with",
            where="--resume",
            remedy="Leave --config and --set away, or begin a new run with --set start_from=RUN/weights.safetensors.",
        )
    folder.check(what)
    return load_config(kind, folder.config)


def is_first_process() -> bool:
    """Whether this process speaks for all that torchrun started."""
    import os

    return os.environ.get("RANK", "0") == "0"


def show(trained: Trained, folder: RunFolder, ready: Path | None, *, as_json: bool) -> None:
    """How the run ended; `ready` is what the pipeline takes."""
    if as_json:
        from dataclasses import asdict

        print_json(
            {
                **asdict(trained),
                "folder": str(folder.path),
                "weights": str(folder.weights),
                "ready": ready and str(ready),
            }
        )
        return
    tell(f"{trained.steps} steps in {trained.seconds / 60:.1f} min: {escape(trained.reason)}")
    for name, value in trained.best.items():
        tell(f"  {name.replace('_', ' ')}: {value:.5g} (step {trained.best_step})")
    if ready is not None:
        told = f"--set triangulate.method={ready.name.split('_')[0]} --set triangulate.learned.weights={folder.path}"
        tell(f"  try them: mocap process TAKE {escape(told)}")
    print_path(folder.weights)


@contextmanager
def watching(what: str) -> Iterator[Watch]:
    """A bar with the time that is left on a terminal, a line now and then elsewhere; nothing of further processes."""
    if not is_first_process():
        yield lambda progress: heed_signals()
        return
    if not stderr.is_terminal:
        yield Lines(what)
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn(f"{what} {{task.description}}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    left = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Bars(*columns, *left, console=stderr, speed_estimate_period=300.0) as bars:
        bar = bars.add_task("", total=BAR_PARTS)

        def watch(progress: Progress) -> None:
            heed_signals()
            bars.update(bar, completed=round(progress.done * BAR_PARTS), description=described(progress))

        yield watch


class Lines:
    """A line every half minute, with the time that is left as far as this process can tell."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._last = time.monotonic()
        self._done_before: float | None = None

    def __call__(self, progress: Progress) -> None:
        heed_signals()
        if self._done_before is None:
            self._done_before = progress.done
            self._began = time.monotonic()
        now = time.monotonic()
        if now - self._last < LINE_INTERVAL_S:
            return
        self._last = now
        made = progress.done - self._done_before
        left = f", {(now - self._began) * (1 - progress.done) / made / 60:.1f} min left" if made > 0 else ""
        log.info("%s %s %.1f %%%s", self._what, described(progress), 100 * progress.done, left)


def described(progress: Progress) -> str:
    """The step, the loss, and the best validation's first figure."""
    best = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in list(progress.validated.items())[:1]]
    return ", ".join([f"step {progress.step}", f"loss {progress.loss:.4g}", *best])
