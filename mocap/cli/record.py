"""`mocap record`: clips of a board and takes, from cameras, network streams, files or a synthetic rig."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mocap.cli.console import EXIT_INPUT, print_json, print_path, stderr, tell
from mocap.cli.progress import start_plain_log
from mocap.core.errors import InputError

if TYPE_CHECKING:
    import socket

    from mocap.capture.rig import CaptureRig
    from mocap.capture.session_recording import RecordingSession
    from mocap.capture.session_recording_state import ClipResult
    from mocap.cli.record_steps import Pace, Step
    from mocap.core.session import Session
    from mocap.web.config import WebConfig

    Page = tuple[WebConfig, socket.socket]
    """How the page is served, and on what."""

WAIT_FOR_CAMERAS_S = 10.0
COUNTDOWN_S = 3.0

EXAMPLE = """
Cameras are those of session.toml that have a source: usb:0, rtsp://…, http://…/video.mjpg, file:…, images:…,
synth:session (`mocap session new` writes it, [bold]--list[/] shows what is plugged in). A day is: each camera's lens
with the board near it, all cameras while the board is carried through the space, the board on the floor, then takes.
Clips of the board end by themselves when the calibration has enough. In a terminal, keys start and stop; without one
(or with [bold]--headless[/]) each step begins by itself.

[bold]Examples[/]

  mocap record --list

  mocap record monday

  mocap record monday --intrinsics all --extrinsics --floor

  mocap record monday --take walk --countdown 5 --seconds 10

  mocap record monday --web --open

  MOCAP_TOKEN=… mocap record monday --web --host 0.0.0.0

Takes go to takes/NAME_01/, clips to calibration/; what they replace is kept in set_aside/. A recording that was cut off
(power, kill) is repaired when the session is opened next. Exit code 2 where something has to be recorded again.
"""


def command(
    session: Annotated[Path | None, typer.Argument(metavar="SESSION", help="Folder with a session.toml.")] = None,
    intrinsics: Annotated[
        list[str] | None, typer.Option(metavar="CAM", help="One camera and the board; all for each; may be repeated.")
    ] = None,
    extrinsics: Annotated[bool, typer.Option("--extrinsics", help="All cameras, the board carried around.")] = False,
    floor: Annotated[bool, typer.Option("--floor", help="All cameras, the board on the floor.")] = False,
    take: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A take; may be repeated.")] = None,
    number: Annotated[int | None, typer.Option(min=1, help="Of the take; by default the next free one.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Length of every clip at most.")] = None,
    countdown: Annotated[
        float | None, typer.Option(min=0, help="Seconds before takes; by default 3 in a terminal, else 0.")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="No keys, no live display.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Record although the checks beforehand object.")] = False,
    web: Annotated[bool, typer.Option("--web", help="Record from a page in a browser.")] = False,
    host: Annotated[str, typer.Option(help="With --web: 0.0.0.0 for phones in the same network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --web; 0 takes a free one.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(envvar="MOCAP_TOKEN", help="With --web: the word that lets browsers in, so that bookmarks last."),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="With --web: of this machine in its network; may be repeated."),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="With --web: show the page in a browser here.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the cameras of this computer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Record clips of the board and takes."""
    start_plain_log()
    if list_:
        show_cameras(as_json=as_json)
        return
    if session is None:
        raise InputError("no session was given", remedy="Give its folder, e.g. mocap record monday; or --list.")
    from mocap.cli.record_steps import Pace, asked_steps, check_ends, whole_day

    opened = open_repaired(session)
    cameras = tuple(camera.name for camera in opened.cameras if camera.source)
    steps = asked_steps(
        cameras, intrinsics=intrinsics or (), extrinsics=extrinsics, floor=floor, takes=take or (), number=number
    )
    keys = sys.stdin.isatty() and stderr.is_terminal and not headless
    if not steps and not keys and not web:
        raise InputError(
            "nothing was asked to be recorded",
            where=session,
            remedy="Give --intrinsics, --extrinsics, --floor or --take, or --web; keys need a terminal.",
        )
    pace = Pace(seconds, countdown if countdown is not None else COUNTDOWN_S if keys else 0.0)
    if not keys and not web:
        check_ends(steps, pace)
    with ExitStack() as stack:
        page = None
        if web:
            options = {"host": host, "port": port, "token": token or None, "names": tuple(names or ())}
            page = page_place({**options, "open_browser": open_page})
            stack.callback(page[1].close)
        results = record(opened, steps or whole_day(cameras), pace, keys=keys, page=page, force=force)
    show_results(results, as_json=as_json)
    if any(result.verdict == "redo" for result in results):
        raise typer.Exit(EXIT_INPUT)


command.__doc__ = (command.__doc__ or "") + EXAMPLE


def record(
    session: Session, steps: list[Step], pace: Pace, *, keys: bool, page: Page | None, force: bool
) -> list[ClipResult]:
    """Open the cameras, record the steps, close them."""
    from mocap.capture.recorder import Recorder
    from mocap.capture.rig import CaptureRig
    from mocap.capture.session_recording import RecordingSession
    from mocap.capture.session_recording_state import RecordingConfig
    from mocap.cli.record_operator import run_alone

    with CaptureRig(session) as rig:
        for name in rig.without_source:
            tell(f"[yellow]{escape(name)} has no source in session.toml: it is left out[/]")
        for name in rig.wait_until_live(WAIT_FOR_CAMERAS_S):
            tell(f"[bold red]{escape(name)} gives no pictures[/] {escape(rig.readers[name].statistics().message)}")
        check_beforehand(session, rig, force=force)
        config = RecordingConfig(look_for_people=True)
        recording = RecordingSession(session.root, rig, Recorder(rig), config=config)
        if recording.board is None:
            tell("[yellow]session.toml describes no board: clips of it end only by --seconds or a key[/]")
        try:
            if page is not None:
                serve_page(recording, page)
                return []
            return run_with_keys(recording, steps, pace) if keys else run_alone(recording, steps, pace)
        finally:
            recording.close()


def run_with_keys(recording: RecordingSession, steps: list[Step], pace: Pace) -> list[ClipResult]:
    """Keys and a live display, until q."""
    from rich.live import Live

    from mocap.cli.record_keys import TerminalKeys
    from mocap.cli.record_operator import KeyOperator, Told
    from mocap.cli.record_view import screen

    told = Told(recording)
    with TerminalKeys() as keys, Live(console=stderr, auto_refresh=False, transient=True) as live:
        operator = KeyOperator(recording, steps, pace, keys)

        def show() -> None:
            told.news()
            live.update(screen(recording.state, operator.steps, operator.chosen, hint=operator.hint), refresh=True)

        results = operator.run(show)
    told.news()
    return results


def page_place(options: dict[str, Any]) -> Page:
    """Where the page will be; all that can be wrong with that is told before cameras are opened."""
    try:
        from mocap.web.config import WebConfig
        from mocap.web.server import listen
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("mocap"):
            raise
        raise InputError(
            f"the page of the recorder needs {error.name}, which is not installed",
            remedy="Run: python tools/bootstrap.py env --extra web",
        ) from None
    config = WebConfig.of_options(options)
    if config.warning:
        tell(f"[yellow]--token: {escape(config.warning)}[/]")
    return config, listen(config.host, config.port)


def serve_page(recording: RecordingSession, page: Page) -> None:
    """The recorder in a browser, until Ctrl-C."""
    from mocap.web.server import serve

    config, listening = page
    serve(recording, config, listening=listening)


def open_repaired(folder: Path) -> Session:
    """The session, its unfinished recordings repaired first."""
    from mocap.capture.recovery import recover
    from mocap.io.session_files import open_session

    session = open_session(folder)
    for sentence in recover(session.root):
        tell(f"[yellow]{escape(sentence)}[/]")
    return open_session(folder)


def check_beforehand(session: Session, rig: CaptureRig, *, force: bool) -> None:
    """Disk, machine and cables: what is not fine is told, and refused where it cannot work."""
    from mocap.capture.preflight import preflight

    findings = [finding for finding in preflight(session, statuses=rig.status()) if finding.level != "ok"]
    for finding in findings:
        colour = "bold red" if finding.level == "error" else "yellow"
        tell(f"[{colour}]{escape(str(finding))}[/]")
    errors = [finding for finding in findings if finding.level == "error"]
    if errors and not force:
        raise InputError(
            errors[0].what, where=session.root, remedy=errors[0].remedy or "Record all the same with --force."
        )


def show_cameras(*, as_json: bool) -> None:
    """Cameras of this computer, as session.toml names them."""
    from mocap.capture.found_cameras import list_cameras

    found = list_cameras()
    if as_json:
        print_json([{"source": it.source, "name": it.name, "detail": it.detail} for it in found])
        return
    for it in found:
        print(f"{it.source}\t{it.name}" + (f"\t{it.detail}" if it.detail else ""))
    if not found:
        tell("This computer has no camera that can be seen. Cameras of the network are named by their address.")


def show_results(results: list[ClipResult], *, as_json: bool) -> None:
    """What was recorded: folders on stdout, or all there is to know as JSON."""
    if as_json:
        from mocap.cli.record_view import result_document

        print_json([result_document(result) for result in results])
        return
    for result in results:
        print_path(result.folder)
