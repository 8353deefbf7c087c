"""`mocap export`: a solved motion to animation files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mocap.cli.console import print_json, stderr, stdout

if TYPE_CHECKING:
    from mocap.core.keypoints import Keypoints3D
    from mocap.core.motion import Motion
    from mocap.io.axes import Up
    from mocap.stages.export import ExportConfig


def command(
    motion: Annotated[
        Path, typer.Argument(help="A solved motion (derived/feet.h5 of a take), or a .bvh, .fbx or .glb file.")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A folder, or one file such as dance.fbx.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Names, rest pose, axes and unit of: unity, unreal, blender, rigify, mixamo, cmu; or a .toml."
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", help="Format; repeat for several. Default: the preset's, or bvh, fbx, glb."),
    ] = None,
    up: Annotated[str | None, typer.Option(help="Axis that points up in the files: y or z. Default: y.")] = None,
    unit: Annotated[str | None, typer.Option(help="Unit of length in the files: cm, m, mm or in. Default: cm.")] = None,
    rest_pose: Annotated[str | None, typer.Option(help="Pose of the skeleton at rest: T or A. Default: T.")] = None,
    rotation_order: Annotated[
        str | None, typer.Option(help="Order of the rotation channels of BVH, e.g. ZXY or XYZ. Default: ZXY.")
    ] = None,
    name_prefix: Annotated[str | None, typer.Option(help='Put before joint names, e.g. "mixamorig:".')] = None,
    end_sites: Annotated[
        bool | None, typer.Option("--end-sites/--no-end-sites", help="Ends of the last bones in BVH. Default: yes.")
    ] = None,
    apart: Annotated[
        bool | None, typer.Option("--apart/--together", help="A file for each person, or one for all where it can be.")
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second of the files. Default: the motion's own.")] = None,
    from_up: Annotated[
        str | None, typer.Option(help="Up axis of a .bvh that is read. Default: guessed, shown.")
    ] = None,
    from_unit: Annotated[
        str | None, typer.Option(help="Unit of a .bvh that is read: cm, m, mm, in or metres a unit. Default: guessed.")
    ] = None,
    blender: Annotated[
        Path | None,
        typer.Option(
            help="A scene with the take's cameras and videos: a .blend, through your Blender, or a .py to run there."
        ),
    ] = None,
    take: Annotated[
        Path | None, typer.Option(help="With --blender: whose cameras. Default: the take that the motion lies in.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Convert a solved motion to animation files.

    Example: mocap export takes/walk/derived/feet.h5 --preset unity -o walk.fbx
    """
    from mocap.core.errors import InputError
    from mocap.stages.export import export

    if blender is not None and out is None:
        _hand_to_blender(read_motions(motion, from_up, from_unit), motion, blender, take)
        return
    if out is None or blender is not None:
        raise InputError("one of the two is wanted", where="--out, --blender")
    single = out.suffix != "" and not out.is_dir()
    formats = to or ([_format_of(out)] if single else None)
    config = _config(
        preset=preset,
        formats=tuple(formats) if formats else None,
        up=up,
        unit=unit,
        rest_pose=rest_pose,
        rotation_order=rotation_order,
        name_prefix=name_prefix,
        end_sites=end_sites,
        apart=apart,
        fps=fps,
    )
    motions = read_motions(motion, from_up, from_unit)
    folder, name = (out.parent, out.stem) if single else (out, _name(motion))
    if single:
        _require_one_file(out, config, motions)
    paths, report = export(motions, folder, name, config, points=_points(motion))
    if as_json:
        print_json({"paths": [str(path) for path in paths], **report.model_dump(mode="json")})
        return
    for path, file in zip(paths, report.files, strict=True):
        stdout.print(f"{path}  {file.n_frames} frames at {file.fps:g}/s, {file.n_joints} joints", soft_wrap=True)


def _hand_to_blender(motions: tuple[Motion, ...], source: Path, out: Path, take: Path | None) -> None:
    from mocap.blender_handoff import hand_to_blender, take_of

    own = take or take_of(source)
    if own is None:
        stderr.print("No take is known, so the scene has no cameras: name one with --take.", soft_wrap=True)
    for path in hand_to_blender(motions, out, take=own, name=_name(source)):
        stdout.print(str(path), soft_wrap=True)


def _points(motion: Path) -> Keypoints3D | None:
    """The smoothed keypoints that lie beside a solved motion, for formats of points."""
    from mocap.io.artefacts import load_keypoints3d

    beside = motion.parent / "smooth.h5"
    return load_keypoints3d(beside) if motion.suffix.lower() in (".h5", ".hdf5") and beside.is_file() else None


def _config(**values: object) -> ExportConfig:
    """The configuration of what was given, with a sentence for a value that is not allowed."""
    from pydantic import ValidationError

    from mocap.core.errors import ConfigError
    from mocap.stages.export import ExportConfig

    try:
        return ExportConfig.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        problem = error.errors()[0]
        message = problem["msg"].removeprefix("Value error, ").replace("Input should", "should")
        key = ".".join(str(part) for part in problem["loc"])
        if values.get("preset") and (not key or values.get(key.partition(".")[0]) is None):
            raise ConfigError(f"{key}: {message}" if key else message, where="--preset") from None
        option = str(problem["loc"][0]).replace("_", "-")
        where = "--to" if option == "formats" else f"--{option}"
        raise ConfigError(f"{message} (got {problem['input']!r})", where=where) from None


def _format_of(out: Path) -> str:
    """The format that a file name asks for."""
    from mocap.core.errors import InputError
    from mocap.stages.export import FORMATS

    for name, kind in FORMATS.items():
        if kind.suffix == out.suffix.lower():
            return name
    known = ", ".join(sorted(kind.suffix for kind in FORMATS.values()))
    raise InputError(f"no export format has the suffix {out.suffix}; there are {known}", where=out)


def _require_one_file(out: Path, config: ExportConfig, motions: tuple[Motion, ...]) -> None:
    from mocap.core.errors import InputError
    from mocap.stages.export import export_format

    kinds = [export_format(name) for name in config.formats]
    suffixes = {kind.suffix for kind in kinds}
    if suffixes != {out.suffix.lower()}:
        raise InputError(f"has the suffix of none or not all of {', '.join(sorted(suffixes))}", where=out)
    apart = any(kind.holds == "person" or (kind.holds == "people" and config.apart) for kind in kinds)
    if len(motions) > 1 and apart:
        people = ", ".join(motion.person for motion in motions)
        raise InputError(
            f"is one file for {len(motions)} people ({people})", where=out, remedy="Give a folder with -o."
        )


def read_motions(path: Path, from_up: str | None = None, from_unit: str | None = None) -> tuple[Motion, ...]:
    """Everybody in a file of motions; says on stderr what had to be guessed."""
    from mocap.core.errors import FileFormatError, InputError
    from mocap.io.artefacts import load_motions

    suffix = path.suffix.lower()
    if suffix == ".bvh":
        return _read_bvh(path, from_up, from_unit)
    if from_up is not None or from_unit is not None:
        raise InputError(
            "is not a .bvh: its axes and unit are known", where=path, remedy="Drop --from-up, --from-unit."
        )
    if suffix in (".h5", ".hdf5"):
        return load_motions(path)
    if suffix == ".fbx":
        from mocap.io.fbx_people import read_fbx_people

        return tuple(person.motion for person in read_fbx_people(path))
    if suffix in (".glb", ".gltf"):
        from mocap.io.gltf_people import read_gltf_people

        return tuple(person.motion for person in read_gltf_people(path))
    raise FileFormatError(
        f"motions are read from .h5, .bvh, .fbx and .glb, not from {suffix or 'a name without suffix'}", where=path
    )


def _read_bvh(path: Path, from_up: str | None, from_unit: str | None) -> tuple[Motion, ...]:
    """Every root of the file as one person; says on stderr what was guessed and why."""
    from mocap.core.errors import InputError
    from mocap.io.bvh import guess_conventions, motion_from_bvh, read_bvh, split_roots

    up = None if from_up is None else _up(from_up)
    unit = None if from_unit is None else _unit(from_unit)
    parts = split_roots(read_bvh(path))
    motions = []
    for part in parts:
        guess = guess_conventions(part)
        if up is None or unit is None:
            caution = "" if guess.certain else " [bold yellow]Not certain:[/] state them with --from-up, --from-unit."
            stderr.print(f"{path.name}: {guess.reason} (guessed).{caution}", soft_wrap=True)
        person = "person" if len(parts) == 1 else part.joint_names[0]
        try:
            motions.append(motion_from_bvh(part, up=up or guess.up, unit=unit or guess.metres_per_unit, person=person))
        except InputError as error:
            raise InputError(error.what, where=error.where or path, remedy=error.remedy) from None
    return tuple(motions)


def _up(text: str) -> Up:
    from mocap.core.errors import InputError

    if text == "y" or text == "z":
        return text
    raise InputError(f"no up axis {text!r}; there are y, z", where="--from-up")


def _unit(text: str) -> float:
    """Metres a unit, from a name or a number."""
    from mocap.core.errors import InputError
    from mocap.io.axes import metres_per

    try:
        return metres_per(float(text) if text[:1] in "+-.0123456789" else text)
    except ValueError as error:
        raise InputError(str(error), where="--from-unit", remedy="Or give metres a unit, e.g. 0.01.") from None


def _name(path: Path) -> str:
    """`walk` for walk.bvh and for takes/walk/derived/feet.h5."""
    full = path.resolve()
    return full.parent.parent.name if full.parent.name == "derived" else full.stem
