"""Which clips a user will like: from a review, from what the user liked before, or from both.

Shapes: U users, N clips, E width of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from intermodal.errors import InputError
from intermodal.find.likes import read_likes, read_rows
from intermodal.find.popularity import KnownClips
from intermodal.find.recommend_building import build, check_numbers
from intermodal.find.recommend_fitting import clip_vectors, fit_network, halve, user_vectors
from intermodal.find.recommend_mixing import Mix, choose
from intermodal.find.recommend_network import Recommending
from intermodal.find.recommend_scores import table
from intermodal.find.recommend_top import Recommended, leave_out, top
from intermodal.find.recommend_users import Users, count_users, read_histories, read_reviews, review_side
from intermodal.find.shortening import stride_of
from intermodal.find.sides import Read, Side, parts_of
from intermodal.learn.feed import to_device
from intermodal.learn.folder import write_folder
from intermodal.learn.threads import one_thread
from intermodal.spec import Spec

OURS, POPULAR, BY_ID, RANDOM = "FusionRecommender", "popularity", "id-only", "random"
"""The rankings that `evaluate` sets beside each other."""


class FusionRecommender(BaseEstimator):
    """Rank clips for users, from what a clip shows and from what a user wrote and liked.

    One tower turns a clip, with whatever modalities it has, into a vector. Another turns a user into one: the words of
    a review, read in their order, and the clips of the user's past, as the first tower sees them, ask each other along
    a spec. How much the user will like the clip is the product of both. A clip is known by its content alone, so that
    one that nobody has seen yet is ranked like any other.

    A user of whom nothing is known gets what everybody likes.

    Args:
        fusion: who asks whom among "review" and "history".
        clip_fusion: who asks whom among the modalities of a clip.
        d_model: width of the tokens.
        d_embed: E.
        n_heads: heads of every attention.
        n_layers: layers of attention of each tower.
        encoder: of the sequences of a clip: `linear`, `conv`, `centred` or `gru`.
        stride: neighbouring tokens of such a sequence that become one; `auto` leaves about 64 of the median length.
        max_history: of a longer past, the latest clips count.
        ids: True also counts what is known of a clip by its name: how often it was liked in training, and by whom.
            How much that weighs is chosen on users held out. It says nothing of a new clip.
        max_epochs: most passes over the users.
        batch_users: users of a step.
        batch_clips: clips of a step.
        lr: peak learning rate.
        weight_decay: of AdamW.
        dropout: probability of dropping a feature in training.
        word_dropout: probability of hiding a word in training.
        modality_dropout: probability of hiding a modality in training, where there are several.
        hide: probability of hiding all that is known of a user in training.
        validation: share of the users and of the clips held out to stop by. Clips with split "valid" are used instead
            where the samples have them; clips with split "test" are left alone.
        patience: epochs without progress before training stops.
        device: `auto`, `cpu`, `cuda` ...
        seed: the same seed gives the same model.
        callback: called after each epoch with a line of the history.

    Attributes:
        history_: one dict an epoch: `epoch`, `train_loss`, `valid` (nDCG@10 of the users held out), `seconds`, `best`.
        mix_: with `ids`, what each part weighs: `content`, `popularity`, `together`.

    Source: Covington et al. 2016 (two towers), Wei et al. 2023 (cold items from content), van den Oord et al. 2018 (the
    loss, with several right answers).

    Relation: a search for one clip by its description is `FusionRetriever`. For a catalogue that outgrows one matrix
    product, keep `embed_clips` in an index and ask it with `embed_users`.

    Example:
        >>> from intermodal.find.digit_scenes import digit_clips, digit_reviews
        >>> clips, reviews = digit_clips(24, n_digits=4, frames=16), digit_reviews(16)
        >>> model = FusionRecommender(d_model=8, n_heads=2, max_epochs=1)
        >>> model = model.fit(clips.samples, reviews=reviews.texts, liked=reviews.relevant(clips))
        >>> model.recommend(clips.samples, reviews=["i loved the clip with a seven"], k=3).rows.shape
        (1, 3)
    """

    network_: Recommending

    def __init__(
        self,
        fusion: str | Spec = "self",
        *,
        clip_fusion: str | Spec = "self",
        d_model: int = 64,
        d_embed: int = 64,
        n_heads: int = 4,
        n_layers: int = 1,
        encoder: str = "conv",
        stride: int | Literal["auto"] = "auto",
        max_history: int = 20,
        ids: bool = False,
        max_epochs: int = 20,
        batch_users: int = 64,
        batch_clips: int = 192,
        lr: float = 2e-3,
        weight_decay: float = 0.01,
        dropout: float = 0.2,
        word_dropout: float = 0.05,
        modality_dropout: float = 0.1,
        hide: float = 0.02,
        validation: float = 0.15,
        patience: int = 6,
        device: str = "auto",
        seed: int = 0,
        callback: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.fusion = fusion
        self.clip_fusion = clip_fusion
        self.d_model = d_model
        self.d_embed = d_embed
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.encoder = encoder
        self.stride = stride
        self.max_history = max_history
        self.ids = ids
        self.max_epochs = max_epochs
        self.batch_users = batch_users
        self.batch_clips = batch_clips
        self.lr = lr
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.modality_dropout = modality_dropout
        self.hide = hide
        self.validation = validation
        self.patience = patience
        self.device = device
        self.seed = seed
        self.callback = callback

    # --- fitting

    def fit(
        self, X: Any, *, liked: Any, reviews: Any = None, histories: Any = None, ratings: Any = None
    ) -> FusionRecommender:
        """Fit on clips, users, and what the users liked.

        Args:
            X: N clips, whatever `Samples.of` takes; a modality of a mapping may also be a list of texts. Any modality
                may be missing.
            liked: which clips are right for each user: a list of U lists of rows; or (U, N), bool, or gains of 0 and
                more, sparse or not.
            reviews: U texts, or token vectors, None for a user who wrote nothing.
            histories: for each user the rows of the clips of the past, the earliest first. A clip of the past is never
                one to recommend, so it teaches nothing as a right answer.
            ratings: beside each history numbers, NaN for a clip that was not rated.

        Returns:
            The recommender.

        Raises:
            InputError: clips, users, likes or parameters cannot be used; the message says why.
        """
        check_numbers(self)
        device = to_device(self.device)
        n_users = count_users(reviews, histories)
        if hasattr(self, "network_"):
            del self.network_  # a fit that is broken off leaves no model, neither the old nor half a new one
        given = parts_of(X)
        gains = read_likes(liked, n_users, len(given))
        rows, marks_of, marks = read_histories(
            histories, ratings, n_users, gains.shape[1], most=self.max_history, marks=None
        )
        halves = halve(
            gains,
            share=self.validation,
            seed=self.seed,
            split=None if given.samples is None else given.samples.split,
            groups=None if given.samples is None else given.samples.groups,
        )
        side, words = Side.fit(given, rows=halves.clips), review_side(reviews)
        clips = side.read(given, device)
        users = Users(read_reviews(words, reviews, device), rows, marks_of, n_users)
        self.clip_side_, self.review_side_, self.marks_, self.past_ = side, words, marks, histories is not None
        self.stride_ = stride_of(self.stride, clips)
        with torch.random.fork_rng(devices=[]), one_thread(device):
            torch.manual_seed(self.seed)
            network = build(self).to(device)
            self.history_ = fit_network(network, users, clips, gains, halves, self)
            self.network_ = network
            self.known_ = KnownClips.of(clips, gains, rows)
            self.mix_ = Mix(1.0, 0.0, 0.0)
            if self.ids:
                self.mix_ = choose(network, users, clips, gains, rows, halves)
        return self

    # --- asking

    def embed_clips(self, X: Any) -> np.ndarray:
        """Return a vector for each clip, (N, E) float32 of unit length."""
        check_is_fitted(self, "network_")
        with one_thread(self._device):
            return clip_vectors(self.network_, self._clips(X)).cpu().numpy()

    def embed_users(
        self, *, reviews: Any = None, histories: Any = None, ratings: Any = None, past: Any = None
    ) -> np.ndarray:
        """Return a vector for each user, (U, E) float32; its product with a clip's is how much the user will like it.

        Args:
            reviews: as in `fit`.
            histories: as in `fit`, rows of `past`.
            ratings: as in `fit`.
            past: the clips that histories name.
        """
        check_is_fitted(self, "network_")
        clips = None if past is None else self._clips(past)
        users = self._users(reviews, histories, ratings, 0 if clips is None else len(clips))
        with one_thread(self._device):
            before = torch.zeros(0, self.d_embed, device=self._device) if clips is None else self._before(users, clips)
            return user_vectors(self.network_, users, before).cpu().numpy()

    def scores(
        self, X: Any, *, reviews: Any = None, histories: Any = None, ratings: Any = None, past: Any = None
    ) -> np.ndarray:
        """Return how much each user will like each clip, (U, N): higher is better, to be compared within a user.

        Args:
            X: N clips, as in `fit`; they need not be those of training.
            reviews: as in `fit`.
            histories: as in `fit`: rows of `past`.
            ratings: as in `fit`.
            past: the clips that histories name, where these are not among X.

        Raises:
            InputError: clips or users cannot be read as those of training.
        """
        check_is_fitted(self, "network_")
        clips = self._clips(X)
        before = clips if past is None else self._clips(past)
        return self._scores(clips, before, self._users(reviews, histories, ratings, len(before)))

    def _scores(self, clips: Read, before: Read, users: Users) -> np.ndarray:
        with one_thread(self._device):
            vectors = clip_vectors(self.network_, clips)
            past = vectors if before is clips else self._before(users, before)
            with torch.no_grad():
                liking = self.network_.like(user_vectors(self.network_, users, past), vectors)
        content = liking.double().cpu().numpy()
        if self.mix_.content == 1.0:
            return content
        return self.mix_.of(content, self.known_, clips, before, users)

    def _before(self, users: Users, clips: Read) -> torch.Tensor:
        """The vectors of the clips of the past; none where nobody has one."""
        if users.histories is None or not any(len(h) for h in users.histories):
            return torch.zeros(0, self.d_embed, device=self._device)
        return clip_vectors(self.network_, clips)

    def recommend(
        self,
        X: Any,
        *,
        reviews: Any = None,
        histories: Any = None,
        ratings: Any = None,
        past: Any = None,
        k: int = 10,
        seen: Any = None,
        exclude_seen: bool = True,
    ) -> Recommended:
        """Return the k clips that each user will like best.

        Args:
            X: as in `scores`.
            reviews: as in `fit`.
            histories: as in `fit`: rows of `past`.
            ratings: as in `fit`.
            past: the clips that histories name, where these are not among X.
            k: how many, at most all.
            seen: for each user rows of X that are not to come back; the histories, where they name clips of X.
            exclude_seen: False lets seen clips come back.

        Returns:
            `rows` and `scores`, (U, k), best first; lists of arrays where fewer clips are left for some users.

        Raises:
            InputError: clips or users cannot be read as those of training, or k is no number of clips.
        """
        scores = self.scores(X, reviews=reviews, histories=histories, ratings=ratings, past=past)
        past = None if past is X else past
        return top(self._left(scores, histories, past, seen, exclude_seen), k)

    def _left(self, scores: np.ndarray, histories: Any, past: Any, seen: Any, exclude_seen: bool) -> np.ndarray:
        """The scores, minus infinity for what a user has seen."""
        if not exclude_seen:
            if seen is not None:
                raise InputError("seen clips are left out, however: exclude_seen=False")
            return scores
        seen = histories if seen is None and past is None else seen
        return scores if seen is None else leave_out(scores, read_rows("seen", seen, *scores.shape))

    def evaluate(
        self,
        X: Any,
        *,
        liked: Any,
        reviews: Any = None,
        histories: Any = None,
        ratings: Any = None,
        past: Any = None,
        seen: Any = None,
        exclude_seen: bool = True,
        level: float = 0.95,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Score the first ten places, with popularity, ids alone and luck beside.

        Users without a liked clip among those that are ranked do not count, and are told; one to whom nothing is left
        to recommend counts as 0 in every mean.

        Args:
            X: as in `scores`.
            liked: as in `fit`.
            reviews: as in `fit`.
            histories: as in `fit`: rows of `past`.
            ratings: as in `fit`.
            past: as in `scores`.
            seen: as in `recommend`.
            exclude_seen: as in `recommend`.
            level: how often the intervals hold the true value.
            seed: of the draws behind the intervals.

        Returns:
            `users`: those that count; `unanswerable`: those without a liked clip; `unanswered`: those that count but to
            whom nothing is left to recommend. `clips`, and `known`: those that training saw. `table`: a dict a ranking,
            this one first: `name`; `nDCG@10`, `recall@10` and `hit@10`, each a dict of `mean`, `low` and `high` over
            the users; `coverage`, the share of the clips that somebody is shown; `behind`, by how much its nDCG@10 lies
            behind this one's, with the interval of that difference. `popularity` ranks by how often a clip was liked in
            training, `id-only` by who liked it beside the clips of the user's past; both know nothing of a new clip.
            `random` is the mean over all orders.
        """
        check_is_fitted(self, "network_")
        past = None if past is X else past
        clips = self._clips(X)
        before = clips if past is None else self._clips(past)
        users = self._users(reviews, histories, ratings, len(before))
        relevant = (read_likes(liked, len(users), len(clips)) > 0).toarray()
        rankings = {
            OURS: self._scores(clips, before, users),
            POPULAR: np.tile(self.known_.popularity(clips), (len(users), 1)),
            BY_ID: self.known_.by_past(clips, before, users.histories or [np.arange(0)] * len(users)),
            RANDOM: np.zeros(relevant.shape),
        }
        left = {name: self._left(s, histories, past, seen, exclude_seen) for name, s in rankings.items()}
        there = left[OURS] > -np.inf
        relevant &= there | ~there.any(1, keepdims=True)  # to whom nothing is left, that is a failure
        counts = relevant.any(1)
        return {
            "users": int(counts.sum()),
            "unanswerable": int((~counts).sum()),
            "unanswered": int((counts & ~there.any(1)).sum()),
            "clips": len(clips),
            "known": int((self.known_.rows(clips) >= 0).sum()),
            "table": table(left, relevant, level=level, seed=seed),
        }

    def score(self, X: Any, *, liked: Any, **users: Any) -> float:
        """Return nDCG@10, with what `evaluate` takes."""
        return float(self.evaluate(X, liked=liked, **users)["table"][0]["nDCG@10"]["mean"])

    @property
    def _device(self) -> torch.device:
        return self.network_.log_scale.device

    def _clips(self, X: Any) -> Read:
        return self.clip_side_.read(X, self._device)

    def _users(self, reviews: Any, histories: Any, ratings: Any, n_past: int) -> Users:
        n = count_users(reviews, histories)
        if histories is not None and not self.past_:
            raise InputError("histories were there in training too, however: the model was fitted on reviews alone")
        if ratings is not None and self.marks_ is None:
            raise InputError("ratings were there in training too, however: the model was fitted without")
        rows, marks_of, _ = read_histories(histories, ratings, n, n_past, most=self.max_history, marks=self.marks_)
        return Users(read_reviews(self.review_side_, reviews, self._device), rows, marks_of, n)

    # --- what was fitted

    @property
    def n_parameters_(self) -> int:
        """Numbers that were learned."""
        check_is_fitted(self, "network_")
        return sum(p.numel() for p in self.network_.parameters())

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the fitted model to a folder: `config.json` and `model.safetensors`, no pickle.

        Of the users of training nothing is kept but which clips were liked by the same ones, and how often.

        Args:
            folder: where; made whole beside its place and renamed, so that it is never half written.
            overwrite: replace a model that is there.

        Raises:
            InputError: the folder exists and `overwrite` is False.
        """
        check_is_fitted(self, "network_")
        from intermodal.find.recommend_saving import config, tensors

        return write_folder(Path(folder), config(self), tensors(self), overwrite=overwrite)

    @classmethod
    def restored(cls, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> FusionRecommender:
        """Put together what `save` took apart; `load` calls this."""
        from intermodal.find.recommend_saving import restore

        return restore(cls(), config, tensors)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")
