"""Acclaim ASF/AMC, the format of the CMU motion library, as a `BvhFile`: what reads BVH reads this.

A bone's joint is where the bone begins. Its axes at rest are the file's world axes, as in BVH: the dofs, which turn
about the bone's own `axis` A, become `A R A^-1`. Lengths stay in the file's unit (`guess_conventions` knows CMU's).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.io.asf_frames import parse_amc
from mocap.io.asf_text import ROOT, TRANSLATIONS, AsfSkeleton, parse_asf, read_text
from mocap.io.bvh_file import BvhFile
from mocap.io.euler import continuous_euler

__all__ = ["AsfSkeleton", "find_asf", "motion_file", "parse_amc", "parse_asf", "read_asf", "read_asf_amc"]

ORDER = "ZYX"
ROTATIONS = tuple(f"{axis}rotation" for axis in ORDER)
CMU_FPS = 120.0


def read_asf(path: Path) -> AsfSkeleton:
    """Read a skeleton."""
    return parse_asf(read_text(path, "ASF"), where=str(path))


def read_asf_amc(asf: Path, amc: Path, *, fps: float = CMU_FPS) -> BvhFile:
    """Read a motion and its skeleton. The format has no frame rate: CMU's is 120 a second (60 in a few subjects)."""
    if not np.isfinite(fps) or fps <= 0:
        raise InputError(f"{fps} frames a second is not a frame rate")
    skeleton = read_asf(asf)
    return motion_file(skeleton, parse_amc(read_text(amc, "AMC"), skeleton, where=str(amc)), fps)


def find_asf(amc: Path) -> Path:
    """The skeleton beside a motion: `01.asf` for `01_02.amc`, else of the same name, else the only one there is."""
    nearby = sorted(file for file in amc.parent.glob("*") if file.suffix.lower() == ".asf")
    for stem in (amc.stem.rsplit("_", 1)[0], amc.stem):
        for file in nearby:
            if file.stem == stem:
                return file
    if len(nearby) == 1:
        return nearby[0]
    found = "several skeletons" if nearby else "no skeleton"
    raise InputError(f"there is {found} (*.asf) beside it", where=amc, remedy="Say which ASF belongs to it.")


def motion_file(skeleton: AsfSkeleton, values: dict[str, Float[np.ndarray, "T c"]], fps: float) -> BvhFile:
    """Skeleton and values (as `parse_amc` gives them) as one file; the root has six channels, bones with dofs three."""
    names = _depth_first(skeleton)
    parents = np.array([-1, *[names.index(skeleton.parents[name]) for name in names[1:]]], dtype=np.int64)
    leaves = [j for j in range(len(names)) if j not in parents and names[j] != ROOT]
    turns = {name: _angles(skeleton, name, values[name]) for name in values}
    place = values[ROOT][:, [skeleton.order.index(axis) for axis in TRANSLATIONS]] + skeleton.root_position
    columns = [place, turns[ROOT], *[turns[name] for name in names[1:] if name in turns]]
    return BvhFile(
        joint_names=tuple(names),
        parents=parents,
        offsets=np.array([np.zeros(3), *[_end(skeleton, skeleton.parents[name]) for name in names[1:]]]),
        channels=(
            ("Xposition", "Yposition", "Zposition", *ROTATIONS),
            *[ROTATIONS if name in turns else () for name in names[1:]],
        ),
        end_parents=np.array(leaves, dtype=np.int64),
        end_offsets=np.array([_end(skeleton, names[j]) for j in leaves]).reshape(-1, 3),
        values=np.hstack(columns),
        frame_time=1.0 / fps,
    )


def _depth_first(skeleton: AsfSkeleton) -> list[str]:
    names: list[str] = []
    waiting = [ROOT]
    while waiting:
        name = waiting.pop()
        names.append(name)
        waiting += [child for child, parent in reversed(skeleton.parents.items()) if parent == name]
    return names


def _end(skeleton: AsfSkeleton, name: str) -> np.ndarray:
    """Where a bone ends, from where it begins; the root has no length."""
    if name == ROOT:
        return np.zeros(3)
    bone = skeleton.bones[name]
    return np.array(bone.direction) * bone.length


def _angles(skeleton: AsfSkeleton, name: str, values: Float[np.ndarray, "T c"]) -> Float[np.ndarray, "T 3"]:
    """Degrees of the channels Z, Y, X that turn a joint as its dofs do."""
    dof = skeleton.order if name == ROOT else skeleton.bones[name].dof
    axis = skeleton.root_axis if name == ROOT else skeleton.bones[name].axis
    is_turn = [column.startswith("r") for column in dof]
    letters = "".join(column[1] for column in dof if column.startswith("r"))
    if not len(values):
        return np.zeros((0, 3))
    turn = axis * Rotation.from_euler(letters, values[:, is_turn], degrees=True) * axis.inv()
    return np.rad2deg(continuous_euler(turn.as_quat()[:, [3, 0, 1, 2]], ORDER))
