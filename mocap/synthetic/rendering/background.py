"""The picture of an empty room, made once per camera with all care, and what later frames need of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int

from mocap.synthetic.rendering.illumination import highlights, lamp_share, open_share, unblocked
from mocap.synthetic.rendering.lens_rays import PLACES, LensRays
from mocap.synthetic.rendering.lights import ROUND
from mocap.synthetic.rendering.raycasting import Hits
from mocap.synthetic.rendering.statics import Statics, footprints

BAND_PIXELS = 200_000
"""Pixels that are worked on at once."""
MARGIN = 2
"""Rows beyond a band that smoothing looks at."""
LIFT_M = 0.003
"""Shadow rays start this far above the surface."""
BRIGHTEST = 1.6
"""Radiance at which lamps are cut, so that their edges stay smooth."""


@dataclass(frozen=True, eq=False)
class Spots:
    """What every n-th pixel of the background shows, for shadows to fall on.

    points, normals: (h, w, 3). share: (h, w, K, 3) of its light that each lamp, and last all around, gives; 0 where the
    lens sees nothing.
    """

    points: Float32[np.ndarray, "h w 3"]
    normals: Float32[np.ndarray, "h w 3"]
    share: Float32[np.ndarray, "h w K 3"]
    stride: int


@dataclass(frozen=True, eq=False)
class Background:
    """radiance: (H, W, 3). distance: m along the ray through each of `PLACES` of every pixel, 0 where the lens sees
    nothing, so that nothing is in front of it. depth: (H, W) m along the optical axis through pixel centres."""

    radiance: Float32[np.ndarray, "H W 3"]
    distance: Float32[np.ndarray, "S P"]
    depth: Float32[np.ndarray, "H W"]
    spots: Spots


@dataclass(frozen=True, eq=False)
class _Seen:
    """What rays through pixels meet."""

    rays: np.ndarray
    hits: Hits
    points: np.ndarray
    normals: np.ndarray
    shown: np.ndarray  # whether the ray belongs to the lens and meets something

    def __getitem__(self, rows: np.ndarray) -> _Seen:
        return _Seen(self.rays[rows], self.hits[rows], self.points[rows], self.normals[rows], self.shown[rows])


class BackgroundPainter:
    """Makes the background of one camera, band by band."""

    def __init__(self, statics: Statics, lens: LensRays, rng: np.random.Generator, *, rays: int, stride: int) -> None:
        self.statics, self.lens, self.rays, self.stride = statics, lens, rays, stride
        self._pattern = rng.permutation(ROUND)
        size = (lens.height, lens.width)
        kinds = len(statics.lighting.lamps) + 1
        low = (-(-size[0] // stride), -(-size[1] // stride))
        self._radiance = np.zeros((*size, 3), dtype=np.float32)
        self._distance = np.zeros((len(PLACES), size[0] * size[1]), dtype=np.float32)
        self._depth = np.zeros(size, dtype=np.float32)
        self._spots = Spots(
            np.zeros((*low, 3), np.float32),
            np.zeros((*low, 3), np.float32),
            np.zeros((*low, kinds, 3), np.float32),
            stride,
        )

    def paint(self) -> Background:
        """The background."""
        rows = max(8, BAND_PIXELS // self.lens.width)
        for start in range(0, self.lens.height, rows):
            self._paint_band(start, min(start + rows, self.lens.height))
        return Background(self._radiance, self._distance, self._depth, self._spots)

    def _paint_band(self, start: int, end: int) -> None:
        first, last = max(start - MARGIN, 0), min(end + MARGIN, self.lens.height)
        width = self.lens.width
        pixels = np.arange(first * width, last * width)
        seen = self._look(pixels, 0)
        share = self._smoothed_share(pixels, seen).reshape(last - first, width, -1)[start - first : end - first]
        inner = np.arange((start - first) * width, (end - first) * width)
        pixels, seen = pixels[inner], seen[inner]
        parts = unblocked(self.statics.lighting, seen.points, seen.normals)
        parts *= share.reshape(len(pixels), -1, 1)
        light = parts.sum(1)
        self._depth.reshape(-1)[pixels] = self.lens.depth(self._distance[0, pixels], seen.rays)
        self._keep_spots(start, end, seen, parts, light)
        total = np.zeros((len(pixels), 3), dtype=np.float32)
        for place in range(1, len(PLACES)):
            total += self._radiance_of(pixels, self._look(pixels, place), seen, light)
        self._radiance.reshape(-1, 3)[pixels] = total / np.float32(len(PLACES) - 1)

    def _look(self, pixels: Int[np.ndarray, "N"], place: int) -> _Seen:
        rays = self.lens.rays(pixels, PLACES[place])
        hits = self.statics.scene.cast(rays)
        shown = self.lens.sees.reshape(-1)[pixels] & (hits.mesh >= 0)
        distance = np.where(shown, hits.distance, 0).astype(np.float32)
        outside = self.lens.sees.reshape(-1)[pixels] & (hits.mesh < 0)
        self._distance[place, pixels] = np.where(outside, np.float32(np.inf), distance)
        points = rays[:, :3] + distance[:, None] * rays[:, 3:]
        return _Seen(rays, hits, points, self.statics.normals(hits), shown)

    def _smoothed_share(self, pixels: Int[np.ndarray, "N"], seen: _Seen) -> Float32[np.ndarray, "N K"]:
        """Part of each kind of light that arrives; noise of a few rays per pixel taken out over 5 x 5 pixels."""
        y, x = np.divmod(pixels, self.lens.width)
        noisy = self._share(seen, self._pattern[(y % 4) * 4 + x % 4], self.rays)
        size = (len(pixels) // self.lens.width, self.lens.width)
        tolerance = 0.01 * self._distance[0, pixels].reshape(size)
        points, normals = seen.points.reshape(*size, 3), seen.normals.reshape(*size, 3)
        smooth = noisy.reshape(*size, -1)
        for axis in (0, 1):
            smooth = _smooth_along(smooth, points, normals, tolerance, axis)
        return smooth.reshape(len(pixels), -1)

    def _share(self, seen: _Seen, cell: Int[np.ndarray, "N"], rays: int) -> Float32[np.ndarray, "N K"]:
        start = seen.points + np.float32(LIFT_M) * seen.normals
        lamps, statics = self.statics.lighting.lamps, self.statics
        share = np.empty((len(start), len(lamps) + 1), dtype=np.float32)
        for index, lamp in enumerate(lamps):
            share[:, index] = lamp_share(lamp, start, seen.normals, [statics.blockers], turn=cell, rays=rays)
        share[:, -1] = open_share(start, seen.normals, [statics.solid], turn=cell, rays=2 * rays)
        return share

    def _radiance_of(
        self, pixels: Int[np.ndarray, "N"], seen: _Seen, centre: _Seen, light: Float32[np.ndarray, "N 3"]
    ) -> Float32[np.ndarray, "N 3"]:
        """Radiance along rays; light is that of the pixel's centre where both see the same surface."""
        lighting, hits = self.statics.lighting, seen.hits
        odd = np.flatnonzero(seen.shown & ~_same_surface(seen, centre))
        light = light.copy()
        if len(odd):
            share = self._share(seen[odd], np.arange(len(odd)) % ROUND, 4 * self.rays)
            light[odd] = (unblocked(lighting, seen.points[odd], seen.normals[odd]) * share[..., None]).sum(1)
        distance = np.where(seen.shown, hits.distance, 0)
        footprint = footprints(self.lens, pixels, seen.rays, distance, seen.normals)
        radiance = self.statics.albedo(hits, footprint / 2) * light + np.minimum(self.statics.glow(hits), BRIGHTEST)
        gloss = self.statics.gloss(hits)
        shiny = np.flatnonzero(gloss > 0)
        if len(shiny):
            part = seen[shiny]
            radiance[shiny] += highlights(lighting, part.points, part.normals, part.rays[:, 3:], gloss[shiny])
        return radiance * seen.shown[:, None]

    def _keep_spots(self, start: int, end: int, seen: _Seen, parts: np.ndarray, light: np.ndarray) -> None:
        stride, width = self.stride, self.lens.width
        rows = np.minimum(np.arange(self._spots.points.shape[0]) * stride + stride // 2, self.lens.height - 1)
        columns = np.minimum(np.arange(self._spots.points.shape[1]) * stride + stride // 2, width - 1)
        mine = np.flatnonzero((rows >= start) & (rows < end))
        take = (rows[mine, None] - start) * width + columns
        self._spots.points[mine] = seen.points[take]
        self._spots.normals[mine] = seen.normals[take]
        share = parts[take] / np.maximum(light[take], 1e-6)[..., None, :]
        self._spots.share[mine] = share * seen.shown[take][..., None, None]


def _same_surface(one: _Seen, other: _Seen) -> Bool[np.ndarray, "N"]:
    alike = (one.hits.mesh == other.hits.mesh) & (np.einsum("na,na->n", one.normals, other.normals) > 0.95)
    apart = np.einsum("na,na->n", one.points - other.points, other.normals)
    return alike & (np.abs(apart) < 0.01 * np.where(other.shown, other.hits.distance, 0))


def _smooth_along(
    values: np.ndarray, points: np.ndarray, normals: np.ndarray, near: np.ndarray, axis: int
) -> np.ndarray:
    """Mean over five neighbours (the ends count half: all 4 places of the pattern weigh the same) on one surface."""
    total, weight = values.copy(), np.ones((*values.shape[:2], 1), dtype=np.float32)
    for shift, strength in ((1, 1.0), (2, 0.5)):
        one = (slice(shift, None), slice(None)) if axis == 0 else (slice(None), slice(shift, None))
        other = (slice(None, -shift), slice(None)) if axis == 0 else (slice(None), slice(None, -shift))
        apart = np.abs(np.einsum("hwa,hwa->hw", points[one] - points[other], normals[one]))
        same = (apart < near[one]) & (np.einsum("hwa,hwa->hw", normals[one], normals[other]) > 0.9)
        factor = (np.float32(strength) * same)[..., None]
        total[one] += factor * values[other]
        total[other] += factor * values[one]
        weight[one] += factor
        weight[other] += factor
    return total / weight
