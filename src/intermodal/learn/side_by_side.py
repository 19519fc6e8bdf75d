"""Many models at once: while some train in threads of their own, the next are prepared and the last are scored.

A compiled step holds no lock, so that as many models train at a time as there are processors; whatever Python does
(scaling, baselines, scores) runs meanwhile, in the one thread that may warn and draw. Each training draws from its own
seed and touches its own model alone: the answers are those of one model after the other, bit for bit.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from intermodal.learn.trials import Opened, Trial

MOST_WAITING = 2
"""Trainings a thread that may stand ready or unscored: each holds a model."""


def n_workers() -> int:
    """Threads to train in: one for each processor, and no more than the user lets torch use.

    Example:
        >>> n_workers() >= 1
        True
    """
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(own, torch.get_num_threads()))


def side_by_side(openings: Iterable[Callable[[], Opened]], *, workers: int | None = None) -> list[Trial]:
    """Open every trial, train, and close it; what can run aside runs aside.

    Args:
        openings: each opens one trial; asked for one at a time, in this order.
        workers: threads to train in; `n_workers()` by default. With one, no thread is started.

    Returns:
        The trials, in the order of the openings.

    Raises:
        InputError: as the trials raise it. Trainings under way then end after their epoch.

    Example:
        >>> import numpy as np
        >>> from intermodal.data.samples import Samples
        >>> from intermodal.learn.baselines import baseline
        >>> X, y, rows = Samples({"a": np.arange(10.0)[:, None]}), np.arange(10.0), np.arange(10)
        >>> make = lambda: baseline("single:a", "regression", ["a"])
        >>> opening = lambda: Opened(make, X, y, rows[::2], rows[1::2], task="regression")
        >>> [trial.scores["R2"] > 0.9 for trial in side_by_side([opening, opening])]
        [True, True]
    """
    workers = n_workers() if workers is None else workers
    if workers == 1:
        return [_alone(opening()) for opening in openings]
    found: dict[int, Trial] = {}
    stop = threading.Event()
    waiting: deque[tuple[int, Opened, Future[None]]] = deque()

    def close(most: int) -> None:
        while waiting and (len(waiting) > most or waiting[0][2].done()):
            i, opened, training = waiting.popleft()
            training.result()
            found[i] = opened.close()

    with ThreadPoolExecutor(workers, thread_name_prefix="intermodal") as pool:
        try:
            for i, opening in enumerate(openings):
                opened = opening()
                if opened.aside:
                    waiting.append((i, opened, pool.submit(opened.run, stop)))
                else:
                    found[i] = _alone(opened)
                close(MOST_WAITING * workers)
            close(0)
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [found[i] for i in sorted(found)]


def _alone(opened: Opened) -> Trial:
    opened.run()
    return opened.close()
