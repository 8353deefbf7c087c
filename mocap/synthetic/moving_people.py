"""Several people who move before a rig, with what hides what: takes without pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from calibration.camera import Rig
from mocap.core.errors import InputError
from mocap.core.keypoints import KeypointSet
from mocap.core.motion import Motion
from mocap.synthetic.body_bank import BodyBank
from mocap.synthetic.capsules import Boxes, PlacedParts, place_parts, visibility
from mocap.synthetic.posing import follow_in_time, joint_transforms
from mocap.synthetic.true_views import TrueViews, views_of


def views_of_motions(
    motions: Sequence[Motion],
    bodies: BodyBank,
    rig: Rig,
    *,
    keypoint_set: KeypointSet,
    boxes: Boxes | None = None,
) -> tuple[Float[np.ndarray, "T P K 3"], TrueViews]:
    """Keypoints (m, world) of people and their exact views; person p has the body p and moves as motion p says.

    Motions must be made on the bodies' own skeletons (`body_skeleton`), equally long and at one frame rate.
    """
    if len({(motion.n_frames, motion.fps) for motion in motions}) != 1 or len(motions) != len(bodies):
        raise InputError(f"{len(motions)} motions, which must be equally long, for {len(bodies)} bodies")
    points, placed = [], []
    for person, motion in enumerate(motions):
        if not np.allclose(motion.skeleton.rest_offsets, bodies.rest_offsets[person], atol=1e-6):
            raise InputError(f"the motion of {motion.person} was made on another skeleton than body {person}'s")
        transforms = joint_transforms(motion)
        points.append(follow_in_time(bodies.keypoints[person], bodies.weights[person], transforms))
        placed.append(place_parts(bodies.parts.rows(np.array(person)), transforms))
    xyz = np.stack(points, axis=1)
    parts = PlacedParts(
        np.stack([p.start for p in placed], axis=1),
        np.stack([p.unit_from_world for p in placed], axis=1),
        np.stack([p.along for p in placed], axis=1),
    )
    seen = visibility(xyz, rig, parts, margin_m=bodies.margin_m, boxes=boxes)
    return xyz, views_of(xyz, rig, keypoint_set, fps=motions[0].fps, visibility=seen)
