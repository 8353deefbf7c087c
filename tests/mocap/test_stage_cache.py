"""A stage is made once for one key; anything torn, changed or missing on disk makes it again."""

import json
from pathlib import Path

import pytest

from mocap.core.config import Report
from mocap.exported_files import exported_files
from mocap.stage_cache import CachedStage, Codec, SilentObserver, read_stage_report


class Counted(Report):
    calls: int


TEXT = Codec(
    save=lambda value, path, key: path.write_text(json.dumps([key, value])) and None,
    load=lambda path: json.loads(path.read_text())[1],
    key_of=lambda path: json.loads(path.read_text())[0] if path.is_file() else None,
)


class Chain:
    """Two stages, the second appends to what the first one made."""

    def __init__(self, folder: Path, keys: tuple[str, str] = ("k1", "k2")) -> None:
        self.calls: list[str] = []
        self.first = self.stage(folder, "first", keys[0], None)
        self.second = self.stage(folder, "second", keys[1], self.first)

    def stage(self, folder, name, key, parent):
        def make(given):
            self.calls.append(name)
            return (given or "") + name, Counted(calls=len(self.calls))

        return CachedStage(name, key, folder / f"{name}.txt", TEXT, make, SilentObserver(), parent)


def test_the_first_run_makes_everything_and_the_second_nothing(tmp_path):
    chain = Chain(tmp_path)
    assert chain.second.get() == "firstsecond"
    assert chain.calls == ["first", "second"]
    again = Chain(tmp_path)
    assert again.second.get() == "firstsecond"
    assert again.calls == []
    assert not again.second.ran
    assert again.second.report()["calls"] == 2


def test_what_a_cached_stage_came_from_is_not_even_loaded(tmp_path):
    Chain(tmp_path).second.get()
    (tmp_path / "first.txt").unlink()
    again = Chain(tmp_path)
    assert again.second.get() == "firstsecond"
    assert again.calls == []


def test_a_new_key_runs_that_stage_on_the_kept_parent(tmp_path):
    Chain(tmp_path).second.get()
    changed = Chain(tmp_path, ("k1", "other"))
    changed.second.get()
    assert changed.calls == ["second"]


@pytest.mark.parametrize("torn", ["", '{"key": "k1"', '{"key": "k1"}', "[1]"])
def test_a_torn_report_makes_the_stage_again(tmp_path, torn):
    Chain(tmp_path).first.get()
    (tmp_path / "first.json").write_text(torn)
    again = Chain(tmp_path)
    again.first.get()
    assert again.calls == ["first"]


def test_a_stage_that_fails_leaves_no_report(tmp_path):
    chain = Chain(tmp_path)

    def fail(_):
        raise RuntimeError("no")

    chain.first.make = fail
    with pytest.raises(RuntimeError):
        chain.first.get()
    assert read_stage_report(tmp_path / "first.json") is None


def test_a_changed_or_deleted_export_is_not_done(tmp_path):
    codec = exported_files(tmp_path)
    manifest = tmp_path / "export.manifest"
    (tmp_path / "walk.bvh").write_text("HIERARCHY")
    codec.save(["walk.bvh"], manifest, "k")
    assert codec.key_of(manifest) == "k"
    assert codec.load(manifest) == ["walk.bvh"]
    (tmp_path / "walk.bvh").write_text("changed by hand")
    assert codec.key_of(manifest) is None
    (tmp_path / "walk.bvh").unlink()
    assert codec.key_of(manifest) is None
