"""Rendered 1280×720 views a second: `python tools/measure_rendering.py [CONFIG] [--seconds S] [--jobs N]`.

Films the take of a configuration (default `configs/synth/one_person.toml`) with a camera for each process. Prints the
rate while all of them render, with posing, visibility, sensor and H.264, and the rate with everything: bodies, clothes,
the start of the processes, and every camera's empty room.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from mocap.core.config import load_config
from mocap.synthetic.session import make_session
from mocap.synthetic.synth_config import SynthConfig

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", type=Path, default=ROOT / "configs" / "synth" / "one_person.toml")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    settings = [f"seconds={options.seconds}", f"rig.cameras={options.jobs}", "rig.portrait=[]"]
    config = load_config(SynthConfig, options.config, settings).without_calibration()
    ticks: list[tuple[float, int]] = []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = make_session(
            config,
            Path(folder) / "s",
            workers=options.jobs,
            progress=lambda done, total: ticks.append((time.perf_counter(), done)),
        )
    seconds = time.perf_counter() - start
    (begin, first), (end, last) = _steady(ticks, report.pictures)
    print(f"{(last - first) / (end - begin):.1f} views a second on {options.jobs} cores while rendering")
    print(
        f"{report.pictures / seconds:.1f} a second with all preparations ({report.pictures} views in {seconds:.0f} s)"
    )


def _steady(ticks: list[tuple[float, int]], total: int) -> tuple[tuple[float, int], tuple[float, int]]:
    """First and last report between a fifth and four fifths of the pictures: all processes are then at work."""
    inside = [tick for tick in ticks if 0.2 * total <= tick[1] <= 0.8 * total]
    return inside[0], inside[-1]


if __name__ == "__main__":
    main()
