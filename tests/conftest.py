"""Runtime shape and type checks for both packages, and the fixtures that point at real material."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

_hook = install_import_hook(["calibration", "mocap"], "beartype.beartype")

import pytest  # noqa: E402

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
