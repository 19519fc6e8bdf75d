"""What the tower of the users reads of the past, beside the mean clip."""

from __future__ import annotations

import torch

from intermodal.find.recommend_network import Recommending
from intermodal.find.recommend_users import HISTORY, RATED, UserBatch
from intermodal.find.tower import Tower

EMBED = 4


def network() -> Recommending:
    torch.manual_seed(0)
    sizes = {"d_model": 8, "d_embed": EMBED, "n_heads": 2}
    return Recommending(
        Tower("self", {}, {"a": 3}, **sizes), Tower("self", {}, {HISTORY: EMBED + RATED}, **sizes)
    ).eval()


def vector(past: torch.Tensor, rated: torch.Tensor, order: tuple[int, int] = (0, 1)) -> torch.Tensor:
    there = torch.ones(1, 2, dtype=torch.bool)
    with torch.no_grad():
        return network().user(UserBatch({}, {}, torch.tensor([order]).numpy(), there, rated), past)


def test_ratings_are_read_before_their_weight_is_learned() -> None:
    past, plain = torch.randn(2, EMBED), torch.zeros(1, 2, RATED)
    liked = plain.clone()
    liked[0, 0] = 1.0
    assert not torch.allclose(vector(past, plain), vector(past, liked), atol=1e-4)


def test_the_past_is_read_and_not_its_mean_alone() -> None:
    """Two clips in the other order have the same mean."""
    past, rated = torch.randn(2, EMBED), torch.zeros(1, 2, RATED)
    assert not torch.allclose(vector(past, rated), vector(past, rated, (1, 0)), atol=1e-4)
