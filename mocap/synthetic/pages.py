"""The pages of a dressed body's atlas, in their order."""

from __future__ import annotations

from mocap.synthetic.body_atlas import SIZE

SKIN, TOP, BOTTOM, HAIR, EXTRA = range(5)

Tile = tuple[float, float, float, float]
"""Left, top, width and height of a part of a page, 0 to 1."""


def tile_shape(tile: Tile) -> tuple[int, int]:
    """Rows and columns of texels."""
    return round(tile[3] * SIZE), round(tile[2] * SIZE)
