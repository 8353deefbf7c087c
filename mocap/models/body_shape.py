"""A body's shape from some frames of a take: Gauss-Newton on shape, the detector's habits and poses together.

The system is an arrowhead, each frame's pose touches only its own frame and the shape touches all: poses are eliminated
frame by frame (Schur complement). Derivatives by the shape are differences of placed keypoints, which costs one forward
kinematics a parameter and asks nothing of the body model but its joints and keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mocap.geometry.pose_model import Placement, Pose, marker_jacobian, place
from mocap.geometry.pose_solver import PosePrior, PoseProblem
from mocap.geometry.rotations import quat_to_matrix
from mocap.models.body_evidence import BodyEvidence
from mocap.models.body_sizes import SizedBodies, Sizes

INDEPENDENT_FRAMES = 12
"""Detector errors repeat from frame to frame: more frames than that add no belief against the usual shape."""
LASTING_M = 0.012
"""Spread of how far a detector reports one keypoint of one person beside its place, in every frame alike, besides what
the marker set says: BlazePose on the sample's walk 5 to 25 mm, after what is known of its habits."""
STEP = 1e-4
"""Of a parameter, for differences, in units of its spread."""
ROBUST = 3.0
MAX_STEPS = 25
SETTLED = 1e-4
LARGEST_STEP = 1.0
"""In spreads: derivatives of bodies hold no further."""


@dataclass(frozen=True, eq=False)
class _ShapeProblem:
    """Unknowns are [shape S, shifts 3 M]; `precision` of them against the usual shape and no shift."""

    bodies: SizedBodies
    evidence: BodyEvidence
    prior: PosePrior
    precision: Float[np.ndarray, "p"]

    def frames(self, sizes: Sizes) -> PoseProblem:
        return PoseProblem(self.bodies.model(sizes), self.evidence, self.prior)

    def cost(self, sizes: Sizes, pose: Pose) -> float:
        frames = self.frames(sizes)
        unusual = float((self.precision * np.square(self._away(sizes))).sum()) / 2
        return frames.cost(pose, place(frames.model, pose), ROBUST) + unusual

    def step(self, sizes: Sizes, pose: Pose, damping: float) -> tuple[Sizes, Float[Tensor, "T n"]] | None:
        """The next sizes and the poses' steps; None where the equations are not positive definite."""
        frames = self.frames(sizes)
        placement = place(frames.model, pose)
        equations = frames.equations(pose, placement, ROBUST)
        free = frames.free(pose, equations.gradient).to(torch.float64)
        own = equations.diagonal * free[:, :, None] * free[:, None, :]
        diagonal = torch.diagonal(own, dim1=1, dim2=2)
        diagonal += damping * diagonal + (1 - free) + 1e-9
        matrix, gradient = self.evidence.pull(placement.markers, ROBUST)
        by_size = self._by_size(sizes, pose, placement)
        mixed = _product(marker_jacobian(frames.model, placement) * free[:, None, None], by_size, matrix)
        factor, failures = torch.linalg.cholesky_ex(own)
        if failures.any():
            return None
        solved = torch.cholesky_solve(torch.cat([mixed, (equations.gradient * free)[..., None]], dim=-1), factor)
        total = _product(by_size, by_size, matrix).sum(0).numpy()
        slope = _pulled(by_size, gradient).sum(0).numpy() + self.precision * self._away(sizes)
        slope = slope - torch.einsum("tns,tn->s", mixed, solved[..., -1]).numpy()
        reduced = total - torch.einsum("tnp,tnq->pq", mixed, solved[..., :-1]).numpy()
        reduced += np.diag(self.precision * (1 + damping) + damping * np.diag(total))
        after = self._moved(sizes, _solution(reduced, slope, self._held(sizes, slope)))
        step = torch.from_numpy(self._away(after) - self._away(sizes))
        return after, -solved[..., -1] - solved[..., :-1] @ step

    def _away(self, sizes: Sizes) -> Float[np.ndarray, "p"]:
        return np.concatenate([sizes.shape - self.bodies.family.space.usual, sizes.shifts.ravel()])

    def _held(self, sizes: Sizes, slope: Float[np.ndarray, "p"]) -> Bool[np.ndarray, "p"]:
        """Parameters at a bound that they press against."""
        space = self.bodies.family.space
        held = np.zeros(len(slope), dtype=bool)
        push = slope[: len(space)]
        held[: len(space)] = ((sizes.shape <= space.lower) & (push > 0)) | ((sizes.shape >= space.upper) & (push < 0))
        return held

    def _moved(self, sizes: Sizes, step: Float[np.ndarray, "p"]) -> Sizes:
        space = self.bodies.family.space
        n = len(space)
        step = step / max(1.0, float(np.abs(step[:n] / space.spread).max()) / LARGEST_STEP)
        return Sizes(space.clamped(sizes.shape + step[:n]), sizes.shifts + step[n:].reshape(-1, 3))

    def _by_size(self, sizes: Sizes, pose: Pose, placement: Placement) -> Float[Tensor, "T 3 MK p"]:
        space = self.bodies.family.space
        columns = []
        for s in range(len(space)):
            step = STEP * space.spread[s] * (1 if sizes.shape[s] < space.upper[s] else -1)
            moved = sizes.shape.copy()
            moved[s] += step
            there = place(self.bodies.model(Sizes(moved, sizes.shifts)), pose).markers
            columns.append((there - placement.markers) / step)
        by_shape = torch.stack(columns, dim=-1).permute(0, 2, 1, 3)
        m = len(sizes.shifts)
        axes = quat_to_matrix(placement.rotations[:, self.bodies.template.marker_frame[:m]])
        by_shift = axes.new_zeros(len(axes), 3, placement.markers.shape[1], m, 3)
        own = torch.arange(m)
        by_shift[:, :, own, own] = axes.transpose(1, 2)
        return torch.cat([by_shape, by_shift.flatten(3)], dim=-1)


def _solution(
    matrix: Float[np.ndarray, "p p"], slope: Float[np.ndarray, "p"], held: Bool[np.ndarray, "p"]
) -> Float[np.ndarray, "p"]:
    step = np.zeros(len(slope))
    step[~held] = -np.linalg.solve(matrix[np.ix_(~held, ~held)], slope[~held])
    return step


def refine_shape(
    bodies: SizedBodies, sizes: Sizes, evidence: BodyEvidence, prior: PosePrior, pose: Pose, *, lasting: float = 1.0
) -> tuple[Sizes, Pose]:
    """Shape and shifts, solved for with the poses of some frames that have nothing to do with each other.

    lasting: factor on how far the detector is believed to report keypoints of this person beside their places.
    """
    spread = lasting * np.repeat(np.hypot(bodies.markers.offset_sd, LASTING_M), 3)
    spread = np.concatenate([bodies.family.space.spread, spread])
    precision = spread**-2.0 * max(len(pose) / INDEPENDENT_FRAMES, 1.0)
    problem = _ShapeProblem(bodies, evidence, prior.without_time(), precision)
    damping, cost = 1e-3, problem.cost(sizes, pose)
    for _ in range(MAX_STEPS):
        found = problem.step(sizes, pose, damping)
        trial_cost, trial_pose = np.inf, pose
        if found is not None:
            trial_pose = bodies.template.moved_by(pose, found[1])
            trial_cost = problem.cost(found[0], trial_pose)
        if found is None or not trial_cost < cost:
            damping *= 10
            if damping > 1e6:
                break
            continue
        settled = cost - trial_cost < SETTLED * cost
        sizes, pose, cost, damping = found[0], trial_pose, trial_cost, max(damping / 10, 1e-7)
        if settled:
            break
    return sizes, pose


def _pulled(jacobian: Float[Tensor, "T 3 M n"], gradient: Float[Tensor, "T M 3"]) -> Float[Tensor, "T n"]:
    rows = gradient.transpose(1, 2).reshape(len(gradient), 1, -1)
    return torch.bmm(rows, jacobian.flatten(1, 2))[:, 0]


def _product(
    left: Float[Tensor, "T 3 M n"], right: Float[Tensor, "T 3 M k"], matrix: Float[Tensor, "T M 3 3"]
) -> Float[Tensor, "T n k"]:
    """left^T matrix right, summed over the markers."""
    weighted = torch.einsum("tmij,tjmk->timk", matrix, right)
    return torch.bmm(left.flatten(1, 2).transpose(1, 2), weighted.flatten(1, 2))
