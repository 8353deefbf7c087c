"""Printed boards as files: the suffix says which kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from calibration.board_file import Board
from calibration.board_print import PrintConfig, Sheet, board_sheets
from calibration.board_print_pdf import pdf_bytes
from calibration.board_print_png import png_bytes
from calibration.board_print_svg import svg_text
from calibration.errors import CalibrationError

SUFFIXES = (".pdf", ".svg", ".png")
DEFAULT_DPI = 300.0


def write_prints(
    board: Board, path: str | Path, config: PrintConfig | None = None, *, dpi: float | int = DEFAULT_DPI
) -> tuple[Path, ...]:
    """Write a board for printing at true scale: all sheets in one PDF, or one SVG or PNG each (board_front.svg,
    board_back.svg where there are several). `dpi` is for PNG."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise CalibrationError(
            f"{path.suffix or 'a name without an ending'} is no kind of print", where=path,
            remedy=f"End the name in {', '.join(SUFFIXES)}.",
        )  # fmt: skip
    sheets = board_sheets(board, config)
    if path.suffix.lower() == ".pdf":
        return (_write(path, pdf_bytes(sheets)),)
    encode = _encoder(path.suffix.lower(), dpi)
    return tuple(_write(place, encode(sheet)) for place, sheet in zip(_places(path, sheets), sheets, strict=True))


def print_paths(board: Board, path: str | Path, config: PrintConfig | None = None) -> tuple[Path, ...]:
    """The files that `write_prints` would write."""
    path = Path(path)
    return (path,) if path.suffix.lower() == ".pdf" else tuple(_places(path, board_sheets(board, config)))


def _encoder(suffix: str, dpi: float | int) -> Callable[[Sheet], bytes]:
    return (lambda sheet: svg_text(sheet).encode()) if suffix == ".svg" else lambda sheet: png_bytes(sheet, dpi)


def _places(path: Path, sheets: Sequence[Sheet]) -> list[Path]:
    if len(sheets) == 1:
        return [path]
    return [path.with_name(f"{path.stem}_{sheet.name}{path.suffix}") for sheet in sheets]


def _write(path: Path, data: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise CalibrationError(f"cannot be written: {error.strerror}", where=path) from None
    return path
