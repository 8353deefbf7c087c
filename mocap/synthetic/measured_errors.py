"""Errors that were measured of a network, keypoint by keypoint, as `tools/fit_detector_errors.py` writes them.

A report lies off its point by the sum of
- an offset in the axes of the torso that depends on the direction it is seen from, `offset`;
- a share of the way from its neighbour nearer to the trunk, `along` (0.05: 5 % of the limb's length too far out);
- what a body has of its own, the same for all cameras, `person`, and what a view of it has, `view`;
- noise, as wide as the way the point shows asks for, `spread`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from mocap.core.errors import ConfigError
from mocap.core.truth import Visibility
from mocap.synthetic.torso_frames import TorsoViews

NEIGHBOURS = {
    "elbow": "shoulder",
    "wrist": "elbow",
    "pinky": "wrist",
    "index": "wrist",
    "thumb": "wrist",
    "knee": "hip",
    "ankle": "knee",
    "heel": "ankle",
    "toe": "heel",
}
"""Last word of a keypoint's name -> that of its neighbour on the same side, nearer to the trunk."""
COLUMNS = ("offset", "mean_offset", "along", "person", "view", "spread", "confidence", "confidence_spread")
STATES = (Visibility.VISIBLE, Visibility.HIDDEN_BY_SELF, Visibility.HIDDEN_BY_OTHER)
"""Order of `spread` and `confidence`. Points outside of the picture count as hidden by something."""


@dataclass(frozen=True, eq=False)
class MeasuredErrors:
    """Of K keypoints; offsets and `person` in torso lengths, the other spreads in sizes of the person.

    offset: (K, 3, D) coefficients of `direction_basis`. mean_offset: (K, 3) the one that fits all directions best, for
    whoever wants a marker's place instead of errors to draw. along: (K,). person, view: (K,) standard deviations per
    axis. By `STATES`: spread (K, 3) of the noise, per axis; confidence and confidence_spread (K, 3), mean and standard
    deviation of a faultless point's logit. errors, heatmaps: values for the fields of `DetectorErrors` and
    `HeatmapConfig`. provenance: how it was measured.
    """

    names: tuple[str, ...]
    offset: Float[np.ndarray, "K 3 D"]
    mean_offset: Float[np.ndarray, "K 3"]
    along: Float[np.ndarray, "K"]
    person: Float[np.ndarray, "K"]
    view: Float[np.ndarray, "K"]
    spread: Float[np.ndarray, "K 3"]
    confidence: Float[np.ndarray, "K 3"]
    confidence_spread: Float[np.ndarray, "K 3"]
    errors: Mapping[str, Any]
    heatmaps: Mapping[str, Any]
    provenance: Mapping[str, Any]

    def ordered(self, names: Sequence[str]) -> MeasuredErrors:
        """The keypoints of a set in its order; those that were not measured have the mean of all and no offset."""
        place = {name: k for k, name in enumerate(self.names)}
        known = np.array([name in place for name in names])
        rows = np.array([place.get(name, 0) for name in names])

        def picked(values: np.ndarray, otherwise: np.ndarray | float) -> np.ndarray:
            return np.where(known.reshape(-1, *(1,) * (values.ndim - 1)), values[rows], otherwise)

        return MeasuredErrors(
            names=tuple(names),
            offset=picked(self.offset, 0.0),
            mean_offset=picked(self.mean_offset, 0.0),
            along=picked(self.along, 0.0),
            person=picked(self.person, self.person.mean()),
            view=picked(self.view, self.view.mean()),
            spread=picked(self.spread, self.spread.mean(0)),
            confidence=picked(self.confidence, self.confidence.mean(0)),
            confidence_spread=picked(self.confidence_spread, self.confidence_spread.mean(0)),
            errors=self.errors,
            heatmaps=self.heatmaps,
            provenance=self.provenance,
        )

    def to_table(self) -> dict[str, Any]:
        """As the file holds it."""
        keypoints = {
            name: {
                "offset": np.round(self.offset[k], 4).tolist(),
                "mean_offset": np.round(self.mean_offset[k], 4).tolist(),
                "along": round(float(self.along[k]), 4),
                "person": round(float(self.person[k]), 4),
                "view": round(float(self.view[k]), 5),
                "spread": np.round(self.spread[k], 5).tolist(),
                "confidence": np.round(self.confidence[k], 2).tolist(),
                "confidence_spread": np.round(self.confidence_spread[k], 2).tolist(),
            }
            for k, name in enumerate(self.names)
        }
        parts = {"provenance": self.provenance, "errors": self.errors, "heatmaps": self.heatmaps}
        return {**{name: dict(value) for name, value in parts.items()}, "keypoints": keypoints}


def measured_from_table(table: Mapping[str, Any]) -> MeasuredErrors:
    """What `to_table` has written."""
    keypoints = table["keypoints"]
    columns = {field: np.array([entry[field] for entry in keypoints.values()], dtype=np.float64) for field in COLUMNS}
    rest = {name: table[name] for name in ("errors", "heatmaps", "provenance")}
    return MeasuredErrors(tuple(keypoints), **columns, **rest)


@lru_cache(maxsize=8)
def measured(name: str) -> MeasuredErrors:
    """A network's measured errors; the files lie in `mocap/synthetic/measured`."""
    file = resources.files("mocap.synthetic.measured") / f"{name}.toml"
    if not file.is_file():
        raise ConfigError(f"no measured errors of {name!r}", remedy="tools/fit_detector_errors.py measures them.")
    return measured_from_table(tomllib.loads(file.read_text(encoding="utf-8")))


@lru_cache(maxsize=8)
def measured_for(name: str, names: tuple[str, ...]) -> MeasuredErrors:
    """The same for the keypoints of a set."""
    return measured(name).ordered(names)


def powers(degree: int) -> Integer[np.ndarray, "D 3"]:
    """Exponents of x, y, z on the unit sphere: z once at most, as z² = 1 - x² - y². D = (degree + 1)²."""
    return np.array([p for p in product(range(degree + 1), range(degree + 1), (0, 1)) if sum(p) <= degree])


def direction_basis(direction: Float[np.ndarray, "*b 3"], size: int) -> Float[np.ndarray, "*b D"]:
    """Values of the `size` = 1, 4, 9 or 16 polynomials at unit vectors."""
    exponents = powers(int(np.sqrt(size)) - 1)
    return np.prod(direction[..., None, :] ** exponents, axis=-1)


def neighbours(names: Sequence[str]) -> Integer[np.ndarray, "K"]:
    """Column of every keypoint's neighbour towards the trunk; its own where it has none."""
    place = {name: k for k, name in enumerate(names)}
    found = []
    for k, name in enumerate(names):
        words = name.split("_")
        nearer = f"{words[0]}_{NEIGHBOURS.get(words[-1], '')}"
        found.append(place.get(nearer, k))
    return np.array(found)


def bias_px(
    found: MeasuredErrors,
    torso: TorsoViews | None,
    xy: Float[np.ndarray, "T P C K 2"],
    own: Float[np.ndarray, "#T P 1 K 3"],
) -> Float[np.ndarray, "T P C K 2"]:
    """Where reports lie off on average, px. own: what each body has of its own, in torso lengths. Without `torso`, and
    where it is unknown, there is only what goes along limbs."""
    px = found.along[:, None] * (xy - xy[..., neighbours(found.names), :])
    px = np.nan_to_num(px)
    if torso is None:
        return px
    basis = direction_basis(torso.direction, found.offset.shape[-1])
    offset = np.einsum("kad,tpcd->tpcka", found.offset, basis, optimize=True) + own
    return px + np.nan_to_num(np.einsum("tpcia,tpcka->tpcki", torso.px_from_torso, offset, optimize=True))


def by_state(values: Float[np.ndarray, "K 3"], code: Integer[np.ndarray, "*b K"]) -> Float[np.ndarray, "*b K"]:
    """The column of `STATES` that each code of `Visibility` asks for."""
    column = np.empty(len(Visibility), dtype=np.int64)
    column[list(STATES)] = np.arange(len(STATES))
    column[Visibility.OUTSIDE] = STATES.index(Visibility.HIDDEN_BY_OTHER)
    return values[np.arange(len(values)), column[code]]
