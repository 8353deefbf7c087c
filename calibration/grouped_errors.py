"""By how much estimates are less certain than the inverse of their information says, when corners do not err alone.

Blur and what the lens's formula leaves out are the same in a picture and the next, a bent or badly printed board is the
same in all. What groups of corners pull together is compared with what independent ones would: the "sandwich" of White
(1980) and Liang & Zeger (1986) with the small-sample correction of Bell & McCaffrey (2002). Errors hang together in
more than one way, in time and by corners of the board; the excesses of the ways add (Cameron, Gelbach & Miller 2011).
Tens of groups say little about each of a hundred directions, so what they say is shrunk to one common factor as far as
it may be chance (Ledoit & Wolf 2004), and no direction is taken for more certain than independent corners make it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

MOST_BLOCKS, FEWEST_BLOCKS = 12, 8
"""Of moments that follow each other, as many in each: long ones, so that neighbours err independently. With fewer of
them nothing can be told of how they vary. Focal lengths from either half of a rendered recording (30 s) differed by 9.3
of their independent variances, by 1.3 of those with 20 blocks, by 1.0 with 12."""

BY_CHANCE = 1.2
"""Times what Ledoit & Wolf's estimate gives for it: so far (1.1 on average) groups of independent corners differ from
each other, because they hold different shares of the information."""

MOST_SHARE = 0.9
"""A group that alone knows a number leaves no residual in it; nothing can be told of how it errs."""


@dataclass(frozen=True, eq=False)
class Pulls:
    """What groups of corners pull at P numbers when all others follow: gradient (G, P), and the information that they
    hold, (G, P, P); both in units of the corners' noise."""

    gradient: Float[np.ndarray, "G P"]
    information: Float[np.ndarray, "G P P"]


def grouped_covariance(total: Float[np.ndarray, "P P"], ways: Sequence[Pulls]) -> Float[np.ndarray, "P P"]:
    """Covariance of numbers of which `total` is the information that independent corners would hold, with the excess
    of every way in which they are grouped."""
    scale = 1 / np.sqrt(np.diag(total))
    root = scale[:, None] * np.linalg.inv(np.linalg.cholesky(total * scale[:, None] * scale)).T
    inflated = np.eye(len(total))
    for pulls in ways:
        inflated += _excess(pulls, root)
    return root @ inflated @ root.T


def _excess(pulls: Pulls, root: Float[np.ndarray, "P P"]) -> Float[np.ndarray, "P P"]:
    """By how much variances exceed those of independent corners, in units in which these are 1 (`root` makes them so).

    Of independent errors a group that holds the share h of the information pulls by h (1 - h), since the fit follows
    it; (1 - h)^(-1/2) gives the h back that it would pull by alone.
    """
    shares = root.T @ pulls.information @ root
    values, vectors = np.linalg.eigh(shares)
    weight = 1 / np.sqrt(1 - np.clip(values, 0.0, MOST_SHARE))
    along = (np.swapaxes(vectors, 1, 2) @ (pulls.gradient @ root)[:, :, None])[:, :, 0]
    pulled = (vectors @ (weight * along)[:, :, None])[:, :, 0]
    found, expected = pulled.T @ pulled, shares.sum(axis=0)
    target = max(np.trace(found) / np.trace(expected), 1.0) * expected
    chance = BY_CHANCE * ((np.sum(pulled**2, axis=1) ** 2).sum() - (found**2).sum() / len(pulled))
    certain = float(np.clip(1 - chance / max(((found - target) ** 2).sum(), 1e-300), 0.0, 1.0))
    values, vectors = np.linalg.eigh(target + certain * (found - target) - expected)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T
