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


@pytest.mark.parametrize("command", ["list", "fetch"])
def test_help_shows_an_example(command):
    assert f"mocap models {command}" in run(command, "--help").stdout
