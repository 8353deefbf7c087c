from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mocap.core.config import Config
from mocap.core.errors import FileFormatError, InputError
from mocap.models.shipped import is_shipped, load_shipped, shipped_names, write_shipped
from mocap.models.view_confidences import ViewConfidenceConfig, ViewConfidenceNet

SMALL = ViewConfidenceConfig(width=16, heads=2, blocks=1)
NAME = "algebraic_blazepose"


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, ViewConfidenceNet]:
    torch.manual_seed(3)
    net = ViewConfidenceNet(SMALL)
    write_shipped(NAME, net, SMALL, folder=tmp_path)
    return tmp_path, net


def test_what_is_written_comes_back(written) -> None:
    folder, net = written
    again = load_shipped(NAME, folder=folder)
    assert isinstance(again, ViewConfidenceNet)
    assert again.config == SMALL
    assert not again.training
    for (key, one), (other_key, other) in zip(net.state_dict().items(), again.state_dict().items(), strict=True):
        assert key == other_key
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_half_precision_halves_the_file_and_loads_as_single(written, tmp_path) -> None:
    folder, net = written
    path, _ = write_shipped(NAME, net, SMALL, folder=tmp_path / "half", half=True)
    assert path.stat().st_size < 0.6 * (folder / path.name).stat().st_size
    again = load_shipped(NAME, folder=tmp_path / "half")
    assert {p.dtype for p in again.parameters()} == {torch.float32}


def test_weights_that_are_not_there_are_asked_for(tmp_path) -> None:
    assert not is_shipped(NAME, folder=tmp_path)
    with pytest.raises(InputError, match="no trained weights of that name"):
        load_shipped(NAME, folder=tmp_path)


def test_tampered_weights_are_refused(written) -> None:
    folder, _ = written
    path = folder / f"{NAME}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(FileFormatError, match=r"SHA-256 .* Take the file from the same version"):
        load_shipped(NAME, folder=folder)


def _rewritten(folder: Path, **update: object) -> None:
    note = folder / f"{NAME}.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), **update}))


def test_descriptions_that_do_not_fit_are_refused(written) -> None:
    folder, _ = written
    note = folder / f"{NAME}.json"
    good = note.read_text()
    _rewritten(folder, config={"width": 24})
    with pytest.raises(FileFormatError, match="does not fit the network"):
        load_shipped(NAME, folder=folder)
    _rewritten(folder, config={"breadth": 24})
    with pytest.raises(FileFormatError, match="another configuration"):
        load_shipped(NAME, folder=folder)
    _rewritten(folder, network="other")
    with pytest.raises(FileFormatError, match=r"known are .*view_confidences"):
        load_shipped(NAME, folder=folder)
    note.write_text("{}")
    with pytest.raises(FileFormatError, match="lacks config, network, sha256"):
        load_shipped(NAME, folder=folder)
    note.write_text("{")
    with pytest.raises(FileFormatError, match="is not JSON"):
        load_shipped(NAME, folder=folder)
    note.unlink()
    with pytest.raises(FileFormatError, match="does not lie beside"):
        load_shipped(NAME, folder=folder)
    note.write_text(good)
    load_shipped(NAME, folder=folder)


def test_a_configuration_of_something_else_cannot_be_shipped(written) -> None:
    folder, net = written
    with pytest.raises(InputError, match="configures no network"):
        write_shipped(NAME, net, Config(), folder=folder)


@pytest.mark.parametrize("name", shipped_names())
def test_what_comes_with_the_package_loads_and_has_a_card(name) -> None:
    if not is_shipped(name):
        pytest.skip("no weights of that name yet")
    assert not load_shipped(name).training
    folder = Path(__file__).parents[3] / "mocap" / "weights"
    assert (folder / f"{name}.safetensors").stat().st_size <= 12e6
    card = (folder / f"{name}.md").read_text(encoding="utf-8")
    for word in ("Data", "Recipe", "Command", "Seed", "Licence", "MPJPE"):
        assert word in card, f"{name}: the card lacks {word!r}"
