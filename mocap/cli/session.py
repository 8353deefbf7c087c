"""`mocap session`: make a session, look after it, bring recordings of elsewhere into one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mocap.cli.board_options import alone, described, given_of
from mocap.cli.console import EXIT_INPUT, explained, print_json, print_path, tell
from mocap.cli.session_import_view import copying, plan_document, show_plan
from mocap.cli.session_view import as_document, as_listed, show, show_table

if TYPE_CHECKING:
    from calibration.board_file import Board
    from mocap.io.session_check import SessionCheck
    from mocap.io.session_state import SessionState

app = typer.Typer(no_args_is_help=True, help="Make sessions, look after them, and import recordings.")

NEW_EXAMPLE = """
A session is a folder: session.toml with the cameras and the board, calibration/ and takes/. Sources are what
`mocap record` reads: usb:0, rtsp://…, http://…, file:…, images:…, synth:…. Without board options, no board is written
down: print one with `mocap board` and give its file with --board, or describe the one you have.

[bold]Examples[/]

  mocap session new monday --camera left=usb:0 --camera right=usb:2 --size 1280x720 --codec MJPG --board board.toml

  mocap session new monday --camera a=rtsp://10.0.0.11/main --camera b=rtsp://10.0.0.12/main --type charuco

  mocap session new tuesday --like monday
"""

CHECK_EXAMPLE = """
Exit code 0 when the takes can be processed, 2 when something prevents that. With [bold]--moved[/], takes are compared
with the rig in seconds: by the people that an earlier run has found, else by those in some fifty of their frames.

[bold]Examples[/]

  mocap session check monday

  mocap session check monday --repair

  mocap session check monday --moved --json
"""

IMPORT_EXAMPLE = """
Copies recordings into a session (or links them); what is there already stays, and the originals are never touched.
Layouts: a project of Pose2Sim, caliscope or OpenCap, recordings of FreeMoCap, each with its calibration; or any folder
of videos, grouped by their names: cam1/walk.mp4, walk/left.mp4, walk_cam1.mp4. Clips with calib, board, intrinsic or
floor in their names become calibration clips.

[bold]Examples[/]

  mocap session import Downloads/phones monday --dry-run

  mocap session import Downloads/phones monday --pattern '{take}-{camera}' --camera GX1=left --link

  mocap session import my_pose2sim_project monday
"""

LIST_EXAMPLE = """
[bold]Example[/]

  mocap session list recordings
"""


@app.command("new", short_help="Make a session's folder and its session.toml.")
@explained
def new(
    folder: Annotated[Path, typer.Argument(metavar="SESSION", help="Folder to make.")],
    camera: Annotated[
        list[str] | None, typer.Option("--camera", metavar="NAME[=SOURCE]", help="A camera; may be repeated.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option("--like", metavar="SESSION", help="Take cameras and board of another session.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Of all pictures, as 1280x720.")] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second of all cameras.")] = None,
    codec: Annotated[str | None, typer.Option(help="Picture format of the devices, e.g. MJPG.")] = None,
    exposure: Annotated[str | None, typer.Option(help="auto, or the device's value.")] = None,
    gain: Annotated[str | None, typer.Option(help="auto, or the device's value.")] = None,
    focus: Annotated[str | None, typer.Option(help="auto, or the device's value.")] = None,
    rotation: Annotated[
        list[str] | None, typer.Option("--rotation", metavar="NAME=DEGREES", help="Turn clockwise to be upright.")
    ] = None,
    notes: Annotated[str, typer.Option(help="Written down as they are.")] = "",
    board_file: Annotated[Path | None, typer.Option("--board", help="Board file that `mocap board` wrote.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="charuco, checkerboard or aprilgrid.")] = None,
    squares: Annotated[str | None, typer.Option(help="Columns x rows of squares (of tags), e.g. 5x7.")] = None,
    square_mm: Annotated[float | None, typer.Option(help="Measured side of a square (of a tag).")] = None,
    marker_mm: Annotated[float | None, typer.Option(help="Side of a marker (ChArUco; default 3/4).")] = None,
    gap_mm: Annotated[float | None, typer.Option(help="Between tags (AprilGrid; default 3/10).")] = None,
    dictionary: Annotated[str | None, typer.Option(help="OpenCV's name, e.g. DICT_5X5_100.")] = None,
    legacy: Annotated[bool, typer.Option("--legacy", help="Layout of OpenCV before 4.6.")] = False,
    inverted: Annotated[bool, typer.Option("--inverted", help="White on black.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make a session's folder and its session.toml."""
    from mocap.cli.session_options import cameras_of, session_like
    from mocap.io.session_new import make_session

    device = given_of({"size": size, "fps": fps, "codec": codec, "exposure": exposure, "gain": gain, "focus": focus})
    sizes = {"squares": squares, "square_mm": square_mm, "marker_mm": marker_mm, "gap_mm": gap_mm}
    board = _board(
        board_file,
        kind,
        given_of({**sizes, "dictionary": dictionary, "legacy": legacy or None, "inverted": inverted or None}),
    )
    cameras, table = session_like(like)
    cameras = cameras_of(camera or (), cameras, device, rotation or ())
    session = make_session(folder, cameras, board.to_table() if board is not None else table, notes=notes)
    if as_json:
        print_json({"session": str(folder), "cameras": [vars(c) for c in session.cameras], "board": session.board})
        return
    print_path(folder / "session.toml")
    from mocap.io.session_check import check_session

    tell(f"Next: {escape(check_session(folder).next_step)}")


new.__doc__ = (new.__doc__ or "") + NEW_EXAMPLE


@app.command("check", short_help="What is there, what is missing, what to do next.")
@explained
def check(
    sessions: Annotated[list[Path], typer.Argument(metavar="SESSION...", help="Folders of sessions.")],
    moved: Annotated[bool, typer.Option("--moved", help="Also look whether a camera moved.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="First mend recordings that were cut off.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say what a session holds, what is missing or damaged, and what to do next."""
    from mocap.io.session_check import check_session

    if repair:
        _repair(sessions)
    checks = [check_session(path) for path in sessions]
    found = [(checked, _moves(checked) if moved else {}) for checked in checks]
    if as_json:
        rows = [as_document(*row) for row in found]
        print_json(rows[0] if len(rows) == 1 else rows)
    else:
        for row in found:
            show(*row)
    if not all(checked.can_process for checked in checks):
        raise typer.Exit(EXIT_INPUT)


check.__doc__ = (check.__doc__ or "") + CHECK_EXAMPLE


@app.command("list", short_help="Sessions and takes in a table.")
@explained
def list_sessions(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Sessions, or folders that hold some.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show sessions and their takes, and how far each is."""
    from mocap.core.errors import InputError
    from mocap.io.session_state import look_at_session, sessions_in

    states: list[SessionState] = []
    refused: list[str] = []
    for place in sessions_in(paths):
        try:
            states.append(look_at_session(place))
        except InputError as error:
            refused.append(str(error))
    if as_json:
        print_json({"sessions": [as_listed(state) for state in states], "refused": refused})
    else:
        show_table(states)
        for sentence in refused:
            tell(f"[red]{escape(sentence)}[/]")


list_sessions.__doc__ = (list_sessions.__doc__ or "") + LIST_EXAMPLE


@app.command("import", short_help="Bring recordings of elsewhere into a session.")
@explained
def import_recordings(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="Videos, or a project of another program.")],
    folder: Annotated[Path, typer.Argument(metavar="SESSION", help="New, or one that gets more takes.")],
    layout: Annotated[str, typer.Option(help="auto, videos, pose2sim, freemocap, caliscope or opencap.")] = "auto",
    pattern: Annotated[
        str | None, typer.Option(help="Of names or paths of videos, with {camera}, {take} and *.")
    ] = None,
    renamed: Annotated[
        list[str] | None, typer.Option("--camera", metavar="OLD=NEW", help="Rename a camera; may be repeated.")
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Symbolic links instead of copies.")] = False,
    hardlink: Annotated[bool, typer.Option("--hardlink", help="Hard links instead of copies.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Bring recordings of elsewhere into a session."""
    from mocap.cli.session_options import renames_of
    from mocap.io.session_check import check_session
    from mocap.io.session_import import carry_out, plan_import

    plan = plan_import(source, layout, pattern=pattern, renames=renames_of(renamed or ()))
    done = None
    if not dry_run:
        with copying(sum(1 for _ in plan.files)) as progress:
            done = carry_out(plan, folder, "link" if link else "hardlink" if hardlink else "copy", progress)
    if as_json:
        print_json(plan_document(plan, done))
        return
    show_plan(plan, done)
    if done is not None:
        print_path(folder / "session.toml")
        tell(f"Next: {escape(check_session(folder).next_step)}")


import_recordings.__doc__ = (import_recordings.__doc__ or "") + IMPORT_EXAMPLE


def _board(file: Path | None, kind: str | None, given: dict[str, Any]) -> Board | None:
    from calibration.board_file import read_board
    from calibration.board_print import PrintConfig

    if file is not None:
        return alone(read_board(file), given if kind is None else {"type": kind, **given})
    if kind is None and not given:
        return None
    return described(kind or "charuco", given, PrintConfig())


def _repair(sessions: list[Path]) -> None:
    from mocap.capture.recovery import recover

    for path in sessions:
        for sentence in recover(path):
            tell(f"[cyan]mended[/] {escape(str(path))}: {escape(sentence)}")


def _moves(checked: SessionCheck) -> dict[str, list[str]]:
    """Take -> what a comparison with the rig says of it."""
    from mocap.calibrate.check import QUICK, check_take
    from mocap.core.errors import InputError

    told: dict[str, list[str]] = {}
    for it in checked.state.takes:
        if it.take is None or checked.state.calibration.rig is None:
            continue
        try:
            told[it.name] = list(check_take(it.root, config=QUICK).sentences)
        except InputError as error:
            told[it.name] = [f"cannot be compared: {error}"]
    return told
