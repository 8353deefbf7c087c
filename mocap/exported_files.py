"""The files of an export as a stage result: a manifest that knows when one was deleted or changed."""

from __future__ import annotations

import json
from pathlib import Path

from mocap.io.artefacts import write_text_atomic
from mocap.provenance import file_digest
from mocap.stage_cache import Codec


def exported_files(folder: Path) -> Codec[list[str]]:
    """Names of files in `folder`; the manifest holds their digests."""

    def save(names: list[str], path: Path, key: str) -> None:
        files = {name: file_digest(folder / name) for name in names}
        write_text_atomic(path, json.dumps({"key": key, "files": files}, indent=1))

    def load(path: Path) -> list[str]:
        return list(json.loads(path.read_text(encoding="utf-8"))["files"])

    def key_of(path: Path) -> str | None:
        """None where a file is gone or is not what was written, so that the export runs again."""
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            intact = all(file_digest(folder / name) == digest for name, digest in manifest["files"].items())
        except (OSError, ValueError, KeyError):
            return None
        return manifest["key"] if intact else None

    return Codec(save, load, key_of)
