"""The loop is AdamW with a warm-up and a running mean of the weights, and it keeps the weights that were best."""

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from intermodal.data.samples import Samples
from intermodal.learn.feed import Feed
from intermodal.learn.loop import Plan, mean_loss, train
from intermodal.learn.losses import cross_entropy, squared_error
from intermodal.learn.model import FusionModel
from intermodal.nn.network import FusionNetwork

N = 29
LEARN, HELD = np.arange(23), np.arange(23, N)
NOBODY = np.arange(0)
PLAN = {"max_epochs": 3, "patience": 100, "batch_size": 5, "lr": 1e-2, "weight_decay": 0.1, "average": 0.5, "seed": 3}


class Task:
    """A regression on two modalities, all that `train` takes."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        audio = [None if i % 6 == 1 else rng.normal(size=2) for i in range(N)]
        text = rng.normal(size=(N, 3))
        self.feed = Feed(Samples({"text": text, "audio": audio}), dtype=torch.float64)
        self.start = torch.from_numpy(rng.normal(size=(N, 2)))
        self.target = self.start + torch.from_numpy(text[:, :2] + 0.5 * rng.normal(size=(N, 2)))
        self.weight = torch.from_numpy(rng.uniform(0.2, 2.0, N))
        torch.manual_seed(0)
        self.model = FusionModel(FusionNetwork("self", {"text": 3, "audio": 2}, d_model=8, n_members=2), 2).double()

    def train(self, rows: np.ndarray = LEARN, held: np.ndarray = HELD, callback: Any = None, **plan: Any) -> list[dict]:
        return train(
            self.model,
            self.feed,
            self.target,
            self.weight,
            self.start,
            squared_error,
            rows=rows,
            valid_rows=held,
            plan=Plan(**PLAN | plan),
            callback=callback,
        )

    def loss(self, rows: np.ndarray, batch_size: int = 512) -> float:
        return mean_loss(
            self.model, self.feed, self.target, self.weight, self.start, squared_error, rows, batch_size=batch_size
        )


def weights(model: FusionModel) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def same(one: list[Tensor], other: list[Tensor], atol: float = 0.0) -> bool:
    return all(torch.allclose(a, b, rtol=0.0, atol=atol) for a, b in zip(one, other, strict=True))


def by_hand(task: Task, epochs: int, average: float) -> tuple[list[Tensor], list[float]]:
    """The same training, written as a loop; the mean of the weights, and each epoch's training loss."""
    rng = np.random.default_rng(PLAN["seed"])
    model = task.model
    groups = [{"params": [p], "weight_decay": PLAN["weight_decay"] if p.ndim > 1 else 0.0} for p in model.parameters()]
    optimizer = torch.optim.AdamW(groups, lr=PLAN["lr"], fused=False)
    means, step, losses = weights(model), 0, []
    for _ in range(epochs):
        total = 0.0
        for rows in task.feed.epoch(LEARN, PLAN["batch_size"], rng):
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = PLAN["lr"] * min(1.0, step / 5)  # 23 rows in batches of 5
            x, present = task.feed.batch(rows)
            said = model(x, present, straight=False).outputs
            loss = 0.0
            for i, row in enumerate(rows):
                for k in range(2):
                    error = (said[i, k] + task.start[row] - task.target[row]).square().mean()
                    loss = loss + task.weight[row] * error / 2
            optimizer.zero_grad()
            (loss / task.weight[rows].sum()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item()
            decay = min(average, step / (step + 9))
            means = [decay * m + (1 - decay) * w for m, w in zip(means, weights(model), strict=True)]
        losses.append(total / float(task.weight[LEARN].sum()))
    return means, losses


@pytest.mark.parametrize("average", [0.0, 0.5, 0.98])
def test_training_is_the_loop_written_out(average: float) -> None:
    task, other = Task(), Task()
    history = task.train(held=NOBODY, average=average)
    means, losses = by_hand(other, epochs=3, average=average)
    assert same(weights(task.model), means, atol=1e-9)
    assert [line["train_loss"] for line in history] == pytest.approx(losses, rel=1e-9)
    assert not same(weights(Task().model), means, atol=1e-3)


def test_the_mean_of_the_weights_is_not_the_last_weights() -> None:
    one, other = Task(), Task()
    one.train(held=NOBODY, average=0.9)
    other.train(held=NOBODY, average=0.0)
    assert not same(weights(one.model), weights(other.model), atol=1e-4)


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    task = Task()
    untrained = task.loss(HELD)
    history = task.train(max_epochs=40, lr=3e-2)
    best = min(line["valid_loss"] for line in history)
    assert best < untrained
    assert history[-1]["valid_loss"] > best, "the last epoch is not the best, or nothing is shown"
    assert task.loss(HELD) == pytest.approx(best, rel=1e-6)


def test_an_epoch_is_best_when_it_beats_all_before_it_and_the_untrained_model() -> None:
    task = Task()
    least = task.loss(HELD)
    for line in task.train(max_epochs=30, lr=3e-2):
        assert line["best"] == (line["valid_loss"] < least)
        least = min(least, line["valid_loss"])


def test_the_untrained_model_is_epoch_0() -> None:
    task = Task()
    with torch.no_grad():  # the line is right on the rows that are held out: every step away from it is a loss
        task.model.weight.zero_()
    task.start[HELD] = task.target[HELD]
    before = weights(task.model)
    history = task.train(patience=4, max_epochs=50)
    assert len(history) == 4 and not any(line["best"] for line in history)
    assert same(weights(task.model), before)


@pytest.mark.parametrize("patience", [1, 3])
def test_training_stops_after_as_many_epochs_without_progress(patience: int) -> None:
    history = Task().train(max_epochs=200, patience=patience, lr=3e-2)
    assert len(history) < 200
    best = max((line["epoch"] for line in history if line["best"]), default=0)
    assert len(history) == best + patience
    assert best > 0


def test_an_epoch_that_equals_the_best_is_no_progress() -> None:
    history = Task().train(lr=0.0, patience=4, max_epochs=50)
    assert len(history) == 4 and not any(line["best"] for line in history)


def test_without_rows_to_stop_by_every_epoch_is_trained() -> None:
    history = Task().train(held=NOBODY, patience=1, max_epochs=6)
    assert [line["epoch"] for line in history] == [1, 2, 3, 4, 5, 6]
    assert all(line["valid_loss"] is None and line["best"] is False for line in history)


def test_a_row_of_weight_zero_teaches_nothing_and_is_not_counted() -> None:
    one, other = Task(), Task()
    for task in (one, other):
        task.weight[[4, 11, 25]] = 0.0
    other.target[[4, 11, 25]] = 50.0
    other.start[[4, 11, 25]] = -50.0
    first, second = one.train(), other.train()
    assert same(weights(one.model), weights(other.model))
    for a, b in zip(first, second, strict=True):
        assert a | {"seconds": 0} == b | {"seconds": 0}


def test_the_rows_held_out_teach_nothing() -> None:
    one, other = Task(), Task()
    other.target[HELD] += 0.01
    one.train(max_epochs=1, lr=1e-4)
    other.train(max_epochs=1, lr=1e-4)
    assert same(weights(one.model), weights(other.model))


def test_the_mean_loss_is_a_loop_over_rows_whatever_the_batches() -> None:
    task = Task()
    total = 0.0
    task.model.eval()
    for row in range(N):
        x, present = task.feed.batch(np.array([row]))
        with torch.no_grad():
            said = task.model(x, present, straight=False).outputs[0] + task.start[row]
        total += float(task.weight[row] * (said - task.target[row]).square().mean())
    wanted = total / float(task.weight.sum())
    assert task.loss(np.arange(N)) == pytest.approx(wanted, rel=1e-5)
    assert task.loss(np.arange(N), batch_size=7) == pytest.approx(wanted, rel=1e-5)


def test_the_history_is_ready_for_json_and_the_callback_sees_every_line() -> None:
    seen: list[dict] = []
    history = Task().train(callback=seen.append)
    assert seen == history
    assert json.loads(json.dumps(history, allow_nan=False)) == history
    assert [set(line) for line in history] == [{"epoch", "train_loss", "valid_loss", "seconds", "best"}] * 3
    times = [line["seconds"] for line in history]
    assert times == sorted(times) and times[0] > 0


def test_an_interrupt_goes_through() -> None:
    def stop(line: dict) -> None:
        if line["epoch"] == 2:
            raise KeyboardInterrupt

    seen: list[dict] = []
    with pytest.raises(KeyboardInterrupt):
        Task().train(callback=lambda line: (seen.append(line), stop(line)), max_epochs=50)
    assert len(seen) == 2


def test_the_same_seed_trains_the_same_and_another_does_not() -> None:
    one, again, other = Task(), Task(), Task()
    one.train(held=NOBODY)
    again.train(held=NOBODY)
    other.train(held=NOBODY, seed=4)
    assert same(weights(one.model), weights(again.model))
    assert not same(weights(one.model), weights(other.model), atol=1e-6)


def test_dropout_in_training_draws_from_the_seed_of_the_plan_alone() -> None:
    def dropping(torch_seed: int, **plan: Any) -> list[Tensor]:
        task = Task()
        task.model.dropout.p = 0.5
        torch.manual_seed(torch_seed)
        task.train(held=NOBODY, **plan)
        assert task.model.dropout.source is None
        return weights(task.model)

    plain = Task()
    plain.train(held=NOBODY)
    assert same(dropping(1), dropping(2))
    assert not same(dropping(1), weights(plain.model), atol=1e-4)


def test_the_line_is_never_trained_and_the_model_ends_in_eval() -> None:
    task = Task()
    task.model.coef += 1.0
    before = copy.deepcopy((task.model.coef, task.model.intercept))
    task.train()
    assert torch.equal(task.model.coef, before[0]) and torch.equal(task.model.intercept, before[1])
    assert not task.model.training
    assert all(p.requires_grad for p in task.model.parameters())


def test_matrices_decay_and_biases_do_not() -> None:
    task = Task()
    with torch.no_grad():
        task.model.hidden.bias.fill_(1.0)
        task.model.weight.zero_()  # the head says nothing, so nothing before it gets a gradient
    matrix, bias = task.model.hidden.weight.detach().clone(), task.model.hidden.bias.detach().clone()
    task.start.copy_(task.target)
    task.train(held=NOBODY, weight_decay=0.5, average=0.0)
    assert torch.equal(task.model.hidden.bias, bias)
    shrunk = float((task.model.hidden.weight.detach() / matrix).mean())
    assert shrunk == pytest.approx(np.prod([1 - 0.5e-2 * min(1.0, s / 5) for s in range(1, 16)]), rel=1e-4)


def test_classes_are_learned_too() -> None:
    task = Task()
    labels = (task.feed.vectors.x["text"][:, 0] > 0).long()
    history = train(
        task.model,
        task.feed,
        labels,
        torch.ones(N, dtype=torch.float64),
        torch.zeros(N, 2, dtype=torch.float64),
        cross_entropy,
        rows=LEARN,
        valid_rows=HELD,
        plan=Plan(**PLAN | {"max_epochs": 40}),
    )
    assert history[0]["train_loss"] == pytest.approx(np.log(2), abs=0.1)
    assert history[-1]["train_loss"] < 0.2
