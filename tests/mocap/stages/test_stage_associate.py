from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.formats import read_calibration
from camera_worlds import mixed_rig
from mocap.core.errors import InputError, NoPersonError, UnknownCameraError
from mocap.core.keypoints import Detections2D, Keypoints2D, load_keypoint_set
from mocap.io.detections_import import import_detections
from mocap.stages.associate import AssociateConfig, AssociateReport, associate
from people_worlds import KEYPOINTS, Seen, body, seen_by

FPS = 50.0


def _whose(points: Keypoints2D, seen: Seen) -> np.ndarray:
    """(T, C): whose detection was taken, -1 for none."""
    d = seen.detections
    taken = np.full((points.n_frames, len(points.cameras)), -1)
    for row, person in enumerate(seen.person):
        place = (d.frame[row], 0, d.camera[row])
        if np.array_equal(points.xy[place], d.xy[row], equal_nan=True) and d.confidence[row].any():
            taken[d.frame[row], d.camera[row]] = person
    np.testing.assert_array_equal(taken >= 0, (points.confidence[:, 0] > 0).any(-1))
    return taken


def _run(seen: Seen, **settings: object) -> tuple[np.ndarray, AssociateReport]:
    points, report = associate(seen.detections, mixed_rig(), AssociateConfig(**settings), fps=FPS)
    return _whose(points, seen), report


def _in(seen: Seen, frames: slice, cameras: tuple[int, ...], person: int) -> np.ndarray:
    d = seen.detections
    hit = (d.frame >= frames.start) & (d.frame < frames.stop) & np.isin(d.camera, cameras)
    return hit & (seen.person == person)


def test_the_subject_is_whom_most_cameras_see_even_if_a_bystander_is_larger() -> None:
    rig = mixed_rig()
    subject = body(60, start=(0.2, -0.3), velocity=(-0.3, 0.4), height=1.6)
    bystander = body(60, start=(1.1, -1.0), height=1.9, phase=2.0)  # nearer to camera 0, larger there
    seen = seen_by(rig, [subject, bystander])
    size = np.linalg.norm(seen.detections.box[:, 2:] - seen.detections.box[:, :2], axis=-1)
    first = seen.detections.camera == 0
    assert size[first & (seen.person == 1)].min() > size[first & (seen.person == 0)].max()
    seen = seen.without((seen.person == 1) & (seen.detections.camera > 1))
    whose, report = _run(seen)
    assert (whose == 0).all()
    assert report.camera_share == dict.fromkeys(rig.names, 1.0)
    assert report.discarded == {"cam0": 60, "cam1": 60, "cam2": 0, "cam3": 0, "cam4": 0}
    assert report.frames_by_views == {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 60}
    assert report.people_seen == 2
    assert report.sentences == ()
    # 8 mm of noise in each direction against a tolerance of 70 mm: 1 / (1 + 2 (8/70)²) = 0.975 before the fit
    assert all(0.95 < value <= 1 for value in report.agreement.values())


def test_nearest_takes_the_one_at_the_point() -> None:
    rig = mixed_rig()
    seen = seen_by(rig, [body(30, start=(0.6, 0.4)), body(30, start=(-0.6, -0.4), phase=1.0)])
    for who, place in ((0, (0.7, 0.3, 1.0)), (1, (-0.5, -0.5, 1.0))):
        assert (_run(seen, subject="nearest", nearest_to_m=place)[0] == who).all()


def test_people_who_cross_while_the_detector_exchanges_their_ids_stay_themselves() -> None:
    rig = mixed_rig()
    one = body(100, start=(-0.8, 0.1), velocity=(0.8, 0.0), height=1.8)
    two = body(100, start=(0.8, -0.25), velocity=(-0.8, 0.0), height=1.6, phase=1.5)
    apart = np.linalg.norm((one - two).mean(1), axis=-1)
    assert 0.3 < apart.min() < 0.4
    seen = seen_by(rig, [one, two])
    seen = seen.without(_in(seen, slice(0, 100), (3,), 1))  # the first is seen by one camera more
    swapped = seen.detections.frame >= 50
    track = np.where(swapped, 1 - seen.person, seen.person)
    seen = Seen(replace(seen.detections, track=track), seen.person)
    whose, report = _run(seen)
    # where one hides the other in a view, that view may show either or none: it does not matter much
    assert (whose == 0).mean() > 0.98
    assert ((whose == 0).sum(-1) >= 4).all()
    assert report.tracks_used == dict.fromkeys(rig.names, 2)


def test_views_that_miss_the_subject_are_left_empty() -> None:
    rig = mixed_rig()
    seen = seen_by(rig, [body(80, start=(0.0, 0.2), velocity=(0.2, 0.1)), body(80, start=(0.9, -0.8), phase=1.0)])
    gone = _in(seen, slice(20, 40), (0, 2), 0) | _in(seen, slice(35, 60), (4,), 0)
    seen = seen.without(gone | _in(seen, slice(0, 80), (3,), 1))
    whose, report = _run(seen)
    expected = np.zeros((80, 5), dtype=int)
    expected[20:40, [0, 2]] = -1
    expected[35:60, 4] = -1
    np.testing.assert_array_equal(whose, expected)
    assert report.frames_by_views == {0: 0, 1: 0, 2: 5, 3: 15, 4: 20, 5: 40}


def test_nobody_stands_in_for_a_subject_who_is_away() -> None:
    rig = mixed_rig()
    seen = seen_by(rig, [body(120, start=(0.0, 0.2), height=1.7), body(120, start=(0.5, -0.5), height=1.7, phase=1.0)])
    away = _in(seen, slice(50, 75), (0, 1, 2, 3, 4), 0)
    seen = seen.without(away | _in(seen, slice(0, 120), (4,), 1))
    for tracks in (seen.detections.track, np.full(len(seen.person), -1)):
        whose, report = _run(Seen(replace(seen.detections, track=tracks), seen.person))
        assert (whose[:50] == 0).all()
        assert (whose[50:75] == -1).all()
        assert (whose[75:] == 0).all()
        assert report.frames_below_two_views == 25
        assert "in 25 of 120 frames fewer than two cameras show the subject" in report.sentences


@pytest.mark.parametrize("visit", [slice(122, 198), slice(175, 185), slice(150, 150)])
def test_after_a_long_absence_the_build_tells_who_came_back(visit: slice) -> None:
    rig = mixed_rig()
    subject = body(300, start=(0.0, 0.2), height=1.7)
    other = body(300, start=(0.4, -0.3), height=1.3, phase=1.0)
    seen = seen_by(rig, [subject, other])
    everywhere = (0, 1, 2, 3, 4)
    away = _in(seen, slice(120, 200), everywhere, 0)  # 1.6 s
    absent = _in(seen, slice(0, visit.start), everywhere, 1) | _in(seen, slice(visit.stop, 300), everywhere, 1)
    seen = seen.without(away | absent)
    expected = np.zeros((300, 5), dtype=int)
    expected[120:200] = -1
    whose, report = _run(seen)
    np.testing.assert_array_equal(whose, expected)
    if visit.start == visit.stop:
        assert report.rejoined == 1
        assert any("recognised again by build" in sentence for sentence in report.sentences)
        whose, report = _run(seen, rejoin=False)
        assert report.rejoined == 0
        assert (whose[:120] == 0).all()
        assert (whose[120:] == -1).all()


def test_left_and_right_exchanged_by_the_detector_is_still_the_person() -> None:
    rig = mixed_rig()
    seen = seen_by(rig, [body(40, start=(0.1, 0.0))])
    flip = (seen.detections.camera == 2) & (seen.detections.frame >= 10)
    swap = KEYPOINTS.mirror_permutation
    d = seen.detections
    flipped = replace(
        d,
        xy=np.where(flip[:, None, None], d.xy[:, swap], d.xy),
        confidence=np.where(flip[:, None], d.confidence[:, swap], d.confidence),
    )
    whose, _ = _run(Seen(flipped, seen.person))
    assert (whose == 0).all()  # as it was given: exchanging them back is a later stage's decision


def test_keypoints_and_detections_may_be_missing_at_random() -> None:
    rig = mixed_rig()
    seen = seen_by(rig, [body(60, start=(0.0, 0.0), velocity=(0.3, 0.0)), body(60, start=(-0.7, -0.9), phase=1.0)])
    rng = np.random.default_rng(3)
    seen = seen.without((rng.random(len(seen.person)) < 0.1) | _in(seen, slice(0, 60), (1,), 1))
    lost = rng.random(seen.detections.confidence.shape) < 0.3
    d = seen.detections
    holed = replace(d, xy=np.where(lost[..., None], np.nan, d.xy), confidence=np.where(lost, 0.0, d.confidence))
    whose, _ = _run(Seen(holed, seen.person))
    present = np.zeros((60, 5), dtype=bool)
    present[d.frame[seen.person == 0], d.camera[seen.person == 0]] = True
    assert not (whose == 1).any()
    # a view with fewer than three shared body keypoints is not used: 12 keypoints at 0.7, P(<= 2) = 2e-4
    assert (whose[present] == 0).mean() > 0.99


def test_detections_of_something_else_are_not_used() -> None:
    rig = mixed_rig()
    seen = seen_by(rig, [body(40, start=(0.1, 0.0))])
    rng = np.random.default_rng(4)
    d = seen.detections
    junk = (rng.random(len(seen.person)) < 0.1) & (d.camera != 0)
    shift = (
        rng.uniform(0.4, 0.6, (len(seen.person), 1, 1))
        * np.linalg.norm(d.box[:, 2:] - d.box[:, :2], axis=-1)[:, None, None]
    )
    xy = np.where(junk[:, None, None], d.xy + shift, d.xy)
    whose, report = _run(Seen(replace(d, xy=xy), seen.person))
    expected = np.zeros((40, 5), dtype=int)
    expected[d.frame[junk], d.camera[junk]] = -1
    np.testing.assert_array_equal(whose, expected)
    assert sum(report.discarded.values()) == junk.sum()


def test_a_single_view_of_the_subject_is_kept_by_its_track() -> None:
    rig = mixed_rig()
    seen = seen_by(rig, [body(60, start=(0.0, 0.1)), body(60, start=(0.8, 0.9), phase=1.0)])
    seen = seen.without(_in(seen, slice(30, 40), (0, 1, 2, 3), 0) | _in(seen, slice(0, 60), (1, 2), 1))
    whose, report = _run(seen)
    assert (whose[30:40, 4] == 0).all()
    assert (whose[30:40, :4] == -1).all()
    assert report.frames_by_views[1] == 10
    assert report.frames_below_two_views == 10


def test_two_cameras_serve_one_person() -> None:
    rig = mixed_rig().subset(["cam0", "cam2"])
    seen = seen_by(rig, [body(40, start=(0.1, 0.0), velocity=(0.3, 0.2))])
    points, report = associate(seen.detections, rig, AssociateConfig(), fps=FPS)
    assert (_whose(points, seen) == 0).all()
    assert report.ambiguous_frames == 0


def test_two_cameras_that_cannot_tell_two_people_apart_say_so() -> None:
    rig = mixed_rig().subset(["cam0", "cam1"])
    cameras = rig.centers
    # The same posture at two places in one epipolar plane: rays to the wrong partner meet just as well.
    middle = cameras.mean(0)[:2]
    first = body(40, start=(0.0, 0.0))
    along = (cameras[1] - cameras[0])[:2] / np.linalg.norm((cameras[1] - cameras[0])[:2])
    second = body(40, start=tuple(0.5 * along))
    assert np.linalg.norm(middle) > 2
    seen = seen_by(rig, [first, second], noise_m=0.004)
    _, report = associate(seen.detections, rig, AssociateConfig(tolerance_mm=150), fps=FPS)
    assert report.ambiguous_frames > 20
    assert any("another combination of people fits nearly as well" in sentence for sentence in report.sentences)


def test_a_keypoint_set_without_body_uses_all_its_keypoints() -> None:
    animal = replace(KEYPOINTS, name="animal", body=())
    seen = seen_by(mixed_rig(), [body(20, start=(0.0, 0.0))], keypoint_set=animal)
    whose, _ = _run(seen)
    assert (whose == 0).all()


def test_long_takes_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = seen_by(mixed_rig(), [body(50, start=(0.0, 0.0)), body(50, start=(0.8, 0.9), phase=1.0)])
    seen = seen.without(_in(seen, slice(0, 50), (1,), 1))
    whole = associate(seen.detections, mixed_rig(), AssociateConfig(), fps=FPS)
    monkeypatch.setattr("mocap.stages.associate.CHUNK_FRAMES", 7)
    parts = associate(seen.detections, mixed_rig(), AssociateConfig(), fps=FPS)
    np.testing.assert_array_equal(parts[0].xy, whole[0].xy)
    assert parts[1] == whole[1]


def test_what_cannot_be_associated_is_said_in_a_sentence() -> None:
    rig = mixed_rig()
    seen = seen_by(rig, [body(10, start=(0.0, 0.0))])
    alone = seen_by(rig.subset(["cam1"]), [body(10, start=(0.0, 0.0))]).detections
    with pytest.raises(InputError, match="one camera is not enough"):
        associate(alone, rig, AssociateConfig(), fps=FPS)
    with pytest.raises(NoPersonError, match="nobody was detected in any view"):
        associate(seen.detections.select(np.zeros(len(seen.person), dtype=bool)), rig, AssociateConfig(), fps=FPS)
    with pytest.raises(UnknownCameraError, match="no camera named 'left'"):
        names = ("left", *rig.names[1:])
        associate(replace(seen.detections, cameras=names), rig, AssociateConfig(), fps=FPS)
    moved = seen.detections.xy + 300.0 * seen.detections.camera[:, None, None] * [1.0, -1.0]
    with pytest.raises(NoPersonError, match="no two cameras agree on a person"):
        associate(replace(seen.detections, xy=moved), rig, AssociateConfig(), fps=FPS)
    with pytest.raises(ValueError, match="needs the point nearest_to_m"):
        AssociateConfig(subject="nearest")


def test_the_man_on_the_treadmill_is_found_among_bystanders(shared_data) -> None:
    trial = (
        shared_data / "pose2sim/v0.7dev_a948c205/S00_Demo_Session/S00_P00_SingleParticipant/S00_P00_T01_BalancingTrial"
    )
    rig = read_calibration(shared_data / "pose2sim/HEAD/Demo_SinglePerson/calibration/Calib.qca.txt")
    folders = {name: trial / "pose" / f"{name}_json" for name in rig.names}
    detections = import_detections(folders, rig.names, n_frames=100)
    points, report = associate(detections, rig, AssociateConfig(), fps=60.0)
    assert report.frames_by_views[4] == 100
    assert report.discarded["cam01"] + report.discarded["cam02"] >= 200
    assert report.discarded["cam03"] == report.discarded["cam04"] == 0
    # the subject's feet stay on the treadmill, left of the image's middle in cam01 and tall: 700 px and more
    hips = points.xy[:, 0, :, detections.keypoint_set.index("left_hip")]
    ankles = points.xy[:, 0, :, detections.keypoint_set.index("left_ankle")]
    assert np.nanmedian(np.linalg.norm(hips - ankles, axis=-1), axis=0).min() > 250
    assert isinstance(detections, Detections2D)
    assert load_keypoint_set("blazepose33").body == detections.keypoint_set.body
