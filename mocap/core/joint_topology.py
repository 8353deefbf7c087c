"""Which joint is what, from the shape of the tree alone: for files whose names say nothing.

A body is two limbs of equal length on one joint (the legs), a trunk, and on the joint at its end two more limbs of
equal length (the arms) and a neck. In each limb the two longest neighbouring bones are thigh and shin, or upper arm
and forearm.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float

from mocap.core.joint_names import LEFT, RIGHT, ancestors

EQUAL = 0.1
"""Relative difference in length up to which two limbs may be a pair; in real files it is under 0.05."""
SEGMENT_RATIO = 0.5
"""The shorter of the two long bones of a limb over the longer one: human ones are 0.7 to 1."""

CLAVICLE_RATIO = 0.8
"""Upper arm and forearm over clavicle and upper arm is 0.98 to 1.7; forearm and hand over upper arm and forearm 0.7."""


class Tree:
    """Nodes (joints and end sites), their parents and the lengths of their bones."""

    def __init__(self, parents: Sequence[int], lengths: Float[np.ndarray, "N"]) -> None:
        self.parents, self.lengths = list(parents), lengths
        self.children: list[list[int]] = [[] for _ in self.parents]
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                self.children[parent].append(node)
        self.reach = np.array(lengths)  # from a node's parent through it to the farthest end
        for node in range(len(self.parents) - 1, -1, -1):
            deepest = max((self.reach[child] for child in self.children[node]), default=0.0)
            self.reach[node] += deepest

    def longest_path(self, node: int) -> list[int]:
        """The node and what follows on the way to the farthest end."""
        path = [node]
        while self.children[path[-1]]:
            path.append(max(self.children[path[-1]], key=lambda child: self.reach[child]))
        return path

    def branches(self, node: int) -> list[int]:
        """First nodes of the long branches that leave here, nodes of no length on the way passed through."""
        heads: list[int] = []
        for child in self.children[node]:
            is_same_place = self.lengths[child] < 1e-3 * self.reach[child]
            inner = self.branches(child) if is_same_place else []
            heads += inner if len(inner) > 1 else [child]
        total = max((self.reach[head] for head in heads), default=0.0)
        return [head for head in heads if self.reach[head] > 0.2 * total]


def roles_by_shape(
    parents: Sequence[int], lengths: Float[np.ndarray, "N"], positions: Float[np.ndarray, "T N 3"]
) -> dict[str, int]:
    """Role to node; empty where the tree is not a body's. positions: in any axes, they tell left from right."""
    tree = Tree(parents, lengths)
    for pelvis in range(len(parents)):
        if len(tree.branches(pelvis)) < 3:
            continue
        for legs in _pairs(tree, tree.branches(pelvis)):
            roles = _with_legs(tree, pelvis, legs)
            if roles:
                return _sided(roles, positions)
    return {}


def _pairs(tree: Tree, branches: Sequence[int]) -> list[tuple[int, int]]:
    """Branches of equal length, the best match first."""
    ratio = {
        (a, b): abs(np.log(tree.reach[a] / tree.reach[b]))
        for a, b in combinations(branches, 2)
        if len(tree.longest_path(a)) == len(tree.longest_path(b))
    }
    return sorted((pair for pair, difference in ratio.items() if difference < EQUAL), key=lambda pair: ratio[pair])


def _with_legs(tree: Tree, pelvis: int, legs: tuple[int, int]) -> dict[str, int]:
    limbs = [_limb(tree, leg, ("Thigh", "Shin", "Foot", "Toe")) for leg in legs]
    for trunk in tree.branches(pelvis):
        if trunk in legs or not all(limbs):
            continue
        for chest in tree.longest_path(trunk):
            branches = tree.branches(chest)
            for arms in _pairs(tree, branches):
                upper = [_limb(tree, arm, ("UpperArm", "ForeArm", "Hand", "")) for arm in arms]
                necks = [branch for branch in branches if branch not in arms]
                if all(upper) and necks:
                    neck = max(necks, key=lambda branch: tree.reach[branch])
                    return _named(pelvis, _head(tree, neck), [limbs[0] | upper[0], limbs[1] | upper[1]])
    return {}


def _limb(tree: Tree, start: int, roles: tuple[str, str, str, str]) -> dict[str, int]:
    """Upper, lower, end, beyond: from the two neighbouring bones that are longest together."""
    path = tree.longest_path(start)
    if len(path) < 3:
        return {}
    bones = tree.lengths[path[1:]]
    pairs = bones[:-1] + bones[1:]
    first = int(np.argmax(pairs))
    if roles[0] == "UpperArm" and first + 1 < len(pairs) and pairs[first + 1] > CLAVICLE_RATIO * pairs[first]:
        first += 1
    upper, lower = float(bones[first]), float(bones[first + 1])
    if min(upper, lower) < SEGMENT_RATIO * max(upper, lower):
        return {}
    nodes = dict(zip(roles, path[first : first + 4], strict=False))
    nodes.pop("", None)
    return nodes


def _head(tree: Tree, neck: int) -> int:
    """The last joint of the neck that has something on it."""
    path = tree.longest_path(neck)
    return path[-2] if len(path) > 1 else path[-1]


def _named(pelvis: int, head: int, sides: list[dict[str, int]]) -> dict[str, int]:
    roles = {"Hips": pelvis, "Head": head}
    for side, limbs in zip((LEFT, RIGHT), sides, strict=True):
        roles |= {side + role: node for role, node in limbs.items()}
    return roles


def _sided(roles: dict[str, int], positions: Float[np.ndarray, "T N 3"]) -> dict[str, int]:
    """Left and right by the toes, which point forward, or else by the knees; each pair of limbs on its own."""
    place = {role: positions[:, node] for role, node in roles.items()}
    feet = (place["LeftFoot"] + place["RightFoot"]) / 2
    up = place["Head"] - feet
    if "LeftToe" in roles and "RightToe" in roles:
        left = np.cross(up, (place["LeftToe"] + place["RightToe"]) / 2 - feet)
    else:
        left = sum(
            np.cross(place[side + "Shin"] - place[side + "Thigh"], place[side + "Foot"] - place[side + "Shin"])
            for side in (LEFT, RIGHT)
        )
    swapped = dict(roles)
    for names in (("Thigh", "Shin", "Foot", "Toe"), ("UpperArm", "ForeArm", "Hand", "Clavicle")):
        if ((place[LEFT + names[0]] - place[RIGHT + names[0]]) * left).sum() < 0:
            for name in names:
                if LEFT + name in roles and RIGHT + name in roles:
                    swapped[LEFT + name], swapped[RIGHT + name] = roles[RIGHT + name], roles[LEFT + name]
    return swapped


def common_ancestor(parents: Sequence[int], a: int, b: int) -> int:
    """The deepest node above both (or one of them)."""
    above = [a, *ancestors(parents, a)]
    return next(node for node in [b, *ancestors(parents, b)] if node in above)


def chain_between(parents: Sequence[int], above: int, below: int) -> list[int]:
    """Nodes from under the nearest ancestor that both share down to `below`, which is the last."""
    stop = {above, *ancestors(parents, above)}
    chain: list[int] = []
    for node in [below, *ancestors(parents, below)]:
        if node in stop:
            break
        chain.append(node)
    return chain[::-1]
