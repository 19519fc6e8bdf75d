"""What a model does when one thing in its input is changed: exact checks that need no look inside.

A batch is a tuple of what the model is called with: tensors, mappings name -> tensor, or anything else, which is
passed on as it is. Every call runs in eval mode and with the same random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from intermodal.errors import InputError
from intermodal.explain.findings import Finding, finding, quoted
from intermodal.explain.opening import in_eval_mode

Batch = tuple[Any, ...]


class Probe:
    """A model and a batch that it answers.

    Args:
        model: a module or a function.
        batch: what it is called with.
        axis: the axis of the samples.

    Raises:
        InputError: the model fails on the batch, or no answer has one row a sample.

    Example:
        >>> probe = Probe(lambda x: x - x.mean(0), (torch.eye(3),))
        >>> [f.id for f in samples_mix(probe)]
        ['samples-mix']
    """

    def __init__(self, model: Callable[..., Any], batch: Batch, *, axis: int = 0) -> None:
        self.model, self.batch, self.axis = model, batch, axis
        tensors = [t for _, t in leaves(batch)]
        if not tensors:
            raise InputError("a batch holds at least one tensor, however: it holds none")
        axes = min(t.ndim for t in tensors)
        if axis >= axes:
            raise InputError(f"batch_axis is an axis of every tensor, however: {axis=}, and one tensor has {axes} axes")
        sizes = {t.shape[axis] for t in tensors}
        if len(sizes) > 1:
            raise InputError(f"all tensors of a batch have one size on axis {axis}, however: {sorted(sizes)}")
        self.n = sizes.pop()
        self.before = self.answer(batch)

    def answer(self, batch: Batch, n: int | None = None, *, seed: int = 0) -> Tensor:
        """Return the first tensor of the answer that has one row a sample, without a gradient."""
        with torch.no_grad():
            return self.traced(batch, n, seed=seed)

    def traced(self, batch: Batch, n: int | None = None, *, seed: int = 0) -> Tensor:
        """Return the same with its gradient."""
        n = self.n if n is None else n
        try:
            with in_eval_mode(self.model), torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                said = self.model(*batch)
        except Exception as problem:
            raise InputError(f"the model answers the batch, however: {type(problem).__name__}: {problem}") from problem
        for _, t in leaves(said):
            if t.is_floating_point() and t.ndim > self.axis and t.shape[self.axis] == n:
                return t
        raise InputError(f"the answer has one row a sample on axis {self.axis}, however: none with {n} rows came")

    @property
    def present(self) -> Mapping[str, Tensor] | Tensor | None:
        """What says which tokens are there: the second thing in the batch, where it is bool."""
        second = self.batch[1] if len(self.batch) > 1 else None
        bools = [t.dtype == torch.bool for _, t in leaves(second)]
        return second if bools and all(bools) else None

    def tolerance(self) -> float:
        """How far numbers of the answer's precision may lie apart."""
        scale = float(self.before.abs().max()) if self.before.numel() else 0.0
        return float(torch.finfo(self.before.dtype).eps ** 0.5) * max(1.0, scale)


def leaves(x: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor in tuples, lists and mappings, with the name that it has there.

    Example:
        >>> [name for name, _ in leaves(({"text": torch.zeros(2)}, torch.ones(2)))]
        ['text', 'input 1']
    """
    if isinstance(x, Tensor):
        yield name, x
    elif isinstance(x, Mapping):
        for key, value in x.items():
            yield from leaves(value, str(key))
    elif isinstance(x, tuple | list):
        for i, value in enumerate(x):
            yield from leaves(value, name or f"input {i}")


def changed(x: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return the same structure with every tensor changed."""
    if isinstance(x, Tensor):
        return change(x)
    if isinstance(x, Mapping):
        return {key: changed(value, change) for key, value in x.items()}
    if isinstance(x, tuple | list):
        return tuple(changed(value, change) for value in x)
    return x


# --- do samples meet ---------------------------------------------------------------------------------


def samples_mix(probe: Probe) -> Iterator[Finding]:
    """Change one sample and look for a change in another: in a right model it is exactly 0."""
    if probe.n < 2:
        return
    others = [i for i in range(probe.n) if i != probe.n // 2]
    after = probe.answer(changed(probe.batch, lambda t: _with_another(t, probe.n // 2, probe.axis)))
    moved = (after - probe.before).index_select(probe.axis, torch.tensor(others, device=after.device)).abs()
    largest = float(moved.nan_to_num().max()) if moved.numel() else 0.0
    if largest > probe.tolerance() * 1e-2:
        yield finding(
            "samples-mix",
            f"your samples attend to each other: one sample was changed, and the answer to another moved by "
            f"{largest:.2g}",
            moved=largest,
        )


def differs_alone(probe: Probe) -> Iterator[Finding]:
    """Answer a sample alone and in its batch; one that draws numbers in eval mode too cannot be compared."""
    if probe.n < 2 or not torch.equal(probe.answer(probe.batch, seed=1).nan_to_num(), probe.before.nan_to_num()):
        return
    worst = 0.0
    for i in sorted({0, probe.n // 2, probe.n - 1}):
        alone = probe.answer(changed(probe.batch, partial(_only, i=i, axis=probe.axis)), 1)
        within = _only(probe.before, i=i, axis=probe.axis)
        if alone.shape == within.shape:
            worst = max(worst, float((alone - within).abs().nan_to_num().max()))
    if worst > probe.tolerance():
        yield finding(
            "batch-differs-from-single",
            f"a sample alone is answered otherwise than in its batch, by {worst:.2g}: something of other samples, such "
            "as their padding, reaches it",
            moved=worst,
        )


def _only(t: Tensor, *, i: int, axis: int) -> Tensor:
    return t.narrow(axis, i, 1)


def _with_another(t: Tensor, i: int, axis: int) -> Tensor:
    """Put other numbers in sample i: noise where the tensor holds any, else those of its neighbour."""
    t = t.clone()
    row = t.select(axis, i)
    if t.is_floating_point():
        generator = torch.Generator().manual_seed(1)
        noise = torch.randn(row.shape, generator=generator, dtype=torch.float64).to(t.device, t.dtype)
        row.copy_(noise * (t.std(correction=0) + 1) - row)
    elif t.dtype != torch.bool:
        row.copy_(t.select(axis, i - 1))
    return t


# --- is padding looked at ----------------------------------------------------------------------------


def looks_at_padding(probe: Probe) -> Iterator[Finding]:
    """Change what stands where nothing is, and what stands where something is; only the latter may show."""
    present = probe.present
    if present is None:
        return
    x = probe.batch[0]
    hidden = probe.answer((_noisy(x, present, where=False), *probe.batch[1:]))
    moved = float((hidden - probe.before).abs().nan_to_num(nan=float("inf")).max())
    if moved <= probe.tolerance() * 1e-2:
        return
    kept = probe.answer((_noisy(x, present, where=True), *probe.batch[1:]))
    if float((kept - probe.before).abs().nan_to_num().max()) <= probe.tolerance() * 1e-2:
        yield finding(
            "mask-inverted",
            f"only what stands in absent places moves the answer, by {moved:.2g}: you attend to padding alone",
            moved=moved,
        )
    else:
        yield finding(
            "hidden-keys-seen",
            f"what stands in absent places moves the answer, by {moved:.2g}: padding is looked at",
            moved=moved,
        )


def _noisy(x: Any, present: Any, *, where: bool) -> Any:
    if isinstance(x, Mapping):
        known = present if isinstance(present, Mapping) else {}
        return {name: _noisy(t, known[name], where=where) if name in known else t for name, t in x.items()}
    if not isinstance(x, Tensor) or not isinstance(present, Tensor) or not x.is_floating_point():
        return x
    there = present.reshape(*present.shape, *(1,) * (x.ndim - present.ndim))
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.device, x.dtype) + 1
    return torch.where(there == where, x + noise, x)


# --- does an input reach the output ------------------------------------------------------------------


def cut_off(probe: Probe, *, declared: Mapping[str, bool] | None = None) -> Iterator[Finding]:
    """Say which input the answer does not depend on: its gradient is exactly 0 everywhere.

    Args:
        probe: the model and a batch.
        declared: name -> whether any sample of the batch has it; one that none has is passed over.
    """
    batch = changed(probe.batch, lambda t: t.detach().clone().requires_grad_(t.is_floating_point()))
    inputs = {name: t for name, t in leaves(batch) if t.requires_grad}
    answer = probe.traced(batch)
    if not answer.requires_grad or not inputs:
        return
    generator = torch.Generator().manual_seed(3)  # not a plain sum: probabilities sum to 1, whatever the input
    weight = torch.randn(answer.shape, generator=generator, dtype=torch.float64).to(answer.device, answer.dtype)
    try:
        gradients = torch.autograd.grad((answer * weight).sum(), list(inputs.values()), allow_unused=True)
    except RuntimeError:  # a recurrent net on a GPU has no gradient in eval mode: then nothing is known
        return
    cut = [n for n, g in zip(inputs, gradients, strict=True) if g is None or not bool((g != 0).any())]
    cut = [n for n in cut if declared is None or declared.get(n, True)]
    if cut and len(cut) < len(inputs):
        yield finding(
            "cut-off",
            f"{quoted(cut)} cannot influence the output: the gradient there is exactly 0",
            gradient=0.0,
        )
