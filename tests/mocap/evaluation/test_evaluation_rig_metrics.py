from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import Camera, Intrinsics, Lens, Rig, RigidTransform
from calibration.synthetic import camera_looking_at
from calibration.transforms import rotvec_to_matrix
from camera_worlds import mixed_rig
from mocap.core.errors import InputError
from mocap.evaluation.rig_metrics import (
    RigAlignment,
    WorkingVolume,
    align_rigs,
    lens_shift_px,
    rig_report,
    volume_points,
)

LENS = Intrinsics((1000, 700), np.array([[800.0, 0, 480], [0, 800, 360], [0, 0, 1]]), np.zeros(5))
SMALL = volume_points(WorkingVolume(low_m=(-0.5, -0.5, 0.5), high_m=(0.5, 0.5, 1.5), points=(3, 3, 3)))

seeds = st.integers(0, 2**32 - 1)


def _ring(n: int = 4, lens: Intrinsics = LENS) -> Rig:
    """Around (0, 0, 1), 3 m away, at different heights."""
    angles = np.linspace(0, 2 * np.pi, n, endpoint=False) + 0.3
    centers = np.stack([3 * np.cos(angles), 3 * np.sin(angles), np.linspace(0.8, 2.1, n)], axis=-1)
    target = [0.0, 0.0, 1.0]
    return Rig(tuple(camera_looking_at(f"cam{i}", lens, center=c, target=target) for i, c in enumerate(centers)))


def _in_another_world(rig: Rig, R: np.ndarray, t: np.ndarray, scale: float = 1.0) -> Rig:
    """The same cameras where every point x is called scale R x + t."""
    cameras = []
    for camera in rig:
        turned = camera.cam_from_world.R @ R.T
        cameras.append(
            replace(camera, cam_from_world=RigidTransform(turned, -turned @ (scale * R @ camera.center + t)))
        )
    return Rig(tuple(cameras))


def _with(rig: Rig, name: str, **changes: object) -> Rig:
    return Rig(tuple(replace(c, **changes) if c.name == name else c for c in rig))


def test_the_true_rig_has_no_error() -> None:
    """Pixels of 1e3 carry 1e-13; a DLT over a condition of 1e4 some 1e-7 mm."""
    rig = mixed_rig()
    for alignment in RigAlignment:
        report = rig_report(rig, rig, alignment=alignment)
        for camera in report.cameras.values():
            assert camera.position_mm < 1e-9
            assert camera.rotation_deg < 1e-9
            assert camera.distortion_px is not None
            assert camera.distortion_px < 1e-6
        assert report.reprojection_px.max is not None
        assert report.reprojection_px.max < 1e-7
        assert report.triangulation_mm.max is not None
        assert report.triangulation_mm.max < 1e-4
        assert report.scale_percent == pytest.approx(0, abs=1e-9)
        assert report.triangulation_mm.missing == 0
        json.loads(report.model_dump_json())


@settings(max_examples=15, deadline=None)
@given(seed=seeds, scale=st.floats(0.3, 3.0), n=st.integers(2, 5))
def test_another_world_is_aligned_away(seed: int, scale: float, n: int) -> None:
    rng = np.random.default_rng(seed)
    R, t = rotvec_to_matrix(rng.normal(size=3)), rng.normal(size=3)
    true = _ring(n)
    found = _in_another_world(true, R, t, scale)
    report = rig_report(found, true, points=SMALL)
    assert report.fitted_on == ("centres" if n > 2 else "orientations")
    assert report.position_mm.max == pytest.approx(0, abs=1e-8)
    assert report.rotation_deg.max == pytest.approx(0, abs=1e-6)
    assert report.triangulation_mm.max == pytest.approx(0, abs=1e-4)
    assert report.scale_percent == pytest.approx(100 * (scale - 1), abs=1e-9)
    rigid = rig_report(_in_another_world(true, R, t), true, alignment=RigAlignment.RIGID, points=SMALL)
    assert rigid.position_mm.max == pytest.approx(0, abs=1e-8)


def test_a_moved_and_a_turned_camera_in_the_same_world() -> None:
    """cam1 stands 30-40-0 mm aside: 50 mm. cam2 is rolled by 2 degrees about its axis: a point r px from its principal
    point moves by 2 r sin(1°)."""
    true = _ring()
    pose = true["cam1"].cam_from_world
    found = _with(true, "cam1", cam_from_world=RigidTransform(pose.R, pose.t - pose.R @ [0.03, 0.04, 0.0]))
    roll = rotvec_to_matrix(np.array([0, 0, np.deg2rad(2.0)]))
    pose = true["cam2"].cam_from_world
    found = _with(found, "cam2", cam_from_world=RigidTransform(roll @ pose.R, roll @ pose.t))
    report = rig_report(found, true, alignment=RigAlignment.NONE, points=SMALL)
    assert report.fitted_on == "nothing"
    assert report.cameras["cam1"].position_mm == pytest.approx(50)
    assert report.cameras["cam1"].rotation_deg == pytest.approx(0, abs=1e-9)
    assert report.cameras["cam2"].rotation_deg == pytest.approx(2)
    assert report.cameras["cam2"].position_mm == pytest.approx(0, abs=1e-9)
    radius = np.linalg.norm(true["cam2"].project(SMALL) - LENS.K[:2, 2], axis=-1)
    assert report.cameras["cam2"].reprojection_px.mean == pytest.approx(2 * radius.mean() * np.sin(np.deg2rad(1)))
    assert report.position_mm.median == pytest.approx(0, abs=1e-9)
    assert report.triangulation_mm.mean is not None
    assert report.triangulation_mm.mean > 1


def test_intrinsics_of_a_known_error() -> None:
    """fx 1 % too long, fy right, principal point 3-4-5 px off: a pixel x is put at 480 + 3 + 1.01 (x - 480), so the
    right edge (999) by 3 + 5.19 and 4 px: 9.114 px, more than the left one (3 - 4.8)."""
    K = np.array([[808.0, 0, 483], [0, 800, 364], [0, 0, 1]])
    true = _ring()
    report = rig_report(_with(true, "cam0", intrinsics=replace(LENS, K=K)), true, points=SMALL)
    camera = report.cameras["cam0"]
    assert camera.focal_percent == (pytest.approx(1), pytest.approx(0, abs=1e-9))
    assert camera.principal_point_px == pytest.approx(5)
    assert camera.distortion_px == pytest.approx(0, abs=1e-9)
    assert camera.lens_px == pytest.approx(np.hypot(3 + 0.01 * 519, 4))


def test_distortion_is_measured_where_it_is_largest() -> None:
    """k1 = 0.01 moves a point at normalised radius r by 800 · 0.01 r³ px; the farthest corner is (999, 0): x = 519/800,
    y = -360/800, or (999, 699): smaller. (0, 0): x = -0.6, y = -0.45 is nearer than the first."""
    found = replace(LENS, distortion=np.array([0.01, 0, 0, 0, 0]))
    radius = np.hypot(519 / 800, 360 / 800)
    assert np.nanmax(lens_shift_px(found, LENS)) == pytest.approx(8 * radius**3)
    true = _ring()
    camera = rig_report(_with(true, "cam0", intrinsics=found), true, points=SMALL).cameras["cam0"]
    assert camera.distortion_px == camera.lens_px == pytest.approx(8 * radius**3)


def test_lenses_of_different_kinds_compare_by_their_rays() -> None:
    """An equidistant lens puts 45 degrees at f pi/4, a pinhole at f: 1 - pi/4 of 800 px apart."""
    wide = replace(LENS, image_size=(2401, 1601), K=np.array([[800.0, 0, 1200], [0, 800, 800], [0, 0, 1]]))
    fisheye = replace(wide, distortion=np.zeros(4), lens=Lens.FISHEYE)
    shift = lens_shift_px(fisheye, wide)
    assert shift.shape == (21, 33)
    assert shift[0, 16] == pytest.approx(800 * (1 - np.pi / 4))
    assert shift[10, 16] == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="images of 1000 x 700 px against 2401 x 1601 px of the truth"):
        lens_shift_px(LENS, wide)


def test_cameras_are_compared_by_name_and_the_rest_is_listed() -> None:
    true = _ring()
    extra = replace(true["cam3"], name="phone")
    found = Rig((extra, true["cam2"], true["cam0"], true["cam1"]))
    report = rig_report(found, true, points=SMALL)
    assert (report.missing, report.surplus) == (("cam3",), ("phone",))
    assert list(report.cameras) == ["cam0", "cam1", "cam2"]
    assert report.position_mm.max == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="no camera is in both rigs: phone and cam0, cam1, cam2, cam3"):
        rig_report(Rig((extra,)), true)


def test_few_cameras_and_cameras_on_a_line_are_turned_by_their_own_orientations() -> None:
    """Three cameras on a line of 4 m, one of them 5 mm aside: fitted on the centres the rig could roll by anything."""
    line = Rig(
        tuple(
            camera_looking_at(f"cam{i}", LENS, center=[x, -3.0 + y, 1.2], target=[0.0, 0.0, 1.0])
            for i, (x, y) in enumerate([(-2.0, 0.0), (0.1, 0.005), (2.0, 0.0)])
        )
    )
    R, t = rotvec_to_matrix(np.array([0.4, -0.2, 0.9])), np.array([1.0, 2.0, 3.0])
    found = _in_another_world(line, R, t, 1.5)
    transform = align_rigs(found, line)
    assert transform.fitted_on == "orientations"
    assert transform.scale == pytest.approx(1 / 1.5)
    np.testing.assert_allclose(transform.R, R.T, atol=1e-9)
    alone = rig_report(Rig((found["cam0"],)), line.subset(["cam0"]), points=SMALL)
    assert (alone.scale_percent, alone.position_mm.max) == (None, pytest.approx(0, abs=1e-9))
    assert (alone.triangulation_mm.n, alone.triangulation_mm.missing) == (0, 0)


def test_places_that_contradict_the_orientations() -> None:
    true = _ring(2)
    a, b = true
    crossed = Rig((replace(a, cam_from_world=_posed(a, b.center)), replace(b, cam_from_world=_posed(b, a.center))))
    with pytest.raises(InputError, match="orientations and places contradict each other"):
        align_rigs(crossed, true)


def _posed(camera: Camera, center: np.ndarray) -> RigidTransform:
    R = camera.cam_from_world.R
    return RigidTransform(R, -R @ center)


def test_only_what_the_true_cameras_picture_is_counted() -> None:
    """Points behind the ring's cameras or beyond their images are no points of the working volume."""
    true = _ring()
    points = np.array([[0.0, 0, 1], [0, 0, 50.0], [0, 0, -50.0]])
    report = rig_report(true, true, points=points)
    assert (report.reprojection_px.n, report.triangulation_mm.n) == (4, 1)


def test_the_volume_is_a_grid_with_its_corners() -> None:
    points = volume_points(WorkingVolume(low_m=(0, 0, 0), high_m=(1, 2, 3), points=(2, 3, 4)))
    assert points.shape == (24, 3)
    np.testing.assert_allclose(points[0], [0, 0, 0])
    np.testing.assert_allclose(points[-1], [1, 2, 3])
