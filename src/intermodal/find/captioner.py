"""Say it in words: a captioner on scikit-learn's contract.

Shapes: N clips, C captions, B batch, L words, V words that can be said, T tokens of a modality.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError
from intermodal.find.caption_attention import by_place, look_back
from intermodal.find.caption_lessons import Lessons, lesson_loss
from intermodal.find.caption_texts import Captions, read_captions
from intermodal.find.decoding import Hypothesis, beam_search, greedy
from intermodal.find.tokenizer import CaptionTokenizer
from intermodal.find.training import Plan, train
from intermodal.find.words import words_of
from intermodal.learn.feed import Feed, to_device
from intermodal.learn.folder import parameters_of, part_of, write_folder
from intermodal.learn.holding import hold_out
from intermodal.learn.preprocess import Preprocessor
from intermodal.learn.threads import one_thread
from intermodal.nn.captioning import CaptionNetwork, caption_spec
from intermodal.spec import Spec

FORMAT = 1
BATCH = 64
"""Clips that are captioned at once."""
STEPS = 2_000
"""Steps of training, about, where nobody says how long."""
N_TOKENS = 4
"""Tokens of a modality that is one vector, so that asking it is a choice."""


@dataclass(frozen=True)
class Caption:
    """What a clip shows, in words.

    Attributes:
        text: the caption.
        score: mean log-probability a word, its end counted as one.
        words: what each word (or piece of one) adds to the text.
        finished: False where the caption was cut at the most words.
        attention: name -> (words, T): where the model looked when it said each word, the mean over heads and layers; T
            is 1 for a modality that is one vector. None unless asked for. A row sums to 1 where a clause asks the
            modality alone, to its share where a clause asks several as one sequence, to 0 where it is missing.
    """

    text: str
    score: float
    words: tuple[str, ...]
    finished: bool
    attention: dict[str, np.ndarray] | None = None


class Captioner(BaseEstimator):
    """Caption clips of any modalities: a Transformer decoder whose words ask along the clauses of a spec.

    Args:
        fusion: what the caption asks, and who asks whom among the modalities: `caption -> [*]` (all modalities as one
            sequence), `caption -> video, caption -> audio` (one attention each), `caption -> video, video <-> audio`.
        d_model: width of the tokens.
        n_heads: heads of every attention.
        n_layers: layers of the decoder.
        n_encoder_layers: layers of the fusion among the modalities.
        encoder: of a sequence: `linear`, `conv`, `centred` or `gru`: a text for all or a mapping.
        tokenizer: `auto`, `words`, `bpe`, the path of a `tokenizer.json`, or a `tokenizers.Tokenizer`; as
            `CaptionTokenizer.fit` has it.
        max_words: most words (of the tokenizer) of a caption, in training an error when one is longer; None takes
            those of the longest training caption.
        dropout: probability of dropping a feature in training.
        input_dropout: probability that training hides a feature of a token of a sequence, so that no caption rests on
            a few: what was learned from some people or places carries over to others better.
        word_dropout: probability that training hides a word that is read, so that the clip must be looked at.
        label_smoothing: share of the probability that training spreads over all words.
        max_epochs: most passes over the clips, each with one of a clip's captions; `auto` makes about 2,000 steps of
            them, in 30 to 200 passes.
        batch_size: clips of a step; `auto` goes by their number, 8 to 64.
        lr: peak learning rate.
        validation: share of the clips held out to stop by; whole groups where there are groups. Rows with split
            "valid" are used instead where the samples have them; rows with split "test" are left alone.
        patience: epochs without progress on the held-out clips before training stops; None never stops early.
        nan: `error`, or `impute`: a NaN cell becomes the training mean.
        device: `auto`, `cpu`, `cuda` ...
        seed: the same seed gives the same model.
        callback: called after each epoch with a line of the history.

    Attributes:
        network_: the fitted `CaptionNetwork`.
        tokenizer_: the `CaptionTokenizer`.
        max_words_: most words of a caption, unless `predict` is told otherwise.
        names_: the modalities.
        history_: one dict an epoch; `valid` is the mean log-probability a word of the held-out captions.

    Source: Vaswani et al. 2017; captions by attention over what is seen, Xu et al. 2015, Show, Attend and Tell.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = {"video": rng.normal(size=(12, 7, 3))}
        >>> model = Captioner(d_model=16, max_epochs=2).fit(X, ["a dog runs", "a cat"] * 6)
        >>> len(model.predict(X))
        12
    """

    network_: CaptionNetwork

    def __init__(
        self,
        fusion: str | Spec = "caption -> [*]",
        *,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        n_encoder_layers: int = 1,
        encoder: str | Mapping[str, str] = "gru",
        tokenizer: Any = "auto",
        max_words: int | None = None,
        dropout: float = 0.1,
        input_dropout: float = 0.2,
        word_dropout: float = 0.1,
        label_smoothing: float = 0.1,
        max_epochs: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        lr: float = 4e-3,
        validation: float = 0.1,
        patience: int | None = 15,
        nan: Literal["error", "impute"] = "error",
        device: str = "auto",
        seed: int = 0,
        callback: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.fusion = fusion
        self.d_model = d_model
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.n_encoder_layers = n_encoder_layers
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.max_words = max_words
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.word_dropout = word_dropout
        self.label_smoothing = label_smoothing
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.validation = validation
        self.patience = patience
        self.nan = nan
        self.device = device
        self.seed = seed
        self.callback = callback

    # --- fitting

    def fit(self, X: Any, texts: Any, *, clips: Any = None, groups: Any = None) -> Captioner:
        """Fit on clips and their captions.

        Args:
            X: N clips, whatever `Samples.of` takes.
            texts: C captions.
            clips: (C,) the row of the clip that each caption is of; None where there is one a clip, in order. A clip
                without a caption is left out.
            groups: (N,) clips of a group are held out together; taken from the samples when None.

        Returns:
            The captioner.

        Raises:
            InputError: clips, captions or parameters cannot be used; the message says why.
            MissingDependencyError: the library tokenizers is not installed.
        """
        self._check_numbers()
        device = to_device(self.device)
        samples = self._samples(X)
        captions = read_captions(texts, clips, len(samples))
        learn, held = self._hold_out(samples, captions, groups)
        caption_spec(self.fusion, samples.names)
        for name in ("network_", "history_"):
            if hasattr(self, name):
                delattr(self, name)  # a fit that is broken off leaves no model, neither the old nor half a new one
        self.names_ = samples.names
        self.tokenizer_ = CaptionTokenizer.fit(captions.of(learn).texts, self.tokenizer)
        self.preprocessor_ = Preprocessor.fit(samples[learn])
        feed = Feed(self.preprocessor_.apply(samples), device=device)
        lessons = Lessons(feed, captions, self.tokenizer_)
        self.max_words_ = self._most_words(lessons.lengths, np.flatnonzero(np.isin(captions.clips, [*learn, *held])))
        with torch.random.fork_rng(devices=[]), one_thread(device):
            torch.manual_seed(self.seed)
            network = self._build().to(device)
            self.history_ = self._train(network, lessons, learn, held)
        self.network_ = network
        return self

    def _build(self) -> CaptionNetwork:
        """Build the network for the modalities that were seen."""
        scalings = self.preprocessor_.scalings
        sequences = [name for name, s in scalings.items() if s.kind == "sequence"]
        encoder = self.encoder
        if isinstance(encoder, str):
            encoder = {name: encoder if name in sequences else "linear" for name in scalings}
        return CaptionNetwork(
            self.fusion,
            {name: s.width for name, s in scalings.items()},
            self.tokenizer_.n_words,
            d_model=self.d_model,
            n_heads=self.n_heads,
            n_layers=self.n_layers,
            n_encoder_layers=self.n_encoder_layers,
            n_tokens={name: 1 if name in sequences else N_TOKENS for name in scalings},
            encoder=encoder,
            dropout=self.dropout,
        )

    def _hold_out(self, samples: Samples, captions: Captions, groups: Any) -> tuple[np.ndarray, np.ndarray]:
        """Clips to learn from and to stop by: the data's own `valid` part, or a share of those that have captions."""
        groups = samples.groups if groups is None else np.asarray(groups)
        if groups is not None and len(groups) != len(samples):
            raise DataError(f"groups name one group for each clip, however: {len(groups)=}, {len(samples)=}")
        own = np.unique(captions.clips)
        if samples.split is not None and not (samples.split[own] == "test").all():
            own = own[samples.split[own] != "test"]
            valid = samples.split[own] == "valid"
            if valid.any() and not valid.all():
                return own[~valid], own[valid]
        learn, held = hold_out(
            len(own), share=self.validation, seed=self.seed, groups=None if groups is None else groups[own]
        )
        return own[learn], own[held]

    def _train(
        self, network: CaptionNetwork, lessons: Lessons, learn: np.ndarray, held: np.ndarray
    ) -> list[dict[str, Any]]:
        """Train in place, and return the history."""
        words = self.tokenizer_
        of_held = np.flatnonzero(np.isin(lessons.captions.clips, held))

        def valid(module: torch.nn.Module) -> float:
            totals, counts = lessons.log_probabilities(module, of_held, BATCH)
            return float(totals.sum() / max(1, counts.sum()))

        size = (
            int(np.clip(2 ** int(np.log2(max(1, len(learn) / 32))), 8, 64))
            if self.batch_size == "auto"
            else self.batch_size
        )
        steps = -(-len(learn) // size)
        epochs = int(np.clip(round(STEPS / steps), 30, 200)) if self.max_epochs == "auto" else self.max_epochs
        plan = Plan(max_epochs=epochs, steps_per_epoch=steps, lr=self.lr, patience=self.patience, seed=self.seed)
        return train(
            network,
            lambda rng: lessons.epoch(learn, size, rng),
            lambda module, lesson: lesson_loss(
                module,
                lesson,
                start=words.start,
                unknown=words.unknown,
                input_dropout=self.input_dropout,
                word_dropout=self.word_dropout,
                label_smoothing=self.label_smoothing,
            ),
            plan,
            validate=valid if len(held) else None,
            callback=self.callback,
        )

    def _most_words(self, lengths: np.ndarray, used: np.ndarray) -> int:
        """Most words of the captions that are used in training; a longer one is refused, never cut."""
        if not lengths[used].all():
            empty = used[lengths[used] == 0][0]
            raise InputError(f"a caption holds words of the tokenizer, however: caption {empty} holds none")
        if self.max_words is None:
            return int(lengths[used].max())
        long = used[lengths[used] > self.max_words]
        if len(long):
            raise InputError(
                f"a caption has {self.max_words} words of the tokenizer at most (max_words), however: {len(long)} of "
                f"{len(used)} have more; caption {long[0]} has {lengths[long[0]]}"
            )
        return int(self.max_words)

    def _samples(self, X: Any) -> Samples:
        samples = Samples.of(X, nan=self.nan)
        if samples.has_nan and self.nan != "impute":
            raise DataError('clips hold no NaN inside a vector, however: some do; choose nan="impute"')
        return samples

    def _check_numbers(self) -> None:
        """Collect everything that is wrong with the parameters, then say it at once."""
        wrong = []
        wholes = ["d_model", "n_heads", "n_layers"]
        wholes += [name for name in ("max_epochs", "batch_size") if getattr(self, name) != "auto"]
        wholes += [name for name in ("max_words", "patience") if getattr(self, name) is not None]
        for name in wholes:
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                wrong.append(f"{name} is a whole number above zero, however: {name}={value!r}")
        for name in ("dropout", "input_dropout", "word_dropout", "label_smoothing", "validation"):
            value = getattr(self, name)
            if not isinstance(value, int | float | np.number) or not 0 <= value < 1:
                wrong.append(f"{name} lies in [0, 1), however: {name}={value!r}")
        if not isinstance(self.n_encoder_layers, int | np.integer) or self.n_encoder_layers < 0:
            wrong.append(
                f"n_encoder_layers is a whole number from zero, however: n_encoder_layers={self.n_encoder_layers!r}"
            )
        if self.nan not in ("error", "impute"):
            wrong.append(f'nan is "error" or "impute", however: nan={self.nan!r}')
        if wrong:
            raise InputError("\n".join(wrong))

    # --- captions

    def predict(
        self,
        X: Any,
        *,
        beam: int = 1,
        min_words: int = 0,
        max_words: int | None = None,
        length_penalty: float = 0.0,
        need_attention: bool = False,
    ) -> list[Caption]:
        """Caption clips.

        Args:
            X: N clips, as in `fit`; a modality that is left out is missing for all.
            beam: hypotheses that are followed; 1 takes the likeliest word each time.
            min_words: words (of the tokenizer) before which a caption does not end.
            max_words: words after which it is cut if it has not ended; those of `fit` by default.
            length_penalty: which caption of a beam is taken: with 0 the likeliest, which favours short ones, with 1
                the one whose words are likeliest on average, which favours long ones; as in `beam_search`.
            need_attention: also return where the model looked when it said each word.

        Returns:
            N captions.

        Raises:
            InputError: clips or lengths that cannot be.
        """
        check_is_fitted(self, "network_")
        most = self.max_words_ if max_words is None else max_words
        _check_search(beam, min_words, most, length_penalty)
        network, feed = self.prepared(X)
        captions: list[Caption] = []
        with torch.no_grad(), one_thread(next(network.parameters()).device):
            for rows in feed.in_order(np.arange(len(feed)), BATCH):
                seen = feed.batch(rows)
                memory = network.remember(seen.x, seen.present)
                limits = {"min_words": min_words, "max_words": most}
                found = (
                    greedy(network.decoder, memory, **limits)
                    if beam == 1
                    else beam_search(network.decoder, memory, width=beam, length_penalty=length_penalty, **limits)
                )
                looked = look_back(network, seen, memory, [h.words for h in found]) if need_attention else None
                for i, (row, h) in enumerate(zip(rows, found, strict=True)):
                    attention = None if looked is None else by_place(looked[i], feed.samples, int(row))
                    captions.append(self._caption(h, attention))
        return captions

    def log_probability(self, X: Any, texts: Any, *, clips: Any = None) -> np.ndarray:
        """Return the mean log-probability a word of given captions, (C,), their ends counted as words.

        A caption with a word that the model cannot say has none: -inf.

        Args:
            X: clips.
            texts: C captions.
            clips: (C,) the row of the clip that each is of, as in `fit`.
        """
        check_is_fitted(self, "network_")
        network, feed = self.prepared(X)
        lessons = Lessons(feed, read_captions(texts, clips, len(feed)), self.tokenizer_)
        with one_thread(next(network.parameters()).device):
            totals, counts = lessons.log_probabilities(network, np.arange(len(lessons.numbers)), BATCH)
        return np.where(counts == lessons.lengths + 1, totals / counts, -np.inf)

    def score(self, X: Any, texts: Any, *, clips: Any = None) -> float:
        """Return the share of clips whose greedy caption is one of theirs, but for case and punctuation."""
        captions = read_captions(texts, clips, len(self._samples(X)))
        own = captions.by_clip()
        said = self.predict(X)
        right = [words_of(said[i].text) in [words_of(captions.texts[j]) for j in which] for i, which in own.items()]
        return float(np.mean(right))

    def prepared(self, X: Any) -> tuple[CaptionNetwork, Feed]:
        """Return the network and the scaled clips as it reads them, in float64 on a processor.

        In float64 a caption does not depend on the batch that it is made in.
        """
        check_is_fitted(self, "network_")
        samples = self.preprocessor_.apply(self._samples(X))
        device = next(self.network_.parameters()).device
        dtype = torch.float64 if device.type == "cpu" else torch.float32
        network = copy.deepcopy(self.network_).to(dtype).eval()
        return network, Feed(samples, dtype=dtype, device=device)

    def _caption(self, found: Hypothesis, attention: dict[str, np.ndarray] | None) -> Caption:
        text, words = self.tokenizer_.text(found.words), self.tokenizer_.words(found.words)
        return Caption(text, found.mean, words, found.finished, attention)

    # --- keeping

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the fitted captioner to a folder: `config.json`, with the tokenizer in it, and `model.safetensors`.

        Args:
            folder: where; made whole beside its place and renamed, so that it is never half written.
            overwrite: replace a model that is there.

        Raises:
            InputError: the folder exists and `overwrite` is False.
        """
        check_is_fitted(self, "network_")
        config = {
            "format": FORMAT,
            "class": "Captioner",
            "parameters": parameters_of(self, but=("callback", "tokenizer")),
            "tokenizer": self.tokenizer if isinstance(self.tokenizer, str) else None,
            "modalities": self.preprocessor_.described(),
            "max_words": self.max_words_,
            "words": self.tokenizer_.described(),
            "history": self.history_,
        }
        tensors = {f"model.{k}": v for k, v in self.network_.state_dict().items()} | self.preprocessor_.tensors()
        return write_folder(Path(folder), config, tensors, overwrite=overwrite)

    @classmethod
    def restored(cls, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Captioner:
        """Put together what `save` took apart; a tokenizer that was brought stands in `tokenizer` itself."""
        words = CaptionTokenizer.restored(config["words"])
        given = config["tokenizer"]
        model = cls(**config["parameters"], tokenizer=words.tokenizer if given is None else given)
        model.tokenizer_ = words
        model.preprocessor_ = Preprocessor.restored(config["modalities"], tensors)
        model.names_ = tuple(model.preprocessor_.scalings)
        model.max_words_ = config["max_words"]
        model.history_ = config["history"]
        with torch.random.fork_rng(devices=[]):
            model.network_ = model._build()
        model.network_.load_state_dict(part_of(tensors, "model."))
        model.network_.eval()
        return model

    @property
    def spec_(self) -> Spec:
        """Who asks whom, wildcards expanded."""
        check_is_fitted(self, "network_")
        asks, fusion = caption_spec(self.fusion, self.names_)
        return Spec((*asks, *fusion.edges))

    @property
    def n_parameters_(self) -> int:
        """Numbers that were learned."""
        check_is_fitted(self, "network_")
        return sum(p.numel() for p in self.network_.parameters())

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")


def _check_search(beam: int, min_words: int, max_words: int, length_penalty: float) -> None:
    for name, value, least in (("beam", beam, 1), ("min_words", min_words, 0), ("max_words", max_words, 1)):
        if not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"{name} is a whole number from {least}, however: {name}={value!r}")
    if min_words > max_words:
        raise InputError(f"min_words is not above max_words, however: {min_words=}, {max_words=}")
    if not 0 <= length_penalty < float("inf"):
        raise InputError(f"length_penalty is 0 or more, however: {length_penalty=}")
