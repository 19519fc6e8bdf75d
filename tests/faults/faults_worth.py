"""The faults of the game of all subsets and of what is read from it; the form is that of `faults.py`."""

from typing import NamedTuple


class Fault(NamedTuple):
    """One planted slip."""

    name: str
    file: str
    old: str
    new: str
    tests: str


def _group(file: str, tests: str, *rows: tuple[str, str, str]) -> list[Fault]:
    return [Fault(name, file, old, new, tests) for name, old, new in rows]


FAULTS_WORTH = [
    *_group(
        "nn/subsets.py",
        "tests/nn/test_subsets.py",
        (
            "the stand-in stands before the tokens",
            "range(start + width, start + width + step)",
            "range(start, start + step)",
        ),
        (
            "modalities that are absent leave no gap",
            "starts = [sum(widths[:i]) + i * step",
            "starts = [sum(widths[:i])",
        ),
        ("subsets of one width run as one", "_who(asking, places))", "0)"),
        ("who asks is forgotten", "found.append((tuple(who), tuple(whom)))", "found.append((tuple(whom),))"),
        (
            "who asks twice counts once",
            "who = sorted(at[name] for name in query if name in at)",
            "who = sorted({at[name] for name in query if name in at})",
        ),
        ("edges with weights of their own are swapped", " or not all(layer.tie for layer in layers)", ""),
        ("places of a concatenation are swapped", "network.pool.per_modality or not", "not"),
        (
            "members and samples interleaved",
            "reshape(len(each), network.n_members, batch, -1).transpose(1, 2)",
            "reshape(len(each), batch, network.n_members, -1)",
        ),
        (
            "masks of members interleaved",
            "there.repeat(network.n_members, 1)",
            "there.repeat_interleave(network.n_members, 0)",
        ),
        (
            "the scale of a member misses the stand-in",
            "        tokens = (network.member_scale[:, None, None] * tokens)",
            "        tokens = (network.member_scale[:, None, None].abs() * tokens)",
        ),
        (
            "subsets and samples interleaved",
            "pooled.reshape(-1, len(chosen), pooled.shape[-1]).transpose(0, 1)",
            "pooled.reshape(len(chosen), -1, pooled.shape[-1])",
        ),
        ("no residual in the first layer", "tokens = tokens + received", "tokens = received"),
        ("the first layer runs twice", "for layer in self.layers[1:]:", "for layer in self.layers:"),
        ("no last norm", "            tokens = self.network.norm(tokens)", "            pass"),
        (
            "missing tokens of a sample are pooled",
            "self.network.pool(tokens, there, places)",
            "self.network.pool(tokens, None, places)",
        ),
        (
            "chosen subsets come in rising order",
            "return pooled if list(wanted) == each else pooled[[at[s & known] for s in wanted]]",
            "return pooled",
        ),
        (
            "bits by the order of x",
            "bits = [1 << network.names.index(name) for name in names]",
            "bits = [1 << i for i, name in enumerate(names)]",
        ),
        (
            "nothing is shared",
            "self.projected = self.layers[0]._project(self.layers[0].norm_ask(tokens))",
            "self.projected = [self.layers[0]._project(self.layers[0].norm_ask(tokens)) for _ in range(2)][0]",
        ),
        ("training passes", "    if network.training:\n", "    if False:\n"),
    ),
    *_group(
        "nn/shared_scores.py",
        "tests/nn/test_subsets.py",
        ("queries outside the subset count", "share = kept / total", "share = 1 / total"),
        ("keys outside the subset count", "(e.mT @ share) * kept", "(e.mT @ share)"),
        ("each row divides by all keys", "total = (e @ kept)", "total = (e @ torch.ones_like(kept))"),
        ("the sum, not the mean, of the queries", " / count.clamp(min=1)[:, None, None]", ""),
        ("keys ask queries", "(e.mT @ share)", "(e @ share)"),
        ("the bias of nothing", " * (count > 0).unsqueeze(-1)", ""),
        (
            "scores far apart are shared",
            "scores.detach().amin(-1)).max() > SPREAD",
            "scores.detach().amin(-1)).max() > 1e9",
        ),
        ("scale of the whole width", "attention.d_head**-0.5", "x.shape[-1] ** -0.5"),
        (
            "bits from the other end",
            "torch.arange(n, device=x.device)[:, None]",
            "torch.arange(n, device=x.device).flip(0)[:, None]",
        ),
        (
            "missing tokens come back",
            "inside = inside & present.unsqueeze(-1)",
            "inside = inside | ~present.unsqueeze(-1)",
        ),
    ),
    *_group(
        "explain/removal.py",
        "tests/explain/test_coalitions.py",
        (
            "who is missing comes back",
            "_repeat(_known(values, there), times) & _like(column",
            "_repeat(_known(values, None), times) & _like(column",
        ),
        (
            "the mean takes a modality away",
            "shown[name] = _repeat(there, times)\n",
            "shown[name] = _repeat(there, times) & _like(column, there.ndim)\n",
        ),
        (
            "donors and samples swapped",
            "torch.where(kept, _repeat(values, times), _repeat(theirs, times))",
            "torch.where(kept, _repeat(theirs, times), _repeat(values, times))",
        ),
        (
            "the presence of the donor stays behind",
            "_repeat(ours, times), _repeat(lent, times))",
            "_repeat(ours, times), _repeat(ours, times))",
        ),
        ("what only the donor lacks is there", "if there is not None or name in other[1]:", "if there is not None:"),
        ("a learned token is looked away from", 'return "learned_missing" if stands_in else "mask"', 'return "mask"'),
        ("an unscaled model has a mean", 'if removal == "mean" and not hasattr(model, "preprocessor_"):', "if False:"),
    ),
    *_group(
        "explain/outcome.py",
        "tests/explain/test_coalitions.py",
        ("the class of each subset", "np.argsort(-said[-1]", "np.argsort(-said[0]"),
        ("the margin to the last", "of_first - said[:, at, order[:, 1]]", "of_first - said[:, at, order[:, -1]]"),
        ("the log-odds against all", "said, order[None, :, 1:], -1)", "said, order[None, :, :], -1)"),
        ("a gain instead of a loss", "return np.asarray(-said[:, np.arange", "return np.asarray(said[:, np.arange"),
        ("errors are added up", "squares.mean(-1) if", "squares.sum(-1) if"),
        ("zero probabilities end the logarithm", "        if outputs.ndim == 3:", "        if False:"),
        (
            "another last step is passed over",
            "if np.allclose(np.exp(exact), predicted, rtol=1e-4, atol=1e-6):",
            "if True:",
        ),
        (
            "classes in the order of y",
            "enumerate(np.asarray(classes).tolist())",
            "enumerate(np.asarray(classes).tolist()[::-1])",
        ),
    ),
    *_group(
        "explain/coalitions.py",
        "tests/explain/test_coalitions.py",
        ("a sample is its own donor", "return picks + (picks >= np.arange(n)[:, None])", "return picks"),
        (
            "a donor comes twice",
            "rng.choice(n - 1, min(wanted, n - 1), replace=False)",
            "rng.choice(n - 1, min(wanted, n - 1), replace=True)",
        ),
        ("donors are added up", "np.asarray(total / self.n_donors)", "np.asarray(total)"),
        ("donors of the first rows", "self.donors[rows].T", "self.donors[rows - rows[0]].T"),
        ("who is no player is nowhere", "inside = np.ones((len(subsets)", "inside = np.zeros((len(subsets)"),
        (
            "players in the order of asking",
            "else sorted(set(places_of(self.names, only)))",
            "else places_of(self.names, only)",
        ),
        ("donors are not counted", "of, len(v) * table.n_donors)", "of, len(v))"),
        ("players and modalities are one", "if len(table.players) > MOST:", "if len(table.names) > MOST:"),
        ("others leave with a player", "always = len(self.v) - 1 - sum(1 << place for place in players)", "always = 0"),
        (
            "shared subsets by the bits of the players",
            "moved += (subsets >> bit & 1) << i",
            "moved += (subsets >> bit & 1) << bit",
        ),
    ),
    *_group(
        "explain/coalitions.py",
        "tests/explain/test_shapley.py",
        ("an absent player is filled in", "[:, None] | ~there[:, bit]", "[:, None] | (~there[:, bit] & False)"),
        (
            "an absent player is read by its own row",
            "wanted = subsets[:, None] | absent",
            "wanted = subsets[:, None] | 0 * absent",
        ),
        ("an eleventh modality passes", "if len(table.players) > MOST:", "if len(table.players) > MOST + 1:"),
        ("a tenth is refused", "if len(table.players) > MOST:", "if len(table.players) >= MOST:"),
        ("gradients are kept", "    @torch.no_grad()\n", "    @torch.enable_grad()\n"),
    ),
    *_group(
        "explain/sharing.py",
        "tests/explain/test_coalitions.py",
        (
            "another batch gets the known answer",
            "if x is not self.repeated[0] or present is not self.repeated[1] or need_weights:",
            "if False:",
        ),
        (
            "tokens that are not known",
            "    def __getattr__(self, name: str) -> Any:\n        raise NotKnownError",
            "    tokens: Any = {}",
        ),
        ("the module itself is changed", "sharing = copy.copy(module)", "sharing = module"),
        (
            "a network in training is shared",
            "and type(network) is FusionNetwork and at_rest",
            "and type(network) is FusionNetwork",
        ),
        ("means are shared", "return rule in LOOKS_AWAY and", "return"),
    ),
    *_group(
        "explain/shapley.py",
        "tests/explain/test_shapley.py",
        ("a reverse is not drawn", "[_walk(order), _walk(order[::-1])]", "[_walk(order), _walk(order)]"),
        ("steps go to the wrong players", "added[k][:, players] +=", "added[k][:, order] +="),
        ("the error of one draw", "added.std(0, ddof=1) / np.sqrt(len(drawn))", "added.std(0, ddof=1)"),
        ("the error of single orders", "np.sqrt(len(drawn))", "np.sqrt(permutations)"),
        ("an absent player rounds in an estimate", "added[:, ~table.present] = 0.0", "pass"),
        (
            "groups are drawn sample by sample",
            "    if groups is None:\n        return [rng",
            "    if True:\n        return [rng",
        ),
        ("no reason without shares", "reason = None if total > 0 else", "reason = None if True else"),
        ("the outcome is forgotten", "game.evaluations, game.removal, game.of)", "game.evaluations, game.removal)"),
    ),
    *_group(
        "explain/two_rules.py",
        "tests/explain/test_shapley.py",
        ("ranks from below", "_ranks(-row) for row", "_ranks(row) for row"),
        ("equals share the first rank", "below + (equal + 1) / 2", "below + 1"),
        ("every flip is clear", "clear = bool(low[0] > 0 and high[1] < 0)", "clear = True"),
        ("no flip is clear", "clear = bool(low[0] > 0 and high[1] < 0)", "clear = bool(low[0] > 0 and low[1] > 0)"),
        (
            "a pair in the order of the names",
            "first, second = (i, j) if worth[0, i] >= worth[0, j] else (j, i)",
            "first, second = i, j",
        ),
        ("ties flip", "if gaps[0] > 0 > gaps[1]:", "if gaps[0] >= 0 >= gaps[1]:"),
    ),
    *_group(
        "explain/leaving.py",
        "tests/explain/test_leaving.py",
        ("one alone instead of one out", "full - (1 << i) for i in reversed(range(m))", "1 << i for i in range(m)"),
        ("the order of the modalities turned", "v[-1] - v[-2::-1]", "v[-1] - v[:-1]"),
        ("signs are swapped", "game.v[full] - game.v[full - (1 << i)]", "game.v[full - (1 << i)] - game.v[full]"),
        ("what is missing rounds", "values[~table.present] = 0.0", "values[~table.present] += 1e-17"),
        ("the shuffled modality is the only one that stays", "whole = ~np.eye(", "whole = np.eye("),
        ("the error is the spread", "repeats.std(0, ddof=1) / np.sqrt(len(repeats))", "repeats.std(0, ddof=1)"),
        ("the spread of all", "repeats.std(0, ddof=1)", "repeats.std(0)"),
        ("the fall is a rise", "score[:, -1:] - score[:, :-1]", "score[:, :-1] - score[:, -1:]"),
        (
            "one shuffle for all repeats",
            "order, said, loss = rng.permutation(n), [], []",
            "order, said, loss = np.random.default_rng(seed).permutation(n), [], []",
        ),
        ("a share of a score below zero", "if before > 0 else None", "if before else None"),
    ),
    *_group(
        "explain/outcome.py",
        "tests/explain/test_leaving.py",
        (
            "R2 of all outputs together",
            "np.mean(1 - np.square(wrong).sum(0)[varies] / spread[varies])",
            "1 - np.square(wrong).sum() / spread.sum()",
        ),
        ("R2 around zero", "np.square(target - target.mean(0))", "np.square(target)"),
    ),
    *_group(
        "explain/additive.py",
        "tests/explain/test_additive.py",
        ("the mean is not taken off", " - scores.mean((0, 1))", ""),
        ("rows twice", "scores.mean(1) + scores.mean(0)", "2 * scores.mean(1)"),
        ("rows and columns swapped", "for rows in (at // n, at % n)", "for rows in (at % n, at // n)"),
        ("means of the modalities are added up", "means.mean((0, 1)) +", "means.sum((0, 1)) +"),
        ("each term keeps its mean", "(terms - means).sum(0)", "terms.sum(0)"),
        ("logits keep their constant", "said = said - said.mean(-1, keepdims=True)", "pass"),
        (
            "only the first modality is asked",
            "for i in (range(m) if m > 2 else [0])",
            "for i in ([0] * m if m > 2 else [0])",
        ),
        ("the cap is passed over", "    if n > cap:\n", "    if n > cap + 1:\n"),
        (
            "the share of what is left",
            "1 - float(np.square(full - additive).sum()) / spread",
            "float(np.square(full - additive).sum()) / spread",
        ),
        (
            "scores for probabilities",
            "torch.from_numpy(additive).log_softmax(-1).exp().numpy() if classes else additive",
            "additive",
        ),
    ),
]
