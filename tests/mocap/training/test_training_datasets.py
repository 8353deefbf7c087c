"""COCO, Human3.6M and CMU Panoptic in their official layouts, as samples for training."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from dataset_worlds import human36m_pixels, write_coco, write_human36m, write_panoptic
from mocap.core.errors import FileFormatError, InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.io.coco_keypoints import read_coco_keypoints
from mocap.training.datasets.cmu_panoptic import PanopticSource
from mocap.training.datasets.coco import CocoSource
from mocap.training.datasets.human36m import Human36mSource
from mocap.training.datasets.labelled_people import SEEN, PeopleSource
from mocap.training.datasets.multiview import MultiviewSource, multiview_batch
from mocap.training.heatmap_task import DataConfig, HeatmapTask, HeatmapTaskConfig
from running_mocap import invoke, results

COCO = load_keypoint_set("coco17")


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    root = tmp_path_factory.mktemp("coco")
    return root, write_coco(root)


@pytest.fixture(scope="module")
def human36m(tmp_path_factory):
    root = tmp_path_factory.mktemp("human36m")
    return root, write_human36m(root)


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory):
    root = tmp_path_factory.mktemp("panoptic")
    return root, write_panoptic(root)


def test_coco_keeps_flags_boxes_and_people_worth_learning_from(coco):
    root, written = coco
    source = CocoSource(root, "val2017")
    assert isinstance(source, PeopleSource)
    assert source.keypoint_set == COCO
    assert len(source) == 2, "a crowd, somebody tiny and somebody with two keypoints are left out"
    person, annotation = source.person(0), written["annotations"][0]
    x, y, width, height = annotation["bbox"]
    np.testing.assert_allclose(person.box, [x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5])
    triples = np.array(annotation["keypoints"]).reshape(17, 3)
    np.testing.assert_array_equal(person.visibility, triples[:, 2])
    np.testing.assert_array_equal(np.isnan(person.xy[:, 0]), triples[:, 2] == 0)
    shown = person.visibility == SEEN
    np.testing.assert_array_equal(person.xy[shown], triples[shown, :2])
    x, y = np.round(person.xy[shown]).astype(int).T
    assert (person.picture[y, x, 1] > 170).mean() > 0.9, "the dots of the picture are at the keypoints"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda c: c["annotations"][0].update(keypoints=[1, 2, 2]),
            r"annotations\[0\].keypoints: 3 numbers, expected 51",
        ),
        (lambda c: c["annotations"][0]["keypoints"].__setitem__(2, 7), "flags must be 0, 1 or 2"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), r"annotations\[0\].bbox: 3 numbers, expected 4"),
        (lambda c: c["annotations"][1].update(image_id=99), "image_id 99 is not among the images"),
        (lambda c: c["images"][0].update(file_name="../../secret.jpg"), "leads out of the data set"),
        (lambda c: c["categories"][0].pop("keypoints"), "no category has keypoints. Use person_keypoints"),
        (lambda c: c.pop("images"), "images is missing"),
    ],
)
def test_coco_files_that_are_wrong_are_refused(coco, tmp_path, damage, message):
    content = json.loads(json.dumps(coco[1]))
    damage(content)
    path = tmp_path / "person_keypoints_val2017.json"
    path.write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=message):
        read_coco_keypoints(path)


def test_coco_that_is_not_there_is_named(coco, tmp_path):
    with pytest.raises(InputError, match="has no pictures of train2017. Unpack train2017.zip there"):
        CocoSource(coco[0], "train2017")
    with pytest.raises(InputError, match="val2017 has nobody with 18 labelled keypoints"):
        CocoSource(coco[0], "val2017", least_keypoints=18)


def test_human36m_gives_every_view_that_is_there(human36m):
    root, written = human36m
    source = Human36mSource(root, ("S1", "S11"))
    assert isinstance(source, PeopleSource)
    assert isinstance(source, MultiviewSource)
    assert len(source) == 2 * 3 * 4 - 1
    assert (source.keypoint_set.names[6], source.keypoint_set.names[0]) == ("hip", "right_ankle")
    assert "nose" not in source.keypoint_set.names, "theirs lies between neck and nose"
    person = source.person(5)
    record = written["table"][1]
    np.testing.assert_allclose(person.xy, human36m_pixels(written["cameras"][0, 1], record["keypoints"]), atol=1e-3)
    assert person.picture.shape == (100, 100, 3)
    x, y = np.clip(np.round(person.xy), 0, 99).astype(int).T
    assert (person.picture[y, x, 1] > 170).mean() > 0.8


def test_panoptic_gives_every_view_that_shows_somebody(panoptic):
    root, _ = panoptic
    source = PanopticSource(root, cameras=("00_01", "00_10"))
    assert len(source) == 4 * 2, "four people at three moments, two cameras"
    assert len(PanopticSource(root, cameras=("00_01", "00_10"), alone=True)) == 2 * 2
    person = source.person(0)
    assert (person.visibility == SEEN).sum() == 18, "the left eye is not labelled"
    known = person.xy[np.isfinite(person.xy).all(-1)]
    x, y = np.round(known).astype(int).T
    assert (person.picture[y, x, 1] > 170).mean() > 0.8


def test_moments_come_in_batches_with_as_many_views_as_all_have(human36m):
    source = Human36mSource(human36m[0], ("S11",))
    frames = [source.frame(i, size=(64, 64)) for i in range(3)]
    assert [len(frame.cameras) for frame in frames] == [3, 4, 4]
    batch = multiview_batch(frames)
    assert batch.pictures.shape == (3, 3, 3, 64, 64)
    assert batch.known.all()
    np.testing.assert_allclose(batch.projections[1].numpy(), frames[1].projections[:3], rtol=1e-6)
    two = multiview_batch(frames[1:], np.random.default_rng(0), views=2)
    assert two.pictures.shape[:2] == (2, 2)
    given = torch.from_numpy(frames[1].projections).float()
    assert all((given == projection).flatten(1).all(1).any() for projection in two.projections[0])
    with pytest.raises(InputError, match="a moment with 3 views; points in space need 2"):
        multiview_batch(frames, views=1)


@pytest.fixture(scope="module")
def mixture(coco, human36m, panoptic):
    data = (
        DataConfig(kind="coco", path=coco[0], split="val2017", share=2.0),
        DataConfig(kind="human36m", path=human36m[0], names=("S1",)),
        DataConfig(kind="cmu_panoptic", path=panoptic[0], every=2),
    )
    crop = {"size": (64, 64), "sigma_cells": 1.5}
    return HeatmapTaskConfig(data=data, people=4, width=0.25, crop=crop, validation_people=6)  # type: ignore[arg-type]


def test_a_mixture_of_data_sets_trains_one_network(mixture):
    torch.manual_seed(0)
    task = HeatmapTask(mixture, seed=3)
    batch = task.batch(0, rank=0, world=1)
    assert batch.pictures.shape == (4, 3, 64, 64)
    assert batch.heatmaps.shape == (4, 17, 16, 16)
    again = HeatmapTask(mixture, seed=3).batch(0, rank=0, world=1)
    assert torch.equal(batch.pictures, again.pictures)
    assert torch.equal(batch.heatmaps, again.heatmaps)
    assert not torch.equal(batch.pictures, task.batch(1, rank=0, world=1).pictures)
    assert not torch.equal(batch.pictures, task.batch(0, rank=1, world=2).pictures)
    model = task.model()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(6):
        loss, figures = task.loss(model, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert 0 <= figures["near"] <= 1
    validation = task.validate(model.eval())
    assert list(validation) == ["not_near", "loss"]
    assert task.validate(model) == validation


def test_training_never_sees_who_is_kept(mixture):
    task = HeatmapTask(mixture, seed=1)
    for source in task._sources:
        assert not set(source.trained.tolist()) & set(source.held_out.tolist())
        assert len(source.trained) + len(source.held_out) == len(source.people)
        assert len(source.held_out)


def test_other_processes_open_the_data_for_themselves(mixture):
    task = HeatmapTask(mixture, seed=3)
    batch = task.batch(2, rank=0, world=1)
    copied = pickle.dumps(task)
    assert len(copied) < 5000
    assert torch.equal(pickle.loads(copied).batch(2, rank=0, world=1).pictures, batch.pictures)


@pytest.mark.parametrize("network", ["mobile", "resnet"])
def test_the_network_gives_the_keypoints_that_are_asked_for(network):
    task = HeatmapTask(HeatmapTaskConfig(network=network, keypoints="halpe26", width=0.25, depth=18))
    assert task.model().final_layer.out_channels == 26


@pytest.mark.slow
def test_mocap_train_makes_a_heatmap_network(coco, tmp_path):
    data = f"[{{kind='coco', path='{coco[0].as_posix()}', split='val2017'}}]"
    settings = {"task.data": data, "task.people": 2, "task.width": 0.25, "task.crop.size": "[64, 64]"}
    settings |= {"schedule.steps": 2, "validations": 1, "threads": 1, "device": "cpu"}
    given = [argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")]
    document = results(invoke("train", "heatmap", "-o", tmp_path / "run", "--json", *given))
    assert next(iter(document["best"])) == "not_near"
    assert (tmp_path / "run" / "weights.safetensors").is_file()
