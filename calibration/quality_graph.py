"""Which cameras saw the board together."""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Bool, Float

from calibration.extrinsics import ExtrinsicsReport
from calibration.observations import BoardObservations
from calibration.quality_report import GraphEdge


def shared_moments(observations: BoardObservations, outlier: Bool[np.ndarray, "N"], camera: str) -> int:
    """Moments at which this camera and another one have trusted corners."""
    seen = _moments(observations, outlier)
    return int((seen[observations.index(camera)] & (seen.sum(axis=0) >= 2)).sum())


def graph_edges(
    observations: BoardObservations,
    residual: Float[np.ndarray, "N 2"],
    outlier: Bool[np.ndarray, "N"],
    extrinsics: ExtrinsicsReport | None,
) -> tuple[GraphEdge, ...]:
    """Every pair that shares moments. corners: seen by both at one moment; rms_px: of trusted corners of both cameras
    at shared moments. A pair is used unless the start of the solve says otherwise."""
    seen = _moments(observations, outlier)
    corners = _corners(observations, outlier)
    rejected = _rejected(extrinsics)
    moment = np.unique(observations.view_moment, return_inverse=True)[1][observations.view]
    squared = np.where(outlier, 0.0, (residual**2).sum(axis=-1))
    edges = []
    for one, two in itertools.combinations(range(len(observations.cameras)), 2):
        both = seen[one] & seen[two]
        if not both.any():
            continue
        rows = both[moment] & np.isin(observations.camera, (one, two)) & ~outlier
        names = observations.cameras[one], observations.cameras[two]
        reason = rejected.get(frozenset(names))
        edges.append(
            GraphEdge(
                one=names[0],
                two=names[1],
                moments=int(both.sum()),
                corners=int((corners[one] & corners[two]).sum()),
                rms_px=float(np.sqrt(squared[rows].mean())),
                used=reason is None,
                reason=reason or "",
            )
        )
    return tuple(edges)


def _moments(observations: BoardObservations, outlier: Bool[np.ndarray, "N"]) -> Bool[np.ndarray, "C M"]:
    """Whether a camera has a trusted corner at a moment."""
    moments, column = np.unique(observations.view_moment, return_inverse=True)
    seen = np.zeros((len(observations.cameras), len(moments)), dtype=bool)
    seen[observations.camera[~outlier], column[observations.view[~outlier]]] = True
    return seen


def _corners(observations: BoardObservations, outlier: Bool[np.ndarray, "N"]) -> Bool[np.ndarray, "C MK"]:
    moments, column = np.unique(observations.view_moment, return_inverse=True)
    n_corners = len(observations.points)
    seen = np.zeros((len(observations.cameras), len(moments) * n_corners), dtype=bool)
    place = column[observations.view] * n_corners + observations.corner
    seen[observations.camera[~outlier], place[~outlier]] = True
    return seen


def _rejected(extrinsics: ExtrinsicsReport | None) -> dict[frozenset[str], str]:
    edges = extrinsics.edges if extrinsics is not None else ()
    return {frozenset(edge.cameras): edge.reason or "contradicts the others" for edge in edges if not edge.used}
