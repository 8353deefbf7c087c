"""Pictures of things that move in a room, as one camera sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, Int16
from pydantic import Field

from calibration.camera import Camera
from mocap.core.config import Config
from mocap.synthetic.rendering.background import BackgroundPainter
from mocap.synthetic.rendering.cast_shadows import ShadowCatcher
from mocap.synthetic.rendering.coverage import covered_pixels, is_still
from mocap.synthetic.rendering.lens_rays import PLACES, LensRays
from mocap.synthetic.rendering.moving import FrontScene, Instant, Surroundings, shade
from mocap.synthetic.rendering.raycasting import Hits, Scene
from mocap.synthetic.rendering.room import Room
from mocap.synthetic.rendering.statics import Statics
from mocap.synthetic.rendering.topology import Topology
from mocap.synthetic.scene import Thing

STEP_ALBEDO = 0.03
SPOTS_ACROSS = 320
STEP_M = 0.04
"""A jump in distance between neighbouring pixels that is an edge."""


class RenderConfig(Config):
    """Effort of rendering.

    background_rays: shadow rays per pixel and lamp of the empty room. shadow_rays, body_rays: the same per spot of a
    moving shadow and per node of a moving mesh. shadow_stride: every n-th pixel is such a spot; 0 for 320 across.
    smooth_edges: more rays where something ends.
    """

    background_rays: int = Field(default=2, ge=1, le=16)
    shadow_rays: int = Field(default=2, ge=1, le=16)
    body_rays: int = Field(default=2, ge=1, le=16)
    shadow_stride: int = Field(default=0, ge=0, le=16)
    smooth_edges: bool = True

    def stride_for(self, width: int) -> int:
        """Pixels between spots of a picture so wide."""
        return self.shadow_stride or max(1, round(width / SPOTS_ACROSS))


@dataclass(frozen=True, eq=False)
class Rendered:
    """image: (H, W, 3) linear RGB, mid-grey walls near 0.25, lamps above 1; black where the lens sees nothing.
    depth_m: (H, W) along the optical axis, 0 where the lens sees nothing. thing: (H, W) which of the moving things a
    pixel shows, in their order, -1 for the room."""

    image: Float32[np.ndarray, "H W 3"]
    depth_m: Float32[np.ndarray, "H W"]
    thing: Int16[np.ndarray, "H W"]


@dataclass(frozen=True, eq=False)
class _Sample:
    """One ray each through pixels. row: their places in the list of pixels that may show something moving."""

    row: Int[np.ndarray, "N"]
    rays: Float32[np.ndarray, "N 6"]
    hits: Hits
    seen: Bool[np.ndarray, "N"]


class Renderer:
    """One camera in a room. The empty room is painted when this is made (seconds); frames only add what moves.

    seed: of the pattern in which neighbouring pixels use places on the lamps.
    """

    def __init__(
        self,
        camera: Camera,
        room: Room,
        statics: Sequence[Thing] = (),
        config: RenderConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.camera = camera
        self.config = config or RenderConfig()
        self._statics = Statics(room, statics)
        self._lens = LensRays(camera)
        rng = np.random.default_rng(seed)
        effort = self.config
        painter = BackgroundPainter(
            self._statics, self._lens, rng, rays=effort.background_rays, stride=effort.stride_for(self._lens.width)
        )
        self.background = painter.paint()
        self._catcher = ShadowCatcher(self.background, self._lens, room.lighting, rng, rays=effort.shadow_rays)
        self._topologies: dict[int, Topology] = {}

    def render(self, moments: Sequence[Sequence[Thing]]) -> Rendered:
        """One picture. moments: the things that move at instants spread over the exposure (the same things in the same
        order); one instant gives a sharp picture. Light and shadows are those of the middle one."""
        empty = self.background
        rendered = Rendered(empty.radiance.copy(), empty.depth.copy(), np.full(empty.depth.shape, -1, dtype=np.int16))
        if not moments or not moments[0]:
            return rendered
        topologies = [self._topology(thing) for thing in moments[0]]
        if any([id(thing.surface) for thing in things] != [id(t.surface) for t in topologies] for things in moments):
            raise ValueError("Renderer.render: every moment must hold the same things in the same order")
        if is_still(moments, topologies, self.camera):
            moments = [moments[len(moments) // 2]]
        middle = Instant.of(moments[len(moments) // 2])
        scene = middle.shadow_scene(topologies)
        outline = np.concatenate([t.outline(thing) for t, thing in zip(topologies, middle.things, strict=True)])
        self._catcher.darken(rendered.image, scene, outline)
        pixels = covered_pixels(moments, topologies, self.camera, self._lens.sees)
        if len(pixels):
            around = self._surroundings(scene)
            samples = self._samples(moments, middle, topologies, pixels)
            self._blend(rendered.image, pixels, samples, self._shaded(samples, pixels, middle, topologies, around))
            self._place(rendered, pixels, samples[len(moments) // 2])
        return rendered

    def _surroundings(self, moving: Scene) -> Surroundings:
        statics = self._statics
        return Surroundings(
            statics.lighting, (moving, statics.blockers), (moving, statics.solid), self.config.body_rays
        )

    def meet(self, things: Sequence[Thing]) -> None:
        """Learn moving things from one pose each, so that pictures do not depend on which of them came first."""
        for thing in things:
            self._topology(thing)

    def _topology(self, thing: Thing) -> Topology:
        key = id(thing.surface)  # kept alive by the Topology
        if key not in self._topologies:
            self._topologies[key] = Topology(thing)
        return self._topologies[key]

    def _samples(
        self,
        moments: Sequence[Sequence[Thing]],
        middle: Instant,
        topologies: Sequence[Topology],
        pixels: Int[np.ndarray, "P"],
    ) -> list[_Sample]:
        """One ray per pixel and moment, and more where edges are; the sample of the middle moment is at its index."""
        places, extra = sampling(len(moments))
        fronts = []
        for index, things in enumerate(moments):
            instant = middle if index == len(moments) // 2 else Instant.of(things)
            fronts.append(FrontScene(instant, topologies, self._lens.origin))
        everywhere = np.arange(len(pixels))
        samples = [self._cast(fronts[m], pixels, everywhere, place) for m, place in enumerate(places)]
        if not self.config.smooth_edges:
            return samples
        rows = self._edges(pixels, samples, topologies)
        return samples + [self._cast(fronts[m], pixels, rows, place) for m, place in extra]

    def _cast(self, front: FrontScene, pixels: Int[np.ndarray, "P"], rows: Int[np.ndarray, "N"], place: int) -> _Sample:
        mine = pixels[rows]
        rays = self._lens.rays(mine, PLACES[place])
        hits = front.cast(rays)
        return _Sample(rows, rays, hits, hits.distance < self.background.distance[place, mine])

    def _edges(
        self, pixels: Int[np.ndarray, "P"], samples: Sequence[_Sample], topologies: Sequence[Topology]
    ) -> Int[np.ndarray, "N"]:
        """Rows of pixels next to which another thing, another part of it or, on flat things, another colour is seen."""
        y, x = np.divmod(pixels, self._lens.width)
        top, left = y[0], x.min()
        size = (int(y[-1] - top + 1), int(x.max() - left + 1))
        inside = (y - top) * size[1] + x - left
        edge = np.zeros(size, dtype=bool)
        for sample in samples:
            seen = sample.seen
            kind, far, shade = np.zeros(size, np.int8), np.zeros(size, np.float32), np.zeros(size, np.float32)
            kind.reshape(-1)[inside] = np.where(seen, sample.hits.mesh + 1, 0)
            far.reshape(-1)[inside] = np.where(seen, sample.hits.distance, 0)
            shade.reshape(-1)[inside] = self._print_on(sample, pixels, topologies)
            for first, second in (np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1]):
                apart = (kind[first] != kind[second]) | (np.abs(far[first] - far[second]) > STEP_M)
                apart |= np.abs(shade[first] - shade[second]) > STEP_ALBEDO
                edge[first] |= apart
                edge[second] |= apart
        return np.flatnonzero(edge.reshape(-1)[inside])

    def _print_on(
        self, sample: _Sample, pixels: Int[np.ndarray, "P"], topologies: Sequence[Topology]
    ) -> Float32[np.ndarray, "P"]:
        """Green of what is printed on flat things, 0 elsewhere."""
        shade = np.zeros(len(pixels), dtype=np.float32)
        for index, topology in enumerate(topologies):
            mine = np.flatnonzero(sample.seen & (sample.hits.mesh == index)) if not topology.smooth else ()
            if len(mine):
                hits = sample.hits[mine]
                footprint = np.take(self._lens.spread.reshape(-1), pixels[mine]) * hits.distance
                shade[mine] = topology.surface.albedo(hits.face, hits.barycentric, footprint)[:, 1]
        return shade

    def _shaded(
        self,
        samples: Sequence[_Sample],
        pixels: Int[np.ndarray, "P"],
        middle: Instant,
        topologies: Sequence[Topology],
        around: Surroundings,
    ) -> Float32[np.ndarray, "N 3"]:
        """Radiance of all samples that see something moving, in their order."""
        kept = [np.flatnonzero(sample.seen) for sample in samples]
        rays = np.concatenate([s.rays[k] for s, k in zip(samples, kept, strict=True)])
        rows = np.concatenate([s.row[k] for s, k in zip(samples, kept, strict=True)])
        hits = [s.hits[k] for s, k in zip(samples, kept, strict=True)]
        joined = Hits(*(np.concatenate([getattr(h, name) for h in hits]) for name in Hits.__dataclass_fields__))
        spread = self._lens.spread.reshape(-1)[pixels[rows]]
        radiance = np.zeros((len(rows), 3), dtype=np.float32)
        for index, topology in enumerate(topologies):
            mine = np.flatnonzero(joined.mesh == index)
            if len(mine):
                instant = (middle.things[index], middle.flat[index])
                radiance[mine] = shade(topology, instant, around, rays[mine], joined[mine], spread[mine])
        return radiance

    def _blend(
        self,
        image: Float32[np.ndarray, "H W 3"],
        pixels: Int[np.ndarray, "P"],
        samples: Sequence[_Sample],
        radiance: Float32[np.ndarray, "N 3"],
    ) -> None:
        """Every pixel becomes the mean of its rays; those that see nothing moving show the background."""
        rows = np.concatenate([s.row[s.seen] for s in samples])
        rays = np.bincount(np.concatenate([s.row for s in samples]), minlength=len(pixels))
        seen = np.bincount(rows, minlength=len(pixels))
        flat = image.reshape(-1, 3)
        behind = flat[pixels] * ((rays - seen) / rays).astype(np.float32)[:, None]
        for channel in range(3):
            total = np.bincount(rows, weights=radiance[:, channel], minlength=len(pixels))
            behind[:, channel] += (total / rays).astype(np.float32)
        flat[pixels] = behind

    def _place(self, rendered: Rendered, pixels: Int[np.ndarray, "P"], sample: _Sample) -> None:
        """Depth and number of what the sample sees."""
        near = np.flatnonzero(sample.seen)
        mine, hits = pixels[near], sample.hits[near]
        rendered.depth_m.reshape(-1)[mine] = self._lens.depth(hits.distance, np.take(sample.rays, near, axis=0))
        rendered.thing.reshape(-1)[mine] = hits.mesh


def sampling(moments: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Which of `PLACES` each moment's ray goes through, and (moment, place) of more rays at edges.

    The mean place is the pixel's centre, for either.
    """
    if moments == 1:
        return [0], [(0, 1), (0, 2), (0, 3), (0, 4)]
    pairs = moments // 2
    places = [1 + index % 4 for index in range(2 * pairs)]
    if moments % 2:
        places.insert(pairs, 0)
    if moments > 3:
        return places, []
    return places, [(0, 3), *((m, 0) for m in range(1, moments - 1)), (moments - 1, 4)]
