"""Encoders: a row by hand, positions from the first token, and the ends of a sequence."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from intermodal.errors import InputError
from intermodal.nn import Encoder
from intermodal.nn.dropping import Noise

B, T, D = 3, 5, 7


def make(kind: str, **options: int) -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(D, 8, kind=kind, **options).double().eval()
    if encoder.level is not None:
        torch.nn.init.normal_(encoder.level.weight)  # which says nothing at first
    return encoder


def there() -> Tensor:
    return torch.tensor([[0, 1, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()


def test_a_vector_becomes_several_projections() -> None:
    encoder, x = make("linear", n_tokens=3), torch.randn(B, D).double()
    tokens, present = encoder(x, torch.tensor([True, False, True]))
    whole = x @ encoder.project.weight.T + encoder.project.bias
    for t in range(3):
        torch.testing.assert_close(tokens[[0, 2], t], whole[[0, 2], 8 * t : 8 * t + 8])
    assert (tokens[1] == 0).all()
    assert present.tolist() == [[True] * 3, [False] * 3, [True] * 3]
    assert encoder(x)[1] is None


def test_a_sequence_gets_positions_from_its_first_token() -> None:
    encoder, x = make("linear"), torch.randn(B, T, D).double()
    tokens, _ = encoder(x, there())
    plain = x @ encoder.project.weight.T + encoder.project.bias
    for i, t, place in ((0, 1, 0), (0, 2, 1), (0, 4, 3), (2, 0, 0), (2, 4, 4)):
        waves = [f(place * 10000 ** (-j / 4)) for f in (math.sin, math.cos) for j in range(4)]
        torch.testing.assert_close(tokens[i, t], plain[i, t] + 0.25 * torch.tensor(waves).double())
    assert (tokens[~there()] == 0).all()


@pytest.mark.parametrize("d_model", [7, 8, 1])
def test_positions_have_any_width(d_model: int) -> None:
    assert Encoder(D, d_model)(torch.randn(B, T, D))[0].shape == (B, T, d_model)


@pytest.mark.parametrize("kind", ["linear", "conv", "centred", "gru"])
def test_a_sample_is_read_as_if_alone_and_without_padding(kind: str) -> None:
    encoder, x = make(kind), torch.randn(B, T, D).double()
    tokens, _ = encoder(x.masked_fill(~there().unsqueeze(-1), math.nan), there())
    cut = encoder(x[:1, 1:], there()[:1, 1:])[0]
    torch.testing.assert_close(tokens[:1, 1:], cut)
    torch.testing.assert_close(tokens[2:], encoder(x[2:])[0])
    assert (tokens[~there()] == 0).all()
    longer = F.pad(x, (0, 0, 0, 2), value=math.nan), F.pad(there(), (0, 2), value=False)
    torch.testing.assert_close(encoder(*longer)[0], F.pad(tokens, (0, 0, 0, 2)))
    tokens.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


def test_a_convolution_by_hand() -> None:
    encoder, x = make("conv", kernel=3), torch.randn(1, T, D).double()
    plain = x @ encoder.project.weight.T + encoder.project.bias
    beside = F.pad(plain, (0, 0, 1, 1))
    weight, bias = encoder.over_time.weight, encoder.over_time.bias
    mixed = sum(beside[:, j : j + T] @ weight[:, :, j].T for j in range(3)) + bias
    linear = make("linear")
    linear.load_state_dict({k: v for k, v in encoder.state_dict().items() if k.startswith("project")})
    torch.testing.assert_close(encoder(x)[0], linear(x)[0] + F.gelu(mixed))


def test_a_centred_sequence_is_its_movement_and_its_level() -> None:
    encoder, x = make("centred"), torch.randn(B, T, D).double()
    conv = make("conv")
    conv.load_state_dict({k: v for k, v in encoder.state_dict().items() if k != "level.weight"})
    present = there()
    level = torch.stack([x[i, present[i]].mean(0) if present[i].any() else x.new_zeros(D) for i in range(B)])
    moved = conv(x - level.unsqueeze(1), present)[0]
    wanted = (moved + (level @ encoder.level.weight.T).unsqueeze(1)) * present.unsqueeze(-1)
    torch.testing.assert_close(encoder(x, present)[0], wanted)


def test_in_training_half_of_the_samples_lack_their_level() -> None:
    encoder, x = make("centred").train(), torch.randn(400, T, D).double()
    encoder.level.source = Noise(0)
    tokens = encoder(x)[0]
    bare = make("centred")
    torch.nn.init.zeros_(bare.level.weight)
    lacks = (tokens - bare(x)[0]).abs().amax((1, 2)) < 1e-9
    whole = (tokens - encoder.eval()(x)[0]).abs().amax((1, 2)) < 1e-9
    assert torch.equal(lacks, ~whole) and 150 < int(lacks.sum()) < 250
    encoder.train().level.source = Noise(0)
    assert torch.equal(encoder(x)[0], tokens)


def test_the_level_says_nothing_at_first() -> None:
    encoder, x = Encoder(D, 8, kind="centred"), torch.randn(B, T, D)
    torch.testing.assert_close(encoder(x + 3.0)[0], encoder(x)[0])


def test_a_gru_reads_both_ways() -> None:
    encoder, x = make("gru"), torch.randn(1, T, D).double()
    changed = x.clone()
    changed[0, 2] += 1
    moved = (encoder(changed)[0] - encoder(x)[0]).abs().amax(-1)[0] > 1e-9
    assert moved.all()


@pytest.mark.parametrize("kind", ["linear", "conv", "centred", "gru"])
@pytest.mark.parametrize("shape", [(0, T), (B, 0), (0, 0)])
def test_nothing_to_read_is_read(kind: str, shape: tuple[int, int]) -> None:
    for present in (None, torch.ones(shape, dtype=torch.bool)):
        assert make(kind)(torch.zeros(*shape, D).double(), present)[0].shape == (*shape, 8)


REFUSED = [
    (
        lambda: Encoder(D, 8, kind="conv", kernel=4),
        "kernel is odd, so that a token stands in its middle, however: kernel=4",
    ),
    (
        lambda: Encoder(D, 7, kind="gru"),
        "the two directions of a gru share d_model, so it is even, however: d_model=7",
    ),
    (lambda: Encoder(D, 8, n_tokens=0), "sizes are positive, however: d_in=7, d_model=8, n_tokens=0, stride=1"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_a_mistake_is_refused_in_a_sentence(call, message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize("left", [0, 1, 2, 5])
def test_neighbours_are_joined_from_the_first_token_on(left: int) -> None:
    encoder, plain = make("linear", stride=2), make("linear")
    x, present = torch.randn(B, T, D).double(), there()
    alone = plain.project(x)
    padded = F.pad(x.masked_fill(~present.unsqueeze(-1), math.nan), (0, 0, left, 0), value=math.nan)
    tokens, kept = encoder(padded, F.pad(present, (left, 0), value=False))
    wave = torch.tensor([f(1 * 10000 ** (-j / 4)) for f in (math.sin, math.cos) for j in range(4)]).double()
    still = torch.tensor([0.0] * 4 + [1.0] * 4).double()
    # sample 0:  . a b . c  ->  (a + b) / 2, c        sample 2:  a b c d e  ->  (a + b) / 2, (c + d) / 2, e
    torch.testing.assert_close(tokens[0, 0], alone[0, 1:3].mean(0) + 0.25 * still)
    torch.testing.assert_close(tokens[0, 1], alone[0, 4] + 0.25 * wave)
    torch.testing.assert_close(tokens[2, 0], alone[2, :2].mean(0) + 0.25 * still)
    torch.testing.assert_close(tokens[2, 1], alone[2, 2:4].mean(0) + 0.25 * wave)
    assert kept.sum(1).tolist() == [2, 0, 3]
    assert (tokens[~kept] == 0).all()
    torch.testing.assert_close(encoder(x[2:])[0], tokens[2:, :3])
