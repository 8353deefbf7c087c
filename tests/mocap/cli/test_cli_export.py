"""`mocap export` as a user meets it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from mocap.cli import export
from mocap.cli.console import explained
from mocap.io.artefacts import save_motions
from mocap.io.bvh import BvhConfig, joint_positions, read_bvh, write_bvh
from motion_worlds import marching_person

app = typer.Typer()
app.command("export")(explained(export.command))


def run(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


@pytest.fixture
def solved(tmp_path):
    path = tmp_path / "takes" / "walk" / "derived" / "solve.h5"
    save_motions([marching_person(n_frames=6)], path)
    return path


def test_a_solved_take_into_a_folder_and_into_a_file(solved, tmp_path):
    done = run(solved, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "walk.bvh  6 frames at 59.94/s, 22 joints" in done.stdout
    assert run(solved, "-o", tmp_path / "dance.bvh", "--unit", "m").exit_code == 0
    walk, dance = read_bvh(tmp_path / "out" / "walk.bvh"), read_bvh(tmp_path / "dance.bvh")
    assert joint_positions(walk) / 100 == pytest.approx(joint_positions(dance), abs=1e-6)


def test_a_preset_gives_what_is_not_given(solved, tmp_path):
    done = run(solved, "-o", tmp_path / "out", "--preset", "unity")
    assert done.exit_code == 0, done.output
    assert "walk.fbx  6 frames at 59.94/s, 22 joints" in done.stdout
    data = (tmp_path / "out" / "walk.fbx").read_bytes()
    assert b"LeftUpperArm\x00\x01Model" in data
    assert run(tmp_path / "out" / "walk.fbx", "-o", tmp_path / "back.bvh").exit_code == 0
    assert read_bvh(tmp_path / "back.bvh").joint_names[0] == "Hips"
    done = run(solved, "-o", tmp_path / "out", "--preset", "cmu", "--unit", "m")
    assert read_bvh(tmp_path / "out" / "walk.bvh").joint_names[1] == "LowerBack"
    assert read_bvh(tmp_path / "out" / "walk.bvh").offsets[1, 1] == pytest.approx(0.05)
    own = tmp_path / "own.toml"
    own.write_text('units = "mm"')
    done = run(solved, "-o", tmp_path / "out", "--preset", own)
    assert (done.exit_code, "--preset: units: Extra inputs are not permitted" in done.stderr) == (2, True), done.stderr


def test_json_for_machines(solved, tmp_path):
    done = run(solved, "-o", tmp_path, "--json", "--fps", "30")
    report = json.loads(done.stdout)
    assert report["paths"] == [str(tmp_path / f"walk.{kind}") for kind in ("bvh", "fbx", "glb")]
    assert report["files"][0]["fps"] == 30


def test_a_bvh_is_read_with_its_axes_guessed_aloud(tmp_path):
    write_bvh(marching_person(n_frames=4), tmp_path / "in.bvh", BvhConfig(up="z", unit="in"))
    done = run(tmp_path / "in.bvh", "-o", tmp_path / "out.bvh")
    assert done.exit_code == 0, done.output
    assert "in.bvh: Z is up: the head is over the feet along it; the hips reach 37.83 units" in done.stderr
    assert "0.96 m if these are in (guessed)." in done.stderr
    expected = tmp_path / "expected.bvh"
    write_bvh(marching_person(n_frames=4), expected)
    assert joint_positions(read_bvh(tmp_path / "out.bvh")) == pytest.approx(
        joint_positions(read_bvh(expected)), abs=1e-4
    )


def test_stated_axes_and_unit_are_not_guessed(tmp_path):
    write_bvh(marching_person(n_frames=4), tmp_path / "in.bvh", BvhConfig(up="z", unit="in"))
    done = run(tmp_path / "in.bvh", "-o", tmp_path / "out.bvh", "--from-up", "z", "--from-unit", "0.0254")
    assert (done.exit_code, done.stderr) == (0, "")


def test_two_people_need_a_folder(tmp_path):
    save_motions([marching_person(n_frames=3, person=name) for name in ("ann", "bob")], tmp_path / "duo.h5")
    done = run(tmp_path / "duo.h5", "-o", tmp_path / "duo.bvh")
    assert done.exit_code == 2
    assert "is one file for 2 people (ann, bob). Give a folder with -o." in done.stderr
    assert run(tmp_path / "duo.h5", "-o", tmp_path / "out").exit_code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["duo.fbx", "duo.glb", "duo_ann.bvh", "duo_bob.bvh"]
    done = run(tmp_path / "duo.h5", "-o", tmp_path / "duo.fbx")
    assert (done.exit_code, (tmp_path / "duo.fbx").read_bytes()[:18]) == (0, b"Kaydara FBX Binary"), done.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--preset", "maya"],
            "--preset: no export preset 'maya'; there are blender, cmu, mixamo, rigify, unity, unreal",
        ),
        (["--rest-pose", "X"], "--rest-pose: should be 'T' or 'A' (got 'X')"),
        (["--to", "doc"], "--to: no export format 'doc'; there are bvh"),
        (["--up", "x"], "--up: should be 'y' or 'z' (got 'x')"),
        (["--unit", "ft"], "--unit: should be 'm', 'cm', 'mm' or 'in' (got 'ft')"),
        (["--rotation-order", "XYX"], "--rotation-order: should be 'XYZ'"),
        (["--fps", "0"], "--fps: should be greater than 0 (got 0.0)"),
        (["--from-up", "y"], "is not a .bvh: its axes and unit are known. Drop --from-up, --from-unit."),
    ],
)
def test_options_that_cannot_be(solved, tmp_path, arguments, sentence):
    done = run(solved, "-o", tmp_path / "out", *arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert not (tmp_path / "out").exists()


def test_inputs_that_cannot_be(tmp_path):
    (tmp_path / "bad.bvh").write_text("HIERARCHY\nROOT\n")
    for name, sentence in [
        ("none.h5", "none.h5: no such file"),
        ("walk.mp4", "motions are read from .h5, .bvh, .fbx and .glb, not from .mp4"),
        ("bad.bvh", "bad.bvh:3: expected the name of a joint, found 'the end of the hierarchy'"),
    ]:
        done = run(tmp_path / name, "-o", tmp_path / "out")
        assert (done.exit_code, sentence in done.stderr) == (2, True), done.stderr
    write_bvh(marching_person(n_frames=4), tmp_path / "in.bvh")
    for option, value, sentence in [
        ("--from-up", "x", "--from-up: no up axis 'x'; there are y, z"),
        ("--from-unit", "ft", "--from-unit: no unit 'ft'; there are m, cm, mm, in. Or give metres a unit, e.g. 0.01."),
        ("--from-unit", "-1", "--from-unit: -1.0 metres a unit is not a scale"),
    ]:
        done = run(tmp_path / "in.bvh", "-o", tmp_path / "out", option, value)
        assert (done.exit_code, sentence in done.stderr) == (2, True), done.stderr
    done = run(tmp_path / "in.bvh", "-o", tmp_path / "out.doc")
    assert done.exit_code == 2
    assert "out.doc: no export format has the suffix .doc; there are .bvh" in done.stderr
