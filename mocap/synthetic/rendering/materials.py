"""What floors, walls and furniture are made of: textures drawn from a random generator, in linear RGB."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32

from mocap.synthetic.rendering.textures import Texture, make_texture

SIDE = 1024
"""Texels of a large texture's side; 2 m then have 2 mm texels, a pixel of a 1280 px camera at 2 m."""
SMALL = 256

Colour = tuple[float, float, float]
WOODS: tuple[Colour, ...] = ((0.42, 0.26, 0.13), (0.25, 0.13, 0.06), (0.55, 0.40, 0.24), (0.34, 0.24, 0.16))
FABRICS: tuple[Colour, ...] = (
    (0.08, 0.12, 0.25),
    (0.30, 0.07, 0.06),
    (0.18, 0.20, 0.17),
    (0.35, 0.30, 0.24),
    (0.05, 0.15, 0.13),
)
PAINTS: tuple[Colour, ...] = (
    (0.62, 0.60, 0.55),
    (0.55, 0.60, 0.62),
    (0.60, 0.52, 0.40),
    (0.42, 0.50, 0.42),
    (0.50, 0.44, 0.46),
)
PLASTICS: tuple[Colour, ...] = (
    (0.70, 0.70, 0.68),
    (0.03, 0.03, 0.035),
    (0.55, 0.10, 0.06),
    (0.06, 0.22, 0.45),
    (0.75, 0.55, 0.08),
)


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    grain: tuple[float, float] = (1.0, 1.0),
    slope: float = 1.0,
    coarsest: int = 0,
) -> Float32[np.ndarray, "h w"]:
    """Periodic noise of mean 0 and variance 1 whose amplitude falls with frequency to the power of `slope`.

    grain: how much longer features are (down, across). coarsest: lowest frequency, in periods per image.
    """
    white = np.fft.rfft2(rng.standard_normal(shape))
    down = np.fft.fftfreq(shape[0], 1 / shape[0])[:, None] * grain[0]
    across = np.fft.rfftfreq(shape[1], 1 / shape[1])[None] * grain[1]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1.0
    white *= frequency**-slope * (frequency >= coarsest)
    white[0, 0] = 0.0
    field = np.fft.irfft2(white, s=shape)
    return (field / field.std()).astype(np.float32)


def pick(rng: np.random.Generator, colours: tuple[Colour, ...], spread: float = 0.12) -> Float[np.ndarray, "3"]:
    """One of the colours, a little lighter or darker and of slightly another hue."""
    chosen = np.array(colours[rng.integers(len(colours))])
    return np.clip(chosen * (1 + spread * rng.standard_normal()) + 0.01 * rng.standard_normal(3), 0.01, 0.9)


def _tinted(colour: Float[np.ndarray, "3"], tone: Float[np.ndarray, "h w"], size_m: float) -> Texture:
    image = np.clip(colour.astype(np.float32) * tone[..., None], 0.004, 0.92).astype(np.float32)
    return make_texture(image, (size_m, size_m * tone.shape[0] / tone.shape[1]))


def parquet(rng: np.random.Generator) -> Texture:
    """Planks of wood, each of its own tone, with grain along them and dark joints."""
    across, along = int(rng.choice([8, 16])), int(rng.choice([1, 2]))
    v, u = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    row = np.floor(v * across).astype(np.int32)
    shifted = (u + rng.random(across).astype(np.float32)[row]) % 1
    plank = np.floor(shifted * along).astype(np.int32)
    tone = (1 + 0.16 * rng.standard_normal((across, along)).astype(np.float32))[row, plank]
    tone = tone * (1 + 0.10 * noise(rng, (SIDE, SIDE), grain=(1.0, 24.0), slope=0.9, coarsest=6))
    joint = np.minimum(_to_edge(v * across) / across, _to_edge(shifted * along) / along)
    return _tinted(pick(rng, WOODS), tone * (0.55 + 0.45 * np.clip(joint * SIDE / 2, 0, 1)), 2.0)


def tiles(rng: np.random.Generator) -> Texture:
    """Stone tiles with joints."""
    count = int(rng.choice([4, 6, 8]))
    v, u = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE * count
    cell = (np.floor(v).astype(np.int32), np.floor(u).astype(np.int32))
    tone = (1 + 0.05 * rng.standard_normal((count, count)).astype(np.float32))[cell]
    if rng.random() < 0.3:  # chequered
        tone = tone * np.where((cell[0] + cell[1]) % 2 == 0, 1.0, 0.45).astype(np.float32)
    tone = tone * (1 + 0.07 * noise(rng, (SIDE, SIDE), slope=1.2))
    joint = np.minimum(_to_edge(v), _to_edge(u)) * SIDE / count
    colour = pick(rng, ((0.55, 0.52, 0.47), (0.32, 0.31, 0.30), (0.50, 0.40, 0.30)))
    return _tinted(colour, np.where(joint < 2.0, np.float32(rng.choice([0.5, 1.25])), tone), 2.0)


def carpet(rng: np.random.Generator) -> Texture:
    """Short pile, worn in patches."""
    tone = 1 + 0.12 * noise(rng, (SIDE, SIDE), slope=0.1) + 0.07 * noise(rng, (SIDE, SIDE), slope=1.5)
    return _tinted(pick(rng, FABRICS), tone, 2.0)


def concrete(rng: np.random.Generator) -> Texture:
    """Grey screed with clouds and stains."""
    tone = 1 + 0.10 * noise(rng, (SIDE, SIDE), slope=1.3) + 0.04 * noise(rng, (SIDE, SIDE), slope=0.3)
    return _tinted(pick(rng, ((0.35, 0.34, 0.33), (0.24, 0.24, 0.25))), tone, 3.0)


def gym_mats(rng: np.random.Generator) -> Texture:
    """Foam mats of one metre in two colours."""
    v, u = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE * 2
    odd = (np.floor(v) + np.floor(u)) % 2 == 1
    first, second = pick(rng, PLASTICS), pick(rng, FABRICS)
    joint = np.minimum(_to_edge(v), _to_edge(u)) * SIDE / 2
    tone = (1 + 0.06 * noise(rng, (SIDE, SIDE), slope=0.3)) * np.where(joint < 2.5, 0.5, 1.0).astype(np.float32)
    image = np.where(odd[..., None], first, second).astype(np.float32) * tone[..., None]
    return make_texture(np.clip(image, 0.004, 0.92), (2.0, 2.0))


def linoleum(rng: np.random.Generator) -> Texture:
    """Plain floor with speckles."""
    tone = 1 + 0.05 * noise(rng, (SIDE, SIDE), slope=0.6) + 0.03 * noise(rng, (SIDE, SIDE), slope=1.4)
    return _tinted(pick(rng, ((0.30, 0.36, 0.34), (0.42, 0.38, 0.32), (0.25, 0.28, 0.36))), tone, 2.0)


def plaster(rng: np.random.Generator) -> Texture:
    """Painted wall."""
    tone = 1 + 0.025 * noise(rng, (SIDE, SIDE), slope=0.5) + 0.03 * noise(rng, (SIDE, SIDE), slope=1.6)
    return _tinted(pick(rng, PAINTS), tone, 3.0)


def wallpaper(rng: np.random.Generator) -> Texture:
    """Stripes or dots."""
    v, u = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE * float(rng.choice([8, 12, 16]))
    if rng.random() < 0.5:
        pattern = 0.5 + 0.5 * np.tanh(4 * np.sin(2 * np.pi * u))
    else:
        pattern = np.clip(8 * (0.25 - np.hypot(v % 1 - 0.5, (u + 0.5 * np.floor(v)) % 1 - 0.5)), 0, 1)
    return _tinted(pick(rng, PAINTS), (1 - rng.uniform(0.12, 0.4) * pattern).astype(np.float32), 2.0)


def bricks(rng: np.random.Generator) -> Texture:
    """Brickwork, painted or bare."""
    rows, columns = 32, 8
    v, u = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    row = np.floor(v * rows).astype(np.int32)
    shifted = (u * columns + 0.5 * (row % 2)) % columns
    tone = (1 + 0.15 * rng.standard_normal((rows, columns)).astype(np.float32))[row, np.floor(shifted).astype(np.int32)]
    tone = tone * (1 + 0.10 * noise(rng, (SIDE, SIDE), slope=0.7))
    joint = np.minimum(_to_edge(v * rows) / rows, _to_edge(shifted) / columns) * SIDE
    colour = pick(rng, ((0.36, 0.15, 0.10), (0.62, 0.60, 0.56)))
    return _tinted(colour, np.where(joint < 3, np.float32(0.8), tone), 2.2)


def curtain(rng: np.random.Generator) -> Texture:
    """Dark cloth in folds, of a studio."""
    u = np.arange(SIDE, dtype=np.float32) / SIDE
    folds = np.sin(2 * np.pi * (6 * u + 0.3 * np.sin(2 * np.pi * 2 * u + rng.uniform(0, 6))))
    tone = 1 + 0.35 * folds[None] + 0.08 * noise(rng, (SIDE, SIDE), grain=(8.0, 1.0), slope=0.6)
    return _tinted(
        pick(rng, ((0.020, 0.020, 0.024), (0.03, 0.05, 0.12), (0.04, 0.12, 0.05))), tone.astype(np.float32), 3.0
    )


def trim(rng: np.random.Generator) -> Texture:
    """Skirting boards and door frames."""
    colour = pick(
        rng, ((0.68, 0.67, 0.64), (0.68, 0.67, 0.64), (0.30, 0.30, 0.30), (0.30, 0.18, 0.09), (0.10, 0.17, 0.26))
    )
    return _tinted(colour, 1 + 0.015 * noise(rng, (SMALL, SMALL), slope=1.0), 1.0)


def wood(rng: np.random.Generator) -> Texture:
    """Furniture wood, grain across the image."""
    grain = noise(rng, (SMALL, SMALL), grain=(1.0, 16.0), slope=0.9, coarsest=4)
    return _tinted(pick(rng, WOODS), 1 + 0.12 * grain, 1.0)


def cloth(rng: np.random.Generator) -> Texture:
    """Upholstery."""
    weave = noise(rng, (SMALL, SMALL), slope=0.2)
    return _tinted(pick(rng, FABRICS), 1 + 0.10 * weave, 0.5)


def plastic(rng: np.random.Generator) -> Texture:
    """Lacquer or plastic."""
    return _tinted(pick(rng, PLASTICS), 1 + 0.015 * noise(rng, (SMALL, SMALL), slope=1.0), 1.0)


def cardboard(rng: np.random.Generator) -> Texture:
    """Boxes."""
    tone = 1 + 0.05 * noise(rng, (SMALL, SMALL), grain=(6.0, 1.0), slope=0.6)
    return _tinted(pick(rng, ((0.42, 0.29, 0.17),)), tone, 0.8)


def leaf(rng: np.random.Generator) -> Texture:
    """Foliage."""
    return _tinted(pick(rng, ((0.05, 0.16, 0.03), (0.08, 0.20, 0.05))), 1 + 0.2 * noise(rng, (SMALL, SMALL)), 0.4)


def painting(rng: np.random.Generator, size_m: tuple[float, float]) -> Texture:
    """A picture for the wall: fields of colour over a soft ground."""
    v, u = np.mgrid[0:SMALL, 0:SMALL].astype(np.float32) / SMALL
    image = np.stack([0.3 + 0.12 * noise(rng, (SMALL, SMALL), slope=1.8) for _ in range(3)], axis=-1)
    for _ in range(int(rng.integers(3, 9))):
        centre, size = rng.random(2), rng.uniform(0.08, 0.35, 2)
        away = np.abs(np.stack([u - centre[0], v - centre[1]])) / size[:, None, None]
        inside = away.max(0) < 1 if rng.random() < 0.5 else np.hypot(*away) < 1
        image[inside] = rng.uniform(0.02, 0.7, 3)
    return make_texture(np.clip(image, 0.01, 0.85).astype(np.float32), size_m)


def _to_edge(cells: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Distance to the nearest whole number."""
    return np.abs(cells - np.round(cells))


Material = Callable[[np.random.Generator], Texture]
FLOORS: dict[str, Material] = {
    "parquet": parquet,
    "tiles": tiles,
    "carpet": carpet,
    "concrete": concrete,
    "gym_mats": gym_mats,
    "linoleum": linoleum,
}
FLOOR_GLOSS = {"parquet": 0.15, "tiles": 0.25, "linoleum": 0.2, "concrete": 0.05}
WALLS: dict[str, Material] = {"plaster": plaster, "wallpaper": wallpaper, "bricks": bricks}
