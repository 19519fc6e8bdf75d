"""The losses are those of torch, member by member, and the ensemble is the mean of its members."""

import torch
import torch.nn.functional as F

from intermodal.learn.losses import cross_entropy, mean_of_members, probabilities, squared_error

B, K, N_OUT = 5, 3, 7


def outputs(seed: int = 0) -> torch.Tensor:
    return torch.randn(B, K, N_OUT, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_cross_entropy_is_that_of_torch_for_each_member() -> None:
    said, target = outputs(), torch.tensor([6, 0, 3, 3, 1])
    wanted = torch.stack([F.cross_entropy(said[:, k], target, reduction="none") for k in range(K)], 1)
    assert torch.allclose(cross_entropy(said, target), wanted, atol=1e-12)


def test_squared_error_is_that_of_torch_for_each_member() -> None:
    said, target = outputs(), outputs(1)[:, 0]
    wanted = torch.stack([F.mse_loss(said[:, k], target, reduction="none").mean(1) for k in range(K)], 1)
    assert torch.allclose(squared_error(said, target), wanted, atol=1e-12)


def test_probabilities_are_averaged_and_not_logits() -> None:
    said = outputs() * 5
    wanted = sum(F.softmax(said[:, k], -1) for k in range(K)) / K
    assert torch.allclose(probabilities(said), wanted, atol=1e-12)
    assert torch.allclose(probabilities(said).sum(1), torch.ones(B, dtype=torch.float64), atol=1e-12)
    assert not torch.allclose(probabilities(said), said.mean(1).softmax(-1), atol=1e-3)


def test_probabilities_of_large_logits_stay_finite() -> None:
    assert probabilities(torch.tensor([[[1e4, 0.0]], [[-1e4, 1e4]]])).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_the_mean_of_the_members() -> None:
    said = outputs()
    assert torch.allclose(mean_of_members(said), (said[:, 0] + said[:, 1] + said[:, 2]) / 3, atol=1e-12)
