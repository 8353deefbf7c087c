"""A human being out of a file: which node is which part, Z up, and in what orientations it stands upright.

World: Z up, one unit is the source's leg (hip to knee to ankle) until the caller scales it. Body axes: x left, y back,
z up, as in the humanoid's T-pose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.core.joint_names import LEFT, RIGHT, ancestors
from mocap.core.joint_roles import joint_roles
from mocap.core.joint_topology import chain_between, common_ancestor
from mocap.io.bvh_file import BvhFile, local_translations, world_transforms

SIDES = (LEFT, RIGHT)
UPRIGHT_COS = np.cos(np.deg2rad(40.0))
"""Trunk and legs of a pose at rest may be this far from one line: T- and A-poses are under 15 degrees."""
SNAP_COS = np.cos(np.deg2rad(25.0))
"""A body axis this near to a coordinate axis is that axis: rest poses are drawn along the axes."""
STOOD_COS = np.cos(np.deg2rad(50.0))
CLEARLY_VERTICAL = 0.8
UPRIGHT_SHARE = 0.05
"""Where the rest pose is not a body's, the most upright frames of the motion stand for it: this share of them."""


@dataclass(frozen=True, eq=False)
class HumanSource:
    """Nodes are the file's joints, then its end sites (which turn with their joint).

    rotations: world_from_node, world Z up. positions: m once scaled. roles: part of the body to node. trunk: pelvis to
    chest; neck: what follows from chest to head. upright: body_from_node when standing upright. offsets: (N, 3) in the
    parent's axes, units of the file. is_rest_human: whether all angles zero is a standing person.
    """

    names: tuple[str, ...]
    parents: Int[np.ndarray, "N"]
    offsets: Float[np.ndarray, "N 3"]
    rotations: Float[np.ndarray, "T N 3 3"]
    positions: Float[np.ndarray, "T N 3"]
    roles: dict[str, int]
    trunk: tuple[int, ...]
    neck: tuple[int, ...]
    upright: Float[np.ndarray, "N 3 3"]
    is_rest_human: bool
    fps: float

    @property
    def n_frames(self) -> int:
        return len(self.positions)

    def place(self, role: str) -> Float[np.ndarray, "T 3"]:
        """Where a part of the body is."""
        return self.positions[:, self.roles[role]]

    def turn(self, role: str) -> Float[np.ndarray, "T 3 3"]:
        """How a part of the body is turned, in the file's own axes of that node."""
        return self.rotations[:, self.roles[role]]

    @property
    def hip_centre(self) -> Float[np.ndarray, "T 3"]:
        """Midway between the hips."""
        return (self.place("LeftThigh") + self.place("RightThigh")) / 2

    @property
    def leg_length(self) -> float:
        """Thigh and shin, mean of both sides (median over time)."""
        bones = [(s + a, s + b) for s in SIDES for a, b in (("Thigh", "Shin"), ("Shin", "Foot"))]
        return sum(float(np.median(np.linalg.norm(self.place(b) - self.place(a), axis=-1))) for a, b in bones) / 2

    def scaled(self, scale: float) -> HumanSource:
        """The same person, every position times `scale`."""
        return replace(self, positions=self.positions * scale)

    def descendants(self, node: int) -> list[int]:
        """All nodes that hang on one."""
        return [n for n in range(len(self.names)) if node in ancestors(self.parents.tolist(), n)]

    def rest_from(self, node: int, descendant: int) -> Float[np.ndarray, "3"]:
        """Where a descendant is from a node when all angles between are zero, in the node's axes."""
        chain = [descendant, *ancestors(self.parents.tolist(), descendant)]
        return self.offsets[chain[: chain.index(node)]].sum(axis=0)

    def seen_from(self, node: int) -> dict[int, Float[np.ndarray, "3"]]:
        """What hangs on a node and where it is at rest, in its axes; only the next ones where rest means nothing."""
        below = {n: self.rest_from(node, n) for n in self.descendants(node)}
        if self.is_rest_human:
            return below
        return {n: place for n, place in below.items() if self.parents[n] == node}


def human_source(bvh: BvhFile) -> HumanSource:
    """Find the person in a file; an InputError says what could not be found."""
    if not bvh.n_frames:
        raise InputError("has no frames, only a skeleton", remedy="Give a file with motion.")
    offsets = np.concatenate([np.median(local_translations(bvh), axis=0), bvh.end_offsets])
    offsets[bvh.roots] = 0.0
    parents = np.concatenate([bvh.parents, bvh.end_parents])
    rotations, positions = world_transforms(bvh)
    ends = positions[:, bvh.end_parents] + np.einsum("teab,eb->tea", rotations[:, bvh.end_parents], bvh.end_offsets)
    rotations = np.concatenate([rotations, rotations[:, bvh.end_parents]], axis=1)
    positions = np.concatenate([positions, ends], axis=1)
    names = (*bvh.joint_names, *(f"{bvh.joint_names[joint]} end" for joint in bvh.end_parents))
    roles = joint_roles(names, parents.tolist(), offsets, positions, n_joints=len(bvh.joint_names))
    _refuse_impossible(roles, names, positions)
    chest = common_ancestor(parents.tolist(), roles["LeftUpperArm"], roles["RightUpperArm"])
    source = HumanSource(
        names=names,
        parents=parents,
        offsets=offsets,
        rotations=rotations,
        positions=positions,
        roles=roles,
        trunk=(roles["Hips"], *chain_between(parents.tolist(), roles["Hips"], chest)),
        neck=tuple(chain_between(parents.tolist(), chest, roles["Head"])),
        upright=np.tile(np.eye(3), (len(names), 1, 1)),
        is_rest_human=False,
        fps=bvh.fps,
    )
    return _stood_up(source)


def _refuse_impossible(roles: dict[str, int], names: tuple[str, ...], positions: Float[np.ndarray, "T N 3"]) -> None:
    for side in SIDES:
        for a, b in (("Thigh", "Shin"), ("Shin", "Foot"), ("UpperArm", "ForeArm"), ("ForeArm", "Hand")):
            first, second = roles[side + a], roles[side + b]
            if np.median(np.linalg.norm(positions[:, second] - positions[:, first], axis=-1)) <= 0:
                raise InputError(f"{names[first]} and {names[second]} are at the same place: the bone has no length")
    if not np.isfinite(positions).all():
        raise InputError("positions that are not finite")


def _stood_up(source: HumanSource) -> HumanSource:
    """Turned so that Z is up, and with the orientations of standing upright."""
    rest = source.offsets.copy()
    for node, parent in enumerate(source.parents.tolist()):
        if parent >= 0:
            rest[node] += rest[parent]
    file_from_body = _body_axes({role: rest[node] for role, node in source.roles.items()})
    up = _up(source, None if file_from_body is None else file_from_body[:, 2])
    is_same_up = file_from_body is not None and file_from_body[:, 2] @ up > UPRIGHT_COS
    world_from_file = file_from_body.T if is_same_up and file_from_body is not None else _any_heading(up)
    source = replace(
        source,
        positions=source.positions @ world_from_file.T,
        rotations=world_from_file @ source.rotations,
    )
    source = source.scaled(1.0 / source.leg_length)
    if file_from_body is not None:
        upright = np.tile(file_from_body.T, (len(source.names), 1, 1))
        return replace(source, upright=upright, is_rest_human=True)
    return replace(source, upright=_mean_upright(source))


def _body_axes(place: dict[str, Float[np.ndarray, "3"]]) -> Float[np.ndarray, "3 3"] | None:
    """file_from_body of one standing pose; None where it is none. Snapped to the file's axes where near."""
    trunk = _unit(place["LeftUpperArm"] + place["RightUpperArm"] - place["LeftThigh"] - place["RightThigh"])
    legs = [_unit(place[side + "Thigh"] - place[side + "Foot"]) for side in SIDES]
    hips, shoulders = (_unit(place["Left" + part] - place["Right" + part]) for part in ("Thigh", "UpperArm"))
    head = _unit(2 * place["Head"] - place["LeftThigh"] - place["RightThigh"])
    if min(trunk @ legs[0], trunk @ legs[1], hips @ shoulders, trunk @ head) < UPRIGHT_COS:
        return None
    up, left = _snapped(_unit(trunk + legs[0] + legs[1])), _snapped(_unit(hips + shoulders))
    if abs(up @ left) > np.sin(np.deg2rad(30.0)):
        return None
    left = _unit(left - (left @ up) * up)
    return np.stack([left, np.cross(up, left), up], axis=-1)


def _unit(vector: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else np.zeros(3)


def _snapped(direction: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    axis = int(np.argmax(np.abs(direction)))
    near = np.sign(direction[axis]) * np.eye(3)[axis]
    return near if direction @ near > SNAP_COS else direction


def _up(source: HumanSource, rest_up: Float[np.ndarray, "3"] | None) -> Float[np.ndarray, "3"]:
    """The file's vertical: where the head is over the feet; who lies all the time is as the rest pose says."""
    body = source.place("Head") - (source.place("LeftFoot") + source.place("RightFoot")) / 2
    mean = body.mean(axis=0) / np.linalg.norm(body, axis=-1).mean()
    if rest_up is not None and (np.abs(mean).max() < CLEARLY_VERTICAL or mean @ rest_up < -CLEARLY_VERTICAL):
        return rest_up
    axis = int(np.argmax(np.abs(mean)))
    return np.sign(mean[axis]) * np.eye(3)[axis]


def _any_heading(up: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """world_from_file of a file with this vertical; +Z becomes -Y where Y is up, as everywhere in this package."""
    if np.abs(up[2]) > SNAP_COS:
        return np.diag([1.0, 1.0, 1.0]) if up[2] > 0 else np.diag([1.0, -1.0, -1.0])
    back = _unit(np.array([0.0, 0.0, -1.0]) + up[2] * up)
    return np.stack([np.cross(back, up), back, up])


def _mean_upright(source: HumanSource) -> Float[np.ndarray, "N 3 3"]:
    """Mean body_from_node of the most upright frames: trunk, legs and shins along the vertical."""
    shoulders = (source.place("LeftUpperArm") + source.place("RightUpperArm")) / 2
    bones = [shoulders - source.hip_centre]
    for side in SIDES:
        bones += [source.place(side + "Thigh") - source.place(side + "Foot")]
    upright = np.min([(bone / np.linalg.norm(bone, axis=-1, keepdims=True))[:, 2] for bone in bones], axis=0)
    best = np.argsort(-upright, kind="stable")[: max(1, round(UPRIGHT_SHARE * source.n_frames))]
    if upright[best[0]] < STOOD_COS:
        raise InputError(
            "neither the rest pose nor any frame is a person who stands upright, so that it is not known what the "
            f"joints' axes mean (at best {np.rad2deg(np.arccos(upright[best[0]])):.0f} degrees off the vertical)",
            remedy="Only people can be retargeted; give a file whose rest pose is a T- or A-pose.",
        )
    across = source.place("LeftThigh") - source.place("RightThigh")
    across = across + source.place("LeftUpperArm") - source.place("RightUpperArm")
    heading = np.arctan2(across[best, 1], across[best, 0])
    body_from_world = Rotation.from_euler("z", -heading[:, None]).as_matrix()
    return nearest_rotation((body_from_world[:, None] @ source.rotations[best]).mean(axis=0))


def nearest_rotation(matrices: Float[np.ndarray, "*b 3 3"]) -> Float[np.ndarray, "*b 3 3"]:
    """The rotation nearest to a mean of rotations (Frobenius norm)."""
    u, _, vt = np.linalg.svd(matrices)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return u @ vt
