import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from blender_runs import blender_or_skip
from calibration.camera import Intrinsics
from calibration.synthetic import ring
from mocap.core.errors import InputError
from mocap.io.blender_scene import PROGRAM, BlenderScene, find_blender, save_blend, write_blender_script
from mocap.io.world_joints import joint_worlds
from motion_worlds import marching_person
from skin_worlds import boxed_body, skinned_vertices

ROOT = Path(__file__).resolve().parents[3]
VIDEO = ROOT / "sample_sessions" / "one_person" / "takes" / "walk" / "video" / "cam01.mp4"


LENS = Intrinsics((1280, 720), np.array([[910.0, 0, 655.5], [0, 910.0, 340.25], [0, 0, 1]]), np.zeros(5))


def test_the_numbers_are_read_without_pickle_and_paths_are_relative(tmp_path):
    rig = ring(2, LENS)
    video = tmp_path / "takes" / "walk" / "video" / "a b.mp4"
    scene = BlenderScene("walk", [marching_person(5)], rig=rig, videos={rig.names[0]: video})
    script, data = write_blender_script(scene, tmp_path / "takes" / "walk" / "export" / "walk.py")
    with np.load(data, allow_pickle=False) as arrays:
        head = json.loads(str(arrays["scene"]))
        np.testing.assert_array_equal(arrays["person_0/turns"], scene.motions[0].local_rotations)
    assert head["cameras"][0]["video"] == "../video/a b.mp4"
    assert head["cameras"][1]["video"] == ""
    compile(script.read_text(encoding="utf-8"), str(script), "exec")


def test_a_scene_has_motions_of_one_rate(tmp_path):
    with pytest.raises(InputError, match="no motion"):
        write_blender_script(BlenderScene("walk", []), tmp_path / "a.py")
    two = [marching_person(3, fps=30.0), marching_person(3, fps=60.0)]
    with pytest.raises(InputError, match="30, 60 frames a second"):
        write_blender_script(BlenderScene("walk", two), tmp_path / "a.py")


def test_blender_that_is_not_there_or_fails_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setenv(PROGRAM, str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="no program"):
        find_blender()
    script, _ = write_blender_script(BlenderScene("walk", [marching_person(3)]), tmp_path / "walk.py")
    with pytest.raises(InputError, match="bpy"):  # this Python has none
        save_blend(script, tmp_path / "walk.blend", blender=Path(sys.executable))
    assert not list(tmp_path.glob("*.blend"))


@pytest.mark.slow
def test_blender_shows_the_motion_the_body_and_the_cameras(tmp_path):
    """Keys are single precision: 6e-8 of the few metres and a chain of ten joints is a few micrometres. The lens's
    focal length and shift are too: 1e-6 of a picture of 1280 pixels."""
    blender = blender_or_skip()
    motion = marching_person(24, fps=59.94, person="Anna")
    skin, rig = boxed_body(motion.skeleton), ring(3, LENS)
    scene = BlenderScene(
        "take",
        [motion],
        skins=[skin],
        rig=rig,
        videos={rig.names[1]: VIDEO},
        first_frames={rig.names[1]: 7},
    )
    script, _ = write_blender_script(scene, tmp_path / "take.py")
    save_blend(script, tmp_path / "take.blend", blender=blender)
    points = np.array([[0.0, 0.0, 1.0], [0.4, -0.3, 0.2], [-0.2, 0.5, 1.7]])
    asked = {"points": points.tolist(), "sizes": {c.name: c.intrinsics.image_size for c in rig.cameras}}
    reader = [str(blender), str(ROOT / "tests" / "saved_blend.py"), str(tmp_path / "take.blend"), json.dumps(asked)]
    subprocess.run(reader, check=True, capture_output=True, timeout=300)
    told = json.loads((tmp_path / "take.json").read_text())
    assert told["fps"] == pytest.approx(59.94, rel=1e-6)
    assert told["range"] == [1, 24]
    assert told["others"] == []
    assert sorted(told["Anna"]) == sorted(motion.skeleton.joint_names)
    order = [told["Anna"].index(name) for name in motion.skeleton.joint_names]
    np.testing.assert_allclose(np.load(tmp_path / "Anna.npy")[:, order], joint_worlds(motion)[1], atol=1e-5)
    moved = skinned_vertices(motion, skin)[-1]
    np.testing.assert_allclose(np.load(tmp_path / "Anna body.npy"), moved, atol=1e-4)
    for camera in rig.cameras:
        pinhole = (points @ camera.cam_from_world.R.T + camera.cam_from_world.t) @ camera.intrinsics.K.T
        found = told["cameras"][camera.name]
        np.testing.assert_allclose(found["px"], pinhole[:, :2] / pinhole[:, 2:], atol=5e-3)
    assert told["cameras"][rig.names[0]]["backgrounds"] == []
    (background,) = told["cameras"][rig.names[1]]["backgrounds"]
    assert background["start"] == 8
    assert background["size"] == [1280, 720]
