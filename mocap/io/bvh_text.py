"""`BvhFile` to text, in the layout that every reader we know takes (Blender's counts lines, for instance)."""

from __future__ import annotations

import numpy as np

from mocap.io.bvh_file import BvhFile


def format_bvh(bvh: BvhFile, *, position_decimals: int | None = None, rotation_decimals: int | None = None) -> str:
    """The text of a BVH file; the shortest digits that read back to the same float64 where no decimals are given.

    Frame time always has all its digits, so that 1 / (frame time) is the frame rate.
    """
    lines = ["HIERARCHY", *_hierarchy_lines(bvh, position_decimals)]
    lines += ["MOTION", f"Frames: {bvh.n_frames}", f"Frame Time: {_shortest(bvh.frame_time)}"]
    lines += _motion_lines(bvh, position_decimals, rotation_decimals)
    return "\n".join(lines) + "\n"


def _hierarchy_lines(bvh: BvhFile, decimals: int | None) -> list[str]:
    lines: list[str] = []
    path: list[int] = []
    for joint, parent in enumerate(bvh.parents.tolist()):
        while path and path[-1] != parent:
            lines.append("\t" * (len(path) - 1) + "}")
            path.pop()
        indent = "\t" * len(path)
        path.append(joint)
        channels = bvh.channels[joint]
        lines += [
            f"{indent}{'JOINT' if parent >= 0 else 'ROOT'} {bvh.joint_names[joint]}",
            f"{indent}{{",
            f"{indent}\tOFFSET {_triple(bvh.offsets[joint], decimals)}",
            " ".join([f"{indent}\tCHANNELS {len(channels)}", *channels]),
        ]
        for end in np.flatnonzero(bvh.end_parents == joint):
            offset = f"{indent}\t\tOFFSET {_triple(bvh.end_offsets[end], decimals)}"
            lines += [f"{indent}\tEnd Site", f"{indent}\t{{", offset, f"{indent}\t}}"]
    lines += ["\t" * depth + "}" for depth in reversed(range(len(path)))]
    return lines


def _motion_lines(bvh: BvhFile, position_decimals: int | None, rotation_decimals: int | None) -> list[str]:
    names = [name for channels in bvh.channels for name in channels]
    decimals = [rotation_decimals if name.endswith("rotation") else position_decimals for name in names]
    values = bvh.values.copy()
    for column, places in enumerate(decimals):
        if places is not None:
            values[:, column] = np.round(values[:, column], places) + 0.0  # + 0.0 turns -0.0 into 0.0
    if None in decimals:
        columns = [_shortest if places is None else f"{{:.{places}f}}".format for places in decimals]
        return [" ".join(show(v) for show, v in zip(columns, row, strict=True)) for row in values.tolist()]
    row_format = " ".join(f"%.{places}f" for places in decimals)
    return [row_format % tuple(row) for row in values.tolist()]


def _triple(vector: np.ndarray, decimals: int | None) -> str:
    values = vector.tolist() if decimals is None else (np.round(vector, decimals) + 0.0).tolist()
    return " ".join(_shortest(v) if decimals is None else f"{v:.{decimals}f}" for v in values)


def _shortest(value: float) -> str:
    """Shortest decimal that reads back exactly, without an exponent: some readers do not know exponents."""
    text = repr(value)
    return np.format_float_positional(value) if "e" in text else text
