"""Furniture that stands about and hides what is behind it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from mocap.synthetic.rendering.materials import cardboard, cloth, leaf, plastic, wood
from mocap.synthetic.rendering.textured import MeshBuilder, placed
from mocap.synthetic.scene import Thing

TRIES = 60


def chair(rng: np.random.Generator) -> Thing:
    """Four legs, a seat and a back."""
    mesh = MeshBuilder([wood(rng), cloth(rng) if rng.random() < 0.5 else plastic(rng)])
    half, seat, top = rng.uniform(0.19, 0.24), rng.uniform(0.42, 0.48), rng.uniform(0.8, 1.0)
    for x in (-half, half):
        mesh.bar((x, -half, 0), (x, -half, seat), (0.018, 0.018), 0, 10)
        mesh.bar((x, half, 0), (x, half + 0.05, top), (0.018, 0.018), 0, 10)
    mesh.box((-half - 0.02, -half - 0.02, seat), (half + 0.02, half + 0.02, seat + 0.04), 1)
    mesh.box((-half, half + 0.01, seat + 0.18), (half, half + 0.045, top - 0.02), 1)
    return mesh.thing()


def table(rng: np.random.Generator) -> Thing:
    """A top on four legs."""
    mesh = MeshBuilder([wood(rng), plastic(rng)])
    x, y, top = rng.uniform(0.4, 0.65), rng.uniform(0.3, 0.4), rng.uniform(0.68, 0.78)
    for a in (-x + 0.06, x - 0.06):
        for b in (-y + 0.06, y - 0.06):
            mesh.box((a - 0.025, b - 0.025, 0), (a + 0.025, b + 0.025, top), 1)
    mesh.box((-x, -y, top), (x, y, top + 0.03), 0)
    return mesh.thing(gloss=float(rng.choice([0.0, 0.1])))


def shelf(rng: np.random.Generator) -> Thing:
    """An open shelf with boxes and books."""
    mesh = MeshBuilder([wood(rng), *(plastic(rng) for _ in range(4)), cardboard(rng)])
    x, y, boards = rng.uniform(0.35, 0.5), 0.16, int(rng.integers(3, 6))
    height = 0.36 * boards
    for side in (-x, x):
        mesh.box((side - 0.012, -y, 0), (side + 0.012, y, height + 0.03), 0)
    mesh.box((-x, y - 0.01, 0), (x, y, height), 0)
    for level in range(boards + 1):
        z = 0.36 * level + 0.01
        mesh.box((-x, -y, z), (x, y, z + 0.02), 0)
        place = -x + 0.03
        while level < boards and place < x - 0.1:
            width, tall = rng.uniform(0.025, 0.16), rng.uniform(0.15, 0.31)
            end = min(place + width, x - 0.02)
            mesh.box(
                (place, -y + rng.uniform(0.01, 0.08), z + 0.02),
                (end, y - 0.02, z + 0.02 + tall),
                int(rng.integers(1, 6)),
            )
            place = end + (rng.uniform(0.05, 0.3) if rng.random() < 0.25 else 0.003)
    return mesh.thing()


def box(rng: np.random.Generator) -> Thing:
    """A cardboard box, or two on top of each other."""
    mesh = MeshBuilder([cardboard(rng), cardboard(rng)])
    x, y, z = rng.uniform(0.18, 0.35, 3)
    mesh.box((-x, -y, 0), (x, y, 2 * z), 0)
    if rng.random() < 0.4:
        dx, dy = rng.uniform(-0.05, 0.05, 2)
        mesh.box((-0.8 * x + dx, -0.8 * y + dy, 2 * z), (0.8 * x + dx, 0.8 * y + dy, 3.4 * z), 1)
    return mesh.thing()


def plant(rng: np.random.Generator) -> Thing:
    """A pot with leaves on stems."""
    mesh = MeshBuilder([plastic(rng), leaf(rng)])
    pot, height = rng.uniform(0.12, 0.2), rng.uniform(0.8, 1.6)
    mesh.bar((0, 0, 0), (0, 0, 0.32), (0.75 * pot, pot), 0)
    for _ in range(int(rng.integers(14, 26))):
        turn, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.55)
        out = np.array([np.cos(turn), np.sin(turn), 0.0])
        root = np.array([0, 0, rng.uniform(0.3, height - 0.3)])
        _leaf(mesh, root, out, length)
    mesh.bar((0, 0, 0.3), (0, 0, height - 0.25), (0.02, 0.012), 1, 8)
    return mesh.thing()


def _leaf(mesh: MeshBuilder, root: Float[np.ndarray, "3"], out: Float[np.ndarray, "3"], length: float) -> None:
    """A bent blade, drawn on both sides."""
    along = np.linspace(0, 1, 7)[:, None]
    middle = root + length * (along * out + np.array([0, 0, 0.8]) * (along - 0.9 * along**2))
    side = np.cross(out, [0, 0, 1.0]) * (0.16 * length * np.sin(np.pi * (0.08 + 0.92 * along)))
    points = np.stack([middle - side, middle, middle + side], axis=1)
    uv = np.stack(np.broadcast_arrays(along * length, np.linspace(0, 0.1, 3)), axis=-1)
    mesh.grid(points, uv, 1)
    mesh.grid(points[:, ::-1] - [0, 0, 0.002], uv, 1)


def pole(rng: np.random.Generator) -> Thing:
    """A lamp or coat stand."""
    mesh = MeshBuilder([plastic(rng), cloth(rng)])
    height = rng.uniform(1.4, 1.8)
    mesh.bar((0, 0, 0), (0, 0, 0.03), (0.16, 0.15), 0, 24)
    mesh.bar((0, 0, 0.03), (0, 0, height), (0.018, 0.018), 0, 12)
    mesh.bar((0, 0, height - 0.3), (0, 0, height), (0.2, 0.12), 1, 24)
    return mesh.thing()


def sofa(rng: np.random.Generator) -> Thing:
    """Seat, back and arms."""
    mesh = MeshBuilder([cloth(rng)])
    x, y = rng.uniform(0.7, 0.95), 0.4
    mesh.box((-x, -y, 0.08), (x, y, 0.26))
    seats = int(rng.integers(2, 4))
    for seat in range(seats):
        a = -x + 0.12 + seat * (2 * x - 0.24) / seats
        mesh.box(
            (a + 0.004, -y - 0.02, 0.26), (a + (2 * x - 0.24) / seats - 0.004, y - 0.18, 0.42), shift=(0.3 * seat, 0.0)
        )
    mesh.box((-x, y - 0.2, 0.26), (x, y, 0.85))
    for side in (-x, x - 0.14):
        mesh.box((side, -y, 0.26), (side + 0.14, y - 0.2, 0.6))
    return mesh.thing()


def stool(rng: np.random.Generator) -> Thing:
    """A round seat on three legs."""
    mesh = MeshBuilder([wood(rng)])
    height = rng.uniform(0.42, 0.7)
    for turn in np.arange(3) * 2 * np.pi / 3:
        c, s = np.cos(turn), np.sin(turn)
        mesh.bar((0.17 * c, 0.17 * s, 0), (0.1 * c, 0.1 * s, height), (0.014, 0.016), 0, 8)
    mesh.bar((0, 0, height), (0, 0, height + 0.035), (0.17, 0.17), 0, 28)
    return mesh.thing()


KINDS: dict[str, Callable[[np.random.Generator], Thing]] = {
    "chair": chair,
    "table": table,
    "shelf": shelf,
    "box": box,
    "plant": plant,
    "pole": pole,
    "sofa": sofa,
    "stool": stool,
}


def furniture(
    rng: np.random.Generator,
    *,
    count: int,
    lower: Float[np.ndarray, "n"],
    upper: Float[np.ndarray, "n"],
    clear: Float[np.ndarray, "N 3"],
    kinds: tuple[str, ...] = tuple(KINDS),
) -> list[Thing]:
    """Up to `count` pieces between two corners of the floor (m; x and y count), apart from each other.

    clear: (N, 3) circles to stay out of: x, y and radius, m (paths, capture space, 0.8 around cameras).
    """
    pieces: list[Thing] = []
    taken = [tuple(circle) for circle in clear]
    for _ in range(count):
        kind = str(rng.choice(list(kinds)))
        piece = KINDS[kind](rng)
        reach = float(np.linalg.norm(piece.vertices[:, :2], axis=1).max())
        fits = (upper[:2] - lower[:2] > 2 * reach).all()
        for _ in range(TRIES if fits else 0):
            place = lower[:2] + reach + rng.random(2) * (upper[:2] - lower[:2] - 2 * reach)
            if all(np.hypot(*(place - circle[:2])) > circle[2] + reach for circle in taken):
                taken.append((*place, reach))
                pieces.append(placed(piece, (*place, 0.0), rng.uniform(0, 2 * np.pi)))
                break
    return pieces
