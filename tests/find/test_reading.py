"""The query encoder: padding, batch mates and hidden words."""

import pytest
import torch
from torch import Tensor

from intermodal.find.reading import QueryEncoder
from intermodal.nn.encoders import KINDS


def drawn(**settings: object) -> QueryEncoder:
    torch.manual_seed(0)
    return QueryEncoder(8, **settings)  # type: ignore[arg-type]


def there(tokens: Tensor) -> Tensor:
    return torch.ones(tokens.shape[:2], dtype=torch.bool)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sort", ["words", "vectors"])
def test_padding_on_either_side_changes_nothing(kind: str, sort: str) -> None:
    reads = drawn(**({"n_words": 11} if sort == "words" else {"d_in": 5}), kind=kind).eval()
    tokens = torch.randint(0, 11, (3, 7)) if sort == "words" else torch.randn(3, 7, 5)
    alone = reads(tokens, there(tokens))
    for left, right in ((0, 4), (3, 0), (2, 5)):
        size = (3, left + 7 + right, *tokens.shape[2:])
        padded = torch.full(size, 10 if sort == "words" else float("nan"), dtype=tokens.dtype)
        padded[:, left : left + 7] = tokens
        present = torch.zeros(size[:2], dtype=torch.bool)
        present[:, left : left + 7] = True
        read = reads(padded, present)
        torch.testing.assert_close(read[:, left : left + 7], alone, rtol=0, atol=1e-6)
        assert not read[~present].any()


@pytest.mark.parametrize("kind", KINDS)
def test_queries_of_a_batch_do_not_touch(kind: str) -> None:
    reads = drawn(n_words=11, kind=kind).eval()
    tokens = torch.randint(0, 11, (5, 7))
    present = torch.arange(7) < torch.tensor([7, 1, 3, 0, 5])[:, None]
    together = reads(tokens, present)
    for row in range(5):
        torch.testing.assert_close(together[row], reads(tokens[[row]], present[[row]])[0], rtol=0, atol=1e-6)
    assert not together[3].any()


@pytest.mark.parametrize("kind", KINDS)
def test_order_is_read(kind: str) -> None:
    reads = drawn(n_words=11, kind=kind).eval()
    forth, back = (reads(t, there(t)) for t in (torch.tensor([[1, 2, 3]]), torch.tensor([[3, 2, 1]])))
    assert (forth.flip(1) - back).abs().max() > 1e-3


def test_training_hides_words_and_prediction_none() -> None:
    reads = drawn(n_words=11, word_dropout=0.4)
    tokens = torch.full((50, 20), 7)
    hidden = torch.full_like(tokens, 0)
    looked_up: list[Tensor] = []
    assert reads.embed is not None
    reads.embed.register_forward_pre_hook(lambda _, given: looked_up.append(given[0]))
    reads(tokens, there(tokens))
    assert set(looked_up[0].unique().tolist()) == {0, 7}
    assert abs((looked_up[0] == hidden).float().mean().item() - 0.4) < 0.05
    reads.eval()(tokens, there(tokens))
    assert torch.equal(looked_up[1], tokens)
    assert torch.equal(tokens, torch.full((50, 20), 7))


@pytest.mark.parametrize("settings", [{"n_words": 11}, {"d_in": 5}])
def test_every_parameter_gets_a_gradient(settings: dict) -> None:
    reads = drawn(**settings)
    tokens = torch.randint(0, 11, (3, 7)) if "n_words" in settings else torch.randn(3, 7, 5)
    reads(tokens, there(tokens)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in reads.parameters())


def test_dropout_drops_features_in_training_alone() -> None:
    reads = drawn(d_in=5, dropout=0.5)
    tokens = torch.randn(3, 7, 5)
    assert not torch.equal(reads(tokens, there(tokens)), reads(tokens, there(tokens)))
    reads.eval()
    assert torch.equal(reads(tokens, there(tokens)), reads(tokens, there(tokens)))
