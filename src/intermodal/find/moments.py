"""When does it happen: find the moments of a video that a text, or any query, asks for.

Shapes: N videos, Q queries, T clips of a video, k moments of a query, W words.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from intermodal.data.samples import Samples
from intermodal.errors import InputError, did_you_mean
from intermodal.find.moment_answers import Moments, Timeline, overlap
from intermodal.find.moment_batches import Batches, blur_of
from intermodal.find.moment_fitting import AT_ONCE, best, calibration, fit_network, look, top_of
from intermodal.find.moment_lines import fit_lines
from intermodal.find.moment_loss import chance
from intermodal.find.moment_network import MomentNetwork, Seen
from intermodal.find.moment_rows import Rows, groups_of, parted
from intermodal.find.moment_saving import config_of, restore, tensors_of
from intermodal.find.moment_spans import says_texts, spans_of, texts_of, videos_of
from intermodal.find.queries import Queries
from intermodal.find.text_line import TextLine
from intermodal.find.timegrid import clip_of, counts, durations, on_grid, rates_of, streams_of
from intermodal.find.training import Plan
from intermodal.find.words import Words, words_of
from intermodal.learn.feed import to_device
from intermodal.learn.folder import write_folder
from intermodal.learn.parameters import check_count, is_count, refuse, wrong_counts, wrong_shares, wrong_sizes
from intermodal.learn.preprocess import Preprocessor
from intermodal.learn.threads import one_thread

FEW = 4000
"""Queries to learn from, below which a closed form helps the network with their words."""


class MomentLocalizer(BaseEstimator):
    """Find when it happens.

    Every clip of the video asks the words of the query, then the clips ask each other, before and after, so that
    "the seven after a three" can be told from the one before. The answer is a probability of every start and end
    together. Time and memory grow with the length of the video, not memory with its square, so an hour is one piece:
    nothing is cut.

    Whether it happens at all is learned from queries whose spans are empty. Where the user has none, they can be
    borrowed: a query of another video is taken for one that does not happen here. That is safe only where what is
    asked is particular to its video, so it is off by default, and such a pair teaches nothing but `happens`.

    Args:
        d_model: width of the tokens.
        n_heads: heads, even: half of those between clips look back, half ahead.
        n_layers: how often clips ask the words and each other.
        clip: seconds a token lasts; "auto" is a frame of the fastest stream, doubled until the usual video has no
            more than 256 of them.
        max_epochs: most passes over the queries.
        batch_size: queries of a step; fewer where videos are long.
        lr: peak learning rate.
        weight_decay: of AdamW.
        dropout: probability of dropping a feature, in training.
        word_dropout: probability that training hides a word, so that an unknown one means something.
        blur: standard deviation, in clips, of where people who mark an edge put it; "auto" is 0 where nearly all edges
            of training lie between two clips, as if marked by the frame, and 1 elsewhere.
        line: show the network how near each clip comes to what a closed form makes of the text (`TextLine`). "auto"
            trains a network with it and one without where there are fewer than 4,000 queries to learn from, too few to
            learn their words well, and keeps the one that is better on the videos held out.
        borrow: queries borrowed from other videos, as a share of all queries.
        validation: share of the videos to validate and to calibrate on.
        patience: epochs without a better validation before training stops; None never stops early.
        seed: of everything random.
        device: "auto", "cpu" or any that torch knows.
        callback: called with each line of the history.

    Attributes:
        history_: one dict an epoch: `epoch`, `train_loss`, `valid` (mean overlap of the best span with the answer, on
            videos that training did not see), `seconds`, `best`.
        clip_: seconds of a clip.
        blur_: what `blur` came to.
        rates_: tokens a second of each stream in training.
        network_: the `MomentNetwork`.
        words_: the vocabulary, None where queries are vectors.

    Relation: `FusionRetriever` finds which video; this finds where in it.

    Example:
        >>> from intermodal.find.digit_films import digit_videos
        >>> made = digit_videos("easy", 12)
        >>> finder = MomentLocalizer(d_model=8, n_heads=2, n_layers=1, max_epochs=1)
        >>> finder = finder.fit(made.samples, made.queries, made.spans, fps=made.fps)
        >>> found = finder.predict(made.samples[:1], ["find the part with a seven"])[0]
        >>> found.spans.shape, found.timeline.attention.shape
        ((5, 2), (6, 32))
    """

    network_: MomentNetwork

    def __init__(
        self,
        *,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        clip: float | Literal["auto"] = "auto",
        max_epochs: int = 8,
        batch_size: int = 32,
        lr: float = 2e-3,
        weight_decay: float = 0.01,
        dropout: float = 0.1,
        word_dropout: float = 0.1,
        blur: float | Literal["auto"] = "auto",
        line: bool | Literal["auto"] = "auto",
        borrow: float = 0.0,
        validation: float = 0.15,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
        callback: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.d_model = d_model
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.clip = clip
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.blur = blur
        self.line = line
        self.borrow = borrow
        self.validation = validation
        self.patience = patience
        self.seed = seed
        self.device = device
        self.callback = callback

    # --- fitting

    def fit(
        self,
        X: Any,
        queries: Any,
        spans: Any,
        *,
        videos: Any = None,
        fps: float | Mapping[str, float] = 1.0,
        groups: Any = None,
    ) -> MomentLocalizer:
        """Learn from videos, what was asked of them, and when it happens.

        Args:
            X: N videos, or anything `Samples` reads: each stream a sequence of vectors; a vector modality is one more
                token that every clip may ask.
            queries: Q texts, or token vectors, an array (Q, W, D) or a list of arrays (W_i, D).
            spans: for each query an array (k, 2) of seconds, one (start, end), or None or nothing where it does not
                happen.
            videos: (Q,) the row of each query's video; by default query i asks video i.
            fps: tokens a second, of all streams or by stream.
            groups: (N,) videos that must not be torn apart by validation; those of the samples by default.

        Returns:
            Itself.

        Raises:
            InputError: something of this cannot be used; the message names the query or the video.
        """
        self._check_numbers()
        device = to_device(self.device)
        samples = Samples.of(X)
        rates = rates_of(fps, streams_of(samples))
        lasts = durations(samples, rates)
        words = Words.fit(texts_of(queries)) if says_texts(queries) else None
        asked = Queries(queries, words)
        of_video = videos_of(videos, len(asked), len(samples))
        answers = spans_of(spans, of_video, lasts, 1 / max(rates.values()))
        units = groups_of(samples, groups)
        rows = parted(
            samples,
            asked,
            of_video,
            answers,
            groups=units,
            validation=self.validation,
            borrow=self.borrow,
            seed=self.seed,
        )
        for name in ("network_", "history_"):
            if hasattr(self, name):
                delattr(self, name)  # a fit that is broken off leaves no model
        self.words_, self.rates_, self.d_query_ = words, rates, asked.width
        self.clip_ = clip_of(rates, lasts) if self.clip == "auto" else float(self.clip)
        learned = [rows.answers[row] for row in rows.learn]
        self.blur_ = blur_of(learned, self.clip_) if self.blur == "auto" else float(self.blur)
        gridded = on_grid(samples, rates, self.clip_)
        self.preprocessor_ = Preprocessor.fit(gridded[np.unique(rows.videos[rows.learn])])
        scaled = self.preprocessor_.apply(gridded)
        texts = [] if words is None else [texts_of(queries)[i] for i in rows.asked]
        shown = (scaled, counts(lasts, self.clip_), asked)
        runs = [self._run(drawn, texts, shown, rows, units, device) for drawn in self._tried(texts, rows)]
        network, batches, self.lines_, self.history_ = max(runs, key=lambda run: top_of(run[-1]))
        with one_thread(device):
            self.knows_absent_ = any(len(answer) == 0 for answer in learned)
            self.calibration_ = calibration(network, batches, rows)
        self.network_ = network
        return self

    def _tried(self, texts: list[str], rows: Rows) -> tuple[bool, ...]:
        """Whether to show the network the line: as told, or where queries are few, both ways, to be judged."""
        if self.line != "auto" or not texts:
            return (bool(texts and self.line),)
        return (False, True) if len(rows.learn) < FEW and len(rows.happening(rows.held)) else (False,)

    def _run(
        self,
        drawn: bool,
        texts: list[str],
        shown: tuple[Samples, np.ndarray, Queries],
        rows: Rows,
        groups: np.ndarray | None,
        device: torch.device,
    ) -> tuple[MomentNetwork, Batches, dict[str, TextLine], list[dict[str, Any]]]:
        """Train a network, with the line or without."""
        scaled, lengths, asked = shown
        sure = rows.learn[rows.sure[rows.learn]]
        answers = [answer / self.clip_ for answer in rows.answers]
        self.lines_, directions = fit_lines(texts if drawn else [], scaled, rows.videos, answers, sure, groups=groups)
        batches = Batches(
            scaled,
            lengths,
            asked,
            rows.videos,
            rows.asked,
            lines=self.lines_,
            directions=directions,
            device=device,
        )
        with torch.random.fork_rng(devices=[]), one_thread(device):
            torch.manual_seed(self.seed)
            network = self._build().to(device)
            history = fit_network(
                network,
                batches,
                rows,
                clip=self.clip_,
                blur=self.blur_,
                batch_size=self.batch_size,
                plan=self._plan,
                callback=self.callback,
            )
        return network, batches, self.lines_, history

    def _plan(self, steps: int) -> Plan:
        return Plan(
            self.max_epochs,
            steps,
            lr=self.lr,
            weight_decay=self.weight_decay,
            patience=self.patience,
            seed=self.seed,
        )

    def _build(self) -> MomentNetwork:
        kinds: dict[str, dict[str, int]] = {"sequence": {}, "vector": {}}
        for name, scaling in self.preprocessor_.scalings.items():
            kinds[scaling.kind][name] = scaling.width
        return MomentNetwork(
            kinds["sequence"],
            kinds["vector"],
            lines=tuple(self.lines_),
            n_words=None if self.words_ is None else len(self.words_),
            d_query=self.d_query_,
            d_model=self.d_model,
            n_heads=self.n_heads,
            n_layers=self.n_layers,
            dropout=self.dropout,
            word_dropout=self.word_dropout,
        )

    def _check_numbers(self) -> None:
        """Collect everything that is wrong with the parameters, then say it at once."""
        wrong = wrong_counts(self, ("d_model", "n_heads", "n_layers", "max_epochs", "batch_size"))
        wrong += wrong_shares(self, ("dropout", "word_dropout", "validation"))
        wrong += wrong_sizes(self, ["lr"] if self.clip == "auto" else ["lr", "clip"])
        blur = [] if self.blur == "auto" else ["blur"]
        wrong += wrong_sizes(self, [*blur, "borrow", "weight_decay"], zero=True)
        if self.line not in (True, False, "auto"):
            wrong.append(f'line is True, False or "auto", however: line={self.line!r}')
        if self.patience is not None and not is_count(self.patience):
            wrong.append(f"patience is a whole number above zero or None, however: patience={self.patience!r}")
        refuse(wrong)

    # --- answering

    def predict(
        self,
        X: Any,
        queries: Any,
        *,
        videos: Any = None,
        fps: float | Mapping[str, float] | None = None,
        top: int = 5,
    ) -> list[Moments]:
        """Answer when it happens.

        Args:
            X: videos, of any length, with some or all streams of training.
            queries: texts or token vectors, as in training.
            videos: (Q,) the row of each query's video; by default query i asks video i, or all ask the only one.
            fps: tokens a second, of all streams or by stream; those of training by default.
            top: k, at most.

        Returns:
            For each query its `Moments`.

        Raises:
            InputError: something of this cannot be used; the message names the query or the video.
        """
        check_is_fitted(self, "network_")
        top = check_count("top", top)
        batches, lasts = self._prepared(X, queries, videos, fps)
        device = next(self.network_.parameters()).device
        network = copy.deepcopy(self.network_).to(batches.dtype).eval()
        texts = None if self.words_ is None else texts_of(queries)
        answers: list[Moments] = []
        with torch.no_grad(), one_thread(device):
            for rows in batches.in_order(np.arange(len(batches.videos)), AT_ONCE):
                seen, _ = look(network, batches, rows, need_weights=True)
                for i, row in enumerate(rows):
                    text = None if texts is None else texts[row]
                    lasting = float(lasts[batches.videos[row]])
                    answers.append(self._answer(seen, i, int(row), batches, lasting, text, top))
        return answers

    def _prepared(self, X: Any, queries: Any, videos: Any, fps: Any) -> tuple[Batches, np.ndarray]:
        """The videos on the grid of training, scaled, in float64 on a processor: no answer depends on its batch."""
        samples = Samples.of(X)
        known = self.preprocessor_.scalings
        for name in samples.names:
            if name not in known:
                problem = f'the videos hold streams that the model was fitted on, however: "{name}"'
                raise InputError(problem + did_you_mean(name, known))
        streams = streams_of(samples)
        rates = rates_of({n: self.rates_[n] for n in streams if n in self.rates_} if fps is None else fps, streams)
        lasts = durations(samples, rates)
        asked = Queries(queries, self.words_)
        if asked.width != self.d_query_:
            raise InputError(f"query vectors are of width {self.d_query_} as in training, however: {asked.width}")
        device = next(self.network_.parameters()).device
        batches = Batches(
            self.preprocessor_.apply(on_grid(samples, rates, self.clip_)),
            counts(lasts, self.clip_),
            asked,
            videos_of(videos, len(asked), len(samples)),
            lines=self.lines_,
            directions={name: line.directions(texts_of(queries)) for name, line in self.lines_.items()},
            dtype=torch.float64 if device.type == "cpu" else torch.float32,
            device=device,
        )
        return batches, lasts

    def _answer(
        self, seen: Seen, i: int, row: int, batches: Batches, lasts: float, text: str | None, top: int
    ) -> Moments:
        n = int(batches.lengths[row])
        spans, scores = best(seen.scored, i, n, top)
        assert seen.asked is not None
        n_words = batches.queries.batch(batches.asked[[row]]).tokens.shape[1]
        attention = seen.asked[i, :, :n, :n_words].mean(0).T.double().cpu().numpy()
        edges = np.minimum(np.arange(n + 1) * self.clip_, lasts)
        return Moments(
            np.minimum(spans * self.clip_, lasts),
            scores,
            float(chance(seen.happens[i], self.calibration_)) if self.knows_absent_ else None,
            Timeline(
                np.stack([edges[:-1], edges[1:]], 1),
                torch.sigmoid(seen.inside[i, :n]).double().cpu().numpy(),
                [str(k) for k in range(1, n_words + 1)] if text is None else words_of(text),
                attention,
            ),
            text,
        )

    def score(
        self,
        X: Any,
        queries: Any,
        spans: Any,
        *,
        videos: Any = None,
        fps: float | Mapping[str, float] | None = None,
    ) -> float:
        """Return R1@0.5: the share of queries whose best span overlaps a true one by half or more.

        Queries that do not happen are left out.

        Args:
            X: videos.
            queries: as in `predict`.
            spans: as in `fit`.
            videos: as in `predict`.
            fps: as in `predict`.

        Raises:
            InputError: as `fit` and `predict`; or no query happens.
        """
        found = self.predict(X, queries, videos=videos, fps=fps, top=1)
        samples = Samples.of(X)
        rates = self.rates_ if fps is None else rates_of(fps, streams_of(samples))
        rates = {name: rate for name, rate in rates.items() if name in samples.names}
        of_video = videos_of(videos, len(found), len(samples))
        answers = spans_of(spans, of_video, durations(samples, rates), 1 / max(rates.values()))
        hits = [overlap(f.spans[:1], a).max() >= 0.5 for f, a in zip(found, answers, strict=True) if len(a)]
        if not hits:
            raise InputError("a score needs a query that happens, however: the spans of all of them are empty")
        return float(np.mean(hits))

    # --- what was fitted

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the fitted model to a folder: `config.json` and `model.safetensors`, no pickle.

        Args:
            folder: where.
            overwrite: replace a model that is there.

        Raises:
            InputError: the folder exists and `overwrite` is False.
        """
        check_is_fitted(self, "network_")
        return write_folder(Path(folder), config_of(self), tensors_of(self), overwrite=overwrite)

    @classmethod
    def restored(cls, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> MomentLocalizer:
        """Put together what `save` took apart."""
        model = cls(**config["parameters"])
        restore(model, config, tensors)
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")
