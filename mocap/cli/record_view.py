"""What a terminal shows while `mocap record` runs: cameras, what to do with the board, time, keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mocap.capture.guides import CoverageState
from mocap.capture.guides_extrinsics import GraphState
from mocap.capture.guides_floor import FloorState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocap.capture.reader import CameraStatus
    from mocap.capture.session_recording_state import GuideState, RecordingState
    from mocap.cli.record_steps import Step

STATES = {"live": "green", "opening": "yellow", "lost": "bold red", "ended": "dim", "closed": "dim"}
VERDICTS = {"good": "bold green", "usable": "bold yellow", "redo": "bold red"}
SHADES = (" ·", "░░", "▒▒", "▓▓", "██")
BAR_WIDTH = 34
SHADE_AT = (1, 4, 10, 20)
"""Corners in a cell from which it is darker."""

KEYS = "[b]space[/] start/stop   [b]←→[/] choose   [b]r[/] retake   [b]q[/] quit"


def screen(state: RecordingState, steps: Sequence[Step], chosen: int, *, hint: str = "") -> RenderableType:
    """All of it."""
    parts: list[RenderableType] = [step_line(state, steps, chosen), camera_table(state)]
    if state.guide is not None:
        parts.append(guide_panel(state.guide))
    if state.result is not None:
        parts.append(result_text(state))
    if hint:
        parts.append(Text(hint, style="yellow"))
    parts.append(Text.from_markup(KEYS, style="dim"))
    return Group(*parts)


def step_line(state: RecordingState, steps: Sequence[Step], chosen: int) -> Text:
    """The steps, the chosen one marked, and what happens now."""
    line = Text()
    for number, step in enumerate(steps):
        line.append(f" {step.title} ", style="reverse" if number == chosen else "dim")
        line.append(" ")
    line.append("\n")
    if state.phase == "countdown":
        line.append(f" {state.take}  in {state.countdown_s:.0f} … ", style="bold black on yellow")
    elif state.phase == "recording":
        of = f" of {state.duration_s:.0f} s" if state.duration_s is not None else " s"
        line.append(
            f" ● REC {state.take or state.camera or state.mode}  {state.elapsed_s:.1f}{of} ", "bold white on red"
        )
    else:
        line.append(" ready: space starts " if state.phase == "idle" else " finishing … ", style="bold")
    return line


def camera_table(state: RecordingState) -> Table:
    """How each camera does."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("camera", "", "size", "fps", "jitter", "lost", "sharp", "board", ""):
        table.add_column(column, justify="left" if column in ("camera", "", "board") else "right")
    for camera in state.cameras:
        table.add_row(*_camera_row(camera, state))
    return table


def _camera_row(camera: CameraStatus, state: RecordingState) -> tuple[RenderableType, ...]:
    picture = state.pictures.get(camera.name)
    seen = state.corners.get(camera.name)
    lost = camera.dropped_queue + camera.lost_source
    said = camera.message or ("" if picture is None else picture.sentence)
    return (
        Text(camera.name, style="bold"),
        Text(camera.state, style=STATES.get(camera.state, "")),
        Text("" if camera.size is None else f"{camera.size[0]}×{camera.size[1]}"),
        Text(f"{camera.fps:.1f}"),
        Text(f"{camera.jitter_ms:.1f} ms"),
        Text(str(lost), style="bold red" if lost else ""),
        Text("" if picture is None else f"{picture.sharpness:.0%}"),
        Text("" if seen is None else f"{len(seen.ids)} corners", style="green"),
        Text(said, style="yellow"),
    )


def guide_panel(guide: GuideState) -> RenderableType:
    """Coverage or graph, how far it is, and what to do next."""
    match guide:
        case CoverageState():
            body: RenderableType = Text("\n").join([_cells_line(row) for row in guide.cells.tolist()])
            title = f"{guide.views} views" + (f", rays to {guide.ray_mrad:.2f} mrad" if guide.verdict else "")
        case GraphState():
            body = graph_table(guide)
            title = f"{guide.moments} common moments" + ("" if guide.connected else ", not connected yet")
        case FloorState():
            body = Text(f"seen by {', '.join(guide.cameras) or 'nobody'}, still for {guide.still_s:.1f} s")
            title = "floor"
    colour = "green" if guide.done else "yellow"
    full = round(guide.share * BAR_WIDTH)
    bar = Text("━" * full, style=colour).append("━" * (BAR_WIDTH - full), style="bright_black")
    bar.append(f" {guide.share:.0%}", style=colour)
    hint = Text(guide.hint, style=f"bold {colour}")
    return Panel(Group(body, bar, hint), title=title, title_align="left", expand=False)


def graph_table(guide: GraphState) -> Table:
    """Common views of every pair; on the diagonal, a camera's with any other."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for name in guide.cameras:
        table.add_column(name, justify="right")
    for row, name in enumerate(guide.cameras):
        cells = [_count(guide, row, column) for column in range(len(guide.cameras))]
        table.add_row(Text(name, style="dim"), *cells)
    return table


def _count(guide: GraphState, row: int, column: int) -> Text:
    count = int(guide.shared_views[row, column])
    weak = guide.weakest is not None and {guide.cameras[row], guide.cameras[column]} == set(guide.weakest)
    style = "dim" if row == column else "bold yellow" if weak else "green" if count else ""
    return Text(str(count) if count or weak else "·", style=style)


def _cells_line(row: Sequence[int]) -> Text:
    line = Text()
    for count in row:
        level = sum(count >= at for at in SHADE_AT)
        line.append(SHADES[level], style="green" if level else "dim")
    return line


def result_text(state: RecordingState) -> Text:
    """The verdict on what was recorded last, and why."""
    assert state.result is not None
    line = Text(f"{state.result.name}: ")
    line.append(state.result.verdict, style=VERDICTS[state.result.verdict])
    line.append(f", {state.result.seconds:.1f} s")
    for sentence in state.result.sentences:
        line.append(f"\n  {sentence}")
    return line


def result_document(result: Any) -> dict[str, Any]:
    """A clip's result for machines."""
    from mocap.capture.session_recording_state import as_json

    return as_json(result)
