"""Poses of all frames at once from what was seen of markers: robust Levenberg-Marquardt with hard joint limits.

The cost is half the sum over frames of
  markers      c^2 log(1 + |residual|^2 / (c noise)^2)    (Cauchy; c falls in stages to its final value), of the
               reprojection in every view (`reprojection.Views`) or of points in space (`Observations`, times their
               confidence)
  anchors      (p - target)^T precision (p - target) of points that are to stay somewhere, such as standing feet
  rest         (angles - rest)^T precision (angles - rest)
  upright      (angle between the root's up axis and the vertical)^2
  smoothness   second differences in time of the root's translation, its rotation (of the rotation vectors between
               neighbours) and of all angles; first ones of the root, so that it comes to rest where it is not seen
Angles at a limit that the gradient pushes outward are held there (projected Newton; Bertsekas, SIAM J. Control 1982).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mocap.geometry.pose_loads import Load, normal_terms
from mocap.geometry.pose_model import ROOT_STEPS, Placement, Pose, PoseModel, place
from mocap.geometry.rotations import (
    left_jacobian_inverse,
    quat_conjugate,
    quat_multiply,
    quat_rotate,
    quat_to_rotvec,
)
from mocap.geometry.take_equations import TakeEquations, difference

DIFFERENCES = ((-1.0, 1.0), (1.0, -2.0, 1.0))
"""Of first and second order in time."""


@dataclass(frozen=True, eq=False)
class Observations:
    """targets: (T, M, 3) m, anything finite where not seen; confidence: (T, M), 0 there. noise: (M,) m."""

    targets: Float[Tensor, "T M 3"]
    confidence: Float[Tensor, "T M"]
    noise: Float[Tensor, "M"]

    def frames(self, which: slice | Int[Tensor, "n"]) -> Observations:
        return Observations(self.targets[which], self.confidence[which], self.noise)

    def placed(self, model: PoseModel, placement: Placement) -> Observations:
        """The same: points in space do not depend on the pose."""
        return self

    def cost(self, markers: Float[Tensor, "T M 3"], scale: float) -> Float[Tensor, ""]:
        """Twice the robust cost."""
        return (self.confidence * torch.log1p(self._squared(markers) / scale**2)).sum() * scale**2

    def pull(
        self, markers: Float[Tensor, "T M 3"], scale: float
    ) -> tuple[Float[Tensor, "T M 3 3"], Float[Tensor, "T M 3"]]:
        """Information and gradient of the cost by the markers' positions, with the robust weights of these."""
        weight = self.confidence / (1 + self._squared(markers) / scale**2) / self.noise.square()
        information = weight[..., None, None] * torch.eye(3, dtype=weight.dtype)
        return information, weight[..., None] * (markers - self.targets)

    def _squared(self, markers: Float[Tensor, "T M 3"]) -> Float[Tensor, "T M"]:
        return (markers - self.targets).square().sum(-1) / self.noise.square()


@runtime_checkable
class Evidence(Protocol):
    """What is known of where markers are: `Observations` or `reprojection.Views`."""

    def frames(self, which: slice | Int[Tensor, "n"]) -> Evidence:
        """Some of the frames."""
        ...

    def placed(self, model: PoseModel, placement: Placement) -> Evidence:
        """As it is to be read about a pose."""
        ...

    def cost(self, markers: Float[Tensor, "T M 3"], scale: float) -> Float[Tensor, ""]:
        """Twice the robust cost of markers; `scale` in units of the noise."""
        ...

    def pull(
        self, markers: Float[Tensor, "T M 3"], scale: float
    ) -> tuple[Float[Tensor, "T M 3 3"], Float[Tensor, "T M 3"]]:
        """Gauss-Newton Hessian and gradient of the cost by the markers' positions."""
        ...


@dataclass(frozen=True, eq=False)
class Anchors:
    """Points on the skeleton that are to be at given places, such as those of a standing foot.

    joint: (K,); offsets: (K, 3) m in the joint's axes. targets: (T, K, 3) m, anything finite where precision (T, K, 3),
    1/m² along the world's axes, is 0.
    """

    joint: Int[Tensor, "K"]
    offsets: Float[Tensor, "K 3"]
    targets: Float[Tensor, "T K 3"]
    precision: Float[Tensor, "T K 3"]

    def frames(self, which: slice | Int[Tensor, "n"]) -> Anchors:
        """Some of the frames."""
        return replace(self, targets=self.targets[which], precision=self.precision[which])

    def points(self, placement: Placement) -> Float[Tensor, "T K 3"]:
        """Where the points are in a pose, m."""
        turned = quat_rotate(placement.rotations[:, self.joint], self.offsets)
        return placement.joints[:, self.joint] + turned

    def cost(self, placement: Placement) -> Float[Tensor, ""]:
        """Twice the cost."""
        return (self.precision * (self.points(placement) - self.targets).square()).sum()

    def load(self, placement: Placement) -> Load:
        """What they add to the equations."""
        points = self.points(placement)
        return Load(self.joint, points, torch.diag_embed(self.precision), self.precision * (points - self.targets))


@dataclass(frozen=True, eq=False)
class PosePrior:
    """rest: (D,) rad; precision: (D, D) 1 / rad^2; upright: 1 / rad^2.

    Precisions of differences from frame to frame, of first and second order: translation 1 / m^2, root 1 / rad^2; of
    second order: angles (D,) 1 / rad^2. All zero where frames are independent.
    """

    rest: Float[Tensor, "D"]
    precision: Float[Tensor, "D D"]
    upright: float
    translation: tuple[float, float]
    root: tuple[float, float]
    angles: Float[Tensor, "D"]

    def without_time(self) -> PosePrior:
        """The same for frames that have nothing to do with each other."""
        return PosePrior(self.rest, self.precision, self.upright, (0.0, 0.0), (0.0, 0.0), torch.zeros_like(self.angles))


@dataclass(frozen=True)
class SolverOptions:
    """stages: the scale c of the robust cost, from wide to final, in units of the noise. tolerance: relative decrease
    of the cost at which the last stage ends; the wide ones end at a hundred times that.
    """

    stages: tuple[float, ...] = (20.0, 6.0, 3.0)
    tolerance: float = 1e-4
    max_iterations: int = 30


@dataclass(frozen=True)
class SolverTrace:
    """What the solver did: accepted steps, final cost, and whether the tolerance was reached."""

    iterations: int
    cost: float
    converged: bool


@dataclass(frozen=True, eq=False)
class PoseProblem:
    """Everything but the pose. The first `fixed` frames are given and stay as they are."""

    model: PoseModel
    evidence: Evidence
    prior: PosePrior
    fixed: int = 0
    anchors: Anchors | None = None

    def frames(self, which: slice | Int[Tensor, "n"], fixed: int = 0) -> PoseProblem:
        """The problem of some of the frames."""
        anchors = None if self.anchors is None else self.anchors.frames(which)
        return replace(self, evidence=self.evidence.frames(which), fixed=fixed, anchors=anchors)

    def placed(self, pose: Pose) -> PoseProblem:
        """With the evidence as it is to be read about a pose."""
        return replace(self, evidence=self.evidence.placed(self.model, place(self.model, pose)))

    def cost(self, pose: Pose, placement: Placement, scale: float) -> float:
        prior = self.prior
        total = self.evidence.cost(placement.markers, scale)
        if self.anchors is not None:
            total = total + self.anchors.cost(placement)
        away = pose.angles - prior.rest
        total = total + ((away @ prior.precision) * away).sum()
        total = total + prior.upright * _tilt(placement.turns[:, 0, :, 2]).square().sum()
        for order, weights in enumerate(DIFFERENCES):
            moved = difference(pose.translation, weights).square().sum()
            total = (
                total + prior.translation[order] * moved + prior.root[order] * _turning(pose.root, order).square().sum()
            )
        total = total + (prior.angles * difference(pose.angles, DIFFERENCES[1]).square()).sum()
        return float(total) / 2

    def equations(self, pose: Pose, placement: Placement, scale: float) -> TakeEquations:
        """Gauss-Newton with the robust weights of this pose."""
        equations = TakeEquations.of_frames(*normal_terms(self.model, placement, self._loads(placement, scale)))
        self._add_prior_terms(pose, placement, equations)
        straight = torch.cat([pose.translation, torch.zeros_like(pose.translation), pose.angles], dim=-1)
        for order, weights in enumerate(DIFFERENCES):
            precision = torch.zeros_like(straight[0])
            precision[:3] = self.prior.translation[order]
            precision[ROOT_STEPS:] = order * self.prior.angles
            equations.add_difference(straight, weights, precision)
        self._add_root_turns(pose, equations)
        return equations

    def free(self, pose: Pose, gradient: Float[Tensor, "T n"]) -> Bool[Tensor, "T n"]:
        """Which unknowns may move: not those of fixed frames, nor angles that press against their limit."""
        angular = gradient[:, ROOT_STEPS:]
        held = ((pose.angles <= self.model.lower) & (angular > 0)) | ((pose.angles >= self.model.upper) & (angular < 0))
        free = torch.ones_like(gradient, dtype=torch.bool)
        free[:, ROOT_STEPS:] = ~held
        free[: self.fixed] = False
        return free

    def _loads(self, placement: Placement, scale: float) -> list[Load]:
        seen = self.evidence.pull(placement.markers, scale)
        loads = [Load(self.model.marker_frame, placement.markers, *seen)]
        return loads if self.anchors is None else [*loads, self.anchors.load(placement)]

    def _add_prior_terms(self, pose: Pose, placement: Placement, equations: TakeEquations) -> None:
        prior, diagonal, gradient = self.prior, equations.diagonal, equations.gradient
        diagonal[:, ROOT_STEPS:, ROOT_STEPS:] += prior.precision
        gradient[:, ROOT_STEPS:] += (pose.angles - prior.rest) @ prior.precision
        axes = placement.turns[:, 0]  # columns: the root's axes in the world
        slope, curvature = _tilt_terms(axes[:, :, 2])
        diagonal[:, 3:6, 3:6] += prior.upright * axes.transpose(1, 2) @ curvature @ axes
        gradient[:, 3:6] += prior.upright * torch.einsum("tia,ti->ta", axes, slope)

    def _add_root_turns(self, pose: Pose, equations: TakeEquations) -> None:
        """Turns a_t about the root's own axes change log(root_t^-1 root_(t+1)) by right^-1 a_(t+1) - left^-1 a_t."""
        turn = _turning(pose.root, 0)
        left = left_jacobian_inverse(turn)
        right = left.transpose(1, 2)
        equations.add_turns(turn, (-left, right), self.prior.root[0])
        if len(turn) > 1:
            parts = (left[:-1], -left[1:] - right[:-1], right[1:])
            equations.add_turns(_turning(pose.root, 1), parts, self.prior.root[1])


@dataclass(frozen=True, eq=False)
class _State:
    pose: Pose
    placement: Placement
    cost: float


def solve_poses(problem: PoseProblem, start: Pose, options: SolverOptions) -> tuple[Pose, SolverTrace]:
    """The pose of least cost near `start`."""
    pose, damping, iterations, settled = start, 1e-3, 0, False
    state = _at(problem, start, options.stages[0])
    for stage in options.stages:
        tolerance = options.tolerance * (1 if stage == options.stages[-1] else 100)
        state, settled = _at(problem, pose, stage), False
        while not settled and iterations < options.max_iterations:
            better, damping = _improved(problem, state, stage, damping)
            settled = better is None or state.cost - better.cost <= tolerance * state.cost
            state = better or state
            iterations += 1
        pose = state.pose
    return pose, SolverTrace(iterations, state.cost, settled)


def _at(problem: PoseProblem, pose: Pose, scale: float) -> _State:
    placement = place(problem.model, pose)
    return _State(pose, placement, problem.cost(pose, placement, scale))


def _improved(problem: PoseProblem, state: _State, scale: float, damping: float) -> tuple[_State | None, float]:
    """After one step, with the damping to go on with; None when no step lowers the cost."""
    equations = problem.equations(state.pose, state.placement, scale)
    free = problem.free(state.pose, equations.gradient)
    for _ in range(8):
        step = equations.step(damping, free)
        if step is not None:
            trial = _at(problem, problem.model.moved_by(state.pose, step), scale)
            if trial.cost < state.cost:
                return _along(problem, state, trial, (step, equations.gradient), scale), max(damping / 10, 1e-10)
        damping *= 10
    return None, damping


def _along(problem: PoseProblem, state: _State, trial: _State, line: tuple[Tensor, Tensor], scale: float) -> _State:
    """The better of a step and the one of the parabola's length through both costs and the slope at the start.

    Where the curvature that Gauss-Newton leaves out matters, its steps are too short or too long by a constant factor.
    """
    step, gradient = line
    slope = float((step * gradient).sum())
    bend = trial.cost - state.cost - slope
    length = min(max(-slope / (2 * bend), 0.25), 6.0) if bend > 0 else 6.0
    if 0.75 < length < 1.5:
        return trial
    other = _at(problem, problem.model.moved_by(state.pose, length * step), scale)
    return other if other.cost < trial.cost else trial


def _tilt(up: Float[Tensor, "T 3"]) -> Float[Tensor, "T"]:
    """Angle between a unit vector and the vertical, rad."""
    return torch.atan2(up[:, :2].norm(dim=-1), up[:, 2])


def _tilt_terms(up: Float[Tensor, "T 3"]) -> tuple[Float[Tensor, "T 3"], Float[Tensor, "T 3 3"]]:
    """Gradient and Hessian of tilt^2 / 2 by turns about the world's axes.

    The Hessian is that of a squared distance on the sphere, 1 along the way down and tilt / tan(tilt) across it; the
    latter turns negative past the horizontal and is then left out.
    """
    tilt, across = _tilt(up), up[:, :2].norm(dim=-1)
    straight = across < 1e-6
    safe = torch.where(straight, 1.0, across)
    n = torch.cat(
        [torch.where(straight[:, None], up.new_tensor([1.0, 0.0]), up[:, :2] / safe[:, None]), 0 * up[:, :1]], -1
    )
    down = torch.stack([-n[:, 1], n[:, 0], n[:, 2]], dim=-1)
    sideways = torch.where(straight, 1.0, tilt * up[:, 2] / safe).clamp_min(0)
    curvature = down[:, :, None] * down[:, None] + sideways[:, None, None] * n[:, :, None] * n[:, None]
    return tilt[:, None] * down, curvature


def _turning(root: Float[Tensor, "T 4"], order: int) -> Float[Tensor, "count 3"]:
    """Rotation vectors from frame to frame (order 0), or how they change (order 1)."""
    turn = quat_to_rotvec(quat_multiply(quat_conjugate(root[:-1]), root[1:]))
    return turn if order == 0 else difference(turn, (-1.0, 1.0))
