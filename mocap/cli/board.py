"""`mocap board`: a calibration board to print, and its board file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calibration.errors import CalibrationError
from mocap.cli.board_options import alone, described, given_of
from mocap.cli.console import print_json, print_path, tell

if TYPE_CHECKING:
    from calibration.board_file import Board

EXAMPLE = """
The print is the calibration's only measure of length: print at 100 %, check the ruler in the margin, glue it to
something flat and stiff. Beside it lies NAME.toml, the board file that calibration reads. Without sizes, squares are as
large as the paper allows.

[bold]Examples[/]

  mocap board board.pdf

  mocap board board.pdf --paper A3 --squares 7x5

  mocap board board.pdf --squares 5x7 --square-mm 100 --tiled

  mocap board board.pdf --inverted --two-sided

  mocap board grid.pdf --type aprilgrid --squares 6x6 --paper A2

  mocap board again.pdf --board board.toml

With [bold]--two-sided[/], cameras behind the board see the same corners as those before it: let the printer turn sheets
about their upright edge (the long one of an upright sheet).
"""


def command(
    outputs: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Prints: .pdf, .svg or .png.")],
    board_file: Annotated[Path | None, typer.Option("--board", help="Print this board; see configs/boards/.")] = None,
    kind: Annotated[str, typer.Option("--type", help="charuco, checkerboard or aprilgrid.")] = "charuco",
    squares: Annotated[str | None, typer.Option(help="Columns x rows of squares (of tags), e.g. 5x7.")] = None,
    square_mm: Annotated[float | None, typer.Option(help="Side of a square (of a tag).")] = None,
    marker_mm: Annotated[float | None, typer.Option(help="Side of a marker (ChArUco; default 3/4).")] = None,
    gap_mm: Annotated[float | None, typer.Option(help="Between tags (AprilGrid; default 3/10).")] = None,
    dictionary: Annotated[str | None, typer.Option(help="OpenCV's name, e.g. DICT_5X5_100.")] = None,
    legacy: Annotated[bool, typer.Option("--legacy", help="Layout of OpenCV before 4.6.")] = False,
    inverted: Annotated[bool, typer.Option("--inverted", help="White on black.")] = False,
    paper: Annotated[str, typer.Option(help="A4 ... A0, Letter, Legal, Tabloid, or mm as 600x900.")] = "A4",
    tiled: Annotated[bool, typer.Option("--tiled", help="Over as many sheets as it takes.")] = False,
    two_sided: Annotated[bool, typer.Option("--two-sided", help="With mirrored backs.")] = False,
    dpi: Annotated[float, typer.Option(min=1, help="Resolution of PNG.")] = 300.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make a calibration board to print at true scale."""
    from calibration.board_file import read_board, write_board
    from calibration.board_print import PrintConfig
    from calibration.board_print_files import print_paths, write_prints
    from calibration.board_print_strip import board_words, size_words

    config = PrintConfig(paper=paper, tiled=tiled, two_sided=two_sided)
    sizes = {"square_mm": square_mm, "marker_mm": marker_mm, "gap_mm": gap_mm}
    flags = {"legacy": legacy or None, "inverted": inverted or None}
    given = given_of({"squares": squares, **sizes, "dictionary": dictionary, **flags})
    board = described(kind, given, config) if board_file is None else alone(read_board(board_file), given)
    places = [place for path in outputs for place in print_paths(board, path, config)]
    beside = [] if board_file else [outputs[0].with_suffix(".toml")]
    _refuse_existing(places, beside, board, overwrite=overwrite)
    for path in outputs:
        write_prints(board, path, config, dpi=dpi)
    for path in beside:
        write_board(board, path)
    if as_json:
        print_json(
            {
                "board": board.to_table(),
                "board_file": str(board_file or beside[0]),
                "prints": [str(place) for place in places],
            }
        )
        return
    tell(f"{board_words(board)}. Printed at 100 %, it measures {size_words(board)}.")
    for place in [*places, *beside]:
        print_path(place)


command.__doc__ = (command.__doc__ or "") + EXAMPLE


def _refuse_existing(places: list[Path], beside: list[Path], board: Board, *, overwrite: bool) -> None:
    """A board file may hold what somebody measured on the print: it is not replaced by accident."""
    from calibration.board_file import read_board

    existing = [path for path in [*places, *beside] if path.exists()]
    if not existing or overwrite:
        return
    if existing == beside and read_board(beside[0]) == board:
        return
    raise CalibrationError(
        "exists already", where=existing[0], remedy="Take another name, or --overwrite to replace it."
    )
