"""One person in all views: from people per image to the subject's keypoints over cameras and time.

Geometry decides. In every frame combinations of detections whose rays meet become people in space; over the take they
are chained into paths that move like one body; the subject is the path that most cameras see over most frames (or the
one nearest to a point). Neither size in the image nor the detector's track ids decide.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator

from calibration.camera import Rig
from mocap.core.config import Config, Report
from mocap.core.errors import InputError, NoPersonError
from mocap.core.keypoints import Detections2D, Keypoints2D, KeypointSet
from mocap.geometry.people import Sightings, people_in_frames
from mocap.geometry.person_paths import LinkRules, Nodes, Tracks, all_paths, foreign_tracks
from mocap.geometry.projection import camera_tensors, rays
from mocap.geometry.threads import one_thread
from mocap.signal.tracklets import tracklets

CHUNK_FRAMES = 128
"""Frames whose combinations are looked at together: some 10 MB with four cameras and three people."""
SIMILAR_BUILD = 0.1
"""Median difference of log limb lengths up to which two stretches of a path may be the same person."""
LEAST_STRETCH_S = 0.15
"""A stretch shorter than this says nothing about build: it stays where it is and is nobody who comes back. A longer gap
ends a stretch."""
RIVAL = 0.8
"""Share of the chosen combination's score from which one that contradicts it makes a frame ambiguous."""


class AssociateConfig(Config):
    """Who the subject is, and how far views may disagree.

    subject: "most_seen" or "nearest" to the point `nearest_to_m` (x, y, z in the world). tolerance_mm: distance of a
    ray to a joint at which it counts half; room for the detector's noise and for small faults of the calibration.
    min_agreement: mean over joints from which a view belongs to a person. max_absence_s: how long the subject may be
    hidden and be followed on; rejoin: whether someone of the same build who appears after a longer absence, while the
    subject is not there, is the subject again. max_people: people in space that are told apart.
    """

    subject: Literal["most_seen", "nearest"] = "most_seen"
    nearest_to_m: tuple[float, float, float] | None = None
    tolerance_mm: float = Field(default=70.0, gt=0)
    min_agreement: float = Field(default=0.35, gt=0, lt=1)
    max_absence_s: float = Field(default=1.0, ge=0)
    rejoin: bool = True
    max_people: int = Field(default=6, ge=1)

    @model_validator(mode="after")
    def _point_is_given(self) -> AssociateConfig:
        if self.subject == "nearest" and self.nearest_to_m is None:
            raise ValueError('subject = "nearest" needs the point nearest_to_m = [x, y, z]')
        return self


class AssociateReport(Report):
    """Whom the views agree on. Shares are of all frames.

    camera_share: frames in which the camera shows the subject; agreement: mean consistency of its rays there, in
    [0, 1], 1/2 at the tolerance. discarded: detections that are not the subject. frames_by_views: how many frames have
    the subject in 0, 1, 2, … views. ambiguous_frames: a contradicting combination was nearly as good.
    tracks_used: how many of the detector's ids the subject had in each camera. rejoined: paths joined after absences.
    """

    n_frames: int
    subject: str
    people_seen: int
    camera_share: dict[str, float]
    agreement: dict[str, float]
    discarded: dict[str, int]
    frames_by_views: dict[int, int]
    frames_below_two_views: int
    ambiguous_frames: int
    tracks_used: dict[str, int]
    rejoined: int
    sentences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Subject:
    """rows (T, C): the sighting in each frame and camera, -1 for none; agreement (T, C); what else was seen."""

    rows: Int[np.ndarray, "T C"]
    agreement: Float[np.ndarray, "T C"]
    ambiguous: Bool[np.ndarray, "T"]
    people_seen: int
    rejoined: int


def associate(
    detections: Detections2D, rig: Rig, config: AssociateConfig, *, fps: float
) -> tuple[Keypoints2D, AssociateReport]:
    """The subject's keypoints in every camera and frame (P = 1) and a report; frames without the subject are NaN."""
    cameras = rig.subset(detections.cameras)
    if len(cameras) < 2:
        raise InputError(
            "one camera is not enough to find people in space", remedy="Add the videos of at least one other camera."
        )
    if not len(detections):
        raise NoPersonError("nobody was detected in any view", remedy="Check that the videos show a person.")
    with one_thread():
        nodes = _people(detections, cameras, config)
    subject = _find_subject(detections, nodes, config, fps)
    seen = subject.rows >= 0
    xy = np.where(seen[..., None, None], detections.xy[subject.rows], np.nan)
    confidence = np.where(seen[..., None], detections.confidence[subject.rows], 0.0)
    points = Keypoints2D(detections.cameras, detections.keypoint_set, xy[:, None], confidence[:, None], fps)
    return points, _report(detections, subject, config)


def _people(detections: Detections2D, rig: Rig, config: AssociateConfig) -> Nodes:
    """Everybody who could be anywhere, frame by frame."""
    sightings = _sightings(detections, rig)
    edges = np.searchsorted(detections.frame, np.arange(0, detections.n_frames + CHUNK_FRAMES, CHUNK_FRAMES))
    parts = [
        (
            start,
            people_in_frames(
                sightings.part(slice(start, stop)),
                tolerance_m=config.tolerance_mm / 1000,
                min_agreement=config.min_agreement,
            ),
        )
        for start, stop in pairwise(edges.tolist())
    ]
    return Nodes(
        frame=torch.cat([part.frame for _, part in parts]).numpy(),
        rows=torch.cat([torch.where(part.rows >= 0, part.rows + start, -1) for start, part in parts]).numpy(),
        xyz=torch.cat([part.xyz for _, part in parts]).numpy(),
        agreement=torch.cat([part.agreement for _, part in parts]).numpy(),
        score=torch.cat([part.score for _, part in parts]).numpy(),
    )


def _sightings(detections: Detections2D, rig: Rig) -> Sightings:
    """Detections as rays of the keypoints that people are compared by."""
    joints, mirror = _joints(detections.keypoint_set)
    px, camera = torch.tensor(detections.xy[:, joints]), torch.tensor(detections.camera)
    directions = torch.zeros((*px.shape[:2], 3), dtype=torch.float64)
    for index, name in enumerate(rig.names):
        mine = camera == index
        directions[mine] = rays(camera_tensors(rig.subset([name])), px[mine].unsqueeze(-2)).squeeze(-2)
    unseen = directions.isnan().any(-1)
    return Sightings(
        frame=torch.tensor(detections.frame),
        camera=camera,
        origins=camera_tensors(rig).centers[camera],
        directions=torch.where(unseen[..., None], 0.0, directions),
        weight=torch.where(unseen, 0.0, torch.tensor(detections.confidence[:, joints])),
        mirror=torch.tensor(mirror),
        n_cameras=len(rig),
    )


def _joints(keypoint_set: KeypointSet) -> tuple[Int[np.ndarray, "J"], Int[np.ndarray, "J"]]:
    """The keypoints people are compared by, and where each stands when left and right are exchanged."""
    chosen = keypoint_set.indices(keypoint_set.body or keypoint_set.names)
    place = {int(joint): i for i, joint in enumerate(chosen)}
    partner = [place.get(int(keypoint_set.mirror_permutation[joint]), i) for i, joint in enumerate(chosen)]
    return chosen, np.array(partner)


def _nobody_found(detections: Detections2D) -> NoPersonError:
    showing = [detections.cameras[index] for index in np.unique(detections.camera)]
    if len(showing) == 1:
        return NoPersonError(
            f"only {showing[0]} shows anybody; a second view is needed",
            remedy="Check that the other videos show the person, upright; `rotation` in session.toml turns them.",
        )
    return NoPersonError(
        "no two cameras agree on a person anywhere",
        remedy="Check that the calibration belongs to these videos and that they start at the same moment.",
    )


def _find_subject(detections: Detections2D, nodes: Nodes, config: AssociateConfig, fps: float) -> _Subject:
    size = np.linalg.norm(detections.box[:, 2:] - detections.box[:, :2], axis=-1)
    tracks = Tracks(
        detections.frame,
        detections.camera,
        tracklets(detections.frame, detections.camera, detections.track, detections.xy, size),
    )
    rules = LinkRules(fps=fps, max_gap=round(config.max_absence_s * fps))
    found = all_paths(nodes, tracks, rules, max_people=config.max_people)
    if not found:
        raise _nobody_found(detections)
    bones, least = _limbs(detections.keypoint_set), max(2, round(LEAST_STRETCH_S * fps))
    paths = [_of_one_build(nodes[chain], tracks, bones, least) for chain, _ in found]
    first = _nearest(paths, config.nearest_to_m) if config.nearest_to_m and config.subject == "nearest" else 0
    path, rejoined = paths[first], 0
    if config.rejoin:
        others = [other for i, other in enumerate(paths) if i != first and len(other.frame) >= least]
        path, rejoined = _rejoined(path, others, tracks, bones)
    rows = np.full((detections.n_frames, len(detections.cameras)), -1)
    agreement = np.full(rows.shape, np.nan)
    rows[path.frame], agreement[path.frame] = path.rows, np.where(path.rows >= 0, path.agreement, np.nan)
    ambiguous = np.zeros(len(rows), dtype=bool)
    ambiguous[path.frame] = _rivalled(path, nodes)
    people = sum(len(p.frame) >= max(least, detections.n_frames // 20) for p in paths)
    return _Subject(_with_single_views(rows, path, tracks), agreement, ambiguous, max(people, 1), rejoined)


def _nearest(paths: list[Nodes], point: tuple[float, float, float]) -> int:
    """The path whose body is, in the median over time, nearest to a point in the world."""
    centres = [np.nanmean(path.xyz, axis=1) for path in paths]
    return int(np.argmin([np.nanmedian(np.linalg.norm(centre - point, axis=-1)) for centre in centres]))


def _of_one_build(path: Nodes, tracks: Tracks, bones: Int[np.ndarray, "E 2"], least: int) -> Nodes:
    """The path without stretches of another build than its longest one: somebody stood in.

    A stretch ends with a gap, or where every camera's track ends.
    """
    ids = np.where(path.rows >= 0, tracks.track[path.rows], -1)
    goes_on = ((ids[1:] == ids[:-1]) & (ids[1:] >= 0)).any(-1) & (np.diff(path.frame) <= least)
    stretch = np.concatenate([[0], np.cumsum(~goes_on)])
    length = np.bincount(stretch)
    main = _build(path[stretch == length.argmax()], bones)
    keep = np.ones(len(length), dtype=bool)
    for one in np.flatnonzero(length >= least):
        keep[one] = _difference(_build(path[stretch == one], bones), main) < SIMILAR_BUILD
    return path[keep[stretch]]


def _rejoined(path: Nodes, others: list[Nodes], tracks: Tracks, bones: Int[np.ndarray, "E 2"]) -> tuple[Nodes, int]:
    """The path with later and earlier paths of the same build, in times when the subject is not there itself."""
    joined = 0
    for other in others:
        apart = not np.isin(other.frame, path.frame).any()
        known = foreign_tracks(path, tracks)[tracks.track[other.rows]] & (other.rows >= 0)
        alike = _difference(_build(other, bones), _build(path, bones)) < SIMILAR_BUILD
        if apart and alike and known.sum() * 2 <= (other.rows >= 0).sum():
            path, joined = _merged(path, other), joined + 1
    return path, joined


def _limbs(keypoint_set: KeypointSet) -> Int[np.ndarray, "E 2"]:
    """Edges between the keypoints people are compared by, as places in their order."""
    chosen, _ = _joints(keypoint_set)
    place = {int(joint): i for i, joint in enumerate(chosen)}
    pairs = [(place[a], place[b]) for a, b in keypoint_set.edge_indices.tolist() if a in place and b in place]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _build(path: Nodes, bones: Int[np.ndarray, "E 2"]) -> Float[np.ndarray, "E"]:
    """Median log length of the limbs; NaN for one that is never seen."""
    lengths = np.linalg.norm(path.xyz[:, bones[:, 0]] - path.xyz[:, bones[:, 1]], axis=-1)
    seen = np.isfinite(lengths).any(0)
    build = np.full(len(bones), np.nan)
    build[seen] = np.log(np.nanmedian(lengths[:, seen], axis=0))
    return build


def _difference(one: Float[np.ndarray, "E"], other: Float[np.ndarray, "E"]) -> float:
    """0 where no limb can be compared: nothing speaks against it."""
    known = np.isfinite(one - other)
    return float(np.median(np.abs(one - other)[known])) if known.any() else 0.0


def _merged(one: Nodes, other: Nodes) -> Nodes:
    both = Nodes(*(np.concatenate([getattr(one, f.name), getattr(other, f.name)]) for f in fields(Nodes)))
    return both[np.argsort(both.frame, kind="stable")]


def _rivalled(path: Nodes, nodes: Nodes) -> Bool[np.ndarray, "n"]:
    """Where a combination with another person in some camera, but one in common, is nearly as good."""
    which = np.searchsorted(path.frame, nodes.frame)
    which = np.minimum(which, len(path.frame) - 1)
    mine, theirs = path.rows[which], nodes.rows
    both = (mine >= 0) & (theirs >= 0)
    rival = (path.frame[which] == nodes.frame) & (both & (mine != theirs)).any(-1) & (both & (mine == theirs)).any(-1)
    rival &= nodes.score >= RIVAL * path.score[which]
    return np.bincount(which[rival], minlength=len(path.frame)) > 0


def _with_single_views(rows: Int[np.ndarray, "T C"], path: Nodes, tracks: Tracks) -> Int[np.ndarray, "T C"]:
    """In frames where no two views agree: the views whose track is the subject's before or after.

    They give no point in space, but later stages may use what a single view shows.
    """
    empty = np.logical_and.reduce(rows < 0, axis=-1)
    owned = np.zeros(int(tracks.track.max()) + 1, dtype=bool)
    owned[tracks.track[rows[rows >= 0]]] = True
    owned &= ~foreign_tracks(path, tracks)
    free = np.flatnonzero(empty[tracks.frame] & owned[tracks.track])
    filled = rows.copy()
    filled[tracks.frame[free], tracks.camera[free]] = free
    return filled


def _report(detections: Detections2D, subject: _Subject, config: AssociateConfig) -> AssociateReport:
    seen = subject.rows >= 0
    used = [subject.rows[seen[:, c], c] for c in range(seen.shape[1])]
    views = seen.sum(-1)
    lost = int((views < 2).sum())
    cameras = detections.cameras
    mean = [float(np.nanmean(a)) if np.isfinite(a).any() else float("nan") for a in subject.agreement.T]
    report = AssociateReport(
        n_frames=detections.n_frames,
        subject=config.subject,
        people_seen=subject.people_seen,
        camera_share=dict(zip(cameras, seen.mean(0).tolist(), strict=True)),
        agreement=dict(zip(cameras, mean, strict=True)),
        discarded={n: int((detections.camera == c).sum()) - len(used[c]) for c, n in enumerate(cameras)},
        frames_by_views={n: int((views == n).sum()) for n in range(len(cameras) + 1)},
        frames_below_two_views=lost,
        ambiguous_frames=int(subject.ambiguous.sum()),
        tracks_used={n: len(np.unique(detections.track[used[c]])) for c, n in enumerate(cameras)},
        rejoined=subject.rejoined,
        sentences=(),
    )
    return report.model_copy(update={"sentences": _sentences(report)})


def _sentences(report: AssociateReport) -> tuple[str, ...]:
    """What the user should know."""
    told = []
    if report.frames_below_two_views:
        told.append(
            f"in {report.frames_below_two_views} of {report.n_frames} frames fewer than two cameras show the subject"
        )
    blind = [name for name, share in report.camera_share.items() if share == 0]
    if blind:
        told.append(f"{', '.join(blind)} never agrees with the others about the subject: check its calibration")
    if report.ambiguous_frames > report.n_frames // 10:
        told.append(
            f"in {report.ambiguous_frames} of {report.n_frames} frames another combination of people fits nearly as "
            "well; a third camera would tell"
        )
    if report.rejoined:
        told.append(f"the subject was away and recognised again by build {report.rejoined} times")
    return tuple(told)
