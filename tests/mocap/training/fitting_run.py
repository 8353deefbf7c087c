"""A run of the quick task in a process of its own: `python fitting_run.py FOLDER [KEY=VALUE…] [--resume]`.

pause_s=… makes every step so much longer, so that a test has the time to kill it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from fitting_task import FittingTask, FittingTaskConfig

from mocap.core.config import load_config
from mocap.training.loop import train
from mocap.training.run_folder import RunFolder
from mocap.training.train_config import TrainConfig


class FittingRun(TrainConfig):
    task: FittingTaskConfig = FittingTaskConfig()
    pause_s: float = 0.0


def main() -> None:
    folder = RunFolder(Path(sys.argv[1]))
    resume = "--resume" in sys.argv
    settings = [argument for argument in sys.argv[2:] if argument != "--resume"]
    config = load_config(FittingRun, folder.config if resume and folder.config.exists() else None, settings)
    task = FittingTask(config.task, config.seed)
    train(task, config, folder, name="fitting", resume=resume, watch=lambda progress: time.sleep(config.pause_s))


if __name__ == "__main__":
    main()
