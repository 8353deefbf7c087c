"""Shoes and skirts: stacks of convex rings around feet and hips."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from mocap.synthetic.cuts import waist_m
from mocap.synthetic.figure import Figure
from mocap.synthetic.outfit import Outfit
from mocap.synthetic.patches import Patch, grid_patch
from mocap.synthetic.patterns import noise, step, weave

SHOE_TILE = (0.5, 0.0, 0.5, 0.25)
SKIRT_TILE = (0.0, 0.5, 0.5, 0.5)
COLLAR_TILE = (0.75, 0.25, 0.125, 0.125)
SHOE_POINTS, SKIRT_POINTS = 36, 44
SOLE_M = 0.022
DIRECTIONS = 96


def weights_near(figure: Figure, points: Float[np.ndarray, "n 3"], neighbours: int = 4) -> csr_array:
    """Mean weights of the body's nearest vertices."""
    _, near = KDTree(figure.body.vertices).query(points, k=neighbours)
    rows = np.repeat(np.arange(len(points)), neighbours)
    mean = csr_array(
        (np.full(near.size, 1 / neighbours), (rows, near.reshape(-1))), shape=(len(points), len(figure.body.vertices))
    )
    return csr_array((mean @ figure.body.weights).astype(np.float32))


def convex_ring(points: Float[np.ndarray, "n 2"], centre: Float[np.ndarray, "2"], count: int) -> np.ndarray:
    """(count, 2) places along the convex hull, evenly spaced from where +y leaves the centre, by way of +x."""
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    normals = np.stack([np.sin(angles), np.cos(angles)], -1)
    support = ((points - centre) @ normals.T).max(0)
    cosine = np.cos(angles[:, None] - angles[None])
    reach = np.where(cosine > 0.05, support[None] / np.maximum(cosine, 0.05), np.inf).min(1)
    outline = centre + normals * reach[:, None]
    closed = np.concatenate([outline, outline[:1]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=-1))])
    wanted = np.arange(count) / count * length[-1]
    return np.stack([np.interp(wanted, length, closed[:, k]) for k in range(2)], -1)


def shoe_top_m(figure: Figure, outfit: Outfit) -> float:
    """Height of the shaft."""
    ankle = float(figure.at("LeftFoot")[2])
    return ankle + {"boots": 0.075, "socks": 0.05}.get(outfit.feet, 0.008) * figure.scale


def make_footwear(figure: Figure, outfit: Outfit, *, page: int) -> list[Patch]:
    """Both shoes (boots, or thick socks) with their soles on the floor."""
    return [_shoe(figure, outfit, side=side, page=page) for side in (1.0, -1.0)]


def _shoe(figure: Figure, outfit: Outfit, *, side: float, page: int) -> Patch:
    s, p = figure.scale, figure.body.vertices.astype(np.float64)
    top, ankle = shoe_top_m(figure, outfit), figure.at("LeftFoot")
    foot = p[(p[:, 0] * side > 0) & (p[:, 2] < top + 0.02 * s)] * [side, 1, 1]
    sock = outfit.feet == "socks"
    ahead = step(foot[:, 1], ankle[1] - 0.05 * s, ankle[1] - 0.15 * s)
    lifted = foot[:, 2] + (0.002 if sock else 0.008 + 0.016 * ahead) * s
    heights = np.concatenate([[0.001, 0.006, SOLE_M - 0.001, SOLE_M + 0.001], np.linspace(SOLE_M + 0.008, top / s, 9)])
    rings = []
    for height in heights[::-1] * s:
        above = foot[lifted >= min(height, top - 0.004 * s)]
        ring = convex_ring(above[:, :2], ankle[:2], SHOE_POINTS)
        out = ring - ankle[:2]
        sole = not sock and height < SOLE_M * s
        thick = (0.0025 if sock else 0.0085 if sole else 0.005) * s - (0.004 * s if height < 0.003 * s else 0)
        ring = ring + out / np.linalg.norm(out, axis=-1, keepdims=True) * thick
        rings.append(np.concatenate([ring, np.full((SHOE_POINTS, 1), height)], -1))
    rings = _rounded(np.array(rings))
    bottom = rings[-1] * [0.0, 0.0, 1.0] + [*rings[-1][:, :2].mean(0), 0.0]
    points = np.concatenate([rings, 0.5 * (bottom + rings[-1])[None], bottom[None]]) * [side, 1, 1]
    points = points if side > 0 else points[:, ::-1]
    weights = weights_near(figure, points.reshape(-1, 3))
    return grid_patch(points[:, ::-1], weights, tile=SHOE_TILE, page=page, closed=True)


def _rounded(rings: Float[np.ndarray, "m n 3"]) -> Float[np.ndarray, "m n 3"]:
    """Steps between rings above the sole smoothed, so that toe caps are round; the sole stays sharp."""
    smooth = rings.copy()
    for _ in range(2):
        inner = smooth[1:-5, :, :2]
        smooth[1:-5, :, :2] = 0.5 * inner + 0.25 * (smooth[:-6, :, :2] + smooth[2:-4, :, :2])
    return smooth


def paint_footwear(outfit: Outfit, figure: Figure, shape: tuple[int, int]) -> Float32[np.ndarray, "h w 3"]:
    """A shoe unrolled: from heel to toe and back to the heel across, from shaft to sole down."""
    rows, columns = shape
    u, v = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    front, ring = np.abs(u - 0.5) * 2, v * 14
    if outfit.feet == "socks":
        ribs = 1 + 0.08 * np.sin(u * 2 * np.pi * 60) * (ring < 5)
        return (np.array(outfit.sock_colour) * ribs[..., None]).astype(np.float32).clip(0, 1)
    grain = noise(np.stack([u.ravel() * 40, v.ravel() * 20], -1), outfit.seed + 60).reshape(shape)
    picture = np.array(outfit.shoe_colour) * (1 + 0.08 * grain[..., None])
    light = np.array(outfit.sole_colour)
    kind = outfit.seed % 3
    if kind == 0:  # a stripe on the side
        amount = step(np.abs(front - 0.45 - 0.02 * ring), 0.05, 0.045) * (ring < 8.5) * (ring > 2)
        picture += amount[..., None] * (light - picture)
    elif kind == 1:  # a cap over the toes
        amount = step(front, 0.16, 0.155) * (ring > 5.5)
        picture += amount[..., None] * (light - picture) * 0.8
    lace = step(front, 0.1, 0.09) * (ring > 1) * (ring < 6.5) * (np.abs(ring * 1.5 - np.rint(ring * 1.5)) < 0.2)
    picture += 0.8 * lace[..., None] * (light - picture)
    picture *= (1 - 0.5 * (ring < 0.5))[..., None]
    sole = step(ring, 9.4, 9.5)[..., None]
    picture += sole * (light * (1 - 0.25 * (ring > 10.6))[..., None] - picture)
    return picture.astype(np.float32).clip(0, 1)


def make_collar(figure: Figure, outfit: Outfit, *, page: int) -> list[Patch]:
    """A hood that lies on the back, or the collar of a shirt; other tops have none."""
    s, neck = figure.scale, figure.at("Neck")
    hood = outfit.top == "hoodie"
    if outfit.top not in ("hoodie", "shirt"):
        return []
    turn = np.linspace(-2.4, 2.4, 25) if hood else np.linspace(-2.85, 2.85, 25)
    back = (0.5 + 0.5 * np.cos(turn))[:, None]
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    out = np.stack([np.sin(turn), np.cos(turn), 0 * turn], -1)
    if hood:
        middle = neck + s * (out * [0.082, 0.078, 0] + np.array([0, -0.012, 0.0]) + back * [0, 0.02, 0.01])
        full = step(np.abs(turn), 2.41, 2.0)[:, None]
        wide, high = s * (0.012 + 0.026 * back) * full, s * (0.016 + 0.026 * back) * full
    else:
        middle = neck + s * (out * [0.066, 0.066, 0] + np.array([0, -0.022, 0.004]) + back * [0, 0, 0.022])
        wide, high = s * (0.005 + 0 * back), s * (0.021 - 0.003 * back)
    fall = np.array([0.0, 0.0, 1.0]) + 0.35 * out * (0.0 if hood else 1.0) * [-1, -1, 0]
    ring = (
        np.cos(around)[None, :, None] * (out * wide)[:, None] + np.sin(around)[None, :, None] * (fall * high)[:, None]
    )
    points = middle[:, None] + ring
    weights = weights_near(figure, points.reshape(-1, 3), 12)
    return [grid_patch(points, weights, tile=COLLAR_TILE, page=page, closed=True)]


def paint_collar(outfit: Outfit, shape: tuple[int, int]) -> Float32[np.ndarray, "h w 3"]:
    """Cloth of the top."""
    v, u = np.mgrid[0 : shape[0], 0 : shape[1]] / shape[1]
    pair = (outfit.top_colour, outfit.top_second)
    pattern = outfit.top_pattern if outfit.top == "shirt" else "plain"
    colour = weave(pattern, u.ravel() * 0.15, v.ravel() * 0.4, colours=pair, seed=outfit.seed + 30)
    return colour.reshape(*shape, 3).clip(0, 1)


def make_skirt(figure: Figure, outfit: Outfit, *, page: int) -> Patch:
    """From the waist to the knees, wider downwards; every half follows its leg."""
    s, p = figure.scale, figure.body.vertices.astype(np.float64)
    start, end = waist_m(figure), figure.at("LeftLeg")[2] + (0.06 - 0.08 * outfit.bottom_loose) * s
    trunk = p[np.abs(p[:, 0]) < figure.at("LeftArm")[0] + 0.08 * s]
    centre = np.array([0.0, figure.at("LeftUpLeg")[1]])
    rings = []
    for height in np.linspace(start, end, 14):
        below = 0.02 * s if rings else 0.002 * s
        near = trunk[(trunk[:, 2] > height - below) & (trunk[:, 2] < height + 0.02 * s)][:, :2]
        near = near if not rings else np.concatenate([near, rings[-1][:, :2]])
        ring = convex_ring(near, centre, SKIRT_POINTS)
        out = (ring - centre) / np.linalg.norm(ring - centre, axis=-1, keepdims=True)
        grow = 0.011 if not rings else 0.008 + 0.006 * outfit.bottom_loose
        rings.append(np.concatenate([ring + out * grow * s, np.full((SKIRT_POINTS, 1), height)], -1))
    points = np.array(rings)
    fall = np.linspace(0, 1, 14)[:, None]
    wave = np.sin(np.arange(SKIRT_POINTS) / SKIRT_POINTS * 2 * np.pi * 9 + outfit.seed % 7)
    out = points[..., :2] - centre
    points[..., :2] += out * (0.05 * outfit.bottom_loose * wave * fall)[..., None]
    band = points[:1] + np.concatenate([out[:1] * -0.15, np.full((1, SKIRT_POINTS, 1), 0.004 * s)], -1)
    points = np.concatenate([band, points])
    weights = _skirt_weights(figure, points.reshape(-1, 3))
    return grid_patch(points[:, ::-1], weights, tile=SKIRT_TILE, page=page, closed=True)


def _skirt_weights(figure: Figure, points: Float[np.ndarray, "n 3"]) -> csr_array:
    s, index = figure.scale, figure.body.skeleton.index
    hip = figure.at("LeftUpLeg")
    left = step(points[:, 0], -0.11 * s, 0.11 * s)
    legs = 0.92 * step(points[:, 2], hip[2] + 0.02 * s, hip[2] - 0.22 * s)
    weights = np.zeros((len(points), len(figure.body.skeleton)), dtype=np.float32)
    weights[:, index("Hips")] = 1 - legs
    weights[:, index("LeftUpLeg")] = legs * left
    weights[:, index("RightUpLeg")] = legs * (1 - left)
    return csr_array(weights)


def paint_skirt(outfit: Outfit, shape: tuple[int, int]) -> Float32[np.ndarray, "h w 3"]:
    """The skirt unrolled, some 1 m around and 0.45 m long."""
    rows, columns = shape
    u, v = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    pair = (outfit.bottom_colour, outfit.top_second)
    colour = weave(outfit.bottom_pattern, u.ravel(), v.ravel() * 0.45, colours=pair, seed=outfit.seed + 50)
    fold = 1 + 0.1 * np.sin(u * 2 * np.pi * 9 + outfit.seed % 7 - 1) * v
    picture = colour.reshape(rows, columns, 3) * fold[..., None] * (1 - 0.2 * ((v > 0.955) & (v < 0.962)))[..., None]
    return picture.astype(np.float32).clip(0, 1)
