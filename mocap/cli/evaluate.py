"""`mocap evaluate`: how far results are from the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from mocap.cli.console import explained, print_json, print_path, stdout, tell
from mocap.cli.progress import observer_for_this_output, start_plain_log

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mocap.evaluation.compare import Comparison, MethodEvidence
    from mocap.evaluation.take import TakeOptions


class TakesFirst(TyperGroup):
    """`mocap evaluate PATH` means `mocap evaluate take PATH`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that a word names, or `take` for what lies on the disk."""
        if args and args[0] not in self.commands and Path(args[0]).exists():
            args = ["take", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=TakesFirst, help="Compare results with the truth.", no_args_is_help=True, rich_markup_mode="rich")

TAKE_EXAMPLE = """
What `mocap process` made of synthetic takes, stage by stage, against their [bold]truth.npz[/]: pixels, points in space,
joints, angles, feet, people, and the calibration.

[bold]Examples[/]

  mocap evaluate take my_session

  mocap evaluate take my_session/takes/walk --plots plots

  mocap evaluate take my_session --align rigid --offset-ms auto --json

  mocap evaluate take my_session/takes/walk --compare dlt,ransac,robust,algebraic,volumetric --plots plots

With [bold]--compare[/] the keypoints of any take are triangulated by each method: reprojection, limb lengths and
jitter need no truth. Else frame i of a result is compared with the bodies at the moment of picture i of the take's
first camera.
"""
POINTS_EXAMPLE = """
Files: keypoints of a take ([bold]smooth.h5[/], [bold]triangulate.h5[/]) or its motion ([bold]feet.h5[/]),
truth.npz, BVH, .npz (names, xyz in metres) or .csv (frame,name,x,y,z). Points are compared by name, frame by frame.

[bold]Examples[/]

  mocap evaluate points takes/walk/derived/smooth.h5 takes/walk/truth.npz

  mocap evaluate points mine.csv theirs.bvh --protocol human36m --offset-ms auto
"""
RIG_EXAMPLE = """
[bold]Example[/]

  mocap evaluate rig calibration/rig.toml takes/walk/truth.npz --align rigid

Both may be any calibration that `mocap process --rig` reads, or a truth.npz. Cameras are compared by name.
"""
SYNC_EXAMPLE = """
[bold]Example[/]

  mocap evaluate sync my_session/takes/walk

Frames are put at their times in [bold]timestamps.csv[/], or at index / fps without one or with --nominal; take.toml's
clock offsets are added.
"""

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Plots = Annotated[Path | None, typer.Option("--plots", metavar="FOLDER", help="Write pictures (PNG) there.")]
Protocol = Annotated[
    str | None, typer.Option("--protocol", help="A published one: human36m, cmu_panoptic, shelf, campus, mpi_inf_3dhp.")
]
Align = Annotated[str, typer.Option("--align", help="Put results into the true world first: none, rigid, similarity.")]
Offset = Annotated[
    str, typer.Option("--offset-ms", metavar="MS|auto", help="Take the truth so much later; auto finds the best.")
]


def take(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Synthetic takes, or sessions of them.")],
    rig: Annotated[
        Path | None, typer.Option("--rig", help="The calibration that was used, instead of the session's.")
    ] = None,
    align: Align = "none",
    offset_ms: Offset = "0",
    protocol: Protocol = None,
    compare: Annotated[
        str | None, typer.Option("--compare", metavar="METHOD,…", help="Ways to triangulate, side by side; or all.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="With --compare: the pipeline's configuration file.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="With --compare: override one key of it.")
    ] = None,
    plots: Plots = None,
    as_json: Json = False,
) -> None:
    """Judge processed synthetic takes."""
    start_plain_log()
    if compare is not None:
        _compare(paths, compare, (config, settings or ()), rig=rig, plots=plots, as_json=as_json)
        return
    from mocap.evaluation.report import take_lines
    from mocap.evaluation.take import evaluate_take
    from mocap.jobs import find_jobs

    options = _options(align, offset_ms, protocol)
    if plots is not None:
        from mocap.evaluation.plots import require_plots

        require_plots()
    jobs = find_jobs(paths, rig=rig)
    documents = []
    for number, job in enumerate(jobs, start=1):
        report, evidence = evaluate_take(job.take, job.folders.derived, rig_path=job.rig_path, options=options)
        documents.append(report.model_dump(mode="json"))
        if not as_json:
            _show(take_lines(report))
        if plots is not None:
            from mocap.evaluation.plots import plot_take

            twins = [other.label for other in jobs].count(job.label) > 1
            folder = plots / (f"{job.label}_{number}" if twins else job.label) if len(jobs) > 1 else plots
            _announce(plot_take(report, evidence, folder), as_json)
    if as_json:
        print_json(documents)


take.__doc__ = (take.__doc__ or "") + TAKE_EXAMPLE


def points(
    prediction: Annotated[Path, typer.Argument(help="What is judged.")],
    truth: Annotated[Path, typer.Argument(help="What it should be.")],
    offset_ms: Offset = "0",
    protocol: Protocol = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second, where the files do not say.")] = None,
    plots: Plots = None,
    as_json: Json = False,
) -> None:
    """Judge one file of points or joints by another."""
    start_plain_log()
    from mocap.evaluation.files import evaluate_files
    from mocap.evaluation.report import points_lines

    if plots is not None:
        from mocap.evaluation.plots import require_plots

        require_plots()
    options = _options("none", offset_ms, protocol)
    report, matched, notes = evaluate_files(
        prediction, truth, offset_ms=options.offset_ms, protocol=options.protocol, fps=fps
    )
    if as_json:
        print_json({**report.model_dump(mode="json"), "notes": list(notes)})
    else:
        _show([*points_lines(report.points, report.offset), *(f"[yellow]note[/] {escape(note)}" for note in notes)])
    if plots is not None:
        from mocap.evaluation.plots import plot_points

        _announce(plot_points({"prediction": report.points}, {"prediction": matched}, plots), as_json)


points.__doc__ = (points.__doc__ or "") + POINTS_EXAMPLE


def rig(
    found: Annotated[Path, typer.Argument(metavar="RIG", help="Calibration that is judged.")],
    true: Annotated[Path, typer.Argument(metavar="TRUE_RIG", help="Calibration that it should be, or truth.npz.")],
    align: Align = "none",
    as_json: Json = False,
) -> None:
    """Judge a calibration by the true one."""
    start_plain_log()
    from mocap.evaluation.files import read_rig_file
    from mocap.evaluation.report import rig_table
    from mocap.evaluation.rig_metrics import rig_report

    options = _options(align, "0", None)
    report = rig_report(read_rig_file(found), read_rig_file(true), alignment=options.align)
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    _show([rig_table(report)])


rig.__doc__ = (rig.__doc__ or "") + RIG_EXAMPLE


def sync(
    path: Annotated[Path, typer.Argument(metavar="TAKE", help="A synthetic take.")],
    nominal: Annotated[
        bool, typer.Option("--nominal", help="Frame i at i / fps, whatever timestamps.csv says.")
    ] = False,
    reference: Annotated[str | None, typer.Option(help="The camera that clocks are compared with.")] = None,
    as_json: Json = False,
) -> None:
    """Judge when frames were taken."""
    start_plain_log()
    from mocap.evaluation.files import evaluate_sync
    from mocap.evaluation.report import sync_table
    from mocap.io.session_files import open_take

    report, source = evaluate_sync(open_take(path), nominal=nominal, reference=reference)
    if as_json:
        print_json({**report.model_dump(mode="json"), "times": source})
        return
    _show([f"[dim]times: {escape(source)}[/]", sync_table(report)])


sync.__doc__ = (sync.__doc__ or "") + SYNC_EXAMPLE


def _compare(
    paths: Sequence[str],
    listed: str,
    pipeline: tuple[Path | None, Sequence[str]],
    *,
    rig: Path | None,
    plots: Path | None,
    as_json: bool,
) -> None:
    """Triangulate takes by several methods and judge all of them alike."""
    from mocap.core.config import load_config
    from mocap.evaluation.compare import compare_methods, methods_of, triangulate_by
    from mocap.evaluation.compare_report import comparison_lines
    from mocap.io.truth_file import load_truth
    from mocap.jobs import find_jobs
    from mocap.pipeline import PipelineConfig, associated_take

    if plots is not None:
        from mocap.evaluation.plots import require_plots

        require_plots()
    values = load_config(PipelineConfig, *pipeline)
    methods = methods_of(listed, values.triangulate)
    needy = next((method for method in ("volumetric", "algebraic") if method in methods), "robust")
    values = values.model_copy(update={"triangulate": values.triangulate.model_copy(update={"method": needy})})
    documents = []
    jobs = find_jobs(paths, rig=rig)
    for job in jobs:
        with (
            observer_for_this_output(job.take.name) as observer,
            associated_take(job, values, observer=observer) as given,
        ):
            found = triangulate_by(methods, given.points, given.rig, values.triangulate, given.heatmaps)
        file = job.take.root / "truth.npz"
        root = job.take.session_root
        report, evidence = compare_methods(
            found,
            given.points,
            given.rig,
            truth=load_truth(file) if file.is_file() else None,
            names=(job.take.name, None if root is None else root.resolve().name),
        )
        documents.append(report.model_dump(mode="json"))
        if not as_json:
            _show(comparison_lines(report))
        if plots is not None:
            _announce(_write_comparison(report, evidence, plots / job.label if len(jobs) > 1 else plots), as_json)
    if as_json:
        print_json(documents)


def _write_comparison(report: Comparison, evidence: Mapping[str, MethodEvidence], folder: Path) -> list[Path]:
    """The picture, and the figures as JSON beside it."""
    from mocap.evaluation.plots import plot_comparison
    from mocap.io.artefacts import write_text_atomic

    paths = plot_comparison(report, evidence, folder)
    write_text_atomic(folder / "comparison.json", report.model_dump_json(indent=1))
    return [*paths, folder / "comparison.json"]


def _options(align: str, offset_ms: str, protocol: str | None) -> TakeOptions:
    """Values of options, with a sentence for those that are not allowed."""
    from mocap.core.errors import ConfigError
    from mocap.evaluation.protocols import protocol as known_protocol
    from mocap.evaluation.rig_metrics import RigAlignment
    from mocap.evaluation.take import TakeOptions

    if align not in tuple(RigAlignment):
        raise ConfigError(f"{align!r} is no way to align; there are {', '.join(RigAlignment)}", where="--align")
    try:
        shift = None if offset_ms == "auto" else float(offset_ms)
    except ValueError:
        raise ConfigError(f"{offset_ms!r} is neither a number nor auto", where="--offset-ms") from None
    if protocol is not None:
        known_protocol(protocol)
    return TakeOptions(align=RigAlignment(align), offset_ms=shift, protocol=protocol)


def _show(lines: Sequence[RenderableType]) -> None:
    """Tables keep their width where no terminal limits it."""
    width = None if stdout.is_terminal else max(stdout.width, 100)
    for line in lines:
        if isinstance(line, str):
            stdout.print(line, soft_wrap=True)
        else:
            stdout.print(line, width=width)


def _announce(paths: Sequence[Path], as_json: bool) -> None:
    """Pictures that were made; JSON has stdout for itself."""
    for path in paths:
        if as_json:
            tell(f"wrote {escape(str(path))}")
        else:
            print_path(path)


for _name, _command in {"take": take, "points": points, "rig": rig, "sync": sync}.items():
    app.command(_name, short_help=(_command.__doc__ or "").partition("\n")[0])(explained(_command))
