"""Greedy and beam search over a decoder with planted probabilities, against every caption there is."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from intermodal.find.decoding import Hypothesis, beam_search, greedy
from intermodal.nn.decoder import CaptionDecoder

V = 4


class Planted:
    """Says the next word by a table: what was said so far, of which sample -> logits. Its past is the words."""

    start = V

    def __init__(self, tables):
        self.tables = tables
        self.steps = 0

    @property
    def memory(self):
        nothing = torch.zeros(len(self.tables), 1, 1, 1)
        return [[type("Remembered", (), {"k": nothing})()]]

    def step(self, words, memory, past):
        self.steps += 1
        b, w = words.shape
        flat = words.reshape(-1, 1)
        said = flat if past is None else torch.cat([past[0][0], flat], 1)
        rows = [self.tables[i // w](tuple(text[1:])) for i, text in enumerate(said.tolist())]
        return torch.stack(rows).reshape(b, w, V), [(said, said)]


def table(seed, end=0.0):
    """Logits drawn for every beginning."""

    def logits(said):
        rng = torch.Generator().manual_seed(hash((seed, *said)) % 2**31)
        drawn = torch.randn(V, generator=rng, dtype=torch.float64) * 2
        drawn[0] += end
        return drawn

    return logits


def total(logits, text, *, ends=True):
    """The log-probability of one caption, word by word."""
    whole = (*text, 0) if ends else text
    return sum(float(F.log_softmax(logits(tuple(whole[:i])), -1)[word]) for i, word in enumerate(whole))


def every(logits, most, least=0):
    texts = [t for n in range(least, most + 1) for t in itertools.product(range(1, V), repeat=n)]
    return {t: total(logits, t) for t in texts}


def by_hand(logits, most, least=0):
    said = ()
    while len(said) < most:
        found = F.log_softmax(logits(said), -1)
        order = [w for w in found.argsort(descending=True).tolist() if w != 0 or len(said) >= least]
        if order[0] == 0:
            return said, True
        said = (*said, order[0])
    return said, int(logits(said).argmax()) == 0


@pytest.mark.parametrize("least", [0, 2])
def test_greedy_takes_the_likeliest_word_each_time(least):
    tables = [table(seed) for seed in range(13)]
    found = greedy(Planted(tables), Planted(tables).memory, min_words=least, max_words=5)
    assert {h.finished for h in found} == {True, False}
    for h, logits in zip(found, tables, strict=True):
        said, ended = by_hand(logits, 5, least)
        assert (tuple(h.words), h.finished) == (said, ended)
        assert h.total == pytest.approx(total(logits, said, ends=ended))
        assert h.mean == pytest.approx(h.total / (len(said) + ended))


@pytest.mark.parametrize("least", [0, 1, 3])
@pytest.mark.parametrize("end", [-3.0, 0.0, 3.0])
def test_a_beam_of_one_is_greedy(least, end):
    tables = [table(seed, end) for seed in range(17)]
    one = beam_search(Planted(tables), Planted(tables).memory, width=1, min_words=least, max_words=3)
    two = greedy(Planted(tables), Planted(tables).memory, min_words=least, max_words=3)
    assert [(h.words, h.finished) for h in one] == [(h.words, h.finished) for h in two]
    assert [h.total for h in one] == pytest.approx([h.total for h in two], rel=1e-12)


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("least", [0, 2])
def test_a_wide_beam_finds_the_best_of_all_captions(penalty, least):
    tables = [table(seed) for seed in range(7)]
    found = beam_search(
        Planted(tables), Planted(tables).memory, width=400, min_words=least, max_words=3, length_penalty=penalty
    )
    for h, logits in zip(found, tables, strict=True):
        worth = {t: s / (len(t) + 1) ** penalty for t, s in every(logits, 3, least).items()}
        assert tuple(h.words) == max(worth, key=worth.get)
        assert h.total == pytest.approx(total(logits, h.words))
        assert h.finished


def beam_by_hand(logits, width, most, penalty):
    """One sample, hypothesis by hypothesis."""
    open_, ended, places = [((), 0.0)], [], width
    for n in range(most + 1):
        grown = [(t, s, w, s + float(F.log_softmax(logits(t), -1)[w])) for t, s in open_ for w in range(V)]
        best = sorted(grown, key=lambda g: -g[3])[:places]
        ended += [(t, s) for t, _, w, s in best if w == 0]
        if n == most or places == sum(w == 0 for _, _, w, _ in best):
            break
        places -= sum(w == 0 for _, _, w, _ in best)
        open_ = [((*t, w), s) for t, _, w, s in best if w != 0]
    if not ended:
        return max(open_, key=lambda o: o[1])[0], False
    return max(ended, key=lambda e: e[1] / (len(e[0]) + 1) ** penalty)[0], True


@pytest.mark.parametrize("width", [2, 3, 5])
@pytest.mark.parametrize("end", [-2.0, 1.0])
def test_a_beam_keeps_the_best_few(width, end):
    tables = [table(seed, end) for seed in range(23)]
    for penalty in (0.0, 1.0):
        found = beam_search(Planted(tables), Planted(tables).memory, width=width, max_words=4, length_penalty=penalty)
        for h, logits in zip(found, tables, strict=True):
            assert (tuple(h.words), h.finished) == beam_by_hand(logits, width, 4, penalty)
            assert h.total == pytest.approx(total(logits, h.words, ends=h.finished))


def test_a_beam_takes_the_likeliest_caption_unless_told_otherwise():
    tables = [table(seed) for seed in range(13)]
    plain, likeliest, longer = (
        [h.words for h in beam_search(Planted(tables), Planted(tables).memory, width=5, max_words=4, **told)]
        for told in ({}, {"length_penalty": 0.0}, {"length_penalty": 1.0})
    )
    assert plain == likeliest != longer


def test_a_caption_does_not_depend_on_its_batch():
    tables = [table(seed, -1.0) for seed in range(11)]
    options = {"width": 3, "max_words": 6}
    together = beam_search(Planted(tables), Planted(tables).memory, **options)
    alone = [beam_search(Planted([t]), Planted([t]).memory, **options)[0] for t in tables]
    assert [h.words for h in together] == [h.words for h in alone]


def test_a_search_stops_where_nothing_can_become_better():
    sure = Planted([lambda said: torch.tensor([9.0 if said else -9.0, 1.0, 0.0, 0.0])] * 3)
    assert beam_search(sure, sure.memory, width=3, max_words=50) == greedy(sure, sure.memory, max_words=50)
    assert sure.steps <= 6
    assert [h.words for h in greedy(sure, sure.memory, max_words=50)] == [[1]] * 3


def test_a_caption_without_words_has_a_mean():
    assert Hypothesis([], -0.5, True).mean == -0.5
    assert Hypothesis([], 0.0, False).mean == 0.0
    assert Hypothesis([3, 1], -3.0, False).mean == -1.5


@torch.no_grad()
@pytest.mark.parametrize("width", [1, 2, 5, 30])
def test_the_score_of_a_search_is_that_of_its_text_read_again(width):
    torch.manual_seed(0)
    net = CaptionDecoder(7, [("video",)], d_model=8, n_heads=2).double().eval()
    torch.nn.init.normal_(net.bias)
    there = torch.rand(5, 11) < 0.7
    memory = net.remember({"video": torch.randn(5, 11, 8).double()}, {"video": there})
    for i, h in enumerate(beam_search(net, memory, width=width, max_words=6)):
        own = [[type(c)(*(t[i : i + 1] for t in c)) for c in layer] for layer in memory]
        logp = F.log_softmax(net(torch.tensor([[net.start, *h.words]]), own).logits[0], -1)
        whole = [*h.words, 0] if h.finished else h.words
        assert h.total == pytest.approx(sum(float(logp[j, w]) for j, w in enumerate(whole)), rel=1e-9)
        assert math.isfinite(h.total)
