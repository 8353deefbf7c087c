"""Formats of points get keypoints where a take has them, and the joints of its people where it has none."""

import numpy as np
import pytest

from mocap.io.c3d import read_c3d
from mocap.io.gltf_file import read_gltf
from mocap.io.point_tracks import points_from_tracks
from mocap.io.trc import read_trc
from mocap.io.world_joints import joint_points, joint_worlds
from mocap.stages.export import ExportConfig, export
from motion_worlds import marching_person


@pytest.mark.parametrize("given", [True, False])
def test_points_of_a_take(tmp_path, given):
    people = [marching_person(12, person="ann"), marching_person(12, person="bob", turn_deg=30)]
    points = joint_points(people) if given else None
    paths, report = export(people, tmp_path, "walk", ExportConfig(formats=("c3d", "trc")), points=points)
    assert [path.name for path in paths] == ["walk.c3d", "walk.trc"]
    for path, read, up in zip(paths, (read_c3d, read_trc), ("z", "y"), strict=True):
        tracks = read(path)
        assert tracks.labels[0] == "ann:Hips"
        back = points_from_tracks(tracks, up=up)
        for number, motion in enumerate(people):
            assert np.abs(back.xyz[:, number] - joint_worlds(motion)[1]).max() < 2e-7
    assert [file.n_joints for file in report.files] == [22, 22]


def test_scenes_are_called_after_their_file(tmp_path):
    (glb, usd), _ = export([marching_person(3)], tmp_path, "night walk", ExportConfig(formats=("glb", "usd")))
    assert read_gltf(glb).clips[0].name == "night_walk"
    assert 'defaultPrim = "night_walk"' in usd.read_text()
