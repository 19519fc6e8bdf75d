"""One thread for many small computations."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread(device: torch.device | None = None) -> Iterator[None]:
    """Let torch and linear algebra run on one thread inside the body; the user's own setting comes back after.

    Attention over a few tokens, and fits on small matrices, lose more by waiting for each other at every operation
    than a second thread wins: where another program runs beside, two threads take 1.5 times as long on long
    sequences and 90 times on single vectors. And a sum that threads share is rounded by their number: a model would
    depend on the machine. Whole models side by side use the other processors (`compare`). A GPU is left alone.

    Example:
        >>> before = torch.get_num_threads()
        >>> with one_thread():
        ...     torch.get_num_threads()
        1
        >>> torch.get_num_threads() == before
        True
    """
    if device is not None and device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _controller(len(sys.modules)).limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _controller(n_modules: int) -> ThreadpoolController:
    """Whoever sets the threads of the libraries that so many modules brought: looking for them takes milliseconds."""
    return ThreadpoolController()
