"""Anny as a family of bodies that can be fitted: joints, keypoints and skin as functions of its phenotypes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from mocap.core.body_motion import BodyModelName, Gender
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition, load_skeleton
from mocap.models.body_family import BodyMesh, BodyRest, ShapeSpace
from mocap.synthetic.body import Body, BodyShape, jointed_skin, make_body
from mocap.synthetic.body_keypoints import all_keypoints, keypoint_vertices, places_of_keypoints
from mocap.synthetic.body_model import BodyModel, load_body_model
from mocap.synthetic.posing import follow, joint_transforms

SOLE_M = 0.01
"""Vertices so near the floor in the T-pose of the usual body are kept: one of them is the lowest of any body."""

SHAPE = {
    "gender": (0.5, 0.35), "age": (0.7, 0.15), "muscle": (0.5, 0.15), "weight": (0.5, 0.15), "height": (0.38, 0.12),
    "proportions": (0.5, 0.2),
}  # fmt: skip
"""Mean and spread of the phenotypes among people who come to be captured (see BodyShape)."""


@dataclass(frozen=True, eq=False)
class AnnyBodies:
    """See BodyFamily. few: the model with the vertices `kept` alone, which say where keypoints and soles are."""

    few: BodyModel
    kept: Int[np.ndarray, "n"]
    n_vertices: int
    humanoid: SkeletonDefinition
    space: ShapeSpace

    @property
    def model(self) -> BodyModelName:
        return "anny"

    @property
    def gender(self) -> Gender:
        return "neutral"

    def rest(self, shape: Float[np.ndarray, "S"]) -> BodyRest:
        """Joints and keypoints of a shape, m."""
        skin = jointed_skin(self.few, self.humanoid, self._shape(shape))
        vertices = np.full((self.n_vertices, 3), np.nan)
        vertices[self.kept] = skin.vertices
        around = load_body_model().faces_around
        points = places_of_keypoints(replace(skin, vertices=vertices, faces_around=around))
        joints, parents = skin.joints, self.humanoid.parents
        offsets = np.where((parents >= 0)[:, None], joints - joints[parents], joints)
        return BodyRest(offsets, dict(zip(all_keypoints(), points, strict=True)))

    def skeleton(self, shape: Float[np.ndarray, "S"]) -> SkeletonDefinition:
        """`humanoid` with the joints and tips of a shape."""
        return self.body(shape).skeleton

    def mesh(self, shape: Float[np.ndarray, "S"]) -> BodyMesh:
        """The skin of a shape."""
        body = self.body(shape)
        return BodyMesh(body.vertices.astype(np.float64), body.faces, body.weights.toarray().astype(np.float64))

    def posed(self, shape: Float[np.ndarray, "S"], motion: Motion) -> Float[np.ndarray, "T V 3"]:
        """The skin in every frame, m, world."""
        body = self.body(shape)
        return np.stack([follow(body.vertices, body.weights, frame) for frame in joint_transforms(motion)])

    def root_rest(self, shape: Float[np.ndarray, "S"]) -> Float[np.ndarray, "3"]:
        """The T-pose stands on the world's floor under its root, so that a motion's translation is the root's place."""
        return np.zeros(3)

    def body(self, shape: Float[np.ndarray, "S"]) -> Body:
        """The body of a shape, with all that a synthetic person has."""
        return make_body(self._shape(shape))

    def _shape(self, shape: Float[np.ndarray, "S"]) -> BodyShape:
        values = np.clip(shape, 0.0, 1.0).tolist()
        return BodyShape.model_validate(dict(zip(self.space.names, values, strict=True)))


@lru_cache(maxsize=1)
def anny_bodies() -> AnnyBodies:
    """Loaded once a process."""
    model, humanoid = load_body_model(), load_skeleton("humanoid")
    mean, spread = np.array(list(SHAPE.values())).T
    space = ShapeSpace(tuple(SHAPE), mean, spread, np.zeros(len(mean)), np.ones(len(mean)))
    usual = jointed_skin(model, humanoid, BodyShape())
    kept = np.union1d(keypoint_vertices(), np.flatnonzero(usual.vertices[:, 2] < SOLE_M))
    kept = np.union1d(kept, model.mirror_vertices[kept])
    place = np.full(len(model.template), -1)
    place[kept] = np.arange(len(kept))
    few = replace(
        model,
        template=model.template[kept],
        blendshapes=np.ascontiguousarray(model.blendshapes[:, kept]),
        weights=model.weights[kept],
        faces_around=model.faces_around[kept],
        mirror_vertices=place[model.mirror_vertices[kept]],
    )
    return AnnyBodies(few, kept, len(model.template), humanoid, space)
