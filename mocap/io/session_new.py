"""A new session's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mocap.core.errors import InputError
from mocap.core.session import Session, SessionCamera
from mocap.io.session_files import open_session, write_session


def make_session(
    root: Path, cameras: Sequence[SessionCamera], board: Mapping[str, Any] | None = None, *, notes: str = ""
) -> Session:
    """Make the folder with session.toml, calibration/ and takes/. Never replaces a session.toml."""
    if (root / "session.toml").exists():
        raise InputError(
            "is a session already", where=root, remedy="Take another name, or edit its session.toml by hand."
        )
    if root.exists() and not root.is_dir():
        raise InputError("is a file", where=root, remedy="Take another name.")
    session = Session(root=root, cameras=tuple(cameras), board=dict(board or {}), notes=notes)
    write_session(session)
    for folder in ("calibration", "takes"):
        (root / folder).mkdir(exist_ok=True)
    return open_session(root)
