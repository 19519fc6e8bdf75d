"""The page about speed, from what was measured: words and tables alone, no measuring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from speed_memory import WAYS as MEMORY_WAYS
from speed_shapes import COMMON, FLOOR, LAYER, OURS, QUICK, TITLES, Shape, X
from speed_turns import geometric_mean

MIB = 2**20
Found = dict[str, Any]


def page(kept: Found) -> str:
    """All parts that are there, as Markdown."""
    blocks = ["# Speed", *_intro(kept)]
    for part, (title, words, table) in _PARTS.items():
        if part in kept and (text := table(kept[part]["found"])):
            blocks += [f"## {title}", *([words] if words else []), text]
            if part == "step" and "forward" in kept:
                blocks += ["## Peak memory on the eight shapes", _PEAKS, _peaks(kept)]
    return "\n\n".join(blocks)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: names to the left, numbers to the right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def spread(values: Sequence[float]) -> str:
    """The median, with the quartiles in brackets."""
    low, middle, high = (f"{v:.2f}" if v < 100 else f"{v:.0f}" for v in values)
    return f"{middle} [{low}, {high}]"


def milliseconds(values: Sequence[float]) -> str:
    return f"{values[1]:.3g}" if values[1] < 1000 else f"{values[1]:.0f}"


def _intro(kept: Found) -> list[str]:
    parts = list(kept.values())
    commits = ", ".join(dict.fromkeys(p["commit"] for p in parts))
    versions = ", ".join(dict.fromkeys(p["torch"].split("+")[0] for p in parts))
    blocks = []
    if any(p["busy"] for p in parts):
        names = ", ".join(name for name, p in kept.items() if p["busy"])
        blocks.append(f"**The machine was busy when this was measured ({names}): read the quartiles.**")
    blocks.append(
        "Printed by `python benchmarks/speed.py --write` (`--only forward step` runs some of it): one thread, torch "
        f"{versions} on a processor, commit {commits}. On the eight shapes all ways of the same fusion have the same "
        "weights and the same input, and their answers are compared before any time is taken. All ways run turn by "
        "turn, in an order that changes, so that a "
        "busy machine slows all of them; a ratio is taken within a turn. Cells hold the median over the turns, the "
        "quartiles in brackets. Above 1, ours is faster, but where ours stands over the floor: there 1 is the best."
    )
    if {"forward", "step"} <= kept.keys():
        blocks.append(f"![{_alt(kept)}](pictures/speed.svg)")
    return blocks


def _alt(kept: Found) -> str:
    means = [_mean(kept[kind]["found"], OURS, FLOOR) for kind in ("forward", "step")]
    return (
        "Time over the time of the Q/K/V projection alone, for eight shapes and every way. "
        f"Ours takes {means[0]:.1f} times the floor in a forward and {means[1]:.1f} times in a training step"
    )


def _mean(rows: Sequence[Found], name: str, over: str) -> float:
    return geometric_mean([row["ways"][name][over][1] for row in rows])


def _shapes(rows: Sequence[Found]) -> str:
    """By shape: the floor, ours over it, and the others over ours."""
    ran = rows[0]["ways"]
    others = [name for name in (*COMMON, LAYER) if name != OURS and name in ran]
    heads = ["tokens, batch, width, heads", "floor, ms", "ours, ms", "ours / floor"]
    quick = [QUICK] if QUICK in ran else []
    heads += [f"{TITLES[name]} / floor" for name in quick] + [f"{TITLES[name]} / ours" for name in others]
    heads += [] if X in ran else [f"{TITLES[X]} / ours"]
    lines = []
    for row in rows:
        each = row["ways"]
        cells = [str(Shape(*row["shape"])), milliseconds(each[FLOOR]["ms"]), milliseconds(each[OURS]["ms"])]
        cells += [spread(each[name][FLOOR]) for name in (OURS, *quick)]
        cells += [spread(each[name][OURS]) for name in others]
        lines.append(cells + ([] if X in ran else ["not installed"]))
    means = [f"**{_mean(rows, name, FLOOR):.2f}**" for name in (OURS, *quick)]
    means += [f"**{_mean(rows, name, OURS):.2f}**" for name in others]
    lines.append(["**geometric mean**", "", "", *means, *([] if X in ran else [""])])
    return table(heads, lines)


def _peaks(kept: Found) -> str:
    """By shape: MiB of ours, and how many times more the others hold, in a forward and in a step."""
    rows = zip(kept["forward"]["found"], kept["step"]["found"], strict=True)
    others = [n for n in (*COMMON, LAYER) if n != OURS and all(n in kept[k]["found"][0]["bytes"] for k in _KINDS)]
    heads = ["tokens, batch, width, heads"]
    for kind in _KINDS:
        heads += [f"{kind}: ours, MiB", *(f"{TITLES[name]} / ours" for name in others)]
    lines = []
    for pair in rows:
        cells = [str(Shape(*pair[0]["shape"]))]
        for row in pair:
            own = row["bytes"][OURS]
            cells += [f"{own / MIB:.3g}", *(f"{row['bytes'][name] / own:.2f}" for name in others)]
        lines.append(cells)
    return table(heads, lines)


def _growing_memory(found: Found) -> str:
    sizes = [row["tokens"] for row in found[OURS]["rows"]]
    heads = ["MiB at tokens", *(f"{n}" for n in sizes), "exponent", f"process at {sizes[-1]}"]
    lines = []
    for way, title in MEMORY_WAYS.items():
        rows = found[way]["rows"]
        cells = [
            f"{row['allocated'] / MIB:.3g}" if row["allocated"] < 1e9 else f"{row['allocated'] / MIB:.0f}"
            for row in rows
        ]
        lines.append([title, *cells, f"{found[way]['exponent']:.2f}", f"{rows[-1]['resident'] / MIB:.0f}"])
    return table(heads, lines)


def _growth(rows: Sequence[Found]) -> str:
    heads = ["what grows", "sizes", "forward", "step", "arithmetic"]
    return table(
        heads,
        [
            [r["name"], _range(r["sizes"]), *(spread(r[kind]) for kind in _KINDS), f"{r['arithmetic']:.2f}"]
            for r in rows
        ],
    )


def _range(sizes: Sequence[int]) -> str:
    return f"{sizes[0]} to {sizes[-1]}"


def _pairs(rows: Sequence[Found]) -> str:
    heads = ["what", "ours, ms", "the other way, ms", "ratio"]
    return table(
        heads, [[r["what"], milliseconds(r["ours"]), milliseconds(r["theirs"]), spread(r["ratio"])] for r in rows]
    )


def _shapley(rows: Sequence[Found]) -> str:
    heads = ["module", "one forward, ms", "ours, forwards", "64 forwards one by one, forwards"]
    return table(heads, [[r["what"], milliseconds(r["one"]), spread(r["ours"]), spread(r["naive"])] for r in rows])


def _threads(found: Found) -> str:
    heads = [f"on {found['processors']} processors", "one thread, ms", "two threads / one"]
    return table(heads, [[r["what"], milliseconds(r["one"]), spread(r["ratio"])] for r in found["rows"]])


_KINDS = ("forward", "step")
_PEAKS = (
    "What torch's allocator holds at most during a call, over what it held before; a step holds the gradients of the "
    "parameters too. Above 1, ours takes less."
)
_PARTS: dict[str, tuple[str, str, Callable[[Any], str]]] = {
    "forward": (
        "Forward",
        "Self-fusion and its mean in inference mode. The floor is one product for queries, keys and values and nothing "
        "else, as `nn.Linear` takes it. On some processors torch brings a quicker library, which ours asks: what "
        "that takes stands beside. `nn.MultiheadAttention` stands once in evaluation mode, where torch takes a path of "
        "its own, and once as it is left in training mode, which is often the quicker. By hand: one product for all "
        "three, then `F.scaled_dot_product_attention`. x-transformers runs on the same fused kernel. A "
        "`nn.TransformerEncoderLayer` says more: two norms and a feed-forward step of twice the width.",
        _shapes,
    ),
    "step": (
        "Training step",
        "Forward and backward of a square sum to the parameters; the input takes no gradient. The floor is the same "
        "product and its backward, from a gradient that is there already.",
        _shapes,
    ),
    "memory": (
        "Peak memory and tokens",
        "One sample of width 64 in 4 heads, in inference mode but for the step. Exponents are fitted to what torch's "
        "allocator holds at most; the last column is by how many MiB the peak of the whole process grew. In evaluation "
        "mode `nn.MultiheadAttention` builds the weights even when nobody asks for them.",
        _growing_memory,
    ),
    "growth": (
        "Growth",
        "Exponents of time, fitted by least squares through the logarithms in each turn; beside them the exponent of "
        "the multiply-adds over the same sizes. Below the arithmetic: small sizes cost more than their arithmetic. "
        "Width 64, 4 heads; a modality of the network is one vector in two tokens.",
        _growth,
    ),
    "cross": ("Asking another modality", "Against `nn.MultiheadAttention` with its mask of padding, by hand.", _pairs),
    "training": (
        "Training",
        "Against a plain loop over the same network written by hand. What ours does more: scaling, the straight line "
        "in closed form, averaged weights, and a validation after each epoch.",
        _pairs,
    ),
    "compare": ("Many models at once", "", lambda found: found["text"]),
    "shapley": (
        "Worth of six modalities",
        "All 64 subsets, in forwards of the same module on the same batch (`benchmarks/worth.py` has more sizes). Here "
        "less is better.",
        _shapley,
    ),
    "start": ("Start-up", "Whole processes, against one that imports torch and ends.", _pairs),
    "threads": (
        "Threads",
        "Ours with one thread and with two. A module takes the threads that torch has; the training chooses "
        "by itself. Below 1, two are faster.",
        _threads,
    ),
}
