"""The tool that puts a run's weights into the package: what it copies, and what it writes into the card."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "ship_weights.py"
TABLE = "| errors | views | ransac | algebraic |\n|---|---|---|---|\n| `hard` | 4 | 20.0 | **10.0** (-50.0%) |"
CARD = "# algebraic_blazepose\n\nWhat it is.\n\n**Data.** People.\n\n**Recipe.** Old.\nOlder.\n\n**Command.** Old.\n\n"
CARD += "**Seed.** 7.\n\n**Metrics.** Old.\n\n| old | table |\n|---|---|\n\n**Licence.** Apache-2.0.\n"


@pytest.fixture
def run_folder(tmp_path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    start = {
        "started": "2026-01-02T03:04:05+00:00",
        "environment": {"packages": {"torch": "9.9"}},
        "code": {"commit": "0123456789abcdef"},
    }
    (folder / "run.json").write_text(json.dumps({"task": "algebraic", "seed": 3, "starts": [start]}))
    best = {"mpjpe_mm": 12.344}
    summary = {"reason": "the schedule has ended", "steps": 40, "seconds": 120.0, "best_step": 30, "best": best}
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "algebraic_blazepose.safetensors").write_bytes(b"tensors")
    (folder / "config.toml").write_text("[schedule]\nsteps = 50\nminutes = 2.0\n")
    (folder / "algebraic_blazepose.json").write_text("{}")
    (folder / "weights.safetensors").write_bytes(b"not those")
    (folder / "measured.txt").write_text(f"hard, 4 views\n  detail\n{TABLE}\n")
    return folder


def ship(folder: Path, into: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), str(folder), "--config", "configs/train/algebraic_blazepose.toml"]
    return subprocess.run([*command, "--into", str(into), *more], capture_output=True, text=True, check=False)


def test_weights_are_copied_and_the_run_is_told_in_the_card(run_folder, tmp_path):
    into = tmp_path / "weights"
    into.mkdir()
    (into / "algebraic_blazepose.md").write_text(CARD)
    measured = ("--measured", str(run_folder / "measured.txt"), "--arguments=--samples 8")
    assert ship(run_folder, into, *measured).returncode == 0
    assert (into / "algebraic_blazepose.safetensors").read_bytes() == b"tensors"
    assert (into / "algebraic_blazepose.json").read_text() == "{}"
    card = (into / "algebraic_blazepose.md").read_text()
    assert "Old" not in card
    assert "| old |" not in card
    assert card.count(TABLE) == 1
    for told in (
        "**Data.** People.",
        "**Seed.** 3.",
        "40 of at most 50 steps in 2 minutes (at most 2, 0: any)",
        "0123456789ab",
        "mpjpe mm 12.34",
    ):
        assert told in card.replace("\n", " ")
    assert "mocap train algebraic --config configs/train/algebraic_blazepose.toml -o RUN" in card.replace("\n", " ")
    assert card.endswith("**Licence.** Apache-2.0.\n")
    assert max(map(len, card.splitlines())) <= 120
    again = ship(run_folder, into, *measured)
    assert again.returncode == 0
    assert (into / "algebraic_blazepose.md").read_text() == card


def test_weights_that_are_too_large_are_refused(run_folder, tmp_path):
    (run_folder / "algebraic_blazepose.safetensors").write_bytes(bytes(12 * 2**20 + 1))
    refused = ship(run_folder, tmp_path)
    assert refused.returncode != 0
    assert "more than 12582912" in refused.stderr
    assert not (tmp_path / "algebraic_blazepose.safetensors").exists()
