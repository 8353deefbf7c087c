"""Four synchronized videos of a man balancing on a treadmill and their calibration become animation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import evaluate_real_take
from mocap.io.bvh import joint_positions, read_bvh
from mocap.pipeline import STAGES
from real_takes import as_arguments, trial_rig, trial_videos, write_session_of
from running_mocap import mocap, results, rubbish

pytestmark = pytest.mark.slow

SIDES = ("Left", "Right")


@pytest.fixture(scope="module")
def session(shared_data, tmp_path_factory) -> Path:
    """The same take as a session folder."""
    root = tmp_path_factory.mktemp("sessions") / "tuesday"
    return write_session_of(trial_videos(shared_data), trial_rig(shared_data), root, ("balancing", "again"))


@pytest.fixture(scope="module")
def figures(trial):
    """What tools/evaluate_real_take.py prints of it."""
    return evaluate_real_take.evaluate(trial.folder)


@pytest.fixture
def own_trial(trial, tmp_path) -> Path:
    """A copy of the processed take, with the times of its files, to do things to."""
    return shutil.copytree(trial.folder, tmp_path / trial.folder.name, copy_function=shutil.copy2)


def process_again(shared_data, folder: Path, *options: str) -> dict:
    loose = as_arguments(trial_videos(shared_data))
    done = mocap("process", *loose, "--rig", trial_rig(shared_data), "-o", folder, "--json", *options)
    return results(done)[0]


def times(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_loose_videos_session_and_batch_give_the_same_bytes(trial, session, tmp_path):
    (from_session,) = results(mocap("process", session / "takes" / "balancing", "--json"))
    done = mocap("batch", session / "takes" / "again", "--json", "--summary", tmp_path / "summary.json")
    (from_batch,) = results(done)
    files = [trial.bvh, Path(from_session["files"][0]), Path(from_batch["files"][0])]
    assert [file.name for file in files] == ["balancing.bvh", "balancing.bvh", "again.bvh"]
    assert len({file.read_bytes() for file in files}) == 1
    assert rubbish(session) == []


def test_every_frame_of_every_camera_counts(trial):
    figures = trial.printed["figures"]
    assert figures["frames"] == 100
    assert figures["camera_frames"] == 400
    assert figures["frames_lost"] == 0
    stages = trial.report["stages"]
    assert stages["detect"]["n_frames"] == 100
    assert {camera["frames"] for camera in stages["detect"]["cameras"].values()} == {100}
    assert stages["associate"]["frames_below_two_views"] == 0
    assert stages["solve"]["people"][0]["frames_not_observed"] == []
    assert trial.motion.n_frames == 100


def test_points_project_onto_what_the_cameras_saw(trial, figures):
    assert trial.printed["figures"]["body_reprojection_px"] <= 6.5
    # The tool computes it from the artefacts, with the projection of the other package.
    assert figures["reprojection_px"]["triangulated"] == pytest.approx(
        trial.printed["figures"]["body_reprojection_px"], abs=0.05
    )


def test_it_is_the_man_on_the_treadmill(figures):
    """In every frame. The nearest bystander is more than a metre away; hips of two detectors differ by some cm."""
    assert figures["farthest_hips_mm"] < 300


def test_distances_to_the_reference(figures):
    """Mean over ten joints of the median distance. The reference's first row is at 1/60 s, and one frame later is where
    it is nearest: 30.3, 26.7 and 32.5 mm at shifts of 0, 1 and 2 frames."""
    by_time = figures["mean_mm"]["butterworth / by time"]
    assert by_time["smoothed"] <= 30.0
    assert by_time["solved"] <= 30.0
    by_number = figures["mean_mm"]["butterworth / by frame number"]
    assert by_time["smoothed"] < by_number["smoothed"]


def test_bones_keep_their_length_and_both_sides_are_equal(trial):
    bvh = read_bvh(trial.bvh)
    positions = joint_positions(bvh) / 100  # the file is in centimetres
    children = np.flatnonzero(bvh.parents >= 0)
    lengths = np.linalg.norm(positions[:, children] - positions[:, bvh.parents[children]], axis=-1)
    assert np.ptp(lengths, axis=0).max() < 1e-6
    by_name = {bvh.joint_names[j]: float(length) for j, length in zip(children, lengths[0], strict=True)}
    left = {name.removeprefix("Left"): v for name, v in by_name.items() if name.startswith("Left")}
    right = {name.removeprefix("Right"): v for name, v in by_name.items() if name.startswith("Right")}
    # Offsets are written with six decimals of a centimetre.
    assert left == pytest.approx(right, abs=1e-7)
    assert len(left) == 8


def test_the_skeleton_follows_the_measured_keypoints(trial):
    """Keypoints are fitted where the detector sees them; the joints lie up to 27 mm beside (its hips, measured on
    rendered people), which with the 25 mm of the fit makes 37."""
    (person,) = trial.report["stages"]["solve"]["people"]
    assert person["mean_joint_mm"] <= 25
    skeleton, points, joints = trial.motion.skeleton, trial.keypoints, trial.joints
    apart = [
        np.linalg.norm(points.of(f"{side.lower()}_{keypoint}")[:, 0] - joints[:, skeleton.index(side + joint)], axis=-1)
        for side in SIDES
        for keypoint, (_, joint) in evaluate_real_take.JOINTS.items()
    ]
    assert 1000 * np.nanmean(apart) <= 37
    assert trial.printed["figures"]["solve_distance_mm"] <= 25


def test_the_bvh_has_the_videos_frames_and_rate(trial):
    text = trial.bvh.read_text()
    assert "Frames: 100\n" in text
    (line,) = [line for line in text.splitlines() if line.startswith("Frame Time:")]
    assert float(line.split()[-1]) == 1 / 60
    assert read_bvh(trial.bvh).values.shape[0] == 100


def test_it_is_shaped_and_moves_like_a_human(trial):
    """Proportions of adults (Winter's table, give or take a fifth), feet over the treadmill's belt, calm curves."""
    skeleton, joints, fps = trial.motion.skeleton, trial.joints, trial.motion.fps
    of = {name: float(length) for name, length in zip(skeleton.joint_names, skeleton.bone_lengths, strict=True)}
    thigh, shank, upper_arm, forearm = (of[f"Left{part}"] for part in ("Leg", "Foot", "ForeArm", "Hand"))
    assert 0.33 < thigh < 0.50
    assert 0.33 < shank < 0.50
    assert 0.8 < thigh / shank < 1.25
    assert 0.22 < upper_arm < 0.37
    assert 0.20 < forearm < 0.31
    assert 0.9 < upper_arm / forearm < 1.4
    assert 1.15 < (thigh + shank) / (upper_arm + forearm) < 1.75

    height = joints[..., 2]
    head, hips, toes = (height[:, skeleton.index(name)] for name in ("Head", "Hips", "LeftToeBase"))
    assert (head > hips + 0.35).all(), "upright in every frame"
    assert 0.75 < hips.mean() < 1.15
    lowest = height[:, [skeleton.index(f"{side}{part}") for side in SIDES for part in ("ToeBase", "Foot")]].min(-1)
    # The ball of a shod foot is 3 cm or more over its sole; the belt is a few cm over the floor.
    assert lowest.min() > -0.02
    assert lowest.max() < 0.20, "one foot is always on the belt"
    assert np.ptp(toes) < 0.25

    # Third differences of a full metre of sway at 1 Hz stay under 1 m (2 pi / 60)^3 = 1.1 mm; shaking does not.
    jerk_mm = 1000 * np.sqrt((np.diff(joints, n=3, axis=0) ** 2).sum(-1).mean())
    assert jerk_mm < 2.0
    hands = joints[:, [skeleton.index(f"{side}Hand") for side in SIDES]]
    acceleration = np.linalg.norm(np.diff(hands, n=2, axis=0), axis=-1) * fps**2
    assert np.percentile(acceleration, 99) < 60, "m/s²; quick arm movements of untrained people stay below"


def test_a_second_run_does_nothing(shared_data, own_trial):
    before = times(own_trial)
    again = process_again(shared_data, own_trial)
    assert again["ran"] == []
    assert times(own_trial) == before


def test_another_filter_runs_what_follows_it_and_nothing_before(shared_data, own_trial, trial):
    before = times(own_trial)
    changed = process_again(shared_data, own_trial, "--set", "smooth.cutoff_hz=4.0")
    assert changed["ran"] == ["smooth", "solve", "feet", "export"]
    after = times(own_trial)
    kept = {name for name in before if after[name] == before[name]}
    assert {f"derived/{stage}.{kind}" for stage in STAGES[:4] for kind in ("h5", "json")} <= kept
    assert (own_trial / "export" / "balancing.bvh").read_bytes() != trial.bvh.read_bytes()
    process_again(shared_data, own_trial)
    assert (own_trial / "export" / "balancing.bvh").read_bytes() == trial.bvh.read_bytes()


def test_force_runs_everything_and_gives_the_same_bytes(shared_data, own_trial, trial):
    """On one thread: results do not depend on their number."""
    forced = process_again(shared_data, own_trial, "--force", "--threads", "1")
    assert forced["ran"] == list(STAGES)
    assert (own_trial / "export" / "balancing.bvh").read_bytes() == trial.bvh.read_bytes()
