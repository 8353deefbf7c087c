"""Our USD by readers that are not ours: Pixar's library (UsdSkel queries, its validators) and Blender."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blender_scene_runs import in_our_order, scene_of
from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.io.usd import UsdConfig, joint_paths, prim_name, write_usd
from mocap.io.world_joints import joint_worlds, rest_positions
from motion_worlds import crooked_motion, marching_person, quaternions
from skin_worlds import boxed_body, skinned_vertices

pxr = pytest.importorskip("pxr", reason="usd-core is not here (extra dev)")
from pxr import Sdf, Usd, UsdGeom, UsdSkel, UsdValidation, Vt  # noqa: E402

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254}
WORLD_FROM_FILE = {"y": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), "z": np.eye(3)}

# Nine digits are exact for float32, in which USD keeps turns and places: 6e-8 rad and 6e-8 of 2 m a joint, over a chain
# of seven joints with levers of a metre.
USD_M = 2e-6


def played(stage: Usd.Stage, path: str, codes: list[float]) -> np.ndarray:
    """(T, J, 3) in the stage's units: where UsdSkel poses the joints."""
    cache = UsdSkel.Cache()
    cache.Populate(UsdSkel.Root.Get(stage, path), Usd.PrimDefaultPredicate)
    query = cache.GetSkelQuery(UsdSkel.Skeleton.Get(stage, f"{path}/{path[6:]}_skeleton"))
    return np.array([[m.ExtractTranslation() for m in query.ComputeJointSkelTransforms(code)] for code in codes])


def in_metres(places: np.ndarray, up: str, unit: str) -> np.ndarray:
    return places * METRES[unit] @ WORLD_FROM_FILE[up].T


def errors_of(stage: Usd.Stage) -> list[str]:
    """What every validator that comes with the library has against it."""
    registry = UsdValidation.ValidationRegistry()
    names = [metadata.name for metadata in registry.GetAllValidatorMetadata()]
    context = UsdValidation.ValidationContext([registry.GetOrLoadValidatorByName(name) for name in names])
    return [error.GetErrorAsString() for error in context.Validate(stage)]


@pytest.mark.parametrize("up", ["y", "z"])
@pytest.mark.parametrize("unit", sorted(METRES))
def test_usd_plays_what_we_solved(tmp_path, up, unit):
    motion = marching_person(25, 24000 / 1001)
    write_usd([motion], tmp_path / "a.usda", UsdConfig(up=up, unit=unit))
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    assert stage.GetTimeCodesPerSecond() == 24000 / 1001
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 24)
    assert (UsdGeom.GetStageUpAxis(stage), UsdGeom.GetStageMetersPerUnit(stage)) == (up.upper(), METRES[unit])
    assert stage.GetDefaultPrim().GetPath() == "/take"
    assert not errors_of(stage)
    places = in_metres(played(stage, "/take/person", list(range(25))), up, unit)
    assert np.abs(places - joint_worlds(motion)[1]).max() < USD_M


def test_the_validators_do_find_faults():
    assert any("default" in error.lower() for error in errors_of(Usd.Stage.CreateInMemory()))


def test_names_rest_pose_and_bind_pose(tmp_path):
    motion = marching_person(3)
    write_usd([motion], tmp_path / "a.usda", UsdConfig(name_prefix="mixamorig:"))
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    skeleton = UsdSkel.Skeleton.Get(stage, "/take/person/person_skeleton")
    assert list(skeleton.GetJointNamesAttr().Get()) == [f"mixamorig:{name}" for name in motion.skeleton.joint_names]
    topology = UsdSkel.Topology(skeleton.GetJointsAttr().Get())
    assert list(topology.GetParentIndices()) == motion.skeleton.parents.tolist()
    query = UsdSkel.Cache().GetSkelQuery(skeleton)
    rest = np.array([m.ExtractTranslation() for m in query.ComputeJointSkelTransforms(0, atRest=True)])
    assert np.abs(rest @ WORLD_FROM_FILE["y"].T - rest_positions(motion.skeleton)).max() < 1e-12
    bind = np.array([m.ExtractTranslation() for m in query.GetJointWorldBindTransforms()])
    assert np.abs(bind - rest).max() < 1e-12


def test_two_people_with_a_body_and_rates_of_their_own(tmp_path):
    people = [marching_person(30, 60.0), marching_person(16, 24.0, turn_deg=90)]
    skin = boxed_body(people[1].skeleton)
    write_usd(people, tmp_path / "two.usda", skins=[None, skin])
    stage = Usd.Stage.Open(str(tmp_path / "two.usda"))
    assert not errors_of(stage)
    assert stage.GetEndTimeCode() == 15 * 60 / 24
    for path, motion in zip(("/take/person", "/take/person_2"), people, strict=True):
        codes = [frame * 60 / motion.fps for frame in range(motion.n_frames)]
        places = in_metres(played(stage, path, codes), "y", "m")
        assert np.abs(places - joint_worlds(motion)[1]).max() < USD_M
    vertices = in_metres(skinned_by_usd(stage, "/take/person_2", 10 * 60 / 24), "y", "m")
    assert np.abs(vertices - skinned_vertices(people[1], skin)[10]).max() < USD_M


def skinned_by_usd(stage: Usd.Stage, path: str, code: float) -> np.ndarray:
    """(V, 3) the mesh as the library deforms it."""
    cache, root = UsdSkel.Cache(), UsdSkel.Root.Get(stage, path)
    cache.Populate(root, Usd.PrimDefaultPredicate)
    (binding,) = cache.ComputeSkelBindings(root, Usd.PrimDefaultPredicate)
    (target,) = binding.GetSkinningTargets()
    transforms = cache.GetSkelQuery(binding.GetSkeleton()).ComputeSkinningTransforms(code)
    points = Vt.Vec3fArray(UsdGeom.PointBased(target.GetPrim()).GetPointsAttr().Get())
    assert target.ComputeSkinnedPoints(transforms, points, code)
    return np.array(points)


def test_joints_may_have_axes_of_their_own(tmp_path):
    motion = marching_person(12)
    body = boxed_body(motion.skeleton)
    turned = quaternions(Rotation.random(22, random_state=5))
    write_usd([motion], tmp_path / "a.usda", UsdConfig(unit="cm"), skins=[body], axes=[turned])
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    assert not errors_of(stage)
    places = in_metres(played(stage, "/take/person", list(range(12))), "y", "cm")
    assert np.abs(places - joint_worlds(motion)[1]).max() < USD_M
    vertices = in_metres(skinned_by_usd(stage, "/take/person", 10), "y", "cm")
    assert np.abs(vertices - skinned_vertices(motion, body)[10]).max() < USD_M
    query = UsdSkel.Cache().GetSkelQuery(UsdSkel.Skeleton.Get(stage, "/take/person/person_skeleton"))
    rest = np.array(query.ComputeJointSkelTransforms(0, atRest=True))
    assert np.abs(rest - np.array(query.GetJointWorldBindTransforms())).max() < 1e-12
    # Rows of a USD matrix are the joint's axes in the file; turned to our world they are the columns of `turned`.
    in_world = rest[:, :3, :3] @ WORLD_FROM_FILE["y"].T
    assert np.abs(in_world.swapaxes(-1, -2) - Rotation.from_quat(turned[:, [1, 2, 3, 0]]).as_matrix()).max() < 1e-12


def test_empty_single_and_crooked_takes(tmp_path):
    walk = marching_person(1)
    empty = Motion(walk.skeleton, walk.root_translation[:0], walk.local_rotations[:0], walk.fps)
    for name, motion in (("empty", empty), ("single", walk), ("crooked", crooked_motion(5))):
        write_usd([motion], tmp_path / f"{name}.usda")
        stage = Usd.Stage.Open(str(tmp_path / f"{name}.usda"))
        assert not errors_of(stage), name
        assert stage.HasAuthoredTimeCodeRange() == (motion.n_frames > 0)
        places = in_metres(played(stage, "/take/person", list(range(motion.n_frames)) or [0.0]), "y", "m")
        expected = joint_worlds(motion)[1] if motion.n_frames else rest_positions(motion.skeleton)[None]
        assert np.abs(places - expected).max() < USD_M, name


@pytest.mark.slow
def test_ten_thousand_frames(tmp_path):
    motion = marching_person(10_000, 120.0)
    write_usd([motion], tmp_path / "long.usda")
    stage = Usd.Stage.Open(str(tmp_path / "long.usda"))
    assert stage.GetEndTimeCode() == 9999
    frames = list(range(0, 10_000, 613)) + [9999]
    # 75 m from the origin float32 steps by 8e-6 m.
    error_m = np.abs(in_metres(played(stage, "/take/person", frames), "y", "m") - joint_worlds(motion)[1][frames])
    assert error_m.max() < 1e-5


@pytest.mark.slow
def test_blender_plays_it_too(tmp_path):
    motion = marching_person(30, 60.0)
    write_usd([motion], tmp_path / "a.usda", UsdConfig(up="z"), skins=[boxed_body(motion.skeleton)])
    found = scene_of(tmp_path / "a.usda", fps=60)
    assert float(found["fps"]) == 60
    assert found["armature_0"] == "person_skeleton"
    assert len(found["frames"]) == 30
    assert np.abs(in_our_order(found, "heads", 0, motion) - joint_worlds(motion)[1]).max() < 1e-5


def test_prim_names_are_what_usd_allows():
    for name in ("mixamorig:Hips", "7 of 9", "", "Größe", "a.b"):
        assert Sdf.Path.IsValidIdentifier(prim_name(name))
    assert prim_name("Hips") == "Hips"
    paths = joint_paths(crooked_motion(1).skeleton, prefix="a:")
    assert all(Sdf.Path(path).IsPrimPath() for path in paths)


def test_a_mesh_that_is_called_like_the_skeleton_keeps_out_of_its_way(tmp_path):
    motion, body = marching_person(2), boxed_body(marching_person(1).skeleton)
    named = type(body)("person_skeleton", body.vertices, body.faces, body.joints, body.weights)
    write_usd([motion], tmp_path / "a.usda", skins=[named])
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    assert stage.GetPrimAtPath("/take/person/person_skeleton_2").IsA(UsdGeom.Mesh)


def test_nothing_is_written_where_there_is_nothing_to_write(tmp_path):
    with pytest.raises(InputError, match="no motion to write"):
        write_usd([], tmp_path / "a.usda")
    assert not list(tmp_path.iterdir())
