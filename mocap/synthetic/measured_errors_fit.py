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
from mocap.synthetic.detector_errors import HIDDEN_MUCH
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
MOST_FACTOR = 0.7
"""Beyond, the median of drawn errors rises above the measured one."""
MOST_DOF, LEAST_DOF = 30.0, 3.0
ERROR_REFERENCE = 0.01
CLIPPED = (0.01, 0.999)


@dataclass(frozen=True, eq=False)
class _Noise:
    """spread: (K, 3) per axis, all causes together, in sizes; noise: the same without what lasts. dof: of the tails.

    view_factor: (V,) how much larger errors are in each view than in most; view_spread: of the logarithm of the factor
    on the noise that makes them so. share: of the noise in the square of a visible point's median error.
    """

    spread: Float[np.ndarray, "K 3"]
    noise: Float[np.ndarray, "K 3"]
    dof: float
    view_factor: Float[np.ndarray, "V"]
    view_spread: float
    share: float


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
        mean_offset=fit_bias(flat, keypoint_set, degree=0).offset[..., 0],
        along=bias.along,
        person=lasting.person,
        view=lasting.view,
        spread=noise.noise,
        confidence=confidence[0],
        confidence_spread=confidence[1],
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
    unit = (radius / median[:, 0]).reshape(-1, 1)
    factor = np.array([_median(unit, (known & (state == code)).reshape(-1, 1))[0] for code in STATES])
    median = np.where(enough, median, median[:, :1] * np.where(np.isfinite(factor), factor, HIDDEN_FACTOR))
    unit = radius / by_state(median, state)
    visible = known & (state == Visibility.VISIBLE)
    of_view = _median(unit.T, visible.T)
    many = visible.sum(1) >= MANY
    within = (unit / of_view[:, None])[visible & many[:, None]]
    dof = _dof_of(float(np.quantile(within, 0.95)))
    sampling = np.mean(1.57 / visible.sum(1)[many]) * LOG_RADIUS_SPREAD**2
    level_spread = float(np.sqrt(max(np.var(np.log(of_view[many])) - sampling, 0.0)))
    spread = median / quantile_of_tails(0.5, dof)
    square = np.square(flat.px_from_torso / flat.size[:, None, None]).sum((1, 2)).mean() / 2
    lasts = lasting.view**2 + lasting.person**2 * square
    # Squares of medians add up nearly, variances of tails do not show in them. 2 ln 2: median square of a Gaussian.
    core = np.maximum(median**2 - 2 * np.log(2) * lasts[:, None], (LEAST_NOISE * median) ** 2)
    noise = np.sqrt(core) / quantile_of_tails(0.5, dof)
    share = float((core[:, 0] / median[:, 0] ** 2).mean())
    view_spread = _factor_spread(level_spread, share)
    of_view = np.where(many, of_view, 1.0)[: len(left)]
    return _Noise(spread, noise, dof, of_view, view_spread, share)


def _factor_spread(level_spread: float, share: float) -> float:
    """Spread of the logarithm of a factor f on the noise, of which errors whose variance is noise to a `share` have
    levels sqrt(1 - share + share f²) of logarithmic spread `level_spread`. Quadrature by Gauss and Hermite."""
    at, weight = np.polynomial.hermite_e.hermegauss(21)
    weight = weight / weight.sum()

    def excess(spread: float) -> float:
        level = np.log(1 - share + share * np.exp(2 * spread * at)) / 2
        return float(np.sqrt(weight @ np.square(level - weight @ level))) - level_spread

    if excess(MOST_FACTOR) <= 0:
        return MOST_FACTOR
    root: Any = brentq(excess, 0.0, MOST_FACTOR)
    return float(root)


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
    """How much of the noise stays from frame to frame, and for how long, from how far errors of visible points move.

    Of plane Gaussians of spread s, |a - b|² has the median 2 ln 2 · 2 s² (1 - correlation). Median and not mean, as
    the mean is that of the few views that are far off.
    """
    scale = noise.spread[:, 0] * noise.view_factor[:, None]
    unit = left / flat.size[:, None, None] / scale[..., None]
    unit = np.where((flat.visibility == Visibility.VISIBLE)[..., None], unit, np.nan)
    median = _median(np.linalg.norm(unit, axis=-1).reshape(-1, 1), np.isfinite(unit[..., 0]).reshape(-1, 1))[0]
    series = flat.clip * 10_000 + flat.moment
    lags = np.array([1.0, 2.0, 3.0])
    moved = np.array([_moved(unit, series, int(lag)) for lag in lags])
    lost = moved**2 / (2 * median**2 * noise.share)
    slope, start = np.polyfit(lags, lost, 1)
    lasting = float(np.clip(1 - start, 0.1, 1.0))
    memory = lasting / max(slope, 1e-3)
    return {"lasting": lasting, "lasting_s": float(np.clip(memory / flat.fps.mean(), 0.0, 2.0)), "tails_last": True}


def _moved(unit: Float[np.ndarray, "V K 2"], series: np.ndarray, lag: int) -> float:
    """Median length of the way of an error from one frame to a later one."""
    together = np.flatnonzero(series[: len(series) - lag] == series[lag:])
    way = np.linalg.norm(unit[together + lag] - unit[together], axis=-1).reshape(-1, 1)
    return float(_median(way, np.isfinite(way))[0])


def _fit_confidence(
    views: MeasuredViews, kinds: SortedErrors, keypoint_set: KeypointSet
) -> tuple[tuple[Float[np.ndarray, "K 3"], Float[np.ndarray, "K 3"]], dict[str, Any]]:
    """Logits of faultless points by keypoint and state, mean and spread; and how an error lowers them."""
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
    x, y = (
        np.where(chosen, values - mean.T[:, None], 0.0) for values, mean in ((doubt, mean_doubt), (logit, mean_logit))
    )
    slope = max(0.0, -float((x * y).sum() / (x * x).sum()))
    enough = chosen.sum(1).T >= LEAST_VIEWS
    base = mean_logit + slope * mean_doubt
    variance = _means(np.square(y + slope * x), chosen)
    base, variance = _filled(base, enough), _filled(variance, enough)
    return (base, np.sqrt(variance)), {"error_doubt": slope, "error_reference": ERROR_REFERENCE}


def _filled(values: Float[np.ndarray, "K 3"], enough: Bool[np.ndarray, "K 3"]) -> Float[np.ndarray, "K 3"]:
    """With the mean of all keypoints in a state where there are too few reports; of visible ones if there are none."""
    known = np.isfinite(values)
    count = known.sum(0)
    mean = np.where(known, values, 0.0).sum(0) / np.maximum(count, 1)
    return np.where(enough & known, values, np.where(count > 0, mean, mean[0]))


def _means(values: Float[np.ndarray, "*s V K"], chosen: Bool[np.ndarray, "3 V K"]) -> Float[np.ndarray, "K 3"]:
    count = chosen.sum(1)
    total = np.where(chosen, np.nan_to_num(values), 0.0).sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).T


def _fit_faults(views: MeasuredViews, kinds: SortedErrors) -> dict[str, Any]:
    """Shares of what is not ordinary. Reports nearer to another person count as that person's, the first as lost."""
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
    covered = (inside >= limit) & (hidden > HIDDEN_MUCH)
    return {
        "least_inside": limit,
        "lost_share": float(lost[clear].mean()) if clear.any() else 0.0,
        "lost_hidden": float(lost[covered].mean()) if covered.any() else 0.0,
    }


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
