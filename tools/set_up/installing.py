"""Packages into an environment, with pip, and the choice between the CPU and the CUDA build of torch.

Package indexes offer one plain torch per platform: the CPU build on macOS and Windows, usually a CUDA build of several
GB on Linux. pip is asked first, because its configuration may know better (a mirror, a folder of wheels) and builds
that carry their name (`+cpu`) can be told apart without fetching them. Where pip has only the other build, uv is
asked, which finds torch's own indexes by the name of the build.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path

from set_up.environment import Environment, SetUpError, clean_env

LOCAL_NAMES = {"cpu": "cpu", "cuda": "cu1"}
UV_BACKEND = {"cpu": "cpu", "cuda": "auto"}
CUDA_PACKAGE = re.compile(r"^(nvidia|cuda|triton|pytorch-triton)\b", re.IGNORECASE)
STEP = re.compile(r"^\s*(Collecting|Downloading|Processing|Installing|Building|Preparing)\b")
LARGE = re.compile(r"\((\d{2,}(\.\d+)? MB|[\d.]+ GB)\)")
LINE_WIDTH = 78
"""Steps are written over each other, padded with spaces: older Windows consoles know no other way to clear a line."""
ADVICE = (
    (
        r"No space left|Errno 28",
        "The disk is full: the environment takes about 2 GB. Free some space and run this again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The connection is inspected by a proxy that Python does not trust: give pip its certificate "
        "(`pip config set global.cert FILE`) and run this again.",
    ),
    (
        r"Failed to establish|getaddrinfo|Name or service|name resolution|Connection|Read timed out|ProxyError",
        "The package index was not reached. Check the network (behind a proxy: HTTPS_PROXY) and run this again; "
        "what was downloaded is kept.",
    ),
    (
        r"No matching distribution|Could not find a version",
        "A package has no build for this Python ({python}) on this machine. Python 3.11 to 3.13, 64 bit, is what the "
        "pinned versions are for: run this with one of those.",
    ),
    (
        r"WinError 206|path.*too long|LongPath",
        "Windows cuts long paths: enable long paths, or clone nearer to the drive's root.",
    ),
)


def install(env: Environment, root: Path, *, extras: tuple[str, ...], torch: str) -> None:
    """This project (editable), its dependencies as pinned, and the wanted build of torch."""
    pin = pinned(root / "constraints.txt", "torch")
    settled = torch == "default" or env.has(pin)
    requirement = pin if settled else torch_requirement(env, pin, torch)
    project = f".[{','.join(extras)}]" if extras else "."
    pip(env, "install", "--no-compile", "-c", "constraints.txt", requirement, "-e", project, cwd=root)


def torch_requirement(env: Environment, pin: str, torch: str) -> str:
    """What to ask pip for so that it takes the wanted build; where pip has none, the build is installed with uv."""
    requirement = by_build(pip_versions(env, pin), pin, torch)
    if requirement is None:
        failure = torch_by_uv(env, pin, torch)
        if failure and (torch == "cuda" or build_of_plain(env, pin) != torch):
            raise SetUpError(_unreachable(pin, torch, failure))
    return requirement or pin


def pip_versions(env: Environment, pin: str) -> list[str]:
    """Versions that pip's configured sources have for this machine, newest first; nothing is downloaded."""
    command = [env.python, "-m", "pip", "index", "versions", pin.partition("==")[0]]
    listed = subprocess.run(command, env=clean_env(), capture_output=True, text=True, check=False).stdout
    found = re.search(r"^Available versions: (.*)$", listed, re.MULTILINE)
    return found[1].split(", ") if found else []


def by_build(versions: list[str], pin: str, torch: str) -> str | None:
    """The requirement that selects the wanted build among `versions`, or None where none is known to be it."""
    package, _, release = pin.partition("==")
    matching = [version for version in versions if version.partition("+")[0] == release]
    named = [version for version in matching if version.partition("+")[2].startswith(LOCAL_NAMES[torch])]
    if named:
        return f"{package}=={named[0]}"
    plain_build = "cuda" if sys.platform == "linux" else "cpu"
    return pin if matching[:1] == [release] and torch == plain_build else None


def pinned(constraints: Path, package: str) -> str:
    """The requirement `package==version` of a constraints file."""
    for line in constraints.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{package}=="):
            return line.split(";")[0].strip()
    raise SetUpError(f"{constraints} does not pin {package}; restore the file from version control.")


def build_of_plain(env: Environment, pin: str) -> str:
    """`cpu` or `cuda`: the build that pip would install, read from the wheel itself (which pip may have to fetch)."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip(env, "install", "--dry-run", "--ignore-installed", "--no-deps", "--report", str(report), pin)
        (item,) = json.loads(report.read_text(encoding="utf-8"))["install"]
    needs = item["metadata"].get("requires_dist", [])
    return "cuda" if any(CUDA_PACKAGE.match(line) and "extra ==" not in line for line in needs) else "cpu"


def torch_by_uv(env: Environment, pin: str, torch: str) -> str:
    """Install the wanted build of torch from torch's own index, through uv. Why not, or an empty string."""
    say(f"pip's index is not known to have the {torch.upper()} build of torch; asking uv for it")
    with tempfile.TemporaryDirectory(dir=env.folder) as folder:
        try:
            pip(env, "install", "--no-compile", "--target", folder, "uv")
        except SetUpError as problem:
            return str(problem)
        uv = shutil.which("uv", path=str(Path(folder) / "bin")) or "uv"
        command = [
            uv,
            "pip",
            "install",
            "--python",
            str(env.python),
            "--no-deps",
            f"--torch-backend={UV_BACKEND[torch]}",
        ]
        try:
            done = subprocess.run([*command, pin], env=clean_env(), check=False, capture_output=True, text=True)
        except OSError as error:
            return f"  uv did not start: {error}"
    return "\n".join(f"  {line.strip()}" for line in done.stderr.strip().splitlines()[-4:]) if done.returncode else ""


def _unreachable(pin: str, torch: str, reason: str) -> str:
    return (
        f"The {torch.upper()} build of {pin} could not be had:\n{reason}\n"
        "pip's own index offers only the other build, and torch's index was not reached. Either open the way to it "
        "(network, HTTPS_PROXY), put a wheel of that build where pip looks (`pip config set global.find-links "
        "FOLDER`), or take what pip's index offers (on Linux several GB) by adding `--torch default`."
    )


def pip(env: Environment, *arguments: str, cwd: Path | None = None) -> None:
    """Run the environment's pip; show what it is doing, and only the end of it when it fails."""
    process = subprocess.Popen(
        [env.python, "-m", "pip", *arguments],
        cwd=cwd,
        env=clean_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    last: deque[str] = deque(maxlen=12)
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            last.append(line.rstrip())
            show_step(line)
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{'':{LINE_WIDTH}}\r")
    if process.returncode:
        raise SetUpError(f"pip could not {arguments[0]} what is needed. Its last lines:\n" + advised("\n".join(last)))


def advised(output: str) -> str:
    """The end of pip's output, and what to do about it where that is known."""
    text = "\n".join(f"  {line}" for line in output.splitlines())
    for pattern, advice in ADVICE:
        if re.search(pattern, output):
            version = f"{sys.version_info.major}.{sys.version_info.minor}, {'64' if sys.maxsize > 2**32 else '32'} bit"
            return f"{text}\n{advice.format(python=version)}"
    return f"{text}\nRun this again; if it fails the same way, try with --recreate."


def show_step(line: str) -> None:
    """One line of pip's output: on a terminal every step in one place, in a log the large ones only."""
    step = STEP.match(line)
    if step is None:
        return
    if sys.stderr.isatty():
        sys.stderr.write(f"\r  {line.strip()[: LINE_WIDTH - 2]:{LINE_WIDTH - 2}}")
        sys.stderr.flush()
    elif step[1] == "Installing" or LARGE.search(line):
        say(f"  {line.strip()[:160]}")


def say(text: str) -> None:
    """A line for the person in front of it; standard output stays free for results."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
