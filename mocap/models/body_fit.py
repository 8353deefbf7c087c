"""One person's body through a take: shape and poses in stages, from coarse to what every camera saw.

1. Lengths between keypoints give a first shape, closed forms a first pose (`start_pose`).
2. Some frames, seen best, give the shape together with their poses (`refine_shape`), from points in space and then from
   the views.
3. All frames are solved with that shape, in windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from mocap.geometry.pose_model import Pose, PoseModel, place
from mocap.geometry.pose_prior import keyframes
from mocap.geometry.pose_solver import PosePrior, PoseProblem, SolverOptions, SolverTrace, solve_poses
from mocap.geometry.pose_start import start_pose
from mocap.geometry.pose_windows import Windows, solve_in_windows
from mocap.models.body_evidence import BodyEvidence
from mocap.models.body_shape import refine_shape
from mocap.models.body_sizes import SizedBodies, Sizes, first_shape

_ROUGH = SolverOptions(stages=(20.0, 6.0), tolerance=1e-2, max_iterations=10)


@dataclass(frozen=True)
class FitOptions:
    """keyframes: how many frames the shape is estimated from. window, overlap: frames solved at once, and how many of
    them look ahead and are solved again. smoothness: factor on the resistance to accelerations. lasting: see
    `refine_shape`.
    """

    keyframes: int = 40
    window: int = 160
    overlap: int = 24
    smoothness: float = 1.0
    lasting: float = 1.0
    robust_scale: float = 3.0
    tolerance: float = 3e-4
    max_iterations: int = 40


@dataclass(frozen=True, eq=False)
class BodyFit:
    """sizes: of the take. model, pose: that place the keypoints, and after them the soles, in every frame."""

    sizes: Sizes
    model: PoseModel
    pose: Pose
    trace: SolverTrace


def fit_body_to(
    bodies: SizedBodies,
    evidence: BodyEvidence,
    *,
    observed: Bool[Tensor, "T"],
    prior: PosePrior,
    options: FitOptions,
    shape: Float[np.ndarray, "S"] | None = None,
) -> BodyFit:
    """The fit of one person. observed: frames that show enough of it. shape: kept as it is where given."""
    points = evidence.points
    sizes = bodies.unshifted(first_shape(bodies, points.targets, points.confidence) if shape is None else shape)
    model = bodies.model(sizes)
    anatomical = bodies.anatomical(sizes.shape)
    start = start_pose(model, anatomical, prior.rest, points.targets, points.confidence)
    if shape is None:
        frames = keyframes(points.confidence, observed, options.keyframes)
        sizes = _refined(bodies, sizes, evidence.frames(frames), (prior, start.frames(frames)), options.lasting)
        model = bodies.model(sizes)
    scale = options.robust_scale
    how = SolverOptions((max(20.0, scale), max(6.0, scale), scale), options.tolerance, options.max_iterations)
    problem = PoseProblem(model, evidence.views_first(), prior)
    pose, trace = solve_in_windows(problem, start, how, Windows(options.window, options.overlap))
    return BodyFit(sizes, model, pose, trace)


def _refined(
    bodies: SizedBodies, guess: Sizes, evidence: BodyEvidence, frames: tuple[PosePrior, Pose], lasting: float
) -> Sizes:
    """Sizes from some frames, first posed as the guess of them allows: from points in space, then from the views."""
    prior, start = frames
    model, alone = bodies.model(guess), evidence.in_space()
    pose, _ = solve_poses(PoseProblem(model, alone, prior.without_time()), start, _ROUGH)
    sizes, pose = refine_shape(bodies, guess, alone, prior, pose, lasting=lasting)
    if evidence.views is None:
        return sizes
    model = bodies.model(sizes)
    placed = evidence.views_first().placed(model, place(model, pose))
    return refine_shape(bodies, sizes, placed, prior, pose, lasting=lasting)[0]
