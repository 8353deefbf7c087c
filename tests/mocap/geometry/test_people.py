from __future__ import annotations

import numpy as np
import torch

from camera_worlds import mixed_rig
from mocap.geometry.people import Sightings, people_in_frames
from people_worlds import KEYPOINTS, body

BODY = KEYPOINTS.indices(KEYPOINTS.body)
TOLERANCE_M = 0.07


def _sightings(people: list[np.ndarray], present: np.ndarray) -> tuple[Sightings, np.ndarray]:
    """Exact rays of everybody in every camera where `present` (T, C, P); and whose each row is."""
    rig = mixed_rig()
    frame, camera, person = (index.copy() for index in np.nonzero(present))
    points = np.stack(people, axis=1)[frame, person][:, BODY]
    along = points - rig.centers[camera][:, None]
    directions = along / np.linalg.norm(along, axis=-1, keepdims=True)
    place = {int(j): i for i, j in enumerate(BODY)}
    mirror = np.array([place[int(KEYPOINTS.mirror_permutation[j])] for j in BODY])
    everything = Sightings(
        frame=torch.from_numpy(frame),
        camera=torch.from_numpy(camera),
        origins=torch.from_numpy(rig.centers[camera]),
        directions=torch.from_numpy(directions),
        weight=torch.ones(len(frame), len(BODY), dtype=torch.float64),
        mirror=torch.from_numpy(mirror),
        n_cameras=len(rig),
    )
    return everything, person


def test_everybody_is_among_the_hypotheses_with_all_views_and_their_place() -> None:
    people = [body(6, start=(-0.5, 0.2)), body(6, start=(0.6, -0.4), height=1.5, phase=2.0)]
    present = np.ones((6, 5, 2), dtype=bool)
    present[2, :, 1] = False
    present[3, 1:4, 0] = False
    sightings, person = _sightings(people, present)
    found = people_in_frames(sightings, tolerance_m=TOLERANCE_M, min_agreement=0.35)
    assert (found.frame.diff() >= 0).all()
    for frame in range(6):
        for who in range(2):
            expected = set(np.flatnonzero((sightings.frame.numpy() == frame) & (person == who)).tolist())
            if not expected:
                continue
            mine = [
                h
                for h in torch.nonzero(found.frame == frame)[:, 0].tolist()
                if set(found.rows[h].tolist()) - {-1} == expected
            ]
            assert len(mine) == 1
            torch.testing.assert_close(
                found.xyz[mine[0]], torch.from_numpy(people[who][frame][BODY]), atol=1e-6, rtol=0
            )
            assert abs(found.score[mine[0]].item() - (len(expected) - 1)) < 1e-6
    best = [found.score[found.frame == f].max().item() for f in range(6)]
    np.testing.assert_allclose(best, 4.0, atol=1e-6)


def test_no_combination_has_two_people_from_one_frame_too_many() -> None:
    people = [body(4, start=(-0.5, 0.2)), body(4, start=(0.6, -0.4), height=1.5, phase=2.0)]
    sightings, _ = _sightings(people, np.ones((4, 5, 2), dtype=bool))
    found = people_in_frames(sightings, tolerance_m=TOLERANCE_M, min_agreement=0.35)
    member = found.rows >= 0
    camera = torch.arange(5).expand_as(found.rows)
    assert (sightings.camera[found.rows][member] == camera[member]).all()
    assert (sightings.frame[found.rows][member] == found.frame[:, None].expand_as(found.rows)[member]).all()
    assert member.sum(-1).min() >= 2
    assert len(torch.unique(found.rows, dim=0)) == len(found.rows)
    assert (found.agreement[member] >= 0.35).all()
    assert (found.agreement[~member] == 0).all()


def test_a_mirrored_view_still_belongs() -> None:
    sightings, _ = _sightings([body(2, start=(0.1, 0.0))], np.ones((2, 5, 1), dtype=bool))
    flipped = sightings.camera == 3
    sightings.directions[flipped] = sightings.directions[flipped][:, sightings.mirror]
    found = people_in_frames(sightings, tolerance_m=TOLERANCE_M, min_agreement=0.35)
    for frame in range(2):
        rows = found.rows[found.frame == frame]
        assert (rows >= 0).all(-1).any()


def test_nobody_gives_nobody() -> None:
    sightings, _ = _sightings([body(3, start=(0.1, 0.0))], np.zeros((3, 5, 1), dtype=bool))
    found = people_in_frames(sightings, tolerance_m=TOLERANCE_M, min_agreement=0.35)
    assert found.rows.shape == (0, 5)
    alone = np.zeros((3, 5, 1), dtype=bool)
    alone[:, 2] = True
    sightings, _ = _sightings([body(3, start=(0.1, 0.0))], alone)
    assert len(people_in_frames(sightings, tolerance_m=TOLERANCE_M, min_agreement=0.35).frame) == 0
