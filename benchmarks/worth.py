"""What all 2^n subsets of n modalities cost, in forwards of the same module on the same batch.

    python benchmarks/worth.py                     the whole table, n = 2 to 10 (some ten minutes)
    python benchmarks/worth.py --n 2 4 6           some of it
    python benchmarks/worth.py --n 6 --batch 32

naive: 2^n forwards one after the other, the other modalities marked absent, or taken out where a token is a modality.
plain: one forward of a batch repeated 2^n times (left out above 16,384 rows, which no longer fit the cache or, in the
end, the memory). ours: `fuse_subsets` and, for the textbook's module, `attend_subsets`. Each turn times one forward and
all three: a busy machine slows them all. A ratio is the median over the turns, with its quartiles. One thread.

Where the ratio of a `FusionNetwork` comes from: a token holds something else in each subset, so that whatever follows
the first attention (the feed-forward step, the norms) runs once for each of the n 2^(n-1) pairs of a modality and a
subset that holds it, and that is more than half of a forward's arithmetic. `bound` counts it: the multiply-adds of all
subsets over those of one forward, where only what no subset can share is done anew. A forward spends more of its time
beside its arithmetic than all subsets do, so that the measured ratio may lie below. In the textbook's module a subset
is a mixture of vectors, one a modality and head, that all subsets share.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.errors import OneKeyWarning
from intermodal.nn.network import FusionNetwork
from intermodal.nn.shared_scores import attend_subsets
from intermodal.nn.subsets import fuse_subsets
from intermodal.nn.textbook import SelfAttentionFusion

Run = Callable[[], Tensor]
WIDTH, HEADS, TOKENS, ROWS = 64, 4, 2, 16_384
HEAD = (
    "| module | n | batch | one forward, ms | naive | plain | ours | quartiles | bound |\n"
    "|---|--:|--:|--:|--:|--:|--:|---|--:|"
)


def seconds(run: Run, least: float = 0.005) -> float:
    """Seconds of one call, over as many calls as `least` seconds hold."""
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < least:
        run()
        calls += 1
    return (time.perf_counter() - start) / calls


def shown(s: int, names: list[str], batch: int) -> dict[str, Tensor]:
    return {name: torch.full((batch,), bool(s >> i & 1)) for i, name in enumerate(names)}


def network(spec: str, n: int, batch: int) -> tuple[Run, Run, Run, Run]:
    """One forward, naive, plain and ours."""
    names = [f"m{i}" for i in range(n)]
    module = FusionNetwork(spec, dict.fromkeys(names, WIDTH), d_model=WIDTH, n_heads=HEADS, n_tokens=TOKENS).eval()
    x = {name: torch.randn(batch, WIDTH) for name in names}

    def naive() -> Tensor:
        return torch.stack([module(x, shown(s, names, batch)).pooled for s in range(1 << n)])

    def plain() -> Tensor:
        which = torch.arange(1 << n).repeat_interleave(batch)
        repeated = {name: values.repeat(1 << n, 1) for name, values in x.items()}
        present = {name: (which >> i & 1).bool() for i, name in enumerate(names)}
        return module(repeated, present).pooled.reshape(1 << n, batch, -1)

    return lambda: module(x).pooled, naive, plain, lambda: fuse_subsets(module, x)


def textbook(n: int, batch: int) -> tuple[Run, Run, Run, Run]:
    """The same of the textbook's self-attention: naive takes the tokens of a subset out, so that no mask is needed."""
    module = SelfAttentionFusion(WIDTH, n_heads=HEADS).eval()
    x = torch.randn(batch, n, WIDTH)
    bits = torch.arange(1 << n)[:, None] >> torch.arange(n) & 1

    def naive() -> Tensor:
        nothing = torch.zeros(batch, WIDTH)
        return torch.stack([nothing, *(module(x[:, bits[s].bool()]).pooled for s in range(1, 1 << n))])

    def plain() -> Tensor:
        shown = bits.bool().repeat_interleave(batch, 0)
        return module(x.repeat(1 << n, 1, 1), shown).pooled.reshape(1 << n, batch, -1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OneKeyWarning)  # of the subset of one
        module(x[:, :1])
    return lambda: module(x).pooled, naive, plain, lambda: attend_subsets(module, x)


def torchs(n: int, batch: int) -> tuple[Run, Run, Run, Run]:
    """The same against `nn.MultiheadAttention` and its mean: one forward and naive are torch's."""
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).eval()
    ours = SelfAttentionFusion.from_torch(theirs).eval()
    x = torch.randn(batch, n, WIDTH)
    bits = torch.arange(1 << n)[:, None] >> torch.arange(n) & 1

    def mean(x: Tensor) -> Tensor:
        return theirs(x, x, x, need_weights=False)[0].mean(1)

    def naive() -> Tensor:
        nothing = torch.zeros(batch, WIDTH)
        return torch.stack([nothing, *(mean(x[:, bits[s].bool()]) for s in range(1, 1 << n))])

    return lambda: mean(x), naive, naive, lambda: attend_subsets(ours, x)


def bound(spec: str, n: int) -> float:
    """Multiply-adds of all subsets over those of one forward, for `network`."""
    tokens, hidden = n * TOKENS, 2 * WIDTH
    pairs = tokens**2 if spec == "self" else tokens * (tokens - TOKENS)
    shared = tokens * (WIDTH**2 + 3 * WIDTH**2) + pairs * 2 * WIDTH
    project, feed = WIDTH**2, 2 * WIDTH * hidden
    # Where a context is one modality, its answer is projected once a pair; where it is all, once a token and subset.
    answers = tokens * (n - 1) if spec == "cross" else (tokens << n) / 2
    return (shared + answers * project + (tokens << n) / 2 * feed) / (shared + tokens * (project + feed))


def line(name: str, runs: tuple[Run, Run, Run, Run], n: int, batch: int) -> str:
    one, naive, plain, ours = runs
    others: dict[str, Run] = {"naive": naive, "ours": ours}
    if batch << n <= ROWS:
        others["plain"] = plain
    first = {key: run() for key, run in others.items()}
    for found in first.values():
        torch.testing.assert_close(found, first["ours"], atol=1e-5, rtol=1e-4)
    slowest = max(seconds(run, 0) for run in others.values())
    turns = int(np.clip(3 / slowest, 3, 21))
    spent, ratios = [], {key: [] for key in others}
    for _ in range(turns):
        spent.append(seconds(one))
        for key, run in others.items():
            ratios[key].append(seconds(run) / spent[-1])
    low, high = np.quantile(ratios["ours"], [0.25, 0.75])
    cells = [f"{statistics.median(ratios[key]):.1f}" if key in ratios else "" for key in ("naive", "plain", "ours")]
    forward = f"{statistics.median(spent) * 1e3:.2f}"
    least = f"{bound(name.split()[-1], n):.1f}" if name.startswith("network") else ""
    return f"| {name} | {n} | {batch} | {forward} | {' | '.join(cells)} | {low:.1f} to {high:.1f} | {least} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=range(2, 11))
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32, 256])
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(HEAD)
    with torch.inference_mode():
        for n in arguments.n:
            for batch in arguments.batch:
                print(line("textbook self-attention", textbook(n, batch), n, batch), flush=True)
                print(line("the same, in forwards of `nn.MultiheadAttention`", torchs(n, batch), n, batch), flush=True)
                for spec in ("self", "cross"):
                    print(line(f"network, {spec}", network(spec, n, batch), n, batch), flush=True)


if __name__ == "__main__":
    main()
