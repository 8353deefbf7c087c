"""The bytes of our BVH, so that no change of them goes unseen.

After a change that is meant, write them anew, look at the difference, and have Blender look at it too:

    MOCAP_WRITE_GOLDEN=1 pytest tests/mocap/io/test_io_bvh_golden.py && git diff tests/golden
    pytest tests/mocap/io/test_io_bvh_blender.py
"""

import os
from pathlib import Path

import pytest

from mocap.io.bvh import BvhConfig, write_bvh
from motion_worlds import crooked_motion, marching_person

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CASES = {
    "marching_person.bvh": (marching_person(n_frames=4, fps=59.94, turn_deg=30), BvhConfig()),
    "crooked_z_up_metres.bvh": (
        crooked_motion(8, n_joints=6, n_frames=3),
        BvhConfig(up="z", unit="m", rotation_order="XYZ", name_prefix="rig:"),
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_bytes_are_those_of_the_golden_file(name, tmp_path):
    motion, config = CASES[name]
    if os.environ.get("MOCAP_WRITE_GOLDEN"):
        write_bvh(motion, GOLDEN / name, config)
    write_bvh(motion, tmp_path / name, config)
    assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()
