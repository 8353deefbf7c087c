"""Inside the block everything works alone; outside it nothing has changed."""

import pytest
import scipy.linalg  # noqa: F401  its BLAS has to be loaded to be counted
import torch
from threadpoolctl import threadpool_info

from mocap.geometry.threads import one_thread


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_one_thread_inside_and_as_before_after():
    torch.set_num_threads(2)
    before = blas_threads()
    assert before, "no BLAS was found"
    with one_thread():
        assert torch.get_num_threads() == 1
        assert set(blas_threads()) == {1}
    assert torch.get_num_threads() == 2
    assert blas_threads() == before


def test_an_error_inside_changes_nothing_after():
    torch.set_num_threads(2)
    before = blas_threads()
    with pytest.raises(RuntimeError, match="broken"), one_thread():
        raise RuntimeError("broken")
    assert torch.get_num_threads() == 2
    assert blas_threads() == before
