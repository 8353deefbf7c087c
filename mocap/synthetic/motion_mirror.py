"""A motion seen in a mirror: left and right exchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mocap.core.motion import Motion

SAME_M = 1e-9


def mirror_motion(motion: Motion) -> Motion:
    """Mirrored at the plane x = 0. Mirroring again gives the motion back.

    A skeleton that is not symmetric is mirrored too; rest axes must be the world's, as in `SkeletonDefinition`.
    """
    skeleton, swap = motion.skeleton, motion.skeleton.mirror_permutation
    flip = np.array([-1.0, 1.0, 1.0])
    offsets, tips = skeleton.rest_offsets[swap] * flip, skeleton.tips[swap] * flip
    is_symmetric = np.allclose(offsets, skeleton.rest_offsets, rtol=0, atol=SAME_M) and np.allclose(
        tips, skeleton.tips, rtol=0, atol=SAME_M, equal_nan=True
    )
    if not is_symmetric:
        # Mirrored turns about y and z change sign, so their bounds change places.
        limits = skeleton.limits[swap].copy()
        limits[:, 1:] = -limits[:, 1:, ::-1]
        skeleton = replace(skeleton, rest_offsets=offsets, tips=tips, limits=limits)
    return replace(
        motion,
        skeleton=skeleton,
        root_translation=motion.root_translation * flip,
        local_rotations=motion.local_rotations[:, swap] * [1.0, 1.0, -1.0, -1.0],
    )
