"""How an FBX file is written."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mocap.core.config import Config
from mocap.io.axes import Unit, Up
from mocap.io.euler import RotationOrder


class FbxLayout(Config):
    """version: 7400 (FBX 2014) or 7500 (FBX 2016). stack: name of the take; `Take 001` if empty.

    rotation_order: of Euler curves, as in `mocap.io.euler`; ZYX is FBX's eEulerXYZ, which everybody reads. holder: an
    empty node with the person's name above the hips, which Blender makes the armature. root_bone: name of a bone that
    stands at the origin above the hips; none if empty. end_bones: a bone at the tip of the head, hands and toes, so
    that bones end where the body does; end_names: what they are called (joint: name), else `<joint>_End`.
    """

    version: Literal[7400, 7500] = 7400
    stack: str = ""
    rotation_order: RotationOrder = "ZYX"
    holder: bool = True
    root_bone: str = ""
    end_bones: bool = False
    end_names: dict[str, str] = Field(default_factory=dict)


class FbxConfig(FbxLayout):
    """up, unit: of the numbers in the file, which says so itself. name_prefix: put before joint names."""

    up: Up = "y"
    unit: Unit = "cm"
    name_prefix: str = ""
