"""BVH (Biovision hierarchy): reading any, writing ours. The format is described in `bvh_file`."""

from __future__ import annotations

from pathlib import Path

from mocap.core.motion import Motion
from mocap.io.artefacts import write_text_atomic
from mocap.io.bvh_file import BvhFile, end_positions, joint_positions, split_roots
from mocap.io.bvh_motion import BvhConfig, BvhConventions, bvh_from_motion, guess_conventions, motion_from_bvh
from mocap.io.bvh_parse import parse_bvh, read_bvh
from mocap.io.bvh_text import format_bvh

__all__ = [
    "BvhConfig",
    "BvhConventions",
    "BvhFile",
    "bvh_from_motion",
    "end_positions",
    "format_bvh",
    "guess_conventions",
    "joint_positions",
    "motion_from_bvh",
    "parse_bvh",
    "read_bvh",
    "split_roots",
    "write_bvh",
    "write_bvh_file",
]

# Half a unit of the sixth decimal is 9e-9 rad a channel; three channels over a chain of ten joints with a metre of
# lever each add up to 2.6e-7 m at worst.
ROTATION_DECIMALS = 6
POSITION_DECIMALS = {"m": 8, "cm": 6, "mm": 5, "in": 7}  # 5e-9 m or better


def write_bvh(motion: Motion, path: Path, config: BvhConfig | None = None) -> None:
    """Write one person's motion; the same motion gives the same bytes. Positions are kept to a micrometre."""
    config = config or BvhConfig()
    decimals = POSITION_DECIMALS[config.unit]
    bvh = bvh_from_motion(motion, config)
    write_text_atomic(path, format_bvh(bvh, position_decimals=decimals, rotation_decimals=ROTATION_DECIMALS))


def write_bvh_file(bvh: BvhFile, path: Path) -> None:
    """Write a `BvhFile` as it is, every number with all its digits."""
    write_text_atomic(path, format_bvh(bvh))
