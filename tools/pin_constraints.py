"""Pin every package, direct or not, of the project and its extras: `python tools/pin_constraints.py`.

Rewrites `constraints.txt` with versions that hold on Linux, macOS and Windows and on every supported Python, solved by
uv. torch stays at the version named here; its CUDA companions are left out, since each build of torch names its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0"
COMPANIONS = re.compile(r"^(cuda-|nvidia-|triton)")
HEADER = """\
# Versions of everything that this project and its extras install. Made by: python tools/pin_constraints.py
# Used by tools/bootstrap.py (pip install -c constraints.txt). The pin of torch names no build: CPU and CUDA builds both
# satisfy it.
"""


def solved() -> list[str]:
    """One `name==version ; marker` line a package, from uv's solution for all platforms."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", folder, "uv"], check=True)
        fixed = Path(folder) / "fixed.txt"
        fixed.write_text(f"{TORCH}\n", encoding="utf-8")
        options = ["--all-extras", "--universal", "--fork-strategy", "fewest", "--python-version", "3.11"]
        plain = ["--no-header", "--no-annotate", "--no-emit-index-url", "-q"]
        command = [str(Path(folder) / "bin" / "uv"), "pip", "compile", "pyproject.toml", *options, *plain]
        command += ["--constraint", str(fixed)]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def main() -> None:
    """Write `constraints.txt`."""
    lines = [line for line in solved() if line and not COMPANIONS.match(line)]
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"constraints.txt: {len(lines)} packages")


if __name__ == "__main__":
    main()
