"""Words that ask: the decoder's arithmetic, its cache, and what it may see."""

import math

import pytest
import torch
from torch import nn

from intermodal.errors import InputError, OneKeyWarning, ShapeError, SpecError
from intermodal.nn.captioning import CaptionNetwork, caption_spec
from intermodal.nn.decoder import CaptionDecoder, CaptionLayer
from intermodal.nn.encoders import positions
from intermodal.spec import Edge, Spec

V, D, H = 11, 12, 3


def decoder(contexts=(("video",),), **options):
    torch.manual_seed(0)
    made = CaptionDecoder(V, contexts, d_model=D, n_heads=H, **{"n_layers": 2, **options}).double().eval()
    for name, p in made.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(p, std=0.3)  # a bias of zero would hide where it is added
    return made


def words_of(b, n, seed=1):
    drawn = torch.randint(0, V, (b, n), generator=torch.Generator().manual_seed(seed))
    drawn[:, 0] = V
    return drawn


def tokens_of(seed=2, b=5, **lengths):
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.randn(b, n, D, generator=rng, dtype=torch.float64) for name, n in lengths.items()}


def softmax(scores):
    top = [math.exp(s - max(scores)) for s in scores]
    return [t / sum(top) for t in top]


def asked_by_hand(attention, query, keys):
    """One query over some keys, head by head, as a loop."""
    q, ks, vs = attention.q_proj(query), [attention.k_proj(k) for k in keys], [attention.v_proj(k) for k in keys]
    d = attention.d_head
    heads = []
    for h in range(attention.n_heads):
        part = slice(h * d, (h + 1) * d)
        w = softmax([float(q[part] @ k[part]) / math.sqrt(d) for k in ks])
        heads.append(sum(a * v[part] for a, v in zip(w, vs, strict=True)))
    return attention.out_proj(torch.cat(heads))


@torch.no_grad()
@pytest.mark.parametrize("missing", [(), (0,), (1,), (0, 1)])
def test_a_layer_is_the_formula(missing):
    torch.manual_seed(0)
    layer = CaptionLayer(2, D, n_heads=H, d_hidden=7).double()
    for p in layer.parameters():
        if p.ndim == 1:
            nn.init.normal_(p, std=0.3)
    x, contexts = torch.randn(1, 3, D).double(), [torch.randn(1, n, D).double() for n in (5, 2)]
    there = [torch.full(c.shape[:2], i not in missing) for i, c in enumerate(contexts)]
    got, _, _ = layer(x, layer.remember(list(zip(contexts, there, strict=True))))
    own = [x[0, i] + asked_by_hand(layer.own, layer.norm_own(x[0, i]), layer.norm_own(x[0, : i + 1])) for i in range(3)]
    for i, word in enumerate(own):
        asked = [asked_by_hand(layer.ask[j], layer.norm_ask(word), contexts[j][0]) for j in {0, 1} - {*missing}]
        word = word + sum(asked) / max(1, len(asked))
        torch.testing.assert_close(got[0, i], word + layer.feed(layer.norm_feed(word)))


@torch.no_grad()
def test_a_layer_with_one_context_equals_torch():
    torch.manual_seed(3)
    ours = CaptionLayer(1, D, n_heads=H, d_hidden=7).double()
    theirs = nn.TransformerDecoderLayer(D, H, 7, dropout=0.0, activation="gelu", norm_first=True, batch_first=True)
    theirs = theirs.double()
    for mine, yours in ((ours.own, theirs.self_attn), (ours.ask[0], theirs.multihead_attn)):
        nn.init.normal_(mine.out_proj.bias)
        yours.in_proj_weight.copy_(torch.cat([p.weight for p in (mine.q_proj, mine.k_proj, mine.v_proj)]))
        yours.in_proj_bias.copy_(torch.cat([p.bias for p in (mine.q_proj, mine.k_proj, mine.v_proj)]))
        yours.out_proj.load_state_dict(mine.out_proj.state_dict())
    norms = [(ours.norm_own, theirs.norm1), (ours.norm_ask, theirs.norm2), (ours.norm_feed, theirs.norm3)]
    for mine, yours in norms:
        nn.init.normal_(mine.weight)
        yours.load_state_dict(mine.state_dict())
    theirs.linear1.load_state_dict(ours.feed[0].state_dict())
    theirs.linear2.load_state_dict(ours.feed[3].state_dict())
    x, seen = torch.randn(5, 4, D).double(), torch.randn(5, 7, D).double()
    there = torch.rand(5, 7) < 0.6
    there[:, 2] = True
    causal = nn.Transformer.generate_square_subsequent_mask(4).double()
    want = theirs(
        x, seen, tgt_mask=causal, memory_key_padding_mask=torch.zeros(5, 7).double().masked_fill(~there, -1e9)
    )
    torch.testing.assert_close(ours(x, ours.remember([(seen, there)]))[0], want)


@torch.no_grad()
def test_the_first_word_is_read_and_said_with_one_matrix():
    net = decoder(n_layers=1)
    assert (net.start, net.unknown, len(net.embed.weight)) == (V, V + 1, V + 2)
    memory = net.remember(tokens_of(video=7))
    x = net.embed.weight[V] * D**0.5 + positions(torch.zeros(1, 1, D).double())[0, 0]
    x, _, _ = net.layers[0](x.expand(5, 1, D), memory[0])
    want = net.norm(x) @ net.embed.weight[:V].T + net.bias
    torch.testing.assert_close(net(words_of(5, 1), memory).logits, want)


CONTEXTS = {
    "one": (("video",),),
    "each": (("audio",), ("video",)),
    "joint": (("video", "audio"),),
    "both ways": (("audio",), ("video", "audio")),
}


@torch.no_grad()
@pytest.mark.parametrize("contexts", CONTEXTS)
@pytest.mark.parametrize("seed", range(4))
def test_step_by_step_equals_all_at_once(contexts, seed):
    rng = torch.Generator().manual_seed(seed)
    b, n, t, s = (int(torch.randint(1, 9, (), generator=rng)) for _ in range(4))
    net = decoder(CONTEXTS[contexts]).float()
    net._checked_one_key = True
    tokens = {k: v.float() for k, v in tokens_of(seed, b, video=t, audio=s).items()}
    present = {k: torch.rand(v.shape[:2], generator=rng) < 0.5 for k, v in tokens.items()}
    present["audio"][0] = False
    if seed == 2:
        del tokens["audio"], present["audio"]
    memory = net.remember(tokens, present)
    words = words_of(b, n, seed)
    want, past = net(words, memory).logits, None
    for i in range(n):
        logits, past = net.step(words[:, i : i + 1], memory, past)
        torch.testing.assert_close(logits[:, 0], want[:, i], rtol=0, atol=1e-6 * max(1, float(want.abs().max())))
    assert [k.shape for k, _ in past] == [(b, H, n, D // H)] * 2


@torch.no_grad()
def test_hypotheses_share_a_memory_and_have_a_past_of_their_own():
    net = decoder()
    memory = net.remember(tokens_of(video=7, b=2))
    texts = words_of(2 * 3, 5).unflatten(0, (2, 3))
    past = None
    for i in range(5):
        logits, past = net.step(texts[:, :, i], memory, past)
    for w in range(3):
        torch.testing.assert_close(logits[:, w], net(texts[:, w], memory).logits[:, -1])


@torch.no_grad()
def test_a_step_projects_one_word_and_nothing_of_the_context():
    net = decoder()
    memory = net.remember(tokens_of(video=7))
    counted = []
    for layer in net.layers:
        layer.ask[0].k_proj.register_forward_hook(lambda *_: counted.append("context"))
        layer.own.k_proj.register_forward_hook(lambda m, x, y: counted.append(x[0].shape[1]))
    past = None
    for i in range(4):
        _, past = net.step(words_of(5, 4)[:, i : i + 1], memory, past)
    assert counted == [1] * 8


@torch.no_grad()
def test_a_word_never_sees_the_words_after_it():
    net, words = decoder(), words_of(5, 6)
    memory = net.remember(tokens_of(video=7))
    other = words.clone()
    other[:, 4:] = (other[:, 4:] + 1) % V
    first, second = net(words, memory).logits, net(other, memory).logits
    assert torch.equal(first[:, :4], second[:, :4])
    assert not torch.allclose(first[:, 4:], second[:, 4:])


@torch.no_grad()
@pytest.mark.parametrize("contexts", CONTEXTS)
def test_what_is_absent_changes_nothing(contexts):
    net, words = decoder(CONTEXTS[contexts]), words_of(5, 3)
    tokens = tokens_of(video=7, audio=5)
    there = torch.ones(5, 7, dtype=torch.bool)
    there[:, 4:] = False
    there[0] = False
    odd = tokens["video"].masked_fill(~there.unsqueeze(-1), math.nan)
    got = net(words, net.remember({**tokens, "video": odd}, {"video": there})).logits
    cut = net.remember({**tokens, "video": tokens["video"][:, :4]}, {"video": there[:, :4]})
    torch.testing.assert_close(got, net(words, cut).logits)
    if contexts != "one":
        gone = net(words[:1], net.remember({"audio": tokens["audio"][:1]})).logits
        torch.testing.assert_close(got[:1], gone)


@torch.no_grad()
def test_a_sample_never_touches_another():
    net, words, tokens = decoder(CONTEXTS["both ways"]), words_of(5, 3), tokens_of(video=7, audio=5)
    tokens["video"][3, 2] = math.nan
    together = net(words, net.remember(tokens)).logits
    assert together[3].isnan().any()
    for i in (0, 1, 2, 4):
        alone = net(words[i : i + 1], net.remember({k: v[i : i + 1] for k, v in tokens.items()})).logits
        torch.testing.assert_close(together[i : i + 1], alone)


def test_a_sample_without_anything_has_a_caption_and_finite_gradients():
    net, words = decoder().train(), words_of(5, 3)
    nothing = torch.zeros(5, 7, dtype=torch.bool)
    said = net(words, net.remember(tokens_of(video=7), {"video": nothing}), need_weights=True)
    assert said.logits.isfinite().all()
    assert all(not layer[Edge("caption", "video")].any() for layer in said.weights)
    said.logits.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


@torch.no_grad()
@pytest.mark.parametrize("contexts", CONTEXTS)
def test_weights_sum_to_one_and_change_nothing(contexts):
    net, words = decoder(CONTEXTS[contexts]), words_of(5, 3)
    there = torch.ones(5, 7, dtype=torch.bool)
    there[1, 3] = False
    memory = net.remember(tokens_of(video=7, audio=5), {"video": there})
    said = net(words, memory, need_weights=True)
    torch.testing.assert_close(said.logits, net(words, memory).logits)
    assert len(said.weights) == 2
    for layer in said.weights:
        assert list(layer) == [Edge("caption", context) for context in CONTEXTS[contexts]]
        for edge, w in layer.items():
            n_keys = 7 * ("video" in edge.context_names) + 5 * ("audio" in edge.context_names)
            assert w.shape == (5, H, 3, n_keys)
            torch.testing.assert_close(w.sum(-1), torch.ones(5, H, 3).double())
            if edge.context_names[0] == "video" or n_keys == 12:
                assert not w[1, :, :, 3].any()


@pytest.mark.parametrize(
    "spec", ["caption -> [*]", "caption -> video, caption -> audio, video <-> audio", "caption -> *"]
)
def test_every_parameter_of_a_network_gets_a_gradient(spec):
    torch.manual_seed(0)
    net = CaptionNetwork(spec, {"video": 5, "audio": 3}, V, d_model=D, n_heads=H, encoder="gru", dropout=0.2)
    x = {"video": torch.randn(5, 7, 5), "audio": torch.randn(5, 4, 3)}
    torch.nn.functional.cross_entropy(
        net(x, words_of(5, 6)).logits.flatten(0, 1), words_of(5, 6).flatten() % V
    ).backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in silent if not name.endswith("k_proj.bias")] == []  # a softmax does not see it


@torch.no_grad()
def test_a_network_hears_vectors_and_sequences_and_misses_what_is_missing():
    torch.manual_seed(0)
    options = {"d_model": D, "n_heads": H, "n_tokens": {"image": 4, "video": 1}}
    net = CaptionNetwork("caption -> [*]", {"image": 6, "video": 5}, V, **options).double().eval()
    image, video, words = torch.randn(3, 6).double(), torch.randn(3, 7, 5).double(), words_of(3, 4)
    there = {"image": torch.tensor([True, False, True]), "video": torch.ones(3, 7, dtype=torch.bool)}
    there["video"][2] = False
    got = net({"image": image, "video": video}, words, there).logits
    torch.testing.assert_close(got[1:2], net({"video": video[1:2]}, words[1:2]).logits)
    torch.testing.assert_close(got[2:], net({"image": image[2:]}, words[2:]).logits)
    nothing = net({"image": image}, words, {"image": torch.zeros(3, dtype=torch.bool)}).logits
    torch.testing.assert_close(net({"smell": image}, words).logits, nothing)
    assert nothing.isfinite().all()


def test_two_spellings_are_one_network():
    first, second = (
        caption_spec(text, ["a", "b", "c"])
        for text in (
            "caption -> b, caption -> a, a <-> b, c -> a, a -> c",
            "a -> c, c -> a, b <-> a, a <- caption, b <- caption",
        )
    )
    assert first == second
    sizes = {"d_in": {"a": 3, "b": 2}, "n_words": V, "d_model": D, "n_heads": H}
    states = []
    for text in ("caption -> b, caption -> a", "caption -> a, caption -> b"):
        torch.manual_seed(5)
        states.append(CaptionNetwork(text, **sizes).state_dict())
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_wildcards_mean_the_modalities():
    names = ["video", "audio"]
    assert caption_spec("caption -> *", names)[0] == (Edge("caption", "audio"), Edge("caption", "video"))
    assert caption_spec("caption -> [*], * -> *", names) == (
        (Edge("caption", ("video", "audio")),),
        Spec.parse("video <-> audio"),
    )
    assert caption_spec("caption -> [*]", ["video"])[0] == (Edge("caption", "video"),)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("self", 'a spec says what the caption asks, as "caption -> [*]", however: "self" does not'),
        (
            "video -> audio",
            'a spec says what the caption asks, as "caption -> [*]", however: "video -> audio" does not',
        ),
        ("caption <-> video", 'nobody asks the caption, whose words are not there yet, however: "video -> caption"'),
        ("[caption audio] -> video", 'the caption asks by itself, however: "[caption audio] -> video"'),
        (
            "caption -> vidoe",
            'a spec names modalities that exist, however: "vidoe"; did you mean "video"?\n'
            "    caption -> vidoe\n               ^^^^^",
        ),
    ],
)
def test_a_spec_that_captions_nothing_is_refused(spec, said):
    with pytest.raises(SpecError) as problem:
        caption_spec(spec, ["video", "audio"])
    assert str(problem.value) == said


def test_a_clause_that_never_reaches_the_caption_is_refused():
    with pytest.raises(SpecError) as problem:
        CaptionNetwork("caption -> video, audio -> text", {"video": 2, "audio": 3, "text": 5}, V)
    assert str(problem.value) == 'what is asked reaches the caption, however: "audio -> text" does not'
    net = CaptionNetwork("caption -> video, video -> audio", {"text": 5, "audio": 3, "video": 2}, V)
    assert net.names == ("audio", "video")
    with pytest.raises(SpecError) as problem:
        caption_spec("caption -> [*]", ["caption", "video"])
    assert str(problem.value) == '"caption" is what a spec calls the words, however: a modality has that name'


def test_one_key_is_warned_of_once():
    net = decoder()
    with pytest.warns(OneKeyWarning, match="caption -> video"):
        net.remember(tokens_of(video=1))
    net.remember(tokens_of(video=1))


def test_wrong_tensors_are_refused():
    net = decoder()
    with pytest.raises(ShapeError) as problem:
        net.remember({"video": torch.zeros(5, 7, 3)})
    assert str(problem.value) == 'tokens of "video" are (batch, tokens, 12), however: tuple(t.shape)=(5, 7, 3)'
    with pytest.raises(ShapeError) as problem:
        net(torch.zeros(5, dtype=torch.long), net.remember(tokens_of(video=7)))
    assert str(problem.value) == "words are (batch, words), however: tuple(words.shape)=(5,)"
    with pytest.raises(InputError) as problem:
        CaptionDecoder(0, [("video",)])
    assert str(problem.value) == "sizes are positive, however: n_words=0, n_layers=2"
    with pytest.raises(InputError) as problem:
        CaptionDecoder(3, [])
    assert str(problem.value) == "a caption asks at least one modality, however: contexts=[]"
    with pytest.raises(InputError) as problem:
        net.remember({})
    assert str(problem.value) == "there is a modality to caption, however: tokens are empty"
