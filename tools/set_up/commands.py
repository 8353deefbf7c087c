"""`demo`, `test`, `env`, `blender` and `peers`: what `tools/bootstrap.py` can be asked for."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from set_up.environment import Environment, SetUpError, Stamp, clean_env, wanted_stamp
from set_up.installing import install, pip, say

ROOT = Path(__file__).resolve().parents[2]
SESSION = Path("sample_sessions") / "one_person"
BLENDER_PACKAGES = ("bpy==4.5.*", "numpy<2")
PEERS = ("aniposelib==0.8.0", "caliscope==0.11.8", "pose2sim==0.10.49")
PEERS_NEED = (
    *("anytree==2.13.0", "av", "c3d", "jax==0.10.2", "matplotlib", "numba==0.68.1", "numpy"),
    *("opencv-contrib-python", "pandas==3.1.1", "platformdirs", "rich", "rtoml==0.14.0", "scipy", "toml==0.10.2"),
    *("tqdm==4.70.1", "typing-extensions"),
)
"""What the imports of the peers' calibration code ask for; their own lists are far longer (Qt, OpenSim, a second
OpenCV). What this project uses too has the versions of constraints.txt."""

FREE_GB = {"cpu": 4, "default": 10, "cuda": 10, "peers": 3}

DESCRIPTION = """\
Sets this project up and uses it, on a machine that has Python and nothing else.

  python tools/bootstrap.py demo      make .venv, turn the sample session into a BVH, say what to do with it
  python tools/bootstrap.py test      make .venv, run the tests (further arguments go to pytest)
  python tools/bootstrap.py env       make .venv only (--extra dev: with the tools for work on the code)
  python tools/bootstrap.py blender   make .venv-blender, in which the tests run Blender
  python tools/bootstrap.py peers     make .venv-peers: other calibration tools, for tests and tools/benchmark.py

The second time each of them starts at once.
"""

MISSING_LIBRARY = """\
A library of the system is missing. On Debian and Ubuntu, install these and run this again:
  sudo apt install libgl1 libglib2.0-0
For the synthetic sessions (extra synth, and so `test`) also:
  sudo apt install libusb-1.0-0
For `blender` also:
  sudo apt install libsm6 libxi6 libxrender1 libxfixes3 libxkbcommon0 libxt6 libopengl0"""

NEXT_STEPS = """
Next, in Blender
  File > Import > FBX, choose the .fbx beside it, then press Space to play. For the BVH: File > Import > Motion
  Capture (.bvh), set Scale to 0.01 (it is in centimetres), tick "Update Scene FPS" and "Update Scene Duration".
Next, in Unity
  {mocap} export {motion} --preset unity -o walk.fbx
  and put walk.fbx into Assets. In its inspector choose Rig > Animation Type > Humanoid, Apply.
Then, with your own cameras
  {mocap} board --help        print a board
  {mocap} session new --help  say which cameras there are
  {mocap} record --help       record the board and takes, or bring videos: {mocap} session import --help
  {mocap} calibrate --help    have the cameras' places and lenses found
  {mocap} process --help      videos to animation
"""


def run(arguments: list[str]) -> int:
    """Do what the command line asks; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    options, rest = _parse(arguments)
    try:
        return COMMANDS[options.command](options, rest)
    except SetUpError as problem:
        say(f"\n{problem}")
        return 2
    except PermissionError as error:
        say(f"\n{error.filename}: permission denied. Work in a clone that you may write to.")
        return 2
    except KeyboardInterrupt:
        say("\nInterrupted. Run the same command again to go on; an unfinished environment is made anew.")
        return 130


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="bootstrap.py",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", choices=tuple(COMMANDS))
    parser.add_argument(
        "--torch",
        choices=("cpu", "default", "cuda"),
        help="build of torch: cpu (at first), default (what the package index offers), cuda; kept until named again",
    )
    parser.add_argument(
        "--extra",
        action="append",
        default=[],
        metavar="NAME",
        help="install this extra too: dev, synth, plots, smpl, all",
    )
    parser.add_argument("--recreate", action="store_true", help="make the environment anew")
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "test":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options, rest[1:] if rest[:1] == ["--"] else rest


def _demo(options: argparse.Namespace, _: list[str]) -> int:
    env = ensure_project(options, extras=())
    say(f"\nProcessing {SESSION}")
    code = _call(env.script("mocap"), "process", str(SESSION), quiet=True)
    if code:
        return code
    files = sorted((ROOT / SESSION).glob("takes/*/export/*.bvh"))
    print("\nThe animation is in")
    for file in files:
        print(f"  {file}")
    motion = files[0].parents[1] / "derived" / "feet.h5" if files else SESSION
    print(NEXT_STEPS.format(mocap=env.script("mocap"), motion=motion), end="")
    return 0


def _test(options: argparse.Namespace, pytest_arguments: list[str]) -> int:
    env = ensure_project(options, extras=("dev", "plots", "synth"))
    return _call(env.python, "-m", "pytest", *in_parallel(pytest_arguments), *pytest_arguments)


def in_parallel(pytest_arguments: list[str]) -> list[str]:
    """What has pytest run all its tests in two processes; nothing for tests that were named, or on one processor."""
    own_way = ("-n", "--numprocesses", "--dist", "--pdb", "-s", "--capture=no", "--collect-only", "--co")
    if (os.cpu_count() or 1) < 2 or any(argument.startswith(own_way) for argument in pytest_arguments):
        return []
    named = any((ROOT / argument.partition("::")[0]).exists() for argument in pytest_arguments if argument)
    return [] if named else ["-n", "2", "--dist", "loadfile"]


def _env(options: argparse.Namespace, _: list[str]) -> int:
    env = ensure_project(options, extras=())
    print(f"{env.folder} is ready. The program is {env.script('mocap')}")
    return 0


def _blender(options: argparse.Namespace, _: list[str]) -> int:
    folder = ROOT / ".venv-blender"
    env = Environment(folder, base_python=_python_of_blender())
    wanted = Stamp("CPython 3.11", str(ROOT), "none", " ".join(BLENDER_PACKAGES))
    if _ready(env, wanted, recreate=options.recreate):
        print(f"{env.folder} is ready.")
        return 0
    say("Making .venv-blender (Blender as a Python package: about 370 MB to download)")
    with env.being_changed(wanted):
        env.create()
        pip(env, "install", "--no-compile", *BLENDER_PACKAGES)
        _require_import(env, "import bpy")
    print(f"{env.folder} is ready.")
    return 0


def _peers(options: argparse.Namespace, _: list[str]) -> int:
    env = Environment(ROOT / ".venv-peers")
    wanted = wanted_stamp(ROOT, extras=(*PEERS, *PEERS_NEED), torch="none", files=("constraints.txt",))
    if _ready(env, wanted, recreate=options.recreate):
        print(f"{env.folder} is ready.")
        return 0
    say("Making .venv-peers (aniposelib, caliscope and Pose2Sim: about 500 MB to download)")
    with env.being_changed(wanted):
        if not env.python.exists():
            _require_space(env.folder, FREE_GB["peers"])
            env.create()
        pip(env, "install", "--no-compile", "-c", "constraints.txt", *PEERS_NEED, cwd=ROOT)
        pip(env, "install", "--no-compile", "--no-deps", *PEERS)
        _require_import(env, "import aniposelib.cameras, caliscope.api, Pose2Sim.common, jax")
    print(f"{env.folder} is ready.")
    return 0


def ensure_project(options: argparse.Namespace, *, extras: tuple[str, ...]) -> Environment:
    """The project's environment, made or brought up to date only where needed."""
    env = Environment(ROOT / ".venv")
    old = env.stamp()
    torch = options.torch or (old.torch if old else "cpu")
    if torch == "cuda" and sys.platform == "darwin":
        raise SetUpError(
            "There is no CUDA on macOS. Leave out --torch: the usual build uses the Apple GPU where it can."
        )
    extras = tuple(sorted({*extras, *options.extra, *(old.extras if old else ())}))
    wanted = wanted_stamp(ROOT, extras=extras, torch=torch, files=("pyproject.toml", "constraints.txt"))
    if _ready(env, wanted, recreate=options.recreate):
        return env
    started = time.monotonic()
    with env.being_changed(wanted):
        if not env.python.exists():
            _require_space(env.folder, FREE_GB[torch])
            version = sys.version.split()[0]
            say(f"Making {env.folder.name} with Python {version}: once, a few minutes, about 2 GB of disk")
            env.create()
        else:
            say(f"Bringing {env.folder.name} up to date")
        install(env, ROOT, extras=extras, torch=torch)
        say("Checking that everything can be imported")
        _require_import(env, "import torch, cv2, scipy, h5py, av, openvino, mocap, calibration")
    say(f"{env.folder.name} is ready ({time.monotonic() - started:.0f} s)")
    return env


def _ready(env: Environment, wanted: Stamp, *, recreate: bool) -> bool:
    """Whether the environment serves as it is; takes it away where it cannot be brought up to date."""
    old = env.stamp()
    if old and old.covers(wanted) and not recreate:
        return True
    if recreate:
        env.remove()
    elif env.is_foreign():
        if not env.works():
            raise SetUpError(
                f"{env.folder} was not made by this script, and its Python does not run or is of another version than "
                "this one. Delete it, or add --recreate."
            )
    elif old is None or not old.same_base(wanted):
        if env.folder.exists():
            reason = (
                "it was left unfinished or is broken"
                if old is None
                else "Python, the torch build or the folder changed"
            )
            say(f"{env.folder.name} is made anew: {reason}")
        env.remove()
    return False


def _require_space(folder: Path, gigabytes: int) -> None:
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise SetUpError(
            f"{folder}: {free:.1f} GB free, {gigabytes} GB needed for the environment. Free some space first."
        )


def _require_import(env: Environment, statement: str) -> None:
    done = subprocess.run(
        [env.python, "-c", statement], cwd=ROOT, env=clean_env(), capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    last = done.stderr.strip().splitlines()[-1:] or [f"Python ended with code {done.returncode}"]
    remedy = "Run this again with --recreate."
    if "cannot open shared object file" in last[0]:
        remedy = MISSING_LIBRARY
    elif "DLL load failed" in last[0]:
        remedy = "Install the Microsoft Visual C++ Redistributable (x64) and run this again."
    raise SetUpError(f"The packages are installed but cannot be imported:\n  {last[0]}\n{remedy}")


def _python_of_blender() -> str:
    """Blender's package exists for one version of Python only."""
    if sys.version_info[:2] == (3, 11):
        return Environment(ROOT).base_python
    for command in (["python3.11"], ["py", "-3.11"]):
        if shutil.which(command[0]):
            probe = [*command, "-c", "import sys; print(sys.executable)"]
            found = subprocess.run(probe, capture_output=True, text=True, check=False)
            if found.returncode == 0:
                return found.stdout.strip()
    raise SetUpError("Blender 4.5 as a package needs Python 3.11, which was not found. Install it beside this one.")


def _call(program: Path, *arguments: str, quiet: bool = False) -> int:
    """Run a program of the environment; Ctrl-C is its to handle, and its exit code is ours. quiet: not its results."""
    output = subprocess.DEVNULL if quiet else None
    process = subprocess.Popen([program, *arguments], cwd=ROOT, env=clean_env(), stdout=output)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


COMMANDS = {"demo": _demo, "test": _test, "env": _env, "blender": _blender, "peers": _peers}
