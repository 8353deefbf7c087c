"""Fitted bodies in files: AMASS-style arrays that play in the model's own formulas, and meshes that trimesh reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from mocap.core.body_motion import BodyMotion
from mocap.core.errors import FileFormatError, InputError
from mocap.core.smpl_arrays import SMPL_FROM_OURS
from mocap.io.body_files import load_body_motion, save_body_motion, write_meshes
from mocap.io.world_joints import joint_worlds
from mocap.models.smpl_body import SmplBodies
from smpl_worlds import published, some_motion, tube_person

SHAPE = np.array([0.8, -1.0, 0.5, 1.2, -0.7])


def fitted(model: str = "smpl") -> tuple[SmplBodies, BodyMotion]:
    bodies = SmplBodies(tube_person(model), "female", len(SHAPE))
    motion = some_motion(bodies, SHAPE)
    return bodies, BodyMotion(bodies.model, "female", bodies.space.names, SHAPE, motion, bodies.root_rest(SHAPE))


@pytest.mark.parametrize("model", ["smpl", "smplh", "smplx"])
def test_the_file_plays_in_the_published_formulas(tmp_path: Path, model: str):
    """As a reader of AMASS files has it: the model's own axes, `poses`, `betas` and `trans`, and the world is Z up."""
    bodies, body = fitted(model)
    save_body_motion(body, tmp_path / "body.npz")
    with np.load(tmp_path / "body.npz", allow_pickle=False) as file:
        read = dict(file)
    joints = len(bodies.arrays.parents)
    assert read["poses"].shape == (3, 3 * joints)
    assert float(read["mocap_framerate"]) == 30.0
    assert str(read["gender"]) == "female"
    for t in range(3):
        rotvecs = read["poses"][t].reshape(-1, 3)
        skin, at = published(bodies.arrays, read["betas"], rotvecs, read["trans"][t])
        np.testing.assert_allclose(skin, bodies.posed(SHAPE, body.motion)[t], atol=1e-9)
        np.testing.assert_allclose(at[0], body.motion.root_translation[t], atol=1e-12)
    np.testing.assert_allclose(read["joints_m"], joint_worlds(body.motion)[1])


def test_what_was_written_is_read(tmp_path: Path):
    _, body = fitted()
    save_body_motion(body, tmp_path / "body.npz")
    read = load_body_motion(tmp_path / "body.npz")
    assert (read.model, read.gender, read.shape_names, read.fps) == ("smpl", "female", body.shape_names, 30.0)
    np.testing.assert_array_equal(read.shape, body.shape)
    np.testing.assert_allclose(read.motion.root_translation, body.motion.root_translation, atol=1e-12)
    np.testing.assert_allclose(read.motion.local_rotations, body.motion.local_rotations, atol=1e-9)
    np.testing.assert_array_equal(read.motion.skeleton.rest_offsets, body.motion.skeleton.rest_offsets)


def test_other_files_are_refused(tmp_path: Path):
    np.savez(tmp_path / "amass.npz", poses=np.zeros((2, 156)), trans=np.zeros((2, 3)))
    with pytest.raises(FileFormatError, match="no body that this program fitted"):
        load_body_motion(tmp_path / "amass.npz")
    with pytest.raises(FileFormatError, match="no such file"):
        load_body_motion(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_body_motion(tmp_path / "text.npz")


def test_a_body_without_a_finite_shape_is_refused():
    _, body = fitted()
    with pytest.raises(InputError, match="finite"):
        BodyMotion("smpl", "neutral", ("beta_0",), np.array([np.nan]), body.motion)
    with pytest.raises(InputError, match="expected"):
        BodyMotion("smpl", "neutral", ("beta_0",), np.zeros(2), body.motion)


@pytest.mark.parametrize("kind", ["ply", "obj"])
def test_meshes_are_those_that_trimesh_reads(tmp_path: Path, kind):
    bodies, body = fitted()
    frames, faces = bodies.posed(SHAPE, body.motion), bodies.arrays.faces
    paths = write_meshes(frames, faces, tmp_path / "take", kind)
    assert [path.name for path in paths] == [f"take_{t:05d}.{kind}" for t in range(3)]
    for path, vertices in zip(paths, frames, strict=True):
        read = trimesh.load_mesh(path, process=False)
        np.testing.assert_allclose(read.vertices, vertices, atol=1e-6)  # float32, or eight decimals
        np.testing.assert_array_equal(read.faces, faces)
    assert not list(tmp_path.glob(".*"))


def test_axes_of_the_family():
    np.testing.assert_array_equal(SMPL_FROM_OURS @ [0, 0, 1], [0, 1, 0])  # up
    np.testing.assert_array_equal(SMPL_FROM_OURS @ [0, -1, 0], [0, 0, 1])  # forward
