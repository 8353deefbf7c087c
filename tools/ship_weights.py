"""Put the weights of a training run into the package, and what the run was into their model card.

    mocap train volumetric --config configs/train/volumetric_blazepose.toml -o RUN
    python tools/measure_learned.py --volumetric RUN > RUN/measured.txt
    python tools/ship_weights.py RUN --config configs/train/volumetric_blazepose.toml --measured RUN/measured.txt

Copies NAME.safetensors and NAME.json from the run folder to `mocap/weights`. Of NAME.md there, the paragraphs that
begin with **Recipe.**, **Command.**, **Seed.** and **Metrics.** are written anew; those about data, limits and the
licence are for people to write. The table is what `measure_learned.py` printed last.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "mocap" / "weights"
MEASURE = "python tools/measure_learned.py"
LARGEST = 12 * 2**20
"""Bytes that weights may take in the package."""


def main() -> None:
    """Copy and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--config", type=Path, required=True, help="the recipe that the run was made by")
    parser.add_argument("--measured", type=Path, help="what measure_learned.py printed")
    parser.add_argument("--arguments", default="", help="those that measure_learned.py had")
    parser.add_argument("--into", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    (weights,) = options.run.glob("*_*.safetensors")
    if weights.stat().st_size > LARGEST:
        raise SystemExit(f"{weights}: {weights.stat().st_size} bytes, more than {LARGEST}")
    for path in (weights, weights.with_suffix(".json")):
        shutil.copyfile(path, options.into / path.name)
    card = options.into / f"{weights.stem}.md"
    parts = of_run(options.run, options.config)
    if options.measured is not None:
        parts["Metrics"] = metrics(options.measured.read_text(encoding="utf-8"), options.arguments)
    card.write_text(with_parts(card.read_text(encoding="utf-8"), parts), encoding="utf-8")
    print(card)


def of_run(run: Path, recipe: Path) -> dict[str, str]:
    """The paragraphs that follow from the run folder alone."""
    record, summary = (json.loads((run / name).read_text(encoding="utf-8")) for name in ("run.json", "summary.json"))
    start = record["starts"][-1]
    environment, code = start["environment"], start["code"]
    day = datetime.fromisoformat(start["started"]).date()
    command = f"mocap train {record['task']} --config {recipe.as_posix()} -o RUN"
    schedule = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))["schedule"]
    commit = str(code.get("commit", "unknown"))[:12]
    changed = " with uncommitted changes" if code.get("uncommitted_characters") else ""
    told = (
        f"`{recipe.as_posix()}`, run on {day} by `{command}`: {summary['steps']} of at most {schedule['steps']} steps "
        f"in {summary['seconds'] / 60:.0f} minutes (at most {schedule['minutes']:.0f}, 0: any) of a shared processor, "
        f"torch {environment['packages']['torch']}; a machine with nothing else to do makes all steps. The weights are "
        f"those of step {summary['best_step']}, averaged. Code: commit {commit}{changed}. "
        f"Validation there: {listed(summary['best'])}."
    )
    option = f"--{record['task']} RUN"
    shipping = (
        f"`{command}`, then `{MEASURE} {option} > RUN/measured.txt` and "
        f"`python tools/ship_weights.py RUN --config {recipe.as_posix()} --measured RUN/measured.txt`."
    )
    return {"Recipe": told, "Command": shipping, "Seed": f"{record['seed']}."}


def listed(figures: dict[str, Any]) -> str:
    """Of the best validation."""
    return ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in figures.items())


def metrics(printed: str, arguments: str) -> str:
    """The table in what was printed, and how to have it again."""
    table = [line for line in printed.splitlines() if line.startswith("|")]
    if not table:
        raise SystemExit("nothing printed there is a table")
    command = f"{MEASURE} {arguments}".strip()
    told = (
        f"`{command}`: held-out motions, bodies and rigs, heatmaps of 64 x 64 cells. MPJPE in mm over the points that "
        "every method returns, the learned ones against RANSAC; last, of points hidden in half of the views or more."
    )
    return told + "\n\n" + "\n".join(table)


def with_parts(card: str, parts: dict[str, str]) -> str:
    """A card with some of its paragraphs, each up to the next that begins likewise, written anew."""
    for name, text in parts.items():
        found = re.search(rf"^\*\*{name}\.\*\*.*?(?=^\*\*\w+\.\*\*|\Z)", card, flags=re.MULTILINE | re.DOTALL)
        if found is None:
            raise SystemExit(f"the card has no paragraph **{name}.**")
        card = card[: found.start()] + f"**{name}.** {filled(text)}\n\n" + card[found.end() :]
    return card.rstrip() + "\n"


def filled(text: str, width: int = 120) -> str:
    """Lines of a paragraph no longer than that; what follows it stays."""
    text, gap, rest = text.partition("\n\n")
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + 1 + len(word) > width - (13 if len(lines) == 1 else 0):
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines) + gap + rest


if __name__ == "__main__":
    main()
