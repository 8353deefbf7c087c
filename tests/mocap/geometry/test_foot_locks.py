from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.geometry import foot_locks
from mocap.geometry.foot_locks import FootLocks, lock_feet
from mocap.geometry.soles import SOLE_POINTS, has_soles, sole_points
from mocap.synthetic.contacts import sole_paths
from mocap.synthetic.gait import walk_and_reach

FPS = 30.0
LEGS = [side + part for side in ("Left", "Right") for part in ("UpLeg", "Leg", "Foot", "ToeBase")]


def walk(seconds: float = 3.0) -> Motion:
    return walk_and_reach(load_skeleton(), seconds=seconds, fps=FPS)


def shaken(motion: Motion, spread_m: float = 0.004, seed: int = 0) -> Motion:
    """The root moved by smooth noise: feet slide and dip with it."""
    noise = np.random.default_rng(seed).normal(0, 1, (motion.n_frames + 4, 3))
    smooth = sum(noise[i : i + motion.n_frames] for i in range(5)) / np.sqrt(5)
    return replace(motion, root_translation=motion.root_translation + spread_m * smooth)


def standing(motion: Motion) -> np.ndarray:
    """Contacts of a synthetic motion: low and slow (it has no noise)."""
    points = sole_points(motion)
    speed = np.linalg.norm(np.diff(points, axis=0), axis=-1) * motion.fps
    slower = np.minimum(np.concatenate([speed[:1], speed]), np.concatenate([speed, speed[-1:]]))
    return (points[..., 2] < 0.015) & (slower < 0.1)


def locks(contact: np.ndarray, **kinds) -> FootLocks:
    return FootLocks(**{"contact": contact, "floor_m": np.zeros(6), "velocity": np.zeros(2), "fade_s": 0.08} | kinds)


def skate_mm(motion: Motion, contact: np.ndarray) -> np.ndarray:
    step = np.linalg.norm(np.diff(sole_points(motion)[..., :2], axis=0), axis=-1)
    held = [0, 1, 3, 4]
    return 1000 * step[:, held][(contact[1:] & contact[:-1])[:, held]]


def test_soles_are_those_of_the_synthetic_bodies():
    motion = walk(1.0)
    theirs = sole_paths(motion).reshape(motion.n_frames, 6, 3)
    assert len(SOLE_POINTS) == 6
    np.testing.assert_allclose(sole_points(motion), theirs, atol=1e-9)
    assert not has_soles(replace(motion.skeleton, joint_names=tuple(f"j{i}" for i in range(len(motion.skeleton)))))


def test_feet_stand_bones_and_the_upper_body_stay():
    true = walk()
    contact, given = standing(true), shaken(true)
    held = lock_feet(given, locks(contact))
    assert skate_mm(given, contact).mean() > 3
    # 0.2 mm a frame is one standard deviation of a lock; a shaken root pulls with about as much
    assert skate_mm(held, contact).max() < 0.5
    points = sole_points(held)
    assert np.abs(points[..., 2][contact]).max() < 0.004
    assert points[..., 2].min() > -0.004
    upper = [j for j, name in enumerate(given.skeleton.joint_names) if name not in LEGS]
    np.testing.assert_allclose(held.local_rotations[:, upper], given.local_rotations[:, upper], atol=1e-12)
    assert held.skeleton is given.skeleton
    assert np.linalg.norm(held.root_translation - given.root_translation, axis=-1).max() < 0.02


def test_corrections_come_and_go_smoothly():
    true = walk()
    contact, given = standing(true), shaken(true, 0.008)
    held = lock_feet(given, locks(contact))
    knee = given.skeleton.index("LeftLeg")

    def bend(motion: Motion) -> np.ndarray:
        return np.rad2deg(2 * np.arccos(np.clip(motion.local_rotations[:, knee, 0], -1, 1)))

    # second differences: a pop of 10 degrees would be 10 to 20
    assert np.abs(np.diff(bend(held), 2)).max() < np.abs(np.diff(bend(true), 2)).max() + 3.0


def test_a_belt_carries_the_feet():
    true = walk()
    belt = np.array([0.0, 1.2])
    carried = np.zeros((true.n_frames, 3))
    carried[:, :2] = np.arange(true.n_frames)[:, None] / FPS * belt
    contact = standing(true)
    given = shaken(true)
    on_belt = replace(given, root_translation=given.root_translation + carried)
    held = lock_feet(on_belt, locks(contact, velocity=belt))
    alone = lock_feet(given, locks(contact))
    np.testing.assert_allclose(held.root_translation - carried, alone.root_translation, atol=1e-6)


def test_nothing_in_contact_nothing_under_the_floor_nothing_changes():
    given = walk(1.0)
    lifted = replace(given, root_translation=given.root_translation + [0, 0, 0.5])
    held = lock_feet(lifted, locks(np.zeros((given.n_frames, 6), dtype=bool)))
    np.testing.assert_allclose(held.local_rotations, lifted.local_rotations, atol=1e-12)
    np.testing.assert_array_equal(held.root_translation, lifted.root_translation)


def test_feet_under_the_floor_are_lifted_without_a_contact():
    given = walk(1.0)
    sunk = replace(given, root_translation=given.root_translation - [0, 0, 0.03])
    held = lock_feet(sunk, locks(np.zeros((given.n_frames, 6), dtype=bool)))
    assert sole_points(sunk)[..., 2].min() < -0.029
    assert sole_points(held)[..., 2].min() > -0.004


def test_knees_stop_at_their_limit():
    """A floor out of reach: legs straighten and go no further."""
    given = walk(1.0)
    contact = np.ones((given.n_frames, 6), dtype=bool)
    held = lock_feet(given, locks(contact, floor_m=np.full(6, -0.3)))
    skeleton = given.skeleton
    for name in LEGS:
        j = skeleton.index(name)
        w = held.local_rotations[:, j]
        x = 2 * np.arctan2(w[:, 1], w[:, 0])
        low, high = skeleton.limits[j, 0]
        free = (skeleton.limits[j, 1:] == 0).all()
        assert not free or ((x > low - 1e-6) & (x < high + 1e-6)).all()


def test_windows_agree_with_one_solve(monkeypatch):
    true = walk(6.0)
    contact, given = standing(true), shaken(true)
    whole = lock_feet(given, locks(contact))
    monkeypatch.setattr(foot_locks, "WINDOW", 80)
    monkeypatch.setattr(foot_locks, "OVERLAP", 30)
    parts = lock_feet(given, locks(contact))
    # 30 frames are twelve times the length over which a correction fades, and longer than a step
    assert np.linalg.norm(sole_points(parts) - sole_points(whole), axis=-1).max() < 0.002
    assert skate_mm(parts, contact).max() < 0.5


def test_the_gradient_is_the_slope_of_the_cost():
    """Of everything but the smoothness, whose cost is a plain quadratic, by central differences."""
    true = walk(0.4)
    given = shaken(true)
    rules = locks(standing(true))
    legs = foot_locks._legs(given)
    rotations = torch.from_numpy(np.array(given.local_rotations))
    pose = foot_locks.Pose(
        torch.from_numpy(np.array(given.root_translation)),
        rotations[:, 0],
        foot_locks.angles_from_rotations(legs.model, rotations),
    )
    places = foot_locks.place(legs.model, pose).markers
    rng = np.random.default_rng(1)
    departure = torch.from_numpy(rng.normal(0, 0.01, (given.n_frames, len(legs.steps))))

    def cost(at: torch.Tensor) -> float:
        points = foot_locks.place(legs.model, foot_locks._moved(legs, pose, at)).markers
        contact = torch.from_numpy(rules.contact)
        over = points[:, :6, 2]
        total = ((over / foot_locks.HEIGHT_M)[contact | (over < 0)] ** 2).sum()
        both = contact[1:] & contact[:-1]
        both[:, [2, 5]] = False
        total = total + ((points[1:, :6] - points[:-1, :6])[both] / foot_locks.LOCK_M).square().sum()
        total = total + ((points - places) / torch.tensor(foot_locks.PLACE_M, dtype=at.dtype)).square().sum()
        total = total + (at / legs.spread).square().sum()
        smooth = (at[2:] - 2 * at[1:-1] + at[:-2]) / legs.spread * (rules.fade_s * FPS) ** 2
        return float(total + smooth.square().sum()) / 2

    moved = foot_locks._moved(legs, pose, departure)
    _, gradient = foot_locks._equations(legs, (moved, places), departure, (rules, FPS))
    for _ in range(5):
        way = torch.from_numpy(rng.normal(0, 1, departure.shape))
        slope = (cost(departure + 1e-6 * way) - cost(departure - 1e-6 * way)) / 2e-6
        assert float((gradient * way).sum()) == pytest.approx(slope, rel=1e-4)
