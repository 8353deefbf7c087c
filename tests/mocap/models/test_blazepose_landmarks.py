import numpy as np
import pytest

from mocap.models.blazepose_landmarks import decode_landmarks, refine_by_heatmap

EMPTY = -20.0


def naive(xy, logits, kernel):
    """Point by point, cell by cell, as the calculator's description has it."""
    refined = xy.copy()
    half = (kernel - 1) // 2
    for k, (x, y) in enumerate(xy):
        column, row = int(np.floor(x / 4)), int(np.floor(y / 4))
        if not (0 <= column < 64 and 0 <= row < 64):
            continue
        total, peak, centroid = 0.0, 0.0, np.zeros(2)
        for r in range(max(0, row - half), min(64, row + half + 1)):
            for c in range(max(0, column - half), min(64, column + half + 1)):
                weight = 1 / (1 + np.exp(-float(logits[r, c, k])))
                total, peak = total + weight, max(peak, weight)
                centroid += weight * np.array([c, r])
        if peak >= 0.5:
            refined[k] = 4 * centroid / total
    return refined


@pytest.mark.parametrize("kernel", [3, 7, 9])
def test_equals_the_naive_twin(kernel):
    rng = np.random.default_rng(kernel)
    logits = rng.normal(-3, 2.2, (64, 64, 39)).astype(np.float32)
    xy = rng.uniform(-30, 290, (39, 2))
    xy[:4] = [[0, 0], [255.9, 255.9], [0.5, 130], [-0.1, 100]]
    refined = refine_by_heatmap(xy, logits, kernel)
    assert refined == pytest.approx(naive(xy, logits, kernel))
    moved = (refined != xy).any(-1)
    assert moved.any(), "some peaks are sure"
    assert not moved.all(), "some are not, or lie outside"


def heatmaps_with(row: int, column: int, logit: float) -> np.ndarray:
    logits = np.full((64, 64, 39), EMPTY, np.float32)
    logits[row, column] = logit
    return logits


def test_a_sharp_peak_takes_the_point():
    """The 48 empty cells weigh 48 e^-20 = 1e-7 of the peak together."""
    refined = refine_by_heatmap(np.tile([100.0, 60.0], (39, 1)), heatmaps_with(17, 26, 30.0))
    assert refined == pytest.approx(np.tile([104.0, 68.0], (39, 1)), abs=1e-5)


def test_a_weak_or_distant_peak_does_not():
    xy = np.tile([100.0, 60.0], (39, 1))
    assert refine_by_heatmap(xy, heatmaps_with(17, 26, -0.01)) == pytest.approx(xy)
    assert refine_by_heatmap(xy, heatmaps_with(15, 29, 30.0)) == pytest.approx(xy), "cell 25 reaches to 28"


def test_decoding_the_three_outputs():
    raw = np.zeros((39, 5), np.float32)
    raw[:, 0], raw[:, 1], raw[:, 3], raw[:, 4] = np.arange(39), 7, 2.0, -1.0
    crop = decode_landmarks(raw.reshape(-1), np.array([0.75], np.float32), heatmaps_with(0, 0, -5.0))
    assert crop.xy[:, 0] == pytest.approx(np.arange(39))
    assert crop.xy[:, 1] == pytest.approx(7)
    visible, present = 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(1))
    assert crop.confidence == pytest.approx(visible * present)
    assert crop.pose_presence == 0.75


def test_heatmaps_are_probabilities_with_the_keypoint_first():
    raw, presence = np.zeros(195, np.float32), np.ones(1, np.float32)
    maps = decode_landmarks(raw, presence, heatmaps_with(12, 40, 30.0)).heatmaps()
    assert maps.shape == (39, 64, 64)
    assert maps.dtype == np.float16
    assert np.unravel_index(maps[5].argmax(), (64, 64)) == (12, 40)
    assert maps[5].max() == 1


def test_without_refinement_the_points_are_the_networks():
    raw = np.arange(195, dtype=np.float32)
    crop = decode_landmarks(raw, np.ones(1, np.float32), heatmaps_with(3, 3, 30.0), kernel=0)
    assert crop.xy == pytest.approx(raw.reshape(39, 5)[:, :2])
