"""Cameras that moved, found from a person or a board, against rigs of which it is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration import CalibrationError, Camera, Intrinsics, Lens, Rig, RigidTransform
from calibration.board_motion import rotvecs_to_matrices
from calibration.camera_check import check_rig, resolve_camera
from calibration.camera_check_fit import Fit, point_jacobian, pose_jacobian
from calibration.camera_check_moves import CheckConfig
from calibration.camera_check_views import Poses, directions, errors_px, sights_of
from calibration.synthetic import ring

LENSES = (
    Intrinsics((1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.array([-0.1, 0.05, 1e-3, 0, 0])),
    Intrinsics((1080, 1920), np.array([[1200.0, 0, 552], [0, 1190, 940], [0, 0, 1]]), np.array([0.05, 0, 0, 1e-3, 0])),
    Intrinsics((1440, 1080), np.array([[620.0, 0, 702], [0, 615, 560], [0, 0, 1]]), np.zeros(4), Lens.FISHEYE),
)
FEW = CheckConfig(max_points=350)


def moved(rig: Rig, name: str, shift_m: np.ndarray, turn_rad: np.ndarray) -> Rig:
    """The rig with one camera elsewhere: turned in its own axes, shifted in the world."""

    def put(camera: Camera) -> Camera:
        R = rotvecs_to_matrices(turn_rad) @ camera.cam_from_world.R
        return replace(camera, cam_from_world=RigidTransform(R, -R @ (camera.center + shift_m)))

    return Rig(tuple(put(camera) if camera.name == name else camera for camera in rig))


def walker(
    rig: Rig,
    rng: np.random.Generator,
    *,
    noise_px: float = 6.0,
    bias_px: float = 4.0,
    outlier_share: float = 0.05,
    late_frames: dict[str, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """px (60, C, 17, 2) and weight of somebody who walks about, as a 2D network sees him: noise that stays from frame
    to frame by half, a bias of every joint in every view, points far off, points missing."""
    T, J, C = 60, 17, len(rig)
    body = rng.normal(0, [0.2, 0.25, 0.45], (J, 3)) + [0, 0, 1]
    swing, place = rng.uniform(0, 6, (J, 3)), rng.uniform(0, 6, 2)

    def at(frame: np.ndarray) -> np.ndarray:
        walk = 0.6 * np.stack([np.sin(frame / 15 + place[0]), np.cos(frame / 21 + place[1]), 0 * frame], axis=-1)
        return body + walk[:, None] + 0.15 * np.sin(frame[:, None, None] / 4 + swing)

    frames = np.arange(T, dtype=np.float64)
    px = np.stack([camera.project(at(frames - (late_frames or {}).get(camera.name, 0.0))) for camera in rig], axis=1)
    noise = rng.normal(0, noise_px, px.shape)
    for t in range(1, T):
        noise[t] = 0.7 * noise[t - 1] + np.sqrt(1 - 0.49) * noise[t]
    px += noise + rng.normal(0, bias_px, (1, C, J, 2))
    wild = rng.random(px.shape[:-1]) < outlier_share
    px[wild] += rng.uniform(-150, 150, (int(wild.sum()), 2))
    weight = rng.uniform(0.3, 1, px.shape[:-1])
    missing = rng.random(weight.shape) < 0.1
    px[missing], weight[missing] = np.nan, 0.0
    return px, weight


def some_direction(rng: np.random.Generator) -> np.ndarray:
    direction = rng.normal(size=3)
    return direction / np.linalg.norm(direction)


@pytest.mark.parametrize("count", [3, 5])
def test_cameras_that_stand_are_not_accused(count):
    rig = ring(count, LENSES)
    for seed in range(2):
        check = check_rig(rig, *walker(rig, np.random.default_rng(seed)), FEW)
        assert check.moved == ()
        assert {camera.verdict for camera in check.cameras} == {"unmoved"}
        assert "no camera has moved" in check.sentences[0]


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 4, 6])
def test_of_many_rigs_that_stand_none_is_accused(count):
    rig = ring(count, LENSES)
    for seed in range(100, 120):
        assert check_rig(rig, *walker(rig, np.random.default_rng(seed)), FEW).moved == ()


@pytest.mark.parametrize("name", ["cam01", "cam03"])
def test_a_camera_that_moved_is_named_and_solved_again(name):
    rng = np.random.default_rng(int(name[-1]))
    rig = ring(4, LENSES)
    believed = moved(rig, name, 0.05 * some_direction(rng), np.radians(2.5) * some_direction(rng))
    px, weight = walker(rig, rng)
    check = check_rig(believed, px, weight, FEW)
    assert check.moved == (name,)
    assert [c.camera for c in check.cameras if c.verdict == "moved"] == [name]
    assert f"{name} has moved since the calibration" in check.sentences[0]
    assert check[name].after_px < check[name].error_px
    camera, covariance = resolve_camera(believed, name, px, weight, FEW)
    # Six parameters against their covariance: chi² exceeds 22 once in a thousand times; biases of eight clusters and
    # more are estimated from as many numbers, which doubles the tail.
    error = np.concatenate(
        [
            RigidTransform(camera.cam_from_world.R @ rig[name].cam_from_world.R.T, np.zeros(3)).rotvec,
            camera.center - rig[name].center,
        ]
    )
    assert error @ np.linalg.solve(covariance, error) < 44
    np.testing.assert_allclose(check.resolved[name].center, camera.center, atol=0.02)
    assert np.linalg.norm(camera.center - rig[name].center) < 4 * np.sqrt(np.trace(covariance[3:, 3:]))


def test_a_camera_far_from_its_place_is_found():
    rig = ring(4, LENSES)
    rng = np.random.default_rng(7)
    believed = moved(rig, "cam02", np.array([0.4, -0.3, 0.2]), np.radians([10.0, 35.0, -15.0]))
    check = check_rig(believed, *walker(rig, rng), FEW)
    assert check.moved == ("cam02",)
    assert np.linalg.norm(check.resolved["cam02"].center - rig["cam02"].center) < 0.1


def test_two_cameras_that_moved_are_found_one_after_the_other():
    rig = ring(6, LENSES)
    believed = moved(rig, "cam02", np.array([0.2, 0.1, 0.0]), np.radians([0.0, 6.0, 0.0]))
    believed = moved(believed, "cam05", np.array([0.0, -0.15, 0.1]), np.radians([4.0, 0.0, 2.0]))
    check = check_rig(believed, *walker(rig, np.random.default_rng(3)), FEW)
    assert set(check.moved) == {"cam02", "cam05"}


def test_a_board_shows_millimetres():
    """0.3 px of noise and no bias; 4 mm at 3.2 m and 1200 px are 1.5 px, 0.1° are 2.1 px."""
    rig = ring(4, LENSES)
    px, weight = walker(rig, np.random.default_rng(5), noise_px=0.3, bias_px=0.0, outlier_share=0.02)
    assert check_rig(rig, px, weight, FEW).moved == ()
    believed = moved(rig, "cam02", np.array([0.0, 0.004, 0.0]), np.radians([0.1, 0.0, 0.0]))
    check = check_rig(believed, px, weight, replace(FEW, tolerance_px=1.0))
    assert check.moved == ("cam02",)
    there = check.resolved["cam02"]
    assert np.linalg.norm(there.center - rig["cam02"].center) < 5 * check["cam02"].shift_std_m < 0.02


def test_a_camera_that_runs_late_has_not_moved():
    rig = ring(4, LENSES)
    px, weight = walker(rig, np.random.default_rng(11), late_frames={"cam03": 4.0})
    check = check_rig(rig, px, weight)
    assert check.moved == ()
    assert check["cam03"].verdict == "late"
    # A frame is some 10 px of this walk, and noise that stays from frame to frame leaves some ten independent ones of
    # 6 px: 0.2 frames; three of those.
    assert check["cam03"].late_frames == pytest.approx(4.0, abs=0.6)
    assert "cam03 runs 4" in check.sentences[0]
    assert "late" in check.sentences[0]


def test_a_camera_whose_points_are_wild_is_noisy_not_moved():
    rig = ring(4, LENSES)
    rng = np.random.default_rng(2)
    px, weight = walker(rig, rng)
    px[:, 1] += rng.normal(0, 40, px[:, 1].shape)
    check = check_rig(rig, px, weight, FEW)
    assert check.moved == ()
    assert check["cam02"].verdict == "noisy"
    assert "no other pose of it explains" in check.sentences[0]


def test_of_two_cameras_none_is_accused():
    rig = ring(4, LENSES).subset(["cam01", "cam02"])
    px, weight = walker(rig, np.random.default_rng(1), noise_px=1.0, bias_px=0.0)
    assert check_rig(rig, px, weight, FEW).moved == ()
    believed = moved(rig, "cam02", np.array([0.0, 0.0, 0.1]), np.radians([4.0, 0.0, 3.0]))
    check = check_rig(believed, px, weight, FEW)
    assert check.moved == ()
    assert "do not tell whether it is cam01 or cam02. A third camera would tell which" in check.sentences[0]


def test_a_camera_that_sees_nothing_is_unknown():
    rig = ring(4, LENSES)
    px, weight = walker(rig, np.random.default_rng(6))
    weight[:, 2] = 0.0
    check = check_rig(rig, px, weight, FEW)
    assert check["cam03"].verdict == "unknown"
    assert any("nothing can be said about cam03: it shares 0 points" in sentence for sentence in check.sentences)
    with pytest.raises(CalibrationError, match=r"camera cam03: shares only 0 points with two other cameras\. Record"):
        resolve_camera(rig, "cam03", px, weight, FEW)
    assert check.to_json_dict()["cameras"][2]["error_px"] is None


def test_what_cannot_be_looked_at_is_refused():
    rig = ring(3, LENSES)
    px, weight = walker(rig, np.random.default_rng(6))
    with pytest.raises(CalibrationError, match="only 0 points are seen by two cameras"):
        check_rig(rig, px, 0 * weight)
    with pytest.raises(CalibrationError, match="for a rig of 2"):
        check_rig(rig.subset(["cam01", "cam02"]), px, weight)
    with pytest.raises(CalibrationError, match="no camera named 'cam9'"):
        check_rig(rig, px, weight, FEW)["cam9"]


def test_errors_are_pixels_to_first_order():
    rig = ring(3, LENSES)
    point = np.array([[0.2, -0.1, 1.1]])
    true = np.moveaxis(rig.project(point), 0, 1)
    px = true + np.array([[[0.05, -0.02], [0.03, 0.08], [-0.06, 0.01]]])
    sights = sights_of(rig, px[:, :, None], np.ones((1, 3, 1)))
    # The second order of a 900 px lens over 0.1 px is 0.1² / 900.
    np.testing.assert_allclose(errors_px(sights, Poses.of_rig(rig), point), true - px, atol=1e-4)


def test_jacobians_are_finite_differences():
    rig = ring(3, LENSES)
    points = np.array([[0.2, -0.1, 1.1], [-0.3, 0.2, 0.7]])
    px = np.moveaxis(rig.project(points), 0, 1) + 3.0
    sights = sights_of(rig, np.moveaxis(px[None], 1, 2), np.ones((1, 3, 2)))
    poses = Poses.of_rig(rig)
    now = Fit(poses, points, errors_px(sights, poses, points), 0.0)
    step = 1e-6
    for k in range(6):
        ahead, behind = (errors_px(sights, poses.moved(1, s * step * np.eye(6)[k]), points)[:, 1] for s in (1, -1))
        np.testing.assert_allclose(
            pose_jacobian(sights, now, 1)[..., k], (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-3
        )
    for k in range(3):
        ahead, behind = (errors_px(sights, poses, points + s * step * np.eye(3)[k]) for s in (1, -1))
        np.testing.assert_allclose(
            point_jacobian(sights, now)[..., k], (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-3
        )


def test_what_lies_behind_a_camera_does_not_fit():
    rig = ring(3, LENSES)
    point = np.array([[0.0, 0.0, 1.0]])
    sights = sights_of(rig, np.moveaxis(rig.project(point), 0, 1)[:, :, None], np.ones((1, 3, 1)))
    mirrored = 2 * rig.centers[0] - point
    there, _ = directions(Poses.of_rig(rig), mirrored)
    assert (there[0, 0] * sights.ray[0, 0]).sum() == pytest.approx(-1, abs=1e-9)
    assert np.linalg.norm(errors_px(sights, Poses.of_rig(rig), mirrored)[0, 0]) > 500
