from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the networks of these tests are made with the onnx package")

from onnx import TensorProto
from onnx_worlds import Graph, heatmap_network, network_with_outputs

from mocap.core.errors import FileFormatError
from mocap.models.onnx_model import OnnxModel
from mocap.models.onnx_pose import HeatmapHead, SimccHead, dark_offsets, grid_of, peak_of, recognise_head


def gaussians(centers: np.ndarray, sigma: np.ndarray | float, size: tuple[int, int]) -> np.ndarray:
    """(K, h, w) float32 heatmaps with their peaks at `centers` (cells)."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    d2 = (x - centers[:, 0, None, None]) ** 2 + (y - centers[:, 1, None, None]) ** 2
    return np.exp(-d2 / (2 * np.broadcast_to(sigma, len(centers))[:, None, None] ** 2)).astype(np.float32)


def peaks(heatmaps: np.ndarray) -> np.ndarray:
    rows, columns = np.unravel_index(heatmaps.reshape(len(heatmaps), -1).argmax(-1), heatmaps.shape[1:])
    return np.stack([columns, rows], -1) + dark_offsets(heatmaps, columns, rows)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_dark_lands_on_the_centre_of_a_gaussian(sigma: float):
    centers = np.random.default_rng(0).uniform([16, 16], [32, 48], (40, 2))
    # float32 values near the peak carry 6e-8, and a log-parabola of curvature 1 / (sigma² + 4) divides by it: 1e-6;
    # the smoothing kernel ends at 4 sigma, where 3e-4 of its weight is cut off and re-normalised
    np.testing.assert_allclose(peaks(gaussians(centers, sigma, (48, 64))), centers, atol=2e-3)


def test_dark_beats_the_highest_cell_by_far_with_noise():
    rng = np.random.default_rng(1)
    centers = rng.uniform([16, 16], [32, 48], (300, 2))
    noisy = gaussians(centers, 2.0, (48, 64)) + rng.normal(0, 0.02, (300, 64, 48)).astype(np.float32)
    highest = np.stack(np.unravel_index(noisy.reshape(300, -1).argmax(-1), (64, 48))[::-1], -1)
    assert np.sqrt(((peaks(noisy) - centers) ** 2).mean()) < 0.1
    assert np.sqrt(((highest - centers) ** 2).mean()) > 0.28  # 1 / sqrt(12) is what whole cells cost without noise


def test_an_elongated_turned_peak_needs_the_mixed_derivative():
    x, y = np.meshgrid(np.arange(48), np.arange(64))
    dx, dy = x - 20.3, y - 30.4
    heatmap = np.exp(-(dx**2 + dy**2 - 1.2 * dx * dy) / 8).astype(np.float32)[None]
    np.testing.assert_allclose(peaks(heatmap), [[20.3, 30.4]], atol=2e-3)


@pytest.mark.parametrize("cell", [(0, 5), (47, 5), (5, 0), (5, 63)])
def test_at_the_border_the_cell_itself_is_taken(cell: tuple[int, int]):
    heatmap = np.zeros((1, 64, 48), dtype=np.float32)
    heatmap[0, cell[1], cell[0]] = 1.0
    np.testing.assert_array_equal(peaks(heatmap), [cell])


def test_flat_and_empty_heatmaps_stay_in_their_cell():
    flat = np.stack([np.zeros((64, 48)), np.ones((64, 48)), np.full((64, 48), -1.0)]).astype(np.float32)
    columns = rows = np.full(3, 20)
    np.testing.assert_array_equal(dark_offsets(flat, columns, rows), 0.0)
    assert dark_offsets(np.zeros((0, 64, 48), dtype=np.float32), columns[:0], rows[:0]).shape == (0, 2)


@pytest.mark.parametrize("sigma", [3.0, 5.66])
def test_a_histograms_peak_is_found_between_bins(sigma: float):
    centers = np.random.default_rng(2).uniform(40, 340, 200)
    histograms = np.exp(-((np.arange(384) - centers[:, None]) ** 2) / (2 * sigma**2))
    # the smoothing kernel is cut off at 4 sigma, beyond which 6e-5 of it lie
    np.testing.assert_allclose(peak_of(histograms, 5.0), centers, atol=1e-3)
    np.testing.assert_array_equal(peak_of(histograms, 0.0), np.round(centers))


def test_noise_moves_a_histograms_peak_little():
    rng = np.random.default_rng(3)
    centers = rng.uniform(40, 340, 1000)
    histograms = np.exp(-((np.arange(384) - centers[:, None]) ** 2) / (2 * 5.66**2)) + rng.normal(0, 0.03, (1000, 384))
    # the slope of noise of 0.03 smoothed by 5 bins is 0.03 / (2 pi^(1/4) 5^(3/2)) = 1.0e-3, the peak's curvature
    # 5.66 / (5.66² + 5²)^(3/2) = 0.013: 0.08 bins
    error = peak_of(histograms, 5.0) - centers
    assert np.sqrt((error**2).mean()) == pytest.approx(0.08, abs=0.02)


def test_a_peak_at_the_end_stays_there():
    histograms = np.zeros((2, 100))
    histograms[0, 0] = histograms[1, 99] = 1.0
    np.testing.assert_array_equal(peak_of(histograms, 5.0), [0, 99])


@pytest.mark.parametrize(
    ("size", "shapes", "head"),
    [
        (
            (192, 256),
            {"simcc_x": [1, 17, 384], "simcc_y": [1, 17, 512]},
            SimccHead("simcc_x", "simcc_y", 17, (2.0, 2.0)),
        ),
        ((192, 256), {"a": [1, 26, 512], "b": [1, 26, 384]}, SimccHead("b", "a", 26, (2.0, 2.0))),
        ((288, 384), {"x": [1, 133, 864], "y": [1, 133, 1152]}, SimccHead("x", "y", 133, (3.0, 3.0))),
        ((256, 256), {"x": [1, 21, 512], "y": [1, 21, 512]}, SimccHead("x", "y", 21, (2.0, 2.0))),
        ((192, 256), {"output": [1, 17, 64, 48]}, HeatmapHead("output", 17, (48, 64))),
        ((288, 384), {"heatmaps": [1, 133, 96, 72]}, HeatmapHead("heatmaps", 133, (72, 96))),
    ],
)
def test_heads_are_recognised(tmp_path: Path, size, shapes: dict, head):
    model = OnnxModel(network_with_outputs(tmp_path / "m.onnx", shapes, size=size), default_size=(1, 1))
    assert recognise_head(model) == head


@pytest.mark.parametrize(
    "shapes",
    [
        {"x": [1, 17, 384], "y": [1, 17, 384]},
        {"x": [1, 17, 384], "y": [1, 18, 512]},
        {"x": [1, 17, 384], "y": [1, 17, 512], "visible": [1, 17]},
        {"keypoints": [1, 17, 3]},
        {"heatmaps": [1, 17, 48, 64]},
        {"a": [1, 17, 64, 48], "b": [1, 17, 64, 48]},
        {"dets": [1, 100, 5], "labels": [1, 100]},
    ],
)
def test_unknown_heads_are_listed_with_what_is_supported(tmp_path: Path, shapes: dict):
    path = network_with_outputs(tmp_path / "m.onnx", shapes)
    with pytest.raises(FileFormatError) as caught:
        recognise_head(OnnxModel(path, default_size=(1, 1)))
    for name, shape in shapes.items():
        assert f"{name} ({', '.join(map(str, shape))})" in str(caught.value)
    assert "Supported: SimCC, two outputs" in str(caught.value)


def attention_network(path: Path) -> Path:
    g = Graph()
    pooled = g.op("AveragePool", "input", kernel_shape=[4, 4], strides=[4, 4])
    g.op("Softmax", pooled, to="heatmaps", axis=3)
    return g.save(path, [1, 3, 256, 192], {"heatmaps": (TensorProto.FLOAT, [1, 3, 64, 48])})


def test_which_map_a_network_was_trained_with(tmp_path: Path):
    def grid(path: Path) -> str:
        model = OnnxModel(path, default_size=(1, 1))
        return grid_of(model, recognise_head(model))

    size = (192, 256)
    assert grid(heatmap_network(tmp_path / "hrnet.onnx", grid="stride", size=size)) == "stride"
    assert grid(heatmap_network(tmp_path / "hrnet-w48-udp.onnx", grid="udp", size=size)) == "udp"
    assert grid(heatmap_network(tmp_path / "vitpose-b.onnx", grid="udp", size=size)) == "udp"
    assert grid(attention_network(tmp_path / "model.onnx")) == "udp"
    simcc = {"x": [1, 17, 384], "y": [1, 17, 512]}
    assert grid(network_with_outputs(tmp_path / "rtmpose-udp.onnx", simcc)) == "stride"
