"""The whole way: pixels, person network, crop, pose network, pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the networks of these tests are made with the onnx package")

from onnx_worlds import heatmap_network, network_with_outputs, picture_of_people, simcc_network, two_box_network

from mocap.core.errors import ConfigError
from mocap.models.detector import Detector2D, PersonInImage
from mocap.models.onnx_detector import KEYPOINT_BOX_MARGIN, OnnxConfig, OnnxDetector

NAMES = ("nose", "left_wrist", "right_wrist")
SIGMAS = (8.0, 16.0)
"""Of the blobs, image px; 1.2 to 1.4 cells in the pose network's heatmaps."""
PICTURE = (96, 128)
PATH = 0.03
"""What the way may cost, in px of the pose network's picture: OpenCV warps in steps of 1/32 px (at most 1/64 off), and
the blobs have 8 bits (rms 0.3 / 255 each, over some 50 cells: 0.01 px). An image px is 0.25 to 0.7 picture px here."""

# a wide camera with two people and a tall one with one; three keypoints (red, green, blue)
SIZES = ((420, 300), (330, 520))
LEFT = np.array([[100.3, 80.7], [60.2, 150.1], [130.9, 200.4]])
RIGHT = np.array([[300.6, 90.2], [350.5, 160.8], [280.1, 220.3]])
TALL = np.array([[160.4, 100.2], [90.7, 300.9], [210.1, 410.6]])
TRUTH = ((LEFT, RIGHT), (TALL,))


def images(shift: float = 0.0) -> list[np.ndarray]:
    return [
        picture_of_people(size, [points + shift for points in people], sigma=sigma)
        for size, people, sigma in zip(SIZES, TRUTH, SIGMAS, strict=True)
    ]


@dataclass
class Networks:
    folder: Path

    def config(self, head: str = "stride", **more) -> OnnxConfig:
        person, pose = self.folder / "person.onnx", self.folder / f"{head}.onnx"
        if not person.is_file():
            two_box_network(person, size=(192, 160))
        if not pose.is_file():
            if head == "simcc":
                simcc_network(pose, size=PICTURE, count=3)
            else:
                heatmap_network(pose, grid=head, size=PICTURE)
        grid = {} if head == "simcc" else {"pose_grid": head}
        # the grey beside the tall image is 114 / 255 = 0.45 bright
        fixed = {"person": person, "pose": pose, "keypoint_names": NAMES, "min_person_score": 0.6}
        return OnnxConfig(**(fixed | grid | more))


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    return Networks(tmp_path_factory.mktemp("networks"))


def by_place(people: list[PersonInImage]) -> list[PersonInImage]:
    return sorted(people, key=lambda person: person.box[0])


def worst(found: list[list[PersonInImage]], shift: float = 0.0, *, padding: float = 1.25) -> float:
    """The largest error of a coordinate, in px of the pose network's picture."""
    errors = []
    for people, truths in zip(found, TRUTH, strict=True):
        for person, truth in zip(by_place(people), truths, strict=True):
            width, height = (person.box[2:] - person.box[:2]) * padding
            image_px = max(width, height * PICTURE[0] / PICTURE[1]) / PICTURE[0]
            errors.append(np.abs(person.xy - truth - shift).max() / image_px)
    return float(max(errors))


@pytest.mark.parametrize("head", ["stride", "udp", "pixel_centre", "simcc"])
@pytest.mark.parametrize("padding", [1.25, 1.6])
def test_keypoints_come_back_to_where_they_were(networks: Networks, head: str, padding: float):
    detector = OnnxDetector(networks.config(head, box_padding=padding), threads=2)
    found = detector.detect(images(), [0, 1])
    assert worst(found, padding=padding) < PATH
    for people in found:
        for person in people:
            # at worst the blob's top lies half a cell from the cells on each axis, of blobs of 1 to 1.4 cells
            assert person.confidence.min() > np.exp(-(2 * 0.5**2) / (2 * 1.0**2))
            assert person.score > 0.9


@pytest.mark.parametrize(("head", "other"), [("udp", "stride"), ("stride", "udp"), ("pixel_centre", "stride")])
def test_the_wrong_map_shows(networks: Networks, head: str, other: str):
    """The tolerance above tells the maps apart: they differ by up to 3 picture px."""
    detector = OnnxDetector(networks.config(head, pose_grid=other), threads=2)
    assert worst(detector.detect(images(), [0, 1])) > 1.0


def test_without_refinement_a_whole_cell_is_read(networks: Networks):
    detector = OnnxDetector(networks.config("stride", refine=False), threads=2)
    # half a cell of four picture px, and the warp's step
    assert 0.5 < worst(detector.detect(images(), [0, 1])) < 2.0 + PATH


def test_people_at_the_border_are_read_where_they_are(networks: Networks):
    """The crop reaches beyond the image: black, and nothing is moved."""
    truth = np.array([[30.4, 32.3], [70.8, 140.6], [35.7, 245.2]])
    detector = OnnxDetector(networks.config(), threads=2)
    # some 232 image px high, so 290 with the padding in 128 picture px
    [[person]] = detector.detect([picture_of_people((400, 280), [truth], sigma=SIGMAS[0])], [0])
    np.testing.assert_allclose(person.xy, truth, atol=PATH * 290 / 128)


def test_the_other_colour_order(networks: Networks, tmp_path: Path):
    pose = heatmap_network(tmp_path / "bgr.onnx", grid="stride", size=PICTURE, channels="bgr")
    detector = OnnxDetector(networks.config("stride", pose=pose, pose_channels="bgr"), threads=2)
    assert worst(detector.detect(images(), [0, 1])) < PATH


def same(a: list[list[PersonInImage]], b: list[list[PersonInImage]]) -> bool:
    return all(
        np.array_equal(p.xy, q.xy) and np.array_equal(p.confidence, q.confidence) and p.track == q.track
        for one, two in zip(a, b, strict=True)
        for p, q in zip(one, two, strict=True)
    )


def test_threads_and_company_change_nothing(networks: Networks):
    together = OnnxDetector(networks.config(), threads=1).detect(images(), [0, 1])
    alone = OnnxDetector(networks.config(), threads=2)
    apart = [alone.detect([image], [camera])[0] for camera, image in enumerate(images())]
    assert same(together, apart)
    swapped = OnnxDetector(networks.config(), threads=2).detect(images()[::-1], [1, 0])
    assert same(together, swapped[::-1])


def test_people_keep_their_ids_while_they_move(networks: Networks):
    detector = OnnxDetector(networks.config(), threads=2)
    first = detector.detect(images(), [0, 1])
    ids = [[person.track for person in by_place(people)] for people in first]
    assert [sorted(i) for i in ids] == [[0, 1], [0]]
    for frame in range(1, 6):
        found = detector.detect(images(3.0 * frame), [0, 1])
        assert [[person.track for person in by_place(people)] for people in found] == ids
        assert worst(found, 3.0 * frame) < PATH
    detector.reset()
    assert {person.track for person in detector.detect(images(), [0, 1])[0]} == {0, 1}


def test_between_looks_the_last_keypoints_give_the_boxes(networks: Networks):
    detector = OnnxDetector(networks.config(detect_every=3), threads=2)
    before = by_place(detector.detect(images(), [0, 1])[0])
    person_seconds = detector.seconds["person"]
    for frame in (1, 2):
        after = by_place(detector.detect(images(frame), [0, 1])[0])
        for old, new in zip(before, after, strict=True):
            low, high = old.xy.min(0), old.xy.max(0)
            middle, half = (low + high) / 2, (high - low) / 2 * KEYPOINT_BOX_MARGIN
            np.testing.assert_allclose(new.box, [*(middle - half), *(middle + half)])
            assert new.track == old.track
        before = after
    found = detector.detect(images(3.0), [0, 1])
    assert worst(found, 3.0) < PATH
    looked = OnnxDetector(networks.config(), threads=2).detect(images(3.0), [0, 1])
    np.testing.assert_array_equal(by_place(found[0])[0].box, by_place(looked[0])[0].box)
    assert detector.seconds["person"] > person_seconds


def test_an_empty_image_has_nobody_and_is_looked_at_again(networks: Networks):
    detector = OnnxDetector(networks.config(detect_every=100), threads=2)
    black = np.zeros((300, 420, 3), dtype=np.uint8)
    assert detector.detect([black], [0]) == [[]]
    assert len(detector.detect(images()[:1], [0])[0]) == 2


def test_no_more_people_than_asked_the_surest_first(networks: Networks):
    image = images()[0]
    image[:, :210] = (image[:, :210] * 0.7).astype(np.uint8)
    [[person]] = OnnxDetector(networks.config(), max_people=1, threads=2).detect([image], [0])
    np.testing.assert_allclose(person.xy, RIGHT, atol=PATH * 190 / 128)


def test_heatmaps_are_kept_when_asked(networks: Networks):
    detector = OnnxDetector(networks.config("udp"), keep_heatmaps=True, threads=2)
    for person in detector.detect(images(), [0, 1])[0]:
        assert person.heatmaps is not None
        assert person.px_from_heatmap is not None
        assert person.heatmaps.shape == (3, 32, 24)
        assert person.heatmaps.dtype == np.float16
        for k in range(3):
            row, column = np.unravel_index(person.heatmaps[k].argmax(), (32, 24))
            there = person.px_from_heatmap @ [column, row, 1]
            # half a cell each way, of 4 to 5 picture px at some 1.5 image px
            assert np.abs(there - person.xy[k]).max() < 4.0
    assert OnnxDetector(networks.config(), threads=2).detect(images(), [0, 1])[0][0].heatmaps is None
    assert OnnxDetector(networks.config("simcc"), keep_heatmaps=True).detect(images(), [0, 1])[0][0].heatmaps is None


def test_it_is_a_detector_and_says_what_it_is_made_of(networks: Networks):
    detector: Detector2D = OnnxDetector(networks.config(), threads=2)
    assert [network.name for network in detector.networks] == ["person", "stride"]
    assert detector.keypoint_set.names == NAMES
    assert set(detector.seconds) == {"person", "keypoints"}


def test_confidence_can_be_scaled(networks: Networks):
    plain, scaled = (
        OnnxDetector(networks.config(confidence_gain=gain), threads=2).detect(images(), [0, 1])[0][0]
        for gain in (1, 0.5)
    )
    np.testing.assert_allclose(scaled.confidence, plain.confidence / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (17, {}, None),
        (26, {}, None),
        (25, {}, r"the network's 25 keypoints could be body25 or body25b\. Set keypoint_set"),
        (25, {"keypoint_set": "body25"}, None),
        (40, {}, r"the network's 40 keypoints are no set that is known\. Set keypoint_set, or list keypoint_names"),
        (17, {"keypoint_set": "halpe26"}, "halpe26 has 26 keypoints, the network 17"),
        (3, {"keypoint_names": ("a", "b")}, "keypoint_names lists 2 names, the network has 3 keypoints"),
    ],
)
def test_the_number_of_outputs_decides_about_the_keypoints(
    networks: Networks, tmp_path: Path, count: int, options: dict, message: str | None
):
    pose = network_with_outputs(tmp_path / "pose.onnx", {"heatmaps": [1, count, 64, 48]})
    config = networks.config(pose=pose, **({"keypoint_names": None} | options))
    if message is None:
        assert len(OnnxDetector(config, threads=1).keypoint_set) == count
        return
    with pytest.raises(ConfigError, match=message):
        OnnxDetector(config, threads=1)
