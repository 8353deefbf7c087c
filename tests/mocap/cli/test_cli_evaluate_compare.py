"""`mocap evaluate take --compare`: methods side by side on a take of 2D results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evaluated_takes import true_take, write_take
from mocap.cli.evaluate import app
from running_mocap import Done

NOISE_PX = 2.0
METHODS = "dlt,ransac,robust"


def compare(*arguments: object) -> Done:
    given = [str(argument) for argument in arguments]
    ended = CliRunner().invoke(app, given, env={"COLUMNS": "100", "NO_COLOR": "1"}, prog_name="mocap evaluate")
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return Done(given, ended.exit_code, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def take(tmp_path_factory) -> Path:
    """Never processed: comparing does what it needs."""
    return write_take(true_take(seconds=0.5), tmp_path_factory.mktemp("compare") / "made_up", noise_px=NOISE_PX)


def test_figures_of_every_method_come_as_json_with_the_truth_where_there_is_one(take):
    done = compare("take", take, "--compare", METHODS, "--json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    assert list(report["methods"]) == METHODS.split(",")
    for figures in report["methods"].values():
        assert 0 < figures["mpjpe_mm"] < 50
        # Rayleigh's median is 1.18 of the noise; fitted points lie nearer, a robust one close to two of the views.
        assert 0.4 * NOISE_PX < figures["reprojection_median_px"] < 1.18 * NOISE_PX
        assert figures["limb_variation"] > 0
        assert figures["jitter_m_s3"] > 0
    assert report["of_truth"] > 0.9 * report["of"] > 0
    assert (take / "derived" / "associate.h5").is_file()
    assert not (take / "derived" / "triangulate.h5").exists()


def test_a_table_and_with_plots_a_picture_and_the_figures(take, tmp_path):
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    done = compare(take, "--compare", "robust,dlt", "--plots", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("made_up/walk  12 limb joints in ")
    assert [line.split()[0] for line in lines if line.strip().startswith(("dlt", "robust"))] == ["dlt", "robust"]
    assert (tmp_path / "comparison.png").read_bytes()[:4] == b"\x89PNG"
    assert list(json.loads((tmp_path / "comparison.json").read_text())["methods"]) == ["dlt", "robust"]


def test_takes_without_truth_are_compared_too(take, tmp_path):
    other = write_take(true_take(seconds=0.5), tmp_path / "real")
    (other / "truth.npz").unlink()
    done = compare("take", other, "--compare", "dlt", "--set", "triangulate.max_error_mm=60", "--json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    assert report["of_truth"] is None
    assert report["methods"]["dlt"]["mpjpe_mm"] is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--compare", "dlt,magic"), "no method magic. There are dlt, ransac, robust, algebraic, volumetric"),
        (("--compare", "algebraic", "--set", "triangulate.learned.weights=nowhere"), "no weights for the algebraic"),
    ],
)
def test_methods_that_cannot_be_used_are_refused(take, arguments, told):
    done = compare("take", take, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in " ".join(done.stderr.split())


def test_a_word_that_is_neither_a_command_nor_a_path_is_refused():
    done = compare("takes_that_are_not_there")
    assert done.returncode == 2
    assert "No such command" in done.stderr
