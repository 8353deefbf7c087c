"""Rendered people: what is cut out shows what the labels say, whole scenes are kept apart, and bad files are named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mocap.core.errors import FileFormatError, InputError
from mocap.training.datasets.degraded import degraded
from mocap.training.datasets.labelled_people import HIDDEN, SEEN, UNLABELLED
from mocap.training.datasets.pieces import cut_out, decoded
from mocap.training.datasets.rendered import RenderedSource
from mocap.training.datasets.rendered_scenes import _cut, _joined, make_scene, people_of_take, render_people, scene_path
from mocap.training.heatmap_task import DataConfig, HeatmapTask, HeatmapTaskConfig

SAMPLE = Path(__file__).parents[3] / "sample_sessions" / "two_people" / "takes" / "crossing"


def dots(xy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A dark picture with a soft bright dot at every place."""
    x, y = np.arange(size[0]), np.arange(size[1])[:, None]
    spots = [np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 5.0**2)) for a, b in xy]
    return np.repeat((20 + 200 * np.clip(sum(spots), 0, 1)).astype(np.uint8)[..., None], 3, axis=-1)


def scene_of_dots(seed: int, people: int = 3) -> list[dict]:
    rng = np.random.default_rng(seed)
    rows = []
    for moment in range(people):
        xy = rng.uniform([300, 150], [460, 520], (1, 33, 2))
        flags = rng.choice([HIDDEN, SEEN], (1, 33), p=[0.3, 0.7])
        flags[0, :2] = UNLABELLED
        xy[0, :2] = np.nan
        rows += _cut(dots(xy[0, 2:], (800, 600)), xy, flags, (0, moment))
    return rows


def folder_of(tmp_path: Path, scenes: int) -> Path:
    for number in range(scenes):
        _joined(scene_of_dots(number), 33).save(scene_path(tmp_path, 0, number))
    return tmp_path


def test_a_piece_is_where_it_says() -> None:
    """A dot of σ 5 px in a picture halved once: its centre of brightness is found to a tenth of a pixel."""
    place = np.array([[411.3, 222.8]])
    piece = cut_out(dots(place, (900, 700)), np.array([300.0, 100, 520, 420]), 400)
    picture = decoded(piece.jpeg)[..., 0].astype(float) - 20
    assert piece.shrunk == 2
    picture = np.where(picture > 40, picture, 0)
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    centre = np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum()
    np.testing.assert_allclose(centre, piece.here(place)[0], atol=0.1)


def test_people_come_back_as_they_were_cut_out(tmp_path: Path) -> None:
    source = RenderedSource(folder_of(tmp_path, 2))
    assert len(source) == 6
    assert source.recordings.tolist() == [0, 0, 0, 1, 1, 1]
    person = source.person(4)
    shown = person.visibility != UNLABELLED
    assert shown.sum() == 31
    cells = np.round(person.xy[shown]).astype(int)
    assert person.picture[cells[:, 1], cells[:, 0]].min() > 150  # dots are 220 at their tops, the ground is 20
    assert (person.box[:2] <= person.xy[shown].min(0) + 1e-6).all()


def test_whoever_is_hardly_seen_is_left_out() -> None:
    xy = np.random.default_rng(0).uniform(100, 300, (1, 33, 2))
    flags = np.full((1, 33), HIDDEN)
    flags[0, :7] = SEEN
    assert _cut(np.zeros((400, 400, 3), np.uint8), xy, flags, (0, 0)) == []


def test_scenes_are_kept_for_validation_as_a_whole(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 3)
    config = HeatmapTaskConfig(
        data=(DataConfig(kind="rendered", path=folder),),
        keypoints="blazepose33",
        loss="likelihood",
        width=0.25,
        features=16,
        degrade=1.0,
        people=4,
    )
    task = HeatmapTask(config, 0)
    assert task._sources[0].held_out.tolist() == [0, 1, 2]
    batch = task.batch(0)
    model = task.model()
    loss, figures = task.loss(model, batch)
    assert np.isfinite(float(loss.detach()))
    assert 0 <= figures["near"] <= 1
    assert set(task.validate(model.eval())) == {"not_near", "loss"}


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no rendered people"):
        RenderedSource(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not much", b"jpeg"])
def test_files_that_are_no_scenes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scene_0_0000.npz").write_bytes(content)
    with pytest.raises(FileFormatError, match="not a scene of rendered people"):
        RenderedSource(tmp_path)


def test_a_scene_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    people = _joined(scene_of_dots(0), 33)
    type(people)(**{**vars(people), "jpegs": people.jpegs[:-5]}).save(scene_path(tmp_path, 0, 0))
    with pytest.raises(FileFormatError, match="in the middle of a picture"):
        RenderedSource(tmp_path)


def test_degraded_pictures_stay_alike_and_differ() -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 48, 3)).astype(np.uint8), (0, 0), 4)
    assert degraded(picture, 0.0, np.random.default_rng(1)) is not None
    np.testing.assert_array_equal(degraded(picture, 0.0, np.random.default_rng(1)), picture)
    changed = degraded(picture, 1.0, np.random.default_rng(1))
    assert changed.shape == picture.shape
    assert changed.dtype == np.uint8
    assert (changed != picture).any()


def test_a_rendered_take_gives_its_people() -> None:
    if not SAMPLE.is_dir():
        pytest.skip("the sample sessions are not here")
    people = people_of_take(SAMPLE, every=60)
    assert len(people.lengths) >= 12  # 5 cameras, 2 moments, 2 people, some of whom hide each other
    assert np.isfinite(people.xy[people.visibility == SEEN]).all()
    assert set(people.place[:, 2]) == {0, 1}


@pytest.mark.slow
def test_scenes_are_the_same_each_time_and_show_people() -> None:
    """The scene's making alone is compared, filming once: it takes half a minute."""
    scene, again = make_scene(0, 3), make_scene(0, 3)
    np.testing.assert_array_equal(scene.times, again.times)
    assert scene.config == again.config
    people = render_people(scene)
    assert len(people.lengths) > 30
    sides = (people.box[:, 2:] - people.box[:, :2]).max(-1)
    assert sides.min() > 20
