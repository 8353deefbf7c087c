"""The project's source as syntax trees, for tests about its shape."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLENDER_SCRIPT = ROOT / "mocap" / "io" / "blender" / "build_scene.py"
PACKAGES = ("calibration", "mocap")


@dataclass(frozen=True)
class Import:
    """`module` is imported by `source`; `deferred` when inside a function or only for type checkers."""

    source: str
    module: str
    deferred: bool
    place: str


@dataclass(frozen=True)
class SourceFile:
    """A module and where it lies."""

    module: str
    path: Path
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.module if self.path.name == "__init__.py" else self.module.rpartition(".")[0]


@cache
def modules() -> tuple[SourceFile, ...]:
    """Every module of both packages, but for what is written out for Blender and runs there alone."""
    found = []
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    for path in sorted(path for path in paths if path != BLENDER_SCRIPT):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found.append(SourceFile(name, path, ast.parse(path.read_text(encoding="utf-8"))))
    return tuple(found)


@cache
def imports() -> tuple[Import, ...]:
    """Every import of every module, `from a import b` as `a.b` where that is a module of ours, else as `a`."""
    known = {file.module for file in modules()}
    found = []
    for file in modules():
        deferred = {id(inner) for node in ast.walk(file.tree) if _defers(node) for inner in ast.walk(node)}
        for node in ast.walk(file.tree):
            for target in _targets(node, file, known):
                place = f"{file.path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
                found.append(Import(file.module, target, id(node) in deferred, place))
    return tuple(found)


def _defers(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


def _targets(node: ast.AST, file: SourceFile, known: set[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        above = file.package.split(".")[: len(file.package.split(".")) - node.level + 1]
        base = ".".join([*above, base] if base else above)
    return [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]


@cache
def tracked_files() -> tuple[Path, ...]:
    """What version control knows, or every file where there is none (an unpacked archive)."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return tuple(ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())
    hidden = (".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache")
    return tuple(p for p in ROOT.rglob("*") if p.is_file() and not any(part.startswith(hidden) for part in p.parts))
