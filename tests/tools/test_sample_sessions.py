"""The rendered sessions that are in the repository: small, complete, readable, and what their configurations make."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import make_sample_session as sample
from calibration.formats import read_calibration
from mocap.core.config import load_config
from mocap.io.session_files import open_session, open_take_of
from mocap.io.truth_file import load_truth
from mocap.io.video import probe_video

SESSIONS = sample.ROOT / "sample_sessions"
MADE = {"derived", "export"}
LIMIT_MB = 40.0


def files_of(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and not MADE & {*p.parts}]


def test_all_of_them_together_are_small():
    size = sum(path.stat().st_size for path in files_of(SESSIONS)) / 1e6
    print(f"{size:.1f} MB")
    assert size <= LIMIT_MB
    assert {p.name for p in SESSIONS.iterdir() if p.is_dir()} == set(sample.NAMES)


@pytest.mark.parametrize("name", sample.RENDERED)
def test_every_video_has_as_many_frames_as_its_truth_and_shows_them_when_it_says(name):
    session = open_session(SESSIONS / name)
    assert session.rig_path is not None
    rig = read_calibration(session.rig_path)
    (take_name,) = session.takes
    take = open_take_of(session, take_name)
    truth = load_truth(take.root / "truth.npz")
    assert rig.names == truth.rig.names == take.cameras
    np.testing.assert_allclose(rig.projections, truth.rig.projections, rtol=1e-6, atol=1e-6)
    for view in truth.views:
        info = probe_video(take.videos[view.camera])
        assert info.size == truth.rig[view.camera].intrinsics.image_size
        assert info.n_frames == view.n_frames
        # Containers count in ticks of 1/90000 s.
        np.testing.assert_allclose(info.times_s, view.stamp_s - view.stamp_s[0], atol=1.2e-5)


def test_one_person_has_clips_for_a_whole_calibration():
    folder = SESSIONS / "one_person" / "calibration"
    for kind, seconds in (("intrinsics", 10.0), ("extrinsics", 30.0), ("floor", 1.0)):
        truth = load_truth(folder / kind / "truth.npz")
        for view in truth.views:
            info = probe_video(folder / kind / f"{view.camera}.mp4")
            assert info.n_frames == view.n_frames == round(seconds * truth.fps)
            assert np.isfinite(view.cam_from_board).all()


def test_the_two_people_cross():
    truth = load_truth(SESSIONS / "two_people" / "takes" / "crossing" / "truth.npz")
    first, second = (person.motion.root_translation[:, :2] for person in truth.people)
    apart = first - second
    turned = np.unwrap(np.arctan2(apart[:, 1], apart[:, 0]))
    assert len(truth.views) == 5
    assert np.linalg.norm(apart, axis=1).min() < 1.2
    assert np.ptp(turned) > np.deg2rad(90), "they pass each other"


def test_phones_have_their_own_clocks_rates_and_shapes_and_hear_the_clap():
    root = SESSIONS / "phones" / "takes" / "clap_and_wave"
    truth = load_truth(root / "truth.npz")
    rates = [np.round(1 / np.median(np.diff(view.stamp_s)), 1) for view in truth.views]
    assert len(set(rates)) == 3, "29.97 and 30 are told apart by nobody who looks at single frames"
    starts = [view.time_s[0] for view in truth.views]
    assert min(abs(b - a) for a, b in pairwise(sorted(starts))) > 0.01
    sizes = [camera.intrinsics.image_size for camera in truth.rig]
    assert sum(height > width for width, height in sizes) == 1
    assert all(probe_video(root / "video" / f"{view.camera}.mp4").has_audio for view in truth.views)


@pytest.mark.slow
@pytest.mark.parametrize("name", sample.RENDERED)
@pytest.mark.skipif(importlib.util.find_spec("anny") is None, reason="needs the extra synth")
def test_the_configuration_and_the_seed_give_this_very_truth(name, tmp_path):
    """Without pictures; the visibility then comes from capsules and is not compared."""
    from mocap.synthetic.session import make_session
    from mocap.synthetic.synth_config import SynthConfig

    config = load_config(SynthConfig, sample.ROOT / "configs" / "synth" / f"{name}.toml", ["keypoints_only=true"])
    make_session(config, tmp_path / name)
    kept, again = (load_truth(root / name / "takes" / config.take / "truth.npz") for root in (SESSIONS, tmp_path))
    assert kept.keypoint_names == again.keypoint_names
    # A micrometre: processors differ in the last digits, and skinning adds up some of them.
    np.testing.assert_allclose(
        again.keypoints_m, kept.keypoints_m, atol=2e-6, err_msg="run tools/make_sample_session.py"
    )
    for old, new in zip(kept.views, again.views, strict=True):
        np.testing.assert_allclose(new.time_s, old.time_s, atol=1e-9)
        np.testing.assert_allclose(new.xy, old.xy, atol=2e-3)
