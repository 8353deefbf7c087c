"""Rules that hold for every file of the project."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest
from source_tree import ROOT, SourceFile, modules, tracked_files

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 40
MAX_PARAMETERS = 6

MORE_PARAMETERS = {
    "mocap.models.onnx_pose.__init__": "one for each thing that an ONNX file does not say about itself",
    "mocap.io.people2d.people_from_arrays": "the columns of one table",
    "mocap.calibrate.detect_boards.detect_in_clips": "what is known of clips, and how to go through them",
}
"""Functions over the budget, and why. The options of commands are not counted: they are the user's."""

PLACES = ("/work" + "/", "/ro" + "ot/", "/ho" + "me/", "/Us" + "ers/", "C:" + "\\Users")
HOSTS = (
    "py" + "pi.org",
    "pythonhosted" + ".org",
    "download." + "pytorch.org",
    "npm" + "js.org",
    "download." + "blender.org",
)
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def texts() -> list[tuple[str, str]]:
    """Tracked text files by name."""
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            found.append((path.relative_to(ROOT).as_posix(), content.decode("utf-8", errors="replace")))
    return found


@pytest.mark.parametrize("words", [PLACES, HOSTS], ids=["machine paths", "package hosts"])
def test_no_file_names_a_place_that_only_one_machine_has(words):
    pattern = re.compile("|".join(re.escape(word) for word in words), re.IGNORECASE)
    wrong = [f"{name}: {match[0]}" for name, text in texts() for match in [pattern.search(text)] if match]
    assert not wrong


def test_sources_are_utf8_with_plain_line_ends():
    for path in tracked_files():
        if path.suffix in (".py", ".toml", ".md", ".yaml", ".yml"):
            content = path.read_bytes()
            content.decode("utf-8")
            assert b"\r" not in content, path


@cache
def every_call(file: SourceFile) -> tuple[tuple[ast.Call, str], ...]:
    """Calls with what they call, as it is written; without what is no name (`f(x).load` is `.load`)."""
    return tuple((node, dotted(node.func)) for node in ast.walk(file.tree) if isinstance(node, ast.Call))


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(file: SourceFile, name: str) -> list[ast.Call]:
    return [call for call, written in every_call(file) if written.endswith(name)]


def test_nothing_that_is_read_can_run_code():
    for file in modules():
        for call in calls(file, "torch.load"):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert given.get("weights_only") == "True", f"{file.path}:{call.lineno}: torch.load without weights_only"
        for call in [*calls(file, "np.load"), *calls(file, "numpy.load")]:
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert given.get("allow_pickle", "False") == "False", f"{file.path}:{call.lineno}: pickles allowed"
        for node in ast.walk(file.tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            unsafe = {name.split(".")[0] for name in names} & UNSAFE_MODULES
            assert not unsafe, f"{file.path}:{getattr(node, 'lineno', 0)}: {unsafe}"
        for name in ("eval", "exec"):
            assert not [written for _, written in every_call(file) if written == name], f"{file.path}: {name}"


def test_only_commands_print_and_exit():
    for file in modules():
        if file.module.startswith("mocap.cli"):
            continue
        for name in ("print", "sys.exit", "exit", "quit"):
            found = [call.lineno for call, written in every_call(file) if written == name]
            assert not found, f"{file.path}:{found[0]}: {name}"


def functions() -> list[tuple[SourceFile, ast.FunctionDef]]:
    return [(file, node) for file in modules() for node in ast.walk(file.tree) if isinstance(node, ast.FunctionDef)]


def test_modules_are_short():
    lengths = {file.module: len(file.path.read_text(encoding="utf-8").splitlines()) for file in modules()}
    assert not {module: n for module, n in lengths.items() if n > MAX_MODULE_LINES}


def test_functions_are_short():
    over = {}
    for file, node in functions():
        body = node.body[1:] if ast.get_docstring(node) else node.body
        lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
        if lines > MAX_FUNCTION_LINES:
            over[f"{file.module}.{node.name}"] = lines
    assert not over


def test_functions_take_few_parameters():
    over = {}
    for file, node in functions():
        if file.module.startswith("mocap.cli"):
            continue
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([a for a in every if a.arg not in ("self", "cls")])
        if count > MAX_PARAMETERS and f"{file.module}.{node.name}" not in MORE_PARAMETERS:
            over[f"{file.module}.{node.name}"] = count
    assert not over


def test_no_module_is_a_drawer_for_everything():
    vague = re.compile(r"(^|_)(utils?|helpers?|common|misc|manager|stuff)(_|$)")
    assert not [file.module for file in modules() if vague.search(file.module.rpartition(".")[2])]


def test_hooks_use_the_pinned_linters():
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    for tool in ("ruff", "pyright"):
        (pin,) = [line for line in pins if line.startswith(f"{tool}==")]
        versions = set(re.findall(rf"{tool}(?:\[nodejs\])?(==[\d.]+)", hooks))
        assert versions == {pin.removeprefix(tool)}
