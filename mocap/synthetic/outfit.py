"""What a person wears, and the colours of skin, eyes and hair: drawn from a seed."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mocap.core.config import Config
from mocap.synthetic.body import BodyShape
from mocap.synthetic.patterns import PATTERNS, Pattern, srgb

Colour = tuple[float, float, float]
HairStyle = Literal["shaved", "bald", "buzz", "short", "curly", "bob", "long", "ponytail", "bun"]
TopKind = Literal["t_shirt", "long_sleeves", "hoodie", "shirt", "sweater", "tank_top"]
BottomKind = Literal["trousers", "jeans", "joggers", "leggings", "shorts", "skirt"]
Footwear = Literal["shoes", "boots", "socks", "barefoot"]

CHILD_AGE = 0.55
"""Anny's age below which a person counts as a child here: no bare shoulders, no beard."""
SKIN = tuple(srgb(code) for code in ("f2d0bd", "e6b99b", "d4a07a", "b57d55", "8f5f3f", "633f2b", "422a1e"))
HAIR = {
    "black": srgb("14110f"), "dark brown": srgb("2e1e15"), "brown": srgb("4c3322"), "light brown": srgb("76563a"),
    "blond": srgb("b08d57"), "pale blond": srgb("cdb27f"), "red": srgb("7d3d1c"), "grey": srgb("8b8a88"),
    "white": srgb("cfcdc9"), "dyed": srgb("5d2f5f"),
}  # fmt: skip
EYES = tuple(srgb(code) for code in ("2d1a10", "3f2616", "4a3a1f", "5c6a3c", "5b7f9a", "6d8590"))
FABRICS = tuple(
    srgb(code)
    for code in (
        "15161a", "26282d", "3c4046", "6f7378", "a7aaad", "e8e6e1", "f6f5f2", "1d2b4a", "2d4f86", "6f9ac4",
        "173f35", "3d6b45", "7d8a58", "56301f", "8c5b36", "c9ad84", "7a1f24", "b8343a", "d9773a", "e0b23c",
        "5f3a6b", "b77aa5", "e3b4b8", "2f7f86",
    )
)  # fmt: skip
DENIM = tuple(srgb(code) for code in ("1c2740", "2d4468", "4c6c94", "7f9cba", "24262b"))


class Outfit(Config):
    """Colours are linear RGB.

    seed: of folds, prints and strands. skin: 0 (lightest) to 1 (darkest). beard: 0 (shaved) to 1 (full). loose: 0
    (tight) to 1 (wide). untucked_m: how far a top falls below the waist of the trousers.
    """

    seed: int = 0
    skin: float = 0.3
    blush: float = 0.5
    eyes: Colour = EYES[0]
    hair: Colour = HAIR["brown"]
    hair_style: HairStyle = "short"
    hair_m: float = 0.015
    beard: float = 0.0
    cap: bool = False
    cap_colour: Colour = FABRICS[7]
    top: TopKind = "t_shirt"
    top_colour: Colour = FABRICS[8]
    top_second: Colour = FABRICS[5]
    top_pattern: Pattern = "plain"
    top_loose: float = 0.5
    bottom: BottomKind = "trousers"
    bottom_colour: Colour = FABRICS[1]
    bottom_pattern: Pattern = "plain"
    bottom_loose: float = 0.4
    feet: Footwear = "shoes"
    shoe_colour: Colour = FABRICS[0]
    sole_colour: Colour = FABRICS[6]
    sock_colour: Colour = FABRICS[6]

    @property
    def skin_colour(self) -> Colour:
        """Of the chest, before any shading."""
        place = self.skin * (len(SKIN) - 1)
        first = min(int(place), len(SKIN) - 2)
        mixed = np.array(SKIN[first]) * (first + 1 - place) + np.array(SKIN[first + 1]) * (place - first)
        return (float(mixed[0]), float(mixed[1]), float(mixed[2]))


def sample_outfit(rng: np.random.Generator, shape: BodyShape) -> Outfit:
    """Something to wear for a person of that sex and age; the whole range of skin tones."""
    female, child = bool(rng.random() < 0.15 + 0.7 * shape.gender), shape.age < CHILD_AGE
    skin = float(rng.random())
    style = _hair_style(rng, female=female, age=shape.age)
    top = _top(rng, child=child)
    bottom = _bottom(rng, female=female)
    main = FABRICS[rng.integers(len(FABRICS))]
    return Outfit(
        seed=int(rng.integers(2**31)),
        skin=skin,
        blush=float(rng.random()),
        eyes=EYES[rng.integers(2 if skin > 0.45 else len(EYES))],
        hair=_hair_colour(rng, skin, shape.age),
        hair_style=style,
        hair_m=float(rng.uniform(0.008, 0.026)),
        beard=float(rng.choice([0.0, 0.25, 0.6, 1.0], p=[0.4, 0.3, 0.15, 0.15])) if _may_have_beard(shape) else 0.0,
        cap=bool(style not in ("bun", "ponytail") and rng.random() < 0.14),
        cap_colour=FABRICS[rng.integers(len(FABRICS))],
        top=top,
        top_colour=main,
        top_second=_second(rng, main),
        top_pattern=_pattern(rng, top),
        top_loose=float(rng.random()),
        bottom=bottom,
        bottom_colour=_bottom_colour(rng, bottom, main),
        bottom_pattern=_bottom_pattern(rng, bottom),
        bottom_loose=float(rng.random()),
        feet=_choose(rng, {"shoes": 0.72, "boots": 0.08, "socks": 0.1, "barefoot": 0.1}),
        shoe_colour=FABRICS[rng.integers(len(FABRICS))],
        sole_colour=FABRICS[rng.choice([0, 2, 5, 6, 6, 15])],
        sock_colour=FABRICS[rng.choice([0, 1, 4, 5, 6, 7])],
    )


def _choose(rng: np.random.Generator, options: dict):
    """One of the keys, their values being how likely they are."""
    names, weights = list(options), np.array(list(options.values()), dtype=np.float64)
    return names[rng.choice(len(names), p=weights / weights.sum())]


def _may_have_beard(shape: BodyShape) -> bool:
    return shape.gender < 0.35 and shape.age >= CHILD_AGE + 0.05


def _hair_style(rng: np.random.Generator, *, female: bool, age: float) -> HairStyle:
    if female:
        return _choose(rng, {"long": 0.32, "bob": 0.22, "ponytail": 0.2, "bun": 0.1, "short": 0.08, "curly": 0.08})
    bald = 0.2 if age > 0.8 else 0.05
    options = {"short": 0.45, "buzz": 0.2, "curly": 0.12, "bob": 0.05, "long": 0.03}
    if age >= CHILD_AGE:
        options |= {"shaved": 0.06, "bald": bald}
    return _choose(rng, options)


def _hair_colour(rng: np.random.Generator, skin: float, age: float) -> Colour:
    dark = {"black": 0.5, "dark brown": 0.4, "brown": 0.1}
    light = {"black": 0.12, "dark brown": 0.25, "brown": 0.25, "light brown": 0.15, "blond": 0.12, "pale blond": 0.04,
             "red": 0.05, "dyed": 0.02}  # fmt: skip
    options = dict(dark if skin > 0.45 else light)
    if age > 0.8:
        options |= {"grey": (age - 0.8) * 6, "white": (age - 0.8) * 3}
    colour = np.array(HAIR[_choose(rng, options)]) * rng.uniform(0.8, 1.2)
    return (float(colour[0]), float(colour[1]), float(colour[2]))


def _top(rng: np.random.Generator, *, child: bool) -> TopKind:
    options = {"t_shirt": 0.38, "long_sleeves": 0.16, "hoodie": 0.15, "shirt": 0.16, "sweater": 0.1}
    if not child:
        options["tank_top"] = 0.06
    return _choose(rng, options)


def _bottom(rng: np.random.Generator, *, female: bool) -> BottomKind:
    options = {"trousers": 0.24, "jeans": 0.34, "joggers": 0.14, "shorts": 0.18}
    if female:
        options |= {"leggings": 0.18, "skirt": 0.12}
    return _choose(rng, options)


def _pattern(rng: np.random.Generator, top: str) -> Pattern:
    if top == "shirt":
        return _choose(rng, {"plain": 0.45, "checks": 0.35, "pinstripes": 0.2})
    if top == "sweater":
        return _choose(rng, {"plain": 0.5, "knit": 0.3, "stripes": 0.2})
    weights = {"plain": 0.4, "print": 0.3, "stripes": 0.14, "melange": 0.1, "blocks": 0.06}
    assert set(weights) <= set(PATTERNS)
    return _choose(rng, weights)


def _second(rng: np.random.Generator, main: Colour) -> Colour:
    """A colour for prints and stripes: mostly one that stands out, sometimes a neighbour of the main one."""
    if rng.random() < 0.25:
        factor = rng.uniform(0.55, 1.6)
        return (min(main[0] * factor, 0.95), min(main[1] * factor, 0.95), min(main[2] * factor, 0.95))
    apart = np.abs(np.array(FABRICS) - np.array(main)).sum(1)
    return FABRICS[rng.choice(np.flatnonzero(apart > 0.35))]


def _bottom_pattern(rng: np.random.Generator, bottom: str) -> Pattern:
    if bottom == "jeans":
        return "denim"
    return "checks" if bottom == "skirt" and rng.random() < 0.3 else "plain"


def _bottom_colour(rng: np.random.Generator, bottom: str, main: Colour) -> Colour:
    if bottom == "jeans":
        return DENIM[rng.integers(len(DENIM))]
    if bottom == "leggings":
        return FABRICS[rng.choice([0, 0, 1, 2, 7, 20])]
    if rng.random() < 0.15:  # low contrast: trousers much like the top
        return main
    return FABRICS[rng.choice([0, 1, 2, 3, 5, 7, 10, 12, 13, 14, 15])]
