import numpy as np
import pytest

from mocap.core.errors import FileFormatError
from mocap.models.blazepose_landmarks import LANDMARK_NETWORK
from mocap.models.blazepose_person import PERSON_NETWORK
from mocap.models.openvino_runtime import Network, available_cores
from mocap.models.weights import sha256_of

IMAGES = [np.random.default_rng(seed).integers(0, 256, (256, 256, 3), dtype=np.uint8) for seed in range(5)]


@pytest.fixture(scope="module")
def single(blazepose_files):
    return Network(blazepose_files.landmarks, LANDMARK_NETWORK, threads=1)


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_do_not_change_a_bit(single, blazepose_files, threads):
    many = Network(blazepose_files.landmarks, LANDMARK_NETWORK, threads=threads)
    for one, other in zip(single.infer(IMAGES), many.infer(iter(IMAGES)), strict=True):
        for a, b in zip(one, other, strict=True):
            assert np.array_equal(a, b)


def test_outputs_come_in_the_order_of_the_images(single):
    together, alone = single.infer(IMAGES), [single.infer([image])[0] for image in IMAGES]
    assert [t[0].tobytes() for t in together] == [a[0].tobytes() for a in alone]
    assert len({t[0].tobytes() for t in together}) == len(IMAGES)
    assert [output.shape for output in together[0]] == [(195,), (1,), (64, 64, 39)]


def test_no_images_no_outputs(single):
    assert single.infer([]) == []


def test_a_failing_source_of_images_leaves_the_network_usable(single):
    def images():
        yield IMAGES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        single.infer(images())
    assert len(single.infer(IMAGES[:2])) == 2


def test_identity_says_which_file_and_how(single, blazepose_files):
    assert single.identity.sha256 == sha256_of(blazepose_files.landmarks)
    assert single.identity.name == "blazepose-landmarks"
    assert single.identity.runtime.startswith("openvino 20")
    assert single.identity.runtime.endswith("f32")


def test_the_wrong_network_is_told_by_its_shapes(blazepose_files):
    with pytest.raises(FileFormatError, match=r"not the network 'blazepose-person'.*256, 256.*224, 224"):
        Network(blazepose_files.landmarks, PERSON_NETWORK)


def test_what_is_no_network_is_told(tmp_path):
    (tmp_path / "net.tflite").write_bytes(b"not a flatbuffer at all, only text")
    with pytest.raises(FileFormatError, match="not a network that OpenVINO can read"):
        Network(tmp_path / "net.tflite", PERSON_NETWORK)


def test_there_is_a_core():
    assert available_cores() >= 1
