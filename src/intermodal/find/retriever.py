"""Which clip fits the query, and which query the clip: two towers for a fast search, a reranker for its best answers.

Shapes: Q queries, N clips, K candidates, E width of an embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from intermodal.errors import DataError, InputError, ShapeError, did_you_mean
from intermodal.find.both_towers import SIDES, BothTowers, build_towers, tokens_of
from intermodal.find.candidates import best_of, fuse, move_down
from intermodal.find.embedder import with_meaning
from intermodal.find.pairs import Pairs, right_pairs
from intermodal.find.ranking import ranking_scores
from intermodal.find.reranker import Reranker
from intermodal.find.reranker_fitting import train_reranker
from intermodal.find.retriever_saving import fingerprint_of, restore, save
from intermodal.find.shortening import shortened
from intermodal.find.sides import Read, Side, parts_of
from intermodal.find.towers_fitting import train_towers
from intermodal.learn.feed import to_device
from intermodal.learn.parameters import check_count, is_count, refuse, wrong_counts, wrong_shares, wrong_sizes
from intermodal.learn.threads import one_thread
from intermodal.spec import Spec


class Ranked(NamedTuple):
    """The best answers of every query, best first.

    Shape:
        rows (Q, K) int, scores (Q, K).
    """

    rows: np.ndarray
    scores: np.ndarray


class FusionRetriever(BaseEstimator):
    """Find the clip that fits a query, and the query that fits a clip.

    Each side has a tower that turns all its modalities into one vector of unit length; the similarity is the product.
    The towers learn that what belongs together is alike. Then they stay as they are, and a reranker, in which the
    tokens of a query and of a clip ask each other, learns from what the towers confuse; it serves a direction only
    where it helps on rows held out. Where what fits is a matter of classes, a straight line to the classes stands
    beside the towers, with the share of the similarity that is best on rows held out.

    Args:
        fusion: who asks whom among the modalities of a side; or a mapping "clips" and "queries" -> spec.
        d_model: width of the tokens.
        d_embed: E.
        n_heads: heads of every attention.
        n_layers: layers of attention of a tower.
        encoder: of a sequence: `linear`, `conv`, `centred` or `gru`.
        stride: neighbouring tokens of a sequence that become one; `auto` leaves about 64 of the median length.
        max_epochs: most passes over the queries.
        batch_size: pairs of a step.
        lr: peak learning rate.
        weight_decay: of AdamW.
        dropout: probability of dropping a feature in training.
        word_dropout: probability of hiding a word in training.
        modality_dropout: probability of hiding a modality in training, where a side has several.
        hard: pairs of a group within a batch that are hard to tell apart; 1 mixes by chance.
        reranker: `auto` keeps the reranker in each direction only where it helps on rows held out; True always, False
            never, and trains none.
        top_k: candidates that are reranked.
        validation: share of the clips held out to stop by, whole groups when there are groups. Clips with split "valid"
            are used instead where the samples have them; clips with split "test" are left alone.
        patience: epochs without progress on them before training stops.
        seed: the same seed gives the same model.
        device: `auto`, `cpu`, `cuda` ...
        callback: called after each epoch with a line of the history.

    Attributes:
        history_: one dict an epoch: `part` ("towers" or "reranker"), `epoch`, `train_loss`, `valid` (mean average
            precision, the mean of both directions), `seconds`, `best`.
        rerank_kept_: "clips" and "queries" -> a dict: `kept`, `weight`, and the mean average precision on the rows held
            out of the `towers`, and of both `fused`, with the `gain` and its standard error `se`.

    Source: Radford et al. 2021 (CLIP), Nogueira and Cho 2019 (reranking), Xiong et al. 2021 (ANCE, hard negatives from
    the model itself).

    Relation: for a gallery that outgrows one matrix product, keep `embed_clips` in an index.

    Example:
        >>> from intermodal.find.digit_scenes import digit_clips
        >>> made = digit_clips(24, frames=12)
        >>> model = FusionRetriever(d_model=8, n_heads=2, max_epochs=1, reranker=False).fit(made.samples, made.texts)
        >>> model.rank(["a four, then a six, then a two"], made.samples, k=3).rows.shape
        (1, 3)
    """

    def __init__(
        self,
        fusion: str | Spec | Mapping[str, str | Spec] = "self",
        *,
        d_model: int = 64,
        d_embed: int = 64,
        n_heads: int = 4,
        n_layers: int = 1,
        encoder: str = "conv",
        stride: int | Literal["auto"] = "auto",
        max_epochs: int = 30,
        batch_size: int = 64,
        lr: float = 4e-3,
        weight_decay: float = 0.01,
        dropout: float = 0.1,
        word_dropout: float = 0.1,
        modality_dropout: float = 0.1,
        hard: int = 8,
        reranker: bool | Literal["auto"] = "auto",
        top_k: int = 20,
        validation: float = 0.15,
        patience: int = 8,
        seed: int = 0,
        device: str = "auto",
        callback: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.fusion = fusion
        self.d_model = d_model
        self.d_embed = d_embed
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.encoder = encoder
        self.stride = stride
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.modality_dropout = modality_dropout
        self.hard = hard
        self.reranker = reranker
        self.top_k = top_k
        self.validation = validation
        self.patience = patience
        self.seed = seed
        self.device = device
        self.callback = callback

    # --- fitting

    def fit(
        self, X: Any, queries: Any, *, clips: Any = None, relevant: Any = None, groups: Any = None
    ) -> FusionRetriever:
        """Fit on clips and the queries that they answer.

        Args:
            X: N clips, whatever `Samples.of` takes; a modality of a mapping may also be a list of texts. Any modality
                may be missing.
            queries: Q queries: a list of texts, token vectors, or a mapping of modalities as for the clips.
            clips: (Q,) the row of each query's clip; one query a clip, in order, by default.
            relevant: which clips are right for which queries, where that is more than the pairs: the classes (Q,) and
                (N,) of both sides, all pairs of one class being right; or bool (Q, N). Without `clips`, each pass draws
                one right clip for each query. Queries of the same text share their clips in any case.
            groups: (N,) clips of a group are held out together; taken from the samples when None.

        Returns:
            The retriever.

        Raises:
            InputError: clips, queries, pairs or parameters cannot be used; the message says why.
        """
        self._check_numbers()
        device = to_device(self.device)
        X, queries = parts_of(X), parts_of(queries, "query")
        pairs = Pairs.read(X, queries, clips, relevant, groups, share=self.validation, seed=self.seed)
        for name in ("embedder_", "reranker_", "rerank_kept_"):
            if hasattr(self, name):
                delattr(self, name)  # a fit that is broken off leaves no model, neither the old nor half a new one
        sides = {
            "queries": Side.fit(queries, plain="query", rows=pairs.learn_queries),
            "clips": Side.fit(X, rows=pairs.learn_clips),
        }
        read = {"queries": sides["queries"].read(queries, device), "clips": sides["clips"].read(X, device)}
        self.stride_ = shortened(self.stride, read)
        with torch.random.fork_rng(devices=[]), one_thread(device):
            torch.manual_seed(self.seed)
            towers = build_towers(self, sides, self.stride_).to(device)
            history = train_towers(towers, read["queries"], read["clips"], pairs, self)
            embedder = with_meaning(towers, read, pairs, seed=self.seed)
            reranker, kept = None, {name: {"kept": False, "weight": 0.0} for name in SIDES}
            if self.reranker:
                reranker = self._build_reranker().to(device)
                more, kept = train_reranker(reranker, embedder, read, pairs, self)
                history += more
        self.sides_, self.history_ = sides, history
        self.embedder_, self.reranker_, self.rerank_kept_ = embedder, reranker, kept
        return self

    def _check_numbers(self) -> None:
        """Collect everything that is wrong with the parameters, then say it at once."""
        counts = ("d_model", "d_embed", "n_heads", "max_epochs", "batch_size", "hard", "top_k", "patience")
        wrong = wrong_counts(self, counts)
        wrong += wrong_shares(self, ("dropout", "word_dropout", "modality_dropout", "validation"))
        wrong += wrong_sizes(self, ["lr"]) + wrong_sizes(self, ["weight_decay"], zero=True)
        if self.stride != "auto" and not is_count(self.stride):
            wrong.append(f'stride is "auto" or a whole number above zero, however: stride={self.stride!r}')
        if self.reranker not in ("auto", True, False):
            wrong.append(f'reranker is "auto", True or False, however: reranker={self.reranker!r}')
        if self.batch_size == 1:
            wrong.append("a batch holds two pairs at least, to tell them apart, however: batch_size=1")
        refuse(wrong)

    # --- asking

    def embed_clips(self, X: Any) -> np.ndarray:
        """Return a vector for each clip, (N, E) float32 of unit length."""
        return self._embedded("clips", self._read("clips", X))

    def embed_queries(self, queries: Any) -> np.ndarray:
        """Return a vector for each query, (Q, E) float32 of unit length; times a clip's it is their similarity."""
        return self._embedded("queries", self._read("queries", queries))

    def similarity(
        self, queries: Any, X: Any, *, rerank: bool | None = None, side: Literal["clips", "queries"] = "clips"
    ) -> np.ndarray:
        """Return how well each clip fits each query, (Q, N).

        Args:
            queries: as in `fit`.
            X: as in `fit`.
            rerank: let the reranker have its say on the `top_k` best; None where it was kept for this direction.
            side: what is ranked: "clips" for each query, or "queries" for each clip. Without the reranker it makes no
                difference.

        Returns:
            The product of the embeddings. Where the reranker had its say, the candidates have the scores of `rerank`
            and all others are moved down, as one, below the last of them.
        """
        self._check_side(side)
        scores = self.embed_queries(queries) @ self.embed_clips(X).T
        if not self._reranks(side, rerank):
            return scores
        asked = scores if side == "clips" else scores.T
        best = best_of(asked, self.top_k)
        fused = self._fused(queries, X, best, np.take_along_axis(asked, best, 1), side)
        moved = move_down(asked, best, fused)
        return moved if side == "clips" else np.ascontiguousarray(moved.T)

    def rank(
        self,
        queries: Any,
        X: Any,
        *,
        k: int = 10,
        side: Literal["clips", "queries"] = "clips",
        rerank: bool | None = None,
    ) -> Ranked:
        """Return the k best answers: clips for each query, or with `side="queries"` queries for each clip.

        Args:
            queries: as in `fit`.
            X: as in `fit`.
            k: how many, at most all.
            side: what is ranked.
            rerank: as in `similarity`; the `top_k` best, or k where that is more, are reranked.

        Returns:
            `rows` and `scores`, (Q, k) or for queries (N, k), best first.
        """
        self._check_side(side)
        k = check_count("k", k)
        scores = self.embed_queries(queries) @ self.embed_clips(X).T
        scores = scores if side == "clips" else np.ascontiguousarray(scores.T)
        k = min(k, scores.shape[1])
        if not self._reranks(side, rerank):
            rows = best_of(scores, k)
            return Ranked(rows, np.take_along_axis(scores, rows, 1))
        rows = best_of(scores, min(max(k, self.top_k), scores.shape[1]))
        fused = self._fused(queries, X, rows, np.take_along_axis(scores, rows, 1), side)
        order = np.argsort(-fused, axis=1, kind="stable")[:, :k]
        return Ranked(np.take_along_axis(rows, order, 1), np.take_along_axis(fused, order, 1))

    def rerank(
        self,
        queries: Any,
        X: Any,
        rows: Any,
        scores: Any,
        *,
        side: Literal["clips", "queries"] = "clips",
        rerank: bool | None = None,
    ) -> np.ndarray:
        """Return better scores for candidates that a search found.

        Args:
            queries: as in `fit`.
            X: the clips that the rows point to: those of the candidates are enough.
            rows: (Q, K) the candidates of each query, rows of X; -1 for none. With `side="queries"` (N, K), the
                candidates of each clip, rows of the queries.
            scores: of the same shape, the similarity that found them.
            side: what is ranked.
            rerank: True uses the reranker where it was not kept, too.

        Returns:
            Scores of the same shape: where the reranker is kept for this direction, the similarity and its opinion,
            each with the weight that was best on rows held out; else the similarity as it came.
        """
        self._check_side(side)
        rows, scores = np.asarray(rows), np.asarray(scores, dtype=np.float32)
        if rows.ndim != 2 or rows.shape != scores.shape:
            raise ShapeError(f"rows and scores are (queries, candidates), however: {rows.shape=}, {scores.shape=}")
        if not self._reranks(side, rerank):
            return scores.copy()
        return self._fused(queries, X, rows, scores, side)

    def cross_scores(
        self, queries: Any, X: Any, rows: Any, *, side: Literal["clips", "queries"] = "clips"
    ) -> np.ndarray:
        """Return what the reranker alone says of candidates: (Q, K) logits, minus infinity where a row is -1.

        Args: as `rerank`.
        """
        self._check_side(side)
        check_is_fitted(self, "embedder_")
        if self.reranker_ is None:
            raise InputError("the retriever was fitted with a reranker, however: reranker=False")
        rows, read = np.asarray(rows), {"queries": self._read("queries", queries), "clips": self._read("clips", X)}
        n_asked, n_asking = len(read[side]), len(read["queries" if side == "clips" else "clips"])
        if rows.ndim != 2 or rows.shape[0] != n_asking:
            raise ShapeError(f"rows are ({n_asking}, candidates), however: {rows.shape=}")
        if rows.size and (rows.min() < -1 or rows.max() >= n_asked):
            wrong = rows.max() if rows.max() >= n_asked else rows.min()
            raise DataError(f"a candidate is 0 to {n_asked - 1}, or -1 for none, however: {wrong}")
        with torch.no_grad(), one_thread(self._device):
            tokens = {name: tokens_of(self.towers_.of(name), of) for name, of in read.items()}
            return self.reranker_.opinions(tokens["queries"], tokens["clips"], rows, side)

    def score(
        self,
        X: Any,
        queries: Any,
        *,
        clips: Any = None,
        relevant: Any = None,
        side: Literal["clips", "queries"] = "clips",
    ) -> float:
        """Return R@1: the share of queries whose best clip is right, or of clips whose best query is.

        Args: as in `fit`; `side` as in `rank`.
        """
        X, queries = parts_of(X), parts_of(queries, "query")
        relevance, _ = right_pairs(X, queries, clips, relevant)
        right = relevance.block(np.arange(len(queries)), np.arange(len(X)))
        scores = self.similarity(queries, X, side=side)
        if side == "queries":
            scores, right = scores.T, right.T
        return float(ranking_scores(scores, right)["R@1"])

    # --- what was fitted

    @property
    def towers_(self) -> BothTowers:
        """The fitted towers."""
        check_is_fitted(self, "embedder_")
        return self.embedder_.towers

    @property
    def fingerprint(self) -> str:
        """Sixteen letters of all that makes the embeddings: an index of another model's does not fit."""
        check_is_fitted(self, "embedder_")
        return fingerprint_of(self)

    @property
    def width(self) -> int:
        """E, of the vectors of clips and queries: `d_embed`, and two more than there are classes where there are."""
        check_is_fitted(self, "embedder_")
        return self.embedder_.width

    @property
    def n_parameters_(self) -> int:
        """Numbers that were learned."""
        check_is_fitted(self, "embedder_")
        parts = [self.towers_, *([] if self.reranker_ is None else [self.reranker_])]
        return sum(p.numel() for part in parts for p in part.parameters())

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the fitted model to a folder: `config.json` and `model.safetensors`, no pickle.

        Args:
            folder: where; made whole beside its place and renamed, so that it is never half written.
            overwrite: replace a model that is there.

        Raises:
            InputError: the folder exists and `overwrite` is False.
        """
        check_is_fitted(self, "embedder_")
        return save(self, Path(folder), overwrite=overwrite)

    @classmethod
    def restored(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> FusionRetriever:
        """Put together what `save` wrote; `intermodal.load` reads the folder."""
        return restore(cls(**config["parameters"]), config, tensors)

    def _build_reranker(self) -> Reranker:
        return Reranker(
            self.d_model,
            d_model=self.d_model,
            n_heads=self.n_heads,
            dropout=self.dropout,
            stride=self.stride_["reranker"],
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "embedder_")

    # --- within

    @property
    def _device(self) -> torch.device:
        return self.towers_.log_scale.device

    def _read(self, side: str, given: Any) -> Read:
        check_is_fitted(self, "embedder_")
        return self.sides_[side].read(given, self._device)

    def _embedded(self, side: str, read: Read) -> np.ndarray:
        with one_thread(self._device):
            return self.embedder_.embed(side, read)

    def _reranks(self, side: str, rerank: bool | None) -> bool:
        check_is_fitted(self, "embedder_")
        return bool(self.rerank_kept_[side]["kept"]) if rerank is None else rerank

    def _fused(self, queries: Any, X: Any, rows: np.ndarray, scores: np.ndarray, side: Any) -> np.ndarray:
        opinions = self.cross_scores(queries, X, rows, side=side)
        return fuse(scores, opinions, self.rerank_kept_[side]["weight"])

    def _check_side(self, side: str) -> None:
        if side not in SIDES:
            raise InputError(f'side is "clips" or "queries", however: {side=}' + did_you_mean(str(side), SIDES))
