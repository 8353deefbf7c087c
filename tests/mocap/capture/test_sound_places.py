from __future__ import annotations

import numpy as np

from mocap.capture.sound_places import HandPlaces
from mocap.core.clock import Clock
from mocap.core.keypoints import Detections2D, load_keypoint_set
from mocap.synthetic.rigs import RigConfig, make_rig

KEYPOINTS = load_keypoint_set("blazepose33")
FPS = 30.0


def seen(rig, middle_m, *, noise=4.0, stranger=()):
    """Detections of one person whose wrists are 20 cm beside `middle_m` (T, 3); cameras of `stranger` see another."""
    rng = np.random.default_rng(1)
    hands = KEYPOINTS.indices(("left_wrist", "right_wrist"))
    n = len(middle_m)
    xy = np.full((n * len(rig), len(KEYPOINTS), 2), np.nan)
    for c, camera in enumerate(rig):
        shift = np.array([0.9, 0.7, 0.0]) if camera.name in stranger else np.zeros(3)
        for hand, side in zip(hands, (-0.2, 0.2), strict=True):
            points = middle_m + shift + np.array([side, 0.0, 0.0])
            xy[c * n : (c + 1) * n, hand] = camera.project(points) + rng.normal(0, noise, (n, 2))
    confidence = np.isfinite(xy).all(-1) * 0.9
    frame, camera = np.tile(np.arange(n), len(rig)), np.repeat(np.arange(len(rig)), n)
    order = np.lexsort((camera, frame))
    box = np.tile([0.0, 0.0, 100.0, 300.0], (len(xy), 1))
    return Detections2D(
        rig.names, n, KEYPOINTS, frame[order], camera[order], np.zeros(len(xy), dtype=int), xy[order],
        confidence[order], box, np.ones(len(xy)),
    )  # fmt: skip


def world(**change):
    rig = make_rig(RigConfig(cameras=4), np.random.default_rng(3))
    time = np.arange(60) / FPS
    middle = np.stack([0.4 * time, -0.1 * time, np.full(60, 1.2)], axis=1)
    clocks = {name: Clock(0.3 * c, 1.0) for c, name in enumerate(rig.names)}
    stamps = {name: clock.stamp_s(time) for name, clock in clocks.items()}
    return HandPlaces(seen(rig, middle, **change), stamps, rig), clocks


def test_hands_are_found_in_space_at_shared_times():
    places, clocks = world()
    at = np.array([0.4, 1.0, 1.51])
    found = places(at, clocks)
    # 4 px at some 4 m with a focal length of 1000 px are 16 mm; half a frame of walking adds 7 mm.
    np.testing.assert_allclose(found, np.stack([0.4 * at, -0.1 * at, np.full(3, 1.2)], 1), atol=0.05)
    assert np.isnan(places(np.array([7.0]), clocks)).all()


def test_a_camera_that_sees_somebody_else_is_left_out():
    rig = make_rig(RigConfig(cameras=4), np.random.default_rng(3))
    places, clocks = world(stranger=rig.names[1:2])
    np.testing.assert_allclose(places(np.array([1.0]), clocks), [[0.4, -0.1, 1.2]], atol=0.06)


def test_nothing_is_said_without_two_cameras():
    places, clocks = world()
    one = dict(list(clocks.items())[:1])
    assert np.isnan(places(np.array([1.0]), one)).all()
