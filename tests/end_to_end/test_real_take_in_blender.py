"""The four-camera trial's BVH in Blender: the man's joints, frame by frame, where the solve has put them."""

import numpy as np
import pytest

from blender_runs import blender_or_skip, in_order, played_by

pytestmark = pytest.mark.slow


def test_every_joint_of_every_frame_is_within_a_millimetre(trial, tmp_path):
    python = blender_or_skip()
    bvh = tmp_path / "trial.bvh"
    bvh.write_bytes(trial.bvh.read_bytes())
    played = played_by(python, bvh, 0.01)
    expected = trial.joints
    heads = played["heads"][:, in_order(played, trial.motion)]
    error_m = np.linalg.norm(heads - expected, axis=-1)
    print(f"Blender: {heads.shape[0]} frames of {heads.shape[1]} joints, at most {1000 * error_m.max():.4f} mm off")
    assert heads.shape == (100, 22, 3)
    assert error_m.max() < 1e-3
    assert float(played["fps"]) == pytest.approx(60.0, rel=1e-7)
    height = played["heads"][:, played["names"].tolist().index("Head"), 2]
    assert (height > 1.2).all(), "a man who stands or bends sideways, not one who lies down"
    assert (height < 2.0).all()
