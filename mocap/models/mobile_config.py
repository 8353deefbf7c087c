"""How the small heatmap network is run as a detector; apart from it, since it needs torch and this does not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mocap.core.config import Config


class MobileDetectorConfig(Config):
    """How the small network is run.

    weights: a file that `tools/ship_pose.py` wrote, by default the package's. detect_every: images from one look for
    newcomers to the next. search_levels: as of BlazePose. sure_keypoints: so many of at least 0.3 make a person.
    """

    weights: Path | None = None
    min_person_score: Annotated[float, Field(ge=0, le=1)] = 0.5
    detect_every: Annotated[int, Field(ge=1)] = 8
    search_levels: Annotated[int, Field(ge=0, le=2)] = 1
    sure_keypoints: Annotated[int, Field(ge=0)] = 8
    follow_overlap: Annotated[float, Field(ge=0, le=1)] = 0.3
    remember: Annotated[int, Field(ge=0)] = 30
    precision: Literal["f32", "bf16"] = "f32"
