"""A virtual environment that knows what it was made from, so that making it again costs nothing.

`bootstrap.json` inside the environment is written last and records everything that decides its content. While the
environment is being made or changed, `bootstrap.unfinished` stands in its place: what an interruption leaves behind is
recognised and made anew.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

STAMP = "bootstrap.json"
UNFINISHED = "bootstrap.unfinished"


class SetUpError(Exception):
    """Something the user has to mend; the text says what and how."""


@dataclass(frozen=True)
class Stamp:
    """What an environment was made from. `requirements` is a hash of the files that name packages and versions."""

    python: str
    place: str
    torch: str
    requirements: str
    extras: tuple[str, ...] = ()

    def covers(self, wanted: Stamp) -> bool:
        """Whether an environment with this stamp serves for `wanted` as it is."""
        return (
            self.same_base(wanted) and self.requirements == wanted.requirements and set(wanted.extras) <= {*self.extras}
        )

    def same_base(self, wanted: Stamp) -> bool:
        """Whether packages may be added in place; otherwise the environment is made anew."""
        return (self.python, self.place, self.torch) == (wanted.python, wanted.place, wanted.torch)


@dataclass(frozen=True)
class Environment:
    """A folder with a virtual environment in it, or where one shall be."""

    folder: Path
    base_python: str = field(default_factory=lambda: getattr(sys, "_base_executable", None) or sys.executable)

    @property
    def scripts(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        return self.scripts / ("python.exe" if os.name == "nt" else "python")

    def script(self, name: str) -> Path:
        """A console script of the environment."""
        return self.scripts / (f"{name}.exe" if os.name == "nt" else name)

    def has(self, pin: str) -> bool:
        """Whether `package==version` is installed, in whatever build."""
        package, _, version = pin.partition("==")
        places = ("Lib/site-packages", "lib/python3*/site-packages")
        names = (f"{package}-{version}.dist-info", f"{package}-{version}+*.dist-info")
        return any(True for place in places for name in names for _ in self.folder.glob(f"{place}/{name}"))

    def stamp(self) -> Stamp | None:
        """What the environment was made from; None when it is unfinished, foreign or its Python is gone."""
        if (self.folder / UNFINISHED).exists() or not self.python.exists():
            return None
        try:
            table = json.loads((self.folder / STAMP).read_text(encoding="utf-8"))
            return Stamp(**{**table, "extras": tuple(table["extras"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @contextmanager
    def being_changed(self, becomes: Stamp) -> Iterator[None]:
        """Mark the environment as unfinished until the block ends well."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / UNFINISHED).write_text("", encoding="utf-8")
        yield
        (self.folder / STAMP).write_text(json.dumps(asdict(becomes), indent=1), encoding="utf-8")
        (self.folder / UNFINISHED).unlink()

    def is_foreign(self) -> bool:
        """Something is there that this script did not make."""
        known = any((self.folder / name).exists() for name in (STAMP, UNFINISHED))
        return not known and self.folder.exists() and any(self.folder.iterdir())

    def works(self) -> bool:
        """Whether its Python starts, is of this version, and has pip."""
        probe = "import sys, pip; print(*sys.version_info[:2])"
        try:
            found = subprocess.run([self.python, "-c", probe], capture_output=True, text=True, check=False)
        except OSError:
            return False
        return found.stdout.split() == [str(part) for part in sys.version_info[:2]]

    def remove(self) -> None:
        """Take the folder away: renamed first, so that nothing half-deleted is ever taken for an environment."""
        if self.folder.exists() and self.is_foreign() and not (self.folder / "pyvenv.cfg").exists():
            raise SetUpError(
                f"{self.folder} is in the way and is no virtual environment. Move it away and run this again."
            )
        for old in self.folder.parent.glob(f"{self.folder.name}-old-*"):
            shutil.rmtree(old, ignore_errors=True)
        if not self.folder.exists():
            return
        retired = self.folder.with_name(f"{self.folder.name}-old-{os.getpid()}")
        try:
            self.folder.rename(retired)
        except OSError as error:
            raise SetUpError(
                f"{self.folder} cannot be replaced ({error.strerror}). Close programs that use it and run this again."
            ) from None
        shutil.rmtree(retired, ignore_errors=True)

    def create(self) -> None:
        """An empty environment with pip."""
        require_venv()
        made = subprocess.run(
            [self.base_python, "-m", "venv", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
            env=clean_env(),
        )
        if made.returncode:
            raise SetUpError(f"Python could not make a virtual environment:\n{_last_lines(made.stdout + made.stderr)}")


def require_venv() -> None:
    """Debian and Ubuntu ship Python without the module that puts pip into new environments."""
    if all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        return
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise SetUpError(
        f"This Python ({sys.executable}) has no `ensurepip`, which new environments need. On Debian and Ubuntu:\n"
        f"  sudo apt install python{version}-venv\n"
        "and run this again. Elsewhere, use the Python from python.org."
    )


def clean_env() -> dict[str, str]:
    """The environment variables without those that lead Python or pip to another installation."""
    misleading = {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"}
    kept = {key: value for key, value in os.environ.items() if key not in misleading}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}


def wanted_stamp(root: Path, *, extras: Iterable[str], torch: str, files: Iterable[str]) -> Stamp:
    """The stamp of an environment made now, by this Python, from these files of the project."""
    digest = hashlib.sha256()
    for name in files:
        digest.update((root / name).read_bytes() if (root / name).is_file() else name.encode())
    version = (
        f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor} {platform.machine()}"
    )
    return Stamp(version, str(root), torch, digest.hexdigest(), tuple(sorted(extras)))


def _last_lines(text: str, count: int = 15) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-count:])
