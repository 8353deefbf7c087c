"""What the environment of other tools is made of."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from set_up import commands

ROOT = Path(__file__).resolve().parents[2]


def pinned() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {line.split("==")[0] for line in lines if "==" in line and not line.startswith("#")}


def test_everything_in_it_has_exactly_one_version() -> None:
    """A figure or a passed test of today must mean the same tomorrow."""
    assert all("==" in peer for peer in commands.PEERS)
    own = {need for need in commands.PEERS_NEED if "==" not in need}
    assert own <= pinned()
    assert not {need.split("==")[0] for need in commands.PEERS_NEED if "==" in need} & pinned()


@pytest.mark.parametrize("program", sorted((ROOT / "tools" / "peers").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_programs_for_it_know_nothing_of_this_project(program: Path) -> None:
    text = program.read_text(encoding="utf-8")
    imports = [line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert imports
    assert not {"calibration", "mocap"} & set(imports)


@pytest.mark.parametrize("name", ["calibration", "detection"])
def test_benchmark_has_its_parts(name: str) -> None:
    assert callable(importlib.import_module(f"benchmark_{name}").main)
