"""From a network that says the next word to whole captions: the likeliest word each time, or a beam of hypotheses.

Shapes: B samples, W hypotheses of a sample, V words that can be said.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from intermodal.nn.decoder import END, Memory, Past


class Says(Protocol):
    """What is searched: it says the next word, as `CaptionDecoder.step` does."""

    @property
    def start(self) -> int:
        """The number that stands before the first word."""

    def step(self, words: Tensor, memory: Memory, past: Past | None) -> tuple[Tensor, Past]:
        """Logits (B, W, V) after the newest words (B, W)."""


class Hypothesis(NamedTuple):
    """A caption in numbers.

    Attributes:
        words: without start and end.
        total: sum of the log-probabilities of its words, and of its end where it is finished.
        finished: it ended by itself; False where it was cut at the most words.
    """

    words: list[int]
    total: float
    finished: bool

    @property
    def mean(self) -> float:
        """The mean log-probability a word, the end counted as one."""
        return self.total / max(1, len(self.words) + self.finished)


def greedy(decoder: Says, memory: Memory, *, min_words: int = 0, max_words: int) -> list[Hypothesis]:
    """Say the likeliest word each time.

    Args:
        decoder: says the next word.
        memory: of B samples.
        min_words: words before which a caption does not end.
        max_words: words after which it must end; one that would go on is cut there.

    Returns:
        B captions.

    Relation: equal to `beam_search` with a width of 1.
    """
    b, device = len(memory[0][0].k), memory[0][0].k.device
    words = torch.full((b, 1), decoder.start, device=device)
    total = torch.zeros(b, dtype=torch.float64, device=device)
    alive, length = torch.ones(b, dtype=torch.bool, device=device), torch.zeros(b, dtype=torch.long, device=device)
    past: Past | None = None
    said = []
    for n in range(max_words + 1):
        logits, past = decoder.step(words, memory, past)
        value, words = _log_probabilities(logits, forbid_end=n < min_words).max(-1)
        ends = words[:, 0] == END
        counts = alive & (ends | (n < max_words))
        total += value[:, 0] * counts
        length += alive & ~ends & (n < max_words)
        alive = alive & ~ends
        said.append(words)
        if not bool(alive.any()):
            break
    texts = torch.cat(said, 1).tolist()
    rows = zip(texts, length.tolist(), total.tolist(), alive.tolist(), strict=True)
    return [Hypothesis(text[:n], sum_, not cut) for text, n, sum_, cut in rows]


def beam_search(
    decoder: Says, memory: Memory, *, width: int, min_words: int = 0, max_words: int, length_penalty: float = 0.0
) -> list[Hypothesis]:
    """Follow the `width` likeliest hypotheses of each sample; each that ends leaves one place less.

    The best of those that ended is the one with the largest total / (words + 1) ** length_penalty. A sample is done
    when nothing that is still open could become better, so that its caption does not depend on its batch.

    Args:
        decoder: as in `greedy`.
        memory: as in `greedy`.
        width: W.
        min_words: as in `greedy`.
        max_words: as in `greedy`; where no hypothesis ended by then, the likeliest is cut.
        length_penalty: which of the captions that ended is taken: with 0 the likeliest, which favours short ones;
            with 1 the one whose words are likeliest on average, which favours long ones.

    Returns:
        B captions.

    Source: Graves 2012, Sequence Transduction with Recurrent Neural Networks; the penalty as in Wu et al. 2016,
    Google's Neural Machine Translation System, with the plain length.
    """
    b, device = len(memory[0][0].k), memory[0][0].k.device
    words = torch.full((b, 1), decoder.start, device=device)
    totals = torch.zeros(b, 1, dtype=torch.float64, device=device)
    texts = torch.zeros(b, 1, 0, dtype=torch.long, device=device)
    slots = torch.full((b, 1), width, device=device)
    ended: list[list[Hypothesis]] = [[] for _ in range(b)]
    past: Past | None = None
    for n in range(max_words + 1):
        logits, past = decoder.step(words, memory, past)
        scores = totals.unsqueeze(-1) + _log_probabilities(logits, forbid_end=n < min_words)
        w, v = scores.shape[1:]
        best, at = scores.flatten(1).topk(min(width, w * v))
        parent, chosen = at // v, at % v
        open_ = (torch.arange(best.shape[1], device=device) < slots) & (best > -math.inf)
        ends = open_ & (chosen == END)
        for i, j in ends.nonzero().tolist():
            ended[i].append(Hypothesis(texts[i, parent[i, j]].tolist(), float(best[i, j]), True))
        if n == max_words:
            break
        slots = slots - ends.sum(1, keepdim=True)
        rows = (torch.arange(b, device=device).unsqueeze(1) * w + parent).flatten()
        past = [(k[rows], v_[rows]) for k, v_ in past]
        texts = torch.cat([texts.flatten(0, 1)[rows].unflatten(0, (b, -1)), chosen.unsqueeze(-1)], 2)
        totals, words = best.masked_fill(~open_ | ends, -math.inf), chosen
        bound = (totals.amax(1) / (max_words + 1) ** length_penalty).tolist()
        if all(map(_is_done, ended, bound, [length_penalty] * b)):
            break
    cut = totals.argmax(1).tolist()
    return [
        _best(found, length_penalty)
        if found
        else Hypothesis(texts[i, cut[i]].tolist(), float(totals[i, cut[i]]), False)
        for i, found in enumerate(ended)
    ]


def _best(found: list[Hypothesis], length_penalty: float) -> Hypothesis:
    """The first of the best."""
    return max(found, key=lambda h: _worth(h, length_penalty))


def _is_done(found: list[Hypothesis], bound: float, length_penalty: float) -> bool:
    """Nothing that is still open can become better than what ended."""
    return bool(found) and _worth(_best(found, length_penalty), length_penalty) >= bound


def _worth(hypothesis: Hypothesis, length_penalty: float) -> float:
    return hypothesis.total / (len(hypothesis.words) + 1) ** length_penalty


def _log_probabilities(logits: Tensor, *, forbid_end: bool) -> Tensor:
    """What each word gets, (B, W, V) in float64; an end too early gets nothing, the others no more for it."""
    found = F.log_softmax(logits, -1, dtype=torch.float64)
    if forbid_end:
        found[..., END] = -math.inf
    return found
