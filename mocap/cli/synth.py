"""`mocap synth`: a synthetic session with truth."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from mocap.cli.console import print_json, print_path, tell
from mocap.cli.progress import observer_for_this_output, start_plain_log

EXAMPLE = """
A session as if recorded: videos of people in a room, clips of a waved ChArUco board, and what really happened in
[bold]takes/<take>/truth.npz[/].

[bold]Examples[/]

  mocap synth my_session --seed 7

  mocap synth crossing --people 2 --motion walk_line --cameras 5 --seconds 4 --no-calibration

  mocap synth squats --motion stand+squat+jump --start-pose T --layout corners --set rig.lens=mixed

  mocap synth from_file --motion 02_01.amc

  mocap synth numbers --keypoints-only --detector hard --seconds 60

Motions: stand, walk_circle, walk_line, walk_and_reach, reach, squat, jump, wave, clap and more (a wrong name lists
them), or a BVH or AMC file (its ASF lies beside it). Everything else: [bold]--config[/] FILE, see configs/synth/, and
[bold]--set[/] KEY=VALUE. Needs the extra [bold]synth[/].
"""


def command(
    output: Annotated[Path, typer.Argument(metavar="SESSION", help="Folder to make; must not exist, or be empty.")],
    seed: Annotated[int | None, typer.Option(min=0, help="All that is left open follows from it (default 0).")] = None,
    motion: Annotated[list[str] | None, typer.Option(help="What a person does; once per person, or for all.")] = None,
    people: Annotated[int | None, typer.Option(min=1, max=4, help="How many people.")] = None,
    start_pose: Annotated[str | None, typer.Option(help="T or A: begin in that pose.")] = None,
    cameras: Annotated[int | None, typer.Option(min=1, help="How many cameras.")] = None,
    layout: Annotated[str | None, typer.Option(help="ring, corners, arc or line.")] = None,
    size: Annotated[str | None, typer.Option(help="Pictures, e.g. 1280x720.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Length of the take.")] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second.")] = None,
    calibration: Annotated[bool, typer.Option(help="Make calibration clips too.")] = True,
    keypoints_only: Annotated[
        bool, typer.Option("--keypoints-only", help="No pictures, but what a 2D network would report.")
    ] = False,
    detector: Annotated[
        str | None, typer.Option(help="Its errors: clean, blazepose_like, hard or blazepose_measured.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file, see configs/synth/.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key; may be repeated.")
    ] = None,
    workers: Annotated[int, typer.Option("-j", "--jobs", min=0, help="Processes; 0 means one a core.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a synthetic session.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make a synthetic session with ground truth."""
    start_plain_log()
    from mocap.synthetic.session import make_session
    from mocap.synthetic.synth_options import synth_config

    options: dict[str, Any] = {
        "seed": seed,
        "seconds": seconds,
        "fps": fps,
        "keypoints_only": keypoints_only or None,
        "detector": detector,
        "rig.cameras": cameras,
        "rig.layout": layout,
        "rig.image_size": size,
    }
    chosen = synth_config(config, options, settings or (), people=people, motions=motion or (), start_pose=start_pose)
    chosen = chosen if calibration else chosen.without_calibration()
    with observer_for_this_output(output.name) as observer:
        observer.stage_started("render")
        began = time.perf_counter()
        report = make_session(
            chosen,
            output,
            workers=workers,
            overwrite=overwrite,
            progress=lambda done, total: observer.progressed("render", done, total),
        )
        observer.stage_finished("render", time.perf_counter() - began, cached=False)
    if as_json:
        print_json(report.model_dump())
        return
    tell(
        f"{escape(output.name)}: {len(report.cameras)} cameras, {', '.join(report.people)}, "
        f"{report.pictures} pictures, {report.megabytes} MB"
    )
    print_path(output)


command.__doc__ = (command.__doc__ or "") + EXAMPLE
