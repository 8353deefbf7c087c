"""Reading FBX: our own files come back, files of other programs are seen as ufbx sees them, bad ones are refused."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fbx_readers import box_body, rest_of, seen_by_ufbx, skinned, world_of
from mocap.core.errors import FileFormatError, InputError
from mocap.io.fbx import FbxConfig, write_fbx
from mocap.io.fbx_ascii import decode_ascii
from mocap.io.fbx_curve import CONSTANT, CUBIC, LINEAR, FbxCurve, curve_at
from mocap.io.fbx_mesh import triangles
from mocap.io.fbx_people import read_fbx_people
from mocap.io.fbx_read import frame_times, read_fbx, world_transforms
from motion_worlds import crooked_motion, marching_person, quaternions

REAL = {  # with the greatest distance to ufbx's bones that there may be, and how much their bones may stretch, m
    "assimp/test/models/FBX/huesitos.fbx": (1e-4, 1e-3),
    "assimp/test/models/FBX/animation_with_skeleton.fbx": (1e-4, 1e-3),
    "ufbx/data/maya_axes_anim_7700_ascii.fbx": (1e-6, 1e-3),
    "ufbx/data/maya_human_ik_7400_ascii.fbx": (1e-6, 1e-3),
    "ufbx/data/maya_human_ik_7400_binary.fbx": (1e-6, 1e-3),
    "ufbx/data/maya_transformed_skin_7700_binary.fbx": (1e-6, 1e-3),
    "ufbx/data/maya_kenney_character_7700_binary.fbx": (None, 1.0),
}


@pytest.mark.parametrize(
    "config",
    [
        FbxConfig(),
        pytest.param(
            FbxConfig(up="z", unit="m", version=7500, rotation_order="YXZ", holder=False), marks=pytest.mark.slow
        ),
    ],
)
def test_our_files_come_back(tmp_path, config):
    """float32 curves: 6e-8 of 4 m, angles good to 1e-6 rad at levers of a metre."""
    motion = marching_person(n_frames=12, fps=59.94, person="Zoë")
    axes = quaternions(Rotation.random(22, random_state=np.random.default_rng(3)))
    mesh = box_body(motion)
    write_fbx([motion], tmp_path / "a.fbx", config, skins=[mesh], axes=[axes])
    (person,) = read_fbx_people(tmp_path / "a.fbx")
    again = person.motion
    assert again.person == ("Zoë" if config.holder else "Hips")
    assert again.fps == pytest.approx(59.94, rel=1e-12)
    by_name = [again.skeleton.joint_names.index(name) for name in motion.skeleton.joint_names]
    assert np.abs(world_of(again)[1][:, by_name] - world_of(motion)[1]).max() < 1e-5
    assert np.abs(rest_of(again)[by_name] - rest_of(motion)).max() < 1e-9
    assert np.abs(np.abs((person.axes[by_name] * axes).sum(axis=-1)) - 1).max() < 1e-9
    assert ("LeftArm", "RightArm") in again.skeleton.mirror_pairs
    (skin,) = person.skins
    assert (skin.name, skin.faces.shape) == ("boxes", mesh.faces.shape)
    assert np.abs(skinned(skin, again) - skinned(mesh, motion)).max() < 1e-5


def test_several_people_and_takes_come_back(tmp_path):
    anna, bob = (marching_person(n_frames=n, fps=30, person=name) for n, name in ((5, "anna"), (8, "bob")))
    write_fbx([anna, bob], tmp_path / "duo.fbx")
    people = {person.motion.person: person.motion for person in read_fbx_people(tmp_path / "duo.fbx")}
    assert set(people) == {"anna", "bob"}
    assert set(people["bob"].skeleton.joint_names) == set(bob.skeleton.joint_names)
    longer = replace(anna, root_translation=anna.root_translation * 2)
    write_fbx([anna, longer], tmp_path / "takes.fbx", FbxConfig(stack="T"))
    (second,) = read_fbx_people(tmp_path / "takes.fbx", take="T 2")
    assert np.abs(second.motion.root_translation - longer.root_translation).max() < 1e-6
    with pytest.raises(InputError, match="has no take 'T 3'; there are T 1, T 2"):
        read_fbx_people(tmp_path / "takes.fbx", take="T 3")


@pytest.mark.slow
def test_crooked_trees_come_back(tmp_path):
    motion = crooked_motion(seed=8, n_joints=14, n_frames=5)
    write_fbx([motion], tmp_path / "a.fbx", FbxConfig(unit="m"))
    (person,) = read_fbx_people(tmp_path / "a.fbx")
    by_name = [person.motion.skeleton.joint_names.index(name) for name in motion.skeleton.joint_names]
    assert np.abs(world_of(person.motion)[1][:, by_name] - world_of(motion)[1]).max() < 1e-5


@pytest.mark.parametrize("name", [n if "huesitos" in n else pytest.param(n, marks=pytest.mark.slow) for n in REAL])
def test_files_of_other_programs_are_seen_as_ufbx_sees_them(shared_data, tmp_path, name):
    """Every node of the scene, at rest and in the first 40 frames; then our skeletons, whose bones are rigid."""
    path = tmp_path / "real.fbx"
    path.write_bytes((shared_data / "motion" / name).read_bytes())
    seen = seen_by_ufbx(path, "--frames", 40)
    scene = read_fbx(path)
    assert (scene.fps, scene.metres_per_unit) == pytest.approx((float(seen["fps"]), float(seen["unit_m"])))
    place = [seen["names"].tolist().index(model.name) for model in scene.models]
    size = np.abs(seen["rest"][:, :3, 3]).max()
    assert np.abs(world_transforms(scene)[0] - seen["rest"][place]).max() < 1e-9 * max(size, 1)
    moments = frame_times(scene, scene.stacks[0])[:40]
    worlds = world_transforms(scene, scene.stacks[0], moments)
    assert np.abs(worlds - seen["world_0"][:, place]).max() < 1e-6 * max(size, 1)
    tolerance_m, stretch_m = REAL[name]
    for person in read_fbx_people(path, max_stretch_m=stretch_m):
        nodes = [place[node] for node in person.nodes]
        expected = seen["world_0"][:, nodes][..., :3, 3] @ scene.world_from_file.T * scene.metres_per_unit
        if tolerance_m is not None:
            assert np.abs(world_of(person.motion)[1][:40] - expected).max() < tolerance_m
        assert np.abs(np.linalg.norm(person.axes, axis=-1) - 1).max() < 1e-9


@pytest.mark.slow
def test_a_control_rig_that_stretches_is_refused_with_the_joint(shared_data):
    path = shared_data / "motion" / "ufbx/data/maya_kenney_character_7700_binary.fbx"
    with pytest.raises(FileFormatError, match=r"joint '\w+' moves against its parent by \d+ mm.*max_stretch_m"):
        read_fbx_people(path)
    people = read_fbx_people(path, max_stretch_m=1.0)
    assert max(len(person.motion.skeleton) for person in people) == 40


@pytest.mark.slow
def test_text_and_binary_of_one_scene_are_the_same(shared_data):
    folder = shared_data / "motion" / "ufbx" / "data"
    text, binary = (read_fbx(folder / f"maya_human_ik_7400_{kind}.fbx") for kind in ("ascii", "binary"))
    assert {model.name for model in text.models} == {model.name for model in binary.models}
    places = {model.name: index for index, model in enumerate(text.models)}
    order = [places[model.name] for model in binary.models]
    assert np.abs(world_transforms(text)[0][order] - world_transforms(binary)[0]).max() < 1e-6


def test_curves():
    """Steps, lines, a cubic whose slopes make it the parabola t^2, and a weighted one against its definition."""
    times = np.array([0.0, 1.0, 3.0])
    third = np.full((3, 2), 1 / 3)

    def curve(kind: int, slopes: np.ndarray, weights: np.ndarray = third) -> FbxCurve:
        return FbxCurve(times, times**2, np.full(3, kind), slopes, weights)

    at = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 9.0])
    flat = np.zeros((3, 2))
    assert curve_at(curve(CONSTANT, flat), at) == pytest.approx([0, 0, 0, 1, 1, 1, 9, 9])
    assert curve_at(curve(LINEAR, flat), at) == pytest.approx([0, 0, 0.5, 1, 5, 7, 9, 9])
    slopes = np.stack([2 * times, 2 * np.append(times[1:], 0)], axis=-1)
    assert curve_at(curve(CUBIC, slopes), at) == pytest.approx([0, 0, 0.25, 1, 4, 6.25, 9, 9], abs=1e-9)
    weights = np.full((3, 2), [0.6, 0.2])
    s = 0.3
    weighted = 3 * (1 - s) ** 2 * s * 0.6 + 3 * (1 - s) * s**2 * 0.8 + s**3
    value = 3 * (1 - s) * s**2 * (1 - 2 * 0.2) + s**3
    assert curve_at(curve(CUBIC, slopes, weights), np.array([weighted])) == pytest.approx(value)
    assert curve_at(
        FbxCurve(times[:1], times[:1] + 7, times[:1].astype(int), flat[:1], third[:1]), at
    ) == pytest.approx(7)


def test_polygons_become_fans():
    corners = np.array([0, 1, ~2, 3, 2, 1, ~0, 4, ~3, 0, 1, 2, 3, ~4, 0, 1, ~9])
    assert triangles(corners, 5).tolist() == [[0, 1, 2], [3, 2, 1], [3, 1, 0], [0, 1, 2], [0, 2, 3], [0, 3, 4]]
    assert triangles(np.zeros(0, dtype=np.int64), 0).shape == (0, 3)


def test_text_that_cannot_be_read():
    head = "FBXHeaderExtension:  {\n FBXVersion: 7400\n}\n"
    for text, sentence in [
        ("; nothing\n", "does not say of which version"),
        (head + "Objects: {\n", "a brace is missing"),
        (head + "}\n", "a brace closes nothing"),
        (head + "Objects: {\n Vertices: *3 {\n a: 1,2\n}\n}\n", "an array of 3 numbers has 2"),
        (head + "Objects: {\n Vertices: *2 {\n a: 1,x\n}\n}\n", "an array holds what is no number"),
        (head + "Objects: {\n ?\n", "'\\?' has no meaning here"),
    ]:
        with pytest.raises(FileFormatError, match=sentence):
            decode_ascii(text.encode(), "x.fbx")
    root = decode_ascii((head + 'Objects: {\n Model: 5, "Model::A", "Limb" {\n P: "a",\n  1.5, T\n }\n}').encode(), "x")
    model = root.children[1].children[0]
    assert model.properties == [5, "A\0\1Model", "Limb"]
    assert model.children[0].properties == ["a", 1.5, True]


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "x.fbx").write_bytes(b"not at all")
    with pytest.raises(FileFormatError, match="is not an FBX file, neither binary nor text"):
        read_fbx(tmp_path / "x.fbx")
    with pytest.raises(InputError, match="no such file"):
        read_fbx(tmp_path / "y.fbx")


def test_damaged_files_give_people_or_a_sentence(tmp_path):
    path: Path = tmp_path / "a.fbx"
    write_fbx([marching_person(n_frames=2)], path, skins=[box_body(marching_person(n_frames=2))])
    data = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(15):
        broken = bytearray(data)
        for _ in range(3):
            broken[rng.integers(27, len(data))] = int(rng.integers(0, 256))
        path.write_bytes(bytes(broken))
        with suppress(InputError), np.errstate(all="ignore"):
            read_fbx_people(path)
