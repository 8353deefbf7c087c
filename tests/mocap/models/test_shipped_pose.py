"""The small heatmap network as it is shipped: read back, refused when tampered with, its places and chances right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mocap.core.errors import FileFormatError
from mocap.models.convert_sources import write_safetensors
from mocap.models.mobile_pose import MobilePose, MobilePoseConfig
from mocap.models.onnx_crop import crop_of
from mocap.models.onnx_pose import HeatmapHead
from mocap.models.openvino_runtime import CompiledModel, cpu_core
from mocap.models.pose_resnet import PoseResNet, PoseResNetConfig
from mocap.models.shipped_pose import (
    SHIPPED,
    ChanceMaps,
    ShippedPose,
    ShippedPoseNetwork,
    chance_near_top,
    read_chances,
    write_pose,
)

WEIGHTS = Path(__file__).parents[3] / "mocap" / "weights"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """An untrained network of 33 keypoints and crops of 96×64."""
    folder = tmp_path_factory.mktemp("pose")
    torch.manual_seed(0)
    write_safetensors(MobilePose(MobilePoseConfig(33, 0.25, 16)).eval(), folder / "run.safetensors")
    write_pose(
        folder / "run.safetensors", folder / "mine.safetensors", keypoints="blazepose33", size=(96, 64), padding=1.25
    )
    return folder / "mine.safetensors"


def test_openvino_gives_the_chances_that_torch_gives(written: Path) -> None:
    """float32 on both sides, sums of a few hundred terms: 1e-5 of chances up to 1."""
    pose = ShippedPose(written)
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    ((found,),) = CompiledModel(cpu_core(), pose.graph(), threads=1, precision="f32").infer([picture])
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    normalised = torch.from_numpy(((picture - mean) / std).astype(np.float32)).movedim(-1, 0)[None]
    with torch.no_grad():
        expected = ChanceMaps(pose.network)(normalised)[0].numpy()
    assert found.shape == (33, 16, 24)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.sum((1, 2)), 1, atol=1e-4)


def test_places_come_back_in_image_pixels() -> None:
    """A Gaussian of chances about a place in the crop is read at that place of the image, to a twentieth of a cell."""
    box = np.array([200.0, 100, 500, 700])
    crop = crop_of(box, (96, 96), padding=1.25, grid="pixel_centre")
    place = np.array([[310.0, 420.0], [402.5, 233.0]])
    cells = ((place @ crop.picture_from_image[:, :2].T + crop.picture_from_image[:, 2]) + 0.5) / 4 - 0.5
    x, y = np.arange(24), np.arange(24)[:, None]
    maps = np.stack([np.exp(-((x - a) ** 2 + (y - b) ** 2) / 2) for a, b in cells]).astype(np.float32)
    maps /= maps.sum((1, 2), keepdims=True)
    pose = read_chances(maps, crop, HeatmapHead("heatmaps", 2, (24, 24)))
    cell_px = 4 / crop.picture_from_image[0, 0]
    np.testing.assert_allclose(pose.xy, place, atol=0.05 * cell_px)
    assert (pose.confidence > 0.9).all()  # within 2.4 cells of a top with σ 1: 1 - exp(-2.4²/2) = 0.94, on a grid
    assert pose.heatmaps is not None
    tops = pose.heatmaps.max((1, 2))
    assert ((tops > 0.75) & (tops <= 1)).all()  # exp(-d²/2) at the nearest cell, at most 0.71 cells away: 0.78


def test_confidence_is_the_chance_about_the_top() -> None:
    maps = np.full((2, 20, 20), 0.0)
    maps[0, 5, 7] = 0.6
    maps[0, 5, 15] = 0.4
    maps[1] = 1 / 400
    maps[1, 10, 10] += 1e-6
    near = sum(dx * dx + dy * dy <= 4 for dx in range(-2, 3) for dy in range(-2, 3))
    np.testing.assert_allclose(chance_near_top(maps), [0.6, near / 400], atol=1e-5)


def test_large_people_are_averaged_before_they_are_small() -> None:
    """Stripes of one pixel shrunk to a tenth: grey everywhere, where bilinear sampling alone gives black and white."""
    image = np.zeros((1000, 900, 3), np.uint8)
    image[:, ::2] = 200
    crop = crop_of(np.array([100.0, 100, 700, 800]), (64, 64), padding=1.0, grid="pixel_centre")
    inner = crop.averaged_picture_of(image)[8:-8, 8:-8]
    assert abs(float(inner.mean()) - 100) < 3
    assert float(inner.std()) < 12


def test_shrinking_does_not_move_anything() -> None:
    """A wide soft dot keeps its place, to a twentieth of a pixel of the crop."""
    x, y = np.arange(900), np.arange(1000)[:, None]
    image = np.repeat((220 * np.exp(-((x - 377) ** 2 + (y - 512) ** 2) / (2 * 40**2)))[..., None], 3, -1).astype(
        np.uint8
    )
    crop = crop_of(np.array([110.0, 103, 707, 806]), (64, 64), padding=1.1, grid="pixel_centre")
    light = crop.averaged_picture_of(image)[..., 0].astype(float)
    rows, columns = np.mgrid[:64, :64]
    found = np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()
    expected = crop.picture_from_image[:, :2] @ [377, 512] + crop.picture_from_image[:, 2]
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_people_are_estimated_in_their_boxes(written: Path) -> None:
    network = ShippedPoseNetwork(ShippedPose(written), threads=1)
    image = np.random.default_rng(1).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    one, other = network.estimate([image, image], [np.array([50.0, 40, 150, 240]), np.array([200.0, 10, 260, 200])])
    assert one.xy.shape == (33, 2)
    assert network.n_keypoints == 33
    assert np.isfinite(other.xy).all()
    assert network.estimate([], []) == []


def test_tampered_weights_are_refused(written: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    content = bytearray(written.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    (tmp_path / "mine.json").write_text(written.with_suffix(".json").read_text())
    with pytest.raises(FileFormatError, match="has SHA-256"):
        ShippedPose(path)


@pytest.mark.parametrize("change", [{"padding": -1}, {"keypoints": None}, {"unknown": 1}])
def test_descriptions_that_make_no_sense_are_refused(written: Path, tmp_path: Path, change: dict) -> None:
    (tmp_path / "mine.safetensors").write_bytes(written.read_bytes())
    told = json.loads(written.with_suffix(".json").read_text()) | change
    (tmp_path / "mine.json").write_text(json.dumps(told))
    with pytest.raises(FileFormatError, match="does not describe a pose network"):
        ShippedPose(tmp_path / "mine.safetensors")


def test_sizes_that_the_network_cannot_halve_are_refused(written: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(written.read_bytes())
    told = json.loads(written.with_suffix(".json").read_text()) | {"size": [100, 96]}
    (tmp_path / "mine.json").write_text(json.dumps(told))
    with pytest.raises(FileFormatError, match="multiple of 32"):
        ShippedPose(tmp_path / "mine.safetensors")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        ShippedPose(tmp_path / "none.safetensors")


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "resnet.safetensors"
    write_safetensors(PoseResNet(PoseResNetConfig(18, 17)), source)
    with pytest.raises(FileFormatError, match="no small heatmap network"):
        write_pose(source, tmp_path / "out.safetensors", keypoints="coco17", size=(96, 96), padding=1.0)


@pytest.mark.skipif(not (WEIGHTS / f"{SHIPPED}.safetensors").is_file(), reason="no weights of that name yet")
def test_the_shipped_network_is_small_and_described() -> None:
    pose = ShippedPose()
    assert pose.path.stat().st_size <= 12e6
    assert len(pose.keypoint_set) == pose.about.config["joints"]
    assert pose.path.with_suffix(".md").is_file()
