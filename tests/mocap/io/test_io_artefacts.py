"""Artefacts come back as they went, are written whole or not at all, and are refused when they are something else."""

import errno
import os
import sys

import numpy as np
import pytest

from mocap.core.errors import FileFormatError
from mocap.core.keypoints import Detections2D, Keypoints2D, Keypoints3D, KeypointSet
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.io import artefacts
from running_mocap import run_python

PAIR = KeypointSet("pair", ("left_eye", "right_eye"), (("left_eye", "right_eye"),), (("left_eye", "right_eye"),), ())
RNG = np.random.default_rng(11)


def with_gap(points: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points.reshape(-1, points.shape[-1])[3] = np.nan
    confidence.reshape(-1)[3] = 0
    return points, confidence


def fields_equal(a: object, b: object, names: tuple[str, ...]) -> bool:
    return all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in names)


def test_detections_round_trip(tmp_path):
    xy, confidence = with_gap(RNG.normal(size=(7, 2, 2)), RNG.uniform(0.1, 1, (7, 2)))
    before = Detections2D(
        ("left cam", "b"), 9, PAIR, RNG.integers(0, 9, 7), RNG.integers(0, 2, 7), RNG.integers(-1, 4, 7),
        xy, confidence, RNG.normal(size=(7, 4)), RNG.uniform(0, 1, 7),
    )  # fmt: skip
    artefacts.save_detections(before, tmp_path / "d.h5", "k1")
    after = artefacts.load_detections(tmp_path / "d.h5")
    assert fields_equal(before, after, artefacts.DETECTION_ARRAYS)
    assert (after.cameras, after.n_frames, after.keypoint_set) == (before.cameras, 9, PAIR)
    assert artefacts.read_key(tmp_path / "d.h5") == "k1"


def test_keypoints_round_trip(tmp_path):
    xy, confidence = with_gap(RNG.normal(size=(5, 2, 3, 2, 2)), np.full((5, 2, 3, 2), 0.25))
    flat = Keypoints2D(("a", "b", "c"), PAIR, xy, confidence, 59.94)
    artefacts.save_keypoints2d(flat, tmp_path / "a" / "flat.h5")
    again = artefacts.load_keypoints2d(tmp_path / "a" / "flat.h5")
    assert fields_equal(flat, again, artefacts.KEYPOINT_2D_ARRAYS)
    assert again.fps == 59.94

    xyz, confidence3 = with_gap(RNG.normal(size=(2000, 2, 2, 3)), np.full((2000, 2, 2), 0.5))
    space = Keypoints3D(PAIR, xyz, confidence3, confidence3 * 3, np.full((2000, 2, 2), 4), 30.0)
    artefacts.save_keypoints3d(space, tmp_path / "space.h5")
    assert fields_equal(space, artefacts.load_keypoints3d(tmp_path / "space.h5"), artefacts.KEYPOINT_3D_ARRAYS)


def test_motions_round_trip(tmp_path):
    skeleton = SkeletonDefinition(
        "two", ("Hips", "Spine"), np.array([-1, 0]), RNG.normal(size=(2, 3)),
        np.sort(RNG.normal(size=(2, 3, 2))),
        np.array([[np.nan] * 3, [0, 0, 0.1]]), (),
    )  # fmt: skip
    rotations = RNG.normal(size=(6, 2, 4))
    rotations /= np.linalg.norm(rotations, axis=-1, keepdims=True)
    people = [Motion(skeleton, RNG.normal(size=(6, 3)), rotations, 24.0, person=name) for name in ("ann", "bob")]
    artefacts.save_motions(people, tmp_path / "m.h5")
    again = artefacts.load_motions(tmp_path / "m.h5")
    assert [m.person for m in again] == ["ann", "bob"]
    assert fields_equal(people[1], again[1], ("root_translation", "local_rotations"))
    assert fields_equal(skeleton, again[0].skeleton, artefacts.SKELETON_ARRAYS)
    assert again[0].skeleton.joint_names == ("Hips", "Spine")


def test_another_kind_of_artefact_is_named(tmp_path):
    artefacts.save_motions([], tmp_path / "m.h5")
    with pytest.raises(FileFormatError, match=r"m.h5: holds 'mocap/motions/1', expected 'mocap/keypoints3d/1'"):
        artefacts.load_keypoints3d(tmp_path / "m.h5")


def test_torn_and_missing_files_are_explained(tmp_path):
    torn = tmp_path / "torn.h5"
    artefacts.save_motions([], torn)
    torn.write_bytes(torn.read_bytes()[:400])
    assert artefacts.read_key(torn) is None
    with pytest.raises(FileFormatError, match="not a readable artefact"):
        artefacts.load_motions(torn)
    with pytest.raises(FileFormatError, match="no such file"):
        artefacts.load_motions(tmp_path / "absent.h5")


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "note.txt"
    artefacts.write_text_atomic(path, "old")
    with pytest.raises(RuntimeError, match="interrupted"), artefacts.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("interrupted")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


def test_what_a_killed_process_left_is_cleared_away_once_it_is_old(tmp_path):
    old, young = tmp_path / "derived" / ".detect.h5.4242.part", tmp_path / "derived" / "detect.parts" / ".0.h5.7.part"
    for path in (old, young):
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    artefacts.remove_leftovers(tmp_path / "derived", tmp_path / "not_there")
    assert not old.exists()
    assert young.exists()
    os.utime(young, (0, 0))
    artefacts.remove_leftovers(tmp_path / "derived")
    assert not young.exists()


@pytest.mark.parametrize("field", artefacts.KEYPOINT_3D_ARRAYS)
def test_one_changed_byte_in_an_array_is_noticed(tmp_path, field):
    """Small arrays lie in the file as they are, so that only a checksum can tell."""
    xyz, confidence = with_gap(np.full((4, 1, 2, 3), 0.1), np.full((4, 1, 2), 0.2))
    points = Keypoints3D(PAIR, xyz, confidence, confidence * 1.5, np.full((4, 1, 2), 0x5A6B7C), 30.0)
    artefacts.save_keypoints3d(points, tmp_path / "d.h5", "k")
    data = bytearray((tmp_path / "d.h5").read_bytes())
    data[data.index(getattr(points, field).tobytes()[:8])] ^= 0x10
    (tmp_path / "d.h5").write_bytes(data)
    assert artefacts.read_key(tmp_path / "d.h5") == "k"
    with pytest.raises(FileFormatError, match=r"d.h5: not a readable artefact .*Delete it and run the command again"):
        artefacts.load_keypoints3d(tmp_path / "d.h5")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are a matter of POSIX")
def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path):
    """A limit on the size of files fails as a full disk does. HDF5 by itself would crash the process after that."""
    done = run_python(
        "import resource",
        "from pathlib import Path",
        "from mocap.io.artefacts import write_text_atomic, save_motions",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))",
        "for name, write in (('m.h5', save_motions), ('t', lambda _, path: write_text_atomic(path, 'x' * 999))):",
        "    try: write([], Path(name))",
        "    except OSError as error: print(type(error).__name__, error.errno, error.filename)",
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"OSError {errno.EFBIG} m.h5", f"OSError {errno.EFBIG} t"]
    assert list(tmp_path.iterdir()) == []
