"""Reports with a block of every kind that a page lets people turn and pick in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

NAMES = ["text", "video", "audio"]


def softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def attention(
    names: list[str] = NAMES, layers: int = 2, heads: int = 5, n_samples: int = 3, seed: int = 0
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    size = len(names)
    masses = softmax(2 * rng.normal(size=(n_samples + 20, layers, heads, size, size)))
    why = ["random", "highest loss", "most unlike the mean"]
    return {
        "kind": "attention",
        "title": "Who attends to whom",
        "caption": "The query asks, the context is looked at.",
        "names": names,
        "layers": [f"layer {i + 1}" for i in range(layers)],
        "heads": [f"member {i % 2 + 1}, head {i // 2 + 1}" for i in range(heads)],
        "mean": masses.mean(0).tolist(),
        "std": masses.std(0).tolist(),
        "count": [97] * size,
        "n": 97,
        "samples": [
            {"id": f"sample {i * 13}", "why": why[i % 3], "mass": masses[i].tolist()} for i in range(n_samples)
        ],
        "left_out": f"Showing {n_samples} of 97 samples: 1 random (seed 0), 1 of highest loss, 1 most unlike the mean.",
    }


def timeline(words: int = 7, frames: int = 251, seed: int = 0, step: float = 0.1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(words, frames)) * 0.7
    places = rng.integers(0, frames, size=words)
    for word, place in enumerate(places):
        scores[word] += 3.5 * np.exp(-(((np.arange(frames) - place) / (2 + frames / 60)) ** 2))
    times = [[round(i * step, 6), round((i + 1) * step, 6)] for i in range(frames)]
    texts = ["the", "dog", "runs", "over", "a", "green", "lawn"]
    start = times[int(places[min(1, words - 1)])][0]
    return {
        "kind": "timeline",
        "title": "When is it looked at",
        "caption": "A word of the sentence asks, the frames of the video are looked at.",
        "unit": "s",
        "how": "mean over 4 heads of layer 1",
        "query": "text",
        "context": "video",
        "items": [
            {
                "id": f"clip {seed + 1}",
                "words": [texts[i % 7] + ("" if i < 7 else f" {i}") for i in range(words)],
                "times": times,
                "weights": softmax(scores).tolist(),
                "truth": [[max(0.0, start - 4 * step), start + 5 * step]],
            }
        ],
    }


def attribution(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    outputs = ["zero", "one"]
    values = rng.normal(size=(3, len(NAMES), 2)) * [[[1.5], [0.5], [0.2]]]
    values[1, 2] = 0
    empty = rng.normal(size=(3, 2))
    samples = [
        {
            "id": f"sample {i * 13}",
            "why": ["random", "highest loss", "most unlike the mean"][i],
            "empty": empty[i].tolist(),
            "full": (empty[i] + values[i].sum(0)).tolist(),
            "values": values[i].tolist(),
            "missing": [False, False, i == 1],
        }
        for i in range(3)
    ]
    return {
        "kind": "attribution",
        "title": "What moved the output",
        "caption": "Shapley values of the logit.",
        "names": NAMES,
        "outputs": outputs,
        "samples": samples,
        "completeness": 3.1e-16,
        "removal": "mask",
        "mean": {"worth": [1.21, 0.43, 0.12], "low": [1.02, 0.31, 0.0], "high": [1.4, 0.55, 0.2]},
        "beside": [
            {"label": "leave one out", "values": [1.4, 0.6, 0.1]},
            {"label": "attention", "values": [0.41, 0.32, 0.27]},
        ],
        "interactions": [[None, 0.31, -0.07], [0.31, None, 0.02], [-0.07, 0.02, None]],
    }


def curves() -> dict[str, Any]:
    x = [0, 1, 2, 3, 4, 5]
    return {
        "kind": "curves",
        "title": "How good is the ranking",
        "caption": "Deletion: modalities are taken away, the one worth most first.",
        "x_label": "modalities taken away",
        "y_label": "logit of the predicted class",
        "x": x,
        "lines": [
            {
                "label": "Shapley",
                "values": [3.2, 1.6, 0.9, 0.5, 0.3, 0.1],
                "low": [3.0, 1.4, 0.7, 0.3, 0.1, -0.1],
                "high": [3.4, 1.8, 1.1, 0.7, 0.5, 0.3],
            },
            {"label": "leave one out", "values": [3.2, 1.7, 1.1, 0.6, 0.3, 0.1]},
            {"label": "attention", "values": [3.2, 2.6, 1.7, 0.8, 0.4, 0.1]},
        ],
        "band": {
            "label": "random order, 95 %",
            "low": [3.2, 2.2, 1.5, 0.9, 0.4, 0.1],
            "high": [3.2, 2.9, 2.4, 1.6, 0.9, 0.1],
        },
    }


def trace() -> dict[str, Any]:
    rows = [
        ["key 1", "1·2 + 2·3 = 8", "5.6569", "0.0000", "1.0000", "0.9930", "9.9296, 0.0000"],
        ["key 2", "1·1 + 2·0 = 1", "0.7071", "-4.9497", "0.0071", "0.0070", "0.0000, 0.0704"],
    ]
    columns = ["key", "score", "scaled", "minus the largest", "e^x", "weight", "weight × value"]
    return {
        "kind": "trace",
        "title": "Show me the arithmetic",
        "caption": "The exponentials sum to 1.0071.",
        "q": ["1", "2"],
        "keys": [["2", "3"], ["1", "0"]],
        "values": [[10.0, 0.0], [0.0, 10.0]],
        "keep": None,
        "scaled": True,
        "names": ["key 1", "key 2"],
        "steps": {"columns": columns, "rows": rows},
        "facts": [["output", "9.9296, 0.0704"]],
        "digits": 4,
    }


def presence() -> dict[str, Any]:
    present = [[True, True, True], [True, False, True], [True, True, False], [False, True, True]]
    return {
        "kind": "presence",
        "title": "What was missing",
        "names": NAMES,
        "rows": [f"sample {i * 13}" for i in range(4)],
        "present": present,
        "missing": [1, 12, 30],
        "n": 97,
        "left_out": "Showing 4 of 97 samples.",
    }


def findings() -> dict[str, Any]:
    return {
        "kind": "findings",
        "title": "Can it be trusted",
        "items": [
            {
                "id": "D17",
                "severity": "warning",
                "text": 'attention and worth disagree: "audio" got 27 % of the attention and 7 % of the worth',
                "remedy": "trust the worth: attention is where the model looked, not what it used",
                "see": "What moved the output",
            },
            {
                "id": "D18",
                "severity": "note",
                "text": "one frame gets more than half of the attention",
                "see": "When is it looked at",
            },
        ],
    }


def whole() -> dict[str, Any]:
    facts = {"kind": "facts", "title": "What was explained", "items": [["Fusion", "text <-> video"], ["Samples", 97]]}
    blocks = [findings(), facts, attention(), timeline(), attribution(), curves(), trace(), presence()]
    return {
        "title": "Who asks whom, and what was it worth",
        "subtitle": "text asks video; video asks text",
        "blocks": blocks,
    }


def with_gaps() -> dict[str, Any]:
    """A report where some numbers are not there, or are no numbers."""
    block = attention(["a", "b"], layers=1, heads=1, n_samples=1)
    block["mean"] = [[[[0.25, 0.75], [None, None]]]]
    block["std"] = [[[[0.1, math.nan], [None, None]]]]
    return {"title": "Gaps", "blocks": [block]}
