"""Sheets as PDF: vector, with no library. ISO 32000-1; one page a sheet, one filled path for all ink of a page, so that
no seams show between rectangles that touch."""

from __future__ import annotations

from collections.abc import Sequence

from calibration.board_print import Sheet
from calibration.board_print_strip import Text

POINTS_PER_MM = 72 / 25.4


def pdf_bytes(sheets: Sequence[Sheet]) -> bytes:
    """The file. It asks viewers not to scale it and, where backs follow fronts, for printing on both sides."""
    pages = [5 + 2 * i for i in range(len(sheets))]
    objects = [
        "<< /Type /Catalog /Pages 2 0 R /ViewerPreferences 4 0 R >>",
        f"<< /Type /Pages /Count {len(sheets)} /Kids [{' '.join(f'{n} 0 R' for n in pages)}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        f"<< /PrintScaling /None{_duplex(sheets)} >>",
    ]
    for number, sheet in zip(pages, sheets, strict=True):
        width, height = (1000 * POINTS_PER_MM * side for side in sheet.size_m)
        content = _content(sheet)
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.6f} {height:.6f}] /Contents {number + 1} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>",
            f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        ]
    return _file(objects)


def _duplex(sheets: Sequence[Sheet]) -> str:
    if not any(sheet.mirrored for sheet in sheets):
        return ""
    width, height = sheets[0].size_m
    return f" /Duplex /DuplexFlip{'Long' if width < height else 'Short'}Edge"


def _content(sheet: Sheet) -> str:
    """Operators in millimetres from the bottom left of the page, y up."""
    height = 1000 * sheet.size_m[1]
    lines = [f"{POINTS_PER_MM:.9f} 0 0 {POINTS_PER_MM:.9f} 0 0 cm", "0 g"]
    for left, top, right, bottom in (1000 * sheet.ink).tolist():
        lines.append(f"{left:.5f} {height - bottom:.5f} {right - left:.5f} {bottom - top:.5f} re")
    lines += ["f", "BT"]
    lines += [_text(text, height) for text in sheet.texts]
    return "\n".join([*lines, "ET"])


def _text(text: Text, height: float) -> str:
    words = text.words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    place = f"1 0 0 1 {1000 * text.x_m:.3f} {height - 1000 * text.y_m:.3f} Tm"
    return f"/F1 {1000 * text.height_m:.3f} Tf {place} ({words}) Tj"


def _file(objects: Sequence[str]) -> bytes:
    """Objects numbered from 1, the first of which is the catalogue, with their table of places."""
    data = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    places = []
    for number, text in enumerate(objects, start=1):
        places.append(len(data))
        data += f"{number} 0 obj\n{text}\nendobj\n".encode("ascii")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    tail = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(data)}\n%%EOF\n"
    return data + (head + tail).encode("ascii")
