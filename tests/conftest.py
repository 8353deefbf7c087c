"""Runtime shape and type checks for both packages, and the fixtures that point at real material."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["COLUMNS"] = "400"  # pytest-xdist says 80, which would break the sentences of commands
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    # Every process of the tests would compile the whole project and torch anew: 4 s each, and this one 30 s. What may
    # not lie beside the sources lies in the cache of pytest.
    _kept = os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode"))
    sys.dont_write_bytecode, sys.pycache_prefix = False, _kept

from checked_calls import check_calls

check_calls("calibration", "mocap")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

settings.register_profile("any machine", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("any machine")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real footage, calibrations and motion files beside the checkout; tests skip where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real material is not here: expected ../shared/data beside the checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def blazepose_files():
    """The networks of BlazePose from the cache, fetched once; tests skip where that is impossible."""
    from mocap.core.errors import InputError
    from mocap.models.weights import blazepose_weights

    try:
        return blazepose_weights()
    except InputError as error:
        pytest.skip(f"the networks of BlazePose are not here: {error}")
