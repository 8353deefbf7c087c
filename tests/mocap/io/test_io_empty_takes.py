"""Takes without a single frame: every format holds the person at rest, and other programs open it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blender_runs import blender_or_skip
from fbx_readers import rest_of, seen_by_ufbx, world_of
from mocap.core.motion import Motion
from mocap.io.axes import file_from_world
from mocap.io.bvh import motion_from_bvh, read_bvh
from mocap.io.fbx_people import read_fbx_people
from mocap.stages.export import FORMATS, ExportConfig, export
from motion_worlds import marching_person


def without_frames(motion: Motion) -> Motion:
    return replace(motion, root_translation=motion.root_translation[:0], local_rotations=motion.local_rotations[:0])


@pytest.fixture(scope="module")
def walk() -> Motion:
    return marching_person(n_frames=3)


@pytest.fixture(scope="module")
def folder(walk: Motion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("empty")
    export([without_frames(walk)], place, "nobody_moves", ExportConfig(formats=tuple(FORMATS)))
    return place


def test_every_format_takes_it(folder: Path):
    assert {path.suffix for path in folder.iterdir()} == {kind.suffix for kind in FORMATS.values()}


def test_fbx_holds_the_rest_pose_and_no_take(folder: Path, walk: Motion):
    seen = seen_by_ufbx(folder / "nobody_moves.fbx")
    assert len(seen["stacks"]) == 0
    assert len(seen["warnings"]) == 0
    index = [seen["names"].tolist().index(name) for name in walk.skeleton.joint_names]
    expected = rest_of(walk) @ file_from_world("y").T * 100
    np.testing.assert_allclose(seen["rest"][index][:, :3, 3], expected, atol=1e-4)  # cm, singles
    (person,) = read_fbx_people(folder / "nobody_moves.fbx")
    assert person.motion.n_frames == 0
    order = [person.motion.skeleton.joint_names.index(name) for name in walk.skeleton.joint_names]
    np.testing.assert_allclose(rest_of(person.motion)[order], rest_of(walk), atol=1e-5)


def test_who_moves_has_a_take_beside_who_does_not(tmp_path: Path, walk: Motion):
    still = replace(without_frames(walk), person="still")
    export([still, walk], tmp_path, "two", ExportConfig(formats=("fbx", "glb", "bvh")))
    seen = seen_by_ufbx(tmp_path / "two.fbx")
    assert seen["stacks"].tolist() == ["two"]
    names = seen["names"].tolist()
    at = [names.index(f"person:{name}") for name in walk.skeleton.joint_names]
    expected = world_of(walk)[1] @ file_from_world("y").T * 100
    np.testing.assert_allclose(seen["world_0"][:, at][..., :3, 3], expected, atol=0.05)  # 0.5 mm
    at = [names.index(f"still:{name}") for name in walk.skeleton.joint_names]
    rest = rest_of(walk) @ file_from_world("y").T * 100
    np.testing.assert_allclose(seen["world_0"][:, at][..., :3, 3], np.broadcast_to(rest, (3, *rest.shape)), atol=1e-4)


def test_bvh_holds_one_frame_at_rest(folder: Path, walk: Motion):
    again = motion_from_bvh(read_bvh(folder / "nobody_moves.bvh"), up="y", unit="cm")
    assert again.n_frames == 1
    np.testing.assert_allclose(world_of(again)[1][0], rest_of(walk), atol=1e-6)


def test_a_reader_of_c3d_opens_it(folder: Path):
    ezc3d = pytest.importorskip("ezc3d")
    points = ezc3d.c3d(str(folder / "nobody_moves.c3d"))["data"]["points"]
    assert points.shape == (4, 22, 0)


SCRIPT = """
import bpy, sys
for file in sys.argv[1:]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if file.endswith("bvh"):
        bpy.ops.import_anim.bvh(filepath=file, global_scale=0.01)
    elif file.endswith("fbx"):
        bpy.ops.import_scene.fbx(filepath=file)
    elif file.endswith("glb"):
        bpy.ops.import_scene.gltf(filepath=file)
    else:
        bpy.ops.wm.usd_import(filepath=file)
    (rig,) = [o for o in bpy.data.objects if o.type == "ARMATURE"]
    hips = rig.matrix_world @ rig.pose.bones["Hips"].head
    print("SEEN", len(rig.data.bones), *hips)
"""


@pytest.mark.slow
def test_blender_opens_all(folder: Path, walk: Motion):
    files = [str(folder / f"nobody_moves{suffix}") for suffix in (".bvh", ".fbx", ".glb", ".usda")]
    command = [str(blender_or_skip()), "-c", SCRIPT, *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    seen = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("SEEN")]
    assert len(seen) == 4, done.stdout[-2000:] + done.stderr[-2000:]
    for bones, *hips in seen:
        assert int(bones) == len(walk.skeleton)
        np.testing.assert_allclose([float(v) for v in hips], rest_of(walk)[0], atol=1e-4)
