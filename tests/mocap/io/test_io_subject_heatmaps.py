"""Heatmaps find the people whose keypoints were taken from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from camera_worlds import mixed_rig
from mocap.core.errors import FileFormatError, InputError
from mocap.core.heatmaps import HeatmapSource
from mocap.core.keypoints import Detections2D, Keypoints2D
from mocap.io.heatmap_file import HeatmapWriter
from mocap.io.subject_heatmaps import NO_TRACK, SubjectHeatmaps, original_frames, shifted, tracks_of_points
from people_worlds import KEYPOINTS, Seen, body, seen_by

SIZE = (12, 10)
EXTRA = 3
"""Channels of the network that are no keypoints."""


@pytest.fixture
def seen() -> Seen:
    """Two people in five cameras; some of the detections are not there."""
    found = seen_by(mixed_rig(), [body(6, start=(-0.4, 0.3)), body(6, start=(0.6, -0.4), phase=1.0)])
    return found.without(np.random.default_rng(3).random(len(found.person)) < 0.2)


def associated(seen: Seen) -> Keypoints2D:
    """As association leaves it: detections, moved to where they belong."""
    found = seen.detections
    xy = np.full((6, 2, len(found.cameras), len(KEYPOINTS), 2), np.nan)
    confidence = np.zeros(xy.shape[:-1])
    xy[found.frame, seen.person, found.camera] = found.xy
    confidence[found.frame, seen.person, found.camera] = found.confidence
    return Keypoints2D(found.cameras, KEYPOINTS, xy, confidence, 50.0)


def heatmaps_of(frame: int, camera: int, track: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([frame, camera, track + 1])
    return rng.random((len(KEYPOINTS) + EXTRA, SIZE[1], SIZE[0])), rng.normal(0, 3, (2, 3))


def written(seen: Seen, folder: Path, *, borders: tuple[int, ...] = (0, 4)) -> Path:
    """One file a segment."""
    found = seen.detections
    for start, stop in zip(borders, (*borders[1:], 6), strict=True):
        with HeatmapWriter(folder / f"{start}.h5", found.cameras, "key") as writer:
            for place in zip(found.frame.tolist(), found.camera.tolist(), found.track.tolist(), strict=True):
                if start <= place[0] < stop:
                    writer.write(place, *heatmaps_of(*place))
    return folder


def test_every_persons_heatmaps_are_those_of_their_detections(seen, tmp_path):
    points, found = associated(seen), seen.detections
    with SubjectHeatmaps(written(seen, tmp_path), points, found) as source:
        assert isinstance(source, HeatmapSource)
        assert source.size == SIZE
        parts = [source.read(range(0, 3)), source.read(range(3, 6))]
    heatmaps, maps, there = (
        np.concatenate([getattr(p, n) for p in parts]) for n in ("heatmaps", "px_from_heatmap", "seen")
    )
    assert (there == (points.confidence > 0).any(-1)).all()
    assert 0 < there.mean() < 1
    for row, person in enumerate(seen.person):
        place = (int(found.frame[row]), int(person), int(found.camera[row]))
        expected, affine = heatmaps_of(place[0], place[2], int(found.track[row]))
        assert heatmaps[place] == pytest.approx(expected[: len(KEYPOINTS)], abs=2**-11)
        assert maps[place] == pytest.approx(affine)
    assert (heatmaps[~there] == 0).all()
    assert np.isnan(maps[~there]).all()


def test_keypoints_that_are_nobodys_have_no_track(seen):
    points = associated(seen)
    xy = points.xy.copy()
    xy[2, 1] += 1e-9
    moved = Keypoints2D(points.cameras, KEYPOINTS, xy, points.confidence, 50.0)
    tracks = tracks_of_points(moved, seen.detections)
    assert (tracks[2, 1] == NO_TRACK).all()
    others = np.delete(tracks, 2, axis=0)
    assert ((others != NO_TRACK) == np.delete((points.confidence > 0).any(-1), 2, axis=0)).all()


def test_heatmaps_of_other_people_or_none_at_all_are_told(seen, tmp_path):
    points = associated(seen)
    with pytest.raises(FileFormatError, match="no heatmaps"):
        SubjectHeatmaps(tmp_path / "nothing", points, seen.detections)
    with HeatmapWriter(tmp_path / "0.h5", points.cameras, "key") as writer:
        writer.write((0, 0, 77), *heatmaps_of(0, 0, 77))
    with pytest.raises(FileFormatError, match="no heatmaps of the people who were associated"):
        SubjectHeatmaps(tmp_path, points, seen.detections)
    others = Keypoints2D(("a", "b"), KEYPOINTS, points.xy[:, :, :2], points.confidence[:, :, :2], 50.0)
    with pytest.raises(InputError, match="not of the same cameras"):
        tracks_of_points(others, seen.detections)


def test_heatmaps_move_by_whole_and_half_cells():
    """Joint 0 by (2, 1), joint 1 by half a cell to the right: the mean of neighbours; what leaves the map is lost."""
    heatmaps = np.zeros((2, 6, 8), dtype=np.float16)
    heatmaps[0, 2, 3], heatmaps[1, 2, 3], heatmaps[0, 5, 7] = 1.0, 1.0, 1.0
    moved = shifted(heatmaps, np.array([[2.0, 1.0], [0.5, 0.0]]))
    assert moved.dtype == np.float16
    expected = np.zeros((2, 6, 8))
    expected[0, 3, 5], expected[1, 2, 3], expected[1, 2, 4] = 1.0, 0.5, 0.5
    np.testing.assert_array_equal(moved, expected)


def test_heatmaps_of_the_nearest_frame_follow_their_keypoints(seen, tmp_path):
    """Detections at times of their own: result frame f was seen in frame f + 1, all keypoints 8 px further right, the
    first one 4 px more than that."""
    whole = seen.detections
    kept = whole.frame >= 1
    found = whole.select(kept)
    xy = found.xy + [8.0, 0.0]
    xy[:, 0] += [4.0, 0.0]
    fields = {name: getattr(found, name) for name in ("camera", "track", "confidence", "box", "score")}
    aligned = Detections2D(found.cameras, 5, KEYPOINTS, frame=found.frame - 1, xy=xy, **fields)
    points_xy = np.full((5, 2, len(found.cameras), len(KEYPOINTS), 2), np.nan)
    confidence = np.zeros(points_xy.shape[:-1])
    person = seen.person[kept]
    points_xy[aligned.frame, person, aligned.camera] = aligned.xy
    confidence[aligned.frame, person, aligned.camera] = aligned.confidence
    points = Keypoints2D(found.cameras, KEYPOINTS, points_xy, confidence, 50.0)
    places = original_frames(aligned, whole, np.flatnonzero(kept))
    with SubjectHeatmaps(written(seen, tmp_path), points, aligned, places) as source:
        batch = source.read(range(5))
    frame, person_, camera = (int(i[0]) for i in np.nonzero(batch.seen))
    own, affine = heatmaps_of(frame + 1, camera, int(source.tracks[frame, person_, camera]))
    known = np.isfinite(points_xy[frame, person_, camera]).all(-1)
    expected = affine + [[0, 0, 8.0], [0, 0, 0.0]]
    np.testing.assert_allclose(batch.px_from_heatmap[frame, person_, camera], expected)
    rest = known & (np.arange(len(known)) > 0)
    given = own[: len(KEYPOINTS)].astype(np.float16)
    np.testing.assert_array_equal(batch.heatmaps[frame, person_, camera][rest], given[rest])
    if known[0]:
        cells = np.linalg.solve(affine[:, :2], [4.0, 0.0])
        np.testing.assert_array_equal(batch.heatmaps[frame, person_, camera][0], shifted(given[:1], cells[None])[0])
