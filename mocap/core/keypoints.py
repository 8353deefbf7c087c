"""What a 2D network sees, before and after association, and the points in space.

Missing is NaN and confidence 0, always both. Pixels are in the original, distorted image.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import InputError


@dataclass(frozen=True)
class KeypointSet:
    """Names of keypoints, the edges that draw them and the pairs that a mirror swaps.

    Names are shared by all sets where they mean the same point (`left_shoulder`, `right_big_toe`, …).
    `body` names the keypoints that quality figures are taken over (shoulders to ankles).
    """

    name: str
    names: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    mirror_pairs: tuple[tuple[str, str], ...]
    body: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise InputError(f"keypoint set {self.name!r} repeats a name")
        mentioned = {n for pair in (*self.edges, *self.mirror_pairs) for n in pair} | set(self.body)
        unknown = sorted(mentioned - set(self.names))
        if unknown:
            raise InputError(f"keypoint set {self.name!r} has no keypoint {', '.join(unknown)}")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Position of a keypoint on the J axis."""
        try:
            return self.names.index(name)
        except ValueError:
            raise InputError(f"no keypoint {name!r} in {self.name!r}; it has {', '.join(self.names)}") from None

    def indices(self, names: Sequence[str]) -> Int[np.ndarray, "n"]:
        return np.array([self.index(name) for name in names], dtype=np.int64)

    @property
    def edge_indices(self) -> Int[np.ndarray, "E 2"]:
        return np.array([[self.index(a), self.index(b)] for a, b in self.edges], dtype=np.int64).reshape(-1, 2)

    @property
    def mirror_permutation(self) -> Int[np.ndarray, "J"]:
        """`xyz[..., permutation, :]` has left and right exchanged."""
        permutation = np.arange(len(self))
        for left, right in self.mirror_pairs:
            a, b = self.index(left), self.index(right)
            permutation[[a, b]] = [b, a]
        return permutation


def load_keypoint_set(name: str) -> KeypointSet:
    """A keypoint set of the package (`mocap/core/definitions/keypoints_<name>.toml`)."""
    folder = resources.files("mocap.core.definitions")
    file = folder / f"keypoints_{name}.toml"
    if not file.is_file():
        known = sorted(
            f.name.removeprefix("keypoints_").removesuffix(".toml")
            for f in folder.iterdir()
            if f.name.startswith("keypoints_")
        )
        raise InputError(f"no keypoint set {name!r}; there are {', '.join(known)}")
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return KeypointSet(
        name=name,
        names=tuple(table["names"]),
        edges=tuple((a, b) for a, b in table["edges"]),
        mirror_pairs=tuple((a, b) for a, b in table["mirror_pairs"]),
        body=tuple(table["body"]),
    )


def _freeze(instance: object, **arrays: np.ndarray) -> None:
    for name, array in arrays.items():
        array.setflags(write=False)
        object.__setattr__(instance, name, array)


def _require_shape(owner: str, **shapes: tuple[np.ndarray, tuple[int, ...]]) -> None:
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise InputError(f"{owner}.{name} has shape {array.shape}, expected {shape}")


def _require_missing_rule(owner: str, points: np.ndarray, confidence: np.ndarray) -> None:
    missing = ~np.isfinite(points).all(-1)
    if (missing != (confidence == 0)).any() or (missing != np.isnan(points).all(-1)).any():
        raise InputError(f"{owner}: missing points must be NaN and have confidence 0, both or neither")
    if (confidence < 0).any() or (confidence > 1).any() or np.isnan(confidence).any():
        raise InputError(f"{owner}: confidence must lie in [0, 1]")


@dataclass(frozen=True, eq=False)
class Detections2D:
    """People found in single images, not yet associated over cameras. One row a person, sorted by frame, then camera.

    frame, camera, track: (N,) index of the frame, index into `cameras`, and the detector's own track id in that
    camera (-1 for none). xy: (N, J, 2) px. confidence: (N, J). box: (N, 4) px, x0 y0 x1 y1. score: (N,) in [0, 1].
    """

    cameras: tuple[str, ...]
    n_frames: int
    keypoint_set: KeypointSet
    frame: Int[np.ndarray, "N"]
    camera: Int[np.ndarray, "N"]
    track: Int[np.ndarray, "N"]
    xy: Float[np.ndarray, "N J 2"]
    confidence: Float[np.ndarray, "N J"]
    box: Float[np.ndarray, "N 4"]
    score: Float[np.ndarray, "N"]

    def __post_init__(self) -> None:
        ints = {k: np.asarray(getattr(self, k), dtype=np.int64) for k in ("frame", "camera", "track")}
        floats = {k: np.array(getattr(self, k), dtype=np.float64) for k in ("xy", "confidence", "box", "score")}
        n, j = len(ints["frame"]), len(self.keypoint_set)
        _require_shape(
            "Detections2D",
            camera=(ints["camera"], (n,)),
            track=(ints["track"], (n,)),
            xy=(floats["xy"], (n, j, 2)),
            confidence=(floats["confidence"], (n, j)),
            box=(floats["box"], (n, 4)),
            score=(floats["score"], (n,)),
        )
        _require_missing_rule("Detections2D", floats["xy"], floats["confidence"])
        if n and (ints["frame"].min() < 0 or ints["frame"].max() >= self.n_frames):
            raise InputError(f"Detections2D: frame indices must lie in [0, {self.n_frames})")
        if n and (ints["camera"].min() < 0 or ints["camera"].max() >= len(self.cameras)):
            raise InputError(f"Detections2D: camera indices must lie in [0, {len(self.cameras)})")
        order = np.lexsort((ints["camera"], ints["frame"]))
        _freeze(self, **{k: np.ascontiguousarray(v[order]) for k, v in (ints | floats).items()})

    def __len__(self) -> int:
        return len(self.frame)

    def select(self, rows: np.ndarray) -> Detections2D:
        """The rows of a boolean or index array."""
        fields = ("frame", "camera", "track", "xy", "confidence", "box", "score")
        picked = {k: getattr(self, k)[rows] for k in fields}
        return Detections2D(self.cameras, self.n_frames, self.keypoint_set, **picked)


@dataclass(frozen=True, eq=False)
class Keypoints2D:
    """The same P people in every camera and frame. xy: (T, P, C, J, 2) distorted px; confidence: (T, P, C, J)."""

    cameras: tuple[str, ...]
    keypoint_set: KeypointSet
    xy: Float[np.ndarray, "T P C J 2"]
    confidence: Float[np.ndarray, "T P C J"]
    fps: float

    def __post_init__(self) -> None:
        xy = np.array(self.xy, dtype=np.float64)
        confidence = np.array(self.confidence, dtype=np.float64)
        if xy.ndim != 5 or xy.shape[2] != len(self.cameras) or xy.shape[3:] != (len(self.keypoint_set), 2):
            expected = f"(T, P, {len(self.cameras)}, {len(self.keypoint_set)}, 2)"
            raise InputError(f"Keypoints2D.xy has shape {xy.shape}, expected {expected}")
        _require_shape("Keypoints2D", confidence=(confidence, xy.shape[:-1]))
        _require_missing_rule("Keypoints2D", xy, confidence)
        _require_fps("Keypoints2D", self.fps)
        _freeze(self, xy=xy, confidence=confidence)

    @property
    def n_frames(self) -> int:
        return self.xy.shape[0]

    @property
    def n_people(self) -> int:
        return self.xy.shape[1]


@dataclass(frozen=True, eq=False)
class Keypoints3D:
    """Points in the world. xyz: (T, P, J, 3) m; confidence: (T, P, J).

    reprojection_px (T, P, J): mean full L2 reprojection error over the views used, NaN where unknown (missing or
    filled); n_views (T, P, J): how many views agreed, 0 where the point is missing or was filled in.
    """

    keypoint_set: KeypointSet
    xyz: Float[np.ndarray, "T P J 3"]
    confidence: Float[np.ndarray, "T P J"]
    reprojection_px: Float[np.ndarray, "T P J"]
    n_views: Int[np.ndarray, "T P J"]
    fps: float

    def __post_init__(self) -> None:
        xyz = np.array(self.xyz, dtype=np.float64)
        confidence = np.array(self.confidence, dtype=np.float64)
        reprojection = np.array(self.reprojection_px, dtype=np.float64)
        n_views = np.array(self.n_views, dtype=np.int64)
        if xyz.ndim != 4 or xyz.shape[2:] != (len(self.keypoint_set), 3):
            raise InputError(f"Keypoints3D.xyz has shape {xyz.shape}, expected (T, P, {len(self.keypoint_set)}, 3)")
        _require_shape(
            "Keypoints3D",
            confidence=(confidence, xyz.shape[:-1]),
            reprojection_px=(reprojection, xyz.shape[:-1]),
            n_views=(n_views, xyz.shape[:-1]),
        )
        _require_missing_rule("Keypoints3D", xyz, confidence)
        _require_fps("Keypoints3D", self.fps)
        _freeze(self, xyz=xyz, confidence=confidence, reprojection_px=reprojection, n_views=n_views)

    @property
    def n_frames(self) -> int:
        return self.xyz.shape[0]

    @property
    def n_people(self) -> int:
        return self.xyz.shape[1]

    def of(self, name: str) -> Float[np.ndarray, "T P 3"]:
        """The trajectory of one named keypoint, m."""
        return self.xyz[:, :, self.keypoint_set.index(name)]

    def between(self, a: str, b: str) -> Float[np.ndarray, "T P 3"]:
        """Midpoint of two named keypoints, m."""
        return (self.of(a) + self.of(b)) / 2


def _require_fps(owner: str, fps: float) -> None:
    if not np.isfinite(fps) or fps <= 0:
        raise InputError(f"{owner}: {fps} frames a second is not a frame rate")
