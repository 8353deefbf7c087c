"""Distance of keypoints in space from their true places."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from jaxtyping import Bool, Float

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.evaluation.alignment import fit_scale, root_aligned, similarity_aligned, take_aligned
from mocap.evaluation.distribution import Distribution, distribution, known_mean

PCK_THRESHOLD_MM = 150.0
"""Half the size of a head, "roughly" (Mehta et al. 2017)."""

AUC_THRESHOLDS_MM = np.linspace(0.0, PCK_THRESHOLD_MM, 31)
"""Those of the evaluation code that comes with MPI-INF-3DHP."""

SWAP_RATIO = 0.5
SWAP_GAIN_MM = 50.0
"""Sides count as swapped where exchanging them halves the error at least, and takes 50 mm at least from its mean."""


class Alignment(StrEnum):
    """What is taken out of an error before it is measured.

    absolute: nothing. root: the place of the root joint, in every frame. scale: that, then one factor a frame and
    person (N-MPJPE, Rhodin et al. 2018). procrustes: a similarity a frame and person (PA-MPJPE). rigid: the same
    without scale. take: one similarity for all frames and people (WA-MPJPE). take_start: one fitted to the first two
    frames (W-MPJPE). take_rigid: one rigid transform for all frames and people.
    """

    ABSOLUTE = "absolute"
    ROOT = "root"
    SCALE = "scale"
    PROCRUSTES = "procrustes"
    RIGID = "rigid"
    TAKE = "take"
    TAKE_START = "take_start"
    TAKE_RIGID = "take_rigid"


class PoseErrors(Report):
    """errors_mm: over all points, so that `errors_mm.mean` is the MPJPE. pck, auc: see `pck` and `auc`, in [0, 1].

    Relative to a root, a pose whose root the prediction lacks is missing altogether.
    """

    errors_mm: Distribution
    per_joint_mm: dict[str, Distribution]
    pck_150: float | None
    auc_150: float | None


class SideSwaps(Report):
    """Frames (of each person) in which left and right are exchanged: of all pairs together, and of each alone.

    frames: those in which at least one pair is known on both sides. share: None without such frames.
    """

    frames: int
    swapped: int
    share: float | None
    per_pair: dict[str, float | None]


class PoseReport(Report):
    """One motion against the truth. frames: T times people; points: those that the truth has."""

    frames: int
    points: int
    missing: int
    alignments: dict[str, PoseErrors]
    swaps: SideSwaps


def joint_errors_mm(
    prediction: Float[np.ndarray, "*batch J 3"], truth: Float[np.ndarray, "*batch J 3"]
) -> Float[np.ndarray, "*batch J"]:
    """Euclidean distance of each point (m in, mm out); NaN where either is missing."""
    return np.asarray(np.linalg.norm(prediction - truth, axis=-1) * 1000.0)


def known_points(points: Float[np.ndarray, "*batch D"]) -> Bool[np.ndarray, "*batch"]:
    """Where a point is there: all of its coordinates are finite."""
    return np.asarray(np.isfinite(points).all(-1))


def frame_errors_mm(errors: Float[np.ndarray, "*batch J"]) -> Float[np.ndarray, "*batch"]:
    """Mean over the joints that are known, for plots over time; NaN where none is."""
    return known_mean(errors, -1)


def aligned(
    prediction: Float[np.ndarray, "T *people J 3"],
    truth: Float[np.ndarray, "T *people J 3"],
    alignment: Alignment,
    root: Sequence[int] = (),
) -> tuple[Float[np.ndarray, "T *people J 3"], Float[np.ndarray, "T *people J 3"]]:
    """Prediction and truth after one of the alignments; `root` is needed by `root` and `scale`."""
    match alignment:
        case Alignment.ABSOLUTE:
            return prediction, truth
        case Alignment.ROOT:
            return root_aligned(prediction, root), root_aligned(truth, root)
        case Alignment.SCALE:
            a, b = root_aligned(prediction, root), root_aligned(truth, root)
            return a * fit_scale(a, b)[..., None, None], b
        case Alignment.PROCRUSTES | Alignment.RIGID:
            return similarity_aligned(prediction, truth, scale=alignment is Alignment.PROCRUSTES), truth
        case Alignment.TAKE | Alignment.TAKE_RIGID:
            return take_aligned(prediction, truth, scale=alignment is Alignment.TAKE), truth
        case Alignment.TAKE_START:
            return take_aligned(prediction, truth, fit_frames=2), truth


def mpjpe_mm(
    prediction: Float[np.ndarray, "T *people J 3"],
    truth: Float[np.ndarray, "T *people J 3"],
    alignment: Alignment = Alignment.ABSOLUTE,
    root: Sequence[int] = (),
) -> float:
    """Mean per joint position error, mm, over all points known on both sides; NaN where there are none.

    Papers average over joints, then over frames: the same where no point is missing (Ionescu et al. 2014).
    """
    return float(known_mean(joint_errors_mm(*aligned(prediction, truth, alignment, root))))


def pck(
    errors_mm: Float[np.ndarray, "*batch"],
    expected: Bool[np.ndarray, "*batch"],
    threshold_mm: float = PCK_THRESHOLD_MM,
) -> float | None:
    """Share of the points that the truth has with an error under the threshold (Mehta et al. 2017, 3DPCK).

    A point that the prediction lacks is missed. None where the truth has no points.
    """
    count = int(expected.sum())
    return float((errors_mm[expected] < threshold_mm).sum() / count) if count else None


def auc(errors_mm: Float[np.ndarray, "*batch"], expected: Bool[np.ndarray, "*batch"]) -> float | None:
    """Mean of the PCK at 0, 5, … 150 mm (Mehta et al. 2017). No error is under 0 mm, so the best value is 30/31."""
    count = int(expected.sum())
    if not count:
        return None
    below = errors_mm[expected][:, None] < AUC_THRESHOLDS_MM
    return float(below.sum() / (count * len(AUC_THRESHOLDS_MM)))


def pose_errors(
    prediction: Float[np.ndarray, "*batch J 3"], truth: Float[np.ndarray, "*batch J 3"], names: Sequence[str]
) -> PoseErrors:
    """Figures of points that are aligned already."""
    require_names(names, truth)
    errors, expected = joint_errors_mm(prediction, truth), known_points(truth)
    return PoseErrors(
        errors_mm=distribution(errors, expected),
        per_joint_mm={n: distribution(errors[..., j], expected[..., j]) for j, n in enumerate(names)},
        pck_150=pck(errors, expected),
        auc_150=auc(errors, expected),
    )


def side_swaps(
    prediction: Float[np.ndarray, "*batch J 3"],
    truth: Float[np.ndarray, "*batch J 3"],
    names: Sequence[str],
    pairs: Sequence[tuple[str, str]],
) -> SideSwaps:
    """How often the prediction has left and right exchanged. Pairs with a point missing on either side are left out.

    Swapped: mean error with the sides exchanged < SWAP_RATIO × mean error as they are, and lower by SWAP_GAIN_MM.
    """
    present = [(a, b) for a, b in pairs if a in names and b in names]
    left, right = ([names.index(pair[side]) for pair in present] for side in (0, 1))
    straight = joint_errors_mm(prediction[..., left + right, :], truth[..., left + right, :])
    crossed = joint_errors_mm(prediction[..., right + left, :], truth[..., left + right, :])
    straight, crossed = (_pair_means(errors, len(present)) for errors in (straight, crossed))
    together = _swapped(known_mean(straight, -1), known_mean(crossed, -1))
    frames = int(np.isfinite(straight).any(-1).sum())
    each = _swapped(straight, crossed)
    frame_axes = tuple(range(each.ndim - 1))
    counts, hits = np.isfinite(straight).sum(frame_axes), each.sum(frame_axes)
    per_pair = {f"{a}/{b}": float(hits[i] / counts[i]) if counts[i] else None for i, (a, b) in enumerate(present)}
    swapped = int(together.sum())
    return SideSwaps(frames=frames, swapped=swapped, share=swapped / frames if frames else None, per_pair=per_pair)


def pose_report(
    prediction: Float[np.ndarray, "T *people J 3"],
    truth: Float[np.ndarray, "T *people J 3"],
    *,
    names: Sequence[str],
    pairs: Sequence[tuple[str, str]] = (),
    root: Sequence[str] | None = None,
    alignments: Sequence[Alignment] = tuple(Alignment),
) -> PoseReport:
    """All figures of matched people. root: names whose mean is the root (by default `root_of(names)`)."""
    require_names(names, truth)
    root = root_of(names) if root is None else tuple(root)
    unknown = sorted(set(root) - set(names))
    if unknown:
        raise InputError(f"no keypoint {', '.join(unknown)} to be the root; there are {', '.join(names)}")
    columns = [list(names).index(name) for name in root]
    figures = {
        alignment.value: pose_errors(*aligned(prediction, truth, alignment, columns), names)
        for alignment in alignments
        if columns or alignment not in (Alignment.ROOT, Alignment.SCALE)
    }
    expected = known_points(truth)
    return PoseReport(
        frames=int(np.prod(truth.shape[:-2])),
        points=int(expected.sum()),
        missing=int((expected & ~known_points(prediction)).sum()),
        alignments=figures,
        swaps=side_swaps(prediction, truth, names, pairs),
    )


def root_of(names: Sequence[str]) -> tuple[str, ...]:
    """What stands for the pelvis: `hip`, else both hips, else nothing."""
    options = (("hip",), ("left_hip", "right_hip"))
    return next((option for option in options if set(option) <= set(names)), ())


def require_names(names: Sequence[str], points: Float[np.ndarray, "*batch J D"]) -> None:
    """Refuse a list of names that is not as long as the points' J axis."""
    if len(names) != points.shape[-2]:
        raise InputError(f"{len(names)} names for {points.shape[-2]} points")


def _pair_means(errors: Float[np.ndarray, "*batch twice"], n_pairs: int) -> Float[np.ndarray, "*batch n"]:
    return (errors[..., :n_pairs] + errors[..., n_pairs:]) / 2


def _swapped(straight: Float[np.ndarray, "*any"], crossed: Float[np.ndarray, "*any"]) -> Bool[np.ndarray, "*any"]:
    return np.asarray((crossed < SWAP_RATIO * straight) & (straight - crossed > SWAP_GAIN_MM))
