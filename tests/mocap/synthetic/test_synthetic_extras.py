import json

import pytest

from mocap.core.errors import InputError
from mocap.synthetic import extras


def test_gives_the_package():
    assert extras.require("json") is json


def test_an_absent_package_names_what_to_install():
    with pytest.raises(InputError, match=r"no_such_package: not installed.*tools/bootstrap.py env --extra synth"):
        extras.require("no_such_package")


def test_a_package_that_lacks_another_says_which(tmp_path, monkeypatch):
    (tmp_path / "half_a_package.py").write_text("import its_other_half\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="half_a_package: does not load: it lacks its_other_half"):
        extras.require("half_a_package")


def test_a_missing_library_of_the_system_gets_its_own_remedy(monkeypatch):
    def fails(name):
        raise OSError("libusb-1.0.so.0: cannot open shared object file")

    monkeypatch.setattr(extras, "import_module", fails)
    with pytest.raises(InputError, match=r"open3d: is installed but does not load .*libusb.*apt install"):
        extras.require("open3d")
