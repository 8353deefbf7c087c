"""`mocap evaluate-dataset`: published networks on the data sets of their paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocap.cli.console import explained, print_json, stdout
from mocap.cli.progress import observer_for_this_output, start_plain_log

if TYPE_CHECKING:
    from rich.table import Table

    from mocap.evaluation.dataset_runs import Predictions, RunOptions
    from mocap.models.published_frames import PublishedNets

app = typer.Typer(
    help="Run published networks on Human3.6M or CMU Panoptic and print the paper's table.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

HUMAN36M_EXAMPLE = """
The folder holds [bold]extra/human36m-multiview-labels-GTbboxes.npy[/] and [bold]processed/[/], as prepared for the
published implementation. RANSAC takes the heatmaps of --backbone, or those of the algebraic network. The cube of the
volumetric network stands around the pelvis of the algebraic one, or around the true one with --pelvis truth.

[bold]Examples[/]

  mocap evaluate-dataset human36m data/human36m --algebraic alg.pth --volumetric vol.pth --predictions points.npz

  mocap evaluate-dataset human36m data/human36m --algebraic alg.pth --every 64

All 26 634 frames of both networks take two days on two cores, at 6.6 s a frame; --device cuda uses a GPU. With
--predictions a run that was broken off goes on.
"""
PANOPTIC_EXAMPLE = """
The folder holds sequences as the toolbox unpacks them: calibration, hdPose3d_stage1_coco19, hdImgs or hdVideos. Only
frames with exactly one person count, as in the paper, whose choice of sequences is not published: name yours.

[bold]Example[/]

  mocap evaluate-dataset cmu_panoptic data/panoptic --sequence 171026_pose1 --algebraic alg.pth --volumetric vol.pth
"""

SIDE_STEP = 32
"""Networks halve their pictures five times."""

Algebraic = Annotated[Path | None, typer.Option("--algebraic", help="Weights of the algebraic network.")]
Volumetric = Annotated[Path | None, typer.Option("--volumetric", help="Weights of the volumetric network.")]
Backbone = Annotated[Path | None, typer.Option("--backbone", help="Weights of a 2D network, for RANSAC.")]
Aggregation = Annotated[
    str | None, typer.Option("--aggregation", help="Of the volumetric network: sum, max, softmax, conf, conf_norm.")
]
Pelvis = Annotated[str, typer.Option("--pelvis", help="Where the cube stands: algebraic or truth.")]
Every = Annotated[int, typer.Option("--every", min=1, help="Every n-th frame only.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Frames at once.")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
Size = Annotated[int, typer.Option("--input-size", help="Pixels a side of the pictures the networks were trained on.")]
Voxels = Annotated[int, typer.Option("--voxels", min=8, help="A side of the cube.")]
Keep = Annotated[Path | None, typer.Option("--predictions", metavar="FILE.npz", help="Keep the points there; go on.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@dataclass(frozen=True)
class Asked:
    """The options that both commands have."""

    algebraic: Path | None
    volumetric: Path | None
    backbone: Path | None
    aggregation: str | None
    pelvis: str
    device: str
    input_size: int
    voxels: int
    batch: int
    keep: Path | None

    @property
    def weights(self) -> dict[str, Path | None]:
        return {"algebraic": self.algebraic, "volumetric": self.volumetric, "backbone": self.backbone}

    @property
    def size(self) -> tuple[int, int]:
        return self.input_size, self.input_size


def human36m(
    folder: Annotated[Path, typer.Argument(help="Holds extra and processed.")],
    algebraic: Algebraic = None,
    volumetric: Volumetric = None,
    backbone: Backbone = None,
    aggregation: Aggregation = None,
    pelvis: Pelvis = "algebraic",
    labels: Annotated[Path | None, typer.Option("--labels", help="Another file of labels.")] = None,
    subjects: Annotated[str, typer.Option("--subjects", help="Whose scenes, with commas.")] = "S9,S11",
    every: Every = 1,
    batch: Batch = 1,
    device: Device = "cpu",
    input_size: Size = 384,
    voxels: Voxels = 64,
    keep: Keep = None,
    as_json: Json = False,
) -> None:
    """Human3.6M: relative and absolute errors, with and without the damaged scenes, by action."""
    start_plain_log()
    from mocap.evaluation.dataset_tables import human36m_actions, human36m_table
    from mocap.evaluation.human36m import JOINT_COUNTS, PELVIS, chosen_rows, evaluate_human36m
    from mocap.io.human36m_files import LABELS, Human36mFrames, read_human36m_labels

    path = labels or folder / LABELS
    known = read_human36m_labels(path)
    frames = Human36mFrames(folder, known)
    rows = chosen_rows(known, tuple(name.strip() for name in subjects.split(",")), every)
    asked = Asked(algebraic, volumetric, backbone, aggregation, pelvis, device, input_size, voxels, batch, keep)
    nets, options = _prepared(asked, ("Human3.6M", JOINT_COUNTS), pelvis=(PELVIS,), data=_stamps(labels=path))
    found = _run(lambda row: frames.load(row, size=asked.size), rows, nets, options, pelvis=(PELVIS,))
    reports = evaluate_human36m(known, rows, found.xyz)
    tables = [human36m_table(reports), human36m_actions(reports), human36m_actions(reports, relative=False)]
    _print(reports, tables, as_json)


human36m.__doc__ = (human36m.__doc__ or "") + HUMAN36M_EXAMPLE


def cmu_panoptic(
    folder: Annotated[Path, typer.Argument(help="Holds sequences, or is one.")],
    algebraic: Algebraic = None,
    volumetric: Volumetric = None,
    backbone: Backbone = None,
    aggregation: Aggregation = None,
    pelvis: Pelvis = "algebraic",
    sequence: Annotated[list[str] | None, typer.Option("--sequence", help="Only these; may be given again.")] = None,
    cameras: Annotated[str, typer.Option("--cameras", help="HD cameras, with commas.")] = "00_01,00_02,00_10,00_13",
    joints: Annotated[
        str, typer.Option("--joints", help="What the networks give: coco17, panoptic19 or human36m.")
    ] = "coco17",
    every: Every = 1,
    batch: Batch = 1,
    device: Device = "cpu",
    input_size: Size = 384,
    voxels: Voxels = 64,
    keep: Keep = None,
    as_json: Json = False,
) -> None:
    """CMU Panoptic: absolute errors of people who are alone, four HD cameras."""
    start_plain_log()
    from mocap.evaluation.cmu_panoptic import PanopticPeople, evaluate_panoptic, network_joints
    from mocap.evaluation.dataset_tables import panoptic_joints, panoptic_table

    kind = network_joints(joints)
    names = tuple(name.strip() for name in cameras.split(","))
    people = PanopticPeople(folder, kind, sequences=sequence or (), cameras=names)
    rows = people.list_people(every=every)
    data = {"folder": folder, "sequence": sequence, "cameras": names, "joints": joints, "every": every}
    asked = Asked(algebraic, volumetric, backbone, aggregation, pelvis, device, input_size, voxels, batch, keep)
    nets, options = _prepared(asked, (joints, (len(kind.names),)), pelvis=kind.pelvis, data=data)
    try:
        found = _run(people.loader(asked.size), rows, nets, options, pelvis=kind.pelvis)
    finally:
        people.close()
    reports = evaluate_panoptic(people, found.xyz)
    _print(reports, [panoptic_table(reports), panoptic_joints(reports)], as_json)


cmu_panoptic.__doc__ = (cmu_panoptic.__doc__ or "") + PANOPTIC_EXAMPLE


def _prepared(
    asked: Asked, joints: tuple[str, tuple[int, ...]], *, pelvis: tuple[int, ...], data: dict[str, Any]
) -> tuple[PublishedNets, RunOptions]:
    """The networks, and how they are run. joints: what has them, and how many they may be. pelvis: whose mean it is."""
    from mocap.core.errors import ConfigError, InputError
    from mocap.evaluation.dataset_runs import RunOptions

    nets = _nets(asked)
    if asked.pelvis not in ("algebraic", "truth"):
        raise ConfigError(f"{asked.pelvis!r} is neither algebraic nor truth", where="--pelvis")
    if asked.pelvis == "algebraic" and "volumetric" in nets.methods and "algebraic" not in nets.methods:
        raise InputError(
            "the volumetric network needs a first estimate of the pelvis",
            remedy="Give the algebraic weights too (--algebraic), or --pelvis truth.",
        )
    count = next(iter(nets.joints_of.values()))
    if count not in joints[1]:
        known = " or ".join(str(number) for number in joints[1])
        raise InputError(f"the networks have {count} joints, {joints[0]} has {known}")
    chosen = {"aggregation": asked.aggregation, "input_size": asked.input_size, "voxels": asked.voxels}
    return nets, RunOptions(
        nets.methods,
        count,
        true_pelvis=pelvis if asked.pelvis == "truth" else (),
        batch=asked.batch,
        keep=asked.keep,
        made_by={**chosen, **data, **_stamps(**asked.weights)},
    )


def _nets(asked: Asked) -> PublishedNets:
    from typing import get_args

    from mocap.core.errors import ConfigError, InputError
    from mocap.geometry.volumes import Aggregation as Known
    from mocap.models.published_frames import WeightFiles, load_nets

    if asked.aggregation is not None and asked.aggregation not in get_args(Known):
        raise ConfigError(f"{asked.aggregation!r} is none of {', '.join(get_args(Known))}", where="--aggregation")
    if not any(asked.weights.values()):
        raise InputError("no network is given", remedy="Give --algebraic, --volumetric or --backbone with weights.")
    for path in asked.weights.values():
        if path is not None and not path.is_file():
            raise InputError("no such file of weights", where=path)
    if asked.input_size < SIDE_STEP or asked.input_size % SIDE_STEP:
        raise ConfigError(f"{asked.input_size} is no multiple of {SIDE_STEP}", where="--input-size")
    chosen: Any = asked.aggregation
    return load_nets(WeightFiles(**asked.weights, aggregation=chosen), device=asked.device, size=asked.voxels)


def _stamps(**files: Path | None) -> dict[str, str]:
    """What tells files apart from others that were given earlier under the same names."""
    there = {name: path for name, path in files.items() if path is not None}
    return {name: f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}" for name, path in there.items()}


def _run(load: Any, rows: Any, nets: PublishedNets, options: RunOptions, *, pelvis: Sequence[int]) -> Predictions:
    """Every row through the networks, with a bar."""
    from mocap.evaluation.dataset_runs import run_frames
    from mocap.models.published_frames import estimate_points

    def estimate(pictures: Any, projections: Any, center: Any) -> Any:
        return estimate_points(nets, pictures, projections, pelvis=pelvis, center=center)

    with observer_for_this_output("") as observer:
        began = monotonic()
        observer.stage_started("frames")
        found = run_frames(
            load, rows, estimate, options, lambda done, total: observer.progressed("frames", done, total)
        )
        observer.stage_finished("frames", monotonic() - began, cached=False)
    return found


def _print(reports: Sequence[Any], tables: Sequence[Table], as_json: bool) -> None:
    if as_json:
        print_json([report.model_dump(mode="json") for report in reports])
        return
    width = None if stdout.is_terminal else max(stdout.width, 120)
    for table in tables:
        stdout.print(table, width=width)


for _name, _command in {"human36m": human36m, "cmu_panoptic": cmu_panoptic}.items():
    app.command(_name, short_help=(_command.__doc__ or "").partition("\n")[0])(explained(_command))
