"""A detector's reports of people whose exact views are known, clip by clip: what its errors are measured from.

A clip is one person before one camera: B moments far apart, and F frames in a row from each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, Integer

from mocap.core.keypoints import KeypointSet
from mocap.synthetic.detector_config import DetectorErrors
from mocap.synthetic.detector_errors import detect
from mocap.synthetic.torso_frames import TorsoViews
from mocap.synthetic.true_views import TrueViews

HEAT_FIELDS = ("peak", "peak_x", "peak_y", "mass", "second", "second_x", "second_y", "floor")
"""Of every heatmap. peak, second: values of the highest cell and of the highest at least `APART_CELLS` from it, and
where they are (cells); mass: sum of the cells around the peak; floor: mean of the cells far from both."""
APART_CELLS = 7.0
NEAR_CELLS = 5.0


@dataclass(frozen=True, eq=False)
class MeasuredViews:
    """N clips of B moments of F frames; K keypoints.

    scene: (N,) clips of one number show the same person. exact: (N, B, F, K, 2) px, NaN where nothing is imaged;
    other: the same of the nearest other person, NaN where there is none. visibility: codes of `Visibility`. direction:
    (N, B, F, 3) unit vector to the camera in the body's axes, px_from_torso: (N, B, F, 2, 3) px for a torso's length
    along each of them (see `torso_frames`). torso_m: (N,). image_size: (N, 2) px. fps: of frames in a row.

    found: (N, B, F); xy: px, NaN where not reported; confidence: 0 there. heat: (N, B, F, K, 8) as `HEAT_FIELDS`;
    px_from_heatmap: (N, B, F, 2, 3). phantoms: (N,) reports of the clip's pictures that are nobody's.
    """

    scene: Integer[np.ndarray, "N"]
    exact: Float[np.ndarray, "N B F K 2"]
    other: Float[np.ndarray, "N B F K 2"]
    visibility: Integer[np.ndarray, "N B F K"]
    direction: Float[np.ndarray, "N B F 3"]
    px_from_torso: Float[np.ndarray, "N B F 2 3"]
    torso_m: Float[np.ndarray, "N"]
    image_size: Integer[np.ndarray, "N 2"]
    fps: Float[np.ndarray, "N"]
    found: Bool[np.ndarray, "N B F"]
    xy: Float[np.ndarray, "N B F K 2"]
    confidence: Float[np.ndarray, "N B F K"]
    heat: Float32[np.ndarray, "N B F K 8"]
    px_from_heatmap: Float[np.ndarray, "N B F 2 3"]
    phantoms: Integer[np.ndarray, "N"]

    @property
    def n_views(self) -> int:
        return int(np.prod(self.found.shape))

    def save(self, path: Path) -> None:
        """As an .npz without pickles; the file appears when it is complete."""
        partial = path.with_name(f".{path.stem}.part.npz")
        np.savez_compressed(partial, **{field.name: getattr(self, field.name) for field in fields(self)})
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> MeasuredViews:
        """What `save` has written."""
        with np.load(path, allow_pickle=False) as file:
            return MeasuredViews(**{field.name: file[field.name] for field in fields(MeasuredViews)})

    @staticmethod
    def joined(parts: Sequence[MeasuredViews]) -> MeasuredViews:
        """All clips of several, scenes numbered anew."""
        first = np.cumsum([0, *(int(part.scene.max(initial=-1)) + 1 for part in parts)])
        columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(MeasuredViews)}
        columns["scene"] = np.concatenate([part.scene + n for part, n in zip(parts, first, strict=False)])
        return MeasuredViews(**columns)


def true_views(views: MeasuredViews, clip: int, moment: int, keypoint_set: KeypointSet) -> TrueViews:
    """The exact views of some frames in a row, as errors are drawn for them: T = F, one person, one camera."""
    place = (clip, moment)
    other = views.other[place][:, None, None]
    direction = views.direction[place][:, None, None]
    return TrueViews(
        keypoint_set,
        views.exact[place][:, None, None],
        views.visibility[place][:, None, None],
        views.image_size[clip][None, None],
        direction[..., 0],
        float(views.fps[clip]),
        other if np.isfinite(other).any() else None,
        TorsoViews(direction, views.px_from_torso[place][:, None, None]),
    )


def sampled(
    views: MeasuredViews, errors: DetectorErrors, keypoint_set: KeypointSet, rng: np.random.Generator
) -> MeasuredViews:
    """The same views with made-up reports, every moment by itself; heatmaps and phantoms stay what they were."""
    xy, confidence = np.full_like(views.xy, np.nan), np.zeros_like(views.confidence)
    for clip, moment in np.ndindex(*views.found.shape[:2]):
        found = detect(true_views(views, clip, moment, keypoint_set), errors, rng)
        xy[clip, moment], confidence[clip, moment] = found.xy[:, 0, 0], found.confidence[:, 0, 0]
    return replace(views, xy=xy, confidence=confidence, found=(confidence > 0).any(-1))


def heat_statistics(heatmaps: Float[np.ndarray, "K H W"]) -> Float32[np.ndarray, "K 8"]:
    """`HEAT_FIELDS` of heatmaps of probabilities."""
    maps = heatmaps.astype(np.float32)
    k, tall, width = maps.shape
    rows, columns = np.mgrid[:tall, :width]
    flat = maps.reshape(k, -1)

    def highest(values: Float[np.ndarray, "K n"]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        cell = values.argmax(1)
        y, x = np.divmod(cell, width)
        return values[np.arange(k), cell], x, y, np.hypot(columns - x[:, None, None], rows - y[:, None, None])

    peak, x, y, distance = highest(flat)
    mass = np.where(distance <= NEAR_CELLS, maps, 0).sum((1, 2))
    away = distance > APART_CELLS
    second, x2, y2, distance2 = highest(np.where(away, maps, -1).reshape(k, -1))
    far = away & (distance2 > APART_CELLS)
    floor = np.where(far, maps, 0).sum((1, 2)) / np.maximum(far.sum((1, 2)), 1)
    return np.stack([peak, x, y, mass, second, x2, y2, floor], axis=-1).astype(np.float32)
