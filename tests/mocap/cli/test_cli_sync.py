"""`mocap sync`: by a recorder's times, by a clap, and what it says where neither is there."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from mocap.io.session_files import open_take
from mocap.io.take_times import take_times
from running_mocap import complaint, invoke
from video_worlds import write_counter_clip

CLAPS_S = (0.9, 1.35, 2.0)
OFFSET_S = 0.4321
"""The second camera was started so much later: its stamps are less by that."""


def with_sound(path: Path, claps_s: tuple[float, ...], *, seconds: float = 3.0, rate: int = 48000) -> None:
    """The video once more, with a sound track of claps in noise."""
    rng = np.random.default_rng(3)
    noise = np.random.default_rng(len(path.name)).normal(0, 0.003, int(seconds * rate))
    burst = rng.normal(0, 1, rate // 20) * np.exp(-np.arange(rate // 20) / (0.006 * rate))
    for clap in claps_s:
        start = round(clap * rate)
        noise[start : start + len(burst)] += 0.3 * burst[: len(noise) - start]
    silent = path.rename(path.with_name("silent_" + path.name))
    with av.open(str(silent)) as given, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(given.streams.video[0])
        sound = out.add_stream("pcm_s16le", rate=rate, layout="mono")
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
        frame = av.AudioFrame.from_ndarray((np.clip(noise, -1, 1) * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts = rate, 0
        for packet in [*sound.encode(frame), *sound.encode(None)]:
            out.mux(packet)
    silent.unlink()


@pytest.fixture
def take(tmp_path: Path) -> Path:
    root = tmp_path / "session" / "takes" / "walk"
    for name in ("a", "b"):
        path = root / "video" / f"{name}.mkv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_counter_clip(path, 30, fps=10.0)
    return root


def test_a_clap_is_enough(take):
    with_sound(take / "video" / "a.mkv", CLAPS_S)
    with_sound(take / "video" / "b.mkv", tuple(clap - OFFSET_S for clap in CLAPS_S))
    dry = json.loads(invoke("sync", take, "--method", "audio", "--dry-run", "--json").stdout)
    assert dry["files"] == []
    assert not (take / "sync.toml").exists()
    assert dry["cameras"]["b"]["offset_s"] == pytest.approx(-OFFSET_S, abs=0.002)
    done = invoke("sync", take)
    assert done.stdout.split() == [str(take / "sync.toml"), str(take / "sync.html")]
    assert "b: -0.43" in done.stderr
    times = take_times(open_take(take))
    assert times is not None
    assert times["b"] - times["a"] == pytest.approx(OFFSET_S, abs=0.002)
    other = json.loads(invoke("sync", take, "--reference", "b", "--json").stdout)
    assert other["cameras"]["a"]["offset_s"] == pytest.approx(OFFSET_S, abs=0.002)
    assert other["reference"] == "b"


def test_a_recorders_times_are_one_clock(take):
    rows = [f"{name},{f},{start + f / 10:.6f}" for name, start in (("a", 3.0), ("b", 3.25)) for f in range(30)]
    (take / "timestamps.csv").write_text("\n".join(["camera,frame,time_s", *rows]) + "\n", encoding="utf-8")
    (take / "take.toml").write_text('[take]\nclocks = "shared"\n', encoding="utf-8")
    found = json.loads(invoke("sync", take, "--method", "timestamps", "--json").stdout)
    assert found["cameras"]["b"] == {
        "offset_s": 0.0,
        "rate": 1.0,
        "sd_ms": pytest.approx(0.0, abs=0.1),
        "confidence": 1.0,
        "method": "timestamps",
        "repeated_frames": [],
        "gaps": [],
        "uneven_stamps": False,
    }
    times = take_times(open_take(take))
    assert times is not None
    assert times["b"] - times["a"] == pytest.approx(0.25)


def test_where_nothing_can_be_said_nothing_is_written_and_what_to_do_is_told(take):
    told = complaint(invoke("sync", take, "--method", "timestamps"))
    assert "could not be put on one clock" in told
    assert "b could not be put on the clock of a (no method places it)" in told
    assert "Clap where all cameras hear and see it" in told
    assert not (take / "sync.toml").exists()
    assert "clocks by sound need two cameras" in complaint(invoke("sync", take, "--method", "audio"))
    assert "method: input should be 'auto', 'timestamps', 'audio', 'flash' or 'motion' (got 'smell')" in complaint(
        invoke("sync", take, "--method", "smell")
    )
    assert "has no camera z; it has a, b" in complaint(invoke("sync", take, "--reference", "z"))


def test_a_session_has_every_take_synced_that_is_not_on_one_clock(take):
    for name in ("still", "recorded"):
        for camera in ("a", "b"):
            path = take.with_name(name) / "video" / f"{camera}.mkv"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_counter_clip(path, 30, fps=10.0)
    rows = [f"{camera},{frame},{frame / 10}" for camera in ("a", "b") for frame in range(30)]
    recorded = take.with_name("recorded")
    (recorded / "timestamps.csv").write_text("\n".join(["camera,frame,time_s", *rows]) + "\n", encoding="utf-8")
    (recorded / "take.toml").write_text('[take]\nclocks = "shared"\n', encoding="utf-8")
    with_sound(take / "video" / "a.mkv", CLAPS_S)
    with_sound(take / "video" / "b.mkv", tuple(clap - OFFSET_S for clap in CLAPS_S))
    session = take.parent.parent
    said = invoke("sync", session, "--method", "audio", "--json")
    assert [found["take"] for found in json.loads(said.stdout)] == ["walk"]
    assert "recorded: is on one clock already, its recorder's" in said.stderr
    assert said.returncode == 2
    assert "1 of 2 takes could not be put on one clock: still: " in said.stderr
    assert [path.parent.name for path in session.glob("takes/*/sync.toml")] == ["walk"]
