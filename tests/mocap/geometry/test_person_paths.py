from __future__ import annotations

import itertools

import numpy as np

from mocap.geometry.person_paths import LinkRules, Nodes, Tracks, all_paths, best_path, foreign_tracks, own_path

RULES = LinkRules(fps=50.0, max_gap=10)


def _world(tracks_of: list[list[int]], x: list[list[float | None]], score: float = 1.0) -> tuple[Nodes, Tracks]:
    """One hypothesis per person and frame, seen by two cameras at x metres; None where it is not there."""
    frame, camera, track, rows, xyz, at = [], [], [], [], [], []
    for t in range(len(x[0])):
        for person, places in enumerate(x):
            if places[t] is None:
                continue
            rows.append([len(frame), len(frame) + 1])
            frame += [t, t]
            camera += [0, 1]
            track += [2 * tracks_of[person][t], 2 * tracks_of[person][t] + 1]
            xyz.append(np.array([[places[t], 0.0, 1.0], [places[t], 0.3, 1.4]]))
            at.append(t)
    nodes = Nodes(np.array(at), np.array(rows), np.array(xyz), np.ones((len(at), 2)), np.full(len(at), score))
    return nodes, Tracks(np.array(frame), np.array(camera), np.array(track))


def _brute_force(nodes: Nodes, tracks: Tracks) -> float:
    """The best value over every subset of hypotheses with rising frames."""
    best = 0.0
    for n in range(1, len(nodes.frame) + 1):
        for chain in itertools.combinations(range(len(nodes.frame)), n):
            if (np.diff(nodes.frame[list(chain)]) <= 0).any():
                continue
            part = nodes[np.array(chain)]
            value = part.score.sum()
            for a, b in itertools.pairwise(range(n)):
                seconds = min((part.frame[b] - part.frame[a]) / RULES.fps, RULES.longest_step_s)
                jump = np.linalg.norm(part.xyz[b] - part.xyz[a], axis=-1).mean() / (
                    RULES.slack_m + RULES.speed_m_s * seconds
                )
                same = tracks.track[part.rows[a]] == tracks.track[part.rows[b]]
                value -= (
                    RULES.jump_cost * jump**2 - RULES.keep_id * np.where(same, 1, -1).mean() if jump < 2 else np.inf
                )
            best = max(best, value)
    return best


def test_the_path_is_the_best_of_all_chains() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = rng.uniform(-0.3, 0.3, (2, 5)).tolist()
        nodes, tracks = _world([[0] * 5, [1] * 5], x)
        score = rng.uniform(-0.5, 1.5, len(nodes.score))
        nodes = Nodes(nodes.frame, nodes.rows, nodes.xyz, nodes.agreement, score)
        chain, value = best_path(nodes, tracks, RULES)
        assert abs(value - _brute_force(nodes, tracks)) < 1e-9
        assert (np.diff(nodes.frame[chain]) > 0).all()


def test_a_path_goes_on_through_gaps_and_not_to_somebody_far() -> None:
    near: list[float | None] = [0.0] * 10 + [None] * 5 + [0.1] * 10
    far: list[float | None] = [None] * 10 + [3.0] * 5 + [None] * 10
    nodes, tracks = _world([[0] * 25, [1] * 25], [near, far])
    chain, value = best_path(nodes, tracks, RULES)
    assert nodes.frame[chain].tolist() == [*range(10), *range(15, 25)]
    assert value > 19


def test_nobody_stands_in_who_is_seen_beside_the_path() -> None:
    one: list[float | None] = [0.0] * 10 + [None] * 6 + [0.0] * 10
    other: list[float | None] = [0.5] * 26
    nodes, tracks = _world([[0] * 26, [1] * 26], [one, other])
    score = np.where(np.abs(nodes.xyz[:, 0, 0]) < 0.1, 2.0, 1.0)
    nodes = Nodes(nodes.frame, nodes.rows, nodes.xyz, nodes.agreement, score)
    plain = nodes.frame[best_path(nodes, tracks, RULES)[0]]
    assert len(plain) > 20  # frames of the other one are worth two short hops
    chain, _ = own_path(nodes, tracks, RULES)
    assert nodes.frame[chain].tolist() == [*range(10), *range(16, 26)]
    assert foreign_tracks(nodes[chain], tracks).tolist() == [False, False, True, True]


def test_everybody_gets_a_path_of_their_own_the_best_first() -> None:
    nodes, tracks = _world([[0] * 8, [1] * 8], [[0.0] * 8, [1.5] * 5 + [None] * 3])
    found = all_paths(nodes, tracks, RULES, max_people=5)
    assert [len(chain) for chain, _ in found] == [8, 5]
    assert found[0][1] > found[1][1]
    assert len(all_paths(nodes, tracks, RULES, max_people=1)) == 1
    used = np.concatenate([nodes.rows[chain].ravel() for chain, _ in found])
    assert len(np.unique(used)) == len(used)


def test_without_reward_there_is_no_path() -> None:
    nodes, tracks = _world([[0] * 4], [[0.0] * 4], score=-0.1)
    assert best_path(nodes, tracks, RULES)[0].shape == (0,)
    assert all_paths(nodes, tracks, RULES, max_people=3) == []
    assert all_paths(nodes[np.zeros(4, dtype=bool)], tracks, RULES, max_people=3) == []
