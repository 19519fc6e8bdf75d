"""Peak memory: what torch's allocator holds at most during a call, and how that grows with the tokens.

    python benchmarks/speed_memory.py ours 1024 2048      one way alone, as JSON; `speed.py` starts it so

The allocator's peak counts every tensor, those inside a kernel too. It does not see what a kernel takes past torch, so
the growth is measured twice: each way also runs in a process of its own, whose peak resident memory the system reads.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from speed_turns import Run, exponent, forward, step
from torch import nn
from torch.profiler import ProfilerActivity, profile

from intermodal.nn import SelfAttentionFusion

WIDTH, HEADS = 64, 4
TOKENS, QUICK = (1024, 2048, 4096, 8192), (256, 512, 1024)
WAYS = {
    "ours": "ours",
    "ours-step": "ours, training step",
    "module": "`nn.MultiheadAttention` without weights",
    "module-weights": "`nn.MultiheadAttention` with weights",
}


def allocated(run: Run) -> int:
    """Bytes that torch holds at most during the call, over what it held before."""
    with _quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace.json")
        seen.export_chrome_trace(path)
        with open(path, encoding="utf-8") as file:
            events = [e for e in json.load(file)["traceEvents"] if e.get("name") == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda e: e["ts"]):
        held += event["args"]["Bytes"]
        most = max(most, held)
    return most


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on stderr: the profiler says there that it starts and ends."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def resident() -> int:
    """Most bytes this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux `getrusage` also counts what the parent held before this process began
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_of(way: str, tokens: int) -> Run:
    """What one way calls: one sample of so many tokens."""
    module = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).eval()
    ours = SelfAttentionFusion.from_torch(module)
    x = torch.randn(1, tokens, WIDTH)
    if way == "ours-step":
        return step(lambda: ours(x).pooled, ours)
    if way == "ours":
        return forward(lambda: ours(x).pooled)
    return forward(lambda: module(x, x, x, need_weights=way == "module-weights")[0].mean(1))


def child(way: str, sizes: Sequence[int]) -> list[dict[str, int]]:
    """Both peaks in this process, from the fewest tokens to the most: the system's peak never falls."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    run_of(way, 64)()
    before, found = resident(), []
    for tokens in sorted(sizes):
        run_of(way, tokens)()
        found.append({"tokens": tokens, "resident": resident() - before})
    for row in found:
        row["allocated"] = allocated(run_of(way, row["tokens"]))
    return found


def measure(*, quick: bool) -> dict[str, dict[str, object]]:
    """By way: both peaks at each size, and the exponent of the allocator's."""
    found: dict[str, dict[str, object]] = {}
    for way in WAYS:
        command = [sys.executable, __file__, way, *map(str, QUICK if quick else TOKENS)]
        rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        slope = exponent([r["tokens"] for r in rows], [r["allocated"] for r in rows])
        found[way] = {"rows": rows, "exponent": slope}
    return found


def peaks(runs: dict[str, Run]) -> dict[str, int]:
    """The allocator's peak of each, after a first call."""
    for run in runs.values():
        run()
    return {name: allocated(run) for name, run in runs.items()}


if __name__ == "__main__":
    print(json.dumps(child(sys.argv[1], [int(n) for n in sys.argv[2:]])))
