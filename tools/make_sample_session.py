"""Make the sessions in `sample_sessions/`: `python tools/make_sample_session.py [NAME…] [--to FOLDER] [--jobs N]`.

one_person, two_people and phones are rendered from `configs/synth/<name>.toml` (extra `synth`); numeric_walk holds
numbers only. The truth is the same in every run and on every machine; pictures differ in the last bits where
processors round differently. Prints the size of each.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numeric_session
from mocap.core.config import load_config

ROOT = Path(__file__).resolve().parent.parent
RENDERED = ("one_person", "two_people", "phones")
NAMES = (*RENDERED, "numeric_walk")


def make(name: str, folder: Path, *, jobs: int = 0) -> int:
    """Make one session; the number of rendered pictures."""
    if name == "numeric_walk":
        numeric_session.make(folder)
        return 0
    from mocap.synthetic.session import make_session
    from mocap.synthetic.synth_config import SynthConfig

    config = load_config(SynthConfig, ROOT / "configs" / "synth" / f"{name}.toml")
    return make_session(config, folder, workers=jobs, overwrite=True, progress=_tell).pictures


def _tell(done: int, total: int) -> None:
    if done == total or done % 100 == 0:
        print(f"  {done}/{total}", end="\r", flush=True)


def main() -> None:
    """Make what the command line names, all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--to", type=Path, default=ROOT / "sample_sessions", help="folder that gets the sessions")
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0 means one a core")
    options = parser.parse_args()
    for name in options.names or NAMES:
        start = time.perf_counter()
        pictures = make(name, options.to / name, jobs=options.jobs)
        seconds = time.perf_counter() - start
        size = sum(path.stat().st_size for path in (options.to / name).rglob("*") if path.is_file())
        speed = f", {pictures} pictures, {pictures / seconds:.1f} a second" if pictures else ""
        print(f"{name}: {size / 1e6:.2f} MB in {seconds:.0f} s{speed}")


if __name__ == "__main__":
    main()
