"""Streams of keypoint-only people that triangulation is trained on and validated with: errors and bodies by turns."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from typing import Any

from mocap.synthetic.body_bank import BodyKind
from mocap.synthetic.detector_config import preset
from mocap.synthetic.samples import SampleConfig, Samples

HELD_OUT = ("punch", "lunge", "bow", "walk_and_reach")
"""Built-in motions that are never trained on: validation is on those, among cameras and bodies of another seed."""
VALIDATION_SEED = 1_000_003


def people_streams(
    config: SampleConfig, seed: int, *, errors: Sequence[str], body: Sequence[BodyKind]
) -> list[Samples]:
    """One for each preset of errors and each kind of bodies, errors first; poses and bodies are made once."""
    first = Samples(config, seed)
    kinds = [Samples(config.model_copy(update={"body": kind}), seed, poses=first.poses) for kind in body]
    return [stream_like(stream, {"errors": preset(name)}) for stream in kinds for name in errors]


def stream_like(samples: Samples, update: dict[str, Any]) -> Samples:
    """The same bodies and poses, seen and reported otherwise; to make bodies takes a quarter of a minute."""
    _ = samples.bodies, samples.poses
    twin = copy.copy(samples)
    twin.config = samples.config.model_copy(update=update)
    return twin


@cache
def trained_motions() -> tuple[str, ...]:
    """The built-in motions but those held out."""
    from mocap.synthetic.motions import MOTIONS  # a dozen modules, needed only when samples are made

    return tuple(kind for kind in MOTIONS if kind not in HELD_OUT)
