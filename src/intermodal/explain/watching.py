"""Stand before a module's `forward` and tell others what went in, without changing what comes out.

A hook would not do: torch takes another kernel for a layer that has hooks, and its last bits differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

Listener = Callable[[tuple[Any, ...], Mapping[str, Any]], Callable[[], None]]
"""Called with what goes in; what it returns is called when the module has answered."""


class Watch:
    """What stands in a module in place of its `forward`, as long as anybody listens."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.own = module.__dict__.get("forward")
        self.forward = module.forward
        self.listeners: list[Listener] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module, and tell the listeners."""
        told = [listener(args, kwargs) for listener in self.listeners]
        answer = self.forward(*args, **kwargs)
        for done in told:
            done()
        return answer

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of a watched module is not watched."""
        copy = memo.get(id(self.module))
        return self.forward if copy is None else type(copy).forward.__get__(copy)


def listen(module: nn.Module, listener: Listener) -> None:
    """Tell `listener` of every call of the module."""
    watch = module.__dict__.get("forward")
    if not isinstance(watch, Watch):
        watch = Watch(module)
        module.__dict__["forward"] = watch
    watch.listeners.append(listener)


def leave(module: nn.Module, listener: Listener) -> None:
    """Tell `listener` no more; the last to leave puts back what was there."""
    watch = module.__dict__.get("forward")
    if not isinstance(watch, Watch) or listener not in watch.listeners:
        return  # somebody put another forward in its place: the watch is gone with it, or tells nobody
    watch.listeners.remove(listener)
    if not watch.listeners:
        if watch.own is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = watch.own
