"""`mocap calibrate`: clips of a board in, a rig and a report on it out; and whether a camera has moved since."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mocap.cli.console import print_json, print_path, tell
from mocap.cli.progress import observer_for_this_output, start_plain_log

if TYPE_CHECKING:
    from mocap.calibrate.observed import Observed
    from mocap.calibrate.results import Written
    from mocap.calibrate.session import Calibration

COLOURS = {"good": "green", "usable": "yellow", "redo": "red"}

EXAMPLE = """
Clips lie in the session's calibration/intrinsics, calibration/extrinsics and calibration/floor, <camera>.mp4 each (or a
folder of images for each camera). Only extrinsics are needed: the board carried through the space while all cameras
record. Intrinsics (each camera alone with the board near) make lenses surer; floor (the board lying on the floor)
fixes what is up and where zero is. Pictures of the same number belong together; a timestamps.csv beside clips says
better (camera,frame,time_s). How the board is printed is recognised.

[bold]Examples[/]

  mocap calibrate my_session

  mocap calibrate my_session --board board.toml --same-lens cam01,cam02 --same-lens cam03,cam04

  mocap calibrate my_session --lenses old_rig.toml --floor-picture 120

  mocap calibrate my_session --check my_session/takes/walk

  mocap calibrate my_session --check my_session/takes/walk --resolve

Results: calibration/rig.toml, report.html and report.json; a rig that was there stays as rig.previous.toml.
"""


def command(
    session: Annotated[
        Path, typer.Argument(metavar="SESSION", help="Folder with calibration/extrinsics/<camera>.mp4.")
    ],
    board: Annotated[Path | None, typer.Option("--board", help="Board file instead of the session's [board].")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the results.")] = None,
    lens: Annotated[str, typer.Option(help="auto, brown_conrady, rational or fisheye.")] = "auto",
    same_lens: Annotated[
        list[str] | None, typer.Option(metavar="CAM,CAM", help="Cameras of one make and setting; may be repeated.")
    ] = None,
    lenses: Annotated[
        Path | None, typer.Option(help="Take lenses from this calibration (any supported format) as they are.")
    ] = None,
    floor_picture: Annotated[
        int | None, typer.Option(metavar="N", help="The board lies on the floor in picture N of the extrinsics clips.")
    ] = None,
    floor_by: Annotated[
        Path | None, typer.Option("--floor-by-person", metavar="TAKE", help="Somebody stands upright in this take.")
    ] = None,
    origin: Annotated[
        str, typer.Option(help="Of the world: the board's corner, its middle, or the cameras'.")
    ] = "corner",
    heading: Annotated[str, typer.Option(help="+x along the board, or away from the first camera.")] = "board",
    thickness_mm: Annotated[float, typer.Option(min=0, help="Of the board on the floor.")] = 0.0,
    distance: Annotated[
        str | None, typer.Option(metavar="CAM,CAM=M", help="Measured distance of two cameras; sets the scale.")
    ] = None,
    line_time: Annotated[bool, typer.Option("--rolling-shutter", help="Estimate the time between rows.")] = False,
    check: Annotated[Path | None, typer.Option("--check", metavar="TAKE", help="Has a camera moved since?")] = None,
    resolve: Annotated[bool, typer.Option("--resolve", help="With --check: solve moved cameras again.")] = False,
    export: Annotated[
        list[str] | None, typer.Option(metavar="FORMAT=FILE", help="Also write the rig for another tool.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads to use; 0 means all cores.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Look at all clips again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make the rig of a session from clips of a board."""
    start_plain_log()
    if check is not None:
        from mocap.cli.calibrate_check import check_session

        check_session(session, check, resolve=resolve, threads=threads, as_json=as_json)
        return
    from mocap.calibrate.clips import find_clips
    from mocap.calibrate.observed import observe
    from mocap.calibrate.results import export_rigs, write_results
    from mocap.calibrate.session import calibrate
    from mocap.calibrate.settings import calibrate_config

    config = calibrate_config(
        {"lens": lens, "same_lens": same_lens or (), "lenses": lenses, "line_time": line_time},
        {
            "person": floor_by,
            "floor_picture": floor_picture,
            "origin": origin,
            "heading": heading,
            "thickness_mm": thickness_mm,
            "distance": distance,
        },
    )
    clips = find_clips(session, board)
    with observer_for_this_output(clips.root.resolve().name) as observer:
        observed = observe(clips, observer, threads=threads, force=force)
        observer.stage_started("solve")
        calibration = calibrate(observed, config)
        observer.stage_finished("solve", calibration.seconds, cached=False)
    written = write_results(calibration, output or clips.folder, clips.root.resolve().name)
    exported = export_rigs(calibration.rig, export or ())
    if as_json:
        print_json(as_document(calibration, written))
        return
    show(calibration, observed)
    if written.previous is not None:
        tell(f"The rig that was there before is now {escape(str(written.previous))}")
    for path in (written.rig, written.page, written.data, *exported):
        print_path(path)


command.__doc__ = (command.__doc__ or "") + EXAMPLE


def as_document(calibration: Calibration, written: Written) -> dict[str, Any]:
    """A calibration for machines."""
    return {
        "files": [str(written.rig), str(written.page), str(written.data)],
        "previous": None if written.previous is None else str(written.previous),
        "findings": [vars(finding) for finding in calibration.findings],
        **calibration.report.to_json_dict(),
    }


def show(calibration: Calibration, observed: Observed) -> None:
    """A calibration for people."""
    report = calibration.report
    tell(f"[bold {COLOURS[report.verdict]}]{escape(report.headline)}[/]")
    for finding in calibration.findings:
        tell(f"  [yellow]note[/] {escape(finding.sentence)}")
    for sentence in (*observed.sentences, *report.sentences):
        tell(f"  {escape(sentence)}")
    for camera in report.cameras:
        for reason in camera.reasons:
            tell(f"  [{COLOURS[camera.verdict]}]{escape(camera.name)}[/] {escape(reason)}")
