"""A run of `mocap train heatmap` as weights that `detect.detector = "mobile"` takes.

python tools/ship_pose.py RUN [-o FILE.safetensors]      by default the package's own
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

from mocap.models.shipped_pose import SHIPPED, write_pose
from mocap.training.heatmap_task import HeatmapTaskConfig

PACKAGE = Path(__file__).resolve().parent.parent / "mocap" / "weights" / f"{SHIPPED}.safetensors"


def main() -> None:
    """Copy the run's best weights, and say beside them how crops are cut."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=PACKAGE)
    options = parser.parse_args()
    values = tomllib.loads((options.run / "config.toml").read_text(encoding="utf-8"))
    task = HeatmapTaskConfig.model_validate(values["task"])
    if task.loss != "likelihood":
        parser.error(f"the run's loss is {task.loss!r}, its heatmaps no chances")
    crop = task.crop
    about = write_pose(
        options.run / "weights.safetensors",
        options.output,
        keypoints=task.keypoints,
        size=crop.size,
        padding=crop.padding,
    )
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, {about.model_dump_json()}")


if __name__ == "__main__":
    main()
