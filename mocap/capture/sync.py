"""One clock for each camera out of what several methods say of pairs of cameras.

Every estimate ties a camera to another. Cameras are placed one after the other, the surest first: an estimate against a
camera that is placed becomes one against the reference, so that methods may have references of their own. Of a camera's
estimates the group counts whose chance that not all of it is wrong is largest; what contradicts it takes half of its
own chance away from that. The clock is that of the group's best, moved to the mean of the group in the middle of the
take, weighted by the methods' variances: their errors have nothing in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mocap.core.clock import Clock, ClockEstimate

AGREE_SIGMAS = 4.0
AGREE_S = 0.004
"""Methods are off by so much in common things: ways of sound, rows that are exposed later."""
LEAST_SD_S = {"timestamps": 0.0, "audio": 0.0005, "flash": 0.002, "motion": 0.0008, "board": 0.0008}
"""No method is believed to be better than that."""


@dataclass(frozen=True, eq=False)
class CameraClock:
    """What was made of the estimates of one camera, all of them on the reference's clock.

    chosen: of the agreeing ones together, None where no estimate is left. confidence: in [0, 1]. apart_s: how far each
    estimate lies from the chosen one in the middle of the take; agrees: whether that is as near as both claim to be.
    """

    camera: str
    chosen: ClockEstimate | None
    confidence: float
    estimates: tuple[ClockEstimate, ...]
    apart_s: tuple[float, ...] = ()
    agrees: tuple[bool, ...] = ()

    @property
    def agreeing(self) -> tuple[str, ...]:
        """Methods that say the same, the chosen one among them."""
        return tuple(e.method for e, agrees in zip(self.estimates, self.agrees, strict=True) if agrees)

    @property
    def opposed(self) -> tuple[str, ...]:
        """Methods that say something else."""
        return tuple(e.method for e, agrees in zip(self.estimates, self.agrees, strict=True) if not agrees)


def choose_clocks(
    estimates: Sequence[ClockEstimate], cameras: Sequence[str], *, reference: str, middle_s: float = 0.0
) -> dict[str, CameraClock]:
    """By camera, without the reference. middle_s: reference stamp in the middle of the take, where estimates are
    compared."""
    clocks = {reference: (Clock(), 0.0, 1.0)}
    found: dict[str, CameraClock] = {}
    known = [e for e in estimates if e.confidence > 0]
    known += [e.reversed() for e in known]
    while len(found) < len(cameras) - 1:
        left = [name for name in cameras if name != reference and name not in found]
        choices = [_choice(name, known, clocks, middle_s) for name in left]
        best = max(choices, key=lambda choice: choice.confidence)
        if best.chosen is None:
            return found | {choice.camera: _with_hopeless(choice, estimates) for choice in choices}
        found[best.camera] = _with_hopeless(best, estimates)
        clocks[best.camera] = (best.chosen.clock, best.chosen.sd_s, best.confidence)
    return {name: found[name] for name in cameras if name != reference}


def _choice(
    camera: str,
    estimates: Sequence[ClockEstimate],
    clocks: Mapping[str, tuple[Clock, float, float]],
    middle_s: float,
) -> CameraClock:
    """Of the estimates against cameras that are placed; of one method the most direct."""
    by_method: dict[str, ClockEstimate] = {}
    for estimate in estimates:
        if estimate.camera == camera and estimate.reference in clocks:
            on_reference = through(estimate, next(iter(clocks)), clocks[estimate.reference])
            before = by_method.get(estimate.method)
            if before is None or on_reference.confidence > before.confidence:
                by_method[estimate.method] = on_reference
    mine = sorted(by_method.values(), key=lambda e: -e.confidence)
    if not mine:
        return CameraClock(camera, None, 0.0, ())
    says = np.array([e.clock.stamp_s(np.array([middle_s]))[0] for e in mine])
    sd = np.array([max(e.sd_s, LEAST_SD_S[e.method]) for e in mine])
    sure = np.array([e.confidence for e in mine])
    near = np.abs(says[:, None] - says) <= AGREE_SIGMAS * np.hypot(sd[:, None], sd) + AGREE_S
    together = 1 - np.prod(np.where(near, 1 - sure, 1.0), axis=1)
    against = np.max(np.where(near, 0.0, sure), axis=1, initial=0.0)
    most = int(np.argmax(together))
    group = near[most]
    trusted = np.flatnonzero(group & (sure >= 0.5 * sure[group].max()))
    best = int(trusted[np.argmin(sd[trusted])])
    mean = float(np.average(says[trusted], weights=sd[trusted] ** -2))
    together_sd = float((sd[trusted] ** -2).sum() ** -0.5)
    joined = replace(mine[best], offset_s=mine[best].offset_s + mean - float(says[best]), sd_s=together_sd)
    return CameraClock(
        camera,
        joined,
        float(together[most] * (1 - against[most] / 2)),
        tuple(mine),
        apart_s=tuple((says - mean).tolist()),
        agrees=tuple(near[best].tolist()),
    )


def through(estimate: ClockEstimate, reference: str, placed: tuple[Clock, float, float]) -> ClockEstimate:
    """An estimate against a placed camera (its clock, deviation and confidence) as one against the reference."""
    if estimate.reference == reference:
        return estimate
    clock, sd, confidence = placed
    rate = estimate.rate * clock.rate
    drift = None if estimate.drift_ppm is None and clock.rate == 1.0 else 1e6 * (rate - 1)
    return replace(
        estimate,
        reference=reference,
        offset_s=estimate.offset_s + estimate.rate * clock.offset_s,
        drift_ppm=drift,
        sd_s=float(np.hypot(estimate.sd_s, sd)),
        confidence=estimate.confidence * confidence,
        note=(f"{estimate.note}; " if estimate.note else "") + f"by way of {estimate.reference}",
    )


def _with_hopeless(choice: CameraClock, estimates: Sequence[ClockEstimate]) -> CameraClock:
    """Also those that say of themselves that they know nothing: for the report."""
    lost = tuple(e for e in estimates if e.camera == choice.camera and e.confidence == 0)
    if not lost:
        return choice
    blank = (float("nan"),) * len(lost)
    return replace(
        choice,
        estimates=choice.estimates + lost,
        apart_s=choice.apart_s + blank,
        agrees=choice.agrees + (False,) * len(lost),
    )
