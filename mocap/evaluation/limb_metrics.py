"""Percentage of correct parts, as Shelf and Campus are evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.evaluation.people_metrics import MATCH_MM, person_distances_mm, present_people
from mocap.evaluation.pose_metrics import require_names

PCP_ALPHA = 0.5


@dataclass(frozen=True)
class Limb:
    """A part between two ends, each the mean of the named joints; parts of one `group` are reported together."""

    group: str
    start: tuple[str, ...]
    end: tuple[str, ...]


class PcpReport(Report):
    """Shares in [0, 1]; None where an actor, or a part of one, is never there.

    average: over the actors, each with the same weight (not over parts). people: frames times actors.
    recall_500mm: of those, the ones with a prediction within 500 mm.
    """

    alpha: float
    people: int
    per_actor: tuple[float | None, ...]
    average: float | None
    per_group: dict[str, tuple[float | None, ...]]
    recall_500mm: float | None


def pcp_report(
    prediction: Float[np.ndarray, "T P J 3"],
    truth: Float[np.ndarray, "T Q J 3"],
    *,
    names: Sequence[str],
    limbs: Sequence[Limb],
    alpha: float = PCP_ALPHA,
) -> PcpReport:
    """Belagiannis et al. 2014, in the variant of VoxelPose's code (Tu et al. 2020) and MVPose (Dong et al. 2019).

    In each frame the prediction nearest to an actor is taken, even if it is another actor's too. A part is correct when
    the mean of the distances of its two ends is at most `alpha` times its true length. (The stricter variant asks it of
    both ends.) A part that the prediction lacks is wrong; one that the truth lacks is not counted.
    """
    require_names(names, truth)
    distances = person_distances_mm(prediction, truth)
    chosen = _nearest(prediction, distances)
    correct, counted = _correct_parts(chosen, truth, list(names), limbs, alpha)
    present = present_people(truth)
    near = distances.min(1, initial=np.inf) < MATCH_MM
    per_actor = tuple(_share(correct[:, q], counted[:, q]) for q in range(truth.shape[1]))
    known = [share for share in per_actor if share is not None]
    groups = {}
    for group in dict.fromkeys(limb.group for limb in limbs):
        of = np.array([limb.group == group for limb in limbs])
        groups[group] = tuple(_share(correct[:, q, of], counted[:, q, of]) for q in range(truth.shape[1]))
    return PcpReport(
        alpha=alpha,
        people=int(present.sum()),
        per_actor=per_actor,
        average=float(np.mean(known)) if known else None,
        per_group=groups,
        recall_500mm=_share(near, present),
    )


def _nearest(
    prediction: Float[np.ndarray, "T P J 3"], distances: Float[np.ndarray, "T P Q"]
) -> Float[np.ndarray, "T Q J 3"]:
    n_frames, n_predicted, n_true = distances.shape
    if not n_predicted:
        return np.full((n_frames, n_true, *prediction.shape[2:]), np.nan)
    nearest = distances.argmin(1)
    chosen = np.take_along_axis(prediction, nearest[..., None, None], axis=1)
    return np.where(np.isfinite(distances.min(1))[..., None, None], chosen, np.nan)


def _correct_parts(
    prediction: Float[np.ndarray, "T Q J 3"],
    truth: Float[np.ndarray, "T Q J 3"],
    names: list[str],
    limbs: Sequence[Limb],
    alpha: float,
) -> tuple[Bool[np.ndarray, "T Q L"], Bool[np.ndarray, "T Q L"]]:
    """Which parts are correct, and which the truth has."""
    unknown = sorted({name for limb in limbs for name in (*limb.start, *limb.end)} - set(names))
    if unknown:
        raise InputError(f"parts end in {', '.join(unknown)}; there are {', '.join(names)}")
    columns = [([names.index(n) for n in limb.start], [names.index(n) for n in limb.end]) for limb in limbs]

    def ends(points: np.ndarray, side: int) -> np.ndarray:
        return np.stack([points[..., pair[side], :].mean(-2) for pair in columns], axis=-2)

    error = sum(np.linalg.norm(ends(prediction, side) - ends(truth, side), axis=-1) for side in (0, 1)) / 2
    length = np.linalg.norm(ends(truth, 0) - ends(truth, 1), axis=-1)
    return error <= alpha * length, np.isfinite(length)


def _share(hits: Bool[np.ndarray, "*any"], counted: Bool[np.ndarray, "*any"]) -> float | None:
    n = int(counted.sum())
    return float((hits & counted).sum() / n) if n else None
