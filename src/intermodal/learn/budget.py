"""A budget of seconds for a fit."""

from __future__ import annotations

import time


class Budget:
    """Seconds that are left, counted from when it is made.

    Args:
        total: of seconds, or None for no end.

    Example:
        >>> budget = Budget(None)
        >>> budget.half_gone(), budget.seconds
        (False, None)
    """

    def __init__(self, total: float | None) -> None:
        self.total = total
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float | None:
        """What is left, or None for no end."""
        return None if self.total is None else self.total - (time.perf_counter() - self._begun)

    def half_gone(self) -> bool:
        """True when less than half is left."""
        return self.total is not None and self.total - (time.perf_counter() - self._begun) < self.total / 2
