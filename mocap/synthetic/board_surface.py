"""A printed board as a thing to render: a thin stiff slab with the print on one face, sharp at every distance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int32
from pydantic import Field

from calibration.board_print_ink import board_ink
from calibration.board_print_png import coverage
from calibration.boards import CharucoBoard
from mocap.core.config import Config
from mocap.synthetic.scene import Thing

BACK_FACES = (2, 3)
FRONT_FACES = (0, 1)
LEVEL_BIAS = 0.5
"""Levels that are taken finer than the footprint: a level's own interpolation blurs by about that much again."""
ROW = 4096
"""Points that cv2.remap gets in one row; it allows 32767."""


class BoardSheet(Config):
    """What the board is printed on.

    margin_m: around the squares, white (black where the print is inverted); None for half a square. back: "white", or
    "mirrored" with the print as it would shine through, so that corners coincide in space but for the thickness. gloss:
    0 matt paper to 1 laminated. paper, ink: reflectance.
    """

    margin_m: float | None = Field(default=None, ge=0)
    thickness_m: float = Field(default=0.002, gt=0)
    back: Literal["white", "mirrored"] = "white"
    gloss: float = Field(default=0.15, ge=0, le=1)
    paper: float = Field(default=0.82, ge=0, le=1)
    ink: float = Field(default=0.035, ge=0, le=1)
    texels_per_square: int = Field(default=64, ge=8, le=1024)

    def margin_of(self, board: CharucoBoard) -> float:
        """The margin in metres."""
        return board.square_m / 2 if self.margin_m is None else self.margin_m


@dataclass(frozen=True, eq=False)
class BoardSurface:
    """The look of the slab; its vertices are given in the board's frame (see `calibration.boards`).

    corners_m: (8, 3) of the slab. levels: the print with its margin as reflectance, each half as fine as the one
    before; texel (u, v) of level n has its centre at ((u + 0.5) 2^n texel_m - origin_m) in both directions.
    """

    corners_m: Float[np.ndarray, "8 3"]
    levels: tuple[Float32[np.ndarray, "..."], ...]
    texel_m: float
    origin_m: float
    sheet: BoardSheet

    @property
    def faces(self) -> Int32[np.ndarray, "F 3"]:
        return SLAB_FACES

    @property
    def gloss(self) -> float:
        return self.sheet.gloss

    def albedo(
        self,
        face: Int32[np.ndarray, "N"],
        barycentric: Float32[np.ndarray, "N 3"],
        footprint_m: Float32[np.ndarray, "N"],
    ) -> Float32[np.ndarray, "N 3"]:
        """Grey reflectance, the print blurred over the footprint."""
        grey = np.full(len(face), self.sheet.paper, dtype=np.float32)
        printed = FRONT_FACES + (BACK_FACES if self.sheet.back == "mirrored" else ())
        for one in printed:
            mine = np.flatnonzero(face == one)
            place = barycentric[mine] @ self.corners_m[SLAB_FACES[one], :2].astype(np.float32)
            grey[mine] = self.reflectance(place, footprint_m[mine])
        return np.repeat(grey[:, None], 3, axis=1)

    def reflectance(
        self, place_m: Float32[np.ndarray, "N 2"], footprint_m: Float32[np.ndarray, "N"]
    ) -> Float32[np.ndarray, "N"]:
        """The print at places (x, y) of the board's frame, trilinear between texels and levels."""
        texels = (place_m + np.float32(self.origin_m)) / np.float32(self.texel_m)
        finest = np.float32(len(self.levels) - 1)
        level = np.log2(np.maximum(footprint_m, 1e-9) / np.float32(self.texel_m)) - np.float32(LEVEL_BIAS)
        level = np.clip(level, 0, finest)
        lower = np.minimum(level.astype(np.int32), len(self.levels) - 1)
        found = np.empty(len(place_m), dtype=np.float32)
        for n in np.unique(lower).tolist():
            here = np.flatnonzero(lower == n)
            fine = _sampled(self.levels[n], texels[here] / 2**n)
            coarse = _sampled(self.levels[min(n + 1, len(self.levels) - 1)], texels[here] / 2 ** (n + 1))
            found[here] = fine + (level[here] - n) * (coarse - fine)
        return found


# Vertices 0-3 lie on the print (top left, top right, bottom right, bottom left as it reads), 4-7 behind them.
SLAB_FACES: Int32[np.ndarray, "12 3"] = np.array(
    [
        *([0, 3, 2], [0, 2, 1]),
        *([4, 5, 6], [4, 6, 7]),
        *([0, 1, 5], [0, 5, 4]),
        *([1, 2, 6], [1, 6, 5]),
        *([2, 3, 7], [2, 7, 6]),
        *([3, 0, 4], [3, 4, 7]),
    ],
    dtype=np.int32,
)


def board_surface(board: CharucoBoard, sheet: BoardSheet | None = None) -> BoardSurface:
    """The surface of a board; made once and remembered."""
    return _surface(board, (sheet or BoardSheet()).model_dump_json())


@lru_cache(maxsize=8)
def _surface(board: CharucoBoard, sheet_as_json: str) -> BoardSurface:
    sheet = BoardSheet.model_validate_json(sheet_as_json)
    margin, texel = sheet.margin_of(board), board.square_m / sheet.texels_per_square
    around = int(np.ceil(margin / texel)) + 1
    size = [int(n * sheet.texels_per_square + 2 * around) for n in (board.squares_y, board.squares_x)]
    # Texels at edges are grey by the share that is black. Rounded to whole texels, a marker lies nearer to one side of
    # its square, which moved corners in rendered pictures by up to 0.09 px, and focal lengths from them by 0.12 %.
    ink = coverage(board_ink(board, around * texel) / texel + around, (size[0], size[1]))
    image = (1 - ink).astype(np.float32)
    return BoardSurface(
        corners_m=_slab(board, margin, sheet.thickness_m),
        levels=_pyramid(sheet.ink + image * (sheet.paper - sheet.ink)),
        texel_m=texel,
        origin_m=around * texel,
        sheet=sheet,
    )


def board_thing(
    board: CharucoBoard, world_from_board: Float[np.ndarray, "4 4"], sheet: BoardSheet | None = None
) -> Thing:
    """The board at a pose."""
    surface = board_surface(board, sheet)
    vertices = surface.corners_m @ world_from_board[:3, :3].T + world_from_board[:3, 3]
    return Thing(surface, vertices.astype(np.float32), smooth=False)


def _slab(board: CharucoBoard, margin: float, thickness: float) -> Float[np.ndarray, "8 3"]:
    width, height = board.size_m
    x, y = (-margin, width + margin), (-margin, height + margin)
    outline = [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]
    return np.array([(*corner, z) for z in (0.0, thickness) for corner in outline])


def _pyramid(image: Float32[np.ndarray, "H W"]) -> tuple[Float32[np.ndarray, "..."], ...]:
    """The image and its halves down to a few texels; edges are repeated so that every level halves evenly."""
    count = max(1, int(np.log2(min(image.shape))) - 1)
    block = 2 ** (count - 1)
    down, right = (-n % block for n in image.shape)
    levels = [cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REPLICATE)]
    while len(levels) < count:
        last = levels[-1]
        levels.append(last.reshape(last.shape[0] // 2, 2, last.shape[1] // 2, 2).mean(axis=(1, 3), dtype=np.float32))
    return tuple(levels)


def _sampled(level: Float32[np.ndarray, "H W"], place: Float32[np.ndarray, "N 2"]) -> Float32[np.ndarray, "N"]:
    """Bilinear; place (0.5, 0.5) is the centre of the first texel."""
    if not len(place):
        return np.empty(0, dtype=np.float32)
    padded = np.full((-(-len(place) // ROW) * ROW, 2), 0, dtype=np.float32)
    padded[: len(place)] = place - np.float32(0.5)
    u, v = padded[:, 0].reshape(-1, ROW), padded[:, 1].reshape(-1, ROW)
    found = cv2.remap(level, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(-1)[: len(place)]
