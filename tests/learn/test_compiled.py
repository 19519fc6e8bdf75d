"""The compiled step is the step that torch takes: losses, gradients, what is drawn, and whole trainings."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from intermodal.data.samples import Samples
from intermodal.errors import OneKeyWarning
from intermodal.kernel import step as kernel
from intermodal.learn import loop
from intermodal.learn.compiled import CompiledSteps, serves
from intermodal.learn.feed import Feed
from intermodal.learn.losses import cross_entropy, squared_error
from intermodal.learn.model import FusionModel
from intermodal.learn.plan import Loss, Plan, Schedule
from intermodal.learn.steps import PlainSteps
from intermodal.nn.network import FusionNetwork

pytestmark = [
    pytest.mark.skipif(not kernel.built(), reason="no compiler was there when the package was installed"),
    pytest.mark.filterwarnings("ignore::intermodal.errors.OneKeyWarning"),
]
PLAN = {"max_epochs": 4, "patience": 9, "batch_size": 7, "lr": 5e-3, "weight_decay": 0.1, "average": 0.9, "seed": 5}
SMALL = {"spec": "self", "widths": (3, 17), "d_model": 16, "n_heads": 2, "n_tokens": 2}


class Case:
    """A model and samples, some of whose modalities are missing, twice: for the compiled step and for torch's."""

    def __init__(
        self,
        spec: str,
        widths: tuple[int, ...],
        loss: Loss = cross_entropy,
        *,
        n: int = 23,
        n_outputs: int = 3,
        dropout: float = 0.2,
        missing_share: float = 0.2,
        seed: int = 0,
        **network: Any,
    ) -> None:
        rng = np.random.default_rng(seed)
        names = [f"m{i}" for i in range(len(widths))]
        rows = {
            name: [None if rng.random() < missing_share else rng.normal(size=w) for _ in range(n)]
            for name, w in zip(names, widths, strict=True)
        }
        for name, w in zip(names, widths, strict=True):
            rows[name][0] = rng.normal(size=w)  # a modality that nobody has is no modality
        self.feed = Feed(Samples(rows))
        torch.manual_seed(seed)
        fusion = FusionNetwork(spec, dict(zip(names, widths, strict=True)), dropout=dropout, **network)
        self.model = FusionModel(fusion, n_outputs, dropout=dropout)
        with torch.no_grad():
            for p in self.model.parameters():
                p.add_(0.1 * torch.randn_like(p))
            self.model.weight.mul_(10)
        self.loss = loss
        self.target = torch.randint(0, n_outputs, (n,)) if loss is cross_entropy else torch.randn(n, n_outputs)
        self.weight, self.start = torch.rand(n) + 0.1, torch.randn(n, n_outputs)
        self.n = n

    def steps(self, kind: type, **plan: Any) -> Any:
        model = copy.deepcopy(self.model)
        return kind(model, self.feed, self.target, self.weight, self.start, self.loss, Plan(**PLAN | plan))

    @property
    def serves(self) -> bool:
        return serves(self.model, self.feed, self.target, self.loss)


def step(steps: Any, rows: np.ndarray, lr: float = 0.0, number: int = 1, share: float = 0.0) -> float:
    """One step by a rate and a share of its own; the weighted sum of the losses before it."""

    class Fixed:
        def rate(self, number: int) -> float:
            return lr

        def share(self, number: int) -> float:
            return share

    total, following = steps.epoch([rows], number, Fixed())
    assert following == number + 1
    return total


def gradients(steps: Any) -> dict[str, Tensor]:
    """Of each parameter, as the last step left them."""
    found = {}
    for name, p in steps.model.named_parameters():
        if isinstance(steps, PlainSteps):
            found[name] = torch.zeros_like(p) if p.grad is None else p.grad
        else:
            at = (p.data_ptr() - steps.flat.data_ptr()) // 4
            found[name] = steps.gradient[at : at + p.numel()].view_as(p).clone()
    return found


def check_gradients(ours: Any, plain: Any) -> None:
    """Torch has cut its own to a norm of one."""
    found = gradients(ours)
    norm = torch.stack([g.norm() for g in found.values()]).norm().clamp(min=1.0)
    for name, g in gradients(plain).items():
        torch.testing.assert_close(found[name] / norm, g, atol=2e-6, rtol=1e-4, msg=name)


def check_step(case: Case, rows: np.ndarray) -> None:
    assert case.serves
    ours, plain = case.steps(CompiledSteps), case.steps(PlainSteps)
    assert step(ours, rows) == pytest.approx(step(plain, rows), rel=1e-5, abs=1e-6)
    check_gradients(ours, plain)
    assert ours.held(rows) == pytest.approx(plain.held(rows), rel=1e-5, abs=1e-6)


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(data=st.data())
def test_a_step_loses_and_learns_what_torch_says_for_any_model(data: st.DataObject) -> None:
    draw = data.draw
    widths = tuple(draw(st.lists(st.integers(1, 35), min_size=1, max_size=4)))
    names = [f"m{i}" for i in range(len(widths))]
    side = st.sampled_from([*names, "*", "[*]"])
    clauses = draw(st.lists(st.tuples(side, st.sampled_from(["->", "<->"]), side), min_size=1, max_size=3))
    spec = draw(st.sampled_from(["self", "none", "cross", ", ".join(" ".join(c) for c in clauses)]))
    if len(widths) == 1:
        spec = "self"
    d_model = draw(st.sampled_from([16, 32, 48]))
    case = Case(
        spec,
        widths,
        draw(st.sampled_from([cross_entropy, squared_error])),
        n_outputs=draw(st.integers(2, 19)),
        dropout=draw(st.sampled_from([0.0, 0.3])),
        missing_share=draw(st.sampled_from([0.0, 0.3])),
        seed=draw(st.integers(0, 2**20)),
        d_model=d_model,
        n_heads=draw(st.sampled_from([h for h in (1, 2, 3, 16) if d_model % h == 0])),
        n_layers=draw(st.integers(0, 3)),
        n_tokens=draw(st.integers(1, 4)),
        pool=draw(st.sampled_from(["mean", "tokens", "concat"])),
        missing=draw(st.sampled_from(["mask", "token"])),
        modality_dropout=draw(st.sampled_from([0.0, 0.4])),
        d_hidden=draw(st.sampled_from([None, 16])),
        n_members=draw(st.integers(1, 3)),
    )
    order = np.random.default_rng(0).permutation(case.n)
    check_step(case, order[: draw(st.integers(1, PLAN["batch_size"]))])


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["AVX-512", "AVX2", "any"])
@pytest.mark.parametrize("loss", [cross_entropy, squared_error])
def test_every_width_of_vectors_takes_the_same_step(kind: int, loss: Loss) -> None:
    if not kernel._step.use(kind):
        pytest.skip("this processor has no such vectors")
    try:
        network = {"n_tokens": 3, "n_layers": 2, "n_members": 3, "modality_dropout": 0.4}
        for d_model, n_heads in ((16, 1), (48, 3), (80, 20)):
            case = Case(
                "[m0 m1] -> m2, m0 -> m2, m2 <-> m1", (3, 33, 16), loss, d_model=d_model, n_heads=n_heads, **network
            )
            check_step(case, np.arange(7))
        check_step(Case("self", (2,) * 9, d_model=16, n_heads=2, n_tokens=5), np.arange(5))
    finally:
        assert any(kernel._step.use(i) for i in range(3))


@pytest.mark.parametrize("n_tokens", [1, 9])
def test_more_queries_than_a_vector_has_lanes(n_tokens: int) -> None:
    check_step(Case("self", (2,) * 7, d_model=16, n_heads=2, n_tokens=n_tokens), np.arange(5))


def test_a_batch_that_is_larger_than_the_room_is_taken_in_pieces() -> None:
    case = Case("cross", (3, 5, 2), n=171, d_model=16, n_heads=2, n_tokens=4, n_members=3, modality_dropout=0.3)
    steps = case.steps(CompiledSteps, batch_size=171)
    assert steps._pass.sizes[1] == 14  # 512 rows of 3 members and 12 tokens
    plain = case.steps(PlainSteps, batch_size=171)
    rows = np.random.default_rng(1).permutation(171)
    assert step(steps, rows) == pytest.approx(step(plain, rows), rel=1e-5, abs=1e-6)
    check_gradients(steps, plain)


def test_a_sample_without_any_modality_is_defined() -> None:
    case = Case(**SMALL)
    for there in case.feed.vectors.present.values():
        there[4] = False
    check_step(case, np.array([4, 1, 2]))
    check_step(case, np.array([4]))


@pytest.mark.parametrize("loss", [cross_entropy, squared_error])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_training_is_the_training_by_torch(loss: Loss, average: float, monkeypatch: pytest.MonkeyPatch) -> None:
    # float32 goes ways of its own after many steps: a few of them, and no ties
    case = Case("cross", (3, 5), loss, d_model=16, n_heads=2, n_tokens=2, n_members=2, modality_dropout=0.3)
    learn, held = np.arange(17), np.arange(17, 23)
    trained, histories = [], []
    for kind in (CompiledSteps, PlainSteps):
        plan = Plan(**PLAN | {"average": average})
        steps = case.steps(kind, average=average)
        histories.append(loop.run(steps, case.feed, case.weight, learn, held, plan))
        trained.append(steps.model)
    for ours, plain in zip(*histories, strict=True):
        assert ours["best"] == plain["best"]
        assert [ours[key] for key in ("train_loss", "valid_loss")] == pytest.approx(
            [plain[key] for key in ("train_loss", "valid_loss")], rel=1e-4
        )
    for (name, p), q in zip(trained[0].named_parameters(), trained[1].parameters(), strict=True):
        if "k_proj.bias" not in name:  # its gradient is rounding alone, and AdamW walks by its sign
            torch.testing.assert_close(p, q, atol=2e-4, rtol=1e-3, msg=name)


def test_what_was_kept_last_is_what_the_model_ends_with() -> None:
    case = Case(**SMALL)
    steps = case.steps(CompiledSteps)
    rows = np.arange(7)
    step(steps, rows, 1e-2, 1, 0.5)
    steps.keep()
    best = steps.held(rows)
    step(steps, rows, 1e-2, 2, 0.5)
    assert steps.held(rows) != best
    steps.finish()
    plain = PlainSteps(steps.model, case.feed, case.target, case.weight, case.start, case.loss, Plan(**PLAN))
    assert plain.held(rows) == pytest.approx(best, rel=1e-5, abs=1e-6)


def test_the_model_ends_with_parameters_of_its_own_and_in_eval() -> None:
    steps = Case(**SMALL).steps(CompiledSteps)
    step(steps, np.arange(7), 1e-2, 1, 0.5)
    steps.finish()
    places = {p.untyped_storage().data_ptr() for p in steps.model.parameters()}
    assert len(places) == len(list(steps.model.parameters()))
    assert not steps.model.training
    assert all(p.requires_grad for p in steps.model.parameters())


def test_the_same_seed_gives_the_same_bits() -> None:
    case = Case(**SMALL, modality_dropout=0.3)
    found = []
    for seed in (5, 5, 6):
        torch.manual_seed(len(found))  # nothing is drawn from torch's own generator
        steps = case.steps(CompiledSteps, seed=seed)
        loop.run(steps, case.feed, case.weight, np.arange(17), np.arange(17, 23), Plan(**PLAN | {"seed": seed}))
        found.append(torch.cat([p.detach().flatten() for p in steps.model.parameters()]))
    assert found[0].equal(found[1]) and not found[0].equal(found[2])


def test_what_is_not_a_number_is_not_hidden() -> None:
    case = Case(**SMALL)
    case.feed.vectors.x["m0"][3] = float("nan")
    case.feed.vectors.present["m0"][3] = True
    steps = case.steps(CompiledSteps)
    assert np.isnan(step(steps, np.array([3, 1])))
    assert not np.isnan(step(case.steps(CompiledSteps), np.array([1, 2])))


def test_a_constant_softmax_is_warned_of() -> None:
    case = Case("m0 -> m1", (3, 5), d_model=16, n_heads=2)
    with pytest.warns(OneKeyWarning, match="m0 -> m1: every query sees at most one key"):
        case.steps(CompiledSteps)


@pytest.mark.parametrize(
    "other",
    [
        {"d_model": 24},
        {"d_hidden": 24},
        {"tie": False},
        {"pool": "attention"},
        {"n_tokens": 33},
        {"n_layers": 17},
    ],
    ids=str,
)
def test_a_model_that_it_does_not_know_is_left_to_torch(other: dict[str, Any]) -> None:
    case = Case(**SMALL | other)
    assert Case(**SMALL).serves and not case.serves
    assert isinstance(
        loop.steps_for(case.model, case.feed, case.target, case.weight, case.start, case.loss, Plan(**PLAN)), PlainSteps
    )


def test_what_else_is_left_to_torch() -> None:
    case = Case(**SMALL)
    model, feed, target, loss = case.model, case.feed, case.target, case.loss
    assert serves(model, feed, target, loss)
    assert not serves(model, feed, target, lambda outputs, target: cross_entropy(outputs, target))
    assert not serves(model, feed, target.int(), loss)
    assert not serves(copy.deepcopy(model).double(), feed, target, loss)
    assert not serves(model, Feed(feed.samples, dtype=torch.float64), target, loss)
    assert not serves(model, Feed(Samples({"m0": np.zeros((3, 2, 3)), "m1": np.zeros((3, 17))})), target, loss)
    assert not serves(model, Feed(Samples({"m0": np.zeros((3, 3))})), target, loss)
    handle = model.hidden.register_forward_hook(lambda *_: None)
    assert not serves(model, feed, target, loss)
    handle.remove()
    model.dropout.p = 0.5
    assert not serves(model, feed, target, loss)


@pytest.mark.parametrize("size", [1e-3, 30.0], ids=["small gradients", "gradients that are cut"])
def test_the_weights_walk_as_adamw_lets_them(size: float) -> None:
    case = Case(**SMALL, dropout=0.0)
    case.start.mul_(size)
    ours, plain = (case.steps(kind, weight_decay=0.3) for kind in (CompiledSteps, PlainSteps))
    for number in range(1, 6):
        for steps in (ours, plain):
            step(steps, np.arange(7) + number, 1e-2, number, 0.25)
        found = [*ours.model.parameters()], [*plain.model.parameters()]
        for (name, _), p, q in zip(ours.model.named_parameters(), *found, strict=True):
            if "k_proj.bias" not in name:
                torch.testing.assert_close(p, q, atol=1e-4, rtol=1e-3, msg=name)
        assert ours.held(np.arange(9)) == pytest.approx(plain.held(np.arange(9)), rel=1e-4)


def test_several_steps_in_one_call_are_the_steps_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(**SMALL, modality_dropout=0.3, n_members=2)
    order = np.random.default_rng(3).permutation(case.n)
    batches = [order[:7], order[7:9], order[9:16], order[16:]]
    schedule = Schedule(Plan(**PLAN), an_epoch=3)
    found = []
    for at_once in (1, 10**6, 3 * 7 * 2 * 4):
        monkeypatch.setattr("intermodal.learn.compiled.AT_ONCE", at_once)
        steps = case.steps(CompiledSteps)
        total, number = steps.epoch(batches, 1, schedule)
        again, number = steps.epoch(batches, number, schedule)
        assert number == 9
        found.append((torch.cat([p.detach().flatten() for p in steps.model.parameters()]), steps.mean, total, again))
    for other in found[1:]:
        assert other[0].equal(found[0][0]) and other[1].equal(found[0][1])
        assert other[2:] == pytest.approx(found[0][2:], rel=1e-12)
