"""Other calibration tools as test partners: they run in an environment of their own, because their needs are many.

`python tools/bootstrap.py peers` makes that in .venv-peers; MOCAP_PEERS_PYTHON names another Python that has them.
"""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def peers_or_skip() -> Path:
    named = os.environ.get("MOCAP_PEERS_PYTHON")
    places = [ROOT / ".venv-peers" / "bin" / "python", ROOT / ".venv-peers" / "Scripts" / "python.exe"]
    for python in [Path(named)] if named else places:
        if python.is_file():
            return python
    pytest.skip("no other calibration tools here: `python tools/bootstrap.py peers` makes .venv-peers")


def open_with(tool: str, files: list[Path]) -> None:
    """A tool opens calibration files; see tools/peers/open_calibration.py for what lies beside them."""
    command = [peers_or_skip(), ROOT / "tools" / "peers" / "open_calibration.py", tool, *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
