"""The figures of a run: metrics.csv and validation.csv, and the same for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mocap.io.artefacts import write_text_atomic
from mocap.training.event_file import EventFile


class Table:
    """A CSV file that grows by a row a step; the first row decides the columns.

    Rows after `last_step`, from before the run was broken off, and a row that was not finished are taken away.
    """

    def __init__(self, path: Path, last_step: int) -> None:
        self._path = path
        self._columns: list[str] | None = None
        if path.is_file():
            header, *rows = path.read_text(encoding="utf-8").splitlines() or [""]
            kept = [row for row in rows if _is_whole(row, header) and int(row.split(",")[0]) <= last_step]
            write_text_atomic(path, "".join(f"{line}\n" for line in [header, *kept]) if kept else "")
            self._columns = header.split(",") if kept else None

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """A row; numbers with the nine digits that tell every float32."""
        columns = ["step", *values]
        with self._path.open("a", encoding="utf-8", newline="\n") as stream:
            if self._columns is None:
                stream.write(",".join(columns) + "\n")
                self._columns = columns
            if columns != self._columns:
                raise ValueError(f"figures of step {step} are {columns[1:]}, those before were {self._columns[1:]}")
            stream.write(",".join([str(step), *(f"{value:.9g}" for value in values.values())]) + "\n")


class MetricsLog:
    """Both tables and the event file of a run that goes on after `last_step`."""

    def __init__(self, folder: Path, last_step: int) -> None:
        self._training = Table(folder / "metrics.csv", last_step)
        self._validation = Table(folder / "validation.csv", last_step)
        self._events = EventFile(folder, last_step + 1)

    def training(self, step: int, values: Mapping[str, float]) -> None:
        """Means over the steps since the row before."""
        self._training.add(step, values)
        self._events.add(step, {f"training/{name}": value for name, value in values.items()})

    def validation(self, step: int, values: Mapping[str, float]) -> None:
        """What a validation found."""
        self._validation.add(step, values)
        self._events.add(step, {f"validation/{name}": value for name, value in values.items()})

    def close(self) -> None:
        """Finish the event file."""
        self._events.close()


def _is_whole(row: str, header: str) -> bool:
    return row.count(",") == header.count(",") and row.split(",")[0].isdigit()
