"""The finders' loop: the schedule, the running mean, the best of it, and when to stop."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from intermodal.find.training import Plan, rate, train


class Dot(nn.Module):
    """One number that the loss pulls along a line."""

    def __init__(self) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.zeros(1))


def pull(module: nn.Module, target: float) -> Tensor:
    return torch.as_tensor((module.at - target).square().sum())


def ones(n: int) -> Any:
    return lambda rng: iter([1.0] * n)


def test_the_schedule_is_the_formula() -> None:
    for warmup in (0.0, 0.1, 0.5):
        for p in np.linspace(0.01, 1.2, 31):
            if p < warmup:
                expected = p / warmup
            else:
                expected = 0.5 + 0.5 * math.cos(math.pi * min(1.0, (p - warmup) / (1 - warmup)))
            assert rate(float(p), warmup) == pytest.approx(expected, abs=1e-12)


def test_the_learning_rate_and_the_running_mean_are_those_of_a_plain_loop() -> None:
    plan = Plan(3, 5, lr=0.1, weight_decay=0.0, warmup=0.2, average=0.9)
    module, seen = Dot(), []

    def validate(average: nn.Module) -> float:
        seen.append(float(average.at))
        return float(len(seen))  # better and better

    train(module, ones(5), pull, plan, validate=validate)
    plain = Dot()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.1, weight_decay=0.0)
    mean, expected = 0.0, []
    for step in range(1, 16):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * rate(step / 15, 0.2)
        optimizer.zero_grad()
        pull(plain, 1.0).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
        keep = min(0.9, step / (step + 9))
        mean = keep * mean + (1 - keep) * plain.at.item()
        if step % 5 == 0:
            expected.append(mean)
    assert seen == pytest.approx(expected, rel=1e-4)
    assert module.at.item() == pytest.approx(expected[-1], rel=1e-4)


def test_the_best_average_is_kept_and_the_earliest_of_equals() -> None:
    scores, seen = iter([1.0, 3.0, 3.0, 2.0]), []
    module = Dot()

    def validate(average: nn.Module) -> float:
        seen.append(float(average.at))
        return next(scores)

    history = train(module, ones(5), pull, Plan(4, 5, lr=0.1), validate=validate)
    assert module.at.item() == seen[1]
    assert [line["best"] for line in history] == [True, True, False, False]
    assert [line["valid"] for line in history] == [1.0, 3.0, 3.0, 2.0]
    assert [line["epoch"] for line in history] == [1, 2, 3, 4]
    assert not module.training and all(p.requires_grad for p in module.parameters())


def test_patience_counts_epochs_since_the_best() -> None:
    scores = iter([1.0, 2.0, 0.0, 0.0, 0.0, 9.0])
    history = train(Dot(), ones(2), pull, Plan(6, 2, patience=3), validate=lambda _: next(scores))
    assert [line["epoch"] for line in history] == [1, 2, 3, 4, 5]
    assert len(train(Dot(), ones(2), pull, Plan(6, 2, patience=3))) == 6  # nothing to be patient about
    assert len(train(Dot(), ones(2), pull, Plan(6, 2), validate=lambda _: 0.0)) == 6


def test_without_a_validation_or_a_number_from_it_the_last_average_is_kept() -> None:
    seen: list[float] = []

    def never(average: nn.Module) -> float:
        seen.append(float(average.at))
        return math.nan

    with_nan, without = Dot(), Dot()
    train(with_nan, ones(5), pull, Plan(3, 5, lr=0.1), validate=never)
    history = train(without, ones(5), pull, Plan(3, 5, lr=0.1))
    assert with_nan.at.item() == seen[-1] == without.at.item()
    assert {line["valid"] for line in history} == {None} and not any(line["best"] for line in history)


def test_the_loss_of_an_epoch_is_the_mean_of_its_batches() -> None:
    def given(rng: np.random.Generator) -> Iterator[float]:
        yield from (1.0, 4.0, 7.0)

    history = train(Dot(), given, lambda m, x: m.at.sum() * 0 + x, Plan(2, 3))
    assert [line["train_loss"] for line in history] == [4.0, 4.0]


def test_the_seed_draws_the_batches_and_passes_differ() -> None:
    def run(seed: int) -> list[float]:
        drawn: list[float] = []

        def given(rng: np.random.Generator) -> Iterator[float]:
            drawn.append(float(rng.random()))
            yield drawn[-1]

        train(Dot(), given, pull, Plan(3, 1, seed=seed))
        return drawn

    assert run(1) == run(1) != run(2)
    assert len(set(run(1))) == 3


def test_a_callback_sees_each_line_as_it_comes() -> None:
    seen: list[dict[str, Any]] = []
    history = train(Dot(), ones(2), pull, Plan(3, 2), callback=seen.append)
    assert seen == history and history[0].keys() == {"epoch", "train_loss", "valid", "seconds", "best"}


def test_matrices_decay_and_biases_do_not() -> None:
    module = nn.Linear(3, 3)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    train(
        module,
        ones(20),
        lambda m, _: sum(p.sum() for p in m.parameters()) * 0.0,
        Plan(5, 20, lr=0.1, weight_decay=0.5, average=0.5),
    )
    assert (module.weight.abs() < before["weight"].abs()).all()
    assert torch.equal(module.bias, before["bias"])


def test_one_wild_batch_moves_little() -> None:
    module = Dot()
    train(module, lambda rng: iter([1.0, 1e9, 1.0, 1.0]), pull, Plan(1, 4, lr=0.1))
    assert abs(module.at.item()) < 0.5


def test_dropped_in_modules_are_trained_in_training_mode_and_validated_in_the_other() -> None:
    modes: list[bool] = []

    def loss(module: nn.Module, x: float) -> Tensor:
        modes.append(module.training)
        return pull(module, x)

    train(Dot(), ones(1), loss, Plan(2, 1), validate=lambda m: modes.append(m.training) or 0.0)
    assert modes == [True, False, True, False]
