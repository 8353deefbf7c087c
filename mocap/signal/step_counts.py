"""Exposures between frames, decided from likelihoods: the sure losses, then those that sound says are there as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.signal.step_evidence import MOST_STEPS, motion_likelihood

Witness = Callable[[Int[np.ndarray, "G"]], Float[np.ndarray, "..."]]
"""From what is thought of the steps (G,) yet, the logarithm of the likelihood of 0, 1, 2, … exposures in each (G, N);
0 where it knows nothing."""

SURE = 6.5
"""Nats by which a loss must be likelier than none: one in a hundred frames is lost (4.6), and odds of seven to one.
Pictures of clips that lost none reach 5.4 where hands clap, 2 elsewhere."""
LIKELY = 4.0
"""The same where more losses are thought to be there than are sure: as likely as not."""
WEAK = 1.5
"""The same where more are there for certain."""
SUPPORT = 0.5
"""Of the losses that sound tells of, motion must show so many before others are put where it shows nothing."""
UNSEEN = 1.5
"""Nats by which a loss is less likely than none, at most, where nothing moves enough to tell."""
RARER = 2.0
"""Nats for each further exposure lost at once, of up to two: losses come in bursts at times."""
PASSES = 4


@dataclass(frozen=True, eq=False)
class StepCount:
    """steps: (G,) exposures between frames, 0 for a frame that repeats the one before, 1 where in doubt. unseen: so
    many of the losses were put where nothing moves enough to tell. missing: losses that have no place."""

    steps: Int[np.ndarray, "G"]
    unseen: int = 0
    missing: int = 0


def losses(steps: Int[np.ndarray, "G"]) -> Int[np.ndarray, "G"]:
    """Exposures of which there is no frame, by step: a step that is too long right after repeats belongs to those."""
    return np.maximum(steps - _whole(steps), 0)


def _whole(steps: Int[np.ndarray, "G"]) -> Int[np.ndarray, "G"]:
    """Exposures that each step has if none is lost: one, and one for every repeat right before it."""
    order = np.arange(len(steps))
    last_own = np.maximum.accumulate(np.where(steps == 0, -1, order))
    return 1 + np.concatenate([[0], (order - last_own)[:-1]]) if len(steps) else order


def counted_steps(
    witnesses: Sequence[Witness],
    n_steps: int,
    *,
    repeated: Bool[np.ndarray, "F"] | None = None,
    lost: int = 0,
    least: int = 0,
    most: int | None = None,
) -> StepCount:
    """What the witnesses together are sure of.

    repeated: frames that are known to repeat the one before. lost: so many exposures are thought to be missing (by the
    length of the sound): up to that number likely ones count, too. least: so many are missing for certain. Where what
    is found bears that out, the rest of them is spread over the steps in which nothing moves: no harm there, and what
    comes after is in time. most: never more.
    """
    if n_steps == 0:
        return StepCount(np.zeros(0, dtype=np.int64), missing=least)
    again = np.zeros(n_steps, dtype=bool) if repeated is None else repeated[1:]
    steps = np.where(again, 0, 1)
    gain, count = np.zeros(n_steps), steps
    for _ in range(PASSES):
        likelihood = _total(witnesses, steps)
        gain, count = _best(likelihood, _whole(steps))
        gain[again] = -np.inf
        found = np.where(again, 0, np.where(gain >= SURE, count, 1))
        found = np.where(_replaced(likelihood, found, again), 0, found)
        if (found == steps).all():
            break
        steps = found
    if most is not None and losses(steps).sum() > most:
        steps = _fewer(steps, gain, most)
    steps = _more(steps, gain, count, lost, LIKELY)
    steps = _more(steps, gain, count, least, WEAK)
    return _spread(steps, gain, least)


def steps_from_motion(
    tracks: Float[np.ndarray, "F K D"], noise: float, *, lost: int | None = None
) -> Int[np.ndarray, "F-1"]:
    """Exposures between frames as moving points alone tell: 0 for a frame that repeats the one before, 1 where in
    doubt. A frame that repeats the one before in its place is followed by a double step, which belongs to it: 0, 2.
    """
    n_steps = max(len(tracks) - 1, 0)
    witness = [lambda steps: motion_likelihood(tracks, noise, steps)]
    return counted_steps(witness, n_steps, lost=lost or 0, least=lost or 0, most=lost).steps


def _total(witnesses: Sequence[Witness], steps: Int[np.ndarray, "G"]) -> Float[np.ndarray, "G N"]:
    total = np.zeros((len(steps), MOST_STEPS + 1))
    for witness in witnesses:
        total += witness(steps)
    total[:, 2:] -= RARER * np.minimum(np.arange(total.shape[1] - 2), 2)
    return total


def _best(
    likelihood: Float[np.ndarray, "G N"], whole: Int[np.ndarray, "G"]
) -> tuple[Float[np.ndarray, "G"], Int[np.ndarray, "G"]]:
    """(nats over no loss, count) of the best count with one."""
    counts = np.arange(likelihood.shape[1])
    whole = np.minimum(whole, counts[-1] - 1)
    count = np.argmax(np.where(counts > whole[:, None], likelihood, -np.inf), axis=1)
    step = np.arange(len(count))
    return likelihood[step, count] - likelihood[step, whole], count


def _replaced(
    likelihood: Float[np.ndarray, "G N"], steps: Int[np.ndarray, "G"], again: Bool[np.ndarray, "G"]
) -> Bool[np.ndarray, "G"]:
    """Frames in the place of which the one before was written, once or twice: nothing moves, and then further than
    usual. A body that only stops for a moment does not do the second."""
    still = likelihood[:, 0] - likelihood[:, 1]
    after = np.append((likelihood[1:, 2:].max(1) - likelihood[1:, 1]), -np.inf)
    usual = ~again & (steps == 1)
    found = (still > LIKELY) & (after > LIKELY) & (still + after > SURE) & usual
    return found | ((still > SURE) & np.append(found[1:], False) & usual)


def _fewer(steps: Int[np.ndarray, "G"], gain: Float[np.ndarray, "G"], limit: int) -> Int[np.ndarray, "G"]:
    """The surest losses, no more than `limit`."""
    lost = losses(steps)
    order = np.argsort(np.where(lost > 0, -gain, np.inf), kind="stable")
    beyond = order[np.cumsum(lost[order]) > limit]
    kept = steps.copy()
    kept[beyond] -= lost[beyond]
    return kept


def _more(
    steps: Int[np.ndarray, "G"], gain: Float[np.ndarray, "G"], count: Int[np.ndarray, "G"], lost: int, enough: float
) -> Int[np.ndarray, "G"]:
    """The likeliest further losses, up to `lost` in all."""
    steps = steps.copy()
    for step in np.argsort(-gain, kind="stable").tolist():
        left = lost - int(losses(steps).sum())
        if left <= 0 or gain[step] < enough:
            break
        if losses(steps)[step] == 0:
            steps[step] = min(int(count[step]), int(_whole(steps)[step]) + left)
    return steps


def _spread(steps: Int[np.ndarray, "G"], gain: Float[np.ndarray, "G"], least: int) -> StepCount:
    """What is left of `least`, where nothing is seen to move."""
    left = least - int(losses(steps).sum())
    dark = np.flatnonzero((np.abs(gain) <= UNSEEN) & (steps == 1))
    if left <= 0 or left > SUPPORT * least or not len(dark):
        return StepCount(steps, missing=max(left, 0))
    places = dark[((np.arange(left) + 0.5) / left * len(dark)).astype(np.int64)]
    steps = steps.copy()
    np.add.at(steps, places, 1)
    return StepCount(steps, unseen=left)
