"""Draw `docs/contact_sheet.png`: one picture each of a dozen synthetic scenes: `python tools/contact_sheet.py [FILE]`.

Every tile is what one camera of another session shows (`mocap synth` with that seed), a third of its size.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from mocap.core.config import load_config
from mocap.synthetic.cast import make_actors
from mocap.synthetic.posing import follow, joint_transforms
from mocap.synthetic.rendering.renderer import Renderer
from mocap.synthetic.rigs import make_rig
from mocap.synthetic.scene import Thing
from mocap.synthetic.sensor import Sensor
from mocap.synthetic.shots import exposed
from mocap.synthetic.stage_setting import sensor_of, set_stage
from mocap.synthetic.synth_config import SynthConfig

ROOT = Path(__file__).resolve().parent.parent
SHEET = ROOT / "docs" / "contact_sheet.png"
TILE = (400, 225)
COLUMNS = 3

SCENES: tuple[tuple[int, float, tuple[str, ...]], ...] = (
    (11, 2.2, ("people=[{motion='walk_circle'}]", "rig.layout=ring")),
    (12, 1.6, ("people=[{motion='wave', position_m=[0.6, 0.0]}, {motion='squat', position_m=[-0.5, 0.3]}]",)),
    (13, 1.4, ("people=[{motion='jump'}]", "rig.lens=fisheye", "rig.radius_m=2.6")),
    (14, 2.6, ("people=[{motion='walk_line'}, {motion='walk_line', heading_deg=180.0, position_m=[0.7, 0.2]}]",)),
    (15, 1.2, ("people=[{motion='reach', heading_deg=60.0}]", "rig.layout=corners")),
    (16, 2.0, ("people=[{motion='dance', heading_deg=200.0}]", "look.studio=true")),
    (17, 0.4, ("people=[{motion='stand', start_pose='T'}]", "rig.layout=arc")),
    (18, 1.9, ("people=[{motion='pick_up'}]", "rig.lens=wide")),
    (
        19,
        2.4,
        (
            "people=[{motion='walk_circle'}, {motion='clap', position_m=[1.0, 0.8]}, {motion='bow', "
            "position_m=[-1.0, 0.9], heading_deg=40.0}, {motion='stand', position_m=[0.2, -1.1], heading_deg=170.0}]",
            "rig.radius_m=4.2",
        ),
    ),
    (20, 1.7, ("people=[{motion='kick', heading_deg=300.0}]", "look.furniture=6")),
    (21, 2.5, ("people=[{motion='sit_down', heading_deg=30.0}]", "rig.layout=line")),
    (22, 1.5, ("people=[{motion='arm_circles'}]", "rig.heights_m=[2.4, 2.6]")),
)
"""Seed, moment (s) and settings of every tile."""


def picture(seed: int, time_s: float, settings: tuple[str, ...]) -> UInt8[np.ndarray, "H W 3"]:
    """What the first camera of a session shows at a moment."""
    config = load_config(SynthConfig, None, [f"seed={seed}", *settings])
    rig = make_rig(config.rig, np.random.default_rng([seed, 0]))
    camera = rig.names[0]
    actors = make_actors(config, time_s + 1.0, ROOT)
    stage = set_stage(config, actors, rig)
    things = [
        Thing(a.look, follow(a.look.vertices, a.look.weights, joint_transforms(a.motion, np.array([time_s]))[0]))
        for a in actors
    ]
    renderer = Renderer(rig[camera], stage.room, stage.statics, config.look.render)
    rendered = renderer.render([things])
    rendition = exposed(sensor_of(config, 0), renderer.background.radiance)
    sensor = Sensor(rig[camera].intrinsics.image_size, rendition, seed)
    return sensor.develop(rendered.image, rendered.depth_m, 0)


def main() -> None:
    """Draw the sheet."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SHEET
    tiles = [cv2.resize(picture(*scene), TILE, interpolation=cv2.INTER_AREA) for scene in SCENES]
    rows = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{path}: {len(tiles)} scenes, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
