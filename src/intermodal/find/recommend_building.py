"""From a recommender's parameters to a network for the clips and users that were seen."""

from __future__ import annotations

from typing import Any

from intermodal.errors import did_you_mean
from intermodal.find.recommend_network import Recommending
from intermodal.find.recommend_users import HISTORY, RATED, REVIEW
from intermodal.find.sides import Side
from intermodal.find.tower import Tower
from intermodal.learn.building import n_tokens_of
from intermodal.learn.parameters import is_count, refuse, wrong_counts, wrong_shares, wrong_sizes
from intermodal.nn.encoders import KINDS, NAMED

COUNTS = ("d_model", "d_embed", "n_heads", "max_history", "max_epochs", "batch_users", "batch_clips", "patience")
SHARES = ("dropout", "word_dropout", "modality_dropout", "hide", "validation")


def check_numbers(settings: Any) -> None:
    """Collect everything that is wrong with a recommender's parameters, then say it at once.

    Raises:
        InputError: a parameter is wrong.
    """
    wrong = wrong_counts(settings, COUNTS) + wrong_shares(settings, SHARES)
    wrong += wrong_sizes(settings, ["lr"]) + wrong_sizes(settings, ["weight_decay"], zero=True)
    if not isinstance(settings.ids, bool):
        wrong.append(f"ids is True or False, however: ids={settings.ids!r}")
    if settings.encoder not in KINDS:
        problem = f'encoder is {NAMED}, however: "{settings.encoder}"'
        wrong.append(problem + did_you_mean(str(settings.encoder), KINDS))
    if settings.stride != "auto" and not is_count(settings.stride):
        wrong.append(f'stride is "auto" or a whole number above zero, however: stride={settings.stride!r}')
    refuse(wrong)


def build(settings: Any) -> Recommending:
    """Build the network, as it is drawn.

    Args:
        settings: a `FusionRecommender` that has read clips and users.
    """
    clips = _tower(settings, settings.clip_side_, settings.clip_fusion, settings.encoder, settings.stride_, {})
    past = {HISTORY: settings.d_embed + RATED} if settings.past_ else {}
    users = _tower(settings, settings.review_side_, settings.fusion, "gru", {}, past)
    return Recommending(clips, users, hide=settings.hide)


def _tower(
    settings: Any, side: Side | None, spec: Any, encoder: str, stride: dict[str, int], more: dict[str, int]
) -> Tower:
    words = {} if side is None else {name: len(of) for name, of in side.words.items()}
    scalings = {} if side is None else side.scalings
    names = [*words, *scalings, *more]
    sequences = [*words, *(name for name, s in scalings.items() if s.kind == "sequence")]
    return Tower(
        spec,
        words,
        {name: s.width for name, s in scalings.items()} | more,
        d_model=settings.d_model,
        d_embed=settings.d_embed,
        n_heads=settings.n_heads,
        n_layers=settings.n_layers,
        n_tokens=n_tokens_of(names, [*sequences, *more]),
        encoder={name: "gru" if name in words or name == REVIEW else encoder for name in sequences},
        stride=stride,
        dropout=settings.dropout,
        word_dropout=settings.word_dropout,
        modality_dropout=settings.modality_dropout if len(names) > 1 else 0.0,
    )
