"""`mocap retarget`: a solved motion onto one's own character."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mocap.cli.console import print_json, stderr, stdout

if TYPE_CHECKING:
    from mocap.core.motion import Motion
    from mocap.io.character_file import CharacterFile


def command(
    motion: Annotated[Path, typer.Argument(help="A solved motion (derived/feet.h5 of a take) or a .bvh of a person.")],
    to: Annotated[Path, typer.Option("--to", help="The character: a .bvh, .fbx, .glb or .gltf with its skeleton.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: .bvh, .fbx or .glb.")],
    joint: Annotated[
        list[str] | None,
        typer.Option("--joint", help="A joint that was not found, as LeftArm=their_name; repeat for several."),
    ] = None,
    person: Annotated[str | None, typer.Option(help="Which of several skeletons in the character's file.")] = None,
    subject: Annotated[str | None, typer.Option(help="Which person of the motion, where there are several.")] = None,
    scale: Annotated[float | None, typer.Option(help="Of the path. Default: the ratio of the legs.")] = None,
    keep_feet: Annotated[
        bool, typer.Option("--keep-feet/--free-feet", help="Bend the legs so that feet that stood still stand still.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Put a motion onto your own character: joints found by name or shape, rest pose and proportions seen to.

    Example: mocap retarget takes/walk/derived/feet.h5 --to hero.fbx -o hero_walk.fbx
    """
    from mocap.core.errors import InputError
    from mocap.io.character_file import read_character
    from mocap.stages.retarget import RetargetConfig, retarget

    if out.suffix.lower() not in (".bvh", ".fbx", ".glb"):
        raise InputError("is written as .bvh, .fbx or .glb", where=out)
    character = read_character(to, person=person)
    for note in character.notes:
        stderr.print(note, soft_wrap=True)
    config = RetargetConfig(scale=scale, keep_feet=keep_feet, joints=_named(joint or []))
    own = _subject(motion, subject)
    moved, report = retarget(own, character.motion.skeleton, config, acting=character.motion)
    _write(moved, character, to, out)
    if as_json:
        print_json({"path": str(out), **report.model_dump(mode="json")})
        return
    for sentence in report.sentences:
        stderr.print(sentence, soft_wrap=True)
    found = f"{len(report.joints)} joints found, {len(report.following)} follow"
    stdout.print(f"{out}  {moved.n_frames} frames, {found}, scale {report.scale:.3f}", soft_wrap=True)


def _named(pairs: list[str]) -> dict[str, str]:
    from mocap.core.errors import InputError

    if not all(pair.partition("=")[2] for pair in pairs):
        raise InputError("is written as OURS=THEIRS, e.g. LeftArm=upperarm_l", where="--joint")
    return {ours: theirs for ours, _, theirs in (pair.partition("=") for pair in pairs)}


def _subject(path: Path, name: str | None) -> Motion:
    from mocap.cli.export import read_motions
    from mocap.core.errors import InputError

    motions = read_motions(path)
    chosen = [motion for motion in motions if name in (None, motion.person)]
    if len(chosen) != 1:
        people = ", ".join(motion.person for motion in motions)
        raise InputError(f"holds {people}", where=path, remedy="Name one of them with --subject.")
    return chosen[0]


def _write(motion: Motion, character: CharacterFile, source: Path, out: Path) -> None:
    from mocap.io.bvh import BvhConfig, write_bvh
    from mocap.io.character_file import enlarged
    from mocap.io.fbx import FbxConfig, write_fbx
    from mocap.io.gltf import write_gltf
    from mocap.io.gltf_animated import write_animated_gltf

    skin = character.skins[0] if len(character.skins) == 1 else None
    if out.suffix.lower() == ".bvh":
        as_metres = enlarged(motion, 1 / character.metres_per_unit)  # whatever the character's unit is
        write_bvh(as_metres, out, BvhConfig(up=character.up, unit="m"))
    elif out.suffix.lower() == ".fbx":
        write_fbx([motion], out, FbxConfig(stack=out.stem), skins=[skin], axes=[character.axes])
    elif character.nodes is not None and character.axes is not None:
        write_animated_gltf(source, motion, out, nodes=character.nodes, axes=character.axes, clip=out.stem)
    else:
        write_gltf([motion], out, skins=[skin])
