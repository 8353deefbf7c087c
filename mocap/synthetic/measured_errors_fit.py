"""From a detector's reports of known views to `MeasuredErrors`: what lasts, what is noise, what goes wrong, how sure it
is, and how its heatmaps look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import brentq

from mocap.core.keypoints import KeypointSet
from mocap.core.truth import Visibility
from mocap.synthetic.measured_bias import Bias, FlatViews, LastingSpread, fit_bias, fit_lasting, flat_views
from mocap.synthetic.measured_errors import STATES, MeasuredErrors, by_state
from mocap.synthetic.measured_heatmaps_fit import fit_heatmaps
from mocap.synthetic.measured_sorting import SortedErrors, sort_errors
from mocap.synthetic.measured_views import MeasuredViews

STRAY = 6.0
"""Spreads from which on an error is a stray, beyond those that the tails have anyway."""
LEAST_VIEWS = 200
"""Fewer reports in a state: its spread is the visible one's times the mean factor of all keypoints."""
HIDDEN_FACTOR = 2.0
"""Spread of hidden points over that of visible ones, where no keypoint has enough of them."""
MANY = 8
"""Visible points of a view from which its median says how hard it is."""
LOG_RADIUS_SPREAD = 0.67
"""Of the logarithm of the length of a plane error about its middle (half the distance of its 16 % and 84 % quantiles);
a median of n has sqrt(1.57 / n) of it."""
CLEAR = 0.1
"""Most of a person's keypoints that others hide where it counts as lost by the detector's own fault."""
LEAST_NOISE = 0.3
"""Of the whole spread that is left to noise, at least."""
MOST_DOF, LEAST_DOF = 30.0, 3.0
ERROR_REFERENCE = 0.01
CLIPPED = (0.01, 0.999)


@dataclass(frozen=True, eq=False)
class _Noise:
    """spread: (K, 3) per axis, all causes together, in sizes; noise: the same without what lasts. dof: of the tails.

    view_factor: (V,) how much larger errors are in each view than in most; view_spread: of its logarithm.
    """

    spread: Float[np.ndarray, "K 3"]
    noise: Float[np.ndarray, "K 3"]
    dof: float
    view_factor: Float[np.ndarray, "V"]
    view_spread: float


def fit_errors(views: MeasuredViews, keypoint_set: KeypointSet, provenance: Mapping[str, Any]) -> MeasuredErrors:
    """All of it. Left and right keypoints get the same numbers, mirrored."""
    kinds = sort_errors(views, keypoint_set)
    flat = flat_views(views, kinds, keypoint_set)
    bias = fit_bias(flat, keypoint_set)
    left = flat.error - bias.px(flat)
    lasting = fit_lasting(flat, left, keypoint_set)
    noise = _fit_noise(flat, left, lasting, keypoint_set)
    confidence, errors = _fit_confidence(views, kinds, keypoint_set)
    errors |= _fit_memory(flat, left, noise) | _fit_faults(views, kinds) | _fit_strays(flat, left, noise)
    return MeasuredErrors(
        names=keypoint_set.names,
        offset=bias.offset,
        along=bias.along,
        person=lasting.person,
        view=lasting.view,
        spread=noise.noise,
        confidence=confidence,
        errors={name: _plain(value) for name, value in errors.items()}
        | {"tail_dof": round(noise.dof, 2), "view_spread": round(noise.view_spread, 3)},
        heatmaps=fit_heatmaps(views, kinds, keypoint_set),
        provenance={**provenance, **_figures(views, flat, left, bias)},
    )


def _plain(value: Any) -> Any:
    """Numbers rounded to four places, or four digits where they are small."""
    if isinstance(value, bool):
        return value
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return float(f"{value:.4g}")


def quantile_of_tails(share: float, dof: float) -> float:
    """Radius within which a `share` of plane errors lies, in standard deviations per axis.

    |r|² is (dof - 2) / dof times twice an F of 2 and dof, whose distribution is 1 - (1 + 2 f / dof)^(-dof / 2).
    """
    return float(np.sqrt((dof - 2) * ((1 - share) ** (-2 / dof) - 1)))


def _fit_noise(
    flat: FlatViews, left: Float[np.ndarray, "V K 2"], lasting: LastingSpread, keypoint_set: KeypointSet
) -> _Noise:
    """Spreads from medians. Tails from how much farther out than a view's median a twentieth of its visible points is:
    what all points of a view share is no tail, but a view that is harder than others."""
    radius = np.linalg.norm(left, axis=-1) / flat.size[:, None]
    mirror = keypoint_set.mirror_permutation
    radius = np.concatenate([radius, radius[:, mirror]])
    state = np.concatenate([flat.visibility, flat.visibility[:, mirror]])
    known = np.isfinite(radius)
    median = np.stack([_median(radius, known & (state == code)) for code in STATES], axis=-1)
    enough = np.stack([(known & (state == code)).sum(0) >= LEAST_VIEWS for code in STATES], axis=-1)
    factor = _median(median / median[:, :1], enough)
    median = np.where(enough, median, median[:, :1] * np.where(np.isfinite(factor), factor, HIDDEN_FACTOR))
    unit = radius / by_state(median, state)
    visible = known & (state == Visibility.VISIBLE)
    of_view = _median(unit.T, visible.T)
    many = visible.sum(1) >= MANY
    within = (unit / of_view[:, None])[visible & many[:, None]]
    dof = _dof_of(float(np.quantile(within, 0.95)))
    sampling = np.mean(1.57 / visible.sum(1)[many]) * LOG_RADIUS_SPREAD**2
    view_spread = float(np.sqrt(max(np.var(np.log(of_view[many])) - sampling, 0.0)))
    spread = median / quantile_of_tails(0.5, dof)
    square = np.square(flat.px_from_torso / flat.size[:, None, None]).sum((1, 2)).mean() / 2
    lasts = lasting.view**2 + lasting.person**2 * square
    noise = np.sqrt(np.maximum(spread**2 - lasts[:, None], (LEAST_NOISE * spread) ** 2))
    of_view = np.where(many, of_view, 1.0)[: len(left)]
    return _Noise(spread, noise, dof, of_view, view_spread)


def _median(radius: Float[np.ndarray, "V K"], chosen: Bool[np.ndarray, "V K"]) -> Float[np.ndarray, "K"]:
    """Of the chosen ones in each column; NaN where there are none."""
    ordered = np.sort(np.where(chosen, radius, np.inf), axis=0)
    count = chosen.sum(0)
    middle = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    return np.where(count > 0, middle, np.nan)


def _dof_of(ratio: float) -> float:
    """Degrees of freedom for which the 95 % radius is `ratio` times the median one."""

    def excess(dof: float) -> float:
        return quantile_of_tails(0.95, dof) / quantile_of_tails(0.5, dof) - ratio

    if excess(MOST_DOF) >= 0:
        return MOST_DOF
    if excess(LEAST_DOF) <= 0:
        return LEAST_DOF
    root: Any = brentq(excess, LEAST_DOF, MOST_DOF)
    return float(root)


def _fit_memory(flat: FlatViews, left: Float[np.ndarray, "V K 2"], noise: _Noise) -> dict[str, Any]:
    """How much of the noise stays from frame to frame, and for how long, from products of frames in a row."""
    unit = left / flat.size[:, None, None] / by_state(noise.spread, flat.visibility)[..., None]
    length = np.linalg.norm(unit, axis=-1)
    unit = unit * np.minimum(1.0, 3.0 / np.maximum(length, 1e-9))[..., None]
    series = flat.clip * 10_000 + flat.moment
    shared = np.array([_product(unit, series, lag) for lag in (0, 1, 2, 3)])
    other = np.flatnonzero((np.diff(flat.clip) == 0) & (np.diff(flat.moment) != 0))
    stays = float(np.nanmean((unit[other] * unit[other + 1]).sum(-1)))
    correlation = np.clip((shared - stays) / (shared[0] - stays), 1e-3, 1.0)
    slope, start = np.polyfit([1.0, 2.0, 3.0], np.log(correlation[1:]), 1)
    return {
        "lasting": float(np.clip(np.exp(start), 0.0, 1.0)),
        "lasting_s": float(np.clip(-1 / min(slope, -1e-3) / float(flat.fps.mean()), 0.0, 2.0)),
        "tails_last": True,
    }


def _product(unit: Float[np.ndarray, "V K 2"], series: np.ndarray, lag: int) -> float:
    together = np.flatnonzero(series[: len(series) - lag] == series[lag:])
    return float(np.nanmean((unit[together] * unit[together + lag]).sum(-1)))


def _fit_confidence(
    views: MeasuredViews, kinds: SortedErrors, keypoint_set: KeypointSet
) -> tuple[Float[np.ndarray, "K 3"], dict[str, Any]]:
    """Logits of faultless points by keypoint and state; how an error lowers them, and how they vary."""
    mirror = keypoint_set.mirror_permutation
    logit = np.clip(views.confidence, *CLIPPED)
    logit = np.log(logit / (1 - logit))
    share = np.linalg.norm(views.xy - views.exact, axis=-1) / kinds.size[..., None]
    doubt = np.log1p((share / ERROR_REFERENCE) ** 2)
    columns = (logit, doubt, views.visibility, kinds.ordinary)
    logit, doubt, state, known = (np.concatenate([c.reshape(-1, len(mirror))] * 2) for c in columns)
    half = len(logit) // 2
    for values in (logit, doubt, state, known):
        values[half:] = values[:half][:, mirror]
    chosen = np.stack([known & (state == code) for code in STATES])
    mean_logit, mean_doubt = (_means(values, chosen) for values in (logit, doubt))
    visible = chosen[0]
    x, y = ((values - mean.T[0])[visible] for values, mean in ((doubt, mean_doubt), (logit, mean_logit)))
    slope = max(0.0, -float((x * y).sum() / (x * x).sum()))
    whole = np.nanmean(mean_logit + slope * mean_doubt, axis=0)
    base = mean_logit + slope * mean_doubt
    base = np.where(chosen.sum(1).T >= LEAST_VIEWS, base, whole)
    spread = float(np.std(y + slope * x))
    return base, {"error_doubt": slope, "error_reference": ERROR_REFERENCE, "confidence_spread": spread}


def _means(values: Float[np.ndarray, "V K"], chosen: Bool[np.ndarray, "3 V K"]) -> Float[np.ndarray, "K 3"]:
    count = chosen.sum(1)
    total = np.where(chosen, np.nan_to_num(values), 0.0).sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).T


def _fit_faults(views: MeasuredViews, kinds: SortedErrors) -> dict[str, Any]:
    """Shares of what is not ordinary."""
    found, good = views.found, views.found & ~(kinds.wrong | kinds.background)
    reported = np.isfinite(views.xy[..., 0])
    wrong = kinds.wrong.sum() + kinds.background.sum()
    collapse = kinds.collapsed.sum() / max(1, kinds.collapse_known.sum())
    missing = {
        name: _share(~reported, good[..., None] & (views.visibility == code))
        for name, code in (
            ("missing_visible", Visibility.VISIBLE),
            ("missing_self", Visibility.HIDDEN_BY_SELF),
            ("missing_other", Visibility.HIDDEN_BY_OTHER),
            ("missing_outside", Visibility.OUTSIDE),
        )
    }
    return {
        **_fit_swaps(views, kinds),
        **_fit_losses(views),
        **missing,
        "collapse_share": float(collapse),
        "wrong_person_share": float(wrong / max(1, found.sum())),
        "phantom_share": float(views.phantoms.sum() / max(1, views.n_views)),
    }


def _share(what: np.ndarray, of: np.ndarray) -> float:
    return float((what & of).sum() / max(1, int(of.sum())))


def _fit_swaps(views: MeasuredViews, kinds: SortedErrors) -> dict[str, Any]:
    """Shares from the front; how many times as often from the side and from behind, all kinds together."""
    facing = views.direction[..., 0]
    seen = {"front": facing > 0.5, "profile": np.abs(facing) <= 0.5, "back": facing < -0.5}
    known = {way: (kinds.swap_known & here[..., None]).sum((0, 1, 2)) for way, here in seen.items()}
    count = {way: (kinds.swapped & here[..., None]).sum((0, 1, 2)) for way, here in seen.items()}
    rate = {way: (count[way].sum() + 0.5) / max(1, known[way].sum()) for way in seen}
    by_kind = sum(count.values()) / np.maximum(1, sum(known.values()))
    overall = max(float(sum(c.sum() for c in count.values())) / max(1, sum(k.sum() for k in known.values())), 1e-6)
    to_front = rate["front"] / overall
    return {
        "swap_share": float(by_kind[0] * to_front),
        "swap_limb_share": float(by_kind[1:].mean() * to_front),
        "swap_profile": rate["profile"] / rate["front"],
        "swap_back": rate["back"] / rate["front"],
    }


def _fit_losses(views: MeasuredViews) -> dict[str, Any]:
    """Below which share of keypoints in the picture people are mostly not found, and how many of the others are not,
    unless others hide them. In every moment people are looked for anew: in a take, who is followed is lost less."""
    inside = (views.visibility != Visibility.OUTSIDE).mean(-1).ravel()
    lost = ~views.found.ravel()
    limits = np.linspace(0.0, 0.8, 17)
    below = inside[:, None] < limits
    wrong = (below & ~lost[:, None]).sum(0) + (~below & lost[:, None]).sum(0)
    limit = float(limits[wrong.argmin()])
    hidden = (views.visibility == Visibility.HIDDEN_BY_OTHER).mean(-1).ravel()
    clear = (inside >= limit) & (hidden < CLEAR)
    return {"least_inside": limit, "lost_share": float(lost[clear].mean()) if clear.any() else 0.0}


def _fit_strays(flat: FlatViews, left: Float[np.ndarray, "V K 2"], noise: _Noise) -> dict[str, Any]:
    """Visible points farther off than the tails explain."""
    share = np.linalg.norm(left, axis=-1) / flat.size[:, None]
    unit = share / by_state(noise.spread, flat.visibility) / noise.view_factor[:, None]
    visible = np.isfinite(share) & (flat.visibility == Visibility.VISIBLE)
    expected = (1 + STRAY**2 / (noise.dof - 2)) ** (-noise.dof / 2)
    far = visible & (unit > STRAY)
    observed = far.sum() / max(1, int(visible.sum()))
    reach = np.quantile(share[far], [0.1, 0.9]) if far.sum() >= 10 else np.array([0.05, 0.3])
    return {"stray_share": max(0.0, float(observed - expected)), "stray_reach": tuple(reach.tolist())}


def _figures(views: MeasuredViews, flat: FlatViews, left: np.ndarray, bias: Bias) -> dict[str, Any]:
    """What the file says of itself: errors of visible points, in % of the person's size."""
    visible = np.isfinite(left[..., 0]) & (flat.visibility == Visibility.VISIBLE)
    before, after = (np.linalg.norm(e, axis=-1) / flat.size[:, None] for e in (flat.error, left))
    return {
        "people_in_pictures": views.n_views,
        "found": int(views.found.sum()),
        "people": len(np.unique(views.scene)),
        "torso_mm": round(1000 * float(views.torso_m.mean()), 1),
        "median_error_percent": round(100 * float(np.median(before[visible])), 3),
        "median_left_percent": round(100 * float(np.median(after[visible])), 3),
        "directions": bias.offset.shape[-1],
    }
