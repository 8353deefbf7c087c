"""Crops of labelled people: where pixels and keypoints go, and what flips, hidden and unlabelled keypoints become."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mocap.core.errors import InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.geometry.heatmaps import heatmap_from_image
from mocap.training.datasets.heatmap_samples import (
    MEAN,
    STD,
    CropConfig,
    crop_affine,
    heatmap_batch,
    heatmap_sample,
    warp,
)
from mocap.training.datasets.labelled_people import HIDDEN, SEEN, UNLABELLED, LabelledPerson, box_of, renamed

COCO = load_keypoint_set("coco17")
PLAIN = CropConfig(size=(96, 128), padding=1.2, scale=1.0, rotation_deg=0.0, shift=0.0, flip=0.0, colour=0.0, erase=0.0)


def dotted(seed: int = 0, size: tuple[int, int] = (300, 260), shrink: float = 1.0) -> LabelledPerson:
    """A person whose k-th keypoint is a soft dot of its own brightness, blurred enough to be located."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform([60, 50], [230, 210], (17, 2)) * shrink
    width, height = (int(n * shrink) for n in size)
    x, y = np.arange(width), np.arange(height)[:, None]
    spots = [np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * (4 * shrink) ** 2)) for a, b in xy]
    picture = np.repeat(np.clip(sum(spots) * 220, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)
    return LabelledPerson(picture, xy, np.full(17, SEEN), box_of(xy))


def spot_near(picture: np.ndarray, xy: np.ndarray, radius: int = 3) -> np.ndarray:
    """The centre of brightness about a place."""
    x0, y0 = np.round(xy).astype(int) - radius
    window = picture[y0 : y0 + 2 * radius + 1, x0 : x0 + 2 * radius + 1, 0].astype(float) ** 4
    rows, columns = np.mgrid[y0 : y0 + 2 * radius + 1, x0 : x0 + 2 * radius + 1]
    return np.array([(columns * window).sum(), (rows * window).sum()]) / window.sum()


def lonely(person: LabelledPerson) -> np.ndarray:
    """Keypoints whose dot no other dot overlaps."""
    apart = np.linalg.norm(person.xy[:, None] - person.xy[None], axis=-1) + 1e9 * np.eye(17)
    return np.flatnonzero(apart.min(0) > 25)


def test_boxes_reach_the_edges_by_the_convention_of_the_heatmaps():
    """The affine of a box without padding is `heatmap_from_image` of the architecture, at the picture's size."""
    box = np.array([20.0, -7.5, 116.0, 120.5])
    exact = CropConfig(size=(96, 128), padding=1.0)
    affine = crop_affine(box, exact)
    xy = np.random.default_rng(1).uniform(0, 100, (5, 2))
    expected = heatmap_from_image(torch.from_numpy(xy), torch.from_numpy(box), (96, 128)).numpy()
    np.testing.assert_allclose(xy @ affine[:, :2].T + affine[:, 2], expected, atol=1e-9)


@pytest.mark.parametrize("shrink", [1.0, 3.3], ids=["enlarged or alike", "shrunk threefold"])
def test_what_is_seen_lies_where_the_cells_say(shrink):
    """Half a pixel of a wrong convention at stride 4 would be an eighth of a cell; dots are found to 0.1 px."""
    person = dotted(shrink=shrink)
    sample = heatmap_sample(person, PLAIN)
    places = person.xy @ sample.picture_from_image[:, :2].T + sample.picture_from_image[:, 2]
    np.testing.assert_allclose(sample.cells, (places + 0.5) / 4 - 0.5, atol=1e-12)
    checked = lonely(dotted())
    assert len(checked) > 5
    for k in checked:
        np.testing.assert_allclose(spot_near(sample.picture, places[k]), places[k], atol=0.12)


def test_augmented_dots_move_with_their_labels():
    person, config = dotted(), CropConfig(size=(128, 128), flip=1.0, colour=0.0, erase=0.0, scale=1.1, shift=0.05)
    sample = heatmap_sample(person, config, np.random.default_rng(4), COCO.mirror_permutation)
    moved = person.xy @ sample.picture_from_image[:, :2].T + sample.picture_from_image[:, 2]
    assert np.linalg.det(sample.picture_from_image[:, :2]) < 0, "mirrored"
    mirror = COCO.mirror_permutation
    for k in lonely(person):
        twin = int(np.flatnonzero(mirror == k)[0])
        if (moved[k] > 6).all() and (moved[k] < 121).all():
            np.testing.assert_allclose(sample.cells[twin], (moved[k] + 0.5) / 4 - 0.5, atol=1e-9)
            np.testing.assert_allclose(spot_near(sample.picture, moved[k], 2), moved[k], atol=0.25)


def test_a_flip_exchanges_left_and_right_and_their_flags():
    person = dotted()
    flags = np.full(17, SEEN)
    flags[COCO.index("left_wrist")] = HIDDEN
    person = LabelledPerson(person.picture, person.xy, flags, person.box)
    config = PLAIN.model_copy(update={"flip": 1.0, "hidden_weight": 0.25})
    plain = heatmap_sample(person, PLAIN.model_copy(update={"hidden_weight": 0.25}))
    flipped = heatmap_sample(person, config, np.random.default_rng(0), COCO.mirror_permutation)
    np.testing.assert_array_equal(flipped.picture, plain.picture[:, ::-1])
    left, right = COCO.index("left_wrist"), COCO.index("right_wrist")
    np.testing.assert_allclose(flipped.cells[right], [(96 / 4 - 1) - plain.cells[left, 0], plain.cells[left, 1]])
    assert (plain.weight[left], plain.weight[right]) == (0.25, 1.0)
    assert (flipped.weight[right], flipped.weight[left]) == (0.25, 1.0)


def test_targets_peak_at_the_cells_and_are_empty_without_a_label():
    person = dotted()
    xy, flags = person.xy.copy(), person.visibility.copy()
    xy[3], flags[3] = np.nan, UNLABELLED
    xy[4] = [2.0, 3.0]  # in the picture, outside the crop
    sample = heatmap_sample(LabelledPerson(person.picture, xy, flags, person.box), PLAIN)
    assert list(np.flatnonzero(sample.weight == 0)) == [3, 4]
    assert np.isnan(sample.cells[[3, 4]]).all()
    batch = heatmap_batch([sample, sample], PLAIN)
    assert batch.heatmaps.shape == (2, 17, 32, 24)
    assert not batch.heatmaps[:, 3:5].any()
    for k in range(5, 17):
        row, column = divmod(int(batch.heatmaps[0, k].argmax()), 24)
        np.testing.assert_allclose([column, row], sample.cells[k], atol=0.51)
    expected = (sample.picture[7, 9] / 255 - MEAN) / STD
    np.testing.assert_allclose(batch.pictures[1, :, 7, 9].numpy(), expected, rtol=1e-5)


def test_shrinking_averages_instead_of_flickering():
    stripes = np.zeros((240, 240, 3), np.uint8)
    stripes[:, ::2] = 200
    shrunk = warp(stripes, np.array([[0.25, 0, 0], [0, 0.25, 0]]), (60, 60))
    assert np.abs(shrunk[2:-2, 2:-2].astype(int) - 100).max() <= 2


def test_the_same_generator_makes_the_same_sample():
    config = CropConfig(size=(64, 64))
    first, second = (heatmap_sample(dotted(), config, np.random.default_rng(7), COCO.mirror_permutation) for _ in "ab")
    np.testing.assert_array_equal(first.picture, second.picture)
    np.testing.assert_array_equal(first.cells, second.cells)
    other = heatmap_sample(dotted(), config, np.random.default_rng(8), COCO.mirror_permutation)
    assert not np.array_equal(first.picture, other.picture)


def test_keypoints_are_taken_by_name():
    person = dotted()
    got = renamed(person, COCO.names, ("hip", "left_ankle", "nose"))
    np.testing.assert_array_equal(got.visibility, [UNLABELLED, SEEN, SEEN])
    np.testing.assert_array_equal(got.xy[1], person.xy[COCO.index("left_ankle")])
    assert np.isnan(got.xy[0]).all()


def test_flags_and_places_must_agree():
    person = dotted()
    with pytest.raises(InputError, match="must be NaN and have the flag 0, both or neither"):
        LabelledPerson(person.picture, person.xy, np.zeros(17, int), person.box)
    with pytest.raises(InputError, match="without any keypoint has no box"):
        box_of(np.full((3, 2), np.nan))
    np.testing.assert_allclose(box_of(np.array([[5.0, 6.0]])), [4, 5, 6, 7])
