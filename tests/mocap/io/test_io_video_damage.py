"""Damaged files give their good frames under the right index and a report; unusable ones give one sentence."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mocap.core.errors import VideoError
from mocap.io.video import VideoReader, probe_video
from video_worlds import (
    counter_image,
    counter_of,
    flipped,
    rewrap,
    truncated,
    with_ruined_packet,
    with_slack_in_slices,
    write_counter_clip,
    write_sound_only,
)

N_FRAMES = 60


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keyframes at 0, 12, 24, 36, 48; the index at the front."""
    folder = tmp_path_factory.mktemp("damage")
    whole = write_counter_clip(folder / "whole.mp4", N_FRAMES)
    return rewrap(whole, folder / "clip.mp4", options={"movflags": "faststart"})


def read_through(path: Path) -> tuple[list[int], VideoReader]:
    """Indices of the frames given, each checked to show its own number."""
    reader = VideoReader(path)
    given = []
    for frame in reader:
        assert counter_of(frame.image) == frame.index
        given.append(frame.index)
    assert reader.report.decoded == len(given)
    return given, reader


@pytest.mark.parametrize("share", [0.3, 0.55, 0.9])
def test_a_cut_off_mp4_gives_its_good_frames(clip: Path, tmp_path: Path, share: float):
    cut = truncated(clip, tmp_path / "cut.mp4", share)
    given, reader = read_through(cut)
    assert reader.info.cut_off
    assert (reader.info.n_frames, reader.info.n_frames_exact) == (N_FRAMES, True)
    # Pictures are about equally long, so their share follows that of the bytes; pictures of the last group that were
    # decoded may wait for one that is missing: 3 B-frames and the picture they lean on.
    assert share * N_FRAMES - 12 <= len(given) <= share * N_FRAMES + 12
    assert given[: len(given) - 4] == list(range(len(given) - 4))
    report = reader.report
    assert not report.complete
    assert report.expected == N_FRAMES
    assert f"{len(given)} of {N_FRAMES} frames are good; the first one missing is frame" in report.sentence


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_cut_off_matroska_estimates_what_is_missing(clip: Path, tmp_path: Path, share: float):
    cut = truncated(rewrap(clip, tmp_path / "whole.mkv", with_audio=True), tmp_path / "cut.mkv", share)
    given, reader = read_through(cut)
    assert reader.info.cut_off
    assert not reader.info.n_frames_exact
    # The header's duration is that of the whole: 60 frames and the rounding of its end to a millisecond.
    assert abs(reader.info.n_frames - N_FRAMES) <= 1
    assert 0 < len(given) < N_FRAMES
    assert f"{len(given)} of about {reader.info.n_frames} frames are good" in reader.report.sentence


def test_a_cut_off_stream_without_header_is_simply_shorter(clip: Path, tmp_path: Path):
    cut = truncated(rewrap(clip, tmp_path / "whole.ts"), tmp_path / "cut.ts", 0.5)
    given, reader = read_through(cut)
    assert 20 < len(given) < 40
    assert reader.info.n_frames - len(given) <= 4


def test_a_ruined_picture_takes_with_it_what_leans_on_it(clip: Path, tmp_path: Path):
    """Pictures before it in decoding order and from the next keyframe on stay, under their own index.

    B-frames show before the picture that they lean on, so its damage must be known before they are given.
    """
    table = probe_video(clip).packets
    for position in range(N_FRAMES):
        bad = with_ruined_packet(clip, tmp_path / "bad.mp4", position)
        given, reader = read_through(bad)
        lost = (table.position >= position) & (table.position < (position // 12 + 1) * 12)
        assert given == np.flatnonzero(~lost).tolist(), position
        assert reader.report.first_missing == np.flatnonzero(lost)[0]
        assert reader.report.first_error in ("a damaged picture", "the data is damaged")


def test_a_damaged_frame_cannot_be_read_but_its_neighbours_can(clip: Path, tmp_path: Path):
    bad = with_ruined_packet(clip, tmp_path / "bad.mp4", 30)
    lost = int(np.flatnonzero(probe_video(clip).packets.position == 30)[0])
    with VideoReader(bad) as reader:
        with pytest.raises(VideoError, match=f"frame {lost} is damaged. Copy the file again"):
            reader.read(lost)
        for index in (48, 24, 2, 36):
            assert counter_of(reader.read(index).image) == index


def test_an_encoder_that_writes_slack_is_not_taken_for_damage(clip: Path, tmp_path: Path):
    sloppy = with_slack_in_slices(clip, tmp_path / "sloppy.mp4")
    assert probe_video(clip).strict
    assert not probe_video(sloppy).strict
    given, reader = read_through(sloppy)
    assert given == list(range(N_FRAMES))
    assert reader.report.complete


def test_pictures_of_another_size_are_left_out(tmp_path: Path):
    """A recording that was restarted at another resolution, glued to the first."""
    first = write_counter_clip(tmp_path / "first.ts", 24)
    other = write_counter_clip(
        tmp_path / "other.ts", 24, transform=lambda image: image.repeat(2, axis=0).repeat(2, axis=1)
    )
    moved = rewrap(other, tmp_path / "moved.ts", shift_s=1.0)
    glued = tmp_path / "glued.ts"
    glued.write_bytes(first.read_bytes() + moved.read_bytes())
    given, reader = read_through(glued)
    # H.264 lets the decoder drop the pictures that still wait to be shown when the size changes: up to 3 B-frames.
    assert set(range(21)) <= set(given) <= set(range(24))
    assert reader.report.expected == 48
    # The joint itself breaks the count of transport packets; behind its first keyframe only the size is wrong.
    assert reader.report.first_error in ("the picture size changes to 192x128", "the data is incomplete")


def test_every_single_cut_and_flip_is_survived(clip: Path, tmp_path: Path):
    rng = np.random.default_rng(11)
    for trial in range(60):
        make = truncated if trial % 2 else flipped
        bad = make(clip, tmp_path / f"bad{trial % 2}.mp4", float(rng.uniform(0, 0.995)))
        with contextlib.suppress(VideoError):  # whatever else it raises, or a crash, is a failure
            given = [frame.index for frame in VideoReader(bad)]
            assert given == sorted(set(given))


# --- files that cannot be used -------------------------------------------------------------------------------------


def refused(path: Path, what: str, remedy: str) -> None:
    with pytest.raises(VideoError) as caught:
        probe_video(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert what in message
    assert remedy in message
    assert "\n" not in message


def test_missing(tmp_path: Path):
    refused(tmp_path / "no.mp4", "cannot be read (No such file or directory)", "Check the path")


def test_folder(tmp_path: Path):
    refused(tmp_path, "is a folder, not a video", "Give the video file itself")


def test_empty(tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(b"")
    refused(tmp_path / "a.mp4", "the file is empty (0 bytes)", "Copy or record it again")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.txt"])
def test_not_a_video(tmp_path: Path, name: str):
    (tmp_path / name).write_text("frame, x, y\n1, 2, 3\n" * 50)
    refused(tmp_path / name, "not a video", "Give a")


def test_still_picture(tmp_path: Path):
    for name in ("a.png", "a.jpg"):
        cv2.imwrite(str(tmp_path / name), counter_image(1))
        refused(tmp_path / name, "a still picture, not a video", "Give a video file")


def test_index_cut_away(tmp_path: Path):
    whole = write_counter_clip(tmp_path / "whole.mp4", 20)
    refused(
        truncated(whole, tmp_path / "cut.mp4", 0.7),
        "no readable index: its recording or copying was cut off",
        "untrunc",
    )


def test_sound_only(tmp_path: Path):
    refused(write_sound_only(tmp_path / "a.m4a"), "has no picture track", "sound or data only")


def test_unknown_codec(tmp_path: Path):
    whole = write_counter_clip(tmp_path / "whole.mp4", 5)
    data = whole.read_bytes()
    assert data.count(b"avc1") >= 1
    (tmp_path / "odd.mp4").write_bytes(data.replace(b"avc1", b"zz9z"))
    refused(tmp_path / "odd.mp4", "in a format that no installed decoder reads", "Convert it to H.264")


def test_zero_frames(tmp_path: Path):
    path = tmp_path / "none.mkv"
    whole = write_counter_clip(tmp_path / "whole.mp4", 5)
    rewrap(whole, path, keep=lambda position: False)
    refused(path, "holds no frames", "the recording never started")


def test_nothing_decodable(tmp_path: Path):
    whole = write_counter_clip(tmp_path / "whole.mp4", 5)
    with av.open(str(whole)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(whole.read_bytes())
    for position, size in packets:
        data[position : position + size] = bytes(size)
    (tmp_path / "zeros.mp4").write_bytes(bytes(data))
    refused(tmp_path / "zeros.mp4", "none of its 5 frames can be decoded (h264)", "Copy it again")


@pytest.mark.slow
def test_real_clips_cut_and_flipped(shared_data: Path, tmp_path: Path):
    """VP9 in MP4 with its index in front, and Matroska of a camera program, against their whole selves."""
    vp9 = shared_data / "pose2sim" / "HEAD" / "Demo_SinglePerson" / "videos" / "cam02.mp4"
    cut = truncated(vp9, tmp_path / "cut.mp4", 0.6)
    with VideoReader(vp9) as whole, VideoReader(cut) as part:
        for good, same in zip(part, whole, strict=False):
            assert (good.index, good.time_s) == (same.index, same.time_s)
            np.testing.assert_array_equal(good.image, same.image)
        assert (part.report.decoded, part.report.expected) == (60, 100)
    mkv = shared_data / "caliscope" / "history" / "charuco.mkv"
    cut = truncated(mkv, tmp_path / "cut.mkv", 0.6)
    with VideoReader(cut) as part:
        given = [f.index for f in part]
        # 225 pictures are whole; those at the end might have to wait for one that is lost (one B-frame in a row here).
        assert given == list(range(len(given)))
        assert 225 - 2 <= len(given) <= 225
        assert abs(part.report.expected - 393) <= 5  # frame times vary by half a frame around their mean
        assert not part.report.expected_exact


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_real_h264_with_flipped_bytes_gives_good_frames_only(shared_data: Path, tmp_path: Path, share: float):
    path = shared_data / "pose2sim" / "HEAD" / "Demo_SinglePerson" / "videos" / "cam03.mp4"
    bad = flipped(path, tmp_path / "bad.mp4", share)
    with VideoReader(path) as whole:
        clean = {f.index: f.image for f in whole}
    with VideoReader(bad) as part:
        given = [(f.index, np.array_equal(f.image, clean[f.index])) for f in part]
    assert 10 < len(given) < 100
    assert all(equal for _, equal in given)
    shutil.rmtree(tmp_path)
