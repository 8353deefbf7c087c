"""People over time: chains of per-frame hypotheses that are well seen and move like one body.

A chain is the best path through all hypotheses of all frames (a Viterbi recursion): it collects their scores, pays for
jumps, may skip frames in which the person is hidden, and prefers to keep the detector's own track ids without trusting
them. Nothing is decided before the whole take is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped


@dataclass(frozen=True, eq=False)
class Tracks:
    """Every single-image sighting: its frame, its camera, and the id of its track within that camera (R,)."""

    frame: Int[np.ndarray, "R"]
    camera: Int[np.ndarray, "R"]
    track: Int[np.ndarray, "R"]


@dataclass(frozen=True, eq=False)
class Nodes:
    """Hypotheses sorted by frame. rows (H, C): sighting per camera, -1 for none. xyz (H, J, 3) m, NaN for joints
    without a place. agreement (H, C) of each view; score (H,): reward per frame."""

    frame: Int[np.ndarray, "H"]
    rows: Int[np.ndarray, "H C"]
    xyz: Float[np.ndarray, "H J 3"]
    agreement: Float[np.ndarray, "H C"]
    score: Float[np.ndarray, "H"]

    def __getitem__(self, keep: Shaped[np.ndarray, "n"]) -> Nodes:
        """Some of them, by index or mask."""
        return Nodes(self.frame[keep], self.rows[keep], self.xyz[keep], self.agreement[keep], self.score[keep])


@dataclass(frozen=True)
class LinkRules:
    """What one body can do between two sightings.

    fps; max_gap: frames that may be skipped; speed_m_s and slack_m: a mean joint displacement of slack + speed x time
    costs `jump_cost`, twice that is impossible, and time counts up to `longest_step_s` only, so that nobody hops
    to somebody else while hidden; keep_id: reward for the same track in all shared cameras (the same amount is paid for
    different ones).
    """

    fps: float
    max_gap: int
    speed_m_s: float = 4.0
    slack_m: float = 0.1
    longest_step_s: float = 0.25
    jump_cost: float = 1.0
    keep_id: float = 0.3


IMPOSSIBLE = 2.0
"""Multiples of the expected displacement beyond which two hypotheses are not one person."""
OWN_ROUNDS = 3
"""How often a path is searched again without what turned out to be somebody else's."""
RECENT = 3
"""Frames for which a hypothesis stays open for successors although it has found one: a bad frame may follow."""


def best_path(nodes: Nodes, tracks: Tracks, rules: LinkRules) -> tuple[Int[np.ndarray, "n"], float]:
    """Indices of the chain with the largest sum of scores less the cost of its links, and that sum.

    Empty where no hypothesis has a positive score. The recursion runs frame by frame over the few hypotheses that are
    still open; it is the only loop over time here and has no linear algebra in it.
    """
    value, parent = np.array(nodes.score), np.full(len(nodes.score), -1)
    continued = np.zeros(len(value), dtype=bool)
    ids = np.where(nodes.rows >= 0, tracks.track[nodes.rows], -1)
    frames, starts = np.unique(nodes.frame, return_index=True)
    stops = np.append(starts[1:], len(value))
    open_ = np.zeros(0, dtype=np.int64)
    for frame, start, stop in zip(frames, starts, stops, strict=True):
        age = frame - nodes.frame[open_]
        open_ = open_[(age <= rules.max_gap + 1) & ((age <= RECENT) | ~continued[open_])]
        now = np.arange(start, stop)
        if len(open_):
            gain = value[open_] - _link_cost(nodes, ids, now, open_, rules)
            best = gain.argmax(-1)
            reached = gain[np.arange(len(now)), best]
            linked = reached > 0
            value[now[linked]] += reached[linked]
            parent[now[linked]] = open_[best[linked]]
            continued[open_[best[linked]]] = True
        open_ = np.append(open_, now[value[now] > 0])
    return _trace(value, parent)


def _trace(value: Float[np.ndarray, "H"], parent: Int[np.ndarray, "H"]) -> tuple[Int[np.ndarray, "n"], float]:
    if not len(value) or value.max() <= 0:
        return np.zeros(0, dtype=np.int64), 0.0
    chain = [int(value.argmax())]
    while parent[chain[-1]] >= 0:
        chain.append(int(parent[chain[-1]]))
    return np.array(chain[::-1]), float(value.max())


def _link_cost(
    nodes: Nodes,
    ids: Int[np.ndarray, "H C"],
    now: Int[np.ndarray, "K"],
    before: Int[np.ndarray, "A"],
    rules: LinkRules,
) -> Float[np.ndarray, "K A"]:
    """What it costs that hypothesis `now` continues hypothesis `before`; infinite where a body cannot."""
    elapsed_s = np.minimum((nodes.frame[now][:, None] - nodes.frame[before]) / rules.fps, rules.longest_step_s)
    moved = np.linalg.norm(nodes.xyz[now][:, None] - nodes.xyz[before], axis=-1)
    shared = np.isfinite(moved)
    count = shared.sum(-1)
    mean = np.where(shared, moved, 0.0).sum(-1) / np.maximum(count, 1)
    jump = mean / (rules.slack_m + rules.speed_m_s * elapsed_s)
    one, other = ids[now][:, None], ids[before]
    known = (one >= 0) & (other >= 0)
    kept = np.where(known, np.where(one == other, 1.0, -1.0), 0.0).sum(-1) / np.maximum(known.sum(-1), 1)
    cost = rules.jump_cost * jump**2 - rules.keep_id * kept
    return np.where((count > 0) & (jump < IMPOSSIBLE), cost, np.inf)


def own_path(nodes: Nodes, tracks: Tracks, rules: LinkRules) -> tuple[Int[np.ndarray, "n"], float]:
    """`best_path` without stretches that belong to somebody else who is also there while the person is seen.

    A track is foreign when it is seen beside the path in more frames than on it. Hypotheses half or more of foreign
    tracks leave, and the path is found again: a bystander does not stand in while the person is away.
    """
    left = np.arange(len(nodes.frame))
    chain, value = best_path(nodes, tracks, rules)
    for _ in range(OWN_ROUNDS):
        members = nodes.rows[left] >= 0
        foreign = foreign_tracks(nodes[left[chain]], tracks)[tracks.track[nodes.rows[left]]] & members
        mostly = foreign.sum(-1) * 2 >= members.sum(-1)
        if not mostly[chain].any():
            break
        left = left[~mostly]
        chain, value = best_path(nodes[left], tracks, rules)
    return left[chain], value


def foreign_tracks(path: Nodes, tracks: Tracks) -> Bool[np.ndarray, "K"]:
    """Which tracks are seen in more frames beside the path (in a camera that shows it) than on it."""
    n_tracks = int(tracks.track.max(initial=-1)) + 1
    node = np.full(int(tracks.frame.max(initial=-1)) + 1, -1)
    node[path.frame] = np.arange(len(path.frame))
    at = node[tracks.frame]
    shown = np.where(at >= 0, path.rows[at, tracks.camera] if len(path.frame) else -1, -1)
    mine = shown == np.arange(len(at))
    on_path = np.bincount(tracks.track[mine], minlength=n_tracks)
    beside = np.bincount(tracks.track[(shown >= 0) & ~mine], minlength=n_tracks)
    return beside > on_path


def all_paths(
    nodes: Nodes, tracks: Tracks, rules: LinkRules, *, max_people: int
) -> list[tuple[Int[np.ndarray, "n"], float]]:
    """Chains in descending order of value; no sighting belongs to two of them. At most `max_people`."""
    left = np.arange(len(nodes.frame))
    found: list[tuple[np.ndarray, float]] = []
    while len(left) and len(found) < max_people:
        chain, value = own_path(nodes[left], tracks, rules)
        if not len(chain):
            break
        chain = left[chain]
        found.append((chain, value))
        taken = np.unique(nodes.rows[chain])
        left = left[~np.isin(nodes.rows[left], taken[taken >= 0]).any(-1)]
    return found
