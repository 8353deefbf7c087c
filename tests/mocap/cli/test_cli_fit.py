"""`mocap fit` as a user meets it, on the sample take of numbers."""

import json
import shutil

import numpy as np
import pytest
import trimesh
import typer
from typer.testing import CliRunner

from mocap.cli import fit
from mocap.cli.console import explained
from mocap.io.body_files import load_body_motion
from running_mocap import SAMPLE
from smpl_worlds import official_layout, tube_person

app = typer.Typer()
app.command("fit")(explained(fit.command))


def run(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def test_a_take_that_was_not_processed_says_so(tmp_path):
    shutil.copytree(SAMPLE, tmp_path / "session")
    np.savez(tmp_path / "model.npz", **official_layout(tube_person()))
    done = run(tmp_path / "session", "--model", "smpl", "--model-file", tmp_path / "model.npz")
    assert done.exit_code == 2
    assert "Run mocap process on it first" in done.output


def test_a_model_without_its_file_says_so(tmp_path):
    shutil.copytree(SAMPLE, tmp_path / "session")
    done = run(tmp_path / "session", "--model", "smplx")
    assert done.exit_code == 2
    assert "needs its file" in done.output


@pytest.mark.slow
def test_from_a_processed_take_to_files(tmp_path):
    from mocap.jobs import find_jobs
    from mocap.pipeline import PipelineConfig, process_take

    shutil.copytree(SAMPLE, tmp_path / "session")
    (job,) = find_jobs([str(tmp_path / "session")])
    process_take(job, PipelineConfig(), threads=1)
    np.savez(tmp_path / "model.npz", **official_layout(tube_person()))
    model = ("--model", "smpl", "--model-file", tmp_path / "model.npz", "--set", "betas=3")
    done = run(tmp_path / "session", *model, "--to", "glb", "--to", "ply", "--json")
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)
    names = ("walk_body.npz", "walk_body/walk_body_00000.ply", "walk_body.glb")
    npz, ply, glb = (job.folders.export / name for name in names)
    assert told["files"] == [str(npz), str(ply), str(glb)]
    body = load_body_motion(npz)
    assert told["people"][0]["reprojection_px"] < 20
    assert len(list(ply.parent.iterdir())) == body.n_frames
    first = trimesh.load_mesh(ply, process=False)
    assert np.linalg.norm(first.vertices.mean(0) - body.motion.root_translation[0]) < 0.5
    assert glb.read_bytes()[:4] == b"glTF"
