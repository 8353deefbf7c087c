"""A subject's size from a take: how long each segment is, and where the detector's keypoints sit on the body.

First guess: medians of distances between keypoints. Then sizes and the poses of some frames together, by Gauss-Newton
on the arrowhead system that results (each frame's pose touches only its own frame; sizes touch all): the poses are
eliminated frame by frame (Schur complement). Left and right share one number, so they are equal by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mocap.core.errors import InputError
from mocap.core.markers import MarkerSet, Span, mirrored
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.kinematics import descends_from
from mocap.geometry.pose_model import Placement, Pose, PoseModel, marker_jacobian, place
from mocap.geometry.pose_solver import Evidence, PosePrior, PoseProblem
from mocap.geometry.rotations import quat_rotate, quat_to_matrix

_INDEPENDENT_FRAMES = 12
"""Detector errors repeat from frame to frame: more frames than that add no belief against the usual proportions."""


_ROBUST = 3.0
_MAX_STEPS = 10
_SETTLED = 1e-3


@dataclass(frozen=True, eq=False)
class Subject:
    """scales: (S,) by segment, 1 is the 1.75 m adult. shifts: (M, 3) m, added to the marker offsets before scaling."""

    scales: Float[Tensor, "S"]
    shifts: Float[Tensor, "M 3"]


@dataclass(frozen=True, eq=False)
class SubjectModel:
    """How a pose model depends on a subject.

    bone, body: (J,) the segment that scales a joint's rest offset and what is fixed to it. carries: (M, J) the bones
    between the root and a marker. shift_basis: (M, 3, K), mirrored over the sides; shift_sd: (K,) m. spread: (S,)
    of the scales about a first guess, relative; among_people: (S,) of their shares of the whole, infinite where open.
    """

    template: PoseModel
    bone: Int[Tensor, "J"]
    body: Int[Tensor, "J"]
    carries: Float[Tensor, "M J"]
    shift_basis: Float[Tensor, "M 3 K"]
    shift_sd: Float[Tensor, "K"]
    spread: Float[Tensor, "S"]
    among_people: Float[Tensor, "S"]

    def sized(self, subject: Subject) -> PoseModel:
        """The pose model of a subject."""
        offsets = (self.template.marker_offsets + subject.shifts) * subject.scales[self._marker_body()][:, None]
        return self.template.sized(self.template.rest_offsets * subject.scales[self.bone][:, None], offsets)

    def jacobian(self, subject: Subject, placement: Placement) -> Float[Tensor, "T 3 M p"]:
        """Derivative of the markers by the scales, then by the shifts' coordinates; rotations held."""
        n_segments = len(subject.scales)
        parents = [0, *self.template.parents[1:]]
        bones = quat_rotate(placement.rotations[:, parents], self.template.rest_offsets)
        of_bone = self.carries[:, :, None] * torch.nn.functional.one_hot(self.bone, n_segments).to(bones.dtype)
        by_scale = torch.einsum("tjc,mjs->tcms", bones, of_bone)
        body, frames = self._marker_body(), placement.rotations[:, self.template.marker_frame]
        hung = quat_rotate(frames, self.template.marker_offsets + subject.shifts)
        of_body = torch.nn.functional.one_hot(body, n_segments).to(bones.dtype)
        by_scale = by_scale + hung.permute(0, 2, 1)[..., None] * of_body
        basis = self.shift_basis * subject.scales[body][:, None, None]
        by_shift = torch.einsum("tmcd,mdk->tcmk", quat_to_matrix(frames), basis)
        return torch.cat([by_scale, by_shift], dim=-1)

    def _marker_body(self) -> Int[Tensor, "M"]:
        return self.body[self.template.marker_frame]


def subject_model(skeleton: SkeletonDefinition, markers: MarkerSet, template: PoseModel) -> SubjectModel:
    """Every joint's bone must belong to one segment; joints without a body follow their own bone's."""
    bone = np.full(len(skeleton), -1)
    body = np.full(len(skeleton), -1)
    for s, segment in enumerate(markers.segments):
        bone[[skeleton.index(name) for name in segment.bones]] = s
        body[[skeleton.index(name) for name in segment.bodies]] = s
    without = [skeleton.joint_names[j] for j in range(1, len(skeleton)) if bone[j] < 0]
    if without:
        raise InputError(f"the marker set has no segment for {', '.join(without)} of skeleton {skeleton.name!r}")
    bone[0] = body[0]
    body = np.where(body < 0, bone, body)
    carries = np.array(descends_from(skeleton.parents.tolist()), dtype=np.float64)[markers.at]
    carries[:, 0] = 0
    basis, spread = _shift_basis(markers)
    relative = np.array([segment.spread for segment in markers.segments])
    among = np.array([segment.among_people for segment in markers.segments])
    arrays = (torch.from_numpy(a) for a in (bone, body, carries, basis, spread, relative, among))
    return SubjectModel(template, *arrays)


def _shift_basis(markers: MarkerSet) -> tuple[Float[np.ndarray, "M 3 K"], Float[np.ndarray, "K"]]:
    columns, spread = [], []
    for m, twin in enumerate(markers.mirror):
        if twin < m:
            continue
        in_the_middle = mirrored(markers.keypoints[m]) == markers.keypoints[m]
        for axis in range(1 if in_the_middle else 0, 3):
            column = np.zeros((len(markers), 3))
            column[twin, axis] = -1.0 if axis == 0 else 1.0
            column[m, axis] = 1.0
            columns.append(column)
            spread.append(markers.offset_sd[m])
    return np.stack(columns, axis=-1), np.array(spread)


def first_guess(
    model: SubjectModel, markers: MarkerSet, targets: Float[Tensor, "T M 3"], confidence: Float[Tensor, "T M"]
) -> tuple[Subject, Bool[np.ndarray, "S"]]:
    """Scales from medians of distances, those of segments that nothing shows from the others; and which were seen."""
    rest = place(model.template, _t_pose(model.template)).markers[0].numpy()
    points, weight = targets.numpy(), confidence.numpy()
    scales, lengths = np.full(len(markers.segments), np.nan), np.zeros(len(markers.segments))
    for s, segment in enumerate(markers.segments):
        ratios, weights = [], []
        for span in segment.spans:
            if not all(name in markers.keypoints for end in span for name in end):
                continue
            ends, sure = _ends(span, markers, points, weight)
            length = np.linalg.norm(np.subtract(*_ends(span, markers, rest[None], np.ones((1, len(rest))))[0]))
            ratios.append(np.linalg.norm(np.subtract(*ends), axis=-1)[sure > 0] / length)
            weights.append(sure[sure > 0])
            lengths[s] = length
        if sum(map(len, ratios)):
            scales[s] = _weighted_median(np.concatenate(ratios), np.concatenate(weights))
    seen = np.isfinite(scales)
    overall = _weighted_median(scales[seen], lengths[seen]) if seen.any() else 1.0
    # measured lengths outside any human proportion come from a keypoint that is not what it says
    scales = np.where(seen, np.clip(scales, 0.6 * overall, 1.5 * overall), overall)
    return Subject(torch.from_numpy(scales), torch.zeros(len(markers), 3, dtype=torch.float64)), seen


def _t_pose(model: PoseModel) -> Pose:
    identity = torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64)
    return Pose(identity[:, 1:], identity, torch.zeros(1, model.n_angles, dtype=torch.float64))


def _ends(
    span: Span, markers: MarkerSet, points: Float[np.ndarray, "T M 3"], weight: Float[np.ndarray, "T M"]
) -> tuple[tuple[Float[np.ndarray, "T 3"], Float[np.ndarray, "T 3"]], Float[np.ndarray, "T"]]:
    index = [[markers.keypoints.index(name) for name in end] for end in span]
    first, second = (points[:, i].mean(1) for i in index)
    return (first, second), weight[:, index[0] + index[1]].min(1)


def _weighted_median(values: Float[np.ndarray, "n"], weights: Float[np.ndarray, "n"]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


@dataclass(frozen=True, eq=False)
class SizeProblem:
    """Sizes `[scales S, shift coordinates K]` with their usual values, and the poses of independent frames."""

    model: SubjectModel
    evidence: Evidence
    prior: PosePrior
    usual: Float[Tensor, "p"]
    precision: Float[Tensor, "p"]
    robust: float

    def subject(self, sizes: Float[Tensor, "p"]) -> Subject:
        n_segments = len(sizes) - self.model.shift_basis.shape[-1]
        return Subject(sizes[:n_segments], self.model.shift_basis @ sizes[n_segments:])

    def frames(self, sizes: Float[Tensor, "p"]) -> PoseProblem:
        return PoseProblem(self.model.sized(self.subject(sizes)), self.evidence, self.prior)

    def cost(self, sizes: Float[Tensor, "p"], pose: Pose) -> float:
        frames = self.frames(sizes)
        unusual = float((self.precision * (sizes - self.usual).square()).sum()) / 2
        return frames.cost(pose, place(frames.model, pose), self.robust) + unusual

    def step(
        self, sizes: Float[Tensor, "p"], pose: Pose, damping: float
    ) -> tuple[Float[Tensor, "p"], Float[Tensor, "T n"]] | None:
        """Gauss-Newton: each frame's own unknowns are eliminated, then the sizes solved for, then the frames.

        None where a frame's own equations are not positive definite.
        """
        frames = self.frames(sizes)
        placement = place(frames.model, pose)
        equations = frames.equations(pose, placement, self.robust)
        free = frames.free(pose, equations.gradient).to(torch.float64)
        own = equations.diagonal * free[:, :, None] * free[:, None, :]
        diagonal = torch.diagonal(own, dim1=1, dim2=2)
        diagonal += damping * diagonal + (1 - free) + 1e-9
        gradient = equations.gradient * free
        by_size = self.model.jacobian(self.subject(sizes), placement)
        root, residual = _whitened(*self.evidence.pull(placement.markers, self.robust))
        rows = torch.einsum("tmij,tjmp->tmip", root, by_size).flatten(1, 2)
        by_pose = torch.einsum("tmij,tjmn->tmin", root, marker_jacobian(frames.model, placement)).flatten(1, 2)
        mixed = (by_pose * free[:, None, :]).transpose(1, 2) @ rows
        factor, failures = torch.linalg.cholesky_ex(own)
        if failures.any():
            return None
        solved = torch.cholesky_solve(torch.cat([mixed, gradient[..., None]], dim=-1), factor)
        total = torch.einsum("trp,trq->pq", rows, rows) + torch.diag(self.precision * (1 + damping))
        slope = torch.einsum("trp,tr->p", rows, residual.flatten(1)) + self.precision * (sizes - self.usual)
        reduced = total - torch.einsum("tnp,tnq->pq", mixed, solved[..., :-1])
        size_step = -torch.linalg.solve(reduced, slope - torch.einsum("tnp,tn->p", mixed, solved[..., -1]))
        return size_step, -solved[..., -1] - solved[..., :-1] @ size_step


def refine_subject(model: SubjectModel, guess: Subject, evidence: Evidence, prior: PosePrior, pose: Pose) -> Subject:
    """Sizes from the poses of some frames, solved for together, near the first guess of them; `pose` fits the guess."""
    scales, spread = _usual(model, guess)
    spread = torch.cat([spread, model.shift_sd])
    precision = spread.square().reciprocal() * max(len(pose) / _INDEPENDENT_FRAMES, 1.0)
    usual = torch.cat([scales, torch.zeros_like(model.shift_sd)])
    problem = SizeProblem(model, evidence, prior.without_time(), usual, precision, _ROBUST)
    sizes, damping = torch.cat([guess.scales, torch.zeros_like(model.shift_sd)]), 1e-3
    cost = problem.cost(sizes, pose)
    for _ in range(_MAX_STEPS):
        steps = problem.step(sizes, pose, damping)
        if steps is None:
            damping *= 100
            continue
        trial, trial_pose = sizes + steps[0], model.template.moved_by(pose, steps[1])
        trial_cost = problem.cost(trial, trial_pose)
        if not trial_cost < cost:
            damping *= 100
            continue
        settled = cost - trial_cost < _SETTLED * cost
        sizes, pose, cost, damping = trial, trial_pose, trial_cost, max(damping / 10, 1e-7)
        if settled:
            break
    return problem.subject(sizes)


def _usual(model: SubjectModel, guess: Subject) -> tuple[Float[Tensor, "S"], Float[Tensor, "S"]]:
    """What scales are expected, and how surely: of the first guess and of the shares that people have of the whole."""
    measured, shared = (model.spread * guess.scales).square().reciprocal(), torch.zeros_like(guess.scales)
    whole = guess.scales.median()
    known = model.among_people.isfinite()
    shared[known] = (model.among_people[known] * whole).square().reciprocal()
    return (measured * guess.scales + shared * whole) / (measured + shared), (measured + shared).rsqrt()


def _whitened(
    information: Float[Tensor, "T M 3 3"], gradient: Float[Tensor, "T M 3"]
) -> tuple[Float[Tensor, "T M 3 3"], Float[Tensor, "T M 3"]]:
    """W and r of which the information is WᵀW and the gradient Wᵀr; where a view is alone, all but it is nearly 0."""
    size = information.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    lower = torch.linalg.cholesky(information + (1e-9 * size + 1e-9) * torch.eye(3, dtype=size.dtype))
    return lower.transpose(-1, -2), torch.linalg.solve_triangular(lower, gradient[..., None], upper=False)[..., 0]
