"""Left and right as all views and their course in time agree on: what a detector exchanged is exchanged back.

Trunk (with the face), arms and legs are judged apart, as networks turn the whole person round or only cross the legs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field

from calibration.camera import Rig
from mocap.core.config import Config, Report
from mocap.core.keypoints import Keypoints2D, KeypointSet
from mocap.geometry.projection import camera_tensors, rays
from mocap.geometry.side_labels import PairRays, nearest_points
from mocap.geometry.side_repair import STAYING, SideRules, ray_distances, side_labels
from mocap.geometry.threads import one_thread

PARTS: dict[str, tuple[str, ...]] = {
    "trunk": ("shoulder", "hip"),
    "legs": ("knee", "ankle", "heel"),
    "arms": ("elbow", "wrist"),
}
"""The keypoints that a part is judged by."""
FOLLOWERS: dict[str, tuple[str, ...]] = {
    "trunk": ("eye", "ear", "mouth", "face", "pupil"),
    "legs": ("toe", "foot"),
    "arms": ("",),
}
"""Words in the names of further keypoints that go with a part; arms have the fingers, whatever they are called."""
WHOLE_PERSON = 0.5
"""Of the cost of an exchange, that speaks for it in a view in which all other parts are exchanged. Seen from the side
hips and shoulders coincide, and nothing else would tell."""
FAR_M = 4.0
"""Taken for the distance of people whom no two views show."""
NAMED = 4
"""Runs that the sentence names; all are in the report."""


class RepairConfig(Config):
    """enabled: whether anything is exchanged at all. tolerance_mm: distance of a ray from the agreed point at which it
    is at half weight: the detector's noise. swap_share: of views and frames in which a detector exchanges the sides of
    a part anew, as one expects; smaller wants more evidence. speed_m_s: how fast limbs are taken to move from frame to
    frame.
    """

    enabled: bool = True
    tolerance_mm: float = Field(default=40.0, gt=0)
    swap_share: float = Field(default=0.02, gt=0, lt=0.5)
    speed_m_s: float = Field(default=1.5, gt=0)


class Exchange(Report):
    """One run of frames in which a view had the sides of a part exchanged. frames: those in it that show the part.

    before_mm, after_mm: mean distance of the view's rays from the points that all views agree on.
    """

    person: int
    camera: str
    part: str
    first: int
    last: int
    frames: int
    before_mm: float | None
    after_mm: float | None


class RepairReport(Report):
    """exchanges: every one, by person, part, camera and time. share: of what was seen (parts in views in frames)."""

    n_frames: int
    exchanges: list[Exchange]
    exchanged: dict[str, dict[str, int]]
    share: float
    sentences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Part:
    """judged: (K, 2) left and right columns; moved: (M, 2) all that is exchanged with them."""

    name: str
    judged: Int[np.ndarray, "K 2"]
    moved: Int[np.ndarray, "M 2"]


def repair(points: Keypoints2D, rig: Rig, config: RepairConfig) -> tuple[Keypoints2D, RepairReport]:
    """The keypoints with sides that were exchanged put back; all others are the very same numbers."""
    parts = _parts(points.keypoint_set)
    n_seen = sum(int((points.confidence[..., part.judged] > 0).any((-1, -2)).sum()) for part in parts)
    if not config.enabled or len(points.cameras) < 2 or not parts or not points.n_frames:
        return points, _report(points, [], n_seen)
    cameras = rig.subset(points.cameras)
    rules = SideRules(config.tolerance_mm / 1000, -float(np.log(config.swap_share)), config.speed_m_s, points.fps)
    xy, confidence, found = points.xy.copy(), points.confidence.copy(), []
    with one_thread():
        for person in range(points.n_people):
            seen = [_rays(points, cameras, person, part) for part in parts]
            labelled = _labels(seen, _far_m(points, cameras, person, parts), rules)
            for part, lines, labels in zip(parts, seen, labelled, strict=True):
                _exchange((xy[:, person], confidence[:, person]), labels, part)
                if labels.any():
                    found += _runs(lines, labels, rules, (person, part.name, points.cameras))
    if not found:
        return points, _report(points, [], n_seen)
    repaired = Keypoints2D(points.cameras, points.keypoint_set, xy, confidence, points.fps)
    return repaired, _report(points, found, n_seen)


def _labels(seen: list[PairRays], far_m: Float[np.ndarray, "T C"], rules: SideRules) -> list[Bool[np.ndarray, "T C"]]:
    """Of every part: first by itself; then once more where all others are exchanged, as it is then most likely too."""
    labelled = [side_labels(lines, far_m, rules) for lines in seen]
    settled = []
    for i, lines in enumerate(seen):
        others = labelled[:i] + labelled[i + 1 :]
        turned = np.logical_and.reduce(others) if len(others) > 1 else np.zeros_like(labelled[i])
        word = np.where(turned, -WHOLE_PERSON * rules.swap_cost, STAYING * rules.swap_cost)
        settled.append(side_labels(lines, far_m, rules, word=word) if turned.any() else labelled[i])
    return settled


def _parts(keypoint_set: KeypointSet) -> list[_Part]:
    """Those of which the set has pairs."""
    pairs = {pair: _part_of(pair[0]) for pair in keypoint_set.mirror_pairs}
    parts = []
    for name, judges in PARTS.items():
        mine = [pair for pair, part in pairs.items() if part == name]
        judged = [pair for pair in mine if pair[0].removeprefix("left_") in judges]
        if judged:
            columns = (np.array([keypoint_set.indices(pair) for pair in some]) for some in (judged, mine))
            parts.append(_Part(name, *columns))
    return parts


def _part_of(name: str) -> str:
    plain = name.removeprefix("left_")
    by_name = [part for part, judges in PARTS.items() if plain in judges]
    by_word = [part for part, words in FOLLOWERS.items() if any(word in plain for word in words)]
    return (by_name + by_word)[0]


def _rays(points: Keypoints2D, rig: Rig, person: int, part: _Part) -> PairRays:
    xy = points.xy[:, person][:, :, part.judged].transpose(0, 1, 3, 2, 4)
    weight = points.confidence[:, person][:, :, part.judged].transpose(0, 1, 3, 2)
    return _pair_rays(rig, xy, weight)


def _pair_rays(rig: Rig, xy: Float[np.ndarray, "T C 2 K 2"], weight: Float[np.ndarray, "T C 2 K"]) -> PairRays:
    cameras = camera_tensors(rig)
    views_last = torch.from_numpy(np.moveaxis(xy, 1, -2).copy())
    directions = rays(cameras, views_last).movedim(-2, 1)
    lost = directions.isnan().any(-1)
    return PairRays(
        cameras.centers,
        torch.where(lost[..., None], 0.0, directions),
        torch.where(lost, 0.0, torch.from_numpy(weight)),
    )


def _far_m(points: Keypoints2D, rig: Rig, person: int, parts: list[_Part]) -> Float[np.ndarray, "T C"]:
    """Distance of a person from every camera, from the middles between left and right, which no exchange moves; where
    unknown, that of the next known frame."""
    columns = np.concatenate([part.judged for part in parts])
    middle = points.xy[:, person][:, :, columns].mean(-2)[:, :, None].repeat(2, axis=2)
    lines = _pair_rays(rig, middle, np.ones(middle.shape[:-1]))
    places = nearest_points(lines, tolerance_m=0.1).numpy()[:, 0]
    far = np.linalg.norm(places[:, None] - lines.origins.numpy()[:, None], axis=-1)  # (T, C, K)
    known = np.isfinite(far).any((1, 2))
    if not known.any():
        return np.full(far.shape[:2], FAR_M)
    middle_m = np.nanmedian(far[known], axis=-1)
    following = np.searchsorted(np.flatnonzero(known), np.arange(len(far)))
    return middle_m[np.minimum(following, len(middle_m) - 1)]


def _exchange(arrays: tuple[np.ndarray, ...], labels: Bool[np.ndarray, "T C"], part: _Part) -> None:
    frame, view = np.nonzero(labels)
    left, right = part.moved.T
    for array in arrays:
        rows = array[frame, view]
        rows[:, left], rows[:, right] = rows[:, right], rows[:, left]
        array[frame, view] = rows


def _runs(
    lines: PairRays, labels: Bool[np.ndarray, "T C"], rules: SideRules, whose: tuple[int, str, tuple[str, ...]]
) -> list[Exchange]:
    """Frames in a row; frames in which the view shows nothing do not end a run."""
    person, part, cameras = whose
    seen = (lines.weight > 0).any(-1).any(-1).numpy()
    apart = 1000 * ray_distances(lines, labels, rules.tolerance_m)
    runs = []
    for c in np.flatnonzero(labels.any(0)):
        frames = np.flatnonzero(seen[:, c])
        mine = labels[frames, c].astype(np.int8)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mine, [0]])))
        for start, stop in edges.reshape(-1, 2):
            run = frames[start:stop]
            before, after = (_mean(apart[run, c, i]) for i in range(2))
            runs.append(
                Exchange(
                    person=person,
                    camera=cameras[c],
                    part=part,
                    first=int(run[0]),
                    last=int(run[-1]),
                    frames=len(run),
                    before_mm=before,
                    after_mm=after,
                )
            )
    return runs


def _mean(values: Float[np.ndarray, "n"]) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(known.mean()), 1) if len(known) else None


def _report(points: Keypoints2D, found: list[Exchange], n_seen: int) -> RepairReport:
    exchanged: dict[str, dict[str, int]] = {}
    for run in found:
        counts = exchanged.setdefault(run.camera, {})
        counts[run.part] = counts.get(run.part, 0) + run.frames
    total = sum(run.frames for run in found)
    return RepairReport(
        n_frames=points.n_frames,
        exchanges=found,
        exchanged=exchanged,
        share=total / n_seen if n_seen else 0.0,
        sentences=(_sentence(found),) if found else (),
    )


def _sentence(found: list[Exchange]) -> str:
    longest = sorted(found, key=lambda run: -run.frames)
    named = [
        f"{run.camera} {run.part} in frames {run.first}–{run.last}" if run.frames > 1 else
        f"{run.camera} {run.part} in frame {run.first}"
        for run in longest[:NAMED]
    ]  # fmt: skip
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"left and right were exchanged and have been put back: {', '.join(named)}{more}"
