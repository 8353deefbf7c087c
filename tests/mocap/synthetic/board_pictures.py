"""Pictures of a board by plain ray tracing of its slab, pixel by pixel: the oracle for what a renderer shows."""

from __future__ import annotations

import numpy as np

GREY = 0.3
RAYS = 2
"""Per pixel and direction."""


def picture(camera, thing, rays=RAYS):
    """(H, W) linear reflectance; grey where there is no board."""
    width, height = camera.intrinsics.image_size
    inner = (np.arange(rays) + 0.5) / rays - 0.5
    x = (np.arange(width)[:, None] + inner).reshape(-1)
    y = (np.arange(height)[:, None] + inner).reshape(-1)
    px = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    grey = np.full(len(px), GREY, dtype=np.float32)
    seen = np.flatnonzero(near(camera, thing, px))
    grey[seen] = traced(camera, thing, px[seen], rays)
    return grey.reshape(height, rays, width, rays).mean(axis=(1, 3))


def near(camera, thing, px):
    outline = camera.project(thing.vertices.astype(np.float64))
    return ((px >= np.nanmin(outline, 0) - 20) & (px <= np.nanmax(outline, 0) + 20)).all(axis=1)


def traced(camera, thing, px, rays):
    """First hit of the rays with the triangles (Möller and Trumbore 1997)."""
    directions, center = camera.ray(px), camera.center
    nearest, grey = np.full(len(px), np.inf), np.full(len(px), GREY, dtype=np.float32)
    for number, face in enumerate(thing.surface.faces):
        a, b, c = thing.vertices[face].astype(np.float64)
        normal = np.cross(b - a, c - a)
        if (a - center) @ normal >= 0:
            continue  # its back is turned to the camera
        slope = directions @ normal
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            distance = (a - center) @ normal / slope
            place = center + distance[:, None] * directions - a
            u = np.cross(place, c - a) @ normal / (normal @ normal)
            v = np.cross(b - a, place) @ normal / (normal @ normal)
        hit = (slope < 0) & (distance > 0) & (distance < nearest) & (u >= 0) & (v >= 0) & (u + v <= 1)
        nearest[hit] = distance[hit]
        weights = np.stack([1 - u - v, u, v], axis=-1)[hit].astype(np.float32)
        footprint = (distance[hit] / camera.intrinsics.K[0, 0] / rays).astype(np.float32)
        grey[hit] = thing.surface.albedo(np.full(hit.sum(), number, dtype=np.int32), weights, footprint)[:, 0]
    return grey


def srgb(linear):
    """8-bit pixels."""
    return np.round(255 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)
