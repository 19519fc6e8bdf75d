"""What a captioner learns from: clips with one of their captions each, and how well it would have said them.

Shapes: B batch, L words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.data.batching import Batch
from intermodal.find.caption_texts import Captions
from intermodal.find.tokenizer import CaptionTokenizer
from intermodal.learn.feed import Feed

NO_WORD = -100
"""Stands where a batch has no word to learn: after the end, and where the word is unknown."""


class Lesson(NamedTuple):
    """A batch: what is seen, the words that are read, and the words that follow each.

    Shape:
        read (B, L) int, follow (B, L) int.
    """

    seen: Batch
    read: Tensor
    follow: Tensor


class Lessons:
    """Captions as batches.

    Args:
        feed: N clips, scaled.
        captions: C captions of them.
        tokenizer: makes numbers of them.

    Example:
        >>> from intermodal.data.samples import Samples
        >>> tokenizer = CaptionTokenizer.fit(["a dog", "a"])
        >>> feed = Feed(Samples({"video": [[1.0], [2.0]]}))
        >>> lessons = Lessons(feed, Captions(["a dog", "a"], np.array([0, 1])), tokenizer)
        >>> lessons.lesson(np.array([0, 1])).read.tolist()  # 3 is the start
        [[3, 1, 2], [3, 1, 0]]
        >>> lessons.lesson(np.array([0, 1])).follow.tolist()  # 0 is the end
        [[1, 2, 0], [1, 0, -100]]
    """

    def __init__(self, feed: Feed, captions: Captions, tokenizer: CaptionTokenizer) -> None:
        self.feed = feed
        self.captions = captions
        self.tokenizer = tokenizer
        self.numbers = [tokenizer.numbers(text) for text in captions.texts]
        self._of_clip = captions.by_clip()

    @property
    def lengths(self) -> np.ndarray:
        """Words of each caption, (C,)."""
        return np.array([len(words) for words in self.numbers])

    def epoch(self, rows: np.ndarray, batch_size: int, rng: np.random.Generator) -> Iterator[Lesson]:
        """Go once through some clips in random order, each with one of its captions."""
        for picked in self.feed.epoch(rows, batch_size, rng):
            of_each = [self._of_clip[int(row)] for row in picked]
            yield self.lesson(np.array([own[rng.integers(len(own))] for own in of_each]))

    def lesson(self, which: np.ndarray) -> Lesson:
        """Some captions with their clips."""
        chosen = [self.numbers[i] for i in which]
        shape = (len(chosen), max(map(len, chosen)) + 1)
        read, follow = np.zeros(shape, dtype=np.int64), np.full(shape, NO_WORD)
        for i, words in enumerate(chosen):  # read: start a dog . .   follow: a dog end . .
            read[i, : len(words) + 1] = [self.tokenizer.start, *words]
            follow[i, : len(words) + 1] = [*words, 0]
        follow[follow == self.tokenizer.unknown] = NO_WORD
        device = self.feed.device
        seen = self.feed.batch(self.captions.clips[which])
        return Lesson(seen, torch.from_numpy(read).to(device), torch.from_numpy(follow).to(device))

    @torch.no_grad()
    def log_probabilities(
        self, network: nn.Module, which: np.ndarray, batch_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The log-probability of whole captions, their ends included, and how many words that is, both (C,).

        A word that cannot be said is left out of both.
        """
        totals, counts = [], []
        for some in self.feed.in_order(which, batch_size):
            lesson = self.lesson(some)
            logits = network(lesson.seen.x, lesson.read, lesson.seen.present).logits
            there = lesson.follow != NO_WORD
            found = F.log_softmax(logits, -1, dtype=torch.float64)
            found = found.gather(-1, lesson.follow.clamp(min=0).unsqueeze(-1)).squeeze(-1)
            totals.append(found.masked_fill(~there, 0.0).sum(1).cpu().numpy())
            counts.append(there.sum(1).cpu().numpy())
        return np.concatenate(totals), np.concatenate(counts)


def lesson_loss(
    network: nn.Module,
    lesson: Lesson,
    *,
    unknown: int,
    start: int,
    input_dropout: float,
    word_dropout: float,
    label_smoothing: float,
) -> Tensor:
    """The mean cross-entropy of the words that follow; some features of sequences and words that are read are hidden.

    Source: label smoothing: Szegedy et al. 2016; hidden words: Bowman et al. 2016, Generating Sentences from a
    Continuous Space; hidden features: Hinton et al. 2012, Improving Neural Networks by Preventing Co-adaptation of
    Feature Detectors.
    """
    x, read = lesson.seen.x, lesson.read
    if input_dropout > 0:  # a vector says a thing once, a sequence again and again
        x = {name: F.dropout(values, input_dropout) if values.ndim == 3 else values for name, values in x.items()}
    if word_dropout > 0:
        hidden = torch.rand(read.shape, device=read.device) < word_dropout
        read = read.masked_fill(hidden & (read != start), unknown)
    logits = network(x, read, lesson.seen.present).logits
    return F.cross_entropy(
        logits.flatten(0, 1), lesson.follow.flatten(), ignore_index=NO_WORD, label_smoothing=label_smoothing
    )
