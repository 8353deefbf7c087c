"""Where a result comes from, as hashes: input files, configuration and the source code that made it."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calibration.camera import Rig
from mocap.core.config import Config
from mocap.io.artefacts import write_text_atomic

PACKAGES = ("mocap", "calibration")
ROOT = Path(__file__).resolve().parent.parent
IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\s+(\([^)]*\)|[^\n#]+)|import\s+([\w.]+))", re.MULTILINE)
BLOCK_BYTES = 1 << 22


def combine(*parts: str) -> str:
    """One key from several."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def config_key(config: Config) -> str:
    """Hash of every value, defaults included, and of the content of the files that it names (networks)."""
    named = [file_digest(path) for path in _paths_in(config.model_dump()) if path.exists()]
    return combine(json.dumps(config.model_dump(mode="json"), sort_keys=True), *named)


def _paths_in(value: Any) -> Iterator[Path]:
    """Every path in a nest of values, in order."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from _paths_in(value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _paths_in(item)


def rig_key(rig: Rig) -> str:
    """Hash of names, sizes, lenses and poses."""
    digest = hashlib.sha256()
    for camera in rig:
        lens = camera.intrinsics
        digest.update(f"{camera.name}|{lens.image_size}|{lens.lens.value}|".encode())
        for array in (lens.K, lens.distortion, camera.cam_from_world.R, camera.cam_from_world.t):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def files_key(files: Mapping[str, Path], memory: Path | None = None) -> str:
    """Hash of the names and contents of files.

    `memory` is a JSON file that remembers content hashes by the sizes and modification times of the files, so that
    long videos are read once and not at every run.
    """
    known = _remembered(memory)
    fresh = {name: _remember(path, known) for name, path in files.items()}
    if (
        memory is not None
        and fresh
        and {str(p): e for p, e in zip(files.values(), fresh.values(), strict=True)} != known
    ):
        write_text_atomic(memory, json.dumps({str(files[n]): e for n, e in fresh.items()}, indent=1))
    return combine(*(f"{name}={entry['blake2b']}" for name, entry in fresh.items()))


def _remembered(memory: Path | None) -> dict[str, dict[str, str | int]]:
    try:
        return json.loads(memory.read_text(encoding="utf-8")) if memory is not None else {}
    except (OSError, ValueError):
        return {}


def _remember(path: Path, known: Mapping[str, dict[str, str | int]]) -> dict[str, str | int]:
    files = files_of(path)
    states = [(file.relative_to(path).as_posix(), file.stat()) for file in files]
    listing = "\n".join(f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states)
    entry = known.get(str(path), {})
    if entry.get("files") == (digest := combine(listing)) and "blake2b" in entry:
        return entry
    return {"files": digest, "blake2b": file_digest(path)}


def files_of(path: Path) -> list[Path]:
    """The file itself, or all files below a folder, in order."""
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def file_digest(path: Path) -> str:
    """BLAKE2b of a file's content, or of the names and contents below a folder."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files_of(path):
        digest.update((file.name if file == path else file.relative_to(path).as_posix()).encode())
        with file.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


@functools.cache
def source_key(module: str) -> str:
    """Hash of a module's source and of all modules of this project that it imports, directly or not."""
    digest = hashlib.sha256()
    for file in sorted(_reachable(module)):
        digest.update(str(file.relative_to(ROOT)).encode())
        digest.update(file.read_bytes())
    for table in sorted((ROOT / "mocap" / "core" / "definitions").glob("*.toml")):
        digest.update(table.read_bytes())
    return digest.hexdigest()[:32]


def _reachable(module: str) -> set[Path]:
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = _source_file(name)
        if file is None or file in found:
            continue
        found.add(file)
        parts = name.split(".")
        waiting += [".".join(parts[:n]) for n in range(1, len(parts))]
        waiting += _imported(file.read_text(encoding="utf-8"))
    return found


def _imported(source: str) -> Iterable[str]:
    for origin, names, plain in IMPORT.findall(source):
        module = origin or plain
        if module.split(".")[0] not in PACKAGES:
            continue
        yield module
        for name in re.findall(r"\w+", names):
            yield f"{module}.{name}"


def _source_file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None
