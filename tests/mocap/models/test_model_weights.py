"""Getting network files: through pip from an index of our own, from a folder, from a bundle; and every way it fails."""

import threading
import zipfile
from pathlib import Path

import pytest

from mocap.core.errors import FileFormatError, InputError
from mocap.models import weights, wheel_download
from mocap.models.weights import (
    BLAZEPOSE,
    PinnedFile,
    WeightSource,
    blazepose_weights,
    fetch,
    is_fetched,
    models_folder,
    sha256_of,
)

PAYLOAD = bytes(range(256)) * 400


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MOCAP_MODELS_DIR", str(folder))
    return folder


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder that pip takes for the package index, with one wheel in it."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(name, value)
    tag = "cp311-cp311-manylinux_2_28_x86_64"
    with zipfile.ZipFile(folder / f"toynets-1.0-{tag}.whl", "w") as wheel:
        info = "toynets-1.0.dist-info"
        wheel.writestr("toynets/net.tflite", PAYLOAD)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: toynets\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


def toy(sha256: str, member: str = "toynets/net.tflite") -> WeightSource:
    return WeightSource("toy", "toynets==1.0", len(PAYLOAD), (PinnedFile("net.tflite", member, sha256),), "CC0-1.0")


@pytest.fixture
def payload_sha(tmp_path) -> str:
    (tmp_path / "payload").write_bytes(PAYLOAD)
    return sha256_of(tmp_path / "payload")


def left_in(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.rglob("*") if p.is_file() or p.name.startswith("."))


def test_a_wheel_for_another_system_is_fetched_checked_and_kept(index, cache, payload_sha):
    seen: list[tuple[int, int]] = []
    folder = fetch(toy(payload_sha), lambda done, total: seen.append((done, total)))
    assert (folder / "net.tflite").read_bytes() == PAYLOAD
    assert left_in(cache) == ["net.tflite"], "no wheel, no temporary folder"
    assert seen[-1] == (len(PAYLOAD), len(PAYLOAD))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    next(index.iterdir()).unlink()
    assert fetch(toy(payload_sha)) == folder, "the second time nothing is downloaded"


def test_a_file_that_was_changed_is_fetched_again(index, payload_sha):
    folder = fetch(toy(payload_sha))
    (folder / "net.tflite").write_bytes(b"broken")
    assert not is_fetched(toy(payload_sha))
    fetch(toy(payload_sha))
    assert (folder / "net.tflite").read_bytes() == PAYLOAD


def test_another_file_than_expected_is_refused(index, cache):
    with pytest.raises(FileFormatError, match=r"SHA-256 .* expected 00ff.*detect\.weights=PATH"):
        fetch(toy("00ff"))
    assert left_in(cache) == []


def test_a_wheel_without_the_file_is_refused(index, cache, payload_sha):
    with pytest.raises(FileFormatError, match=r"does not hold toynets/other\.tflite"):
        fetch(toy(payload_sha, "toynets/other.tflite"))
    assert left_in(cache) == []


def test_no_connection_says_what_to_do(monkeypatch, cache):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(InputError, match=r"mediapipe==0\.10\.21: pip could not .*connection.*--set detect\.weights"):
        blazepose_weights()
    assert left_in(cache) == []


def test_no_pip_says_what_to_do(monkeypatch):
    monkeypatch.setattr(wheel_download.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"pip is not installed.*ensurepip.*detect\.weights"):
        blazepose_weights()


def test_several_at_once_all_get_whole_files(index, cache, payload_sha):
    found: list[bytes] = []
    jobs = [
        threading.Thread(target=lambda: found.append((fetch(toy(payload_sha)) / "net.tflite").read_bytes()))
        for _ in range(3)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert found == [PAYLOAD] * 3
    assert left_in(cache) == ["net.tflite"]


def test_the_cache_is_the_users_unless_said_otherwise(monkeypatch, tmp_path):
    assert models_folder() == tmp_path / "cache"
    monkeypatch.delenv("MOCAP_MODELS_DIR")
    assert models_folder().parts[-2:] == ("mocap", "models")


@pytest.mark.parametrize(
    "names", [(f.name for f in BLAZEPOSE.files), ("pose_detector.tflite", "pose_landmark_heavy.tflite")]
)
def test_a_folder_is_used_as_it_is(tmp_path, cache, names):
    person, landmarks = (tmp_path / name for name in names)
    person.write_bytes(b"p")
    landmarks.write_bytes(b"l")
    found = blazepose_weights(tmp_path)
    assert (found.person, found.landmarks) == (person, landmarks)
    assert not cache.exists(), "nothing is fetched"


def bundle(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/") + ".tflite", content)
    return path


def test_a_task_bundle_is_unpacked_into_the_cache(tmp_path, cache):
    first = bundle(tmp_path / "a.task", pose_detector=b"p", pose_landmarks_detector=b"l")
    found = blazepose_weights(first)
    assert (found.person.read_bytes(), found.landmarks.read_bytes()) == (b"p", b"l")
    assert found.person.parent.parent == cache
    other = blazepose_weights(bundle(tmp_path / "b.task", pose_detector=b"q", pose_landmarks_detector=b"m"))
    assert other.person.read_bytes() == b"q"
    assert found.person.read_bytes() == b"p", "bundles do not mix"
    assert blazepose_weights(first) == found


def test_members_of_a_bundle_cannot_leave_the_cache(tmp_path, cache):
    nasty = bundle(tmp_path / "n.task", **{"..__..__pose_detector": b"p", "x__pose_landmarks_detector": b"l"})
    found = blazepose_weights(nasty)
    assert cache in found.person.parents
    assert cache in found.landmarks.parents


def test_what_is_no_bundle_is_told(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.task: no such file or folder.*detect\.weights"):
        blazepose_weights(tmp_path / "nowhere.task")
    (tmp_path / "text.task").write_text("hello")
    with pytest.raises(FileFormatError, match=r"not a \.task bundle"):
        blazepose_weights(tmp_path / "text.task")
    with pytest.raises(FileFormatError, match=r"holds hand\.tflite; expected pose_detector\.tflite"):
        blazepose_weights(bundle(tmp_path / "hand.task", hand=b"h"))
    with pytest.raises(InputError, match=r"holds none of pose_detection\.tflite"):
        blazepose_weights(tmp_path)


def test_the_real_networks_come_from_the_real_index(monkeypatch, tmp_path):
    try:
        found = blazepose_weights()
    except InputError as error:
        pytest.skip(f"no package index here: {error}")
    assert [sha256_of(p) for p in (found.person, found.landmarks)] == [f.sha256 for f in weights.BLAZEPOSE.files]
    assert blazepose_weights(bundle_of(found, tmp_path / "own.task")).landmarks.stat().st_size == 6_440_512


def bundle_of(found: weights.BlazePoseWeights, path: Path) -> Path:
    return bundle(path, pose_detector=found.person.read_bytes(), pose_landmarks_detector=found.landmarks.read_bytes())
