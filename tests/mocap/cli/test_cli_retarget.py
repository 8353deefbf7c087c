import json
from pathlib import Path

import numpy as np
import pytest

from mocap.io.artefacts import save_motions
from mocap.io.bvh import guess_conventions, motion_from_bvh, read_bvh, write_bvh_file
from mocap.io.fbx import write_fbx
from mocap.io.fbx_people import read_fbx_people
from mocap.io.gltf import write_gltf
from mocap.io.gltf_people import read_gltf_people
from mocap.io.world_joints import joint_worlds
from motion_worlds import marching_person
from retarget_worlds import NAMES, REST_POSES, as_file
from running_mocap import invoke
from skin_worlds import boxed_body


@pytest.fixture(scope="module")
def solved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("solved") / "solve.h5"
    save_motions([marching_person(20)], path)
    return path


def hand_heights(motion, name: str) -> np.ndarray:
    return joint_worlds(motion)[1][:, motion.skeleton.index(name), 2]


@pytest.mark.parametrize("unit_m", [0.01, 0.0254 / 0.45])
def test_a_bvh_character_gets_a_bvh_in_its_own_unit(solved, tmp_path, unit_m):
    hero = tmp_path / "hero.bvh"
    write_bvh_file(as_file(marching_person(2), names=NAMES["unreal"], rest=REST_POSES["A"], unit_m=unit_m), hero)
    out = tmp_path / "march.bvh"
    done = invoke("retarget", solved, "--to", hero, "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["joints"]["LeftForeArm"] == "lowerarm_l"
    assert "guessed" in done.stderr
    written, own = read_bvh(out), read_bvh(hero)
    longest = [float(np.linalg.norm(file.offsets[1:], axis=-1).max()) for file in (written, own)]
    assert longest[0] == pytest.approx(longest[1], rel=1e-5)
    moved = motion_from_bvh(written, up=guess_conventions(own).up, unit=unit_m)
    wanted = hand_heights(marching_person(20), "LeftHand") * report["scale"]
    np.testing.assert_allclose(hand_heights(moved, "hand_l"), wanted, atol=0.03)


@pytest.mark.parametrize("suffix", [".fbx", ".glb"])
def test_characters_with_bodies_keep_them(solved, tmp_path, suffix):
    hero = marching_person(3, person="hero")
    body, file = boxed_body(hero.skeleton), tmp_path / f"hero{suffix}"
    if suffix == ".fbx":
        write_fbx([hero], file, skins=[body])
    else:
        write_gltf([hero], file, skins=[body])
    out = tmp_path / f"march{suffix}"
    done = invoke("retarget", solved, "--to", file, "-o", out)
    assert done.returncode == 0, done.stderr
    assert "22 joints found, 0 follow" in done.stdout
    (moved,) = read_fbx_people(out) if suffix == ".fbx" else read_gltf_people(out)
    assert moved.motion.n_frames == 20
    assert moved.motion.fps == pytest.approx(59.94)
    assert len(moved.skins[0].vertices) == len(body.vertices)
    np.testing.assert_allclose(
        hand_heights(moved.motion, "LeftHand"), hand_heights(marching_person(20), "LeftHand"), atol=1e-4
    )


def test_what_cannot_be_done_is_said(solved, tmp_path):
    hero = tmp_path / "hero.bvh"
    write_bvh_file(as_file(marching_person(2)), hero)
    for arguments, told in [
        (("--to", hero, "-o", tmp_path / "out.abc"), "out.abc"),
        (("--to", tmp_path / "none.fbx", "-o", tmp_path / "out.fbx"), "no such file"),
        (("--to", tmp_path / "hero.obj", "-o", tmp_path / "out.fbx"), ".bvh, .fbx, .glb"),
        (("--to", hero, "-o", tmp_path / "out.bvh", "--joint", "LeftArm"), "OURS=THEIRS"),
        (("--to", hero, "-o", tmp_path / "out.bvh", "--joint", "LeftArm=nobody"), "nobody"),
        (("--to", hero, "-o", tmp_path / "out.bvh", "--person", "nobody"), "nobody"),
        (("--to", hero, "-o", tmp_path / "out.bvh", "--subject", "nobody"), "person"),
    ]:
        done = invoke("retarget", solved, *arguments)
        assert done.returncode == 2, arguments
        assert told in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
