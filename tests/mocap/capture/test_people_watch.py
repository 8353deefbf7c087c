"""People looked for in takes: what is said of it, and that recording goes first."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from mocap.capture.people_look import PICTURES, PeopleLook, evenly_spaced, look_for_people
from mocap.capture.people_watch import PeopleWatch
from mocap.capture.session_recording_state import ClipResult
from mocap.capture.session_recording_verdict import with_people
from mocap.io.video_writer import VideoWriter, VideoWriterConfig
from mocap.models.weights import BLAZEPOSE, is_fetched
from running_mocap import ROOT

SAMPLE = ROOT / "sample_sessions" / "one_person" / "takes" / "walk" / "video" / "cam01.mp4"


@pytest.mark.parametrize(
    ("looked", "seen", "sentence", "doubtful"),
    [
        ({"a": 5, "b": 5}, {"a": 5, "b": 1}, "people are seen by all 2 cameras", False),
        ({"a": 5}, {"a": 5}, "people are seen by the camera", False),
        ({"a": 5, "b": 5, "c": 5}, {"a": 2}, "nobody is seen by b, c in 5 pictures of the take", True),
        ({"a": 5, "b": 5}, {}, "nobody is seen by any camera in 5 pictures of the take", True),
        ({"a": 1, "b": 1}, {"b": 1}, "nobody is seen by a in the one picture of the take", True),
        ({"a": 0}, {"a": 0}, "people were not looked for: no picture could be read", False),
        ({}, {}, "people were not looked for: no picture could be read", False),
    ],
)
def test_what_a_look_says(looked, seen, sentence, doubtful):
    look = PeopleLook(looked, seen)
    assert look.sentence == sentence
    assert look.doubtful == doubtful


def test_a_camera_that_saw_nobody_makes_a_good_take_usable_and_nothing_worse():
    blind = PeopleLook({"a": 5, "b": 5}, {"a": 5})
    good = ClipResult("take", "walk_01", Path("takes/walk_01"), 3.0, "good", ())
    bad = ClipResult("take", "walk_01", Path("takes/walk_01"), 3.0, "redo", ("a died",))
    assert with_people(good, blind).verdict == "usable"
    assert with_people(good, PeopleLook({"a": 5}, {"a": 5})).verdict == "good"
    assert with_people(good, PeopleLook(problem="no networks")).verdict == "good"
    assert with_people(bad, blind).sentences == ("a died", blind.sentence)
    assert with_people(bad, blind).verdict == "redo"


@pytest.mark.parametrize(
    ("n_frames", "wanted"), [(0, []), (1, [0]), (3, [0, 1, 2]), (5, range(5)), (100, [10, 30, 50, 70, 90])]
)
def test_pictures_are_spread_over_the_clip(n_frames, wanted):
    assert evenly_spaced(n_frames, PICTURES).tolist() == list(wanted)


def test_a_walk_is_seen_and_an_empty_room_is_not(tmp_path):
    """Pictures of a person in the first camera; the second one looks at a wall with a gradient."""
    if not is_fetched(BLAZEPOSE):
        pytest.skip("the networks of BlazePose are not here")
    videos = tmp_path / "session" / "takes" / "walk" / "video"
    videos.mkdir(parents=True)
    (tmp_path / "session" / "session.toml").write_text('[[camera]]\nname = "a"\n[[camera]]\nname = "b"\n')
    (videos / "a.mp4").write_bytes(SAMPLE.read_bytes())
    wall = np.broadcast_to(np.linspace(40, 200, 640).astype(np.uint8)[None, :, None], (360, 640, 3)).copy()
    with VideoWriter(videos / "b.mp4", (640, 360), 30.0, VideoWriterConfig(preset="ultrafast", threads=1)) as writer:
        for _ in range(30):
            writer.write(wall)
    look = look_for_people(videos.parent)
    assert look.looked == {"a": PICTURES, "b": PICTURES}
    assert look.seen == {"a": PICTURES, "b": 0}


def test_without_networks_nobody_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("MOCAP_MODELS_DIR", str(tmp_path))
    assert "mocap models fetch" in look_for_people(tmp_path / "nowhere").sentence


def look_at_once(connection: Connection, take_root: str) -> None:
    """Says that a camera called like the take saw somebody. Runs in a process."""
    connection.send(PeopleLook({Path(take_root).name: 1}, {Path(take_root).name: 1}))


def look_slowly_the_first_time(connection: Connection, take_root: str) -> None:
    """Hangs until it is ended, leaving a file that says so; then at once."""
    mark = Path(take_root) / "begun"
    if not mark.exists():
        mark.touch()
        time.sleep(600)
    look_at_once(connection, take_root)


def die(connection: Connection, take_root: str) -> None:
    """Ends without a word."""
    connection.close()


@pytest.mark.slow
def test_takes_are_looked_at_one_after_the_other(tmp_path):
    told: list[tuple[Path, PeopleLook]] = []
    watch = PeopleWatch(lambda folder, look: told.append((folder, look)), look_at_once)
    assert watch.wait(0)
    for name in ("one", "two"):
        watch.add(tmp_path / name)
    assert watch.wait(60)
    watch.close()
    assert [(folder.name, dict(look.seen)) for folder, look in told] == [("one", {"one": 1}), ("two", {"two": 1})]


@pytest.mark.slow
def test_a_look_is_ended_for_a_recording_and_begun_anew_after_it(tmp_path):
    told: list[PeopleLook] = []
    watch = PeopleWatch(lambda _, look: told.append(look), look_slowly_the_first_time)
    watch.add(tmp_path)
    end = time.monotonic() + 60
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    watch.hold(True)
    assert not watch.wait(0.5)
    assert told == []
    watch.hold(False)
    assert watch.wait(60)
    watch.close()
    assert [look.doubtful for look in told] == [False]


@pytest.mark.slow
def test_a_look_that_dies_is_told(tmp_path):
    told: list[PeopleLook] = []
    watch = PeopleWatch(lambda _, look: told.append(look), die)
    watch.add(tmp_path)
    assert watch.wait(60)
    watch.close()
    assert [look.problem for look in told] == ["people could not be looked for: the process that looked has died"]
