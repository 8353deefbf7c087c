"""`mocap models` as a user meets it."""

import json

import pytest
from typer.testing import CliRunner

from mocap.cli.main import app
from mocap.models.weights import BLAZEPOSE


def run(*arguments: str):
    return CliRunner().invoke(app, ["models", *arguments], env={"COLUMNS": "200"})


def test_list_says_what_is_missing_and_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("MOCAP_MODELS_DIR", str(tmp_path))
    done = run("list")
    assert done.exit_code == 0, done.output
    assert "blazepose  Apache-2.0, from mediapipe==0.10.21  (not fetched: mocap models fetch blazepose)" in done.stdout
    document = json.loads(run("list", "--json").stdout)
    assert document["folder"] == str(tmp_path)
    assert document["models"][0]["fetched"] is False


def test_fetch_tells_where_the_files_are(blazepose_files):
    done = run("fetch", "blazepose", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["fetched"] is True
    assert document["files"] == [str(blazepose_files.person), str(blazepose_files.landmarks)]
    assert document["sha256"] == {f.name: f.sha256 for f in BLAZEPOSE.files}
    assert str(blazepose_files.person) in run("fetch").stdout


def test_an_unknown_name_is_the_users_to_correct():
    done = run("fetch", "openpose")
    assert done.exit_code == 2
    assert "no networks are called 'openpose'. There are blazepose." in done.stderr


@pytest.mark.parametrize("command", ["list", "fetch", "convert"])
def test_help_shows_an_example(command):
    assert f"mocap models {command}" in run(command, "--help").stdout


def test_convert_prints_every_file_and_its_difference(tmp_path):
    import torch

    from mocap.models.convert_sources import write_safetensors
    from mocap.models.v2v import V2V, V2VConfig

    torch.manual_seed(1)
    network = V2V(V2VConfig(channels_in=2, joints=2, width=4, depth=1, front_kernel=3)).eval()
    write_safetensors(network, tmp_path / "small.safetensors")
    arguments = ("convert", str(tmp_path / "small.safetensors"), "-o", str(tmp_path / "out"))
    done = run(*arguments, "--to", "safetensors", "--to", "onnx")
    assert done.exit_code == 0, done.output
    for name in ("small.safetensors", "small.volume.onnx"):
        assert str(tmp_path / "out" / name) in done.stdout
        assert (tmp_path / "out" / name).is_file()
    assert done.stdout.count("from torch at most") == 2
    (document,) = json.loads(run(*arguments, "--to", "onnx", "--set", "shapes=fixed", "--json").stdout)
    assert document["target"] == "onnx"
    assert document["differences"]["scores"] < 1e-5
    refused = run(*arguments, "--set", "shape=free")
    assert refused.exit_code == 2
    assert "unknown key 'shape'" in refused.stderr
