"""Clocks of cameras from a board that was moved before them: corners are points with names, so nothing is associated.

Lenses must be known, the rig need not: where it is not, the board's poses in two cameras give their shift and relative
pose together (`rigid_sync`), and the rig made of those serves the same refinement as people do (`clock_refinement`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from jaxtyping import Float
from pydantic import Field

from calibration.board_pose import board_poses
from calibration.camera import Intrinsics, Rig
from calibration.observations import BoardObservations
from calibration.transforms import RigidTransform
from mocap.capture.motion_clocks import clock_estimates, usual_centre
from mocap.core.clock import ClockEstimate
from mocap.core.config import Config
from mocap.core.errors import InputError
from mocap.geometry.clock_refinement import ClockFit, refine_clocks
from mocap.geometry.ray_tracks import RayTracks
from mocap.geometry.rigid_sync import PointTracks, rigid_motion, rigid_scores
from mocap.geometry.shift_search import Candidate, Curve, joint_candidates
from mocap.signal.local_quadratic import local_quadratic

SCALES = (8.0, 6.0, 4.0, 3.0, 3.0, 3.0)
"""Of the kernel, in deviations of a corner."""
SURE = 0.7
TOSS_UP = 0.8
"""Ambiguity of a pose from which on it is not used: a plane from afar has two."""
FRAMES_EACH_SIDE = 2.6
LEAST_CORNERS = 4


class BoardSyncConfig(Config):
    """search_s: how far offsets are searched on both sides. smoothing_s: half width of the parabolas that corners are
    followed with; at least 2.6 frames of the slowest camera. noise_px: deviation of a corner. drift_ppm: of usual
    clocks. step_s: of the search. samples: most moments that are compared in it."""

    search_s: float = Field(default=10.0, gt=0)
    smoothing_s: float = Field(default=0.12, gt=0)
    noise_px: float = Field(default=0.5, gt=0)
    drift_ppm: float = Field(default=60.0, gt=0)
    step_s: float = Field(default=1 / 60, gt=0)
    samples: int = Field(default=800, ge=50)


DEFAULT = BoardSyncConfig()


@dataclass(frozen=True, eq=False)
class _BoardTrack:
    """One camera: corners as rays in its own axes, and where they are there, m."""

    rays: RayTracks
    points: PointTracks

    @property
    def seen(self) -> bool:
        """Whether the camera saw the board at all."""
        return bool(np.isfinite(self.points.points).any())


def sync_by_board(
    observations: BoardObservations,
    intrinsics: Mapping[str, Intrinsics],
    config: BoardSyncConfig = DEFAULT,
    *,
    rig: Rig | None = None,
    stamps_s: Mapping[str, Float[np.ndarray, "_"]] | None = None,
    reference: str | None = None,
) -> tuple[ClockEstimate, ...]:
    """One estimate for every camera but the reference (by default the first) that the board ties to it.

    stamps_s: camera -> stamps of the frames of its file; by default the times that the observations have. rig: where it
    is known, only shifts are searched. Raises InputError for cameras whose lens is not known.
    """
    first = reference or observations.cameras[0]
    if first not in observations.cameras:
        raise InputError(f"camera {first} did not see the board; there are {', '.join(observations.cameras)}")
    unknown = [name for name in observations.cameras if name not in intrinsics]
    if unknown:
        raise InputError(
            f"the lens of {', '.join(unknown)} is not known", remedy="Record the board close to each camera first."
        )
    names = [first, *(name for name in observations.cameras if name != first)]
    tracks = _tracks(observations.of_cameras(names), intrinsics, stamps_s, config)
    curves = _curves(tracks, config)
    candidates = joint_candidates(curves, len(names))
    fits = [
        _refined(tracks, candidate, rig.subset(names) if rig is not None else None, config)
        for candidate in candidates
        if candidate.score >= SURE * candidates[0].score
    ]
    if not fits:
        return ()
    best = min(range(len(fits)), key=lambda k: fits[k].cost)
    how = "rig known" if rig is not None else "rig found with the clocks"
    notes = [f"{how}, typical epipolar error {fits[best].typical_z * config.noise_px:.1f} px"] * len(names)
    return clock_estimates(names, curves, candidates[best], fits[best], method="board", notes=notes)


def _tracks(
    observations: BoardObservations,
    intrinsics: Mapping[str, Intrinsics],
    stamps_s: Mapping[str, Float[np.ndarray, "_"]] | None,
    config: BoardSyncConfig,
) -> list[_BoardTrack]:
    poses = board_poses(observations, intrinsics)
    stamp = _stamps(observations, stamps_s)
    plain = poses.known & (poses.ambiguity < TOSS_UP) & (observations.corners_per_view >= LEAST_CORNERS)
    corners = observations.points[_outer(observations.points)]
    located = poses.R[:, None] @ corners[:, :, None]
    located = np.where(plain[:, None, None], located[..., 0] + poses.t[:, None], np.nan)
    mine = [np.flatnonzero(observations.view_camera == c) for c in range(len(observations.cameras))]
    mine = [rows[np.argsort(stamp[rows], kind="stable")] for rows in mine]
    slowest = max((float(np.median(np.diff(stamp[rows]))) for rows in mine if len(rows) > 1), default=0.0)
    half = max(config.smoothing_s, FRAMES_EACH_SIDE * slowest)
    tracks = []
    for rows, name in zip(mine, observations.cameras, strict=True):
        lens = intrinsics[name]
        xy = np.full((len(rows), len(observations.points), 2), np.nan)
        place = np.full(observations.n_views, -1)
        place[rows] = np.arange(len(rows))
        own = place[observations.view] >= 0
        xy[place[observations.view[own]], observations.corner[own]] = observations.xy[own]
        tracks.append(_track(stamp[rows], lens.ray(xy), located[rows], _angle(lens, config), (half, config.step_s)))
    return tracks


def _track(
    stamp: Float[np.ndarray, "F"],
    ray: Float[np.ndarray, "F K 3"],
    located: Float[np.ndarray, "F N 3"],
    noise: float,
    grid: tuple[float, float],
) -> _BoardTrack:
    half, step = grid
    start, end = (float(stamp[0]), float(stamp[-1])) if len(stamp) else (0.0, 0.0)
    at = start + step * np.arange(max(2, int(np.floor((end - start) / step)) + 1))
    ones = np.ones(ray.shape[:2])
    value, rate = local_quadratic(stamp, ray, ones, at, half_width_s=half)
    points, _ = local_quadratic(stamp, located, np.ones(located.shape[:2]), at, half_width_s=half)
    rays = RayTracks(np.zeros(3), start, step, value[None], rate[None], np.full((1, len(at)), noise))
    return _BoardTrack(rays, PointTracks(start, step, points))


def _stamps(
    observations: BoardObservations, stamps_s: Mapping[str, Float[np.ndarray, "_"]] | None
) -> Float[np.ndarray, "V"]:
    if stamps_s is None:
        return observations.view_time_s
    stamp = np.full(observations.n_views, np.nan)
    for c, name in enumerate(observations.cameras):
        rows = observations.view_camera == c
        frames = observations.view_frame[rows]
        if len(frames) and (name not in stamps_s or frames.max() >= len(stamps_s[name])):
            raise InputError(f"camera {name} saw the board in frame {frames.max()}, of which there is no time")
        if len(frames):
            stamp[rows] = stamps_s[name][frames]
    return stamp


def _outer(points: Float[np.ndarray, "K 3"]) -> np.ndarray:
    """Numbers of four corners that span the board: its poses move as they do."""
    away = [points @ np.array(way) for way in ((1.0, 1.0, 0.0), (1.0, -1.0, 0.0))]
    return np.unique([k for a in away for k in (int(np.argmin(a)), int(np.argmax(a)))])


def _angle(lens: Intrinsics, config: BoardSyncConfig) -> float:
    return config.noise_px / float(np.sqrt(lens.K[0, 0] * lens.K[1, 1]))


def _curves(tracks: Sequence[_BoardTrack], config: BoardSyncConfig) -> dict[tuple[int, int], Curve]:
    curves = {}
    for a, b in combinations(range(len(tracks)), 2):
        one, other = tracks[a], tracks[b]
        if not (one.seen and other.seen):
            continue
        curve = rigid_scores(
            one.points,
            other.points,
            around_s=usual_centre(one.rays.stamp_s, other.rays.stamp_s),
            search_s=config.search_s,
            most_samples=config.samples,
        )
        if curve is not None:
            curves[a, b] = curve
    return curves


def _refined(tracks: Sequence[_BoardTrack], candidate: Candidate, rig: Rig | None, config: BoardSyncConfig) -> ClockFit:
    """Clocks, and without a rig its poses in turn with them."""
    offset = np.nan_to_num(candidate.offset_s)
    start = min(track.rays.start_s - shift for track, shift in zip(tracks, offset, strict=True))
    end = max(track.rays.stamp_s[-1] - shift for track, shift in zip(tracks, offset, strict=True))
    times = np.arange(start, end, 2 * config.step_s)
    sd = 1e-6 * config.drift_ppm
    fit = None
    for _ in range(1 if rig is not None else 3):
        poses = _poses_of(rig) if rig is not None else _poses(tracks, offset, times)
        placed = [_placed(track.rays, pose) for track, pose in zip(tracks, poses, strict=True)]
        fit = refine_clocks(placed, times, offset, scales=SCALES, drift_sd=sd)
        offset = fit.offset_s
    assert fit is not None
    return fit


def _poses_of(rig: Rig) -> list[RigidTransform | None]:
    return [camera.cam_from_world for camera in rig]


def _placed(rays: RayTracks, pose: RigidTransform | None) -> RayTracks:
    """Rays in the world; a camera whose pose is unknown has seen nothing."""
    if pose is None:
        return replace(rays, direction=np.full_like(rays.direction, np.nan), rate=np.full_like(rays.rate, np.nan))
    return replace(rays, origin=-pose.R.T @ pose.t, direction=rays.direction @ pose.R, rate=rays.rate @ pose.R)


def _poses(
    tracks: Sequence[_BoardTrack], offset_s: Float[np.ndarray, "C"], times: Float[np.ndarray, "T"]
) -> list[RigidTransform | None]:
    """cam_from_world with the first camera's axes for the world, along the pairs that share most (Prim's tree)."""
    seen = [_points_at(track.points, times + shift) for track, shift in zip(tracks, offset_s, strict=True)]
    there = np.stack([np.isfinite(points).all((1, 2)) for points in seen]).astype(np.int64)
    shared = there @ there.T
    poses: list[RigidTransform | None] = [RigidTransform(np.eye(3), np.zeros(3))] + [None] * (len(tracks) - 1)
    while True:
        known = [c for c, pose in enumerate(poses) if pose is not None]
        ways = [(int(shared[a, b]), a, b) for a in known for b in range(len(tracks)) if poses[b] is None]
        if not ways or max(ways)[0] < LEAST_CORNERS:
            return poses
        _, a, b = max(ways)
        R, t, _ = rigid_motion(seen[b].reshape(-1, 3), seen[a].reshape(-1, 3))
        base = poses[a]
        assert base is not None
        poses[b] = RigidTransform(R @ base.R, R @ base.t + t)


def _points_at(track: PointTracks, stamp_s: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T N 3"]:
    """Between samples on a straight line; NaN outside and beside gaps."""
    place = (stamp_s - track.start_s) / track.step_s
    inside = (place >= 0) & (place <= len(track.points) - 1)
    left = np.clip(np.floor(place), 0, len(track.points) - 2).astype(np.int64)
    share = np.where(inside, place - left, np.nan)[:, None, None]
    return track.points[left] * (1 - share) + track.points[left + 1] * share
