"""Faults in the retriever: ranks, loss, relevance, sides, towers, negatives, candidates, the line, the reranker."""

from fault import group as _group

_RANKING = "tests/find/test_ranking.py"
_PARTS = "tests/find/test_retriever_parts.py"
_WHOLE = "tests/find/test_retriever.py"

FAULTS_RETRIEVAL = [
    *_group(
        "find/ranking.py",
        _RANKING,
        ("a tie counts for the query", "+ 0.5 * ties, ties > 0", "+ 0.0 * ties, ties > 0"),
        ("a right item ties with itself", "((similarity == best) & ~relevant)", "(similarity == best)"),
        ("what was not returned is found", "((rank <= k) & found)", "(rank <= k)"),
        ("a query without a right item counts", "values[counts] for name", "np.nan_to_num(values) for name"),
        ("NaN passes", "broken = np.isnan(similarity) | (similarity == np.inf)", "broken = similarity == np.inf"),
        ("precision by the place of the own item in a tie", "1) / (ends + 1)", "1) / (np.arange(ends.shape[1]) + 1)"),
        (
            "the gain of what was found instead of what is right",
            "np.minimum(relevant.sum(1), GAIN)",
            "np.minimum((relevant & there).sum(1), GAIN)",
        ),
        (
            "rows are columns",
            "relevant[:, None] == np.arange(n_items)",
            "relevant[None] == np.arange(n_items)[:, None]",
        ),
    ),
    *_group(
        "find/contrast.py",
        _PARTS,
        ("one direction alone", "one_way(scores.mT, relevant.mT))", "one_way(scores, relevant))"),
        ("other right answers are negatives", "scores.masked_fill(relevant, lowest)", "scores"),
        ("right and wrong the wrong way", "F.softplus(wrong - scores)", "F.softplus(scores - wrong)"),
        ("the sum of the right pairs, not their mean", "losses.sum(-1) / counts.clamp(min=1)", "losses.sum(-1)"),
        ("rows without a right pair count", "(counts > 0).sum().clamp(min=1)", "len(counts)"),
    ),
    *_group(
        "find/relevance.py",
        _PARTS,
        ("the same text is another query", "np.arange(len(clips)) if texts is None", "np.arange(len(clips)) if True"),
        ("the first right clip is always drawn", "at = int(rng.integers(sizes.sum()))", "at = 0"),
        ("all kinds are answered", "kinds[self.clip_kind[clips]] = 1", "kinds[:] = 1"),
    ),
    *_group(
        "find/pairs.py",
        _PARTS,
        (
            "held queries are learned from",
            "np.isin(clips, part)) for part in (learn, held)]",
            "np.isin(clips, part)) for part in (np.concatenate([learn, held]), held)]",
        ),
        (
            "classes are held out at random",
            "labels = relevance.clip_kind if relevance.classes else None",
            "labels = None",
        ),
        ("groups are torn apart", "groups=None if groups is None else groups[own]", "groups=None"),
    ),
    *_group(
        "find/pairs.py",
        _WHOLE,
        ("test clips are learned from", 'np.flatnonzero(split != "test")', "np.arange(n)"),
    ),
    *_group(
        "find/sides.py",
        _PARTS,
        (
            "a piece is too large",
            "(stop + 1 - start) * lengths[order[stop]] > most",
            "(stop - start) * lengths[order[stop]] > 2 * most",
        ),
    ),
    *_group(
        "find/queries.py",
        _PARTS,
        (
            "a missing text has a word",
            "inside = np.arange(longest) < lengths[:, None]",
            "inside = np.arange(longest) < np.maximum(1, lengths)[:, None]",
        ),
    ),
    *_group(
        "find/sides.py",
        _WHOLE,
        ("unknown words pass", "self.words[name].check(text)", "pass"),
        ("unknown modalities pass", "if name not in self.names:", "if False:"),
    ),
    *_group(
        "find/tower.py",
        _PARTS,
        ("padding is there", "tokens.detach().ne(0).any(-1)", "tokens.detach().ne(2).any(-1)"),
        ("places count what is absent", "(there.cumsum(1) - 0.5)", "(there.logical_or(~there).cumsum(1) - 0.5)"),
        ("time runs backwards", "2 * sharp * self.centre, -sharp", "-2 * sharp * self.centre, -sharp"),
        ("all views begin alike", "(torch.arange(N_VIEWS) + 0.5) / N_VIEWS", "torch.full((N_VIEWS,), 0.5)"),
        (
            "words are hidden when asked",
            "if self.training else words",
            "if True else words",
        ),
        ("a vector of any length", "F.normalize(vector, dim=-1)", "vector"),
    ),
    *_group(
        "find/both_towers.py",
        _PARTS,
        ("the scale has no end", ".clamp(max=SHARPEST)", ""),
        (
            "tokens in the order of their length",
            "found[at] = tokens[there]",
            "found[len(rows) - 1 - at] = tokens[there]",
        ),
    ),
    *_group(
        "find/both_towers.py",
        _WHOLE,
        ("vectors in the order of their length", "vectors[piece] = tower", "vectors[np.sort(piece)] = tower"),
    ),
    *_group(
        "find/negatives.py",
        _PARTS,
        (
            "right answers are negatives",
            "wrong = np.where(relevant, -np.inf, similarity)\n    k =",
            "wrong = similarity\n    k =",
        ),
        ("the easiest", "axis=1)[:, ::-1]\n", "axis=1)\n"),
        ("groups of what is least alike", "np.argsort(-wrong[first, left]", "np.argsort(wrong[first, left]"),
        ("a row in two groups", "        free[near] = False\n", ""),
    ),
    *_group(
        "find/towers_fitting.py",
        _PARTS,
        ("never hard", "self.passes > EASY", "self.passes > 99"),
        ("one direction is validated", "(scores.T, right.T)):", "(scores, right)):"),
    ),
    *_group(
        "find/candidates.py",
        _PARTS,
        (
            "the worst",
            "np.argsort(-np.take_along_axis(scores, some, 1)",
            "np.argsort(np.take_along_axis(scores, some, 1)",
        ),
        ("others stay above", "moved = others - above", "moved = others"),
        ("others always move", "np.maximum(0, highest - lowest + GAP)", "(highest - lowest + GAP)"),
        ("the weight is lost", "np.float32(weight) * np.where", "np.where"),
    ),
    *_group(
        "find/meaning.py",
        _PARTS,
        ("frequent classes count more", "- self.prior) / np.sqrt(self.prior)", "- self.prior) * np.sqrt(self.prior)"),
        ("both sides lack in one place", "own[:, SIDES.index(side)] = lacks", "own[:, 0] = lacks"),
        ("a line where classes are small", "FEWEST * len(known)", "0 * len(known)"),
        ("a class that a side lacks is sure", "constant_values=float(line.intercept.min())", "constant_values=99.0"),
    ),
    *_group(
        "find/embedder.py",
        _PARTS,
        ("the share is squared", "np.sqrt(self.share) * meant", "self.share * meant"),
        ("the worst share", "SHARES[int(np.argmax(found))]", "SHARES[int(np.argmin(found))]"),
    ),
    *_group(
        "find/reranker.py",
        _PARTS,
        (
            "queries and clips change places",
            '(asking, asked) if side == "clips" else (asked, asking)',
            "(asking, asked)",
        ),
    ),
    *_group(
        "find/reranker_fitting.py",
        _PARTS,
        ("kept whether it helps or not", "better = float(gains.mean()) > MARGIN * se", "better = True"),
        ("never kept", "better = float(gains.mean()) > MARGIN * se", "better = False"),
        (
            "both sides are scored as one",
            'return (self.scores, self.right) if side == "clips" else',
            "return (self.scores, self.right) if True else",
        ),
    ),
    *_group(
        "find/retriever_saving.py",
        _WHOLE,
        (
            "the fingerprint forgets the weights",
            "digest.update(values.detach()",
            "digest.copy().update(values.detach()",
        ),
        (
            "the fingerprint forgets the parameters",
            "json.dumps(told, sort_keys=True)",
            "json.dumps({}, sort_keys=True)",
        ),
        (
            "the reranker of a model that was saved is lost",
            'model._build_reranker() if parts["reranker"] else None',
            "None",
        ),
    ),
    *_group(
        "find/retriever.py",
        _WHOLE,
        (
            "a reranker that is not kept is asked",
            'bool(self.rerank_kept_[side]["kept"]) if rerank is None else rerank',
            "self.reranker_ is not None",
        ),
        ("clips are scored as queries", "scores, right = scores.T, right.T\n", "right = right.T\n"),
        (
            "the luck of others is spent",
            "with torch.random.fork_rng(devices=[]), one_thread(device):",
            "with one_thread(device):",
        ),
    ),
]
