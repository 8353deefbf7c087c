"""The rig of the days of recording: a small studio from `mocap synth`, made once however many tests play it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from running_mocap import mocap

CAMERAS = ("cam01", "cam02", "cam03", "cam04")
TAKE = "walk"
FPS = 10.0
"""Of the take: so that two cores can decode, look at and encode the pictures of all cameras together."""
SECONDS = 6.0
EXTRINSICS_S = 30.0

CONFIG = f"""
seed = 12
take = "{TAKE}"
seconds = {SECONDS}
fps = {FPS}

[rig]
cameras = {len(CAMERAS)}
radius_m = 2.8
fov_deg = [62.0, 70.0]
image_size = [800, 450]

[[people]]
name = "person1"
motion = "walk_circle"

[calibration]
fps = 3.0
intrinsics_s = 10.0
extrinsics_s = {EXTRINSICS_S}
floor_s = 4.0

[look]
floor = "parquet"
studio = false
furniture = 0
exposure_s = 0.0
"""
"""Pictures of 800x450 px, three a second of the board: some 800 of them, a minute of two cores."""


def made_studio(places: pytest.TempPathFactory) -> Path:
    """Lenses, rig, floor and a walk in a circle, with truth; the same folder for every caller of a run."""
    return _made_in(places.getbasetemp())


@cache
def _made_in(folder: Path) -> Path:
    root, config = folder / "studio", folder / "studio.toml"
    config.write_text(CONFIG)
    made = mocap("synth", root, "--config", config)
    assert made.returncode == 0, made.stderr
    return root


def new_session(root: Path, studio: Path, cameras: Sequence[str] = CAMERAS) -> Path:
    """A session whose cameras are those of the studio, played in real time; nothing is recorded yet."""
    sources = [text for name in cameras for text in ("--camera", f"{name}=synth:{studio}")]
    made = mocap("session", "new", root, *sources, "--board", studio / "session.toml")
    assert made.returncode == 0, made.stderr
    return root
