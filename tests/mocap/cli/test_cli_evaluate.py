"""`mocap evaluate` on a small synthetic session that went through the pipeline."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from evaluated_takes import true_take, write_take
from mocap.cli.evaluate import app
from mocap.core.keypoints import Keypoints3D
from mocap.core.truth import TakeTruth
from mocap.evaluation.overlay import FOUND, TRUE
from mocap.io.video_writer import VideoWriter
from running_mocap import Done
from truth_worlds import KEYPOINTS

NOISE_PX = 1.0


def evaluate(*arguments: object) -> Done:
    given = [str(argument) for argument in arguments]
    ended = CliRunner().invoke(app, given, env={"COLUMNS": "100", "NO_COLOR": "1"}, prog_name="mocap evaluate")
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return Done(given, ended.exit_code, ended.stdout, ended.stderr)


def refused(*arguments: object) -> str:
    done = evaluate(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "fault of the program" not in done.stderr
    return " ".join(done.stderr.split())


@pytest.fixture(scope="module")
def truth() -> TakeTruth:
    return true_take(seconds=1.0)


@pytest.fixture(scope="module")
def session(truth, tmp_path_factory) -> Path:
    """Processed once for all tests, which do not write to it."""
    from mocap.jobs import find_jobs
    from mocap.pipeline import PipelineConfig, process_take

    root = tmp_path_factory.mktemp("evaluate") / "made_up"
    take = write_take(truth, root, noise_px=NOISE_PX)
    process_take(find_jobs([str(take)])[0], PipelineConfig())
    return root


def expected_mpjpe_mm(truth: TakeTruth) -> float:
    """What noise of NOISE_PX an axis comes to in space: least squares on the projections, to first order."""
    columns = truth.columns(("left_shoulder", "right_elbow", "left_wrist", "right_hip", "left_knee", "right_ankle"))
    points = truth.keypoints_m[::6, 0, columns].reshape(-1, 3)
    step = 1e-4
    slopes = [(truth.rig.project(points + d) - truth.rig.project(points - d)) / (2 * step) for d in step * np.eye(3)]
    J = np.moveaxis(np.stack(slopes, -1), 0, 1).reshape(len(points), -1, 3)
    spread = np.linalg.cholesky(NOISE_PX**2 * np.linalg.inv(np.swapaxes(J, -1, -2) @ J))
    draws = spread @ np.random.default_rng(0).normal(size=(len(points), 3, 400))
    return float(1000 * np.linalg.norm(draws, axis=1).mean())


def test_a_take_is_as_wrong_as_its_noise_says(session, truth):
    """360 joint errors, each spread by 0.42 of its mean: their mean is known to 2.2 %; three times that, and 3 % for
    the robust triangulation, which leaves some views out."""
    done = evaluate("take", session, "--json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    assert report["headline_mm"]["triangulated"] == pytest.approx(expected_mpjpe_mm(truth), rel=0.10)
    assert 0 < report["headline_mm"]["smoothed"] < report["headline_mm"]["triangulated"]
    pictures = report["pictures"]["detections"]["all"]["visible"]["errors_px"]
    assert pictures["median"] == pytest.approx(1.1774 * NOISE_PX, rel=0.05)  # Rayleigh, over thousands of points
    assert report["pictures"]["associated"]["all"]["missed"] == 0
    assert report["rig"]["position_mm"]["max"] == pytest.approx(0.0, abs=1e-3)
    assert {"triangulated", "smoothed", "solved"} == set(report["points"])
    assert report["points"]["solved"]["bones"]["anna"]["mean_coefficient"] == pytest.approx(0.0, abs=1e-9)


def test_tables_fit_eighty_columns_and_begin_with_the_headline(session):
    done = evaluate("take", session / "takes" / "walk", "--protocol", "human36m")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("made_up/walk  MPJPE over 12 limb joints: triangulated ")
    for word in ("limb joints", "shoulder", "jitter", "pictures", "rig", "human36m smoothed"):
        assert word in done.stdout, word
    assert "…" not in done.stdout
    table = lines[lines.index(next(line for line in lines if "limb joints " in line and "mm" in line)) :]
    assert max(len(line.rstrip()) for line in table if "PCK" in line or "─" in line) <= 80


def test_plots_are_pictures_and_worst_frames_show_both_skeletons(session, truth, tmp_path):
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    copy = tmp_path / "filmed"
    shutil.copytree(session, copy)
    take = copy / "takes" / "walk"
    grey = 120
    for camera in truth.rig:
        width, height = camera.intrinsics.image_size
        with VideoWriter(take / "video" / f"{camera.name}.mp4", (width, height), truth.fps) as writer:
            for _ in range(truth.n_frames):
                writer.write(np.full((height, width, 3), grey, dtype=np.uint8))
    done = evaluate("take", take, "--plots", tmp_path / "plots")
    assert done.returncode == 0, done.stderr
    made = [Path(line) for line in done.stdout.splitlines() if line.endswith(".png")]
    names = {path.name for path in made}
    assert {"error_over_time.png", "error_by_joint.png", "error_in_pictures.png", "feet.png"} < names
    pictures = [cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) for path in made]
    assert all(picture is not None and np.std(picture) > 5 for picture in pictures)
    (sheet,) = [np.array(p) for p, path in zip(pictures, made, strict=True) if path.name.startswith("worst_1")]
    for color in (TRUE, FOUND):
        assert (np.abs(sheet[..., ::-1].astype(int) - color).max(-1) < 25).sum() > 200
    shown = round(0.8 * grey)
    assert (np.abs(sheet.astype(int) - shown).max(-1) < 12).mean() > 0.3, "the video's picture is under the lines"


def test_plots_without_matplotlib_name_the_remedy(session, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told = refused("take", session, "--plots", tmp_path)
    assert "plots need matplotlib. Run: python tools/bootstrap.py env --extra plots" in told
    assert list(tmp_path.iterdir()) == []


def test_points_rig_and_sync(session, tmp_path):
    take = session / "takes" / "walk"
    done = evaluate("points", take / "derived" / "smooth.h5", take / "truth.npz", "--offset-ms", "auto", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["points"]["headline_mm"]["mean"] < 10
    assert abs(report["offset"]["offset_ms"]) < 5
    bvh = evaluate("points", take / "export" / "walk.bvh", take / "truth.npz")
    assert "MPJPE over 12 limb joints" in bvh.stdout
    assert "guessed" in bvh.stdout
    rig = evaluate("rig", session / "calibration" / "rig.toml", take / "truth.npz", "--align", "rigid")
    assert "aligned: rigid" in rig.stdout
    sync = evaluate("sync", take)
    assert "clocks against cam01" in sync.stdout
    document = json.loads(evaluate("sync", take, "--json").stdout)
    assert (document["max_ms"], document["times"]) == (pytest.approx(0.0, abs=1e-9), "index / fps")


def test_refusals_say_what_to_do(session, tmp_path):
    take = session / "takes" / "walk"
    assert "no protocol 'humaneva'; there are human36m" in refused("take", take, "--protocol", "humaneva")
    assert "--align: 'best' is no way to align" in refused("take", take, "--align", "best")
    assert "--offset-ms: 'soon' is neither a number nor auto" in refused("take", take, "--offset-ms", "soon")
    fresh = write_take(true_take(cameras=2, seconds=0.5), tmp_path / "fresh")
    assert "is not processed yet" in refused("take", fresh)
    (fresh / "truth.npz").unlink()
    assert "has no truth.npz to compare with" in refused("take", fresh)
    (tmp_path / "a.csv").write_text("frame,name,x,y,z\n0,tail,1,2,3\n", encoding="utf-8")
    told = refused("points", tmp_path / "a.csv", take / "truth.npz")
    assert "no point has the same name in both: tail and " in told


def test_the_headline_tells_what_is_lost(tmp_path):
    from mocap.evaluation.take import evaluate_take
    from mocap.io.artefacts import save_keypoints3d
    from mocap.io.session_files import open_take

    two = true_take(people=2, cameras=2, seconds=0.5)
    take = write_take(two, tmp_path)
    there = np.where(np.isfinite(two.keypoints_m[:, :1]).all(-1), 1.0, 0.0)
    count = np.where(there > 0, 2, 0)
    found = Keypoints3D(KEYPOINTS, two.keypoints_m[:, :1], there, np.where(there > 0, 0.0, np.nan), count, two.fps)
    save_keypoints3d(found, take / "derived" / "smooth.h5")
    report, _ = evaluate_take(open_take(take), take / "derived")
    assert report.points["smoothed"].headline_mm.missing == report.points["smoothed"].headline_mm.n
    assert "smoothed 0.0 mm (50.0 % lost)" in evaluate("take", take).stdout
