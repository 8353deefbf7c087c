"""An import may only point to the left:

calibration → core → geometry | signal → io | models → synthetic → capture → stages
→ pipeline | training | evaluation → calibrate → web → cli

Modules that lie directly in `mocap` are the pipeline's.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
from source_tree import ROOT, imports, modules

LAYERS = (
    {"calibration"},
    {"mocap.core"},
    {"mocap.geometry", "mocap.signal"},
    {"mocap.io", "mocap.models"},
    {"mocap.synthetic"},
    {"mocap.capture"},
    {"mocap.stages"},
    {"mocap.pipeline", "mocap.training", "mocap.evaluation"},
    {"mocap.calibrate"},
    {"mocap.web"},
    {"mocap.cli"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

TORCH_LAYERS = {"mocap.geometry", "mocap.models", "mocap.training", "mocap.stages", "mocap.synthetic"}
"""Synthetic bodies move by the forward kinematics of geometry, so they call torch as stages do."""

CALIBRATION_MAY_USE = {"cv2", "jaxtyping", "numpy", "scipy", "tomlkit"}

IMPORT_NAMES = {
    "opencv-contrib-python": {"cv2"},
    "mocap-pipeline": set(),
    "pyright": set(),
    "pre-commit": set(),
    "pytest-xdist": set(),
}
"""Where a distribution's import name is not its own name."""

LAYERS_OF_EXTRAS = {"mocap.web": "web"}
"""Packages that are of use only to those who have an extra: what it brings is imported at the top of their modules."""

NEVER_FOR_HELP = {"torch", "openvino", "av", "cv2", "scipy", "h5py", "numpy", "trimesh", "starlette", "uvicorn"}


def layer_of(module: str) -> str | None:
    """`mocap.io.bvh` → `mocap.io`; None for what has no layer: the bare package, and packages that LAYERS lacks."""
    parts = module.split(".")
    if parts[0] == "calibration":
        return "calibration"
    if parts[0] != "mocap" or len(parts) == 1:
        return None
    package = f"mocap.{parts[1]}"
    if package in RANK or len(parts) > 2:
        return package if package in RANK else None
    return "mocap.pipeline"


def ours(module: str) -> bool:
    return module.split(".")[0] in ("calibration", "mocap")


def breaks_order(source: str, target: str) -> bool:
    """Whether `source` must not import `target`."""
    a, b = layer_of(source), layer_of(target)
    if a is None:
        return True
    if b is None:
        return False
    if a == b:
        return a == "mocap.stages" and target not in ("mocap.stages", source)
    return RANK[b] >= RANK[a]


def third_party() -> list:
    return [i for i in imports() if not ours(i.module) and i.module.split(".")[0] not in sys.stdlib_module_names]


def test_every_module_has_a_layer():
    strays = [file.module for file in modules() if file.module != "mocap" and layer_of(file.module) is None]
    assert not strays, "say in LAYERS where these belong"


def test_imports_point_one_way():
    wrong = [f"{i.place}: {i.module}" for i in imports() if ours(i.module) and breaks_order(i.source, i.module)]
    assert not wrong


@pytest.mark.parametrize(
    ("source", "target", "wrong"),
    [
        ("mocap.core.motion", "calibration.errors", False),
        ("calibration.camera", "mocap.core.errors", True),
        ("mocap.geometry.rotations", "mocap.signal.filters", True),
        ("mocap.io.video", "mocap.models.detector", True),
        ("mocap.stages.solve", "mocap.stages.detect", True),
        ("mocap.stages.solve", "mocap.geometry.rotations", False),
        ("mocap.pipeline", "mocap.stages.solve", False),
        ("mocap.pipeline", "mocap.jobs", False),
        ("mocap.stages.export", "mocap.pipeline", True),
        ("mocap.training.loop", "mocap.batch", True),
        ("mocap.cli.process", "mocap.batch", False),
        ("mocap.batch", "mocap.cli.console", True),
        ("mocap", "mocap.core.errors", True),
    ],
)
def test_the_rule_itself(source, target, wrong):
    assert breaks_order(source, target) is wrong


def test_packages_have_no_import_cycles():
    graph: dict[str, set[str]] = {file.module: set() for file in modules()}
    for item in imports():
        if not item.deferred and item.module in graph and item.module != item.source:
            graph[item.source].add(item.module)
    finished: set[str] = set()
    for start in graph:
        walk(start, graph, (), finished)


def walk(module: str, graph: dict[str, set[str]], trail: tuple[str, ...], finished: set[str]) -> None:
    assert module not in trail, " → ".join([*trail[trail.index(module) :], module])
    if module in finished:
        return
    for target in sorted(graph[module]):
        walk(target, graph, (*trail, module), finished)
    finished.add(module)


def test_torch_lives_only_where_it_may():
    wrong = [i.place for i in imports() if i.module.split(".")[0] == "torch" and layer_of(i.source) not in TORCH_LAYERS]
    assert not wrong


def test_calibration_needs_little():
    used = {i.module.split(".")[0]: i.place for i in third_party() if layer_of(i.source) == "calibration"}
    assert set(used) <= CALIBRATION_MAY_USE, used


def requirements(extra: str | None = None) -> set[str]:
    """Import names of the core's requirements, or of those of an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    names = [line.split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip() for line in lines]
    return {module for name in names for module in IMPORT_NAMES.get(name, {name.replace("-", "_")})}


def test_modules_load_with_the_core_packages_alone():
    allowed = {layer: requirements() | requirements(extra) for layer, extra in LAYERS_OF_EXTRAS.items()}
    wrong = [
        f"{i.place}: {i.module}"
        for i in third_party()
        if not i.deferred and i.module.split(".")[0] not in allowed.get(layer_of(i.source) or "", requirements())
    ]
    assert not wrong, "what only some users need is an extra, imported where it is used"


def test_nothing_needs_a_layer_that_is_an_extra():
    wrong = [
        f"{i.place}: {i.module}"
        for i in imports()
        if not i.deferred and layer_of(i.module) in LAYERS_OF_EXTRAS and layer_of(i.source) != layer_of(i.module)
    ]
    assert not wrong


def test_every_package_that_is_used_is_declared():
    declared = requirements().union(*(requirements(extra) for extra in ("synth", "smpl", "plots", "web")))
    wrong = [f"{i.place}: {i.module}" for i in third_party() if i.module.split(".")[0] not in declared]
    assert not wrong


def test_nothing_imports_the_tools():
    tools = {path.stem for path in (ROOT / "tools").iterdir()} | {"tools"}
    wrong = [i.place for i in imports() if not ours(i.module) and i.module.split(".")[0] in tools]
    assert not wrong


HELP_OF_EVERY_COMMAND = """
import sys
import typer.main
from mocap.cli.main import app

def paths(command, path):
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from paths(below, [*path, name])

for path in paths(typer.main.get_command(app), []):
    try:
        app([*path, "--help"])
    except SystemExit as end:
        print("LOADED", end.code, " ".join(path), sorted(NEVER & set(sys.modules)))
"""


def test_help_loads_nothing_heavy():
    """Of every command, one after the other in one process, where each would only add to what is loaded."""
    script = f"NEVER = {NEVER_FOR_HELP!r}\n{HELP_OF_EVERY_COMMAND}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    told = [line.split() for line in done.stdout.splitlines() if line.startswith("LOADED")]
    assert done.returncode == 0, done.stderr
    assert not [words for words in told if words[1] != "0" or words[-1] != "[]"], told
    commands = {" ".join(words[2:-1]) for words in told}
    assert commands >= {"", "process", "batch", "export", "train", "synth", "models convert", "evaluate take"}
    assert commands >= {"evaluate-dataset", "evaluate-dataset human36m", "evaluate-dataset cmu_panoptic"}
