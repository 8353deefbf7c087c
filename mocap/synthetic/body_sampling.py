"""Different people: shapes drawn from how ages, heights and builds of the living are distributed."""

from __future__ import annotations

import numpy as np

from mocap.synthetic.body import BodyShape

AGE_GROUPS = ((0.78, 18.0, 75.0), (0.14, 13.0, 18.0), (0.08, 6.0, 13.0))
"""Share, and years from and to: adults, teenagers, children."""
YEARS = (0.0, 1.0, 4.0, 11.0, 16.0, 18.0, 64.0, 110.0)
ANNY_AGE = (0.0, 0.05, 0.215, 0.415, 0.67, 0.77, 0.83, 1.0)
"""Anny's age of those years, as in its own calibration to the growth standards of the WHO."""
HEIGHT_YEARS = (4.0, 11.0, 16.0, 18.0)
MALE_HEIGHT = (0.326, 0.378, 0.375, 0.375)
FEMALE_HEIGHT = (0.348, 0.460, 0.355, 0.345)
"""Mean of Anny's height: to 11 years as in its calibration; then so that men are 1.76 m and women 1.63 m tall, the
means of Europe and North America, with a spread of 70 mm (an adult's height grows by 1.09 m with this parameter)."""
HEIGHT_SD = 0.062


def sample_shape(rng: np.random.Generator) -> BodyShape:
    """Somebody: mostly adults, some teenagers, few children, both sexes alike often."""
    share, first, last = (np.array(column) for column in zip(*AGE_GROUPS, strict=True))
    group = rng.choice(len(share), p=share)
    years = rng.uniform(first[group], last[group])
    aside = rng.beta(1.0, 9.0)
    female = rng.random() < 0.5
    mean = np.interp(years, HEIGHT_YEARS, FEMALE_HEIGHT if female else MALE_HEIGHT)
    muscle, weight = rng.beta(1.8, 1.8), rng.beta(2.2, 1.0 if female else 1.4)
    return BodyShape(
        gender=float(1 - aside if female else aside),
        age=float(np.interp(years, YEARS, ANNY_AGE)),
        muscle=float(muscle),
        weight=float(weight),
        height=float(np.clip(rng.normal(mean, HEIGHT_SD), mean - 3 * HEIGHT_SD, mean + 3 * HEIGHT_SD)),
        proportions=float(rng.beta(2.0, 2.0)),
    )
