"""The parts of the retriever: loss, relevance, sides, towers, hard negatives, candidates, the line, the reranker."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from intermodal.errors import DataError, InputError
from intermodal.find.both_towers import BothTowers, embed, tokens_of
from intermodal.find.candidates import best_of, fuse, move_down
from intermodal.find.contrast import contrast, one_way
from intermodal.find.embedder import Embedder, with_meaning
from intermodal.find.meaning import Meaning, columns
from intermodal.find.negatives import alike, hardest
from intermodal.find.pairs import Pairs, right_pairs
from intermodal.find.relevance import Relevance
from intermodal.find.reranker import Reranker
from intermodal.find.reranker_fitting import Stage, chosen_weight, tried_weights
from intermodal.find.sides import Read, Side, parts_of, texts_alone
from intermodal.find.tower import Tower, Views, places
from intermodal.find.towers_fitting import Batches, mean_precision

RNG = np.random.default_rng(0)


# --- the loss


def test_the_loss_as_a_plain_loop() -> None:
    scores, right = torch.randn(5, 7, dtype=torch.float64), torch.rand(5, 7) < 0.3
    right[0, 0] = right[4, 6] = True

    def loop(s, r):  # type: ignore[no-untyped-def]
        rows = []
        for i in range(len(s)):
            wrong = sum(math.exp(float(s[i, j])) for j in range(s.shape[1]) if not r[i, j])
            losses = []
            for j in range(s.shape[1]):
                if r[i, j]:
                    hit = math.exp(float(s[i, j]))
                    losses.append(-math.log(hit / (hit + wrong)))
            if losses:
                rows.append(sum(losses) / len(losses))
        return sum(rows) / len(rows)

    assert one_way(scores, right).item() == pytest.approx(loop(scores, right))
    assert contrast(scores, right).item() == pytest.approx((loop(scores, right) + loop(scores.T, right.T)) / 2)


def test_with_one_right_answer_a_row_the_loss_is_cross_entropy_both_ways() -> None:
    scores, rows = torch.randn(7, 7), torch.arange(7)
    expected = (F.cross_entropy(scores, rows) + F.cross_entropy(scores.T, rows)) / 2
    torch.testing.assert_close(contrast(scores, torch.eye(7, dtype=torch.bool)), expected)


def test_another_right_answer_is_no_negative() -> None:
    right = torch.eye(3, dtype=torch.bool)
    right[0, 1] = True
    calm, wild = torch.zeros(3, 3), torch.zeros(3, 3)
    wild[0, 1] = 50.0
    calm.requires_grad_(), wild.requires_grad_()
    one_way(wild, right).backward()
    assert float(wild.grad[0, 0]) < 0  # its own pair still wants to be more alike than the wrong one
    assert float(wild.grad[0, 1]) == pytest.approx(0, abs=1e-6)
    one_way(calm, right).backward()
    assert float(calm.grad[0, 1]) < 0 < float(calm.grad[0, 2])


def test_a_row_without_a_wrong_pair_costs_nothing_and_breaks_nothing() -> None:
    scores = torch.randn(3, 3, requires_grad=True)
    loss = contrast(scores, torch.ones(3, 3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0.0 and torch.isfinite(scores.grad).all()
    nobody = torch.tensor([[1.0, 2.0, -torch.inf]], requires_grad=True)
    one_way(nobody, torch.tensor([[True, False, False]])).backward()
    assert torch.isfinite(nobody.grad).all()


# --- relevance


def test_queries_of_the_same_text_share_their_clips() -> None:
    right = Relevance.of_pairs(np.array([4, 0, 2]), 5, ["one", "two", "one"])
    block = right.block(np.arange(3), np.arange(5))
    assert block.tolist() == [
        [False, False, True, False, True],
        [True, False, False, False, False],
        [False, False, True, False, True],
    ]
    assert Relevance.of_pairs(np.array([4, 0, 2]), 5).block(np.arange(3), np.arange(5)).sum() == 3


def test_classes_and_a_matrix_say_the_same() -> None:
    queries, clips = RNG.integers(4, size=11), RNG.integers(4, size=13)
    matrix = queries[:, None] == clips[None]
    for said in ((queries, clips), matrix):
        right = Relevance.of(said, 11, 13)
        rows, others = np.array([10, 3, 3]), np.array([12, 0, 7, 7])
        assert (right.block(rows, others) == matrix[np.ix_(rows, others)]).all()
        assert (right.answered(rows, others) == matrix[np.ix_(rows, others)].any(1)).all()
        drawn = right.partners(np.arange(11), np.arange(13), np.random.default_rng(0))
        for query, clip in enumerate(drawn):
            assert matrix[query, clip] if clip >= 0 else not matrix[query].any()
    assert Relevance.of((queries.astype(str), clips.astype(str)), 11, 13).classes
    assert not Relevance.of(matrix, 11, 13).classes


def test_every_right_clip_is_drawn_as_often_as_any_other() -> None:
    right = Relevance.of((np.array([0]), np.array([0, 1, 0, 0])), 1, 4)
    rng = np.random.default_rng(0)
    drawn = np.bincount([right.partners(np.array([0]), np.arange(4), rng)[0] for _ in range(600)], minlength=4)
    assert drawn[1] == 0 and (np.abs(drawn[[0, 2, 3]] - 200) < 50).all()


def test_a_clip_of_its_own_must_be_right() -> None:
    with pytest.raises(DataError, match=r"^a query's own clip is right for it, however: relevant says otherwise$"):
        right_pairs(parts_of({"a": np.ones((3, 2))}), parts_of(["x"], "query"), [1], np.array([[True, False, True]]))


def test_what_is_held_out_is_in_no_way_learned_from() -> None:
    X, texts = {"a": RNG.normal(size=(40, 2))}, [f"word{i % 13}" for i in range(40)]
    groups = np.repeat(np.arange(10), 4)
    pairs = Pairs.read(parts_of(X), parts_of(texts, "query"), None, None, groups, share=0.3, seed=0)
    assert len(pairs.held_clips) == 12 and not set(groups[pairs.held_clips]) & set(groups[pairs.learn_clips])
    assert sorted([*pairs.held_queries, *pairs.learn_queries]) == list(range(40))
    assert set(pairs.clips[pairs.held_queries]) <= set(pairs.held_clips)
    y = np.arange(40) % 4
    apart = Pairs.read(parts_of(X), parts_of(texts, "query"), None, (y, y), None, share=0.3, seed=0)
    assert not set(apart.held_queries) & set(apart.learn_queries)
    assert np.bincount(y[apart.held_clips]).tolist() == [3, 3, 3, 3]


def test_a_share_of_nothing_holds_nothing_out() -> None:
    pairs = Pairs.read(
        parts_of({"a": np.ones((20, 2))}),
        parts_of([f"w{i}" for i in range(20)], "query"),
        None,
        None,
        None,
        share=0.0,
        seed=0,
    )
    assert len(pairs.learn_queries) == 20 and len(pairs.held_queries) == len(pairs.held_clips) == 0


# --- sides


def test_texts_and_numbers_of_one_side_are_read_together() -> None:
    given = {"title": ["a dog", None, "a cat runs"], "video": [None, np.ones((2, 3)), np.ones((4, 3))]}
    side = Side.fit(given)
    read = side.read(given)
    assert side.names == ("title", "video") and len(read) == len(parts_of(given)) == 3
    assert read.lengths.tolist() == [2, 2, 7]
    x, present = read.batch(np.array([2, 0, 1]))
    assert x["title"].shape == (3, 3) and x["video"].shape == (3, 4, 3)
    assert present["title"].tolist() == [[True] * 3, [True, True, False], [False] * 3]
    assert present["video"].sum(1).tolist() == [4, 0, 2]
    assert texts_alone(parts_of(given)) is None and texts_alone(parts_of(["a", "b"], "query")) == ["a", "b"]


def test_pieces_hold_every_row_once_and_no_more_tokens_than_they_may() -> None:
    texts = [np.ones(n, dtype=np.int64) for n in RNG.integers(1, 30, size=53)]
    read = Read(None, {"query": texts})
    rows = np.arange(3, 53)
    pieces = list(read.pieces(rows, most=100))
    assert sorted(np.concatenate(pieces).tolist()) == list(range(50))
    assert all(len(p) * read.lengths[rows[p]].max() <= 100 for p in pieces) and len(pieces) > 5
    assert [p.tolist() for p in read.pieces(np.array([0]), most=1)] == [[0]]


def test_a_side_put_together_again_reads_the_same() -> None:
    given = {"title": ["a dog", "a cat"], "size": [[1.0, 5.0], [2.0, 3.0]]}
    side = Side.fit(given)
    again = Side.restored(side.described(), side.tensors())
    for a, b in zip(side.read(given).batch(np.arange(2)), again.read(given).batch(np.arange(2)), strict=True):
        assert a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


def test_counts_that_differ_within_a_side_are_said() -> None:
    message = "all modalities have the same number of samples, however: {'title': 2, 'the others': 3}"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Side.fit({"title": ["a", "b"], "video": np.ones((3, 2))})
    with pytest.raises(InputError, match=r"^queries are all texts or all vectors, however: query 1 is of type"):
        Side.fit(["a", 3.0], plain="query")


def test_a_clip_may_be_of_words_that_nobody_knows_and_a_query_may_not() -> None:
    titles = {"title": ["a dog", "a cat"]}
    assert Side.fit(titles).read({"title": ["ein hund", ""]}).lengths.tolist() == [2, 0]
    with pytest.raises(InputError, match=r"^a query holds a word that the model was fitted on, however: none of"):
        Side.fit(titles, plain="query").read({"title": ["ein hund"]})


# --- towers


def some_towers(dropout: float = 0.0) -> BothTowers:
    torch.manual_seed(0)
    sizes = {"d_model": 8, "d_embed": 5, "n_heads": 2, "dropout": dropout}
    queries = Tower("self", {"query": 13}, {}, encoder={"query": "gru"}, **sizes)
    clips = Tower("a <-> b", {}, {"a": 3, "b": 7}, n_tokens={"b": 2}, stride={"a": 2}, **sizes)
    return BothTowers(queries, clips)


def some_batch(n: int = 6):  # type: ignore[no-untyped-def]
    words = torch.randint(1, 13, (n, 5))
    there = torch.arange(5) < torch.randint(1, 6, (n, 1))
    return ({"query": words}, {"query": there}), ({"a": torch.randn(n, 9, 3), "b": torch.randn(n, 7)}, {})


def test_every_parameter_of_the_towers_gets_a_gradient() -> None:
    towers = some_towers()
    asked, answers = some_batch()
    contrast(towers(asked, answers), torch.eye(6, dtype=torch.bool)).backward()
    still = [name for name, p in towers.named_parameters() if p.grad is None or not (p.grad != 0).any()]
    # The biases of the keys move all scores of a query by the same, and so change nothing.
    assert [name for name in still if not name.endswith("k_proj.bias")] == []


def test_the_scores_of_the_towers_are_cosines_times_the_scale_which_has_an_end() -> None:
    towers = some_towers()
    asked, answers = some_batch()
    u, v = towers.queries(*asked).vector, towers.clips(*answers).vector
    expected = 10 * F.cosine_similarity(u[:, None], v[None], dim=-1)
    torch.testing.assert_close(towers(asked, answers), expected, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        towers.log_scale.fill_(9.0)
    assert towers.scale.item() == 100.0


def test_a_tower_says_which_of_its_tokens_are_there() -> None:
    clips = some_towers().clips.eval()
    there = {"a": torch.tensor([[True] * 4 + [False] * 5, [False] * 9]), "b": torch.tensor([False, True])}
    seen = clips({"a": torch.randn(2, 9, 3), "b": torch.randn(2, 7)}, there)
    assert seen.present.sum(1).tolist() == [2, 2]  # four tokens in pairs; two tokens of the vector
    nothing = clips({"a": torch.randn(1, 9, 3)}, {"a": torch.zeros(1, 9, dtype=torch.bool)})
    assert torch.isfinite(nothing.vector).all()


def test_the_views_as_a_plain_loop() -> None:
    torch.manual_seed(0)
    views = Views(5).requires_grad_(False)
    tokens, keep = torch.randn(2, 7, 5), torch.rand(2, 7) < 0.7
    keep[:, 3] = True
    looked = views(tokens, keep, places(keep)).detach()
    for b in range(2):
        rows = [t for t in range(7) if keep[b, t]]
        for p in range(8):
            scores = []
            for i, t in enumerate(rows):
                where = (i + 0.5) / len(rows)
                near = -float(views.log_sharpness[p].exp() * (where - views.centre[p]) ** 2)
                scores.append(near + float((views.asks[p] * views.key(tokens[b, t])).sum().detach()))
            weights = [math.exp(s) / sum(math.exp(other) for other in scores) for s in scores]
            expected = sum(w * tokens[b, t] for w, t in zip(weights, rows, strict=True))
            torch.testing.assert_close(looked[b, p], expected, atol=1e-5, rtol=1e-4)
    assert (views(tokens[:1], torch.zeros(1, 7, dtype=torch.bool), places(keep[:1])) == 0).all()


def test_the_first_view_begins_at_the_beginning_and_the_last_at_the_end() -> None:
    torch.manual_seed(0)
    order = torch.arange(32.0)[None, :, None].expand(1, 32, 4) / 100
    keep = torch.ones(1, 32, dtype=torch.bool)
    looked = 100 * Views(4)(order, keep, places(keep))[0, :, 0]
    assert looked[0] < 6 and looked[-1] > 25 and (looked.diff() > 2).all()


def test_hidden_words_are_hidden_in_training_alone() -> None:
    torch.manual_seed(0)
    tower = Tower("self", {"query": 5}, {}, d_model=8, d_embed=5, n_heads=2, word_dropout=0.9)
    words = torch.full((1, 3), 4)
    assert (tower.eval()._hidden(words) == 4).all()
    assert (tower.train()._hidden(words.expand(9, 3)) == 0).any()


def test_tokens_of_a_side_are_those_of_the_tower_without_the_padding() -> None:
    towers = some_towers().eval()
    texts = [np.array([1, 2, 3]), None, np.array([4])]
    read = Read(None, {"query": texts})
    feed = tokens_of(towers.queries, read, np.array([2, 1, 0]))
    assert feed.samples.modality("tokens").lengths.tolist() == [1, 1, 3]
    seen = towers.queries(*read.batch(np.array([0])))
    np.testing.assert_allclose(feed.samples.modality("tokens").values[2:], seen.tokens[0].detach(), atol=1e-6)
    assert (feed.samples.modality("tokens").values[1] == 0).all()
    np.testing.assert_allclose(embed(towers.queries, read, np.array([0])), seen.vector.detach(), atol=1e-6)


# --- hard negatives and batches


def test_the_hardest_are_the_most_alike_of_the_wrong_as_a_loop() -> None:
    scores, right = RNG.normal(size=(7, 11)), RNG.random((7, 11)) < 0.3
    right[3] = True
    right[3, 5] = False
    found = hardest(scores, right, 4)
    for i in range(7):
        expected = sorted((j for j in range(11) if not right[i, j]), key=lambda j: -scores[i, j])[:4]
        assert found[i].tolist() == expected + [-1] * (4 - len(expected))


def test_groups_hold_every_row_once_and_neighbours_together() -> None:
    place = np.repeat(np.arange(5.0) * 10, 3) + np.tile([0, 0.1, 0.2], 5)
    near = -np.abs(place[:, None] - place[None])
    groups = list(alike(near, np.eye(15, dtype=bool), 3, np.random.default_rng(0)))
    assert sorted(sorted(g.tolist()) for g in groups) == [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(5)]
    both = np.eye(15, dtype=bool) | (np.abs(place[:, None] - place[None]) < 0.15)
    for group in alike(near, both, 3, np.random.default_rng(0)):
        assert not both[group[0], group[1:]].any()


def test_batches_hold_every_pair_once_a_pass_and_hard_ones_together_from_the_second() -> None:
    texts = [f"{a} {b}" for a in ("dog", "cat", "cow", "pig") for b in ("runs", "sits", "eats", "naps")]
    X = {"video": RNG.normal(size=(16, 3))}
    pairs = Pairs.read(parts_of(X), parts_of(texts, "query"), None, None, None, share=0.0, seed=0)
    sides = Side.fit(texts, plain="query"), Side.fit(X)
    torch.manual_seed(0)
    sizes = {"d_model": 8, "d_embed": 5, "n_heads": 2}
    towers = BothTowers(Tower("self", {"query": 9}, {}, **sizes), Tower("self", {}, {"video": 3}, **sizes))
    batches = Batches(towers, sides[0].read(texts), sides[1].read(X), pairs, 8, 4)
    rng = np.random.default_rng(0)
    scores = embed(towers.queries.eval(), batches.queries) @ embed(towers.clips.eval(), batches.clips).T
    scores = scores + scores.T

    def alikeness(passed) -> float:  # type: ignore[no-untyped-def]
        return float(np.mean([scores[np.ix_(asked[:4], asked[:4])].mean() for asked, _ in passed]))

    passes = [list(batches(rng)) for _ in range(2)]
    for passed in passes:
        assert sorted(np.concatenate([asked for asked, _ in passed])) == list(range(16))
        assert all((asked == answers).all() and len(asked) == 8 for asked, answers in passed)
    assert alikeness(passes[1]) > alikeness(passes[0])


def test_mean_precision_is_the_mean_of_both_directions() -> None:
    from sklearn.metrics import average_precision_score

    scores, right = RNG.normal(size=(5, 7)), RNG.random((5, 7)) < 0.4
    right[2] = False
    ways = []
    for s, r in ((scores, right), (scores.T, right.T)):
        ways.append(np.mean([average_precision_score(b, a) for a, b in zip(s, r, strict=True) if b.any()]))
    assert mean_precision(scores, right) == pytest.approx(np.mean(ways))


# --- candidates


def test_the_best_are_found_in_order_and_of_equal_ones_the_first() -> None:
    scores = RNG.integers(5, size=(7, 23)).astype(np.float32)
    for k in (1, 3, 23, 99):
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        if k > 5:
            assert (best_of(scores, k) == expected).all()
        np.testing.assert_array_equal(np.take_along_axis(scores, best_of(scores, k), 1), -np.sort(-scores, 1)[:, :k])


def test_the_fused_score_is_the_similarity_and_a_share_of_the_opinion() -> None:
    said = np.array([[2.0, -np.inf, -4.0]])
    assert fuse(np.array([[0.5, 0.4, 0.3]]), said, 0.25).tolist() == [[1.0, -np.inf, pytest.approx(-0.7)]]
    assert fuse(np.array([[0.5, 0.4, 0.3]]), said, 0.0)[0].tolist() == [0.5, -np.inf, pytest.approx(0.3)]


def test_others_are_moved_only_as_far_as_they_must() -> None:
    scores = np.array([[0.9, 0.8, 0.5, 0.1]])
    far = move_down(scores, np.array([[0, 1]]), np.array([[2.0, 1.0]]))
    np.testing.assert_allclose(far, [[2.0, 1.0, 0.5, 0.1]])
    near = move_down(scores, np.array([[0, 1]]), np.array([[0.2, 0.4]]))
    np.testing.assert_allclose(near, [[0.2, 0.4, 0.199, -0.201]], atol=1e-6)
    everything = move_down(scores, np.array([[3, 2, 1, 0]]), np.array([[0.1, 0.2, 0.3, 0.4]]))
    np.testing.assert_allclose(everything, [[0.4, 0.3, 0.2, 0.1]])


# --- the line


def classes(n: int = 120, seed: int = 0):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    centres = 2 * np.eye(3)
    clips = {"image": (centres[y] @ rng.normal(size=(3, 7))) + rng.normal(size=(n, 7))}
    names = np.array(["sea", "hill", "town"])
    texts = [f"{names[c]} {names[rng.integers(3)]}" for c in y]
    return clips, texts, y


def reads_of(clips, texts):  # type: ignore[no-untyped-def]
    sides = {"queries": Side.fit(texts, plain="query"), "clips": Side.fit(clips)}
    return {"queries": sides["queries"].read(texts), "clips": sides["clips"].read(clips)}


def test_the_vectors_of_the_line_give_the_ratio_of_the_probabilities_by_its_largest() -> None:
    clips, texts, y = classes()
    reads = reads_of(clips, texts)
    pairs = Pairs.read(parts_of(clips), parts_of(texts, "query"), None, (y, y), None, share=0.0, seed=0)
    every = np.arange(120)
    line = Meaning.fit(reads, pairs, {"queries": every, "clips": every}, seed=0)
    values = {side: columns(reads[side], every) for side in reads}
    vectors = {side: line.vectors(side, values[side]) for side in reads}
    for of in vectors.values():
        np.testing.assert_allclose(np.linalg.norm(of, axis=1), 1)
    p = {side: line.probabilities(side, values[side]) for side in reads}
    np.testing.assert_allclose(p["clips"].sum(1), 1)
    largest = 1 / line.prior.min() - 1
    expected = [[sum(a * b / c for a, b, c in zip(q, k, line.prior, strict=True)) - 1 for k in p["clips"]]
                for q in p["queries"]]  # fmt: skip
    np.testing.assert_allclose(vectors["queries"] @ vectors["clips"].T, np.array(expected) / largest, atol=1e-9)
    assert (p["clips"].argmax(1) == y).mean() > 0.8 and (p["queries"].argmax(1) == y).mean() > 0.6
    again = Meaning.restored(line.tensors())
    assert (again.vectors("clips", values["clips"]) == vectors["clips"]).all()


def test_there_is_no_line_without_classes_or_with_too_few_samples_a_class() -> None:
    clips, texts, y = classes()
    reads, every = reads_of(clips, texts), {"queries": np.arange(120), "clips": np.arange(120)}
    for relevant in (None, y[:, None] == y[None], (np.arange(120) // 2, np.arange(120) // 2)):
        pairs = Pairs.read(parts_of(clips), parts_of(texts, "query"), None, relevant, None, share=0.0, seed=0)
        assert Meaning.fit(reads, pairs, every, seed=0) is None


def test_a_class_that_one_side_lacks_is_possible_and_unlikely_there() -> None:
    clips, texts, y = classes()
    reads = reads_of(clips, texts)
    asked = np.where(y == 2, 0, y)
    pairs = Pairs.read(parts_of(clips), parts_of(texts, "query"), None, (asked, y), None, share=0.0, seed=0)
    line = Meaning.fit(reads, pairs, {"queries": np.arange(120), "clips": np.arange(120)}, seed=0)
    p = line.probabilities("queries", columns(reads["queries"], np.arange(120)))
    assert p.shape == (120, 3) and np.isfinite(p).all() and p[:, 2].mean() < 1 / 3


def test_the_share_of_the_line_is_that_of_the_similarity() -> None:
    clips, texts, y = classes()
    reads = reads_of(clips, texts)
    pairs = Pairs.read(parts_of(clips), parts_of(texts, "query"), None, (y, y), None, share=0.3, seed=0)
    torch.manual_seed(0)
    sizes = {"d_model": 8, "d_embed": 5, "n_heads": 2}
    towers = BothTowers(Tower("self", {"query": 4}, {}, **sizes), Tower("self", {}, {"image": 7}, **sizes)).eval()
    chosen = with_meaning(towers, reads, pairs, seed=0)
    assert chosen.share >= 0.8  # the towers know nothing yet
    products = {
        share: Embedder(towers, chosen.meaning, share).embed("queries", reads["queries"])
        @ Embedder(towers, chosen.meaning, share).embed("clips", reads["clips"]).T
        for share in (0.0, 0.3, 1.0)
    }
    np.testing.assert_allclose(products[0.3], 0.7 * products[0.0] + 0.3 * products[1.0], atol=1e-6)


# --- the reranker


def test_every_parameter_of_the_reranker_gets_a_gradient() -> None:
    torch.manual_seed(0)
    reads = Reranker(6, d_model=8, n_heads=2)
    there = torch.ones(5, 4, dtype=torch.bool)
    reads(torch.randn(5, 3, 6), there[:, :3], torch.randn(5, 4, 6), there).pow(2).sum().backward()
    still = [name for name, p in reads.named_parameters() if p.grad is None or not (p.grad != 0).any()]
    assert [name for name in still if not name.endswith("k_proj.bias")] == []


def a_stage(n: int = 19, k: int = 6) -> tuple[Reranker, Stage]:
    from intermodal.data.samples import Samples
    from intermodal.learn.feed import Feed

    rng = np.random.default_rng(1)
    queries = Feed(Samples({"tokens": [rng.normal(size=(t, k)) for t in rng.integers(1, 5, n)]}))
    clips = Feed(Samples({"tokens": [rng.normal(size=(t, k)) for t in rng.integers(2, 9, n)]}))
    torch.manual_seed(1)
    reranker = Reranker(k, d_model=8, n_heads=2).eval()
    return reranker, Stage(queries, clips, rng.normal(size=(n, n)).astype(np.float32), np.eye(n, dtype=bool))


@pytest.mark.parametrize("side", ["clips", "queries"])
def test_an_opinion_is_of_one_pair_whatever_stands_beside_it(side: str) -> None:
    reranker, stage = a_stage()
    others = np.random.default_rng(2).integers(-1, 19, size=(19, 5))
    said = reranker.opinions(stage.queries, stage.clips, others, side)
    for i in range(19):
        for j, other in enumerate(others[i]):
            if other < 0:
                assert said[i, j] == -np.inf
                continue
            q, c = (i, other) if side == "clips" else (other, i)
            x, y = stage.queries.batch(np.array([q])), stage.clips.batch(np.array([c]))
            there = [torch.ones(t.x["tokens"].shape[:2], dtype=torch.bool) for t in (x, y)]
            alone = reranker(x.x["tokens"], there[0], y.x["tokens"], there[1])
            assert float(alone.detach()) == pytest.approx(float(said[i, j]), abs=1e-5)


def test_the_weight_of_nothing_leaves_the_precision_of_the_towers_and_each_side_has_its_own() -> None:
    from sklearn.metrics import average_precision_score

    reranker, stage = a_stage()
    for side in ("clips", "queries"):
        scores, right = stage.towards(side)
        tried = tried_weights(reranker, stage, side, 4)
        expected = [average_precision_score(r, s) for r, s in zip(right, scores, strict=True)]
        np.testing.assert_allclose(tried[0], expected)
    assert (tried_weights(reranker, stage, "clips", 4) != tried).any()


@pytest.mark.parametrize(("wanted", "kept"), [("auto", False), (True, True)])
def test_a_reranker_that_helps_nobody_is_kept_only_on_demand(wanted, kept) -> None:  # type: ignore[no-untyped-def]
    from types import SimpleNamespace

    reranker, stage = a_stage()
    perfect = Stage(stage.queries, stage.clips, 9 * np.eye(19, dtype=np.float32), stage.right)
    chosen = chosen_weight(reranker, perfect, "clips", SimpleNamespace(top_k=4, reranker=wanted))
    assert chosen["kept"] is kept and chosen["towers"] == 1.0 and chosen["gain"] <= 0


def test_a_reranker_that_helps_is_kept() -> None:
    from types import SimpleNamespace

    reranker, stage = a_stage()
    whole = np.broadcast_to(np.arange(19), (19, 19))
    said = reranker.opinions(stage.queries, stage.clips, whole, "clips")
    agreed = Stage(stage.queries, stage.clips, stage.scores, np.eye(19, dtype=bool)[said.argmax(1)])
    chosen = chosen_weight(reranker, agreed, "clips", SimpleNamespace(top_k=19, reranker="auto"))
    assert chosen["kept"] and chosen["gain"] > chosen["se"] > 0 and chosen["fused"] > chosen["towers"]
