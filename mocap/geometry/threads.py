"""How many threads small tensor work uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """torch, and the BLAS behind numpy and scipy, on one thread inside the block, as before after it.

    The stages' matrices are many and small: a second thread gains nothing on an idle machine, and where something else
    keeps the cores busy the threads wait for each other (ten times as long for the triangulation of 100 frames, twice
    to seven times for the solve of 1000).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
