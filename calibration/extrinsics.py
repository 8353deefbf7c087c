"""From views of a board to a first rig: pairs of cameras, the graph they make, poses along its best paths.

The result is a start for bundle adjustment, good to a few millimetres where views are sharp and taken at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from calibration.board_motion import BoardMotion
from calibration.camera import Camera, Intrinsics, Rig
from calibration.camera_graph import GraphSolution, components, solve_graph
from calibration.errors import CalibrationError
from calibration.extrinsics_boards import place_boards
from calibration.extrinsics_pairs import PairPose, pair_poses
from calibration.extrinsics_views import PosedViews
from calibration.observations import BoardObservations


class DisconnectedCamerasError(CalibrationError):
    """Cameras that share no view of the board with the others; the message names them."""


@dataclass(frozen=True)
class ExtrinsicsConfig:
    """min_moments: a pair of cameras with fewer common moments is not used. few_moments: a camera that hangs on fewer
    is worth a sentence."""

    min_moments: int = 1
    few_moments: int = 5


@dataclass(frozen=True)
class CameraEdge:
    """A pair of cameras: how many moments they share, how many of these agree with each other, the corners that both
    saw, the typical (median over moments) error in the second's pictures of a board placed by the first, whether the
    pair carries the solution, by how much it contradicts it, and why it was rejected."""

    cameras: tuple[str, str]
    n_moments: int
    n_agreeing: int
    n_corners: int
    rms_px: float
    used: bool
    in_tree: bool
    turn_rad: float
    shift_m: float
    reason: str = ""


@dataclass(frozen=True)
class ExtrinsicsReport:
    """edges: pairs of cameras that share moments. components: groups of connected cameras, the largest first.
    n_views: views with a pose, by camera. sentences: what the user should know. doubtful: cameras that no pair with
    enough moments can be trusted of: a clock apart from the others', a mirrored picture, a camera that was moved.
    misfits: views (their indices) in which something else was taken for the board; leave them out of what follows."""

    edges: tuple[CameraEdge, ...]
    components: tuple[tuple[str, ...], ...]
    n_views: dict[str, int]
    sentences: tuple[str, ...]
    doubtful: tuple[str, ...] = ()
    misfits: tuple[int, ...] = ()


def initial_rig(
    observations: BoardObservations, intrinsics: Mapping[str, Intrinsics], config: ExtrinsicsConfig | None = None
) -> tuple[Rig, BoardMotion, ExtrinsicsReport]:
    """All cameras and the board at all moments, in the axes of the first camera, metres.

    Raises `DisconnectedCamerasError` when the views do not tie all cameras together.
    """
    config = config or ExtrinsicsConfig()
    views = PosedViews.of(observations, intrinsics)
    if not views.there.any():
        raise CalibrationError(
            "no camera saw enough of the board for a pose",
            remedy=f"Hold it where {', '.join(observations.cameras)} see all of it, large in the picture.",
        )
    pairs = [p for p in pair_poses(views) if p.n_moments >= config.min_moments]
    groups = components(len(observations.cameras), pairs)
    if len(groups) > 1:
        raise _disconnected(views, groups)
    solution = solve_graph(groups[0], pairs)
    names = observations.cameras
    rig = Rig(tuple(Camera(names[i], intrinsics[names[i]], solution.poses[i]) for i in groups[0]))
    return rig, place_boards(views, rig), _report(views, pairs, solution, config)


def _report(
    views: PosedViews, pairs: Sequence[PairPose], solution: GraphSolution, config: ExtrinsicsConfig
) -> ExtrinsicsReport:
    names = views.observations.cameras
    edges = []
    for i, pair in enumerate(pairs):
        both = views.there[pair.first] & views.there[pair.second]
        first, second = views.view[pair.first, both], views.view[pair.second, both]
        edges.append(
            CameraEdge(
                (names[pair.first], names[pair.second]),
                pair.n_moments,
                pair.n_agreeing,
                _common_corners(views.observations, first, second),
                _transfer_rms(views, pair, first, second),
                i in solution.used,
                i in solution.tree,
                float(solution.turn[i]),
                float(solution.shift_m[i]),
                _reason(solution, i),
            )
        )
    n_views = {name: int(views.there[i].sum()) for i, name in enumerate(names)}
    doubtful = _doubtful(edges, names, config)
    sentences = (*_misfit_sentences(views), *_sentences(edges, doubtful, config))
    misfits = tuple(np.flatnonzero(views.misfit).tolist())
    return ExtrinsicsReport(tuple(edges), (tuple(names),), n_views, sentences, doubtful, misfits)


def _reason(solution: GraphSolution, i: int) -> str:
    if i in solution.used:
        return ""
    turn, shift = np.degrees(solution.turn[i]), solution.shift_m[i]
    return f"contradicts the other pairs by {turn:.1f}° and {100 * shift:.0f} cm"


def _doubtful(edges: Sequence[CameraEdge], names: Sequence[str], config: ExtrinsicsConfig) -> tuple[str, ...]:
    """Cameras all of whose pairs are at odds with themselves, where other pairs are not."""
    telling = [edge for edge in edges if edge.n_moments >= config.few_moments]
    odd = {name: [_at_odds(edge) for edge in telling if name in edge.cameras] for name in names}
    if all(_at_odds(edge) for edge in telling) and len(names) > 2:
        return ()
    return tuple(name for name in names if odd[name] and all(odd[name]))


def _misfit_sentences(views: PosedViews) -> list[str]:
    """One for every camera in whose pictures something else was taken for the board."""
    said = []
    for camera, name in enumerate(views.observations.cameras):
        frames = views.observations.view_frame[views.misfit & (views.observations.view_camera == camera)].tolist()
        if frames:
            listed = ", ".join(map(str, frames[:5])) + (", …" if len(frames) > 5 else "")
            said.append(
                f"In {len(frames)} pictures of camera {name} (frames {listed}) something that is not this board was "
                f"taken for it: left out."
            )
    return said


def _at_odds(edge: CameraEdge) -> bool:
    return edge.n_agreeing < 0.5 * edge.n_moments


def _sentences(edges: Sequence[CameraEdge], doubtful: Sequence[str], config: ExtrinsicsConfig) -> list[str]:
    said = []
    for name in doubtful:
        theirs = [edge for edge in edges if name in edge.cameras and edge.n_moments >= config.few_moments]
        counts = ", ".join(f"{e.n_agreeing} of {e.n_moments} with {_other(e, name)}" for e in theirs)
        said.append(
            f"What camera {name} saw does not fit what the others saw at the same moments ({counts} agree): is its "
            f"picture mirrored, its clock apart from theirs, another camera's clip in its place, or was it moved?"
        )
    for e in (e for e in edges if not set(e.cameras) & set(doubtful)):
        pair = f"Cameras {e.cameras[0]} and {e.cameras[1]}"
        if not e.used:
            said.append(f"{pair} share {e.n_moments} moments, but this pair {e.reason}: left out.")
        elif e.n_moments >= config.few_moments and _at_odds(e):
            said.append(
                f"{pair} share {e.n_moments} moments, of which {e.n_agreeing} agree on how they stand to each other: "
                f"are their clocks apart, or was one of them moved?"
            )
        elif e.in_tree and e.n_agreeing < config.few_moments:
            said.append(
                f"{pair} hang together by {e.n_agreeing} moments only, and nothing ties them better: show the board to "
                f"both at once for some seconds more."
            )
    return said


def _other(edge: CameraEdge, name: str) -> str:
    return edge.cameras[1] if edge.cameras[0] == name else edge.cameras[0]


def _common_corners(observations: BoardObservations, first: Int[np.ndarray, "M"], second: Int[np.ndarray, "M"]) -> int:
    seen = np.zeros((observations.n_views, len(observations.points)), dtype=bool)
    seen[observations.view, observations.corner] = True
    return int((seen[first] & seen[second]).sum())


def _transfer_rms(
    views: PosedViews, pair: PairPose, first: Int[np.ndarray, "M"], second: Int[np.ndarray, "M"]
) -> float:
    """Median over the moments of the rms (px) in the second camera, of the better of the first one's solutions."""
    seen, poses = views.rays.of(second), views.poses
    square = []
    for R, t in ((poses.R, poses.t), (poses.R_second, poses.t_second)):
        there = np.isfinite(t[first, 0])
        R_first = np.where(there[:, None, None], R[first], np.eye(3))
        center = pair.pose.apply(np.where(there[:, None], t[first], 0.0) + R_first @ views.middle)
        residual = (seen.residual_px(pair.pose.R @ R_first, center) ** 2).sum(axis=(-2, -1)) / seen.mask.sum(axis=1)
        square.append(np.where(there, residual, np.inf))
    return float(np.sqrt(np.median(np.minimum(*square))))


def _disconnected(views: PosedViews, groups: Sequence[tuple[int, ...]]) -> DisconnectedCamerasError:
    """The largest group counts as the rig, the others have to be tied to it."""
    observations, count = views.observations, views.there.sum(axis=1)
    groups = sorted(groups, key=lambda group: (-len(group), -count[list(group)].sum(), group))
    main = groups[0]
    main_names = _listed(observations, main, "or")
    facts, remedies = [], []
    blind = [i for group in groups[1:] for i in group if not count[i]]
    if blind:
        facts.append(f"{_cameras(observations, blind)} never saw {_enough(observations, blind)}")
        who = _listed(observations, blind, "and") + (" sees" if len(blind) == 1 else " each see")
        remedies.append(f"Hold it so that {who} it at the same moment as {main_names}")
    for group in (g for g in groups[1:] if count[list(g)].any()):
        pictures = " and ".join(str(count[i]) for i in group)
        facts.append(
            f"{_cameras(observations, group)} saw the board in {pictures} pictures, but never when {main_names} did"
        )
        near = _nearest_in_time(views, group, main)
        remedies.append(f"Hold it so that {_listed(observations, group, 'or')} sees it at the same moment as {near}")
    return DisconnectedCamerasError(
        f"not all cameras are tied together by common views of the board: {'; '.join(facts)}",
        remedy=". ".join(remedies) + ".",
    )


def _listed(observations: BoardObservations, cameras: Sequence[int], word: str) -> str:
    names = [observations.cameras[i] for i in cameras]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def _cameras(observations: BoardObservations, cameras: Sequence[int]) -> str:
    return ("camera " if len(cameras) == 1 else "cameras ") + _listed(observations, cameras, "and")


def _enough(observations: BoardObservations, cameras: Sequence[int]) -> str:
    parts = int(np.isin(observations.view_camera, list(cameras)).sum())
    return f"enough of the board for a pose (parts of it in {parts} pictures)" if parts else "the board (0 pictures)"


def _nearest_in_time(views: PosedViews, group: Sequence[int], others: Sequence[int]) -> str:
    """The other camera that saw the board soonest before or after a camera of the group did: likely its neighbour."""
    apart = {
        other: float(np.abs(_times(views, group)[:, None] - times).min())
        for other in others
        if len(times := _times(views, [other]))
    }
    nearest = min(apart, key=lambda i: (apart[i], i))
    how = f"which saw it {apart[nearest]:.1f} s apart" + ("; any of the others will do" if len(apart) > 1 else "")
    return f"{views.observations.cameras[nearest]} ({how})"


def _times(views: PosedViews, cameras: Sequence[int]) -> Float[np.ndarray, "n"]:
    view = views.view[list(cameras)]
    return views.observations.view_time_s[view[view >= 0]]
