"""Files of a session that the page may show: nothing outside of it, nothing hidden, only kinds that are results."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".mp4": "video/mp4",
    ".mkv": "video/x-matroska",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".bvh": "text/plain; charset=utf-8",
    ".fbx": "application/octet-stream",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".usda": "text/plain; charset=utf-8",
    ".usdc": "application/octet-stream",
    ".usdz": "model/vnd.usdz+zip",
    ".trc": "text/plain; charset=utf-8",
    ".c3d": "application/octet-stream",
    ".toml": "text/plain; charset=utf-8",
}
"""Content types by suffix; other files are not served."""

SHOWN = (".html", ".mp4", ".mkv", ".json")
"""What a browser opens; the rest is saved."""

FOLDERS = ("calibration", "takes")


def file_in_session(root: Path, asked: str) -> Path | None:
    """The file of that relative path, None for everything that must not be served, whether it exists or not.

    Symbolic links are followed before the place is judged.
    """
    if "\0" in asked or "\\" in asked or unquote(asked) != asked:
        return None
    parts = asked.split("/")
    if parts[0] not in FOLDERS or any(not part or part.startswith(".") or ":" in part for part in parts):
        return None
    try:
        base, path = root.resolve(strict=True), root.joinpath(*parts).resolve(strict=True)
        inside = path.is_relative_to(base) and path.is_file()
    except (OSError, ValueError, RuntimeError):
        return None
    return path if inside and path.suffix.lower() in TYPES and Path(asked).suffix.lower() in TYPES else None
