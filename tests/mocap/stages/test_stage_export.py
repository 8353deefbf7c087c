"""Motions to files: names, people, formats."""

import numpy as np
import pytest

from mocap.core.config import load_config
from mocap.core.errors import ConfigError, InputError
from mocap.io.bvh import joint_positions, read_bvh
from mocap.stages.export import FORMATS, ExportConfig, export, export_format
from motion_worlds import marching_person


def test_one_person_takes_the_name_of_the_take(tmp_path):
    motion = marching_person(n_frames=5, fps=59.94)
    paths, report = export([motion], tmp_path / "export", "walk 1", ExportConfig(formats=("bvh",)))
    assert paths == [tmp_path / "export" / "walk_1.bvh"]
    (file,) = report.files
    assert (file.name, file.format, file.n_frames, file.n_joints, file.fps) == ("walk_1.bvh", "bvh", 5, 22, 59.94)
    assert file.n_bytes == paths[0].stat().st_size


def test_each_of_several_people_gets_a_file_of_its_own(tmp_path):
    people = ["anna", "böb/2", "anna", "anna"]
    motions = [marching_person(n_frames=3 + k, person=name) for k, name in enumerate(people)]
    paths, _ = export(motions, tmp_path, "duo", ExportConfig(formats=("bvh",)))
    assert [p.name for p in paths] == ["duo_anna.bvh", "duo_böb_2.bvh", "duo_anna_2.bvh", "duo_anna_3.bvh"]
    assert [read_bvh(p).n_frames for p in paths] == [3, 4, 5, 6]


def test_formats_that_hold_people_get_all_of_them_with_their_skins(tmp_path):
    motions = [marching_person(n_frames=4, person=name) for name in ("anna", "bob")]
    paths, report = export(motions, tmp_path, "duo", ExportConfig(formats=("fbx", "bvh")), skins=[None, None])
    assert [p.name for p in paths] == ["duo.fbx", "duo_anna.bvh", "duo_bob.bvh"]
    assert (report.files[0].person, report.files[0].n_joints, report.files[0].n_frames) == ("anna, bob", 22, 4)
    with pytest.raises(InputError, match="1 skins for 2 motions of 'duo'; one or None for each"):
        export(motions, tmp_path, "duo", skins=[None])


def test_options_reach_the_file(tmp_path):
    own = {"up": "z", "unit": "m", "rotation_order": "YXZ", "name_prefix": "mixamorig:", "fps": 30}
    config = ExportConfig.model_validate({"formats": ["bvh"], **own})
    (path,), report = export([marching_person(n_frames=61, fps=60)], tmp_path, "a", config)
    bvh = read_bvh(path)
    assert bvh.joint_names[0] == "mixamorig:Hips"
    assert bvh.channels[1] == ("Yrotation", "Xrotation", "Zrotation")
    assert (bvh.n_frames, bvh.fps) == (31, 30)
    assert (report.files[0].n_frames, report.files[0].fps) == (31, 30)
    head = joint_positions(bvh)[0, bvh.joint_names.index("mixamorig:Head")]
    assert np.abs(head - [0, -0.01, 0.9775 + 0.05 + 0.13 + 0.13 + 0.18 + 0.1125]).max() < 1e-6


def test_an_unknown_format_lists_the_known_ones(tmp_path):
    assert set(FORMATS) >= {"bvh"}
    with pytest.raises(InputError, match="no export format 'doc'; there are bvh"):
        export_format("doc")
    with pytest.raises(ConfigError, match="no export format 'doc'; there are bvh"):
        load_config(ExportConfig, None, ['formats=["doc"]'])


def test_nothing_to_export(tmp_path):
    with pytest.raises(InputError, match="there is no motion of 'walk' to export. Solve the take first"):
        export([], tmp_path, "walk")
    assert not list(tmp_path.iterdir())
