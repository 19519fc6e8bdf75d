"""An explanation as a report: what to know first, then each view with its numbers; and as a dict for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intermodal.explain.curves import RANDOM
from intermodal.explain.leaving import left_out_of
from intermodal.explain.outcome import OUTCOMES
from intermodal.explain.ranks import moved_by
from intermodal.explain.removal import RULES
from intermodal.explain.trace_report import view_of

if TYPE_CHECKING:
    from intermodal.explain.curves import Curves
    from intermodal.explain.explaining import Explanation

Block = dict[str, Any]

FIRST, FACTS = "What to know first", "What was explained"
ATTENTION, WORTH, MOVED = "Who attended to whom", "What each modality was worth", "What moved the prediction"
RANDOM_MODELS = "Does the explanation change with the model?"
ORDER, EVEN, MISSING = "Is the order right?", "Does it matter who was looked at?", "What was missing"
SAME_PREDICTION = 1e-9
_ORDER_CAPTION = (
    "A good ranking makes the prediction fall soon when the modalities are taken away, and rise soon when they are put "
    "back. The curves are exact: every subset was evaluated."
)


def report_of(e: Explanation, *, brief: bool) -> dict[str, Any]:
    """Return the explanation as a dict of blocks; `brief` leaves out what a terminal has no room for."""
    if brief:
        blocks = [_facts(e), _worth(e), _map(e)]
        return _titled(e, [*blocks, _first(e, blocks)])
    views = [
        _attention(e),
        *_timelines(e),
        _worth(e),
        _attribution(e),
        *_order(e),
        *_even(e),
        *_random(e),
        *_worked(e),
        _presence(e),
    ]
    blocks = [_facts(e), *views]
    return _titled(e, [_first(e, blocks), *blocks])


def _titled(e: Explanation, blocks: list[Block]) -> dict[str, Any]:
    return {"title": "Who asks whom, and what was it worth", "subtitle": e.spec, "blocks": blocks}


def dict_of(e: Explanation) -> dict[str, Any]:
    """Return the numbers of an explanation as nested dicts and lists."""
    attention, worth = e.attention, e.shapley
    return {
        "n": e.n_samples,
        "fusion": e.spec,
        "names": list(worth.names),
        "provenance": e.provenance,
        "warnings": e.warnings,
        "attention": {
            "mean": attention.mean,
            "std": attention.std,
            "by_head": attention.by_head,
            "asked": attention.count,
            "missing": attention.missing,
        },
        "worth": worth.worth(),
        "completeness": worth.completeness,
        "shapley": {"values": worth.values, "full": worth.full, "empty": worth.empty},
        "interactions": _pairs(e),
        "leave_one_out": moved_by(left_out_of(e.game).values),
        "agreement": {"agrees": e.agreement.agrees, "spearman": e.agreement.spearman, "text": e.agreement.text},
        "second_rule": None
        if e.rules is None
        else {"rules": e.rules.rules, "worth": e.rules.worth, "flips": e.rules.flips, "spearman": e.rules.spearman},
        "curves": None if e.curves is None else {"deletion": e.curves.deletion, "insertion": e.curves.insertion},
        "faithfulness": [one.text for one in (e.uniform, e.permuted, e.curves, e.randomised) if one is not None],
    }


# --- what to know first -----------------------------------------------------------------------------


def _first(e: Explanation, blocks: list[Block]) -> Block:
    """The verdict strip: each sentence with the view that it rests on, where that is shown."""
    items: list[dict[str, Any]] = [{**w, "see": _where(w["id"], e)} for w in e.warnings]

    def say(name: str, text: str, see: str, severity: str = "note") -> None:
        items.append({"id": name, "severity": severity, "text": text, "see": see})

    told = {w["id"] for w in e.warnings}
    if e.attention.mean is not None and "attended-but-unused" not in told:
        disagree = e.agreement.agrees is False
        say("agreement", e.agreement.text, WORTH, "warning" if disagree else "note")
    if e.uniform is not None:
        say("even-attention", e.uniform.text, EVEN)
    if e.rules is not None and len(e.rules.names) > 1:
        one, other = e.rules.rules
        turned = f"{one} and {other} order {len(e.rules.flips)} pairs of modalities differently"
        say("two-rules", f"{one} and {other} order the modalities alike" if e.rules.agree else turned, MOVED)
    error = e.shapley.completeness
    exact = f"the values of every sample sum to its {e.provenance['of']}, to within {error:.1e}"
    say("complete", exact, MOVED, "note" if error <= SAME_PREDICTION else "error")
    titles = {block.get("title") for block in blocks}
    linked = [item if item["see"] in titles else {**item, "see": None} for item in items]
    return {"kind": "findings", "title": FIRST, "items": [_without_none(item) for item in linked]}


def _where(name: str, e: Explanation) -> str | None:
    worth = ("attended-but-unused", "rule-decides", "predicts-nothing")
    return MISSING if name == "often-missing" else WORTH if name in worth else ATTENTION


def _facts(e: Explanation) -> Block:
    p = e.provenance
    items = [
        ["Fusion", e.spec],
        ["Samples", _samples(e)],
        ["Explained", _explained(e)],
        ["A modality is taken away", f"{p['removal']}: {RULES[p['removal']]}"],
        ["Subsets evaluated", str(p["evaluations"])],
        ["Completeness error", f"{e.shapley.completeness:.1e}"],
        ["Model", f"{p['model']}, fingerprint {p['fingerprint']}, dropout off, {p['dtype']} on {p['device']}"],
        ["Seed", str(p["seed"])],
    ]
    return {"kind": "facts", "title": FACTS, "items": items}


def _samples(e: Explanation) -> str:
    n, known, some = e.n_samples, e.provenance["n_known"], e.provenance["n_faithful"]
    parts = [f"{n:,}"] + [f"{known:,} of them with a target"] * (0 < known < n)
    return "; ".join(
        parts + [f"{some:,} of them for what even and dealt weights would change"] * (some < max(known, 1))
    )


def _explained(e: Explanation) -> str:
    """What the values sum to."""
    if e.provenance["of"] != "prediction":
        return OUTCOMES[e.provenance["of"]]
    return "the probability of every class" if e.shown.classes else "the predicted number" + "s" * (e.game.v.ndim == 3)


# --- attention --------------------------------------------------------------------------------------


def _nobody() -> Block:
    return {"kind": "text", "title": ATTENTION, "text": "Nobody asked anybody in these samples."}


def _map(e: Explanation) -> Block:
    if e.attention.mean is None:
        return _nobody()
    names = list(e.attention.names)
    caption = "A row asks, a column is looked at; a row sums to 1. Mean over samples, layers and heads."
    return {"kind": "matrix", "title": ATTENTION, "caption": caption, "rows": names, "columns": names} | {
        "values": _known(e.attention.mean),
        "digits": 2,
    }


def _attention(e: Explanation) -> Block:
    a = e.attention
    if a.by_head is None:
        return _nobody()
    heads = a.by_head.shape[1] // a.n_members
    called = [
        f"member {m + 1}, head {h + 1}" if a.n_members > 1 else f"head {h + 1}"
        for m in range(a.n_members)
        for h in range(heads)
    ]
    block = {
        "kind": "attention",
        "title": ATTENTION,
        "caption": "A row asks, a column is looked at; a row sums to 1. Attention is where the model looked, not what "
        "it used. An even share counts modalities, however many tokens each has.",
        "names": list(a.names),
        "layers": [f"layer {i + 1}" for i in range(len(a.by_head))],
        "heads": called,
        "mean": _known(a.by_head),
        "std": None if a.std_by_head is None else _known(a.std_by_head),
        "count": [int(n) for n in a.count],
        "n": e.n_samples,
        "samples": [
            {"id": id, "why": why, "mass": _known(mass)}
            for id, why, mass in zip(e.shown.ids, e.shown.why, e.shown.mass, strict=True)
        ],
        "left_out": e.shown.left_out,
    }
    return _without_none(block)


def _timelines(e: Explanation) -> list[Block]:
    blocks = []
    for (query, context), lines in e.shown.timelines.items():
        items = [
            {"id": line.id, "words": list(line.labels), "times": line.times.tolist(), "weights": _known(line.weights)}
            for line in lines
        ]
        block = {"kind": "timeline", "title": f"When does {query} look at {context}?", "unit": lines[0].unit}
        blocks.append(block | {"how": lines[0].how, "query": query, "context": context, "items": items})
    return blocks


# --- worth ------------------------------------------------------------------------------------------


def _worth(e: Explanation) -> Block:
    return {
        "kind": "bars",
        "title": WORTH,
        "caption": "Mean absolute Shapley value over the samples, with a 95 % bootstrap interval: how far the "
        f"modality moved the {e.provenance['of']}.",
        "items": [
            {"label": w["name"], "value": w["mean"], "low": w["low"], "high": w["high"]} for w in e.shapley.worth()
        ],
    }


def _attribution(e: Explanation) -> Block:
    w, rows = e.shapley, e.shown.rows
    beside = [
        {"label": "Shapley, mean absolute", "values": _known(w.moved.mean(0))},
        {"label": "leave one out", "values": _known(moved_by(left_out_of(e.game).values).mean(0))},
    ]
    if e.agreement.attention is not None:
        beside.append({"label": "share of attention", "values": _known(e.agreement.attention)})
    if e.rules is not None:
        beside.append({"label": f"worth under {e.rules.rules[1]}", "values": _known(e.rules.worth[1])})
    outputs = w.values.shape[2] if w.values.ndim == 3 else 1
    samples = [
        {
            "id": id,
            "why": why,
            "empty": _known(w.empty[row].reshape(-1)),
            "full": _known(w.full[row].reshape(-1)),
            "values": _known(w.values[row].reshape(len(w.names), -1)),
            "missing": [not there for there in e.game.present[row].tolist()],
        }
        for id, why, row in zip(e.shown.ids, e.shown.why, rows, strict=True)
    ]
    return {
        "kind": "attribution",
        "title": MOVED,
        "caption": "Bars start at what the model says of nothing and end at what it says of everything.",
        "names": list(w.names),
        "outputs": [str(c) for c in e.shown.classes] if len(e.shown.classes) == outputs else _numbered(outputs, w.of),
        "samples": samples,
        "completeness": w.completeness,
        "removal": w.removal,
        "beside": beside,
        "interactions": _known(_pairs(e)),
        **({} if e.shown.left_out is None else {"left_out": e.shown.left_out}),
    }


def _numbered(outputs: int, of: str) -> list[str]:
    return [of] if outputs == 1 else [f"output {i + 1}" for i in range(outputs)]


def _pairs(e: Explanation) -> np.ndarray:
    """Mean interaction of each pair, (M, M); of several outputs that of the largest, the class that is predicted."""
    pairs = e.interactions
    if pairs.ndim == 4:
        largest = e.shapley.full.argmax(1)
        pairs = np.take_along_axis(pairs, largest[:, None, None, None], 3)[..., 0]
    return np.asarray(pairs.mean(0))


# --- faithfulness -----------------------------------------------------------------------------------


def _order(e: Explanation) -> list[Block]:
    c = e.curves
    if c is None:
        return []
    blocks: list[Block] = []
    for name, words, lines in (
        ("deletion", "taken away, the first in the ranking first", c.deletion),
        ("insertion", "put back, the first in the ranking first", c.insertion),
    ):
        middle, half = lines["random"], c.band[name]
        blocks.append(
            {
                "kind": "curves",
                "title": ORDER if not blocks else "Is the order right? Put back",
                "caption": _ORDER_CAPTION if not blocks else None,
                "x_label": f"share of the modalities {words}",
                "y_label": "prediction" if c.measure == "value" else "nearness to the whole prediction",
                "x": c.share.tolist(),
                "lines": [{"label": label, "values": _known(values)} for label, values in lines.items()],
                "band": {"label": "random orders", "low": _known(middle - half), "high": _known(middle + half)},
            }
        )
    return [*map(_without_none, blocks), _areas(c)]


def _areas(c: Curves) -> Block:
    """The areas below the curves, and by how much each ranking beats a random order."""
    rows: list[list[Any]] = []
    for row in c.rows():
        gains = [
            "" if row[f"{side}_error"] is None else f"{row[f'{side}_gain']:.3f} ± {2 * row[f'{side}_error']:.3f}"
            for side in ("deletion", "insertion")
        ]
        if row["ranking"] == RANDOM:
            gains, row["better"] = ["", ""], None
        verdict = {True: "yes", False: "no", None: ""}[row["better"]]
        rows.append([row["ranking"], row["deletion_area"], row["insertion_area"], *gains, verdict])
    columns = ["ranking", "deletion area", "insertion area", "gain by deletion", "gain by insertion", "beats random"]
    caption = "Gains against a random order, with two standard errors; a ranking beats random where both exceed them."
    block = {"kind": "table", "title": "Areas below the curves", "caption": caption, "columns": columns}
    return block | {"rows": rows, "align": "lrrrrl"}


def _even(e: Explanation) -> list[Block]:
    said = [one.text for one in (e.uniform, e.permuted) if one is not None]
    text = "\n\n".join(one[:1].upper() + one[1:] + "." for one in said)
    return [{"kind": "text", "title": EVEN, "text": text}] if said else []


def _random(e: Explanation) -> list[Block]:
    """How alike the explanations of random models are, stage by stage."""
    r = e.randomised
    if r is None:
        return []
    rows: list[list[Any]] = []
    for i, stage in enumerate(r.stages):
        row: list[Any] = [stage, float(r.shapley[i]), float(r.shapley_std[i])]
        if r.attention is not None and r.attention_std is not None:
            row += [float(r.attention[i]), float(r.attention_std[i])]
        rows.append(row)
    columns = ["drawn anew, from the top down", "Shapley", "spread over draws"]
    columns += [] if r.attention is None else ["attention", "spread over draws"]
    block = {"kind": "table", "title": RANDOM_MODELS, "columns": columns, "rows": rows}
    caption = "Rank correlation with the trained model's explanation; it should fall as the model is lost. "
    return [{**block, "caption": caption + r.text.replace("\n", ". ") + "."}]


def _worked(e: Explanation) -> list[Block]:
    row = e.shown.worked
    if row is None:
        return []
    caption = (
        f"Sample {e.shown.worked_id}: {row.query} asks along {row.edge}, layer {row.layer + 1}, head {row.head + 1}, "
        "the query and the head that look hardest at one key. The model's own weights differ from the exact ones by "
        f"at most {row.difference:.1e}."
    )
    return [{**view_of(row.trace, next(iter(row.trace.rows))), "title": "One query, worked out", "caption": caption}]


# --- the samples ------------------------------------------------------------------------------------


def _presence(e: Explanation) -> Block:
    there = e.game.present
    if there.all():
        return {"kind": "text", "title": MISSING, "text": f"Nothing: all {e.n_samples} samples have every modality."}
    block = {
        "kind": "presence",
        "title": MISSING,
        "names": list(e.game.names),
        "rows": list(e.shown.ids),
        "present": there[list(e.shown.rows)].tolist(),
        "missing": [int(n) for n in (~there).sum(0)],
        "n": e.n_samples,
        "left_out": e.shown.left_out,
    }
    return _without_none(block)


def _known(values: np.ndarray) -> Any:
    """Nested lists with None where a number is not known."""
    values = np.asarray(values, dtype=np.float64)
    known = values.astype(object)
    known[np.isnan(values)] = None
    return known.tolist()


def _without_none(block: Block) -> Block:
    return {key: value for key, value in block.items() if value is not None}
