"""How much memory the attention on each modality takes, without the weights and with them.

    python benchmarks/mass.py             8192 queries and 8192 keys in 8 heads, 3 segments
    python benchmarks/mass.py 4096 4      other sizes: tokens, heads

Each way runs in a process of its own, whose peak resident memory is read by the system; what the process holds before
it attends is subtracted. Above 1, the mass takes less.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys

WIDTH = 16
SEGMENTS = 3


def peak_mib() -> float:
    """Most memory this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def measured(way: str, n_tokens: int, n_heads: int) -> None:
    """Attend in this process, and print what that added to the peak, and how far the answer is from the mass."""
    import torch

    from intermodal.attention import attend, mass

    torch.manual_seed(0)
    torch.set_num_threads(1)
    q, k = (torch.randn(1, n_heads, n_tokens, WIDTH) for _ in range(2))
    segments = torch.arange(n_tokens) * SEGMENTS // n_tokens
    mass(q[:, :, :64], k[:, :, :64], segments[:64], SEGMENTS)  # libraries are loaded before the count begins
    before = peak_mib()
    with torch.inference_mode():
        if way == "mass":
            got = mass(q, k, segments, SEGMENTS)
        else:
            weights = attend(q, k, k, need_weights=True).weights
            assert weights is not None
            got = torch.stack([weights[..., segments == s].sum(-1) for s in range(SEGMENTS)], -1)
    mib = peak_mib() - before
    error = (got - mass(q, k, segments, SEGMENTS)).abs().max().item()
    print(json.dumps({"mib": mib, "error": error}))


def main(n_tokens: int, n_heads: int) -> None:
    found = {}
    for way in ("mass", "weights"):
        command = [sys.executable, __file__, way, str(n_tokens), str(n_heads)]
        found[way] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    mass_mib, weights_mib = found["mass"]["mib"], found["weights"]["mib"]
    print(f"{n_tokens} x {n_tokens} in {n_heads} heads, {SEGMENTS} segments, float32")
    print(f"without the weights {mass_mib:.0f} MiB, with them {weights_mib:.0f} MiB")
    print(f"ratio {weights_mib / max(mass_mib, 1.0):.0f}; the two differ by at most {found['weights']['error']:.1e}")


if __name__ == "__main__":
    if sys.argv[1:2] in (["mass"], ["weights"]):
        measured(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        sizes = [int(n) for n in sys.argv[1:]]
        main(*(sizes + [8192, 8][len(sizes) :]))
