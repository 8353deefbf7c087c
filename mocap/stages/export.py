"""Motions to animation files. A new format is a writer in `mocap.io` and one line in `FORMATS`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from mocap.core.config import Config, Report
from mocap.core.errors import InputError
from mocap.core.keypoints import Keypoints3D
from mocap.core.motion import Motion
from mocap.core.skin import SkinnedMesh
from mocap.geometry.rest_pose import (
    BoneAxes,
    RestPose,
    a_pose,
    bone_axes,
    renamed,
    rest_turns,
    skin_at_rest,
    turned_axes,
    with_rest,
)
from mocap.io.axes import Unit, Up
from mocap.io.bvh import BvhConfig, write_bvh
from mocap.io.c3d import C3dConfig, write_c3d
from mocap.io.euler import RotationOrder
from mocap.io.export_presets import with_preset
from mocap.io.fbx import FbxConfig, FbxLayout, write_fbx
from mocap.io.gltf import GltfConfig, write_gltf
from mocap.io.tables import write_csv, write_npz, write_tables_h5
from mocap.io.trc import TrcConfig, write_trc
from mocap.io.usd import UsdConfig, write_usd
from mocap.io.world_joints import joint_points
from mocap.signal.resample_motion import resample_motion


class ExportConfig(Config):
    """formats: names in `FORMATS`; by default those that most programs open. up, unit: of the files that do not say so
    themselves.

    preset: values of `configs/export/<preset>.toml`, or of a TOML file given by its path, below those given here.
    rotation_order, end_sites: of BVH. names: what joints are called in the files, by their names here; name_prefix:
    put before ("mixamorig:"). rest_pose: T, or A with the arms lowered. bone_axes: axes of the bones at rest, where a
    format has any (FBX), by joint; the file's own where no rule is for them. apart: a file for each person, in formats
    that could hold all. fps: frame rate of the files, None for the motion's own.
    """

    preset: str = ""
    formats: tuple[str, ...] = ("bvh", "fbx", "glb")
    up: Up = "y"
    unit: Unit = "cm"
    rotation_order: RotationOrder = "ZXY"
    name_prefix: str = ""
    end_sites: bool = True
    names: dict[str, str] = Field(default_factory=dict)
    rest_pose: RestPose = "T"
    bone_axes: tuple[BoneAxes, ...] = ()
    apart: bool = False
    fps: float | None = Field(default=None, gt=0)
    fbx: FbxLayout = FbxLayout()

    @model_validator(mode="before")
    @classmethod
    def _over_preset(cls, given: Any) -> Any:
        return with_preset(given) if isinstance(given, Mapping) else given

    @field_validator("formats")
    @classmethod
    def _known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for name in formats:
            export_format(name)
        return formats


class ExportedFile(Report):
    """One file that was written. `name` is relative to the folder of the export.

    person: names of those in it, comma-separated; empty for points. n_joints: of one person, or keypoints of points.
    """

    name: str
    format: str
    person: str
    n_frames: int
    n_joints: int
    fps: float
    n_bytes: int


class ExportReport(Report):
    """What was written."""

    files: tuple[ExportedFile, ...]


@dataclass(frozen=True, eq=False)
class Content:
    """What goes into one file. motions, skins: of its people, in the same order, a skin or None for each.

    points: keypoints of the take, all its people; None where there are none. axes: (J, 4) world_from_joint at rest
    (wxyz) of each person's bones, None for those of the file.
    """

    motions: tuple[Motion, ...]
    skins: tuple[SkinnedMesh | None, ...]
    points: Keypoints3D | None = None
    axes: tuple[np.ndarray | None, ...] = ()


@dataclass(frozen=True)
class ExportFormat:
    """A kind of file: its suffix, what it is, and the function that writes one, whole or not at all.

    holds: "person" is written for one of the motions at a time, "people" for all of them, "points" for the keypoints
    (`content.points` is never None there: where the take has none they are the joints).
    """

    suffix: str
    description: str
    write: Callable[[Content, Path, ExportConfig], None]
    holds: Literal["person", "people", "points"] = "person"


def _write_bvh(content: Content, path: Path, config: ExportConfig) -> None:
    options = BvhConfig(
        up=config.up,
        unit=config.unit,
        rotation_order=config.rotation_order,
        name_prefix=config.name_prefix,
        end_sites=config.end_sites,
    )
    write_bvh(content.motions[0], path, options)


def _write_gltf(content: Content, path: Path, config: ExportConfig) -> None:
    options = GltfConfig(name_prefix=config.name_prefix, clip=path.stem)
    write_gltf(content.motions, path, options, skins=content.skins, axes=content.axes)


def _write_usd(content: Content, path: Path, config: ExportConfig) -> None:
    options = UsdConfig(up=config.up, unit=config.unit, name_prefix=config.name_prefix, scene=path.stem)
    write_usd(content.motions, path, options, skins=content.skins, axes=content.axes)


def _write_fbx(content: Content, path: Path, config: ExportConfig) -> None:
    own = {"up": config.up, "unit": config.unit, "name_prefix": config.name_prefix}
    options = FbxConfig.model_validate(config.fbx.model_dump() | own | {"stack": config.fbx.stack or path.stem})
    write_fbx(content.motions, path, options, skins=content.skins, axes=content.axes)


def _write_c3d(content: Content, path: Path, config: ExportConfig) -> None:
    assert content.points is not None
    write_c3d(content.points, path, C3dConfig(people=_people(content, content.points)))


def _write_trc(content: Content, path: Path, config: ExportConfig) -> None:
    assert content.points is not None
    write_trc(content.points, path, TrcConfig(up=config.up, people=_people(content, content.points)))


def _write_csv(content: Content, path: Path, config: ExportConfig) -> None:
    write_csv(content.motions, path)


def _write_npz(content: Content, path: Path, config: ExportConfig) -> None:
    write_npz(content.motions, path, points=content.points)


def _write_tables_h5(content: Content, path: Path, config: ExportConfig) -> None:
    write_tables_h5(content.motions, path, points=content.points)


def _people(content: Content, points: Keypoints3D) -> tuple[str, ...]:
    """Names for the people of the points, where the motions are of the same people."""
    names = tuple(dict.fromkeys(motion.person for motion in content.motions))
    return names if len(names) == points.n_people else ()


FORMATS: Mapping[str, ExportFormat] = {
    "bvh": ExportFormat(
        ".bvh", "Biovision hierarchy: skeleton and motion, read by Blender and most others", _write_bvh
    ),
    "fbx": ExportFormat(
        ".fbx", "Autodesk FBX, binary: skeletons at rest, takes, meshes, for Unity, Unreal, Maya", _write_fbx, "people"
    ),
    "glb": ExportFormat(".glb", "binary glTF: skeletons, animation and bodies of all people", _write_gltf, "people"),
    "usd": ExportFormat(".usda", "USD as text: UsdSkel, skeletons and bodies of all people", _write_usd, "people"),
    "c3d": ExportFormat(".c3d", "keypoints with residuals, for biomechanics", _write_c3d, "points"),
    "trc": ExportFormat(".trc", "keypoints as text, for OpenSim", _write_trc, "points"),
    "csv": ExportFormat(".csv", "joint positions and rotations, a row a frame", _write_csv, "people"),
    "npz": ExportFormat(".npz", "joints, rotations and keypoints as numpy arrays", _write_npz, "people"),
    "hdf5": ExportFormat(".hdf5", "joints, rotations and keypoints as tables", _write_tables_h5, "people"),
}


def export_format(name: str) -> ExportFormat:
    """The format of that name; the error lists those there are."""
    try:
        return FORMATS[name]
    except KeyError:
        raise InputError(f"no export format {name!r}; there are {', '.join(sorted(FORMATS))}") from None


def export(
    motions: Sequence[Motion],
    folder: Path,
    name: str,
    config: ExportConfig | None = None,
    *,
    points: Keypoints3D | None = None,
    skins: Sequence[SkinnedMesh | None] = (),
) -> tuple[list[Path], ExportReport]:
    """Write `<name>.<suffix>` into `folder`, or `<name>_<person>.<suffix>` for each of several people.

    skins: one or None for each motion, or none at all. Formats that hold all people write one file for them.
    """
    config = config or ExportConfig()
    if not motions and not (points is not None and all(export_format(f).holds == "points" for f in config.formats)):
        raise InputError(f"there is no motion of {name!r} to export", remedy="Solve the take first.")
    if skins and len(skins) != len(motions):
        raise InputError(f"{len(skins)} skins for {len(motions)} motions of {name!r}; one or None for each")
    sampled = [motion if config.fps is None else resample_motion(motion, config.fps) for motion in motions]
    everyone = _dressed(Content(tuple(sampled), tuple(skins) or (None,) * len(sampled), points), config)
    paths, files = [], []
    for format_name in config.formats:
        kind = export_format(format_name)
        for stem, content in _contents(everyone, kind, name, apart=config.apart):
            path = folder / f"{stem}{kind.suffix}"
            kind.write(content, path, config)
            paths.append(path)
            files.append(_described(content, path, format_name))
    return paths, ExportReport(files=tuple(files))


def _dressed(content: Content, config: ExportConfig) -> Content:
    """The same people with the rest pose, the axes of bones and the names that the files are to have."""
    motions, skins, axes = [], [], []
    for motion, skin in zip(content.motions, content.skins, strict=True):
        skeleton = motion.skeleton
        turns = rest_turns(skeleton, a_pose(skeleton) if config.rest_pose == "A" else {})
        axes.append(turned_axes(bone_axes(skeleton, config.bone_axes), turns) if config.bone_axes else None)
        if config.rest_pose == "A":
            motion = with_rest(motion, turns)
            skin = skin_at_rest(skin, skeleton, turns) if skin is not None else None
        motions.append(replace(motion, skeleton=renamed(motion.skeleton, config.names)))
        skins.append(skin)
    return replace(content, motions=tuple(motions), skins=tuple(skins), axes=tuple(axes))


def _contents(
    everyone: Content, kind: ExportFormat, name: str, *, apart: bool = False
) -> Iterator[tuple[str, Content]]:
    """What goes into each of a format's files, with the stem of its name."""
    if kind.holds == "points" and everyone.points is None:
        everyone = replace(everyone, points=joint_points(everyone.motions))
    if kind.holds == "points" or (kind.holds == "people" and not apart):
        yield _safe(name), everyone
        return
    for stem, motion, skin, axes in zip(
        _stems(everyone.motions, name), everyone.motions, everyone.skins, everyone.axes, strict=True
    ):
        yield stem, Content((motion,), (skin,), everyone.points, (axes,))


def _described(content: Content, path: Path, format_name: str) -> ExportedFile:
    of_points = content.points if export_format(format_name).holds == "points" else None
    first = content.motions[0] if of_points is None else of_points
    return ExportedFile(
        name=path.name,
        format=format_name,
        person="" if of_points is not None else ", ".join(motion.person for motion in content.motions),
        n_frames=max(m.n_frames for m in content.motions) if of_points is None else of_points.n_frames,
        n_joints=len(content.motions[0].skeleton) if of_points is None else len(of_points.keypoint_set),
        fps=first.fps,
        n_bytes=path.stat().st_size,
    )


def _stems(motions: Sequence[Motion], name: str) -> list[str]:
    """File names without suffix, safe on every system and all different."""
    if len(motions) == 1:
        return [_safe(name)]
    stems: list[str] = []
    for motion in motions:
        stem = f"{_safe(name)}_{_safe(motion.person)}"
        same = sum(other == stem or other.startswith(f"{stem}_") for other in stems)
        stems.append(f"{stem}_{same + 1}" if same else stem)
    return stems


def _safe(name: str) -> str:
    """Letters, digits, `-`, `_` and `.` stay; anything else, which some system refuses in file names, becomes `_`."""
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "motion"
