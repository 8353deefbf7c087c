from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the networks of these tests are made with the onnx package")

from onnx import TensorProto
from onnx_worlds import YOLOX_LOG_WH, YOLOX_XY, Graph, network_with_outputs, two_box_network, yolox_network

from mocap.core.errors import FileFormatError
from mocap.models.onnx_model import BYTES_BGR, IMAGENET_BGR, OnnxModel
from mocap.models.onnx_person import (
    BoxLayout,
    OnnxPersonDetector,
    PersonOptions,
    YoloxLayout,
    cells,
    fit_of,
    laid_in,
    normalisation_of,
    recognise_boxes,
)

OPTIONS = PersonOptions(min_score=0.3, max_overlap=0.45, person_class=0)


def picture(size: tuple[int, int], *rectangles: tuple[int, int, int, int, int]) -> np.ndarray:
    """Black with rectangles (x0, y0, x1, y1 exclusive) of 255 in one channel of RGB."""
    image = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    for x0, y0, x1, y1, channel in rectangles:
        image[y0:y1, x0:x1, channel] = 255
    return image


def yolox_box(column: int, row: int, stride: int, scale: tuple[float, float]) -> np.ndarray:
    """The box that the test network says for a cell, in image px from the first pixel's centre."""
    center = (np.array([column, row]) + YOLOX_XY) * stride
    half = np.exp(YOLOX_LOG_WH) * stride / 2
    return np.concatenate([center - half, center + half]) / [*scale, *scale] - 0.5


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize(("side", "scale"), [(1, 1.0), (2, 0.5)])
def test_yolox_boxes_of_all_strides_in_image_pixels(tmp_path: Path, decoded: bool, side: int, scale: float):
    """Image 192x128 into 192x160: no scaling, grey below. Image 384x256: half. Cells lit in B, G and R."""
    detector = OnnxPersonDetector(
        yolox_network(tmp_path / "net.onnx", size=(192, 160), decoded=decoded), OPTIONS, threads=1
    )
    lit = {2: (8, 5, 3), 1: (16, 2, 6), 0: (32, 4, 1)}
    rectangles = [(c * s * side, r * s * side, (c + 1) * s * side, (r + 1) * s * side, channel)
                  for channel, (s, c, r) in lit.items()]  # fmt: skip
    [(boxes, scores)] = detector.detect([picture((192 * side, 128 * side), *rectangles)])
    expected = np.array([yolox_box(c, r, s, (scale, scale)) for s, c, r in lit.values()])
    far = np.array([192 * side, 128 * side] * 2) - 0.5
    expected = np.clip(expected, -0.5, far)
    # the grey below gives the lowest cells a score of 114 / 255 = 0.447, outside of the image
    bright = scores > 0.9
    order = np.lexsort(expected.T)
    found = boxes[bright]
    # float32 px of 200: 2e-5
    np.testing.assert_allclose(found[np.lexsort(found.T)], expected[order], atol=1e-4)
    np.testing.assert_allclose(scores[bright], 1.0, atol=1e-6)


def test_another_class_than_the_first_is_people(tmp_path: Path):
    path = yolox_network(tmp_path / "net.onnx", size=(192, 160))
    image = picture((192, 160), (40, 24, 48, 32, 2))
    [(_, scores)] = OnnxPersonDetector(path, PersonOptions(0.3, 0.45, 1), threads=1).detect([image])
    np.testing.assert_allclose(scores, [0.5])
    with pytest.raises(FileFormatError, match="as a person detector, its outputs are not known"):
        OnnxPersonDetector(path, PersonOptions(0.3, 0.45, 2), threads=1)


def test_overlapping_cells_leave_one_box(tmp_path: Path):
    detector = OnnxPersonDetector(yolox_network(tmp_path / "net.onnx", size=(192, 160)), OPTIONS, threads=1)
    image = picture((192, 160), (40, 24, 56, 32, 2))
    image[24:32, 48:56] = (0, 0, 200)
    [(boxes, scores)] = detector.detect([image])
    # neighbours overlap by (13.19 - 8) / (13.19 + 8) = 0.24, so both stay at 0.45 and one at 0.2
    assert len(boxes) == 2
    np.testing.assert_allclose(scores, [1.0, 200 / 255], atol=1e-6)
    strict = OnnxPersonDetector(
        yolox_network(tmp_path / "net.onnx", size=(192, 160)), PersonOptions(0.3, 0.2, 0), threads=1
    )
    assert len(strict.detect([image])[0][0]) == 1


@pytest.mark.parametrize("labels", [(0, 0), (0, 1), None])
def test_finished_boxes_are_scaled_back_by_edges(tmp_path: Path, labels: tuple[int, int] | None):
    """Image 300x500 into 192x160: scale 0.32, drawn 96x160. Whole picture px are 3.125 image px."""
    path = two_box_network(tmp_path / "rtmdet.onnx", size=(192, 160), labels=labels)
    detector = OnnxPersonDetector(path, OPTIONS, threads=1)
    [(boxes, scores)] = detector.detect([picture((300, 500), (50, 100, 200, 400, 0))])
    assert len(boxes) == 1  # the right half of the picture is grey: no area inside the image
    # an edge of the image lies up to a picture px (3.125 image px) from where the lit pixels end
    np.testing.assert_allclose(boxes[0], [49.5, 99.5, 199.5, 399.5], atol=3.2)
    assert scores[0] > 0.99


def test_a_box_in_whole_pixels_is_exact(tmp_path: Path):
    """Scale one half exactly: edges at even px stay sharp. Two people, one in each half."""
    path = two_box_network(tmp_path / "rtmdet.onnx", size=(192, 160))
    detector = OnnxPersonDetector(path, OPTIONS, threads=1)
    image = picture((384, 200), (20, 30, 100, 150, 0), (300, 4, 340, 190, 1))
    [(boxes, _)] = detector.detect([image])
    np.testing.assert_allclose(
        boxes[np.argsort(boxes[:, 0])], [[19.5, 29.5, 99.5, 149.5], [299.5, 3.5, 339.5, 189.5]], atol=1e-4
    )


def test_labels_of_other_things_are_left_out(tmp_path: Path):
    path = two_box_network(tmp_path / "rtmdet.onnx", size=(192, 160), labels=(5, 0))
    image = picture((384, 320), (20, 30, 100, 150, 0), (300, 4, 340, 190, 1))
    [(boxes, _)] = OnnxPersonDetector(path, OPTIONS, threads=1).detect([image])
    np.testing.assert_allclose(boxes, [[299.5, 3.5, 339.5, 189.5]], atol=1e-4)


def test_several_images_of_different_sizes(tmp_path: Path):
    detector = OnnxPersonDetector(two_box_network(tmp_path / "rtmdet.onnx", size=(192, 160)), OPTIONS, threads=2)
    images = [picture((384, 320), (20, 30, 100, 150, 0)), picture((192, 160)), picture((96, 160), (10, 20, 60, 90, 0))]
    found = detector.detect(images)
    assert [len(boxes) for boxes, _ in found] == [1, 0, 1]
    np.testing.assert_allclose(found[2][0][0], [9.5, 19.5, 59.5, 89.5], atol=1e-4)
    assert detector.detect([]) == []


@pytest.mark.parametrize(
    ("image", "size", "drawn"),
    [
        ((1920, 1080), (640, 640), (640, 360)),
        ((1088, 1920), (640, 640), (362, 640)),
        ((333, 777), (416, 320), (137, 320)),
    ],
)
def test_the_whole_image_is_in_the_picture_and_grey_beside(image, size, drawn):
    fit = fit_of(image, size)
    np.testing.assert_allclose(np.array(fit.scale) * image, drawn)
    laid = laid_in(np.full((image[1], image[0], 3), 7, dtype=np.uint8), fit, size)
    assert laid.shape == (size[1], size[0], 3)
    assert (laid[: drawn[1], : drawn[0]] == 7).all()
    assert (laid[drawn[1] :] == 114).all()
    assert (laid[:, drawn[0] :] == 114).all()


def test_cells_are_in_yolox_order():
    corners, strides = cells((64, 32), (8, 16, 32))
    assert strides.tolist() == [8] * 32 + [16] * 8 + [32] * 2
    assert corners[9].tolist() == [1, 1]
    assert corners[32 + 5].tolist() == [1, 1]
    assert corners[-1].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("shapes", "layout"),
    [
        ({"output": [1, 630, 85]}, YoloxLayout),
        ({"output": [1, 630, 6]}, YoloxLayout),
        ({"dets": [1, 100, 5], "labels": [1, 100]}, BoxLayout),
        ({"boxes": [1, 7, 5]}, BoxLayout),
    ],
)
def test_layouts_are_recognised(tmp_path: Path, shapes: dict, layout: type):
    model = OnnxModel(network_with_outputs(tmp_path / "m.onnx", shapes, size=(192, 160)), default_size=(1, 1))
    assert isinstance(recognise_boxes(model), layout)


@pytest.mark.parametrize(
    "shapes",
    [
        {"output": [1, 631, 85]},
        {"output": [1, 84, 630]},
        {"dets": [1, 100, 5], "masks": [1, 100, 32, 32]},
        {"dets": [1, 100, 5], "keypoints": [1, 100, 17, 3]},
        {"simcc_x": [1, 17, 384], "simcc_y": [1, 17, 512]},
    ],
)
def test_unknown_outputs_are_listed_with_what_is_supported(tmp_path: Path, shapes: dict):
    path = network_with_outputs(tmp_path / "m.onnx", shapes, size=(192, 160))
    with pytest.raises(FileFormatError) as caught:
        recognise_boxes(OnnxModel(path, default_size=(1, 1)))
    for name, shape in shapes.items():
        assert f"{name} ({', '.join(map(str, shape))})" in str(caught.value)
    assert "for a picture of 192x160" in str(caught.value)
    assert "Supported: one output (1, A, 5 + classes)" in str(caught.value)


def focus_network(path: Path) -> Path:
    """YOLOX's stem: even and odd rows and columns side by side; then finished boxes."""
    g = Graph()
    parts = [
        g.op("Slice", "input", g.i64(y, x), g.i64(160, 192), g.i64(2, 3), g.i64(2, 2)) for x in (0, 1) for y in (0, 1)
    ]
    mean = g.op("ReduceMean", g.op("Concat", *parts, axis=1), axes=[1, 2, 3], keepdims=1)
    flat = g.op("Reshape", mean, g.i64(1, 1, 1))
    g.op("Concat", *[flat] * 5, to="dets", axis=2)
    return g.save(path, [1, 3, 160, 192], {"dets": (TensorProto.FLOAT, [1, 1, 5])})


def test_what_pictures_a_network_was_trained_on(tmp_path: Path):
    boxes = {"dets": [1, 100, 5], "labels": [1, 100]}
    cases = {
        "rtmdet_m": (network_with_outputs(tmp_path / "rtmdet_m.onnx", boxes, size=(192, 160)), IMAGENET_BGR),
        "by name": (network_with_outputs(tmp_path / "YOLOX_tiny.onnx", boxes, size=(192, 160)), BYTES_BGR),
        "by stem": (focus_network(tmp_path / "end2end.onnx"), BYTES_BGR),
        "by grid": (yolox_network(tmp_path / "net.onnx", size=(192, 160)), BYTES_BGR),
    }
    for name, (path, expected) in cases.items():
        model = OnnxModel(path, default_size=(1, 1))
        assert normalisation_of(model, recognise_boxes(model), "auto") == expected, name
        assert normalisation_of(model, recognise_boxes(model), "bytes") == BYTES_BGR
        assert normalisation_of(model, recognise_boxes(model), "imagenet") == IMAGENET_BGR
