"""The session that everybody starts with, against its truth: what the README's first command makes is right."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mocap.io.artefacts import load_keypoints3d, load_motions
from mocap.io.bvh import joint_positions, read_bvh
from mocap.synthetic.gait import joint_poses
from running_mocap import mocap, results

SESSION = Path(__file__).resolve().parents[2] / "sample_sessions" / "numeric_walk"
LIMBS = [f"{side}{part}" for side in ("Left", "Right") for part in ("Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot")]


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """The take's folder, processed, and its truth."""
    session = tmp_path_factory.mktemp("sample") / "numeric_walk"
    shutil.copytree(SESSION, session, ignore=shutil.ignore_patterns("derived", "export"))
    (printed,) = results(mocap("process", session, "--json"))
    take = session / "takes" / "walk"
    with np.load(take / "truth.npz") as truth:
        return take, printed, dict(truth)


def test_keypoints_lie_where_the_body_had_them(walk):
    """The networks' noise is some 2 px a view; at 4 m and 900 px of focal length that is 9 mm, over four views 5 mm a
    coordinate or 8 mm a point; smoothing takes a part of it, and what the networks see beside the point adds to it."""
    take, _, truth = walk
    points = load_keypoints3d(take / "derived" / "smooth.h5")
    columns = [truth["keypoint_names"].tolist().index(n) for n in points.keypoint_set.names]
    error_mm = 1000 * np.linalg.norm(points.xyz[:, 0] - truth["keypoints_m"][:, columns], axis=-1)
    body = points.keypoint_set.indices(points.keypoint_set.body)
    print(f"keypoints: median {np.nanmedian(error_mm[:, body]):.1f} mm")
    assert np.nanmedian(error_mm[:, body]) < 10


def test_limb_joints_lie_where_the_skeleton_had_them(walk):
    """What a network calls a hip lies up to 30 mm beside the joint, and how far is the solver's estimate, not its
    knowledge; the other joints are named within some 10 mm. With 8 mm of noise: (2 x 31 + 10 x 13) / 12 = 16 mm.
    """
    take, _, truth = walk
    (motion,) = load_motions(take / "derived" / "feet.h5")
    _, positions = joint_poses(motion)
    names = truth["joint_names"].tolist()
    ours = positions[:, [motion.skeleton.index(n) for n in LIMBS]]
    error_mm = 1000 * np.linalg.norm(ours - truth["joints_m"][:, [names.index(n) for n in LIMBS]], axis=-1)
    print(f"limb joints: mean {error_mm.mean():.1f} mm, {np.median(error_mm, axis=0).round(0)}")
    assert error_mm.mean() < 20


def test_the_bvh_is_the_motion(walk):
    take, printed, truth = walk
    bvh = read_bvh(Path(printed["files"][0]))
    (motion,) = load_motions(take / "derived" / "feet.h5")
    _, positions = joint_poses(motion)
    assert bvh.values.shape[0] == len(truth["joints_m"]) == printed["figures"]["frames"]
    assert bvh.frame_time == pytest.approx(1 / float(truth["fps"]), rel=1e-9)
    # Centimetres and Y up: (x, y, z) here is (x, z, -y) there.
    there = 100 * np.stack([positions[..., 0], positions[..., 2], -positions[..., 1]], axis=-1)
    order = [list(bvh.joint_names).index(n) for n in motion.skeleton.joint_names]
    assert np.abs(joint_positions(bvh)[:, order] - there).max() < 1e-3
