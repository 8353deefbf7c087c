from __future__ import annotations

import numpy as np
import pytest

from calibration.lenses import Lens
from mocap.core.errors import ConfigError
from mocap.synthetic.rigs import RigConfig, make_rig

BODY = np.array([[0.0, 0.0, 0.05], [0.0, 0.0, 1.8], [0.45, 0.0, 1.4], [-0.45, 0.0, 1.4]])


def rig_of(seed=5, **values):
    return make_rig(RigConfig(**values), np.random.default_rng(seed))


@pytest.mark.parametrize("layout", ["ring", "corners", "arc", "line"])
@pytest.mark.parametrize("lens", ["ideal", "distorted", "wide", "fisheye", "mixed"])
def test_every_camera_sees_a_whole_person_in_the_middle(layout, lens):
    for seed in range(4):
        rig = rig_of(seed, layout=layout, lens=lens, cameras=6, portrait=(2,))
        for camera in rig:
            px = camera.project(BODY)
            assert np.isfinite(px).all()
            assert (px >= 0).all()
            assert (px < np.array(camera.intrinsics.image_size)).all()


def test_cameras_stand_at_different_heights_upright_where_asked_and_above_the_floor():
    rig = rig_of(cameras=5, portrait=(1, 3), heights_m=(0.9, 2.4))
    assert [c.intrinsics.image_size for c in rig] == [(1280, 720), (720, 1280), (1280, 720), (720, 1280), (1280, 720)]
    np.testing.assert_allclose(np.sort(rig.centers[:, 2]), np.linspace(0.9, 2.4, 5))


def test_a_ring_goes_round_and_an_arc_stays_in_front():
    angle = np.sort(np.arctan2(*rig_of(cameras=8).centers[:, 1::-1].T))
    assert np.diff(angle).max() < np.deg2rad(45 * 1.3)  # 360/8 plus twice 8 % of a spacing, and a little
    assert (rig_of(layout="arc", cameras=4).centers[:, 1] < 1.0).all()
    assert len({tuple(np.sign(c[:2])) for c in rig_of(layout="corners", cameras=4).centers}) == 4


def test_mixed_lenses_are_mixed_and_the_same_seed_gives_the_same_rig():
    first, again, other = rig_of(1, lens="mixed"), rig_of(1, lens="mixed"), rig_of(2, lens="mixed")
    assert {camera.intrinsics.lens for camera in first} == {Lens.BROWN_CONRADY, Lens.FISHEYE}
    np.testing.assert_array_equal(first.projections, again.projections)
    assert np.abs(first.projections - other.projections).max() > 0.01
    focal = [camera.intrinsics.K[0, 0] for camera in first]
    assert len(set(focal)) == len(focal)


def test_a_portrait_camera_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="there is no camera 5; they count from 0 to 4"):
        rig_of(portrait=(5,))
