"""Labels from cameras that agree, against a truth that is known: what agrees is projected, what disagrees is masked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from evaluated_takes import true_take, write_take
from measure_session_labels import measured
from mocap.core.errors import InputError
from mocap.core.keypoints import Keypoints2D
from mocap.core.session import Take
from mocap.core.truth import TakeTruth
from mocap.io.artefacts import save_keypoints2d
from mocap.io.video_writer import VideoWriter
from mocap.training.datasets.labelled_people import HIDDEN, SEEN, UNLABELLED, PeopleSource
from mocap.training.datasets.pieces import SURROUNDINGS
from mocap.training.datasets.sessions import SessionSource, session_sources, take_labels
from mocap.training.session_labels import SessionLabelConfig, session_labels
from truth_worlds import KEYPOINTS

NOISE_PX = 1.0
WRIST, ELBOW, KNEE = (KEYPOINTS.index(name) for name in ("left_wrist", "left_elbow", "right_knee"))


@pytest.fixture(scope="module")
def truth() -> TakeTruth:
    return true_take(seconds=0.5)


def true_pixels(truth: TakeTruth) -> np.ndarray:
    """(T, P, C, K, 2) px through the lens."""
    return np.moveaxis(truth.rig.project(truth.keypoints_m), 0, 2)


def associated(truth: TakeTruth, noise_px: float = NOISE_PX) -> Keypoints2D:
    xy = true_pixels(truth)
    xy = xy + np.random.default_rng(2).normal(0, noise_px, xy.shape)
    confidence = np.where(np.isfinite(xy).all(-1), 0.8, 0.0)
    return Keypoints2D(
        truth.rig.names, KEYPOINTS, np.where(confidence[..., None] > 0, xy, np.nan), confidence, truth.fps
    )


def changed(points: Keypoints2D, xy: np.ndarray, confidence: np.ndarray) -> Keypoints2D:
    there = (confidence > 0) & np.isfinite(xy).all(-1)
    return Keypoints2D(
        points.cameras, KEYPOINTS, np.where(there[..., None], xy, np.nan), np.where(there, confidence, 0), points.fps
    )


def share_of_noise_kept(truth: TakeTruth) -> float:
    """Of the RMS of independent noise, by least squares to first order: the trace of H Hᵀ over 8 numbers a point.

    Views count by the square of their distance over focal length, as noise grows with the size of the person. With
    equal weights it would be 3 / 8 of the variance.
    """
    points = truth.keypoints_m[:, 0].reshape(-1, 3)
    points = points[np.isfinite(points).all(-1)]
    step = 1e-4
    slopes = [(truth.rig.project(points + d) - truth.rig.project(points - d)) / (2 * step) for d in step * np.eye(3)]
    J = np.moveaxis(np.stack(slopes, -1), 0, 1).reshape(len(points), 8, 3)
    middle = np.nanmedian(truth.keypoints_m[:, 0], axis=1).mean(0)
    focal = np.array([camera.intrinsics.K[0, 0] for camera in truth.rig])
    weight = np.repeat((np.linalg.norm(middle - truth.rig.centers, axis=-1) / focal) ** 2, 2)[:, None]
    hat = J @ np.linalg.solve(np.swapaxes(J, 1, 2) @ (weight * J), np.swapaxes(weight * J, 1, 2))
    return float(np.sqrt((hat**2).sum((1, 2)).mean() / 8))


def test_labels_are_steadier_than_what_views_say(truth):
    """About 1900 points' errors: the ratio of their RMS is known to 1 %."""
    points = associated(truth)
    labels, report = session_labels(points, truth.rig, SessionLabelConfig(every=1))
    labelled = labels.visibility > UNLABELLED
    assert report.agreed is not None
    assert report.agreed > 0.99
    assert labelled.mean() > 0.9
    off = np.linalg.norm(labels.xy - true_pixels(truth), axis=-1)[labelled]
    given = np.linalg.norm(points.xy - true_pixels(truth), axis=-1)[labelled]
    ratio = np.sqrt(np.mean(off**2) / np.mean(given**2))
    assert ratio == pytest.approx(share_of_noise_kept(truth), rel=0.05)
    assert (np.isnan(labels.xy).any(-1) == ~labelled).all()


def test_a_view_that_disagrees_masks_the_keypoint_everywhere(truth):
    points = associated(truth)
    xy, confidence = points.xy.copy(), points.confidence.copy()
    xy[4, 0, 1, WRIST] += [60.0, 0]
    labels, report = session_labels(changed(points, xy, confidence), truth.rig, SessionLabelConfig())
    assert (labels.visibility[4, 0, :, WRIST] == UNLABELLED).all()
    assert (labels.visibility[5, 0, :, WRIST] > UNLABELLED).all()
    assert (labels.visibility[4, 0, :, ELBOW] > UNLABELLED).all()
    share = report.agreed_by_keypoint["left_wrist"]
    assert share == pytest.approx(1 - 1 / len(xy))


def test_views_that_saw_nothing_learn_what_the_others_agree_on_as_hidden(truth):
    points = associated(truth)
    xy, confidence = points.xy.copy(), points.confidence.copy()
    confidence[:, 0, 2, KNEE] = 0.1  # below min_confidence, and wrong
    xy[:, 0, 2, KNEE] += 200.0
    labels, _ = session_labels(changed(points, xy, confidence), truth.rig, SessionLabelConfig())
    assert (labels.visibility[:, 0, 2, KNEE] == HIDDEN).all()
    assert (labels.visibility[:, 0, [0, 1, 3], KNEE] == SEEN).all()
    off = np.linalg.norm(labels.xy[:, 0, 2, KNEE] - true_pixels(truth)[:, 0, 2, KNEE], axis=-1)
    assert off.max() < 8 * NOISE_PX


def test_too_few_views_are_no_agreement(truth):
    points = associated(truth)
    xy, confidence = points.xy.copy(), points.confidence.copy()
    confidence[:, 0, :2, KNEE] = 0.0
    labels, _ = session_labels(changed(points, xy, confidence), truth.rig, SessionLabelConfig())
    assert (labels.visibility[:, 0, :, KNEE] == UNLABELLED).all()
    labels, _ = session_labels(changed(points, xy, confidence), truth.rig, SessionLabelConfig(min_views=2))
    assert (labels.visibility[:, 0, :, KNEE] > UNLABELLED).all()


def test_somebody_else_in_one_view_masks_the_whole_person(truth):
    """Two shoulders that agree by chance are no reason to trust a frame in which all else disagrees."""
    points = associated(truth)
    xy = points.xy.copy()
    xy[3, 0, 2, 4:] += [80.0, -40]
    labels, _ = session_labels(changed(points, xy, points.confidence), truth.rig, SessionLabelConfig(every=1))
    assert (labels.visibility[3] == UNLABELLED).all()
    assert 3 not in labels.samples[:, 0]
    assert 4 in labels.samples[:, 0]


def test_samples_are_every_nth_frame_with_enough_labels(truth):
    points = associated(truth)
    labels, report = session_labels(points, truth.rig, SessionLabelConfig(every=5))
    assert set(labels.samples[:, 0]) == set(range(0, len(points.xy), 5))
    assert report.samples == len(labels.samples) == len(range(0, len(points.xy), 5)) * 4
    box = labels.box[tuple(labels.samples[0])]
    assert (box[2:] - box[:2] > 30).all()


def test_one_camera_too_few_is_told(truth):
    points = associated(truth)
    with pytest.raises(InputError, match="4 cameras; labels need 5 that agree"):
        session_labels(points, truth.rig, SessionLabelConfig(min_views=5))


@pytest.fixture(scope="module")
def filmed(truth, tmp_path_factory) -> Path:
    """A processed take with videos: every keypoint of the first person is a dot."""
    root = tmp_path_factory.mktemp("labels") / "session"
    take = write_take(truth, root)
    save_keypoints2d(associated(truth), take / "derived" / "associate.h5")
    shutil.rmtree(take / "detections")
    px = true_pixels(truth)
    for camera, described in enumerate(truth.rig):
        width, height = described.intrinsics.image_size
        with VideoWriter(take / "video" / f"{described.name}.mp4", (width, height), truth.fps) as writer:
            for frame in range(len(px)):
                picture = np.full((height, width, 3), 40, np.uint8)
                for x, y in px[frame, 0, camera][np.isfinite(px[frame, 0, camera]).all(-1)]:
                    cv2.circle(picture, (round(x), round(y)), 3, (230, 230, 230), -1)
                writer.write(picture)
    return take


def test_takes_become_labelled_people(filmed):
    source = SessionSource(filmed, SessionLabelConfig(every=4))
    assert isinstance(source, PeopleSource)
    assert source.keypoint_set == KEYPOINTS
    for index in (0, 5, len(source) - 1):
        person = source.person(index)
        sides = person.box[2:] - person.box[:2]
        assert max(person.picture.shape[:2]) <= SURROUNDINGS * sides.max() + 3
        known = person.xy[np.isfinite(person.xy).all(-1)]
        assert len(known) > 20
        x, y = np.round(known).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < person.picture.shape[1]) & (y < person.picture.shape[0])
        assert (person.picture[y[inside], x[inside], 0] > 150).mean() > 0.9
    (again,) = session_sources([filmed.parents[1]], SessionLabelConfig(every=4))
    assert len(again) == len(source)


def test_the_tool_measures_labels_against_the_truth(filmed, truth):
    """Medians of the length of Gaussian noise: 1.18 σ; labels keep the share that `share_of_noise_kept` says."""
    figures = measured(filmed, SessionLabelConfig())
    assert figures["cameras"] == 4
    assert figures["said_px"][0] == pytest.approx(1.1774 * NOISE_PX, rel=0.1)  # type: ignore[index]
    assert figures["label_px"][0] < 0.75 * figures["said_px"][0]  # type: ignore[index]
    assert figures["hidden_label_px"] == [], "every view has seen everything"


def test_a_take_that_is_not_ready_is_told(filmed, tmp_path, truth):
    copy = tmp_path / "session"
    shutil.copytree(filmed.parents[1], copy)
    take = copy / "takes" / filmed.name
    (take / "derived" / "associate.h5").unlink()
    with pytest.raises(InputError, match="is not processed yet. Run: mocap process"):
        session_sources([copy])
    plain = write_take(truth, tmp_path / "plain")
    with pytest.raises(InputError, match="a take without videos has no pictures"):
        SessionSource(plain)


def test_points_between_pictures_are_no_labels(tmp_path):
    derived = tmp_path / "derived"
    derived.mkdir()
    (derived / "associate.h5").touch()
    cameras = {"a": {"frames": 10, "resampled": 0}, "b": {"frames": 10, "resampled": 4}}
    (derived / "align.json").write_text(json.dumps({"report": {"n_frames": 10, "cameras": cameras}}), encoding="utf-8")
    take = Take("walk", tmp_path, videos={name: tmp_path / f"{name}.mp4" for name in cameras})
    with pytest.raises(InputError, match="of b were put between pictures"):
        take_labels(take, SessionLabelConfig())
    cameras["b"]["resampled"] = 0
    (derived / "align.json").write_text(json.dumps({"report": {"n_frames": 10, "cameras": cameras}}), encoding="utf-8")
    with pytest.raises(InputError, match="no calibration"):
        take_labels(take, SessionLabelConfig())
