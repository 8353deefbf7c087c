"""Keys change with what they stand for and with nothing else."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.camera import Camera, Intrinsics, Rig
from calibration.transforms import RigidTransform
from mocap import provenance
from mocap.core.config import Config


class Values(Config):
    cutoff_hz: float = 6.0


def rig() -> Rig:
    lens = Intrinsics((640, 360), np.diag([500.0, 510.0, 1.0]), np.zeros(5))
    poses = (np.zeros(3), np.array([0.1, 0.2, 0.3]))
    return Rig(tuple(Camera(f"cam{i}", lens, RigidTransform.from_rotvec(r, np.ones(3))) for i, r in enumerate(poses)))


def test_configuration_key_depends_on_values_not_on_how_they_were_given():
    assert provenance.config_key(Values()) == provenance.config_key(Values(cutoff_hz=6.0))
    assert provenance.config_key(Values()) != provenance.config_key(Values(cutoff_hz=6.1))


class Networks(Config):
    files: tuple[Path, ...] = ()


def test_configuration_key_follows_the_content_of_the_networks_it_names(tmp_path):
    network = tmp_path / "pose.onnx"
    network.write_bytes(b"first weights")
    first = provenance.config_key(Networks(files=(network,)))
    network.write_bytes(b"other weights")
    assert provenance.config_key(Networks(files=(network,))) != first


def test_rig_key_sees_every_part_of_a_camera():
    base = rig()
    moved = replace(base.cameras[1], cam_from_world=RigidTransform(np.eye(3), np.array([1, 1, 1.001])))
    renamed = replace(base.cameras[1], name="other")
    keys = {provenance.rig_key(Rig((base.cameras[0], camera))) for camera in (base.cameras[1], moved, renamed)}
    assert len(keys) == 3
    assert provenance.rig_key(rig()) == provenance.rig_key(base)


def test_file_key_follows_content_even_when_the_name_stays(tmp_path):
    video = tmp_path / "a.mp4"
    video.write_bytes(b"one")
    first = provenance.files_key({"a": video}, tmp_path / "memory.json")
    assert provenance.files_key({"a": video}, tmp_path / "memory.json") == first
    video.write_bytes(b"two")
    os.utime(video, ns=(1, 1))
    assert provenance.files_key({"a": video}, tmp_path / "memory.json") != first


def test_remembered_digests_are_used_while_size_and_time_stay(tmp_path):
    video, memory = tmp_path / "a.mp4", tmp_path / "memory.json"
    video.write_bytes(b"one")
    provenance.files_key({"a": video}, memory)
    remembered = json.loads(memory.read_text())
    remembered[str(video)]["blake2b"] = "0" * 32
    memory.write_text(json.dumps(remembered))
    assert provenance.files_key({"a": video}, memory) == provenance.combine("a=" + "0" * 32)


def test_source_key_reaches_through_imports():
    reached = {p.relative_to(provenance.ROOT).as_posix() for p in provenance._reachable("mocap.stages.export")}
    assert {"mocap/stages/export.py", "mocap/io/bvh.py", "mocap/core/motion.py", "mocap/io/axes.py"} <= reached
    assert "mocap/stages/detect.py" not in reached


def test_a_file_changed_inside_a_folder_is_seen(tmp_path):
    """The folder's own modification time stays as it was."""
    folder, memory = tmp_path / "detections", tmp_path / "memory.json"
    (folder / "cam01").mkdir(parents=True)
    (folder / "cam01" / "000.json").write_text("one")
    first = provenance.files_key({"detections": folder}, memory)
    assert provenance.files_key({"detections": folder}, memory) == first
    (folder / "cam01" / "000.json").write_text("two!")
    changed = provenance.files_key({"detections": folder}, memory)
    assert changed != first
    (folder / "cam01").rename(folder / "cam02")
    assert provenance.files_key({"detections": folder}, memory) not in (first, changed)
