"""Observations of a board in a file: found once, solved often."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from calibration.errors import CalibrationError
from calibration.observations import BoardObservations

VERSION = 1
FORMAT = "board observations"
TABLES = tuple(f.name for f in fields(BoardObservations) if f.name not in ("cameras", "image_sizes"))


def write_observations(path: str | Path, observations: BoardObservations) -> None:
    """A compressed .npz with the tables under their own names; the file is there whole or not at all."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as stream:
        np.savez_compressed(
            stream,
            format=np.array(FORMAT),
            version=np.array(VERSION),
            cameras=np.array(observations.cameras, dtype=np.str_),
            image_sizes=np.array(observations.image_sizes, dtype=np.int64).reshape(-1, 2),
            **{name: getattr(observations, name) for name in TABLES},
        )
    part.replace(path)


def read_observations(path: str | Path) -> BoardObservations:
    """What `write_observations` wrote, exactly."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            tables = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise CalibrationError("no such file", where=path, remedy="Detect the board first.") from None
    except (OSError, ValueError, EOFError) as error:
        raise CalibrationError(f"not a file of observations ({error})", where=path) from None
    _check(tables, path)
    return BoardObservations(
        cameras=tuple(str(name) for name in tables["cameras"]),
        image_sizes=tuple((int(w), int(h)) for w, h in tables["image_sizes"]),
        **{name: tables[name] for name in TABLES},
    )


def _check(tables: dict[str, np.ndarray], path: Path) -> None:
    missing = [name for name in ("format", "version", "cameras", "image_sizes", *TABLES) if name not in tables]
    if missing or str(tables["format"]) != FORMAT:
        what = f"it lacks {', '.join(missing)}" if missing else f"it says it is {tables['format']}"
        raise CalibrationError(f"not a file of board observations: {what}", where=path)
    if int(tables["version"]) != VERSION:
        raise CalibrationError(
            f"written in version {int(tables['version'])} of the format, this program reads {VERSION}",
            where=path,
            remedy="Detect the board again.",
        )
