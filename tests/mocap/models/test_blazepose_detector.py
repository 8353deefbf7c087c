"""BlazePose on real pictures: a man on a treadmill in four cameras, a woman in the background of two of them."""

import numpy as np
import pytest

from mocap.models.blazepose import BlazePose, BlazePoseConfig, within_image
from real_frames import TREADMILL, frames_of

STEP = 5
BODY = slice(11, 33)


def blazepose(files, **options) -> BlazePose:
    return BlazePose(files, threads=2, **options)


@pytest.fixture(scope="module")
def views(shared_data) -> list[list[np.ndarray]]:
    """Every fifth of the first 20 frames, of all four cameras."""
    return [frames_of(shared_data / file, range(0, 20, STEP)) for file in TREADMILL.values()]


@pytest.fixture(scope="module")
def first(views) -> list[np.ndarray]:
    return [frames[0] for frames in views]


@pytest.fixture(scope="module")
def found(views, blazepose_files):
    """Per frame and camera the people, with 12 frames a second."""
    detector = blazepose(blazepose_files)
    return [detector.detect([frames[t] for frames in views], range(4)) for t in range(len(views[0]))]


def identical(a, b) -> bool:
    same = [(p.track, p.score) == (q.track, q.score) for p, q in zip(a, b, strict=True)]
    return all(same) and all(
        np.array_equal(p.xy, q.xy, equal_nan=True) and np.array_equal(p.confidence, q.confidence)
        for p, q in zip(a, b, strict=True)
    )


def test_the_man_is_found_in_every_picture_with_one_id_a_camera(found):
    for people in (people for frame in found for people in frame):
        man = [p for p in people if p.track == 0]
        assert len(man) == 1
        assert man[0].score > 0.5
        # He stands 750 px tall, bent 550; nobody else is taller than 450.
        assert man[0].box[3] - man[0].box[1] > 500
        assert (man[0].confidence[BODY] > 0.5).sum() >= 14, "two thirds of the body's 22 keypoints are sure"


def test_the_woman_in_the_background_is_found_too_and_kept_apart(found):
    for frame in found:
        man, woman = sorted(frame[0], key=lambda p: -p.box[3])
        assert woman.box[2] < 200 < man.box[0], "she stands at the left edge of cam01"
        assert woman.track == found[0][0][1].track


def test_nobody_else_is_made_up(found):
    """Cam03 and cam04 show the man alone; a skeleton and a poster of a man do not count."""
    assert [[len(frame[c]) for c in (2, 3)] for frame in found] == [[1, 1]] * len(found)


@pytest.mark.slow
def test_the_same_again_bit_for_bit_with_other_threads_and_one_camera_at_a_time(views, blazepose_files):
    pairs = range(2)
    together, alone = blazepose(blazepose_files), BlazePose(blazepose_files, threads=1)
    for t in pairs:
        images = [views[c][t] for c in pairs]
        apart = [alone.detect([image], [c])[0] for c, image in enumerate(images)]
        assert all(identical(a, b) for a, b in zip(together.detect(images, pairs), apart, strict=True))


def test_after_a_reset_the_sequence_starts_anew(first, blazepose_files):
    detector = blazepose(blazepose_files)
    once = detector.detect([first[2]], [0])[0]
    detector.reset()
    assert identical(detector.detect([first[2]], [0])[0], once)


def test_a_mirrored_picture_exchanges_left_and_right(first, blazepose_files):
    """Crops differ by the mirrored angle only; the networks are equivariant to a few cells (1 cell is 3.3 px here)."""
    detector, image = blazepose(blazepose_files), first[1]
    (man, *_) = detector.detect([image], [0])[0]
    detector.reset()
    (twin, *_) = detector.detect([np.ascontiguousarray(image[:, ::-1])], [0])[0]
    swap = detector.keypoint_set.mirror_permutation
    back = twin.xy[swap] * [-1, 1] + [image.shape[1] - 1, 0]
    sure = (man.confidence > 0.5) & (twin.confidence[swap] > 0.5)
    assert sure.sum() >= 25
    assert np.median(np.linalg.norm(man.xy[sure] - back[sure], axis=-1)) < 3 * 3.3


def test_heatmaps_peak_where_the_keypoints_are(first, blazepose_files):
    """A refined keypoint is the centroid of 7x7 cells around the peak: within 3 cells of it, mostly within 1."""
    detector = blazepose(blazepose_files, keep_heatmaps=True)
    (man, *_) = detector.detect([first[3]], [0])[0]
    assert man.heatmaps is not None
    assert man.px_from_heatmap is not None
    assert man.heatmaps.shape == (39, 64, 64)
    peaks = [np.unravel_index(m.argmax(), m.shape)[::-1] for m in man.heatmaps[:33]]
    px = np.array(peaks) @ man.px_from_heatmap[:, :2].T + man.px_from_heatmap[:, 2]
    cell = np.hypot(*man.px_from_heatmap[:, 0])
    sure = man.confidence > 0.8
    assert sure.sum() >= 20
    assert np.median(np.linalg.norm(px - man.xy, axis=-1)[sure]) < cell


def test_without_being_asked_no_heatmaps(found):
    assert found[0][0][0].heatmaps is None
    assert found[0][0][0].px_from_heatmap is None


@pytest.mark.slow
def test_averaging_with_the_mirror_image_moves_points_little(first, blazepose_files):
    plain = blazepose(blazepose_files, config=BlazePoseConfig(mirror=False)).detect([first[0]], [0])[0][0]
    mirrored = blazepose(blazepose_files, config=BlazePoseConfig(mirror=True)).detect([first[0]], [0])[0][0]
    shift = np.linalg.norm(plain.xy - mirrored.xy, axis=-1)
    assert 0 < np.nanmedian(shift) < 2 * 3.3, "half of what a mirrored picture moves them"


def test_what_lies_outside_the_picture_is_missing(shared_data, blazepose_files):
    """A seated man, seen from the hips up: his ankles are guessed, and nobody saw them."""
    clips = shared_data / "caliscope" / "sessions" / "charuco_calibration" / "calibration" / "extrinsic"
    (image,) = frames_of(clips / "cam_2.mp4", [30])
    detector = blazepose(blazepose_files)
    (man,) = detector.detect([image], [0])[0]
    ankle, nose = detector.keypoint_set.index("left_ankle"), detector.keypoint_set.index("nose")
    assert np.isnan(man.xy[ankle]).all()
    assert man.confidence[ankle] == 0
    assert man.confidence[nose] > 0.9
    seen = man.confidence > 0
    assert within_image(man.xy[seen], (1280, 720)).all()


def test_an_image_without_people(blazepose_files):
    detector = blazepose(blazepose_files)
    noise = np.random.default_rng(3).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    assert detector.detect([noise, np.zeros_like(noise)], [0, 1]) == [[], []]
    assert detector.detect([], []) == []


def test_time_and_networks_are_told(first, blazepose_files):
    detector = blazepose(blazepose_files)
    assert [n.name for n in detector.networks] == ["blazepose-person", "blazepose-landmarks"]
    assert detector.seconds == {"person": 0, "keypoints": 0}
    detector.detect(first[:1], [0])
    assert all(spent > 0 for spent in detector.seconds.values())


@pytest.fixture(scope="module")
def clips(shared_data) -> list[list[np.ndarray]]:
    return [frames_of(shared_data / file, range(100)) for file in TREADMILL.values()]


@pytest.mark.slow
def test_the_man_is_found_in_all_frames_of_all_cameras(clips, blazepose_files):
    detector = blazepose(blazepose_files)
    for t in range(100):
        for people in detector.detect([clip[t] for clip in clips], range(4)):
            assert people[0].track == 0
            assert people[0].box[3] - people[0].box[1] > 450


@pytest.mark.slow
def test_the_man_is_found_whichever_frame_comes_first(clips, blazepose_files):
    """Where squares of the image are searched too, parts of him must not take his place."""
    followed = blazepose(blazepose_files)
    truth = [followed.detect([clip[t] for clip in clips], range(4)) for t in range(100)]
    fresh = blazepose(blazepose_files)
    for t in range(0, 100, 12):
        fresh.reset()
        for people, known in zip(fresh.detect([clip[t] for clip in clips], range(4)), truth[t], strict=True):
            apart = [np.nanmedian(np.linalg.norm(p.xy - known[0].xy, axis=-1)) for p in people]
            # Crops of another place and scale move points by some 10 px; a part of him, or a wrong fit, by far more.
            assert min(apart) < 0.05 * (known[0].box[3] - known[0].box[1])
