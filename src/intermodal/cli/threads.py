"""One thread for many small computations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Let linear algebra run on one thread inside the body.

    Hundreds of fits on small matrices, as in a comparison, lose more by waiting for each other at every product than
    a second thread wins: on two busy cores 17 s a fit instead of 1 s.
    """
    import scipy.linalg  # noqa: F401  limits reach only the libraries that are loaded
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
