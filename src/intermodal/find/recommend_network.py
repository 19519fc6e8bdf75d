"""A tower that reads clips, and one that reads users: a review, and the clips of the past as the first tower sees them.

Shapes: B users, N clips, L clips of a history, E width of a vector.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.find.recommend_users import HISTORY, RATED, UserBatch
from intermodal.find.tower import Tower
from intermodal.nn.fused import mean_present

FIRST_SCALE = 10.0
"""What the product of two unit vectors is multiplied with before training."""


class Recommending(nn.Module):
    """How much each user likes each clip: the scaled product of their vectors.

    Args:
        clips: the tower of the clips.
        users: the tower of the users, with the modalities "review", "history" or both.
        hide: probability that training hides all that is known of a user, so that a user of whom nothing is known gets
            what everybody likes.

    Example:
        >>> clips = Tower("self", {}, {"a": 3}, d_model=8, d_embed=4, n_heads=2)
        >>> users = Tower("self", {}, {"history": 6}, d_model=8, d_embed=4, n_heads=2)
        >>> seen = clips({"a": torch.randn(5, 7, 3)}, {}).vector
        >>> there, rated = torch.ones(2, 2, dtype=torch.bool), torch.zeros(2, 2, 2)
        >>> past = UserBatch({}, {}, torch.tensor([[0, 3], [4, 1]]).numpy(), there, rated)
        >>> network = Recommending(clips, users)
        >>> network.like(network.user(past, seen), seen).shape
        torch.Size([2, 5])
    """

    def __init__(self, clips: Tower, users: Tower, *, hide: float = 0.0) -> None:
        super().__init__()
        self.clips, self.users, self.hide = clips, users, hide
        users.network._checked_one_key = True  # a past of one clip is no mistake
        self.log_scale = nn.Parameter(torch.tensor(FIRST_SCALE).log())
        if self.reads_history:  # as long as nothing is learned of ratings, each clip of the past weighs the same
            self.weigh = nn.Linear(RATED, 1)
            nn.init.zeros_(self.weigh.weight)
            nn.init.ones_(self.weigh.bias)

    @property
    def reads_history(self) -> bool:
        """Whether the past of a user counts."""
        return HISTORY in self.users.network.names

    def user(self, batch: UserBatch, past: Tensor) -> Tensor:
        """Return a vector for each user, (B, E): what the tower says, and the mean clip of the past beside it.

        Who likes what is like the past needs no attention for it: the tower learns what that leaves.

        Args:
            batch: the users; `clips` are rows of `past`.
            past: (N, E) vectors of the clips of the histories.
        """
        x, present, n, mean = dict(batch.x), dict(batch.present), len(batch.clips), None
        there = batch.there
        if self.reads_history and there.shape[1]:
            at = torch.from_numpy(batch.clips).to(there.device)
            vectors = past[at] if len(past) else batch.rated.new_zeros(*at.shape, self.clips.head.out_features)
            x[HISTORY], present[HISTORY] = torch.cat([vectors, batch.rated], -1), there
            mean = mean_present(self.weigh(batch.rated) * vectors, there)
        if not x:  # a batch of users of whom nothing is known: one empty place stands for all
            name = self.users.network.names[0]
            x, present = self._nothing(name, n, there.device)
        if self.training and self.hide > 0:
            stays = torch.rand(n, device=there.device) >= self.hide
            present = {name: self._known(name, present, x) & _over(stays, x[name]) for name in x}
            mean = None if mean is None else mean * stays.unsqueeze(1)
        vector = self.users(x, present).vector
        return vector if mean is None else F.normalize(vector + mean, dim=-1)

    def like(self, users: Tensor, clips: Tensor) -> Tensor:
        """Return how much each user likes each clip, (B, N)."""
        return users @ clips.T * self.log_scale.exp()

    def _known(self, name: str, present: dict[str, Tensor], x: dict[str, Tensor]) -> Tensor:
        if name in present:
            return present[name]
        axes = 2 if name in self.users.texts else x[name].ndim - 1
        return torch.ones(x[name].shape[:axes], dtype=torch.bool, device=x[name].device)

    def _nothing(self, name: str, n: int, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        there = torch.zeros(n, 1, dtype=torch.bool, device=device)
        if name in self.users.texts:
            return {name: torch.zeros(n, 1, dtype=torch.long, device=device)}, {name: there}
        width = self.users.network.d_in[name]
        dtype = self.log_scale.dtype
        return {name: torch.zeros(n, 1, width, dtype=dtype, device=device)}, {name: there}


def prefer(scores: Tensor, gains: Tensor, counts: Tensor) -> Tensor:
    """Return the loss of a batch of users: each clip that was liked stands against all that were not.

    One liked clip is no negative of another. The loss of a pair is `-log(exp(s) / (exp(s) + sum of exp over the clips
    that were not liked))`; a user takes the mean over what was liked, weighted by the gains.

    Shape:
        scores, gains, counts (B, N) -> ().

    Args:
        scores: how much each user likes each clip.
        gains: above 0 where a clip was liked.
        counts: bool, False where nothing can be learned, as from a clip that the user's own history holds.

    Relation: with gains of 0 and 1 and everything counting, one direction of `contrast`: users ask, clips answer.

    Example:
        >>> gains, counts = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[True, True, False]])
        >>> prefer(torch.tensor([[0.0, 0.0, 9.0]]), gains, counts)
        tensor(0.6931)
    """
    gains = gains * counts
    # Not minus infinity: a user without a wrong clip has a loss of zero, and a gradient of zero instead of NaN.
    lowest = torch.finfo(scores.dtype).min / 2
    wrong = scores.masked_fill((gains > 0) | ~counts, lowest).logsumexp(-1, keepdim=True)
    total = gains.sum(-1)
    per_user = (F.softplus(wrong - scores) * gains).sum(-1) / total.clamp(min=1e-12)
    return per_user.sum() / (total > 0).sum().clamp(min=1)


def _over(stays: Tensor, x: Tensor) -> Tensor:
    """(B,) over the tokens of x, (B,) or (B, T)."""
    return stays if x.ndim == 2 and x.dtype.is_floating_point else stays.unsqueeze(1)
