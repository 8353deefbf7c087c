"""What works on this machine: one function per question, each answered without importing what may be broken.

Packages that can fail to load (missing system libraries, wrong processors) are imported in processes of their own.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["ok", "missing", "broken", "later", "optional"]
"""`missing` and `broken` stop the pipeline; `later` comes by itself when it is needed; `optional` is only for some."""

PROJECT = "mocap-pipeline"
SOURCE_ROOT = Path(__file__).resolve().parents[2]
PROBE_TIMEOUT_S = 120
NEEDED_CODECS = ("h264", "hevc", "vp9")
MINIMUM_FREE_GB = 2
REINSTALL = "Run `python tools/bootstrap.py env` in the project's folder."
DEBIAN_LIBRARIES = {
    "libGL": "libgl1",
    "libgthread": "libglib2.0-0",
    "libglib": "libglib2.0-0",
    "libusb": "libusb-1.0-0",
}

PROBES = {
    "torch": "import torch; show(torch.__version__, cuda=torch.version.cuda, gpu=torch.cuda.is_available())",
    "openvino": "import openvino as ov; show(ov.__version__, devices=list(ov.Core().available_devices))",
    "av": (
        "import av; known = av.codec.codecs_available; "
        f"show(av.__version__, codecs=[c for c in {NEEDED_CODECS + ('av1',)!r} if c in known])"
    ),
    "cv2": "import cv2; show(cv2.__version__, aruco=hasattr(cv2, 'aruco'))",
    "scipy": "import scipy.linalg, scipy.signal, scipy.spatial; show(scipy.__version__)",
    "h5py": "import h5py; show(h5py.__version__, hdf5=h5py.version.hdf5_version)",
    "open3d": "import open3d; show(open3d.__version__)",
}
SHOW = "import json\ndef show(version, **more): print('\\nPROBE' + json.dumps({'version': str(version), **more}))\n"


@dataclass(frozen=True)
class Check:
    """The answer to one question. `remedy` is what to do, empty where nothing is to be done."""

    name: str
    state: State
    detail: str
    remedy: str = ""

    @property
    def stops(self) -> bool:
        """Whether takes cannot be processed because of it."""
        return self.state in ("missing", "broken")


@dataclass(frozen=True)
class Probe:
    """What a package said when it was imported elsewhere; `error` is the last line when it could not be."""

    found: dict[str, object]
    error: str = ""


def all_checks() -> list[Check]:
    """Every check, in the order of what depends on what. None of them raises."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        names = [name for name in PROBES if name != "open3d" or _version("open3d") is not None]
        probes = dict(zip(names, pool.map(probe, names), strict=True))
    questions: list[Callable[[], Iterable[Check]]] = [
        python,
        packages,
        opencv_wheels,
        lambda: imports(probes),
        models,
        cache,
        disk,
        lambda: extras(probes),
        programs,
    ]
    return [check for question in questions for check in _guarded(question)]


def _guarded(question: Callable[[], Iterable[Check]]) -> list[Check]:
    try:
        return list(question())
    except Exception as error:
        name = getattr(question, "__name__", "check").replace("<lambda>", "imports")
        return [Check(name, "broken", f"{type(error).__name__}: {error}", REINSTALL)]


def python() -> Iterable[Check]:
    """Version, word size and where it lives."""
    version = ".".join(map(str, sys.version_info[:3]))
    bits = 64 if sys.maxsize > 2**32 else 32
    good = sys.version_info >= (3, 11) and bits == 64
    remedy = "" if good else "Python 3.11 or newer, 64 bit, is needed."
    yield Check("Python", "ok" if good else "broken", f"{version}, {bits} bit, {sys.prefix}", remedy)


def packages() -> Iterable[Check]:
    """What the core requires, by installed metadata: one line for all that is well, one for each that is not."""
    good = []
    for name, minimum in required_packages():
        version = _version(name)
        if version is None:
            yield Check(name, "missing", "not installed", REINSTALL)
        elif _numbers(version) < _numbers(minimum):
            yield Check(name, "broken", f"{version} is older than {minimum}", REINSTALL)
        else:
            good.append(f"{name} {version}")
    yield Check("packages", "ok", ", ".join(good))


def required_packages() -> list[tuple[str, str]]:
    """Name and minimum version, from the project's own metadata; extras left out."""
    lines = [line for line in importlib.metadata.requires(PROJECT) or [] if "extra ==" not in line]
    parsed = [re.match(r"([\w.-]+)(?:\[[^]]*\])?\s*(?:>=\s*([\w.]+))?", line) for line in lines]
    return [(found[1], found[2] or "0") for found in parsed if found]


def opencv_wheels() -> Iterable[Check]:
    """Several OpenCV wheels overwrite each other's files: which one is imported is then chance."""
    names = {(d.metadata["Name"] or "").lower().replace("_", "-") for d in importlib.metadata.distributions()}
    wheels = sorted(name for name in names if re.fullmatch(r"opencv-(contrib-)?python(-headless)?", name))
    if len(wheels) > 1:
        remedy = f"pip uninstall -y {' '.join(wheels)}, then: pip install opencv-contrib-python"
        yield Check("OpenCV wheels", "broken", f"{' and '.join(wheels)} are installed together", remedy)
    elif wheels == ["opencv-contrib-python"]:
        yield Check("OpenCV wheels", "ok", "one: opencv-contrib-python")
    else:
        found = wheels[0] if wheels else "none"
        yield Check("OpenCV wheels", "broken", f"{found} instead of opencv-contrib-python", REINSTALL)


def imports(probes: dict[str, Probe]) -> Iterable[Check]:
    """Whether the compiled packages load, and what they can do."""
    for name, probed in probes.items():
        if name == "open3d":
            continue
        if probed.error:
            yield Check(f"import {name}", "broken", probed.error, remedy_for(probed.error))
        else:
            yield _told(name, probed.found)


def _told(name: str, found: dict[str, object]) -> Check:
    if name == "torch":
        build = f"CUDA {found['cuda']} build" if found["cuda"] else "CPU build"
        gpu = ", a GPU is usable" if found["gpu"] else ""
        return Check("torch", "ok", f"{found['version']}, {build}{gpu}")
    if name == "openvino":
        devices = found["devices"]
        good = isinstance(devices, list) and "CPU" in devices
        return Check("OpenVINO devices", "ok" if good else "broken", ", ".join(map(str, devices or ["none"])))  # type: ignore[arg-type]
    if name == "av":
        codecs = found["codecs"] if isinstance(found["codecs"], list) else []
        lacking = [codec for codec in NEEDED_CODECS if codec not in codecs]
        detail = f"{', '.join(codecs)}" + (f"; without {', '.join(lacking)}" if lacking else "")
        return Check("video decoders", "broken" if lacking else "ok", detail, REINSTALL if lacking else "")
    if name == "cv2" and not found["aruco"]:
        return Check("import cv2", "broken", "OpenCV without its ChArUco module", REINSTALL)
    return Check(f"import {name}", "ok", str(found["version"]))


def remedy_for(error: str) -> str:
    """What to do about an import error."""
    for library, package in DEBIAN_LIBRARIES.items():
        if library in error:
            return f"A library of the system is missing. On Debian and Ubuntu: sudo apt install {package}"
    if "DLL load failed" in error:
        return "Install the Microsoft Visual C++ Redistributable (x64)."
    return REINSTALL


def models() -> Iterable[Check]:
    """Network files in the cache, and whether they are what they should be."""
    from mocap.models.weights import SOURCES, is_fetched, models_folder

    for source in SOURCES.values():
        folder = models_folder() / source.name
        if is_fetched(source):
            yield Check(f"model {source.name}", "ok", f"{folder} (checked)")
        elif any((folder / file.name).is_file() for file in source.files):
            detail = f"{folder} holds other files than it should; the first `mocap process` replaces them"
            yield Check(f"model {source.name}", "later", detail, f"mocap models fetch {source.name}")
        else:
            detail = f"not fetched yet; the first `mocap process` does it ({source.wheel_bytes / 1e6:.0f} MB)"
            yield Check(f"model {source.name}", "later", detail, f"mocap models fetch {source.name}")


def cache() -> Iterable[Check]:
    """Whether the folder of the models can be written, without making it."""
    from mocap.models.weights import models_folder

    folder = models_folder()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        remedy = "Name another folder in the environment variable MOCAP_MODELS_DIR."
        yield Check("cache folder", "broken", f"{folder}: {error.strerror}", remedy)
        return
    yield Check("cache folder", "ok", str(folder))


def disk() -> Iterable[Check]:
    """Free space where results go by default."""
    here = Path.cwd()
    free = shutil.disk_usage(here).free / 1e9
    if free < MINIMUM_FREE_GB:
        yield Check(
            "disk space", "broken", f"{free:.1f} GB free at {here}", "Free some space, or work on another disk."
        )
    else:
        yield Check("disk space", "ok", f"{free:.0f} GB free at {here}")


def extras(probes: dict[str, Probe]) -> Iterable[Check]:
    """What only some users need."""
    install = "python tools/bootstrap.py env --extra {}"
    open3d = probes.get("open3d")
    if open3d is None or _version("anny") is None:
        remedy = f"{install.format('synth')}; on Debian also: sudo apt install libusb-1.0-0"
        yield Check("extra synth", "optional", "not installed: rendering synthetic sessions", remedy)
    elif open3d.error:
        detail = f"open3d cannot be loaded: {open3d.error}"
        yield Check("extra synth", "optional", detail, remedy_for(open3d.error))
    else:
        yield Check("extra synth", "ok", f"open3d {open3d.found['version']}, anny {_version('anny')}")
    if _version("smplx") is None:
        detail = "not installed: fitting SMPL bodies (licence of smplx: non-commercial)"
        yield Check("extra smpl", "optional", detail, install.format("smpl"))
    else:
        yield Check("extra smpl", "ok", f"smplx {_version('smplx')} (non-commercial licence)")
    if _version("starlette") is None or _version("uvicorn") is None:
        yield Check("extra web", "optional", "not installed: recording from a browser", install.format("web"))
    else:
        yield Check("extra web", "ok", f"starlette {_version('starlette')}, uvicorn {_version('uvicorn')}")


def programs() -> Iterable[Check]:
    """Programs and environments outside of this one."""
    ffmpeg = shutil.which("ffmpeg")
    yield Check("ffmpeg", "ok" if ffmpeg else "optional", ffmpeg or "not there, and not needed: PyAV decodes videos")
    blender = SOURCE_ROOT / ".venv-blender"
    made = [
        *blender.glob("lib/python*/site-packages/bpy-*.dist-info"),
        *blender.glob("Lib/site-packages/bpy-*.dist-info"),
    ]
    named = os.environ.get("MOCAP_BLENDER_PYTHON")
    if named:
        found = Path(named).is_file()
        detail = f"{named}, by MOCAP_BLENDER_PYTHON" + ("" if found else ", which does not exist")
        yield Check(
            "Blender for tests", "ok" if found else "optional", detail, "" if found else "Name a Python with bpy."
        )
    elif made:
        yield Check("Blender for tests", "ok", f"{made[0].name.removesuffix('.dist-info')} in {blender}")
    else:
        remedy = "python tools/bootstrap.py blender"
        yield Check("Blender for tests", "optional", "no .venv-blender: its tests are skipped", remedy)


def probe(name: str) -> Probe:
    """Import a package in a process of its own and hear what it says; a crash is an answer too."""
    command = [sys.executable, "-c", SHOW + PROBES[name]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Probe({}, str(error))
    told = [line for line in done.stdout.splitlines() if line.startswith("PROBE")]
    if done.returncode == 0 and told:
        return Probe(json.loads(told[-1].removeprefix("PROBE")))
    lines = done.stderr.strip().splitlines()
    return Probe({}, lines[-1] if lines else f"the process ended with code {done.returncode}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])
