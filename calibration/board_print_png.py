"""A sheet as PNG that states its resolution. Edges between pixels are grey by the share that is covered: no edge moves,
whatever the resolution."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from calibration.board_print import Sheet
from calibration.board_print_ink import Rectangles
from calibration.errors import CalibrationError

INCH_M = 0.0254
MAX_PIXELS = 400_000_000
BAND_ROWS = 512
HERSHEY_CAPITAL_PX = 21
"""Height of OpenCV's plain letters at scale 1; Helvetica's are 0.72 of its font's height."""
HELVETICA_CAPITAL = 0.72


def pixels_per_metre(dpi: float | int) -> int:
    """The resolution to which `dpi` is rounded: PNG states whole pixels a metre."""
    return round(dpi / INCH_M)


def sheet_image(sheet: Sheet, dpi: float | int) -> UInt8[np.ndarray, "H W"]:
    """Pixel (u, v) shows the sheet's square from (u, v) / pixels_per_metre(dpi) to (u + 1, v + 1) / it."""
    scale = pixels_per_metre(dpi)
    width, height = (int(np.ceil(side * scale - 1e-6)) for side in sheet.size_m)
    if not (scale > 0 and width * height <= MAX_PIXELS):
        raise CalibrationError(
            f"{dpi:g} dpi make {width} x {height} pixels", remedy="Take a lower resolution, or PDF, which has none."
        )
    image = np.empty((height, width), dtype=np.uint8)
    rectangles = sheet.ink * scale
    for top in range(0, height, BAND_ROWS):
        white = 1 - coverage(rectangles, image[top : top + BAND_ROWS].shape, top=top)
        image[top : top + BAND_ROWS] = np.round(255 * white).astype(np.uint8)
    for text in sheet.texts:
        size = text.height_m * scale * HELVETICA_CAPITAL / HERSHEY_CAPITAL_PX
        place = round(text.x_m * scale), round(text.y_m * scale)
        thickness = max(1, round(2 * size))
        cv2.putText(image, text.words, place, cv2.FONT_HERSHEY_SIMPLEX, size, (0,), thickness, cv2.LINE_AA)
    return image


def coverage(rectangles: Rectangles, shape: tuple[int, int], *, top: int = 0) -> Float32[np.ndarray, "H W"]:
    """How much of every pixel is black, 0 to 1: rows from `top` on of a picture. rectangles: in its pixels."""
    height, width = shape
    covered = np.zeros(shape, dtype=np.float32)
    near = (rectangles[:, 3] > top) & (rectangles[:, 1] < top + height)
    for x0, y0, x1, y1 in rectangles[near]:
        rows = _share(y0 - top, y1 - top, height)
        columns = _share(x0, x1, width)
        covered[rows[0] : rows[0] + len(rows[1]), columns[0] : columns[0] + len(columns[1])] += np.outer(
            rows[1], columns[1]
        )
    return np.clip(covered, 0, 1)


def _share(start: float, end: float, count: int) -> tuple[int, Float[np.ndarray, "N"]]:
    """The first of `count` pixels that an interval touches, and how much of each it covers."""
    start, end = max(start, 0.0), min(end, float(count))
    first, last = int(start), max(int(np.ceil(end)), int(start))
    edges = np.clip(np.arange(first, last + 1), start, end)
    return first, np.diff(edges)


def png_bytes(sheet: Sheet, dpi: float | int) -> bytes:
    """The file, with the resolution in its pHYs chunk (PNG 1.2, 4.2.4.2), so that it prints at true scale."""
    done, encoded = cv2.imencode(".png", sheet_image(sheet, dpi))
    if not done:
        raise CalibrationError("the picture cannot be encoded", remedy="Take PDF or SVG.")
    data = encoded.tobytes()
    after_header = 8 + 12 + 13  # signature, then the length, name, body and checksum of IHDR
    return data[:after_header] + _physical_size(pixels_per_metre(dpi)) + data[after_header:]


def _physical_size(per_metre: int) -> bytes:
    body = b"pHYs" + struct.pack(">IIB", per_metre, per_metre, 1)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
