"""What one foreign file or folder says about one camera, before cameras and names are brought together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class People2D:
    """People of one camera, one row a person and frame; frame numbers and keypoint order as in the source.

    names: of the K keypoints, empty where the source does not name them; edges: between names, as far as it says.
    first_frame, last_frame: the numbers the source covers, with or without people in them; first_frame is None where
    the source lists only frames with people, so that its first number says nothing about the first video frame.
    xy: px, NaN where missing; confidence: [0, 1], 0 where missing. box: x0 y0 x1 y1 px. track: -1 for none.
    """

    frame: Int[np.ndarray, "N"]
    track: Int[np.ndarray, "N"]
    xy: Float[np.ndarray, "N K 2"]
    confidence: Float[np.ndarray, "N K"]
    box: Float[np.ndarray, "N 4"]
    score: Float[np.ndarray, "N"]
    names: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    first_frame: int | None
    last_frame: int

    @property
    def n_keypoints(self) -> int:
        return self.xy.shape[1]

    def select(self, rows: np.ndarray) -> People2D:
        """The rows of a boolean or index array; what the source covers stays."""
        fields = ("frame", "track", "xy", "confidence", "box", "score")
        return replace(self, **{name: getattr(self, name)[rows] for name in fields})


@dataclass(frozen=True, eq=False)
class PersonRow:
    """One person as a reader found it. box and score may be None: then the keypoints give them."""

    frame: int
    xy: Float[np.ndarray, "K 2"]
    confidence: Float[np.ndarray, "K"]
    box: Float[np.ndarray, "4"] | None = None
    score: float | None = None
    track: int = -1


def people_from_rows(
    rows: list[PersonRow],
    *,
    n_keypoints: int,
    names: tuple[str, ...] = (),
    edges: tuple[tuple[str, str], ...] = (),
    covered: tuple[int | None, int],
) -> People2D:
    """Stack rows; people of whom nothing is seen are left out."""
    if not rows:
        empty = np.zeros(0, dtype=np.int64)
        xy, confidence = np.zeros((0, n_keypoints, 2)), np.zeros((0, n_keypoints))
        return People2D(empty, empty, xy, confidence, np.zeros((0, 4)), np.zeros(0), names, edges, *covered)
    return people_from_arrays(
        frame=np.array([row.frame for row in rows], dtype=np.int64),
        track=np.array([row.track for row in rows], dtype=np.int64),
        xy=np.stack([row.xy for row in rows]),
        confidence=np.stack([row.confidence for row in rows]),
        box=np.stack([np.full(4, np.nan) if row.box is None else row.box for row in rows]),
        score=np.array([np.nan if row.score is None else row.score for row in rows]),
        named=(names, edges),
        covered=covered,
    )


def people_from_arrays(
    *,
    frame: Int[np.ndarray, "N"],
    track: Int[np.ndarray, "N"],
    xy: Float[np.ndarray, "N K 2"],
    confidence: Float[np.ndarray, "N K"],
    box: Float[np.ndarray, "N 4"],
    score: Float[np.ndarray, "N"],
    named: tuple[tuple[str, ...], tuple[tuple[str, str], ...]],
    covered: tuple[int | None, int],
) -> People2D:
    """Apply the missing rule, derive boxes and scores that are NaN, leave out people of whom nothing is seen.

    A confidence above 1 (some networks overshoot) becomes 1. A derived score is the mean confidence of what is seen.
    """
    xy, confidence = clean_keypoints(xy, confidence)
    seen = np.asarray((confidence > 0).any(1))
    xy, confidence, box, score = xy[seen], confidence[seen], box[seen], score[seen]
    boxed = np.asarray(np.isfinite(box).all(1))
    unscored = ~np.isfinite(score)
    box = np.where(boxed[:, None], box, box_around(xy))
    weight = (confidence > 0).sum(1)
    score = np.where(unscored, confidence.sum(1) / np.maximum(weight, 1), score)
    names, edges = named
    return People2D(
        frame[seen], track[seen], xy, confidence, box, np.clip(score, 0.0, 1.0), names, edges, *covered
    )  # fmt: skip


def clean_keypoints(
    xy: Float[np.ndarray, "N K 2"], confidence: Float[np.ndarray, "N K"]
) -> tuple[Float[np.ndarray, "N K 2"], Float[np.ndarray, "N K"]]:
    """Not finite or without confidence: NaN and 0, both."""
    confidence = np.clip(np.nan_to_num(confidence, nan=0.0, posinf=0.0, neginf=0.0), 0.0, 1.0)
    good = np.isfinite(xy).all(-1) & (confidence > 0)
    return np.where(good[..., None], xy, np.nan), np.where(good, confidence, 0.0)


def box_around(xy: Float[np.ndarray, "N K 2"]) -> Float[np.ndarray, "N 4"]:
    """The smallest box around the keypoints that are seen; each row must have one."""
    low = np.nanmin(xy, axis=1) if len(xy) else np.zeros((0, 2))
    high = np.nanmax(xy, axis=1) if len(xy) else np.zeros((0, 2))
    return np.concatenate([low, high], axis=-1)
