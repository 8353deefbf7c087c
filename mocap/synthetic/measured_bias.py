"""The lasting part of a measured detector's errors: offsets by direction of view, along limbs, of bodies and views."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from mocap.core.keypoints import KeypointSet
from mocap.core.truth import Visibility
from mocap.synthetic.measured_errors import direction_basis, neighbours
from mocap.synthetic.measured_sorting import SortedErrors
from mocap.synthetic.measured_views import MeasuredViews

DEGREE = 2
"""Of the polynomials in the direction of view. For people left out of the fit, the median error of visible points falls
from 1.35 % of the size to 0.91 with one offset, 0.85 with degree 1, 0.82 with 2 and with 3."""
ROUNDS = 8
KNEE = 1.5
"""Robust spreads at which an error begins to count less (Huber)."""
RIDGE, ALONG_RIDGE = 200.0, 1.0
"""Weight of the assumption that an offset does not vary with the direction, and that there is none, in views that look
square at it: a clip's pictures are much alike. What is left of people left out changes little from 50 to 800."""
HIDDEN_WEIGHT = 0.2
LIMIT = 2.5
"""Robust spreads at which errors are cut off before products of them are averaged."""


@dataclass(frozen=True, eq=False)
class FlatViews:
    """V views of K keypoints that were found. error: (V, K, 2) reported less exact, NaN where not ordinary; limb: exact
    less its neighbour's; both px. direction, px_from_torso, size as in `MeasuredViews`. visibility: (V, K).

    scene, clip, moment: (V,) numbers; a moment's pictures of all cameras have one number.
    """

    error: Float[np.ndarray, "V K 2"]
    limb: Float[np.ndarray, "V K 2"]
    direction: Float[np.ndarray, "V 3"]
    px_from_torso: Float[np.ndarray, "V 2 3"]
    size: Float[np.ndarray, "V"]
    visibility: Integer[np.ndarray, "V K"]
    scene: Integer[np.ndarray, "V"]
    clip: Integer[np.ndarray, "V"]
    moment: Integer[np.ndarray, "V"]
    fps: Float[np.ndarray, "V"]

    def rows(self, keep: np.ndarray) -> FlatViews:
        """Some of the views."""
        return FlatViews(**{name: value[keep] for name, value in vars(self).items()})

    def with_mirrored(self, mirror: Integer[np.ndarray, "K"]) -> FlatViews:
        """Every view once more as in a mirror: left and right are then alike by construction."""
        flip = np.array([-1.0, 1.0])
        turned = np.array([1.0, -1.0, 1.0])
        changed = {
            "error": self.error[:, mirror] * flip,
            "limb": self.limb[:, mirror] * flip,
            "direction": self.direction * turned,
            "px_from_torso": self.px_from_torso * flip[:, None] * turned,
            "visibility": self.visibility[:, mirror],
        }
        changed = {**vars(self), **changed}
        return FlatViews(**{name: np.concatenate([value, changed[name]]) for name, value in vars(self).items()})


@dataclass(frozen=True, eq=False)
class Bias:
    """offset: (K, 3, D) torso lengths; along: (K,) shares of the limb."""

    offset: Float[np.ndarray, "K 3 D"]
    along: Float[np.ndarray, "K"]

    def px(self, views: FlatViews) -> Float[np.ndarray, "V K 2"]:
        """What it comes to in each view."""
        basis = direction_basis(views.direction, self.offset.shape[-1])
        turned = np.einsum("via,kad,vd->vki", views.px_from_torso, self.offset, basis, optimize=True)
        return turned + self.along[:, None] * views.limb


def flat_views(views: MeasuredViews, kinds: SortedErrors, keypoint_set: KeypointSet) -> FlatViews:
    """Views in which the person was found, frame by frame."""
    near = neighbours(keypoint_set.names)
    n, b, f = views.found.shape
    clip, moment, _ = np.meshgrid(np.arange(n), np.arange(b), np.arange(f), indexing="ij")
    known = views.found & np.isfinite(views.px_from_torso).all((-2, -1))
    error = np.where(kinds.ordinary[..., None], views.xy - views.exact, np.nan)
    scene = views.scene[clip]
    return FlatViews(
        error=error[known],
        limb=np.nan_to_num(views.exact - views.exact[..., near, :])[known],
        direction=views.direction[known],
        px_from_torso=views.px_from_torso[known],
        size=kinds.size[known],
        visibility=views.visibility[known],
        scene=scene[known],
        clip=clip[known],
        moment=(scene * b + moment)[known],
        fps=views.fps[clip][known],
    )


def fit_bias(views: FlatViews, keypoint_set: KeypointSet, degree: int = DEGREE) -> Bias:
    """Robust least squares over all keypoints at once, in sizes of the person."""
    views = views.with_mirrored(keypoint_set.mirror_permutation)
    basis = direction_basis(views.direction, (degree + 1) ** 2)
    scale = 1 / views.size[:, None, None]
    shared = (views.px_from_torso[..., None] * basis[:, None, None]).reshape(len(basis), 2, -1) * scale
    along, wanted = views.limb * scale, np.nan_to_num(views.error) * scale
    known = np.isfinite(views.error[..., 0]) & (views.visibility != Visibility.HIDDEN_BY_OTHER)
    base = known * np.where(views.visibility == Visibility.VISIBLE, 1.0, HIDDEN_WEIGHT)
    penalty = _penalty(len(basis[0]), float(np.square(views.px_from_torso * scale).mean()))
    weight = base
    found = _solved(shared, along, wanted, weight, penalty)
    for _ in range(ROUNDS):
        left = wanted - np.einsum("vip,kp->vki", shared, found[:, :-1], optimize=True) - found[:, -1:] * along
        distance = np.linalg.norm(left, axis=-1)
        limit = KNEE * _weighted_median(distance, base)
        weight = base * np.minimum(1.0, limit / np.maximum(distance, 1e-9))
        found = _solved(shared, along, wanted, weight, penalty)
    return Bias(found[:, :-1].reshape(len(found), 3, -1), found[:, -1])


def _penalty(terms: int, view: float) -> Float[np.ndarray, "P"]:
    """Diagonal, in views that look square at an offset. view: mean square of a torso's length in a view."""
    varies = np.arange(terms) > 0
    offset = np.where(varies, RIDGE, ALONG_RIDGE) * view
    return np.append(np.tile(offset, 3), ALONG_RIDGE * view)


def _solved(
    shared: Float[np.ndarray, "V 2 P"],
    along: Float[np.ndarray, "V K 2"],
    wanted: Float[np.ndarray, "V K 2"],
    weight: Float[np.ndarray, "V K"],
    penalty: Float[np.ndarray, "Q"],
) -> Float[np.ndarray, "K Q"]:
    """Normal equations of every keypoint; Q = P + 1, the limb's share last."""
    v, _, p = shared.shape
    square = np.einsum("vip,viq->vpq", shared, shared).reshape(v, p * p)
    weighted_along, weighted_wanted = weight[..., None] * along, weight[..., None] * wanted
    matrix = np.zeros((weight.shape[1], p + 1, p + 1))
    matrix[:, :p, :p] = (weight.T @ square).reshape(-1, p, p)
    matrix[:, :p, p] = matrix[:, p, :p] = np.einsum("vip,vki->kp", shared, weighted_along, optimize=True)
    matrix[:, p, p] = np.einsum("vki,vki->k", along, weighted_along)
    right = np.empty((len(matrix), p + 1))
    right[:, :p] = np.einsum("vip,vki->kp", shared, weighted_wanted, optimize=True)
    right[:, p] = np.einsum("vki,vki->k", along, weighted_wanted)
    return np.linalg.solve(matrix + np.diag(penalty), right[..., None])[..., 0]


def _weighted_median(values: Float[np.ndarray, "V K"], weight: Float[np.ndarray, "V K"]) -> Float[np.ndarray, "K"]:
    order = np.argsort(values, axis=0)
    total = np.cumsum(np.take_along_axis(weight, order, axis=0), axis=0)
    row = (total < total[-1] / 2).sum(0)
    return np.take_along_axis(values, order, axis=0)[row, np.arange(values.shape[1])]


@dataclass(frozen=True, eq=False)
class LastingSpread:
    """Standard deviations per axis that errors share. person: (K,) torso lengths, among cameras in a moment;
    view: (K,) sizes, of a camera besides, from moment to moment."""

    person: Float[np.ndarray, "K"]
    view: Float[np.ndarray, "K"]


def fit_lasting(views: FlatViews, left: Float[np.ndarray, "V K 2"], keypoint_set: KeypointSet) -> LastingSpread:
    """From products of errors of different pictures. left: (px) what the bias leaves, NaN where not ordinary.

    Two cameras that see a displacement o of a body (covariance s² of each axis) have errors J o and J' o with
    E[error error'ᵀ] = s² J J'ᵀ, so s² = sum <error error'ᵀ, J J'ᵀ> / sum |J J'ᵀ|². What remains of the products of
    two moments of one camera is the view's. Both are averages over the left and the right of a pair.
    """
    e, J, known = _moment_means(views, left)
    first, second = np.nonzero(np.triu(np.ones((len(e), len(e)), dtype=bool), 1))
    scene, clip, moment = (_of_moments(views, name) for name in ("scene", "clip", "moment"))
    together = (moment[first] == moment[second]) & (clip[first] != clip[second])
    apart = (scene[first] == scene[second]) & (moment[first] != moment[second])
    person = _common(e, J, known, first[together], second[together])
    other = apart & (clip[first] != clip[second])
    stays = _common(e, J, known, first[other], second[other])
    same = apart & (clip[first] == clip[second])
    a, b = first[same], second[same]
    both = known[a] & known[b]
    product = np.where(both, (e[a] * e[b]).sum(-1), 0.0).sum(0)
    of_person = np.where(both, np.einsum("mia,mia->m", J[a], J[b])[:, None], 0.0).sum(0)
    view = (product - stays * of_person) / np.maximum(2 * both.sum(0), 1)
    mirror = keypoint_set.mirror_permutation
    person, view = ((value + value[mirror]) / 2 for value in (person, view))
    return LastingSpread(np.sqrt(np.maximum(person, 0.0)), np.sqrt(np.maximum(view, 0.0)))


def _of_moments(views: FlatViews, name: str) -> Integer[np.ndarray, "M"]:
    """Of each picture series (a moment of a clip), in the order of `_moment_means`."""
    return getattr(views, name)[_series(views)[0]]


def _series(views: FlatViews) -> tuple[Integer[np.ndarray, "M"], Integer[np.ndarray, "V"]]:
    both = np.stack([views.clip, views.moment], axis=-1)
    _, first, which = np.unique(both, axis=0, return_index=True, return_inverse=True)
    return first, which.reshape(-1)


def _moment_means(
    views: FlatViews, left: Float[np.ndarray, "V K 2"]
) -> tuple[Float[np.ndarray, "M K 2"], Float[np.ndarray, "M 2 3"], np.ndarray]:
    """Errors of visible points (sizes; cut off at `LIMIT`), px_from_torso (sizes), and which are known."""
    first, which = _series(views)
    visible = np.isfinite(left[..., 0]) & (views.visibility == Visibility.VISIBLE)
    share = np.where(visible[..., None], left, 0.0) / views.size[:, None, None]
    length = np.linalg.norm(share, axis=-1)
    limit = LIMIT * np.nanmedian(np.where(visible, length, np.nan), axis=0)
    share *= np.minimum(1.0, limit / np.maximum(length, 1e-12))[..., None]
    count = np.zeros((len(first), left.shape[1]))
    total = np.zeros((len(first), *left.shape[1:]))
    np.add.at(count, which, visible)
    np.add.at(total, which, share)
    J = views.px_from_torso[first] / views.size[first, None, None]
    return total / np.maximum(count, 1)[..., None], J, count > 0


def _common(
    e: Float[np.ndarray, "M K 2"],
    J: Float[np.ndarray, "M 2 3"],
    known: np.ndarray,
    first: Integer[np.ndarray, "n"],
    second: Integer[np.ndarray, "n"],
) -> Float[np.ndarray, "K"]:
    both = (known[first] & known[second]).astype(np.float64)
    across = np.einsum("nia,nja->nij", J[first], J[second])
    agree = np.einsum("nki,nij,nkj,nk->k", e[first], across, e[second], both, optimize=True)
    return agree / np.maximum(both.T @ np.square(across).sum((1, 2)), 1e-12)
